"""The table of seasonal forecasts: what it must hold.

It holds departures from the model's own past forecasts (hindcasts), see `yieldcast.seasonal`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr

from yieldcast import schema
from yieldcast.errors import SchemaError
from yieldcast.variables import Quantity

_TABLE = "seasonal"
# More than five times the usual rain of a month is noise of a small denominator (our choice).
RATIO_MOST = 5.0
_FIELD = ("forecast_reference_time", "lead_month", "member", "cell")
_COORDINATES = {
    "forecast_reference_time": "datetime64[ns]",
    "lead_month": "int16",
    "member": "int16",
    "cell": "int32",
    "system": "int16",
    "municipality": "int32",
}
_FIELDS = (
    Quantity("tmax_anomaly", "degC", "degC", -30, 30, "weather", "Tmax anomaly", "Anomalia de Tmax"),
    Quantity("tmin_anomaly", "degC", "degC", -30, 30, "weather", "Tmin anomaly", "Anomalia de Tmin"),
    Quantity(
        "precipitation_ratio",
        "",
        "1",
        0,
        RATIO_MOST,
        "weather",
        "Precipitation ratio",
        "Razão de precipitação",
    ),
)
_ARRAYS = {
    **{quantity.name: (_FIELD, "float32") for quantity in _FIELDS},
    "published": (_FIELD[:1], "datetime64[ns]"),
    "start_system": (_FIELD[:1], "int16"),
    "cell_latitude_deg": (("cell",), "float64"),
    "cell_longitude_deg": (("cell",), "float64"),
    "municipality_cell": (("system", "municipality"), "int32"),
}
# The release day has moved from the 13th to about the 5th of the month (data-sources reference, 1.3e), never
# to an earlier one: an earlier date in the table would be a leak.
_EARLIEST_RELEASE_days = 4
_AGAIN = "Make the table again: `yieldcast fetch seasonal`."


def check_seasonal(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of seasonal forecasts and return it.

    Args:
        ds: dims forecast_reference_time (datetime64[ns], first of the start month), lead_month (int16, 1 is
            the start month), member (int16), cell (int32, cells of the model's grid that are in use), system
            (int16, versions of the model in the table, each with its own grid), municipality (int32).
            float32 tmax_anomaly_degC and tmin_anomaly_degC (-30..30 degC) and precipitation_ratio (0..5)
            with the first four dims, NaN at cells of the other system; per start published (first day on
            which it may be used) and start_system; per cell cell_latitude_deg and cell_longitude_deg
            (float64); municipality_cell (system, municipality), index into cell, -1 where there is none.
            attrs: licence, attribution, hindcast_years ("1993-2016").

    Raises:
        SchemaError: anything else, with the first offending value.
    """
    for name, dtype in _COORDINATES.items():
        schema.check_coordinate(ds, _TABLE, name, dtype)
    schema.check_names(ds, _TABLE, tuple(_ARRAYS), ())
    for name, (dims, dtype) in _ARRAYS.items():
        schema.check_array(ds, _TABLE, name, dims, dtype)
    for quantity in _FIELDS:
        units = ds[quantity.name].attrs.get("units")
        _expect(units == quantity.units, f"{quantity.name} with attrs['units'] {quantity.units!r}", units)
        schema.refuse_outside(ds[quantity.name], _TABLE, quantity)
    for name in ("licence", "attribution"):
        _expect(bool(ds.attrs.get(name)), f"attrs[{name!r}]", ds.attrs.get(name))
    years = str(ds.attrs.get("hindcast_years"))
    _expect(bool(re.fullmatch(r"\d{4}-\d{4}", years)), "attrs['hindcast_years'] such as '1993-2016'", years)
    _check_starts(ds)
    _check_cells(ds)
    return ds


def _check_starts(ds: xr.Dataset) -> None:
    starts, published = ds["forecast_reference_time"].values, ds["published"].values
    leads = ds["lead_month"].values
    month_starts = starts.astype("datetime64[M]").astype(starts.dtype)
    _expect(bool((month_starts == starts).all()), "starts on the first of a month", starts[0])
    _expect(leads.tolist() == list(range(1, len(leads) + 1)), "lead_month 1, 2, 3 ...", leads.tolist())
    early = ~(published >= starts + np.timedelta64(_EARLIEST_RELEASE_days, "D"))
    schema.refuse(ds["published"], _TABLE, early, "a day after the start", _AGAIN)
    strange = ~np.isin(ds["start_system"].values, ds["system"].values)
    schema.refuse(ds["start_system"], _TABLE, strange, f"one of {ds['system'].values.tolist()}", _AGAIN)
    for quantity in _FIELDS:
        empty = np.isnan(ds[quantity.name].values).all(axis=(1, 2, 3))
        schema.refuse(ds["published"], _TABLE, empty, f"starts with at least one {quantity.name}", _AGAIN)


def _check_cells(ds: xr.Dataset) -> None:
    cells, index = ds["cell"].values, ds["municipality_cell"]
    _expect(cells.tolist() == list(range(len(cells))), "cells numbered from 0 on", cells[:3].tolist())
    outside = (index.values < -1) | (index.values >= len(cells))
    schema.refuse(index, _TABLE, outside, f"-1 to {len(cells) - 1}", _AGAIN)


def _expect(holds: bool, expected: str, received: Any) -> None:
    if not holds:
        raise SchemaError(f"{_TABLE}: expected {expected}, received {received!s}", _AGAIN)
