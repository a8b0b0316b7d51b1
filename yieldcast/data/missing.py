"""Places that lack a table, and years that no place has: counted and named for people and programs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.data.store import Tables

NAMED = 5  # places in one message


def first_names(names: Sequence[object], most: int = NAMED) -> str:
    """The first names, and how many more there are: "1100015, 1100023 and 7 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def places_without(tables: Tables) -> dict[str, list[str]]:
    """Codes of the places that have no value at all in a table, in the order of the places.

    Args:
        tables: places with soil, weather and yields.

    Returns:
        by "weather" (a month with all variables), "yields" and, if any place has it, "soil"; only tables that
        some place lacks.
    """
    static, weather, yields = tables
    soil = [static[name] for name in variables.SOIL if name in static]
    known = {
        "weather": _places(weather, [weather[name] for name in variables.WEATHER], every=True),
        "yields": _places(yields, [yields["yield_kg_ha"]]),
        "soil": _places(static, soil) if soil else static["municipality"].values,
    }
    lacking = {table: ~np.isin(static["municipality"].values, have) for table, have in known.items()}
    codes = static["code"].values.astype(str)
    return {table: codes[gone].tolist() for table, gone in lacking.items() if gone.any()}


def _places(ds: xr.Dataset, arrays: Sequence[xr.DataArray], every: bool = False) -> NDArray[np.int32]:
    """Numbers of the places of a table with a value of any of the arrays, or of all at the same time."""
    values = [array.notnull() for array in arrays]
    held = values[0]
    for more in values[1:]:
        held = held & more if every else held | more
    rows = held.any([dim for dim in held.dims if dim != "municipality"]).values
    numbers: NDArray[np.int32] = ds["municipality"].values[rows]
    return numbers
