"""What leaves a workspace, as frozen records: everything in them is rounded, or was declared by a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any, Literal

from yieldcast.workspace.scoring.costs import AnnualCost
from yieldcast.workspace.scoring.history import Line, Score
from yieldcast.workspace.scoring.invoices import Invoice
from yieldcast.workspace.scoring.ladder import Looks
from yieldcast.workspace.scoring.leaderboard import Board, Entry

Window = Literal["before", "open", "over", "closed"]


@dataclass(frozen=True)
class Viewer:
    """Who looks.

    Args:
        name: that the owner gave.
        role: "owner" or "contributor".
        submissions, submissions_left: of a contributor; None of the owner.
        budget_used_pflop, budget_pflop: compute of a contributor; None of the owner.
    """

    name: str
    role: str
    submissions: int | None
    submissions_left: int | None
    budget_used_pflop: float | None
    budget_pflop: float | None


@dataclass(frozen=True)
class Overview:
    """The first page: what the workspace asks, its rules and prices.

    Args:
        title, description, contact: in the owner's words.
        task, kind, crop: see `tasks.task.Task`.
        synthetic: whether the data are.
        inputs, outputs, rare: what a model gets and gives; rare classes.
        training, holdout: rows.
        opens, closes: first and last day on which models are taken.
        window: whether models are taken now.
        leaderboard_open: whether the viewer may see the leaderboard.
        rules, limits, prices: settings, by name.
        costs: settings of the cost model; None without one.
        internal: yearly cost of the owner's method; None without a cost model.
        measures: names of the scores; the first one ranks.
        baselines: name -> score, of what needs no model, rounded.
        viewer: None for somebody who has not signed in.
    """

    title: str
    description: str
    contact: str
    task: str
    kind: str
    crop: str | None
    synthetic: bool
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    rare: tuple[str, ...]
    training: int
    holdout: int
    opens: dt.date | None
    closes: dt.date | None
    window: Window
    leaderboard_open: bool
    rules: Mapping[str, Any]
    limits: Mapping[str, Any]
    prices: Mapping[str, Any]
    costs: Mapping[str, Any] | None
    internal: AnnualCost | None
    measures: tuple[str, ...]
    baselines: Mapping[str, Mapping[str, Decimal]]
    viewer: Viewer | None


@dataclass(frozen=True)
class DataPage:
    """The page of the data.

    Args:
        title: of the workspace.
        public: contents of ``public.json``, in which small cells are hidden.
        rare_ties: classes that are as frequent as the most frequent of the rare ones and were not taken.
    """

    title: str
    public: Mapping[str, Any]
    rare_ties: tuple[str, ...]


@dataclass(frozen=True)
class SubmissionRow:
    """One submission in a list.

    Args:
        id, model: identifier, and name that its contributor gave it.
        contributor: name that the owner gave.
        price_per_km2: licence per km2 and year; None where none was declared.
        state, reason: where it stands, and a sentence where the state needs one.
        received, finished: UTC, in whole minutes.
        progress: phase, epoch, losses of training and their like, in three digits.
        baseline, tuned: headline score in each phase, where it is told.
        published: best headline score after fine-tuning of the contributor, as known after this submission.
        released: whether all of its scores are told: it stands, or stood, for its contributor.
    """

    id: str
    model: str
    contributor: str
    price_per_km2: Decimal | None
    state: str
    reason: str | None
    received: dt.datetime
    finished: dt.datetime | None
    progress: Mapping[str, Any]
    baseline: Score | None
    tuned: Score | None
    published: Decimal | None
    released: bool


@dataclass(frozen=True)
class ClassRow:
    """One class in the table of a submission.

    Args:
        name: of the class.
        rare: whether it is a rare one.
        recall: None where it is not told: too few rows, or no better than what is known.
        published: best recall of the contributor that is known.
        hidden: whether the class has too few rows.
    """

    name: str
    rare: bool
    recall: Score | None
    published: Decimal | None
    hidden: bool


@dataclass(frozen=True)
class Phase:
    """A phase of a submission.

    Args:
        phase: 1 as submitted, 2 after fine-tuning.
        lines: what the Ladder tells of each score, without recalls of classes.
        classes: their recalls; () of yields.
        confusion: (class, predicted class) shares of the rows of a class; None where hidden. () where not
            told.
    """

    phase: int
    lines: tuple[Line, ...]
    classes: tuple[ClassRow, ...]
    confusion: tuple[tuple[Decimal | None, ...], ...]


@dataclass(frozen=True)
class SubmissionDetail:
    """Everything that its contributor may know of a submission.

    Args:
        row: as in the list.
        outputs, options: declared; `options` by name.
        parameters: of the model.
        sha256: of the model file.
        phases: that came to an end.
        curve: losses of training by epoch, in three digits.
        looks: at the holdout by this contributor, all submissions together.
        pflop, minutes: compute, in three digits, and time, in whole minutes.
    """

    row: SubmissionRow
    outputs: tuple[str, ...] | None
    options: Mapping[str, Any]
    parameters: int | None
    sha256: str
    phases: tuple[Phase, ...]
    curve: tuple[Mapping[str, Any], ...]
    looks: Looks
    pflop: float
    minutes: int


@dataclass(frozen=True)
class LeaderboardPage:
    """The leaderboard.

    Args:
        is_open: whether the viewer may see it.
        public: whether contributors may see it: it is published, or the window is over.
        closes: last day of the window; None where it ends when the owner closes it.
        board: None where it is not open.
        own: all released submissions of a contributor who looks, newest first.
        currency: of prices and costs.
        looks: at the holdout, of all contributors together; None where it is not open.
    """

    is_open: bool
    public: bool
    closes: dt.date | None
    board: Board | None
    own: tuple[Entry, ...]
    currency: str
    looks: Looks | None


@dataclass(frozen=True)
class ContributorRow:
    """A contributor as the owner sees it.

    Args:
        name: that the owner gave.
        created, revoked: UTC, in whole minutes; None as long as the account is good.
        submissions: that were taken, and `states` of all of them.
        looks: at the holdout.
        pflop, budget_pflop: compute used, and allowed.
        owed: sum of the invoices.
    """

    name: str
    created: dt.datetime
    revoked: dt.datetime | None
    submissions: int
    states: Mapping[str, int]
    looks: Looks
    pflop: float
    budget_pflop: float
    owed: Decimal


@dataclass(frozen=True)
class AuditRow:
    """An entry of the audit log."""

    sequence: int
    time: str
    actor: str
    act: str
    subject: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class OwnerPage:
    """What the owner sees beside the leaderboard.

    Args:
        window: whether models are taken now; `published` and `closed` whether the owner did that.
        currency: of amounts.
        income: of all invoices in this currency; `invoices` lists them.
        contributors: by name.
        states: number of submissions in each state.
        queue: submissions that wait or run, in their order.
        submissions: that came to an end, newest first.
        looks: at the holdout, of all contributors together.
        pflop: compute of all submissions.
        audit: newest entries, newest first; `audit_entries` is the number of all.
    """

    window: Window
    published: bool
    closed: bool
    currency: str
    income: Decimal
    invoices: tuple[Invoice, ...]
    contributors: tuple[ContributorRow, ...]
    states: Mapping[str, int]
    queue: tuple[SubmissionRow, ...]
    submissions: tuple[SubmissionRow, ...]
    looks: Looks
    pflop: float
    audit: tuple[AuditRow, ...]
    audit_entries: int


def to_json(view: Any) -> Any:
    """A record of this module, or a part of one, as JSON has it.

    Decimals become numbers with the same digits (whole ones integers), times ISO 8601 texts.
    """
    if is_dataclass(view) and not isinstance(view, type):
        return {one.name: to_json(getattr(view, one.name)) for one in fields(view)}
    if isinstance(view, Mapping):
        return {str(key): to_json(value) for key, value in view.items()}
    if isinstance(view, list | tuple):
        return [to_json(one) for one in view]
    if isinstance(view, Decimal):
        return int(view) if view == view.to_integral_value() else float(view)
    if isinstance(view, dt.date):  # also a datetime
        return view.isoformat()
    return view
