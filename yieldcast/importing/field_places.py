"""A user's table of fields to places, and to the seasons that grew in them.

A field has a row for each of its seasons. What belongs to the field (coordinates, municipality, state) must
be the same in all of its rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from calendars import Country, country
from yieldcast import clock
from yieldcast.data import schema
from yieldcast.data.field_seasons import DATES, TABLE, LONGEST_days, field_seasons_table
from yieldcast.data.schema import PART_OF
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes, code_text, codes_of
from yieldcast.importing.columns import ImportLog, measured, pick, shown
from yieldcast.importing.country import stated_country
from yieldcast.importing.dates import Days, days_in
from yieldcast.importing.harvests import crops_of, years_of
from yieldcast.importing.headings import (
    CROP,
    HARVEST,
    LATITUDE,
    LONGITUDE,
    MUNICIPALITY,
    MUNICIPALITY_CODE,
    NAME,
    SOWING,
    STATE,
    WEATHER_UNIT,
    YEAR,
    key,
)
from yieldcast.importing.layout import read_frame
from yieldcast.importing.tables import refuse_empty, refuse_twice
from yieldcast.language import message, sentence
from yieldcast.variables import QUANTITIES, Column

UNKNOWN_STATE = "unknown"
# Degrees within which positions of a field are the same: rounding to four decimals is 11 m.
_SAME_deg = 2e-4
_HALVES = re.compile(r"((?:19|20)\d\d)[ _/.-]?S?([12])", re.I)  # 2016 S2, as the paper names its seasons


class UserFields(NamedTuple):
    """A table of fields.

    Args:
        static: the fields as places, without soil; `part_of` has the code of the municipality.
        codes: of the fields.
        seasons: table of field seasons.
    """

    static: xr.Dataset
    codes: Codes
    seasons: xr.Dataset


class _Columns(NamedTuple):
    """Names of the columns of a table of fields; empty where it has none."""

    code: str
    latitude: str
    longitude: str
    crop: str
    year: str
    sowing: str
    harvest: str
    municipality: str
    state: str
    name: str


def read_field_places(path: Path, given: str | None, report: ImportLog) -> UserFields:
    """Read fields and their seasons.

    Args:
        path: CSV, XLSX or JSON, a row for each field and season: code of the field (`codes.FIELD_CODES`, or
            ``id``), latitude and longitude in degrees, crop, harvest year (or season; without it the year of
            the harvest date), optionally sowing and harvest date, municipality, state and name. The state is
            that of the municipality's code where no column has it.
        given: country of the places, see `yieldcast.importing.country.country_of`.
        report: gets what was read.

    Raises:
        MissingDataError: no such file.
        SchemaError: contents that break the contract; the message names the file and the line.
    """
    frame, source = read_frame(path, "place", "places", report), str(path)
    columns, texts = _columns(frame, source)
    frame = frame.assign(**{columns.code: texts})
    codes = Codes(pd.unique(texts).tolist())
    first = ~frame[columns.code].duplicated()
    order = np.argsort(codes.rows(texts[first], source))
    data = {"code": texts[first].astype(str)}
    data |= _positions(frame, columns, first, source) | _texts(frame, columns, first, source)
    of = country.default() if given is None else stated_country(given)
    data["state"] = _states(data, of, source, report)
    arrays = {name: ("municipality", values[order]) for name, values in data.items()}
    static = xr.Dataset(arrays, coords={"municipality": codes.municipality})
    static = schema.check_static(schema.set_units(static))
    report.read.append(("places", message("fields"), len(codes.index)))
    seasons = _seasons(frame, columns, codes, source, report, float(np.median(data["latitude_deg"])) > 0)
    unused = [c for c in frame.columns if c not in columns and key(c) not in WEATHER_UNIT]
    report.extras("places", unused)
    return UserFields(static, codes, seasons)


def check_seasons_of_yields(yields: xr.Dataset, seasons: xr.Dataset, source: str, report: ImportLog) -> None:
    """Compare yields with the seasons of their fields.

    Args:
        yields: checked table of fields.
        seasons: table of field seasons.
        source: name of the file of yields, for errors.
        report: gets the number of yields whose season the table of fields does not have.

    Raises:
        SchemaError: a yield of a year to come, or of a season that is harvested after today.
    """
    today = np.datetime64(clock.today(), "D")
    known = yields["yield_kg_ha"].to_series().dropna()
    index = pd.MultiIndex.from_arrays(
        [seasons[name].values for name in ("crop", "municipality", "harvest_year")]
    )
    row = index.get_indexer(known.index)
    harvest = np.append(seasons["harvest_date"].values.astype("datetime64[D]"), np.datetime64("NaT", "D"))
    year = known.index.get_level_values("harvest_year").to_numpy()
    early = (harvest[row] > today) | (year > clock.today().year)
    if early.any():
        crop, place, when = known.index[int(np.argmax(early))]
        raise SchemaError(
            f"{source}: expected yields of harvests until today, {today}, received one of {crop} in the "
            f"field number {place} for {when} ({int(early.sum())} such yields)",
            "Remove yields of harvests to come, or correct year and harvest date.",
        )
    if without := int((row < 0).sum()):
        text = message("yields whose field, crop and year are not in the table of fields")
        report.warnings.append(("yields", text, without))


def _columns(frame: pd.DataFrame, source: str) -> tuple[_Columns, NDArray[np.object_]]:
    """Names of the columns, and the codes of the rows."""
    code, texts = codes_of(frame, source, fields=True)
    rest = [name for name in frame.columns if name != code]
    found = {"code": code}
    for role, options, needed in (
        ("latitude", LATITUDE, True), ("longitude", LONGITUDE, True), ("crop", CROP, True),
        ("sowing", SOWING, False), ("harvest", HARVEST, False), ("municipality", MUNICIPALITY_CODE, False),
        ("municipality", MUNICIPALITY, False), ("state", STATE, False), ("name", NAME, False),
    ):  # fmt: skip
        left = [name for name in rest if name not in found.values()]
        found[role] = found.get(role) or pick(left, options, source, needed) or ""
    left = [name for name in rest if name not in found.values()]
    if len([name for name in left if key(name) in YEAR]) > 1:  # a year, and beside it S1 or S2
        left = [name for name in left if not frame[name].str.fullmatch("[Ss]?[12]").all()]
    found["year"] = pick(left, YEAR, source, needed=not found["harvest"]) or ""
    return _Columns(**found), texts


def _positions(
    frame: pd.DataFrame, columns: _Columns, first: pd.Series[bool], source: str
) -> dict[str, NDArray[np.float64]]:
    """Latitude and longitude of each field, in the order of their first rows."""
    made = {}
    for name, column in (("latitude_deg", columns.latitude), ("longitude_deg", columns.longitude)):
        values = measured(frame, column, Column(QUANTITIES[name], 1.0), source)
        if (empty := np.isnan(values)).any():
            raise SchemaError(
                f"{source}: line {frame.index[int(np.argmax(empty))]}, column {column!r} is empty "
                f"({int(empty.sum())} such lines)",
                "Every field needs its latitude and longitude in degrees.",
            )
        group = pd.Series(values, index=frame.index).groupby(frame[columns.code], sort=False)
        apart = (group.transform("max") - group.transform("min")).to_numpy() > _SAME_deg
        _refuse_differing(frame, columns, apart, column, source)
        made[name] = values[first.to_numpy()]
    return made


def _texts(
    frame: pd.DataFrame, columns: _Columns, first: pd.Series[bool], source: str
) -> dict[str, NDArray[Any]]:
    """Name, state, region (none) and municipality of each field; empty where the table has none."""
    made: dict[str, NDArray[Any]] = {}
    for target, column in (("name", columns.name), ("state", columns.state), (PART_OF, columns.municipality)):
        if not column:
            made[target] = np.full(int(first.sum()), "", dtype="U1")
            continue
        group = frame[column].groupby(frame[columns.code], sort=False)
        if target != "name":
            _refuse_differing(frame, columns, (group.transform("nunique") > 1).to_numpy(), column, source)
        texts = frame[column][first]
        made[target] = np.array([code_text(text) if target == PART_OF else text for text in texts], dtype=str)
    if not columns.name:
        made["name"] = frame[columns.code][first].to_numpy().astype(str)
    return made | {"region": np.full(int(first.sum()), "", dtype="U1")}


def _refuse_differing(
    frame: pd.DataFrame, columns: _Columns, apart: NDArray[np.bool_], column: str, source: str
) -> None:
    if not apart.any():
        return
    code = frame[columns.code].iloc[int(np.argmax(apart))]
    rows = frame[frame[columns.code] == code]
    different = rows[column].drop_duplicates()
    raise SchemaError(
        f"{source}: expected one {column} of the field {code!r} in all of its rows, received "
        f"{shown(different, 3)} on lines {different.index[:3].tolist()} "
        f"({frame[columns.code][apart].nunique()} such fields)",
        "Give the field the same value in all rows, or another code where it is another field.",
    )


def _states(
    data: Mapping[str, NDArray[Any]], of: Country, source: str, report: ImportLog
) -> NDArray[np.str_]:
    """State of each field: as its column says, else by the code of its municipality."""
    states = data["state"].astype(object)
    empty = states == ""
    numbers = {str(state.number): state.code for state in of.states.values() if state.number is not None}
    if of.state_digits and numbers:
        texts = data[PART_OF]
        digits = of.code_digits or 0
        found = np.array(
            [
                numbers.get(text[: of.state_digits], "") if len(text) in (digits, digits - 1) else ""
                for text in texts.tolist()
            ],
            dtype=object,
        )
        from_code = empty & (found != "")
        states[from_code] = found[from_code]
        if from_code.any():
            text = message("states by the codes of the municipalities")
            report.read.append(("places", text, int(from_code.sum())))
        empty = states == ""
    if empty.any() and not empty.all():
        k = int(np.argmax(empty))
        raise SchemaError(
            f"{source}: expected a state of every field, received none for the field {data['code'][k]!r} "
            f"({int(empty.sum())} such fields)",
            "Fill the column state, or the codes of the municipalities.",
        )
    if empty.all():
        text = message("fields without state and municipality code: the state is {name}")
        report.warnings.append(("places", sentence(text, name=UNKNOWN_STATE), len(states)))
        states[:] = UNKNOWN_STATE
    return states.astype(str)


def _seasons(
    frame: pd.DataFrame, columns: _Columns, codes: Codes, source: str, report: ImportLog, north: bool
) -> xr.Dataset:
    refuse_empty(frame, [columns.crop], "crop", CROP, source)
    none = np.full(len(frame), np.datetime64("NaT"), dtype="datetime64[D]")
    sowing, harvest = (
        days_in(frame, column, source, needed=False) if column else none
        for column in (columns.sowing, columns.harvest)
    )
    crop = crops_of(frame[columns.crop], report, TABLE)
    year = _years(frame, columns, harvest, source, report, north)
    keys = pd.DataFrame(
        {"field": frame[columns.code].to_numpy(), "crop": crop.to_numpy(), "harvest year": year},
        index=frame.index,
    )
    refuse_twice(
        keys, source,
        "Keep one row for each field and season. Two harvests of a crop in one year need two names of the "
        "crop, for example corn_first and corn_second.",
    )  # fmt: skip
    _check_order(frame, columns, sowing, harvest, source)
    _report_dates(sowing, harvest, year, report)
    rows = codes.rows(frame[columns.code].to_numpy(), source)
    made = pd.DataFrame(
        {"municipality": codes.municipality[rows], "crop": crop.to_numpy(), "harvest_year": year}
    ).assign(**dict(zip(DATES, (sowing, harvest), strict=True)))
    table = field_seasons_table(made)
    report.read.append((TABLE, message("seasons of fields"), len(frame)))
    return table


def _years(
    frame: pd.DataFrame, columns: _Columns, harvest: Days, source: str, report: ImportLog, north: bool
) -> NDArray[np.int64]:
    """Harvest year of each row."""
    if not columns.year:
        if np.isnat(harvest).any():
            line = frame.index[int(np.argmax(np.isnat(harvest)))]
            raise SchemaError(
                f"{source}: line {line}: neither a harvest year nor a harvest date "
                f"({int(np.isnat(harvest).sum())} such lines)",
                "Add a column harvest_year.",
            )
        report.read.append((TABLE, message("harvest years are those of the harvest dates"), len(frame)))
        years: NDArray[np.int64] = harvest.astype("datetime64[Y]").astype(np.int64) + 1970
        return years
    halves = frame[columns.year].str.extract(f"^{_HALVES.pattern}$", flags=re.I)
    if halves.notna().to_numpy().all():
        text = message("seasons read as the year that they name, first {first} as {year}")
        line = sentence(text, first=frame[columns.year].iloc[0], year=halves[0].iloc[0])
        report.read.append((TABLE, line, len(frame)))
        return np.asarray(halves[0], dtype=np.int64)
    return years_of(frame, columns.year, source, report, TABLE, north)


def _check_order(frame: pd.DataFrame, columns: _Columns, sowing: Days, harvest: Days, source: str) -> None:
    """Refuse harvests before sowing and seasons of more than two years, with their lines."""
    days = (harvest - sowing) / np.timedelta64(1, "D")  # NaN where a date is unknown
    for wrong, expected, hint in (
        (days <= 0, "a harvest after sowing", "Are the two columns exchanged, or day and month?"),
        (
            days > LONGEST_days, f"a season of at most {LONGEST_days} days (24 months)",
            "Is a year wrong? Give each season its own row.",
        ),
    ):  # fmt: skip
        if wrong.any():
            k = int(np.argmax(wrong))
            raise SchemaError(
                f"{source}: line {frame.index[k]}, field {frame[columns.code].iloc[k]!r}: expected "
                f"{expected}, received {columns.sowing} {sowing[k]} and {columns.harvest} {harvest[k]} "
                f"({int(wrong.sum())} such lines)",
                hint,
            )


def _report_dates(sowing: Days, harvest: Days, year: NDArray[np.int64], report: ImportLog) -> None:
    today = np.datetime64(clock.today(), "D")
    other = ~np.isnat(harvest) & (harvest.astype("datetime64[Y]").astype(np.int64) + 1970 != year)
    for mask, text in (
        (np.isnat(sowing), message("seasons without a sowing date")),
        (np.isnat(harvest), message("seasons without a harvest date")),
        (harvest > today, message("harvest dates after today: planned, not known")),
        (other, message("harvest dates in another year than the harvest year")),
    ):
        if mask.any():
            report.warnings.append((TABLE, text, int(mask.sum())))
