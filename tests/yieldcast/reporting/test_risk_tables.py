"""Tables of risk: sums by state, columns in both languages, files, the layers of the map."""

from __future__ import annotations

import csv
import datetime as dt
import io

import numpy as np
import pytest

from tests.factories import synthetic_forecast
from yieldcast.reporting import html, risk_tables
from yieldcast.risk.classes import ClassRule
from yieldcast.risk.decisions import Costs
from yieldcast.risk.forecast import Risk, forecast_probabilities


@pytest.fixture(scope="module")
def forecast():
    return synthetic_forecast()


def risk_of_borders(forecast, borders, sources=("forecast",), costs=Costs(3.0, 1.0)) -> Risk:  # noqa: B008
    name = "terciles" if len(borders) == 2 else "threshold"
    rule = ClassRule(name, np.array(borders), (2014, 2015, 2016))
    found = forecast_probabilities(forecast, rule)
    return Risk(
        "soybean", 2018, dt.date(2017, 11, 15), rule, costs, forecast["municipality"].values,
        forecast["state"].values.astype(str), {source: found.copy() for source in sources},
    )  # fmt: skip


@pytest.fixture(scope="module")
def risk(forecast):
    median = float(np.median(forecast["yield_kg_ha"].values))
    return risk_of_borders(forecast, [median - 200.0, median + 200.0])


def test_places(risk, forecast) -> None:
    table = risk_tables.place_table(risk, forecast)
    total = table["p_low"] + table["p_medium"] + table["p_high"]
    np.testing.assert_allclose(total, 1.0, atol=2e-4)
    assert (table["flag"] == (risk.p_low >= 0.25)).all()
    cost = np.where(table["flag"], 1.0 - risk.p_low, 3.0 * risk.p_low)
    np.testing.assert_allclose(table["expected_cost"], cost, atol=5e-4)
    assert set(table["class"]) <= {"low", "medium", "high"}


def test_areas_are_sums_of_their_places(risk, forecast) -> None:
    areas, places = risk_tables.area_table(risk, forecast), risk_tables.place_table(risk, forecast)
    assert areas["aggregate"].tolist() == ["all", *sorted(set(places["state"].tolist()))]
    for key in ("municipalities", "places_flagged", "area_flagged_ha", "low_area_ha", "expected_cost"):
        assert areas[key][0] == pytest.approx(areas[key][1:].sum(), abs=2.0)
    mine = places["state"] == areas["aggregate"][1]
    assert areas["places_flagged"][1] == places["flag"][mine].sum()
    low_area = np.nansum(np.nan_to_num(places["area_planted_ha"][mine]) * risk.p_low[mine])
    assert areas["low_area_ha"][1] == pytest.approx(low_area, rel=1e-3)


def test_a_place_without_a_probability_is_left_blank(forecast) -> None:
    some = risk_of_borders(forecast, [2000.0, 4000.0])
    some.sources["forecast"][0] = np.nan
    table = risk_tables.place_table(some, forecast)
    assert np.isnan(table["p_low"][0])
    assert table["class"][0] == ""
    assert not table["flag"][0]
    assert risk_tables.risk_json(some, forecast)["municipalities"][0]["p_low"] is None
    assert risk_tables.map_columns(some)["places"]["flag"][0] is None


def test_two_sources_are_averaged_and_shown(forecast) -> None:
    both = risk_of_borders(forecast, [2500.0], ("forecast", "classifier"))
    both.sources["classifier"][:] = [0.0, 1.0]
    table = risk_tables.place_table(both, forecast)
    np.testing.assert_allclose(table["p_low"], both.sources["forecast"][:, 0] / 2, atol=1e-4)
    assert "p_medium" not in table
    np.testing.assert_allclose(table["p_low"] + table["p_not_low"], 1.0, atol=2e-4)
    np.testing.assert_array_equal(table["classifier_p_low"], 0.0)
    both.sources["classifier"][0] = np.nan  # the other source knows the place
    assert both.p_low[0] == both.sources["forecast"][0, 0]


def test_files_in_both_languages(risk, forecast, tmp_path) -> None:
    from openpyxl import load_workbook

    written = risk_tables.write_risk(tmp_path, risk, forecast, None, "pt-BR")
    assert [path.name for path in written] == ["risk.csv", "risk-areas.csv", "risk.xlsx"]
    text = (tmp_path / "risk.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert len(rows) == 60
    assert rows[0]["p_baixa"] == f"{risk.p_low[0]:.4f}".replace(".", ",")
    assert {row["Classe"] for row in rows} <= {"baixa", "média", "alta"}
    assert {row["Alerta"] for row in rows} <= {"sim", "não"}
    risk_tables.write_risk(tmp_path, risk, forecast, None, "en")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "risk.csv").read_text(encoding="utf-8"))))
    assert float(rows[0]["p_low"]) == pytest.approx(risk.p_low[0], abs=5e-5)
    sheet = load_workbook(tmp_path / "risk.xlsx").worksheets[0]
    heading = [cell.value for cell in sheet[1]]
    assert sheet.cell(2, heading.index("p_low") + 1).value == pytest.approx(risk.p_low[0], abs=5e-5)
    assert sheet.cell(2, heading.index("p_low") + 1).number_format == "0.0000"


def test_the_map_has_the_layers_only_with_a_risk(risk, forecast) -> None:
    plain, with_risk = html.contents(forecast), html.contents(forecast, risk=risk_tables.map_columns(risk))
    assert plain["risk"] is None
    assert "p_low" not in plain["places"]
    assert with_risk["places"]["p_low"] == np.round(risk.p_low, 3).tolist()
    assert with_risk["places"]["flag"] == risk.flagged.astype(int).tolist()
    assert with_risk["risk"] == {"flag_from": 0.25, "border": round(risk.rule.borders_kg_ha[0])}
