"""forecast.json: what programs read of a forecast."""

import json

import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.forecasting.table import QUANTILES
from yieldcast.reporting.column_labels import COLUMNS, RISK_COLUMNS
from yieldcast.reporting.forecast_json import write_json
from yieldcast.reporting.tables import aggregate_table, municipality_table


def read(path, forecast):
    return json.loads(write_json(path / "forecast.json", forecast).read_text(encoding="utf-8"))


def test_quantiles_parts_baselines_and_official_estimates(tmp_path):
    forecast = synthetic_forecast(parts=True)
    found = read(tmp_path, forecast)
    assert (found["format"], found["as_of"], found["lead_months"]) == (1, "2017-11-15", 6)
    place, row = found["municipalities"][7], forecast.isel(municipality=7)
    assert (place["code"], place["name"], place["state"]) == tuple(
        row[name].item() for name in ("code", "name", "state")
    )
    assert list(place["yield_kg_ha"]) == [f"{level:g}" for level in QUANTILES]
    np.testing.assert_allclose(list(place["yield_kg_ha"].values()), row["yield_kg_ha"].values, atol=0.051)
    assert place["parts_kg_ha"]["official"] == pytest.approx(float(row["part_official_kg_ha"]), abs=0.11)
    assert place["baselines_kg_ha"]["level_trend"] == round(float(row["level_trend_public_kg_ha"]), 1)
    assert set(place["baselines_kg_ha"]) == {
        "last_public", "mean_5y_public", "trend_10y_public", "level_trend", "official"
    }  # fmt: skip
    country, first, *_ = found["aggregates"]
    assert (country["name"], country["official"]) == ("all", None)
    assert first["official"] == {
        "kg_ha": 3120.0, "source": "lspa", "reference": "2017-10", "public_from": "2017-11-09"
    }  # fmt: skip
    for one in (*found["municipalities"], *found["aggregates"]):
        assert sum(one["parts_kg_ha"].values()) == pytest.approx(one["yield_kg_ha"]["0.5"], abs=1e-6)
        assert set(one["parts_kg_ha"]) <= set(found["parts"])


def test_a_forecast_of_the_network_has_no_parts_and_missing_numbers_are_null(tmp_path):
    forecast = synthetic_forecast()
    found = read(tmp_path, forecast)
    assert found["parts"] == {}
    area = forecast["area_planted_ha"].values
    assert [one["area_planted_ha"] is None for one in found["municipalities"]] == np.isnan(area).tolist()
    assert np.isnan(area).any()
    assert {tuple(one["parts_kg_ha"]) for one in (*found["municipalities"], *found["aggregates"])} == {()}
    assert {one["official"] for one in found["aggregates"]} == {None}


def test_the_tables_have_a_label_for_every_part_and_whole_sums():
    forecast = synthetic_forecast(parts=True)
    tables = municipality_table(forecast), aggregate_table(forecast)
    found = {key for table in tables for key in table} | {"part_trees_kg_ha"}
    assert found == set(COLUMNS) - set(RISK_COLUMNS) - {"map_area_ha", "map_area_se_ha"}
    for table in tables:
        parts = [values for key, values in table.items() if key.startswith("part_")]
        np.testing.assert_allclose(np.sum(parts, axis=0), table["yield_p50_kg_ha"], atol=1e-6)
    assert tables[1]["official_kg_ha"][1] == 3120
