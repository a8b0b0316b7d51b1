"""The pre-season job: train a run on all yields that are public, and issue a forecast with it.

What cron, a systemd timer or Airflow calls. It fetches what is missing, trains (or goes on training) a run in
RUNS/<crop>-to-<last public year> where there is none, and makes an issue in ISSUES/<crop>-<harvest year> when
anything has changed since the newest one there. The season is the next one whose window has not ended.

    python experiments/preseason_forecast.py --store STORE --crop soybean --issues ISSUES --runs RUNS

Killed at any moment and called again, it goes on where it was and ends with the same issue.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from job_script import SCREEN, end, options, run_job, the_date, the_job
from yieldcast.cli.progress import training_progress
from yieldcast.cli.startup import load_tensorflow
from yieldcast.config import read_settings
from yieldcast.data.store import Store
from yieldcast.features.season_dates import calendar_for
from yieldcast.operations.run_selection import season_ahead, trained_run
from yieldcast.training.run_directory import Run


def main() -> int:
    """The job."""
    parser = options(__doc__)
    parser.add_argument(
        "--config", type=Path, metavar="TOML", help="settings of the run; those for forecasts if not given"
    )
    given = parser.parse_args()
    given.crop = given.crop.lower()
    as_of, settings, opened = (
        the_date(given),
        read_settings(given.config, "forecast"),
        Store.open(given.store),
    )
    calendar = calendar_for(settings.data, opened.static)
    publication = settings.data.publication()
    text = given.config.read_text(encoding="utf-8") if given.config else ""

    def run_for(store: Store) -> Run:
        with training_progress(settings.training.max_epochs, SCREEN) as progress:
            return trained_run(
                given.runs, store, given.crop, as_of, given.seeds, settings,
                config_text=text, progress=progress, notice=SCREEN.print, before_training=load_tensorflow,
            )  # fmt: skip

    job = the_job(given, as_of, lambda: season_ahead(opened, calendar, given.crop, as_of, publication))
    return run_job(given, job, run_for, publication)


if __name__ == "__main__":
    sys.exit(end(main))
