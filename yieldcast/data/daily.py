"""The table of daily weather: days of units, which are municipalities, regions or grid cells, and who lies
in which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.data import schema
from yieldcast.errors import SchemaError

TABLE = "daily"
# The most rain observed in 24 hours is 1,825 mm (La Reunion, January 1966; WMO archive of extremes).
MOST_RAIN_mm = 1900.0
_REIMPORT = "Correct the source and make the table again."


def check_daily(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of daily weather and return it.

    Args:
        ds: dims (unit, time): unit int32, sorted; time datetime64[ns], every day from the first to the last.
            float32 tmax_degC, tmin_degC, precipitation_mm (of the day) and optionally dewpoint_degC (mean),
            radiation_MJ_m2 (of the day), wind_m_s (mean at 2 m), NaN where missing. municipality (int32,
            sorted) with municipality_unit (municipality,) int32: position of its unit, -1 without one.

    Raises:
        SchemaError: the table differs; the message names the first wrong unit and day.
    """
    schema.check_coordinate(ds, TABLE, "unit", "int32")
    schema.check_coordinate(ds, TABLE, "municipality", "int32")
    schema.check_coordinate(ds, TABLE, "time", "datetime64[ns]")
    schema.check_names(ds, TABLE, (*variables.WEATHER, "municipality_unit"), variables.DAILY)
    time = ds["time"].values
    days = time.astype("datetime64[D]")
    if (days.astype(time.dtype) != time).any() or (np.diff(days).astype(int) != 1).any():
        raise SchemaError(
            f"{TABLE}: expected time to hold every day without a gap, "
            f"received {len(time)} stamps from {time[0]} to {time[-1]}",
            "Add missing days with NaN as their values.",
        )
    for name in (*variables.WEATHER, *variables.DAILY):
        if name in ds:
            schema.check_array(ds, TABLE, name, ("unit", "time"), "float32")
            schema.refuse_outside(ds[name], TABLE, variables.QUANTITIES[name])
    rain = ds["precipitation_mm"]
    text = f"at most {MOST_RAIN_mm:g} mm a day"
    schema.refuse(rain, TABLE, rain.values > MOST_RAIN_mm, text, "Is it the sum of a month?")
    schema.refuse_crossed(ds["tmin_degC"], ds["tmax_degC"], TABLE)
    index = ds["municipality_unit"]
    schema.check_array(ds, TABLE, "municipality_unit", ("municipality",), "int32")
    outside = (index.values < -1) | (index.values >= ds.sizes["unit"])
    schema.refuse(index, TABLE, outside, f"-1 to {ds.sizes['unit'] - 1}", _REIMPORT)
    return ds


def daily_table(
    fields: Mapping[str, NDArray[Any]],
    days: NDArray[np.datetime64],
    unit: NDArray[np.int32],
    municipality: NDArray[np.int32],
    municipality_unit: NDArray[np.integer[Any]],
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """The checked table; days that are absent between the first and the last one are NaN.

    Args:
        fields: variable name to (unit, day) values in our units.
        days: datetime64[D], each once, in any order.
        unit: (unit,) codes, in any order.
        municipality: (municipality,) codes, sorted.
        municipality_unit: position of each municipality's unit in `unit`, -1 without one.
        attrs: of the table.
    """
    calendar = np.arange(days.min(), days.max() + 1)
    column = (days - calendar[0]).astype(np.int64)
    order = np.argsort(unit)
    data: dict[str, Any] = {}
    for name, values in fields.items():
        full = np.full((len(unit), len(calendar)), np.nan, dtype=np.float32)
        for row, source in enumerate(order):  # row by row, without a second copy of the whole array
            full[row, column] = values[source]
        data[name] = (("unit", "time"), full)
    place = np.append(np.argsort(order), -1)[municipality_unit]
    data["municipality_unit"] = ("municipality", place.astype(np.int32))
    coords = {
        "unit": unit[order].astype(np.int32),
        "time": calendar.astype("datetime64[ns]"),
        "municipality": municipality.astype(np.int32),
    }
    return check_daily(schema.set_units(xr.Dataset(data, coords, dict(attrs or {}))))
