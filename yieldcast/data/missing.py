"""Places that lack a table, and years that no place has: counted and named for people and programs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.language import sentence

NAMED = 5  # places in one message


def first_names(names: Sequence[object], between: str = ", ") -> str:
    """The first names, and how many more there are: "1100015, 1100023 and 7 more"."""
    first = between.join(map(str, names[:NAMED]))
    return sentence("{names} and {n} more", names=first, n=len(names) - NAMED) if names[NAMED:] else first


def places_without(
    static: xr.Dataset, weather: xr.Dataset | None = None, yields: xr.Dataset | None = None
) -> dict[str, list[str]]:
    """Codes of the places that have no value at all in a table, in the order of the places.

    Args:
        static: places, with soil if there is any.
        weather, yields: the other tables, if they are known.

    Returns:
        by "weather" (no month with all variables), "yields" and, if any place has it, "soil"; only tables
        that some place lacks.
    """
    known = {}
    if weather is not None:
        known["weather"] = _places(weather, [weather[name] for name in variables.WEATHER], every=True)
    if yields is not None:
        known["yields"] = _places(yields, [yields["yield_kg_ha"]])
    if soil := [static[name] for name in variables.SOIL if name in static]:
        known["soil"] = _places(static, soil)
    lacking = {table: ~np.isin(static["municipality"].values, have) for table, have in known.items()}
    codes = static["code"].values.astype(str)
    return {table: codes[gone].tolist() for table, gone in lacking.items() if gone.any()}


def places_with_gaps(static: xr.Dataset, weather: xr.Dataset) -> list[str]:
    """Codes of the places that have weather in some months, and none in others that some place has.

    Args:
        static, weather: tables.
    """
    empty = np.isnan(np.stack([weather[name].values for name in variables.WEATHER])).any(axis=0)
    empty = empty[:, ~empty.all(axis=0)]
    gaps = weather["municipality"].values[empty.any(axis=1) & ~empty.all(axis=1)]
    codes: NDArray[np.str_] = static["code"].values.astype(str)[np.isin(static["municipality"].values, gaps)]
    return [str(code) for code in codes]


def _places(ds: xr.Dataset, arrays: Sequence[xr.DataArray], every: bool = False) -> NDArray[np.int32]:
    """Numbers of the places of a table with a value of any of the arrays, or of all at the same time."""
    values = [array.notnull() for array in arrays]
    held = values[0]
    for more in values[1:]:
        held = held & more if every else held | more
    rows = held.any([dim for dim in held.dims if dim != "municipality"]).values
    numbers: NDArray[np.int32] = ds["municipality"].values[rows]
    return numbers
