"""The table of official yield estimates: what was published for a crop and state, and from which day it is
known.

An estimate is never replaced. When a source changes a figure after its publication, the new value is a
further entry (a revision), known from the day on which it was first seen; a forecast of an earlier date
still finds the earlier one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.data import schema
from yieldcast.errors import SchemaError

TABLE = "estimates"
COUNTRY = "country"  # the unit of a figure for the whole country
TEXTS = ("source", "crop", "unit", "reference")
DATES = ("reference_month", "public_from", "retrieved")
KEY = ("source", "crop", "unit", "harvest_year", "reference")
VALUES = variables.YIELDS
# Estimates are made from before sowing until the final figure; a larger distance is a swapped column.
_MOST_YEARS_APART = 2
_ORDER = [
    "source", "crop", "unit", "harvest_year", "reference_month", "reference", "public_from", "retrieved",
]  # fmt: skip
_CORRECT = "Correct the source and import the estimates again."


def check_estimates(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of official estimates and return it.

    Args:
        ds: dim estimate; texts source, crop, unit (code of a state, or `COUNTRY`) and reference (as
            published, e.g. "2014-01" or "survey 3"); harvest_year int16; reference_month (first of the month
            that is described), public_from (first day on which it may be used) and retrieved (NaT = not
            recorded), datetime64[ns]; float32 yield_kg_ha, area_harvested_ha, area_planted_ha, production_t,
            NaN = unknown; carried_over int8, 1 where all values equal those of the estimate before it.

    Raises:
        SchemaError: the table differs; the message names the first wrong entry.
    """
    if "estimate" not in ds.dims or ds.sizes["estimate"] == 0:
        raise SchemaError(
            f"{TABLE}: expected a dim 'estimate' with entries, received {dict(ds.sizes)}", _CORRECT
        )
    schema.check_names(ds, TABLE, (*KEY, *DATES, *VALUES, "carried_over"), ())
    dtypes = dict.fromkeys(TEXTS, "text") | dict.fromkeys(DATES, "datetime64[ns]")
    dtypes |= dict.fromkeys(VALUES, "float32") | {"harvest_year": "int16", "carried_over": "int8"}
    for name, dtype in dtypes.items():
        schema.check_array(ds, TABLE, name, ("estimate",), dtype)
    for name in TEXTS:
        schema.refuse(ds[name], TABLE, np.char.str_len(ds[name].values.astype(str)) == 0, "a text", _CORRECT)
    for name in VALUES:
        schema.refuse_outside(ds[name], TABLE, variables.QUANTITIES[name])
    unknown = np.all([np.isnan(ds[name].values) for name in VALUES], axis=0)
    schema.refuse(ds["reference"], TABLE, unknown, "an estimate with at least one value", _CORRECT)
    _check_dates(ds)
    _check_entries(ds)
    return ds


def estimates_table(frame: pd.DataFrame) -> xr.Dataset:
    """The checked table of entries in any order; repeated entries are refused.

    Args:
        frame: columns of `KEY`, `DATES` and `VALUES`; a missing column of values or `retrieved` is unknown.
    """
    columns = {name: frame.get(name, np.nan) for name in VALUES}
    dates = {name: frame.get(name, pd.NaT) for name in DATES}
    made = pd.DataFrame({**{name: frame[name] for name in KEY}, **dates, **columns}, index=frame.index)
    made = made.astype(dict.fromkeys(VALUES, np.float32) | dict.fromkeys(DATES, "datetime64[ns]"))
    # unknown dates of retrieval first: they are entries of an archive, from before the downloads
    made = made.sort_values(_ORDER, kind="stable", na_position="first").reset_index(drop=True)
    data: dict[str, Any] = {name: made[name].to_numpy(dtype=str) for name in TEXTS}
    data |= {name: made[name].to_numpy() for name in (*DATES, *VALUES)}
    data["harvest_year"] = made["harvest_year"].to_numpy(dtype=np.int16)
    data["carried_over"] = _carried_over(made)
    arrays = {name: ("estimate", values) for name, values in data.items()}
    return check_estimates(schema.set_units(xr.Dataset(arrays)))


def merge_estimates(old: xr.Dataset | None, new: xr.Dataset, seen: dt.date) -> xr.Dataset:
    """Both tables as one; no value of either table is lost.

    An entry with the key (`KEY`) and values of another one is that entry and stays once, with its first date
    of retrieval. An entry with the same key but other values is a revision: it is known from the day on
    which it was first seen (`retrieved`), and never before the value that it revises. Downloads, which have
    a time of retrieval, may be merged in any order.

    Args:
        old: table of the store, None without one.
        new: table of a later download or import.
        seen: when `new` was seen; the day of its revisions that have no date of retrieval.
    """
    before = _frame(old).assign(_new=False) if old is not None else None
    after = _frame(new).assign(_new=True)
    if before is not None:
        after["retrieved"] = _retrieved(before, after, seen)
    entries = pd.concat([part for part in (before, after) if part is not None], ignore_index=True)
    # An archive without times of retrieval is taken at its word: its values were seen when they became
    # public.
    entries["_seen"] = entries["retrieved"].fillna(entries["public_from"])
    entries["_dated"] = entries["retrieved"].notna()
    first = ["_dated", "_seen", "_new", "public_from"]
    entries = entries.sort_values(first, kind="stable").drop_duplicates([*KEY, *VALUES])
    entries = entries.sort_values(["_seen", "_dated", "_new"], kind="stable")
    groups = entries.groupby(list(KEY), sort=False)
    is_revision = groups.cumcount() > 0
    known = entries[["public_from"]].assign(seen=entries["_seen"].dt.normalize()).max(axis=1)
    entries["public_from"] = entries["public_from"].where(~is_revision, known)
    entries["public_from"] = entries.groupby(list(KEY), sort=False)["public_from"].cummax()
    return estimates_table(entries.drop(columns=["_new", "_seen", "_dated"]))


def known_units(table: xr.Dataset, states: Collection[str]) -> NDArray[np.bool_]:
    """(estimate,) whether the unit is one of the states or the country."""
    return np.isin(table["unit"].values.astype(str), [*states, COUNTRY])


def _frame(ds: xr.Dataset) -> pd.DataFrame:
    return pd.DataFrame({name: ds[name].values for name in (*KEY, *DATES, *VALUES)})


def _retrieved(before: pd.DataFrame, after: pd.DataFrame, seen: dt.date) -> pd.Series[Any]:
    """Times of retrieval of new entries: `seen` for those without one whose key is already in the store."""
    keys = (pd.MultiIndex.from_frame(frame[list(KEY)]) for frame in (after, before))
    held = next(keys).isin(next(keys))
    return after["retrieved"].mask(after["retrieved"].isna() & held, pd.Timestamp(seen))


def _carried_over(entries: pd.DataFrame) -> NDArray[np.int8]:
    """1 where the values equal those of the newest estimate that was known when the entry became public.

    Args:
        entries: sorted by `_ORDER`.
    """
    group = entries.groupby(["source", "crop", "unit", "harvest_year"], sort=False).ngroup().to_numpy()
    public = entries["public_from"].to_numpy()
    values = entries[list(VALUES)].to_numpy(dtype=np.float32)
    before = np.arange(len(entries)) - 1
    while True:  # a revision of an earlier month may have become public later: then look further back
        there = (before >= 0) & (group[before] == group)
        later = there & (public[before] > public)
        if not later.any():
            break
        before = np.where(later, before - 1, before)
    equal = (values == values[before]) | (np.isnan(values) & np.isnan(values[before]))
    return np.asarray(there & equal.all(axis=1), dtype=np.int8)


def _check_dates(ds: xr.Dataset) -> None:
    month, public = ds["reference_month"], ds["public_from"]
    for array in (month, public):
        schema.refuse(array, TABLE, np.isnat(array.values), "a date", _CORRECT)
    first = month.values.astype("datetime64[M]").astype(month.dtype) == month.values
    schema.refuse(month, TABLE, ~first, "the first day of a month", _CORRECT)
    schema.refuse(
        public, TABLE, public.values < month.values, "a day in or after its reference month", _CORRECT
    )
    years = month.values.astype("datetime64[Y]").astype(int) + 1970
    apart = np.abs(years - ds["harvest_year"].values.astype(int)) > _MOST_YEARS_APART
    text = f"a year within {_MOST_YEARS_APART} of the reference month"
    schema.refuse(ds["harvest_year"], TABLE, apart, text, _CORRECT)


def _check_entries(ds: xr.Dataset) -> None:
    """Refuse an entry twice, and two values of one key that nothing tells apart in time."""
    frame = _frame(ds)
    for columns, problem in (
        ([*KEY, *VALUES], "every estimate once"),
        ([*KEY, "public_from", "retrieved"], "one value of an estimate on a day"),
    ):
        twice = frame.duplicated(columns)
        if twice.any():
            first = frame[twice].iloc[0]
            where = ", ".join(f"{name} {first[name]}" for name in KEY)
            raise SchemaError(
                f"{TABLE}: expected {problem}, received {where} again ({int(twice.sum())} such entries)",
                "Keep one of them, or give each its own public_from.",
            )
