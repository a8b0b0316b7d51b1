"""Examples on the page of the data are made up: like their class, and like no tile of it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from yieldcast.tiles.tile_files import read_tile
from yieldcast.workspace.tasks.example_tiles import MOST_ALIKE, Look, likeness
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.prepare import prepare
from yieldcast.workspace.tasks.task import Task, read_inputs, read_public


def fields(rng, count, width, level, side=32, bands=3):
    """Smooth fields whose bands go together, each tile with a brightness of its own."""
    noise = gaussian_filter(rng.standard_normal((count, side, side, 1)), (0, width, width, 0), mode="wrap")
    noise = noise / noise.std()
    own = rng.standard_normal((count, side, side, bands)) * 3
    bright = rng.normal(level, 15, (count, 1, 1, 1))
    return np.clip(bright + noise * np.array([10.0, 12.0, -8.0][:bands]) + own, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here, rng = tmp_path_factory.mktemp("examples"), np.random.default_rng(4)
    for name, count in (("a", 40), ("b", 12)):
        images = np.concatenate(
            [fields(rng, count, 1, 80), fields(rng, count, 2.5, 140), fields(rng, 4, 1, 200)]
        )
        labels = np.array(["corn"] * count + ["rye"] * count + ["flax"] * 4)
        np.savez(here / f"{name}.npz", images=images, labels=labels)
    prepare("crop-tiles", here / "a.npz", here / "b.npz", here / "data", DataOptions(examples=3))
    return here


def test_no_example_is_a_tile_or_nearly_one(folder):
    """Of the files as readers see them, against every tile of both parts, in each orientation."""
    task, found = Task.read(folder), read_public(folder)["examples"]
    assert len(found) == 6
    shown = np.stack([read_tile(folder / "data" / "examples" / one["file"]) for one in found]).astype(float)
    real = np.concatenate([read_inputs(folder, task, part)["image"] for part in ("training", "holdout")])
    for turns in range(4):
        assert likeness(np.rot90(shown, turns, (1, 2)), real).max() < MOST_ALIKE
        assert likeness(np.rot90(shown[:, :, ::-1], turns, (1, 2)), real).max() < MOST_ALIKE
    assert likeness(real[:3].astype(np.float64), real).min() == pytest.approx(1, abs=1e-5)  # of itself


def test_a_class_with_few_tiles_has_no_example_and_no_statistics(folder):
    page = read_public(folder)
    assert {one["class"] for one in page["examples"]} == {"corn", "rye"}
    assert {one["class"] for one in page["statistics"]} == {"corn", "rye"}
    assert {one["name"]: one["rows"] for one in page["classes"]} == {"corn": None, "flax": None, "rye": 40}


def test_a_farm_is_no_unit_of_a_statistic(folder, tmp_path):
    """Forty tiles of two farms: each would learn of the other."""
    with np.load(folder / "a.npz") as given:
        groups = np.array(
            [f"{label} {k % (2 if label == 'rye' else 30)}" for k, label in enumerate(given["labels"])]
        )
        np.savez(tmp_path / "a.npz", images=given["images"], labels=given["labels"], groups=groups)
    prepare("crop-tiles", tmp_path / "a.npz", folder / "b.npz", tmp_path / "data")
    page = read_public(tmp_path)
    assert (
        {one["class"] for one in page["examples"]} == {one["class"] for one in page["statistics"]} == {"corn"}
    )
    assert not any("farm" in key or "group" in key for one in page["statistics"] for key in one)


def test_drawn_tiles_have_the_statistics_of_the_class():
    rng = np.random.default_rng(1)
    look = Look.of(fields(rng, 200, 0.9, 120).astype(np.float32))
    drawn = Look.of(np.stack([look.draw((32, 32), rng) for _ in range(200)]).astype(np.float32))
    np.testing.assert_allclose(drawn.mean, look.mean, atol=4)  # 15 / sqrt(200) = 1.1
    np.testing.assert_allclose(drawn.within, look.within, rtol=0.1, atol=5)
    np.testing.assert_allclose(np.diag(drawn.between), np.diag(look.between), rtol=0.35)
    assert drawn.neighbour == pytest.approx(look.neighbour, abs=0.03)


def test_a_constant_class_can_be_drawn():
    look = Look.of(np.full((10, 8, 8, 2), 7, np.float32))
    np.testing.assert_allclose(look.draw((8, 8), np.random.default_rng(0)), 7)


def test_statistics_have_three_digits_and_no_extremes(folder):
    for one in read_public(folder)["statistics"]:
        numbers = [one["mean"], one["sd"], *one["quantiles"].values()]
        assert all(number == float(f"{number:.3g}") for number in numbers)
        assert set(one["quantiles"]) <= {"0.25", "0.5", "0.75"}  # 40 tiles: 2 beyond 5 %, of the 5 asked for
