"""Leaks: runs that know more than was public on the date of a forecast are refused; years that may train."""

from __future__ import annotations

import datetime as dt

import numpy as np

from calendars import Country
from yieldcast.config import DataSettings
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Tables
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.features import yield_history
from yieldcast.features.season_dates import calendar_for, last_month
from yieldcast.features.source import Source
from yieldcast.training.run_directory import Run

# Share of the municipalities with a yield that must have weather; a training year must represent the country
# (our choice).
_MIN_SHARE_WITH_WEATHER = 0.5
EVERYTHING_PUBLIC = dt.date(2200, 1, 1)  # a day after all data


def check_leaks(run: Run, harvest_year: int, as_of: dt.date) -> None:
    """Refuse a run that was trained on data not public on the date of the forecast.

    Args:
        run: the trained run.
        harvest_year: the season to forecast.
        as_of: date of the forecast.

    Raises:
        LeakageError: yields or weather of a training year were not public on `as_of`, or a training year is
            not before `harvest_year`; the message lists the years. The same for the run that it was started
            from, if any.
    """
    _check_origin(run, harvest_year, as_of)
    publication, years = run.settings.data.publication(), run.identity.train_years
    newest = publication.last_public_harvest_year(as_of)
    ahead = [year for year in years if year >= harvest_year]
    if ahead:
        raise LeakageError(
            f"{run.path} was trained on harvest years {_listed(ahead)}, which are not before {harvest_year}, "
            "the season to forecast",
            f"Use a run trained on harvest years before {harvest_year}.",
        )
    early = [year for year in years if year > newest]
    if early:
        days = ", ".join(f"{year} on {publication.yields_public(year)}" for year in early)
        raise LeakageError(
            f"{run.path} was trained on yields that were not public on {as_of}: harvest years "
            f"{_listed(early)} (public: {days})",
            f"Use a run trained on harvest years up to {newest}, or a later --as-of. The delay is "
            f"{_delay_of_yields(run.settings.data)}: if your yields are public earlier, set it under [data] "
            "of the settings file, or [publication.yields] in country.toml, and train again.",
        )
    last = last_month(run.calendar(), run.identity.crop, max(years), run.settings.data)
    public = publication.weather_public(last)
    if public > as_of:
        raise LeakageError(
            f"{run.path} was trained on weather up to {last:%Y-%m}, public on {public}, after {as_of}",
            "Use a run trained on earlier harvest years, or a later --as-of. If your weather is public "
            "earlier, set weather_delay_months and weather_delay_days under [data], and train again.",
        )


def _check_origin(run: Run, harvest_year: int, as_of: dt.date) -> None:
    """Refuse a run whose weights were started from a run that knew more than was public on the date.

    Raises:
        LeakageError: see `check_leaks`.
    """
    origin = run.identity.origin
    if origin is None:
        return
    started = f"{run.path} was started from run {origin.run_id}, which was trained on"
    ahead = [year for year in sorted(origin.all_years) if year >= harvest_year]
    if ahead:
        raise LeakageError(
            f"{started} harvest years {_listed(ahead)}, which are not before {harvest_year}, the season to "
            "forecast",
            f"Start from a run trained on harvest years before {harvest_year}.",
        )
    if dt.date.fromisoformat(origin.public_from) > as_of:
        raise LeakageError(
            f"{started} data that were public on {origin.public_from}, after {as_of}",
            "Start from a run trained on earlier harvest years, or use a later --as-of.",
        )


def _delay_of_yields(settings: DataSettings) -> str:
    """The rule behind a day of publication, with the names of its settings."""
    rule = (
        f"yields_delay_months = {settings.yields_delay_months}, "
        f"yields_delay_days = {settings.yields_delay_days}"
    )
    return rule if settings.yield_releases == "rule" else f"{rule}, and the release days of the country"


def check_left_out(run: Run, harvest_year: int) -> None:
    """Refuse a run, for the leave-year-out protocol, that was trained on the harvest year to forecast.

    This is the only case in which a run may know years that were not public on the date of the forecast;
    `check_leaks` holds for every other forecast.

    Args:
        run: the trained run.
        harvest_year: the season to forecast.

    Raises:
        LeakageError: the year is a training year of the run, or of the run that it was started from.
    """
    if harvest_year in run.identity.all_years:
        raise LeakageError(
            f"{run.path} was trained on harvest year {harvest_year}, which the leave-year-out protocol "
            "leaves out",
            f"Use a run trained on the other harvest years, without {harvest_year}.",
        )


def other_years(
    tables: Tables, crop: str, harvest_year: int, settings: DataSettings, of: Country | None = None
) -> tuple[int, ...]:
    """Training years of the leave-year-out protocol: all harvest years with weather, except one.

    Args:
        tables, crop, settings, of: as for `trainable_years`.
        harvest_year: the year left out.

    Raises:
        MissingDataError: fewer than two such years.
    """
    years = trainable_years(tables, crop, EVERYTHING_PUBLIC, settings, of)
    years = tuple(year for year in years if year != harvest_year)
    if len(years) < 2:
        raise MissingDataError(
            f"{crop}: expected two harvest years or more with yields and weather besides {harvest_year}, "
            f"received {_listed(list(years)) or 'none'}",
            "Fetch or import more years (yieldcast status lists the years of the store).",
        )
    return years


def _listed(years: list[int]) -> str:
    return ", ".join(map(str, years))


def trainable_years(
    tables: Tables, crop: str, as_of: dt.date, settings: DataSettings, of: Country | None = None
) -> tuple[int, ...]:
    """Harvest years on which a run may be trained for a forecast as of a date.

    A year qualifies if its yields and the weather of its season window were public on that date, and at least
    half of the municipalities with a yield have the weather of the whole window. With `yield_history`, yields
    must go back far enough before it for every lag that a forecast can have.

    Args:
        tables: static, weather and yields.
        crop: crop of the yields table.
        as_of: date of the forecast.
        settings: publication delays, calendar and inputs.
        of: country of the tables, which gives the calendar where the settings have none; None for the
            default one.

    Returns:
        harvest years, ascending.

    Raises:
        MissingDataError: no yields of the crop, or fewer than two such years.
    """
    calendar = calendar_for(settings, tables.static, of)
    newest = settings.publication().last_public_harvest_year(as_of)
    table = yields_of(tables.yields, crop)["yield_kg_ha"]
    table = table.reindex(municipality=tables.static["municipality"].values)
    source, found = Source(tables, calendar, crop, settings, newest), []
    first, years = 0, table["harvest_year"].values
    if settings.yield_history:  # the longest lag of any forecast must still reach the first year of yields
        states = tables.static["state"].values.astype(str)
        lags = yield_history.possible_lags(calendar, crop, states, settings.publication())
        first = int(years[(table.fillna(0) > 0).any("municipality").values].min(initial=newest)) + max(lags)
    for year in years[(years <= newest) & (years >= first)]:
        if settings.publication().weather_public(last_month(calendar, crop, int(year), settings)) > as_of:
            continue
        place = np.flatnonzero(np.nan_to_num(table.sel(harvest_year=year).values) > 0)
        if place.size:
            season = source.cut(place, np.full(len(place), year, dtype=np.int16), as_of)["weather"].values
            if np.isfinite(season).all(axis=(1, 2)).mean() >= _MIN_SHARE_WITH_WEATHER:
                found.append(int(year))
    if len(found) < 2:
        raise MissingDataError(
            f"{crop}: expected two harvest years or more with yields public on {as_of} and weather for their "
            f"season, received {_listed(found) or 'none'}",
            "Fetch or import earlier years (yieldcast status lists the years of the store).",
        )
    return tuple(found)
