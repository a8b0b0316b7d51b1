"""How much a crop's yield departs from level and trend for a departure of its water index: one slope,
shrunken by state.

The response is ``yield - expected = slope[state] * effect(index - climatology)``. One slope serves
differences within
and between states and years: free slopes overfit a few years of weather. It is estimated by generalised
least squares with errors that are shared by a state and year, by a unit and year, and of single
municipalities; slopes of states shrink to the common one, and that one to a prior (FAO-33: a yield falls in
proportion to the water that is missing). The effect is bent below zero, so that a drought deeper than any in
the record is extrapolated, not cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CURVATURE = (
    1.8  # per unit of index below its climatology; chosen on harvest years 2011-2013 with 2012 left out
)
PRIOR_SLOPE, PRIOR_SLOPE_SD = 0.65, 0.27  # of the mean yield, per unit of index
STATE_SLOPE_SD = 0.18  # of the mean yield: how far slopes of states lie from the common one
STATE_YEAR_SD, UNIT_YEAR_SD = 0.09, 0.09  # errors shared by a state or a unit in a year, of the mean yield


def effect(departure: Floats) -> Floats:
    """Departure of the water index, bent below zero: x - 1.8 x^2 for x < 0.

    Args:
        departure: index less its climatology, -1 to 1; NaN stays NaN.
    """
    return np.asarray(departure - CURVATURE * np.minimum(departure, 0.0) ** 2)


@dataclass(frozen=True)
class WaterResponse:
    """Slopes of the response.

    Args:
        slope: kg/ha per unit of effect, the common one.
        by_state: (state,) kg/ha per unit of effect.
        years: number of harvest years it was fitted on.
    """

    slope: float
    by_state: Floats
    years: int


def fit_response(
    residual: Floats,
    count: Floats,
    effects: Floats,
    state: Ints,
    states: int,
    mean_yield: float,
    municipality_sd: float,
) -> WaterResponse:
    """Slopes from past seasons.

    Args:
        residual: (unit, year) kg/ha, mean over municipalities of yield less expected yield; NaN without.
        count: (unit, year) municipalities in the mean.
        effects: (unit, year) of `effect`, of whole seasons.
        state: (unit,) index of its state.
        states: number of states.
        mean_yield: kg/ha, scales the priors.
        municipality_sd: kg/ha, error of one municipality and year.
    """
    used = np.isfinite(residual) & np.isfinite(effects) & (count > 0)
    weight = np.where(
        used, 1.0 / ((UNIT_YEAR_SD * mean_yield) ** 2 + municipality_sd**2 / np.maximum(count, 1.0)), 0.0
    )
    x, e = np.where(used, effects, 0.0), np.where(used, residual, 0.0)
    total, with_x, with_e, with_xx, with_xe = (
        _by_state(values, state, states)
        for values in (weight, weight * x, weight * e, weight * x * x, weight * x * e)
    )
    # Inverse of a diagonal plus a common variance per state and year (Sherman-Morrison).
    shared = (STATE_YEAR_SD * mean_yield) ** 2
    lost = shared / (1.0 + shared * total)
    information = (with_xx - lost * with_x**2).sum(axis=1)
    score = (with_xe - lost * with_x * with_e).sum(axis=1)
    told = information > 1e-12
    own = np.where(told, score / np.where(told, information, 1.0), 0.0)
    between = (STATE_SLOPE_SD * mean_yield) ** 2
    variance = np.where(told, 1.0 / np.where(told, information, 1.0), np.inf)
    precision = 1.0 / (between + variance)
    prior, prior_precision = PRIOR_SLOPE * mean_yield, 1.0 / (PRIOR_SLOPE_SD * mean_yield) ** 2
    slope = float(((precision * own).sum() + prior_precision * prior) / (precision.sum() + prior_precision))
    by_state = slope + between * precision * (own - slope)
    return WaterResponse(slope, by_state, int(used.any(axis=0).sum()))


def _by_state(values: Floats, state: Ints, states: int) -> Floats:
    total = np.zeros((states, values.shape[1]))
    np.add.at(total, state, values)
    return total
