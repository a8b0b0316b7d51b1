import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from calendars import CalendarError
from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError
from yieldcast.features import yield_history
from yieldcast.features.source import Source, build_samples

DATA = DataSettings()


def test_rows_are_the_positive_yields_with_their_own_inputs(small, calendar):
    rows, _ = build_samples(small, calendar, "soybean", [2012, 2013], DATA)
    table = small.yields["yield_kg_ha"].sel(crop="soybean")
    wanted = table.sel(harvest_year=[2012, 2013])
    assert len(rows) == int((wanted > 0).sum())
    for k in (0, len(rows) // 2, len(rows) - 1):
        code, year = int(rows.municipality[k]), int(rows.harvest_year[k])
        assert rows.target_kg_ha[k] == float(table.sel(municipality=code, harvest_year=year))
        place = small.static.sel(municipality=code)
        window = calendar.window("soybean", str(place["state"].values), year)
        tmax = small.weather["tmax_degC"].sel(municipality=code, time=window.astype("datetime64[ns]"))
        np.testing.assert_array_equal(rows.dynamic[k, :, 0], tmax.values)
        assert rows.static[k, -2] == np.float32(place["latitude_deg"])


def test_degree_days_arrive_accumulated(small, calendar):
    rows, _ = build_samples(small, calendar, "soybean", [2012], DATA)
    assert rows.dynamic_names == (
        "tmax_degC", "tmin_degC", "precipitation_mm", "accumulated_gdd_5_30_degC_day"
    )  # fmt: skip
    assert (np.diff(rows.dynamic[:, :, 3], axis=1) >= 0).all()
    # Last step = sum over the window of days * ((clipped tmax + clipped tmin) / 2 - 5).
    tmax, tmin = (np.clip(rows.dynamic[0, :, k].astype(float), 5, 30) for k in (0, 1))
    window = calendar.window("soybean", str(rows.state[0]), 2012)
    days = ((window + 1).astype("datetime64[D]") - window.astype("datetime64[D]")).astype(int)
    np.testing.assert_allclose(rows.dynamic[0, -1, 3], (days * ((tmax + tmin) / 2 - 5)).sum(), rtol=1e-5)


def test_the_full_soilgrids_set_is_65_wide(small, calendar):
    # Nine properties x seven layers + latitude + longitude (paper, Section 4).
    rows, _ = build_samples(small, calendar, "soybean", [2012], DATA)
    assert rows.static.shape[1] == len(rows.static_names) == 65
    assert rows.static_names[-2:] == ("latitude_deg", "longitude_deg")


def test_a_place_without_soil_keeps_its_rows(small, calendar):
    static = small.static.copy(deep=True)
    code = int(static["municipality"][0])
    for name in static:
        if "soil_layer" in static[name].dims:
            static[name].loc[{"municipality": code}] = np.nan
    rows, _ = build_samples(Tables(static, *small[1:]), calendar, "soybean", [2012, 2013], DATA)
    own = rows.take(rows.municipality == code)
    assert len(own) > 0
    assert np.isnan(own.static[:, :-2]).all()
    assert np.isfinite(own.static[:, -2:]).all()


def test_no_soil_at_all_leaves_latitude_and_longitude(small, calendar):
    static = small.static.drop_vars([v for v in small.static if "soil_layer" in small.static[v].dims])
    rows, _ = build_samples(Tables(static, *small[1:]), calendar, "soybean", [2012], DATA)
    assert rows.static_names == ("latitude_deg", "longitude_deg")


def test_rows_without_their_weather_are_counted(small, calendar):
    weather = small.weather.copy(deep=True)
    code = int(small.static["municipality"][0])
    weather["precipitation_mm"].loc[{"municipality": code}] = np.nan
    rows, dropped = build_samples(
        Tables(small.static, weather, small.yields), calendar, "soybean", [2012, 2013], DATA
    )
    assert code not in rows.municipality
    lost = int(
        (
            small.yields["yield_kg_ha"].sel(crop="soybean", municipality=code, harvest_year=[2012, 2013]) > 0
        ).sum()
    )
    assert [(d.rows, "weather" in d.reason) for d in dropped] == [(lost, True)]


def test_as_of_fills_unpublished_months_with_climatology_of_known_years(small, calendar):
    date = dt.date(2013, 1, 15)
    rows, _ = build_samples(small, calendar, "soybean", [2013], DATA, as_of=date)
    k = 0
    code, state = int(rows.municipality[k]), str(rows.state[k])
    window = calendar.window("soybean", state, 2013)
    # Final ERA5: on 15 January 2013 the last public month is September 2012.
    series = small.weather["tmax_degC"].sel(municipality=code)
    series = series.where(series["time"] <= np.datetime64("2012-09-30"), drop=True)
    unknown = int(np.nonzero(window > np.datetime64("2012-09"))[0][0])
    month = int(str(window[unknown])[5:])
    mean = series.values[series["time"].dt.month.values == month].mean()
    np.testing.assert_allclose(rows.dynamic[k, unknown, 0], mean, rtol=1e-6)


@pytest.mark.parametrize(
    ("crop", "years", "text"),
    [
        ("cotton", [2012], "no yields of 'cotton'"),
        ("soybean", [2050], "no soybean yields of harvest year 2050"),
        ("soybean", [], "none given"),
    ],
)
def test_missing_crops_and_years_are_missing_data(small, calendar, crop, years, text):
    with pytest.raises(MissingDataError, match=text) as caught:
        build_samples(small, calendar, crop, years, DATA)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_weather_that_is_nan_everywhere_is_missing_data(small, calendar):
    weather = small.weather.copy(deep=True)
    weather["tmax_degC"][:] = np.nan
    with pytest.raises(MissingDataError, match="has weather in every month"):
        build_samples(Tables(small.static, weather, small.yields), calendar, "soybean", [2012], DATA)


def test_a_year_without_any_row_is_named(small, calendar):
    # Weather from 2012 on: no window of 2011 is whole, though 2013 has rows.
    weather = small.weather.sel(time=slice("2012-01", None))
    with pytest.raises(MissingDataError, match="harvest year 2011: no row"):
        build_samples(Tables(small.static, weather, small.yields), calendar, "soybean", [2011, 2013], DATA)


def test_a_crop_or_state_that_the_calendar_lacks_is_a_settings_error(small, calendar):
    renamed = small.yields.assign_coords(crop=["quinoa"])
    with pytest.raises(CalendarError) as caught:
        build_samples(
            Tables(small.static, small.weather, renamed), calendar, "quinoa", [2012],
            DataSettings(degree_days={"quinoa": (4, 30)}),
        )  # fmt: skip
    assert caught.value.exit_code == 2


def test_static_features_of_a_run_must_be_in_the_store(small, calendar):
    with pytest.raises(MissingDataError, match="clay_pct_9cm"):
        build_samples(small, calendar, "soybean", [2012], DATA, static_names=["clay_pct_9cm", "latitude_deg"])


AHEAD = DataSettings(
    weather_delay_months=0, weather_delay_days=5, weather_inputs="anomalies", yield_history=True
)


@pytest.fixture(scope="module")
def source(small, calendar):
    """Inputs of forecasts, with the climatology of 2010 to 2014."""
    return Source(small, calendar, "soybean", AHEAD, 2014)


def test_rows_to_forecast_know_what_was_public_and_no_yield(source, small):
    codes, date = small.weather["municipality"].values[[1, 4, 20]], dt.date(2015, 1, 20)
    names = source.build([2014])[0].static_names
    rows = source.to_forecast(2015, codes, date, names)
    assert rows.municipality.tolist() == codes.tolist()
    assert np.isnan(rows.target_kg_ha).all()
    assert (rows.harvest_year == 2015).all()
    assert rows.static_names == names
    for k, state in enumerate(rows.state):
        window = source.calendar.window("soybean", str(state), 2015)
        public = window <= np.datetime64("2014-12")  # ERA5T of December came out on the 6th
        np.testing.assert_array_equal(np.isfinite(rows.dynamic[k]), np.repeat(public[:, None], 4, axis=1))
    # Names in another order, as a run may hold them.
    turned = (*names[1 : -len(yield_history.NAMES)], names[0], *yield_history.NAMES)
    again = source.to_forecast(2015, codes, date, turned)
    np.testing.assert_array_equal(again.static[:, 0], rows.static[:, 1])


def test_anomalies_are_departures_from_the_climate_to_the_last_training_year(source, small):
    rows, _ = source.build([2016])
    assert rows.dynamic_names[0] == "anomaly_tmax_degC"
    k = 3
    series = small.weather.sel(municipality=int(rows.municipality[k]))
    window = source.calendar.window("soybean", str(rows.state[k]), 2016)
    base = series.sel(time=slice("2010-01", "2014-12"))
    for position, name in ((0, "tmax_degC"), (2, "precipitation_mm")):
        for step, month in enumerate(window):
            normal = base[name].values[base["time"].dt.month.values == int(str(month)[5:])].mean()
            own = float(series[name].sel(time=month.astype("datetime64[ns]")))
            assert rows.dynamic[k, step, position] == pytest.approx(own - normal, abs=2e-3)
    # Degree days are accumulated, and so is their climatology: the anomaly is the difference of the sums.
    values = replace(source, settings=AHEAD.model_copy(update={"weather_inputs": "values"}))
    table, name = source.weather
    days = table[name].sel(municipality=int(rows.municipality[k])).sel(time=slice("2010-01", "2014-12"))
    usual = [days.values[days["time"].dt.month.values == int(str(m)[5:])].mean() for m in window]
    expected = values.build([2016])[0].dynamic[k, :, 3] - np.cumsum(usual)
    np.testing.assert_allclose(rows.dynamic[k, :, 3], expected, atol=0.05)


def test_history_columns_follow_the_date_and_can_be_replaced(source, small):
    rows, _ = source.build([2016])
    plain = replace(source, settings=AHEAD.model_copy(update={"yield_history": False})).build([2016])[0]
    assert rows.static_names == (*plain.static_names, *yield_history.NAMES)
    np.testing.assert_array_equal(rows.static[:, : plain.static.shape[1]], plain.static)
    last = rows.static_names.index("last_public_kg_ha")
    table = small.yields["yield_kg_ha"].sel(crop="soybean")

    def newest(some, year):
        own = table.sel(harvest_year=year).sel(municipality=some.municipality).values
        has = np.isfinite(own)
        np.testing.assert_array_equal(some.static[has, last], own[has])
        return has.any()

    assert newest(rows, 2014)  # at the end of the window, in the first half of 2016: PAM to 2014
    early, _ = source.build([2016], dt.date(2015, 9, 30))
    assert newest(early, 2013)
    replaced = source.with_history(rows, 4)
    assert newest(replaced, 2012)
    assert replaced.static_names == rows.static_names
    np.testing.assert_array_equal(source.with_history(replaced, 2).static, rows.static)
