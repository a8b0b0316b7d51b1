"""Rows of accuracy.json by hand: scores, levels, the same rows for all models."""

import json

import numpy as np
import pytest

from yieldcast.evaluation.accuracy import KEYS, Harvest, Prediction, accuracy_rows, merged, score_row
from yieldcast.forecasting.table import QUANTILES
from yieldcast.models.level_trend import Places

ABOUT = {"crop": "soybean", "protocol": "forward", "as_of": "2015-01-15", "harvest_year": 2015}


def harvest(yields, area, public_area, state):
    count = len(yields)
    places = Places(np.array(state), max(state) + 1, np.zeros(count), np.arange(float(count)))
    return Harvest(np.array(yields), np.array(area), np.array(public_area), places, np.arange(float(count)))


def by_model(rows, level):
    return {row["model"]: row for row in rows if row["level"] == level}


def test_scores_by_hand():
    # Errors of -100 and 300 on 3 ha and 1 ha; intervals of 1000 and 2000 of which the second misses.
    quantiles = np.array([np.linspace(2500, 3500, 7), np.linspace(3100, 5100, 7)])
    row = score_row(ABOUT, np.array([2900.0, 3300.0]), np.array([3000.0, 3000.0]), np.array([3.0, 1.0]),
                    quantiles)  # fmt: skip
    assert row["n"] == 2
    assert row["rmse"] == pytest.approx(np.sqrt((100**2 + 300**2) / 2))
    assert row["rmse_area_weighted"] == pytest.approx(np.sqrt((3 * 100**2 + 300**2) / 4))
    assert row["bias"] == 100.0
    assert row["width_90"] == 1500.0
    assert row["coverage_90"] == 0.5
    assert row["below_median"] == 0.5  # 3000 equals the first median and is below the second, 4100
    assert row["crps"] > 0


def test_a_model_without_intervals_has_none():
    row = score_row(ABOUT, np.array([2900.0]), np.array([3000.0]), np.array([np.nan]))
    assert [row[key] for key in ("below_median", "coverage_90", "width_90", "crps")] == [None] * 4
    assert row["rmse_area_weighted"] is None  # no area is known
    assert list(row) == list(KEYS)
    json.dumps(row, allow_nan=False)


def test_coverage_by_third_of_scatter():
    quantiles = np.tile(np.linspace(900.0, 1100.0, 7), (6, 1))
    truth = np.array([1000.0, 2000.0, 1000.0, 2000.0, 2000.0, 1000.0])
    scatter = np.array([5.0, 6.0, 1.0, 2.0, 4.0, 3.0])  # from low to high: 1 0, 1 0, 1 0
    row = score_row(ABOUT, truth, truth, np.ones(6), quantiles, scatter)
    assert row["coverage_90_by_scatter"] == [0.5, 0.5, 0.5]
    row = score_row(ABOUT, truth, truth, np.ones(6), quantiles, np.where(truth > 1500, 1.0, 2.0))
    assert row["coverage_90_by_scatter"] == [0.0, 0.5, 1.0]


def test_states_and_the_country_by_hand():
    # State 0: 2000 and 4000 on 1 and 3 ha, so 3500; state 1: 1000 on 4 ha. The country: 2250.
    truth = harvest([2000.0, 4000.0, 1000.0], [1.0, 3.0, 4.0], [2.0, 2.0, 4.0], [0, 0, 1])
    rows = accuracy_rows(ABOUT, {"a": Prediction(np.array([2000.0, 4000.0, 1200.0]))}, truth)
    state, country = by_model(rows, "state")["a"], by_model(rows, "country")["a"]
    # Forecast by the public areas: 3000 and 1200, errors -500 and 200 on 4 ha each; the country 2100.
    assert (state["n"], country["n"]) == (2, 1)
    assert state["rmse"] == pytest.approx(np.sqrt((500**2 + 200**2) / 2))
    assert state["rmse_area_weighted"] == pytest.approx(state["rmse"])
    assert country["bias"] == pytest.approx(2100 - 2250)


def test_all_models_are_scored_on_the_same_rows():
    truth = harvest([2000.0, 3000.0, np.nan, 1000.0], [1.0] * 4, [1.0] * 4, [0, 0, 1, 1])
    whole, part = np.full(4, 2500.0), np.array([np.nan, 2500.0, 2500.0, 2500.0])
    only_states = Prediction(state=np.array([2500.0, np.nan]))
    rows = accuracy_rows(ABOUT, {"a": Prediction(whole), "b": Prediction(part), "c": only_states}, truth)
    assert [(r["level"], r["model"], r["n"]) for r in rows] == [
        ("municipality", "a", 2), ("municipality", "b", 2),
        ("state", "a", 1), ("state", "b", 1), ("state", "c", 1),
        ("country", "a", 1), ("country", "b", 1), ("country", "c", 1),
    ]  # fmt: skip


def test_own_states_and_country_are_used_with_their_intervals():
    truth = harvest([2000.0, 3000.0], [1.0, 1.0], [1.0, 1.0], [0, 1])
    spread = np.array([np.linspace(1000, 2900, len(QUANTILES))] * 2)
    one = Prediction(np.array([1.0, 1.0]), spread, np.array([2100.0, 3100.0]), spread, 2600.0, spread[0])
    rows = accuracy_rows(ABOUT, {"a": one}, truth)
    assert by_model(rows, "state")["a"]["bias"] == 100.0
    assert by_model(rows, "state")["a"]["coverage_90"] == 0.5
    assert by_model(rows, "country")["a"]["bias"] == 100.0
    assert by_model(rows, "country")["a"]["coverage_90"] == 1.0
    with pytest.raises(ValueError, match="municipalities or of states"):
        accuracy_rows(ABOUT, {"a": Prediction()}, truth)


def test_a_file_of_several_backtests():
    kept = [
        {"crop": crop, "protocol": protocol, "n": 1}
        for crop in ("corn", "soybean") for protocol in ("forward", "leave_year_out")
    ]  # fmt: skip
    new = [{"crop": "corn", "protocol": "forward", "n": 2}]
    assert merged(kept, new) == [*kept[1:], *new]
    assert merged([], new) == new
