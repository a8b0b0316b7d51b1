"""CF netCDF of a forecast."""

from __future__ import annotations

import h5py
import numpy as np
import xarray as xr

from yieldcast.forecasting import table
from yieldcast.reporting.netcdf import write_cf


def test_netcdf_reads_back_as_the_same_forecast(tmp_path, forecast):
    before = forecast.copy(deep=True)
    read = table.read_forecast(write_cf(tmp_path / "forecast.nc", forecast))
    xr.testing.assert_identical(forecast, before)  # untouched
    assert read["forecast_reference_time"].values == np.datetime64("2017-11-15")
    xr.testing.assert_equal(read.drop_vars("forecast_reference_time"), forecast)
    for name, array in forecast.variables.items():
        assert read[name].dtype == array.dtype, name
        assert (
            array.attrs.items() <= {k: v for k, v in read[name].attrs.items() if k != "flag_values"}.items()
        )
    assert forecast.attrs.items() <= read.attrs.items()
    again = write_cf(tmp_path / "again.nc", read)
    xr.testing.assert_identical(table.read_forecast(again), read)


def test_netcdf_follows_cf(tmp_path, forecast):
    with h5py.File(write_cf(tmp_path / "forecast.nc", forecast)) as file:
        assert file.attrs["Conventions"] == "CF-1.11"
        for name in ("title", "source", "history", "references", "comment"):
            assert file.attrs[name], name
        assert "Synthetic data" in file.attrs["comment"]
        quantities = {**table.ARRAYS, "latitude_deg": (), "longitude_deg": (), "quantile": ()}
        for name in quantities:
            assert file[name].attrs["long_name"], name
            assert file[name].attrs["units"], name
        for name in forecast.coords:  # 2.5.1: no missing values in coordinates
            assert "_FillValue" not in file[name].attrs, name
        for name in ("aggregate", *table.TEXTS):  # 2.4: no texts in coordinate variables
            assert (file[name].dtype, file[name].ndim) == ("S1", 2), name
        for name, (dims, *_) in table.ARRAYS.items():
            named = set(file[name].attrs["coordinates"].split())
            assert named == (
                {"aggregate", "forecast_reference_time"}
                if dims[0] == "aggregate"
                else {"code", "name", "state", "region", "latitude_deg", "longitude_deg", "window_start",
                      "window_end", "forecast_reference_time"}
            ), name  # fmt: skip
        assert file["latitude_deg"].attrs["standard_name"] == "latitude"
        assert file["own_history"].attrs["flag_values"].dtype == file["own_history"].dtype


def test_texts_in_portuguese_and_nothing_else(tmp_path, forecast):
    english = table.read_forecast(write_cf(tmp_path / "en.nc", forecast))
    read = table.read_forecast(write_cf(tmp_path / "pt.nc", forecast, "pt"))
    xr.testing.assert_equal(read, english)  # names, dims and values
    assert "15/11/2017" in read.attrs["title"]
    assert read.attrs["comment"].startswith("Dados sintéticos: ")
    changed = {name for name in english.attrs if read.attrs[name] != english.attrs[name]}
    assert changed <= {"title", "source", "history", "comment", "license"}
    for name, array in english.variables.items():
        found = read[name].attrs
        texts = (array.attrs.get("long_name"), found.get("long_name"))
        assert texts[0] is None or texts[0] != texts[1] or name in ("latitude_deg", "longitude_deg"), name
        same = {key for key in array.attrs if key != "long_name"}
        assert all(np.array_equal(array.attrs[key], found[key]) for key in same), name
    assert read["code"].attrs["long_name"].endswith("de cada município, como texto")
