"""`Worker`: takes jobs from the queue, runs them in the sandbox, writes scores; `start_workers` starts some.

A worker may be killed at any moment. It holds a job by a lease that it renews; results become visible in the
one transaction that ends the job, and only if the lease still holds.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError, MissingDataError, YieldcastError
from yieldcast.workspace.database import queue, submissions
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.database.queue import Claim
from yieldcast.workspace.database.session import VARIABLE
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.sandbox import Outcome, Sandbox, SandboxJob, kernel, run_job
from yieldcast.workspace.sandbox.outputs import levels
from yieldcast.workspace.sandbox.walls import Limits
from yieldcast.workspace.scoring.scores import RowArrays, published
from yieldcast.workspace.settings import parse_options
from yieldcast.workspace.tasks.holdout import score_holdout
from yieldcast.workspace.tasks.task import VALUE, Task

NAME_VARIABLE = "YIELDCAST_WORKER"
LEASE_SECONDS = 60.0
_BEAT_SECONDS = 2.0  # between two renewals of a lease, with progress
_POLL_SECONDS = 1.0  # between two looks at an empty queue
# Attempts at a job whose process was killed from outside. Those that ended with their worker count too, so
# that three would be few where machines are switched off.
_MOST_CRASHES = 10
_RESTART_SECONDS = 5.0  # before a worker that did not live as long is started again
_END_SECONDS = 20.0  # for a worker to give its job back
_BUDGET = "the compute budget of the contributor is spent"
Notice = Callable[[str], None]
_Scored = tuple[queue.Scores, RowArrays]


def own_name() -> str:
    """Name of this process in queue and audit log: of the variable YIELDCAST_WORKER, else host and number."""
    return os.environ.get(NAME_VARIABLE) or f"worker {socket.gethostname()} {os.getpid()}"


@dataclass
class Worker:
    """Takes one job after the other.

    Args:
        workspace: open.
        sandbox: where models run.
        name: of this worker, different for each.
        threads: that a job computes with.
        lease_seconds: for which a job is held without a sign of life.
        notice: is told what happens, for the owner.
    """

    workspace: Workspace
    sandbox: Sandbox
    name: str = field(default_factory=own_name)
    threads: int = 1
    lease_seconds: float = LEASE_SECONDS
    notice: Notice = lambda text: None

    def run(self, once: bool = False, submission: str | None = None) -> int:
        """Take jobs until the process is asked to end.

        Args:
            once: end when no job waits.
            submission: only the job of this one.

        Returns:
            number of jobs that were ended.

        Raises:
            RunError: the sandbox does not start.
            MissingDataError, SchemaError: the folder of the workspace is not whole. The job is given back.
        """
        ended = 0
        while True:
            self.sandbox.start()
            claim = self._claim(submission)
            if claim is not None:
                ended += self._carry_out(claim)
            elif once:
                return ended
            else:
                time.sleep(_POLL_SECONDS)

    def _claim(self, submission: str | None) -> Claim | None:
        with self.workspace.write() as session:
            return queue.claim(session, self.name, self.lease_seconds, submission)

    def _carry_out(self, claim: Claim) -> bool:
        """Run a job and write how it ended; whatever keeps this worker from that gives the job back."""
        try:
            task = Task.read(self.workspace.data)
            with self.workspace.read() as session:
                row = session.get_one(Submission, claim.submission)
                job = self._job(session, row, task)
            if not _is(job.model, row.sha256):
                reason = "its model file is missing or damaged; submit it again"
                return self._end(claim, Outcome("failed", reason, {}, (), 0, 0.0), {})
            beat = _Heartbeat(self, claim, row.account_id)
            outcome = beat.verdict(run_job(self.sandbox, job, beat))
            if outcome is None:
                self.notice(f"{claim.submission}: dropped, the job is not held any more")
                return False
            if outcome.again and claim.attempt < _MOST_CRASHES:
                self._give_back(claim, outcome)
                return False
            outcome, scored = self._scored(task, job, outcome)
            return self._end(claim, outcome, scored)
        except BaseException:
            self._give_back(claim, None)
            raise

    def _job(self, session: Session, row: Submission, task: Task) -> SandboxJob:
        limits = self.workspace.settings.limits
        options = parse_options(row.options)
        return SandboxJob(
            model=self.workspace.model_file(row.sha256), data=self.workspace.data, task=task,
            outputs=tuple(row.outputs) if row.outputs else None,
            options=options.model_copy(update={"epochs": min(options.epochs, limits.epochs)}),
            budget_flop=submissions.budget_left(session, self.workspace.settings, row.account_id),
            limits=Limits(
                seconds=limits.seconds * self.threads + 1, memory=round(limits.memory_gb * 1e9),
                processes=limits.processes, disk=(disk := round(limits.disk_gb * 1e9)), file=disk,
            ),
            seconds=limits.seconds, seed=int(row.sha256[:8], 16), threads=self.threads,
        )  # fmt: skip

    def _scored(self, task: Task, job: SandboxJob, outcome: Outcome) -> tuple[Outcome, dict[int, _Scored]]:
        """Scores by phase; an outcome that cannot be scored has failed."""
        names = task.outputs if task.kind == "classes" else job.outputs or task.outputs
        rules = self.workspace.settings.rules
        scored: dict[int, _Scored] = {}
        try:
            if task.kind == "value" and outcome.predictions and levels(names) is None:
                names = (VALUE,)
            for phase, predicted in outcome.predictions.items():
                scores, rows = score_holdout(self.workspace.data, task, predicted, names)
                leaves = published(scores, rules.score_step, rules.smallest_cell, rules.score_step_kg_ha)
                scored[phase] = queue.Scores(scores.model_dump(mode="json"), leaves), rows
        except YieldcastError as error:
            reason = f"its predictions could not be scored: {error}"
            return replace(outcome, state="failed", reason=reason, predictions={}), {}
        return outcome, scored

    def _end(self, claim: Claim, outcome: Outcome, scored: Mapping[int, _Scored]) -> bool:
        """Write results, files of rows and the state; False if the job was not held any more."""
        results = {phase: scores for phase, (scores, _) in scored.items()}
        flop, seconds = outcome.flop, outcome.seconds
        with self.workspace.write() as session:
            progress = {"curve": list(outcome.curve), "flop": flop}
            queue.renew(session, claim, self.lease_seconds, progress, flop, seconds)
            if outcome.state == "done":
                kept = queue.finish(session, claim, results, flop, seconds)
                session.get_one(Submission, claim.submission).reason = outcome.reason
            else:
                reason = outcome.reason or "it could not be run"
                kept = queue.fail(session, claim, outcome.state, reason, flop, seconds, results)
            if not kept:
                session.rollback()
                return False
            # Before the end of the transaction: rows that can be read have their files. A worker that lost
            # the job does not come here, so the files are of the attempt that counts.
            for phase, (_, rows) in scored.items():
                _save(self.workspace.predictions_file(claim.submission, phase), rows)
        shown = f"{claim.submission}: {outcome.state} after {outcome.seconds:.0f} s, {outcome.flop:.3g} FLOP"
        self.notice(f"{shown}; {outcome.reason}" if outcome.reason else shown)
        if outcome.log and outcome.state == "failed":
            self.notice(outcome.log)
        return True

    def _give_back(self, claim: Claim, outcome: Outcome | None) -> None:
        """Put a job back into the queue; where the database does not answer, its lease runs out."""
        flop, seconds = (outcome.flop, outcome.seconds) if outcome else (0, 0.0)
        try:
            with self.workspace.write() as session:
                given = queue.give_back(session, claim, flop, seconds)
        except MissingDataError as error:
            self.notice(f"{claim.submission}: not given back, its lease runs out: {error}")
            return
        if given:
            self.notice(f"{claim.submission}: given back to the queue")


def _save(path: Path, rows: RowArrays) -> None:
    def write(temporary: Path) -> None:
        np.savez(temporary, allow_pickle=False, **rows)

    atomic_write(path, write)


def _is(path: Path, sha256: str) -> bool:
    """Whether a file is there and whole."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


@dataclass
class _Heartbeat:
    """Renews the lease while a job runs, and stops it when it is not held any more or the budget is spent."""

    worker: Worker
    claim: Claim
    account: int
    lost: bool = False
    spent: bool = False
    _started: float = field(default_factory=time.monotonic)
    _last: float = 0.0
    _held_until: float = field(default=0.0)

    def __call__(self, progress: dict[str, Any], flop: int) -> bool:
        now = time.monotonic()
        if now - self._last < _BEAT_SECONDS:
            return self.lost or self.spent
        self._last = now
        self._held_until = self._held_until or now + self.worker.lease_seconds
        seconds = now - self._started
        shown = {**progress, "flop": flop, "seconds": round(seconds)}
        try:
            with self.worker.workspace.write() as session:
                lease = self.worker.lease_seconds
                self.lost = not queue.renew(session, self.claim, lease, shown, flop, seconds)
                settings = self.worker.workspace.settings
                # other submissions of the same contributor may run at the same time
                self.spent = queue.spent_flop(session, self.account) > settings.limits.budget_flop
            self._held_until = now + self.worker.lease_seconds
        except MissingDataError as error:  # the database may come back before the lease is over
            self.worker.notice(f"{self.claim.submission}: {error}")
            self.lost = now > self._held_until
        return self.lost or self.spent

    def verdict(self, outcome: Outcome) -> Outcome | None:
        """The outcome, None where the job is not held any more."""
        if self.lost:
            return None
        if self.spent and outcome.state == "stopped":
            return replace(outcome, reason=_BUDGET)
        return outcome


class Workers(threading.Thread):
    """Workers as processes of their own, which end with this one; one that died is started again.

    Args:
        count: of workers.
        options: of ``yieldcast workspace worker``, with the folder.
        database: URL, None for what the workspace was created with.
        notice: is told what happens.
    """

    def __init__(self, count: int, options: Sequence[str], database: str | None, notice: Notice) -> None:
        # The processes are started in this thread, because the kernel ties their life to the thread.
        super().__init__(name="workers", daemon=True)
        worker = [sys.executable, "-m", "yieldcast", "workspace", "worker"]
        self.command = [*worker, *options, "--with-parent", str(os.getpid())]
        self.environment = {**os.environ, **({VARIABLE: database} if database else {})}
        self.count, self.notice = count, notice
        self.processes: list[subprocess.Popen[bytes]] = []
        self._since: dict[int, float] = {}
        self._asked = threading.Event()

    def run(self) -> None:
        """Start the processes and keep their number until `stop`."""
        while not self._asked.is_set() and (self.count or self.processes):
            for process in [one for one in self.processes if one.poll() is not None]:
                self._bury(process)
            while len(self.processes) < self.count and not self._asked.is_set():
                process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL)
                self.processes.append(process)
                self._since[process.pid] = time.monotonic()
            self._asked.wait(0.2)
        for process in self.processes:
            process.terminate()
        until = time.monotonic() + _END_SECONDS
        for process in self.processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop(self) -> None:
        """End all; each gives its job back."""
        self._asked.set()
        self.join()

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """Note that a worker ended, and wait a while if it did so soon."""
        self.processes.remove(process)
        self.notice(f"worker {process.pid} ended with exit code {process.returncode}")
        if process.returncode == ConfigError.exit_code:  # the next one would say the same
            self.count -= 1
        elif time.monotonic() - self._since.pop(process.pid) < _RESTART_SECONDS:
            self._asked.wait(_RESTART_SECONDS)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def start_workers(
    path: Path,
    count: int | None = None,
    trust: bool = False,
    database: str | None = None,
    notice: Notice = lambda text: None,
    threads: int | None = None,
    lease_seconds: float = LEASE_SECONDS,
) -> Workers:
    """Start workers for a workspace as processes that end with this one; they go on until `Workers.stop`.

    Args:
        path: folder of the workspace.
        count: of workers; None for one per core.
        trust: run models even where they cannot be confined.
        database: URL, None for what the workspace was created with.
        notice: is told when a worker ended.
        threads: that a job computes with; None for the cores divided by the workers.
        lease_seconds: for which a job is held without a sign of life.
    """
    count = count or cores()
    options = [str(path.absolute()), "--threads", str(threads or max(1, cores() // count))]
    options += ["--lease", str(lease_seconds), *(["--trust"] if trust else [])]
    workers = Workers(count, options, database, notice)
    workers.start()
    return workers


def end_with_parent(parent: int) -> None:
    """Give the job back and end when the process that started this worker ends.

    Args:
        parent: number of that process.

    Raises:
        ConfigError: it has ended already.
    """
    kernel.die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        raise ConfigError(f"the process {parent} that started this worker has ended")
