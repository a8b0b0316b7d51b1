"""Numbers as people write them, with the decimal sign and the sign between thousands of their column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.errors import SchemaError

# Cells without a value, in lower case; #N/D is the Portuguese #N/A of spreadsheets.
MISSING = frozenset(
    ("", "na", "n/a", "nan", "null", "none", "<na>", "nd", "n/d", "n.d.", "s/d", "#n/a", "#n/d", "#null!")
)
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ")
_PLAIN = str.maketrans({**_SPACES, ord("\u2212"): "-", ord("\u2019"): "'"})
_SLACK = 1e-9  # of a limit that was itself converted


class Exact(str):
    """A number that a program wrote (a cell of a spreadsheet, JSON): its point is the decimal sign."""

    __slots__ = ()


class Convention(NamedTuple):
    """Signs of a notation.

    Args:
        decimal: before the decimals.
        thousands: between groups of three digits, which may also be left out.
    """

    decimal: str
    thousands: str

    def values(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Numbers of the texts, NaN where a text is none in this notation."""
        whole = rf"[0-9]+|[1-9][0-9]{{0,2}}(?:{re.escape(self.thousands)}[0-9]{{3}})+"
        point = re.escape(self.decimal)
        number = re.compile(
            rf"[+-]?(?:(?:{whole})(?:{point}[0-9]*)?|{point}[0-9]+|[0-9]+(?:{point}[0-9]*)?[eE][+-]?[0-9]+)"
        )
        found = [
            float(text.replace(self.thousands, "").replace(self.decimal, "."))
            if number.fullmatch(text)
            else np.nan
            for text in texts
        ]
        values = np.array(found, dtype=np.float64)
        return np.where(np.isfinite(values), values, np.nan)


CONVENTIONS = tuple(Convention(d, t) for d in ".," for t in (",", ".", " ", "'") if d != t)
_NAMES = {".": "point", ",": "comma"}


def numbers(
    frame: pd.DataFrame, name: str, source: str, low: float = -np.inf, high: float = np.inf
) -> NDArray[np.float64]:
    """A column as numbers, NaN where empty or NA.

    The notation is the one in which every cell is a number from `low` to `high`. Several notations are
    accepted if all give the same values, so that ``600.000`` alone in a column is refused.

    Args:
        frame: texts, indexed by line.
        name: the column.
        source: name of the file, for errors.
        low, high: range of the values, used only to tell notations apart.

    Raises:
        SchemaError: a text that is no number, cells in different notations, or more than one reading.
    """
    cells = frame[name]
    exact = np.array([isinstance(cell, Exact) for cell in cells], dtype=bool)
    texts = cells.str.translate(_PLAIN).str.strip()
    missing = texts.str.lower().isin(MISSING).to_numpy()
    values = np.full(len(texts), np.nan)
    values[exact] = pd.to_numeric(texts[exact], errors="coerce")
    asked = texts[~exact & ~missing]
    values[~exact & ~missing] = _quick(asked) if _is_quick(asked) else _read(asked, name, source, low, high)
    if (bad := exact & ~missing & ~np.isfinite(values)).any():
        raise _no_number(texts[bad], name, source)
    return values


def _is_quick(texts: pd.Series[str]) -> bool:
    """Whether a decimal point, and no other sign, is the only reading of every cell."""
    if not texts.str.fullmatch(r"[+-]?[0-9]*\.?[0-9]*(?:[0-9][eE][+-]?[0-9]+)?").all():
        return False
    pointed = texts[texts.str.contains(".", regex=False)]
    numeric = np.isfinite(pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)).all()
    return bool(numeric) and (pointed.empty or not pointed.str.fullmatch(_GROUPED).all())


def _quick(texts: pd.Series[str]) -> NDArray[np.float64]:
    return np.array(pd.to_numeric(texts), dtype=np.float64)


def _read(texts: pd.Series[str], name: str, source: str, low: float, high: float) -> NDArray[np.float64]:
    places, unique = pd.factorize(texts)
    readings = {convention: convention.values(list(unique)) for convention in CONVENTIONS}
    whole = {c: values for c, values in readings.items() if not np.isnan(values).any()}
    if not whole:
        raise _mixed(texts, places, readings, name, source)
    slack = [_SLACK * abs(limit) if np.isfinite(limit) else 0.0 for limit in (low, high)]
    inside = {
        c: v for c, v in whole.items() if ((v >= low - slack[0]) & (v <= high + slack[1])).all()
    } or whole
    first, *others = inside.items()
    for convention, values in others:
        different = np.flatnonzero(values[places] != first[1][places])
        if len(different):
            one = int(different[0])
            k = places[one]
            both = ((first[0], first[1][k]), (convention, values[k]))
            raise _ambiguous(texts.iloc[[one]], both, name, source)
    found: NDArray[np.float64] = first[1][places]
    return found


def _no_number(bad: pd.Series[str], name: str, source: str, hint: str = "") -> SchemaError:
    return SchemaError(
        f"{source}: line {bad.index[0]}, column {name!r}: expected a number, received {bad.iloc[0][:60]!r} "
        f"({len(bad)} such cells)",
        hint or "Write a number, or leave the cell empty if there is no value.",
    )


def _mixed(
    texts: pd.Series[str],
    places: NDArray[np.intp],
    readings: dict[Convention, NDArray[np.float64]],
    name: str,
    source: str,
) -> SchemaError:
    """The error for a text that is no number in any notation, else for one that is not in that of most."""
    in_none: NDArray[np.bool_] = np.all(np.isnan(np.stack(list(readings.values()))), axis=0)
    none = in_none[places]
    if none.any():
        return _no_number(texts[none], name, source)
    convention = max(readings, key=lambda c: int((~np.isnan(readings[c][places])).sum()))
    other = np.isnan(readings[convention][places])
    return _no_number(
        texts[other],
        name,
        source,
        f"Decimals are written with a {_NAMES[convention.decimal]} in the other cells of the column. Write "
        "all its numbers in one way, or leave the cell empty if there is no value.",
    )


def _ambiguous(
    cell: pd.Series[str], readings: tuple[tuple[Convention, float], ...], name: str, source: str
) -> SchemaError:
    said = " or ".join(f"{value:.10g} (decimal {_NAMES[signs.decimal]})" for signs, value in readings)
    return SchemaError(
        f"{source}: line {cell.index[0]}, column {name!r}: {cell.iloc[0]!r} is {said}: decimal sign or "
        "thousands? No other cell of the column tells",
        "Write the numbers of the column without signs between thousands, and decimals with fewer or more "
        f"than three digits: {' or '.join(f'{value:.10g}' for _, value in readings)}.",
    )
