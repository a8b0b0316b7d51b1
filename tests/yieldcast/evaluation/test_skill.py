import math

import pytest

from yieldcast.errors import SchemaError
from yieldcast.evaluation import skill


def row(year, lead, model, n=10, rmse=None, crps=None, coverage=None, crop="soybean"):
    scores = {"rmse_kg_ha": rmse, "crps_kg_ha": crps, "coverage90": coverage}
    return {"crop": crop, "harvest_year": year, "lead_months": lead, "model": model, "n": n, **scores}


def test_scores_are_pooled_by_the_number_of_rows():
    rows = [
        row(2016, 3, "forecast", 10, rmse=300.0, crps=100.0, coverage=0.90),
        row(2017, 3, "forecast", 30, rmse=500.0, crps=200.0, coverage=0.70),
        row(2017, 3, "forecast", 99, rmse=1.0, crop="corn"),
    ]
    (pooled,) = skill.pool_by_lead(rows, "soybean")
    # (10 x 300^2 + 30 x 500^2) / 40 = 210,000; (10 x 100 + 30 x 200) / 40; (10 x 0.9 + 30 x 0.7) / 40
    assert pooled["rmse_kg_ha"] == pytest.approx(math.sqrt(210_000))
    assert pooled["crps_kg_ha"] == pytest.approx(175)
    assert pooled["coverage90"] == pytest.approx(0.75)
    assert (pooled["worst_coverage90"], pooled["worst_year"]) == (0.70, 2017)
    assert (pooled["n"], pooled["harvest_years"]) == (40, [2016, 2017])


def test_a_score_that_is_missing_in_a_year_is_missing():
    rows = [row(2016, 3, "forecast", rmse=1.0, coverage=0.8), row(2017, 3, "forecast", rmse=float("nan"))]
    (pooled,) = skill.pool_by_lead(rows, "soybean")
    assert pooled["rmse_kg_ha"] is None
    assert pooled["coverage90"] is None
    assert pooled["worst_coverage90"] == 0.8


def test_the_longest_lead_comes_first_and_ours_before_the_lines():
    rows = [row(2016, lead, model) for lead in (0, 9) for model in ("climatology", "forecast")]
    order = [(r["lead_months"], r["model"]) for r in skill.pool_by_lead(rows, "soybean")]
    assert order == [(9, "forecast"), (9, "climatology"), (0, "forecast"), (0, "climatology")]


def beats(ours, *lines):
    """Scores per lead of ours and the lines; leads are 0, 1, 2 ..."""
    rows = [row(2016, lead, "forecast", rmse=value) for lead, value in enumerate(ours)]
    for k, line in enumerate(lines):
        rows += [row(2016, lead, f"line{k}", rmse=value) for lead, value in enumerate(line)]
    return skill.longest_winning_lead(skill.pool_by_lead(rows, "soybean"), "rmse_kg_ha")


def test_the_lead_from_which_it_wins_at_every_shorter_one():
    found = beats([1, 2, 5, 3], [4, 4, 4, 4], [9, 3, 9, 9])
    assert found["lead_months"] == 1  # loses at 2, so that winning at 3 counts for nothing
    assert [(b["model"], b["won"]) for b in found["best"]] == [
        ("line0", True), ("line1", True), ("line0", False), ("line0", True),
    ]  # fmt: skip


def test_a_tie_is_no_win():
    assert beats([4, 1], [4, 4])["lead_months"] is None


def test_without_reference_lines_nothing_is_said():
    assert beats([1, 1]) == {"lead_months": None, "best": []}


def test_lines_scored_in_other_years_are_not_compared():
    rows = [row(y, 0, "forecast", rmse=5.0) for y in (2016, 2017)] + [row(2017, 0, "line", rmse=1.0)]
    assert skill.longest_winning_lead(skill.pool_by_lead(rows, "soybean"), "rmse_kg_ha")["best"] == []


def test_rows_of_another_kind_are_refused():
    with pytest.raises(SchemaError, match=r"received one without \['lead_months', 'n'\]"):
        skill.pool_by_lead([{"crop": "soybean", "harvest_year": 2016, "model": "forecast"}], "soybean")
