"""Skill: scores of one model by hand, climatology, pooling over years, leads at which the forecast wins."""

import math

import numpy as np
import pytest
from scipy import stats

from yieldcast.errors import SchemaError
from yieldcast.evaluation.metrics import crps
from yieldcast.evaluation.skill import (
    WinningLeads,
    climatology,
    longest_winning_lead,
    pool_by_lead,
    skill,
    skill_by_state,
    winning_leads,
)
from yieldcast.forecasting.table import QUANTILES

NAN = np.nan
Z = stats.norm.ppf(QUANTILES)


# --- one model, one lead ----------------------------------------------------------------------------------


def test_skill_by_hand():
    point, target = np.array([2000.0, 3000, 4000]), np.array([2100.0, 3000, 3700])
    found = skill(("soybean", 2018, 3), "last_public", point, target)
    # squares 100^2, 0, 300^2; percent 100/2100, 0, 300/3700; without uncertainty the absolute error
    assert found.rmse_kg_ha == pytest.approx(math.sqrt(100_000 / 3))
    assert found.mape_pct == pytest.approx(100 * (100 / 2100 + 300 / 3700) / 3)
    assert found.crps_kg_ha == pytest.approx(400 / 3)
    assert found.coverage90 is None
    assert found.r == pytest.approx(np.corrcoef(point, target)[0, 1])
    assert (found.crop, found.harvest_year, found.lead_months, found.model, found.n) == (
        "soybean", 2018, 3, "last_public", 3,
    )  # fmt: skip
    quantiles = point[:, None] + 100 * Z  # 90 % interval: 164 either side
    ours = skill(("soybean", 2018, 3), "forecast", point, target, quantiles)
    assert ours.coverage90 == pytest.approx(2 / 3)
    assert ours.crps_kg_ha == pytest.approx(crps(quantiles, target).mean())
    assert ours.rmse_kg_ha == found.rmse_kg_ha


def test_what_is_not_a_number_is_none_in_the_json():
    flat = skill(("soybean", 2018, 3), "x", np.full(3, 2000.0), np.array([0.0, 0, 0]))
    assert (flat.r, flat.mape_pct) == (None, None)


def test_climatology_by_hand():
    own = np.arange(100.0, 1100, 100)  # 100 ... 1000: quantile p at position 9 p
    few = np.array([5000.0, 6000, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN])
    none = np.full(10, NAN)
    found = climatology(np.array([own, few, none, few]), np.array(["AA", "AA", "BB", "CC"]))
    np.testing.assert_allclose(found[0], [145, 190, 325, 550, 775, 910, 955])
    # place 2: the twelve values of its state, 100 ... 1000, 5000, 6000: quantile p at position 11 p
    np.testing.assert_allclose(found[1], [155, 210, 375, 650, 925, 4600, 5450])
    # BB has none and CC two, so all fourteen: 100 ... 1000, 5000, 5000, 6000, 6000: position 13 p
    everywhere = np.quantile([*own, 5000, 6000, 5000, 6000], QUANTILES)
    np.testing.assert_allclose(found[2:], [everywhere] * 2)
    assert everywhere[3] == 750  # position 6.5: between 700 and 800


def test_a_state_with_enough_values_serves_places_that_have_none_of_five():
    pairs = np.full((3, 10), NAN)
    pairs[:, :2] = [[1, 2], [3, 4], [5, 6]]
    found = climatology(pairs, np.array(["AA"] * 3))
    np.testing.assert_allclose(found, [np.quantile([1, 2, 3, 4, 5, 6], QUANTILES)] * 3)
    # with five values of its own, its own
    pairs[0, :5] = 9
    assert climatology(pairs, np.array(["AA"] * 3))[0].tolist() == [9] * 7


# --- pooled over years ------------------------------------------------------------------------------------


def row(year, lead, model, n=10, rmse=None, crps=None, coverage=None, crop="soybean"):
    scores = {"rmse_kg_ha": rmse, "crps_kg_ha": crps, "coverage90": coverage}
    return {"crop": crop, "harvest_year": year, "lead_months": lead, "model": model, "n": n, **scores}


def test_scores_are_pooled_by_the_number_of_rows():
    rows = [
        row(2016, 3, "forecast", 10, rmse=300.0, crps=100.0, coverage=0.90),
        row(2017, 3, "forecast", 30, rmse=500.0, crps=200.0, coverage=0.70),
        row(2017, 3, "forecast", 99, rmse=1.0, crop="corn"),
    ]
    (pooled,) = pool_by_lead(rows, "soybean")
    # (10 x 300^2 + 30 x 500^2) / 40 = 210,000; (10 x 100 + 30 x 200) / 40; (10 x 0.9 + 30 x 0.7) / 40
    assert pooled["rmse_kg_ha"] == pytest.approx(math.sqrt(210_000))
    assert pooled["crps_kg_ha"] == pytest.approx(175)
    assert pooled["coverage90"] == pytest.approx(0.75)
    assert (pooled["worst_coverage90"], pooled["worst_year"]) == (0.70, 2017)
    assert (pooled["n"], pooled["harvest_years"]) == (40, [2016, 2017])


def test_a_score_that_is_missing_in_a_year_is_missing():
    rows = [row(2016, 3, "forecast", rmse=1.0, coverage=0.8), row(2017, 3, "forecast", rmse=float("nan"))]
    (pooled,) = pool_by_lead(rows, "soybean")
    assert pooled["rmse_kg_ha"] is None
    assert pooled["coverage90"] is None
    assert pooled["worst_coverage90"] == 0.8


def test_the_longest_lead_comes_first_and_the_forecast_before_the_baselines():
    rows = [row(2016, lead, model) for lead in (0, 9) for model in ("climatology", "forecast")]
    order = [(r["lead_months"], r["model"]) for r in pool_by_lead(rows, "soybean")]
    assert order == [(9, "forecast"), (9, "climatology"), (0, "forecast"), (0, "climatology")]


def scored(ours, *baselines, **more):
    """Rows of one year with the RMSE of the forecast and of baselines at the leads 0, 1, 2, ..."""
    rows = [{**row(2016, lead, "forecast", rmse=value), **more} for lead, value in enumerate(ours)]
    for k, values in enumerate(baselines):
        rows += [{**row(2016, lead, f"baseline{k}", rmse=v), **more} for lead, v in enumerate(values)]
    return rows


def beats(ours, *baselines):
    return longest_winning_lead(pool_by_lead(scored(ours, *baselines), "soybean"), "rmse_kg_ha")


def test_the_lead_from_which_it_wins_at_every_shorter_one():
    found = beats([1, 2, 5, 3], [4, 4, 4, 4], [9, 3, 9, 9])
    assert found["lead_months"] == 1  # loses at 2, so that winning at 3 counts for nothing
    assert [(b["model"], b["won"]) for b in found["best"]] == [
        ("baseline0", True), ("baseline1", True), ("baseline0", False), ("baseline0", True),
    ]  # fmt: skip


def test_a_tie_is_no_win():
    assert beats([4, 1], [4, 4])["lead_months"] is None


def test_without_baselines_nothing_is_compared():
    assert beats([1, 1]) == {"lead_months": None, "best": []}


def test_baselines_scored_in_other_years_are_not_compared():
    rows = [row(y, 0, "forecast", rmse=5.0) for y in (2016, 2017)] + [row(2017, 0, "baseline", rmse=1.0)]
    assert longest_winning_lead(pool_by_lead(rows, "soybean"), "rmse_kg_ha")["best"] == []


def test_rows_of_another_kind_are_refused():
    with pytest.raises(SchemaError, match=r"received one without \['lead_months', 'n'\]"):
        pool_by_lead([{"crop": "soybean", "harvest_year": 2016, "model": "forecast"}], "soybean")


def test_winning_leads_by_hand():
    # It loses at 2, so the lead from which it wins without a break is 1.
    pooled = pool_by_lead(scored([1, 2, 5, 3], [4, 4, 4, 4]), "soybean")
    assert winning_leads(pooled, "rmse_kg_ha") == WinningLeads("rmse_kg_ha", 1, (0, 1, 3), 4)
    late = pool_by_lead(scored([5, 2], [4, 4]), "soybean")
    assert winning_leads(late, "rmse_kg_ha") == WinningLeads("rmse_kg_ha", None, (1,), 2)
    assert winning_leads(late, "crps_kg_ha") == WinningLeads("crps_kg_ha", None, (), 0)


def test_skill_by_state_by_hand():
    rows = [
        *scored([300, 500], [400, 400], [450, 350], state="RS"),
        *scored([100], state="AC", n=3),
        *(
            {**one, "harvest_year": 2017, "n": 20}
            for one in scored([300, 500], [400, 400], [450, 350], state="RS")
        ),
    ]
    alone, both = skill_by_state(rows)
    assert (both.state, both.rows, both.rows_in_a_year) == ("RS", 30, 20)
    assert both.longest == pytest.approx((500, 350))
    assert both.shortest == pytest.approx((300, 400))
    assert both.leads == WinningLeads("rmse_kg_ha", 0, (0,), 2)
    assert (alone.state, alone.rows, alone.longest[0], alone.leads.compared) == ("AC", 3, 100, 0)
    assert math.isnan(alone.shortest[1])


def test_rows_of_both_protocols_are_not_pooled():
    row = {"crop": "soybean", "harvest_year": 2015, "lead_months": 3, "model": "forecast", "n": 1,
           "rmse_kg_ha": 1.0, "crps_kg_ha": 1.0, "coverage90": None}  # fmt: skip
    with pytest.raises(SchemaError, match="rows of one protocol, received forward, leave_year_out"):
        pool_by_lead([row, {**row, "protocol": "leave_year_out"}], "soybean")
