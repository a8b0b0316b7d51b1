"""Trees of a date: what they learn of places, which years teach, and their share."""

import datetime as dt

import numpy as np
import pytest

from yieldcast.config import FORECAST_SETTINGS
from yieldcast.data import synthetic
from yieldcast.data.store import Tables
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.evidence import crop_evidence
from yieldcast.forecasting.protocol import Protocol
from yieldcast.forecasting.trees import PRIOR_STATE, PRIOR_WITHIN, Trees, _shrunken
from yieldcast.models.sharing import state_mean

DATE, YEAR = dt.date(2016, 2, 15), 2016


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=7, municipalities=60, first_harvest_year=1998, harvest_years=20)


def combiner(tables, calendar, protocol="forward"):
    evidence = crop_evidence(tables, "soybean", calendar, FORECAST_SETTINGS)
    return Combiner(evidence, tables.static["municipality"].values, YEAR, DATE, protocol)


def test_teachers_are_two_or_more_years_away(tables, calendar):
    trees = combiner(tables, calendar, "leave_year_out").trees
    trees.departure(2012)
    teachers = [set(years) for one in (trees.of_places, trees.of_seasons) for years in one._fitted]
    assert teachers
    for years in teachers:
        assert years.isdisjoint({2011, 2012, 2013, YEAR})
        assert 2017 in years


def test_weather_that_the_water_index_does_not_see_is_learned(tables, calendar):
    """A warm night in January, given to half of the municipalities at random every year, brings yield."""
    codes, rng = tables.static["municipality"].values, np.random.default_rng(5)
    weather, yields = tables.weather.copy(deep=True), tables.yields.copy(deep=True)
    chosen = {}
    for year in range(2005, 2018):
        chosen[year] = rng.random(len(codes)) < 0.5
        night = {"time": np.datetime64(f"{year}-01", "ns")}
        weather["tmin_degC"].loc[night] += np.where(chosen[year], 3.0, 0.0)
        yields["yield_kg_ha"].loc[{"harvest_year": year}] += np.where(chosen[year], 600.0, 0.0)
    one = combiner(Tables(tables.static, weather, yields), calendar)
    departure = one.trees.departure(YEAR)
    assert departure[chosen[YEAR]].mean() > departure[~chosen[YEAR]].mean() + 100.0
    assert one.trees.shares.within > PRIOR_WITHIN


def test_the_state_mean_of_the_trees_gets_the_share_of_states(tables, calendar):
    one = combiner(tables, calendar)
    expected, departure, places = one.expected, one.trees.departure(YEAR), one.evidence.places
    of_states = state_mean(departure, expected.area, places)
    added = state_mean(expected.trees, expected.area, places)
    np.testing.assert_allclose(added, one.trees.shares.state * of_states, atol=1e-9)
    np.testing.assert_allclose(
        expected.posterior.weather, one.without_trees.posterior.weather + added, atol=1e-9
    )


def test_shares_are_drawn_to_their_priors():
    assert _shrunken([], PRIOR_WITHIN, 8.0) == PRIOR_WITHIN
    assert _shrunken([(90.0, 100.0), (70.0, 100.0)], 0.5, 8.0) == pytest.approx((0.8 * 2 + 0.5 * 8) / 10)
    assert _shrunken([(-5.0, 1.0)], PRIOR_STATE, 3.0) == pytest.approx(PRIOR_STATE * 3 / 4)


def test_few_years_have_no_trees(tables, calendar):
    some = Tables(tables.static, tables.weather, tables.yields.sel(harvest_year=slice(2010, None)))
    evidence = crop_evidence(some, "soybean", calendar, FORECAST_SETTINGS)
    trees = Trees(Protocol(evidence, YEAR, DATE))
    assert not trees.departure(YEAR).any()
    assert trees.shares.within == trees.shares.state == 0.0
