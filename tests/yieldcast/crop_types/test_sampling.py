"""Balanced batches, and blocks of places that tell when to stop."""

import numpy as np
import pytest

from yieldcast.crop_types.sampling import (
    class_weights,
    epoch_rows,
    spatial_blocks,
    stopping_block,
    weighted_loss,
)
from yieldcast.pixels import pixel_series

CLASSES = np.repeat([0, 1, 2], [50, 30, 10])


def test_weights_give_every_class_the_same_sum():
    made = class_weights(CLASSES, "weights")
    np.testing.assert_allclose(np.bincount(CLASSES, made), 30)
    assert (class_weights(CLASSES, "none") == 1).all()


@pytest.mark.parametrize(("balance", "counts"), [("weights", (50, 30, 10)), ("none", (50, 30, 10))])
def test_an_epoch_shows_every_sample(balance, counts):
    rows = epoch_rows(CLASSES, balance, 30, np.random.default_rng(0))
    assert sorted(rows) == list(range(90))
    np.testing.assert_array_equal(np.bincount(CLASSES[rows]), counts)
    more = epoch_rows(CLASSES, balance, 64, np.random.default_rng(0))
    assert len(more) == 128
    assert np.bincount(more).max() == 2


def test_balanced_sampling_draws_rare_classes_as_often():
    rows = epoch_rows(CLASSES, "sampling", 30, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(CLASSES[rows]), [30, 30, 30])
    assert set(rows[CLASSES[rows] == 2]) == set(range(80, 90))  # each rare one three times


@pytest.fixture(scope="module")
def series():
    """Four clusters of places, 100 km apart; each place twice."""
    rng = np.random.default_rng(1)
    centre = np.repeat(np.arange(4), 20)
    place = np.arange(80) // 2
    north = np.repeat(-12 + rng.normal(0, 0.01, 40), 2) + centre
    return pixel_series.create(
        {"NDVI": rng.uniform(0.1, 0.9, (80, 3)).astype(np.float32)}, np.tile([0, 1, 2], (80, 1)), north,
        np.full(80, -55.0), np.arange(80), "month", location=place,
    )  # fmt: skip


def test_blocks_are_neighbours_and_divide_no_location(series):
    blocks = spatial_blocks(series, 4)
    assert len(np.unique(blocks)) == 4
    for one in range(4):
        assert len(set(blocks[20 * one : 20 * one + 20])) == 1
    np.testing.assert_array_equal(spatial_blocks(series)[::2], spatial_blocks(series)[1::2])


def test_the_stopping_block_keeps_every_class_in_the_training(series):
    blocks, locations = spatial_blocks(series, 4), series["location"].values
    classes = np.tile([0, 0, 1, 1], 20)
    held = [stopping_block(classes, blocks, locations, seed) for seed in range(2)]
    for one in held:
        assert 0 < one.sum() < 80
        assert set(classes[~one]) == set(classes[one]) == {0, 1}
        assert not set(blocks[one]) & set(blocks[~one])
    assert (held[0] != held[1]).any()
    alone = np.repeat([0, 1], [60, 20])  # class 1 is one block: locations are held instead
    one = stopping_block(alone, blocks, locations, 0)
    assert set(alone[~one]) == {0, 1}
    assert not set(locations[one]) & set(locations[~one])
    assert not stopping_block(np.array([0, 1]), np.zeros(2), np.array(["a", "b"]), 0).any()


def test_loss_by_hand():
    logits = np.log([[0.5, 0.5], [0.9, 0.1]])
    made = weighted_loss(logits, np.array([0, 1]), np.array([1, 3], np.float32))
    assert made == pytest.approx(-(np.log(0.5) + 3 * np.log(0.1)) / 4)
