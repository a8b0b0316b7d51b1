"""Calibrated intervals for a new harvest year, from the errors of hindcasts.

Errors within one harvest year are correlated: a drought affects thousands of rows together. The exchangeable
unit is therefore the year, not the row: K hindcast years are K observations, however many rows they have.
A score is (yield - forecast quantile) / scale. Each forecast quantile is shifted by the outer of two
quantiles of the score:

*Conformal.* The years have equal weight, and the new year is one more of them, with unknown scores. A level t
above one half needs the smallest c with (1 / (K + 1)) sum_h F_h(c) >= t, where F_h is the distribution
function of the scores of year h (Dunn, Wasserman & Ramdas 2023, "Distribution-free prediction sets for
two-layer hierarchical models", JASA 118:2491, pooling CDFs); levels below one half are mirrored. With K years
no c reaches a level above K / (K + 1), and close to it a single row would decide; a level counts as reached
only if 99 % of the pooled scores are enough.

*Random year effect.* A score is a year effect plus a residual. The effect of a new year follows Student's t
around 0 with its variance multiplied by 1 + 1/K; the residuals follow the distribution of the rows around the
mean of their year. The variance is pooled with that of the history baseline over the whole record of yields
(`year_effects`), because a few hindcasts estimate it badly.

With many years the conformal quantile guarantees the level; with few years, where it does not exist, the
second one is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from yieldcast.errors import RunError
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.table import QUANTILES
from yieldcast.forecasting.year_effects import MIN_RECORD_YEARS, YearEffectRecord

Floats = npt.NDArray[np.float64]
# Weight of the variance of the history baseline, in years (our choice, see experiments/results/backtest-*).
PRIOR_DOF = 4.0
MAX_POOLED_SHARE = 0.99  # of the scores, for a conformal level to count as reached (our choice)


@dataclass(frozen=True)
class YearEffect:
    """Distribution of the effect of a new year: Student's t around 0, in units of the scale.

    Args:
        spread: scale parameter of the distribution, 0 or more.
        dof: degrees of freedom, 1 or more.
    """

    spread: float
    dof: float

    @classmethod
    def of(cls, effects: Floats, prior_variance: float | None) -> YearEffect:
        """Estimate from the effects of K years, pooled with a prior variance.

        Args:
            effects: (year,) mean score of each hindcast year.
            prior_variance: variance of the year effects of the history baseline; None if not known.
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
    """Shifts of the uncalibrated quantiles, in units of the scale of each row.

    Args:
        shift: (quantile,) at `QUANTILES`.
        years: hindcast years used.
        record: number of years of the record of the history baseline.
        conformal: (quantile,) True where the number of years is enough for the conformal level.
    """

    shift: Floats
    years: tuple[int, ...]
    record: int
    conformal: npt.NDArray[np.bool_]

    def about(self) -> dict[str, Any]:
        """What a forecast says of its calibration."""
        return {
            "years": list(self.years), "record_years": self.record,
            "shift": [round(float(x), 4) for x in self.shift],
            "conformal": [bool(x) for x in self.conformal],
        }  # fmt: skip

    def apply(self, raw: RawForecasts) -> Floats:
        """(row, quantile) calibrated quantiles in kg/ha, not decreasing, 0 or more."""
        moved = raw.quantiles_kg_ha.T + raw.scale_kg_ha[:, None] * self.shift
        return np.maximum(np.maximum.accumulate(moved, axis=1), 0.0)


def calibrate(hindcasts: RawForecasts, record: YearEffectRecord | None) -> Calibration:
    """Estimate the shift of each quantile from hindcasts.

    Args:
        hindcasts: rows of two harvest years or more, at the lead time of the forecast.
        record: year effects of the history baseline; None if not known.

    Raises:
        RunError: fewer than three hindcast years and no record of `MIN_RECORD_YEARS` years or more.
    """
    years, block = np.unique(hindcasts.harvest_year, return_inverse=True)
    if len(years) < 3 and (record is None or record.variance is None):
        kept = len(record.years) if record else 0
        raise RunError(
            "intervals need hindcasts of three harvest years, or of two and a record of yields of "
            f"{MIN_RECORD_YEARS} years or more; received {len(years)} and {kept}",
            "Train on more harvest years, with at least one seed for each, or add earlier yields.",
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
    """Conformal quantile of the score of a row of a new year, see the module's docstring.

    For a level of one half or more: the smallest score that such a row exceeds with a probability of at most
    1 - `level`; mirrored below one half.

    Args:
        score: (row,) target minus forecast, in units of the scale.
        block: (row,) index of the row's year, 0 to K - 1.
        level: between 0 and 1.

    Returns:
        the score; plus or minus infinity if there are too few years for this level.
    """
    if level < 0.5:
        return -conformal_quantile(-score, block, 1 - level)
    size = np.bincount(block)
    wanted = level * (len(size) + 1) / len(size)
    if wanted > MAX_POOLED_SHARE:
        return np.inf
    order = np.argsort(score, kind="stable")
    reached = np.cumsum(1.0 / (len(size) * size[block[order]]))
    return float(score[order[min(int(np.searchsorted(reached, wanted - 1e-12)), len(score) - 1)]])


def year_effect_quantile(
    score: Floats, block: npt.NDArray[np.intp], level: float, prior_variance: float | None
) -> float:
    """Quantile of the score of a row of a new year under a random year effect.

    Solves, for c: mean over years and rows of T((c - residual) / spread) = level, where T is the distribution
    function of Student's t and years have equal weight.

    Args:
        score, block, level: see `conformal_quantile`.
        prior_variance: see `YearEffect.of`.
    """
    size = np.bincount(block)
    effects = np.bincount(block, score) / size
    effect = YearEffect.of(effects, prior_variance)
    # 200 quantiles of each year's residuals: equal weight for the years, and the same time for any table.
    grid = (np.arange(200) + 0.5) / 200
    residuals = np.concatenate([np.quantile(score[block == k] - effects[k], grid) for k in range(len(size))])
    if effect.spread == 0:
        return float(np.quantile(residuals, level))
    reach = effect.spread * float(special.stdtrit(effect.dof, 0.9999))
    low, high = residuals.min() - reach, residuals.max() + reach

    def excess(c: float) -> float:
        return float(special.stdtr(effect.dof, (c - residuals) / effect.spread).mean()) - level

    return float(optimize.brentq(excess, low, high))
