"""The rows that two models share: matched by crop, place, harvest year and date, with the same truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.evaluation.score_rows import CLASS, SAME_ROW, TRUTH, TRUTH_TOLERANCE_kg_ha, row_text


@dataclass(frozen=True)
class Pair:
    """The rows that two models share, in the same order.

    Args:
        a, b: rows of each.
        only_a, only_b: number of rows that only one of them has, which are left out.
    """

    a: pd.DataFrame
    b: pd.DataFrame
    only_a: int
    only_b: int


def of_crop(rows: pd.DataFrame, crop: str, name: str) -> pd.DataFrame:
    """The rows of one crop.

    Args:
        rows: of one model.
        crop: wanted; "" where the rows are of one only.
        name: of the model, for errors.

    Raises:
        ConfigError: no such crop, or several and none wanted.
    """
    known = sorted(set(rows["crop"]))
    if crop and crop not in known:
        raise ConfigError(f"{name} has no rows of {crop}, but of {_listed(known)}", "Give one of these.")
    if not crop and len(known) > 1:
        raise ConfigError(
            f"{name} has rows of several crops: {_listed(known)}",
            f"Errors of different crops do not mix: add --crop {known[0]}.",
        )
    return rows[rows["crop"] == crop] if crop else rows


def pair_rows(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str] = ("A", "B")) -> Pair:
    """Match the rows of two models by crop, place, harvest year and date.

    A file that says no crop, or no dates at all, is matched without them where that leaves no doubt.

    Args:
        a, b: rows of one model each, of `check_rows`.
        names: of the two, for errors.

    Raises:
        ConfigError: different crops.
        MissingDataError: no common rows.
        SchemaError: different yields, classes or states for the same row, or several rows of a place and year
            where only one file says their dates.
    """
    _check_crops(a, b, names)
    keys = [key for key in SAME_ROW if not ((a[key] == "").all() or (b[key] == "").all())]
    for table, name in ((a, names[0]), (b, names[1])):
        if table.duplicated(keys).any():
            twice = row_text(table[table.duplicated(keys)].iloc[0], SAME_ROW)
            raise SchemaError(
                f"expected one row of each place and year, received several in {name}, of which the other "
                f"file says neither crop nor date: {twice}",
                "Add the columns crop and as_of (YYYY-MM-DD) to both files.",
            )
    place_a, place_b = (pd.MultiIndex.from_frame(table[keys]) for table in (a, b))
    at = place_b.get_indexer(place_a)
    common = at >= 0
    if not common.any():
        raise MissingDataError(
            f"expected rows in both, received none: {names[0]} has {_span(a)}, {names[1]} has {_span(b)}",
            "Rows pair by crop, place, harvest year and date of the forecast: score both on the same ones.",
        )
    one = a[common].reset_index(drop=True)
    other = b.iloc[at[common]].reset_index(drop=True)
    _check_truths(one, other, names)
    return Pair(one, other, len(a) - len(one), len(b) - len(other))


def _check_crops(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str]) -> None:
    ours, theirs = set(a["crop"]), set(b["crop"])
    if not ours & theirs and {""} not in (ours, theirs):
        raise ConfigError(
            f"expected one crop, received {names[0]} of {_listed(ours)} and {names[1]} of {_listed(theirs)}",
            "Compare two models of the same crop.",
        )


def _check_truths(one: pd.DataFrame, other: pd.DataFrame, names: tuple[str, str]) -> None:
    apart = (one[TRUTH] - other[TRUTH]).abs() > TRUTH_TOLERANCE_kg_ha
    classes = (one[CLASS] != other[CLASS]) & (one[CLASS] != "") & (other[CLASS] != "")
    states = (one["state"] != other["state"]) & (one["state"] != "") & (other["state"] != "")
    for wrong, column, hint in (
        (apart, TRUTH, "Score both against the same store: the yields of one were revised."),
        (classes, CLASS, "Score both with the same classes: the same --threshold or the same terciles."),
        (states, "state", "Score both on the same places."),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise SchemaError(
                f"expected the same {column} for the same row, received {one[column].iloc[at]} in {names[0]} "
                f"and {other[column].iloc[at]} in {names[1]} for {row_text(one.iloc[at], SAME_ROW)} "
                f"({int(wrong.sum())} such rows)",
                hint,
            )


def _span(table: pd.DataFrame) -> str:
    years = f"harvest years {table['harvest_year'].min()} to {table['harvest_year'].max()}"
    dates = _listed(set(table["as_of"]) - {""})
    return f"{years}, dates {dates}, {table['municipality'].nunique()} places"


def _listed(values: Iterable[str], most: int = 4) -> str:
    found = sorted(value or "(no name)" for value in values)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "") or "none"
