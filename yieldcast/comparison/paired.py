"""Scores of two models on the same rows, summed by block (harvest years or regions)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.comparison.pairs import Pair
from yieldcast.evaluation.metrics import Floats, crps
from yieldcast.evaluation.score_rows import (
    CLASS,
    FORECAST,
    PREDICTED,
    QUANTILE_COLUMNS,
    TRUTH,
)
from yieldcast.risk.classes import THREE, TWO

Block = Literal["year", "region"]
BLOCK_COLUMNS: dict[Block, str] = {"year": "harvest_year", "region": "state"}
RMSE, MAE, CRPS, MACRO_F1 = "rmse_kg_ha", "mae_kg_ha", "crps_kg_ha", "macro_f1"


@dataclass(frozen=True)
class Metric:
    """One score of both models, as sums by row from which the score of any set of rows follows.

    Args:
        name: one of `RMSE`, `MAE`, `CRPS`, `MACRO_F1`.
        rows: positions of the pair's rows that it rests on.
        a, b: (row, part) of each model, to be summed over rows.
        score: (..., part) sums to (...) scores.
        lower_is_better: False for `MACRO_F1`.
    """

    name: str
    rows: NDArray[np.intp]
    a: Floats
    b: Floats
    score: Callable[[Floats], Floats]
    lower_is_better: bool = True

    def whole(self) -> tuple[float, float]:
        """Scores of both models over all rows."""
        return float(self.score(self.a.sum(axis=0))), float(self.score(self.b.sum(axis=0)))

    def blocks(self, labels: NDArray[Any]) -> BlockSums:
        """The sums by block; `labels` are those of all rows of the pair."""
        names, at = np.unique(labels[self.rows], return_inverse=True)
        sums = [np.zeros((len(names), one.shape[1])) for one in (self.a, self.b)]
        for total, one in zip(sums, (self.a, self.b), strict=True):
            np.add.at(total, at, one)
        return BlockSums(tuple(str(name) for name in names), sums[0], sums[1], self.score)


@dataclass(frozen=True)
class BlockSums:
    """Sums of a metric by block.

    Args:
        names: of the blocks.
        a, b: (block, part).
        score: as in `Metric`.
    """

    names: tuple[str, ...]
    a: Floats
    b: Floats
    score: Callable[[Floats], Floats]

    def difference(self, weights: Floats) -> Floats:
        """(draw,) score of A minus that of B where each block counts as often as `weights` (draw, block)."""
        found: Floats = self.score(weights @ self.a) - self.score(weights @ self.b)
        return found

    def by_block(self) -> tuple[Floats, Floats]:
        """(block,) scores of both models."""
        return self.score(self.a), self.score(self.b)


def metrics_of(pair: Pair) -> tuple[Metric, ...]:
    """The metrics that both models have: RMSE, MAE, CRPS where both have quantiles, macro-F1.

    A point forecast has no CRPS here: it would be its absolute error, which quantiles of any width improve.
    """
    truth = pair.a[TRUTH].to_numpy()
    points = [one[FORECAST].to_numpy() for one in (pair.a, pair.b)]
    rows = np.flatnonzero(np.isfinite(truth) & np.isfinite(points[0]) & np.isfinite(points[1]))
    found = []
    if len(rows):
        a, b = (one[rows] - truth[rows] for one in points)
        found.append(Metric(RMSE, rows, _mean_parts(a**2), _mean_parts(b**2), _root_mean))
        found.append(Metric(MAE, rows, _mean_parts(np.abs(a)), _mean_parts(np.abs(b)), _mean))
    spreads = [one[list(QUANTILE_COLUMNS)].to_numpy() for one in (pair.a, pair.b)]
    known = np.isfinite(truth) & np.isfinite(spreads[0]).all(axis=1) & np.isfinite(spreads[1]).all(axis=1)
    rows = np.flatnonzero(known)
    if len(rows):
        a, b = (_mean_parts(crps(one[rows], truth[rows])) for one in spreads)
        found.append(Metric(CRPS, rows, a, b, _mean))
    return (*found, *_macro_f1(pair))


def _macro_f1(pair: Pair) -> tuple[Metric, ...]:
    truth, rows = classes_of(pair)
    if not len(rows):
        return ()
    names = TWO if set(truth[rows]) <= set(TWO) else THREE
    number = {name: k for k, name in enumerate(names)}
    true = np.array([number[name] for name in truth[rows]])
    parts = []
    for one in (pair.a, pair.b):
        predicted = np.array([number[name] for name in one[PREDICTED].to_numpy()[rows]])
        parts.append(confusion_parts(true, predicted, len(names)))
    return (Metric(MACRO_F1, rows, parts[0], parts[1], f1_of_confusion, lower_is_better=False),)


def confusion_parts(truth: NDArray[Any], predicted: NDArray[Any], count: int) -> Floats:
    """(row, part) the confusion matrix of each row by itself: 1 at its true and predicted class.

    Args:
        truth, predicted: (row,) 0 to `count` - 1.
        count: of classes.
    """
    confusion = np.zeros((len(truth), count * count))
    confusion[np.arange(len(truth)), truth * count + predicted] = 1.0
    return confusion


def classes_of(pair: Pair) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """True class of every row, and positions of the rows whose class both models predict."""
    truth = pair.a[CLASS].where(pair.a[CLASS] != "", pair.b[CLASS]).to_numpy()
    known = (truth != "") & (pair.a[PREDICTED] != "").to_numpy() & (pair.b[PREDICTED] != "").to_numpy()
    return truth, np.flatnonzero(known)


def _mean_parts(loss: Floats) -> Floats:
    return np.column_stack([loss, np.ones_like(loss)])


def _mean(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1], dtype=np.float64)


def _root_mean(sums: Floats) -> Floats:
    return np.sqrt(_mean(sums))


def f1_of_confusion(sums: Floats, only_true: bool = False) -> Floats:
    """Mean F1 = 2 right / (true + predicted) over the classes that occur, as `class_metrics.ClassScore`.

    Args:
        sums: (..., part) of `confusion_parts`.
        only_true: a class that is predicted but never true does not count.
    """
    count = int(np.sqrt(sums.shape[-1]))
    confusion = sums.reshape(*sums.shape[:-1], count, count)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    size = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1 = np.where(size > 0, 2 * right / np.maximum(size, 1e-300), 0.0)
    counted = (confusion.sum(axis=-1) if only_true else size) > 0
    found: Floats = (f1 * counted).sum(axis=-1) / counted.sum(axis=-1)
    return found


def identical_share(pair: Pair) -> float:
    """Share of the rows, 0 to 1, for which both models say the same: point, quantiles and class."""
    same = np.ones(len(pair.a), dtype=bool)
    for column in (FORECAST, *QUANTILE_COLUMNS, PREDICTED):
        ours, theirs = pair.a[column], pair.b[column]
        same &= ((ours == theirs) | (ours.isna() & theirs.isna())).to_numpy()
    return float(same.mean())


def labels_of(pair: Pair, block: Block) -> NDArray[Any] | None:
    """(row,) block of each row; None where the file does not say it."""
    column: pd.Series = pair.a[BLOCK_COLUMNS[block]]
    if block == "region":
        column = column.where(column != "", pair.b["state"])
        if (column == "").any():
            return None
    return np.asarray(column)
