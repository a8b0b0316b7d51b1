import json

import numpy as np
import pytest

from tests.factories import refused


def test_what_is_probed_must_be_said(call, small_store, tmp_path):
    store = ("--store", small_store.path)
    refused(call("probe", *store), 2, "expected a run or --config, received none")
    refused(call("probe", tmp_path, *store, "--config", tmp_path / "a.toml"), 2, "received both")
    refused(call("probe", *store, "--config", tmp_path / "a.toml"), 3, "no config file")
    refused(call("probe", tmp_path, *store), 3, "no run in")
    refused(call("probe", *store, "--config", tmp_path / "a.toml", "--json", tmp_path / "no" / "a.json"), 3)


@pytest.mark.slow
def test_a_run_passes_and_a_planted_harvest_day_fails(call, forecast_run, forecast_store, tmp_path):
    out = tmp_path / "probe.json"
    command = ("probe", forecast_run.path, "--store", forecast_store.path, "--json", out)
    assert call(*command)[0] == 0
    found = {line["probe"]: line["verdict"] for line in json.loads(out.read_text())["probes"]}
    assert found["network: scaling of its members"] == found["network: future values perturbed"] == "passed"
    yields = forecast_store.yields["yield_kg_ha"].sel(crop="soybean").to_series().dropna()
    thirds = sum((yields > yields.quantile(one)).astype(int) for one in (1 / 3, 2 / 3))
    day = 60 - 15 * thirds + np.random.default_rng(0).normal(0, 2, len(yields))
    day.rename("harvest_day_of_year").to_csv(tmp_path / "mine.csv")
    code, text, _ = call(*command, "--features", tmp_path / "mine.csv", "--lang", "pt-BR")
    assert code == 5
    assert "harvest_day_of_year" in text
