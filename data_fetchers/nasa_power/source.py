"""NASA POWER as a source: daily weather of MERRA-2 cells, without a key.

One request covers one cell and many years. Brazil's 5,571 municipalities lie in about 1,400 cells; each cell
is requested once, at its centre. Months are computed here from days, because `T2M_MAX` of POWER's monthly
service is the highest value of the month, not the mean of daily maxima.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from requests import Response

from data_fetchers.engine import http
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache, fetched_on
from data_fetchers.engine.source import Note, NotYetPublishedError, RetryableError
from yieldcast.data import degree_days, schema
from yieldcast.data.files import disk_error
from yieldcast.errors import FetchError, MissingDataError
from yieldcast.publication import add_months
from yieldcast.variables import QUANTITIES

ENVIRONMENT, DEFAULT_URL = "YIELDCAST_POWER_URL", "https://power.larc.nasa.gov"
# POWER's daily parameters of the community AG, which has our units
VARIABLE_MAP = {"T2M_MAX": "tmax_degC", "T2M_MIN": "tmin_degC", "PRECTOTCORR": "precipitation_mm"}
# Of daily weather only. Radiation begins in 1984 and comes weeks after the others.
DAILY_MAP = {"T2MDEW": "dewpoint_degC", "ALLSKY_SFC_SW_DWN": "radiation_MJ_m2", "WS2M": "wind_m_s"}
_UNITS = {
    "T2M_MAX": ("C", "°C"), "T2M_MIN": ("C", "°C"), "PRECTOTCORR": ("mm/day", "mm day-1"),
    "T2MDEW": ("C", "°C"), "ALLSKY_SFC_SW_DWN": ("MJ/m^2/day", "MJ m-2 day-1"), "WS2M": ("m/s", "m s-1"),
}  # fmt: skip
FIRST_YEAR = 1981  # POWER's daily series begin on 1981-01-01 (its documentation, "Data sources")
# Days are published within a week from NASA's near-real-time model and replaced by MERRA-2 about 2-3 months
# later; not verified against the live service.
LAG_days, REVISED_months = 10, 3
# The world record of a day is 1825 mm, Foc-Foc, 1966 (WMO archive). Values slightly below 0 are rounding.
_RANGE = {n: (QUANTITIES[n].low, QUANTITIES[n].high) for n in (*VARIABLE_MAP.values(), *DAILY_MAP.values())}
_RANGE["precipitation_mm"] = (-0.1, 2000.0)
_LIMIT_bytes = 20_000_000  # 45 years of three parameters are about 1 MB
Daily = dict[str, NDArray[np.float64]]  # POWER's parameter -> value of each day
_CHANGED = "POWER has changed its answer: look for a newer yieldcast, or report it with this message."


@dataclass(frozen=True)
class NasaPower:
    """NASA POWER's daily point service.

    Args:
        base_url: address of the service; if empty YIELDCAST_POWER_URL, else the real one.
        seconds_between: shortest time between two requests (s); the service answers 429 to faster ones.
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
        # Read here, because a worker may have another environment.
        url = self.base_url or os.environ.get(ENVIRONMENT, "") or DEFAULT_URL
        object.__setattr__(self, "base_url", url.rstrip("/"))

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Write the answer unchanged."""
        session = http.SafeSession()
        session.hooks["response"].append(_show_messages)
        url = f"{self.base_url}/api/temporal/daily/point"
        body = http.get(session, url, params=request.parameters, limit=_LIMIT_bytes)
        try:
            target.write_bytes(body)
        except OSError as error:
            raise disk_error(target, error) from error
        return {}

    def check(self, request: Request, file: Path) -> Record:
        """Check days, units, cell and values; return entries for the sidecar.

        Raises:
            RetryableError, FetchError: another answer than requested.
            NotYetPublishedError: no day has a value.
        """
        answer = load(request, file)
        values = daily_values(request, answer)
        needed = np.array([np.isnan(values[name]) for name in VARIABLE_MAP if name in values])
        if all(np.isnan(days).all() for days in values.values()):
            raise NotYetPublishedError(
                f"{request.name}: POWER has no value for any day yet", "Try again in a few days."
            )
        return {
            "api_version": str((answer["header"].get("api") or {}).get("version", "unknown")),
            "fill_value": answer["header"]["fill_value"],
            "missing_days": int(needed.any(axis=0).sum()),
            "messages": [str(message) for message in answer.get("messages") or []],
        }

    def split(self, request: Request) -> list[Request]:
        """Always empty: a point and six parameters are far below the service's limits."""
        return []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        """Whether MERRA-2 has replaced the fetched values, or missing days may be published by now."""
        settled = add_months(dt.date.fromisoformat(request.parameters["end"]), 1 + REVISED_months)
        fetched = fetched_on(record)
        if fetched >= settled:
            return False
        return today >= settled or (record["missing_days"] > 0 and fetched < today)


def cell_of(latitude_deg: ArrayLike, longitude_deg: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Centre of the MERRA-2 cell that contains a place: multiples of 0.5 and 0.625 degrees.

    A place exactly between two centres belongs to the northern and the eastern one.

    Args:
        latitude_deg, longitude_deg: any shape, the same for both (degrees north, degrees east).

    Returns:
        latitude and longitude of the centres, same shape (degrees).
    """
    # * 8 / 5 instead of / 0.625 is exact between two centres; + 0.0 turns -0.0 into 0.0
    latitude = np.floor(np.asarray(latitude_deg, dtype=float) * 2 + 0.5) / 2 + 0.0
    return latitude, np.floor(np.asarray(longitude_deg, dtype=float) * 8 / 5 + 0.5) * 0.625 + 0.0


def weather_requests(
    static: xr.Dataset, years: Sequence[int], today: dt.date
) -> tuple[list[Request], list[Note]]:
    """Requests for each cell: one per run of complete years, and one for the current year.

    Args:
        static: table of places, see `schema.check_static`.
        years: calendar years, with or without gaps.
        today: decides which months POWER can have; later ones do not count as missing.

    Returns:
        requests, and notes on months that POWER does not have.
    """
    years, newest = sorted(set(years)), newest_month(today)
    cells = sorted(set(cells_of(static)))
    requests = [request_of(*cell, *period) for period in periods_of(years, today) for cell in cells]
    before = 12 * sum(year < FIRST_YEAR for year in years)
    after = sum(dt.date(year, month, 1) > newest for year in years for month in range(1, 13))
    notes = [
        Note("weather", f"NASA POWER: months before its first year, {FIRST_YEAR}", before),
        Note("weather", f"NASA POWER: not yet observed: months after {newest:%Y-%m}", after),
    ]
    return requests, [note for note in notes if note.count]


def newest_month(today: dt.date) -> dt.date:
    """First day of the newest month that ended `LAG_days` ago or earlier."""
    return add_months(today - dt.timedelta(days=LAG_days - 1), -1)


def periods_of(years: Sequence[int], today: dt.date) -> list[tuple[dt.date, dt.date]]:
    """First and last day of each run of complete years, and of the complete months of the current year."""
    newest = newest_month(today)
    closed = newest.year if newest.month == 12 else newest.year - 1
    whole = [year for year in years if FIRST_YEAR <= year <= closed]
    firsts = [dt.date(year, 1, 1) for year in whole if year - 1 not in whole]
    lasts = [dt.date(year, 12, 31) for year in whole if year + 1 not in whole]
    periods = list(zip(firsts, lasts, strict=True))
    if newest.year in years and newest.month < 12:
        periods.append((dt.date(newest.year, 1, 1), add_months(newest, 1) - dt.timedelta(days=1)))
    return periods


def read_weather(
    cache: RequestCache, power: NasaPower, requests: Sequence[Request], static: xr.Dataset
) -> tuple[xr.Dataset, list[Note]]:
    """Monthly weather of every municipality from the daily values of its cell.

    Args:
        cache: holds the answers; a missing one leaves its months empty.
        power: the source, for licence and attribution.
        requests: from `weather_requests` for the same places.
        static: table of places.

    Returns:
        table as checked by `schema.check_weather`, with every ``gdd_*_degC_day`` of
        `degree_days.quantities` from daily values, NaN for a month with a missing day; and notes.

    Raises:
        MissingDataError: no requests.
    """
    if not requests:
        raise MissingDataError("NASA POWER has none of the requested months", f"It begins in {FIRST_YEAR}.")
    rows = {cell: i for i, cell in enumerate(sorted(set(cells_of(static))))}
    own_months = [
        calendar_of(request.parameters["start"], request.parameters["end"])[1] for request in requests
    ]
    months = np.arange(min(m[0] for m in own_months), max(m[-1] for m in own_months) + 1)
    names = [*VARIABLE_MAP.values(), *degree_days.quantities()]
    table = np.full((len(names), len(rows), len(months)), np.nan, np.float32)
    records: list[Record] = []
    negative = 0
    for request, own in zip(requests, own_months, strict=True):
        for _, file, record in cache.leaves(request):
            days = daily_values(request, load(request, file))
            row = rows[request.parameters["latitude"], request.parameters["longitude"]]
            table[:, row, np.isin(months, own)] = _monthly(days, own)
            negative += int((days["PRECTOTCORR"] < 0).sum())
            records.append(record)
    index = [rows[cell] for cell in cells_of(static)]
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
    absent = len(requests) - len(records)
    asked = np.isin(months, np.concatenate(own_months))  # others are empty on purpose
    holes = int(np.isnan(table[..., asked]).any(axis=0).sum())
    notes = [
        Note("weather", "NASA POWER: requests (a cell, a period) not on disk", absent, True),
        Note("weather", "NASA POWER: months of a cell with missing days, left empty", holes, True),
        Note("weather", "NASA POWER: days with rain slightly below zero, set to zero", negative),
    ]
    ds = schema.set_units(ds.assign_attrs(attrs))
    return schema.check_weather(ds), [note for note in notes if note.count]


def days_between(start: str, end: str) -> NDArray[np.datetime64]:
    """All days of a period, with its last day; dates as POWER writes them (YYYYMMDD)."""
    first, last = (np.datetime64(dt.date.fromisoformat(day)) for day in (start, end))
    return np.arange(first, last + 1)


@lru_cache(maxsize=8)
def calendar_of(start: str, end: str) -> tuple[tuple[str, ...], NDArray[np.datetime64]]:
    """Each day as POWER writes it (YYYYMMDD), and its month."""
    days = days_between(start, end)
    return tuple(str(day).replace("-", "") for day in days), days.astype("datetime64[M]")


def _monthly(days: Daily, months: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Monthly means of temperatures, sums of rain and degree days: (variable, month)."""
    tmax, tmin, rain = (days[parameter] for parameter in VARIABLE_MAP)
    limits = degree_days.quantities().values()
    rows = [tmax, tmin, np.maximum(rain, 0), *(degree_days.daily(tmax, tmin, *pair) for pair in limits)]
    _, starts, lengths = np.unique(months, return_index=True, return_counts=True)
    values = np.add.reduceat(np.stack(rows), starts, axis=1)
    values[:2] /= lengths
    return values


def load(request: Request, file: Path) -> dict[str, Any]:
    """The answer, after a check of layout, place and units."""
    try:
        answer: dict[str, Any] = json.loads(file.read_bytes())
    except ValueError as error:
        raise RetryableError(f"{request.name}: expected JSON, received something else: {error}") from error
    try:
        dict(answer["properties"]["parameter"])
        lon, lat = map(float, answer["geometry"]["coordinates"][:2])
        header, units = dict(answer["header"]), answer.get("parameters") or {}
        float(header["fill_value"])
        found = {p: units[p]["units"] for p in _UNITS if p in units}
    except (KeyError, TypeError, ValueError) as error:
        messages = answer.get("messages", "") if isinstance(answer, dict) else ""
        raise FetchError(f"POWER's answer has another layout: {error!r} {messages}", _CHANGED) from error
    asked = request.parameters["latitude"], request.parameters["longitude"]
    if abs(lat - asked[0]) > 0.01 or abs(lon - asked[1]) > 0.01:  # three decimals may come back as two
        raise RetryableError(f"{request.name}: expected the point {asked}, received {(lat, lon)}")
    for parameter, unit in found.items():
        if unit not in _UNITS[parameter]:
            raise FetchError(f"expected {parameter} in {_UNITS[parameter][0]}, received {unit}", _CHANGED)
    if header.get("time_standard", "LST") != "LST":
        raise FetchError(f"expected local solar days (LST), received {header['time_standard']}", _CHANGED)
    return answer


def daily_values(request: Request, answer: Mapping[str, Any]) -> Daily:
    """Values of each requested day by parameter, NaN for the fill value and for null."""
    keys, _ = calendar_of(request.parameters["start"], request.parameters["end"])
    columns, fill = answer["properties"]["parameter"], float(answer["header"]["fill_value"])
    result = {}
    for parameter in request.parameters["parameters"].split(","):
        column = columns.get(parameter)
        if not isinstance(column, dict):
            raise FetchError(f"{request.name}: expected {parameter}, received {sorted(columns)}", _CHANGED)
        if odd := sorted(column.keys() ^ set(keys)):
            text = f"{len(odd)} missing or additional days, the first {odd[0]}"
            raise RetryableError(f"{request.name}: {parameter} has {text}")
        try:
            values = np.array([column[key] for key in keys], dtype=float)
        except (TypeError, ValueError) as error:
            raise FetchError(f"{request.name}: {parameter}: expected numbers, {error}", _CHANGED) from error
        values[values == fill] = np.nan
        low, high = _RANGE[{**VARIABLE_MAP, **DAILY_MAP}[parameter]]
        outside = np.flatnonzero(~np.isnan(values) & ~((values >= low) & (values <= high)))
        if outside.size:
            text = f"{request.name}: expected {parameter} of {low:g} to {high:g} (or {fill:g}), received"
            value, day = values[outside[0]], keys[outside[0]]
            raise FetchError(f"{text} {value:g} on {day} ({outside.size} such days)", _CHANGED)
        result[parameter] = values
    return result


def _show_messages(answer: Response, **_: Any) -> None:
    """FetchError with the answer's `messages` for a refused request; they follow a long heading."""
    if answer.status_code in (400, 422):
        try:
            messages = json.loads(next(answer.iter_content(20_000), b""))["messages"]
        except (ValueError, KeyError, TypeError):
            return
        text = f"POWER refused the request ({answer.status_code}): {'; '.join(map(str, messages))}"
        raise FetchError(text, "Trying again will not help. " + _CHANGED)


def request_of(
    lat: float, lon: float, start: dt.date, end: dt.date, parameters: Iterable[str] = VARIABLE_MAP
) -> Request:
    """Request for days of a cell; its name tells months, and what it has beside `VARIABLE_MAP`."""
    names = tuple(parameters)
    name = f"{abs(lat):04.1f}{'n' if lat >= 0 else 's'}-{abs(lon):07.3f}{'e' if lon >= 0 else 'w'}"
    label = "" if names == tuple(VARIABLE_MAP) else "-days"
    return Request(
        NasaPower.name,
        f"{name}-{start:%Y%m}-{end:%Y%m}{label}",
        {
            "parameters": ",".join(names), "community": "AG", "latitude": lat, "longitude": lon,
            "start": f"{start:%Y%m%d}", "end": f"{end:%Y%m%d}", "format": "JSON", "time-standard": "LST",
        },
    )  # fmt: skip


def cells_of(static: xr.Dataset) -> list[tuple[float, float]]:
    """The cell of every place, see `cell_of`."""
    latitudes, longitudes = cell_of(static["latitude_deg"].values, static["longitude_deg"].values)
    return list(zip(latitudes.tolist(), longitudes.tolist(), strict=True))
