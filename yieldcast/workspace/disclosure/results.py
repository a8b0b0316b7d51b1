"""Results of a workspace from its files to what may be told: computed once for each set of results.

Nothing of this module leaves by itself: it holds exact scores and predictions. The other modules of this
package take from it what `scoring.history` tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.workspace.database.models import ENDS, Account, Submission
from yieldcast.workspace.database.models import Result as ResultRecord
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.scoring.confusion import hidden_classes
from yieldcast.workspace.scoring.costs import CostModel
from yieldcast.workspace.scoring.history import Holdout, Result, Steps, tell
from yieldcast.workspace.scoring.leaderboard import Board, Candidate, leaderboard
from yieldcast.workspace.scoring.measures import (
    Rows,
    class_measures,
    class_rows,
    group_numbers,
    value_measures,
    value_rows,
)
from yieldcast.workspace.settings import WorkspaceSettings
from yieldcast.workspace.tasks.task import Task, read_group, read_target

# Held while results are computed: of many who ask at once, one computes and the others find it done.
_LOCK = RLock()


@dataclass(frozen=True)
class Scored:
    """A submission that has results, as the cache knows it."""

    submission: str
    model: str
    price_per_km2: Decimal | None
    phases: tuple[int, ...]


@dataclass(frozen=True)
class Contributor:
    """A contributor and the submissions with results, in the order in which results came."""

    name: str
    submissions: tuple[Scored, ...]


@dataclass(frozen=True)
class Place:
    """Where the results of a workspace lie; what changes with them or with its settings is a part of it."""

    path: Path
    settings: WorkspaceSettings
    stamp: int


@dataclass(frozen=True)
class Truth:
    """What submissions are scored against.

    Args:
        task: of the workspace.
        target: (row,) of the holdout.
        holdout: measures, groups and steps.
        hidden: (class,) classes of which no recall leaves; empty of yields.
    """

    task: Task
    target: NDArray[Any]
    holdout: Holdout
    hidden: NDArray[np.bool_]


def place_of(workspace: Workspace) -> Place:
    """Where the results of a workspace lie."""
    target = workspace.data / "holdout" / "target.npy"
    stamp = target.stat().st_mtime_ns if target.is_file() else 0
    return Place(workspace.path, workspace.settings, stamp)


def steps_of(settings: WorkspaceSettings) -> Steps:
    """Steps of published scores."""
    rules = settings.rules
    return Steps(Decimal(str(rules.score_step)), Decimal(str(rules.score_step_kg_ha)))


def costs_of(settings: WorkspaceSettings) -> CostModel | None:
    """The cost model; None where the owner gave none."""
    costs = settings.costs
    if costs is None:
        return None
    return CostModel(
        Decimal(str(costs.monitored_km2)),
        costs.misclassified_km2,
        Decimal(str(costs.internal_accuracy)),
        costs.internal_cost,
    )


@lru_cache(maxsize=16)
def truth_of(place: Place) -> Truth:
    """The holdout of a workspace.

    Raises:
        SchemaError: the files of the task are damaged.
    """
    with damage_without_paths():
        task = Task.read(place.path)
        target = read_target(place.path, task, "holdout")
        labels = read_group(place.path, task, "holdout")
    hidden = np.zeros(0, dtype=bool)
    groups = None if labels is None else group_numbers(labels)
    if task.kind == "classes":
        support = np.bincount(target, minlength=len(task.outputs)).tolist()
        rare = [task.outputs.index(name) for name in task.rare]
        hidden = hidden_classes(support, rare, place.settings.rules.smallest_cell)
        secret = [name for name, gone in zip(task.outputs, hidden, strict=True) if gone]
        measures = class_measures(task.outputs, task.rare, secret)
    else:
        found = {name: scores["values"]["crps_kg_ha"] for name, scores in task.baselines.items()}
        measures = value_measures({name: crps for name, crps in found.items() if crps})
    return Truth(task, target, Holdout(measures, groups, steps_of(place.settings)), hidden)


@contextmanager
def damage_without_paths() -> Iterator[None]:
    """Errors of damaged files, for readers who may not know where the files lie."""
    try:
        yield
    except (MissingDataError, SchemaError) as error:
        raise SchemaError(
            "the data of the workspace are damaged or missing",
            "Its owner restores the folder data; on the owner's machine --debug says which file it is.",
        ) from error


def scored(session: Session, accounts: Iterable[Account]) -> tuple[Contributor, ...]:
    """Contributors with the submissions that came to an end and have results.

    Args:
        session: of the workspace's database.
        accounts: whose results are wanted.
    """
    names = {account.id: account.name for account in accounts}
    # columns, not records: exact scores, which results hold too, are not even read
    query = (
        select(
            Submission.account_id, Submission.id, Submission.name, Submission.price_per_km2,
            ResultRecord.phase,
        )
        .join(ResultRecord, ResultRecord.submission_id == Submission.id)
        .where(Submission.account_id.in_(names), Submission.state.in_(ENDS))
        .order_by(Submission.finished, Submission.id, ResultRecord.phase)
    )  # fmt: skip
    found: dict[int, list[Scored]] = {key: [] for key in names}
    for _, of_one in groupby(session.execute(query), key=lambda row: row.id):
        rows = list(of_one)
        one, phases = rows[0], tuple(row.phase for row in rows)
        found[one.account_id].append(Scored(one.id, one.name, one.price_per_km2, phases))
    return tuple(Contributor(names[key], tuple(ones)) for key, ones in found.items())


@contextmanager
def _alone() -> Iterator[None]:
    """One thread at a time computes what many wait for, with one thread of its own: matrices are small here,
    and more threads would only wait for each other beside a training."""
    from threadpoolctl import threadpool_limits

    with _LOCK, threadpool_limits(1, user_api="blas"):
        yield


def candidate(place: Place, contributor: Contributor) -> Candidate:
    """The results of a contributor and what they make known.

    Raises:
        MissingDataError, SchemaError: files of results are missing or damaged.
    """
    with _LOCK:
        return _candidate(place, contributor)


@lru_cache(maxsize=1024)
def _candidate(place: Place, contributor: Contributor) -> Candidate:
    truth = truth_of(place)

    def rows(one: Scored) -> dict[int, Rows]:
        return {phase: read_rows(place, truth, one.submission, phase) for phase in one.phases}

    results = tuple(Result(one.submission, rows(one)) for one in contributor.submissions)
    with _alone():
        told = tell(results, truth.holdout)
    return Candidate(
        contributor.name,
        results,
        told,
        {one.submission: one.model for one in contributor.submissions},
        {one.submission: one.price_per_km2 for one in contributor.submissions},
    )


def board_of(place: Place, contributors: tuple[Contributor, ...]) -> Board:
    """The leaderboard of contributors; raises as `candidate`."""
    with _LOCK:
        return _board_of(place, contributors)


@lru_cache(maxsize=64)
def _board_of(place: Place, contributors: tuple[Contributor, ...]) -> Board:
    candidates = [candidate(place, one) for one in contributors]
    with _alone():
        return leaderboard(candidates, truth_of(place).holdout, costs_of(place.settings))


def read_rows(place: Place, truth: Truth, submission: str, phase: int) -> Rows:
    """What a submission did on each row of the holdout.

    Raises:
        SchemaError: the file is missing or damaged.
    """
    path = place.path / "results" / f"{submission}-{phase}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            if truth.task.kind == "classes":
                predicted = file["predicted"]
                if predicted.shape != truth.target.shape:
                    raise ValueError(f"{predicted.shape} predictions for {truth.target.shape} rows")
                return class_rows(truth.target, predicted, len(truth.task.outputs))
            return value_rows(file["error_kg_ha"], file["crps_kg_ha"])
    except (OSError, ValueError, KeyError) as error:
        raise SchemaError(
            f"{path.name}: expected the predictions of a submission, received {error}",
            "The folder results is damaged: restore it, or create the workspace again.",
        ) from None
