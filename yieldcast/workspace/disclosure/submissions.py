"""What contributors may know of their own submissions; the owner sees the same of all."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from yieldcast.errors import MissingDataError
from yieldcast.workspace.database.models import Account, Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.disclosure import usage
from yieldcast.workspace.disclosure.results import (
    Contributor,
    Place,
    Truth,
    candidate,
    place_of,
    scored,
    truth_of,
)
from yieldcast.workspace.disclosure.views import ClassRow, Phase, SubmissionDetail, SubmissionRow
from yieldcast.workspace.disclosure.window import NotAllowedError, is_owner
from yieldcast.workspace.scoring.confusion import confusion_shares
from yieldcast.workspace.scoring.history import BASELINE, TUNED, Told
from yieldcast.workspace.scoring.measures import RECALL

# Of what a worker says of a training; anything else stays inside.
_PROGRESS = (
    "phase", "epoch", "epochs", "step", "steps", "loss", "validation_loss", "accuracy",
    "validation_accuracy", "pflop", "flop", "share", "stage",
)  # fmt: skip
_CURVE = "curve"


def own_submissions(
    session: Session, workspace: Workspace, viewer: Account | None
) -> tuple[SubmissionRow, ...]:
    """The submissions of a contributor, newest first; of the owner nobody's.

    Args:
        session: of the workspace's database.
        workspace: open.
        viewer: who looks.

    Raises:
        NotAllowedError: nobody has signed in.
        MissingDataError, SchemaError: files of results are missing or damaged.
    """
    if viewer is None:
        raise NotAllowedError("expected somebody who has signed in", "Sign in with your token.")
    return rows_of(session, workspace, [viewer])


def rows_of(session: Session, workspace: Workspace, accounts: Iterable[Account]) -> tuple[SubmissionRow, ...]:
    """The submissions of accounts, newest first; raises as `own_submissions`."""
    accounts = list(accounts)
    place = place_of(workspace)
    told = {
        one.submission: one
        for contributor in scored(session, accounts)
        for one in candidate(place, contributor).told
    }
    query = (
        select(Submission)
        .where(Submission.account_id.in_([account.id for account in accounts]))
        .order_by(Submission.received.desc(), Submission.id)
        .options(selectinload(Submission.job), selectinload(Submission.account))
    )
    headline = truth_of(place).holdout.measures.names[0]
    return tuple(_row(one, told.get(one.id), headline) for one in session.scalars(query))


def _row(one: Submission, told: Told | None, headline: str) -> SubmissionRow:
    tuned = told.phases.get(TUNED, ()) if told else ()
    return SubmissionRow(
        one.id, one.name, one.account.name, one.price_per_km2, one.state, one.reason,
        minute(one.received), minute(one.finished) if one.finished else None,
        public_progress(one.job.progress) if one.job is not None and one.state == "running" else {},
        told.score(BASELINE, headline) if told else None, told.score(TUNED, headline) if told else None,
        tuned[0].published if tuned else None, told is not None and told.released,
    )  # fmt: skip


def submission_detail(
    session: Session, workspace: Workspace, viewer: Account | None, submission: str
) -> SubmissionDetail:
    """Everything that may be known of a submission, by its contributor or the owner.

    Args:
        session, workspace, viewer: see `own_submissions`.
        submission: its identifier.

    Raises:
        NotAllowedError: nobody has signed in.
        MissingDataError: no such submission of this viewer; that of somebody else gives the same error.
        SchemaError: files of results are damaged.
    """
    if viewer is None:
        raise NotAllowedError("expected somebody who has signed in", "Sign in with your token.")
    one = session.get(Submission, submission)
    if one is None or not (is_owner(viewer) or one.account_id == viewer.id):
        raise MissingDataError(
            f"no submission {submission[:40]!r}", "yieldcast workspace status lists yours."
        )
    place = place_of(workspace)
    truth = truth_of(place)
    (contributor,) = scored(session, [one.account])
    told = next((t for t in candidate(place, contributor).told if t.submission == one.id), None)
    progress = one.job.progress if one.job is not None else {}
    curve = progress.get(_CURVE, ())
    return SubmissionDetail(
        _row(one, told, truth.holdout.measures.names[0]),
        tuple(one.outputs) if one.outputs else None, one.options, one.parameters, one.sha256,
        _phases(place, contributor, told) if told else (),
        tuple(public_progress(point) for point in curve if isinstance(point, Mapping)),
        usage.looks(session, truth, one.account_id),
        usage.three_digits(sum(used.flop for used in one.compute) / 1e15),
        math.ceil(sum(used.seconds for used in one.compute) / 60),
    )  # fmt: skip


def _phases(place: Place, contributor: Contributor, told: Told) -> tuple[Phase, ...]:
    truth = truth_of(place)
    results = candidate(place, contributor).results
    result = next(one for one in results if one.submission == told.submission)
    return tuple(
        Phase(
            phase,
            tuple(line for line in lines if not line.measure.startswith(RECALL)),
            _classes(truth, told, phase),
            _confusion(place, truth, result.rows[phase].cells)
            if told.released and truth.task.kind == "classes"
            else (),
        )
        for phase, lines in told.phases.items()
    )


def _classes(truth: Truth, told: Told, phase: int) -> tuple[ClassRow, ...]:
    if truth.task.kind != "classes":
        return ()
    lines = {line.measure: line for line in told.phases[phase]}
    found = []
    for name in truth.task.outputs:
        line = lines.get(f"{RECALL}{name}")
        score, published = (line.score, line.published) if line else (None, None)
        found.append(ClassRow(name, name in truth.task.rare, score, published, line is None))
    return tuple(found)


def _confusion(place: Place, truth: Truth, cells: Any) -> tuple[Any, ...]:
    count = len(truth.task.outputs)
    counts = np.bincount(cells, minlength=count * count).reshape(count, count)
    rules = place.settings.rules
    return confusion_shares(counts, truth.hidden, rules.smallest_cell, truth.holdout.steps.share)


def public_progress(progress: Mapping[str, Any]) -> dict[str, Any]:
    """What leaves of a training's progress: known names, numbers in three digits, short words."""
    shown = {name: _plain(progress.get(name)) for name in _PROGRESS}
    return {name: value for name, value in shown.items() if value is not None}


def _plain(value: Any) -> int | float | str | None:
    if isinstance(value, str):
        return value if len(value) <= 40 and value.replace("-", "").isalpha() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if isinstance(value, int) and value < 10_000 else usage.three_digits(value)


def minute(time: dt.datetime) -> dt.datetime:
    """A time in UTC, cut to its minute: how long something took to the second may say what it computed."""
    return time.astimezone(dt.UTC).replace(second=0, microsecond=0)
