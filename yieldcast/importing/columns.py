"""Import of a user's files: columns found by name and unit, and the log of an import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.importing.headings import column_of, key
from yieldcast.importing.numbers import numbers
from yieldcast.importing.units import conversion
from yieldcast.language import sentence
from yieldcast.variables import Column, Kind

Line = tuple[str, str, int]
"""One line of an import log: table, what was done, how many."""


@dataclass
class ImportLog:
    """What an import read, dropped and warns of; `sources` is an argument of `Store.write`.

    `places_without` has the codes of the places that a table lacks, see `data.missing.places_without`.
    """

    read: list[Line] = field(default_factory=list)
    dropped: list[Line] = field(default_factory=list)
    warnings: list[Line] = field(default_factory=list)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    places_without: dict[str, list[str]] = field(default_factory=dict)

    def extras(self, table: str, names: Sequence[str]) -> None:
        """Log columns that are not used."""
        if names:
            self.read.append(
                (table, sentence("columns not used: {names}", names=", ".join(names)), len(names))
            )


def shown(names: Iterable[object], most: int = 12) -> str:
    """Names for an error message: the first ones, and how many more."""
    texts = [str(name)[:60] for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def pick(columns: Iterable[str], names: Sequence[str], source: str, needed: bool = True) -> str | None:
    """The column with one of the names by `headings.key`; the first name has priority.

    Raises:
        SchemaError: no column although it is `needed`, or several with other than the first name.
    """
    columns = list(columns)
    found = [c for c in columns if c.lower() in names or key(c) in names]
    first = [c for c in found if names[0] in (c.lower(), key(c))]
    if len(first) == 1:
        return first[0]
    if len(found) > 1:
        raise SchemaError(
            f"{source}: expected one column of {shown(names)}, received {sorted(found)}",
            f"Name the right one {names[0]}.",
        )
    if needed and not found:
        raise SchemaError(
            f"{source}: expected a column {' or '.join(names[:6])}, received {shown(columns)}",
            f"Rename your column to {names[0]}.",
        )
    return found[0] if found else None


def quantities(columns: Iterable[str], kind: Kind, source: str) -> tuple[dict[str, Column], list[str]]:
    """Columns with quantities of one table, and the names of the others.

    Raises:
        SchemaError: a quantity of this table without its unit or layer, or twice.
    """
    found: dict[str, Column] = {}
    others: list[str] = []
    bases = tuple(q.base for q in variables.QUANTITIES.values() if q.kind == kind)
    for name in columns:
        try:
            column = column_of(name, kind)
            lacks_layer = (
                kind == "soil" and column is None and variables.resolve(f"{name}_0_30cm") is not None
            )
        except SchemaError as error:
            if kind not in ("yields", "soil") and not name.startswith(bases):
                others.append(name)
                continue
            raise SchemaError(f"{source}: {error}", error.hint) from error
        if lacks_layer:
            raise SchemaError(
                f"{source}: column {name!r}: expected a soil layer in its name, received none",
                f"Name it {name}_0_30cm, for example.",
            )
        if column is None or column.quantity.kind != kind:
            others.append(name)
            continue
        for other, known in found.items():
            if (known.quantity.name, known.layer) == (column.quantity.name, column.layer):
                raise SchemaError(f"{source}: {other!r} and {name!r} are the same quantity", "Keep one.")
        found[name] = column
    return found, others


def measured(
    frame: pd.DataFrame, name: str, column: Column, source: str, crop: pd.Series[str] | None = None
) -> NDArray[np.float64]:
    """A column of numbers in the unit of its quantity.

    Args:
        frame: texts, indexed by line.
        name: the column.
        column: what its name says.
        source: name of the file, for errors.
        crop: of each row, for units that depend on it.

    Raises:
        SchemaError: a text that is no number, a value out of range, or a unit that a crop does not have.
    """
    quantity = column.quantity
    factor = np.full(len(frame), column.factor)
    if column.unit and crop is not None:
        by_crop = {one: conversion(column.unit, quantity.units, one).factor for one in pd.unique(crop)}
        factor = crop.map(by_crop).to_numpy(dtype=np.float64)
    low, high = quantity.low / factor.min(), quantity.high / factor.min()
    values: NDArray[np.float64] = numbers(frame, name, source, low, high) * factor
    outside = ~((values >= quantity.low) & (values <= quantity.high)) & ~np.isnan(values)
    if outside.any():
        line = frame.index[int(np.argmax(outside))]
        raise SchemaError(
            f"{source}: line {line}, column {name!r}: expected {quantity.low:g} to {quantity.high:g} "
            f"{quantity.units}, received {values[outside][0]:g} {quantity.units} "
            f"({int(outside.sum())} such values)",
            "Is the unit in the name of the column right? Leave cells without a value empty.",
        )
    return values


def first_bytes(path: Path, table: str) -> bytes:
    """The first 64 bytes of a file.

    Raises:
        MissingDataError: it cannot be read.
        SchemaError: it is empty.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise MissingDataError(
            f"cannot read {path} ({table}): {error.strerror}", "Check the path and the permissions."
        ) from error
    if not start:
        raise SchemaError(f"{path} ({table}): the file is empty", "Copy or download it again.")
    return start


def looks_like(start: bytes) -> str:
    """The kind of a file by its first bytes, for an error message."""
    signatures = {
        b"\x89HDF": "netCDF-4 or HDF5",
        b"CDF": "netCDF-3",
        b"PK": "a zip or xlsx archive",
        b"\x1f\x8b": "gzip",
        b"<": "an HTML or XML page",
        b"GRIB": "GRIB",
        b"\xff\xfe": "UTF-16 text",
    }
    for signature, kind in signatures.items():
        if start.lstrip().startswith(signature):
            return kind
    return "text, perhaps CSV" if start.isascii() and b"\0" not in start else "unknown contents"
