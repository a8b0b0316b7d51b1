"""Who wins, and who does not; in both languages."""

from __future__ import annotations

import pytest
from factories import score_rows

from yieldcast import language
from yieldcast.comparison.compare import compare
from yieldcast.comparison.sources import Source, read_source
from yieldcast.comparison.verdict import verdict_text
from yieldcast.evaluation.score_rows import write_rows


def source(tmp_path, rows, model="ours"):
    return Source(tmp_path / f"{model}.csv", model, rows, False)


def compared(tmp_path, a, b, **options):
    return compare(source(tmp_path, a), source(tmp_path, b, "line"), **options)


def said(found, tag="en"):
    return verdict_text(found.verdict, language.of(tag))


def test_a_clear_winner_over_many_years(tmp_path):
    good, bad = (score_rows("m", seed=3, years=range(2006, 2019), scale=scale) for scale in (200, 400))
    found = compared(tmp_path, good, bad)
    assert (found.verdict.outcome, found.verdict.better, found.verdict.years) == ("winner", "ours", 13)
    assert found.metrics[0].differences["year"].method == "bootstrap"
    assert found.verdict.low > 0
    assert said(found).startswith("ours is better than line: its RMSE is better by")
    turned = compared(tmp_path, bad, good)
    assert (turned.verdict.better, turned.verdict.gain) == ("line", pytest.approx(found.verdict.gain))
    assert "line é melhor do que ours" in said(turned, "pt-BR")


def test_one_year_names_no_winner_and_says_how_many_it_would_need(tmp_path):
    good, bad = (score_rows("m", seed=3, years=[2018], scale=scale) for scale in (200, 400))
    for by in ("year", "region"):
        found = compared(tmp_path, good, bad, by=by)
        assert found.verdict.outcome == "one_year"
        assert found.verdict.spread_from == "region"
        assert "one harvest year only" in said(found)
        assert f"about {found.verdict.years_needed} harvest years" in said(found)
    lone = compared(tmp_path, good.assign(state="MT"), bad.assign(state="MT"))
    assert "cannot be told" in said(lone)
    assert lone.verdict.years_needed is None


def test_a_small_difference_names_no_winner(tmp_path):
    good, bad = (score_rows("m", seed=s, years=range(2014, 2019), scale=400) for s in (3, 4))
    found = compared(tmp_path, good, bad)
    assert found.verdict.outcome == "no_winner"
    assert found.verdict.low < 0 < found.verdict.high
    assert "Nenhum vencedor" in said(found, "pt-BR")
    assert found.metrics[0].diebold_mariano.years == 5


def test_identical_predictions_are_named_as_such(tmp_path):
    rows = score_rows("m", seed=3, classes=True)
    found = compared(tmp_path, rows, rows.assign(model="n"))
    assert (found.verdict.outcome, found.identical_share, found.mcnemar.p_value) == ("identical", 1.0, 1.0)
    assert "say the same in all" in said(found)


def test_equal_points_with_other_intervals_are_judged_by_crps(tmp_path):
    rows = score_rows("m", seed=3)
    wider = rows.assign(q05=rows["q05"] - 300, q95=rows["q95"] + 300)
    found = compared(tmp_path, rows, wider)
    assert found.verdict.metric == "crps_kg_ha"
    assert found.identical_share == 0.0


def test_only_common_rows_count_and_those_left_out_are_told(tmp_path):
    rows = score_rows("m", seed=3)
    found = compared(tmp_path, rows[5:], rows.assign(forecast_kg_ha=rows["yield_kg_ha"])[:-3])
    assert (found.rows, found.only_a, found.only_b) == (len(rows) - 8, 3, 5)


def test_a_path_may_hold_a_colon(tmp_path):
    (tmp_path / "a:b").mkdir()
    write_rows(tmp_path / "a:b" / "rows.csv", [score_rows("x", seed=1), score_rows("y", seed=2)])
    assert read_source(f"{tmp_path}/a:b:y").model == "y"
