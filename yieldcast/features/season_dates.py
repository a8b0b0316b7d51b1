"""Pieces of yieldcast/dates.py."""

from __future__ import annotations

import datetime as dt

import numpy as np
import xarray as xr

import calendars
from calendars import Calendar
from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError


def calendar_for(settings: DataSettings, static: xr.Dataset | None = None) -> calendars.Calendar:
    """The user's calendar, or Brazil's, with the user's own month counts.

    Args:
        settings: `calendar` and `months`.
        static: places, whose state-to-region map serves a user's calendar.
    """
    if settings.calendar is None:
        calendar = calendars.brazil()
    else:
        regions = {}
        if static is not None:
            states, names = (static[name].values.astype(str).tolist() for name in ("state", "region"))
            regions = dict(zip(states, names, strict=True))
        calendar = calendars.read(settings.calendar, regions=regions)
    return calendar.with_months(settings.months) if settings.months else calendar


def lead_months(
    calendar: Calendar, crop: str, tables: Tables, harvest_year: int, as_of: dt.date, newest: int
) -> int:
    """Months from `as_of` to the end of harvest: to the window's last month where most of the crop grows.

    States' windows end in different months; the month by which half of the last public harvested area (of
    the places, where no area is known) has ended its window decides.

    Args:
        calendar, crop: give the windows.
        tables: places, and the areas.
        harvest_year: the season.
        as_of: the date of the forecast.
        newest: newest public harvest year.
    """
    end = main_window(calendar, crop, tables, harvest_year, newest)[1]
    return int((end - np.datetime64(as_of, "M")).astype(np.int64))


def main_window(
    calendar: Calendar, crop: str, tables: Tables, harvest_year: int, newest: int
) -> tuple[np.datetime64, np.datetime64]:
    """First and last month of the window where most of the crop grows; arguments as for `lead_months`.

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
            "Add earlier years of yields, or ask for a later year.",
        )
    static = tables.static.sel(municipality=table["municipality"].values[weight > 0])
    states, weight = static["state"].values.astype(str), weight[weight > 0]
    starts = calendar.starts(crop, states, np.full(len(states), harvest_year))
    order = np.argsort(starts, kind="stable")
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    start = starts[order][min(middle, len(order) - 1)]
    return start, start + (calendar.steps(crop) - 1)
