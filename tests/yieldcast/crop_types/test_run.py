"""Run directories: what is kept opens again, and gives the same numbers."""

import shutil

import numpy as np
import pytest

from yieldcast.crop_types.classifier import CropTypeSettings, train
from yieldcast.crop_types.run import open_run, write_run
from yieldcast.data.files import write_netcdf
from yieldcast.errors import RunError, SchemaError
from yieldcast.pixels import pixel_series


def crops(each=12, seed=0, unlabelled=2):
    """Red and near infrared of three crops that peak in different months; some without a label."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(3), each)
    green = np.exp(-((np.arange(6) - 1 - 1.5 * kind[:, None]) ** 2) / 2) + rng.normal(0, 0.05, (len(kind), 6))
    names = np.array(["maize", "pasture", "soybean"])[kind]
    names[:unlabelled] = ""
    return pixel_series.create(
        {"B4": 1500 - 800 * green, "B8": 2000 + 2000 * green}, np.tile(np.arange(6), (len(kind), 1)),
        -12 - np.arange(len(kind)) / 100, np.full(len(kind), -55.0), np.arange(len(kind)), "month",
        label=names, group=[f"r{i % 3}" for i in range(len(kind))],
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of trees on raw series."""
    path = tmp_path_factory.mktemp("run") / "RUN"
    model = train(crops(), CropTypeSettings(head="boosted"), None)
    write_run(path, model, crops(), {"encoder": None})
    return path, model


def test_an_opened_run_gives_the_probabilities_of_the_training(run):
    path, model = run
    opened, other = open_run(path), crops(seed=4)
    probability = opened.probabilities(other)
    np.testing.assert_array_equal(probability, model.predict(other, None))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(opened.model.confusion.sum(axis=1), [10, 12, 12])


def test_the_labelled_series_come_back(run):
    series = open_run(run[0]).series()
    expected = crops().isel(sample=slice(2, None))
    assert series.drop_encoding().equals(expected)
    assert series.attrs == expected.attrs


def test_other_series_are_refused(run):
    opened = open_run(run[0])
    other = crops().isel(step=slice(0, 4))
    with pytest.raises(SchemaError, match="mixed seasons"):
        opened.probabilities(other)


def test_changed_training_series_are_refused(run, tmp_path):
    shutil.copytree(run[0], tmp_path / "RUN")
    (tmp_path / "RUN" / "series.nc").unlink()
    with pytest.raises(RunError, match="no training series"):
        open_run(tmp_path / "RUN").series()
    write_netcdf(tmp_path / "RUN" / "series.nc", crops(seed=9))
    with pytest.raises(RunError, match=r"series\.nc was changed"):
        open_run(tmp_path / "RUN").series()
