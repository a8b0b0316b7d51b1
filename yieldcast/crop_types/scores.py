"""Scores of predicted crop types: macro-F1, F1 of each class, accuracy, and how far probabilities are off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yieldcast.crop_types.heads import Floats, Ints

_BINS = 10


@dataclass(frozen=True)
class CropTypeScores:
    """Scores of one model on one set of samples.

    Args:
        samples: number.
        macro_f1: mean of the classes' F1, 0 to 1.
        accuracy: share of right classes.
        calibration_error: mean distance between the probability of the predicted class and how often it is
            right, over ten bins of equal width (Guo et al. 2017, equation 3).
        f1: class -> F1.
        counts: class -> number of samples.
    """

    samples: int
    macro_f1: float
    accuracy: float
    calibration_error: float
    f1: dict[str, float]
    counts: dict[str, int]


def crop_type_scores(probability: Floats, truth: Ints, classes: Sequence[str]) -> CropTypeScores:
    """Scores of probabilities.

    Args:
        probability: (sample, class).
        truth: (sample,) positions in `classes`.
        classes: names; those without any sample count in neither mean.
    """
    from sklearn.metrics import f1_score

    found, sure = probability.argmax(axis=1), probability.max(axis=1)
    present = np.unique(truth)
    every = f1_score(truth, found, labels=present, average=None, zero_division=0.0)
    right = found == truth
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    off = sum(abs(float((sure - right)[bins == k].sum())) for k in np.unique(bins)) / len(truth)
    return CropTypeScores(
        len(truth), float(every.mean()), float(right.mean()), off,
        {classes[k]: float(value) for k, value in zip(present, every, strict=True)},
        {classes[k]: int((truth == k).sum()) for k in present},
    )  # fmt: skip


def confusion(probability: Floats, truth: Ints, count: int) -> Ints:
    """(true class, predicted class) numbers of samples, of `count` classes."""
    from sklearn.metrics import confusion_matrix

    made: Ints = confusion_matrix(truth, probability.argmax(axis=1), labels=np.arange(count))
    return made


def standard_error(score: float, samples: int) -> float:
    """Standard error of a share of `samples` independent samples (binomial); a guide for macro-F1 too."""
    return float(np.sqrt(max(score * (1 - score), 0.0) / max(samples, 1)))
