"""What a source must offer, and how one of its requests is fetched, checked and stored.

`data_fetchers.engine.downloader` does this for many requests at a time.
"""

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
    """A temporary failure: the service is busy or down, the transfer broke, or the answer is invalid.

    Args:
        message, hint: see `YieldcastError`.
        after_s: seconds that the service asks to wait (Retry-After), or None.
    """

    def __init__(self, message: str, hint: str = "", after_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.after_s = after_s


class CrowdedError(RetryableError):
    """A request refused because too many others of the same user wait in the service's queue.

    The downloader then sends this source one request at a time, and this request again after a pause.
    """


class RequestTooLargeError(FetchError):
    """A request above the service's limit; it is split into smaller ones."""


class NotYetPublishedError(FetchError):
    """Data that the service does not have yet."""


class CancelledError(Exception):
    """The user stopped the fetch while a request was waiting."""


@dataclass(frozen=True)
class Note:
    """A remark on a table for its readers, with the number of cases.

    Args:
        table: places, weather, yields, soil, seasonal or surveys.
        text: the remark.
        count: number of cases, 0 or more.
        missing: True for data that were requested and are missing: the fetch then ends with exit code 4.
    """

    table: str
    text: str
    count: int
    missing: bool = False


class Source(Protocol):
    """A service: how to request data, and when an answer is complete. Must be picklable for workers."""

    @property
    def name(self) -> str:
        """Name of the source and of its folder in the cache."""

    @property
    def licence(self) -> str:
        """Licence of the data."""

    @property
    def attribution(self) -> str:
        """Text that products made with the data must show."""

    @property
    def workers(self) -> int:
        """Largest number of requests at a time."""

    @property
    def seconds_between(self) -> float:
        """Shortest time between the starts of two requests (s)."""

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Write the answer to `target`; return entries for the sidecar (job id, ...)."""

    def check(self, request: Request, file: Path) -> Record:
        """Raise RetryableError unless the answer is complete; return entries for the sidecar."""

    def split(self, request: Request) -> list[Request]:
        """Smaller requests that together replace this one; empty when it cannot be split."""

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        """Whether a stored answer is outdated and must be fetched again."""


@dataclass(frozen=True)
class Retry:
    """How often one request is tried, and the pauses between tries.

    Args:
        tries: largest number of tries, 1 or more.
        first_s: pause after the first failure (s), doubled after each further one.
        longest_s: upper limit of these pauses (s); a service may ask for a longer one.
    """

    tries: int = 6
    first_s: float = 5.0
    longest_s: float = 120.0

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds to wait before the next try."""
        return self.after(state.attempt_number, state.outcome.exception() if state.outcome else None)

    def after(self, failures: int, error: BaseException | None) -> float:
        """Seconds to wait after a number of failures in a row, the last with this error."""
        own = min(self.first_s * 2.0 ** (failures - 1), self.longest_s)
        asked = error.after_s if isinstance(error, RetryableError) else None
        return max(own, asked or 0.0)


@dataclass(frozen=True)
class Outcome:
    """Result of one request: fetched (record), split, or missing (error)."""

    request: Request
    record: Record | None = None
    split: tuple[Request, ...] = ()
    error: YieldcastError | None = None
    revised: bool = False
    tries: int = 1
    seconds: float = 0.0


def fetch_request(source: Source, request: Request, folder: Path, retry: Retry) -> Outcome:
    """Fetch, check and store the answer to one request; runs in a thread or on a Dask worker.

    Args:
        source: of the request.
        request: what to fetch.
        folder: cache of the source.
        retry: number of tries and pauses.

    Returns:
        the outcome; a service that fails is an outcome with an error.

    Raises:
        MissingDataError: the disk refuses.
    """
    cache, began = RequestCache(folder), time.monotonic()
    job = cache.job(request)
    if not {"job_id", "submitting"} & job.load().keys():
        job.clear()  # states and error counts of an earlier run are outdated

    def attempt() -> tuple[Record, Record]:
        target = cache.temporary(request)
        target.unlink(missing_ok=True)
        facts = source.fetch(request, target, job)
        return facts, source.check(request, target)

    def before_pause(state: tenacity.RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action else 0
        error = state.outcome.exception() if state.outcome else ""
        job.set_state(f"try {state.attempt_number + 1} in {pause:.0f} s: {error}")

    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_worth_another_try), wait=retry.pause, sleep=pause,
        stop=tenacity.stop_after_attempt(retry.tries), before_sleep=before_pause, reraise=True,
    )  # fmt: skip

    def outcome(**values: Any) -> Outcome:
        count = int(tries.statistics.get("attempt_number", 1))
        return Outcome(request, tries=count, seconds=round(time.monotonic() - began, 2), **values)

    try:
        facts, found = tries(attempt)
    except RequestTooLargeError as error:
        requests = source.split(request)
        if not requests:
            return outcome(error=FetchError(f"{error}; it cannot be split further", error.hint))
        cache.commit_split(request, requests, {"fetched": timestamp(), "reason": str(error)})
        return outcome(split=tuple(requests))
    except (FetchError, SchemaError) as error:
        cache.temporary(request).unlink(missing_ok=True)
        return outcome(error=error)
    record = {
        "fetched": timestamp(), "tries": tries.statistics.get("attempt_number", 1),
        "licence": source.licence, "attribution": source.attribution, **facts, **found,
    }  # fmt: skip
    revised = cache.commit(request, record)
    return outcome(record=cache.verified(request), revised=revised)


def pause(seconds: float) -> None:
    """Wait; raise CancelledError when the user stops the fetch. Also for sources that poll."""
    if STOP.wait(seconds):
        raise CancelledError


def _worth_another_try(error: BaseException) -> bool:
    if isinstance(error, CrowdedError):  # the downloader decides: waiting here would keep the place taken
        return False
    return isinstance(error, RetryableError) and (error.after_s or 0) <= _LONGEST_PAUSE_s
