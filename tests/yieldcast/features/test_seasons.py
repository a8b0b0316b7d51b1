import datetime as dt
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError
from yieldcast.features import seasons
from yieldcast.features.source import Source, build_samples, known_at_window_end
from yieldcast.features.weather import accumulate, fill_with_climatology, with_degree_days
from yieldcast.models import baselines
from yieldcast.publication import Publication


def table(codes, first, months, value=None):
    """Weather whose tmax is 100 * place + months since the start: every cell is recognisable."""
    cells = 100 * np.arange(len(codes))[:, None] + np.arange(months)[None, :]
    values = np.asarray(cells if value is None else value, dtype=np.float32)
    time_axis = np.arange(np.datetime64(first, "M"), np.datetime64(first, "M") + months).astype(
        "datetime64[ns]"
    )
    return xr.Dataset(
        {"tmax_degC": (("municipality", "time"), values)},
        coords={"municipality": np.asarray(codes, dtype=np.int32), "time": time_axis},
    )


def places(codes, states):
    return xr.Dataset(
        {"state": ("municipality", np.asarray(states, dtype=object))},
        coords={"municipality": np.asarray(codes, dtype=np.int32)},
    )


def test_the_window_holds_its_own_months(calendar):
    # Table from 2009-01. Soybean in MT starts in September of Y-1: 2017-09 is month 8 * 12 + 8 = 104.
    # Sugarcane in SP starts in January of Y: 2018-01 is month 108, 12 steps to 119.
    weather = table([51, 35], "2009-01", 120)
    season = seasons.cut_seasons(
        weather, places([51, 35], ["MT", "SP"]), calendar, "soybean", [2018], as_of=None
    )
    assert season["weather"].dims == ("sample", "step", "variable")
    assert season["weather"].values[0, :, 0].tolist() == list(range(104, 113))
    assert str(season["window_end"].values[0])[:10] == "2018-05-31"
    cane = seasons.cut_seasons(
        weather, places([51, 35], ["MT", "SP"]), calendar, "sugarcane", [2018], as_of=None
    )
    assert cane["weather"].values[1, :, 0].tolist() == [100 + k for k in range(108, 120)]


def test_months_outside_the_table_are_unknown_not_wrapped(calendar):
    season = seasons.cut_seasons(
        table([51], "2018-01", 3), places([51], ["MT"]), calendar, "soybean", [2018], as_of=None
    )
    # September to December 2017 and April, May 2018 are not in the table.
    assert season["observed"].values[0, :, 0].tolist() == [False] * 4 + [True] * 3 + [False] * 2
    assert np.isnan(season["weather"].values[0, [0, 8], 0]).all()


def test_as_of_masks_what_was_not_published(calendar):
    # On 20 January 2018 ERA5T (out on the 6th) is known to December 2017: 4 of MT's 9 months;
    # final ERA5 (three months later) to September 2017: 1 month.
    weather, where = table([51], "2009-01", 120), places([51], ["MT"])
    for publication, known in ((Publication(0, 5), 4), (Publication(), 1)):
        season = seasons.cut_seasons(
            weather, where, calendar, "soybean", [2018],
            as_of=dt.date(2018, 1, 20), publication=publication,
        )  # fmt: skip
        assert season["observed"].values[0, :, 0].sum() == known


@pytest.mark.parametrize("weather", [(0, 5), (1, 0), (3, 0), (3, 17), (0, 0), (14, 45)])
def test_public_months_follow_the_rule_of_a_single_month(weather):
    # `is_public` applies `Publication.weather_public` to arrays: both give the same on every day.
    publication = Publication(*weather)
    months = np.arange("2011-01", "2014-03", dtype="datetime64[M]")
    for day in range(0, 900, 1 if weather[0] < 2 else 7):
        as_of = dt.date(2011, 6, 1) + dt.timedelta(days=day)
        rule = [publication.weather_public(m) <= as_of for m in months.astype("datetime64[D]").tolist()]
        np.testing.assert_array_equal(seasons.is_public(months, as_of, publication), rule)
    square = months[:36].reshape(6, 6)
    found = seasons.is_public(square, as_of, publication)
    assert (found.shape, found.dtype) == ((6, 6), np.dtype(bool))
    np.testing.assert_array_equal(found.ravel(), rule[:36])
    assert seasons.is_public(square, None, publication).all()


def test_places_in_any_order_find_their_own_weather(calendar):
    weather = table([10, 20, 30], "2009-01", 120).isel(municipality=[2, 0, 1])
    season = seasons.cut_seasons(
        weather, places([10, 30], ["MT", "MT"]), calendar, "soybean", [2018], as_of=None
    )
    assert season["weather"].values[:, 0, 0].tolist() == [104, 304]


def test_no_place_with_weather_is_an_error(calendar):
    with pytest.raises(MissingDataError, match="none of the 1 municipalities"):
        seasons.cut_seasons(
            table([1], "2009-01", 120), places([2], ["MT"]), calendar, "soybean", [2018], as_of=None
        )


def inputs_as_of(tables: Tables, calendar, as_of: dt.date) -> list[np.ndarray]:
    """The weather that a forecast on `as_of` may use, after every step that computes with it."""
    weather, name = with_degree_days(tables.weather, 5, 30)
    season = seasons.cut_seasons(weather, tables.static, calendar, "soybean", [2014, 2015], as_of=as_of)
    climate = seasons.climatology(seasons.known_weather(weather, as_of, Publication()))
    filled = accumulate(fill_with_climatology(season, climate), name)
    return [season["weather"].values, season["observed"].values, filled["weather"].values]


def with_the_future_changed(small: Tables, as_of: dt.date, seed: int) -> Tables:
    """The tables with every value that is not public on `as_of` replaced by noise, some of it NaN."""
    rng, publication = np.random.default_rng(seed), Publication()
    months = small.weather["time"].values.astype("datetime64[D]").tolist()
    late = np.array([publication.weather_public(m) > as_of for m in months])
    late_years = np.array([publication.yields_public(int(y)) > as_of for y in small.yields["harvest_year"]])
    weather, yields = small.weather.copy(deep=True), small.yields.copy(deep=True)
    for name in weather:
        axis = weather[name].get_axis_num("time")
        noise = rng.normal(0, 50, weather[name].shape).astype(np.float32)
        noise[rng.random(noise.shape) < 0.1] = np.nan
        mask = np.moveaxis(np.broadcast_to(late, np.moveaxis(noise, axis, -1).shape), -1, axis)
        weather[name] = weather[name].dims, np.where(mask, noise, weather[name].values)
    for name in yields:
        axis = yields[name].get_axis_num("harvest_year")
        noise = rng.normal(0, 1e4, yields[name].shape).astype(np.float32)
        mask = np.moveaxis(np.broadcast_to(late_years, np.moveaxis(noise, axis, -1).shape), -1, axis)
        yields[name] = yields[name].dims, np.where(mask, noise, yields[name].values)
    return Tables(small.static, weather, yields)


LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LAW
@given(as_of=st.dates(dt.date(2012, 1, 1), dt.date(2016, 12, 31)), seed=st.integers(0, 2**32 - 1))
def test_law_no_value_published_after_as_of_changes_any_output(small, calendar, as_of, seed):
    changed = with_the_future_changed(small, as_of, seed)
    before, after = inputs_as_of(small, calendar, as_of), inputs_as_of(changed, calendar, as_of)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def public_baselines(tables: Tables, rows, train, calendar, as_of: dt.date | None) -> list[np.ndarray]:
    """The weather of the samples and every public baseline, on the date that `evaluate` would use."""
    data = DataSettings()
    if as_of is None:
        dated = known_at_window_end(rows, tables, calendar, "soybean", data)
    else:
        place = np.searchsorted(tables.static["municipality"].values, rows.municipality)
        source = Source(tables, calendar, "soybean", data, 2016)
        season, _ = source.season(place, rows.harvest_year, as_of)
        dated = replace(rows, dynamic=season["weather"].values)
    places, states = (tables.static[name].values.tolist() for name in ("municipality", "state"))
    found = baselines.all_baselines(
        train,
        dated,
        tables.yields,
        dict(zip(places, states, strict=True)),
        "soybean",
        Publication(),
        as_of,
        dated,
    )
    return [dated.dynamic, *(one.prediction for one in found.values() if one.history == "public")]


@settings(LAW, max_examples=6)
@given(as_of=st.dates(dt.date(2015, 2, 1), dt.date(2016, 12, 31)), seed=st.integers(0, 2**32 - 1))
def test_law_holds_for_samples_and_public_baselines(small, calendar, as_of, seed):
    rows, _ = build_samples(small, calendar, "soybean", [2016], DataSettings())
    train, _ = build_samples(small, calendar, "soybean", [2012, 2013], DataSettings())
    changed = with_the_future_changed(small, as_of, seed)
    before, after = (public_baselines(t, rows, train, calendar, as_of) for t in (small, changed))
    assert len(before) == 5
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_law_holds_for_the_default_date_the_end_of_each_window(small, calendar):
    rows, _ = build_samples(small, calendar, "soybean", [2016], DataSettings())
    train, _ = build_samples(small, calendar, "soybean", [2012, 2013], DataSettings())
    for day in np.unique(rows.window_end):
        mine = rows.take(rows.window_end == day)
        changed = with_the_future_changed(small, day.item(), seed=3)
        before, after = (public_baselines(t, mine, train, calendar, None) for t in (small, changed))
        for old, new in zip(before, after, strict=True):
            np.testing.assert_array_equal(old, new)


def test_a_value_that_is_public_does_change_the_output(small, calendar):
    # The tests of the law would pass with outputs that never change; those of public values do.
    weather = small.weather.copy(deep=True)
    month = np.datetime64("2013-12", "ns")
    weather["tmax_degC"].loc[{"time": month}] += 3
    changed = Tables(small.static, weather, small.yields)
    date = dt.date(2014, 6, 1)
    old, new = (inputs_as_of(t, calendar, date)[0] for t in (small, changed))
    assert (old != new)[np.isfinite(old)].any()


def test_climatology_by_hand():
    # Januaries of 2009-2011 hold 0, 12 and 24 (place 0): mean 12; with 2011 unknown, mean 6.
    weather = table([1], "2009-01", 36)
    assert seasons.climatology(weather)["tmax_degC"].values[0, 0] == 12
    known = seasons.known_weather(weather, dt.date(2010, 12, 31), Publication(0, 5))
    assert seasons.climatology(known)["tmax_degC"].values[0, 0] == 6


def test_the_whole_country_is_cut_in_a_second_and_500_mb(calendar):
    codes = np.arange(5570) + 1_100_000
    states = np.array(["MT", "RS", "PR", "SP", "BA"])[np.arange(5570) % 5]
    one = table(codes, "2009-01", 120)
    weather = xr.Dataset({f"v{k}": one["tmax_degC"] for k in range(4)})
    where = places(codes, states)
    years = range(2011, 2019)
    seasons.cut_seasons(weather, where, calendar, "soybean", [2018], as_of=None)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        season = seasons.cut_seasons(weather, where, calendar, "soybean", years, as_of=dt.date(2018, 3, 1))
        seconds.append(time.perf_counter() - began)
    assert season["weather"].shape == (5570 * 8, 9, 4)
    assert min(seconds) < 1
    tracemalloc.start()
    seasons.cut_seasons(weather, where, calendar, "soybean", years, as_of=dt.date(2018, 3, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6
