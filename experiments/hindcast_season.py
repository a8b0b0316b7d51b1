"""One past season as it would have been forecast: an issue as of every month, beside what was harvested.

Trains what is missing (each run knows only yields that were public on its date), writes the issues with
their reports, and a table of the months into the results.

    python experiments/hindcast_season.py --store STORE --crop soybean --harvest-year 2018 --out WORK \\
        --issues ISSUES --skill skill.json --note experiments/results/brazil-2018-data.txt
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import xarray as xr
from rich.console import Console

from calendars import CalendarError
from yieldcast.cli.arguments import parse_months
from yieldcast.cli.progress import training_progress
from yieldcast.config import read_settings
from yieldcast.data.files import atomic_text
from yieldcast.data.store import Store
from yieldcast.errors import YieldcastError
from yieldcast.evaluation.backtest import DAY, Backtest, ForecastCase, runs_of
from yieldcast.forecasting.forecast import forecast
from yieldcast.operations.bulletins import Bulletin, write_bulletin
from yieldcast.operations.job import read_skill
from yieldcast.training.run_directory import versions

HEADS = (
    "as of", "weather to", "observed %", "trained on", "median kg/ha", "90 % interval", "production Mt",
    "municipalities: RMSE kg/ha", "within 90 % interval",
)  # fmt: skip


def truth(store: Store, crop: str, harvest_year: int) -> xr.Dataset:
    """What was harvested: yield and area by municipality."""
    return store.yields.sel(crop=crop, harvest_year=harvest_year)


def wanted(test: Backtest, months: str | None) -> list[ForecastCase]:
    """The dates of the season: those of a backtest, or the 15th of the months that were asked for."""
    casts = test.casts()
    if months is None:
        return casts
    first, lead = np.datetime64(casts[0].as_of, "M"), casts[0].lead_months
    found = []
    for month in parse_months(months, "--months"):
        day = month.astype("datetime64[D]").item().replace(day=DAY)
        found.append(ForecastCase(casts[0].harvest_year, day, lead - int((month - first).astype(int))))
    return found


def row(table: xr.Dataset, harvested: xr.Dataset) -> list[str]:
    """One line of the table of months."""
    low, median, high = (float(table["aggregate_yield_kg_ha"].values[0, k]) for k in (0, 3, 6))
    area = float(table["aggregate_area_planted_ha"].values[0])
    actual = harvested["yield_kg_ha"].reindex(municipality=table["municipality"]).values
    there = np.nan_to_num(actual) > 0
    error = (table["yield_mean_kg_ha"].values - actual)[there]
    ends = table["yield_kg_ha"].values
    inside = ((actual >= ends[:, 0]) & (actual <= ends[:, -1]))[there]
    return [
        str(table.attrs["as_of"]), str(table.attrs["weather_known_to"]),
        f"{100 * float(table['aggregate_observed_share'].values[0]):.0f}", str(table.attrs["train_years"]),
        f"{median:.0f}", f"{low:.0f} to {high:.0f}", f"{median * area / 1e9:.1f}",
        f"{np.sqrt((error**2).mean()):.0f}", f"{100 * inside.mean():.0f} %",
    ]  # fmt: skip


def national(harvested: xr.Dataset, crop: str) -> str:
    """What the whole country harvested, over the municipalities of the store."""
    area, kg = harvested["area_harvested_ha"].values, harvested["yield_kg_ha"].values
    known = np.isfinite(area) & np.isfinite(kg)
    tonnes = (area * kg)[known].sum() / 1000
    mean = 1000 * tonnes / area[known].sum()
    return (
        f"Harvested: {mean:.0f} kg/ha of {crop} on {area[known].sum() / 1e6:.2f} Mha, {tonnes / 1e6:.1f} Mt."
    )


def write_results(
    given: argparse.Namespace,
    lines: list[list[str]],
    harvested: xr.Dataset,
    last: Bulletin,
    table: xr.Dataset,
) -> Path:
    """The results file: date, command, data, months, what changed last."""
    mark = "synthetic-" if table.attrs["synthetic"] else ""
    path: Path = given.write / f"{mark}hindcast-{given.crop}-{given.harvest_year}.md"
    grid = [HEADS, ["---"] * len(HEADS), *lines]
    parts = [
        f"# {given.crop} {given.harvest_year} as it would have been forecast",
        f"Date: {dt.date.today()}. Command:\n\n```\npython {' '.join(sys.argv)}\n```",
        f"Made with {', '.join(f'{k} {v}' for k, v in versions().items())}.",
        given.note.read_text(encoding="utf-8").strip(),
        national(harvested, given.crop)
        + " Production below is the median yield on the last public planted area.",
        "\n".join(f"| {' | '.join(cells)} |" for cells in grid),
        "## What the last issue says of itself, beside the one before",
        f"```text\n{last.summary('en')}\n```",
    ]
    given.write.mkdir(parents=True, exist_ok=True)
    atomic_text(path, "\n\n".join(parts) + "\n")
    return path


def main() -> int:
    """Every issue of the season, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--crop", required=True)
    add("--harvest-year", type=int, required=True)
    add("--out", type=Path, required=True, help="folder of a backtest: its runs are used and added to")
    add("--issues", type=Path, required=True, help="folder of the issues")
    add(
        "--months",
        metavar="YYYY-MM:YYYY-MM",
        help="as of the 15th of these; from before sowing to harvest if none",
    )
    add("--seeds", type=int, default=30)
    add("--scenarios", default="climatology")
    add("--config", type=Path, help="settings, TOML; the preset forecast if none")
    add("--skill", type=Path, help="rows of yieldcast backtest --json, for the reports")
    add("--lang", choices=("en", "pt"), default="en")
    add("--write", type=Path, default=Path("experiments/results"))
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    given = parser.parse_args()
    screen = Console(markup=False, highlight=False)
    try:
        settings, store = read_settings(given.config, preset="forecast"), Store.open(given.store)
        test = Backtest(
            store, given.crop, (given.harvest_year,), given.out, settings, given.seeds, given.scenarios
        )
        harvested, lines = truth(store, given.crop, given.harvest_year), list[list[str]]()
        skill: Any = read_skill(given.skill, given.crop)
        run_for = runs_of(test, lambda label: training_progress(settings.training.max_epochs, screen, label))
        for cast in wanted(test, given.months):
            table = forecast(run_for(cast), store, cast.harvest_year, cast.as_of, given.scenarios)
            issue = write_bulletin(
                given.issues, table, mesh=store.mesh, lang=given.lang, skill=skill, notice=screen.print
            )
            lines.append(row(table, harvested))
            screen.print(", ".join(f"{head}: {cell}" for head, cell in zip(HEADS, lines[-1], strict=True)))
        screen.print(f"written: {write_results(given, lines, harvested, issue, table)}")
    except (YieldcastError, CalendarError) as error:
        print(f"Error: {error}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
