"""The water response: against generalised least squares as matrices, and on a known slope."""

import numpy as np
import pytest

from yieldcast.models.water_response import (
    PRIOR_SLOPE,
    PRIOR_SLOPE_SD,
    STATE_SLOPE_SD,
    STATE_YEAR_SD,
    UNIT_YEAR_SD,
    effect,
    fit_response,
)


def test_the_effect_is_bent_below_zero_only():
    np.testing.assert_allclose(effect(np.array([0.2, 0.0, -0.1, -0.5])), [0.2, 0.0, -0.118, -0.95])
    drought = np.linspace(0, -0.6, 20)
    assert (np.diff(effect(drought)) < 0).all()  # a deeper drought is always worse


def test_one_state_against_the_matrix_form():
    rng = np.random.default_rng(0)
    units, years, mean, noise = 4, 3, 2500.0, 400.0
    x, count = rng.normal(0, 0.1, (units, years)), rng.integers(1, 20, (units, years)).astype(float)
    residual = 1700 * x + rng.normal(0, 200, (units, years))
    found = fit_response(residual, count, x, np.zeros(units, np.int64), 1, mean, noise)
    information = score = 0.0
    for t in range(years):
        v = np.diag((UNIT_YEAR_SD * mean) ** 2 + noise**2 / count[:, t]) + (STATE_YEAR_SD * mean) ** 2
        information += x[:, t] @ np.linalg.solve(v, x[:, t])
        score += x[:, t] @ np.linalg.solve(v, residual[:, t])
    # Slope of the state: normal(common, sd), common: normal(prior, sd): the posterior means of both.
    own, between, prior = score / information, (STATE_SLOPE_SD * mean) ** 2, (PRIOR_SLOPE_SD * mean) ** 2
    a, b = 1 / (between + 1 / information), 1 / prior
    common = (a * own + b * PRIOR_SLOPE * mean) / (a + b)
    assert found.slope == pytest.approx(common)
    assert found.by_state[0] == pytest.approx(common + between * a * (own - common))


def test_a_known_slope_is_found_and_states_shrink():
    rng = np.random.default_rng(1)
    state = np.repeat(np.arange(5), 20)
    x = rng.normal(0, 0.12, (100, 10))
    truth = np.array([1500, 1700, 1900, 2100, 2300.0])
    residual = truth[state][:, None] * x + rng.normal(0, 230, (1, 10)) + rng.normal(0, 230, (100, 10))
    found = fit_response(residual, np.full((100, 10), 10.0), x, state, 5, 2600.0, 430.0)
    assert abs(found.slope - 1900) < 150
    assert np.corrcoef(found.by_state, truth)[0, 1] > 0.8
    assert found.years == 10


def test_without_data_the_prior_stays():
    found = fit_response(
        np.full((3, 2), np.nan), np.zeros((3, 2)), np.zeros((3, 2)), np.zeros(3, np.int64), 2, 3000.0, 400.0
    )
    np.testing.assert_allclose(found.by_state, PRIOR_SLOPE * 3000)
    one = fit_response(
        np.array([[5000.0]]), np.ones((1, 1)), np.array([[1e-9]]), np.zeros(1, np.int64), 1, 3000.0, 400.0
    )
    assert one.slope == pytest.approx(
        PRIOR_SLOPE * 3000, rel=1e-3
    )  # a year without a departure teaches nothing
