"""Every way to break the contract of a table is refused, with the place and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.data import schema, synthetic
from yieldcast.data.store import Tables
from yieldcast.errors import SchemaError

TABLES = synthetic.country(municipalities=6, harvest_years=3)
Change = Callable[[xr.Dataset], xr.Dataset]


def put(name: str, value: float, *at: int) -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        ds = ds.copy(deep=True)
        ds[name].values[at] = value
        return ds

    return change


def test_the_synthetic_tables_are_accepted_and_returned() -> None:
    for tables in (TABLES, synthetic.foreign(municipalities=6)[0]):
        assert schema.check_static(tables.static) is tables.static
        assert schema.check_weather(tables.weather) is tables.weather
        assert schema.check_yields(tables.yields) is tables.yields


def test_static_without_soil_passes() -> None:
    static = TABLES.static.drop_dims("soil_layer")
    assert schema.check_static(static) is static


def gap_in_months(ds: xr.Dataset) -> xr.Dataset:
    return ds.isel(time=[0, 1, 3])


def unitless(ds: xr.Dataset) -> xr.Dataset:
    ds = ds.copy()
    ds["tmax_degC"].attrs = {"units": "K"}
    return ds


WEATHER: list[tuple[Change, str]] = [
    (put("tmax_degC", 300.0, 2, 5), r"tmax_degC of -90 to 60 degC, received 300.* time 2006-06 \(1 such"),
    (put("tmin_degC", np.inf, 0, 0), "received inf"),
    (put("precipitation_mm", -1.0, 0, 0), "0 to 9300 mm, received -1"),
    (put("tmin_degC", 55.0, 1, 1), "tmin at or below tmax"),
    (lambda ds: ds.drop_vars("tmin_degC"), "expected .'tmin_degC'., received"),
    (lambda ds: ds.assign(dewpoint_degC=ds.tmax_degC), "'dewpoint_degC'. too"),
    (lambda ds: ds.astype("float64"), "type float32, received float64"),
    (lambda ds: ds.transpose("time", "municipality"), "received .'time', 'municipality'"),
    (lambda ds: ds.isel(municipality=[1, 0]), "'municipality' sorted"),
    (lambda ds: ds.isel(municipality=[0, 0]), "each value once"),
    (lambda ds: ds.isel(municipality=[]), "at least one value"),
    (lambda ds: ds.assign_coords(municipality=ds.municipality.astype("int64")), "int32, received int64"),
    (lambda ds: ds.drop_vars("municipality"), "expected a coordinate 'municipality'"),
    (gap_in_months, "without a gap, received 3 dates"),
    (lambda ds: ds.assign_coords(time=ds.time + np.timedelta64(1, "D")), "first day of every month"),
    (unitless, "attrs..units.. 'degC', received 'K'"),
]
STATIC: list[tuple[Change, str]] = [
    (put("latitude_deg", 91.0, 3), "-90 to 90 degrees_north, received 91"),
    (put("longitude_deg", np.nan, 3), "a number, received nan"),
    (put("clay_pct", 101.0, 0, 0), r"clay_pct of 0 to 100 %.* soil_layer 0cm \(1 such"),
    (lambda ds: ds.drop_vars("state"), "expected .'state'."),
    (lambda ds: ds.assign(state=("municipality", [""] * 6)), "state of a text"),
    (lambda ds: ds.assign(code=("municipality", np.arange(6))), "code of type text, received int64"),
    (lambda ds: ds.isel(soil_layer=[0, 0]), "'soil_layer' sorted, each value once"),
]
YIELDS: list[tuple[Change, str]] = [
    (put("yield_kg_ha", 1e7, 0, 1, 2), r"0 to 500000 kg/ha, received 1.*crop soybean, .*harvest_year 2009"),
    (lambda ds: ds.isel(harvest_year=[2, 0]), "'harvest_year' sorted"),
    (lambda ds: ds.assign_coords(harvest_year=ds.harvest_year.astype("int64")), "int16, received int64"),
    (lambda ds: ds.assign_coords(crop=[7]), "crop of type text"),
    (lambda ds: ds.isel(crop=0, drop=True), "expected a coordinate 'crop'"),
]


@pytest.mark.parametrize(("change", "message"), WEATHER)
def test_weather_refused(change: Change, message: str) -> None:
    refused(schema.check_weather, change(TABLES.weather), message)


@pytest.mark.parametrize(("change", "message"), STATIC)
def test_static_refused(change: Change, message: str) -> None:
    refused(schema.check_static, change(TABLES.static), message)


@pytest.mark.parametrize(("change", "message"), YIELDS)
def test_yields_refused(change: Change, message: str) -> None:
    refused(schema.check_yields, change(TABLES.yields), message)


def refused(check: Callable[[xr.Dataset], xr.Dataset], ds: xr.Dataset, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        check(ds)
    assert caught.value.hint
    assert caught.value.exit_code == 5


def test_rounding_of_tmin_above_tmax_is_accepted() -> None:
    tmax = float(TABLES.weather["tmax_degC"].values[0, 0])
    schema.check_weather(put("tmin_degC", tmax + 0.009, 0, 0)(TABLES.weather))
    with pytest.raises(SchemaError, match="tmin at or below tmax"):
        schema.check_weather(put("tmin_degC", tmax + 0.02, 0, 0)(TABLES.weather))


def test_degree_days_are_checked_too() -> None:
    # a month of 31 days cannot hold more than 31 x (30 - 5) = 775 degree days
    ds = TABLES.weather.assign(gdd_5_30_degC_day=TABLES.weather["tmax_degC"] * 0 + 775)
    schema.check_weather(schema.set_units(ds))
    with pytest.raises(SchemaError, match="0 to 775 degC day, received 776"):
        schema.check_weather(schema.set_units(ds.assign(gdd_5_30_degC_day=ds.gdd_5_30_degC_day + 1)))


@given(st.integers(0, 5), st.integers(0, 35), st.floats(60.5, 2.0**99, width=32))
def test_any_value_out_of_range_is_found_and_named(place: int, month: int, value: float) -> None:
    ds = put("tmax_degC", value, place, month)(TABLES.weather)
    code, stamp = int(ds.municipality[place]), str(ds.time.values[month].astype("datetime64[M]"))
    with pytest.raises(SchemaError, match=re.escape(f"municipality {code}, time {stamp} (1 such values)")):
        schema.check_weather(ds)


def test_set_units_does_not_change_its_argument() -> None:
    bare = TABLES.yields.copy(deep=True)
    bare["yield_kg_ha"].attrs = {}
    assert schema.set_units(bare)["yield_kg_ha"].attrs["units"] == "kg/ha"
    assert bare["yield_kg_ha"].attrs == {}


def test_tables_are_a_tuple_of_the_three() -> None:
    assert Tables._fields == ("static", "weather", "yields")
