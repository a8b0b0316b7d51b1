"""Imported weather and soil that a fetch continues, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from data_fetchers.fetching.continuing import (
    continue_soil,
    continue_weather,
    imported,
    last_month,
    refuse_other_soil,
    refuse_other_variables,
    without_soil,
)
from yieldcast.data import schema
from yieldcast.errors import ConfigError


def weather(first: str, tmax: list[list[float]], **attrs: str) -> xr.Dataset:
    """Weather of places 1, 2, ... from a month on; tmin is 10 degC lower, rain 100 mm."""
    values = np.array(tmax, np.float32)
    months = (np.datetime64(first, "M") + np.arange(values.shape[1])).astype("datetime64[ns]")
    fields = {"tmax_degC": values, "tmin_degC": values - 10, "precipitation_mm": values * 0 + 100}
    ds = xr.Dataset(
        {name: (("municipality", "time"), field.astype(np.float32)) for name, field in fields.items()},
        coords={"municipality": np.arange(1, len(tmax) + 1, dtype=np.int32), "time": months},
        attrs=attrs,
    )
    return schema.check_weather(schema.set_units(ds))


def test_imported_months_stay_and_fetched_ones_fill_their_gaps_and_follow():
    old = weather("2020-01", [[30, np.nan, 32]], attribution="a station network")
    new = weather("2020-02", [[20, 21, 22], [25, 26, 27]], attribution="ERA5")
    merged, (note,) = continue_weather(old, new, last_month(old))
    np.testing.assert_array_equal(
        merged["tmax_degC"].transpose("municipality", "time").values,
        [[30, 20, 32, 22], [np.nan, 25, 26, 27]],
    )
    assert merged.attrs["attribution"] == "a station network; ERA5"
    assert note.text.startswith("WARNING")  # 21 instead of 32 in the only month in common
    assert "tmax differs by 11.0" in note.text
    assert note.count == 1
    # fetched again, with revised values: those of the import stay, those of the fetch do not
    again, _ = continue_weather(merged, weather("2020-03", [[1, 2, 3]]), "2020-03")
    assert again["tmax_degC"].sel(municipality=1).values.tolist() == [30, 20, 32, 2, 3]
    assert again["tmax_degC"].sel(municipality=2).values[-2] == 27


def test_sources_that_agree_get_no_warning_and_no_common_month_is_said():
    old = weather("2020-01", [[30.0, 31.0]])
    _, (note,) = continue_weather(old, weather("2020-01", [[30.4, 31.2, 29.0]]), "2020-02")
    assert note.text.startswith("months in common")
    assert "tmax differs by 0.3" in note.text
    _, (note,) = continue_weather(old, weather("2020-03", [[30.0]]), "2020-02")
    assert "no month in common" in note.text


def test_variables_that_no_fetch_brings_are_refused():
    with pytest.raises(ConfigError, match="the import also has gdd_1_2_degC_day"):
        refuse_other_variables("weather", ["tmax_degC", "gdd_1_2_degC_day"], ["tmax_degC"])


def test_the_origin_of_an_imported_table():
    assert imported("weather.nc") == {"file": "weather.nc"}
    assert imported({"file": "w.nc", "bytes": 3}) == {"file": "w.nc", "bytes": 3}
    assert imported({"source": "era5"}) is None
    assert imported({"source": "era5", "continues": {"file": "w.nc"}}) == {"file": "w.nc"}
    assert imported(None) is None


def soil_of(values: dict[str, list[list[float]]], layers: list[str]) -> xr.Dataset:
    fields = {n: (("municipality", "soil_layer"), np.array(v, np.float32)) for n, v in values.items()}
    count = len(next(iter(values.values())))
    coords = {"municipality": np.arange(1, count + 1, dtype=np.int32), "soil_layer": layers}
    return xr.Dataset(fields, coords=coords)


def test_soil_fills_places_without_any_and_changes_no_other():
    held = soil_of({"clay_pct": [[40, np.nan], [np.nan, np.nan]]}, ["0cm", "5cm"])
    places = {
        **{n: ("municipality", ["1", "2"]) for n in ("code", "name", "state", "region")},
        "latitude_deg": ("municipality", [-10.0, -11.0]), "longitude_deg": ("municipality", [-50.0, -51.0]),
    }  # fmt: skip
    static = held.assign(places)
    assert without_soil(static)["municipality"].values.tolist() == [2]
    new = soil_of({"clay_pct": [[1, 2, 3], [4, 5, 6]], "sand_pct": [[7] * 3] * 2}, ["0cm", "5cm", "15cm"])
    refuse_other_soil(static, ["clay_pct", "sand_pct"], ["0cm", "5cm", "15cm"])
    filled = continue_soil(static, new.sel(municipality=[2]))
    np.testing.assert_array_equal(filled["clay_pct"].values, [[40, np.nan], [4, 5]])
    assert "sand_pct" not in filled
    with pytest.raises(ConfigError, match="soil layers"):
        refuse_other_soil(static, ["clay_pct"], ["0_5cm"])
