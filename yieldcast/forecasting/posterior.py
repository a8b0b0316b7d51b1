"""The state's yield of a harvest year as a small Gaussian model: expectation, weather, official estimate.

The expectation is level and trend. The season's weather moves it by the state's mean water effect. An
official estimate then moves it by ``gain * (estimate - expectation with weather)``: the gain of a Kalman
filter, larger the later the estimate. An estimate that only repeats the month before counts less and, before
the harvest, replaces only half of the weather. Gains follow from hindcasts of earlier years, strongly
shrunken to priors, because there are few years.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.official_estimates import Estimates

Floats = NDArray[np.float64]

# Gain by month of the estimate (January of the harvest year is 1): the error of LSPA against the final state
# yield falls from 294 kg/ha in January to 88 in May for soybean 2010-2013 hindcasts, that of level and trend
# is about 300.
PRIOR_GAIN = (0.5, 0.6, 0.85, 0.93, 1.0)
# An estimate that repeats the one before may be news or none. Until February it counts less and leaves half
# of the weather; from March on, when soybean is mostly harvested, it confirms. With March as the limit, not
# May, the state error in April stays the same for soybean 2008-2013 (119 kg/ha) and falls for 2014-2018.
LATE_MONTH = 3
CARRIED_GAIN, LATE_CARRIED_GAIN = 0.6, 0.9  # factors of the gain
PRIOR_YEARS = 12.0  # weight of the prior gain, in years of hindcasts
LARGEST_SURPRISE = 0.6  # of the expectation; an estimate further away counts as this far


@dataclass(frozen=True)
class StatePosterior:
    """What is expected of each state.

    Args:
        expected: (state,) kg/ha from level and trend; NaN where the crop is not grown.
        weather: (state,) kg/ha added by the season's weather.
        estimates: the newest public ones.
        factor: of the prior gains.
    """

    expected: Floats
    weather: Floats
    estimates: Estimates
    factor: float = 1.0

    @property
    def gain(self) -> Floats:
        """(state,) weight of the estimate, 0 where there is none."""
        gain = np.clip(prior_gain(self.estimates) * self.factor, 0.0, 1.0)
        return np.where(np.isfinite(self.expected), gain, 0.0)

    @property
    def surprise(self) -> Floats:
        """(state,) estimate less expectation, kg/ha, limited; 0 without an estimate."""
        limit = LARGEST_SURPRISE * np.nan_to_num(self.expected)
        return np.clip(np.nan_to_num(self.estimates.yield_kg_ha - self.expected), -limit, limit)

    @property
    def estimate(self) -> Floats:
        """(state,) kg/ha that the estimate adds to expectation and weather."""
        gain = self.gain
        weather = np.nan_to_num(self.weather)
        kept = np.where(gain > 0, kept_weather(self.estimates, gain), 1.0)
        return np.asarray(gain * self.surprise + (kept - 1.0) * weather)

    @property
    def mean(self) -> Floats:
        """(state,) kg/ha."""
        return np.asarray(self.expected + np.nan_to_num(self.weather) + self.estimate)

    def with_gain(self, factor: float) -> StatePosterior:
        """The same with the prior gains multiplied by a factor."""
        return replace(self, factor=factor)


def prior_gain(estimates: Estimates) -> Floats:
    """(state,) prior weight of the estimates, 0 where there is none."""
    months = estimates.months
    gain = np.array(PRIOR_GAIN)[np.clip(months, 1, len(PRIOR_GAIN)) - 1]
    late = months >= LATE_MONTH
    carried = estimates.carried_over & (months > 1)
    gain = np.where(carried, gain * np.where(late, LATE_CARRIED_GAIN, CARRIED_GAIN), gain)
    return np.where(np.isfinite(estimates.yield_kg_ha) & (months > 0), gain, 0.0)


def kept_weather(estimates: Estimates, gain: Floats) -> Floats:
    """(state,) part of the weather effect that an estimate does not replace."""
    carried = estimates.carried_over & (estimates.months > 1) & (estimates.months < LATE_MONTH)
    return np.where(carried, 1.0 - 0.5 * gain, 1.0 - gain)


def gain_factor(cases: list[tuple[StatePosterior, Floats, Floats]]) -> float:
    """By what the prior gains are multiplied, from hindcasts of earlier years; 1 without any.

    The slope of what the estimates should have added on what they added, states weighted by the root of their
    area, is shrunken to 1.

    Args:
        cases: per year: the posterior with prior gains, and per state the final yield (kg/ha) and area (ha).
    """
    product = square = 0.0
    years = 0
    for posterior, truth, area in cases:
        added = posterior.estimate
        wanted = truth - posterior.expected - np.nan_to_num(posterior.weather)
        known = np.isfinite(wanted) & (posterior.gain > 0) & (area > 0)
        weight = np.sqrt(np.where(known, area, 0.0))
        product += float((weight * np.where(known, wanted * added, 0.0)).sum())
        square += float((weight * added**2).sum())
        years += bool(known.any())
    if square <= 0:
        return 1.0
    slope = min(max(product / square, 0.0), 2.0)
    return (slope * years + PRIOR_YEARS) / (years + PRIOR_YEARS)
