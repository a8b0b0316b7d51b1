"""crop-tiles: what becomes of the owner's tiles, and the leaks between training set and holdout."""

import json
import stat

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from yieldcast.errors import ConfigError, LeakageError, SchemaError
from yieldcast.tiles.tile_files import png
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.prepare import prepare
from yieldcast.workspace.tasks.task import Task, read_group, read_inputs, read_public, read_target

CLASSES = ("barley", "corn", "rye")


def make(path, counts, seed, groups=None, side=16, bands=1):
    """Tiles of fields whose mean and coarseness differ by class."""
    rng, images, labels = np.random.default_rng(seed), [], []
    for k, count in enumerate(counts):
        for _ in range(count):
            noise = gaussian_filter(rng.standard_normal((side, side, bands)), (k + 0.5, k + 0.5, 0))
            images.append(np.clip(100 + 20 * k + 40 * noise, 0, 255))
            labels.append(CLASSES[k])
    more = {} if groups is None else {"groups": np.array(groups)}
    np.savez(path, images=np.array(images).astype(np.uint8), labels=np.array(labels), **more)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("tiles")
    training = make(here / "a.npz", (60, 30, 20), 1, [f"farm {k % 25}" for k in range(110)])
    prepare("crop-tiles", training, make(here / "b.npz", (12, 11, 4), 2), here / "data")
    return here


def test_the_arrays_are_the_tiles(folder):
    task = Task.read(folder)
    assert task == Task.read(folder / "data")
    assert (task.training, task.holdout, task.inputs) == (110, 27, {"image": (16, 16, 1)})
    assert task.outputs == CLASSES
    assert task.rare == ("rye",)
    assert task.kind == "classes"
    with np.load(folder / "a.npz") as given:
        values = read_inputs(folder, task, "training")["image"]
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, given["images"])
        names = np.array(task.outputs)[read_target(folder, task, "training")]
        np.testing.assert_array_equal(names, given["labels"])
        np.testing.assert_array_equal(read_group(folder, task, "training"), given["groups"])
    assert read_group(folder, task, "holdout") is None


def test_the_baseline_is_the_majority_class(folder):
    found = Task.read(folder).baselines["majority class"]
    assert found["values"]["accuracy"] == 12 / 27
    assert found["recall"] == {"barley": 1, "corn": 0, "rye": 0}


def test_contributors_do_not_learn_the_baselines_of_the_holdout(folder):
    assert {"baselines", "fingerprint"}.isdisjoint(Task.read(folder).about())


def test_only_the_owner_may_read_anything(folder):
    for path in (folder / "data").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_the_same_files_have_the_same_fingerprint(folder, tmp_path):
    again = prepare("crop-tiles", folder / "a.npz", folder / "b.npz", tmp_path / "data")
    assert again == Task.read(folder)
    assert read_public(tmp_path) == read_public(folder)
    other = prepare("crop-tiles", folder / "a.npz", make(tmp_path / "c.npz", (12, 11, 4), 3), tmp_path / "d")
    assert other.fingerprint != again.fingerprint


def test_the_kind_of_file_does_not_change_the_task(folder, tmp_path):
    with np.load(folder / "b.npz") as given:
        for k, (image, label) in enumerate(zip(given["images"], given["labels"], strict=True)):
            (tmp_path / "b" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "b" / label / f"{k:03d}.png").write_bytes(png(image))
    task = prepare("crop-tiles", folder / "a.npz", tmp_path / "b", tmp_path / "data")
    assert task == Task.read(folder)


def test_progress_counts_the_tiles_of_both_parts(folder, tmp_path):
    seen = []
    prepare("crop-tiles", folder / "a.npz", folder / "b.npz", tmp_path / "data",
            progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert seen[-1] == (137, 137)
    assert sorted(seen) == seen


def change(path, source, edit):
    with np.load(source) as given:
        arrays = {name: given[name].copy() for name in given.files}
    edit(arrays)
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("turn", "said"),
    [(lambda one: one, "received 2 that"), (lambda one: np.rot90(one)[:, ::-1], "2 of them turned")],
)
def test_a_tile_in_both_parts_is_a_leak(folder, tmp_path, turn, said):
    with np.load(folder / "a.npz") as given:
        taken = [turn(given["images"][k]) for k in (5, 70)]

    def edit(arrays):
        arrays["images"][3], arrays["images"][8] = taken

    holdout = change(tmp_path / "b.npz", folder / "b.npz", edit)
    with pytest.raises(LeakageError, match=said):
        prepare("crop-tiles", folder / "a.npz", holdout, tmp_path / "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.npz"]


def test_a_field_in_both_parts_is_refused_or_told(folder, tmp_path):
    def edit(arrays):
        arrays["groups"] = np.array(["farm 3", "farm 4", *(["other"] * 24), ""])

    holdout = change(tmp_path / "b.npz", folder / "b.npz", edit)
    with pytest.raises(LeakageError, match=r"2 groups .* 2 rows of the holdout"):
        prepare("crop-tiles", folder / "a.npz", holdout, tmp_path / "data")
    told = []
    prepare("crop-tiles", folder / "a.npz", holdout, tmp_path / "data",
            DataOptions(allow_shared_groups=True), notice=told.append)  # fmt: skip
    assert len(told) == 1
    assert "2 groups" in told[0]


def test_repeated_tiles_of_the_training_set_are_told(folder, tmp_path):
    def edit(arrays):
        arrays["images"][1] = arrays["images"][0]  # the same class
        arrays["images"][100] = arrays["images"][0]  # another one

    told = []
    training = change(tmp_path / "a.npz", folder / "a.npz", edit)
    prepare("crop-tiles", training, folder / "b.npz", tmp_path / "data", notice=told.append)
    assert told == ["2 tiles of the training set equal another one of it, 1 of them with another label"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda one: one.update(labels=np.where(one["labels"] == "rye", "oats", one["labels"])),
            "4 rows: oats",
        ),
        (lambda one: one.update(images=one["images"][:, :8]), "received 8 x 16"),
        (lambda one: one.update(images=one["images"].astype(np.uint16)), "in uint16"),
    ],
)
def test_a_holdout_made_otherwise_is_refused(folder, tmp_path, edit, said):
    holdout = change(tmp_path / "b.npz", folder / "b.npz", edit)
    with pytest.raises(SchemaError, match=said):
        prepare("crop-tiles", folder / "a.npz", holdout, tmp_path / "data")


def test_a_pixel_that_is_no_number_is_refused(folder, tmp_path):
    def edit(arrays):
        arrays["images"] = arrays["images"].astype(np.float32)
        arrays["images"][7, 2, 2] = np.nan

    paths = [change(tmp_path / f"{k}.npz", folder / name, edit) for k, name in enumerate(("a.npz", "b.npz"))]
    with pytest.raises(SchemaError, match="received 1 tiles with others"):
        prepare("crop-tiles", *paths, tmp_path / "data")


def test_a_holdout_in_another_scale_is_refused(folder, tmp_path):
    paths = [
        change(
            tmp_path / name, folder / name, lambda a, s=scale: a.update(images=(a["images"] / s).astype("f4"))
        )
        for name, scale in (("a.npz", 1), ("b.npz", 255))
    ]
    with pytest.raises(SchemaError, match="in the scale of the training set"):
        prepare("crop-tiles", *paths, tmp_path / "data")


def test_one_class_names_alike_and_years_are_refused(folder, tmp_path):
    one = change(tmp_path / "a.npz", folder / "a.npz", lambda a: a.update(labels=np.full(110, "rye")))
    with pytest.raises(SchemaError, match="2 to 50 classes"):
        prepare("crop-tiles", one, folder / "b.npz", tmp_path / "data")
    two = change(tmp_path / "b.npz", folder / "a.npz", lambda a: a["labels"].__setitem__(0, "Rye"))
    with pytest.raises(SchemaError, match="differ in case only"):
        prepare("crop-tiles", two, folder / "b.npz", tmp_path / "data")
    with pytest.raises(ConfigError, match="received harvest years"):
        prepare("crop-tiles", folder / "a.npz", (2016,), tmp_path / "data")
    with pytest.raises(ConfigError, match="new or empty folder"):
        prepare("crop-tiles", folder / "a.npz", folder / "b.npz", folder)


def test_numbers_as_classes_are_in_their_own_order(folder, tmp_path):
    def edit(arrays):
        arrays["labels"] = np.where(arrays["labels"] == "rye", 10, np.where(arrays["labels"] == "corn", 9, 2))

    paths = [change(tmp_path / name, folder / name, edit) for name in ("a.npz", "b.npz")]
    task = prepare("crop-tiles", *paths, tmp_path / "data")
    assert task.outputs == ("2", "9", "10")
    target = read_target(tmp_path, task, "training")
    np.testing.assert_array_equal(target, read_target(folder, Task.read(folder), "training"))


def test_the_rare_classes_are_the_named_ones(folder, tmp_path):
    options = DataOptions(rare=("rye", "corn"))
    task = prepare("crop-tiles", folder / "a.npz", folder / "b.npz", tmp_path / "data", options)
    assert task.rare == ("corn", "rye")
    with pytest.raises(SchemaError, match="received oats"):
        prepare("crop-tiles", folder / "a.npz", folder / "b.npz", tmp_path / "d", DataOptions(rare=("oats",)))


@pytest.mark.parametrize(
    ("change_", "said"),
    [
        ({"rare": ["oats"]}, "not among the outputs"), ({"format": 2}, "format"), ({"more": 1}, "more"),
        ({"kind": "value"}, "yield_kg_ha"), ({"outputs": ["a", "a"]}, "different"),
    ],
)  # fmt: skip
def test_a_damaged_task_is_refused(folder, tmp_path, change_, said):
    content = json.loads((folder / "data" / "task.json").read_text()) | change_
    (tmp_path / "task.json").write_text(json.dumps(content))
    with pytest.raises(SchemaError, match=said):
        Task.read(tmp_path)


def test_arrays_of_another_size_are_refused(folder, tmp_path):
    task = Task.read(folder)
    with pytest.raises(SchemaError, match="expected an array of"):
        read_inputs(folder, task.model_copy(update={"training": 5}), "training")
