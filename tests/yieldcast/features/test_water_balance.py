"""The daily balance by hand, its laws, and seasons finished with other years."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import calendars.country
from calendars.rows import DayMonth
from calendars.stages import stages
from yieldcast.features.water_balance import (
    SPIN_UP_DAYS,
    DailyWeather,
    SeasonWater,
    Water,
    WaterBalance,
    capacity_mm,
    sowing_centre,
)

SOYBEAN = stages("soybean")
FIRST = np.datetime64("2009-01-01")


def weather(units=2, years=6, seed=0, rain=5.0):
    rng = np.random.default_rng(seed)
    days = 366 * years
    return DailyWeather(FIRST, rng.uniform(3, 6, (units, days)), rng.exponential(rain, (units, days)))


def centres(years, units=2, month="10", day="30"):
    return {year: np.full(units, np.datetime64(f"{year - 1}-{month}-{day}")) for year in years}


def seasons(daily, years=range(2010, 2014)):
    return SeasonWater(WaterBalance(SOYBEAN, np.array([80.0, 110.0])), daily, centres(years))


def test_two_days_by_hand():
    # Capacity 100 mm, p = 0.5, before sowing: Kc = 0.4. Begin at 50 mm.
    balance = WaterBalance(SOYBEAN, np.array([100.0]))
    et0, rain = np.array([[[5.0, 5.0]]]), np.array([[[0.0, 70.0]]])
    water = balance.run(balance.begin(), et0, rain)
    # Day 1: demand 2.0, half of the capacity is left: all of it is taken: 48. Day 2: 118 is cut to 100, less
    # 2: 98.
    np.testing.assert_allclose(water.soil, 98.0)
    # A dry soil: 10 mm left of the 50 needed: a fifth of the demand.
    dry = balance.run(Water(np.full((1, 1, 5), 10.0), *np.zeros((2, 1, 1, 5))), et0[:, :, :1], rain[:, :, :1])
    np.testing.assert_allclose(dry.soil, 10.0 - 2.0 / 5)
    assert (water.potential == 0).all()  # nothing counts before a fifth of the cycle


def test_plenty_of_rain_satisfies_and_none_does_not():
    days = WaterBalance(SOYBEAN, np.array([100.0])).days
    for rain, expected in ((20.0, 1.0), (0.0, 0.0)):
        balance = WaterBalance(SOYBEAN, np.array([100.0]))
        water = balance.run(balance.begin(), np.full((1, 1, days), 5.0), np.full((1, 1, days), rain))
        index = balance.index(water)[0, 0]
        assert index == pytest.approx(expected, abs=0.15 if expected == 0 else 1e-9)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 3.0), st.floats(40, 200), st.integers(0, 10_000))
def test_water_is_conserved_and_more_rain_never_hurts(factor, capacity, seed):
    rng = np.random.default_rng(seed)
    balance = WaterBalance(SOYBEAN, np.array([capacity]))
    et0 = rng.uniform(2, 7, (1, 1, balance.days))
    rain = rng.exponential(4, (1, 1, balance.days))
    less, more = (balance.run(balance.begin(), et0, rain * one) for one in (factor, factor * 1.3))
    assert (less.soil >= 0).all()
    assert (less.soil <= capacity + 1e-9).all()
    assert (less.actual <= less.potential + 1e-9).all()
    assert (balance.index(more) >= balance.index(less) - 1e-9).all()
    assert (less.actual.sum(axis=2) <= 5 * (capacity + (rain * factor).sum())).all()


def test_a_run_in_two_pieces_is_the_same_run():
    daily, balance = weather(), WaterBalance(SOYBEAN, np.array([80.0, 110.0]))
    et0, rain = daily.et0[:, None, : balance.days], daily.rain[:, None, : balance.days]
    whole = balance.run(balance.begin(), et0, rain)
    half = balance.run(balance.begin(), et0[..., :60], rain[..., :60])
    again = balance.run(half, et0[..., 60:], rain[..., 60:], 60)
    np.testing.assert_array_equal(whole.soil, again.soil)
    np.testing.assert_array_equal(whole.actual, again.actual)


def test_a_season_that_is_over_has_one_end_and_one_that_has_not_begun_has_its_donors():
    daily = weather()
    found = seasons(daily)
    np.testing.assert_allclose(found.finished(2012, [2010, 2011]), found.full(2012)[:, None].repeat(2, 1))
    before = seasons(daily.known_to(np.datetime64("2011-08-01")))
    ends = before.finished(2012, [2010])
    np.testing.assert_allclose(ends[:, 0], found.full(2010))


def test_what_is_not_known_yet_changes_nothing():
    daily, day = weather(), np.datetime64("2012-01-20")
    later = replace(daily, rain=daily.rain.copy())
    later.rain[:, int((day - FIRST).astype(int)) + 1 :] = 999.0
    ends = [seasons(one.known_to(day)).finished(2012, [2010, 2011]) for one in (daily, later)]
    np.testing.assert_array_equal(*ends)
    assert not seasons(daily.known_to(day)).whole(2012)
    assert seasons(daily.known_to(day)).whole(2011)


def test_units_of_other_sowing_dates_are_finished_from_their_own_last_day():
    daily = weather()
    both = {y: np.array([f"{y - 1}-10-30", f"{y - 1}-12-20"], "datetime64[D]") for y in range(2010, 2014)}
    balance = WaterBalance(SOYBEAN, np.array([80.0, 110.0]))
    cut = daily.known_to(np.datetime64("2012-01-20"))
    found = SeasonWater(balance, cut, both).finished(2012, [2010, 2011])
    for unit in (0, 1):
        alone = SeasonWater(
            WaterBalance(SOYBEAN, balance.capacity[[unit]]),
            DailyWeather(FIRST, cut.et0[[unit]], cut.rain[[unit]]),
            {year: days[[unit]] for year, days in both.items()},
        )
        np.testing.assert_allclose(found[[unit]], alone.finished(2012, [2010, 2011]))


def test_the_middle_of_a_planting_window():
    october = np.datetime64("2017-10", "M")
    # 1 October to 31 December: day 28 stands for later days of a month: 88 days, the middle is 14 November.
    assert sowing_centre(DayMonth(1, 10), DayMonth(31, 12), october) == np.datetime64("2017-11-14")
    # A window that begins after new year belongs to the year after the season's first month.
    assert sowing_centre(DayMonth(15, 1), DayMonth(15, 3), october) == np.datetime64("2018-02-13")


def test_capacity_follows_clay_and_depth():
    np.testing.assert_allclose(capacity_mm(np.array([10.0, 55.0, 90.0]), SOYBEAN), [72.0, 116.0, 116.0])
    np.testing.assert_allclose(capacity_mm(np.array([10.0, np.nan]), SOYBEAN), [72.0, 72.0])
    assert np.isfinite(capacity_mm(np.array([np.nan]), SOYBEAN)).all()


def test_a_season_needs_its_days():
    assert WaterBalance(SOYBEAN, np.ones(1)).days == SPIN_UP_DAYS + 28 + 120 + 1
    second_crops = calendars.country.default().second_crops
    assert second_crops("corn")["MT"].planting_start.month == 1
    assert second_crops("soybean") == {}
