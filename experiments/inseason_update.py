"""The in-season job: issue a sharper forecast when new weather (or yields) became public.

What cron, a systemd timer or Airflow calls. It fetches what is missing, takes the newest finished run of RUNS
that was trained only on yields that are public, and makes an issue in ISSUES/<crop>-<harvest year> when
anything has changed since the newest one there. The season is the newest one of which weather is public. It
never trains: without a run that can be used it ends with 6, and the pre-season job has to run first.

    python experiments/inseason_update.py --store STORE --crop soybean --issues ISSUES --runs RUNS

Killed at any moment and called again, it ends with the same issue.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from job_script import end, options, run_job, the_date, the_job
from yieldcast.data.store import Store
from yieldcast.operations.run_selection import season_under_way, suitable_run


def main() -> int:
    """The job."""
    given = options(__doc__).parse_args()
    given.crop = given.crop.lower()
    as_of, opened = the_date(given), Store.open(given.store)
    run = suitable_run(given.runs, opened, given.crop, as_of, given.seeds, given.harvest_year)
    publication = run.settings.data.publication()
    job = the_job(
        given, as_of, lambda: season_under_way(opened, run.calendar(), given.crop, as_of, publication)
    )
    return run_job(given, job, lambda store: run, publication)


if __name__ == "__main__":
    sys.exit(end(main))
