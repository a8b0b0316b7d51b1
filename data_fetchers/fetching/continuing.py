"""Imported weather and soil continued by a fetch: imported values stay, the fetch adds what they lack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from data_fetchers.engine.source import Note
from data_fetchers.fetching.merging import joined
from yieldcast.data import schema
from yieldcast.errors import ConfigError
from yieldcast.variables import SOIL, WEATHER

CONTINUES = "continues"  # entry of a table's provenance: what was there before the fetch
# Mean differences over the months in common above which the two sources are called different (our choice).
# Between ERA5 and other gridded weather of the same places they are mostly smaller.
_WARM_degC, _WET = 1.0, 0.2


def imported(about: Any) -> dict[str, Any] | None:
    """Origin of the imported part of a table, from its provenance; None for one that was only fetched."""
    if isinstance(about, str) and about:
        return {"file": about}
    if not isinstance(about, Mapping):
        return None
    origin = about if "file" in about else about.get(CONTINUES)
    return dict(origin) if isinstance(origin, Mapping) else None


def refuse_other_variables(table: str, held: Sequence[str], fetched: Sequence[str]) -> None:
    """Check that a fetch brings every variable of an imported table.

    Raises:
        ConfigError: it lacks some, so that they would end where the import ends.
    """
    if absent := sorted(set(held) - set(fetched)):
        raise ConfigError(
            f"expected {table} with {', '.join(sorted(fetched))}, the import also has {', '.join(absent)}",
            "Import the table without these variables, or take --replace to drop it.",
        )


def continue_weather(old: xr.Dataset, new: xr.Dataset, until: str) -> tuple[xr.Dataset, list[Note]]:
    """Imported weather with fetched months where it has none.

    Args:
        old: weather of the store, its months up to `until` imported.
        new: weather as fetched.
        until: last imported month, as 2023-12.

    Returns:
        the table, with the variables of `old`; and a note on how far the two differ in the months in common.

    Raises:
        ConfigError: `old` has variables that `new` lacks.
    """
    names = [str(name) for name in old.data_vars]
    refuse_other_variables("weather", names, [str(name) for name in new.data_vars])
    new = new[names]
    stamps = np.union1d(old["time"].values, new["time"].values).astype("datetime64[M]")
    months = np.arange(stamps.min(), stamps.max() + 1).astype("datetime64[ns]")
    last = np.datetime64(until, "M").astype("datetime64[ns]")
    before, after = old.sel(time=old["time"] <= last), old.sel(time=old["time"] > last)
    # `joined` keeps the values of its second table: the import over the fetch over earlier fetches
    merged = joined(after, new, {"time": months}) if after.sizes["time"] else new
    merged = joined(merged, before, {"time": months}).assign_attrs(_credits(old, new))
    return schema.check_weather(schema.set_units(merged)), [_compared(before, new)]


def _credits(old: xr.Dataset, new: xr.Dataset) -> dict[str, str]:
    """Source, licence and attribution of both tables, each text once."""
    found = {}
    for name in ("source", "licence", "attribution"):
        texts = [str(ds.attrs[name]) for ds in (old, new) if ds.attrs.get(name)]
        if texts:
            found[name] = texts[0] if texts[-1] in texts[0] else "; ".join(texts)
    return found


def last_month(table: xr.Dataset) -> str:
    """Last month of a table of weather with a value, as 2023-12."""
    there = table[list(WEATHER)].to_array().notnull().any(("variable", "municipality")).values
    months = table["time"].values[there].astype("datetime64[M]")
    return str(months[-1]) if months.size else str(table["time"].values[0].astype("datetime64[M]") - 1)


def _compared(held: xr.Dataset, new: xr.Dataset) -> Note:
    """How far fetched weather differs from imported weather, in the months and places of both."""
    one, other = xr.align(held[list(WEATHER)], new[list(WEATHER)], join="inner")
    common = one["tmax_degC"].notnull() & other["tmax_degC"].notnull()
    months = int(common.any("municipality").sum())
    if not months:
        text = "no month in common with the imported weather: fetch one year of it too, to compare the two"
        return Note("weather", text, 0)
    apart = {n: float(abs(other[n] - one[n]).where(common).mean()) for n in ("tmax_degC", "tmin_degC")}
    rain = float(other["precipitation_mm"].where(common).sum() / one["precipitation_mm"].where(common).sum())
    text = (
        f"months in common with the imported weather: fetched tmax differs by {apart['tmax_degC']:.1f} and "
        f"tmin by {apart['tmin_degC']:.1f} degC on average, rain is {rain:.2f} times the imported"
    )
    if max(apart.values()) > _WARM_degC or not abs(rain - 1) <= _WET:
        text = f"WARNING: the sources differ, a model trained on one should not read the other: {text}"
    return Note("weather", text, months)


def without_soil(static: xr.Dataset) -> xr.Dataset:
    """The places without any value of soil."""
    held = [name for name in SOIL if name in static]
    if not held:
        return static
    empty = np.all([static[name].isnull().all("soil_layer").values for name in held], axis=0)
    return static.isel(municipality=np.flatnonzero(empty))


def refuse_other_soil(static: xr.Dataset, variables: Iterable[str], layers: Iterable[str]) -> None:
    """Check that a fetch brings every variable and layer of imported soil.

    Raises:
        ConfigError: it lacks some.
    """
    refuse_other_variables("soil", [name for name in SOIL if name in static], list(variables))
    refuse_other_variables("soil layers", static["soil_layer"].values.astype(str).tolist(), list(layers))


def continue_soil(static: xr.Dataset, soil: xr.Dataset) -> xr.Dataset:
    """The table of places with fetched soil where the imported one has none.

    Args:
        static: of the store, with soil; see `refuse_other_soil`.
        soil: (municipality, soil_layer) as fetched.
    """
    names, layers = [name for name in SOIL if name in static], static["soil_layer"].values
    full = soil[names].sel(soil_layer=layers).reindex(municipality=static["municipality"].values)
    filled = static.assign({n: static[n].fillna(full[n]).astype(np.float32) for n in names})
    return schema.check_static(schema.set_units(filled))
