"""A user's CSV of official yield estimates to the checked table."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.estimates import COUNTRY, KEY, TABLE, VALUES, estimates_table
from yieldcast.data.store import ESTIMATE_SOURCES
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog, pick, quantities
from yieldcast.importing.harvests import (
    check_magnitudes,
    crops_of,
    derive_yield,
    measured_or_symbol,
    years_of,
)
from yieldcast.importing.headings import CROP, PUBLIC, REFERENCE, UNIT, YEAR
from yieldcast.importing.layout import read_frame
from yieldcast.language import message, sentence
from yieldcast.variables import QUANTITIES, Column

# Names that a table may give to the whole country; a code of a state is never taken for it.
_COUNTRY_NAMES = ("country", "national", "br", "brasil", "brazil")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])(-\d\d)?")
# CONAB overwrites its last survey, the 12th, with the revised final figure (survey 99 is the series).
_LAST_VINTAGE = 11


def read_estimates(
    paths: Collection[Path], states: Collection[str], report: ImportLog, source: str | None = None
) -> xr.Dataset:
    """Read, convert and check official estimates, one row a crop, state, harvest year and month or survey.

    Columns: crop, harvest_year, state (or unit; "country" for a total), reference (or estimate_month, or
    survey), public_from (or published), yield, areas and production by name and unit; optionally source and
    retrieved. A plain area_ha is the planted area. Without a yield it is 1000 x production / area. IBGE's
    symbols are read: "-" is zero, but no yield; "..", "..." and "X" are unknown.

    Args:
        paths: CSV files, may be gzipped.
        states: codes of the store's states.
        report: gets what was read and left out.
        source: who published the estimates, for files without a column source; the first word of the file's
            name if None ("lspa" of lspa_state_monthly.csv.gz).

    Raises:
        MissingDataError: a file is missing or cannot be read.
        SchemaError: contents that break the contract, or a state that the store does not have.
    """
    frames = []
    for path in paths:
        frame = _read_file(Path(path), states, report, source)
        for name, count in frame["source"].value_counts().sort_index().items():
            facts = {"file": str(path), "bytes": Path(path).stat().st_size}
            report.sources[f"{ESTIMATE_SOURCES}{name}"] = facts
            report.read.append((TABLE, sentence("{name}: estimates", name=name), int(count)))
        frames.append(frame)
    if not frames:
        raise SchemaError("expected a file of estimates, received none", "Give it with --estimates.")
    whole = pd.concat(frames, ignore_index=True)
    values = [name for name in VALUES if name in whole]
    table = estimates_table(whole.drop_duplicates([*KEY, *values]))
    carried = int(table["carried_over"].values.sum())
    if carried:
        report.read.append((TABLE, message("equal to the estimate before, marked as carried over"), carried))
    return table


def _read_file(path: Path, states: Collection[str], report: ImportLog, source: str | None) -> pd.DataFrame:
    frame, file = read_frame(path, "yields", TABLE, report), str(path)
    names = [
        str(pick(frame.columns, options, file))
        for options in (CROP, YEAR, UNIT, REFERENCE, PUBLIC)
    ]  # fmt: skip
    crop, year, unit, reference, public = names
    made = pd.DataFrame(
        {
            "crop": crops_of(frame[crop], report, TABLE),
            "unit": _units(frame[unit], states, file),
            "harvest_year": years_of(frame, year, file, report, TABLE),
            "reference": _references(frame[reference], reference),
            "public_from": _dates(frame, public, file),
        }
    )
    made["reference_month"] = _months(made)
    for column, options in (("source", ("source",)), ("retrieved", ("retrieved", "fetched"))):
        name = pick(frame.columns, options, file, needed=False)
        names += [name] if name else []
        if column == "source":
            made[column] = frame[name] if name else source or re.split(r"[\W_]", path.name)[0].lower()
        elif name:
            made[column] = _dates(frame, name, file, needed=False)
    _refuse_empty(made, file)
    made = made.assign(**_values(frame, made["crop"], [c for c in frame if c not in names], file, report))
    return _kept(made, report)


def _units(texts: pd.Series[str], states: Collection[str], file: str) -> pd.Series[str]:
    national = ~texts.isin(list(states)) & texts.str.lower().isin(_COUNTRY_NAMES)
    units = texts.mask(national, COUNTRY)
    unknown = ~units.isin([*states, COUNTRY])
    if unknown.any():
        received = ", ".join(map(repr, pd.unique(units[unknown])[:5]))
        known = ", ".join(sorted(states))
        raise SchemaError(
            f"{file}: line {unknown.idxmax()}: expected a state of the store ({known}) or "
            f"{COUNTRY!r}, received {received} ({int(unknown.sum())} such lines)",
            "Use the codes of the states in the places file, or remove these lines.",
        )
    return units


def _references(texts: pd.Series[str], column: str) -> pd.Series[str]:
    return texts.where(~texts.str.isdecimal(), f"{column.lower()} " + texts)


def _dates(frame: pd.DataFrame, column: str, file: str, needed: bool = True) -> pd.Series[Any]:
    dates = pd.to_datetime(frame[column], format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    wrong = dates.isna() & (True if needed else frame[column].ne(""))
    if wrong.any():
        raise SchemaError(
            f"{file}: line {wrong.idxmax()}, column {column!r}: expected a date as YYYY-MM-DD, "
            f"received {frame[column][wrong.idxmax()]!r} ({int(wrong.sum())} such lines)",
            "Give the first day on which the estimate may be used.",
        )
    return dates if column.lower() not in PUBLIC else dates.dt.normalize()


def _months(made: pd.DataFrame) -> pd.Series[Any]:
    """Month that an estimate describes: in its reference, else that of its publication."""
    stated = made["reference"].str.fullmatch(_MONTH.pattern)
    texts = made["reference"].str[:7].where(stated, made["public_from"].dt.strftime("%Y-%m"))
    return pd.to_datetime(texts, format="%Y-%m")


def _refuse_empty(made: pd.DataFrame, file: str) -> None:
    for column in ("crop", "reference", "source"):
        empty = made[column].eq("")
        if empty.any():
            raise SchemaError(
                f"{file}: line {empty.idxmax()}: no {column} ({int(empty.sum())} such lines)",
                f"Every row needs its {column}.",
            )


def _values(
    frame: pd.DataFrame, crop: pd.Series[str], rest: list[str], file: str, report: ImportLog
) -> dict[str, NDArray[np.float64]]:
    columns, others = quantities(rest, "yields", file)
    planted = QUANTITIES["area_planted_ha"]
    if "area_ha" in others and not any(c.quantity is planted for c in columns.values()):
        others.remove("area_ha")
        columns["area_ha"] = Column(planted, 1.0)
        report.read.append((TABLE, message("area_ha taken as planted area"), len(frame)))
    report.extras(TABLE, others)
    values = {}
    for name, column in columns.items():
        values[column.quantity.name] = measured_or_symbol(frame, name, column, file, crop, report, TABLE)
    area = values.get("area_harvested_ha", values.get("area_planted_ha"))
    if derive_yield(values, area, others, file):
        report.read.append((TABLE, message("yields computed as production / area"), len(frame)))
    above = values["yield_kg_ha"] > 0
    check_magnitudes(values["yield_kg_ha"][above], crop[above], file, report, TABLE)
    return values


def _kept(made: pd.DataFrame, report: ImportLog) -> pd.DataFrame:
    """Without empty rows, repeated rows, and surveys that are no vintages."""
    numbered = made["reference"].str.extract(r"^survey (\d+)$")[0].astype(float)
    final = made["source"].str.contains("conab", case=False) & (numbered > _LAST_VINTAGE)
    values = [name for name in VALUES if name in made]
    empty = ~(made[values] > 0).any(axis=1)
    again = made.duplicated([*KEY, *values])
    for mask, text in (
        (final, f"surveys after the {_LAST_VINTAGE}th, which CONAB overwrites with the final figure"),
        (empty & ~final, "no value above zero"),
        (again & ~final & ~empty, "repeats another line"),
    ):
        if mask.any():
            report.dropped.append((TABLE, text, int(mask.sum())))
    kept = made[~(final | empty | again)]
    if kept.empty:
        raise SchemaError(f"{TABLE}: no row has an estimate", "Is this the right file?")
    return kept
