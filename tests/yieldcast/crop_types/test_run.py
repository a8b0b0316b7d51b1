"""Run directories: what is kept opens again, and gives the same numbers."""

import shutil

import numpy as np
import pytest

from yieldcast.crop_types.classifier import CropTypeSettings, train
from yieldcast.crop_types.run import open_run, write_run
from yieldcast.data.files import write_netcdf
from yieldcast.errors import RunError, SchemaError


@pytest.fixture(scope="module")
def run(tmp_path_factory, crops):
    """A run of trees on raw series."""
    path = tmp_path_factory.mktemp("run") / "RUN"
    model = train(crops(), CropTypeSettings(head="boosted"), None)
    write_run(path, model, crops(), {"encoder": None})
    return path, model


def test_an_opened_run_gives_the_probabilities_of_the_training(run, crops):
    path, model = run
    opened, other = open_run(path), crops(seed=4)
    probability = opened.probabilities(other)
    np.testing.assert_array_equal(probability, model.predict(other, None))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(opened.model.confusion.sum(axis=1), [10, 12, 12])


def test_the_labelled_series_come_back(run, crops):
    series = open_run(run[0]).series()
    expected = crops().isel(sample=slice(2, None))
    assert series.drop_encoding().equals(expected)
    assert series.attrs == expected.attrs


def test_other_series_are_refused(run, crops):
    opened = open_run(run[0])
    other = crops().isel(step=slice(0, 4))
    with pytest.raises(SchemaError, match="mixed seasons"):
        opened.probabilities(other)


def test_changed_training_series_are_refused(run, crops, tmp_path):
    shutil.copytree(run[0], tmp_path / "RUN")
    (tmp_path / "RUN" / "series.nc").unlink()
    with pytest.raises(RunError, match="no training series"):
        open_run(tmp_path / "RUN").series()
    write_netcdf(tmp_path / "RUN" / "series.nc", crops(seed=9))
    with pytest.raises(RunError, match=r"series\.nc was changed"):
        open_run(tmp_path / "RUN").series()
