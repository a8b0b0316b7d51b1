"""Scores of point and quantile forecasts: by hand, against closed forms, scipy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_percentage_error, mean_pinball_loss, root_mean_squared_error

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.metrics import covered_90, crps, reliability, score
from yieldcast.forecasting.distribution import probability_below, quantile_at
from yieldcast.forecasting.table import QUANTILES

Z = stats.norm.ppf(QUANTILES)
TARGET = np.array([1000.0, 2000.0, 4000.0])


def normal_crps(mean: float, sd: float, y: float) -> float:
    """Gneiting & Raftery 2007, JASA 102:359, eq. 21 (there with the opposite sign)."""
    z = (y - mean) / sd
    return float(sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi)))


@pytest.mark.parametrize("z", [-4, -2.5, -1, -0.3, 0, 0.7, 1.5, 3])
def test_crps_of_a_normal_distribution(z):
    mean, sd = 3000.0, 400.0
    found = crps((mean + sd * Z)[None], np.array([mean + z * sd]))[0]
    assert found == pytest.approx(normal_crps(mean, sd, mean + z * sd), rel=0.02)


def test_the_mean_crps_of_a_reliable_normal_forecast():
    # E of the CRPS of N(0, s) over its own draws is s / sqrt(pi)
    target = np.random.default_rng(1).normal(3000, 400, 20_000)
    found = crps(np.tile(3000 + 400 * Z, (20_000, 1)), target).mean()
    assert found == pytest.approx(400 / math.sqrt(math.pi), rel=0.01)


def test_crps_of_a_narrow_forecast_is_its_absolute_error():
    for width in (1.0, 1e-3, 0.0):
        found = crps(np.array([3000 + width * Z]), np.array([3450.0]))[0]
        assert found == pytest.approx(450, abs=width)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(5, 900), min_size=7, max_size=7), st.floats(0, 5000))
def test_crps_is_the_integral_over_the_squared_difference_of_distributions(steps, target):
    # Gneiting & Raftery 2007, eq. 20: the integral of (F(x) - 1{x >= y})^2 over all x
    quantiles = (500 + np.cumsum(steps))[None]
    grid = np.linspace(-12_000, 24_000, 60_001)
    share = probability_below(np.repeat(quantiles, len(grid), axis=0), grid)
    share[grid < 0] = 0.0  # no yield below nothing
    expected = integrate.trapezoid((share - (grid >= target)) ** 2, grid)
    found = crps(quantiles, np.array([target]))[0]
    assert found == pytest.approx(expected, rel=0.04, abs=3)


def test_crps_against_scikit_learns_pinball_loss():
    rng = np.random.default_rng(2)
    quantiles = np.sort(rng.uniform(1000, 5000, (40, 7)), axis=1)
    target, levels = rng.uniform(500, 5500, 40), np.arange(1, 100) / 100
    values = quantile_at(quantiles, levels)
    losses = [mean_pinball_loss(target, values[:, k], alpha=level) for k, level in enumerate(levels)]
    assert crps(quantiles, target).mean() == pytest.approx(2 * np.mean(losses))


def test_a_sharper_or_a_better_centred_forecast_scores_lower():
    target = np.random.default_rng(3).normal(3000, 400, 4000)
    scores = {
        (shift, sd): crps(np.tile(3000 + shift + sd * Z, (4000, 1)), target).mean()
        for shift in (0, 300) for sd in (150, 400, 900)
    }  # fmt: skip
    assert min(scores, key=scores.get) == (0, 400)  # the truth: CRPS is proper


def test_coverage_counts_both_ends():
    quantiles = np.array([[1000.0, 1100, 1200, 1300, 1400, 1500, 1600]] * 5)
    target = np.array([1000, 1600, 999.9, 1600.1, 1300])
    assert covered_90(quantiles, target).tolist() == [True, True, False, False, True]
    # at or below 1000: 1000 and 999.9; 1100 and 1200: the same; 1300: one more; 1600: all but 1600.1
    np.testing.assert_allclose(reliability(quantiles, target), [0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.8])


def test_a_reliable_forecast_has_its_levels():
    target = np.random.default_rng(4).normal(0, 1, 50_000)
    np.testing.assert_allclose(reliability(np.tile(Z, (50_000, 1)), target), QUANTILES, atol=0.005)


# --- point forecasts --------------------------------------------------------------------------------------


def test_score_by_hand():
    # errors 100, -200, 400: bias 100; squares 10000 + 40000 + 160000 = 210000, / 3 = 70000, root 264.575;
    # percent 10, 10, 10. r: targets - 7000/3 = (-4000, -1000, 5000)/3; predictions 1100, 1800, 4400, mean
    # 7300/3, minus it (-4000, -1900, 5900)/3; products 16 + 1.9 + 29.5 = 47.4 (1e6/9); squares 42 and
    # 16 + 3.61 + 34.81 = 54.42; r = 47.4 / sqrt(2285.64) = 47.4 / 47.80837 = 0.991458
    got = score(np.array([1100.0, 1800.0, 4400.0]), TARGET)
    assert got.n == 3
    assert got.bias_kg_ha == pytest.approx(100)
    assert got.rmse_kg_ha == pytest.approx(264.575131)
    assert got.mape_pct == pytest.approx(10)
    assert got.r == pytest.approx(0.991458, abs=1e-6)


yield_values = st.floats(1, 250_000).map(lambda v: round(v, 3))


@settings(deadline=None)  # the first call imports scipy and scikit-learn
@given(st.lists(st.tuples(yield_values, yield_values), min_size=2, max_size=50))
def test_score_against_scipy_and_scikit_learn(pairs):
    prediction, target = np.array(pairs).T
    got = score(prediction, target)
    assert got.mape_pct == pytest.approx(100 * mean_absolute_percentage_error(target, prediction))
    assert got.rmse_kg_ha == pytest.approx(root_mean_squared_error(target, prediction))
    assert got.bias_kg_ha == pytest.approx(np.mean(prediction) - np.mean(target), abs=1e-6)
    if np.ptp(prediction) < 1e-3 or np.ptp(target) < 1e-3:
        assert math.isnan(got.r) == (np.ptp(prediction) == 0 or np.ptp(target) == 0)
    else:
        assert got.r == pytest.approx(pearsonr(prediction, target).statistic, abs=1e-7)
        # r does not know the level or the unit, so it can hide a bias: that is why bias is scored too
        assert score(prediction * 3 + 500, target).r == pytest.approx(got.r, abs=1e-7)


def test_constant_forecasts_have_no_correlation_and_zero_yields_no_percentage():
    got = score(np.full(3, 2000.0), TARGET)
    assert math.isnan(got.r)
    assert got.mape_pct == pytest.approx((100 + 0 + 50) / 3)
    assert math.isnan(score(TARGET, np.full(3, 2000.0)).r)
    assert math.isnan(score([1.0], [1.0]).r)
    # 0 kg/ha is a yield for RMSE (|500|, |100| -> sqrt(130000)) but not for MAPE (100 of 1000 = 10 %)
    zero = score([500.0, 1100.0], [0.0, 1000.0])
    assert (zero.mape_pct, zero.rmse_kg_ha) == (pytest.approx(10), pytest.approx(math.sqrt(130_000)))
    assert math.isnan(score([500.0], [0.0]).mape_pct)


def test_a_shuffled_forecast_is_worth_nothing():
    rng = np.random.default_rng(0)
    target = rng.gamma(20, 150, 4000)
    assert abs(score(rng.permutation(target), target).r) < 4 / math.sqrt(4000)
    assert score(target, target).r == pytest.approx(1)


@pytest.mark.parametrize(
    ("prediction", "target", "error", "message"),
    [
        ([1.0, np.nan, np.inf], TARGET, SchemaError, "2 rows of 3 without a prediction"),
        (TARGET, [1.0, np.nan, 2.0], SchemaError, "1 rows of 3 without a target"),
        (TARGET[:2], TARGET, SchemaError, r"shapes \(2,\) and \(3,\)"),
        (TARGET[None], TARGET[None], SchemaError, "shapes"),
        (TARGET, -TARGET, SchemaError, "received -4000"),
        ([], [], MissingDataError, "received none"),
    ],
)
def test_score_refuses(prediction, target, error, message):
    with pytest.raises(error, match=message):
        score(prediction, target)
