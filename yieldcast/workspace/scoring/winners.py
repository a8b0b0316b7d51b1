"""Who is best, and who cannot be told from the best: paired tests, corrected for the number of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.comparison.diebold_mariano import diebold_mariano
from yieldcast.comparison.mcnemar import mcnemar
from yieldcast.comparison.power import LEVEL
from yieldcast.evaluation.metrics import Floats
from yieldcast.workspace.scoring.measures import group_numbers


@dataclass(frozen=True)
class Standing:
    """What the comparison of all pairs says.

    Args:
        best: the one with the lowest loss; "" without any.
        not_told_apart: the others whose difference to it is not sure, best first.
        winner: `best` if it differs from every other one, else "".
    """

    best: str
    not_told_apart: tuple[str, ...]
    winner: str


def standing(losses: Mapping[str, Floats], groups: NDArray[Any] | None = None) -> Standing:
    """Compare every two models on the same rows.

    Losses of 0 and 1 (wrong classes) of independent rows are compared by McNemar's test, other losses and
    grouped rows by the test of Diebold and Mariano without lag, which is the paired t-test of sums by group.
    p-values are corrected over all pairs by Holm 1979 (Scandinavian Journal of Statistics 6:65-70): the best
    is chosen with the same rows, so a correction over its own pairs would be too small. One model alone wins
    nothing: nothing was compared.

    Args:
        losses: by name (row,), lower is better: 0 or 1 of classes, squared errors of yields.
        groups: (row,) labels, "" is a row by itself; None where rows are independent.
    """
    names = sorted(losses, key=lambda name: float(losses[name].mean()))  # stable: earlier ones first
    if len(names) < 2:
        return Standing(names[0] if names else "", (), "")
    pairs = list(combinations(names, 2))
    differ = dict(zip(pairs, holm([_p_value(losses[a], losses[b], groups) for a, b in pairs]), strict=True))
    best, *others = names
    tied = tuple(name for name in others if not differ[best, name])
    return Standing(best, tied, "" if tied else best)


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects.

    Args:
        p_values: of all tests.
        level: chance of one false rejection or more.
    """
    rejected = [False] * len(p_values)
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        if p_values[k] > level / (len(p_values) - rank):
            break
        rejected[k] = True
    return rejected


def _p_value(a: Floats, b: Floats, groups: NDArray[Any] | None) -> float:
    """Of the two-sided test; 1 where too few rows or groups allow none."""
    if groups is None and np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all():
        return mcnemar(a == 0, b == 0).p_value
    difference: Floats = a - b
    if groups is not None:
        difference = np.bincount(group_numbers(groups), weights=difference).astype(np.float64)
    tested = diebold_mariano(difference, np.zeros_like(difference), lag=0)
    if tested is None:
        return 1.0
    # nothing varies but the losses differ: the same gain in every group is no chance
    return 0.0 if tested.p_value is None else tested.p_value
