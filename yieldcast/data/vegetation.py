"""The tables of vegetation indices: single observations of places, and summaries of whole seasons."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.data import schema
from yieldcast.errors import SchemaError

TABLE = "vegetation"
SEASON_TABLE = "season_vegetation"
INDICES = ("ndvi", "evi")
# Of a season or of a stage of it: ndvi_max, ndvi_mean, ndvi_sowing, evi_amplitude, ...
SUMMARY = re.compile(rf"(?:{'|'.join(INDICES)})_[a-z][a-z0-9_]*")
_REIMPORT = "Correct the file of vegetation and import it again."


def check_vegetation(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of observations and return it.

    Args:
        ds: dim observation: municipality int32 and date datetime64[ns] (the last day that the observation
            covers), sorted by both, each pair once; optionally public_from datetime64[ns] (first day on which
            it may be used; without it the day after `date`); float32 ndvi, evi or both, NaN where missing;
            clear int8, 1 where the quality flag says that the ground was seen, else 0.

    Raises:
        SchemaError: the table differs; the message names the first wrong observation.
    """
    if "observation" not in ds.dims or ds.sizes["observation"] == 0:
        raise SchemaError(
            f"{TABLE}: expected a dim 'observation' with rows, received {dict(ds.sizes)}", _REIMPORT
        )
    schema.check_names(ds, TABLE, ("municipality", "date", "clear"), (*INDICES, "public_from"))
    found = [name for name in INDICES if name in ds]
    if not found:
        raise SchemaError(f"{TABLE}: expected ndvi, evi or both, received neither", _REIMPORT)
    types = {"municipality": "int32", "date": "datetime64[ns]", "clear": "int8"}
    types |= dict.fromkeys(found, "float32")
    types |= {"public_from": "datetime64[ns]"} if "public_from" in ds else {}
    for name, dtype in types.items():
        schema.check_array(ds, TABLE, name, ("observation",), dtype)
    for name in found:
        schema.refuse_outside(ds[name], TABLE, variables.QUANTITIES[name], _REIMPORT)
    flags = ~np.isin(ds["clear"].values, (0, 1))
    schema.refuse(ds["clear"], TABLE, flags, "1 (clear) or 0", _REIMPORT)
    _check_days(ds)
    return ds


def public_days(ds: xr.Dataset) -> NDArray[np.datetime64]:
    """(observation,) datetime64[D]: first day on which each observation may be used."""
    if "public_from" in ds:
        return np.asarray(ds["public_from"].values.astype("datetime64[D]"))
    return np.asarray(ds["date"].values.astype("datetime64[D]") + 1)


def vegetation_table(frame: pd.DataFrame, attrs: Mapping[str, object] | None = None) -> xr.Dataset:
    """The checked table of observations in any order.

    Args:
        frame: columns municipality, date, clear, ndvi and/or evi, optionally public_from.
        attrs: of the table.
    """
    rows = frame.sort_values(["municipality", "date"], kind="stable")
    types = {"municipality": np.int32, "date": "datetime64[ns]", "clear": np.int8}
    types |= dict.fromkeys(INDICES, np.float32) | {"public_from": "datetime64[ns]"}
    data = {n: ("observation", rows[n].to_numpy(dtype=dtype)) for n, dtype in types.items() if n in rows}
    return check_vegetation(schema.set_units(xr.Dataset(data, attrs=dict(attrs or {}))))


def check_season_vegetation(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of summaries of seasons and return it.

    Args:
        ds: dims municipality (int32, sorted) and harvest_year (int16, sorted); for each summary (`SUMMARY`,
            for example ndvi_max) a float32 variable of both dims, -1 to 1 (an amplitude up to 2), NaN where
            missing; coordinate summary, the names of these variables, sorted; public_from (summary,
            harvest_year) datetime64[ns], the first day on which a summary may be used: not before all of the
            days that it is made of have passed.

    Raises:
        SchemaError: the table differs; the message names the first wrong place and year.
    """
    schema.check_coordinate(ds, SEASON_TABLE, "municipality", "int32")
    schema.check_coordinate(ds, SEASON_TABLE, "harvest_year", "int16")
    schema.check_coordinate(ds, SEASON_TABLE, "summary", "text")
    names = ds["summary"].values.astype(str).tolist()
    schema.check_names(ds, SEASON_TABLE, (*names, "public_from"), ())
    for name in names:
        if not SUMMARY.fullmatch(name):
            raise SchemaError(
                f"{SEASON_TABLE}: expected summaries named after their index, such as ndvi_max, received "
                f"{name!r}",
                _REIMPORT,
            )
        schema.check_array(ds, SEASON_TABLE, name, ("municipality", "harvest_year"), "float32")
        index = variables.QUANTITIES[name.split("_")[0]]
        high = index.high - index.low if name.endswith("amplitude") else index.high
        values = ds[name].values
        outside = ~((values >= index.low) & (values <= high)) & ~np.isnan(values)
        schema.refuse(ds[name], SEASON_TABLE, outside, f"{index.low:g} to {high:g}", _REIMPORT)
    schema.check_array(ds, SEASON_TABLE, "public_from", ("summary", "harvest_year"), "datetime64[ns]")
    unknown = np.isnat(ds["public_from"].values)
    schema.refuse(ds["public_from"], SEASON_TABLE, unknown, "a date for each summary and year", _REIMPORT)
    return ds


def season_vegetation_table(
    values: Mapping[str, NDArray[np.floating]],
    public_from: Mapping[str, NDArray[np.datetime64]],
    municipality: NDArray[np.int32],
    harvest_year: NDArray[np.int16],
    attrs: Mapping[str, object] | None = None,
) -> xr.Dataset:
    """The checked table of summaries.

    Args:
        values: (municipality, harvest year) of each summary.
        public_from: (harvest year,) first day on which each summary may be used.
        municipality, harvest_year: sorted codes and years.
        attrs: of the table.
    """
    names = sorted(values)
    dims = ("municipality", "harvest_year")
    data = {name: (dims, values[name].astype(np.float32)) for name in names}
    days = np.stack([public_from[name].astype("datetime64[ns]") for name in names])
    coords = {"municipality": municipality, "harvest_year": harvest_year, "summary": np.array(names)}
    ds = xr.Dataset(data, coords, dict(attrs or {})).assign(public_from=(("summary", dims[1]), days))
    return check_season_vegetation(ds)


def _check_days(ds: xr.Dataset) -> None:
    date, place = ds["date"].values, ds["municipality"].values.astype(np.int64)
    wrong = np.isnat(date) | (date.astype("datetime64[D]").astype(date.dtype) != date)
    schema.refuse(ds["date"], TABLE, wrong, "a whole day", _REIMPORT)
    if "public_from" in ds:
        public = ds["public_from"].values
        early = ~(public > date)  # also NaT
        schema.refuse(ds["public_from"], TABLE, early, "a day after the day of the observation", _REIMPORT)
    step, days = np.diff(place), np.diff(date.astype("datetime64[D]").astype(np.int64))
    unsorted = np.concatenate([[False], (step < 0) | ((step == 0) & (days <= 0))])
    text = "observations sorted by place and date, each once"
    schema.refuse(
        ds["date"], TABLE, unsorted, text, "Sort the table, and keep one value for a place and day."
    )
