import datetime as dt

import numpy as np
import pytest

from calendars import CalendarError
from yieldcast import samples
from yieldcast.config import DataSettings
from yieldcast.errors import MissingDataError
from yieldcast.store import Tables

DATA = DataSettings()


def test_rows_are_the_positive_yields_with_their_own_inputs(small, calendar):
    rows, _ = samples.build(small, calendar, "soybean", [2012, 2013], DATA)
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
    rows, _ = samples.build(small, calendar, "soybean", [2012], DATA)
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
    rows, _ = samples.build(small, calendar, "soybean", [2012], DATA)
    assert rows.static.shape[1] == len(rows.static_names) == 65
    assert rows.static_names[-2:] == ("latitude_deg", "longitude_deg")


def test_a_place_without_soil_keeps_its_rows(small, calendar):
    static = small.static.copy(deep=True)
    code = int(static["municipality"][0])
    for name in static:
        if "soil_layer" in static[name].dims:
            static[name].loc[{"municipality": code}] = np.nan
    rows, _ = samples.build(Tables(static, *small[1:]), calendar, "soybean", [2012, 2013], DATA)
    own = rows.take(rows.municipality == code)
    assert len(own) > 0
    assert np.isnan(own.static[:, :-2]).all()
    assert np.isfinite(own.static[:, -2:]).all()


def test_no_soil_at_all_leaves_latitude_and_longitude(small, calendar):
    static = small.static.drop_vars([v for v in small.static if "soil_layer" in small.static[v].dims])
    rows, _ = samples.build(Tables(static, *small[1:]), calendar, "soybean", [2012], DATA)
    assert rows.static_names == ("latitude_deg", "longitude_deg")


def test_rows_without_their_weather_are_counted(small, calendar):
    weather = small.weather.copy(deep=True)
    code = int(small.static["municipality"][0])
    weather["precipitation_mm"].loc[{"municipality": code}] = np.nan
    rows, dropped = samples.build(
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
    rows, _ = samples.build(small, calendar, "soybean", [2013], DATA, as_of=date)
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
        ("soybean", [], "none asked"),
    ],
)
def test_missing_crops_and_years_are_missing_data(small, calendar, crop, years, text):
    with pytest.raises(MissingDataError, match=text) as caught:
        samples.build(small, calendar, crop, years, DATA)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_weather_that_is_nan_everywhere_is_missing_data(small, calendar):
    weather = small.weather.copy(deep=True)
    weather["tmax_degC"][:] = np.nan
    with pytest.raises(MissingDataError, match="has weather in every month"):
        samples.build(Tables(small.static, weather, small.yields), calendar, "soybean", [2012], DATA)


def test_a_year_that_would_leave_no_row_is_named(small, calendar):
    # Weather from 2012 on: no window of 2011 is whole, though 2013 has rows.
    weather = small.weather.sel(time=slice("2012-01", None))
    with pytest.raises(MissingDataError, match="harvest year 2011: no row"):
        samples.build(Tables(small.static, weather, small.yields), calendar, "soybean", [2011, 2013], DATA)


def test_a_crop_or_state_that_the_calendar_lacks_is_a_settings_error(small, calendar):
    renamed = small.yields.assign_coords(crop=["quinoa"])
    with pytest.raises(CalendarError) as caught:
        samples.build(
            Tables(small.static, small.weather, renamed), calendar, "quinoa", [2012],
            DataSettings(degree_days={"quinoa": (4, 30)}),
        )  # fmt: skip
    assert caught.value.exit_code == 2


def test_static_features_of_a_run_must_be_there(small, calendar):
    with pytest.raises(MissingDataError, match="clay_pct_9cm"):
        samples.build(small, calendar, "soybean", [2012], DATA, static_names=["clay_pct_9cm", "latitude_deg"])


def test_the_fingerprint_sees_every_change(small, calendar):
    rows, _ = samples.build(small, calendar, "soybean", [2012], DATA)
    again, _ = samples.build(small, calendar, "soybean", [2012], DATA)
    assert rows.fingerprint() == again.fingerprint()
    again.dynamic[3, 2, 1] += 0.5
    assert rows.fingerprint() != again.fingerprint()
    assert rows.fingerprint() != rows.take(np.arange(len(rows) - 1)).fingerprint()
