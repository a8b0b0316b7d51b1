"""Dates of a forecast: leaks that are refused by name, years to train on, leads and windows by hand."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import calendars
from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.features import season_dates
from yieldcast.forecasting import leakage
from yieldcast.training.run_directory import Origin

ERA5T = DataSettings(weather_delay_months=0, weather_delay_days=5)
HISTORY = ERA5T.model_copy(update={"weather_inputs": "anomalies", "yield_history": True})


def with_data(run, **changes):
    """The run with other settings of its data."""
    data = run.settings.data.model_copy(update=changes)
    return replace(run, settings=run.settings.model_copy(update={"data": data}))


def test_a_run_that_knows_the_season_is_refused(forecast_run):
    # Trained on 2011 to 2013.
    with pytest.raises(LeakageError, match=r"harvest years 2012, 2013, which are not before 2012") as caught:
        leakage.check_leaks(forecast_run, 2012, dt.date(2020, 1, 1))
    assert caught.value.exit_code == 5
    assert "before 2012" in caught.value.hint
    leakage.check_leaks(forecast_run, 2014, dt.date(2020, 1, 1))


def test_a_run_trained_on_yields_that_were_not_out_is_refused(forecast_run):
    # PAM of 2013 came out on 1 October 2014, of 2012 on 1 October 2013.
    leakage.check_leaks(forecast_run, 2015, dt.date(2014, 10, 10))
    with pytest.raises(LeakageError, match=r"harvest years 2013 \(public: 2013 on 2014-10-10\)") as caught:
        leakage.check_leaks(forecast_run, 2015, dt.date(2014, 9, 30))
    assert "up to 2012" in caught.value.hint
    with pytest.raises(LeakageError, match=r"2012 on 2013-10-10, 2013 on 2014-10-10"):
        leakage.check_leaks(forecast_run, 2015, dt.date(2013, 9, 30))


def test_a_run_trained_on_weather_that_was_not_out_is_refused(forecast_run):
    # Yields out at once, weather nine months late. The last soybean window, RR's, ends in December 2013: out
    # on 1 October 2014.
    slow = with_data(
        forecast_run, weather_inputs="values", yields_delay_months=0, yield_releases="rule",
        weather_delay_months=9, weather_delay_days=0,
    )  # fmt: skip
    with pytest.raises(LeakageError, match=r"weather up to 2013-12, public on 2014-10-01, after 2014-09-30"):
        leakage.check_leaks(slow, 2014, dt.date(2014, 9, 30))
    leakage.check_leaks(slow, 2014, dt.date(2014, 10, 1))


@pytest.fixture
def from_mato_grosso(forecast_run, tmp_path):
    """A run whose calendar ends in May: the only row is MT's."""
    calendar = calendars.brazil()
    only = calendars.Calendar({("soybean", "MT"): calendar.row("soybean", "MT")}, {})
    (tmp_path / "calendar.csv").write_text(only.csv())
    (tmp_path / "regions.json").write_text("{}")
    data = {**forecast_run.identity.data, "calendar": only.fingerprint()}
    return replace(forecast_run, path=tmp_path, identity=replace(forecast_run.identity, data=data))


def test_a_climate_reaches_to_december_of_the_last_training_year(from_mato_grosso):
    # The last window ends in May 2013; the climate of anomalies takes the months to December, out on
    # 6 January 2014. Yields of 2013 are out on the first.
    run = with_data(from_mato_grosso, yields_delay_months=0, yield_releases="rule")
    with pytest.raises(LeakageError, match=r"weather up to 2013-12, public on 2014-01-06"):
        leakage.check_leaks(run, 2014, dt.date(2014, 1, 5))
    leakage.check_leaks(run, 2014, dt.date(2014, 1, 6))
    leakage.check_leaks(with_data(run, weather_inputs="values"), 2014, dt.date(2014, 1, 5))


@pytest.mark.parametrize(
    ("as_of", "settings", "years"),
    [
        # Yields of 2005 on: a history of three years' lag reaches 2005 from 2008 on. Newest: see above.
        (dt.date(2014, 10, 10), HISTORY, range(2008, 2014)),
        (dt.date(2014, 9, 30), HISTORY, range(2008, 2013)),
        (dt.date(2010, 10, 1), HISTORY, (2008, 2009)),
        # Without a history every year counts whose window the weather, of 2004 on, covers.
        (dt.date(2014, 10, 10), ERA5T, range(2005, 2014)),
        (dt.date(2030, 1, 1), ERA5T, range(2005, 2017)),
    ],
)
def test_years_to_train_on(forecast_store, as_of, settings, years):
    assert leakage.trainable_years(forecast_store.tables, "soybean", as_of, settings) == tuple(years)


def test_a_year_to_train_on_is_never_refused_later(from_mato_grosso, forecast_store):
    # Where yields come out at once, weather decides, the climate's December among it: on 5 January 2014 the
    # year 2013 must wait.
    settings = HISTORY.model_copy(update={"yields_delay_months": 0})
    for day, last in ((5, 2012), (6, 2013)):
        date = dt.date(2014, 1, day)
        years = leakage.trainable_years(forecast_store.tables, "soybean", date, settings)
        assert years[-1] == last
        run = with_data(from_mato_grosso, yields_delay_months=0, yield_releases="rule")
        run = replace(run, identity=replace(run.identity, train_years=years))
        leakage.check_leaks(run, years[-1] + 1, date)


def test_years_without_weather_are_not_trained_on(forecast_store):
    tables, date = forecast_store.tables, dt.date(2014, 10, 10)
    # From July 2008 on: the windows of 2009 begin in September 2008 or later.
    short = Tables(tables.static, tables.weather.sel(time=slice("2008-07", None)), tables.yields)
    assert leakage.trainable_years(short, "soybean", date, ERA5T) == tuple(range(2009, 2014))
    # A month that most of the places of a year lack takes the year away, one that few lack does not.
    for share, lost in ((0.3, False), (0.7, True)):
        weather = tables.weather.copy(deep=True)
        few = weather["municipality"].values[: round(share * weather.sizes["municipality"])]
        weather["tmax_degC"].loc[{"municipality": few, "time": "2011-03-01"}] = np.nan
        holes = Tables(tables.static, weather, tables.yields)
        assert (2011 not in leakage.trainable_years(holes, "soybean", date, ERA5T)) == lost


def test_one_year_is_not_enough_to_train_on(forecast_store):
    with pytest.raises(
        MissingDataError, match=r"expected two harvest years or more .* received 2008"
    ) as caught:
        leakage.trainable_years(forecast_store.tables, "soybean", dt.date(2009, 10, 1), HISTORY)
    assert "earlier years" in caught.value.hint
    with pytest.raises(MissingDataError, match="received none"):
        leakage.trainable_years(forecast_store.tables, "soybean", dt.date(2004, 10, 1), HISTORY)
    with pytest.raises(MissingDataError, match=r"no yields of 'cotton'; it has: soybean"):
        leakage.trainable_years(forecast_store.tables, "cotton", dt.date(2014, 10, 1), HISTORY)


def country(states, areas, years=(2012, 2013)):
    """Places of some states with the areas (place, year) of their soybean."""
    codes = np.arange(1, len(states) + 1, dtype=np.int32)
    yields = xr.Dataset(
        {"yield_kg_ha": (("crop", "municipality", "harvest_year"), np.full((1, len(states), 2), 3000.0))},
        coords={"crop": ["soybean"], "municipality": codes, "harvest_year": np.array(years, np.int16)},
    )
    if areas is not None:
        yields["area_harvested_ha"] = yields["yield_kg_ha"].dims, np.array(areas, dtype=float)[None]
    static = xr.Dataset({"state": ("municipality", np.array(states))}, coords={"municipality": codes})
    return Tables(static, xr.Dataset(), yields)


@pytest.mark.parametrize(
    ("as_of", "months"),
    [((2014, 6, 1), 11), ((2014, 10, 31), 7), ((2015, 5, 1), 0), ((2015, 5, 31), 0), ((2015, 7, 1), -2)],
)
def test_the_lead_of_soybean_in_mato_grosso(calendar, as_of, months):
    # Its window of 2015 is September 2014 to May 2015.
    tables = country(["MT", "MT"], [[5, 5], [5, 5]])
    assert season_dates.lead_months(calendar, "soybean", tables, 2015, dt.date(*as_of), 2013) == months


@pytest.mark.parametrize(
    ("areas", "end"),
    [
        # MT's window ends in May, GO's in June, PA's in September. Half of the area decides.
        ([[1, 60], [1, 30], [1, 30]], "2015-05"),
        ([[1, 59], [1, 31], [1, 30]], "2015-06"),
        ([[90, 10], [1, 30], [1, 41]], "2015-09"),  # of the newest year, not of an earlier one
        ([[90, np.nan], [1, 30], [1, 30]], "2015-06"),
        (None, "2015-06"),  # no area known: half of the places
        ([[9, np.nan], [1, np.nan], [1, np.nan]], "2015-06"),
    ],
)
def test_the_main_window_ends_where_half_of_the_area_has_ended(calendar, areas, end):
    tables = country(["MT", "GO", "PA"], areas)
    first, last = season_dates.main_window(calendar, "soybean", tables, 2015, 2013)
    assert str(last) == end
    assert last - first == np.timedelta64(8, "M")


def test_a_place_that_did_not_grow_the_crop_and_later_areas_do_not_count(calendar):
    tables = country(["MT", "GO"], [[10, 90], [20, 10]])
    assert str(season_dates.main_window(calendar, "soybean", tables, 2015, 2012)[1]) == "2015-06"
    tables.yields["yield_kg_ha"].values[0, 0, 1] = np.nan
    assert str(season_dates.main_window(calendar, "soybean", tables, 2015, 2013)[1]) == "2015-06"
    tables.yields["yield_kg_ha"].values[0, 0, 1] = 3000
    assert str(season_dates.main_window(calendar, "soybean", tables, 2015, 2013)[1]) == "2015-05"
    with pytest.raises(MissingDataError, match="expected soybean yields of harvest year 2011"):
        season_dates.main_window(calendar, "soybean", tables, 2015, 2011)


def test_the_calendar_is_brazils_or_the_users_with_the_users_months(tmp_path):
    assert season_dates.calendar_for(DataSettings()) is calendars.brazil()
    assert season_dates.calendar_for(DataSettings(months={"corn": 4})).steps("corn") == 4
    (tmp_path / "own.csv").write_text(
        "region,crop,planting_start,planting_end,harvest_start,harvest_end,months\n"
        "Pampa,soybean,15/10,31/12,20/03,31/05,8\n"
    )
    static = xr.Dataset(
        {"state": ("municipality", ["AR-B"]), "region": ("municipality", ["Pampa"])},
        coords={"municipality": np.array([1], np.int32)},
    )
    own = season_dates.calendar_for(DataSettings(calendar=tmp_path / "own.csv"), static)
    assert own.window("soybean", "AR-B", 2015).astype(str).tolist()[0] == "2014-10"


def test_leave_year_out_refuses_only_the_year_itself(forecast_run):
    # Trained on 2011 to 2013: for 2010 all of them are later years, which every other forecast refuses.
    leakage.check_left_out(forecast_run, 2010)
    with pytest.raises(LeakageError, match="which are not before 2010"):
        leakage.check_leaks(forecast_run, 2010, dt.date(2020, 1, 1))
    with pytest.raises(
        LeakageError, match="trained on harvest year 2012, which the leave-year-out"
    ) as caught:
        leakage.check_left_out(forecast_run, 2012)
    assert "without 2012" in caught.value.hint


def test_years_of_a_leave_year_out_training(forecast_store):
    # Yields of 2005 to 2016, weather of every season from 2005 on; histories reach three years back.
    years = leakage.other_years(forecast_store.tables, "soybean", 2012, HISTORY)
    assert years == (2008, 2009, 2010, 2011, 2013, 2014, 2015, 2016)
    assert leakage.other_years(forecast_store.tables, "soybean", 2020, HISTORY) == tuple(range(2008, 2017))
    short = forecast_store.tables._replace(
        yields=forecast_store.tables.yields.sel(harvest_year=slice(None, 2009))
    )
    with pytest.raises(MissingDataError, match="besides 2009, received 2008"):
        leakage.other_years(short, "soybean", 2009, HISTORY)


def test_the_years_of_the_run_that_it_was_started_from_count(forecast_run):
    # Itself trained on 2011 to 2013, public from 10 October 2014 on.
    def started(**changes):
        origin = Origin("0123456789ab", "corn", (2009, 2010), "2012-10-10", True)
        return replace(
            forecast_run, identity=replace(forecast_run.identity, origin=replace(origin, **changes))
        )

    day = dt.date(2015, 1, 1)
    leakage.check_leaks(started(), 2015, day)
    with pytest.raises(LeakageError, match=r"run 0123456789ab.* harvest years 2015, 2016") as caught:
        leakage.check_leaks(started(train_years=(2010, 2015, 2016)), 2015, day)
    assert caught.value.exit_code == 5
    with pytest.raises(LeakageError, match="public on 2015-01-02, after 2015-01-01"):
        leakage.check_leaks(started(public_from="2015-01-02"), 2015, day)
    older = Origin("ba9876543210", "corn", (2016,), "2012-10-10", True)
    with pytest.raises(LeakageError, match="2016"):
        leakage.check_leaks(started(origin=older), 2015, day)
    leakage.check_left_out(started(), 2015)
    with pytest.raises(LeakageError, match="2010"):
        leakage.check_left_out(started(), 2010)
