"""A municipality's public yields as inputs of the network, and the history line that it departs from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from calendars import Calendar
from yieldcast.errors import MissingDataError
from yieldcast.panel import TREND_YEARS, Floats, Ints, Panel, Placed, history_values
from yieldcast.variables import Publication, add_months

HISTORY_LINE = "history_line_kg_ha"  # half-way between the five-year mean and the ten-year trend
NAMES = (
    "last_public_kg_ha", "mean_5y_public_kg_ha", "trend_10y_public_kg_ha", "public_years", "public_sd_kg_ha",
    "state_last_public_kg_ha", "state_mean_5y_public_kg_ha", "state_trend_10y_public_kg_ha", HISTORY_LINE,
)  # fmt: skip
# Forecasts are made from three months before the first planting on (our choice): whoever buys inputs or sells
# ahead decides then.
PRESEASON_MONTHS = 3


def states_of(static: xr.Dataset) -> Mapping[int, str]:
    """State by municipality code."""
    return dict(
        zip(static["municipality"].values.tolist(), static["state"].values.astype(str).tolist(), strict=True)
    )


def lag(
    rows: Placed, window_end: npt.NDArray[np.datetime64], publication: Publication, as_of: dt.date | None
) -> Ints:
    """(sample,) harvest year minus the newest public year; at least 1: a forecast never reads its answer.

    Args:
        rows: whose harvest years.
        window_end: (sample,) date that counts where `as_of` is None.
        publication: when yields become public.
        as_of: date of the forecast.
    """
    days, row = np.unique(window_end.astype("datetime64[D]"), return_inverse=True)
    newest = [publication.last_public_harvest_year(as_of or day) for day in days.astype(object)]
    result: Ints = rows.harvest_year - np.array(newest, dtype=np.int64)[row]
    return np.maximum(result, 1)


def possible_lags(
    calendar: Calendar, crop: str, states: npt.NDArray[np.str_], publication: Publication
) -> tuple[int, ...]:
    """All lags that a forecast of the crop can meet, from three months before planting to the window's end.

    Args:
        calendar, crop: give the windows.
        states: where the crop grows.
        publication: when yields become public.
    """
    year, different = 2020, np.unique(states)  # any year: the calendar is the same in all
    starts = calendar.starts(crop, different, np.full(len(different), year, dtype=np.int16))
    ends = starts + calendar.steps(crop)
    first, final = (month.astype("datetime64[D]").item() for month in (starts.min(), ends.max()))
    last_day = final - dt.timedelta(days=1)
    lags = {max(year - publication.last_public_harvest_year(last_day), 1)}
    day = add_months(first, -PRESEASON_MONTHS)
    while day < final:
        lags.add(max(year - publication.last_public_harvest_year(day), 1))
        day = add_months(day, 1)
    return tuple(sorted(lags))


def matrix(panel: Panel, rows: Placed, lags: Ints | int) -> Floats:
    """(sample, feature) the columns `NAMES`, each row seeing yields to harvest year minus its lag.

    The first three are the municipality's own, or its state's or the nation's where it has none; the state's
    are NaN where it has none.

    Args:
        panel: yields of the crop.
        rows: whose history.
        lags: (sample,) or one for all.

    Raises:
        MissingDataError: no yield at all was public.
    """
    placed = panel.rows(rows, lags)
    values, _ = panel.naive(placed, np.full(len(rows.harvest_year), np.nan))
    if not np.isfinite(values).all():
        oldest = placed.last_year.argmin()
        year, lag_years = int(rows.harvest_year[oldest]), int(placed.lag[oldest])
        raise MissingDataError(
            f"the yield history of harvest year {year} needs yields of {year - lag_years} or before, the "
            f"newest public in time; received yields from {panel.first_year} on",
            f"Add earlier yields (yieldcast fetch yields --years ...), begin with harvest year "
            f"{panel.first_year + lag_years}, or set data.yield_history = false.",
        )
    own = panel.window(panel.own, placed.municipality, placed.last_year, TREND_YEARS)
    there = np.isfinite(own)
    count = there.sum(axis=1)
    level = np.where(there, own, 0.0).sum(axis=1) / np.maximum(count, 1)
    square = np.where(there, (own - level[:, None]) ** 2, 0.0).sum(axis=1)
    spread = np.where(count > 2, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)
    of_state = history_values(
        panel.window(panel.state, placed.state, placed.last_year, TREND_YEARS), placed.lag
    )
    line = (values[1] + values[2]) / 2
    return np.column_stack([*values, count, spread, *of_state, line])
