"""How far a store is behind what was public on the date of a forecast, and whether it knows the outcome.

A store that nobody has filled for years gives a forecast all the same. What it lacks is therefore named in
every forecast, and a store that lacks too much is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars import Calendar, CalendarError
from yieldcast.config import Settings
from yieldcast.data.store import Store, Tables
from yieldcast.data.summary import number_spans
from yieldcast.errors import MissingDataError
from yieldcast.publication import Publication, add_months

# A store may be so far behind what was public (our choice): yields of one harvest year are late in some
# countries, and three months are the delay of final ERA5.
MOST_YEARS_BEHIND, MOST_MONTHS_BEHIND = 1, 3
Months = NDArray[np.datetime64]


class StaleStoreError(MissingDataError):
    """A store lacks too much of what was public on the date of a forecast."""


@dataclass(frozen=True)
class Freshness:
    """What a store lacks of what was public on a date and matters for a harvest year.

    Args:
        as_of: the date.
        yields_public_to: newest harvest year whose yields were public.
        yields_known_to: newest harvest year before the season with public yields of the crop in the store;
            None without any.
        missing_years: public harvest years before the season without a yield of the crop, after the first
            year of the store, ascending.
        missing_months: months to the end of the season, public and without monthly weather, "2018-05",
            after the first month of the store, ascending.
        missing_daily_months: the same of the daily table, after its newest day; empty without that table.
        years_behind, months_behind: of `missing_years` and the months those after the newest known one.
        outcome: whether the store has yields of the harvest year itself: "" no, "public" public ones, "later"
            such that were published after the date.
    """

    as_of: dt.date
    yields_public_to: int
    yields_known_to: int | None
    missing_years: tuple[int, ...]
    missing_months: tuple[str, ...]
    missing_daily_months: tuple[str, ...]
    years_behind: int
    months_behind: int
    outcome: Literal["", "public", "later"]

    def missing(self) -> dict[str, list[int] | list[str]]:
        """What is missing by kind, as values for JSON; only kinds of which something is missing."""
        found: dict[str, list[int] | list[str]] = {
            "harvest_years": list(self.missing_years),
            "weather_months": list(self.missing_months),
            "daily_weather_months": list(self.missing_daily_months),
        }
        return {name: values for name, values in found.items() if values}

    def check(self) -> None:
        """Refuse a store that is too far behind.

        Raises:
            StaleStoreError: more than `MOST_YEARS_BEHIND` harvest years of yields, or more than
                `MOST_MONTHS_BEHIND` months of weather.
        """
        if self.years_behind > MOST_YEARS_BEHIND or self.months_behind > MOST_MONTHS_BEHIND:
            raise StaleStoreError(
                f"the store is behind what was public on {self.as_of}: {described(self.missing())}; a "
                f"forecast needs all but {MOST_YEARS_BEHIND} harvest year and {MOST_MONTHS_BEHIND} months",
                "Fetch or import what is missing (yieldcast status shows what there is), or accept it with "
                "--allow-stale (in Python allow_stale=True).",
            )


def described(missing: dict[str, list[int] | list[str]]) -> str:
    """One line that names what is missing, e.g. "no yields of harvest years 2016-2018"."""
    found = []
    if years := missing.get("harvest_years"):
        found.append(f"no yields of harvest years {number_spans(map(int, years))}")
    for name, what in (("weather_months", "weather"), ("daily_weather_months", "daily weather")):
        if months := missing.get(name):
            found.append(f"no {what} of {month_spans(list(map(str, months)))}")
    return "; ".join(found)


def month_spans(months: Sequence[str]) -> str:
    """Months in order, consecutive ones as a span: "2018-01, 2018-03 to 2018-05"."""
    spans: list[list[np.datetime64]] = []
    for month in np.unique(np.array(months, dtype="datetime64[M]")):
        if spans and month == spans[-1][1] + 1:
            spans[-1][1] = month
        else:
            spans.append([month, month])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in spans)


def freshness(
    store: Store,
    tables: Tables,
    crop: str,
    harvest_year: int,
    as_of: dt.date,
    calendar: Calendar,
    settings: Settings,
) -> Freshness:
    """What a store lacks for a forecast.

    Only what the forecast can read counts: harvest years before the season, and months to the end of its
    windows.

    Args:
        store: its daily table counts where it has one and the settings read it.
        tables: places, monthly weather and yields.
        crop, harvest_year, as_of: of the forecast.
        calendar: gives the windows of the season.
        settings: say when yields and weather become public, and which tables are read.
    """
    publication = settings.data.publication()
    public_to = publication.last_public_harvest_year(as_of)
    years = _years_with_yields(tables.yields, crop)
    wanted = min(public_to, harvest_year - 1)
    known = years[years <= wanted]
    lost = sorted(set(range(int(years.min()), wanted + 1)) - set(years.tolist())) if known.size else []
    months = _public_months(tables, crop, harvest_year, as_of, calendar, publication)
    gaps, behind = _gaps(_months_with_weather(tables.weather), months)
    daily_gaps: tuple[str, ...] = ()
    if "daily" in store and "daily" in settings.optional_tables:
        newest = _newest_day(store.daily)
        late = months[months > newest] if newest is not None else months[:0]
        daily_gaps, behind = tuple(map(str, late)), max(behind, len(late))
    outcome: Literal["", "public", "later"] = ""
    if harvest_year in years:
        outcome = "public" if harvest_year <= public_to else "later"
    return Freshness(
        as_of, public_to, int(known.max()) if known.size else None, tuple(lost), gaps, daily_gaps,
        wanted - int(known.max()) if known.size else 0, behind, outcome,
    )  # fmt: skip


def _years_with_yields(yields: xr.Dataset, crop: str) -> NDArray[np.int64]:
    """Harvest years in which a municipality has a yield of the crop, ascending."""
    table = yields["yield_kg_ha"].sel(crop=[name for name in yields["crop"].values if name == crop])
    some = table.notnull().any([dim for dim in table.dims if dim != "harvest_year"])
    return np.sort(table["harvest_year"].values[some.values].astype(np.int64))


def _months_with_weather(weather: xr.Dataset) -> Months:
    """Months in which a municipality has a temperature."""
    some = weather["tmax_degC"].notnull().any("municipality").values
    months: Months = weather["time"].values[some].astype("datetime64[M]")
    return months


def _public_months(
    tables: Tables, crop: str, harvest_year: int, as_of: dt.date, calendar: Calendar, publication: Publication
) -> Months:
    """Months whose weather was public, from the first of the table to the end of the season's windows."""
    month = as_of.replace(day=1)
    while publication.weather_public(month) > as_of:
        month = add_months(month, -1)
    states = [s for s in np.unique(tables.static["state"].values.astype(str)) if _has_row(calendar, crop, s)]
    last = np.datetime64(month, "M")
    if states:
        ends = calendar.starts(crop, states, np.full(len(states), harvest_year)) + calendar.steps(crop) - 1
        last = min(last, ends.max().astype("datetime64[M]"))
    return np.arange(tables.weather["time"].values[0].astype("datetime64[M]"), last + 1)


def _has_row(calendar: Calendar, crop: str, state: str) -> bool:
    try:
        calendar.row(crop, state)
    except CalendarError:
        return False
    return True


def _gaps(known: Months, wanted: Months) -> tuple[tuple[str, ...], int]:
    """Months wanted and not known after the first known one, and how many lie after the newest known one."""
    known = known[np.isin(known, wanted)]
    if not known.size:
        return (), 0
    lost = wanted[(wanted > known.min()) & ~np.isin(wanted, known)]
    return tuple(map(str, lost)), int((lost > known.max()).sum())


def _newest_day(daily: xr.Dataset) -> np.datetime64 | None:
    """Month of the newest day on which a unit has a temperature."""
    values = daily["tmax_degC"].transpose("time", "unit").values
    for position in range(len(values) - 1, -1, -1):
        if np.isfinite(values[position]).any():
            return np.datetime64(daily["time"].values[position], "M")
    return None
