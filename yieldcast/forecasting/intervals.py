"""Intervals of municipalities, states and the country from the errors of hindcasts.

A municipality's interval is the quantiles of scaled errors of each hindcast year, averaged over the years, so
that years count and not rows, and moved outwards by part of their standard deviation between years. Errors
are scaled by the place's own scatter and grow with the departure of its water index. Errors of municipalities
are correlated within a year: the interval of a state or the country follows from the errors of the aggregate
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from yieldcast.forecasting.expected import Expected
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, QUANTILES
from yieldcast.models.level_trend import Places
from yieldcast.models.sharing import state_mean

Floats = NDArray[np.float64]

# Looked at on the forecasts of harvest years 2014-2018, where 0.25 to 0.35 and 0.5 to 1 all cover 86 to 95 %
# in every year. Outwards: quantiles move by this part of their standard deviation between years, for the
# coming year is one more year, not the mean year. Scale: part of the municipality's own scatter, the rest is
# the country's.
OUTWARDS, SCALE_POWER = 0.3, 0.75
WIDENING = 1.0  # of the scale, per unit of water departure: errors in a drought are a third larger
BIAS_SHARE = 0.5  # of the mean of the yearly medians that comes back: past biases only partly return
AGGREGATE_PRIOR_DOF = 6.0  # weight of the other states' variance in a state's, in years


@dataclass(frozen=True)
class Hindcast:
    """A past year as it would have been forecast; (municipality,) each.

    Args:
        year: harvest year.
        forecast: kg/ha, the network's share included where it has one.
        truth: kg/ha, NaN = no yield.
        area: harvested area of that year, ha.
        scale: of `scale`, kg/ha.
    """

    year: int
    forecast: Floats
    truth: Floats
    area: Floats
    scale: Floats

    @property
    def error(self) -> Floats:
        """Truth less forecast, kg/ha; NaN without a yield."""
        return self.truth - self.forecast

    def country_error(self, within: NDArray[np.bool_] | None = None) -> float:
        """Area-weighted error over all municipalities with a yield, or over those `within`."""
        known = np.isfinite(self.truth) & (self.area > 0)
        known = known if within is None else known & within
        return float(np.average(self.error[known], weights=self.area[known])) if known.any() else np.nan


def scale(expected: Expected) -> Floats:
    """(municipality,) kg/ha: scatter of the place drawn to that of the country, wider in unusual seasons."""
    typical = np.sqrt(np.mean(expected.noise_sd**2))
    own = expected.noise_sd**SCALE_POWER * typical ** (1.0 - SCALE_POWER)
    return np.asarray(own * (1.0 + WIDENING * np.abs(expected.departure)))


def error_quantiles(checked: Sequence[Hindcast]) -> Floats:
    """(quantile,) of the scaled error of a new year, see the module's docstring.

    Args:
        checked: hindcasts, three or more.
    """
    by_year = []
    for one in checked:
        score = one.error / one.scale
        known = np.isfinite(score)
        if known.sum() > 1:
            by_year.append(np.quantile(score[known], QUANTILES))
    found = np.array(by_year)
    side = np.sign(np.array(QUANTILES) - 0.5)
    mean = found.mean(axis=0)
    bias = mean[QUANTILES.index(0.50)]
    return np.asarray(mean - (1.0 - BIAS_SHARE) * bias + OUTWARDS * side * found.std(axis=0, ddof=1))


def aggregate_quantiles(
    means: dict[str, float],
    checked: Sequence[Hindcast],
    names: NDArray[np.str_],
    places: Places,
    within: NDArray[np.bool_] | None = None,
) -> dict[str, Floats]:
    """Name -> (quantile,) kg/ha: Student's t with the variance of the errors of the aggregate.

    Args:
        means: kg/ha of every state wanted, and of the country as `ALL_MUNICIPALITIES`.
        checked: hindcasts, three or more.
        names: (state,) of `places`.
        places: state of every municipality.
        within: (municipality,) those of the country's aggregate; None for all.
    """
    of_states = np.array([state_mean(one.error, one.area, places) for one in checked])
    errors = {ALL_MUNICIPALITIES: np.array([one.country_error(within) for one in checked])}
    errors |= {name: of_states[:, int(np.flatnonzero(names == name)[0])] for name in means if name in names}
    relative = {name: error[np.isfinite(error)] / max(means[name], 1.0) for name, error in errors.items()}
    pooled = np.concatenate([e for name, e in relative.items() if name != ALL_MUNICIPALITIES])
    common = float(np.median(pooled**2) / stats.chi2.median(1)) if len(pooled) else 0.0
    quantiles = {}
    for name, error in relative.items():
        prior = 0.0 if name == ALL_MUNICIPALITIES else AGGREGATE_PRIOR_DOF
        dof = max(len(error) + prior, 1.0)
        variance = ((error**2).sum() + prior * common) / dof
        spread = means[name] * np.sqrt(variance) * stats.t.ppf(QUANTILES, dof)
        quantiles[name] = np.maximum(means[name] + spread, 0.0)
    return quantiles
