"""The results file of a backtest: skill by lead, coverage year by year, states, and what cut seasons change.

    yieldcast backtest --store STORE --crop soybean --test-years 2014:2018 --json skill.json --out WORK
    python experiments/backtest.py --folder WORK --crop soybean \\
        --note experiments/results/brazil-2018-data.txt [--beside OTHER --beside-label "without cut seasons"]
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yieldcast.data.files import atomic_text
from yieldcast.errors import YieldcastError
from yieldcast.evaluation.skill import FORECAST_MODEL, longest_winning_lead, pool_by_lead
from yieldcast.reporting.figures import skill_png
from yieldcast.training.run_directory import versions


def grid(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["---", *["--:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *lines))


def by_lead(rows: list[dict[str, Any]], crop: str, score: str) -> str:
    """A score of every model at every lead, pooled over years."""
    found = {(row["lead_months"], row["model"]): row for row in pool_by_lead(rows, crop)}
    models = list(dict.fromkeys(model for _, model in found))
    leads = sorted({lead for lead, _ in found}, reverse=True)
    lines = [[str(lead), *(_number(found[lead, m][score]) for m in models)] for lead in leads]
    return grid(["months before the end of harvest", *models], lines)


def by_year(rows: list[dict[str, Any]], score: str, models: Sequence[str], digits: int = 0) -> str:
    """A score year by year, lead by lead, of some models."""
    years = sorted({row["harvest_year"] for row in rows})
    leads = sorted({row["lead_months"] for row in rows}, reverse=True)
    found = {(r["lead_months"], r["harvest_year"], r["model"]): r[score] for r in rows}
    lines = [
        [str(lead), *(" / ".join(_number(found.get((lead, y, m)), digits) for m in models) for y in years)]
        for lead in leads
    ]
    return grid(["months before the end of harvest", *map(str, years)], lines)


def reliability(folder: Path, mark: str) -> str:
    """Share of the yields below each quantile of our forecast, and the width, pooled over casts by n."""
    with open(folder / f"{mark}reliability.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == FORECAST_MODEL]
    levels = [key for key in rows[0] if key.startswith("0.")]
    lines = []
    for lead in sorted({int(row["lead_months"]) for row in rows}, reverse=True):
        own = [row for row in rows if int(row["lead_months"]) == lead]
        total = sum(int(row["n"]) for row in own)
        means = [sum(int(r["n"]) * float(r[key]) for r in own) / total for key in (*levels, "width90_kg_ha")]
        lines.append([str(lead), *(f"{100 * x:.0f}" for x in means[:-1]), f"{means[-1]:.0f}"])
    return grid(
        ["months before the end of harvest", *(f"{100 * float(q):.0f} %" for q in levels), "width kg/ha"],
        lines,
    )


def states(folder: Path, mark: str) -> str:
    """For each state from which lead the forecast beats the best reference line by RMSE."""
    with open(folder / f"{mark}by-state.csv", encoding="utf-8") as file:
        rows = [_typed(row) for row in csv.DictReader(file)]
    lines = []
    for state in sorted({row["state"] for row in rows}):
        own = [row for row in rows if row["state"] == state]
        beats = longest_winning_lead(pool_by_lead(own, own[0]["crop"]), "rmse_kg_ha")
        won = sum(one["won"] for one in beats["best"])
        lead = "-" if beats["lead_months"] is None else str(beats["lead_months"])
        lines.append([state, str(max(r["n"] for r in own)), f"{won} of {len(beats['best'])}", lead])
    return grid(["state", "most rows in a year", "leads won", "ahead from (months)"], lines)


def _typed(row: dict[str, str]) -> dict[str, Any]:
    whole, text = ("harvest_year", "lead_months", "n"), ("crop", "model", "state")
    return {
        key: value if key in text else int(value) if key in whole else float(value) if value else None
        for key, value in row.items()
    }


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def sentence(rows: list[dict[str, Any]], crop: str) -> str:
    """From which lead the forecast beats the best reference line."""
    told = []
    for score, name in (("rmse_kg_ha", "RMSE"), ("crps_kg_ha", "CRPS (against climatology)")):
        beats = longest_winning_lead(pool_by_lead(rows, crop), score)
        won, lead = [one["lead_months"] for one in beats["best"] if one["won"]], beats["lead_months"]
        start = (
            f"from {lead} months before the end of harvest on"
            if lead is not None
            else "not up to the harvest"
        )
        told.append(
            f"{name}: ahead of the best reference line {start} ({len(won)} of {len(beats['best'])} leads)."
        )
    return " ".join(told)


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="of yieldcast backtest --out")
    add("--crop", required=True)
    add("--command", default="yieldcast backtest ...", help="the command that made the folder")
    add("--beside", type=Path, help="folder of another backtest, whose forecast stands beside this one's")
    add("--beside-label", default="other")
    add("--write", type=Path, default=Path("experiments/results"))
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    given = parser.parse_args()
    mark = "" if (given.folder / "backtest.json").is_file() else "synthetic-"
    rows = json.loads((given.folder / f"{mark}backtest.json").read_text(encoding="utf-8"))
    stem = f"{mark}backtest-{given.crop}"
    ours = [row for row in rows if row["model"] == FORECAST_MODEL]
    both = (FORECAST_MODEL, "climatology")
    parts = [
        f"# Skill by lead: {given.crop}",
        f"Date: {dt.date.today()}. Commands:\n\n```\n{given.command}\npython {' '.join(sys.argv)}\n```",
        f"Made with {', '.join(f'{k} {v}' for k, v in versions().items())}.",
        given.note.read_text(encoding="utf-8").strip(),
        sentence(rows, given.crop),
        f"![skill by lead]({stem}.png)",
        "## RMSE (kg/ha), pooled over harvest years\n\n" + by_lead(rows, given.crop, "rmse_kg_ha"),
        "## RMSE (kg/ha) year by year: forecast / boosted_history_public / mean_5y_public\n\n"
        + by_year(rows, "rmse_kg_ha", (FORECAST_MODEL, "boosted_history_public", "mean_5y_public")),
        "## CRPS (kg/ha), pooled; of lines without uncertainty the absolute error\n\n"
        + by_lead(rows, given.crop, "crps_kg_ha"),
        "## Share within the 90 % interval, year by year: forecast / climatology\n\n"
        + by_year(rows, "coverage90", both, 2),
        "## Share of yields below each quantile of the forecast, and mean width of the 90 % interval\n\n"
        + reliability(given.folder, mark),
        "## States, by RMSE\n\n" + states(given.folder, mark),
    ]
    if given.beside is not None:
        other = json.loads((given.beside / f"{mark}backtest.json").read_text(encoding="utf-8"))
        theirs = [{**row, "model": given.beside_label} for row in other if row["model"] == FORECAST_MODEL]
        parts.append(
            f"## RMSE (kg/ha) of the forecast as above and {given.beside_label}\n\n"
            + by_lead([*ours, *theirs], given.crop, "rmse_kg_ha") + "\n\nYear by year, in the same order:\n\n"
            + by_year([*ours, *theirs], "rmse_kg_ha", (FORECAST_MODEL, given.beside_label))
        )  # fmt: skip
    given.write.mkdir(parents=True, exist_ok=True)
    try:
        skill_png(given.write / f"{stem}.png", rows, f"{given.crop}: skill by lead")
        atomic_text(given.write / f"{stem}.md", "\n\n".join(parts) + "\n")
    except YieldcastError as error:
        print(f"Error: {error}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    print(f"written: {given.write / stem}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
