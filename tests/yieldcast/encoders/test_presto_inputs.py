"""Series to the inputs of Presto and to plain columns: hand-worked values."""

import numpy as np
import pytest

from yieldcast.encoders.bands import BAND_NAMES
from yieldcast.encoders.presto_inputs import presto_inputs, raw_columns
from yieldcast.pixels.pixel_series import create


def series(bands, **more):
    arrays = {name: np.array([values], np.float32) for name, values in bands.items()}
    steps = len(next(iter(bands.values())))
    return create(arrays, [np.arange(steps)], [-12.0], [-55.0], ["a"], "month", **more)


def column(inputs, name):
    return inputs.x[0, :, BAND_NAMES.index(name)], inputs.mask[0, :, BAND_NAMES.index(name)]


def test_sentinel_and_weather_are_normalised():
    static = {"elevation": np.array([200.0]), "slope": np.array([5.0])}
    made = presto_inputs(
        series({"B4": [1000, 1000], "B8": [3000, np.nan], "VV": [-10, -15], "VH": [-20, -20],
                "temperature": [307.15, 272.15], "precipitation": [0.03, 0.15]}, static=static),
        location=True, modis="fill",
    )  # fmt: skip
    for name, wanted in {
        "B8": 0.3, "VV": 0.6, "temperature_2m": 1.0, "total_precipitation": 1.0, "elevation": 0.1,
        "slope": 0.1, "NDVI": 0.5,
    }.items():  # fmt: skip
        assert column(made, name)[0][0] == pytest.approx(wanted)
    assert column(made, "B8")[1].tolist() == column(made, "NDVI")[1].tolist() == [False, True]
    assert column(made, "B2")[1].all()
    assert made.latlons.tolist() == [[-12, -55]]
    assert made.month.tolist() == [[0, 1]]


def test_location_can_be_one_constant():
    made = presto_inputs(series({"NDVI": [0.2, 0.5]}), location=False, modis="fill")
    assert made.latlons.tolist() == [[0, 0]]


def test_ndvi_alone_is_used():
    values, mask = column(
        presto_inputs(series({"NDVI": [0.25, np.nan, 0.5]}), location=True, modis="fill"), "NDVI"
    )
    assert values.tolist() == [0.25, 0, 0.5]
    assert mask.tolist() == [False, True, False]


def test_modis_is_filled_or_masked():
    made = series({"RED": [500, 600], "NIR": [3000, 2000], "BLUE": [300, 400], "MIR": [1000, 1200],
                   "EVI": [0.4, 0.3]})  # fmt: skip
    filled = presto_inputs(made, location=True, modis="fill")
    wanted = {"B2": 0.03, "B3": 0.04, "B4": 0.05, "B8": 0.3, "B8A": 0.3, "B11": 0.2, "B12": 0.1}
    for name, value in wanted.items():
        assert column(filled, name)[0][0] == pytest.approx(value)
    assert column(filled, "B5")[1].all()
    masked = presto_inputs(made, location=True, modis="mask")
    known = {name for name in BAND_NAMES if not column(masked, name)[1].any()}
    assert known == {"B8"}  # without red no NDVI, unless the table has it


def test_gaps_of_raw_columns_are_filled_by_lines():
    made = series({"B4": [np.nan, 1000, np.nan, 2000], "B8": [3000, 3000, 3000, 3000]})
    columns, names = raw_columns(made)
    found = dict(zip(names, columns[0], strict=True))
    assert [found[f"B4_0{k}"] for k in range(4)] == [1000, 1000, 1500, 2000]
    assert found["NDVI_01"] == pytest.approx(0.5)
    assert found["NDVI_02"] == pytest.approx((0.5 + 0.2) / 2)
    assert np.isnan(found["slope"])
