"""A job from start to end, as a scheduler calls it: fetch, see what is new, forecast, compare, write."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yieldcast.data.files import exclusive_lock, make_folder
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError, SchemaError, YieldcastError
from yieldcast.operations import bulletins
from yieldcast.reporting.labels import Lang
from yieldcast.training.run_directory import Run

_HELD = ".one-job"
Notice = Callable[[str], None]
Progress = Callable[[], AbstractContextManager[Callable[[int, int], None]]]
# Brings what is missing into a store; gives the error that kept something away, None when all is there.
Fetch = Callable[[Store], YieldcastError | None]


@dataclass(frozen=True)
class Job:
    """What a job makes, and where.

    Args:
        store: folder of the store.
        issues: folder of all issues.
        crop, harvest_year, as_of, scenarios: of the forecast, see `forecasting.forecast`.
        lang: en or pt, of what readers get.
        skill: rows of ``yieldcast backtest --json``.
        strict: make no forecast when something could not be fetched.
    """

    store: Path
    issues: Path
    crop: str
    harvest_year: int
    as_of: dt.date
    scenarios: str = "climatology"
    lang: Lang = "en"
    skill: Sequence[Mapping[str, Any]] = ()
    strict: bool = False


@dataclass(frozen=True)
class JobResult:
    """What a job did.

    Args:
        issue: that it wrote; the newest one when there was nothing new.
        new: whether it wrote one.
        summary: what changed since the issue before, a few lines; empty without one.
        trouble: what kept something from being fetched.
    """

    issue: bulletins.Bulletin
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
    """Fetch what is missing, and make an issue unless nothing has changed since the newest one.

    Something has changed when `forecasting.input_fingerprints` differ: other weather, yields or places became public
    or were revised, another run, other scenarios. Killed at any moment and called again, it ends with the
    same issue.

    Args:
        job: what to make.
        run_for: finds or trains the run, after the fetch.
        fetch: see `Fetch`; None to work with what is there.
        progress: shows how far the forecast is; entered when it begins, gives a function of (done, total).
        notice: called with lines worth telling the user.

    Raises:
        MissingDataError: no store, a second copy of the job is at work, or the disk refuses.
        YieldcastError: the fetch lacked something and there was nothing new to forecast from (`job.strict`:
            at once), or any error of fetch, run and forecast.
    """
    folder = bulletins.season_folder(job.issues, job.crop, job.harvest_year)
    make_folder(folder / _HELD)
    with exclusive_lock(folder / _HELD, "another copy of this job is at work in"):
        store = Store.open(job.store)
        trouble = fetch(store) if fetch else None
        if trouble is not None:
            if job.strict:
                raise trouble
            notice(f"the fetch is incomplete, going on with what is there: {trouble}")
        store = Store.open(job.store)
        run = run_for(store)
        return _issue(job, store, run, trouble, progress, notice)


def _issue(
    job: Job,
    store: Store,
    run: Run,
    trouble: YieldcastError | None,
    progress: Progress,
    notice: Notice,
) -> JobResult:
    from yieldcast.forecasting import forecast as forecasting

    what = run, store, job.harvest_year, job.as_of, job.scenarios
    previous = bulletins.newest(job.issues, job.crop, job.harvest_year, job.as_of, notice)
    if previous is not None and previous.input_fingerprints == forecasting.input_fingerprints(*what):
        if trouble is not None:
            raise trouble
        return JobResult(previous, new=False)
    with progress() as told:
        forecast = forecasting.forecast(*what, progress=told)
    notes = [f"The fetch was incomplete: {trouble}"] if trouble is not None else []
    issue = bulletins.write_bulletin(
        job.issues, forecast, mesh=store.mesh, lang=job.lang, skill=job.skill, notes=notes, notice=notice
    )
    return JobResult(issue, True, issue.summary(job.lang), trouble)


def read_skill(path: Path | None, crop: str) -> list[dict[str, Any]]:
    """The rows of a crop in a file of ``yieldcast backtest --json``; none without a file.

    Raises:
        MissingDataError: no such file.
        SchemaError: something else than such rows.
    """
    if path is None:
        return []
    again = "Give a file that `yieldcast backtest --json FILE` wrote."
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingDataError(f"no file {path} of skill: {error.strerror}", again) from None
    except ValueError as error:
        raise SchemaError(f"{path} is not JSON: {error}", again) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "crop" in row for row in rows):
        raise SchemaError(f"{path}: expected a list of rows with a crop, received something else", again)
    return [row for row in rows if row["crop"] == crop]


def check_date(as_of: dt.date, today: dt.date) -> dt.date:
    """Refuse a date that is still to come: what will be public then is not known.

    Raises:
        ConfigError: it is.
    """
    if as_of > today:
        raise ConfigError(
            f"--as-of: expected a date not after today ({today}), received {as_of}",
            "Leave --as-of out for a forecast as of today.",
        )
    return as_of
