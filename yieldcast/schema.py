"""Checks the three tables at every door: dims, types, units, ranges, keys; says what to do otherwise."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.errors import SchemaError
from yieldcast.variables import Quantity

PLACE_TEXTS = ("code", "name", "state", "region")
# tmin may pass tmax by the rounding of float32 and of packed files, not by more
TMIN_ABOVE_TMAX_degC = 0.01
_REIMPORT = "Correct the source and run the import again."


def set_units(ds: xr.Dataset) -> xr.Dataset:
    """A copy with ``units`` and ``long_name`` written into every variable that `variables` knows."""
    ds = ds.copy()
    for name, array in ds.variables.items():
        quantity = quantity_of(str(name))
        if quantity is not None:
            array.attrs = {"units": quantity.units, "long_name": quantity.english}
    return ds


def quantity_of(name: str) -> Quantity | None:
    """The quantity held under exactly this variable name, or None."""
    if name in variables.QUANTITIES:
        return variables.QUANTITIES[name]
    if name.startswith("gdd_") and (column := variables.resolve(name)) is not None:
        return column.quantity
    return None


def check_static(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of places and soil and return it.

    Args:
        ds: dim municipality (int32, sorted), optional dim soil_layer (text); texts code, name, state
            (not empty) and region; latitude_deg, longitude_deg (float64, no NaN); soil variables of
            `variables.SOIL` (municipality, soil_layer), float32, NaN where missing.

    Raises:
        SchemaError: anything else, with the first offending place.
    """
    table = "static"
    _check_municipalities(ds, table)
    check_names(ds, table, (*PLACE_TEXTS, "latitude_deg", "longitude_deg"), variables.SOIL)
    if "soil_layer" in ds.dims:
        check_coordinate(ds, table, "soil_layer", "text")
    for name in PLACE_TEXTS:
        check_array(ds, table, name, ("municipality",), "text")
    for name in ("latitude_deg", "longitude_deg"):
        check_array(ds, table, name, ("municipality",), "float64")
        refuse_outside(ds[name], table, variables.QUANTITIES[name])
        refuse(ds[name], table, np.isnan(ds[name].values), "a number", "every place needs a position")
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
            tmax_degC, tmin_degC, precipitation_mm (month's sum) and any ``gdd_*_degC_day``, NaN where
            missing, each with its units.

    Raises:
        SchemaError: anything else, with the first offending municipality and month.
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
            f"received {len(time)} stamps from {time[0]} to {time[-1]}",
            "Put missing months in as NaN.",
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
        SchemaError: anything else, with the first offending crop, municipality and year.
    """
    table = "yields"
    _check_municipalities(ds, table)
    check_names(ds, table, variables.YIELDS[:1], variables.YIELDS[1:])
    check_coordinate(ds, table, "crop", "text")
    check_coordinate(ds, table, "harvest_year", "int16")
    for name in variables.YIELDS:
        if name in ds:
            check_array(ds, table, name, ("crop", "municipality", "harvest_year"), "float32")
            refuse_outside(ds[name], table, variables.QUANTITIES[name])
    return ds


def refuse_outside(array: xr.DataArray, table: str, quantity: Quantity, hint: str = "") -> None:
    """Raise SchemaError when a value lies outside the quantity's range; NaN passes, infinity does not."""
    values = array.values
    outside = ~((values >= quantity.low) & (values <= quantity.high)) & ~np.isnan(values)
    expected = f"{quantity.low:g} to {quantity.high:g} {quantity.units}"
    refuse(array, table, outside, expected, hint or f"Check the unit ({quantity.units}). {_REIMPORT}")


def refuse_crossed(tmin: xr.DataArray, tmax: xr.DataArray, table: str) -> None:
    """Raise SchemaError where tmin is above tmax by more than rounding; NaN passes."""
    crossed = tmin.values > tmax.values + TMIN_ABOVE_TMAX_degC
    refuse(tmin, table, crossed, "tmin at or below tmax", f"Are the two swapped? {_REIMPORT}")


def refuse(array: xr.DataArray, table: str, bad: NDArray[np.bool_], expected: str, hint: str) -> None:
    """Raise SchemaError where `bad` is true, with the first such value and how many there are."""
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
        # a month is named as a month, a day of a daily file as a day
        month = value.astype("datetime64[M]")
        return str(month if month == value else value.astype("datetime64[D]"))
    return str(value)


def _check_municipalities(ds: xr.Dataset, table: str) -> None:
    check_coordinate(ds, table, "municipality", "int32")


def check_coordinate(ds: xr.Dataset, table: str, name: Hashable, dtype: str) -> None:
    """Raise SchemaError unless `name` is a sorted coordinate of its own dim, of `dtype`, not empty."""
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
            "Drop them or name them, with their unit, as in yieldcast.variables.",
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
