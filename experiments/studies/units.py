"""Validation study: the width of the network, and the rows that decide when its training stops.

Trains on the harvest years before each validation year and scores that year; the test year of the results
(2018) is not used. Every combination is an ordinary run, so a study that was stopped can be continued.

    python experiments/studies/units.py --store STORE --out RUNS --write experiments/results/units-study.md
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import sys
from pathlib import Path

import numpy as np

from yieldcast import Settings, Store, train_run
from yieldcast.cli.terminal import short_errors
from yieldcast.data.files import atomic_text
from yieldcast.evaluation.metrics import score
from yieldcast.features.source import build_samples
from yieldcast.models.dual_path import predict
from yieldcast.training.run_directory import Run

FIRST_YEAR = 2011
READING = "## Reading\n"  # text below it was written by a person and is kept


def settings_of(units: int, validation: str) -> Settings:
    """Two LSTM layers, two static layers and one head layer of the same width."""
    return Settings.model_validate(
        {
            "network": {"lstm_units": [units] * 2, "static_units": [units] * 2, "head_units": [units]},
            "training": {"validation": validation},
        }
    )


def scores_of(run: Run, store: Store, year: int) -> tuple[float, float, float, float]:
    """Mean over members of r and of RMSE (kg/ha), then r and RMSE of the ensemble mean."""
    rows, _ = build_samples(store.tables, run.calendar(), run.identity.crop, [year], run.settings.data)
    members = [predict(run.load_member(seed), rows) for seed in run.seeds()]
    each = [score(member, rows.target_kg_ha) for member in members]
    mean = score(np.mean(members, axis=0), rows.target_kg_ha)
    r, rmse = (float(np.mean([getattr(s, name) for s in each])) for name in ("r", "rmse_kg_ha"))
    return r, rmse, mean.r, mean.rmse_kg_ha


def study(given: argparse.Namespace) -> None:
    """Train and score every combination of the options."""
    store = Store.open(given.store)
    lines = [
        "| validation rows | units | year scored | seeds | r | RMSE kg/ha "
        "| r, mean of seeds | RMSE, mean of seeds | epochs | seconds per seed |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    combinations = itertools.product(
        given.validation.split(","), map(int, given.units.split(",")), map(int, given.years.split(","))
    )
    for validation, units, year in combinations:
        run = train_run(
            store, given.crop, range(FIRST_YEAR, year), range(1, given.seeds + 1),
            given.out / f"{given.crop}-{validation}-{units}-{year}", settings_of(units, validation),
        )  # fmt: skip
        scores = scores_of(run, store, year)
        epochs, seconds = (np.mean([rec[key] for rec in run.records()]) for key in ("epochs", "seconds"))
        lines.append(
            f"| {validation} | {units} | {year} | {len(run.seeds())} | {scores[0]:.3f} | {scores[1]:.0f} "
            f"| {scores[2]:.3f} | {scores[3]:.0f} | {epochs:.0f} | {seconds:.0f} |"
        )
        print(lines[-1], flush=True)
    if given.write:
        head = [
            f"# Validation study: network width and validation rows ({given.crop})",
            "",
            f"Date: {dt.date.today()}. Train {FIRST_YEAR} to the year before the one scored. Command:",
            "",
            "```", f"python {' '.join(sys.argv)}", "```", "",
        ]  # fmt: skip
        written = given.write.read_text(encoding="utf-8") if given.write.is_file() else ""
        reading = written.partition(READING)[2]
        atomic_text(given.write, "\n".join([*head, *lines]) + "\n\n" + READING + reading)


def main() -> None:
    """Train the missing runs, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    parser.add_argument("--crop", default="soybean")
    parser.add_argument("--units", default="16,32,64")
    parser.add_argument("--validation", default="random,last_year")
    parser.add_argument("--years", default="2016,2017")
    parser.add_argument("--seeds", type=int, default=2, help="fewest members of a run; all are scored")
    given = parser.parse_args()
    with short_errors():
        study(given)


if __name__ == "__main__":
    main()
