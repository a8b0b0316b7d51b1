"""The state's posterior by hand."""

import numpy as np
import pytest

from yieldcast.features.official_estimates import Estimates
from yieldcast.forecasting.posterior import (
    CARRIED_GAIN,
    LATE_CARRIED_GAIN,
    LATE_MONTH,
    PRIOR_GAIN,
    PRIOR_YEARS,
    StatePosterior,
    gain_factor,
    prior_gain,
)


def estimates(values, months, carried=None):
    count = len(values)
    carried = np.zeros(count, bool) if carried is None else np.array(carried)
    return Estimates(np.array(values, float), np.array(months), carried)


def test_gains_by_month():
    found = prior_gain(estimates([3000] * 4 + [np.nan], [1, 3, 5, 12, 0]))
    np.testing.assert_allclose(found, [PRIOR_GAIN[0], PRIOR_GAIN[2], PRIOR_GAIN[4], PRIOR_GAIN[4], 0.0])
    carried = prior_gain(estimates([3000] * 3, [1, 2, 6], [True] * 3))
    np.testing.assert_allclose(carried, [PRIOR_GAIN[0], CARRIED_GAIN * PRIOR_GAIN[1], LATE_CARRIED_GAIN])


def test_an_estimate_replaces_the_weather_and_one_that_has_not_moved_does_not():
    expected, weather = np.array([3000.0, 3000.0]), np.array([-400.0, -400.0])
    given = estimates([2800.0, 3000.0], [2, 2], [False, True])
    found = StatePosterior(expected, weather, given)
    gain = PRIOR_GAIN[1]
    assert found.mean[0] == pytest.approx(3000 + gain * -200 + (1 - gain) * -400)
    slow = CARRIED_GAIN * gain  # repeated: half of its gain is taken from the weather
    assert found.mean[1] == pytest.approx(3000 + slow * 0 + (1 - 0.5 * slow) * -400)


def test_from_march_on_an_estimate_that_has_not_moved_confirms():
    given = estimates([3000.0], [LATE_MONTH], [True])
    found = StatePosterior(np.array([3000.0]), np.array([-400.0]), given)
    gain = LATE_CARRIED_GAIN * PRIOR_GAIN[LATE_MONTH - 1]
    assert found.mean[0] == pytest.approx(3000 + (1 - gain) * -400)


def test_without_an_estimate_or_a_crop():
    found = StatePosterior(
        np.array([3000.0, np.nan]), np.array([100.0, np.nan]), estimates([np.nan, 2000], [0, 3])
    )
    np.testing.assert_allclose(found.estimate, [0.0, 0.0])
    assert found.mean[0] == 3100.0


def test_a_wild_estimate_is_limited():
    found = StatePosterior(np.array([1000.0]), np.zeros(1), estimates([90_000.0], [6]))
    assert found.mean[0] == pytest.approx(1600.0)


def test_the_gain_factor_is_the_shrunken_slope():
    posterior = StatePosterior(np.array([3000.0, 2500.0]), np.zeros(2), estimates([3200, 2400], [2, 2]))
    area = np.array([4.0, 1.0])
    added = posterior.estimate
    cases = [
        (posterior, posterior.expected + 1.4 * added, area)
    ] * 3  # 1.4 times as much would have been right
    assert gain_factor(cases) == pytest.approx((1.4 * 3 + PRIOR_YEARS) / (3 + PRIOR_YEARS))
    assert gain_factor([]) == 1.0
    opposite = [(posterior, posterior.expected - added, area)] * 3  # it misled: not below zero
    assert gain_factor(opposite) == pytest.approx(PRIOR_YEARS / (3 + PRIOR_YEARS))
