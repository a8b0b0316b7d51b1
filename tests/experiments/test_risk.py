"""Parts of experiments/risk.py: the cost table by hand, and what goes into risk.json."""

from __future__ import annotations

import pandas as pd

import risk
from yieldcast.evaluation.class_scores import RiskScores

ROWS = pd.DataFrame({
    "model": ["forecast"] * 4, "as_of": "2015-02-15", "class": ["low", "low", "high", "medium"],
    "p_low": [0.9, 0.4, 0.6, 0.1],
})  # fmt: skip


def test_costs_by_hand():
    """A miss costs as much as an alarm: flags from 0.5 on, one miss and one alarm in four places."""
    found = RiskScores("soybean", ("low", "medium", "high"), (), ROWS)
    lines = [line.split(" | ") for line in risk.cost_table(found, "02-15").splitlines()[2:]]
    assert [cell.strip("| ") for cell in lines[0]] == ["1", "0.500", "0.500", "0.500"]
    # five times as much: flags from 1/6 on, so one alarm only; no flags cost 10 / 4
    assert [cell.strip("| ") for cell in lines[2]] == ["5", "2.500", "0.500", "0.250"]


def test_the_json_keeps_the_curves_of_all_years_only():
    scores = tuple({"harvest_year": year, "brier": 0.123456, "roc": ((0.0, 1.0),)} for year in (None, 2015))
    pooled, one = risk.short(RiskScores("soybean", (), scores, ROWS))
    assert (pooled["brier"], pooled["roc"], "roc" in one) == (0.1235, [[0.0, 1.0]], False)
