"""What a source is, and how one part of it is fetched: tried, checked, put away; `loop` does so for many."""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import tenacity

from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache, timestamp
from yieldcast.errors import FetchError, SchemaError, YieldcastError

# Set on Ctrl-C: workers in this process stop waiting at once.
STOP = threading.Event()
_LONGEST_PAUSE_s = 900.0  # a service that asks for more is left to the next run


class RetryableError(FetchError):
    """A service that may deliver the next time: busy, down, cut off, or an answer that is not what it says.

    Args:
        message, hint: as for every error.
        after_s: seconds that the service asks to wait (Retry-After), or None.
    """

    def __init__(self, message: str, hint: str = "", after_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.after_s = after_s


class RequestTooLargeError(FetchError):
    """A request above the service's limit: the part is split."""


class NotYetPublishedError(FetchError):
    """Data that the service will have later."""


class CancelledError(Exception):
    """The user stopped the fetch while a part was waiting."""


@dataclass(frozen=True)
class Note:
    """Something that a reader of a table should know, with how often it occurs.

    Args:
        table: places, weather, yields, soil, seasonal or surveys.
        text: what, in words.
        count: how many.
        missing: asked for and not there: the fetch ends with exit code 4.
    """

    table: str
    text: str
    count: int
    missing: bool = False


class Source(Protocol):
    """A service: what a part's answer is and when it is whole. Plain data, so that it travels to workers."""

    @property
    def name(self) -> str:
        """Of the source and its shelf."""

    @property
    def licence(self) -> str:
        """Of the data."""

    @property
    def attribution(self) -> str:
        """The line that products must carry."""

    @property
    def workers(self) -> int:
        """Most parts under way at once."""

    @property
    def seconds_between(self) -> float:
        """Least time between two starts (s)."""

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        """Write the answer to `target`; return facts for the sidecar (job id, ...)."""

    def check(self, part: Request, file: Path) -> Record:
        """Raise AgainError when the file is not the whole answer; return facts (months, preliminary, ...)."""

    def split(self, part: Request) -> list[Request]:
        """Smaller parts that together are this one; empty when it cannot be split."""

    def stale(self, part: Request, record: Record, today: dt.date) -> bool:
        """Whether a verified part should be asked for again."""


@dataclass(frozen=True)
class Retry:
    """How often and how patiently one part is tried.

    Args:
        tries: at most, 1 or more.
        first_s: pause after the first failure (s), doubled after each further one.
        longest_s: longest pause of our own (s); one that a service asks for may be longer.
    """

    tries: int = 6
    first_s: float = 5.0
    longest_s: float = 120.0

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds to wait before the next try."""
        error = state.outcome.exception() if state.outcome else None
        own = min(self.first_s * 2.0 ** (state.attempt_number - 1), self.longest_s)
        asked = error.after_s if isinstance(error, RetryableError) else None
        return max(own, asked or 0.0)


@dataclass(frozen=True)
class Outcome:
    """What became of one part: fetched, split or missing."""

    part: Request
    record: Record | None = None
    split: tuple[Request, ...] = ()
    error: YieldcastError | None = None
    revised: bool = False
    tries: int = 1
    seconds: float = 0.0


def run_part(source: Source, part: Request, folder: Path, retry: Retry) -> Outcome:
    """Fetch, check and put away one part; what a worker does, in a thread or on a Dask cluster.

    A service that does not deliver is an outcome, not an exception; a disk that refuses is raised.
    """
    shelf, began = RequestCache(folder), time.monotonic()
    job = shelf.job(part)
    if not {"job_id", "submitting"} & job.load().keys():
        job.clear()  # what an earlier run waited for or counted says nothing about this one

    def attempt() -> tuple[Record, Record]:
        target = shelf.temporary(part)
        target.unlink(missing_ok=True)
        facts = source.fetch(part, target, job)
        return facts, source.check(part, target)

    def before_pause(state: tenacity.RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action else 0
        error = state.outcome.exception() if state.outcome else ""
        job.say(f"try {state.attempt_number + 1} in {pause:.0f} s: {error}")

    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_worth_another_try), wait=retry.pause, sleep=pause,
        stop=tenacity.stop_after_attempt(retry.tries), before_sleep=before_pause, reraise=True,
    )  # fmt: skip

    def outcome(**values: Any) -> Outcome:
        count = int(tries.statistics.get("attempt_number", 1))
        return Outcome(part, tries=count, seconds=round(time.monotonic() - began, 2), **values)

    try:
        facts, found = tries(attempt)
    except RequestTooLargeError as error:
        parts = source.split(part)
        if not parts:
            return outcome(error=FetchError(f"{error}; it cannot be split further", error.hint))
        shelf.commit_split(part, parts, {"fetched": timestamp(), "reason": str(error)})
        return outcome(split=tuple(parts))
    except (FetchError, SchemaError) as error:
        shelf.temporary(part).unlink(missing_ok=True)
        return outcome(error=error)
    record = {
        "fetched": timestamp(), "tries": tries.statistics.get("attempt_number", 1),
        "licence": source.licence, "attribution": source.attribution, **facts, **found,
    }  # fmt: skip
    revised = shelf.commit(part, record)
    return outcome(record=shelf.verified(part), revised=revised)


def pause(seconds: float) -> None:
    """Wait, unless the user stops the fetch; sources that poll use it too."""
    if STOP.wait(seconds):
        raise CancelledError


def _worth_another_try(error: BaseException) -> bool:
    return isinstance(error, RetryableError) and (error.after_s or 0) <= _LONGEST_PAUSE_s
