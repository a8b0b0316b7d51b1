"""Synthetic tiles: the shares of the published example, farms that stay on one side, another region."""

import numpy as np
import pytest

from yieldcast.errors import ConfigError
from yieldcast.tiles.labelled_tiles import read_tiles
from yieldcast.workspace.tasks.prepare import prepare
from yieldcast.workspace.tasks.synthetic_tiles import CLASSES, SHARES, synthetic_tiles, write_tiles


def test_classes_have_the_published_shares():
    """Counts of the published table sum to 21,600, whatever the text beside it says."""
    made = synthetic_tiles(2160, side=4)
    counts = dict(zip(CLASSES, np.bincount(made.labels).tolist(), strict=True))
    assert counts["barley"] in (401, 402)
    assert {counts["corn"], counts["rapeseed"]} <= {198, 199}
    assert SHARES[CLASSES.index("barley")] == pytest.approx(4015 / 21600)
    assert sum(counts.values()) == 2160


@pytest.mark.parametrize("count", [9, 10, 17, 100])
def test_every_class_has_a_tile(count):
    labels = synthetic_tiles(count, side=4).labels
    assert len(labels) == count
    assert set(labels.tolist()) == set(range(9))


def test_fewer_tiles_than_classes_are_refused():
    with pytest.raises(ConfigError, match="9 tiles or more"):
        synthetic_tiles(8)


def test_the_same_seed_makes_the_same_tiles_and_another_region_other_ones():
    first, again, other = (synthetic_tiles(60, seed=3, side=16, shift=shift) for shift in (0, 0, 1))
    np.testing.assert_array_equal(first.images, again.images)
    assert abs(first.images.mean(axis=(1, 2, 3)) - other.images.mean(axis=(1, 2, 3))).mean() > 4


def test_bands_differ():
    images = synthetic_tiles(20, side=16, bands=3).images.astype(float)
    assert images.shape == (20, 16, 16, 3)
    assert abs(images[..., 0] - images[..., 1]).mean() > 3


def test_files_are_read_by_a_workspace(tmp_path):
    training = write_tiles(tmp_path / "a.npz", 90, seed=1, side=8)
    holdout = write_tiles(tmp_path / "b", 27, seed=2, side=8, farms="other farm")
    task = prepare("crop-tiles", training, holdout, tmp_path / "data")
    assert task.outputs == CLASSES
    tiles = read_tiles(holdout)
    assert set(tiles.groups.tolist()) == {f"other farm {k + 1}" for k in range(7)}
    assert tiles.kind.dtype == "uint8"


def test_png_files_have_one_or_three_bands(tmp_path):
    with pytest.raises(ConfigError, match="1 or 3 bands"):
        write_tiles(tmp_path / "a", 20, bands=2)
