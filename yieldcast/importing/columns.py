"""Import of a user's files: columns found by name and unit, places by code, and the log of an import."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.variables import Column, Kind

Line = tuple[str, str, int]
"""One line of an import log: table, what was done, how many."""
MISSING = ("", "na", "n/a", "nan", "null", "none")


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
            self.read.append((table, f"columns not used: {', '.join(names)}", len(names)))


def shown(names: Iterable[object], most: int = 12) -> str:
    """Names for an error message: the first ones, and how many more."""
    texts = [str(name)[:60] for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def pick(columns: Iterable[str], names: Sequence[str], source: str, needed: bool = True) -> str | None:
    """The column with one of the names, in upper or lower case; the first name has priority.

    Raises:
        SchemaError: no column although it is `needed`, or several with other than the first name.
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
    """Columns with quantities of one table, and the names of the others.

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


def numbers(frame: pd.DataFrame, name: str, source: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where empty or NA; SchemaError for a text that is not a number."""
    texts = frame[name]
    values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values) & ~texts.str.lower().isin(MISSING).to_numpy()
    if bad.any():
        text = texts.iloc[int(np.argmax(bad))]
        comma = " Decimals are written with a point." if "," in text else ""
        raise SchemaError(
            f"{source}: line {frame.index[int(np.argmax(bad))]}, column {name!r}: expected a number, "
            f"received {text[:60]!r} ({int(bad.sum())} such cells)",
            f"Write a number, or leave the cell empty if there is no value.{comma}",
        )
    return np.where(np.isfinite(values), values, np.nan)


def measured(frame: pd.DataFrame, name: str, column: Column, source: str) -> NDArray[np.float64]:
    """A column of numbers in the unit of its quantity; SchemaError when a value is out of range."""
    quantity = column.quantity
    values = numbers(frame, name, source) * column.factor
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


def read_csv(path: Path, table: str) -> pd.DataFrame:
    """Read a CSV (``,``, ``;`` or tab; plain or gzip; UTF-8) as stripped texts, indexed by line number.

    Raises:
        MissingDataError: no such file.
        SchemaError: empty, not a CSV, not UTF-8, lines of different length, a column twice.
    """
    text = _decode(path, table)
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:  # not the reader of pandas, which completes short lines without an error
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise SchemaError(
            f"{path} ({table}): not a regular CSV: line {reader.line_num}: {error}", "Save it again as CSV."
        ) from error
    if len(lines) < 2:
        raise SchemaError(f"{path} ({table}): a header but no rows", "Is this the right file?")
    names = [name.strip() for name in lines.pop(0)[1]]
    uneven = [(number, len(row)) for number, row in lines if len(row) != len(names)]
    if uneven:
        raise SchemaError(
            f"{path} ({table}): expected {len(names)} columns as in the first line, received {uneven[0][1]} "
            f"on line {uneven[0][0]} ({len(uneven)} such lines)",
            "Is the file incomplete, or a text with commas without quotes? Save or download it again.",
        )
    twice = sorted({n for n in names if names.count(n) > 1 and n})
    if twice:
        raise SchemaError(f"{path} ({table}): column {twice[0]!r} occurs twice", "Keep one of them.")
    frame = pd.DataFrame([row for _, row in lines], index=[n for n, _ in lines], columns=names, dtype=object)
    return frame.apply(lambda column: column.str.strip())


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


def _decode(path: Path, table: str) -> str:
    start = first_bytes(path, table)
    zipped = start.startswith(b"\x1f\x8b")
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if zipped else content
        text = content.decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SchemaError(f"{path} ({table}): damaged gzip: {error}", "Copy or download it again.") from error
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"{path} ({table}): expected CSV in UTF-8, received {looks_like(start)}: {start[:24]!r}",
            "Save it as CSV in UTF-8.",
        ) from error
    except OSError as error:
        raise MissingDataError(f"cannot read {path} ({table}): {error}", "Check the disk.") from error
    if not text.strip() or "\0" in text or text.lstrip().startswith("<"):
        kind = "nothing" if not text.strip() else looks_like(content[:64])
        raise SchemaError(
            f"{path} ({table}): expected CSV, received {kind}: {content[:24]!r}", "Is it the right file?"
        )
    return text


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
