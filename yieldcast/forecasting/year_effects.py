"""How far harvest years lie apart: errors of the history line over the whole record of yields.

Weather teaches a network from its first year on only, often ten years or fewer; yields go further back. What
a forecast from history alone would have missed, year by year, says how much one harvest year can differ from
another, which a few hindcasts cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yieldcast.features import yield_history
from yieldcast.features.yield_history import TREND_MIN_YEARS, TREND_YEARS, HasPlaceAndYear, YieldHistory

Floats = npt.NDArray[np.float64]
PRIOR_YEARS = 5.0  # weight of the state's spread in a municipality's own, in years (our choice)
PRIOR_PLACES = 5.0  # weight of the country's spread in a state's, in places (our choice)
LEAST_SPREAD = 0.25  # of the country's (our choice)
LEAST_YEARS = 5  # a shorter record says too little of how far years lie apart (our choice)


@dataclass(frozen=True)
class PlaceYears:
    """Places and harvest years, (row,) each; what `panel.HasPlaceAndYear` asks for."""

    municipality: npt.NDArray[np.int32]
    state: npt.NDArray[np.str_]
    harvest_year: npt.NDArray[np.int16]


@dataclass(frozen=True)
class YearEffectRecord:
    """Year effects of the history line, in units of the places' usual spread.

    Args:
        years: (year,) harvest years, ascending.
        effects: (year,) mean score of the rows of each year, rows counting alike.
        aggregates: name -> (year,) area-weighted mean score; NaN where it has no row in a year.
    """

    years: tuple[int, ...]
    effects: Floats
    aggregates: dict[str, Floats]

    @property
    def variance(self) -> float | None:
        """Of the year effects of municipalities; None where the record is too short."""
        return _variance(self.effects)

    def aggregate_variance(self, name: str) -> float | None:
        """Of the year effects of an aggregate; None where its record is too short."""
        return _variance(self.aggregates.get(name, np.empty(0)))


def _variance(effects: Floats) -> float | None:
    known = effects[np.isfinite(effects)]
    return float(known.var(ddof=1)) if len(known) >= LEAST_YEARS else None


def year_effects_to(
    panel: YieldHistory,
    states: Mapping[int, str],
    last_year: int,
    lag: int,
    area_ha: Mapping[int, float],
    whole: str,
) -> YearEffectRecord:
    """The record up to the newest public year.

    Args:
        panel: yields of the crop; nothing after `last_year` is read.
        states: municipality code -> state.
        last_year: newest public harvest year.
        lag: years from the newest public year to the forecast's harvest; the record's own lag.
        area_ha: municipality code -> last public planted area.
        whole: name of the aggregate over all places; the others are named by state.
    """
    # From the year on whose history has the three years of a trend, wherever the crop's own record begins.
    there = np.flatnonzero(np.isfinite(panel.own).any(axis=0))
    if not there.size:
        return YearEffectRecord((), np.empty(0), {})
    first = panel.first_year + int(there[0]) + lag + TREND_MIN_YEARS - 1
    years = np.arange(first, min(last_year, panel.first_year + int(there[-1])) + 1)
    state = np.array([states.get(int(code), "") for code in panel.codes])
    place, column = np.nonzero(np.isfinite(panel.own[:, years - panel.first_year]))
    rows = PlaceYears(panel.codes[place].astype(np.int32), state[place], years[column].astype(np.int16))
    if not len(place):
        return YearEffectRecord((), np.empty(0), {})
    matrix = yield_history.matrix(panel, rows, lag)
    line, own_years = matrix[:, yield_history.NAMES.index(yield_history.HISTORY_BASELINE)], matrix[:, 3]
    enough = own_years >= TREND_MIN_YEARS
    scale = yield_sd(panel, rows, lag)
    error = panel.own[place, rows.harvest_year - panel.first_year] - line
    area = np.array([area_ha.get(int(code), 0.0) for code in rows.municipality])
    kept = np.unique(rows.harvest_year[enough])

    def weighted(mine: npt.NDArray[np.bool_]) -> Floats:
        total = [(np.sum((area * error)[mine & (rows.harvest_year == y)]),
                  np.sum((area * scale)[mine & (rows.harvest_year == y)])) for y in kept]  # fmt: skip
        return np.array([a / b if b > 0 else np.nan for a, b in total])

    score = error / scale
    effects = np.array([score[enough & (rows.harvest_year == y)].mean() for y in kept])
    groups = {whole: enough} | {str(s): enough & (rows.state == s) for s in panel.states}
    return YearEffectRecord(
        tuple(map(int, kept)), effects, {name: weighted(mine) for name, mine in groups.items()}
    )


def yield_sd(panel: YieldHistory, rows: HasPlaceAndYear, lags: npt.NDArray[np.int64] | int) -> Floats:
    """(row,) standard deviation (kg/ha) of a place's public yields, drawn towards that of its state.

    A place with n public years in the last ten (3 or more) and the variance v has (n v + 5 w) / (n + 5),
    with w alike of the state: (m u + 5 a) / (m + 5) for the mean u of its m places with a record and the mean
    a over all. At least a quarter of the root of a, since reports repeat themselves for years in some places,
    and the 1 kg/ha that yields are reported to.

    Args:
        panel: yields of the crop.
        rows: whose spread.
        lags: as for `YieldHistory.rows`.
    """
    placed = panel.rows(rows, lags)
    own = panel.window(panel.own, placed.municipality, placed.last_year, TREND_YEARS)
    there = np.isfinite(own)
    count = there.sum(axis=1)
    level = np.where(there, own, 0.0).sum(axis=1) / np.maximum(count, 1)
    variance = np.where(there, (own - level[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(count - 1, 1)
    some = count >= TREND_MIN_YEARS
    # Without any record the level is all there is to measure with: a fifth of it, a wide guess.
    guess = (0.2 * own[there].mean()) ** 2 if there.any() else 1.0
    overall = variance[some].mean() if some.any() else guess
    shared = np.full(len(count), overall)
    for state in np.unique(rows.state):
        mine = rows.state == state
        of_state = variance[mine & some]
        shared[mine] = (of_state.sum() + PRIOR_PLACES * overall) / (len(of_state) + PRIOR_PLACES)
    counted = np.where(some, count, 0)
    spread: Floats = np.sqrt((counted * variance + PRIOR_YEARS * shared) / (counted + PRIOR_YEARS))
    return np.asarray(np.maximum(spread, max(LEAST_SPREAD * np.sqrt(overall), 1.0)))
