"""`yieldcast demo --fields`: synthetic fields from files to P(low), scores and a report."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from yieldcast.cli.progress import counting_progress
from yieldcast.cli.views.store import import_view
from yieldcast.config import DataSettings, Settings
from yieldcast.data.store import is_synthetic
from yieldcast.data.synthetic_fields import field_data, write_field_files
from yieldcast.importing.files import UserFiles, import_files
from yieldcast.operations.field_risk import FieldRisk, classify_fields, write_field_risk
from yieldcast.risk.classifiers import SearchSettings
from yieldcast.risk.decisions import Costs

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.data.store import Store

SEASON = 2025
# In each crop's season, about a month before its harvest.
DATES = {"soybean": dt.date(2025, 1, 20), "corn": dt.date(2025, 1, 25), "wheat": dt.date(2025, 8, 10)}
# Weather is known after five days (the preliminary ERA5), the yields of fields with the end of their year.
SETTINGS = Settings(data=DataSettings(weather_delay_months=0, weather_delay_days=5, yields_delay_months=0))
# Fewer draws and rows than the paper's 30 and all: the demo takes minutes, and says so.
SEARCH = SearchSettings(draws=3, folds=3, rows=900)
MOST_ROWS = 3000
COSTS = Costs(miss=3.0, alarm=1.0)


def run_field_demo(out: Path, screen: Console) -> list[FieldRisk]:
    """Make synthetic fields, import them, classify their last season, and write tables and a report.

    Args:
        out: folder of all files.
        screen: where to print.
    """
    screen.print("yieldcast demo: synthetic fields with a known yield response; no real data", style="bold")
    store = _imported(out, screen)
    results = []
    for crop, date in DATES.items():
        with counting_progress(f"classifiers of {crop} (synthetic)", screen) as progress:
            results.append(
                classify_fields(store, crop, SEASON, date, SETTINGS, SEARCH, COSTS, MOST_ROWS, progress)
            )
        _print(results[-1], screen)
    screen.print(
        f"searches of {SEARCH.draws} draws and {SEARCH.folds} folds on {MOST_ROWS} training rows, to be "
        "fast; the paper has 30 draws and 5 folds on all rows"
    )
    for path in write_field_risk(out, results, store, is_synthetic(store.tables)):
        screen.print(f"written (synthetic): {path}")
    screen.print(f"report (synthetic), open it in a browser: {out / 'synthetic-report.html'}")
    return results


def _imported(out: Path, screen: Console) -> Store:
    with screen.status("making synthetic fields, weather and vegetation"):
        paths = write_field_files(out / "synthetic-tables", field_data(last_harvest_year=SEASON))
    for path in paths.values():
        screen.print(f"written (synthetic): {path}")
    files = UserFiles(
        yields=paths["yields"], daily=paths["days"], fields=paths["fields"],
        vegetation=(paths["vegetation"],), drop_outliers=True,
    )  # fmt: skip
    with screen.status("importing the synthetic fields"):
        store, reader = import_files(out / "synthetic-store", files)
    screen.print(import_view(reader.log, store.fingerprints))
    screen.print(f"store (synthetic): {store.path}")
    return store


def _print(result: FieldRisk, screen: Console) -> None:
    scores = result.scores()
    best, dummy = scores[result.best], scores["dummy"]
    screen.print(
        f"{result.crop} {result.harvest_year} as of {result.as_of} (synthetic): {len(result.rows)} fields, "
        f"{result.best}: macro-F1 {best['macro_f1']:.2f} (dummy {dummy['macro_f1']:.2f}), Brier score of "
        f"P(low) {best['low']['brier']:.3f} (dummy {dummy['low']['brier']:.3f}), "
        f"{int(result.costs.flags(result.p_low).sum())} fields flagged"
    )
