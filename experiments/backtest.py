"""The results file of a backtest: skill by lead time, interval coverage by year, states.

    yieldcast backtest --store STORE --crop soybean --test-years 2014:2018 --json skill.json --out WORK
    python experiments/backtest.py --folder WORK --crop soybean \\
        --note experiments/results/brazil-2018-data.txt [--beside OTHER --beside-label "without cut seasons"]
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import short_errors
from yieldcast.data.files import make_folder
from yieldcast.errors import MissingDataError
from yieldcast.evaluation.skill import (
    CLIMATOLOGY,
    FORECAST_MODEL,
    pool_by_lead,
    skill_by_state,
    winning_leads,
)
from yieldcast.reporting.figures import skill_png


def by_lead(rows: list[dict[str, Any]], crop: str, score: str) -> str:
    """A score of every model by lead, pooled over harvest years, as a Markdown table."""
    found = {(row["lead_months"], row["model"]): row for row in pool_by_lead(rows, crop)}
    models = list(dict.fromkeys(model for _, model in found))
    leads = sorted({lead for lead, _ in found}, reverse=True)
    lines = [[str(lead), *(_number(found[lead, m][score]) for m in models)] for lead in leads]
    return markdown_table(["months before the end of harvest", *models], lines)


def by_year(rows: list[dict[str, Any]], score: str, models: Sequence[str], digits: int = 0) -> str:
    """A score of some models by lead and harvest year, as a Markdown table."""
    years = sorted({row["harvest_year"] for row in rows})
    leads = sorted({row["lead_months"] for row in rows}, reverse=True)
    found = {(r["lead_months"], r["harvest_year"], r["model"]): r[score] for r in rows}
    lines = [
        [str(lead), *(" / ".join(_number(found.get((lead, y, m)), digits) for m in models) for y in years)]
        for lead in leads
    ]
    return markdown_table(["months before the end of harvest", *map(str, years)], lines)


def reliability(folder: Path, mark: str) -> str:
    """Share of the yields below each quantile of the forecast, and mean width, pooled over harvest years."""
    with open(folder / f"{mark}reliability.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == FORECAST_MODEL]
    levels = [key for key in rows[0] if key.startswith("0.")]
    lines = []
    for lead in sorted({int(row["lead_months"]) for row in rows}, reverse=True):
        own = [row for row in rows if int(row["lead_months"]) == lead]
        total = sum(int(row["n"]) for row in own)
        means = [sum(int(r["n"]) * float(r[key]) for r in own) / total for key in (*levels, "width90_kg_ha")]
        lines.append([str(lead), *(f"{100 * x:.0f}" for x in means[:-1]), f"{means[-1]:.0f}"])
    return markdown_table(
        ["months before the end of harvest", *(f"{100 * float(q):.0f} %" for q in levels), "width kg/ha"],
        lines,
    )


def states(folder: Path, mark: str) -> str:
    """For each state up to which lead the forecast beats the best baseline by RMSE."""
    with open(folder / f"{mark}by-state.csv", encoding="utf-8") as file:
        rows = [_typed(row) for row in csv.DictReader(file)]
    lines = []
    for one in skill_by_state(rows):
        won, lead = f"{len(one.leads.won)} of {one.leads.compared}", one.leads.from_lead
        lines.append([one.state, str(one.rows_in_a_year), won, "-" if lead is None else str(lead)])
    return markdown_table(["state", "most rows in a year", "leads won", "better up to lead (months)"], lines)


def _typed(row: dict[str, str]) -> dict[str, Any]:
    whole, text = ("harvest_year", "lead_months", "n"), ("crop", "model", "state")
    return {
        key: value if key in text else int(value) if key in whole else float(value) if value else None
        for key, value in row.items()
    }


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def sentence(rows: list[dict[str, Any]], crop: str) -> str:
    """Up to which lead the forecast beats the best baseline."""
    pooled, sentences = pool_by_lead(rows, crop), []
    for score, name in (("rmse_kg_ha", "RMSE"), ("crps_kg_ha", "CRPS (against climatology)")):
        leads = winning_leads(pooled, score)
        which = (
            f"at all leads up to {leads.from_lead} months before the end of harvest"
            if leads.from_lead is not None
            else "not at the shortest lead"
        )
        sentences.append(
            f"{name}: better than the best baseline {which} ({len(leads.won)} of {leads.compared} leads)."
        )
    return " ".join(sentences)


def backtest_rows(folder: Path, mark: str) -> list[dict[str, Any]]:
    """The scores that `yieldcast backtest` wrote into its folder.

    Raises:
        MissingDataError: no such file.
    """
    path = folder / f"{mark}backtest.json"
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingDataError(f"no file {path}: {error.strerror}", "Run yieldcast backtest first.") from None
    return rows


def document(given: argparse.Namespace, rows: list[dict[str, Any]], mark: str, figure: Path) -> list[str]:
    """All parts of the results file."""
    rmse, models = "rmse_kg_ha", (FORECAST_MODEL, "boosted_history_public", "mean_5y_public")
    return [
        *heading(f"Skill by lead: {given.crop}", given.command),
        given.note.read_text(encoding="utf-8").strip(),
        sentence(rows, given.crop),
        f"![skill by lead]({figure.name})",
        "## RMSE (kg/ha), pooled over harvest years",
        by_lead(rows, given.crop, rmse),
        f"## RMSE (kg/ha) year by year: {' / '.join(models)}",
        by_year(rows, rmse, models),
        "## CRPS (kg/ha), pooled; the absolute error for models without quantiles",
        by_lead(rows, given.crop, "crps_kg_ha"),
        "## Share within the 90 % interval, year by year: forecast / climatology",
        by_year(rows, "coverage90", (FORECAST_MODEL, CLIMATOLOGY), 2),
        "## Share of yields below each quantile of the forecast, and mean width of the 90 % interval",
        reliability(given.folder, mark),
        "## States, by RMSE",
        states(given.folder, mark),
    ]


def comparison(given: argparse.Namespace, rows: list[dict[str, Any]], mark: str) -> list[str]:
    """RMSE of the forecast of another backtest next to this one."""
    label, rmse = given.beside_label, "rmse_kg_ha"
    ours, others = (
        [row for row in all_rows if row["model"] == FORECAST_MODEL]
        for all_rows in (rows, backtest_rows(given.beside, mark))
    )
    both = [*ours, *({**row, "model": label} for row in others)]
    return [
        f"## RMSE (kg/ha) of the forecast as above and {label}",
        by_lead(both, given.crop, rmse),
        "Year by year, in the same order:",
        by_year(both, rmse, (FORECAST_MODEL, label)),
    ]


def main() -> None:
    """Write the results file and its figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="folder of yieldcast backtest --out")
    add("--crop", required=True)
    add("--command", default="yieldcast backtest ...", help="the command that made the folder")
    add("--beside", type=Path, help="folder of another backtest; its forecast is compared with this one's")
    add("--beside-label", default="other", help="name of the other forecast")
    add("--write", type=Path, default=Path("experiments/results"), help="folder of the results file")
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    given = parser.parse_args()
    with short_errors():
        mark = "" if (given.folder / "backtest.json").is_file() else "synthetic-"
        rows = backtest_rows(given.folder, mark)
        path = given.write / f"{mark}backtest-{given.crop}.md"
        parts = document(given, rows, mark, path.with_suffix(".png"))
        parts += comparison(given, rows, mark) if given.beside is not None else []
        make_folder(given.write)
        skill_png(path.with_suffix(".png"), rows, f"{given.crop}: skill by lead")
        write(path, parts)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
