"""One loop for all sources: skip what verifies, fetch the rest a few at a time, sum up."""

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

from data_fetchers.engine import clock
from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.engine.source import STOP, Outcome, Retry, RetryableError, Source, run_part
from yieldcast.data.files import disk_error, exclusive_lock, make_folder
from yieldcast.errors import CredentialsError, YieldcastError

_TICK_s = 0.5
_GIVE_UP = 8  # parts in a row


@dataclass
class SourceSummary:
    """What became of the parts of one source.

    Args:
        name: of the source, or what the caller names the plan.
        total, kept, fetched: parts in all, verified before, fetched now.
        bytes: fetched now.
        revised: parts whose contents replaced others.
        missing: parts that did not arrive, with the reason; of some an earlier file may be there.
        absent: the same parts themselves.
        waiting: parts under way, with what they wait for.
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
        """Parts that need no more work in this run."""
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
    """Bring all parts of all plans onto their shelves, a few of each source at a time.

    Args:
        plans: sources, each with its parts.
        folder: holds one shelf per source and ``manifest.jsonl``, a line for every part that was tried.
        executor: any `concurrent.futures.Executor` whose workers see `folder`; threads if none.
        retry: how often one part is tried.
        progress: called about twice a second with what is done and what is waited for.
        today: the day that decides what is stale; today if none.
        labels: what progress and summary call each plan; the sources' names if none.

    Returns:
        one summary per plan; what is missing is in it, with the reason.

    Raises:
        MissingDataError: the disk refuses, or another fetch is at work in `folder`.
    """
    make_folder(folder)
    today = today or clock.today()
    with exclusive_lock(folder, "another fetch is at work in"):
        queues = [_Queue(source, parts, folder / source.name, today) for source, parts in plans]
        for queue, label in zip(queues, labels, strict=False):
            queue.summary.name = label
        if executor is not None:
            return _Loop(queues, folder, executor, retry or Retry(), progress).run()
        threads = sum(min(q.source.workers, max(len(q.pending), 1)) for q in queues)
        pool = ThreadPoolExecutor(max(threads, 1), thread_name_prefix="fetch")
        STOP.clear()
        try:
            return _Loop(queues, folder, pool, retry or Retry(), progress).run()
        except KeyboardInterrupt:
            STOP.set()
            # No waiting for a service that hangs: a part that is cut off harms nothing.
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
    """The parts of one source that are still to do, and the count of those done."""

    def __init__(self, source: Source, parts: Iterable[Request], folder: Path, today: dt.date) -> None:
        self.source, self.shelf = source, RequestCache(folder)
        self.shelf.make()
        self.shelf.remove_leftovers()
        self.summary = SourceSummary(source.name)
        self.pending: deque[Request] = deque()
        self.next_start = 0.0
        self.failures = 0  # parts in a row that the service did not deliver
        for part in dict.fromkeys(parts):
            for leaf, record in self.shelf.below(part):
                self.summary.total += 1
                if record is None or source.stale(leaf, record, today):
                    self.pending.append(leaf)
                else:
                    self.summary.kept += 1

    def take(self, under_way: int, now: float) -> Request | None:
        """The next part that may start now."""
        if not self.pending or under_way >= self.source.workers or now < self.next_start:
            return None
        self.next_start = now + self.source.seconds_between
        return self.pending.popleft()

    def settle(self, outcome: Outcome) -> list[Outcome]:
        """Count an outcome; returns those of parts that are given up with it.

        A refused key ends the whole source, and so do parts that fail in a row, each after all its tries:
        the service is down, and asking for thousands more would take hours.
        """
        if outcome.split:
            self.summary.total += len(outcome.split) - 1
            self.pending.extendleft(reversed(outcome.split))
        elif outcome.record is not None:
            self.failures = 0
            self.summary.fetched += 1
            self.summary.bytes += int(outcome.record["bytes"])
            self.summary.revised += [outcome.part.name] if outcome.revised else []
        elif outcome.error is not None:
            self._miss(outcome.part, outcome.error)
            self.failures += isinstance(outcome.error, RetryableError)
        if outcome.error is None:
            return []
        if not isinstance(outcome.error, CredentialsError) and self.failures < _GIVE_UP:
            return []
        given_up = [Outcome(part, error=outcome.error, tries=0) for part in self.pending]
        self.pending.clear()
        for one in given_up:
            self._miss(one.part, outcome.error)
        return given_up

    def _miss(self, part: Request, error: YieldcastError) -> None:
        self.summary.missing.append((part.name, error))
        self.summary.absent.append(part)


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
                    queue, _part = self.under_way.pop(future)
                    outcome = future.result()
                    self._note([outcome, *queue.settle(outcome)])
                self._tell()
        except BaseException:
            for future in self.under_way:
                future.cancel()
            raise
        self._tell()
        return [queue.summary for queue in self.queues]

    def _start(self) -> bool:
        started = False
        for queue in self.queues:
            while True:
                count = sum(owner is queue for owner, _ in self.under_way.values())
                part = queue.take(count, time.monotonic())
                if part is None:
                    break
                future = self.executor.submit(run_part, queue.source, part, queue.shelf.folder, self.retry)
                self.under_way[future] = (queue, part)
                started = True
        return started

    def _timeout(self) -> float:
        now = time.monotonic()
        busy = Counter(id(owner) for owner, _ in self.under_way.values())
        free = [q for q in self.queues if q.pending and busy[id(q)] < q.source.workers]
        starts = [q.next_start - now for q in free if q.source.seconds_between]
        return max(0.01, min([_TICK_s, *starts]))

    def _tell(self) -> None:
        for queue in self.queues:
            own = [part for owner, part in self.under_way.values() if owner is queue]
            queue.summary.waiting = {p.name: str(queue.shelf.job(p).load().get("state", "")) for p in own}
        self.progress([queue.summary for queue in self.queues])

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        """One manifest line each."""
        path = self.folder / "manifest.jsonl"
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(_line(one), ensure_ascii=False) + "\n" for one in outcomes)
        except OSError as error:
            raise disk_error(path, error) from error


def _line(outcome: Outcome) -> Mapping[str, Any]:
    what = "fetched" if outcome.record else "split" if outcome.split else "missing"
    return {
        "time": timestamp(), "source": outcome.part.source, "part": outcome.part.file, "outcome": what,
        "tries": outcome.tries, "seconds": outcome.seconds,
        "bytes": outcome.record["bytes"] if outcome.record else 0,
        "error": str(outcome.error) if outcome.error else "",
    }  # fmt: skip
