"""`yieldcast compare` as it is typed: tables, JSON, and what is refused."""

from __future__ import annotations

import json

from factories import refused, score_rows

from yieldcast.evaluation.score_rows import write_rows


def test_the_command_and_its_json(call, tmp_path):
    folder = tmp_path / "backtest"
    folder.mkdir()
    tables = [score_rows(name, seed=k, classes=True) for k, name in enumerate(("forecast", "mean_5y_public"))]
    write_rows(folder / "synthetic-rows.csv.gz", tables)
    file = tmp_path / "compare.json"
    code, out, err = call("compare", folder, f"{folder}:mean_5y_public", "--by", "region", "--json", file)
    assert (code, err) == (0, "")
    for text in ("synthetic data", "95% by years", "macro-F1", "McNemar", "Diebold-Mariano", "No winner"):
        assert text in " ".join(out.split())
    found = json.loads(file.read_text())
    assert found["result"] in " ".join(out.split())
    assert found["names"] == {"a": "forecast", "b": "mean_5y_public"}
    assert [one["name"] for one in found["metrics"]] == [
        "rmse_kg_ha", "mae_kg_ha", "crps_kg_ha", "macro_f1"
    ]  # fmt: skip
    assert found["metrics"][0]["differences"]["year"]["blocks"] == 5
    assert set(found["metrics"][0]["groups"]["region"]) == {"GO", "MT"}
    code, out, _ = call("compare", folder, f"{folder}:mean_5y_public", "--lang", "pt-BR")
    assert (code, "dados sintéticos" in out) == (0, True)


def test_what_cannot_be_compared_is_refused(call, tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv.gz"
    rows = score_rows("m", seed=1)
    write_rows(one, [rows])
    write_rows(other, [rows.assign(crop="corn")])
    refused(call("compare", one, other), 2, "one crop", "corn")
    write_rows(other, [rows, rows.assign(crop="corn")])
    refused(call("compare", one, other), 2, "several crops: corn, soybean", "--crop corn")
    refused(call("compare", one, other, "--crop", "milho"), 2, "no rows of corn")
    assert call("compare", other, other, "--crop", "soja")[0] == 0
    write_rows(other, [rows.assign(as_of="2011-01-01")])
    refused(call("compare", one, other), 3, "received none")
    write_rows(other, [rows.assign(yield_kg_ha=rows["yield_kg_ha"] + 1)])
    refused(call("compare", one, other), 5, "same yield_kg_ha")
    refused(call("compare", one, tmp_path / "none.csv"), 3, "nothing to compare")
    refused(call("compare", one, f"{one}:other"), 2, "'other'")
    write_rows(other, [rows.assign(model=name) for name in ("x", "y")])
    refused(call("compare", one, other), 2, "several models: x, y")
    (tmp_path / "old").mkdir()
    refused(call("compare", one, tmp_path / "old"), 3, "no rows.csv.gz")
    (tmp_path / "old" / "backtest.json").write_text("[]")
    refused(call("compare", one, tmp_path / "old"), 3, "earlier version", "same yieldcast backtest")
    write_rows(one, [rows.assign(state="")])
    refused(call("compare", one, one, "--by", "region"), 3, "states of all rows")


def test_a_run_directory_needs_a_store_and_years(call, forecast_run, tmp_path):
    write_rows(tmp_path / "rows.csv", [score_rows("m", seed=1)])
    refused(call("compare", forecast_run.path, tmp_path / "rows.csv"), 2, "--store and --test-years")
    refused(call("compare", forecast_run.path, forecast_run.path, "--test-years", "2015"), 2, "one of them")
