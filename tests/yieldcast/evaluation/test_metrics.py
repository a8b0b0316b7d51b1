"""Scores of forecasts with uncertainty, by hand and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.metrics import mean_pinball_loss

from yieldcast.evaluation.metrics import covered_90, crps, reliability
from yieldcast.evaluation.skill import climatology, skill
from yieldcast.forecasting.risk import probability_below, quantile_at
from yieldcast.forecasting.table import QUANTILES

NAN = np.nan
Z = stats.norm.ppf(QUANTILES)


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


def test_skill_by_hand():
    point, target = np.array([2000.0, 3000, 4000]), np.array([2100.0, 3000, 3700])
    line = skill(("soybean", 2018, 3), "last_public", point, target)
    # squares 100^2, 0, 300^2; percent 100/2100, 0, 300/3700; without uncertainty the absolute error
    assert line.rmse_kg_ha == pytest.approx(math.sqrt(100_000 / 3))
    assert line.mape_pct == pytest.approx(100 * (100 / 2100 + 300 / 3700) / 3)
    assert line.crps_kg_ha == pytest.approx(400 / 3)
    assert line.coverage90 is None
    assert line.r == pytest.approx(np.corrcoef(point, target)[0, 1])
    assert (line.crop, line.harvest_year, line.lead_months, line.model, line.n) == (
        "soybean", 2018, 3, "last_public", 3,
    )  # fmt: skip
    quantiles = point[:, None] + 100 * Z  # 90 % interval: 164 either side
    ours = skill(("soybean", 2018, 3), "forecast", point, target, quantiles)
    assert ours.coverage90 == pytest.approx(2 / 3)
    assert ours.crps_kg_ha == pytest.approx(
        np.mean([normal_crps(p, 100, t) for p, t in zip(point, target, strict=True)]), rel=0.02
    )
    assert ours.rmse_kg_ha == line.rmse_kg_ha


def test_what_is_not_a_number_is_none_in_the_json():
    flat = skill(("soybean", 2018, 3), "x", np.full(3, 2000.0), np.array([0.0, 0, 0]))
    assert (flat.r, flat.mape_pct) == (None, None)


def test_climatology_by_hand():
    own = np.arange(100.0, 1100, 100)  # 100 ... 1000: quantile p at position 9 p
    few = np.array([5000.0, 6000, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN])
    none = np.full(10, NAN)
    found = climatology(np.array([own, few, none, few]), np.array(["AA", "AA", "BB", "CC"]))
    np.testing.assert_allclose(found[0], [145, 190, 325, 550, 775, 910, 955])
    # place 2: the twelve values of its state, 100 ... 1000, 5000, 6000: quantile p at position 11 p
    np.testing.assert_allclose(found[1], [155, 210, 375, 650, 925, 4600, 5450])
    # BB has none and CC two, so all fourteen: 100 ... 1000, 5000, 5000, 6000, 6000: position 13 p
    everywhere = np.quantile([*own, 5000, 6000, 5000, 6000], QUANTILES)
    np.testing.assert_allclose(found[2:], [everywhere] * 2)
    assert everywhere[3] == 750  # position 6.5: between 700 and 800


def test_a_state_with_enough_values_serves_places_that_have_none_of_five():
    pairs = np.full((3, 10), NAN)
    pairs[:, :2] = [[1, 2], [3, 4], [5, 6]]
    found = climatology(pairs, np.array(["AA"] * 3))
    np.testing.assert_allclose(found, [np.quantile([1, 2, 3, 4, 5, 6], QUANTILES)] * 3)
    # with five values of its own, its own
    pairs[0, :5] = 9
    assert climatology(pairs, np.array(["AA"] * 3))[0].tolist() == [9] * 7
