"""The main job on the embedded synthetic country: files, import, train, evaluate, table."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from yieldcast import synthetic
from yieldcast.config import Settings
from yieldcast.errors import RunError
from yieldcast.importing import read_tables
from yieldcast.progress import counting_progress, training_progress
from yieldcast.report import evaluation_table, years_table
from yieldcast.runs import Run
from yieldcast.store import Store
from yieldcast.workflow import Evaluated, evaluate_run, train_run, write_scores

if TYPE_CHECKING:
    from rich.console import Console

CROP = "soybean"
FIRST_YEAR, YEARS, TEST_YEARS = 2007, 12, 2


def run_demo(out: Path, seeds: int, screen: Console) -> Evaluated:
    """Run the main job on synthetic data and print the scores.

    Args:
        out: folder for the tables, the store and the run; a run begun there is continued.
        seeds: members to train.
        screen: where to print.
    """
    years = list(range(FIRST_YEAR, FIRST_YEAR + YEARS))
    train_years, test_years = years[:-TEST_YEARS], years[-TEST_YEARS:]
    screen.print(
        "yieldcast demo: a synthetic country with a known yield response; no real data", style="bold"
    )
    tables = out / "synthetic-tables"
    made = synthetic.country(first_harvest_year=FIRST_YEAR, harvest_years=YEARS, crop=CROP)
    synthetic.write_files(tables, made)
    read, report = read_tables(
        tables / "places.csv", tables / "yields.csv", tables / "weather.nc", tables / "soil.csv"
    )
    store = Store.write(out / "synthetic-store", read, report.sources)
    screen.print(
        f"imported {store.static.sizes['municipality']} synthetic municipalities, harvest years "
        f"{years[0]}-{years[-1]}, into {out / 'synthetic-store'}"
    )
    try:
        run = _train(store, train_years, seeds, out / "synthetic-run", screen)
    except RunError as error:
        screen.print(f"starting the synthetic run afresh: {error}")
        shutil.rmtree(out / "synthetic-run")
        run = _train(store, train_years, seeds, out / "synthetic-run", screen)
    with counting_progress("scoring synthetic members", screen) as counting:
        result = evaluate_run(run, store, test_years, progress=counting)
    screen.print(evaluation_table(result.scores, synthetic=result.synthetic, notes=result.notes))
    screen.print(years_table(result.by_year(), result.synthetic))
    for path in write_scores(result, run):
        screen.print(f"written (synthetic): {path}")
    return result


def _train(store: Store, years: list[int], seeds: int, out: Path, screen: Console) -> Run:
    settings = Settings()
    with training_progress(settings.training.max_epochs, screen, "training (synthetic)") as progress:
        return train_run(
            store, CROP, years, range(1, seeds + 1), out, settings, progress=progress, notice=screen.print
        )
