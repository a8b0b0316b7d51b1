"""The contract of each table of a store: dims, types, units, ranges, keys, and the checks that enforce it.

Tables are checked when they are imported, fetched, written and read.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.data.files import plain_name
from yieldcast.errors import SchemaError
from yieldcast.variables import Quantity

PLACE_TEXTS = ("code", "name", "state", "region")
PART_OF = "part_of"  # optional text of places that are fields: code of the municipality
TMIN_ABOVE_TMAX_degC = 0.01  # allowed, for the rounding of float32 and of packed files
_REIMPORT = "Correct the source and run the import again."
_REFETCH = "Make the table again: `yieldcast fetch seasonal`."

_SEASONAL = "seasonal"
# Larger ratios to the mean rain of a month come from a mean close to zero (the limit is our choice).
RATIO_MOST = 5.0
_SEASONAL_DIMS = ("forecast_reference_time", "lead_month", "member", "cell")
_SEASONAL_COORDINATES = {
    "forecast_reference_time": "datetime64[ns]",
    "lead_month": "int16",
    "member": "int16",
    "cell": "int32",
    "system": "int16",
    "municipality": "int32",
}
_SEASONAL_FIELDS = (
    Quantity("tmax_anomaly", "degC", "degC", -30, 30, "weather", "Tmax anomaly"),
    Quantity("tmin_anomaly", "degC", "degC", -30, 30, "weather", "Tmin anomaly"),
    Quantity("precipitation_ratio", "", "1", 0, RATIO_MOST, "weather", "Precipitation ratio"),
)
_SEASONAL_ARRAYS = {
    **{quantity.name: (_SEASONAL_DIMS, "float32") for quantity in _SEASONAL_FIELDS},
    "published": (_SEASONAL_DIMS[:1], "datetime64[ns]"),
    "start_system": (_SEASONAL_DIMS[:1], "int16"),
    "cell_latitude_deg": (("cell",), "float64"),
    "cell_longitude_deg": (("cell",), "float64"),
    "municipality_cell": (("system", "municipality"), "int32"),
}
# SEAS5 was released on the 13th of the month and later on the 5th or 6th, never earlier (Copernicus CDS): an
# earlier date in the table would let a forecast use data before they were public.
_EARLIEST_RELEASE_days = 4


def set_units(ds: xr.Dataset) -> xr.Dataset:
    """A copy in which all variables defined in `yieldcast.variables` have ``units`` and ``long_name``."""
    ds = ds.copy()
    for name, array in ds.variables.items():
        quantity = quantity_of(str(name))
        if quantity is not None:
            array.attrs = {"units": quantity.units, "long_name": quantity.english}
    return ds


def quantity_of(name: str) -> Quantity | None:
    """The quantity with exactly this variable name, or None."""
    if name in variables.QUANTITIES:
        return variables.QUANTITIES[name]
    if name.startswith("gdd_") and (column := variables.resolve(name)) is not None:
        return column.quantity
    return None


def check_static(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of places and soil and return it.

    Args:
        ds: dim municipality (int32, sorted), optional dim soil_layer (text); texts code, name, state
            (not empty) and region, and optionally part_of (of fields: code of the municipality of each, empty
            where it is not known); latitude_deg, longitude_deg (float64, no NaN); soil variables of
            `variables.SOIL` (municipality, soil_layer), float32, NaN where missing.

    Raises:
        SchemaError: the table differs; the message names the first wrong place.
    """
    table = "static"
    _check_municipalities(ds, table)
    check_names(ds, table, (*PLACE_TEXTS, "latitude_deg", "longitude_deg"), (*variables.SOIL, PART_OF))
    if "soil_layer" in ds.dims:
        check_coordinate(ds, table, "soil_layer", "text")
    for name in (*PLACE_TEXTS, *([PART_OF] if PART_OF in ds else [])):
        check_array(ds, table, name, ("municipality",), "text")
    for name in ("latitude_deg", "longitude_deg"):
        check_array(ds, table, name, ("municipality",), "float64")
        refuse_outside(ds[name], table, variables.QUANTITIES[name])
        refuse(ds[name], table, np.isnan(ds[name].values), "a number", "every place needs its coordinates")
    for name in ("code", "state"):
        texts = np.char.str_len(ds[name].values.astype(str))
        refuse(ds[name], table, texts == 0, "a text", "every place needs its code and its state")
    for name in variables.SOIL:
        if name in ds:
            check_array(ds, table, name, ("municipality", "soil_layer"), "float32")
            refuse_outside(ds[name], table, variables.QUANTITIES[name])
    return ds


def check_weather(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of monthly weather and return it.

    Args:
        ds: dims (municipality, time), time = first of each month, datetime64[ns], without gaps; float32
            tmax_degC, tmin_degC, precipitation_mm (sum of the month) and any ``gdd_*_degC_day``, NaN where
            missing, each with its units.

    Raises:
        SchemaError: the table differs; the message names the first wrong municipality and month.
    """
    table = "weather"
    _check_municipalities(ds, table)
    extra = tuple(str(n) for n in ds.data_vars if str(n).startswith("gdd_") and quantity_of(str(n)))
    check_names(ds, table, variables.WEATHER, extra)
    check_coordinate(ds, table, "time", "datetime64[ns]")
    time = ds["time"].values
    months = time.astype("datetime64[M]")
    if (months.astype(time.dtype) != time).any() or (np.diff(months).astype(int) != 1).any():
        raise SchemaError(
            f"{table}: expected time to hold the first day of every month without a gap, "
            f"received {len(time)} dates from {time[0]} to {time[-1]}",
            "Add missing months with NaN as their values.",
        )
    for name in (*variables.WEATHER, *extra):
        quantity = quantity_of(name)
        check_array(ds, table, name, ("municipality", "time"), "float32")
        if quantity is not None:
            refuse_outside(ds[name], table, quantity)
    refuse_crossed(ds["tmin_degC"], ds["tmax_degC"], table)
    return ds


def check_yields(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of yields and return it.

    Args:
        ds: dims (crop, municipality, harvest_year): crop text, harvest_year int16, both sorted; float32
            yield_kg_ha and optionally the areas and the production, NaN = no value, with their units.

    Raises:
        SchemaError: the table differs; the message names the first wrong crop, municipality and year.
    """
    table = "yields"
    _check_municipalities(ds, table)
    check_names(ds, table, variables.YIELDS[:1], variables.YIELDS[1:])
    check_coordinate(ds, table, "crop", "text")
    for crop in ds["crop"].values.tolist():
        plain_name(crop, f"{table}, crop")
    check_coordinate(ds, table, "harvest_year", "int16")
    for name in variables.YIELDS:
        if name in ds:
            check_array(ds, table, name, ("crop", "municipality", "harvest_year"), "float32")
            refuse_outside(ds[name], table, variables.QUANTITIES[name])
    return ds


def check_seasonal(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of seasonal forecasts and return it.

    Args:
        ds: dims forecast_reference_time (datetime64[ns], first of the start month), lead_month (int16, 1 is
            the start month), member (int16), cell (int32, used cells of the grids), system (int16, versions
            of the forecasting system in the table, each with its own grid), municipality (int32).
            float32 tmax_anomaly_degC and tmin_anomaly_degC (-30..30 degC) and precipitation_ratio (0..5)
            with the first four dims, NaN at cells of the other systems; per start published (first day on
            which it may be used) and start_system; per cell cell_latitude_deg and cell_longitude_deg
            (float64); municipality_cell (system, municipality), index into cell, -1 without a cell.
            attrs: licence, attribution, hindcast_years ("1993-2016").

    Raises:
        SchemaError: the table differs; the message names the first wrong value.
    """
    for name, dtype in _SEASONAL_COORDINATES.items():
        check_coordinate(ds, _SEASONAL, name, dtype)
    check_names(ds, _SEASONAL, tuple(_SEASONAL_ARRAYS), ())
    for name, (dims, dtype) in _SEASONAL_ARRAYS.items():
        check_array(ds, _SEASONAL, name, dims, dtype)
    for quantity in _SEASONAL_FIELDS:
        units = ds[quantity.name].attrs.get("units")
        _expect(units == quantity.units, f"{quantity.name} with attrs['units'] {quantity.units!r}", units)
        refuse_outside(ds[quantity.name], _SEASONAL, quantity)
    for name in ("licence", "attribution"):
        _expect(bool(ds.attrs.get(name)), f"attrs[{name!r}]", ds.attrs.get(name))
    years = str(ds.attrs.get("hindcast_years"))
    _expect(bool(re.fullmatch(r"\d{4}-\d{4}", years)), "attrs['hindcast_years'] such as '1993-2016'", years)
    _check_starts(ds)
    _check_cells(ds)
    return ds


def refuse_outside(array: xr.DataArray, table: str, quantity: Quantity, hint: str = "") -> None:
    """Raise SchemaError if a value is outside the range of the quantity; NaN is accepted, infinity is not."""
    values = array.values
    outside = ~((values >= quantity.low) & (values <= quantity.high)) & ~np.isnan(values)
    expected = f"{quantity.low:g} to {quantity.high:g} {quantity.units}"
    refuse(array, table, outside, expected, hint or f"Check the unit ({quantity.units}). {_REIMPORT}")


def refuse_crossed(tmin: xr.DataArray, tmax: xr.DataArray, table: str) -> None:
    """Raise SchemaError where tmin is above tmax by more than rounding; NaN is accepted."""
    crossed = tmin.values > tmax.values + TMIN_ABOVE_TMAX_degC
    refuse(tmin, table, crossed, "tmin at or below tmax", f"Are the two swapped? {_REIMPORT}")


def refuse(array: xr.DataArray, table: str, bad: NDArray[np.bool_], expected: str, hint: str) -> None:
    """Raise SchemaError if `bad` is true anywhere; the message names the first value and their number."""
    if not bad.any():
        return
    first = np.unravel_index(int(np.argmax(bad)), bad.shape)
    where = ", ".join(
        f"{dim} {_label(array[dim].values[i])}" for dim, i in zip(array.dims, first, strict=True)
    )
    value = array.values[first]
    raise SchemaError(
        f"{table}: expected {array.name} of {expected}, received {value!s} at {where} "
        f"({int(bad.sum())} such values)",
        hint,
    )


def _label(value: Any) -> str:
    if isinstance(value, np.datetime64):
        # months in monthly tables, days in daily files
        month = value.astype("datetime64[M]")
        return str(month if month == value else value.astype("datetime64[D]"))
    return str(value)


def _check_municipalities(ds: xr.Dataset, table: str) -> None:
    check_coordinate(ds, table, "municipality", "int32")


def check_coordinate(ds: xr.Dataset, table: str, name: Hashable, dtype: str) -> None:
    """Raise SchemaError unless `name` is an index coordinate of type `dtype`, sorted and not empty."""
    if name not in ds.coords or ds[name].dims != (name,) or ds.sizes[name] == 0:
        raise SchemaError(
            f"{table}: expected a coordinate {name!r} with at least one value, "
            f"received coordinates {sorted(map(str, ds.coords))} and sizes {dict(ds.sizes)}",
            _REIMPORT,
        )
    _check_type(ds[name], table, dtype)
    values = ds[name].values
    if name == "soil_layer":
        values = np.sort(values)
    wrong = np.flatnonzero(~(values[1:] > values[:-1]))
    if wrong.size:
        raise SchemaError(
            f"{table}: expected {name!r} sorted, each value once, received {values[wrong[0] + 1]} after "
            f"{values[wrong[0]]} ({wrong.size} such places)",
            f"Sort the table by {name} and remove duplicates.",
        )


def check_names(ds: xr.Dataset, table: str, needed: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """Raise SchemaError unless the variables are those needed and no others than those allowed."""
    names = set(map(str, ds.data_vars))
    missing = [n for n in needed if n not in names]
    unknown = sorted(names - set(needed) - set(allowed))
    if missing:
        raise SchemaError(f"{table}: expected {missing}, received {sorted(names)}", _REIMPORT)
    if unknown:
        raise SchemaError(
            f"{table}: expected no variables but {[*needed, *allowed]}, received {unknown} too",
            "Remove them, or rename them with their unit as in yieldcast.variables.",
        )


def check_array(ds: xr.Dataset, table: str, name: str, dims: tuple[str, ...], dtype: str) -> None:
    """Raise SchemaError unless a variable has these dims, this type and the units of its quantity."""
    array = ds[name]
    if array.dims != dims:
        raise SchemaError(
            f"{table}: expected {name} with dims {dims}, received {array.dims}", "Transpose it."
        )
    _check_type(array, table, dtype)
    quantity = quantity_of(name)
    if quantity is not None and array.attrs.get("units") != quantity.units:
        raise SchemaError(
            f"{table}: expected {name} with attrs['units'] {quantity.units!r}, "
            f"received {array.attrs.get('units')!r}",
            "Convert it and set the units, see schema.set_units.",
        )


def _check_type(array: xr.DataArray, table: str, dtype: str) -> None:
    fits = array.values.dtype.kind in "UOT" if dtype == "text" else array.dtype == np.dtype(dtype)
    if not fits:
        raise SchemaError(
            f"{table}: expected {array.name} of type {dtype}, received {array.dtype}", _REIMPORT
        )


def _check_starts(ds: xr.Dataset) -> None:
    starts, published = ds["forecast_reference_time"].values, ds["published"].values
    leads = ds["lead_month"].values
    month_starts = starts.astype("datetime64[M]").astype(starts.dtype)
    _expect(bool((month_starts == starts).all()), "starts on the first of a month", starts[0])
    _expect(leads.tolist() == list(range(1, len(leads) + 1)), "lead_month 1, 2, 3 ...", leads.tolist())
    early = ~(published >= starts + np.timedelta64(_EARLIEST_RELEASE_days, "D"))
    refuse(ds["published"], _SEASONAL, early, "a day after the start", _REFETCH)
    unknown = ~np.isin(ds["start_system"].values, ds["system"].values)
    refuse(ds["start_system"], _SEASONAL, unknown, f"one of {ds['system'].values.tolist()}", _REFETCH)
    for quantity in _SEASONAL_FIELDS:
        empty = np.isnan(ds[quantity.name].values).all(axis=(1, 2, 3))
        refuse(ds["published"], _SEASONAL, empty, f"starts with at least one {quantity.name}", _REFETCH)


def _check_cells(ds: xr.Dataset) -> None:
    cells, index = ds["cell"].values, ds["municipality_cell"]
    _expect(cells.tolist() == list(range(len(cells))), "cells numbered from 0 on", cells[:3].tolist())
    outside = (index.values < -1) | (index.values >= len(cells))
    refuse(index, _SEASONAL, outside, f"-1 to {len(cells) - 1}", _REFETCH)


def _expect(holds: bool, expected: str, received: Any) -> None:
    if not holds:
        raise SchemaError(f"{_SEASONAL}: expected {expected}, received {received!s}", _REFETCH)
