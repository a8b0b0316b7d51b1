"""The response network in a forecast: rows, left-out years, no leak, its share of the posterior."""

import datetime as dt

import numpy as np
import pytest

from yieldcast.config import FORECAST_SETTINGS
from yieldcast.data import synthetic
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.evidence import crop_evidence
from yieldcast.forecasting.expected import FAR
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.network_response import response_evidence, with_response
from yieldcast.forecasting.table import QUANTILES

DATE, YEAR, SEEDS = dt.date(2013, 2, 15), 2013, (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=7, municipalities=20, first_harvest_year=1998, harvest_years=18)


@pytest.fixture(scope="module")
def evidence(tables, calendar):
    return crop_evidence(tables, "soybean", calendar, FORECAST_SETTINGS)


def raw(tables, year=YEAR, target=np.nan):
    """Forecasts of all municipalities that say nothing."""
    codes = tables.static["municipality"].values
    n, zero = len(codes), np.zeros(len(codes))
    return RawForecasts(
        codes, np.full(n, year, np.int16), tables.static["state"].values.astype(str), zero + target,
        np.zeros((len(QUANTILES), n)), zero, zero + 1, zero, np.zeros((3, n)), zero > 0, zero, zero,
    )  # fmt: skip


def replaced(tables, evidence):
    """The combiner, and what `with_response` makes of forecast and hindcasts."""
    combiner = Combiner(evidence, tables.static["municipality"].values, YEAR, DATE)
    past = RawForecasts.join([
        raw(tables, year, evidence.yields[:, evidence.column(year)]) for year in combiner.hindcasts
    ])  # fmt: skip
    return combiner, *with_response(combiner, raw(tables), past, SEEDS)


@pytest.fixture(scope="module")
def made(tables, evidence):
    return replaced(tables, evidence)


def test_every_unit_year_with_a_yield_is_a_row(evidence):
    years = range(2004, 2010)
    known = response_evidence(evidence, years, years, evidence.units(FAR))
    rows = known.rows()
    columns = [evidence.yields[:, evidence.column(year)] for year in years]
    assert len(rows.target) == np.isfinite(columns).sum()
    assert rows.years == list(years)
    line = evidence.line(2004, 2006).forecast  # of a year with the yields that were public two years before
    residual = (columns[2] - line)[np.isfinite(columns[2])] / known.mean_yield
    np.testing.assert_allclose(rows.target[rows.year == 2006], residual)
    state = evidence.places.state[np.isfinite(columns[2])]
    assert len(np.unique(rows.group[rows.year == 2006])) == len(np.unique(state))
    # the linear path of a row is the water response of the other years
    slope = known.slope(2006)
    departure = known.weather(2006)
    np.testing.assert_allclose(rows.weather[rows.year == 2006], departure[np.isfinite(columns[2])])
    assert not np.allclose(slope, known.slope())


@pytest.mark.slow
def test_hindcasts_are_of_left_out_years_and_the_network_gets_its_share(tables, made):
    combiner, current, hindcasts = made
    assert set(np.unique(hindcasts.harvest_year)) <= set(combiner.hindcasts)
    assert len(np.unique(hindcasts.harvest_year)) == len(SEEDS)  # a year for each member
    expected = combiner.expected.with_gain(combiner.gain_factor()).forecast
    departure = current.mean_kg_ha - expected
    assert 0 < np.abs(departure).max() < 1500
    found = combiner.combine(current, hindcasts, within_states=False)
    assert 0 <= found.network_share < 1
    np.testing.assert_allclose(found.parts["network"], found.network_share * departure, atol=1e-6)
    np.testing.assert_allclose(sum(found.parts.values()), found.quantiles[:, 3], atol=1e-6)


@pytest.mark.slow
def test_nothing_leaks(tables, calendar, evidence, made):
    """Yields of harvest years that were not public and weather after January change no digit."""
    yields, weather = tables.yields.copy(deep=True), tables.weather.copy(deep=True)
    last = evidence.last_public_year(DATE)
    for name in yields.data_vars:
        yields[name] = yields[name].where(yields["harvest_year"] <= last, 77.0)
    for name in weather.data_vars:
        weather[name] = weather[name].where(weather["time"] <= np.datetime64("2013-01-31"), 3.0)
    changed = Tables(tables.static, weather, yields)
    _, current, hindcasts = replaced(tables, crop_evidence(changed, "soybean", calendar, FORECAST_SETTINGS))
    np.testing.assert_array_equal(current.mean_kg_ha, made[1].mean_kg_ha)
    np.testing.assert_array_equal(hindcasts.mean_kg_ha, made[2].mean_kg_ha)


def test_a_crop_without_stages_is_refused(evidence):
    with pytest.raises(MissingDataError, match="stages"):
        response_evidence(evidence, [2004], [2004], None)
