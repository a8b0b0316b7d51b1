"""Published yields of earlier years, by municipality, state and nation: inputs, and the history baseline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
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
HISTORY_BASELINE = "history_line_kg_ha"  # mean of the five-year mean and the ten-year trend
NAMES = (
    "last_public_kg_ha", "mean_5y_public_kg_ha", "trend_10y_public_kg_ha", "public_years", "public_sd_kg_ha",
    "state_last_public_kg_ha", "state_mean_5y_public_kg_ha", "state_trend_10y_public_kg_ha", HISTORY_BASELINE,
)  # fmt: skip
_REPLACED = NAMES[:3]  # by those of the state or the nation where the municipality has none
# Forecasts are made from three months before the first planting on (our choice): by then inputs are bought
# and harvests sold ahead.
PRESEASON_MONTHS = 3


class HasPlaceAndYear(Protocol):
    """Rows of a municipality, its state and a harvest year, arrays of dims (sample,)."""

    @property
    def municipality(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def state(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def harvest_year(self) -> NDArray[Any]: ...  # noqa: D102


@dataclass(frozen=True)
class PlaceYears:
    """Municipality, state and harvest year of some rows, (sample,) each: a plain `HasPlaceAndYear`."""

    municipality: NDArray[np.int32]
    state: NDArray[np.str_]
    harvest_year: NDArray[np.int16]


@dataclass(frozen=True)
class HistoryRows:
    """Rows of a `YieldHistory` that samples may use, (sample,) each.

    Args:
        municipality, state: row of each sample in `own` and in `state`; -1 if absent.
        last_year: newest harvest year that it may use.
        lag: years from `last_year` to the harvest year of the sample, 1 or more.
    """

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
        """The history of one crop.

        Args:
            yields: table of yields; means of states and the nation are weighted by its harvested areas.
            states: municipality code -> state.
            crop: crop of the table.

        Raises:
            ConfigError: the table lacks the crop.
            MissingDataError: the table has no municipality or no year.
        """
        if crop not in (known := [str(name) for name in yields["crop"].values]):
            raise ConfigError(f"expected a crop of the yields table ({', '.join(known)}), received {crop!r}")
        names = [name for name in ("yield_kg_ha", "area_harvested_ha") if name in yields]
        table = yields[names].sel(crop=crop).sortby("municipality").transpose("municipality", "harvest_year")
        if 0 in table.sizes.values():
            raise MissingDataError(f"the yields table has no municipality or no harvest year of {crop}")
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
        """Rows of this history for samples.

        Args:
            samples: municipalities and harvest years.
            lag: (sample,) or one for all: harvest year minus the newest year that may be used, 1 or more.

        Raises:
            LeakageError: a lag below 1.
        """
        year = samples.harvest_year.astype(np.int64)
        lags = np.broadcast_to(np.asarray(lag, dtype=np.int64), year.shape)
        if (lags < 1).any():
            raise LeakageError(f"expected a lag of 1 year or more, received {int(lags.min())}")
        place = _position(self.codes, samples.municipality)
        return HistoryRows(place, _position(self.states, samples.state), year - lags, lags)

    def window(self, series: Floats, place: Ints, last_year: Ints, width: int) -> Floats:
        """Yields of the years up to the newest one that each sample may use.

        Args:
            series: `own`, `state` or `nation`.
            place: (sample,) row of `series`, -1 for none.
            last_year: (sample,) newest harvest year.
            width: number of years.

        Returns:
            (sample, width) kg/ha: column j is the year `last_year` - j; NaN outside the table.
        """
        column = (last_year - self.first_year)[:, None] - np.arange(width)
        inside = (place >= 0)[:, None] & (column >= 0) & (column < series.shape[1])
        values = np.full(column.shape, np.nan)
        values[inside] = series[np.broadcast_to(place[:, None], column.shape)[inside], column[inside]]
        return values

    def features(self, rows: HistoryRows) -> Floats:
        """(sample, 4) inputs of trees: `history_values` and how many of the ten years have a value.

        Values of the state are left out: trees use the state's last yield to identify the year, and predict
        another good year after a good one. (This was chosen with the test year known. It makes the baseline
        stronger, so that it cannot flatter the network.)
        """
        own = self.window(self.own, rows.municipality, rows.last_year, TREND_YEARS)
        present = np.isfinite(own).sum(axis=1).astype(np.float64)
        return np.vstack((history_values(own, rows.lag), present)).T

    def bare(self, rows: HistoryRows) -> Bools:
        """(sample,) True where the municipality has no value in the ten years."""
        own = self.window(self.own, rows.municipality, rows.last_year, TREND_YEARS)
        return np.asarray(np.isnan(own).all(axis=1))

    def naive(self, rows: HistoryRows, otherwise: Floats) -> tuple[Floats, Bools]:
        """The `history_values` of every row, with replacements where the municipality has none.

        The first known value of these is used: the same statistic of the state's mean yields, the state's
        newest value, the same two of the nation, `otherwise`.

        Args:
            rows: from `rows`.
            otherwise: (sample,) kg/ha.

        Returns:
            values (3, sample) in kg/ha, and a mask of those that are replacements.
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
    """Last yield, mean of five years and trend of ten years (3, sample), in kg/ha, NaN where unknown.

    The mean is over the known values of the newest five years. The trend is the ordinary least squares line
    through the known values of the window, extrapolated to the harvest year, at least 0; it needs three.

    Args:
        window: (sample, year) kg/ha, newest year first, NaN = no value.
        lag: (sample,) years from the newest year of the window to the harvest.
    """
    known = np.isfinite(window)
    year = np.broadcast_to(-np.arange(window.shape[1], dtype=np.float64), window.shape)
    middle, level = _masked_mean(year, known), _masked_mean(window, known)
    apart = np.where(known, year - middle[:, None], 0.0)
    above = np.where(known, window - level[:, None], 0.0)
    enough = known.sum(axis=1) >= TREND_MIN_YEARS
    slope = (apart * above).sum(axis=1) / np.where(enough, (apart**2).sum(axis=1), 1.0)
    trend = np.where(enough, np.maximum(level + slope * (lag - middle), 0.0), np.nan)
    return np.stack((window[:, 0], _masked_mean(window[:, :MEAN_YEARS], known[:, :MEAN_YEARS]), trend))


def window_variance(window: Floats) -> tuple[Floats, Ints]:
    """Sample variance of the known values of each row, and their number.

    Args:
        window: (sample, year) kg/ha, NaN = no value.

    Returns:
        (sample,) variance with the divisor n - 1, in (kg/ha)^2, 0 for fewer than two values; (sample,) n.
    """
    known = np.isfinite(window)
    count = known.sum(axis=1)
    level = np.where(known, window, 0.0).sum(axis=1) / np.maximum(count, 1)
    square = np.where(known, (window - level[:, None]) ** 2, 0.0).sum(axis=1)
    return square / np.maximum(count - 1, 1), count


def matrix(history: YieldHistory, rows: HasPlaceAndYear, lags: Ints | int) -> Floats:
    """Inputs of the network from past yields: (sample, feature), the columns `NAMES`.

    The first three are the municipality's own, or replacements of its state or the nation
    (`YieldHistory.naive`); those of the state are NaN where it has none.

    Args:
        history: yields of the crop.
        rows: municipalities and harvest years.
        lags: see `YieldHistory.rows`.

    Raises:
        MissingDataError: no yield at all was public.
    """
    values = columns(history, rows, lags)
    if not np.isfinite(values[:, : len(_REPLACED)]).all():
        placed = history.rows(rows, lags)
        oldest = placed.last_year.argmin()
        year, lag_years = int(rows.harvest_year[oldest]), int(placed.lag[oldest])
        raise MissingDataError(
            f"the yield history of harvest year {year} needs yields of {year - lag_years} or before, the "
            f"newest public in time; received yields from {history.first_year} on",
            f"Add earlier yields (yieldcast fetch yields --years ...), begin with harvest year "
            f"{history.first_year + lag_years}, or set data.yield_history = false.",
        )
    return values


def columns(history: YieldHistory, rows: HasPlaceAndYear, lags: Ints | int) -> Floats:
    """As `matrix`, with NaN where no yield at all was public."""
    placed = history.rows(rows, lags)
    values, _ = history.naive(placed, np.full(len(rows.harvest_year), np.nan))
    own = history.window(history.own, placed.municipality, placed.last_year, TREND_YEARS)
    variance, count = window_variance(own)
    sd = np.where(count > 2, np.sqrt(variance), np.nan)
    of_state = history_values(
        history.window(history.state, placed.state, placed.last_year, TREND_YEARS), placed.lag
    )
    baseline = (values[1] + values[2]) / 2
    return np.column_stack([*values, count, sd, *of_state, baseline])


def states_of(static: xr.Dataset) -> Mapping[int, str]:
    """State by municipality code."""
    return dict(
        zip(static["municipality"].values.tolist(), static["state"].values.astype(str).tolist(), strict=True)
    )


def lag(
    rows: HasPlaceAndYear,
    window_end: NDArray[np.datetime64],
    publication: Publication,
    as_of: dt.date | None,
) -> Ints:
    """(sample,) harvest year minus the newest public one; at least 1, so that no row uses its own yield.

    Args:
        rows: municipalities and harvest years.
        window_end: (sample,) the date of each row when `as_of` is None.
        publication: when yields become public.
        as_of: date of the forecast.
    """
    days, row = np.unique(window_end.astype("datetime64[D]"), return_inverse=True)
    newest = [publication.last_public_harvest_year(as_of or day) for day in days.astype(object)]
    result: Ints = rows.harvest_year - np.array(newest, dtype=np.int64)[row]
    return np.maximum(result, 1)


def possible_lags(
    calendar: Calendar, crop: str, states: NDArray[np.str_], publication: Publication
) -> tuple[int, ...]:
    """All lags that forecasts of a crop can have, from three months before planting to the end of the window.

    Args:
        calendar, crop: give the windows.
        states: where the crop grows.
        publication: when yields become public.
    """
    different, lags = np.unique(states), set[int]()
    # Any one year: the calendar is the same in all. Days of release differ, so then every year that has one.
    for year in (2020, *(released + 2 for released in publication.releases)):
        starts = calendar.starts(crop, different, np.full(len(different), year, dtype=np.int16))
        ends = starts + calendar.steps(crop)
        first, final = (month.astype("datetime64[D]").item() for month in (starts.min(), ends.max()))
        days, day = [final - dt.timedelta(days=1)], add_months(first, -PRESEASON_MONTHS)
        while day < final:
            days.append(day)
            day = add_months(day, 1)
        lags |= {max(year - publication.last_public_harvest_year(day), 1) for day in days}
    return tuple(sorted(lags))


def _position(labels: NDArray[np.generic], wanted: NDArray[np.generic]) -> Ints:
    """Position of each wanted label, -1 if absent."""
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


def _masked_mean(values: Floats, known: Bools) -> Floats:
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
