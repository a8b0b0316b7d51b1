"""Probabilities of classes from a calibrated forecast, and the class that a table shows for each place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yieldcast.forecasting.distribution import probability_below
from yieldcast.risk.classes import UNKNOWN

Floats = NDArray[np.float64]
# Weights of a class against the others that are tried, 1/5 to 5: what 25 steps can tell apart (our choice).
_WEIGHTS = np.geomspace(0.2, 5.0, 25)


def class_probabilities(quantiles: Floats, borders: Floats) -> Floats:
    """Probability of each class of yields under a forecast.

    Args:
        quantiles: (row, quantile) kg/ha at `table.QUANTILES`, not decreasing.
        borders: (row, border) kg/ha, ascending, see `ClassRule.borders`.

    Returns:
        (row, class) 0 to 1, each row adding up to 1; NaN where a quantile or a border is NaN.
    """
    below = [np.zeros(len(quantiles))]
    below += [probability_below(quantiles, border) for border in borders.T]
    found = np.diff(np.stack([*below, np.ones(len(quantiles))]), axis=0).T
    known = np.isfinite(np.hstack([quantiles, borders])).all(axis=1, keepdims=True)
    result: Floats = np.where(known, np.maximum(found, 0.0), np.nan)
    return result


def with_shares(balanced: Floats, shares: Floats) -> Floats:
    """Probabilities of a classifier whose training counted all classes alike.

    Such a classifier says how much more likely a class is than usual; the shares of the classes in its
    training rows turn this back into probabilities (Saerens, Latinne & Decaestecker 2002, Neural Computation
    14:21-41, equation 2.4).

    Args:
        balanced: (row, class) outputs.
        shares: (class,) of the training rows.

    Returns:
        (row, class) 0 to 1, each row adding up to 1.
    """
    found = balanced * shares
    result: Floats = found / found.sum(axis=1, keepdims=True)
    return result


def shown_classes(probabilities: Floats) -> NDArray[np.int8]:
    """The class of each row that makes the expected macro-F1 of the whole table the largest.

    The most probable class is rarely the middle one, and a class that is rare this year is then never shown.
    Each class therefore has a weight, and a row shows the class with the largest weighted probability. The
    weights are those with the largest macro-F1 that the probabilities themselves expect (F1 of a class as the
    ratio of expectations, Lewis 1995, SIGIR, "Evaluating and optimizing autonomous text classification
    systems"): no outcome is read, also no past one.

    Args:
        probabilities: (row, class) of one forecast: all places of a country on one date.

    Returns:
        (row,) classes; `UNKNOWN` where a probability is NaN.
    """
    known = np.isfinite(probabilities).all(axis=1)
    result = np.full(len(probabilities), UNKNOWN, dtype=np.int8)
    rows = probabilities[known]
    if not len(rows):
        return result
    best, chosen = -1.0, rows.argmax(axis=1)
    for weights in _weights(rows.shape[1]):
        classes = (rows * weights).argmax(axis=1)
        score = _expected_macro_f1(rows, classes)
        if score > best + 1e-12:
            best, chosen = score, classes
    result[known] = chosen
    return result


def _weights(classes: int) -> list[Floats]:
    """Weights to try, the nearest to equal weights first; the second class of three has weight 1."""
    if classes == 2:
        tried = [np.array([low, 1.0]) for low in _WEIGHTS]
    else:
        tried = [np.array([low, 1.0, high]) for low in _WEIGHTS for high in _WEIGHTS]
    return sorted(tried, key=lambda one: float(np.abs(np.log(one)).sum()))


def _expected_macro_f1(probabilities: Floats, classes: NDArray[np.intp]) -> float:
    """Mean over classes of 2 E[right] / (E[rows of the class] + rows shown), 0 to 1."""
    count = probabilities.shape[1]
    right = np.bincount(classes, probabilities[np.arange(len(classes)), classes], minlength=count)
    size = probabilities.sum(axis=0) + np.bincount(classes, minlength=count)
    return float((2.0 * right / np.where(size > 0, size, 1.0)).mean())
