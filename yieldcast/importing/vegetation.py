"""A user's vegetation indices, observations or summaries of seasons, to the checked tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast import clock
from yieldcast.data.vegetation import (
    INDICES,
    SEASON_TABLE,
    TABLE,
    season_vegetation_table,
    vegetation_table,
)
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes, codes_of
from yieldcast.importing.columns import ImportLog, pick, shown
from yieldcast.importing.dates import Days, days_in, refuse_future
from yieldcast.importing.harvests import years_of
from yieldcast.importing.headings import DATE, LAST_DAY, PUBLIC, QUALITY, SENSOR, YEAR, key
from yieldcast.importing.index_scale import index_of, unscaled
from yieldcast.importing.layout import read_frame
from yieldcast.importing.numbers import numbers
from yieldcast.importing.quality_flags import clear_flags
from yieldcast.importing.tables import refuse_twice
from yieldcast.language import message, sentence

# Composites of MODIS begin on fixed days of the year: every 16 days from 1 (Terra) or 9 (Aqua), or every 8
# days from 1 (MOD13 and MOD09 user guides). A date on this grid is the first of the days that it covers.
_COMPOSITES = ((16, 1), (16, 9), (8, 1))
_TELLING_DAYS = 6  # different days of the year from which the grid can be told from chance
# Words of summaries in Portuguese, and those for the whole season, which add nothing.
_WORDS = {
    "plantio": "sowing", "semeadura": "sowing", "planting": "sowing", "vegetativo": "vegetative",
    "enchimento": "filling", "grain": "", "floracao": "flowering", "florescimento": "flowering",
    "colheita": "harvest", "maximo": "max", "maximum": "max", "media": "mean", "medio": "mean",
    "average": "mean", "minimo": "min", "minimum": "min", "safra": "", "season": "", "ciclo": "",
}  # fmt: skip
# First day (month, day; of the harvest year, or the year after it) on which a summary may be used, where the
# file does not say it. Summer crops of the south are sown from September on and harvested until May; the days
# are later than the end of each stage and than the composites of its last days (our choice, on the safe
# side). North of the equator the stage of a date is not known: everything waits for the end of the year.
_PUBLIC_SOUTH = {"sowing": (0, 1, 1), "vegetative": (0, 3, 1)}
_PUBLIC_SEASON_SOUTH, _PUBLIC_NORTH = (0, 6, 1), (1, 1, 1)


def read_vegetation(
    path: Path, codes: Codes, report: ImportLog, fields: bool = False, north: bool = False
) -> xr.Dataset:
    """Read observations, or summaries of seasons where the table has a year and no date.

    Args:
        path: CSV, XLSX or JSON. Observations: code of the place, date (of a composite the first day, or
            ``date_end``), ndvi, evi or both, optionally a quality flag (`quality_flags.clear_flags`), and
            public_from. Summaries: code, harvest year, and ``ndvi_max``, ``ndvi_mean_safra``,
            ``ndvi_plantio``, ...; optionally public_from.
        codes: places of the store.
        report: gets what was read, left out and changed.
        fields: whether the places are fields, see `codes.code_column`.
        north: whether they lie north of the equator.

    Returns:
        a table of `yieldcast.data.vegetation`, with the dim observation or the dim harvest_year.

    Raises:
        MissingDataError: no such file.
        SchemaError: contents that break the contract; the message names the file and the line.
    """
    frame, source = read_frame(path, "vegetation", TABLE, report), str(path)
    code, texts = codes_of(frame, source, fields)
    rest = [name for name in frame.columns if name != code]
    dated = pick(rest, LAST_DAY, source, needed=False) or pick(rest, DATE, source, needed=False)
    if dated is None and pick(rest, YEAR, source, needed=False) is not None:
        rows = codes.rows(texts, source, report, SEASON_TABLE)
        return _summaries(frame, rest, rows, codes, source, report, north)
    rows = codes.rows(texts, source, report, TABLE)
    return _observations(frame, rest, codes.municipality[rows], source, report)


def _observations(
    frame: pd.DataFrame, rest: list[str], place: NDArray[np.int32], source: str, report: ImportLog
) -> xr.Dataset:
    last = pick(rest, LAST_DAY, source, needed=False)
    column = last or str(pick(rest, DATE, source))
    public = pick(rest, PUBLIC, source, needed=False)
    indices = _indices(rest, source)
    raw = {index: numbers(frame, heading, source) for index, heading in indices.items()}
    seen = ~np.isnan(np.stack(list(raw.values()))).all(axis=0)
    if not seen.all():
        report.dropped.append((TABLE, message("observations without a value"), int((~seen).sum())))
    if not seen.any():
        raise SchemaError(f"{source}: no observation has a value", "Is this the right file?")
    frame, place, raw = frame[seen], place[seen], {index: values[seen] for index, values in raw.items()}
    clear, flag = _clear(frame, rest, next(iter(raw.values())), source, report)
    values = {
        index: unscaled(raw[index], clear, heading, source, report, TABLE)
        for index, heading in indices.items()
    }
    days = days_in(frame, column, source)
    refuse_future(days, frame.index.tolist(), column, source, clock.today())
    if last is None:
        days = _last_days(days, report)
    made = pd.DataFrame({"municipality": place, "date": days, "clear": clear, **values}, index=frame.index)
    if public:
        made["public_from"] = days_in(frame, public, source)
    sensor = pick(rest, SENSOR, source, needed=False)
    first = pick(rest, DATE, source, needed=False)
    used = {column, public, flag, sensor, first, *indices.values()}
    report.extras(TABLE, [name for name in rest if name not in used])
    made = _once(made, frame[sensor] if sensor else None, source, report)
    report.read.append((TABLE, message("observations of vegetation"), len(made)))
    report.read.append((TABLE, message("places with observations"), int(made["municipality"].nunique())))
    return vegetation_table(made)


def _indices(rest: list[str], source: str) -> dict[str, str]:
    """The heading of each index."""
    found: dict[str, str] = {}
    for heading in rest:
        index = None if key(heading) in QUALITY else index_of(heading)
        if index is None:
            continue
        if index in found:
            raise SchemaError(
                f"{source}: {found[index]!r} and {heading!r} are both {index.upper()}", "Keep one."
            )
        found[index] = heading
    if not found:
        raise SchemaError(
            f"{source}: expected a column ndvi, evi or both, received {shown(rest)}",
            "Name the column of the index ndvi or evi.",
        )
    return {index: found[index] for index in INDICES if index in found}


def _clear(
    frame: pd.DataFrame, rest: list[str], value: NDArray[np.float64], source: str, report: ImportLog
) -> tuple[NDArray[np.bool_], str | None]:
    """Which observations are clear, and the column that says it."""
    flag = pick(rest, QUALITY, source, needed=False)
    if flag is not None:
        return clear_flags(frame[flag], source, value, report, TABLE), flag
    text = message("no quality flag: every observation is taken as clear")
    report.warnings.append((TABLE, text, len(frame)))
    return np.ones(len(frame), dtype=bool), None


def _last_days(days: Days, report: ImportLog) -> Days:
    """The last day that each date covers: of composites their length later."""
    of_year = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1
    different = np.unique(of_year)
    for length, begin in _COMPOSITES:
        if len(different) >= _TELLING_DAYS and (different % length == begin % length).all():
            text = message("dates are first days of composites: each lasts {n} days, and counts from its end")
            report.warnings.append((TABLE, sentence(text, n=length), len(days)))
            return days + (length - 1)
    return days


def _once(made: pd.DataFrame, sensor: pd.Series[str] | None, source: str, report: ImportLog) -> pd.DataFrame:
    """One observation for each place and day."""
    keys = ["municipality", "date"]
    repeated = made.duplicated()
    if repeated.any():
        report.dropped.append((TABLE, message("repeats another line"), int(repeated.sum())))
        made = made[~repeated]
    twice = made.duplicated(keys, keep=False)
    if not twice.any():
        return made
    hidden = twice & ~made["clear"] & made.groupby(keys)["clear"].transform("any")
    if hidden.any():
        text = message("not clear, on a day with a clear observation of the same place")
        report.dropped.append((TABLE, text, int(hidden.sum())))
        made = made[~hidden]
    twice = made.duplicated(keys, keep=False)
    if not twice.any():
        return made
    if sensor is None:
        refuse_twice(
            made[keys].rename(columns={"municipality": "place"}), source,
            "Average the observations of a place and day, or add a column sensor where they are of several.",
        )  # fmt: skip
    names = [name for name in (*INDICES, "clear", "public_from") if name in made]
    how: dict[str, Any] = dict.fromkeys(names, "mean") | {"clear": "all"}
    if "public_from" in made:
        how["public_from"] = "max"
    report.read.append(
        (TABLE, message("observations of several sensors on one day, averaged"), int(twice.sum()))
    )
    return made.groupby(keys, as_index=False).agg(how)


def _summaries(
    frame: pd.DataFrame,
    rest: list[str],
    rows: NDArray[np.intp],
    codes: Codes,
    source: str,
    report: ImportLog,
    north: bool,
) -> xr.Dataset:
    column = str(pick(rest, YEAR, source))
    year = years_of(frame, column, source, report, SEASON_TABLE, north)
    if (late := year > clock.today().year).any():
        raise SchemaError(
            f"{source}: line {frame.index[int(np.argmax(late))]}: expected harvest years to "
            f"{clock.today().year}, received {year[late][0]} ({int(late.sum())} such lines)",
            "Give the year of the harvest.",
        )
    keys = pd.DataFrame({"place": codes.index[rows], "year": year}, index=frame.index)
    refuse_twice(keys, source, "Keep one row for each place and year.")
    public = pick(rest, PUBLIC, source, needed=False)
    found = _summary_columns([name for name in rest if name not in (column, public)], source)
    report.extras(SEASON_TABLE, [n for n in rest if n not in (column, public, *found.values())])
    place, years = np.unique(rows), np.unique(year).astype(np.int16)
    cell = (np.searchsorted(place, rows), np.searchsorted(years, year))
    values, every = {}, np.ones(len(frame), dtype=bool)
    for name, heading in found.items():
        raw = numbers(frame, heading, source)
        array = np.full((len(place), len(years)), np.nan)
        # an amplitude is the difference of two indices, up to 2
        half = 0.5 if name.endswith("amplitude") else 1.0
        array[cell] = unscaled(raw * half, every, heading, source, report, SEASON_TABLE) / half
        values[name] = array
    days = _public_days(frame, public, found, years, cell[1], source, report, north)
    report.read.append((SEASON_TABLE, message("places and years with summaries"), len(frame)))
    return season_vegetation_table(values, days, codes.municipality[place], years)


def _summary_columns(rest: list[str], source: str) -> dict[str, str]:
    """The heading of each summary, by its name in the table."""
    found: dict[str, str] = {}
    for heading in rest:
        words = key(heading).split("_")
        index = index_of(heading)
        if index is None:
            continue
        others = [_WORDS.get(word, word) for word in words if word not in (index, "x10000", "pct")]
        name = "_".join([index, *(word for word in others if word)])
        name = f"{index}_mean" if name == index else name
        if name in found:
            raise SchemaError(f"{source}: {found[name]!r} and {heading!r} are both {name}", "Keep one.")
        found[name] = heading
    if not found:
        raise SchemaError(
            f"{source}: expected a date, or summaries of seasons such as ndvi_max, received {shown(rest)}",
            "Name the columns after their index.",
        )
    return found


def _public_days(
    frame: pd.DataFrame,
    public: str | None,
    found: dict[str, str],
    years: NDArray[np.int16],
    year_of_row: NDArray[np.intp],
    source: str,
    report: ImportLog,
    north: bool,
) -> dict[str, Days]:
    """First day of each summary and year: as the file says (the latest of its places), else by our rule."""
    if public is not None:
        days = days_in(frame, public, source)
        latest = np.full(len(years), days.min())
        np.maximum.at(latest, year_of_row, days)
        return dict.fromkeys(found, latest)
    made = {}
    for name in found:
        stage = name.split("_")[-1]
        rule = _PUBLIC_NORTH if north else _PUBLIC_SOUTH.get(stage, _PUBLIC_SEASON_SOUTH)
        after, month, day = rule
        made[name] = np.array([f"{year + after}-{month:02d}-{day:02d}" for year in years], "datetime64[D]")
    listed = ", ".join(f"{name} {made[name][-1]}" for name in sorted(made))
    text = message("no column public_from: summaries may be used from days of our rule on: {days}")
    report.warnings.append((SEASON_TABLE, sentence(text, days=listed), len(made)))
    return made
