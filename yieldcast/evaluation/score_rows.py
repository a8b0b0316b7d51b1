"""Scores row by row: what each model said of each place and season on a date, beside what was harvested.

A file of such rows is a CSV (``.csv`` or ``.csv.gz``). ``yieldcast evaluate`` writes one beside its JSON,
``yieldcast backtest`` into its folder; ``yieldcast compare`` reads them, also those of other programs.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.data.files import atomic_write
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.metrics import Floats
from yieldcast.forecasting.table import QUANTILES
from yieldcast.risk.classes import THREE, TWO

KEYS = ("model", "crop", "municipality", "harvest_year", "as_of", "state")
TRUTH, FORECAST = "yield_kg_ha", "forecast_kg_ha"
QUANTILE_COLUMNS = tuple(f"q{100 * level:02.0f}" for level in QUANTILES)
CLASS, PREDICTED = "class", "predicted_class"
PROBABILITIES = tuple(f"p_{name}" for name in THREE)
_COLUMNS = (*KEYS, TRUTH, FORECAST, *QUANTILE_COLUMNS, CLASS, PREDICTED, *PROBABILITIES)
# What a file may leave out, and what then stands there: one model, one crop, dates and states unknown.
_OPTIONAL_KEYS = {"model": "forecast", "crop": "", "as_of": "", "state": ""}
_NUMBERS = ("municipality", "harvest_year", TRUTH, FORECAST, *QUANTILE_COLUMNS, *PROBABILITIES)
# A row is the same row in two files if these are equal.
SAME_ROW = ("crop", "municipality", "harvest_year", "as_of")
DECIMALS, SHARE_DECIMALS = 2, 6  # of kg/ha and of probabilities
TRUTH_TOLERANCE_kg_ha = 0.02  # both files may have rounded the same yield to two decimals
SUM_TOLERANCE = 1e-3  # of probabilities, which other programs may round to three decimals


@dataclass(frozen=True)
class ScoredPlaces:
    """The rows that several models forecast, and what was harvested.

    Args:
        crop: name.
        municipality: (row,) codes of the places.
        harvest_year: (row,) years.
        as_of: (row,) datetime64[D] of the forecast, or one date for all rows.
        state: (row,) names.
        yield_kg_ha: (row,) harvested yields, kg/ha.
        classes: (row,) positions in `class_names`, -1 unknown; None without classes.
        class_names: "low", "medium", "high"; or "low", "not_low".
    """

    crop: str
    municipality: NDArray[Any]
    harvest_year: NDArray[Any]
    as_of: NDArray[np.datetime64] | np.datetime64
    state: NDArray[Any]
    yield_kg_ha: Floats
    classes: NDArray[Any] | None = None
    class_names: tuple[str, ...] = THREE


@dataclass(frozen=True)
class Said:
    """What one model says of the rows; None where it says nothing of the kind.

    Args:
        point: (row,) kg/ha.
        quantiles: (row, quantile) kg/ha at `QUANTILES`.
        classes: (row,) positions in the names of the classes.
        probabilities: (row, class) shares that add up to 1; of two classes the file keeps the first.
    """

    point: Floats | None = None
    quantiles: Floats | None = None
    classes: NDArray[Any] | None = None
    probabilities: Floats | None = None


def score_table(places: ScoredPlaces, models: Mapping[str, Said]) -> pd.DataFrame:
    """Rows of all models, model after model.

    Args:
        places: what is forecast.
        models: name -> what the model says of the same rows.
    """
    count = len(places.municipality)
    keys = {
        "crop": places.crop, "municipality": places.municipality, "harvest_year": places.harvest_year,
        "as_of": np.broadcast_to(places.as_of, count).astype("datetime64[D]").astype(str),
        "state": places.state, TRUTH: places.yield_kg_ha,
        CLASS: _names(places.classes, places.class_names, count),
    }  # fmt: skip
    parts = []
    for name, said in models.items():
        own: dict[str, Any] = {"model": name, FORECAST: np.nan if said.point is None else said.point}
        own |= _columns(QUANTILE_COLUMNS, said.quantiles) | _columns(PROBABILITIES, said.probabilities)
        own[PREDICTED] = _names(said.classes, places.class_names, count)
        parts.append(pd.DataFrame({**keys, **own}))
    return pd.concat(parts, ignore_index=True)[list(_COLUMNS)]


def _names(classes: NDArray[Any] | None, names: tuple[str, ...], count: int) -> NDArray[Any]:
    if classes is None:
        return np.full(count, "")
    found: NDArray[Any] = np.array([*names, ""])[np.asarray(classes, dtype=int)]
    return found  # -1 is unknown: the last, empty


def _columns(names: Sequence[str], values: Floats | None) -> dict[str, Any]:
    if values is None:
        return dict.fromkeys(names, np.nan)
    of_two = len(values.T) < len(names)
    return {name: np.nan if of_two and k else values[:, k] for k, name in enumerate(names)}


def write_rows(path: Path, tables: Iterable[pd.DataFrame]) -> None:
    """Write tables one after the other into one file; ``.gz`` in the name compresses it.

    Columns that no row needs (intervals, classes) are left out. The same rows give the same bytes.

    Args:
        path: ends in ``.csv`` or ``.csv.gz``.
        tables: of `score_table` or `read_rows`.

    Raises:
        MissingDataError: the disk refuses.
    """
    table = pd.concat(list(tables), ignore_index=True)
    kept = [name for name in table.columns if name in (*KEYS, TRUTH, FORECAST) or _has_values(table[name])]
    table = table[kept].copy()
    for name in kept:
        if name in _NUMBERS[2:]:
            table[name] = table[name].round(SHARE_DECIMALS if name in PROBABILITIES else DECIMALS)
    text = table.to_csv(index=False, lineterminator="\n").encode()
    content = gzip.compress(text, compresslevel=6, mtime=0) if path.suffix == ".gz" else text
    atomic_write(path, lambda temporary: temporary.write_bytes(content))


def _has_values(column: Any) -> bool:
    return bool(column.notna().any() if column.dtype.kind == "f" else (column != "").any())


def read_rows(path: Path) -> pd.DataFrame:
    """Read and check a file of rows; columns in any order, others are ignored.

    Args:
        path: ends in ``.csv`` or ``.csv.gz``.

    Raises:
        MissingDataError: the file cannot be read.
        SchemaError: see `check_rows`.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        text = content.decode("utf-8-sig")
    except (OSError, EOFError) as error:
        raise MissingDataError(f"cannot read {path}: {error}", "Give a .csv or .csv.gz file.") from error
    except UnicodeDecodeError as error:
        raise SchemaError(f"{path}: expected a CSV in UTF-8, received other bytes", _HINT) from error
    try:
        table = pd.read_csv(io.StringIO(text), header=None, dtype=str, keep_default_na=False)
    except ValueError as error:  # of pandas' parser, empty files too
        raise SchemaError(f"{path}: expected a CSV of rows, received {error}", _HINT) from error
    heads = table.iloc[0].str.strip().tolist()
    if len(set(heads)) < len(heads):
        raise SchemaError(f"{path}: expected different columns, received {', '.join(heads)}", _HINT)
    table = table.iloc[1:].set_axis(heads, axis=1).reset_index(drop=True)
    return check_rows(table, str(path))


_HINT = (
    "Needed are municipality, harvest_year, and yield_kg_ha with forecast_kg_ha or class with "
    "predicted_class; model, crop, as_of, state, q05 to q95 and p_low, p_medium, p_high may be there too."
)


def check_rows(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows with all columns of the contract, numbers as numbers; NaN and "" where a column lacks.

    Args:
        table: columns as text or numbers.
        name: of the file, for errors.

    Raises:
        SchemaError: a needed column lacks, a value is no number or out of its range, a row is there twice,
            or the same place and harvest year has two different yields or classes.
        MissingDataError: no rows.
    """
    table = table[[column for column in _COLUMNS if column in table.columns]].copy()
    _check_columns(table, name)
    for column in _NUMBERS:
        if column in table.columns:
            table[column] = _numbers(table[column], column, name)
    for column in _COLUMNS:
        if column not in table.columns:
            table[column] = np.nan if column in _NUMBERS else _OPTIONAL_KEYS.get(column, "")
        elif column not in _NUMBERS:
            table[column] = table[column].astype(str).str.strip()
    for column in (CLASS, PREDICTED):
        table[column] = _class_names(table[column], column, name)
    _check_dates(table, name)
    for column in ("municipality", "harvest_year"):
        table[column] = table[column].astype(np.int64)
    for column in ("model", "crop", "as_of", "state", CLASS, PREDICTED):
        table[column] = table[column].astype(object)
    _check_repeats(table, name)
    _check_probabilities(table, name)
    return table[list(_COLUMNS)]


def _check_columns(table: pd.DataFrame, name: str) -> None:
    have = set(table.columns)
    lost = sorted({"municipality", "harvest_year"} - have)
    if not ({TRUTH, FORECAST} <= have or {CLASS, PREDICTED} <= have):
        lost += [f"{TRUTH} and {FORECAST}, or {CLASS} and {PREDICTED}"]
    for group in (QUANTILE_COLUMNS, PROBABILITIES[1:]):
        if have & set(group):
            lost += [column for column in group if column not in have]
    if lost:
        raise SchemaError(f"{name}: expected rows of scores, received none of {', '.join(lost)}", _HINT)
    if not len(table):
        raise MissingDataError(
            f"{name}: expected rows to compare, received none", "Choose years with yields."
        )


def _numbers(column: Any, what: str, name: str) -> Any:
    text = column.astype(str).str.strip()
    empty = column.isna() | (text == "")
    values = pd.to_numeric(text.where(~empty), errors="coerce").astype(np.float64)
    needed = what in ("municipality", "harvest_year")
    wrong = ~np.isfinite(values) & (~empty | needed)
    if needed:
        wrong |= values != values.round()
    else:
        wrong |= values < 0 if what != FORECAST else False
        wrong |= values > 1 if what in PROBABILITIES else False
    _refuse(wrong, text, name, f"{what}: expected {'a whole number' if needed else _range(what)}")
    return values


def _range(what: str) -> str:
    return (
        "a share from 0 to 1"
        if what in PROBABILITIES
        else "kg/ha, a number" + ("" if what == FORECAST else " of 0 or more")
    )


def _class_names(column: Any, what: str, name: str) -> Any:
    text = column.str.lower()
    _refuse(~text.isin(["", *THREE, *TWO]), column, name, f"{what}: expected low, medium, high or not_low")
    return text


def _check_dates(table: pd.DataFrame, name: str) -> None:
    dates = table["as_of"]
    wrong = (dates != "") & pd.to_datetime(dates, format="%Y-%m-%d", errors="coerce").isna()
    _refuse(wrong, dates, name, "as_of: expected a date YYYY-MM-DD")


def _check_repeats(table: pd.DataFrame, name: str) -> None:
    keys = ["model", *SAME_ROW]
    twice = table.duplicated(keys)
    if twice.any():
        raise SchemaError(
            f"{name}: expected each row once, received {row_text(table[twice].iloc[0], keys)} twice "
            f"({int(twice.sum())} such rows)",
            "A row is one model, crop, place, harvest year and date.",
        )
    yields = table.groupby(list(SAME_ROW[:3]), sort=False)[TRUTH].agg(["min", "max"])
    apart = yields[(yields["max"] - yields["min"]) > TRUTH_TOLERANCE_kg_ha]
    if len(apart):
        place = " ".join(map(str, apart.index[0]))
        raise SchemaError(
            f"{name}: expected one yield of a place and year, received {apart['min'].iloc[0]:g} and "
            f"{apart['max'].iloc[0]:g} kg/ha for {place} ({len(apart)} such places and years)",
            "All models must be scored against the same harvest.",
        )
    classes = table[table[CLASS] != ""].groupby(list(SAME_ROW), sort=False)[CLASS].nunique()
    if (classes > 1).any():
        place = " ".join(map(str, classes.index[classes > 1][0]))
        raise SchemaError(
            f"{name}: expected one class of a place, year and date, received two for {place}",
            "All models must be scored against the same classes.",
        )


def _check_probabilities(table: pd.DataFrame, name: str) -> None:
    total = table[list(PROBABILITIES)].sum(axis=1, min_count=len(PROBABILITIES))
    wrong = (total - 1).abs() > SUM_TOLERANCE
    _refuse(wrong, total.map("{:g}".format), name, "p_low, p_medium, p_high: expected a sum of 1")


def _refuse(wrong: Any, values: Any, name: str, expected: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise SchemaError(
            f"{name}: {expected}, received {values.iloc[at]!r} in row {at + 1} of the data "
            f"({int(wrong.sum())} such rows)",
            _HINT,
        )


def row_text(row: Any, keys: Sequence[str]) -> str:
    """The keys of a row, for errors."""
    return " ".join(str(row[key]) for key in keys if str(row[key]))


def models_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the models, in the order of the file."""
    return tuple(table["model"].unique())
