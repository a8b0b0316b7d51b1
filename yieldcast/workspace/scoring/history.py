"""What each submission of a contributor makes known, in the order in which results came.

The Ladder holds for every measure in each phase. A submission that raises the headline score of the last
phase is *released*: all of its scores become known, rounded, because it stands on the leaderboard and its
numbers must be those of one model. Of any other submission only those scores are told that rose themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.evaluation.metrics import Floats
from yieldcast.workspace.scoring.intervals import intervals
from yieldcast.workspace.scoring.ladder import Rung, climb, outwards, rounded
from yieldcast.workspace.scoring.measures import (
    SKILL,
    Measures,
    Rows,
    jackknife_errors,
    totals,
    units_of,
)

BASELINE, TUNED = 1, 2  # phases: the model as submitted, and after fine-tuning


@dataclass(frozen=True)
class Steps:
    """Units to which scores are rounded before anything leaves, see `Measures`.

    Args:
        share: of shares and skills.
        kg_ha: of yields.
    """

    share: Decimal
    kg_ha: Decimal

    def of(self, measure: str) -> Decimal:
        """The step of a measure."""
        return self.kg_ha if measure.endswith("kg_ha") else self.share

    def within(self, measure: str, value: Decimal) -> Decimal:
        """A rounded value, kept where the measure lies: a step that does not divide 1 may round beyond it."""
        if measure.endswith("kg_ha"):
            return value
        return (
            min(value, Decimal(1)) if measure.startswith(SKILL) else min(max(value, Decimal(0)), Decimal(1))
        )

    def rounded(self, measure: str, value: float) -> Decimal:
        """A score in its step."""
        return self.within(measure, rounded(value, self.of(measure)))


@dataclass(frozen=True)
class Holdout:
    """What all submissions of a workspace are scored by.

    Args:
        measures: of the task.
        groups: (row,) labels or numbers of groups of rows that belong together; None where there are none.
        steps: of published scores.
    """

    measures: Measures
    groups: NDArray[Any] | None
    steps: Steps


@dataclass(frozen=True)
class Result:
    """What a submission did on the holdout.

    Args:
        submission: its identifier.
        rows: by phase; a phase that ended without predictions is missing.
    """

    submission: str
    rows: Mapping[int, Rows]


@dataclass(frozen=True)
class Score:
    """A score as it leaves: value and 95 % interval, multiples of the step; the interval's ends outwards."""

    value: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class Line:
    """One measure of a submission in one phase.

    Args:
        measure: its name.
        score: of this submission; None where it is not told.
        published: best score of the contributor that is known after this submission.
        margin: by which it had to be better; None for the first one.
        raised: whether it raised the published score.
    """

    measure: str
    score: Score | None
    published: Decimal | None
    margin: Decimal | None
    raised: bool


@dataclass(frozen=True)
class Told:
    """What is known of a submission.

    Args:
        submission: its identifier.
        released: whether all of its scores are.
        phases: phase -> line of each measure, in their order.
    """

    submission: str
    released: bool
    phases: Mapping[int, tuple[Line, ...]]

    def score(self, phase: int, measure: str) -> Score | None:
        """A score of this submission, where it is told."""
        return next((line.score for line in self.phases.get(phase, ()) if line.measure == measure), None)


def tell(results: Sequence[Result], holdout: Holdout) -> tuple[Told, ...]:
    """What the results of one contributor make known.

    Args:
        results: in the order in which they came.
        holdout: of the workspace.
    """
    ladders = {phase: _ladders(results, phase, holdout) for phase in (BASELINE, TUNED)}
    return tuple(_told(k, result, ladders, holdout) for k, result in enumerate(results))


def champion(told: Sequence[Told]) -> Told | None:
    """The submission that stands on the leaderboard: the last that was released; None without any."""
    return next((one for one in reversed(told) if one.released), None)


def _ladders(results: Sequence[Result], phase: int, holdout: Holdout) -> list[tuple[Rung, ...]]:
    """The rungs of each measure, over all results."""
    measures = holdout.measures
    values = np.full((len(results), len(measures.names)), np.nan)
    for k, result in enumerate(results):
        if phase in result.rows:
            values[k] = measures.score(totals(units_of([result.rows[phase]], None))[0])
    losses = measures.losses(values)

    @cache
    def errors(new: int, old: int) -> Floats:
        pair = [results[new].rows[phase], results[old].rows[phase]]
        return jackknife_errors(measures, units_of(pair, holdout.groups))

    return [
        climb(
            losses[:, k].tolist(),
            values[:, k].tolist(),
            lambda new, old, k=k: float(errors(new, old)[k]),  # type: ignore[misc]
            holdout.steps.of(name),
        )
        for k, name in enumerate(measures.names)
    ]


def _told(k: int, result: Result, ladders: Mapping[int, list[tuple[Rung, ...]]], holdout: Holdout) -> Told:
    last = max(result.rows, default=0)
    released = last == TUNED and ladders[TUNED][0][k].raised
    phases = {
        phase: _lines([rungs[k] for rungs in ladders[phase]], rows, released, holdout)
        for phase, rows in sorted(result.rows.items())
    }
    return Told(result.submission, released, phases)


def _lines(rungs: Sequence[Rung], rows: Rows, released: bool, holdout: Holdout) -> tuple[Line, ...]:
    measures = holdout.measures
    scores: list[Score | None] = [None] * len(rungs)
    if released or any(rung.raised for rung in rungs):
        units = units_of([rows], holdout.groups)
        found = zip(
            measures.names,
            measures.score(totals(units)[0]).tolist(),
            intervals(measures, units).tolist(),
            strict=True,
        )
        scores = [_score(name, value, ends, holdout.steps) for name, value, ends in found]
    known = [
        None if rung.published is None else holdout.steps.within(name, rung.published)
        for name, rung in zip(measures.names, rungs, strict=True)
    ]
    return tuple(
        Line(name, score if released or rung.raised else None, published, rung.margin, rung.raised)
        for name, score, published, rung in zip(measures.names, scores, known, rungs, strict=True)
    )


def _score(measure: str, value: float, ends: Sequence[float], steps: Steps) -> Score | None:
    if not np.isfinite([value, *ends]).all():
        return None
    low, high = outwards(ends[0], ends[1], steps.of(measure))
    return Score(steps.rounded(measure, value), steps.within(measure, low), steps.within(measure, high))
