"""How municipalities share a surprise of their state: who yields more than the state's mean, and who is
larger.

In past years the error of a municipality's expected yield is regressed on the error of its state: ``error =
(a + b relative + c size) * state error``, with ``relative`` the municipality's expected yield over its
state's less 1 and ``size`` the rank of its area within the state. A uniform shift is wrong for corn, where
low yields move little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yieldcast.models.level_trend import Places

Floats = NDArray[np.float64]

RELATIVE_RANGE = (-0.7, 1.0)  # relative yields beyond this range count as its ends
NO_AREA_SIZE = -0.25  # a municipality without a known area counts as a small one
PRIOR = (
    0.85,
    0.4,
    0.37,
)  # between soybean (0.9, -0.2, 0.3) and corn (0.8, 1.1, 0.4) on harvest years 2006-2011
PRIOR_YEARS = 1.0  # weight of the prior, in years of the record
LIMITS = (0.0, 2.5)  # of the share of one municipality
GROWTH = 0.7  # part of the state's expected growth that is shared in this way (our choice on 2009-2013)


@dataclass(frozen=True)
class Sharing:
    """Coefficients of the share of a municipality in its state's surprise: a, b (relative), c (size)."""

    a: float
    b: float
    c: float

    def shares(self, relative: Floats, size: Floats) -> Floats:
        """(municipality,) kg/ha per kg/ha of the state."""
        return np.clip(self.a + self.b * relative + self.c * size, *LIMITS)


def state_mean(values: Floats, area: Floats, places: Places) -> Floats:
    """(state,) area-weighted mean; NaN where no municipality has a value and an area."""
    known = np.isfinite(values) & np.isfinite(area) & (area > 0)
    total = places.total(np.where(known, area, 0.0))
    product = places.total(np.where(known, area * np.where(known, values, 0.0), 0.0))
    return np.where(total > 0, product / np.where(total > 0, total, 1.0), np.nan)


def relative_and_size(expected: Floats, area: Floats, places: Places) -> tuple[Floats, Floats]:
    """Expected yield relative to the state's, and the rank of the area within the state (-0.5 to 0.5)."""
    of_state = state_mean(expected, area, places)[places.state]
    known = np.isfinite(of_state) & (of_state > 0)
    relative = np.where(known, expected / np.where(known, of_state, 1.0) - 1.0, 0.0)
    size = np.full(len(area), NO_AREA_SIZE)
    for state in np.unique(places.state):
        mine = np.flatnonzero((places.state == state) & np.isfinite(area))
        if len(mine) > 1:
            size[mine] = area[mine].argsort(kind="stable").argsort(kind="stable") / (len(mine) - 1) - 0.5
    return np.clip(relative, *RELATIVE_RANGE), size


def fit_sharing(cases: list[tuple[Floats, Floats, Floats, Floats]]) -> Sharing:
    """Coefficients from past years by least squares, shrunken to a prior.

    Args:
        cases: per year, (municipality,) each: error of the municipality and of its state (kg/ha, NaN =
            unknown), relative yield and size.
    """
    square, product = np.zeros((3, 3)), np.zeros(3)
    for error, of_state, relative, size in cases:
        known = np.isfinite(error) & np.isfinite(of_state)
        columns = np.stack((of_state, of_state * relative, of_state * size), axis=1)[known]
        square += columns.T @ columns
        product += columns.T @ error[known]
    if not cases or square[0, 0] <= 0:
        return Sharing(*PRIOR)
    prior = square * PRIOR_YEARS / len(cases)
    a, b, c = np.linalg.solve(square + prior, product + prior @ np.array(PRIOR))
    return Sharing(float(a), float(b), float(c))
