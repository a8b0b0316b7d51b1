from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from yieldcast.errors import LeakageError, MissingDataError, SchemaError
from yieldcast.evaluation.scores import evaluate, evaluate_years
from yieldcast.features.samples import SampleSet
from yieldcast.models.baselines import Baseline

ROW_KEYS = [
    "model", "kind", "n", "r", "mape_pct", "rmse_kg_ha", "bias_kg_ha", "r_sd", "r_max", "mape_sd", "mape_min",
]  # fmt: skip
TARGET = np.array([1000.0, 2000.0, 4000.0])


def samples(target, years=None) -> SampleSet:
    n = len(target)
    years = np.full(n, 2018) if years is None else np.asarray(years)
    return SampleSet(
        dynamic=np.zeros((n, 2, 1), dtype=np.float32),
        static=np.zeros((n, 1), dtype=np.float32),
        target_kg_ha=np.float32(target),
        municipality=np.arange(1, n + 1, dtype=np.int32),
        harvest_year=years.astype(np.int16),
        state=np.full(n, "AA"),
        window_end=np.array([f"{y}-04-30" for y in years], dtype="datetime64[D]"),
        dynamic_names=("tmax_degC",),
        static_names=("latitude_deg",),
    )


def baseline(prediction, fallback=None, history="hindsight") -> Baseline:
    values = np.asarray(prediction, dtype=np.float64)
    return Baseline(
        values, np.zeros(len(values), dtype=bool) if fallback is None else np.array(fallback), history
    )


def test_evaluation_by_hand():
    members = np.array([[1100.0, 1800.0, 4400.0], [1000.0, 2200.0, 3600.0]])
    got = evaluate("soybean", [2016, 2017], members, samples(TARGET), {"last_year": baseline(TARGET)}, [7, 9])
    assert [m.bias_kg_ha for m in got.members] == [pytest.approx(100), pytest.approx(-200 / 3)]
    # MAPE 10 and (0 + 10 + 10)/3 = 6.667: mean 8.333, sd |10 - 6.667|/sqrt(2) = 2.357, best 6.667
    assert got.network.score.mape_pct == pytest.approx(8.3333, abs=1e-3)
    assert got.network.mape_sd == pytest.approx(2.35702, abs=1e-4)
    assert got.network.mape_min == pytest.approx(6.6667, abs=1e-3)
    rs = [m.r for m in got.members]
    assert got.network.score.r == pytest.approx(sum(rs) / 2)
    assert got.network.r_max == max(rs)
    assert got.network.r_sd == pytest.approx(abs(rs[0] - rs[1]) / math.sqrt(2))
    # the mean forecast 1050, 2000, 4000 is better than both: errors 50, 0, 0
    assert got.ensemble.rmse_kg_ha == pytest.approx(50 / math.sqrt(3))
    assert got.baselines["last_year"].score.rmse_kg_ha == 0


def test_json_has_exactly_the_agreed_keys_and_is_strict():
    members = np.array([TARGET + 100, TARGET - 50, TARGET * 1.1])
    baselines = {"last_year": baseline(TARGET), "ridge": baseline(np.full(3, 5.0), history="none")}
    got = evaluate("soybean", range(2011, 2018), members, samples(TARGET), baselines).to_json()
    document = json.loads(json.dumps(got, allow_nan=False))
    assert list(document) == ["crop", "train_years", "test_years", "rows", "scores"]
    assert document["crop"] == "soybean"
    assert document["train_years"] == list(range(2011, 2018))
    assert document["test_years"] == [2018]
    assert document["rows"] == 3
    assert all(list(row) == ROW_KEYS for row in document["scores"])
    assert [(row["model"], row["kind"]) for row in document["scores"]] == [
        ("dual_path", "network"), ("ensemble_mean", "ensemble"),
        ("last_year", "reference"), ("ridge", "reference"),
    ]  # fmt: skip
    network, *others = document["scores"]
    assert all(isinstance(network[key], float) for key in ROW_KEYS[3:])
    assert all(row[key] is None for row in others for key in ROW_KEYS[7:])
    assert document["scores"][3]["r"] is None  # a constant baseline


def test_one_member_has_no_spread_and_a_constant_member_no_correlation():
    one = evaluate("corn", [2017], TARGET[None] + 1, samples(TARGET), {}).to_json()["scores"][0]
    assert (one["r_sd"], one["mape_sd"]) == (None, None)
    assert one["r_max"] == pytest.approx(1)
    stuck = np.stack([TARGET + 1, np.full(3, 2000.0)])
    row = evaluate("corn", [2017], stuck, samples(TARGET), {}).to_json()["scores"][0]
    # a mean over one of two members would look better than the run is
    assert (row["r"], row["r_sd"]) == (None, None)
    assert row["r_max"] == pytest.approx(1)
    assert row["mape_pct"] is not None


def test_members_csv_reads_back():
    members = np.stack([TARGET + 100, np.full(3, 2000.0)])
    got = evaluate("corn", [2017], members, samples(TARGET), {}, [3, 11])
    first, second = csv.DictReader(io.StringIO(got.members_csv()))
    assert list(first) == ["seed", "n", "r", "mape_pct", "rmse_kg_ha", "bias_kg_ha"]
    assert (first["seed"], first["n"], float(first["bias_kg_ha"])) == ("3", "3", 100)
    assert float(first["mape_pct"]) == got.members[0].mape_pct
    assert (second["seed"], second["r"]) == ("11", "")


def test_float32_members_are_scored_like_float64():
    rng = np.random.default_rng(1)
    target = rng.uniform(50_000, 90_000, 5000).astype(np.float32)
    members = (target + rng.normal(0, 1, (2, 5000))).astype(np.float32)
    single, double = (
        evaluate("sugarcane", [2017], m, samples(target), {}) for m in (members, members.astype(np.float64))
    )
    assert single.ensemble == double.ensemble
    assert single.members == double.members


@pytest.mark.parametrize(
    ("train_years", "years", "named"),
    [([2017, 2018], [2018] * 3, "[2018]"), ([2011, 2019], [2018, 2018, 2020], "[2019]")],
)
def test_test_years_must_come_after_training(train_years, years, named):
    with pytest.raises(LeakageError) as error:
        evaluate("corn", train_years, TARGET[None], samples(TARGET, years), {})
    assert named in str(error.value)
    assert error.value.exit_code == 5
    assert error.value.hint


def test_evaluate_refuses_what_does_not_fit():
    rows = samples(TARGET)
    with pytest.raises(SchemaError, match=r"\(member, 3\), received \(1, 2\)"):
        evaluate("corn", [2017], TARGET[None, :2], rows, {})
    with pytest.raises(SchemaError, match=r"received \(3,\)"):
        evaluate("corn", [2017], TARGET, rows, {})
    with pytest.raises(MissingDataError, match="at least one member"):
        evaluate("corn", [2017], TARGET[None][:0], rows, {})
    with pytest.raises(SchemaError, match="a seed for each of 1"):
        evaluate("corn", [2017], TARGET[None], rows, {}, [1, 2])
    with pytest.raises(SchemaError, match="1 rows of 3 without a target"):
        evaluate("corn", [2017], TARGET[None], samples([1.0, np.nan, 2.0]), {})
    with pytest.raises(SchemaError, match="shapes"):
        evaluate("corn", [2017], TARGET[None], rows, {"last_year": baseline(TARGET[:2])})
    with pytest.raises(MissingDataError, match="test years"):
        evaluate("corn", [2017], TARGET[None][:, :0], samples([]), {})


def test_years_apart():
    target, years = np.array([1000.0, 2000.0, 1500.0, 3000.0]), [2017, 2018, 2018, 2017]
    members = np.stack([target + 100, target + np.array([0, 200, 400, 0])])
    baselines = {"last_year": baseline(target + np.array([0, 30, 30, 0]), fallback=[True, True, False, True])}
    got = evaluate_years("corn", [2015], members, samples(target, years), baselines)
    assert list(got) == [2017, 2018]
    assert [e.test_years for e in got.values()] == [(2017,), (2018,)]
    assert [e.ensemble.bias_kg_ha for e in got.values()] == [50, 200]
    assert [e.baselines["last_year"].fallback_rows for e in got.values()] == [2, 1]
    assert [e.baselines["last_year"].score.rmse_kg_ha for e in got.values()] == [0, 30]
    whole = evaluate("corn", [2015], members, samples(target, years), baselines)
    assert whole.test_years == (2017, 2018)
    assert whole.ensemble.bias_kg_ha == 125
