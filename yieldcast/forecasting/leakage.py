"""Dates of a forecast: what was public, what would be a leak, and how far ahead the harvest is."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt
import xarray as xr

from calendars import Calendar
from yieldcast.config import DataSettings
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Tables
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.features import yield_history
from yieldcast.features.samples import Source
from yieldcast.features.season_dates import calendar_for
from yieldcast.training.run_directory import Run

_ENOUGH = 0.5  # of a year's places must have weather: a year of a few places would stand for all (our choice)


def check_leaks(run: Run, harvest_year: int, as_of: dt.date) -> None:
    """Refuse a run that knows what nobody knew on the date of the forecast.

    Raises:
        LeakageError: a training year's yields, or its weather, were not public on `as_of`, or the season to
            forecast is not later than every training year; names them.
    """
    publication, years = run.settings.data.publication(), run.identity.train_years
    newest = publication.last_public_harvest_year(as_of)
    ahead = [year for year in years if year >= harvest_year]
    if ahead:
        raise LeakageError(
            f"{run.path} was trained on harvest years {_listed(ahead)}, which are not before {harvest_year}: "
            "it knows what it is to forecast",
            f"Use a run trained on harvest years before {harvest_year}.",
        )
    early = [year for year in years if year > newest]
    if early:
        days = ", ".join(f"{year} on {publication.yields_public(year)}" for year in early)
        raise LeakageError(
            f"{run.path} was trained on yields that were not public on {as_of}: harvest years "
            f"{_listed(early)} (public: {days})",
            f"Use a run trained on harvest years to {newest}, or a later --as-of.",
        )
    last = _last_month(run.calendar(), run.identity.crop, max(years), run.settings.data)
    public = publication.weather_public(last)
    if public > as_of:
        raise LeakageError(
            f"{run.path} was trained on weather to {last:%Y-%m}, public on {public}, after {as_of}",
            "Use a run trained on earlier harvest years, or a later --as-of.",
        )


def _last_month(calendar: Calendar, crop: str, year: int, settings: DataSettings) -> dt.date:
    """Last month of weather (its first day) that enters a training to a harvest year."""
    states = np.array(sorted({region for c, region in calendar.rows if c == crop}))
    ends = calendar.starts(crop, states, np.full(len(states), year)) + (calendar.steps(crop) - 1)
    last: dt.date = ends.max().astype("datetime64[D]").item()
    # anomalies are departures from a climate to the end of that year, see `Source.climate`
    return max(last, dt.date(year, 12, 1)) if settings.weather_inputs == "anomalies" else last


def _listed(years: list[int]) -> str:
    return ", ".join(map(str, years))


def trainable_years(tables: Tables, crop: str, as_of: dt.date, settings: DataSettings) -> tuple[int, ...]:
    """See `forecasting.public_train_years`."""
    calendar = calendar_for(settings, tables.static)
    newest = settings.publication().last_public_harvest_year(as_of)
    yields = tables.yields["yield_kg_ha"]
    if crop not in yields["crop"].values.tolist():
        raise MissingDataError(
            f"the store has no yields of {crop!r}; it has: {', '.join(yields['crop'].values.tolist())}",
            f"Fetch or import yields of {crop}.",
        )
    table = yields.sel(crop=crop).reindex(municipality=tables.static["municipality"].values)
    source, found = Source(tables, calendar, crop, settings, newest), []
    first, years = 0, table["harvest_year"].values
    if settings.yield_history:  # a year needs yields as old as the longest lag that a forecast can meet
        states = tables.static["state"].values.astype(str)
        lags = yield_history.possible_lags(calendar, crop, states, settings.publication())
        first = int(years[(table.fillna(0) > 0).any("municipality").values].min(initial=newest)) + max(lags)
    for year in years[(years <= newest) & (years >= first)]:
        if settings.publication().weather_public(_last_month(calendar, crop, int(year), settings)) > as_of:
            continue
        place = np.flatnonzero(np.nan_to_num(table.sel(harvest_year=year).values) > 0)
        if place.size:
            season = source.cut(place, np.full(len(place), year, dtype=np.int16), as_of)["weather"].values
            if np.isfinite(season).all(axis=(1, 2)).mean() >= _ENOUGH:
                found.append(int(year))
    if len(found) < 2:
        raise MissingDataError(
            f"{crop}: expected two harvest years or more with yields public on {as_of} and weather for their "
            f"season, received {_listed(found) or 'none'}",
            "Fetch or import earlier years (yieldcast status shows what is there).",
        )
    return tuple(found)


def month_text(times: npt.NDArray[np.datetime64]) -> str:
    """The last of some months as 2017-10; empty for none."""
    return str(times.max().astype("datetime64[M]")) if times.size else ""


def seasonal_start(forecasts: xr.Dataset, as_of: dt.date) -> str:
    """Month of the newest seasonal forecast that was out on a date, with a mark of its contents."""
    out = forecasts["published"].values <= np.datetime64(as_of)
    starts = forecasts["forecast_reference_time"].values[out]
    if not starts.size:
        return ""
    one = forecasts.sel(forecast_reference_time=starts.max())
    cell = one["municipality_cell"].sel(system=int(one["start_system"])).values
    # Only this start's own cells: the table may grow by starts of another grid.
    used = np.unique(cell[cell >= 0])
    place = np.where(cell >= 0, np.searchsorted(used, cell), -1)
    fields = [str(name) for name in one.data_vars if {"member", "cell"} <= set(one[name].dims)]
    values = one[fields].isel(cell=used).drop_vars("cell")
    return f"{month_text(starts)} {fingerprint(values.assign(place=('municipality', place)))[:12]}"
