"""One past season as it would have been forecast: a bulletin for every month, compared with the harvest.

Trains the runs that are missing (each only on yields that were public on its date), writes the bulletins with
their reports, and a results file with a table of the months.

    python experiments/hindcast_season.py --store STORE --crop soybean --harvest-year 2018 --out WORK \\
        --bulletins BULLETINS --skill skill.json --note experiments/results/brazil-2018-data.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from results_file import heading, markdown_table, write
from yieldcast.cli.arguments import parse_months
from yieldcast.cli.progress import training_progress
from yieldcast.cli.terminal import console, load_tensorflow, short_errors
from yieldcast.config import read_settings
from yieldcast.data.store import Store
from yieldcast.evaluation.backtest import Backtest, ForecastCase, runs_of
from yieldcast.evaluation.cases import DAY
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.operations.bulletins import Bulletin, write_bulletin
from yieldcast.operations.job import read_skill

HEADS = (
    "as of", "weather to", "observed %", "trained on", "median kg/ha", "90 % interval", "production Mt",
    "municipalities: RMSE kg/ha", "within 90 % interval",
)  # fmt: skip


def truth(store: Store, crop: str, harvest_year: int) -> xr.Dataset:
    """Harvested yield and area by municipality."""
    return store.yields.sel(crop=crop, harvest_year=harvest_year)


def wanted(test: Backtest, months: str | None) -> list[ForecastCase]:
    """Dates of forecasts: those of a backtest, or the 15th of the given months."""
    cases = test.cases()
    if months is None:
        return cases
    first, lead = np.datetime64(cases[0].as_of, "M"), cases[0].lead_months
    found = []
    for month in parse_months(months, "--months"):
        day = month.astype("datetime64[D]").item().replace(day=DAY)
        found.append(ForecastCase(cases[0].harvest_year, day, lead - int((month - first).astype(int))))
    return found


def row(table: xr.Dataset, harvested: xr.Dataset) -> list[str]:
    """Cells of one month, see `HEADS`."""
    low, median, high = (float(table["aggregate_yield_kg_ha"].values[0, k]) for k in (0, 3, 6))
    area = float(table["aggregate_area_planted_ha"].values[0])
    actual = harvested["yield_kg_ha"].reindex(municipality=table["municipality"]).values
    grown = np.nan_to_num(actual) > 0
    error = (table["yield_mean_kg_ha"].values - actual)[grown]
    ends = table["yield_kg_ha"].values
    inside = ((actual >= ends[:, 0]) & (actual <= ends[:, -1]))[grown]
    return [
        str(table.attrs["as_of"]), str(table.attrs["weather_known_to"]),
        f"{100 * float(table['aggregate_observed_share'].values[0]):.0f}", str(table.attrs["train_years"]),
        f"{median:.0f}", f"{low:.0f} to {high:.0f}", f"{median * area / 1e9:.1f}",
        f"{np.sqrt((error**2).mean()):.0f}", f"{100 * inside.mean():.0f} %",
    ]  # fmt: skip


def national(harvested: xr.Dataset, crop: str) -> str:
    """Mean yield, area and production of all municipalities of the store, as a sentence."""
    area, kg = harvested["area_harvested_ha"].values, harvested["yield_kg_ha"].values
    known = np.isfinite(area) & np.isfinite(kg)
    tonnes = (area * kg)[known].sum() / 1000
    mean = 1000 * tonnes / area[known].sum()
    return (
        f"Harvested: {mean:.0f} kg/ha of {crop} on {area[known].sum() / 1e6:.2f} Mha, {tonnes / 1e6:.1f} Mt."
    )


def document(
    given: argparse.Namespace, lines: Sequence[Sequence[str]], harvested: xr.Dataset, last: Bulletin
) -> list[str]:
    """All parts of the results file: commands, data, the months, what changed last."""
    return [
        *heading(f"{given.crop} {given.harvest_year} as it would have been forecast"),
        given.note.read_text(encoding="utf-8").strip(),
        f"{national(harvested, given.crop)} Production below is the median yield times the newest public "
        "planted area.",
        markdown_table(HEADS, lines, right=False),
        "## What changed in the last bulletin",
        f"```text\n{last.summary('en')}\n```",
    ]


def main() -> None:
    """Write every bulletin of the season, then the results file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--crop", required=True)
    add("--harvest-year", type=int, required=True)
    add("--out", type=Path, required=True, help="folder of a backtest: its runs are used and added to")
    add("--bulletins", "--issues", type=Path, required=True, help="folder of the bulletins")
    add(
        "--months",
        metavar="YYYY-MM:YYYY-MM",
        help="forecasts as of the 15th of these months; default: from before sowing to harvest",
    )
    add("--seeds", type=int, default=30)
    add("--scenarios", default="climatology")
    add("--config", type=Path, help="settings file, TOML; its keys have precedence over the preset forecast")
    add("--skill", type=Path, help="scores of yieldcast backtest --json, for the reports")
    add("--lang", choices=("en", "pt"), default="en")
    add("--write", type=Path, default=Path("experiments/results"), help="folder of the results file")
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    given = parser.parse_args()
    screen = console()
    with short_errors():
        load_tensorflow()
        settings, store = read_settings(given.config), Store.open(given.store)
        test = Backtest(
            store, given.crop, (given.harvest_year,), given.out, settings, given.seeds, given.scenarios
        )
        harvested, lines = truth(store, given.crop, given.harvest_year), list[list[str]]()
        skill: Any = read_skill(given.skill, given.crop)
        run_for = runs_of(test, lambda label: training_progress(settings.training.max_epochs, screen, label))
        for case in wanted(test, given.months):
            plan = ForecastPlan(run_for(case), store, case.harvest_year, case.as_of, given.scenarios)
            table = plan.forecast()
            bulletin = write_bulletin(
                given.bulletins, table, mesh=store.mesh, lang=given.lang, skill=skill, plan=plan,
                notice=screen.print,
            )  # fmt: skip
            lines.append(row(table, harvested))
            screen.print(", ".join(f"{head}: {cell}" for head, cell in zip(HEADS, lines[-1], strict=True)))
        mark = "synthetic-" if table.attrs["synthetic"] else ""
        path = given.write / f"{mark}hindcast-{given.crop}-{given.harvest_year}.md"
        screen.print(f"written: {write(path, document(given, lines, harvested, bulletin))}")


if __name__ == "__main__":
    main()
