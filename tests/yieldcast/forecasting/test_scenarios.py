"""Weather scenarios: which years serve, what every scenario has in common, and what none may know."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from factories import constant_seasonal, synthetic_seasonal

from yieldcast.config import DataSettings
from yieldcast.data.schema import check_seasonal
from yieldcast.data.store import Tables
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.features.source import Source
from yieldcast.forecasting import scenarios
from yieldcast.forecasting.scenarios import build_scenarios
from yieldcast.forecasting.seasonal_scenarios import seasonal_weather

ERA5T = DataSettings(weather_delay_months=0, weather_delay_days=5)
TMAX, TMIN, RAIN = range(3)
JANUARY = dt.date(2015, 1, 20)  # December 2014, out on 6 January, is the newest month


@pytest.fixture(scope="module")
def source(forecast_store, calendar):
    """Yields of 2005 to 2016, weather of 2004 to 2016, as values."""
    return Source(forecast_store.tables, calendar, "soybean", ERA5T, 2013)


def changed(source, **weather):
    """The source with other weather: name -> function of the table's array, which it may write to."""
    table = source.tables.weather.copy(deep=True)
    for name, change in weather.items():
        change(table[name])
    return replace(source, tables=Tables(source.tables.static, table, source.tables.yields))


def ahead(source, as_of, year=2015, codes=None):
    codes = source.tables.weather["municipality"].values if codes is None else codes
    return source.to_forecast(year, codes, as_of, source.build([2013])[0].static_names)


def raw(source, row, year, variable):
    """(step,) what the table says of the window of a row's place in a harvest year, NaN outside the table."""
    code, state = row
    series = source.tables.weather[variable].sel(municipality=code)
    months = source.calendar.window("soybean", state, year).astype("datetime64[ns]")
    return series.reindex(time=months).values


def places(rows):
    return list(zip(rows.municipality.tolist(), rows.state.tolist(), strict=True))


def test_a_scenario_is_the_season_so_far_and_then_a_past_year(source):
    rows = ahead(source, JANUARY)
    made, usable = build_scenarios(source, rows, JANUARY)
    assert usable.all()
    # 2004 has no months of 2003, but these were seen of 2015: January to May of 2004 are all that is needed.
    assert made.years == tuple(range(2004, 2015))
    assert made.labels == tuple(map(str, made.years))
    assert made.weather.shape == (11, len(rows), 9, 4)
    for k, row in enumerate(places(rows)):
        months = source.calendar.window("soybean", row[1], 2015)
        seen = months <= np.datetime64("2014-12")
        np.testing.assert_array_equal(made.observed[k], seen)
        for position, name in ((TMAX, "tmax_degC"), (RAIN, "precipitation_mm")):
            own = raw(source, row, 2015, name)
            for scenario, year in enumerate(made.years):
                expected = np.where(seen, own, raw(source, row, year, name))
                np.testing.assert_array_equal(made.weather[scenario, k, :, position], expected)


def test_degree_days_are_summed_over_what_was_seen_and_what_is_filled(source):
    rows = ahead(source, JANUARY)
    made, _ = build_scenarios(source, rows, JANUARY)
    weather, name = source.weather
    for k, (code, state) in enumerate(places(rows)[:3]):
        days = weather[name].sel(municipality=code)

        def of(year, days=days, state=state):
            return days.reindex(time=source.calendar.window("soybean", state, year).astype("datetime64[ns]"))

        mixed = np.where(made.observed[k], of(2015).values, of(2010).values)
        found = made.weather[made.years.index(2010), k, :, 3]
        np.testing.assert_allclose(found, np.cumsum(mixed), rtol=1e-6)


def test_only_years_whose_missing_months_were_public_serve(source):
    # As of 10 March 2014 nothing of the season of 2015 is seen, so all its months are needed. 2004 lacks
    # those of 2003; of 2014 March and later were not public (February came out on 6 March).
    date = dt.date(2014, 3, 10)
    made, usable = build_scenarios(source, ahead(source, date), date)
    assert made.years == tuple(range(2005, 2014))
    assert not made.observed.any()
    assert usable.all()
    # In July 2014 all windows of 2014 had ended, in June or before; of 2015 still nothing is seen.
    date = dt.date(2014, 7, 10)
    assert build_scenarios(source, ahead(source, date), date)[0].years == tuple(range(2005, 2015))


def test_anomalies_are_taken_off_after_mixing(source):
    settings = ERA5T.model_copy(update={"weather_inputs": "anomalies"})
    of_anomalies = replace(source, settings=settings)
    values = build_scenarios(source, ahead(source, JANUARY), JANUARY)[0]
    found = build_scenarios(of_anomalies, ahead(of_anomalies, JANUARY), JANUARY)[0]
    normal = values.weather - found.weather
    np.testing.assert_allclose(normal, np.broadcast_to(normal[:1], normal.shape), atol=2e-3)
    weather, name = source.weather
    known = weather.sel(time=slice(None, "2013-12-31"))  # the climate of the training years
    rows = ahead(source, JANUARY)
    code, state = places(rows)[5]
    months = [int(str(m)[5:]) for m in source.calendar.window("soybean", state, 2015)]
    for position, variable in ((TMIN, "tmin_degC"), (3, name)):
        series = known[variable].sel(municipality=code)
        usual = [series.values[series["time"].dt.month.values == month].mean() for month in months]
        expected = np.cumsum(usual) if position == 3 else usual
        np.testing.assert_allclose(normal[0, 5, :, position], expected, rtol=1e-4, atol=2e-3)
    # As rows to forecast hold them too, where the month was seen.
    seen = found.observed[5]
    own = ahead(of_anomalies, JANUARY).dynamic[5, seen]
    np.testing.assert_allclose(found.weather[0, 5, seen], own, atol=2e-3)


def gap(source, places, *months):
    """The source without the minimum temperature of some months in some places, by position."""

    def change(array):
        for month in months:
            array.loc[{"municipality": array["municipality"].values[places], "time": f"{month}-01"}] = np.nan

    return changed(source, tmin_degC=change)


def test_a_place_that_lacks_a_year_takes_its_newest_in_its_place(source):
    one = gap(source, [3], "2010-03", "2007-03")  # 1 of 24: 4 %
    made, usable = build_scenarios(one, ahead(one, JANUARY), JANUARY)
    whole = build_scenarios(source, ahead(source, JANUARY), JANUARY)[0]
    assert usable.all()
    assert made.years == whole.years
    others = np.arange(24) != 3
    np.testing.assert_array_equal(made.weather[:, others], whole.weather[:, others])
    taken = {2007: 2014, 2010: 2013}
    for scenario, year in enumerate(made.years):
        expected = whole.weather[made.years.index(taken.get(year, year)), 3]
        np.testing.assert_array_equal(made.weather[scenario, 3], expected)


def test_a_year_that_many_places_lack_is_left_out(source):
    two = gap(source, [3, 7], "2010-03")  # 2 of 24: 8 %
    made, usable = build_scenarios(two, ahead(two, JANUARY), JANUARY)
    assert made.years == tuple(year for year in range(2004, 2015) if year != 2010)
    assert usable.all()


def test_a_place_without_half_of_the_years_has_no_scenarios(source):
    # Of the eleven years 2004 to 2014 six are enough, five are not.
    for years, enough in ((range(2004, 2009), True), (range(2004, 2010), False)):
        few = gap(source, [3], *(f"{year}-03" for year in years))
        made, usable = build_scenarios(few, ahead(few, JANUARY), JANUARY)
        assert usable.tolist() == [k != 3 or enough for k in range(24)]
        assert made.weather.shape[1] == made.observed.shape[0] == len(made.rain_so_far_pct) == 23 + enough


def test_a_gap_of_this_season_is_filled_as_a_month_to_come(source):
    own = gap(source, [3], "2014-12")
    made, usable = build_scenarios(own, ahead(own, JANUARY), JANUARY)
    whole = build_scenarios(source, ahead(source, JANUARY), JANUARY)[0]
    assert usable.all()
    assert made.observed[3].sum() == whole.observed[3].sum() - 1
    assert np.isfinite(made.weather).all()


def test_before_sowing_no_state_falls_out_whose_last_season_is_still_on(source):
    # In July 2014 the season of 2014 had ended in most states; Para's ends in September. Its places take
    # another year instead: they must not be missing from the forecast.
    date = dt.date(2014, 7, 10)
    rows = ahead(source, date)
    assert "PA" in rows.state
    made, usable = build_scenarios(source, rows, date)
    assert usable.all()
    assert made.years[-1] == 2014
    k = rows.state.tolist().index("PA")
    np.testing.assert_array_equal(made.weather[-1, k], made.weather[-2, k])


def test_rain_and_warmth_so_far_by_hand(source):
    # Every month of every year: 100 mm and 30 degC, but from July 2014 on 80 mm and 31.5 degC: 80 % of the
    # usual rain, and 1.5 degrees too warm, however many months were seen.
    def level(before, after):
        def change(array):
            late = array["time"].values >= np.datetime64("2014-07-01")
            array.values[:] = np.where(late[None], after, before)

        return change

    flat = changed(source, precipitation_mm=level(100, 80), tmax_degC=level(30, 31.5))
    made, _ = build_scenarios(flat, ahead(flat, JANUARY), JANUARY)
    some = made.observed.any(axis=1)
    np.testing.assert_allclose(made.rain_so_far_pct[some], 80, rtol=1e-5)
    np.testing.assert_allclose(made.tmax_so_far_anomaly_degC[some], 1.5, rtol=1e-5)
    # Where nothing was seen there is nothing to say: Para sows in January.
    assert np.isnan(made.rain_so_far_pct[~some]).all()
    assert np.isnan(made.tmax_so_far_anomaly_degC[~some]).all()
    assert 0 < some.mean() < 1
    none, _ = build_scenarios(flat, ahead(flat, dt.date(2014, 3, 10)), dt.date(2014, 3, 10))
    assert np.isnan(none.rain_so_far_pct).all()
    dry = changed(source, precipitation_mm=level(0, 80))
    made, _ = build_scenarios(dry, ahead(dry, JANUARY), JANUARY)
    assert np.isnan(made.rain_so_far_pct).all()  # no usual rain to take a share of


def test_the_analogue_is_the_year_that_began_alike(source):
    # In MT the season of 2008 is made to begin as that of 2015, so its other months are the first scenario.
    rows = ahead(source, JANUARY)
    in_mt = rows.state == "MT"
    assert 0 < in_mt.sum() < len(rows)

    def alike(array):
        for code, state in places(rows.take(in_mt)):
            months = source.calendar.window("soybean", state, 2015)
            seen = months[months <= np.datetime64("2014-12")].astype("datetime64[ns]")
            then = (seen.astype("datetime64[M]") - 84).astype("datetime64[ns]")
            own = array.sel(municipality=code, time=seen).values
            array.loc[{"municipality": code, "time": then}] = own

    same = changed(source, tmax_degC=alike, tmin_degC=alike, precipitation_mm=alike)
    made, usable = build_scenarios(same, ahead(same, JANUARY), JANUARY, "analogue")
    assert usable.all()
    assert made.labels == tuple(f"analogue {i}" for i in range(1, 6))
    assert made.weather.shape[0] == scenarios.ANALOGUES
    for k in np.flatnonzero(in_mt):
        row = places(rows)[k]
        later = ~made.observed[k]
        np.testing.assert_array_equal(
            made.weather[0, k, later, RAIN], raw(same, row, 2008, "precipitation_mm")[later]
        )
    np.testing.assert_array_equal(made.weather[0, made.observed, RAIN], made.weather[4, made.observed, RAIN])
    # Within a state every place has the same year: a scenario stays a map of weather that was.
    for state in np.unique(rows.state):
        mine = np.flatnonzero(rows.state == state)
        for scenario in range(5):
            found = {_year_of(same, made, scenario, k, places(rows)[k]) for k in mine}
            assert len(found) == 1


def _year_of(source, made, scenario, k, row):
    """The past year that a scenario's last month is of."""
    last = made.weather[scenario, k, -1, RAIN]
    return next(year for year in made.years if raw(source, row, year, "precipitation_mm")[-1] == last)


def test_alike_counts_in_standard_deviations_and_a_month_that_a_year_lacks_as_unlike():
    # One place, one month seen, two variables: A with values 0, 0, 100, 200 (deviation 82.9), B with
    # 0, 8, 0, 0 (deviation 3.46). This season: A 90, B 0. Squared distances in deviations:
    #   year 0: (90 / 82.9)^2             = 1.18
    #   year 1: 1.18 + (8 / 3.46)^2       = 6.51     (in plain numbers it would be as near as year 0)
    #   year 2: (10 / 82.9)^2             = 0.01
    #   year 3: (110 / 82.9)^2            = 1.76
    # A year that lacks the month counts 4 for each variable, 8 in all, and leaves the deviations as they are.
    a, b = [0, 0, 100, 200, np.nan], [0, 8, 0, 0, np.nan]
    fills = np.stack([a, b], axis=-1).reshape(5, 1, 1, 2).astype(np.float32)
    own = np.array([90, 0], np.float32).reshape(1, 1, 2)
    found = scenarios._analogues(own, fills, np.ones((1, 1), bool), np.array(["MT"]))
    np.testing.assert_array_equal(found[:, 0, 0, 0], [100, 0, 200, 0, np.nan])
    np.testing.assert_array_equal(found[:, 0, 0, 1], [0, 0, 0, 8, np.nan])


def test_before_the_season_an_analogue_knows_no_more_than_the_past_years(source):
    date = dt.date(2014, 7, 10)
    one, two = (build_scenarios(source, ahead(source, date), date, m)[0] for m in ("analogue", "climatology"))
    np.testing.assert_array_equal(one.weather, two.weather)


def seasonal_table(source, starts=("2014-12", "2015-01"), published_days=6):
    """Three months' forecasts by two members for all places: from the start month on 1, 2, 3 degC warmer and
    half as wet for the first member, the same less 10 degC for the second."""
    codes = source.tables.weather["municipality"].values
    made = constant_seasonal(synthetic_seasonal(starts, leads=3, members=2), ratio=0.5)
    cells = xr.DataArray(np.zeros((1, len(codes)), np.int32), dims=("system", "municipality"))
    made = made.drop_vars(["municipality_cell", "municipality"]).assign_coords(municipality=codes)
    made["municipality_cell"] = cells
    warm = np.array([1, 2, 3])[None, :, None, None] - np.array([0, 10])[None, None, :, None]
    for name in ("tmax_anomaly_degC", "tmin_anomaly_degC"):
        made[name] = made[name].copy(data=np.broadcast_to(warm, made[name].shape).astype(np.float32))
    made["published"] = made["published"] + np.timedelta64(published_days - 6, "D")
    return check_seasonal(made)


def test_a_seasonal_forecast_serves_in_its_reach_and_past_years_after(source):
    # As of 20 January 2015 the start of January, out on the 7th, is the newest: January to March 2015. The
    # second member takes its later months from the second of the past years.
    rows = ahead(source, JANUARY)
    table = seasonal_table(source)
    made, usable = build_scenarios(source, rows, JANUARY, "seasonal", table)
    assert usable.all()
    assert made.labels == ("member 0", "member 1")
    # The mean that anomalies are put on: fewer than ten years of the hindcast's 1993 to 2016 would not do,
    # but 2004 to 2014 are eleven.
    known = source.tables.weather.sel(time=slice(None, "2014-12-31"))
    for k, (code, state) in enumerate(places(rows)):
        months = source.calendar.window("soybean", state, 2015)
        for step, month in enumerate(months):
            lead = int((month - np.datetime64("2015-01")).astype(int)) + 1
            series = known.sel(municipality=code)
            same = series["time"].dt.month.values == int(str(month)[5:])
            for member, past in ((0, 2004), (1, 2005)):
                tmax, rain = made.weather[member, k, step, [TMAX, RAIN]]
                if lead < 1:  # seen
                    expected = [raw(source, (code, state), 2015, name)[step]
                                for name in ("tmax_degC", "precipitation_mm")]  # fmt: skip
                elif lead <= 3:
                    expected = [series["tmax_degC"].values[same].mean() + lead - 10 * member,
                                series["precipitation_mm"].values[same].mean() / 2]  # fmt: skip
                else:
                    expected = [raw(source, (code, state), past, name)[step]
                                for name in ("tmax_degC", "precipitation_mm")]  # fmt: skip
                np.testing.assert_allclose([tmax, rain], expected, rtol=1e-5)
    # Degree days of the reached months are those of the forecast's own temperatures.
    members = seasonal_weather(table, source.weather[0], JANUARY, ERA5T.publication())
    k = int(np.flatnonzero(rows.state == "MT")[0])
    steps = np.diff(made.weather[1, k, :, 3], prepend=0.0)
    reached = members[source.weather[1]].sel(scenario=1, municipality=int(rows.municipality[k])).values
    np.testing.assert_allclose(steps[4:7], reached, rtol=1e-4)  # MT's window is September to May


def test_a_seasonal_forecast_that_was_not_out_is_not_used(source):
    # Out on the 25th, the January start is not there on the 20th: the one of December is, which still
    # reaches February.
    rows, late = ahead(source, JANUARY), seasonal_table(source, published_days=25)
    one = build_scenarios(source, rows, JANUARY, "seasonal", late)[0]
    other = late.copy(deep=True)
    other["tmax_anomaly_degC"].loc[{"forecast_reference_time": "2015-01-01"}] = 20
    two = build_scenarios(source, rows, JANUARY, "seasonal", other)[0]
    np.testing.assert_array_equal(one.weather, two.weather)
    other["tmax_anomaly_degC"].loc[{"forecast_reference_time": "2014-12-01"}] = 20
    assert (build_scenarios(source, rows, JANUARY, "seasonal", other)[0].weather != one.weather).any()


def test_a_hindcast_uses_every_other_public_year_and_of_its_own_what_was_seen(source):
    rows, _ = source.build([2012])
    date, seen = dt.date(2014, 10, 10), dt.date(2011, 12, 20)  # all seasons of 2014 are over
    made, usable = build_scenarios(source, rows, date, season_as_of=seen)
    assert usable.all()
    assert made.years == (*range(2005, 2012), 2013, 2014)
    for k, row in enumerate(places(rows)):
        months = source.calendar.window("soybean", row[1], 2012)
        np.testing.assert_array_equal(made.observed[k], months <= np.datetime64("2011-11"))
        own = raw(source, row, 2012, "tmax_degC")
        later = raw(source, row, 2014, "tmax_degC")
        expected = np.where(made.observed[k], own, later)
        np.testing.assert_array_equal(made.weather[-1, k, :, TMAX], expected)

    # What came of the season after `seen` is in no scenario, though it was public on the date.
    def after(array):
        late = (array["time"].values >= np.datetime64("2011-12-01")) & (
            array["time"].values < np.datetime64("2012-08-01")
        )
        array.values[:, late] += 7

    other = changed(source, tmax_degC=after, precipitation_mm=after)
    again, _ = build_scenarios(other, rows, date, season_as_of=seen)
    np.testing.assert_array_equal(again.weather, made.weather)
    best, _ = build_scenarios(source, rows, date, "analogue", season_as_of=seen)
    again, _ = build_scenarios(other, rows, date, "analogue", season_as_of=seen)
    np.testing.assert_array_equal(again.weather, best.weather)
    assert best.weather.shape[0] == scenarios.ANALOGUES


@pytest.mark.parametrize("seen", [None, dt.date(2012, 1, 20)])
def test_law_no_month_published_after_as_of_is_in_any_scenario(source, seen):
    rows = source.build([2012])[0] if seen else ahead(source, JANUARY)
    rng = np.random.default_rng(1)

    def noise(array):
        late = array["time"].values > np.datetime64("2014-12-01")
        values = rng.uniform(0, 40, (array.shape[0], int(late.sum())))
        array.values[:, late] = np.where(rng.random(values.shape) < 0.1, np.nan, values)

    other = changed(source, tmax_degC=noise, tmin_degC=noise, precipitation_mm=noise)
    for method in ("climatology", "analogue"):
        one, two = (build_scenarios(s, rows, JANUARY, method, season_as_of=seen)[0] for s in (source, other))
        assert one.years == two.years
        for name in ("weather", "observed", "rain_so_far_pct", "tmax_so_far_anomaly_degC"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    if not seen:
        table = seasonal_table(source)
        one, two = (build_scenarios(s, rows, JANUARY, "seasonal", table)[0] for s in (source, other))
        np.testing.assert_array_equal(one.weather, two.weather)


def test_what_cannot_be_made_says_why(source):
    rows = ahead(source, JANUARY)
    with pytest.raises(ConfigError, match="unknown scenarios 'ensemble'") as caught:
        build_scenarios(source, rows, JANUARY, "ensemble")
    assert "climatology, analogue, seasonal" in caught.value.hint
    with pytest.raises(MissingDataError, match="no seasonal forecasts") as caught:
        build_scenarios(source, rows, JANUARY, "seasonal")
    assert "yieldcast fetch seasonal" in caught.value.hint
    tables = source.tables
    short = replace(
        source, tables=Tables(tables.static, tables.weather.sel(time=slice("2014-06", None)), tables.yields)
    )
    with pytest.raises(MissingDataError, match="no past year has weather for the months of soybean 2015"):
        build_scenarios(short, rows, JANUARY)


def test_hindcasts_take_years_spread_over_a_long_record():
    # 30 years, 4 wanted: positions 0, 29/3 = 9.67, 19.33, 29, rounded
    assert scenarios._evenly_spaced(list(range(1990, 2020)), 4) == [1990, 2000, 2009, 2019]
    assert scenarios._evenly_spaced([2011, 2013], 4) == [2011, 2013]
