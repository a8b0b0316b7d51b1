"""Keeps Jobs and queue in step: one Job for each queued submission, leases back from Jobs that are gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from yieldcast.errors import CredentialsError, FetchError
from yieldcast.workspace.kubernetes.cluster import Cluster, JobState
from yieldcast.workspace.kubernetes.manifests import job_name

_FIRST_PAUSE_s, _LONGEST_PAUSE_s = 30.0, 600.0  # before a failed Job is made again


class Lease(Protocol):
    """Who holds a running submission."""

    @property
    def worker(self) -> str:
        """Name of the worker: in a pod, that of its Job."""
        ...


AnyLease = TypeVar("AnyLease", bound=Lease)


class Queue(Protocol[AnyLease]):
    """What the reconciler needs of the workspace's queue, see `DatabaseQueue`."""

    def queued(self) -> list[str]:
        """Ids of submissions that wait for a worker, in the order of the queue."""
        ...

    def leased(self) -> dict[str, AnyLease]:
        """Running submissions: id -> who holds it."""
        ...

    def give_back(self, held: AnyLease) -> bool:
        """End the lease of a worker that is gone; False if it no longer holds it."""
        ...


@dataclass(frozen=True)
class Pass:
    """What one look at queue and Jobs has led to: ids of submissions.

    Args:
        created: have got a Job.
        given_back: were leased to a Job that is gone, and wait again.
        removed: had a finished Job, which was deleted so that another one can be made.
        failures: id -> why its Job failed, as Kubernetes says it.
        waiting: wait without a Job.
        active: have a Job that waits or runs.
        version: of the list of Jobs.
    """

    created: tuple[str, ...] = ()
    given_back: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    version: str = ""


class Reconciler(Generic[AnyLease]):
    """Looks at queue and Jobs and acts on the difference; holds no state that a restart would miss.

    Args:
        cluster: where Jobs run.
        queue: of the workspace.
        now: seconds of a monotonic clock; for tests.
    """

    def __init__(
        self, cluster: Cluster, queue: Queue[AnyLease], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster, self._queue, self._now = cluster, queue, now
        self._failed: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def reconcile(self) -> Pass:
        """One look.

        The queue is read before the Jobs: a lease that is seen was taken by a Job that was there before, so
        that a Job which is not in the list is gone and not still to come.
        """
        leased = self._queue.leased()
        jobs, version = self._cluster.jobs()
        by_name = {job.name: job for job in jobs}
        given_back = tuple(self._give_back(leased, by_name))
        queued = self._queue.queued()
        removed = tuple(self._remove_finished(queued, by_name))
        active = tuple(job.submission for job in jobs if not job.finished and not job.ending)
        created = tuple(self._create(queued, by_name, self._cluster.settings.jobs - len(active)))
        served = {*created, *active}
        return Pass(
            created,
            given_back,
            removed,
            {job.submission: job.reason for job in jobs if job.finished == "failed"},
            tuple(submission for submission in queued if submission not in served),
            active,
            version,
        )

    def _give_back(self, leased: dict[str, AnyLease], jobs: dict[str, JobState]) -> list[str]:
        """Leases of Jobs that have ended or are gone; other workers' leases end by their time."""
        gone = []
        for submission, held in leased.items():
            if held.worker != job_name(submission):
                continue
            job = jobs.get(held.worker)
            over = job is None or job.finished is not None
            if over and self._queue.give_back(held):
                gone.append(submission)
        return gone

    def _remove_finished(self, queued: list[str], jobs: dict[str, JobState]) -> list[str]:
        """Delete Jobs that ended although their submission waits: a Job's name can be used again after it."""
        removed = []
        for submission in queued:
            job = jobs.get(job_name(submission))
            if job is None or job.finished is None or job.ending:
                continue
            self._cluster.delete(job)
            removed.append(submission)
            times = self._failed[submission] = self._failed.get(submission, 0) + 1
            pause = min(_FIRST_PAUSE_s * 2 ** (times - 1), _LONGEST_PAUSE_s)
            self._not_before[submission] = self._now() + pause
        return removed

    def _create(self, queued: list[str], jobs: dict[str, JobState], room: int) -> list[str]:
        created: list[str] = []
        for submission in queued:
            if len(created) >= room:
                break
            early = self._now() < self._not_before.get(submission, 0.0)
            if job_name(submission) in jobs or early:
                continue
            if self._cluster.create(submission):
                created.append(submission)
        return created

    def run(
        self,
        on_pass: Callable[[Pass], None],
        on_trouble: Callable[[FetchError, float], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Reconcile until the process is stopped.

        Args:
            on_pass: called after every look.
            on_trouble: called when the API is away, with the seconds until the next look.
            pause: how to wait.

        Raises:
            CredentialsError: the API does not allow it; waiting does not help.
            ConfigError: the API does not accept what we send.
        """
        wait_s, poll_s, policy = 0.0, self._cluster.settings.poll_s, False
        while True:
            try:
                if not policy:
                    self._cluster.apply_policy()
                    policy = True
                found, began = self.reconcile(), self._now()
                on_pass(found)
                changed = self._cluster.wait_for_change(found.version, poll_s)
                # A watch that the API ends at once must not become a loop without a pause.
                rest = (min(1.0, poll_s) if changed else poll_s) - (self._now() - began)
                if rest > 0:
                    pause(rest)
                wait_s = 0.0
            except CredentialsError:
                raise
            except FetchError as error:
                wait_s = min(max(2 * wait_s, poll_s), 120.0)
                on_trouble(error, wait_s)
                pause(wait_s)
