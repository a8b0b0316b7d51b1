"""Scores of predicted pixels from their confusion matrix: overall accuracy, F1 of each class, macro-F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yieldcast.tiles.label_codes import NO_DATA, Labels

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class TileScores:
    """Scores of the labelled pixels of some patches; pixels without data count nowhere.

    Args:
        pixels: number.
        accuracy: share of right pixels, 0 to 1 (the paper's overall accuracy).
        macro_f1: mean of the F1 of the classes that occur.
        f1: class -> F1, of the classes that occur.
        majority: share of the most frequent class, which a constant map would score.
        confusion: true class x predicted class, pixels.
    """

    pixels: int
    accuracy: float
    macro_f1: float
    f1: dict[str, float]
    majority: float
    confusion: list[list[int]]


def confusion(truth: Labels, found: NDArray[np.integer], classes: int) -> Counts:
    """(true class, predicted class) pixels with a label."""
    known = truth != NO_DATA
    cells = truth[known].astype(np.int64) * classes + found[known].astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def tile_scores(counts: Counts, classes: Sequence[str]) -> TileScores:
    """Scores of a confusion matrix with at least one pixel."""
    true, predicted, right = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    f1 = {name: float(2 * right[k] / (true[k] + predicted[k])) for k, name in enumerate(classes) if true[k]}
    total = int(counts.sum())
    return TileScores(
        total, float(right.sum() / total), float(np.mean(list(f1.values()))), f1, float(true.max() / total),
        counts.tolist(),
    )  # fmt: skip
