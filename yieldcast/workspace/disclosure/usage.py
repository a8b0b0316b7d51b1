"""How much of what they may use contributors have used: submissions, compute, looks at the holdout."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from yieldcast.workspace.database.models import Compute, Submission
from yieldcast.workspace.database.models import Result as ResultRecord
from yieldcast.workspace.disclosure.results import Truth
from yieldcast.workspace.scoring.ladder import Looks, looks_spent

_PFLOP = 1e15


def taken(session: Session, account: int) -> int:
    """Submissions of an account that count towards its number: all but refused ones."""
    query = select(func.count()).where(Submission.account_id == account, Submission.state != "refused")
    return session.scalar(query.select_from(Submission)) or 0


def pflop(session: Session, account: int | None = None) -> float:
    """Compute of an account, or of all, in 1e15 operations and three digits."""
    query = select(func.sum(Compute.flop))
    if account is not None:
        query = query.join(Submission, Submission.id == Compute.submission_id)
        query = query.where(Submission.account_id == account)
    return three_digits(float(session.scalar(query) or 0) / _PFLOP)


def looks(session: Session, truth: Truth, account: int | None = None) -> Looks:
    """Looks at the holdout of an account, or of all: each phase of a submission that was scored is one."""
    query = select(func.count()).select_from(ResultRecord)
    if account is not None:
        query = query.join(Submission, Submission.id == ResultRecord.submission_id)
        query = query.where(Submission.account_id == account)
    return meaning(session.scalar(query) or 0, truth)


def meaning(count: int, truth: Truth) -> Looks:
    """A number of looks with what they may add."""
    step: Decimal = truth.holdout.steps.share
    return looks_spent(count, truth.task.holdout, step, truth.task.kind == "classes")


def by_account(session: Session) -> dict[int, tuple[int, float]]:
    """Account -> number of looks, and compute in 1e15 operations and three digits."""
    looks = _grouped(session, func.count(), ResultRecord)
    flop = _grouped(session, func.sum(Compute.flop), Compute)
    return {
        account: (int(looks.get(account, 0)), three_digits(float(flop.get(account, 0)) / _PFLOP))
        for account in {*looks, *flop}
    }


def _grouped(session: Session, value: Any, record: type[ResultRecord] | type[Compute]) -> dict[int, Any]:
    query = (
        select(Submission.account_id, value)
        .select_from(record)
        .join(Submission, Submission.id == record.submission_id)
        .group_by(Submission.account_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def three_digits(value: float) -> float:
    """A number in three significant digits."""
    return float(f"{value:.3g}")


def states(submissions: Iterable[Submission]) -> dict[str, int]:
    """Number of submissions in each state that occurs."""
    found: dict[str, int] = {}
    for one in submissions:
        found[one.state] = found.get(one.state, 0) + 1
    return dict(sorted(found.items()))
