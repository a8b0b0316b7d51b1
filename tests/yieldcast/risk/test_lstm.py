"""The LSTM classifier: it learns, and its rows know only what was public on the same day."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.features.samples import SampleSet
from yieldcast.features.source import Source
from yieldcast.risk.lstm import LstmSettings, fit_lstm, samples_as_known

AS_OF, SEASON = dt.date(2016, 2, 15), 2016


@pytest.fixture(scope="module")
def source(small_store, calendar, forecast_settings) -> Source:
    data = forecast_settings.data.model_copy(update={"yield_history": False, "weather_inputs": "values"})
    return Source(small_store.tables, calendar, "soybean", data, 2014)


@pytest.fixture(scope="module")
def known(source) -> SampleSet:
    codes = source.tables.static["municipality"].values
    return samples_as_known(source, [2012, 2013, 2014, SEASON], AS_OF, SEASON, codes)


def test_rows_are_those_of_the_years(known, source) -> None:
    assert len(known) == 4 * source.tables.static.sizes["municipality"]
    assert np.isfinite(known.dynamic).all()


def test_later_weather_moves_no_digit(known, source) -> None:
    """Weather after the date, and in past years after the same day, is not used by any row before it."""
    weather = source.tables.weather.copy(deep=True)
    public = source.settings.publication()
    months = weather["time"].values.astype("datetime64[D]").astype(object)
    late = np.array([public.weather_public(month.replace(day=1)) > AS_OF for month in months])
    for name in ("tmax_degC", "precipitation_mm"):
        axis = weather[name].dims.index("time")
        np.moveaxis(weather[name].values, axis, 0)[late] += 7.0
    moved = replace(source, tables=source.tables._replace(weather=weather))
    codes = source.tables.static["municipality"].values
    again = samples_as_known(moved, [2012, 2013, 2014, SEASON], AS_OF, SEASON, codes)
    np.testing.assert_array_equal(again.dynamic, known.dynamic)


def test_one_season_and_a_missing_class_are_refused(known) -> None:
    one = known.take(known.harvest_year == 2012)
    halves = (np.arange(len(one)) % 2).astype(np.int8)
    with pytest.raises(SchemaError, match="two harvest years or more, received 1"):
        fit_lstm(one, halves, count=2)
    with pytest.raises(SchemaError, match="received none of class 2"):
        fit_lstm(one, halves, count=3)


@pytest.mark.slow
def test_learns_a_threshold(known) -> None:
    """Rain of the first month decides the class: far more rows are right than by chance."""
    rain = known.dynamic[:, 0, known.dynamic_names.index("precipitation_mm")]
    classes = np.digitize(rain, np.quantile(rain, [1 / 3, 2 / 3])).astype(np.int8)
    quick = LstmSettings(units=8, epochs=40, patience=40, batch=16, learning_rate=0.02)
    found = fit_lstm(known, classes, quick, count=3)
    assert (found.classes(known) == classes).mean() > 0.75
    np.testing.assert_allclose(found.probabilities(known).sum(axis=1), 1.0)
    assert found.left_out_year in (2012, 2013, 2014, SEASON)
