"""Varied rows keep their values, their labels' meaning and their place in the batch."""

import numpy as np
import pytest

from yieldcast.workspace.sandbox.augmentation import NOISE, augment

RANDOM = np.random.default_rng


@pytest.mark.parametrize("kind", ["flips", "rotations"])
def test_flips_and_rotations_keep_all_pixels_of_each_tile(kind):
    tiles = RANDOM(0).normal(size=(40, 5, 5, 2)).astype(np.float32)
    varied = augment({"image": tiles}, [kind], {}, RANDOM(1))["image"]
    assert varied.shape == tiles.shape
    assert not np.array_equal(varied, tiles)
    for before, after in zip(tiles, varied, strict=True):
        np.testing.assert_array_equal(
            np.sort(before.reshape(-1, 2), axis=0), np.sort(after.reshape(-1, 2), axis=0)
        )


def test_tiles_that_are_no_squares_are_turned_by_half():
    tiles = RANDOM(0).normal(size=(20, 3, 5, 1)).astype(np.float32)
    varied = augment({"image": tiles}, ["rotations"], {}, RANDOM(1))["image"]
    for before, after in zip(tiles, varied, strict=True):
        assert np.array_equal(before, after) or np.array_equal(before[::-1, ::-1], after)


def test_series_move_in_time_and_repeat_their_edge():
    steps = np.arange(16, dtype=np.float32)
    series = np.stack([steps, 10 * steps], axis=-1)[None].repeat(30, axis=0)
    varied = augment(
        {"series": series, "static": np.ones((30, 3), dtype=np.float32)}, ["shifts"], {}, RANDOM(1)
    )
    moves = set()
    for row in varied["series"]:
        move = int(row[8, 0]) - 8
        np.testing.assert_array_equal(row[:, 0], np.clip(steps + move, 0, 15))
        np.testing.assert_array_equal(row[:, 1], 10 * row[:, 0])  # variables stay together
        moves.add(move)
    assert moves == {-2, -1, 0, 1, 2}
    assert (varied["static"] == 1).all()


def test_noise_is_a_share_of_the_deviation_and_the_data_stay():
    rows = np.zeros((4000, 2), dtype=np.float32)
    varied = augment({"static": rows}, ["noise"], {"static": np.array([1.0, 10.0])}, RANDOM(1))["static"]
    np.testing.assert_allclose(varied.std(axis=0), [NOISE, 10 * NOISE], rtol=0.05)
    assert not rows.any()
