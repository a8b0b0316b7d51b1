"""Columns of days as people write them: 2018-01-31, 31/01/2018, 20180131."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.importing.headings import key
from yieldcast.importing.numbers import MISSING

Days = NDArray[np.datetime64]
# Year first; day first (Brazil, Europe); month first (USA). A time of midnight may follow.
_FORMATS = (
    ("year first", r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"),
    ("year first", r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:\.0*)?"),
    ("day first", r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})"),
    ("month first", r"(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4})"),
)
_PORTUGUESE = frozenset(("data", "dia", "plantio", "semeadura", "colheita"))  # day first, always
_MIDNIGHT = r"(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?)?"
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def days_in(frame: pd.DataFrame, column: str, source: str, needed: bool = True) -> Days:
    """A column as datetime64[D], NaT where a cell is empty.

    All cells are read in one order of day, month and year. Where two orders fit all cells and give different
    days, the column is refused, unless its heading is Portuguese: then the day is first.

    Args:
        frame: texts, indexed by line.
        column: its name.
        source: name of the file, for errors.
        needed: refuse empty cells.

    Raises:
        SchemaError: a text that is no day, an order that no cell tells, or an empty cell although `needed`.
    """
    texts = frame[column].str.strip()
    empty = texts.str.lower().isin(MISSING).to_numpy()
    days = np.full(len(texts), np.datetime64("NaT"), dtype="datetime64[D]")
    if needed and empty.any():
        raise SchemaError(
            f"{source}: line {texts.index[int(np.argmax(empty))]}, column {column!r} is empty "
            f"({int(empty.sum())} such lines)",
            "Every row needs its day, as YYYY-MM-DD.",
        )
    place, unique = pd.factorize(texts[~empty])
    if len(unique):
        days[~empty] = _read(pd.Series(unique, dtype=object), texts[~empty], column, source)[place]
    return days


def refuse_future(days: Days, lines: Sequence[int], column: str, source: str, today: dt.date) -> None:
    """Raise SchemaError where a day of an observation is after today."""
    late = days > np.datetime64(today, "D")
    if late.any():
        k = int(np.argmax(late))
        raise SchemaError(
            f"{source}: line {lines[k]}, column {column!r}: expected days until today, {today}, received "
            f"{days[k]} ({int(late.sum())} such lines)",
            "Nobody has observed it yet: is the year or the order of day and month right?",
        )


def _read(unique: pd.Series[str], texts: pd.Series[str], column: str, source: str) -> Days:
    """Days of different texts."""
    readings: dict[str, Days] = {}
    for order, pattern in _FORMATS:
        parts = unique.str.extract(f"^{pattern}{_MIDNIGHT}$")
        found = pd.to_datetime(
            parts["y"] + "-" + parts["m"].str.zfill(2) + "-" + parts["d"].str.zfill(2),
            format="%Y-%m-%d",
            errors="coerce",
        )
        inside = found.dt.year.between(_FIRST_YEAR, _LAST_YEAR)
        days = found.where(inside).to_numpy(dtype="datetime64[D]")
        known = readings.get(order)
        readings[order] = days if known is None else np.where(np.isnat(known), days, known)
    whole = {order: days for order, days in readings.items() if not np.isnat(days).any()}
    if not whole:
        best = max(readings.values(), key=lambda days: int((~np.isnat(days)).sum()))
        bad = unique[np.isnat(best)].iloc[0]
        wrong = texts.isin(unique[np.isnat(best)])
        raise SchemaError(
            f"{source}: line {texts.index[int(np.argmax(texts == bad))]}, column {column!r}: expected a day, "
            f"received {bad[:40]!r} ({int(wrong.sum())} such lines)",
            "Write all days of the column as YYYY-MM-DD.",
        )
    if _PORTUGUESE & set(key(column).split("_")) and "day first" in whole:
        return whole["day first"]
    (first, one), *others = whole.items()
    for other, days in others:
        if (one != days).any():
            k = int(np.argmax(one != days))
            raise SchemaError(
                f"{source}: column {column!r}: {unique.iloc[k]!r} is {one[k]} ({first}) or {days[k]} "
                f"({other}), and no other cell of the column tells",
                "Write the days as YYYY-MM-DD.",
            )
    return one
