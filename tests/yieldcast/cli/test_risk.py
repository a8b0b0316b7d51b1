"""`yieldcast risk` on a store and a run of an earlier version: files, options, errors."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.factories import refused

OLD = Path(__file__).parents[2] / "old_files"
SEASON = ("--harvest-year", "2015", "--as-of", "2015-02-15")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old") / "files"
    shutil.copytree(OLD, folder)
    return folder


@pytest.fixture
def risk(call, files):
    def run(*more):
        return call("risk", files / "run", "--store", files / "store", *SEASON, *more)

    return run


def test_risk_on_the_screen_and_in_files(risk, tmp_path):
    out, numbers = tmp_path / "out", tmp_path / "risk.json"
    code, text, _ = risk("--cost-miss", 3, "--cost-alarm", 1, "--out", out, "--json", numbers)
    assert code == 0
    assert "risk of a low yield as of" in text
    assert "Most at risk" in text
    assert sorted(path.name for path in out.iterdir()) == [
        "risk-areas.csv", "risk.csv", "risk.gpkg", "risk.html", "risk.xlsx",
    ]  # fmt: skip
    said = json.loads(numbers.read_text())
    assert said["costs"] == {"miss": 3.0, "alarm": 1.0, "flag_from": 0.25}
    assert said["classes"]["years"] == [2011, 2012, 2013]
    with (out / "risk.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert [float(row["p_low"]) for row in rows] == [one["p_low"] for one in said["municipalities"]]
    assert [row["Flag"] == "yes" for row in rows] == [one["p_low"] >= 0.25 for one in said["municipalities"]]
    assert '"risk":{"flag_from":0.25' in (out / "risk.html").read_text(encoding="utf-8")


def test_layers_of_the_geopackage(risk, tmp_path):
    import pyogrio

    assert risk("--out", tmp_path / "out", "--threshold", 3300, "--lang", "pt-BR")[0] == 0
    table = pyogrio.read_dataframe(tmp_path / "out" / "risk.gpkg", layer="municipalities")
    assert {"p_low", "p_not_low", "class", "flag", "expected_cost"} <= set(table.columns)
    assert set(table["class"]) <= {"low", "not_low"}  # names are English in every language
    assert len(pyogrio.read_dataframe(tmp_path / "out" / "risk.gpkg", layer="states")) == 11


def test_options_that_cannot_be_exit_2(risk, tmp_path):
    refused(risk("--cost-miss", 3), 2, "expected both costs or none, received --cost-miss only")
    refused(risk("--cost-alarm", 3), 2, "received --cost-alarm only")
    refused(risk("--cost-miss", 0, "--cost-alarm", 1), 2, "above 0, received 0")
    refused(risk("--cost-miss", 1, "--cost-alarm=-2"), 2, "above 0, received -2")
    refused(risk("--threshold", 3000, "--classes", "municipality"), 2, "exclude each other")
    refused(risk("--threshold", -3), 2, "expected a threshold above 0 kg/ha")


def test_a_class_without_rows_exits_5_and_writes_nothing(risk, tmp_path):
    refused(risk("--threshold", 3.3, "--out", tmp_path / "out"), 5, "received none in: low")
    assert not list((tmp_path / "out").glob("*"))


def test_a_bulletin_is_not_written_into(risk, files):
    bulletin = next((files / "bulletins").rglob("issue.json")).parent
    before = sorted(path.name for path in bulletin.iterdir())
    refused(risk("--out", bulletin), 2, "is a bulletin")
    assert sorted(path.name for path in bulletin.iterdir()) == before


@pytest.mark.slow
def test_both_sources(risk, tmp_path):
    numbers = tmp_path / "risk.json"
    code, _, _ = risk(
        "--source", "both", "--draws", 1, "--search-rows", 20, "--json", numbers, "--threshold", 3300
    )
    assert code == 0
    said = json.loads(numbers.read_text())
    assert said["sources"] == ["forecast", "classifier"]
    assert said["classifier"]["name"] in ("logistic", "forest", "boosting", "mlp")
    for one in said["municipalities"]:
        mean = (one["forecast_p_low"] + one["classifier_p_low"]) / 2
        assert one["p_low"] == pytest.approx(mean, abs=2e-4)
