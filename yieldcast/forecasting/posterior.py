"""The state's yield of a harvest year as a small Gaussian model: expectation, weather, official estimate.

The expectation is level and trend. The season's weather moves it by the state's mean water effect. An official
estimate then moves it by ``gain * (estimate - expectation with weather)``: the gain of a Kalman filter, larger the
later the estimate. An estimate that only repeats the month before counts less and does not replace the weather.
Gains follow from hindcasts of earlier years, strongly shrunken to priors, because there are few years.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.official_estimates import Estimates

Floats = NDArray[np.float64]

# Gain by month of the estimate (January of the harvest year is 1): the error of LSPA against the final state yield
# falls from 294 kg/ha in January to 88 in May for soybean 2010-2013 hindcasts, that of level and trend is about 300.
PRIOR_GAIN = (0.5, 0.6, 0.85, 0.93, 1.0)
CARRIED_GAIN = 0.6  # factor of the gain where the estimate repeats the one before, up to month 4; 0.9 later
LATE_MONTH, LATE_CARRIED_GAIN = 5, 0.9
PRIOR_YEARS = 12.0  # weight of the prior gain, in years of hindcasts
LARGEST_SURPRISE = 0.6  # of the expectation; an estimate further away counts as this far


@dataclass(frozen=True)
class StatePosterior:
    """What is expected of each state.

    Args:
        expected: (state,) kg/ha from level and trend.
        weather: (state,) kg/ha added by the season's weather.
        estimate: (state,) kg/ha added by the official estimate.
        gain: (state,) weight of the estimate, 0 where there is none.
    """

    expected: Floats
    weather: Floats
    estimate: Floats
    gain: Floats

    @property
    def mean(self) -> Floats:
        """(state,) kg/ha."""
        return self.expected + self.weather + self.estimate


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
    moved = 1.0 - gain
    carried = estimates.carried_over & (estimates.months > 1) & (estimates.months < LATE_MONTH)
    return np.where(carried, 1.0 - 0.5 * gain, moved)


def state_posterior(
    expected: Floats, weather: Floats, estimates: Estimates, factor: float = 1.0
) -> StatePosterior:
    """Expectation, weather and estimate of every state put together.

    Args:
        expected: (state,) area-weighted kg/ha from level and trend; NaN where the crop is not grown.
        weather: (state,) area-weighted kg/ha of the weather effect.
        estimates: newest public ones.
        factor: of the prior gain, see `gain_factor`.
    """
    gain = np.clip(prior_gain(estimates) * factor, 0.0, 1.0)
    known = np.isfinite(expected) & (gain > 0)
    limit = LARGEST_SURPRISE * np.nan_to_num(expected)
    surprise = np.where(known, np.clip(np.nan_to_num(estimates.yield_kg_ha - expected), -limit, limit), 0.0)
    gain, weather = np.where(known, gain, 0.0), np.nan_to_num(weather)
    moved = gain * surprise + np.where(known, kept_weather(estimates, gain), 1.0) * weather
    return StatePosterior(expected, weather, moved - weather, gain)


def gain_factor(cases: list[tuple[Floats, Floats, Floats]]) -> float:
    """By what the prior gains are multiplied, from hindcasts of earlier years; 1 without any.

    Args:
        cases: per year, (state,) each: truth less expectation with weather, prior gain times estimate less the
            same (kg/ha), and area (ha).
    """
    product = square = 0.0
    for truth, estimate, area in cases:
        known = np.isfinite(truth) & np.isfinite(estimate) & (estimate != 0) & (area > 0)
        weight = np.sqrt(np.where(known, area, 0.0))
        product += float((weight * np.where(known, truth * estimate, 0.0)).sum())
        square += float((weight * np.where(known, estimate**2, 0.0)).sum())
    if not cases or square <= 0:
        return 1.0
    slope = min(max(product / square, 0.0), 2.0)
    return (slope * len(cases) + PRIOR_YEARS) / (len(cases) + PRIOR_YEARS)
