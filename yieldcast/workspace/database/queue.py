"""The queue: workers hold a job for a while and renew that; a job whose worker is gone goes to another one.

Each claim has a number, the attempt. Only the holder of the newest attempt of a running job can end it, so
that a worker that was cut off for long and comes back changes nothing. Results are written together with the
state, in one transaction: a submission has one result for each phase or none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from yieldcast import clock
from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import Account, Compute, Job, Result, Submission

# Attempts at a job. One that ends all of its workers must not do so for ever; the number leaves room for
# machines that are switched off and workers that are replaced.
MOST_ATTEMPTS = 25


@dataclass(frozen=True)
class Claim:
    """A job that a worker holds.

    Args:
        submission: identifier.
        worker: its name.
        attempt: 1 for the first claim.
        lease_until: another worker may take the job after it.
    """

    submission: str
    worker: str
    attempt: int
    lease_until: dt.datetime


@dataclass(frozen=True)
class Scores:
    """Scores of one phase: as computed, and as published; numbers that are not known are None, never NaN."""

    exact: Mapping[str, Any]
    published: Mapping[str, Any]


def add(session: Session, submission: Submission) -> None:
    """Put a submission into the queue."""
    submission.state = "queued"
    session.add(Job(submission_id=submission.id, state="queued", queued=_now(session), attempts=0))
    session.flush()


def claim(session: Session, worker: str, seconds: float, submission: str | None = None) -> Claim | None:
    """Take the oldest job that waits, or whose worker did not renew its claim.

    Args:
        session: of a transaction that writes; the job is held when it has ended.
        worker: name, different for each worker.
        seconds: for which the job is held.
        submission: take the job of this one or none.

    Returns:
        the claim, or None when there is nothing to do.
    """
    now = _now(session)
    ready = or_(Job.state == "queued", and_(Job.state == "running", Job.lease_until < now))
    query = select(Job).where(ready).order_by(Job.queued, Job.submission_id).limit(1)
    if submission is not None:
        query = query.where(Job.submission_id == submission)
    while (job := session.scalars(query.with_for_update(skip_locked=True)).first()) is not None:
        if job.attempts < MOST_ATTEMPTS:
            break
        reason = f"its worker was cut off {MOST_ATTEMPTS} times"
        _end(session, job, "failed", reason, job.worker or worker)
    if job is None:
        return None
    job.state, job.worker, job.attempts = "running", worker, job.attempts + 1
    job.lease_until = now + dt.timedelta(seconds=seconds)
    job.progress = {}
    job.submission.state = "running"
    audit.write(session, worker, "claim", job.submission_id, {"attempt": job.attempts})
    return Claim(job.submission_id, worker, job.attempts, job.lease_until)


def renew(
    session: Session,
    held: Claim,
    seconds: float,
    progress: Mapping[str, Any] | None = None,
    flop: int = 0,
    used_seconds: float = 0.0,
) -> bool:
    """Hold a job for longer, and note how far it is and what it has used.

    Args:
        session: of a transaction that writes.
        held: the claim.
        seconds: for which the job is held from now on.
        progress: what contributors may see of it; None leaves what is there.
        flop, used_seconds: used by this attempt so far.

    Returns:
        False when the job is not held any more: it was taken by another worker, or stopped. The worker must
        drop it.
    """
    job = _held(session, held)
    if job is None:
        return False
    job.lease_until = _now(session) + dt.timedelta(seconds=seconds)
    if progress is not None:
        job.progress = dict(progress)
    _note_use(session, held, flop, used_seconds)
    return True


def finish(
    session: Session, held: Claim, results: Mapping[int, Scores], flop: int, used_seconds: float
) -> bool:
    """End a job with its results.

    Args:
        session: of a transaction that writes.
        held: the claim.
        results: by phase.
        flop, used_seconds: used by this attempt.

    Returns:
        False when the job is not held any more, see `renew`; then nothing is kept.
    """
    return _close(session, held, "done", None, results, flop, used_seconds)


def fail(
    session: Session,
    held: Claim,
    state: Literal["refused", "failed", "stopped"],
    reason: str,
    flop: int = 0,
    used_seconds: float = 0.0,
    results: Mapping[int, Scores] | None = None,
) -> bool:
    """End a job without all of its results.

    Args:
        session: of a transaction that writes.
        held: the claim.
        state: of the submission: refused, failed, or stopped by a limit.
        reason: a sentence for the contributor.
        flop, used_seconds: used by this attempt.
        results: of the phases that were scored.

    Returns:
        False when the job is not held any more, see `renew`; then nothing is kept.
    """
    return _close(session, held, state, reason, results or {}, flop, used_seconds)


def give_back(session: Session, held: Claim, flop: int = 0, used_seconds: float = 0.0) -> bool:
    """Put a job back for another worker, at once: this one is asked to end.

    Returns:
        False when the job is not held any more, see `renew`.
    """
    job = _held(session, held)
    if job is None:
        return False
    job.state, job.worker, job.lease_until, job.progress = "queued", None, None, {}
    job.submission.state = "queued"
    _note_use(session, held, flop, used_seconds)
    audit.write(session, held.worker, "give-back", held.submission, {"attempt": held.attempt})
    return True


def stop_all(session: Session, account: Account, reason: str) -> list[str]:
    """Stop all jobs of an account that wait or run; a running one notices it when it renews its claim.

    Returns:
        identifiers of their submissions.
    """
    waiting = select(Submission).where(
        Submission.account_id == account.id, Submission.state.in_(("received", "queued", "running"))
    )
    stopped = []
    for submission in session.scalars(waiting.order_by(Submission.received)):
        job = session.get(Job, submission.id, with_for_update=True, populate_existing=True)
        if job is not None:
            job.state, job.lease_until = "stopped", None
        submission.state, submission.reason, submission.finished = "stopped", reason, clock.now()
        stopped.append(submission.id)
    return stopped


def spent_flop(session: Session, account_id: int) -> int:
    """Floating-point operations that the submissions of an account used, attempts that were cut off
    included."""
    query = select(func.sum(Compute.flop)).join(Submission, Submission.id == Compute.submission_id)
    return int(session.scalar(query.where(Submission.account_id == account_id)) or 0)


def waiting(session: Session) -> int:
    """How many jobs wait."""
    return session.scalar(select(func.count()).select_from(Job).where(Job.state == "queued")) or 0


def _held(session: Session, held: Claim) -> Job | None:
    """The job of a claim, locked, if the claim still holds. A lease that is over holds until another worker
    takes the job."""
    job = session.get(Job, held.submission, with_for_update=True, populate_existing=True)
    if job is None or (job.state, job.worker, job.attempts) != ("running", held.worker, held.attempt):
        return None
    return job


def _close(
    session: Session,
    held: Claim,
    state: str,
    reason: str | None,
    results: Mapping[int, Scores],
    flop: int,
    used_seconds: float,
) -> bool:
    job = _held(session, held)
    if job is None:
        return False
    for phase, scores in sorted(results.items()):
        row = Result(
            submission_id=held.submission, phase=phase, scores=dict(scores.exact),
            published=dict(scores.published), scored=_now(session),
        )  # fmt: skip
        session.add(row)
    _note_use(session, held, flop, used_seconds)
    _end(session, job, state, reason, held.worker)
    return True


def _end(session: Session, job: Job, state: str, reason: str | None, actor: str) -> None:
    ended = {"done": "finished", "stopped": "stopped"}.get(state, "failed")
    job.state, job.lease_until = ended, None
    job.submission.state, job.submission.reason = state, reason
    details = {"attempt": job.attempts, **({"reason": reason} if reason else {})}
    audit.write(session, actor, {"done": "finish"}.get(state, state), job.submission_id, details)
    # After the entry, which makes others wait: results become visible in the order of these times, by which
    # the Ladder goes.
    job.submission.finished = _now(session)


def _note_use(session: Session, held: Claim, flop: int, used_seconds: float) -> None:
    """Note what an attempt used; a smaller number than before changes nothing."""
    key = {"submission_id": held.submission, "attempt": held.attempt}
    row = session.get(Compute, key)
    if row is None:
        session.add(Compute(**key, flop=flop, seconds=used_seconds))
        return
    row.flop, row.seconds = max(row.flop, flop), max(row.seconds, used_seconds)


def _now(session: Session) -> dt.datetime:
    """The time by which claims are held and jobs end. With PostgreSQL it is the server's, because the clocks
    of workers on several machines differ; SQLite's workers share one machine."""
    if session.get_bind().dialect.name == "postgresql":
        told: dt.datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return told
    return clock.now()
