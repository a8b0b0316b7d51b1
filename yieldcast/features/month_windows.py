"""Monthly weather of the months of a season window that were public on the day of each row."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from calendars import Calendar
from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.features import seasons
from yieldcast.features.feature_rows import Feature
from yieldcast.features.weather import limits, month_normals, with_degree_days
from yieldcast.language import message
from yieldcast.variables import WEATHER

Floats = NDArray[np.float64]

# Stem and unit of the feature's name, unit for readers, meaning and that of the departure from normal.
_VARIABLES = (
    ("tmax", "degC", "degC", message("Maximum temperature"), message("Maximum temperature, departure")),
    ("tmin", "degC", "degC", message("Minimum temperature"), message("Minimum temperature, departure")),
    ("precipitation", "mm", "mm", message("Rain of the month"), message("Rain of the month, departure")),
    ("degree_days", "degC_day", "degC day", message("Degree days of the month"),
     message("Degree days of the month, departure")),
)  # fmt: skip
ORDINALS = (
    message("month 1 of the season window"), message("month 2 of the season window"),
    message("month 3 of the season window"), message("month 4 of the season window"),
    message("month 5 of the season window"), message("month 6 of the season window"),
    message("month 7 of the season window"), message("month 8 of the season window"),
    message("month 9 of the season window"), message("month 10 of the season window"),
    message("month 11 of the season window"), message("month 12 of the season window"),
)  # fmt: skip


def features(steps: int) -> tuple[Feature, ...]:
    """Features of the first `steps` months of a season window, at most twelve, by month."""
    return tuple(
        Feature(f"{stem}{suffix}_month_{number}_{unit}", "weather", units, window, (meaning, departure)[part])
        for number, window in enumerate(ORDINALS[:steps], start=1)
        for part, suffix in enumerate(("", "_anomaly"))
        for stem, unit, units, meaning, departure in _VARIABLES
    )


def month_values(
    tables: Tables,
    calendar: Calendar,
    crop: str,
    settings: DataSettings,
    rows: tuple[NDArray[np.intp], NDArray[np.int16], NDArray[np.datetime64]],
    as_of: dt.date,
) -> Floats:
    """(row, feature) values of `features` of all months of the window, NaN where not public on the row's day.

    Anomalies are departures from the mean of the calendar month over the years public on `as_of`.

    Args:
        tables, calendar, crop, settings: as for `yieldcast.features.source.build_samples`.
        rows: positions in the table of places, harvest years and datetime64[D] of each row.
        as_of: day of the forecast; what was published later is not read.
    """
    place, years, day = rows
    publication = settings.publication()
    weather, name = with_degree_days(tables.weather, *limits(crop, settings.degree_days))
    weather = seasons.known_weather(weather[[*WEATHER, name]], as_of, publication)
    season = seasons.cut_seasons(
        weather, tables.static, calendar, crop, (), as_of=as_of, publication=publication,
        pairs=(place, years),
    ).isel(step=slice(0, len(ORDINALS)))  # fmt: skip
    months = season["month"].values.astype("datetime64[M]")
    values = season["weather"].values.astype(np.float64)
    for one in np.unique(day):
        mine = day == one
        public = seasons.is_public(months[mine], one.item(), publication)
        values[mine] = np.where(public[..., None], values[mine], np.nan)
    codes, names = season["municipality"].values, (*WEATHER, name)
    normal = month_normals(seasons.climatology(weather), codes, months, names)
    return np.stack([values, values - normal], axis=2).reshape(len(values), -1)
