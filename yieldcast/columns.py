"""A user's columns: found by name, read with their unit, and what was done with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.errors import SchemaError
from yieldcast.variables import Column, Kind

Line = tuple[str, str, int]
"""One line of a report: table, what happened, how many."""
# The first name wins where a file has several.
CODES = ("municipality_code", "municipality", "code", "codigo_ibge", "geocode", "code_muni")
MISSING = ("", "na", "n/a", "nan", "null", "none")
_INT32_MAX = np.iinfo(np.int32).max


@dataclass
class ImportLog:
    """What an import read, dropped and found odd; `sources` belongs into `Store.write`."""

    read: list[Line] = field(default_factory=list)
    dropped: list[Line] = field(default_factory=list)
    warnings: list[Line] = field(default_factory=list)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)

    def extras(self, table: str, names: Sequence[str]) -> None:
        """Note columns that are not used."""
        if names:
            self.read.append((table, f"columns not used: {', '.join(names)}", len(names)))


class Codes:
    """Codes of places, text, and the int32 `municipality` each stands for, sorted by it.

    When every code is a plain whole number that fits int32 it is the municipality itself; otherwise
    (letters, leading zeros, too large) the municipalities are 1..N in the sorted order of the codes.

    Args:
        codes: every place's code, each once.
    """

    def __init__(self, codes: Iterable[str]) -> None:
        texts = list(codes)
        if all(t.isascii() and t.isdigit() and str(int(t)) == t and int(t) <= _INT32_MAX for t in texts):
            texts.sort(key=int)
            self.municipality = np.array([int(t) for t in texts], dtype=np.int32)
        else:
            texts.sort()
            self.municipality = np.arange(1, len(texts) + 1, dtype=np.int32)
        self.index = pd.Index(texts, dtype=object)

    def rows(self, codes: Sequence[str] | NDArray[Any], source: str) -> NDArray[np.intp]:
        """Position of each code in `municipality`; SchemaError when one is not a known place."""
        rows: NDArray[np.intp] = self.index.get_indexer(pd.Index(codes, dtype=object))
        unknown = pd.unique(np.asarray(codes, dtype=object)[rows < 0])
        if len(unknown):
            raise SchemaError(
                f"{source}: expected codes of the places table, received {len(unknown)} others: "
                f"{', '.join(map(repr, unknown[:5]))}{', ...' if len(unknown) > 5 else ''}",
                f"Add them to the places or drop them; leading zeros and '.0' count (places have codes "
                f"like {self.index[0]!r}).",
            )
        return rows


def shown(names: Iterable[object], most: int = 12) -> str:
    """Names for an error that must fit a screen: the first ones, and how many more."""
    texts = [str(name)[:60] for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def pick(columns: Iterable[str], names: Sequence[str], source: str, needed: bool = True) -> str | None:
    """The column that has one of the names (any case); the first name wins over the others.

    Raises:
        SchemaError: none and it is needed, or several of the other names.
    """
    found = {c.lower(): c for c in columns if c.lower() in names}
    if names[0] in found:
        return found[names[0]]
    if len(found) > 1:
        raise SchemaError(
            f"{source}: expected one column of {list(names)}, received {sorted(found.values())}",
            f"Name the right one {names[0]}.",
        )
    if needed and not found:
        raise SchemaError(
            f"{source}: expected a column {' or '.join(names)}, received {shown(columns)}",
            f"Rename your column to {names[0]}.",
        )
    return next(iter(found.values()), None)


def quantities(columns: Iterable[str], kind: Kind, source: str) -> tuple[dict[str, Column], list[str]]:
    """Columns that hold quantities of one table, and the others.

    Raises:
        SchemaError: a quantity of this table without its unit or layer, in a refused unit, or twice.
    """
    found: dict[str, Column] = {}
    others: list[str] = []
    bases = tuple(q.base for q in variables.QUANTITIES.values() if q.kind == kind)
    for name in columns:
        try:
            column = variables.resolve(name)
            lacks_layer = (
                kind == "soil" and column is None and variables.resolve(f"{name}_0_30cm") is not None
            )
        except SchemaError as error:
            if not name.startswith(bases):
                others.append(name)
                continue
            raise SchemaError(f"{source}: {error}", error.hint) from error
        if lacks_layer:
            raise SchemaError(f"{source}: column {name!r} does not say its layer", f"Name it {name}_0_30cm.")
        if column is None or column.quantity.kind != kind:
            others.append(name)
            continue
        for other, known in found.items():
            if (known.quantity.name, known.layer) == (column.quantity.name, column.layer):
                raise SchemaError(f"{source}: {other!r} and {name!r} are the same quantity", "Keep one.")
        found[name] = column
    return found, others


def codes_of(frame: pd.DataFrame, source: str) -> tuple[str, NDArray[Any]]:
    """The code column's name and its texts; SchemaError when one is empty."""
    name = str(pick(frame.columns, CODES, source))
    empty = frame.index[frame[name] == ""]
    if len(empty):
        raise SchemaError(
            f"{source}: line {empty[0]}, column {name!r} is empty ({len(empty)} such lines)",
            "Every row needs its code.",
        )
    return name, frame[name].to_numpy(dtype=object)


def numbers(frame: pd.DataFrame, name: str, source: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where empty or NA; SchemaError at the first text that is no number."""
    texts = frame[name]
    values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values) & ~texts.str.lower().isin(MISSING).to_numpy()
    if bad.any():
        text = texts.iloc[int(np.argmax(bad))]
        comma = " Decimals are written with a point." if "," in text else ""
        raise SchemaError(
            f"{source}: line {frame.index[int(np.argmax(bad))]}, column {name!r}: expected a number, "
            f"received {text[:60]!r} ({int(bad.sum())} such cells)",
            f"Write a number, or leave the cell empty where there is no value.{comma}",
        )
    return np.where(np.isfinite(values), values, np.nan)


def measured(frame: pd.DataFrame, name: str, column: Column, source: str) -> NDArray[np.float64]:
    """A column in the unit of its quantity; SchemaError when a value is out of range."""
    quantity = column.quantity
    values = numbers(frame, name, source) * column.factor
    outside = ~((values >= quantity.low) & (values <= quantity.high)) & ~np.isnan(values)
    if outside.any():
        line = frame.index[int(np.argmax(outside))]
        raise SchemaError(
            f"{source}: line {line}, column {name!r}: expected {quantity.low:g} to {quantity.high:g} "
            f"{quantity.units}, received {values[outside][0]:g} {quantity.units} "
            f"({int(outside.sum())} such values)",
            "Is the unit in the column's name right? Missing values are left empty.",
        )
    return values
