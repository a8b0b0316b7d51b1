"""Monthly variables from daily values: by hand, without the future, and as inputs of a network."""

import datetime as dt

import numpy as np
import pytest
import xarray as xr

import calendars
from yieldcast.config import DataSettings, ForecastSettings, parse_settings
from yieldcast.data import synthetic
from yieldcast.data.daily import daily_table
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.features.daily_months import (
    NAMES,
    months_of_days,
    network_tables,
    with_daily_months,
)
from yieldcast.features.evapotranspiration import (
    extraterrestrial_radiation,
    hargreaves,
    penman_monteith,
    radiation_from_temperature,
)
from yieldcast.features.source import build_samples
from yieldcast.features.unit_days import actual_evapotranspiration
from yieldcast.forecasting.evidence import days_of_months

LATITUDE = np.array([-12.0])


def days_of(first, count, **fields):
    """Daily weather of one unit; a number stands for every day."""
    values = {"tmax_degC": 30.0, "tmin_degC": 20.0, "precipitation_mm": 0.0} | fields
    days = np.arange(np.datetime64(first), np.datetime64(first) + count)
    arrays = {name: np.broadcast_to(np.asarray(one, np.float32), (1, count)) for name, one in values.items()}
    one = np.array([7], np.int32)
    return daily_table(arrays, days, one, one, np.array([0]))


def month(name, first="2001-01-01", count=31, **fields):
    return months_of_days(days_of(first, count, **fields), LATITUDE, [name])[name].values[0].tolist()


def test_days_below_one_millimetre_are_dry():
    rain = np.full(31, 0.99)
    rain[[3, 9]] = 1.0
    assert month("dry_days", precipitation_mm=rain) == [29.0]


def test_heat_is_what_the_daily_maximum_has_above_30_degrees():
    tmax = np.full(31, 28.0)
    tmax[:4] = [31.0, 35.5, 30.0, 20.0]
    assert month("heat_degC_day", tmax_degC=tmax, tmin_degC=10.0) == [6.5]


def test_vapour_pressure_deficit_by_hand():
    # FAO-56 Table 2.3: saturation at 30, 20 and 15 degC is 4.243, 2.338 and 1.705 kPa
    assert month("vpd_kPa", dewpoint_degC=15.0) == pytest.approx([(4.243 + 2.338) / 2 - 1.705], abs=2e-3)
    assert month("vpd_kPa") == pytest.approx([(4.243 - 2.338) / 2], abs=2e-3)  # the minimum is the dew point
    dewpoint = np.full(31, np.nan)
    dewpoint[:15] = 15.0
    mixed = (15 * ((4.243 + 2.338) / 2 - 1.705) + 16 * (4.243 - 2.338) / 2) / 31
    assert month("vpd_kPa", dewpoint_degC=dewpoint) == pytest.approx([mixed], abs=2e-3)


def test_radiation_is_measured_or_from_the_range_of_temperature():
    assert month("radiation_MJ_m2", radiation_MJ_m2=21.5) == pytest.approx([21.5])
    # FAO-56 example 15: Lyon in July, 26.6 and 14.8 degC at 45.72 N: 22.3 MJ/m2 with eq. 50
    top = extraterrestrial_radiation(45 + 43 / 60, 196)
    assert float(radiation_from_temperature(26.6, 14.8, top)) == pytest.approx(22.3, abs=0.1)
    top = extraterrestrial_radiation(-12.0, np.arange(1, 32))
    assert month("radiation_MJ_m2") == pytest.approx([0.16 * np.sqrt(10) * top.mean()], rel=1e-5)


def test_water_of_a_month_without_rain_by_hand():
    # The soil begins with 50 mm, below which uptake falls in proportion: what is left after a day is
    # 1 - et0 / 50 of what was there.
    et0 = hargreaves(30.0, 20.0, extraterrestrial_radiation(-12.0, np.arange(1, 32)))
    taken = 50.0 - 50.0 * np.prod(1 - et0 / 50.0)
    assert month("water_deficit_mm") == pytest.approx([et0.sum() - taken], rel=1e-5)
    assert month("water_ratio") == pytest.approx([taken / et0.sum()], rel=1e-5)


def test_with_rain_every_day_nothing_is_short_and_more_than_the_soil_holds_is_lost():
    assert month("water_ratio", precipitation_mm=60.0) == [1.0]
    assert month("water_deficit_mm", precipitation_mm=60.0) == [0.0]
    # 100 mm at most after the rain: days of 10 mm then take 50 mm in full, and after that in proportion
    rain = np.array([[1000.0, 0, 0, 0, 0, 0, 0]])
    taken = actual_evapotranspiration(np.full((1, 7), 10.0), rain)
    np.testing.assert_allclose(taken[0], [10, 10, 10, 10, 10, 10, 8])


def test_reference_is_penman_monteith_where_sun_dew_point_and_wind_are_known():
    top = extraterrestrial_radiation(-12.0, np.arange(1, 32))
    et0 = penman_monteith(30.0, 20.0, 20.0, 15.0, 2.0, top)
    dry = months_of_days(
        days_of("2001-01-01", 31, radiation_MJ_m2=20.0, dewpoint_degC=15.0, wind_m_s=2.0), LATITUDE
    )
    taken = 50.0 - 50.0 * np.prod(1 - et0 / 50.0)
    assert float(dry["water_deficit_mm"].values[0, 0]) == pytest.approx(et0.sum() - taken, rel=1e-5)


def test_only_radiation_missing_is_still_penman_monteith():
    top = extraterrestrial_radiation(-12.0, np.arange(1, 32))
    sun = radiation_from_temperature(30.0, 20.0, top)
    fields = {"dewpoint_degC": 15.0, "wind_m_s": 2.0}
    estimated = months_of_days(days_of("2001-01-01", 31, **fields), LATITUDE, ["water_deficit_mm"])
    measured = days_of("2001-01-01", 31, radiation_MJ_m2=sun, **fields)
    expected = months_of_days(measured, LATITUDE, ["water_deficit_mm"])
    xr.testing.assert_allclose(estimated, expected, rtol=1e-5)
    # Hargreaves, which needs no wind, gives another value
    assert abs(float(expected["water_deficit_mm"].values[0, 0]) - month("water_deficit_mm")[0]) > 1


def test_a_month_that_is_cut_or_has_a_missing_day_is_empty_and_the_next_is_not():
    rain = np.zeros(80)
    rain[33] = np.nan
    table = months_of_days(days_of("2001-01-05", 80, precipitation_mm=rain), LATITUDE)
    assert table.sizes["time"] == 3
    # January begins on the 5th, 7 February has no rain, March ends on the 25th
    for name in ("water_deficit_mm", "water_ratio", "dry_days"):
        assert np.isnan(table[name].values).all(), name
    assert np.isfinite(table["heat_degC_day"].values[0]).tolist() == [False, True, False]
    longer = np.append(rain, np.zeros(10))
    table = months_of_days(days_of("2001-01-05", 90, precipitation_mm=longer), LATITUDE)
    assert np.isfinite(table["water_ratio"].values[0]).tolist() == [False, False, True, False]


def test_no_month_knows_a_later_day():
    rng = np.random.default_rng(3)
    fields = {"precipitation_mm": rng.gamma(0.4, 12, 181), "tmax_degC": rng.uniform(24, 38, 181)}
    before = months_of_days(days_of("2001-01-01", 181, **fields), LATITUDE)
    poisoned = {name: np.where(np.arange(181) < 90, values, 59.0) for name, values in fields.items()}
    after = months_of_days(days_of("2001-01-01", 181, **poisoned), LATITUDE)
    xr.testing.assert_identical(before.isel(time=slice(0, 3)), after.isel(time=slice(0, 3)))
    assert not np.array_equal(before["heat_degC_day"].values[0, 3:], after["heat_degC_day"].values[0, 3:])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A synthetic country with daily weather of two places to a unit, made from its months."""
    tables = synthetic.country(seed=2, municipalities=12, first_harvest_year=2001, harvest_years=14)
    days = days_of_months(tables.weather)
    codes = tables.weather["municipality"].values
    fields = {name: days[name].values[::2] for name in ("tmax_degC", "tmin_degC", "precipitation_mm")}
    daily = daily_table(
        fields, days["time"].values.astype("datetime64[D]"), codes[::2], codes, np.arange(12) // 2
    )
    return Store.write(tmp_path_factory.mktemp("store"), tables, {}, optional={"daily": daily})


def test_places_take_the_months_of_their_unit(store):
    tables = with_daily_months(store.tables, store.daily, NAMES)
    weather = tables.weather
    assert weather["dry_days"].dims == ("municipality", "time")
    assert weather["time"].equals(store.weather["time"])
    np.testing.assert_array_equal(weather["dry_days"].values[0], weather["dry_days"].values[1])
    # showers fall on every fifth day: six or seven days of a month can have 1 mm
    wet = weather["time"].dt.days_in_month.values - weather["dry_days"].values
    assert wet.max() <= 7
    # places without a unit, and places that the daily table lacks, are empty
    daily = store.daily.isel(municipality=slice(0, 11)).copy(deep=True)
    daily["municipality_unit"].values[3] = -1
    some = with_daily_months(store.tables, daily, ["dry_days"]).weather["dry_days"].values
    assert np.isnan(some).all(axis=1).tolist() == [False] * 3 + [True] + [False] * 7 + [True]


def test_chosen_inputs_reach_the_samples_and_others_stay_as_they_were(store):
    plain, chosen = DataSettings(), DataSettings(daily_inputs=("water_ratio", "vpd_kPa"))
    assert network_tables(store, plain).weather is store.weather
    calendar, years = calendars.brazil(), [2004, 2005]
    before, _ = build_samples(store.tables, calendar, "soybean", years, plain)
    rows, _ = build_samples(network_tables(store, chosen), calendar, "soybean", years, chosen)
    assert rows.dynamic_names == (*before.dynamic_names, "water_ratio", "vpd_kPa")
    np.testing.assert_array_equal(rows.dynamic[..., :4], before.dynamic)
    ratio = rows.dynamic[..., 4]
    assert ((ratio >= 0) & (ratio <= 1)).all()
    assert ratio.std() > 0.01
    # as of a date before the season, the climatology stands for months to come
    early, _ = build_samples(
        network_tables(store, chosen), calendar, "soybean", [2005], chosen, as_of=dt.date(2004, 8, 1)
    )
    assert np.isfinite(early.dynamic[..., 4]).all()


def test_settings_name_each_input_once_and_default_runs_do_not_know_them():
    assert "daily_inputs" not in DataSettings().model_dump()
    assert "daily_inputs" not in DataSettings().model_dump(mode="json")
    settings = parse_settings({"data": {"daily_inputs": ["dry_days", "water_ratio"]}}, "a.toml")
    assert settings.data.daily_inputs == ("dry_days", "water_ratio")
    assert settings.model_dump(mode="json")["data"]["daily_inputs"] == ["dry_days", "water_ratio"]
    with pytest.raises(ConfigError, match="daily_inputs"):
        parse_settings({"data": {"daily_inputs": ["rain"]}}, "a.toml")
    with pytest.raises(ConfigError, match="each input once"):
        parse_settings({"data": {"daily_inputs": ["dry_days", "dry_days"]}}, "a.toml")


def test_without_daily_weather_the_inputs_are_refused(store, tmp_path):
    bare = Store.write(tmp_path / "bare", store.tables, {})
    with pytest.raises(MissingDataError, match="no daily weather"):
        network_tables(bare, DataSettings(daily_inputs=("dry_days",)))


@pytest.mark.slow
def test_a_network_trains_on_them_and_forecasts(store, forecast_settings, tmp_path):
    from yieldcast.forecasting.forecast import forecast
    from yieldcast.training.pipeline import train_run

    inputs = forecast_settings.data.model_copy(update={"daily_inputs": ("water_deficit_mm", "dry_days")})
    method = ForecastSettings(method="network")
    settings = forecast_settings.model_copy(update={"data": inputs, "forecast": method})
    run = train_run(store, "soybean", range(2009, 2012), [1, 2, 3], tmp_path / "run", settings)
    assert run.identity.dynamic_names[-2:] == ("anomaly_water_deficit_mm", "anomaly_dry_days")
    made = forecast(run, store, 2014, dt.date(2014, 1, 20))
    assert np.isfinite(made["yield_kg_ha"].values).all()
    # other days of a public month give another forecast: the inputs reach it
    daily = store.daily.copy(deep=True)
    daily["precipitation_mm"].loc[{"time": "2013-11"}] = np.float32(0.9)
    changed = Store.write(tmp_path / "changed", store.tables, {}, optional={"daily": daily})
    other = forecast(run, changed, 2014, dt.date(2014, 1, 20))
    assert not np.array_equal(other["yield_kg_ha"].values, made["yield_kg_ha"].values)
