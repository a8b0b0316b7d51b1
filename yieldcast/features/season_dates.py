"""Calendar of the settings, main season window of a crop, and lead time of a forecast."""

from __future__ import annotations

import datetime as dt

import numpy as np
import xarray as xr

import calendars
from calendars import Calendar, Country, country
from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.errors import ConfigError, MissingDataError


def calendar_for(
    settings: DataSettings, static: xr.Dataset | None = None, of: Country | None = None
) -> Calendar:
    """The calendar of the settings, or that of the country, with the window lengths of the settings.

    Args:
        settings: `calendar` and `months`.
        static: table of places; a calendar of the settings may use its regions.
        of: country of the store; None for the default one.

    Raises:
        ConfigError: neither the settings nor the country have a calendar.
    """
    of = of or country.default()
    if settings.calendar is None:
        calendar = of.calendar
        if calendar is None:
            raise ConfigError(
                f"expected a crop calendar, received none: {_without_calendar(of)}",
                "Import with --country country.toml, which names a calendar, or give a settings file with "
                '--config that has calendar = "calendar.csv" under [data].',
            )
    else:
        regions = {}
        if static is not None:
            states, names = (static[name].values.astype(str).tolist() for name in ("state", "region"))
            regions = dict(zip(states, names, strict=True))
        calendar = calendars.read(settings.calendar, regions=regions)
    return calendar.with_months(settings.months) if settings.months else calendar


def _without_calendar(of: Country) -> str:
    if of.name:
        return f"the country.toml of {of.name} names no file as its calendar"
    return "the store does not say which country its places are in"


def lead_months(
    calendar: Calendar, crop: str, tables: Tables, harvest_year: int, as_of: dt.date, newest: int
) -> int:
    """Lead time of a forecast: months from `as_of` to the last month of the `main_window`.

    Args:
        calendar, crop: give the windows.
        tables: places, yields and areas.
        harvest_year: the season.
        as_of: date of the forecast.
        newest: newest public harvest year.
    """
    end = main_window(calendar, crop, tables, harvest_year, newest)[1]
    return int((end - np.datetime64(as_of, "M")).astype(np.int64))


def main_window(
    calendar: Calendar, crop: str, tables: Tables, harvest_year: int, newest: int
) -> tuple[np.datetime64, np.datetime64]:
    """First and last month of the main window of a crop, the area-weighted median over the states.

    Windows of states begin and end in different months. Places are ordered by the first month of their
    window; the one at which half of the harvested area of the newest public year is reached gives the main
    window. Without areas all places with a public yield count equally.

    Args:
        calendar, crop, tables, harvest_year, newest: as for `lead_months`.

    Raises:
        MissingDataError: no yield was public.
    """
    table = tables.yields.sel(crop=crop)
    table = table.sel(harvest_year=table["harvest_year"] <= newest)
    grown = np.nan_to_num(table["yield_kg_ha"].transpose("municipality", "harvest_year").values) > 0
    if "area_harvested_ha" in table:
        areas = table["area_harvested_ha"].transpose("municipality", "harvest_year").values
        weight = np.where(grown, np.nan_to_num(areas), 0.0)[:, -1:].sum(axis=1)
    else:
        weight = np.zeros(len(grown))
    weight = weight if weight.any() else grown.any(axis=1).astype(float)
    if not weight.any():
        raise MissingDataError(
            f"expected {crop} yields of harvest year {newest} or before, the newest public; received none",
            "Add earlier years of yields, or forecast a later year.",
        )
    static = tables.static.sel(municipality=table["municipality"].values[weight > 0])
    states, weight = static["state"].values.astype(str), weight[weight > 0]
    starts = calendar.starts(crop, states, np.full(len(states), harvest_year))
    order = np.argsort(starts, kind="stable")
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    start = starts[order][min(middle, len(order) - 1)]
    return start, start + (calendar.steps(crop) - 1)


def last_month(calendar: Calendar, crop: str, year: int, settings: DataSettings) -> dt.date:
    """First day of the last month of weather used by a training whose last harvest year is `year`."""
    states = np.array(sorted({region for c, region in calendar.rows if c == crop}))
    ends = calendar.starts(crop, states, np.full(len(states), year)) + (calendar.steps(crop) - 1)
    last: dt.date = ends.max().astype("datetime64[D]").item()
    # Anomalies are departures from a climatology up to the end of that year, see `Source.climate`.
    return max(last, dt.date(year, 12, 1)) if settings.weather_inputs == "anomalies" else last
