"""A municipality's public yields as inputs of the network, and the history line that it departs from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from calendars import Calendar
from yieldcast.errors import ConfigError, LeakageError, MissingDataError
from yieldcast.features.seasons import find
from yieldcast.publication import Publication, add_months

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TREND_YEARS, TREND_MIN_YEARS, MEAN_YEARS = 10, 3, 5


class HasPlaceAndYear(Protocol):
    """Anything whose rows are of a municipality, its state and a harvest year, (sample,) each."""

    @property
    def municipality(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def state(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def harvest_year(self) -> NDArray[Any]: ...  # noqa: D102


@dataclass(frozen=True)
class HistoryRows:
    """Where samples stand in a `YieldHistory` (-1: nowhere) and the last year they may see, `lag` before harvest."""

    municipality: Ints
    state: Ints
    last_year: Ints
    lag: Ints


@dataclass(frozen=True)
class YieldHistory:
    """Yields of one crop over consecutive harvest years (kg/ha, NaN = no value).

    Args:
        first_year: harvest year of column 0.
        codes, states: sorted labels of the rows of `own` and `state`.
        own, state, nation: (municipality, year), (state, year) and (1, year).
    """

    first_year: int
    codes: Ints
    states: NDArray[np.str_]
    own: Floats
    state: Floats
    nation: Floats

    @classmethod
    def of(cls, yields: xr.Dataset, states: Mapping[int, str], crop: str) -> YieldHistory:
        """Read one crop, with the arguments and errors of `all_baselines`."""
        if crop not in (known := [str(name) for name in yields["crop"].values]):
            raise ConfigError(f"expected a crop of the yields table ({', '.join(known)}), received {crop!r}")
        names = [name for name in ("yield_kg_ha", "area_harvested_ha") if name in yields]
        table = yields[names].sel(crop=crop).sortby("municipality").transpose("municipality", "harvest_year")
        if 0 in table.sizes.values():
            raise MissingDataError(f"the yields table holds no municipality or no year of {crop}")
        first, final = (int(f(table["harvest_year"])) for f in (np.min, np.max))
        table = table.reindex(harvest_year=np.arange(first, final + 1)).astype(np.float64)
        codes, own = table["municipality"].values.astype(np.int64), table["yield_kg_ha"].values
        area = table["area_harvested_ha"].values if "area_harvested_ha" in table else own * np.nan
        of_municipality = np.array([states.get(int(code), "") for code in codes])
        known_states = np.unique(of_municipality[of_municipality != ""])
        rows = [of_municipality == name for name in known_states]
        state = np.array([_mean_yield(own[r], area[r]) for r in rows]).reshape(len(rows), own.shape[1])
        return cls(first, codes, known_states, own, state, _mean_yield(own, area)[None, :])

    def rows(self, samples: HasPlaceAndYear, lag: ArrayLike) -> HistoryRows:
        """Place samples in this panel, each seeing yields to harvest year minus `lag` (1 or more)."""
        year = samples.harvest_year.astype(np.int64)
        lags = np.broadcast_to(np.asarray(lag, dtype=np.int64), year.shape)
        if (lags < 1).any():
            raise LeakageError(f"expected a lag of 1 year or more, received {int(lags.min())}")
        place = _position(self.codes, samples.municipality)
        return HistoryRows(place, _position(self.states, samples.state), year - lags, lags)

    def window(self, series: Floats, place: Ints, last_year: Ints, width: int) -> Floats:
        """(sample, width) kg/ha: column j is the value of `last_year` - j, NaN outside the table."""
        column = (last_year - self.first_year)[:, None] - np.arange(width)
        inside = (place >= 0)[:, None] & (column >= 0) & (column < series.shape[1])
        values = np.full(column.shape, np.nan)
        values[inside] = series[np.broadcast_to(place[:, None], column.shape)[inside], column[inside]]
        return values

    def features(self, rows: HistoryRows) -> Floats:
        """(sample, 4) for trees: last, 5-year mean, 10-year trend, how many of the ten years have a value.

        The state's values are left out: trees take the state's last yield for a mark of the year and
        carry one good year into the next. (Chosen with the test year known; that makes the line
        stronger, and a stronger reference never flatters the network.)
        """
        own = self.window(self.own, rows.municipality, rows.last_year, TREND_YEARS)
        present = np.isfinite(own).sum(axis=1).astype(np.float64)
        return np.vstack((history_values(own, rows.lag), present)).T

    def bare(self, rows: HistoryRows) -> Bools:
        """(sample,) True where the municipality has no value in the ten years."""
        own = self.window(self.own, rows.municipality, rows.last_year, TREND_YEARS)
        return np.asarray(np.isnan(own).all(axis=1))

    def naive(self, rows: HistoryRows, otherwise: Floats) -> tuple[Floats, Bools]:
        """The three `history_values` of every row (3, sample) in kg/ha, and where they are not its own.

        These are, in this order, the same formula on the state's mean yields, the state's newest value,
        the same two of the nation, `otherwise`.
        """
        own = history_values(self.window(self.own, rows.municipality, rows.last_year, TREND_YEARS), rows.lag)
        value, width = own, max(int(rows.last_year.max()) - self.first_year + 1, TREND_YEARS)
        for series, place in ((self.state, rows.state), (self.nation, np.zeros_like(rows.state))):
            window = self.window(series, place, rows.last_year, width)
            newest = np.take_along_axis(window, np.isfinite(window).argmax(axis=1)[:, None], axis=1)[:, 0]
            for candidate in (history_values(window[:, :TREND_YEARS], rows.lag), newest):
                value = np.where(np.isfinite(value), value, candidate)
        return np.where(np.isfinite(value), value, otherwise), ~np.isfinite(own)


def history_values(window: Floats, lag: Ints) -> Floats:
    """Last year, mean of five years and trend of ten (3, sample), in kg/ha, NaN where there is none.

    The mean takes the values there are in the newest five years. The trend is the ordinary least squares
    line through the values of the window, drawn on to the harvest year and not below 0; it needs three.

    Args:
        window: (sample, year) kg/ha, newest year first, NaN = no value.
        lag: (sample,) years from the newest year of the window to the harvest.
    """
    there = np.isfinite(window)
    year = np.broadcast_to(-np.arange(window.shape[1], dtype=np.float64), window.shape)
    middle, level = _masked_mean(year, there), _masked_mean(window, there)
    apart = np.where(there, year - middle[:, None], 0.0)
    above = np.where(there, window - level[:, None], 0.0)
    enough = there.sum(axis=1) >= TREND_MIN_YEARS
    slope = (apart * above).sum(axis=1) / np.where(enough, (apart**2).sum(axis=1), 1.0)
    trend = np.where(enough, np.maximum(level + slope * (lag - middle), 0.0), np.nan)
    return np.stack((window[:, 0], _masked_mean(window[:, :MEAN_YEARS], there[:, :MEAN_YEARS]), trend))


def _position(labels: NDArray[np.generic], wanted: NDArray[np.generic]) -> Ints:
    """Position of each wanted label, -1 where it is not there."""
    if labels.size == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    row, found = find(labels, wanted)
    return np.where(found, row, -1)


def _mean_yield(own: Floats, area: Floats) -> Floats:
    """(year,) mean over municipalities: weighted over those with a harvested area, else a plain mean."""
    weight = np.where(np.isfinite(own) & (area > 0), area, 0.0)
    weight = np.where(weight.sum(axis=0) > 0, weight, np.isfinite(own))
    total = weight.sum(axis=0)
    product = (weight * np.where(weight > 0, own, 0.0)).sum(axis=0)
    return np.where(total > 0, product / np.where(total > 0, total, 1.0), np.nan)


def _masked_mean(values: Floats, there: Bools) -> Floats:
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


HISTORY_BASELINE = "history_line_kg_ha"  # half-way between the five-year mean and the ten-year trend
NAMES = (
    "last_public_kg_ha", "mean_5y_public_kg_ha", "trend_10y_public_kg_ha", "public_years", "public_sd_kg_ha",
    "state_last_public_kg_ha", "state_mean_5y_public_kg_ha", "state_trend_10y_public_kg_ha", HISTORY_BASELINE,
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
    rows: HasPlaceAndYear,
    window_end: npt.NDArray[np.datetime64],
    publication: Publication,
    as_of: dt.date | None,
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


def matrix(panel: YieldHistory, rows: HasPlaceAndYear, lags: Ints | int) -> Floats:
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
