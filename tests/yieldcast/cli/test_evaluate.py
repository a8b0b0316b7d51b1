"""`yieldcast evaluate --task risk` as it is typed: tables, files, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest
from factories import refused

from yieldcast.evaluation.score_rows import read_rows


@pytest.fixture
def typed(call, forecast_run, forecast_store, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(forecast_run.path, run)

    def scored(*more, years="2015:2016"):
        return call(
            "evaluate", run, "--store", forecast_store.path, "--test-years", years, "--task", "risk",
            "--draws", 0, *more,
        )  # fmt: skip

    return scored, run


@pytest.mark.slow
def test_scores_of_classes_as_typed(typed, tmp_path):
    scored, run = typed
    file = tmp_path / "risk.json"
    code, out, err = scored("--as-of", "02-15", "--json", file)
    assert (code, err) == (0, "")
    for text in ("synthetic data", "macro-F1", "Brier", "climatology", "dummy", "forecast on 02-15", "2015"):
        assert text in " ".join(out.split())
    found = json.loads(file.read_text())
    assert found["dates"] == ["2015-02-15", "2016-02-15"]
    assert {row["model"] for row in found["scores"]} == {"forecast", "dummy", "climatology"}
    assert json.loads((run / "synthetic-risk-2015-2016.json").read_text()) == found
    rows = read_rows(run / "synthetic-risk-2015-2016-rows.csv.gz")
    assert rows["predicted_class"].ne("").all()
    kept = {path: path.stat().st_mtime_ns for path in (run / "risk-scores").iterdir()}
    code, out, _ = scored("--as-of", "2016-02-15", "--lang", "pt-BR")  # the same dates
    assert (code, "dados sintéticos" in " ".join(out.split())) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in (run / "risk-scores").iterdir()} == kept


def test_what_cannot_be_scored_is_refused(typed, call):
    scored, run = typed
    refused(scored("--as-of", "2-15"), 2, "--as-of")
    refused(scored(years="2013"), 5, "2013")
    refused(scored("--threshold", 900000, "--as-of", "02-15"), 5, "received none in: not_low")
    refused(call("evaluate", run, "--store", run, "--test-years", "2015", "--threshold", 9), 2, "--task risk")


def test_a_run_is_compared_with_a_baseline_of_its_rows(typed, call, forecast_store):
    _, run = typed
    scored = ("--store", forecast_store.path, "--test-years", "2015:2016")
    code, out, err = call("compare", run, f"{run}:mean_5y_public", *scored)
    assert (code, err) == (0, "")
    for text in ("A: ensemble_mean, B: mean_5y_public (synthetic data)", "2 years", "than"):
        assert text in " ".join(out.split())
    code, out, _ = call("compare", run, run, *scored, "--lang", "pt-BR")
    assert "dizem o mesmo" in " ".join(out.split())
