"""Merges fetched tables with those of the store; fetched values replace stored ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from yieldcast.data import schema
from yieldcast.data.daily import check_daily
from yieldcast.data.schema import PLACE_TEXTS
from yieldcast.variables import SOIL, WEATHER

_MOVED_deg = 0.001  # smaller moves are below half a pixel of SoilGrids and keep their soil
_PLACE = (*PLACE_TEXTS, "latitude_deg", "longitude_deg")


def merge_places(old: xr.Dataset | None, new: xr.Dataset) -> tuple[xr.Dataset, int]:
    """Places of both tables, with the store's soil for places that have not moved.

    Args:
        old: static table of the store, or None.
        new: places as fetched, without soil.

    Returns:
        the table, and the number of places whose soil was dropped because they moved by about 100 m or more.
    """
    if old is None:
        return new, 0
    codes = np.union1d(old["municipality"].values, new["municipality"].values).astype(np.int32)
    joined = {}
    fresh, had = np.isin(codes, new["municipality"].values), np.isin(codes, old["municipality"].values)
    for name in _PLACE:
        values = np.empty(len(codes), dtype=object)
        values[had] = old[name].values
        values[fresh] = new[name].values
        joined[name] = ("municipality", values.astype(new[name].dtype if name.endswith("_deg") else str))
    static = xr.Dataset(joined, coords={"municipality": codes}, attrs=new.attrs)
    soil, dropped = [name for name in SOIL if name in old], 0
    if soil:
        held = old[soil].reindex(municipality=codes)
        before = old[["latitude_deg", "longitude_deg"]].reindex(municipality=codes)
        steps = [abs(before[name] - static[name]) for name in ("latitude_deg", "longitude_deg")]
        moved = (steps[0] > _MOVED_deg) | (steps[1] > _MOVED_deg)
        had_soil = held.to_array().notnull().any(("variable", "soil_layer"))
        dropped = int((moved & had_soil).sum())
        static = static.merge(held.where(~moved).astype(np.float32))
    return schema.check_static(schema.set_units(static)), dropped


def merge_soil(static: xr.Dataset | None, soil: xr.Dataset, keep: bool) -> xr.Dataset:
    """The table of places with new soil.

    Args:
        static: of the store.
        soil: (municipality, soil_layer), any of the places.
        keep: keep stored values where `soil` has none; only for soil of the same source.
    """
    if static is None:
        raise ValueError("expected places before soil")
    codes = static["municipality"].values
    held = [name for name in SOIL if name in static]
    places = static.drop_vars([*held, *(["soil_layer"] if "soil_layer" in static.coords else [])])
    full = soil.reindex(municipality=codes)
    if keep and held:
        full = full.fillna(static[held].reindex(soil_layer=soil["soil_layer"].values))
    merged = places.merge(full.astype(np.float32)).assign_attrs({**static.attrs, **soil.attrs})
    return schema.check_static(schema.set_units(merged))


def merge_weather(old: xr.Dataset | None, new: xr.Dataset) -> xr.Dataset:
    """Months and municipalities of both tables; fetched values replace stored ones.

    Args:
        old: weather of the store, or None.
        new: weather as fetched.
    """
    if old is None:
        return new
    stamps = np.union1d(old["time"].values, new["time"].values).astype("datetime64[M]")
    months = np.arange(stamps.min(), stamps.max() + 1).astype("datetime64[ns]")
    names = [n for n in map(str, new.data_vars) if n in old or n in WEATHER]
    merged = joined(old[[n for n in names if n in old]], new[names], {"time": months})
    return schema.check_weather(schema.set_units(merged))


def merge_daily(old: xr.Dataset | None, new: xr.Dataset) -> xr.Dataset:
    """Days and units of both tables; fetched values replace stored ones.

    Args:
        old: daily weather of the store with the same units (grid cells), or None.
        new: daily weather as fetched.
    """
    if old is None:
        return new
    units = np.union1d(old["unit"].values, new["unit"].values).astype(np.int32)
    first = min(old["time"].values[0], new["time"].values[0]).astype("datetime64[D]")
    last = max(old["time"].values[-1], new["time"].values[-1]).astype("datetime64[D]")
    days = np.arange(first, last + 1).astype("datetime64[ns]")
    codes = np.union1d(old["municipality"].values, new["municipality"].values).astype(np.int32)
    place = np.full(len(codes), -1, dtype=np.int32)
    fields: dict[str, tuple[tuple[str, str], np.ndarray]] = {}
    known = np.zeros((len(units), len(days)), dtype=bool)  # days with all of tmax, tmin and rain
    for table in (old, new):
        row, column = (
            np.searchsorted(units, table["unit"].values),
            np.searchsorted(days, table["time"].values),
        )
        here = np.ix_(row, column)
        whole = np.all([~np.isnan(table[name].values) for name in WEATHER], axis=0)
        take = whole | ~known[here]  # an incomplete day never replaces a complete one
        known[here] |= whole
        for name in (str(n) for n in table.data_vars if n != "municipality_unit"):
            empty = np.full((len(units), len(days)), np.nan, dtype=np.float32)
            full = fields.setdefault(name, (("unit", "time"), empty))[1]
            # what only some sources have may be missing from a newer answer: it does not take values away
            known_here = take if name in WEATHER else take & ~np.isnan(table[name].values)
            full[here] = np.where(known_here, table[name].values, full[here])
        index = table["municipality_unit"].values
        position = np.where(index >= 0, row[np.maximum(index, 0)], -1)
        place[np.searchsorted(codes, table["municipality"].values)] = position
    ds = xr.Dataset(
        {**fields, "municipality_unit": ("municipality", place)},
        coords={"unit": units, "time": days, "municipality": codes},
        attrs={**old.attrs, **new.attrs},
    )
    return check_daily(schema.set_units(ds))


def merge_yields(old: xr.Dataset | None, new: xr.Dataset, whole: bool) -> xr.Dataset:
    """Crops, years and municipalities of both tables.

    Args:
        old: yields of the store, or None.
        new: yields as fetched.
        whole: True if all requests for `new` succeeded. Then every crop and year with fetched values is
            replaced completely, also where a revision removed a value; otherwise only by fetched values.
    """
    has_values = new["yield_kg_ha"].notnull().any("municipality")
    if not has_values.any():
        return new if old is None else old
    new = new.isel(harvest_year=np.flatnonzero(has_values.any("crop")))
    if old is None:
        return schema.check_yields(new)
    coords = {
        "crop": np.union1d(old["crop"].values.astype(str), new["crop"].values.astype(str)),
        "harvest_year": np.union1d(old["harvest_year"].values, new["harvest_year"].values).astype(np.int16),
    }
    merged = joined(old, new, coords, whole=has_values if whole else None)
    return schema.check_yields(schema.set_units(merged))


def joined(
    old: xr.Dataset, new: xr.Dataset, coords: Mapping[str, np.ndarray], whole: xr.DataArray | None = None
) -> xr.Dataset:
    """Old values replaced by new ones; where `whole` is True, also by missing new values.

    Args:
        old, new: tables with the dim municipality.
        coords: other coordinates of the result.
        whole: where missing new values count too, see `merge_yields`.
    """
    codes = np.union1d(old["municipality"].values, new["municipality"].values).astype(np.int32)
    full = {"municipality": codes, **coords}
    base, top = old.reindex(full), new.reindex(full)
    out = {}
    for name in sorted({*map(str, old.data_vars), *map(str, new.data_vars)}):
        if name not in base or name not in top:
            out[name] = top[name] if name in top else base[name]
            continue
        take = ~np.isnan(top[name])
        if whole is not None:
            known = xr.DataArray(np.isin(codes, new["municipality"].values), dims="municipality")
            take = take | (whole.reindex_like(top, fill_value=False) & known)
        out[name] = base[name].where(~take, top[name]).transpose(*new[name].dims).transpose(*new[name].dims)
    joined = xr.Dataset({n: a.astype(np.float32) for n, a in out.items()}, attrs=_attributes(old, new))
    return joined.transpose(*next(iter(new.data_vars.values())).dims)


def _attributes(old: xr.Dataset, new: xr.Dataset) -> dict[str, str]:
    """Attributes of both, new before old; months that were not fetched again stay preliminary."""
    attrs = {**old.attrs, **new.attrs}
    if "preliminary" in attrs and "time" in new.coords:
        with_values = new["tmax_degC"].notnull().any("municipality").values
        again = set(new["time"].values[with_values].astype("datetime64[M]").astype(str).tolist())
        if not np.isin(old["municipality"].values, new["municipality"].values).all():
            again = set()  # the months of other places are unchanged
        held = set(filter(None, str(old.attrs.get("preliminary", "")).split(", "))) - again
        now = set(filter(None, str(new.attrs.get("preliminary", "")).split(", ")))
        attrs["preliminary"] = ", ".join(sorted(held | now))
    return attrs
