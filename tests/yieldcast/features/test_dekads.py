"""Ten-day departures: hand-made weather, seasons under way, no leak of later days."""

import numpy as np
import pytest

from calendars.stages import stages
from yieldcast.features.dekads import BEFORE_DAYS, DAYS, VARIABLES, Dekads
from yieldcast.features.water_balance import DailyWeather, SeasonWater, WaterBalance

FIRST = np.datetime64("2000-01-01")
CENTRES = {
    year: np.array([np.datetime64(f"{year - 1}-11-01"), np.datetime64(f"{year - 1}-10-01")])
    for year in range(2002, 2012)
}
DONORS = range(2002, 2010)


def season(weather):
    return SeasonWater(WaterBalance(stages("soybean"), np.array([80.0, 100.0])), weather, CENTRES)


def days_from(year, unit, first, last):
    """Columns of the record: days of the season counted from the first step."""
    start = int((CENTRES[year][unit] - FIRST).astype(int)) - BEFORE_DAYS
    return slice(start + first, start + last)


@pytest.fixture
def weather():
    rng = np.random.default_rng(1)
    count = int((np.datetime64("2011-12-31") - FIRST).astype(int)) + 1
    shape = (2, count)
    return DailyWeather(
        FIRST, rng.uniform(3, 6, shape), rng.exponential(5, shape),
        rng.normal(30, 2, shape), rng.normal(18, 2, shape),
    )  # fmt: skip


def test_a_warm_step_departs_by_its_warmth_in_standard_deviations(weather):
    dekads = Dekads(season(weather), DONORS)
    before = dekads.departures(season(weather), 2011)
    weather.tmax[1, days_from(2011, 1, 20, 30)] += 1.0
    after = dekads.departures(season(weather), 2011)
    moved = after - before
    assert moved[1, 2, 0] == pytest.approx(1.0 / dekads.spread[2, 0])
    moved[1, 2, 0] = 0.0
    assert (moved == 0).all()
    assert after.shape == (2, 15, len(VARIABLES))


def test_departures_of_the_donors_are_zero_in_the_mean_and_have_unit_spread(weather):
    dekads = Dekads(season(weather), DONORS)
    found = np.stack([dekads.departures(season(weather), year) for year in DONORS])
    assert found.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert (found**2).mean(axis=(0, 1)) == pytest.approx(1.0, abs=1e-6)


def test_the_usual_weather_departs_by_nothing(weather):
    for values in (weather.tmax, weather.tmin, weather.rain, weather.et0):
        values[:] = values[:, :1]  # every day the same
    assert (Dekads(season(weather), DONORS).departures(season(weather), 2011) == 0).all()


def test_unknown_days_depart_by_nothing_and_known_days_by_their_share(weather):
    dekads = Dekads(season(weather), DONORS)
    last = CENTRES[2011][0] - np.timedelta64(BEFORE_DAYS, "D") + np.timedelta64(33, "D")  # 4 days of step 3
    found = dekads.departures(season(weather.known_to(last)), 2011)
    whole = dekads.departures(season(weather), 2011)
    np.testing.assert_array_equal(found[0, :3], whole[0, :3])
    assert (found[0, 4:] == 0).all()
    known = weather.tmax[0, days_from(2011, 0, 30, 34)].mean()
    share = 4 / DAYS
    assert found[0, 3, 0] == pytest.approx(share * (known - dekads.usual[0, 3, 0]) / dekads.spread[3, 0])


def test_later_days_change_nothing(weather):
    dekads = Dekads(season(weather), DONORS)
    last = CENTRES[2011][0] + np.timedelta64(40, "D")
    known = weather.known_to(last)
    before = dekads.departures(season(known), 2011)
    cut = int((last - FIRST).astype(int)) + 1
    for values in (weather.tmax, weather.tmin, weather.rain, weather.et0):
        values[:, cut:] = 1e6
    np.testing.assert_array_equal(dekads.departures(season(weather.known_to(last)), 2011), before)


def test_weather_without_temperatures_is_refused(weather):
    plain = DailyWeather(FIRST, weather.et0, weather.rain)
    with pytest.raises(ValueError, match="temperatures"):
        Dekads(season(plain), DONORS)
