"""Time and memory of a national forecast: 5,570 municipalities, 30 members, 30 scenarios, after the imports.

A synthetic Brazil with 31 years of weather, and members with the network of the forecast preset, trained for
one epoch because the time does not depend on the weights. Timed are the steps of `yieldcast forecast` between
the imports and the writing of files: fingerprints of the inputs, loading of the members, forecasts of all
members for all scenarios, hindcasts and calibration, the table.

    python experiments/benchmarks/forecast.py --out WORK [--units 32] [--runs 3]
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from yieldcast.cli.terminal import short_errors
from yieldcast.config import FORECAST_SETTINGS, Settings
from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.forecasting.forecast import forecast
from yieldcast.forecasting.predictor import Ensemble
from yieldcast.training.pipeline import train_run
from yieldcast.training.run_directory import Run

YEARS, MUNICIPALITIES, MEMBERS = 33, 5570, 30
FIRST = 1985
HARVEST_YEAR, AS_OF = FIRST + YEARS - 1, dt.date(FIRST + YEARS - 2, 10, 15)


def prepared(out: Path, units: int) -> tuple[Store, Run]:
    """The store and a run of 30 members, reused if they exist."""
    place = out / "store"
    if not (place / "store.json").is_file():
        made = synthetic.country(
            municipalities=MUNICIPALITIES, first_harvest_year=FIRST, harvest_years=YEARS, crop="soybean"
        )
        Store.write(place, made, {})
    store = Store.open(place)
    wide = {"lstm_units": (units, units), "static_units": (units, units), "head_units": (units,)}
    settings = Settings(
        network=FORECAST_SETTINGS.network.model_copy(update=wide),
        training=FORECAST_SETTINGS.training.model_copy(update={"max_epochs": 1}),
        data=FORECAST_SETTINGS.data,
    )
    # Ten training years, whose hindcasts calibrate the forecast.
    years = range(HARVEST_YEAR - 11, HARVEST_YEAR - 1)
    return store, train_run(store, "soybean", years, range(1, MEMBERS + 1), out / f"run-{units}", settings)


def main() -> None:
    """Prepare, then time forecasts with and without stored hindcasts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the store and the run, kept")
    parser.add_argument("--units", type=int, default=16, help="units of every layer (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="repetitions (default: %(default)s)")
    given = parser.parse_args()
    with short_errors():
        store, run = prepared(given.out, given.units)
        _ = store.tables  # read them before the clock starts
        began = time.perf_counter()
        members = Ensemble.load(run)
        loading = time.perf_counter() - began
        fresh, kept = list[float](), list[float]()
        for _ in range(given.runs):
            for file in (run.path / "hindcasts").glob("*.npz"):
                file.unlink()
            for seconds in (fresh, kept):
                began = time.perf_counter()
                table = forecast(run, store, HARVEST_YEAR, AS_OF, everywhere=True, members=members)
                seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    made = table.attrs["scenario_years"].split("(")[1].rstrip(")")
    print(
        f"{table.sizes['municipality']} municipalities, {table.attrs['members']} members, {made}, "
        f"{given.units} units, {os.cpu_count()} cores"
    )
    print(f"loading the members: {loading:.1f} s")
    for name, seconds in (("hindcasts computed", fresh), ("hindcasts stored", kept)):
        print(
            f"forecast, {name}: median {np.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
        )
    print(f"peak memory of the process: {peak:.1f} GiB")


if __name__ == "__main__":
    main()
