"""Overlapping tiles: weights, edges, any size, and a translated input."""

import numpy as np
import pytest

from yieldcast.errors import ConfigError
from yieldcast.tiles.blending import Tiling, blended
from yieldcast.tiles.patches import reflected
from yieldcast.tiles.synthetic import synthetic_patches
from yieldcast.tiles.unet import small_encoder, tile_network


class OwnPixel:
    """A network whose probabilities depend on the pixel alone, and the number of calls."""

    output_shape = (None, None, None, 2)
    calls = 0

    def predict_on_batch(self, images):
        self.calls += 1
        return np.stack([images[..., 0], np.zeros(images.shape[:3])], axis=-1)


def reader(image, missing=None):
    """As `ImageFile.read`, of an array (y, x, 13)."""
    gone = np.zeros(image.shape[:2], bool) if missing is None else missing

    def read(rows, columns):
        at = np.ix_(reflected(rows, image.shape[0]), reflected(columns, image.shape[1]))
        return np.where(gone[at][..., None], np.float32(0), image[at]), gone[at]

    return read


def whole(network, image, tiling, missing=None):
    rows = list(blended(network, reader(image, missing), image.shape[:2], tiling))
    assert [one.first for one in rows] == [0, *np.cumsum([len(one.probability) for one in rows])[:-1]]
    return np.concatenate([one.probability for one in rows])


@pytest.mark.parametrize("shape", [(100, 70), (20, 7), (1, 65), (64, 64)])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_network_of_single_pixels_gives_the_same_in_tiles_of_any_size(shape, parts):
    image = np.random.default_rng(0).uniform(0, 1, (*shape, 13)).astype(np.float32)
    made = whole(OwnPixel(), image, Tiling(32, parts))
    np.testing.assert_allclose(made[..., 0], 1 / (1 + np.exp(-image[..., 0])), atol=1e-6)
    np.testing.assert_allclose(made.sum(axis=-1), 1, atol=1e-5)


def test_missing_pixels_are_nan_and_nothing_else_is():
    image, missing = np.ones((50, 40, 13), np.float32), np.zeros((50, 40), bool)
    missing[3, 4] = missing[40:] = True
    np.testing.assert_array_equal(np.isnan(whole(OwnPixel(), image, Tiling(32), missing))[..., 1], missing)


def test_windows_of_half_overlap_sum_to_one():
    window = Tiling(64, 2).window()
    total = window[:32, :32] + window[32:, :32] + window[:32, 32:] + window[32:, 32:]
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize(("side", "parts"), [(40, 2), (0, 1), (64, 3), (64, 0)])
def test_tilings_that_cannot_be(side, parts):
    with pytest.raises(ConfigError):
        Tiling(side, parts)


@pytest.mark.slow
def test_edges_of_tiles_do_not_show_in_a_translated_input():
    """A shift of the input by 16 pixels moves the tiles' edges; blended, the probabilities hardly change."""
    images, _ = synthetic_patches(1, 144, 0)
    image = np.moveaxis(images[0], 0, -1).astype(np.float32) / 1e4
    network = tile_network(small_encoder(0), 5, frozen=True, channels=(8, 8, 8, 8, 8))
    off = {}
    for parts in (1, 4):
        first, moved = (whole(network, part, Tiling(32, parts)) for part in (image[16:], image[:-16]))
        off[parts] = np.abs(first[32:-48, 32:-32] - moved[48:-32, 32:-32]).max()
    assert off[4] < off[1] / 2
