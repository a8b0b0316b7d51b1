"""The Ladder: what a contributor learns of the holdout from submission to submission.

Blum & Hardt 2015 (The Ladder: A Reliable Leaderboard for Machine Learning Competitions, ICML, Algorithms 1
and 2). A published score changes only if the new score is better than the published one by more than a
margin, and is then rounded to a step. Their Algorithm 1 takes the step as margin; the parameter-free
Algorithm 2 takes the standard error of the difference to the submission that set the published score. Here
both hold: the margin is the larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from math import ceil, comb, isfinite, log, sqrt

from yieldcast.errors import ConfigError

LEVEL = 0.05  # chance that the bound of `Looks` does not hold
_PLACES = Decimal("1e-12")  # a score is a ratio of whole numbers or a mean: later digits are float noise


@dataclass(frozen=True)
class Rung:
    """What one submission does to the published score.

    Args:
        published: after it, a multiple of the step; None as long as no score was defined.
        holder: position of the submission that set it.
        raised: whether it was this one.
        margin: that it had to pass, rounded up to the step; None for the first one.
    """

    published: Decimal | None
    holder: int | None
    raised: bool
    margin: Decimal | None


def rounded(value: float, step: Decimal) -> Decimal:
    """The nearest multiple of the step; halves go to the even one."""
    return _multiple(_exact(value), step, ROUND_HALF_EVEN)


def outwards(low: float, high: float, step: Decimal) -> tuple[Decimal, Decimal]:
    """An interval, its ends moved outwards to multiples of the step."""
    return _multiple(_exact(low), step, ROUND_FLOOR), _multiple(_exact(high), step, ROUND_CEILING)


def climb(
    losses: Sequence[float],
    values: Sequence[float],
    error: Callable[[int, int], float],
    step: Decimal,
) -> tuple[Rung, ...]:
    """What is published after each submission of one contributor, of one measure in one phase.

    Args:
        losses: of the submissions in the order of their results, lower is better: of accuracy its negative,
            of RMSE itself, of bias its size. NaN where it is not defined.
        values: as readers see them.
        error: positions of a submission and of an earlier one -> standard error of their difference, 0 or
            more; NaN counts as 0, so that the step decides.
        step: above 0, unit of the values.

    Raises:
        ConfigError: a step of 0 or less.
    """
    if step <= 0:
        raise ConfigError(f"expected a step above 0, received {step}", "Set the step of published scores.")
    rungs: list[Rung] = []
    published: Decimal | None = None  # loss
    holder: int | None = None
    for k, loss in enumerate(losses):
        margin = None
        raised = isfinite(loss)
        if published is not None and holder is not None and raised:
            found = error(k, holder)
            margin = max(step, _exact(found) if isfinite(found) else step)
            raised = _exact(loss) < published - margin
        if raised:
            published, holder = rounded(loss, step), k
        shown = None if holder is None else rounded(values[holder], step)
        told = None if margin is None else _multiple(margin, step, ROUND_CEILING)
        rungs.append(Rung(shown, holder, raised, told))
    return tuple(rungs)


@dataclass(frozen=True)
class Looks:
    """How often the holdout was looked at, and what that may add to a published share of right rows.

    Args:
        looks: scores of the holdout that were computed, each phase of a submission one.
        rows: of the holdout.
        fixed: with 95 % probability no score of models that were fixed beforehand is off by more than this;
            None for yields, whose errors have no bound.
        adaptive: the same where each model may depend on all headline scores published before it.
    """

    looks: int
    rows: int
    fixed: float | None
    adaptive: float | None


def looks_spent(looks: int, rows: int, step: Decimal, shares: bool) -> Looks:
    """How many looks were spent and what they may add.

    Hoeffding 1963 (JASA 58:13-30, Theorem 1) for one model; the union over all models that can ever be
    submitted: published scores do not fall, so after t submissions they are one of C(m - 1 + t, t) rising
    sequences of m = 1 / step + 1 values, and a contributor's next model is one of as many (the argument of
    Blum & Hardt 2015, Theorem 3.1). The sum over t below `looks` is C(m - 1 + looks, looks - 1).

    Args:
        looks: 0 or more.
        rows: of the holdout, 1 or more.
        step: of published scores.
        shares: whether the score is a share of right rows.
    """
    if not shares or not looks:
        return Looks(looks, rows, None if not shares else 0.0, None if not shares else 0.0)
    grid = ceil(1 / step) + 1
    fixed, adaptive = (
        min(1.0, sqrt(log_of / (2 * rows)))
        for log_of in (log(2 * looks / LEVEL), log(comb(grid - 1 + looks, looks - 1)) + log(2 / LEVEL))
    )
    return Looks(looks, rows, fixed, adaptive)


def _exact(value: float) -> Decimal:
    return Decimal(value).quantize(_PLACES)


def _multiple(value: Decimal, step: Decimal, way: str) -> Decimal:
    found = (value / step).quantize(Decimal(1), rounding=way) * step
    return found + 0  # no -0
