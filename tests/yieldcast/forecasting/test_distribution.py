"""What counts as a low yield, and how likely it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from yieldcast.forecasting.distribution import low_threshold, normal_score, probability_below, quantile_at
from yieldcast.forecasting.table import QUANTILES

NAN = np.nan
Z = stats.norm.ppf(QUANTILES)
LAW = settings(max_examples=100, deadline=None)
# Yields as a forecast has them: seven rising numbers, at least a kilogram apart.
RISING = st.lists(st.floats(1, 900), min_size=7, max_size=7).map(lambda steps: np.cumsum(steps)[None])


def test_the_lowest_tercile_by_hand():
    # Ten values 100 ... 1000: at 1/3 of the way from first to last, position 3 of 0..9: 400.
    whole = np.arange(1000.0, 0, -100)
    # Seven values: position 2 of 0..6 is the third smallest. Five: position 4/3: 300 + (100)/3 above 200.
    seven = np.array([700, NAN, 100, 200, NAN, 300, 400, NAN, 500, 600])
    five = np.array([NAN, 500, 100, NAN, 200, NAN, 300, 400, NAN, NAN])
    np.testing.assert_allclose(low_threshold(np.array([whole, seven, five])), [400, 300, 200 + 100 / 3])


def test_fewer_than_five_years_have_no_tercile():
    window = np.full((3, 10), NAN)
    window[0, :4] = 1000
    window[1, :5] = 1000
    np.testing.assert_array_equal(low_threshold(window), [NAN, 1000, NAN])
    assert np.isnan(low_threshold(window[[0, 2]])).all()
    assert low_threshold(np.empty((0, 10))).shape == (0,)


def test_a_third_of_a_places_years_are_low():
    window = np.random.default_rng(1).normal(3000, 400, (200, 10))
    share = (window < low_threshold(window)[:, None]).mean()
    assert share == pytest.approx(0.3)  # the 3 of 10 below position 3


def test_probability_of_a_true_normal():
    # The quantiles of a normal distribution give its own probabilities, between and beyond them.
    mean, sd = np.array([3000.0, 2000.0, 5000.0]), np.array([400.0, 90.0, 1500.0])
    quantiles = mean[:, None] + sd[:, None] * Z
    for z in (-3.5, -1.7, -1.0, -0.2, 0.0, 0.4, 1.1, 1.9, 3.0):
        found = probability_below(quantiles, mean + z * sd)
        np.testing.assert_allclose(found, stats.norm.cdf(z), rtol=1e-6)


def test_probability_at_the_quantiles_is_their_level():
    quantiles = np.array([[900.0, 1000, 1500, 2000, 2100, 2800, 4000]])
    for level, value in zip(QUANTILES, quantiles[0], strict=True):
        assert probability_below(quantiles, np.array([value]))[0] == pytest.approx(level, abs=1e-6)
    # half-way between 2000 (z = 0) and 2100 (z = 0.6745): the level of z = 0.33724
    assert probability_below(quantiles, np.array([2050.0]))[0] == pytest.approx(0.63203, abs=1e-4)


def test_no_threshold_no_probability():
    quantiles = np.tile(3000 + 400 * Z, (3, 1))
    found = probability_below(quantiles, np.array([NAN, 3000.0, NAN]))
    np.testing.assert_allclose(found, [NAN, 0.5, NAN], atol=1e-6)


def test_quantiles_that_are_equal_give_a_step():
    same = np.full((2, 7), 3000.0)
    assert probability_below(same, np.array([2999.0, 3001.0])).tolist() == [0, 1]
    # cut off at 0: a quarter of the forecast lies at a yield of nothing
    nothing = np.array([[0.0, 0, 0, 500, 900, 1200, 1500]])
    just_above = probability_below(nothing, np.array([0.01]))[0]
    assert just_above == pytest.approx(0.25, abs=1e-3)


@LAW
@given(RISING, st.lists(st.floats(0, 7000), min_size=2, max_size=8))
def test_probability_rises_with_the_threshold(quantiles, thresholds):
    ordered = np.sort(thresholds)
    found = probability_below(np.repeat(quantiles, len(ordered), axis=0), ordered)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@LAW
@given(RISING, st.floats(0.01, 0.99))
def test_quantile_at_and_normal_score_undo_each_other(quantiles, level):
    value = quantile_at(quantiles, np.array([level]))[:, 0]
    score = normal_score(quantiles, value)[0]
    if value[0] > 0:  # what would lie below nothing is cut off there
        assert score == pytest.approx(stats.norm.ppf(level), abs=1e-4)
    else:
        assert score >= stats.norm.ppf(level) - 1e-4


def test_quantile_at_meets_the_quantiles_and_a_normal():
    quantiles = np.array([[900.0, 1000, 1500, 2000, 2100, 2800, 4000]])
    np.testing.assert_allclose(quantile_at(quantiles, np.array(QUANTILES)), quantiles)
    levels = np.array([0.001, 0.03, 0.2, 0.6, 0.97, 0.999])
    normal = quantile_at((3000 + 400 * Z)[None], levels)
    np.testing.assert_allclose(normal[0], stats.norm.ppf(levels, 3000, 400))
    assert quantile_at((300 + 400 * Z)[None], np.array([0.01]))[0, 0] == 0
