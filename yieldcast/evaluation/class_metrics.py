"""Scores of classes and of P(low): hits, probabilities, reliability, and what a warning finds.

P(low) is scored as a forecast of the event "the yield is low". A score that is not defined, for example the
area under the ROC curve of a year in which no yield was low, is None.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.metrics import Floats, finite_or_none

BINS = 10  # of the reliability curve, of equal width
CURVE_POINTS = 51  # of ROC and precision-recall curves in files; areas rest on every row
FALSE_ALARM_RATE = 0.2  # at which the recall is told unless another is asked for


@dataclass(frozen=True)
class ClassScore:
    """Scores of predicted classes.

    Args:
        n: number of rows.
        accuracy: share of the rows whose class was right.
        macro_f1: mean of the F1 of the classes that occur among truths or predictions.
        precision, recall, f1, support: (class,); `support` counts the rows of the class. None for the
            precision of a class that was never predicted and for the recall of a class that never occurred.
        confusion: (class, predicted class) counts.
    """

    n: int
    accuracy: float
    macro_f1: float
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]
    support: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]


def score_classes(truth: NDArray[Any], predicted: NDArray[Any], count: int) -> ClassScore:
    """Score predicted classes.

    Args:
        truth, predicted: (row,) positions of classes, 0 to `count` - 1.
        count: of classes.

    Raises:
        MissingDataError: no rows.
        SchemaError: other positions, or shapes that differ.
    """
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

    truth, predicted = np.asarray(truth, dtype=int), np.asarray(predicted, dtype=int)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise SchemaError(f"expected a class for every row, received {predicted.shape} for {truth.shape}")
    if not truth.size:
        raise MissingDataError("expected rows to score, received none", "Choose years with yields.")
    both = np.concatenate([truth, predicted])
    if both.min() < 0 or both.max() >= count:
        raise SchemaError(f"expected classes 0 to {count - 1}, received {both.min()} to {both.max()}")
    every = list(range(count))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=every, zero_division=np.nan
    )
    return ClassScore(
        int(truth.size), float((truth == predicted).mean()),
        float(f1_score(truth, predicted, average="macro", zero_division=0)),
        _known(precision), _known(recall), _known(f1), tuple(int(number) for number in support),
        tuple(tuple(map(int, row)) for row in confusion_matrix(truth, predicted, labels=every).tolist()),
    )  # fmt: skip


def _known(values: Floats) -> tuple[float | None, ...]:
    return tuple(finite_or_none(float(value)) for value in values)


@dataclass(frozen=True)
class ReliabilityBin:
    """One point of the reliability curve: rows, their mean probability, and how often the event came."""

    n: int
    probability: float
    observed: float


@dataclass(frozen=True)
class BrierParts:
    """The Brier score, the mean squared difference of probability and outcome, and its parts.

    brier = reliability - resolution + uncertainty + within_bins holds exactly. The first three parts are
    those of Murphy 1973 (Journal of Applied Meteorology 12:595-600), over `BINS` bins of equal width,
    where each bin stands for its mean probability. `within_bins` is what probabilities that differ inside a
    bin add (Stephenson, Coelho & Jolliffe 2008, Weather and Forecasting 23:752-757, variance and covariance
    within bins in one); it is 0 where all of a bin are equal.

    Args:
        brier: 0 (right and sure) to 1.
        reliability: 0 or more, lower is better: how far the bins are from what happened.
        resolution: 0 or more, higher is better: how far the bins are from the overall frequency.
        uncertainty: frequency x (1 - frequency) of the event, whatever the forecast.
        within_bins: see above.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float


def brier_parts(event: NDArray[np.bool_], probability: Floats) -> BrierParts:
    """The Brier score and its parts.

    Args:
        event: (row,) whether it came.
        probability: (row,) 0 to 1.
    """
    outcome, at = event.astype(np.float64), _bins(probability)
    size = np.bincount(at, minlength=BINS)
    filled = size > 0
    size, mean_p, mean_o = size[filled], _means(at, probability)[filled], _means(at, outcome)[filled]
    place = np.searchsorted(np.flatnonzero(filled), at)
    off_p, off_o = probability - mean_p[place], outcome - mean_o[place]
    frequency = outcome.mean()
    return BrierParts(
        brier=float(((probability - outcome) ** 2).mean()),
        reliability=float(np.average((mean_p - mean_o) ** 2, weights=size)),
        resolution=float(np.average((mean_o - frequency) ** 2, weights=size)),
        uncertainty=float(frequency * (1 - frequency)),
        within_bins=float((off_p**2 - 2 * off_p * off_o).mean()),
    )


def reliability_curve(event: NDArray[np.bool_], probability: Floats) -> tuple[ReliabilityBin, ...]:
    """Points of the reliability curve, of the bins that hold rows; arguments as `brier_parts`."""
    at = _bins(probability)
    size = np.bincount(at, minlength=BINS)
    p, o = _means(at, probability), _means(at, event.astype(np.float64))
    return tuple(ReliabilityBin(int(size[k]), float(p[k]), float(o[k])) for k in np.flatnonzero(size))


def reliability_slope(event: NDArray[np.bool_], probability: Floats) -> float | None:
    """Slope of the regression of the outcome (0 or 1) on the probability: 1 if reliable.

    Below 1 the probabilities differ more between rows than what happened (too sure), above 1 less. Each row
    weighs the same: it is the regression through the points of the reliability curve with as many bins as
    there are different probabilities, each weighted by its rows. None where all probabilities are equal.
    """
    spread = probability - probability.mean()
    if np.ptp(probability) == 0:
        return None
    return float((spread * event).sum() / (spread**2).sum())


def _bins(probability: Floats) -> NDArray[np.intp]:
    """(row,) bin of each probability; 1 belongs to the last."""
    return np.minimum((probability * BINS).astype(np.intp), BINS - 1)


def _means(at: NDArray[np.intp], values: Floats) -> Floats:
    """(bin,) means; 0 in a bin without rows."""
    size = np.bincount(at, minlength=BINS)
    found: Floats = np.bincount(at, weights=values, minlength=BINS) / np.maximum(size, 1)
    return found


@dataclass(frozen=True)
class Warnings:
    """What flags by P(low) find: receiver operating characteristic (ROC), precision and recall (PR).

    Args:
        roc_area: area under the ROC curve, 0.5 without skill.
        pr_area: average precision; the frequency of the event without skill.
        recall_at_rate: share of the low yields that are flagged at the lowest threshold whose false alarms
            are at most `false_alarm_rate` of the yields that were not low.
        false_alarm_rate: asked for.
        threshold: that P(low); None where no threshold keeps the rate, so that nothing is flagged.
        roc: (false-alarm rate, recall) points.
        pr: (recall, precision) points.
    """

    roc_area: float | None
    pr_area: float | None
    recall_at_rate: float | None
    false_alarm_rate: float
    threshold: float | None
    roc: tuple[tuple[float, float], ...]
    pr: tuple[tuple[float, float], ...]


def warnings_of(
    event: NDArray[np.bool_], probability: Floats, false_alarm_rate: float = FALSE_ALARM_RATE
) -> Warnings:
    """Score flags by P(low); without a row of both kinds nothing is defined.

    Args:
        event: (row,) whether the yield was low.
        probability: (row,) P(low), 0 to 1.
        false_alarm_rate: share of the yields that are not low that may be flagged, 0 to 1.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    if event.all() or not event.any():
        return Warnings(None, None, None, false_alarm_rate, None, (), ())
    alarms, hits, thresholds = roc_curve(event, probability, drop_intermediate=False)
    kept = int(np.flatnonzero(alarms <= false_alarm_rate)[-1])
    precision, recall, _ = precision_recall_curve(event, probability)
    return Warnings(
        float(roc_auc_score(event, probability)), float(average_precision_score(event, probability)),
        float(hits[kept]), false_alarm_rate, finite_or_none(float(thresholds[kept])),
        _thinned(alarms, hits), _thinned(recall[::-1], precision[::-1]),
    )  # fmt: skip


def _thinned(x: Floats, y: Floats) -> tuple[tuple[float, float], ...]:
    """At most `CURVE_POINTS` points of a curve, first and last included, evenly spread along x and y."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.linspace(0.0, along[-1], CURVE_POINTS)
    at = np.unique(np.minimum(np.searchsorted(along, wanted), len(x) - 1))
    return tuple((float(x[k]), float(y[k])) for k in at)


def score_low(
    event: NDArray[np.bool_], probability: Floats, false_alarm_rate: float = FALSE_ALARM_RATE
) -> dict[str, Any]:
    """All scores of P(low), for JSON.

    Args:
        event, probability, false_alarm_rate: see `warnings_of`.

    Returns:
        parts of the Brier score, reliability curve and slope, and `Warnings`, by name.
    """
    if not (np.isfinite(probability).all() and probability.min() >= 0 and probability.max() <= 1):
        raise SchemaError("P(low): expected probabilities from 0 to 1")
    if math.isnan(false_alarm_rate) or not 0 <= false_alarm_rate <= 1:
        raise SchemaError(f"expected a false-alarm rate from 0 to 1, received {false_alarm_rate:g}")
    return {
        "frequency": float(event.mean()), "mean_p_low": float(probability.mean()),
        **asdict(brier_parts(event, probability)),
        "reliability_slope": reliability_slope(event, probability),
        "reliability_curve": [asdict(one) for one in reliability_curve(event, probability)],
        **asdict(warnings_of(event, probability, false_alarm_rate)),
    }  # fmt: skip
