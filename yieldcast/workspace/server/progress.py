"""Where a submission stands, in few reads: this is asked every few seconds."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from yieldcast.workspace.database.models import Account, Job, Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.disclosure import usage
from yieldcast.workspace.disclosure.submissions import minute, public_progress
from yieldcast.workspace.server.problems import not_found


class Progress(BaseModel):
    """Where a submission stands."""

    id: str = Field(description="Of the submission.")
    model: str = Field(description="Name of the model.")
    state: str = Field(description="received, queued, running, done, refused, failed or stopped.")
    reason: str | None = Field(description="A sentence, where the state needs one.")
    received: dt.datetime = Field(description="UTC, in whole minutes.")
    place: int | None = Field(description="Place in the queue, 1 is the next one; null when not in it.")
    progress: dict[str, Any] = Field(description="phase, epoch, epochs, losses and their like.")
    used_pflop: float = Field(description="Compute of all your submissions, in 1e15 operations.")
    budget_pflop: float = Field(description="Compute that you may use.")


def progress_of(session: Session, workspace: Workspace, asking: Account, submission: str) -> Progress:
    """Where a submission of a contributor stands; the owner may ask for any.

    Args:
        session: of a transaction that reads.
        workspace: where the submission lies.
        asking: contributor or owner.
        submission: identifier.

    Raises:
        RequestError: 404 when there is none, or it is another contributor's.
    """
    row = session.get(Submission, submission)
    if row is None or (asking.role != "owner" and row.account_id != asking.id):
        raise not_found(f"submission {submission[:40]!r}")
    job = row.job
    return Progress(
        id=row.id, model=row.name, state=row.state, reason=row.reason, received=minute(row.received),
        place=_place(session, job) if job is not None and row.state == "queued" else None,
        progress=public_progress(job.progress) if job is not None else {},
        used_pflop=usage.pflop(session, row.account_id), budget_pflop=workspace.settings.limits.budget_pflop,
    )  # fmt: skip


def _place(session: Session, job: Job) -> int:
    """Its place by the order in which workers take jobs."""
    earlier = tuple_(Job.queued, Job.submission_id) < tuple_(job.queued, job.submission_id)
    query = select(func.count()).select_from(Job).where(Job.state == "queued", earlier)
    return 1 + (session.scalar(query) or 0)
