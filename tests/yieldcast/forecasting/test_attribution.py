import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from yieldcast.errors import MissingDataError
from yieldcast.forecasting.attribution import explain, shapley
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.water_steps import WaterSteps
from yieldcast.probing.rows import changed_future

YEAR, DATE = 2016, dt.date(2016, 2, 20)


def test_shapley_values_by_hand():
    # Glove game: two left gloves and a right one; a pair is worth 1. Left 1/6 each, right 4/6.
    found = shapley(("l1", "l2", "r"), lambda s: float("r" in s and len(s) > 1))
    assert found == pytest.approx({"l1": 1 / 6, "l2": 1 / 6, "r": 4 / 6})
    assert shapley(("a",), lambda s: 5.0 * len(s)) == {"a": 5.0}


@pytest.fixture(scope="module")
def plan(forecast_run, forecast_store):
    return ForecastPlan(forecast_run, forecast_store, YEAR, DATE)


@pytest.fixture(scope="module")
def forecast(plan):
    return plan.forecast()


@pytest.fixture(scope="module")
def explanation(plan, forecast):
    return explain(plan, int(forecast["municipality"][5]))


def test_the_contributions_are_complete(explanation, forecast):
    median = float(forecast["yield_kg_ha"].sel(quantile=0.5, method="nearest")[5])
    assert explanation.forecast_kg_ha == pytest.approx(median, abs=0.01)
    assert abs(explanation.error_kg_ha) < 1e-6
    total = sum(explanation.by_variable_and_month().values()) + sum(explanation.not_split().values())
    assert total == pytest.approx(explanation.forecast_kg_ha - explanation.usual_kg_ha, abs=1e-6)
    network = explanation.network
    assert abs(network.error) <= max(1.0, 0.01 * abs(network.difference))
    alone = sum(one.kg_ha for one in explanation.network_alone)
    assert alone == pytest.approx(network.difference, abs=max(1.0, 0.01 * abs(network.difference)))


def test_water_by_month_adds_up_to_the_part_of_the_median(explanation, forecast):
    water = [one for one in explanation.contributions if one.part == "water"]
    assert sum(one.kg_ha for one in water) == pytest.approx(
        float(forecast["part_water_so_far_kg_ha"][5]), abs=0.01
    )
    assert max(one.month for one in water) == "2016-01"  # February is not known on the date
    assert {one.variable for one in water} == {"precipitation_mm", "evaporative_demand"}


def test_the_index_with_all_known_days_is_that_of_the_forecast(plan):
    steps, expected = WaterSteps.of(plan.combiner.protocol), plan.combiner.expected
    units, known = np.arange(len(steps.slope)), plan.evidence.known_day(DATE)
    np.testing.assert_array_equal(
        steps.season.to_municipalities(steps.index(units, known, known)), expected.departure
    )
    before = steps.first_day - 1
    np.testing.assert_allclose(steps.index(units, before, before), 0.0, atol=1e-12)


def test_water_by_month_of_all_places_adds_up_to_their_parts(plan, explanation):
    found = plan.water_months
    np.testing.assert_allclose(found.kg_ha.sum(axis=1), plan.combiner.expected.water_so_far, atol=1e-6)
    row = found.codes.tolist().index(explanation.municipality)
    water = [one for one in explanation.contributions if one.part == "water"]
    for month, value in zip(found.months, found.kg_ha[row], strict=True):
        assert sum(one.kg_ha for one in water if one.month == month) == pytest.approx(value, abs=1e-6)


def test_trees_under_the_weather_of_the_season_are_those_of_the_forecast(plan):
    trees, expected = plan.combiner.trees, plan.combiner.expected
    factors = np.ones((trees.known_months, 3))
    np.testing.assert_allclose(
        trees.under(expected.water_so_far, expected.departure, factors), expected.trees, atol=1e-9
    )


def test_nothing_published_later_moves_a_contribution(explanation, forecast_run, forecast_store):
    later = changed_future(forecast_store, forecast_run.settings, DATE)
    again = explain(ForecastPlan(forecast_run, later, YEAR, DATE), explanation.municipality)
    assert replace(again, network=None) == replace(explanation, network=None)


def test_a_place_without_a_forecast(plan):
    with pytest.raises(MissingDataError, match="no forecast"):
        explain(plan, 77)
