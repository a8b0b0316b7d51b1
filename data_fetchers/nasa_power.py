"""NASA POWER: daily weather of MERRA-2's cells, without a key; one request per cell for many years.

Brazil's 5,571 municipalities lie in some 1,400 cells: each is asked for once, at its centre. Months are made
here from days: on POWER's monthly endpoint `T2M_MAX` is the month's extreme, not the mean of daily maxima.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import requests
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from data_fetchers.engine import http
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache, fetched_on
from data_fetchers.engine.source import Note, NotYetPublishedError, RetryableError
from yieldcast.data import degree_days, schema
from yieldcast.data.files import disk_error
from yieldcast.errors import FetchError, MissingDataError
from yieldcast.publication import add_months
from yieldcast.variables import QUANTITIES

ENVIRONMENT, DEFAULT_URL = "YIELDCAST_POWER_URL", "https://power.larc.nasa.gov"
# POWER's daily parameters of the community AG, whose units are ours
VARIABLE_MAP = {"T2M_MAX": "tmax_degC", "T2M_MIN": "tmin_degC", "PRECTOTCORR": "precipitation_mm"}
_UNITS = {"T2M_MAX": ("C", "°C"), "T2M_MIN": ("C", "°C"), "PRECTOTCORR": ("mm/day", "mm day-1")}
FIRST_YEAR = 1981  # POWER's daily series begin on 1981-01-01 (its documentation, "Data sources") [C]
# Not seen live [C]: days arrive within a week from NASA's near-real-time model; MERRA-2 itself takes their
# place some 2-3 months later.
LAG_days, REVISED_months = 10, 3
# A day's world record is 1825 mm, Foc-Foc, 1966 (WMO archive). A little below 0 is rounding noise.
_RANGE = {n: (QUANTITIES[n].low, QUANTITIES[n].high) for n in ("tmax_degC", "tmin_degC")}
_RANGE["precipitation_mm"] = (-0.1, 2000.0)
_LIMIT_bytes = 20_000_000  # 45 years of three parameters are about 1 MB
Daily = dict[str, NDArray[np.float64]]  # POWER's parameter -> value of each day
_CHANGED = "POWER has changed its answer: look for a newer yieldcast, or report it with this message."


@dataclass(frozen=True)
class NasaPower:
    """NASA POWER's daily point service.

    Args:
        base_url: of the service; the environment's YIELDCAST_POWER_URL, then the real one, if empty.
        seconds_between: least time between two starts (s); the service answers 429 when hurried.
    """

    base_url: str = ""
    seconds_between: float = 1.0

    name = "nasa-power"
    licence = "Free and open without restriction (NASA Earth science data policy)"
    attribution = (
        "Data of the NASA Langley Research Center POWER Project, funded through the NASA Earth Science "
        "Directorate Applied Science Program."
    )
    workers = 4

    def __post_init__(self) -> None:
        # now, not in a worker, whose environment may be another one
        url = self.base_url or os.environ.get(ENVIRONMENT, "") or DEFAULT_URL
        object.__setattr__(self, "base_url", url.rstrip("/"))

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        """Write the answer as it came."""
        session = http.SafeSession()
        session.hooks["response"].append(_show_messages)
        url = f"{self.base_url}/api/temporal/daily/point"
        body = http.get(session, url, params=part.request, limit=_LIMIT_bytes)
        try:
            target.write_bytes(body)
        except OSError as error:
            raise disk_error(target, error) from error
        return {}

    def check(self, part: Request, file: Path) -> Record:
        """Every asked day, in the expected units, at the asked cell; NotYetError when all days are fill."""
        answer = _load(part, file)
        days = np.stack(list(_daily(part, answer).values()))
        if np.isnan(days).all():
            raise NotYetPublishedError(
                f"{part.name}: POWER has no value for any day yet", "Try again in a few days."
            )
        return {
            "api_version": str((answer["header"].get("api") or {}).get("version", "unknown")),
            "fill_value": answer["header"]["fill_value"],
            "missing_days": int(np.isnan(days).any(axis=0).sum()),
            "messages": [str(message) for message in answer.get("messages") or []],
        }

    def split(self, part: Request) -> list[Request]:
        """None: a point and three parameters are far below the service's limits."""
        return []

    def stale(self, part: Request, record: Record, today: dt.date) -> bool:
        """Whether MERRA-2 has taken the place of what was fetched, or days without a value may have come."""
        settled = add_months(dt.date.fromisoformat(part.request["end"]), 1 + REVISED_months)
        fetched = fetched_on(record)
        if fetched >= settled:
            return False
        return today >= settled or (record["missing_days"] > 0 and fetched < today)


def cell_of(latitude_deg: ArrayLike, longitude_deg: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Centre of the MERRA-2 cell that a place lies in: multiples of 0.5 and 0.625 degrees.

    A place exactly between two centres goes to the northern and to the eastern one.

    Args:
        latitude_deg, longitude_deg: any shape, the same for both (degrees north, degrees east).
    """
    # times 8 / 5 instead of over 0.625: exact for the ties; + 0.0 makes 0.0 of -0.0
    latitude = np.floor(np.asarray(latitude_deg, dtype=float) * 2 + 0.5) / 2 + 0.0
    return latitude, np.floor(np.asarray(longitude_deg, dtype=float) * 8 / 5 + 0.5) * 0.625 + 0.0


def weather_requests(
    static: xr.Dataset, years: Sequence[int], today: dt.date
) -> tuple[list[Request], list[Note]]:
    """One part per cell for each run of closed years, and one per cell for the year that is under way.

    Args:
        static: table of places, see `schema.check_static`.
        years: any calendar years, with or without gaps.
        today: decides which months POWER can have; those that it cannot have yet are not missing.
    """
    years = sorted(set(years))
    newest = add_months(today - dt.timedelta(days=LAG_days - 1), -1)  # ended LAG_days ago or earlier
    closed = newest.year if newest.month == 12 else newest.year - 1
    whole = [year for year in years if FIRST_YEAR <= year <= closed]
    firsts = [dt.date(year, 1, 1) for year in whole if year - 1 not in whole]
    lasts = [dt.date(year, 12, 31) for year in whole if year + 1 not in whole]
    periods = list(zip(firsts, lasts, strict=True))
    if newest.year in years and newest.month < 12:
        periods.append((dt.date(newest.year, 1, 1), add_months(newest, 1) - dt.timedelta(days=1)))
    cells = sorted(set(_cells(static)))
    parts = [_part(*cell, *period) for period in periods for cell in cells]
    before = 12 * sum(year < FIRST_YEAR for year in years)
    after = sum(dt.date(year, month, 1) > newest for year in years for month in range(1, 13))
    notes = [
        Note("weather", f"NASA POWER: months before {FIRST_YEAR}, where it begins", before),
        Note("weather", f"NASA POWER: not yet observed: months after {newest:%Y-%m}", after),
    ]
    return parts, [note for note in notes if note.count]


def read_weather(
    shelf: RequestCache, power: NasaPower, parts: Sequence[Request], static: xr.Dataset
) -> tuple[xr.Dataset, list[Note]]:
    """Monthly weather of every municipality from the daily values of its cell.

    Args:
        shelf: holds the parts; one that is not there leaves its months empty.
        power: the source, for licence and attribution.
        parts: as `weather_requests` made them for the same places; MissingDataError when there are none.
        static: table of places.

    Returns:
        table as `schema.check_weather` wants it, with every ``gdd_*_degC_day`` of
        `degree_days.quantities` from daily values, NaN for a month with a missing day; and notes.
    """
    if not parts:
        raise MissingDataError("NASA POWER has none of the months asked", f"It begins in {FIRST_YEAR}.")
    rows = {cell: i for i, cell in enumerate(sorted(set(_cells(static))))}
    own_months = [_calendar(part.request["start"], part.request["end"])[1] for part in parts]
    months = np.arange(min(m[0] for m in own_months), max(m[-1] for m in own_months) + 1)
    names = [*VARIABLE_MAP.values(), *degree_days.quantities()]
    table = np.full((len(names), len(rows), len(months)), np.nan, np.float32)
    records: list[Record] = []
    negative = 0
    for part, own in zip(parts, own_months, strict=True):
        for _, file, record in shelf.leaves(part):
            days = _daily(part, _load(part, file))
            row = rows[part.request["latitude"], part.request["longitude"]]
            table[:, row, np.isin(months, own)] = _monthly(days, own)
            negative += int((days["PRECTOTCORR"] < 0).sum())
            records.append(record)
    index = [rows[cell] for cell in _cells(static)]
    ds = xr.Dataset(
        {name: (("municipality", "time"), table[i][index]) for i, name in enumerate(names)},
        coords={"municipality": static["municipality"].values, "time": months.astype("datetime64[ns]")},
    )
    attrs = {
        "source": "NASA POWER daily point service, community AG, local solar days, MERRA-2 cells",
        "licence": power.licence, "attribution": power.attribution, "cells": len(rows),
        "fetched": " to ".join(f(str(r["fetched"]) for r in records) for f in (min, max) if records),
        "api_versions": ", ".join(sorted({str(record["api_version"]) for record in records})),
    }  # fmt: skip
    absent = len(parts) - len(records)
    asked = np.isin(months, np.concatenate(own_months))  # between the years asked for, months stay empty
    holes = int(np.isnan(table[..., asked]).any(axis=0).sum())
    notes = [
        Note("weather", "NASA POWER: requests (a cell, a period) not on disk", absent, True),
        Note("weather", "NASA POWER: months of a cell lacking days or whole, left empty", holes, True),
        Note("weather", "NASA POWER: days with rain a little below zero, taken as zero", negative),
    ]
    ds = schema.set_units(ds.assign_attrs(attrs))
    return schema.check_weather(ds), [note for note in notes if note.count]


@lru_cache(maxsize=8)
def _calendar(start: str, end: str) -> tuple[tuple[str, ...], NDArray[np.datetime64]]:
    """Each day as POWER writes it, and its month."""
    first, last = (np.datetime64(dt.date.fromisoformat(day)) for day in (start, end))
    days = np.arange(first, last + 1)
    return tuple(str(day).replace("-", "") for day in days), days.astype("datetime64[M]")


def _monthly(days: Daily, months: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Means of the temperatures, sums of rain and degree days: (variable, month)."""
    tmax, tmin, rain = (days[parameter] for parameter in VARIABLE_MAP)
    limits = degree_days.quantities().values()
    rows = [tmax, tmin, np.maximum(rain, 0), *(degree_days.daily(tmax, tmin, *pair) for pair in limits)]
    _, starts, lengths = np.unique(months, return_index=True, return_counts=True)
    values = np.add.reduceat(np.stack(rows), starts, axis=1)
    values[:2] /= lengths
    return values


def _load(part: Request, file: Path) -> dict[str, Any]:
    """The answer, laid out as expected, of the asked place, in the expected units."""
    try:
        answer: dict[str, Any] = json.loads(file.read_bytes())
    except ValueError as error:
        raise RetryableError(f"{part.name}: expected JSON, received something else: {error}") from error
    try:
        dict(answer["properties"]["parameter"])
        lon, lat = map(float, answer["geometry"]["coordinates"][:2])
        header, units = dict(answer["header"]), answer.get("parameters") or {}
        float(header["fill_value"])
        found = {p: units[p]["units"] for p in VARIABLE_MAP if p in units}
    except (KeyError, TypeError, ValueError) as error:
        said = answer.get("messages", "") if isinstance(answer, dict) else ""
        raise FetchError(f"POWER's answer has another layout: {error!r} {said}", _CHANGED) from error
    asked = part.request["latitude"], part.request["longitude"]
    if abs(lat - asked[0]) > 0.01 or abs(lon - asked[1]) > 0.01:  # three decimals may come back as two
        raise RetryableError(f"{part.name}: expected the point {asked}, received {(lat, lon)}")
    for parameter, unit in found.items():
        if unit not in _UNITS[parameter]:
            raise FetchError(f"expected {parameter} in {_UNITS[parameter][0]}, received {unit}", _CHANGED)
    if header.get("time_standard", "LST") != "LST":
        raise FetchError(f"expected local solar days (LST), received {header['time_standard']}", _CHANGED)
    return answer


def _daily(part: Request, answer: Mapping[str, Any]) -> Daily:
    """The values of each asked day, NaN for the fill value and for null."""
    keys, _ = _calendar(part.request["start"], part.request["end"])
    columns, fill = answer["properties"]["parameter"], float(answer["header"]["fill_value"])
    result = {}
    for parameter, name in VARIABLE_MAP.items():
        column = columns.get(parameter)
        if not isinstance(column, dict):
            raise FetchError(f"{part.name}: expected {parameter}, received {sorted(columns)}", _CHANGED)
        if odd := sorted(column.keys() ^ set(keys)):
            what = "day(s) asked and not sent, or sent and not asked, the first"
            raise RetryableError(f"{part.name}: {parameter} has {len(odd)} {what} {odd[0]}")
        try:
            values = np.array([column[key] for key in keys], dtype=float)
        except (TypeError, ValueError) as error:
            raise FetchError(f"{part.name}: {parameter}: expected numbers, {error}", _CHANGED) from error
        values[values == fill] = np.nan
        low, high = _RANGE[name]
        outside = np.flatnonzero(~np.isnan(values) & ~((values >= low) & (values <= high)))
        if outside.size:
            text = f"{part.name}: expected {parameter} of {low:g} to {high:g} (or {fill:g}), received"
            value, day = values[outside[0]], keys[outside[0]]
            raise FetchError(f"{text} {value:g} on {day} ({outside.size} such days)", _CHANGED)
        result[parameter] = values
    return result


def _show_messages(answer: requests.Response, **_: Any) -> None:
    """A refused request says what is wrong in `messages`, after a long heading."""
    if answer.status_code in (400, 422):
        try:
            said = json.loads(next(answer.iter_content(20_000), b""))["messages"]
        except (ValueError, KeyError, TypeError):
            return
        text = f"POWER refused the request ({answer.status_code}): {'; '.join(map(str, said))}"
        raise FetchError(text, "Trying again will not help. " + _CHANGED)


def _part(lat: float, lon: float, start: dt.date, end: dt.date) -> Request:
    name = f"{abs(lat):04.1f}{'n' if lat >= 0 else 's'}-{abs(lon):07.3f}{'e' if lon >= 0 else 'w'}"
    request = {
        "parameters": ",".join(VARIABLE_MAP), "community": "AG", "latitude": lat, "longitude": lon,
        "start": f"{start:%Y%m%d}", "end": f"{end:%Y%m%d}", "format": "JSON", "time-standard": "LST",
    }  # fmt: skip
    return Request(NasaPower.name, f"{name}-{start:%Y%m}-{end:%Y%m}", request)


def _cells(static: xr.Dataset) -> list[tuple[float, float]]:
    latitudes, longitudes = cell_of(static["latitude_deg"].values, static["longitude_deg"].values)
    return list(zip(latitudes.tolist(), longitudes.tolist(), strict=True))
