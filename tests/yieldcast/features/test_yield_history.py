"""Yield history: lags and columns against numbers by hand, and the years that it must not use."""

import datetime as dt

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.errors import MissingDataError
from yieldcast.features import yield_history
from yieldcast.features.yield_history import PlaceYears, YieldHistory, window_variance
from yieldcast.publication import Publication

PAM = Publication()
STATES = {1: "MT", 2: "MT", 3: "RS"}


def history(own, first=2001):
    """Yields (municipality, year) of places 1, 2 and 3, without areas."""
    own = np.asarray(own, dtype=np.float32)
    yields = xr.Dataset(
        {"yield_kg_ha": (("crop", "municipality", "harvest_year"), own[None])},
        coords={
            "crop": ["soybean"], "municipality": np.array([1, 2, 3], np.int32),
            "harvest_year": np.arange(first, first + own.shape[1], dtype=np.int16),
        },
    )  # fmt: skip
    return YieldHistory.of(yields, STATES, "soybean")


def rows(places, years):
    states = np.array([STATES[place] for place in places])
    return PlaceYears(np.array(places, np.int32), states, np.array(years, np.int16))


NONE = [np.nan] * 6
OWN = [[1000, 1100, 1200, 1300, 1400, 1500], [np.nan] * 5 + [3000], NONE]  # 2001 to 2006


def column(found, name):
    return found[:, yield_history.NAMES.index(name)]


def test_the_columns_by_hand():
    # All use yields to 2006. Place 1: mean of 2002-2006 is 1300; the trend rises by 100 a year, two years
    # after 2006 it is 1700; the baseline, their mean, is 1500. Deviation of 1000 ... 1500: squares of 250,
    # 150, 50 twice each, 175,000 / 5 = 35,000, root 187.083.
    # Place 2 has 2006 alone: last and mean are its own; the trend is its state's, whose mean yields are
    # 1000, 1100, 1200, 1300, 1400 and (1500 + 3000) / 2 = 2250. With the years -5 to 0, middle -2.5: slope
    # (2.5 (2250 - 1000) + 1.5 (1400 - 1100) + 0.5 (1300 - 1200)) / 17.5 = 3625 / 17.5 = 207.142857;
    # mean 1375; 1375 + 207.142857 x 4.5 = 2307.142857. The state's mean of five is 7250 / 5 = 1450.
    # Place 3 and its state have no yields: those of the nation, here the same as MT's.
    found = yield_history.matrix(history(OWN), rows([1, 2, 3], [2008] * 3), 2)
    trend, nan = 2307.142857, np.nan
    expected = [
        [1500, 1300, 1700, 6, 187.082869, 2250, 1450, trend, 1500],
        [3000, 3000, trend, 1, nan, 2250, 1450, trend, (3000 + trend) / 2],
        [2250, 1450, trend, 0, nan, nan, nan, nan, (1450 + trend) / 2],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_every_row_has_its_own_lag():
    # Place 1 for 2008: with lag 3 it uses yields to 2005 (1400), mean of 2001-2005 1200, trend 1400 + 300.
    found = yield_history.matrix(history(OWN), rows([1, 1], [2008, 2008]), np.array([3, 2]))
    assert column(found, "last_public_kg_ha").tolist() == [1400, 1500]
    assert column(found, "mean_5y_public_kg_ha").tolist() == [1200, 1300]
    np.testing.assert_allclose(column(found, "trend_10y_public_kg_ha"), [1700, 1700])
    assert column(found, "public_years").tolist() == [5, 6]


def test_the_variance_of_a_window_is_that_of_numpy():
    window = np.random.default_rng(1).normal(3000, 400, (50, 10))
    window[np.random.default_rng(2).random(window.shape) < 0.5] = np.nan
    window[0], window[1, 1:] = np.nan, np.nan
    variance, count = window_variance(window)
    for row, values in enumerate(window):
        known = values[np.isfinite(values)]
        assert count[row] == known.size
        expected = known.var(ddof=1) if known.size > 1 else 0
        assert variance[row] == pytest.approx(expected, rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(lag=st.integers(1, 3), noise=st.lists(st.floats(1, 1e4), min_size=18, max_size=18))
def test_no_year_after_the_newest_public_one_is_read(lag, noise):
    own = np.linspace(1000, 4000, 18).reshape(3, 6)
    for year in range(2005, 2009):
        changed, seen = own.copy(), year - lag - 2000  # columns 0 to seen - 1 are public
        changed[:, seen:] = np.reshape(noise, (3, 6))[:, seen:]
        before, after = (
            yield_history.matrix(history(p), rows([1, 2, 3], [year] * 3), lag) for p in (own, changed)
        )
        np.testing.assert_array_equal(before, after)
    changed[:, :seen] += 1
    assert (yield_history.matrix(history(changed), rows([1, 2, 3], [year] * 3), lag) != before).any()


def test_without_a_yield_that_is_old_enough_the_years_to_get_are_named():
    with pytest.raises(MissingDataError, match=r"2003 needs yields of 2000 or .* from 2001 on") as caught:
        yield_history.matrix(history(OWN), rows([1, 1], [2003, 2008]), np.array([3, 2]))
    assert "begin with harvest year 2004" in caught.value.hint


def test_the_lag_follows_the_date():
    # PAM of y is published on 1 October of y + 1. On 30 September 2017 the newest is 2015, a day later 2016.
    some = rows([1, 2], [2018, 2018])
    ends = np.array(["2018-05-31", "2018-10-31"], "datetime64[D]")
    assert yield_history.lag(some, ends, PAM, dt.date(2017, 9, 30)).tolist() == [3, 3]
    assert yield_history.lag(some, ends, PAM, dt.date(2017, 10, 1)).tolist() == [2, 2]
    # Without a date the end of each window counts: on 31 May 2018 the newest is 2016, on 31 October 2017.
    assert yield_history.lag(some, ends.astype("datetime64[s]"), PAM, None).tolist() == [2, 1]
    # Long after the season its own yield is public: a forecast never reads it.
    assert yield_history.lag(some, ends, PAM, dt.date(2025, 1, 1)).tolist() == [1, 1]


def test_the_lags_that_a_forecast_of_soybean_can_have(calendar):
    # MT plants from September: forecasts begin in June of Y-1 (newest public Y-3, until 30 September) and
    # end in May of Y (newest Y-2).
    assert yield_history.possible_lags(calendar, "soybean", np.array(["MT"]), PAM) == (2, 3)
    # Published after 3 months, in April: in June of Y-1 the newest is Y-2, from April of Y on Y-1.
    early = Publication(yields_months=3)
    assert yield_history.possible_lags(calendar, "soybean", np.array(["MT", "MT"]), early) == (1, 2)
    # Published on 21 May (4 months and 20 days): only the last days of the window have Y-1.
    late = Publication(yields_months=4, yields_days=20)
    assert yield_history.possible_lags(calendar, "soybean", np.array(["MT"]), late) == (1, 2)
    # Published at once: in June of Y-1 the year Y-2 is public; Y itself is never used.
    at_once = Publication(yields_months=0)
    assert yield_history.possible_lags(calendar, "soybean", np.array(["MT"]), at_once) == (1, 2)


def test_forecasts_on_any_day_of_a_season_have_a_possible_lag(calendar):
    for crop in calendar.crops:
        states = np.array(sorted({state for c, state in calendar.rows if c == crop}))
        lags = yield_history.possible_lags(calendar, crop, states, PAM)
        for state in states:
            window = calendar.window(crop, state, 2015)
            day = (window[0] - 3).astype("datetime64[D]").item()
            while day < (window[-1] + 1).astype("datetime64[D]").item():
                assert max(2015 - PAM.last_public_harvest_year(day), 1) in lags
                day += dt.timedelta(days=1)
