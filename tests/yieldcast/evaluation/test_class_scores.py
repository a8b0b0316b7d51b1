"""Scores of classes: every model on the same rows, nothing published later, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from factories import score_rows

from yieldcast.config import Settings
from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.errors import SchemaError
from yieldcast.evaluation.class_metrics import score_classes
from yieldcast.evaluation.class_scores import (
    ClassTest,
    Spread,
    case_rows,
    class_names,
    climatology,
    run_class_test,
    scores_of,
)
from yieldcast.evaluation.skill import climatology as quantiles_of_years
from yieldcast.features.day_rows import rows_for
from yieldcast.features.season_dates import calendar_for
from yieldcast.risk.classifiers import SearchSettings

DATE = dt.date(2015, 2, 15)
MODELS = ["forecast", "logistic", "dummy", "climatology"]
SEARCH = SearchSettings(draws=1, folds=2, features=4)


def forecast_of(store, settings):
    """A forecast whose distribution is that of the yields that were public."""

    def spread(harvest_year, date):
        newest = settings.data.publication().last_public_harvest_year(date)
        table = store.yields["yield_kg_ha"].sel(crop="soybean").transpose("municipality", "harvest_year")
        values = table.sel(harvest_year=table["harvest_year"] <= newest).values.astype(float)
        found = quantiles_of_years(values, store.static["state"].values.astype(str))
        return Spread(table["municipality"].values, found.mean(axis=1), found)

    return spread


def class_test(store, folder, **changed):
    settings = Settings().for_country(store.country)
    made = ClassTest(
        store, "soybean", settings, forecast_of(store, settings), lambda year, date: {}, folder,
        classifiers=("logistic",), search=SEARCH,
    )  # fmt: skip
    return replace(made, **changed)


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=5, municipalities=24, first_harvest_year=2008, harvest_years=9)


@pytest.fixture(scope="module")
def store(tables, tmp_path_factory):
    return Store.write(tmp_path_factory.mktemp("classes"), tables, {})


@pytest.fixture(scope="module")
def found(store, tmp_path_factory):
    folder, told = tmp_path_factory.mktemp("scores"), []
    cases = [(2015, DATE), (2016, dt.date(2016, 2, 15))]
    test = class_test(store, folder)
    result = run_class_test(test, cases, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    return test, cases, result


def test_all_models_are_scored_on_the_same_rows(found):
    _, _, result = found
    assert list(dict.fromkeys(row["model"] for row in result.scores)) == MODELS
    places = {
        model: list(zip(rows["municipality"], rows["as_of"], rows["class"], strict=True))
        for model, rows in result.rows.groupby("model")
    }
    assert len(places) == len(MODELS)
    assert all(one == places["forecast"] for one in places.values())
    years = [row["harvest_year"] for row in result.scores if row["model"] == "forecast"]
    assert years == [None, 2015, 2016]
    assert {row["day"] for row in result.scores} == {"02-15"}
    json.dumps(result.scores, allow_nan=False)


def test_a_pooled_score_rests_on_all_rows(found):
    rows = found[2].rows[found[2].rows["model"] == "climatology"]
    number = {"low": 0, "medium": 1, "high": 2}
    expected = score_classes(rows["class"].map(number), rows["predicted_class"].map(number), 3)
    row = next(row for row in found[2].scores if row["model"] == "climatology")
    assert (row["n"], row["confusion"]) == (len(rows), expected.confusion)
    assert row["brier"] == pytest.approx(((rows["p_low"] - (rows["class"] == "low")) ** 2).mean())


def test_dates_that_were_scored_are_kept(found):
    test, cases, result = found

    def never(year, date):
        raise AssertionError("forecast again")

    again = run_class_test(replace(test, forecast=never), cases)
    assert again.scores == result.scores
    with pytest.raises(AssertionError, match="forecast again"):  # other settings: other rows
        case_rows(replace(test, forecast=never, search=replace(SEARCH, seed=1)), cases[0])


def test_nothing_published_after_the_date_moves_what_a_model_says(found, tables, tmp_path):
    """Yields of 2014 on and weather of the months after the date, all changed."""
    test, cases, _ = found
    yields, weather = tables.yields.copy(deep=True), tables.weather.copy(deep=True)
    own = yields["yield_kg_ha"]
    yields["yield_kg_ha"] = own.where(yields["harvest_year"] < 2014, own * 0.5)
    after = weather["time"] >= np.datetime64("2015-02-01")
    for name in ("tmax_degC", "tmin_degC"):
        weather[name] = weather[name].where(~after, weather[name] + 5)
    changed = Store.write(tmp_path / "store", tables._replace(yields=yields, weather=weather), {})
    rows = case_rows(class_test(changed, tmp_path / "scores"), cases[0])
    before = case_rows(test, cases[0])
    said = ["model", "municipality", "predicted_class", "p_low", "p_medium", "p_high", "q05", "q95"]
    assert rows[said].equals(before[said])
    assert not rows["yield_kg_ha"].equals(before["yield_kg_ha"])


def test_a_threshold_makes_two_classes(store, tmp_path):
    middle = float(np.nanmedian(store.yields["yield_kg_ha"].sel(crop="soybean").values))
    test = class_test(store, tmp_path, rule="threshold", threshold_kg_ha=middle, classifiers=())
    result = run_class_test(test, [(2015, DATE)])
    assert result.class_names == ("low", "not_low")
    assert result.rows["p_medium"].isna().all()
    low = result.rows["yield_kg_ha"] < middle
    assert ((result.rows["class"] == "low") == low).all()


def test_a_class_without_rows_is_refused(store, tmp_path):
    test = class_test(store, tmp_path, rule="threshold", threshold_kg_ha=1e6, classifiers=())
    with pytest.raises(SchemaError, match="received none in: not_low"):
        run_class_test(test, [(2015, DATE)])
    rows = score_rows("m", seed=1, classes=True)
    with pytest.raises(SchemaError, match="none of low in harvest years 2014 to 2018"):
        class_names(rows[rows["class"] != "low"])


def test_climatology_by_hand(store):
    """Of one place low, low, high; of another one medium; overall 2, 1, 1 of 4. A third is not known."""
    settings = Settings().for_country(store.country)
    rows = rows_for(
        store, calendar_for(settings.data, store.static, store.country), "soybean", [2011, 2012, 2013],
        settings, as_of=DATE, season=2015, municipalities=store.static["municipality"].values[:2],
    )  # fmt: skip
    first, second = np.unique(rows.municipality)
    kept = rows.take(np.append(np.flatnonzero(rows.municipality == first)[:3],
                               np.flatnonzero(rows.municipality == second)[:1]))  # fmt: skip
    taught = np.array([0, 0, 2, 1], dtype=np.int8)
    said = climatology(kept, taught, np.array([first, second, 9999999], dtype=np.int32), 3)
    assert said.probabilities == pytest.approx(
        np.array([[2.5, 0.25, 1.25], [0.5, 1.25, 0.25], [0.5, 0.25, 0.25]]) / [[4], [2], [1]]
    )
    assert said.classes.tolist() == [0, 1, 0]


def test_days_come_in_the_order_of_the_season():
    rows = score_rows("m", seed=1, years=[2014], classes=True)
    other = rows.assign(as_of="2013-10-15")
    found = scores_of(pd.concat([rows.assign(as_of="2014-01-15"), other]))
    assert list(dict.fromkeys(row["day"] for row in found)) == ["10-15", "01-15"]
    assert "brier" not in found[0]  # no probabilities


@pytest.mark.slow
def test_the_keras_classifier_is_scored_on_the_same_rows(store, tmp_path):
    rows = case_rows(class_test(store, tmp_path, classifiers=(), lstm=True), (2015, DATE))
    assert list(dict.fromkeys(rows["model"])) == ["forecast", "dummy", "lstm", "climatology"]
    lstm = rows[rows["model"] == "lstm"]
    assert lstm["predicted_class"].isin(["low", "medium", "high"]).all()
    assert lstm[["p_low", "p_medium", "p_high"]].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)


def test_borders_of_each_municipality_come_from_its_own_public_years(store, tmp_path):
    """Yields of 2008 to 2013 were public: lower thirds of at least five of them."""
    rows = case_rows(class_test(store, tmp_path, rule="municipality", classifiers=()), (2015, DATE))
    mine = rows[rows["model"] == "forecast"].set_index("municipality")
    table = store.yields["yield_kg_ha"].sel(crop="soybean", harvest_year=slice(None, 2013))
    own = table.transpose("municipality", "harvest_year").sel(municipality=mine.index.to_numpy()).values
    own = np.where(own > 0, own, np.nan).astype(float)
    assert (np.isfinite(own).sum(axis=1) >= 5).all()
    low = mine["yield_kg_ha"].to_numpy() < np.nanquantile(own, 1 / 3, axis=1)
    assert (mine["class"].to_numpy() == "low").tolist() == low.tolist()
