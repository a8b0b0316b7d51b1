"""Errors of a forecast where the yields are too few for hindcasts: the residuals of level and trend.

With three or more years of public yields level and trend can be fitted, but not yet checked on years that
came later. Their residuals in the years they were fitted on are too small for a forecast and are widened as a
textbook does it for a straight line and for a mean. What water, official estimates and the network take off
the error is not known, so it is not counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import RunError
from yieldcast.forecasting.expected import CropEvidence, Expected
from yieldcast.forecasting.intervals import Hindcast, scale
from yieldcast.models.level_trend import fit_levels, theil_sen

Floats = NDArray[np.float64]

LEAST_YEARS = 3  # of public yields: two draw a line without any residual


def check_years(evidence: CropEvidence, last: int) -> None:
    """Raise RunError where fewer than three harvest years of yields are public.

    Args:
        evidence: of the crop.
        last: newest public harvest year.
    """
    received = max(last - evidence.first_year + 1, 0)
    if received < LEAST_YEARS:
        raise RunError(
            f'forecasts by the method "posterior" need {LEAST_YEARS} harvest years of public yields, '
            f"received {received}: the yields begin with {evidence.first_year} and are public to {last}",
            "Add earlier yields, or forecast a later date.",
        )


def residual_hindcasts(evidence: CropEvidence, expected: Expected, harvest_year: int) -> list[Hindcast]:
    """A stand-in for hindcasts: the years of the record as level and trend fit them, errors widened.

    Args:
        evidence: of the crop, three or more public years.
        expected: of the harvest year.
        harvest_year: the season.

    Raises:
        RunError: fewer than three years.
    """
    last, places = expected.last_public_year, evidence.places
    check_years(evidence, last)
    levels = fit_levels(evidence.yields, evidence.first_year, last, places)
    line = np.array([[theil_sen(levels.years, own, year) for year in levels.years] for own in levels.effects])
    of_state = line_widening(len(levels.years), harvest_year - last) * (levels.effects - line)
    own_factor = mean_widening(len(levels.years))
    size = scale(expected)
    found = []
    for position, year in enumerate(levels.years):
        column = evidence.column(int(year))
        truth = evidence.yields[:, column]
        own = truth - levels.level - levels.effects[places.state, position]
        error = own_factor * own + of_state[places.state, position]
        found.append(Hindcast(int(year), truth - error, truth, evidence.area[:, column], size))
    return found


def line_widening(years: int, ahead: int) -> float:
    """Standard deviation of a straight line's forecast error over that of its residuals.

    Prediction from least squares over consecutive years (Draper & Smith 1998, Applied Regression Analysis,
    3rd ed., chapters 1 and 3): variance (1 + 1/n + d^2/S) s^2, with d the distance from the mean year, S the
    sum of squares of the years and s^2 = n / (n - 2) times the mean square of the residuals.

    Args:
        years: n, 3 or more.
        ahead: years from the last one to the one forecast, 1 or more.
    """
    distance = (years - 1) / 2 + ahead
    square = years * (years**2 - 1) / 12
    return float(np.sqrt((1 + 1 / years + distance**2 / square) * years / (years - 2)))


def mean_widening(years: int) -> float:
    """The same for a mean: variance (1 + 1/n) s^2, s^2 = n / (n - 1) times the mean square."""
    return float(np.sqrt((years + 1) / (years - 1)))
