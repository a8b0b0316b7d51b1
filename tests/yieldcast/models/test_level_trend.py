"""Levels and trends: by hand, against what is known of synthetic yields, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from yieldcast.models.level_trend import Places, fit_levels, level_trend, theil_sen

FIRST, LAST = 2000, 2014


def places(count=30, states=2, seed=0):
    rng = np.random.default_rng(seed)
    return Places(
        np.repeat(np.arange(states), count // states).astype(np.int64), states,
        rng.uniform(-20, -10, count), rng.uniform(-55, -45, count),
    )  # fmt: skip


def country(where, noise=200.0, slope=40.0, seed=1):
    """Yields with known levels: a state mean of 3000 that grows by `slope` a year, levels of sd 400."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 400, len(where.state))
    years = np.arange(FIRST, LAST + 1)
    truth = 3000 + slope * (years - FIRST) + level[:, None]
    return truth + rng.normal(0, noise, truth.shape), level


def test_a_line_by_hand_and_against_scipy():
    years = np.array([2000, 2001, 2002, 2003], dtype=np.int64)
    # Pairwise slopes of 10, 20, 30, 1000: 10, 10, 330 (from the first), 10, 490, 970: the median is 170.
    values = np.array([10.0, 20.0, 30.0, 1000.0])
    slope = (10 + 330) / 2
    assert theil_sen(years, values, 2004) == pytest.approx(np.median(values - slope * years) + slope * 2004)
    rng = np.random.default_rng(3)
    values = rng.normal(3000, 300, 12)
    years = np.arange(2000, 2012)
    slope, _, *_ = theilslopes(values, years)
    assert theil_sen(years, values, 2013) == pytest.approx(np.median(values - slope * years) + slope * 2013)


def test_few_values():
    years = np.array([2000, 2001], dtype=np.int64)
    assert theil_sen(years, np.array([1.0, 3.0]), 2010) == 2.0
    assert np.isnan(theil_sen(years, np.array([np.nan, np.nan]), 2010))


def test_one_drought_year_does_not_bend_the_trend():
    where = places()
    yields, _ = country(where, noise=50.0)
    bent = yields.copy()
    bent[:, -1] *= 0.4  # a drought in the newest year
    plain, hit = (level_trend(y, FIRST, LAST, LAST + 2, where).forecast.mean() for y in (yields, bent))
    least_squares = np.polyval(np.polyfit(np.arange(12), bent.mean(axis=0)[-12:], 1), 13)
    assert abs(hit - plain) < 150
    assert abs(least_squares - plain) > 500


def test_levels_and_trend_are_found():
    where = places(200)
    yields, level = country(where)
    found = level_trend(yields, FIRST, LAST, LAST + 2, where)
    truth = 3000 + 40 * (LAST + 2 - FIRST) + level
    assert np.sqrt(np.mean((found.forecast - truth) ** 2)) < 150
    assert np.corrcoef(found.level, level)[0, 1] > 0.95
    assert abs(found.noise_sd.mean() - 200) < 40


def test_a_place_with_little_history_is_drawn_to_its_neighbours():
    where = places(60)
    yields, _ = country(where, noise=300.0)
    lonely = yields.copy()
    lonely[0] = np.nan
    lonely[1, :-1] = np.nan  # one year only
    found = fit_levels(lonely, FIRST, LAST, where)
    assert found.own_share[0] == 0.0
    assert 0.0 < found.own_share[1] < found.own_share[2:].min()
    # Without any year of its own the level is the mean of its neighbours'.
    mine = np.flatnonzero(where.state == where.state[0])[1:]
    assert found.level[mine].min() < found.level[0] < found.level[mine].max()


def test_shrinking_helps_places_with_few_years():
    where = places(200, seed=4)
    yields, level = country(where, noise=500.0, seed=5)
    few = yields.copy()
    few[::2, :-2] = np.nan
    found = fit_levels(few, FIRST, LAST, where)
    state = few[:, -2:] - np.nanmean(few[:, -2:], axis=0)
    raw = np.nanmean(state, axis=1)[::2]
    shrunken = found.level[::2]
    truth = (level - level.mean())[::2]
    assert np.mean((shrunken - truth) ** 2) < 0.85 * np.mean((raw - truth) ** 2)


def test_nothing_after_the_last_public_year_is_read():
    where = places()
    yields, _ = country(where)
    poisoned = yields.copy()
    poisoned[:, 2012 - FIRST + 1 :] = 1e6
    one, other = (level_trend(y, FIRST, 2012, 2014, where) for y in (yields, poisoned))
    np.testing.assert_array_equal(one.forecast, other.forecast)


def test_an_estimate_of_the_year_between_moves_the_state_by_part():
    where = places()
    yields, _ = country(where, noise=20.0)
    none, plus = (
        level_trend(yields, FIRST, 2012, 2014, where, np.array([[x], [np.nan]])).forecast.mean(
            where=where.state == 0
        )
        for x in (40.0, 1000.0)
    )
    assert 0 < plus - none < 500


def test_a_state_without_yields_takes_the_median_of_the_others():
    where = places(30, 3)
    yields, _ = country(where)
    yields[where.state == 1] = np.nan
    found = level_trend(yields, FIRST, LAST, LAST + 1, where)
    assert found.trend[1] == pytest.approx(np.median(found.trend[[0, 2]]))
    assert np.isfinite(found.forecast).all()


@given(st.floats(0.2, 5.0), st.integers(0, 1000))
def test_units_do_not_matter(factor, seed):
    where = places(20, seed=seed)
    yields, _ = country(where, seed=seed)
    one, other = (level_trend(y, FIRST, LAST, LAST + 1, where).forecast for y in (yields, yields * factor))
    np.testing.assert_allclose(other, one * factor, rtol=1e-6)


def test_the_recent_state_effect_by_hand():
    where = places(4)
    yields = np.full((4, 15), 1000.0)
    yields[:, -1], yields[:, -3] = 2000.0, np.nan
    found = level_trend(yields, FIRST, LAST, LAST + 1, where)
    weight = 0.5 ** (np.arange(12) / 2)
    weight[2] = 0.0
    np.testing.assert_allclose(found.recent, 1000 + 1000 * weight[0] / weight.sum())
    yields[where.state == 1] = np.nan
    found = level_trend(yields, FIRST, LAST, LAST + 1, where)
    assert found.recent[1] == found.trend[1]
