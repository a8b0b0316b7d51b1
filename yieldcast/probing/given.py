"""Features of a user's own table: a CSV with a column of places, one of harvest years, and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.features.feature_rows import Feature, FeatureRows, Group

PLACE_COLUMNS = ("municipality", "field", "municipality_code", "field_id", "code", "place")
YEAR_COLUMN = "harvest_year"
CROP_COLUMN = "crop"
_VEGETATION = ("ndvi", "evi", "lai", "fapar", "savi")


@dataclass(frozen=True)
class GivenFeatures:
    """Columns of a table by place and harvest year.

    Args:
        municipality, harvest_year: (entry,) sorted by both, each pair once.
        names: of the columns.
        values: (entry, column), NaN = not known.
    """

    municipality: NDArray[np.int64]
    harvest_year: NDArray[np.int64]
    names: tuple[str, ...]
    values: NDArray[np.float64]

    def join(self, rows: FeatureRows) -> FeatureRows:
        """Rows with these features behind their own.

        Raises:
            SchemaError: a feature of this name exists, or no entry belongs to any row.
        """
        twice = sorted(set(self.names) & set(rows.names))
        if twice:
            raise SchemaError(
                f"--features: expected new names, received {', '.join(twice)}, which the rows already have",
                "Rename the column.",
            )
        key = _key(self.municipality, self.harvest_year)
        wanted = _key(rows.municipality.astype(np.int64), rows.harvest_year.astype(np.int64))
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        found = key[at] == wanted
        if not found.any():
            raise SchemaError(
                "--features: no line of the table has a place and harvest year of the rows under test",
                "Check codes and years against those of the store (yieldcast status).",
            )
        values = np.where(found[:, None], self.values[at], np.nan)
        features = tuple(Feature(name, _group(name), "1", "", name) for name in self.names)
        return replace(rows, values=np.hstack((rows.values, values)), features=(*rows.features, *features))


def _key(place: NDArray[np.int64], year: NDArray[np.int64]) -> NDArray[np.int64]:
    return place * 10_000 + year


def _group(name: str) -> Group:
    return "vegetation" if name.lower().startswith(_VEGETATION) else "weather"


def read_given(path: Path, static: xr.Dataset, crop: str) -> GivenFeatures:
    """Read a table of features.

    Args:
        path: a CSV (also .csv.gz) with a column of `PLACE_COLUMNS` that holds codes of the store, a column
            harvest_year, and one or more columns of numbers; with a column crop only its lines are read.
        static: places of the store.
        crop: the crop under test.

    Raises:
        MissingDataError: no such file.
        SchemaError: a column is missing or not of numbers, an unknown place, or a line twice.
    """
    if not path.is_file():
        raise MissingDataError(f"--features: no file {path}", "Give the path of a CSV.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise SchemaError(
            f"--features: {path} cannot be read as CSV: {error}", "Save it as UTF-8 CSV."
        ) from error
    table.columns = [str(name).strip() for name in table.columns]
    lower = {name.lower(): name for name in table.columns}
    place = next((lower[name] for name in PLACE_COLUMNS if name in lower), None)
    year = lower.get(YEAR_COLUMN)
    names = [n for n in table.columns if n not in (place, year) and n.lower() != CROP_COLUMN]
    if place is None or year is None or not names or len(lower) < len(table.columns):
        raise SchemaError(
            f"--features: expected different columns {' or '.join(PLACE_COLUMNS[:2])}, {YEAR_COLUMN} and one "
            f"or more features, received {', '.join(table.columns)}",
            "Name the columns so; a header in the first line.",
        )
    if CROP_COLUMN in lower:
        table = table[table[lower[CROP_COLUMN]].str.strip().str.lower() == crop]
    codes = _codes(table[place].str.strip().tolist(), static, place)
    years = _numbers(table[year], year, whole=True).astype(np.int64)
    values = np.stack([_numbers(table[name], name) for name in names], axis=1)
    order = np.lexsort((years, codes))
    codes, years, values = codes[order], years[order], values[order]
    same = np.flatnonzero((np.diff(codes) == 0) & (np.diff(years) == 0))
    if same.size:
        raise SchemaError(
            "--features: expected one line for each place and harvest year, received two of "
            f"{codes[same[0]]} in {years[same[0]]}",
            "Keep one of them.",
        )
    return GivenFeatures(codes, years, tuple(names), values)


def _codes(texts: Iterable[str], static: xr.Dataset, column: str) -> NDArray[np.int64]:
    """Codes of the store, from its texts or its numbers."""
    numbers = static["municipality"].values.tolist()
    known = {str(number): number for number in numbers}
    known |= dict(zip(static["code"].values.astype(str).tolist(), numbers, strict=True))
    found = [known.get(text) for text in texts]
    unknown = sorted({text for text, number in zip(texts, found, strict=True) if number is None})
    if unknown or not found:
        raise SchemaError(
            f"--features: column {column}: expected codes of the store, received "
            f"{', '.join(map(repr, unknown[:5])) or 'no line'}",
            "Write the codes as in the places of the store.",
        )
    return np.array(found, dtype=np.int64)


def _numbers(column: pd.Series, name: str, whole: bool = False) -> NDArray[np.float64]:
    """Numbers of a column; an empty cell or NaN is not known, which a whole number may not be."""
    texts = column.str.strip()
    empty = texts.isin(["", "NA", "NaN", "nan"])
    numbers: NDArray[np.float64] = pd.to_numeric(texts.where(~empty), errors="coerce").to_numpy(np.float64)
    bad = ~np.isfinite(numbers) & ~empty.to_numpy()
    if whole:
        bad = bad | ~(numbers == np.round(numbers))
    if bad.any():
        raise SchemaError(
            f"--features: column {name}: expected {'a year' if whole else 'a number'} in every line, "
            f"received {texts.iloc[int(np.argmax(bad))]!r} in line {int(np.argmax(bad)) + 2}",
            "Correct the cell, or leave it empty where the value is not known.",
        )
    return numbers
