"""A user's table of daily weather, one row for each unit and day, as a dataset of units and days."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from yieldcast.errors import SchemaError
from yieldcast.importing.codes import code_column, code_texts
from yieldcast.importing.columns import ImportLog, pick, shown
from yieldcast.importing.dates import Days, days_in
from yieldcast.importing.fields import NAMES
from yieldcast.importing.headings import DATE, WEATHER_UNIT, key, split_unit
from yieldcast.importing.layout import read_frame
from yieldcast.importing.numbers import numbers
from yieldcast.language import sentence

_YEARS, _MONTHS = ("year", "ano"), ("month", "mes", "mo")
_DAYS_OF_MONTH, _DAYS_OF_YEAR = ("day", "dia", "dy"), ("doy", "day_of_year", "dia_do_ano")


def read_long(
    path: Path, table: str, report: ImportLog, fields: bool, unit_names: Collection[str] = ()
) -> xr.Dataset:
    """Read a table in long form; dims (unit column, time), a variable for each column that names weather.

    Args:
        path: CSV, XLSX or JSON: code of the unit, date (or year, month and day, or year and day of year), and
            weather by name and unit (``tmax_degC``, ``Chuva (mm)``). A column ``synthetic`` marks weather
            that nobody observed, and all that is made of it.
        table: that is made of it.
        report: gets what was left out.
        fields: whether the places are fields, see `codes.code_column`.
        unit_names: columns of the table of places, of which one may name the units.

    Raises:
        MissingDataError: no such file.
        SchemaError: no unit or day, no weather, a text that is no number, or a unit and day twice.
    """
    frame, source = read_frame(path, "daily", table, report), str(path)
    weather = [name for name in frame.columns if _is_weather(name)]
    rest = [name for name in frame.columns if name not in weather]
    days, used = _days(frame, rest, source)
    mark = next((name for name in rest if key(name) == "synthetic"), None)
    used += [mark] if mark else []
    unit = _unit_column([name for name in rest if name not in used], unit_names, source, fields)
    if not weather:
        raise SchemaError(
            f"{source}: expected columns of weather such as tmax_degC, received {shown(frame.columns)}",
            "Name each column with its quantity and unit.",
        )
    report.extras(table, [name for name in rest if name not in (*used, unit)])
    texts = code_texts(frame[unit])
    place, codes = pd.factorize(texts, sort=True)
    day, time = np.unique(days, return_inverse=True)[::-1]
    _refuse_twice(frame, place, day, codes, time, source)
    data = {}
    for heading in weather:
        name, units = split_unit(heading)
        values = np.full((len(codes), len(time)), np.nan)
        values[place, day] = numbers(frame, heading, source)
        data[name] = ((unit, "time"), values, {"units": units} if units else {})
    if len(data) < len(weather):
        raise SchemaError(f"{source}: two columns of {shown(weather)} have the same name", "Keep one.")
    coords = {unit: np.asarray(codes, dtype=str), "time": time.astype("datetime64[ns]")}
    report.read.append((table, sentence("rows of a unit and a day by {column}", column=unit), len(frame)))
    attrs = {"synthetic": 1} if mark and frame[mark].ne("0").any() else {}
    return xr.Dataset(data, coords=coords, attrs=attrs)


def _is_weather(heading: str) -> bool:
    name = split_unit(heading)[0].lower()
    return any(name == base or name.startswith(f"{base}_") for bases in NAMES.values() for base in bases)


def _days(frame: pd.DataFrame, rest: list[str], source: str) -> tuple[Days, list[str]]:
    """The day of each row, and the columns that say it."""
    year = pick(rest, _YEARS, source, needed=False)
    of_year = pick(rest, _DAYS_OF_YEAR, source, needed=False)
    month = pick(rest, _MONTHS, source, needed=False)
    of_month = pick(rest, _DAYS_OF_MONTH, source, needed=False)
    if year and of_year:
        text = frame[year].str.strip() + " " + frame[of_year].str.strip().str.zfill(3)
        return _parsed(text, "%Y %j", of_year, source), [year, of_year]
    if year and month and of_month:
        parts = [frame[year].str.strip(), *(frame[n].str.strip().str.zfill(2) for n in (month, of_month))]
        return _parsed(parts[0] + " " + parts[1] + " " + parts[2], "%Y %m %d", of_month, source), [
            year, month, of_month
        ]  # fmt: skip
    date = str(pick(rest, DATE, source))
    return days_in(frame, date, source), [date]


def _parsed(texts: pd.Series[str], how: str, column: str, source: str) -> Days:
    found = pd.to_datetime(texts, format=how, errors="coerce")
    if found.isna().any():
        line = texts.index[int(np.argmax(found.isna()))]
        raise SchemaError(
            f"{source}: line {line}, column {column!r}: expected a day, received {texts.loc[line]!r} "
            f"({int(found.isna().sum())} such lines)",
            "Write whole numbers, or one column of days as YYYY-MM-DD.",
        )
    return np.asarray(found.to_numpy(dtype="datetime64[D]"))


def _unit_column(rest: list[str], unit_names: Iterable[str], source: str, fields: bool) -> str:
    """The column of the units: one that the table of places has too, else by its name, else the only one."""
    known = {key(name) for name in unit_names}
    if (named := pick(rest, WEATHER_UNIT, source, needed=False)) is not None:
        return named
    if (code := code_column(rest, source, needed=False, fields=fields)) is not None:
        return code
    shared = [name for name in rest if key(name) in known]
    if len(shared) == 1 or len(rest) == 1:
        return (shared or rest)[0]
    raise SchemaError(
        f"{source}: expected a column with the code of the unit of each row, received "
        f"{shown(rest) or 'none'}",
        "Name it as the column of the places or fields that says in which unit each lies.",
    )


def _refuse_twice(
    frame: pd.DataFrame, place: np.ndarray, day: np.ndarray, codes: np.ndarray, time: Days, source: str
) -> None:
    keys = pd.DataFrame({"unit": place, "day": day}, index=frame.index)
    twice = keys.duplicated(keep=False)
    if twice.any():
        first = keys[twice].iloc[0]
        lines = keys.index[(keys == first).all(axis=1)].tolist()
        raise SchemaError(
            f"{source}: expected every unit and day once, received {codes[first['unit']]!r} on "
            f"{time[first['day']]} on lines {lines[:5]} ({int(twice.sum())} such lines)",
            "Keep one row for each unit and day; average or sum hourly values to days first.",
        )
