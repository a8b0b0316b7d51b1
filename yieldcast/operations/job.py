"""One scheduled job: fetch what is missing, check whether anything is new, forecast, write a bulletin."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast import language
from yieldcast.data.files import exclusive_lock, make_folder
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError, SchemaError, YieldcastError
from yieldcast.evaluation.skill import protocol_of
from yieldcast.forecasting.freshness import StaleStoreError
from yieldcast.language import message, sentence
from yieldcast.operations.bulletins import Bulletin, newest, season_folder, write_bulletin
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.forecasting.forecast import ForecastPlan

_LOCK_FOLDER = ".one-job"
Notice = Callable[[str], None]
Progress = Callable[[], AbstractContextManager[Callable[[int, int], None]]]
# Fetches what is missing into a store; returns the error that left the fetch incomplete, or None.
Fetch = Callable[[Store], YieldcastError | None]


@dataclass(frozen=True)
class Job:
    """What a job makes, and where.

    Args:
        store: folder of the store.
        bulletins: folder of all bulletins.
        crop, harvest_year, as_of, scenarios: of the forecast, see `forecasting.forecast.forecast`.
        lang: language of the tables, the report and the summary.
        skill: rows of ``yieldcast backtest --json``, shown in the report.
        strict: make no forecast when something could not be fetched.
        optional: optional tables of the store that are fetched too, see `Settings.optional_tables`.
        allow_stale: forecast also from a store that is far behind what was public.
    """

    store: Path
    bulletins: Path
    crop: str
    harvest_year: int
    as_of: dt.date
    scenarios: str = "climatology"
    lang: str = "en"
    skill: Sequence[Mapping[str, Any]] = ()
    strict: bool = False
    optional: tuple[str, ...] = ()
    allow_stale: bool = False


@dataclass(frozen=True)
class JobResult:
    """What a job did.

    Args:
        bulletin: the one it wrote; the newest one when there was nothing new.
        new: whether it wrote one.
        summary: a few lines on what changed since the previous bulletin; empty without one.
        trouble: the error that left the fetch incomplete, or None.
    """

    bulletin: Bulletin
    new: bool
    summary: str = ""
    trouble: YieldcastError | None = None


def carry_out(
    job: Job,
    run_for: Callable[[Store], Run],
    *,
    fetch: Fetch | None = None,
    progress: Progress = lambda: nullcontext(lambda done, total: None),
    notice: Notice = lambda text: None,
) -> JobResult:
    """Fetch what is missing, and write a bulletin unless nothing has changed since the newest one.

    Something has changed when the input fingerprints differ: other weather, yields or places became public or
    were revised, another run, other scenarios. A job that is killed at any moment and started again ends with
    the same bulletin.

    Args:
        job: what to make.
        run_for: finds or trains the run, after the fetch.
        fetch: see `Fetch`; None to work with what the store holds.
        progress: context manager entered when the forecast begins; it gives a function of (done, total).
        notice: called with messages for the user.

    Raises:
        MissingDataError: no store, a stale one, another copy of the job is running, or a file cannot be
            written.
        YieldcastError: the fetch was incomplete and nothing was new (with `job.strict`: whenever the fetch
            was incomplete), or any error of fetch, run and forecast.
    """
    folder = season_folder(job.bulletins, job.crop, job.harvest_year)
    make_folder(folder / _LOCK_FOLDER)
    with exclusive_lock(folder / _LOCK_FOLDER, "another copy of this job is running in"):
        store = Store.open(job.store)
        trouble = fetch(store) if fetch else None
        if trouble is not None:
            if job.strict:
                raise trouble
            text = message("the fetch is incomplete, the job continues with what the store holds: {trouble}")
            notice(language.of(job.lang).gettext(text, trouble=trouble))
        store = Store.open(job.store)
        try:
            run = run_for(store)
            return _forecast_if_new(job, store, run, trouble, progress, notice)
        except StaleStoreError as stale:
            if trouble is None:
                raise
            notice(str(stale))
            raise trouble from stale


def _forecast_if_new(
    job: Job,
    store: Store,
    run: Run,
    trouble: YieldcastError | None,
    progress: Progress,
    notice: Notice,
) -> JobResult:
    from yieldcast.forecasting.forecast import ForecastPlan

    plan = ForecastPlan(run, store, job.harvest_year, job.as_of, job.scenarios, allow_stale=job.allow_stale)
    previous = newest(job.bulletins, job.crop, job.harvest_year, job.as_of, notice)
    if previous is not None and previous.input_fingerprints == plan.input_fingerprints:
        if trouble is not None:
            raise trouble
        return JobResult(previous, new=False)
    with progress() as report:
        made = plan.forecast(report)
    notes = hindcast_notes(plan)
    notes += [sentence("The fetch was incomplete: {trouble}", trouble=trouble)] if trouble is not None else []
    bulletin = write_bulletin(
        job.bulletins, made, mesh=store.mesh, lang=job.lang, skill=job.skill, plan=plan, notes=notes,
        notice=notice,
    )  # fmt: skip
    return JobResult(bulletin, True, bulletin.summary(job.lang), trouble)


def hindcast_notes(plan: ForecastPlan) -> list[str]:
    """A note where the store holds the outcome of the season and it was published after the date.

    It is kept beside the forecast and not in it: nothing published later may change a forecast.
    """
    if plan.freshness.outcome != "later":
        return []
    return [
        sentence(
            "Hindcast: the store holds yields of harvest year {year}, published after {date}; "
            "the forecast does not use them.",
            year=plan.harvest_year,
            date=plan.as_of,
        )
    ]


def read_skill(path: Path | None, crop: str) -> list[dict[str, Any]]:
    """Read the rows of a crop from a file of ``yieldcast backtest --json``; an empty list without a file.

    Raises:
        MissingDataError: no such file.
        SchemaError: the file does not hold such rows.
    """
    if path is None:
        return []
    hint = "Give a file that `yieldcast backtest --json FILE` wrote."
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingDataError(f"no file {path} with skill rows: {error.strerror}", hint) from None
    except ValueError as error:
        raise SchemaError(f"{path} is not JSON: {error}", hint) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "crop" in row for row in rows):
        raise SchemaError(f"{path}: expected a list of rows with a crop, received something else", hint)
    mine = [row for row in rows if row["crop"] == crop]
    if any(protocol_of(row) != "forward" for row in mine):
        raise SchemaError(
            f"{path}: expected scores of forecasts, received those of the leave-year-out protocol",
            "Give a file that `yieldcast backtest --protocol forward --json FILE` wrote.",
        )
    return mine


def check_date(as_of: dt.date, today: dt.date) -> dt.date:
    """Return the date of a forecast; refuse a future date, because what will be public then is not known.

    Raises:
        ConfigError: `as_of` is after `today`.
    """
    if as_of > today:
        raise ConfigError(
            f"--as-of: expected a date not after today ({today}), received {as_of}",
            "Leave --as-of out for a forecast as of today.",
        )
    return as_of
