"""Monthly weather cut to season windows as known on a date; nothing else reads the weather of a season.

Values that were published after the date `as_of` are NaN here, so that nothing computed later can use them.
With ``as_of=None`` (hindsight) all values of the tables are used. `yield_history` applies the same rule to
yields.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from calendars import Calendar
from yieldcast.errors import MissingDataError
from yieldcast.publication import Publication, add_months


def known_weather(weather: xr.Dataset, as_of: dt.date | None, publication: Publication) -> xr.Dataset:
    """The weather table with every month that was not public on `as_of` set to NaN.

    Args:
        weather: dims (municipality, time), time = month start.
        as_of: date of the forecast, or None for hindsight.
        publication: delays after which a month is public.
    """
    if as_of is None:
        return weather
    public = is_public(weather["time"].values.astype("datetime64[M]"), as_of, publication)
    return weather.where(xr.DataArray(public, dims="time", coords={"time": weather["time"]}))


def is_public(months: np.ndarray, as_of: dt.date | None, publication: Publication) -> np.ndarray:
    """Whether the weather of each month was public on `as_of`: `Publication.weather_public` for arrays.

    Args:
        months: datetime64[M], any shape.
        as_of: date of the forecast, or None for hindsight: all months are public.
        publication: delays after which a month is public.
    """
    if as_of is None:
        return np.ones(months.shape, dtype=bool)
    first_days = (months + (1 + publication.weather_months)).astype(
        "datetime64[D]"
    ) + publication.weather_days
    return np.asarray(first_days <= np.datetime64(as_of, "D"))


def last_known_day(publication: Publication, daily: bool) -> Callable[[dt.date], np.datetime64]:
    """(date) -> last day whose weather was public.

    Whole months count by the publication rule. Daily weather is public day by day where months need no delay
    (ERA5T: five days).

    Args:
        publication: the delays.
        daily: whether the table is daily.
    """

    def last_day(as_of: dt.date) -> np.datetime64:
        if daily and publication.weather_months == 0:
            return np.datetime64(as_of - dt.timedelta(days=publication.weather_days + 1))
        month = as_of.replace(day=1)
        while publication.weather_public(month) > as_of:
            month = add_months(month, -1)
        return np.datetime64(add_months(month, 1) - dt.timedelta(days=1))

    return last_day


def climatology(known: xr.Dataset) -> xr.Dataset:
    """Mean of each calendar month over the known years, dims (municipality, month 1..12), NaN without any.

    Args:
        known: weather from `known_weather`, so that values published later do not enter.
    """
    months = known["time"].dt.month.values
    tables: dict[str, tuple[tuple[str, str], np.ndarray]] = {}
    for name, table in known.data_vars.items():
        values = table.transpose("municipality", "time").values
        present = np.isfinite(values)
        total, count = (
            np.stack([array[:, months == m].sum(axis=1) for m in range(1, 13)], axis=1)
            for array in (np.where(present, values, 0.0), present)
        )
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        tables[str(name)] = (("municipality", "month"), mean.astype(np.float32))
    return xr.Dataset(tables, coords={"municipality": known["municipality"], "month": np.arange(1, 13)})


def window_months(starts: np.ndarray, steps: int) -> np.ndarray:
    """Months of each window, datetime64[M] of shape (sample, step), from the first months."""
    return starts[:, None] + np.arange(steps)[None, :]


def window_end(months: np.ndarray) -> np.ndarray:
    """Last day of each window, datetime64[s] of shape (sample,), from its months."""
    return ((months[:, -1] + 1).astype("datetime64[D]") - 1).astype("datetime64[s]")


def cut_seasons(
    weather: xr.Dataset,
    static: xr.Dataset,
    calendar: Calendar,
    crop: str,
    harvest_years: Sequence[int],
    *,
    as_of: dt.date | None,
    publication: Publication | None = None,
    variables: Sequence[str] | None = None,
    pairs: tuple[np.ndarray, np.ndarray] | None = None,
) -> xr.Dataset:
    """Weather of the season window of every municipality and harvest year, as known on `as_of`.

    Args:
        weather: dims (municipality, time), time = month start, any variables.
        static: the places, with `state` per municipality (the key of the calendar).
        calendar: gives the first month per state and harvest year, and the number of months.
        crop: a crop of the calendar.
        harvest_years: the harvest years, each for all municipalities.
        as_of: values published after this date are NaN; None for hindsight.
        publication: publication delays; the defaults of `Publication` when None.
        variables: names of variables of `weather`, in the order wanted; all when None.
        pairs: (index into `static.municipality`, harvest year) of each row, instead of `harvest_years`.

    Returns:
        `weather` (sample, step, variable) float32 and `observed` (same dims, bool): a value that was not
        public or is missing in the table is NaN and not observed; `public` (sample, step), whether the month
        was public. Coordinates: municipality, harvest_year, state and window_end (last day) per sample,
        month (sample, step), variable.

    Raises:
        MissingDataError: no place of the static table is in the weather table.
    """
    publication = publication or Publication()
    known = known_weather(weather, as_of, publication)
    names = tuple(variables or (str(name) for name in weather.data_vars))
    places = static["municipality"].values
    if pairs is None:
        place = np.repeat(np.arange(len(places)), len(harvest_years))
        years = np.tile(np.asarray(harvest_years, dtype=np.int16), len(places))
    else:
        place, years = pairs[0], pairs[1].astype(np.int16)
    states = static["state"].values.astype(str)[place]
    months = window_months(calendar.starts(crop, states, years), calendar.steps(crop))
    values = _gather(known, places[place], months, names)
    return xr.Dataset(
        {
            "weather": (("sample", "step", "variable"), values),
            "observed": (("sample", "step", "variable"), np.isfinite(values)),
            "public": (("sample", "step"), is_public(months, as_of, publication)),
        },
        coords={
            "municipality": ("sample", places[place].astype(np.int32)),
            "harvest_year": ("sample", years),
            "state": ("sample", states),
            "window_end": ("sample", window_end(months)),
            "month": (("sample", "step"), months.astype("datetime64[s]")),
            "variable": list(names),
        },
        attrs={"crop": crop, "as_of": "hindsight" if as_of is None else as_of.isoformat()},
    )


def _gather(known: xr.Dataset, codes: np.ndarray, months: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Values (sample, step, variable) of each municipality's months; NaN outside the table."""
    row, found = find(known["municipality"].values, codes)
    if len(codes) and not found.any():
        raise MissingDataError(
            f"none of the {len(np.unique(codes))} municipalities has weather",
            "Check that places and weather have the same codes (yieldcast status shows both).",
        )
    # Months are contiguous (schema.check_weather), so a month's position is its distance to the first.
    column = (months - known["time"].values[0].astype("datetime64[M]")).astype(np.int64)
    inside = found[:, None] & (column >= 0) & (column < known.sizes["time"])
    column = np.where(inside, column, 0)
    out = np.empty((*months.shape, len(names)), dtype=np.float32)
    for position, name in enumerate(names):
        values = known[name].transpose("municipality", "time").values
        out[..., position] = np.where(inside, values[row[:, None], column], np.nan)
    return out


def find(labels: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position of each wanted label in `labels`, arbitrary if it is absent, and whether it is present."""
    order = np.argsort(labels)
    row = order[np.clip(np.searchsorted(labels, wanted, sorter=order), 0, len(labels) - 1)]
    return row, labels[row] == wanted
