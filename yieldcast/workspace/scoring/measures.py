"""Measures of a model on the holdout as functions of sums over rows, so that errors and intervals follow.

Of classes the sums are the confusion matrix; of yields those of squared errors, errors and CRPS. Whatever is
computed from the sums of all rows can be computed without one row, or without one group of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.comparison.paired import f1_of_confusion
from yieldcast.evaluation.metrics import Floats

Better = Literal["higher", "lower", "zero"]
ACCURACY, MACRO_F1, RARE_RECALL, RECALL = "accuracy", "macro_f1", "rare_recall", "recall:"
RMSE, BIAS, CRPS, SKILL = "rmse_kg_ha", "bias_kg_ha", "crps_kg_ha", "skill_"


@dataclass(frozen=True)
class Measures:
    """Measures that follow from the same sums.

    Args:
        names: of the measures; the first one is the headline, by which models are ranked.
        better: of each, whether higher or lower is better, or nearer to zero.
        score: (..., part) sums over rows -> (..., measure); NaN where a measure is not defined.
        row_losses: of rows -> (row,) losses for paired tests: 0 or 1 of classes, squared errors of yields.
        proportions: (part,) sums -> (measure, 2) right rows and all rows of what is a share of rows, NaN of
            what is not; None where nothing is.
    """

    names: tuple[str, ...]
    better: tuple[Better, ...]
    score: Callable[[Floats], Floats]
    row_losses: Callable[[Rows], Floats]
    proportions: Callable[[Floats], Floats] | None = None

    def losses(self, values: Floats) -> Floats:
        """(..., measure) values turned so that lower is better."""
        way = np.array(self.better)
        turned: Floats = np.where(way == "zero", np.abs(values), np.where(way == "higher", -values, values))
        return turned


@dataclass(frozen=True)
class Rows:
    """What each row adds to the sums.

    Args:
        cells: (row,) row of `table`.
        table: (cell, part); None where a row adds 1 to the part that is its cell.
        parts_of_cells: number of parts where there is no table.
    """

    cells: NDArray[np.intp]
    table: Floats | None
    parts_of_cells: int = 0

    @property
    def width(self) -> int:
        """Number of parts."""
        return self.parts_of_cells if self.table is None else self.table.shape[1]

    def parts(self, cells: NDArray[np.intp]) -> Floats:
        """(cell, part) what rows of these cells add."""
        if self.table is not None:
            return self.table[cells]
        found = np.zeros((len(cells), self.width))
        found[np.arange(len(cells)), cells] = 1.0
        return found


def class_measures(classes: Sequence[str], rare: Sequence[str], hidden: Sequence[str] = ()) -> Measures:
    """Accuracy, macro-F1, mean recall of the rare classes, and the recall of each class.

    Args:
        classes: names in their order.
        rare: of the rare ones; without any, their recall is not among the measures.
        hidden: of those with too few rows: their recalls are no measures, nor is the mean of the rare ones
            where all of them are hidden.
    """
    at = [list(classes).index(name) for name in rare] if set(rare) - set(hidden) else []
    kept = [k for k, name in enumerate(classes) if name not in hidden]
    whole = (ACCURACY, MACRO_F1, *([RARE_RECALL] if at else []))
    names = (*whole, *(f"{RECALL}{classes[k]}" for k in kept))
    count = len(classes)

    def parts(sums: Floats) -> tuple[Floats, Floats]:
        confusion = sums.reshape(*sums.shape[:-1], count, count)
        return np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1)

    def score(sums: Floats) -> Floats:
        right, truth = parts(sums)
        recall = np.full(right.shape, np.nan)
        np.divide(right, truth, out=recall, where=truth > 0)
        found = [right.sum(axis=-1) / truth.sum(axis=-1), f1_of_confusion(sums)]
        if at:
            known = np.isfinite(recall[..., at])
            mean = np.where(known, recall[..., at], 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
            found.append(np.where(known.any(axis=-1), mean, np.nan))
        return np.concatenate([np.stack(found, axis=-1), recall[..., kept]], axis=-1)

    def proportions(sums: Floats) -> Floats:
        right, truth = parts(sums)
        found = np.full((len(names), 2), np.nan)
        found[0] = right.sum(), truth.sum()
        found[len(whole) :] = np.stack([right[kept], truth[kept]], axis=-1)
        return found

    def losses(rows: Rows) -> Floats:
        return np.asarray(rows.cells // count != rows.cells % count, dtype=np.float64)

    ways: list[Better] = ["higher" for _ in names]
    return Measures(names, tuple(ways), score, losses, proportions)


def class_rows(truth: NDArray[Any], predicted: NDArray[Any], count: int) -> Rows:
    """Rows whose sums are the confusion matrix (class, predicted class).

    Args:
        truth, predicted: (row,) positions, 0 to `count` - 1.
        count: of classes.
    """
    cells = np.asarray(truth, dtype=np.intp) * count + np.asarray(predicted, dtype=np.intp)
    return Rows(cells, None, count * count)


def value_measures(baselines: Mapping[str, float]) -> Measures:
    """RMSE, bias, CRPS, and the skill 1 - CRPS / CRPS of each baseline.

    Args:
        baselines: CRPS of each baseline on the holdout, kg/ha, above 0, by name.
    """
    names = (RMSE, BIAS, CRPS, *(f"{SKILL}{name}" for name in baselines))
    skills: list[Better] = ["higher" for _ in baselines]
    reference = np.array([*baselines.values()], dtype=np.float64)

    def score(sums: Floats) -> Floats:
        mean = sums[..., :-1] / sums[..., -1:]
        rmse, crps = np.sqrt(np.maximum(mean[..., :1], 0.0)), mean[..., 2:]
        return np.concatenate([rmse, mean[..., 1:], 1 - crps / reference], axis=-1)

    def losses(rows: Rows) -> Floats:
        return rows.parts(rows.cells)[:, 0]

    return Measures(names, ("lower", "zero", "lower", *skills), score, losses)


def value_rows(error: Floats, crps: Floats) -> Rows:
    """Rows whose sums are those of squared errors, errors, CRPS, and the number of rows.

    Args:
        error: (row,) prediction - target, kg/ha.
        crps: (row,) kg/ha.
    """
    parts = [np.asarray(one, dtype=np.float64) for one in (error**2, error, crps, np.ones(len(error)))]
    return Rows(np.arange(len(error)), np.column_stack(parts))


@dataclass(frozen=True)
class Units:
    """Sums by unit: rows that add the same are one unit that counts several times, or each group is one.

    Args:
        sums: of each model (unit, part).
        counts: (unit,) how often the unit occurs.
        grouped: whether units are groups.
    """

    sums: tuple[Floats, ...]
    counts: Floats
    grouped: bool


def units_of(models: Sequence[Rows], groups: NDArray[Any] | None) -> Units:
    """Sums by unit of one model or of several on the same rows.

    Args:
        models: rows of each, in the same order.
        groups: (row,) labels, "" is a row by itself; None where rows are independent.
    """
    if groups is None:
        combined = np.stack([one.cells for one in models], axis=-1)
        cells, counts = np.unique(combined, axis=0, return_counts=True)
        sums = tuple(one.parts(cells[:, k]) for k, one in enumerate(models))
        return Units(sums, counts.astype(np.float64), False)
    at = group_numbers(groups)
    size = int(at.max()) + 1
    return Units(tuple(_by_group(one, at, size) for one in models), np.ones(size), True)


def group_numbers(groups: NDArray[Any]) -> NDArray[np.intp]:
    """(row,) number of the group of each row from its label; each "" is a group by itself.

    Args:
        groups: (row,) labels; numbers stay as they are.
    """
    if groups.dtype.kind in "iu":
        return groups
    at = np.unique(groups, return_inverse=True)[1]
    return np.unique(np.where(groups == "", len(at) + np.arange(len(at)), at), return_inverse=True)[1]


def _by_group(rows: Rows, at: NDArray[np.intp], size: int) -> Floats:
    if rows.table is None:
        counts = np.bincount(at * rows.width + rows.cells, minlength=size * rows.width)
        return counts.reshape(size, rows.width).astype(np.float64)
    found = np.zeros((size, rows.width))
    np.add.at(found, at, rows.table[rows.cells])
    return found


def totals(units: Units) -> tuple[Floats, ...]:
    """(part,) sums over all units, of each model."""
    return tuple(units.counts @ one for one in units.sums)


def jackknife_errors(measures: Measures, units: Units) -> Floats:
    """(measure,) standard error of each measure, or of the difference of the losses of two models.

    By leaving out one unit after the other (Efron & Tibshirani 1993, An Introduction to the Bootstrap,
    equation 11.5). Of a mean over rows it is the usual standard error. A measure that is not defined without
    a unit counts as unchanged there; with one unit the error is NaN.

    Args:
        measures: of the sums.
        units: of one model, or of two.
    """
    number = float(units.counts.sum())
    if number < 2:
        return np.full(len(measures.names), np.nan)
    left_out = np.zeros((len(units.counts), len(measures.names)))
    for sign, one, total in zip((1.0, -1.0), units.sums, totals(units), strict=False):
        values = measures.score(total - one)
        whole = measures.score(total)
        values = np.where(np.isfinite(values), values, whole)
        left_out += sign * (measures.losses(values) if len(units.sums) > 1 else values)
    mean = units.counts @ left_out / number
    errors: Floats = np.sqrt((number - 1) / number * (units.counts @ (left_out - mean) ** 2))
    return errors
