"""The risk of a season: what the borders rest on, a season classified without a run, no later value."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.features.feature_rows import Feature, FeatureRows
from yieldcast.forecasting import distribution
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.risk.classes import class_rule
from yieldcast.risk.classifiers import SearchSettings
from yieldcast.risk.forecast import classify_season, rule_of, season_rows
from yieldcast.training.run_directory import Run

OLD = Path(__file__).parents[2] / "old_files"
QUICK = SearchSettings(draws=1, folds=2, features=2)
AS_OF, SEASON = dt.date(2015, 2, 15), 2015


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> ForecastPlan:
    """A forecast of 2015 by a run of 2011 to 2013, on a copy of the files of an earlier version."""
    folder = tmp_path_factory.mktemp("risk") / "files"
    shutil.copytree(OLD, folder)
    return ForecastPlan(Run.open(folder / "run"), Store.open(folder / "store"), SEASON, AS_OF)


def test_borders_rest_on_the_training_years(plan) -> None:
    rule = rule_of(plan)
    yields = plan.store.yields["yield_kg_ha"].sel(crop="soybean", harvest_year=[2011, 2012, 2013]).values
    assert rule.train_years == (2011, 2012, 2013)
    wanted = np.quantile(yields[np.nan_to_num(yields) > 0].astype(np.float64), [1 / 3, 2 / 3])
    np.testing.assert_allclose(rule.borders_kg_ha, wanted)


def test_own_thirds_are_those_of_the_forecast(plan) -> None:
    """P(low) under the rule "municipality" is `probability_low` of the forecast."""
    rule, history = rule_of(plan, "municipality"), plan.history
    last = np.full(len(history.codes), plan.newest)
    window = history.window(history.own, np.arange(len(history.codes)), last, 10)
    wanted = distribution.low_threshold(window)
    np.testing.assert_allclose(rule.borders(history.codes)[:, 0], wanted)
    assert max(rule.train_years) == plan.newest


def test_later_yields_and_weather_move_nothing(plan) -> None:
    """Yields and weather that became public after the date change neither borders nor feature rows."""
    rule, rows = rule_of(plan), season_rows(plan.store, plan)
    tables, public = plan.store.tables, plan.publication
    yields, weather = tables.yields.copy(deep=True), tables.weather.copy(deep=True)
    late = yields["harvest_year"].values > public.last_public_harvest_year(AS_OF)
    assert late.any()
    for name in ("yield_kg_ha", "area_harvested_ha"):
        if name in yields:
            axis = yields[name].dims.index("harvest_year")
            np.moveaxis(yields[name].values, axis, 0)[late] *= 3.0
    months = weather["time"].values.astype("datetime64[D]").astype(object)
    hidden = np.array([public.weather_public(month.replace(day=1)) > AS_OF for month in months])
    assert hidden.any()
    for name in ("tmax_degC", "precipitation_mm"):
        np.moveaxis(weather[name].values, weather[name].dims.index("time"), 0)[hidden] += 5.0
    folder = plan.store.path.parent / "moved"
    moved = Store.write(folder, tables._replace(yields=yields, weather=weather), {})
    later = ForecastPlan(plan.run, moved, SEASON, AS_OF)
    np.testing.assert_array_equal(rule_of(later).borders_kg_ha, rule.borders_kg_ha)
    again = season_rows(moved, later)
    assert again.names == rows.names
    np.testing.assert_array_equal(again.values, rows.values)
    train = rows.harvest_year < SEASON
    np.testing.assert_array_equal(again.yield_kg_ha[train], rows.yield_kg_ha[train])


def field_rows() -> FeatureRows:
    """30 fields in 2011 to 2014; yields follow the first feature; those of 2014 are not known yet."""
    random = np.random.default_rng(2)
    values = random.normal(size=(120, 3))
    years = np.repeat(np.arange(2011, 2015), 30).astype(np.int16)
    yields = np.where(years < 2014, 3000.0 + 500.0 * values[:, 0], np.nan)
    features = tuple(Feature(f"f{k}", "weather", "1", "season", "a number") for k in range(3))
    return FeatureRows(
        values, features, np.tile(np.arange(1, 31), 4).astype(np.int32), years, np.full(120, "PR"),
        np.full(120, np.datetime64("2014-01-15")), yields, np.zeros(120), np.zeros(120),
    )  # fmt: skip


def test_fields_are_classified_without_a_run() -> None:
    rows = field_rows()
    train = rows.with_yield()
    rule = class_rule(train.yield_kg_ha, train.municipality, train.harvest_year)
    found = classify_season(rows, 2014, rule, QUICK, names=["logistic"])
    low = rows.take(rows.harvest_year == 2014).values[:, 0] < -1.0
    assert found.best.name == "logistic"
    assert found.probabilities[low, 0].min() > found.probabilities[~low, 0].mean()
    known = replace(rows, yield_kg_ha=np.where(np.isnan(rows.yield_kg_ha), 99.0, rows.yield_kg_ha))
    again = classify_season(known, 2014, rule, QUICK, names=["logistic"])
    np.testing.assert_array_equal(again.probabilities, found.probabilities)


def test_a_constant_feature_is_refused() -> None:
    rows = field_rows()
    train = rows.with_yield()
    rule = class_rule(train.yield_kg_ha, train.municipality, train.harvest_year)
    rows.values[:, 1] = 0.0  # a count that never occurs is left out
    found = classify_season(rows, 2014, rule, QUICK, names=["logistic"])
    assert found.best.names == ("f0", "f2")
    rows.values[:, 2] = 0.5
    with pytest.raises(SchemaError, match=r"expected values that differ .* f2 = 0\.5"):
        classify_season(rows, 2014, rule, QUICK, names=["logistic"])


def test_seasons_that_cannot_be_classified() -> None:
    rows = field_rows()
    train = rows.with_yield()
    rule = class_rule(train.yield_kg_ha, train.municipality, train.harvest_year)
    with pytest.raises(MissingDataError, match="no rows of harvest year 2015"):
        classify_season(rows, 2015, rule, QUICK)
    one = rows.take((rows.harvest_year == 2011) | (rows.harvest_year == 2014))
    with pytest.raises(SchemaError, match="two harvest years or more, received 2011"):
        classify_season(one, 2014, rule, QUICK, names=["dummy"])
