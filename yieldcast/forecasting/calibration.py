"""Year-block calibration: intervals that hold for a year that nobody has seen.

Errors of one harvest year are shared: a drought moves thousands of rows together. So the exchangeable unit
is the year, not the row, and K hindcast years are K observations, however many rows they have. Two things
follow.

*Conformal.* The years are weighted equally and the year to come takes a place among them, of which nothing is
known: a level t above one half needs (1/(K+1)) sum_h F_h(c) >= t, F_h being year h's distribution of scores
(Dunn, Wasserman & Ramdas 2023, "Distribution-free prediction sets for two-layer hierarchical models", JASA
118:2491, pooling CDFs; below one half alike from below). With K years no c does that beyond K/(K+1), and
close to it the oddest row would decide: a level counts as met when 99 % of the pooled scores suffice.

*Random year effect.* A score is a year's effect plus the rest. The effect of a new year follows Student's t
around 0 (a left-out year errs to either side), wider by sqrt(1 + 1/K); the rest is the rows' own distribution
around their year's mean. Its variance leans on that of the history line's errors over the longer record of
yields (years without weather teach nothing else, but they do teach how far years lie apart).

The outer of the two counts: where K is large enough the conformal level holds, where it is not the second
goes on where the first can say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from yieldcast.errors import RunError
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.table import QUANTILES
from yieldcast.forecasting.year_effects import LEAST_YEARS, YearEffectRecord

Floats = npt.NDArray[np.float64]
PRIOR_DOF = 4.0  # what the longer record counts for, in years (our choice; see results/backtest-*.md)
MOST = 0.99  # of the pooled scores


@dataclass(frozen=True)
class YearEffect:
    """Spread of the year effects, in units of the scale, and what it is worth.

    Args:
        spread: standard deviation of the effect of a new year.
        dof: degrees of freedom of its Student t.
    """

    spread: float
    dof: float

    @classmethod
    def of(cls, effects: Floats, prior_variance: float | None) -> YearEffect:
        """From the effects of K years, with the variance that the longer record gives.

        Args:
            effects: (year,) mean score of each hindcast year.
            prior_variance: of the history line's year effects; None without such a record.
        """
        count = len(effects)
        own = float(effects.var(ddof=1)) if count > 1 else 0.0
        dof, variance = float(count - 1), own
        if prior_variance is not None:
            variance = ((count - 1) * own + PRIOR_DOF * prior_variance) / (count - 1 + PRIOR_DOF)
            dof = count - 1 + PRIOR_DOF
        return cls(float(np.sqrt(variance * (1 + 1 / count))), max(dof, 1.0))


@dataclass(frozen=True)
class Calibration:
    """What is added to the raw quantiles, in units of each row's scale.

    Args:
        shift: (quantile,) at `QUANTILES`.
        years: hindcast years it rests on.
        record: number of years of the history line that lend their variance.
        conformal: (quantile,) whether the conformal level could be met with so many years.
    """

    shift: Floats
    years: tuple[int, ...]
    record: int
    conformal: npt.NDArray[np.bool_]

    def apply(self, raw: RawForecasts) -> Floats:
        """(row, quantile) calibrated quantiles in kg/ha, rising, not below 0."""
        moved = raw.quantiles_kg_ha.T + raw.scale_kg_ha[:, None] * self.shift
        return np.maximum(np.maximum.accumulate(moved, axis=1), 0.0)


def calibrate(hindcasts: RawForecasts, record: YearEffectRecord | None) -> Calibration:
    """The shift of each quantile that makes hindcasts of a left-out year hold.

    Args:
        hindcasts: rows of two harvest years or more, at the lead of the forecast.
        record: errors of the history line over the longer record; None where there is none.

    Raises:
        RunError: two hindcast years and no longer record: they say next to nothing of a third.
    """
    years, block = np.unique(hindcasts.harvest_year, return_inverse=True)
    if len(years) < 3 and (record is None or record.variance is None):
        kept = len(record.years) if record else 0
        raise RunError(
            "intervals need hindcasts of three harvest years, or of two and a longer record of yields; "
            f"received {len(years)}, and {kept} years of record (of {LEAST_YEARS} or more)",
            "Train on more harvest years, with a seed or more for each, or add earlier yields to the store.",
        )
    shifts, reached = np.empty(len(QUANTILES)), np.zeros(len(QUANTILES), dtype=bool)
    prior = record.variance if record else None
    for position, level in enumerate(QUANTILES):
        score = (hindcasts.target_kg_ha - hindcasts.quantiles_kg_ha[position]) / hindcasts.scale_kg_ha
        smooth = year_effect_quantile(score, block, level, prior)
        outer = conformal_quantile(score, block, level)
        reached[position] = np.isfinite(outer)
        shifts[position] = smooth
        if level != 0.5 and reached[position]:
            shifts[position] = max(smooth, outer) if level > 0.5 else min(smooth, outer)
    return Calibration(shifts, tuple(map(int, years)), len(record.years) if record else 0, reached)


def conformal_quantile(score: Floats, block: npt.NDArray[np.intp], level: float) -> float:
    """The score that a row of a new year stays below with probability `level` or more (above one half).

    Below one half the score that it stays above with probability 1 - `level`. Infinite where the years are
    too few (see the module's text).

    Args:
        score: (row,) target less forecast, in units of the scale.
        block: (row,) number of the row's year, 0 to K - 1.
        level: 0 to 1.
    """
    if level < 0.5:
        return -conformal_quantile(-score, block, 1 - level)
    size = np.bincount(block)
    wanted = level * (len(size) + 1) / len(size)
    if wanted > MOST:
        return np.inf
    order = np.argsort(score, kind="stable")
    reached = np.cumsum(1.0 / (len(size) * size[block[order]]))
    return float(score[order[min(int(np.searchsorted(reached, wanted - 1e-12)), len(score) - 1)]])


def year_effect_quantile(
    score: Floats, block: npt.NDArray[np.intp], level: float, prior_variance: float | None
) -> float:
    """Quantile of a score of a new year under a random year effect; arguments as `conformal_quantile`.

    Solves mean over years and rows of T((c - rest) / spread) = level for c, T the distribution
    function of Student's t.
    """
    size = np.bincount(block)
    effects = np.bincount(block, score) / size
    effect = YearEffect.of(effects, prior_variance)
    # The rest of each year as 200 quantiles: years count alike, and the search stays quick for any table.
    grid = (np.arange(200) + 0.5) / 200
    rest = np.concatenate([np.quantile(score[block == k] - effects[k], grid) for k in range(len(size))])
    if effect.spread == 0:
        return float(np.quantile(rest, level))
    reach = effect.spread * float(special.stdtrit(effect.dof, 0.9999))
    low, high = rest.min() - reach, rest.max() + reach

    def too_far(c: float) -> float:
        return float(special.stdtr(effect.dof, (c - rest) / effect.spread).mean()) - level

    return float(optimize.brentq(too_far, low, high))
