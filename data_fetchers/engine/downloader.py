"""Downloads the requests of all sources: skip stored answers, fetch the others a few at a time, summarise."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.engine.source import (
    STOP,
    CrowdedError,
    Outcome,
    Retry,
    RetryableError,
    Source,
    fetch_request,
)
from yieldcast import clock
from yieldcast.data.files import disk_error, exclusive_lock, make_folder, no_links
from yieldcast.errors import CredentialsError, YieldcastError

_TICK_s = 0.5
_GIVE_UP = 8  # failed requests in a row
_REJECTIONS = 90  # refusals in a row for a full queue: three hours with the usual pauses


@dataclass
class SourceSummary:
    """Results of the requests of one source.

    Args:
        name: name of the source, or the label that the caller gave.
        total, kept, fetched: number of requests: all, already stored, fetched now.
        bytes: size of what was fetched now.
        revised: names of requests whose answer replaced another one.
        missing: names of requests that failed, with the error; an earlier answer may still be stored.
        absent: the same requests as objects.
        waiting: names of running requests, with what they wait for.
    """

    name: str
    total: int = 0
    kept: int = 0
    fetched: int = 0
    bytes: int = 0
    revised: list[str] = field(default_factory=list)
    missing: list[tuple[str, YieldcastError]] = field(default_factory=list)
    absent: list[Request] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Number of requests that need no more work in this run."""
        return self.kept + self.fetched + len(self.missing)


Progress = Callable[[Sequence[SourceSummary]], None]
DownloadPlan = tuple[Source, Sequence[Request]]


def fetch_requests(
    plans: Sequence[DownloadPlan],
    folder: Path,
    *,
    executor: Executor | None = None,
    retry: Retry | None = None,
    progress: Progress | None = None,
    today: dt.date | None = None,
    labels: Sequence[str] = (),
) -> list[SourceSummary]:
    """Fetch all requests that have no up-to-date answer in the cache, a few of each source at a time.

    Args:
        plans: sources, each with its requests.
        folder: holds one cache per source and ``manifest.jsonl``, one line per request that was tried.
        executor: any `concurrent.futures.Executor` whose workers see `folder`; threads if None.
        retry: number of tries per request and pauses between them.
        progress: called about twice a second with the summaries so far.
        today: date on which outdated answers are decided; the current date if None.
        labels: name of each plan in progress and summary; the sources' names if empty.

    Returns:
        one summary per plan; failed requests are listed in it with the error.

    Raises:
        MissingDataError: the disk refuses, or another fetch works in `folder`.
    """
    make_folder(folder)
    today = today or clock.today()
    with exclusive_lock(folder, "another fetch is at work in"):
        retry = retry or Retry()
        queues = [_Queue(source, requests, folder / source.name, today, retry) for source, requests in plans]
        for queue, label in zip(queues, labels, strict=False):
            queue.summary.name = label
        if executor is not None:
            return _Loop(queues, folder, executor, retry, progress).run()
        threads = sum(min(q.source.workers, max(len(q.pending), 1)) for q in queues)
        pool = ThreadPoolExecutor(max(threads, 1), thread_name_prefix="fetch")
        STOP.clear()
        try:
            return _Loop(queues, folder, pool, retry, progress).run()
        except KeyboardInterrupt:
            STOP.set()
            # Do not wait for a service that hangs: an interrupted request does no harm.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        except BaseException:
            STOP.set()
            pool.shutdown(cancel_futures=True)
            STOP.clear()
            raise
        finally:
            pool.shutdown(wait=False)


class _Queue:
    """Open requests of one source, and the summary of the finished ones."""

    def __init__(
        self, source: Source, requests: Iterable[Request], folder: Path, today: dt.date, retry: Retry
    ) -> None:
        self.source, self.cache, self.retry = source, RequestCache(folder), retry
        self.cache.make()
        self.cache.remove_leftovers()
        self.summary = SourceSummary(source.name)
        self.pending: deque[Request] = deque()
        self.next_start = 0.0
        self.failures = 0  # consecutive requests that the service did not answer
        self.most = source.workers  # requests at a time
        self.rejections = 0  # consecutive refusals because the service's queue was full
        for request in dict.fromkeys(requests):
            for leaf, record in self.cache.expanded(request):
                self.summary.total += 1
                if record is None or source.stale(leaf, record, today):
                    self.pending.append(leaf)
                else:
                    self.summary.kept += 1

    def take(self, under_way: int, now: float) -> Request | None:
        """The next request that may start now, or None."""
        if not self.pending or under_way >= self.most or now < self.next_start:
            return None
        self.next_start = now + self.source.seconds_between
        return self.pending.popleft()

    def settle(self, outcome: Outcome) -> list[Outcome]:
        """Count an outcome; return the outcomes of requests that are given up because of it.

        A refused key ends the whole source. So do eight requests in a row that fail after all their tries:
        the service is down, and trying thousands more would take hours. A request that found the service's
        queue full is not counted: it waits to be sent again, from then on one at a time.
        """
        if isinstance(outcome.error, CrowdedError) and self.rejections < _REJECTIONS:
            self.rejections += 1
            self.most = 1
            self.pending.appendleft(outcome.request)
            self.next_start = time.monotonic() + self.retry.after(self.rejections, outcome.error)
            return []
        if outcome.split:
            self.summary.total += len(outcome.split) - 1
            self.pending.extendleft(reversed(outcome.split))
        elif outcome.record is not None:
            self.failures = self.rejections = 0
            self.summary.fetched += 1
            self.summary.bytes += int(outcome.record["bytes"])
            self.summary.revised += [outcome.request.name] if outcome.revised else []
        elif outcome.error is not None:
            self._miss(outcome.request, outcome.error)
            self.failures += isinstance(outcome.error, RetryableError)
        if outcome.error is None:
            return []
        if not isinstance(outcome.error, CredentialsError) and self.failures < _GIVE_UP:
            return []
        given_up = [Outcome(request, error=outcome.error, tries=0) for request in self.pending]
        self.pending.clear()
        for one in given_up:
            self._miss(one.request, outcome.error)
        return given_up

    def _miss(self, request: Request, error: YieldcastError) -> None:
        self.summary.missing.append((request.name, error))
        self.summary.absent.append(request)


class _Loop:
    def __init__(
        self, queues: list[_Queue], folder: Path, executor: Executor, retry: Retry, progress: Progress | None
    ) -> None:
        self.queues, self.folder, self.executor, self.retry = queues, folder, executor, retry
        self.progress = progress or (lambda summaries: None)
        self.under_way: dict[Future[Outcome], tuple[_Queue, Request]] = {}

    def run(self) -> list[SourceSummary]:
        try:
            while self._start() or self.under_way or any(q.pending for q in self.queues):
                done, _ = wait(self.under_way, timeout=self._timeout(), return_when=FIRST_COMPLETED)
                if not self.under_way:
                    time.sleep(min(self._timeout(), _TICK_s))
                for future in done:
                    queue, _request = self.under_way.pop(future)
                    outcome = future.result()
                    others = queue.settle(outcome)
                    self._log([outcome, *others], postponed=outcome.request in queue.pending)
                self._report()
        except BaseException:
            for future in self.under_way:
                future.cancel()
            raise
        self._report()
        return [queue.summary for queue in self.queues]

    def _start(self) -> bool:
        started = False
        for queue in self.queues:
            while True:
                count = sum(owner is queue for owner, _ in self.under_way.values())
                request = queue.take(count, time.monotonic())
                if request is None:
                    break
                future = self.executor.submit(
                    fetch_request, queue.source, request, queue.cache.folder, self.retry
                )
                self.under_way[future] = (queue, request)
                started = True
        return started

    def _timeout(self) -> float:
        now = time.monotonic()
        busy = Counter(id(owner) for owner, _ in self.under_way.values())
        free = [q for q in self.queues if q.pending and busy[id(q)] < q.most]
        starts = [q.next_start - now for q in free if q.next_start]
        return max(0.01, min([_TICK_s, *starts]))

    def _report(self) -> None:
        for queue in self.queues:
            own = [request for owner, request in self.under_way.values() if owner is queue]
            queue.summary.waiting = {p.name: str(queue.cache.job(p).load().get("state", "")) for p in own}
            if queue.rejections and queue.pending:
                wait_s = max(0.0, queue.next_start - time.monotonic())
                text = f"the service limits the queue: one at a time, next try in {wait_s:.0f} s"
                queue.summary.waiting.setdefault(queue.pending[0].name, text)
        self.progress([queue.summary for queue in self.queues])

    def _log(self, outcomes: Sequence[Outcome], postponed: bool) -> None:
        """Append one line per outcome to the manifest; `postponed`: the first one is sent again."""
        path = self.folder / "manifest.jsonl"
        try:
            with open(path, "a", encoding="utf-8", opener=no_links) as file:
                lines = [_line(one, postponed and one is outcomes[0]) for one in outcomes]
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        except OSError as error:
            raise disk_error(path, error) from error


def _line(outcome: Outcome, postponed: bool) -> Mapping[str, Any]:
    what = "fetched" if outcome.record else "split" if outcome.split else "missing"
    what = "postponed" if postponed else what
    return {
        "time": timestamp(), "source": outcome.request.source, "part": outcome.request.file, "outcome": what,
        "tries": outcome.tries, "seconds": outcome.seconds,
        "bytes": outcome.record["bytes"] if outcome.record else 0,
        "error": str(outcome.error) if outcome.error else "",
    }  # fmt: skip
