"""Vegetation indices in their own scale, -1 to 1, from values that may be multiplied."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.headings import key
from yieldcast.language import message, sentence

# Marks of missing values: MOD13 (-3000 of an index times 10,000), HLS and others.
_MARKS = (-3000.0, -9999.0, -19999.0, -28672.0, -32768.0, 32767.0, -999.0, -99.0)
_TIMES_10000 = re.compile(r"(?:x|_|\b|\*)\s*(?:10[ ,.]?000|1e4)\b|0[.,]0001|1e-0?4", re.I)
_PER_CENT = re.compile(r"%|_pct\b|_percent\b|\(pct\)|per cent|por cento", re.I)
# The share of clear values that may lie outside of -1 to 1: reflectances below zero give some.
_STRAY = 0.01
_LEAST_SCALED, _MOST_SCALED = 1000.0, 10_000.0
_QUANTILE = 0.99


def index_of(heading: str) -> str | None:
    """The index that a heading names as one of its words: ``NDVI``, ``EVI (x10000)``, ``MOD13Q1_NDVI``."""
    words = key(heading).split("_")
    found = [index for index in ("ndvi", "evi") if index in words]
    return found[0] if len(found) == 1 else None


def unscaled(
    values: NDArray[np.float64],
    clear: NDArray[np.bool_],
    heading: str,
    source: str,
    report: ImportLog,
    table: str,
) -> NDArray[np.float64]:
    """An index from -1 to 1, NaN where missing.

    Values that are not clear and outside of this range become missing, as do the few clear ones that
    reflectances below zero give.

    Args:
        values: as in the file.
        clear: which observations saw the ground.
        heading: of the column, which may state a factor (x10000, %).
        source: name of the file, for errors.
        report, table: gets the factor and what became missing.

    Raises:
        SchemaError: a factor that heading and values do not make clear.
    """
    marks = np.isin(values, _MARKS)
    known = np.where(marks, np.nan, values)
    factor = _factor(known[~np.isnan(known)], heading, source)
    if factor != 1.0:
        text = message("{heading} multiplied by {factor}")
        times = format(factor, "g")
        report.read.append((table, sentence(text, heading=heading, factor=times), len(values)))
    if marks.any():
        text = message("{heading}: marks of missing values, such as {mark}")
        line = sentence(text, heading=heading, mark=format(values[marks][0], "g"))
        report.read.append((table, line, int(marks.sum())))
    known = known * factor
    outside = np.abs(known) > 1.0
    stray = outside & clear
    if stray.sum() > _STRAY * max(1, int((clear & ~np.isnan(known)).sum())):
        raise SchemaError(
            f"{source}: column {heading!r}: expected clear values from -1 to 1, received "
            f"{known[stray][0]:g} ({int(stray.sum())} such values)",
            "Is it an index of vegetation, and are its flags right?",
        )
    if outside.any():
        text = message("{heading} outside of -1 to 1, set to missing")
        report.warnings.append((table, sentence(text, heading=heading), int(outside.sum())))
    return np.where(outside, np.nan, known)


def _factor(known: NDArray[np.float64], heading: str, source: str) -> float:
    """From the values of a column to the index."""
    stated = 1e-4 if _TIMES_10000.search(heading) else 0.01 if _PER_CENT.search(heading) else 0.0
    size = np.abs(known)
    if not len(size):
        return stated or 1.0
    top, whole = float(np.quantile(size, _QUANTILE)), bool((known == np.floor(known)).all())
    if stated:
        if top <= 1.0 and not whole:
            raise _unclear(heading, source, known, f"the heading states a factor of {stated:g}")
        return stated
    if top <= 1.0:
        if whole and len(np.unique(known)) > 1:
            raise _unclear(heading, source, known, "all values are whole numbers")
        return 1.0
    if _LEAST_SCALED <= top <= _MOST_SCALED and size.max() <= -_MARKS[0] + _MOST_SCALED:
        return 1e-4
    raise _unclear(heading, source, known, "no factor is known for this range")


def _unclear(heading: str, source: str, known: NDArray[np.float64], why: str) -> SchemaError:
    return SchemaError(
        f"{source}: column {heading!r}: expected an index from -1 to 1, or 10,000 times that, received "
        f"{known.min():g} to {known.max():g}: {why}",
        "Convert it, or name the column with its factor: ndvi_x10000, ndvi_pct.",
    )
