"""Seasons mixed from two years against a plain loop, and from tables against `Source.build`."""

import datetime as dt
import os
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import pytest

from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.errors import ConfigError
from yieldcast.features import augmentation, yield_history
from yieldcast.features.augmentation import SeasonMixer, mix_seasons
from yieldcast.features.source import Source
from yieldcast.training import rng

PLACES, YEARS, STEPS, VARIABLES, ROWS = 3, 5, 4, 3, 12
SUMMED = 2


@pytest.fixture
def mixer():
    """Five years of which three, not all in a row, may fill; rows of all years."""
    random = np.random.default_rng(1)
    return SeasonMixer(
        bank=random.normal(10, 5, (PLACES, YEARS, STEPS, VARIABLES)).astype(np.float32),
        normal=random.normal(10, 5, (PLACES, STEPS, VARIABLES)).astype(np.float32),
        place=random.integers(0, PLACES, ROWS).astype(np.int32),
        year=(np.arange(ROWS) % YEARS).astype(np.int32),
        fills=np.array([0, 2, 3], np.int32),
        static=random.normal(0, 1, (2, ROWS, 4)).astype(np.float32),
        accumulated=SUMMED,
    )


def by_hand(mixer, row, drawn, share):
    """One season, by loops: weather (step, variable), static (feature,), and the year that fills it."""
    whether, where, which, lag = drawn
    known = int(where * STEPS) if whether < share else STEPS
    place, own = mixer.place[row], mixer.year[row]
    others = [year for year in mixer.fills if year != own]
    other = others[int(which * len(others))]
    weather, total = np.zeros((STEPS, VARIABLES)), 0.0
    for step in range(STEPS):
        for variable in range(VARIABLES):
            value = mixer.bank[place, own if step < known else other, step, variable]
            if variable == SUMMED:
                total += value
                value = total
            weather[step, variable] = value - mixer.normal[place, step, variable]
    return weather, mixer.static[int(lag * len(mixer.static)), row], other


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_seasons_are_those_of_a_plain_loop(mixer, share):
    random = np.random.default_rng(2)
    rows = random.integers(0, ROWS, (2, 40)).astype(np.int32)
    drawn = random.random((2, 40, 4)).astype(np.float32)
    drawn[0, 0], drawn[0, 1] = 0, np.float32(1 - 2**-24)  # the smallest and the largest number drawn
    weather, static = map(np.asarray, mix_seasons(mixer.arrays(), rows, drawn, share))
    assert weather.shape == (2, 40, STEPS, VARIABLES)
    for member, position in np.ndindex(2, 40):
        row = rows[member, position]
        expected, of_lag, other = by_hand(mixer, row, drawn[member, position], share)
        np.testing.assert_allclose(weather[member, position], expected, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(static[member, position], of_lag)
        assert other != mixer.year[row]


def test_every_month_year_and_lag_is_drawn_and_the_year_of_the_row_never_completes_it(mixer):
    # The weather is the year itself, so that the year of each month can be read off.
    named = np.broadcast_to(np.arange(YEARS)[None, :, None, None], mixer.bank.shape).astype(np.float32)
    lags = np.broadcast_to(np.arange(2)[:, None, None], mixer.static.shape).astype(np.float32)
    plain = replace(mixer, bank=named, normal=mixer.normal * 0, static=lags)
    seed = np.array([1, 2], np.int32)
    drawn = rng.uniform(seed, seed * 0, rng.SEASONS, (4000, 4))
    rows = np.resize(np.arange(ROWS, dtype=np.int32), (2, 4000))
    weather, static = map(np.asarray, mix_seasons(plain.arrays(), rows, drawn, 0.5))
    own = mixer.year[rows]
    first = weather[..., 0]  # not summed
    cut = first[..., -1] != own  # the last month of a cut season is never its own
    known = (first == own[..., None]).sum(axis=-1)
    assert abs(cut.mean() - 0.5) < 4 * 0.5 / np.sqrt(8000)
    assert (known[~cut] == STEPS).all()
    for months in range(STEPS):  # a quarter each of 4000 or so
        assert abs((known[cut] == months).mean() - 0.25) < 4 * np.sqrt(0.1875 / cut.sum())
    for year in range(YEARS):
        filled = first[..., -1][cut & (own == year)]
        others = sorted({0, 2, 3} - {year})
        seen, count = np.unique(filled, return_counts=True)
        assert seen.tolist() == others
        expected = 1 / len(others)
        assert np.abs(count / filled.size - expected).max() < 4 * np.sqrt(0.25 / filled.size)
    assert abs(static[..., 0].mean() - 0.5) < 4 * 0.5 / np.sqrt(8000)


@pytest.fixture(scope="module")
def source(small, calendar):
    data = DataSettings(
        weather_delay_months=0, weather_delay_days=5, weather_inputs="anomalies", yield_history=True
    )
    return Source(small, calendar, "soybean", data, 2015)


@pytest.fixture(scope="module")
def rows(source):
    return source.build([2014, 2015])[0]


@pytest.mark.parametrize("kind", ["anomalies", "values"])
def test_uncut_seasons_of_a_bank_are_the_samples(source, kind):
    # The same numbers computed in two ways: `Source.build`, and the bank of all years with share 0.
    source = replace(source, settings=source.settings.model_copy(update={"weather_inputs": kind}))
    rows, _ = source.build([2014, 2015])
    mixer = augmentation.season_mixer(source, rows, (2, 3), 0.5)
    chosen = np.arange(len(rows), dtype=np.int32)[None]
    drawn = np.full((1, len(rows), 4), 0.4, np.float32)
    for draw, lag in ((0.2, 2), (0.7, 3)):
        drawn[..., 3] = draw
        weather, static = map(np.asarray, mix_seasons(mixer.arrays(), chosen, drawn, 0.0))
        np.testing.assert_allclose(weather[0], rows.dynamic, rtol=1e-5, atol=2e-3)
        np.testing.assert_array_equal(static[0], source.with_history(rows, lag).static)


def test_cut_seasons_of_a_bank_are_two_years_of_the_table(source, rows, small):
    # Values, so that months can be read off the table: 4 of the 9 own, the rest of the drawn year.
    source = replace(source, settings=source.settings.model_copy(update={"weather_inputs": "values"}))
    mixer = augmentation.season_mixer(source, rows, (2,), 1.0)
    # Windows begin in the year before: the first, of 2010, is not whole and fills nothing.
    assert mixer.fills.tolist() == [1, 2, 3, 4, 5]  # 2011 to 2015
    k = int(np.flatnonzero(rows.harvest_year == 2014)[0])
    # 0.45 x 9 = 4.05 months known; 0.99 x 4 others = 3.96, the last of them: 2015.
    drawn = np.array([[[0.0, 0.45, 0.99, 0.0]]], np.float32)
    weather, _ = mix_seasons(mixer.arrays(), np.array([[k]], np.int32), drawn, 1.0)
    series = small.weather.sel(municipality=int(rows.municipality[k]))
    for year, steps in ((2014, slice(0, 4)), (2015, slice(4, 9))):
        window = source.calendar.window("soybean", str(rows.state[k]), year)[steps]
        for position, name in enumerate(("tmax_degC", "tmin_degC", "precipitation_mm")):
            own = series[name].sel(time=window.astype("datetime64[ns]")).values
            np.testing.assert_array_equal(np.asarray(weather)[0, 0, steps, position], own)
    assert (np.diff(np.asarray(weather)[0, 0, :, 3]) > 0).all()


def test_a_year_with_a_gap_fills_nothing_and_keeps_its_rows(source, small):
    weather = small.weather.copy(deep=True)
    code = int(small.weather["municipality"][2])
    weather["tmax_degC"].loc[{"municipality": code, "time": "2013-01-01"}] = np.nan
    gap = replace(source, tables=Tables(small.static, weather, small.yields))
    rows, _ = gap.build([2014, 2015])
    assert code in rows.municipality
    mixer = augmentation.season_mixer(gap, rows, (2,), 0.5)
    assert mixer.fills.tolist() == [1, 2, 4, 5]  # 2011, 2012, 2014, 2015
    assert np.isfinite(mixer.bank).all()


def test_with_too_few_years_the_setting_to_change_is_named(source, small):
    # Weather of 2013 to 2014: harvest year 2014 alone has its whole window.
    short = replace(
        source,
        tables=Tables(small.static, small.weather.sel(time=slice("2013-01", "2014-12")), small.yields),
        climate_to=2014,
    )
    rows, _ = short.build([2014])
    with pytest.raises(ConfigError, match="two years of weather for every place, received 1") as caught:
        augmentation.season_mixer(short, rows, (2, 3), 0.5)
    assert "season_cuts = 0" in caught.value.hint
    # With that setting the bank is enough: seasons stay whole, only the lag of the history is drawn.
    mixer = augmentation.season_mixer(short, rows, (2, 3), 0.0)
    chosen = np.arange(len(rows), dtype=np.int32)[None]
    drawn = np.random.default_rng(3).random((1, len(rows), 4)).astype(np.float32)
    weather, _ = mix_seasons(mixer.arrays(), chosen, drawn, 0.0)
    np.testing.assert_allclose(np.asarray(weather)[0], rows.dynamic, rtol=1e-5, atol=2e-3)


def test_law_training_on_public_years_sees_nothing_later(source, rows, small):
    # The last row's window ends in June 2015: nothing after the climate's last year, 2015, is read.
    weather, yields = small.weather.copy(deep=True), small.yields.copy(deep=True)
    later = weather["time"].values >= np.datetime64(dt.date(2016, 1, 1))
    for name in weather:
        weather[name].values[:, later] = np.nan
    late = yields["harvest_year"].values > 2015
    for name in yields:
        yields[name].values[:, :, late] = 1e5
    changed = replace(source, tables=Tables(small.static, weather, yields))
    again, _ = changed.build([2014, 2015])
    assert again.fingerprint() == rows.fingerprint()
    one, two = (augmentation.season_mixer(s, r, (2, 3), 0.5) for s, r in ((source, rows), (changed, again)))
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(two.arrays()[name], array, err_msg=name)
    lags = yield_history.possible_lags(source.calendar, "soybean", rows.state, source.settings.publication())
    assert lags == (2, 3)
