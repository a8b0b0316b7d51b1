"""`yieldcast demo`: import, train, evaluate and forecast on a synthetic country, and write a report."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from yieldcast.cli.progress import counting_progress, training_progress
from yieldcast.cli.views.forecast import forecast_view
from yieldcast.cli.views.scores import evaluation_table, years_table
from yieldcast.config import FORECAST_SETTINGS
from yieldcast.data import synthetic
from yieldcast.data.files import atomic_text
from yieldcast.data.store import Store, Tables
from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.errors import RunError
from yieldcast.evaluation.evaluate import EvaluationResult, evaluate_run, write_scores
from yieldcast.importing.files import UserFiles, import_files
from yieldcast.operations.bulletins import REPORT, write_bulletin
from yieldcast.training.pipeline import train_run
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from rich.console import Console


CROP = "soybean"
FIRST_YEAR, YEARS, TEST_YEARS = 2007, 12, 2
HISTORY_YEARS = 3  # the first harvest years are used as yield history only
# One date before sowing and one in season. The run is trained on yields that were public on both.
DATES = (dt.date(2017, 10, 15), dt.date(2018, 2, 15))


def run_demo(out: Path, seeds: int, screen: Console) -> EvaluationResult:
    """Run all main steps on synthetic data and print their results.

    Args:
        out: folder for tables, store, run and bulletins; an unfinished run in it is continued.
        seeds: members to train.
        screen: where to print.
    """
    years = list(range(FIRST_YEAR, FIRST_YEAR + YEARS))
    train_years, test_years = years[HISTORY_YEARS:-TEST_YEARS], years[-TEST_YEARS:]
    screen.print(
        "yieldcast demo: a synthetic country with a known yield response; no real data", style="bold"
    )
    tables = out / "synthetic-tables"
    made = synthetic.country(first_harvest_year=FIRST_YEAR, harvest_years=YEARS, crop=CROP)
    synthetic.write_files(tables, made)
    mesh = _write_mesh(tables / "boundaries.geojson", made)
    places, yields, weather, soil = (
        tables / name for name in ("places.csv", "yields.csv", "weather.nc", "soil.csv")
    )
    store, _ = import_files(out / "synthetic-store", UserFiles(places, yields, weather, soil, mesh))
    screen.print(
        f"imported {store.static.sizes['municipality']} synthetic municipalities, harvest years "
        f"{years[0]}-{years[-1]}, into {out / 'synthetic-store'}"
    )
    try:
        run = _train(store, train_years, seeds, out / "synthetic-run", screen)
    except RunError as error:
        screen.print(f"training the synthetic run again from the start: {error}")
        shutil.rmtree(out / "synthetic-run")
        run = _train(store, train_years, seeds, out / "synthetic-run", screen)
    with counting_progress("scoring synthetic members", screen) as counting:
        result = evaluate_run(run, store, test_years, progress=counting)
    screen.print(evaluation_table(result.scores, synthetic=result.synthetic, notes=result.notes))
    screen.print(years_table(result.by_year(), result.synthetic))
    for path in write_scores(result, run):
        screen.print(f"written (synthetic): {path}")
    _forecast(run, store, years[-1], out / "synthetic-bulletins", screen)
    return result


def _write_mesh(path: Path, made: Tables) -> Path:
    static = made.static
    codes, names, states = (static[name].values.tolist() for name in ("municipality", "name", "state"))
    latitude, longitude = (static[name].values.tolist() for name in ("latitude_deg", "longitude_deg"))
    mesh = synthetic_mesh(codes, names, states, latitude, longitude)
    atomic_text(path, json.dumps(mesh))
    return path


def _forecast(run: Run, store: Store, harvest_year: int, out: Path, screen: Console) -> None:
    """Write a bulletin before sowing and one in season, and print where the second report is."""
    from yieldcast.forecasting.forecast import ForecastPlan

    for date in DATES:
        with counting_progress(f"forecasting (synthetic) as of {date}", screen) as counting:
            plan = ForecastPlan(run, store, harvest_year, date)
            table = plan.forecast(counting)
        bulletin = write_bulletin(out, table, mesh=store.mesh, plan=plan, notice=screen.print)
    screen.print(forecast_view(table, "en"))
    screen.print(bulletin.summary("en"))
    screen.print(f"report (synthetic), open it in a browser: {bulletin.path / REPORT}")


def _train(store: Store, years: list[int], seeds: int, out: Path, screen: Console) -> Run:
    settings = FORECAST_SETTINGS
    with training_progress(settings.training.max_epochs, screen, "training (synthetic)") as progress:
        return train_run(
            store, CROP, years, range(1, seeds + 1), out, settings, progress=progress, notice=screen.print
        )
