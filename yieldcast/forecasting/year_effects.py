"""Year effects: how much the error of the history baseline varies between harvest years.

Hindcasts exist only for years with weather, often ten or fewer; yields go back further. The errors of a
forecast from past yields alone (the history baseline) over all these years estimate the variance between
harvest years better than a few hindcasts do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yieldcast.features import yield_history
from yieldcast.features.yield_history import (
    TREND_MIN_YEARS,
    TREND_YEARS,
    HasPlaceAndYear,
    PlaceYears,
    YieldHistory,
    window_variance,
)
from yieldcast.forecasting.table import ALL_MUNICIPALITIES

Floats = npt.NDArray[np.float64]
PRIOR_YEARS = 5.0  # weight of the state's variance in that of a municipality, in years (our choice)
PRIOR_PLACES = 5.0  # weight of the country's variance in that of a state, in municipalities (our choice)
MIN_SD = 0.25  # smallest standard deviation, as a share of the country's (our choice)
MIN_RECORD_YEARS = 5  # a variance between harvest years needs at least so many (our choice)


@dataclass(frozen=True)
class YearEffectRecord:
    """Year effects of the history baseline: errors by harvest year, in units of `yield_sd`.

    Args:
        years: (year,) harvest years, ascending.
        effects: (year,) mean of error / scale over the municipalities, equally weighted.
        aggregates: name -> (year,) area-weighted error / area-weighted scale; NaN for a year without rows.
    """

    years: tuple[int, ...]
    effects: Floats
    aggregates: dict[str, Floats]

    @property
    def variance(self) -> float | None:
        """Sample variance of `effects`; None with fewer than `MIN_RECORD_YEARS` years."""
        return _variance(self.effects)

    def aggregate_variance(self, name: str) -> float | None:
        """Sample variance of the effects of an aggregate; None with fewer than `MIN_RECORD_YEARS` years."""
        return _variance(self.aggregates.get(name, np.empty(0)))


def _variance(effects: Floats) -> float | None:
    known = effects[np.isfinite(effects)]
    return float(known.var(ddof=1)) if len(known) >= MIN_RECORD_YEARS else None


def year_effects_to(
    history: YieldHistory, states: Mapping[int, str], last_year: int, lag: int, area_ha: Mapping[int, float]
) -> YearEffectRecord:
    """Year effects of all harvest years up to the newest public one.

    Years begin with the first that has three years of yields before it (at this lag), as the trend needs.

    Args:
        history: yields of the crop; nothing after `last_year` is read.
        states: municipality code -> state.
        last_year: newest public harvest year.
        lag: years from the newest public harvest year to the forecast one; the baseline has the same lag.
        area_ha: municipality code -> newest public planted area in ha.
    """
    known = np.flatnonzero(np.isfinite(history.own).any(axis=0))
    if not known.size:
        return YearEffectRecord((), np.empty(0), {})
    first = history.first_year + int(known[0]) + lag + TREND_MIN_YEARS - 1
    years = np.arange(first, min(last_year, history.first_year + int(known[-1])) + 1)
    state = np.array([states.get(int(code), "") for code in history.codes])
    place, column = np.nonzero(np.isfinite(history.own[:, years - history.first_year]))
    rows = PlaceYears(history.codes[place].astype(np.int32), state[place], years[column].astype(np.int16))
    if not len(place):
        return YearEffectRecord((), np.empty(0), {})
    matrix = yield_history.matrix(history, rows, lag)
    baseline = matrix[:, yield_history.NAMES.index(yield_history.HISTORY_BASELINE)]
    enough = matrix[:, yield_history.NAMES.index("public_years")] >= TREND_MIN_YEARS
    scale = yield_sd(history, rows, lag)
    error = history.own[place, rows.harvest_year - history.first_year] - baseline
    area = np.array([area_ha.get(int(code), 0.0) for code in rows.municipality])
    kept = np.unique(rows.harvest_year[enough])

    def weighted(mine: npt.NDArray[np.bool_]) -> Floats:
        total = [(np.sum((area * error)[mine & (rows.harvest_year == y)]),
                  np.sum((area * scale)[mine & (rows.harvest_year == y)])) for y in kept]  # fmt: skip
        return np.array([a / b if b > 0 else np.nan for a, b in total])

    score = error / scale
    effects = np.array([score[enough & (rows.harvest_year == y)].mean() for y in kept])
    groups = {ALL_MUNICIPALITIES: enough} | {str(s): enough & (rows.state == s) for s in history.states}
    return YearEffectRecord(
        tuple(map(int, kept)), effects, {name: weighted(mine) for name, mine in groups.items()}
    )


def yield_sd(history: YieldHistory, rows: HasPlaceAndYear, lags: npt.NDArray[np.int64] | int) -> Floats:
    """Standard deviation of each municipality's public yields, shrunk towards its state.

    A municipality with n public years in the last ten (3 or more) and the sample variance v gets
    (n v + 5 w) / (n + 5), where w is the variance of its state: (m u + 5 a) / (m + 5) for the mean u over the
    m municipalities with such a variance, and the mean a over all municipalities (our choice). The result is
    at least a quarter of the root of a, because some municipalities report the same yield for years, and at
    least 1 kg/ha, the resolution of reported yields.

    Args:
        history: yields of the crop.
        rows: municipalities and harvest years.
        lags: see `YieldHistory.rows`.

    Returns:
        (row,) kg/ha, above 0.
    """
    placed = history.rows(rows, lags)
    own = history.window(history.own, placed.municipality, placed.last_year, TREND_YEARS)
    known = np.isfinite(own)
    variance, count = window_variance(own)
    enough = count >= TREND_MIN_YEARS
    # If no municipality has a variance, a fifth of the mean yield is used as the standard deviation.
    guess = (0.2 * own[known].mean()) ** 2 if known.any() else 1.0
    country = variance[enough].mean() if enough.any() else guess
    shared = np.full(len(count), country)
    for state in np.unique(rows.state):
        mine = rows.state == state
        of_state = variance[mine & enough]
        shared[mine] = (of_state.sum() + PRIOR_PLACES * country) / (len(of_state) + PRIOR_PLACES)
    counted = np.where(enough, count, 0)
    spread: Floats = np.sqrt((counted * variance + PRIOR_YEARS * shared) / (counted + PRIOR_YEARS))
    return np.asarray(np.maximum(spread, max(MIN_SD * np.sqrt(country), 1.0)))
