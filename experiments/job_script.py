"""What the two jobs share on the command line: options, the fetch, and how they end for a scheduler."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from calendars import CalendarError
from yieldcast.cli.arguments import parse_date
from yieldcast.cli.progress import counting_progress, fetch_progress
from yieldcast.cli.startup import load_tensorflow
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, YieldcastError
from yieldcast.operations.job import Job, JobResult, carry_out, check_date, read_skill
from yieldcast.publication import Publication
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from data_fetchers.fetching.order import FetchOrder

INTERRUPTED = 130
EXIT_CODES = """exit codes: 0 an issue was made, or there is nothing new; 1 unforeseen; 2 settings;
3 missing data, a disk that refuses, or a second copy of the job; 4 a service did not deliver, and no issue
was made; 5 malformed contents or a leak of the future; 6 no usable run; 130 stopped (Ctrl-C, SIGTERM)
"""
_FIRST = {"en": "This is the first issue of the season.", "pt": "Esta é a primeira edição da safra."}
# Progress and notices go to stderr, what became of the job to stdout.
SCREEN = Console(stderr=True, markup=False, highlight=False)


def options(description: str) -> argparse.ArgumentParser:
    """The options of both jobs."""
    parser = argparse.ArgumentParser(
        description=description, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--store", type=Path, required=True, metavar="DIR", help="folder of the store")
    add("--crop", required=True, help="e.g. soybean")
    add("--issues", type=Path, required=True, metavar="DIR", help="folder of all issues, made if need be")
    add("--runs", type=Path, required=True, metavar="DIR", help="folder of the trained runs")
    add(
        "--harvest-year",
        type=int,
        metavar="YEAR",
        help="2018 is safra 2017/18; the default follows from --as-of",
    )
    add("--as-of", metavar="YYYY-MM-DD", help="date of the forecast; today (UTC) if not given")
    add("--scenarios", choices=("climatology", "analogue", "seasonal"), default="climatology",
        help="weather of the months that are not public yet (default: %(default)s)")  # fmt: skip
    add("--seeds", type=int, default=30, metavar="N", help="members of a finished run (default: %(default)s)")
    add(
        "--lang",
        choices=("en", "pt"),
        default="en",
        help="of tables, report and summary (default: %(default)s)",
    )
    add("--skill", type=Path, metavar="FILE", help="of yieldcast backtest --json, for the report")
    add("--offline", action="store_true", help="open no connection: work with what the store holds")
    add("--strict", action="store_true", help="make no issue when something could not be fetched")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def the_date(given: argparse.Namespace) -> dt.date:
    """The date of the forecast."""
    today = dt.datetime.now(dt.UTC).date()
    return check_date(parse_date(given.as_of, "--as-of") or today, today)


def the_job(given: argparse.Namespace, as_of: dt.date, season: Callable[[], int]) -> Job:
    """What the options ask for; the season as given, or found."""
    year = season() if given.harvest_year is None else given.harvest_year
    skill = read_skill(given.skill, given.crop)
    return Job(
        given.store, given.issues, given.crop, year, as_of, given.scenarios, given.lang, skill, given.strict
    )


def run_job(
    given: argparse.Namespace, job: Job, run_for: Callable[[Store], Run], publication: Publication
) -> int:
    """Carry the job out and say what became of it."""

    def fetch(store: Store) -> YieldcastError | None:
        return fetch_missing(store, job, publication)

    done = carry_out(
        job, run_for, fetch=None if given.offline else fetch, notice=SCREEN.print,
        progress=_forecasting,
    )  # fmt: skip
    say(done, job)
    return 0


@contextmanager
def _forecasting() -> Iterator[Callable[[int, int], None]]:
    load_tensorflow()
    with counting_progress("forecasting, members", SCREEN) as progress:
        yield progress


def say(done: JobResult, job: Job) -> None:
    """What became of the job, on stdout."""
    if not done.new:
        print(f"nothing new since the issue {done.bulletin.path}")
        return
    print(f"{job.crop} {job.harvest_year} as of {job.as_of}: {done.bulletin.path}")
    print(done.summary or _FIRST[job.lang])
    if done.trouble is not None:
        print(f"The fetch was incomplete: {done.trouble}\nThe next job asks again for what is missing.")


def fetch_missing(store: Store, job: Job, publication: Publication) -> YieldcastError | None:
    """Fetch the weather and yields that are public on the job's date and not in the store yet.

    Returns:
        the error that kept something away, None when all is there.

    Raises:
        ConfigError: the store's tables come from no service.
        MissingDataError: another fetch is at work, or the disk refuses.
    """
    from data_fetchers.fetching.fetch import fetch
    from yieldcast.cli.views.fetch import show_report

    trouble: list[YieldcastError] = []
    for order in orders(store, job, publication):
        try:
            with fetch_progress(SCREEN) as progress:
                report = fetch(order, store.path, progress=progress)
        except KeyboardInterrupt:
            # Threads may hang in a service; a fetch that is cut off anywhere goes on by itself.
            print("stopped; what has arrived is kept, the same command goes on from there", file=sys.stderr)
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        if report.missing or report.errors or report.unwritten or any(s.fetched for s in report.summaries):
            show_report(report, store.path, SCREEN)
        try:
            report.raise_for_missing()
        except YieldcastError as error:
            trouble.append(error)
    return trouble[0] if trouble else None


def orders(store: Store, job: Job, publication: Publication) -> list[FetchOrder]:
    """What to ask the services for: each table goes on with its own source, years, crops and states.

    Raises:
        ConfigError: neither weather nor yields come from a service.
    """
    from data_fetchers.fetching.order import FetchOrder
    from data_fetchers.fetching.plans import seasonal_default
    from data_fetchers.ibge.places import STATES

    states = tuple(sorted(set(store.static["state"].values.astype(str).tolist())))
    common = FetchOrder((), states=None if set(states) == set(STATES) else states)
    weather, yields = (_source(store, table) for table in ("weather", "yields"))
    found = []
    if yields is not None:
        first, last = int(store.yields["harvest_year"].min()), publication.last_public_harvest_year(job.as_of)
        crops = tuple(dict.fromkeys([*store.yields["crop"].values.astype(str).tolist(), job.crop]))
        found.append(replace(common, targets=("yields",), years=tuple(range(first, last + 1)), crops=crops))
    if weather is not None:
        first = int(store.weather["time"].dt.year.min())
        years = tuple(range(first, job.as_of.year + 1))
        found.append(replace(common, targets=("weather",), years=years, **weather))
    if not found:
        raise ConfigError(
            f"weather and yields of the store {store.path} come from your own tables, not from a service",
            "Import new tables yourself and give --offline.",
        )
    if job.scenarios == "seasonal":
        starts = seasonal_default((job.as_of.year,), job.as_of)
        found.append(replace(common, targets=("seasonal",), starts=starts))
    return found


def _source(store: Store, table: str) -> dict[str, Any] | None:
    """How the store says that a table was fetched, as settings of an order; None where it was imported."""
    about = store.sources.get(table)
    if not isinstance(about, Mapping) or "source" not in about:
        return None
    return {"weather": about["source"], "where": about["where"]} if table == "weather" else {}


def end(main: Callable[[], int]) -> int:
    """Run a job; every error becomes two lines and an exit code, and SIGTERM is like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except (YieldcastError, CalendarError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"Error: {error}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; earlier issues are intact, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
