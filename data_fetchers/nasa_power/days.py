"""Daily weather of NASA POWER: more variables than the monthly table has, and the month under way.

Months and days have separate requests, so that cached answers without the further variables stay in use.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import xarray as xr

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.nasa_power.source import (
    DAILY_MAP,
    FIRST_YEAR,
    VARIABLE_MAP,
    NasaPower,
    cells_of,
    daily_values,
    days_between,
    load,
    newest_month,
    periods_of,
    request_of,
)
from yieldcast.data.daily import daily_table
from yieldcast.errors import MissingDataError
from yieldcast.publication import add_months

# Days until POWER has a day; what it lacks comes as missing. The month under way is asked for by steps of
# days, because each new last day is a new request for every cell.
DAY_LAG_days, STEP_days = 7, 5


def daily_requests(static: xr.Dataset, years: Sequence[int], today: dt.date) -> list[Request]:
    """Requests for daily weather, beside `source.weather_requests`, which have the extremes and rain.

    They ask for dew point, radiation and wind of complete months, and for everything in the first 5, 10, ...
    days of the month under way.

    Args:
        static, years, today: as for `source.weather_requests`.
    """
    years = sorted(set(years))
    cells = sorted(set(cells_of(static)))
    requests = [
        request_of(*cell, *period, DAILY_MAP) for period in periods_of(years, today) for cell in cells
    ]
    first = add_months(newest_month(today), 1)
    end = add_months(first, 1) - dt.timedelta(days=1)
    known = (min(today - dt.timedelta(days=DAY_LAG_days), end) - first).days + 1
    known = known if known == end.day else known // STEP_days * STEP_days
    if known <= 0 or first.year not in years:
        return requests
    last = first.replace(day=known)
    return requests + [request_of(*cell, first, last, (*VARIABLE_MAP, *DAILY_MAP)) for cell in cells]


def read_daily(
    cache: RequestCache, power: NasaPower, requests: Sequence[Request], static: xr.Dataset
) -> xr.Dataset:
    """The table of daily weather of the cells.

    Args:
        cache, power, static: as for `source.read_weather`.
        requests: from `source.weather_requests` and `daily_requests`; what is missing is NaN.

    Returns:
        table as checked by `yieldcast.data.daily.check_daily`; its units are the cells, numbered from the
        south pole: 1000 times the row plus the column.

    Raises:
        MissingDataError: no requests.
    """
    if not requests:
        raise MissingDataError("NASA POWER has none of the requested days", f"It begins in {FIRST_YEAR}.")
    cells = sorted(set(cells_of(static)))
    rows = {cell: i for i, cell in enumerate(cells)}
    calendars = [days_between(request.parameters["start"], request.parameters["end"]) for request in requests]
    days = np.arange(min(own[0] for own in calendars), max(own[-1] for own in calendars) + 1)
    names = {**VARIABLE_MAP, **DAILY_MAP}
    used = {name for request in requests for name in request.parameters["parameters"].split(",")}
    fields = {
        names[one]: np.full((len(rows), len(days)), np.nan, dtype=np.float32)
        for one in names
        if one in used or one in VARIABLE_MAP
    }
    for request, own in zip(requests, calendars, strict=True):
        first = int((own[0] - days[0]).astype(int))
        row = rows[request.parameters["latitude"], request.parameters["longitude"]]
        for _, file, _record in cache.leaves(request):
            for parameter, values in daily_values(request, load(request, file)).items():
                low = 0.0 if parameter == "PRECTOTCORR" else -np.inf  # as `read_weather` does
                fields[names[parameter]][row, first : first + len(own)] = np.maximum(values, low)
    attrs = {
        "source": "NASA POWER daily point service, community AG, local solar days, MERRA-2 cells",
        "licence": power.licence, "attribution": power.attribution,
    }  # fmt: skip
    place = np.array([rows[cell] for cell in cells_of(static)])
    units = np.array([_unit(*cell) for cell in cells], dtype=np.int32)
    return daily_table(fields, days, units, static["municipality"].values, place, attrs)


def _unit(latitude_deg: float, longitude_deg: float) -> int:
    return round((latitude_deg + 90) / 0.5) * 1000 + round((longitude_deg + 180) / 0.625)
