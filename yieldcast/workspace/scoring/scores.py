"""Scores of holdout predictions with standard errors, their rows for paired tests, and what is published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.class_metrics import score_classes
from yieldcast.evaluation.metrics import crps, score
from yieldcast.forecasting.distribution import quantile_at
from yieldcast.workspace.scoring.small_cells import hidden_counts, published_confusion, published_counts

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]
Rows = dict[str, NDArray[Any]]
SHARES = ("accuracy", "rare_recall", "macro_f1")  # of classes, 0 to 1; higher is better
AMOUNTS = ("rmse_kg_ha", "bias_kg_ha", "crps_kg_ha")  # of values; lower is better, bias near 0
MAIN: dict[str, str] = {"classes": "accuracy", "value": "rmse_kg_ha"}
LOG_SCORE = "log_score"  # mean of -ln(probability of the true class); lower is better
_LEAST_PROBABILITY = 1e-15  # as scikit-learn's log_loss clips for float64
_LEVELS = (np.arange(99) + 1) / 100


class Scores(BaseModel):
    """Scores of one set of predictions; exact, for the inside of the workspace only.

    Args:
        kind: of the task.
        n: rows.
        groups: different groups that standard errors rest on; None where each row is one.
        values: name -> score: `SHARES` and `LOG_SCORE`, or `AMOUNTS` and ``skill_BASELINE`` (1 - CRPS / CRPS
            of the baseline); None where it is not defined.
        errors: name -> standard error of the score.
        recall, recall_errors: class -> recall and its standard error; None for a class without rows.
        support: class -> rows.
        rare: classes of ``rare_recall``.
        confusion: (class, predicted class) counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["classes", "value"]
    n: int
    groups: int | None = None
    values: dict[str, float | None]
    errors: dict[str, float | None]
    recall: dict[str, float | None] = {}
    recall_errors: dict[str, float | None] = {}
    support: dict[str, int] = {}
    rare: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def main(self) -> float:
        """The score that ranks: accuracy (higher is better) or RMSE in kg/ha (lower is better)."""
        return float(self.values[MAIN[self.kind]] or 0.0)


@dataclass(frozen=True)
class Reference:
    """What a baseline, or a model, said of the holdout.

    Args:
        point: (row,) kg/ha.
        crps: (row,) kg/ha; absolute errors of a baseline without quantiles.
    """

    point: Floats
    crps: Floats


def class_scores(
    target: NDArray[Any],
    prediction: NDArray[Any],
    classes: Sequence[str],
    rare: Sequence[str] = (),
    group: Texts | None = None,
) -> Scores:
    """Score predicted classes.

    Args:
        target: (row,) positions in `classes`.
        prediction: (row, class) probabilities; other finite outputs have no log score.
        classes: names.
        rare: those whose mean recall is scored, over the ones that have rows.
        group: (row,) of rows that belong together, for standard errors; "" is a row by itself.

    Raises:
        MissingDataError: no rows.
        SchemaError: another shape, or values that are not finite.
    """
    truth = np.asarray(target, dtype=np.int64)
    outputs = _checked(prediction, (len(truth), len(classes)))
    predicted = outputs.argmax(axis=1)
    found = score_classes(truth, predicted, len(classes))
    clusters = _clusters(group, len(truth))
    hit = (truth == predicted).astype(np.float64)
    recall_parts = _recall_parts(truth, hit, found.recall)
    rare_parts = [recall_parts[name] for name in map(list(classes).index, rare) if name in recall_parts]
    logs = _log_scores(truth, outputs)
    values: dict[str, float | None] = {
        "accuracy": found.accuracy, "macro_f1": found.macro_f1,
        "rare_recall": _mean([found.recall[list(classes).index(name)] for name in rare]),
        LOG_SCORE: None if logs is None else float(logs.mean()),
    }  # fmt: skip
    parts = {
        "accuracy": (hit - hit.mean()) / len(hit),
        "macro_f1": _f1_parts(truth, predicted, found.f1),
        "rare_recall": np.mean(rare_parts, axis=0) if rare_parts else None,
        LOG_SCORE: None if logs is None else (logs - logs.mean()) / len(logs),
    }
    names = list(enumerate(classes))
    return Scores(
        kind="classes", n=len(truth), groups=_count(group, clusters), values=values,
        errors={name: _error(part, clusters) for name, part in parts.items()},
        recall={name: found.recall[k] for k, name in names},
        recall_errors={name: _error(recall_parts.get(k), clusters[truth == k], truth == k)
                       for k, name in names},
        support={name: found.support[k] for k, name in names}, rare=tuple(rare), confusion=found.confusion,
    )  # fmt: skip


def value_scores(
    target: NDArray[Any],
    prediction: NDArray[Any],
    levels: Sequence[float] = (),
    group: Texts | None = None,
    references: Mapping[str, Reference] | None = None,
) -> Scores:
    """Score predicted yields.

    Args:
        target: (row,) kg/ha, 0 or more.
        prediction: (row,) or (row, 1) kg/ha, or (row, level) quantiles.
        levels: of the quantiles, between 0 and 1, each once.
        group: as for `class_scores`.
        references: baseline -> what it said of the same rows.

    Raises:
        MissingDataError: no rows.
        SchemaError: another shape, other levels, or values that are not finite.
    """
    truth = np.asarray(target, dtype=np.float64)
    rows = value_rows(truth, prediction, levels)
    return _value_scores(truth, Reference(rows["prediction_kg_ha"], rows["crps_kg_ha"]), group, references)


def reference_scores(
    target: NDArray[Any], references: Mapping[str, Reference], group: Texts | None = None
) -> dict[str, Scores]:
    """Scores of the baselines, as `value_scores`: skill against each other."""
    truth = np.asarray(target, dtype=np.float64)
    return {name: _value_scores(truth, one, group, references) for name, one in references.items()}


def _value_scores(
    truth: Floats, said: Reference, group: Texts | None, references: Mapping[str, Reference] | None
) -> Scores:
    error, loss = said.point - truth, said.crps
    found, n, clusters = score(said.point, truth), len(truth), _clusters(group, len(truth))
    mse = found.rmse_kg_ha**2
    values: dict[str, float | None] = {
        "rmse_kg_ha": found.rmse_kg_ha, "bias_kg_ha": found.bias_kg_ha, "crps_kg_ha": float(loss.mean())
    }  # fmt: skip
    # The linear part of each score in what single rows add to it: d sqrt(m) = dm / (2 sqrt(m)).
    parts: dict[str, Floats | None] = {
        "rmse_kg_ha": (error**2 - mse) / (2 * found.rmse_kg_ha * n) if mse > 0 else np.zeros(n),
        "bias_kg_ha": (error - error.mean()) / n,
        "crps_kg_ha": (loss - loss.mean()) / n,
    }
    for name, of in (references or {}).items():
        other = float(of.crps.mean())
        ratio = float(loss.mean()) / other if other > 0 else math.nan
        values[f"skill_{name}"] = 1 - ratio if other > 0 else None
        parts[f"skill_{name}"] = (ratio * of.crps - loss) / (n * other) if other > 0 else None
    return Scores(
        kind="value", n=n, groups=_count(group, clusters), values=values,
        errors={name: _error(part, clusters) for name, part in parts.items()},
    )  # fmt: skip


def class_rows(target: NDArray[Any], prediction: NDArray[Any]) -> Rows:
    """What paired tests need of each row: predicted class, hit, and log score where there is one."""
    truth, outputs = np.asarray(target, dtype=np.int64), np.asarray(prediction, dtype=np.float64)
    predicted, logs = outputs.argmax(axis=1), _log_scores(truth, outputs)
    rows: Rows = {"predicted": predicted.astype(np.int16), "hit": truth == predicted}
    return rows if logs is None else rows | {LOG_SCORE: logs}


def value_rows(target: NDArray[Any], prediction: NDArray[Any], levels: Sequence[float] = ()) -> Rows:
    """What paired tests need of each row: point prediction, error (prediction - target) and CRPS, kg/ha.

    The point of quantiles is the mean of their distribution. Quantiles that cross are put in order
    (Chernozhukov et al. 2010, Econometrica 78:1093). Between and beyond them the distribution is that of
    `forecasting.distribution`. The CRPS of a point is its absolute error.

    Args:
        target, prediction, levels: as for `value_scores`.
    """
    truth = np.asarray(target, dtype=np.float64)
    if not levels or len(levels) == 1:
        values = np.asarray(prediction)
        point = _checked(values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values, truth.shape)
        loss = np.abs(point - truth)
    else:
        given = np.asarray(levels, dtype=np.float64)
        order = np.argsort(given)
        if (np.diff(given[order]) <= 0).any() or given.min() <= 0 or given.max() >= 1:
            raise SchemaError(f"expected different levels between 0 and 1, received {list(levels)}")
        outputs = np.sort(_checked(prediction, (len(truth), len(given))), axis=1)
        given = given[order]
        point = quantile_at(outputs, _LEVELS, given).mean(axis=1)
        loss = crps(outputs, truth, given)
    return {"prediction_kg_ha": point, "error_kg_ha": point - truth, "crps_kg_ha": loss}


def published(
    scores: Scores, step: float = 0.001, smallest_cell: int = 10, step_kg_ha: float = 10.0
) -> dict[str, Any]:
    """What of scores may leave the workspace: rounded, and without small cells.

    Args:
        scores: exact.
        step: that shares, the log score and skill are rounded to; standard errors are rounded up to it.
        smallest_cell: counts below it are hidden, and recalls of classes with fewer rows; see `small_cells`.
        step_kg_ha: that amounts are rounded to.

    Returns:
        n, each score and ``NAME_error``, and of classes: recall, recall_errors, support and confusion; None
        where hidden or not defined.
    """
    found: dict[str, Any] = {"kind": scores.kind, "n": scores.n}
    for name, value in scores.values.items():
        unit = step_kg_ha if name in AMOUNTS else step
        found[name], found[f"{name}_error"] = _rounded(value, unit), _rounded_up(scores.errors[name], unit)
    if scores.kind == "value":
        return found
    counts = list(scores.support.values())
    hidden = dict(zip(scores.support, hidden_counts(counts, smallest_cell).tolist(), strict=True))
    if sum(hidden[name] for name in scores.rare) == 1:  # the mean would give the hidden one back
        found |= {"rare_recall": None, "rare_recall_error": None}
    for name in ("recall", "recall_errors"):
        rounding = _rounded if name == "recall" else _rounded_up
        by_class: dict[str, float | None] = getattr(scores, name)
        found[name] = {one: None if hidden[one] else rounding(of, step) for one, of in by_class.items()}
    found["support"] = dict(zip(scores.support, published_counts(counts, smallest_cell), strict=True))
    found["confusion"] = [
        [None] * len(row) if gone else row
        for row, gone in zip(
            published_confusion(scores.confusion, smallest_cell), hidden.values(), strict=True
        )
    ]
    return found


def _checked(prediction: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    values = np.asarray(prediction, dtype=np.float64)
    if values.shape != shape:
        raise SchemaError(f"expected predictions of shape {shape}, received {values.shape}")
    if not shape[0]:
        raise MissingDataError("expected rows to score, received none", "The holdout is empty.")
    if lost := int((~np.isfinite(values)).sum()):
        raise SchemaError(f"expected finite predictions, received {lost} of {values.size} that are not")
    return values


def _log_scores(truth: NDArray[np.int64], outputs: Floats) -> Floats | None:
    """(row,) log scores; None where rows are no probabilities."""
    if (outputs < 0).any() or (np.abs(outputs.sum(axis=1) - 1) > 1e-3).any():
        return None
    return np.asarray(-np.log(np.maximum(outputs[np.arange(len(truth)), truth], _LEAST_PROBABILITY)))


def _recall_parts(truth: NDArray[np.int64], hit: Floats, recall: Sequence[float | None]) -> dict[int, Floats]:
    """class -> (row,) what each row adds to the departure of its recall."""
    parts = {}
    for k, value in enumerate(recall):
        if value is not None:
            mine = truth == k
            parts[k] = np.where(mine, (hit - value) / mine.sum(), 0.0)
    return parts


def _f1_parts(truth: NDArray[np.int64], predicted: NDArray[np.intp], f1: Sequence[float | None]) -> Floats:
    """(row,) what each row adds to the departure of macro-F1: F1 = 2 TP / (true + predicted) is a ratio."""
    parts = []
    for k, value in enumerate(f1):
        of_class, said = truth == k, predicted == k
        if size := int(of_class.sum() + said.sum()):
            parts.append((2.0 * (of_class & said) - (value or 0.0) * (of_class * 1.0 + said)) / size)
    return np.asarray(np.mean(parts, axis=0))


def _clusters(group: Texts | None, count: int) -> NDArray[np.intp]:
    """(row,) number of its cluster."""
    if group is None:
        return np.arange(count)
    texts = np.asarray(group).astype(str)
    numbers = np.unique(texts, return_inverse=True)[1]
    return np.where(texts == "", len(texts) + np.arange(len(texts)), numbers)


def _count(group: Texts | None, clusters: NDArray[np.intp]) -> int | None:
    return None if group is None else len(np.unique(clusters))


def _error(
    part: Floats | None, clusters: NDArray[np.intp], rows: NDArray[np.bool_] | None = None
) -> float | None:
    """Standard error of a sum of parts of rows: rows of one cluster count as one observation.

    The linearised (sandwich) estimator with G / (G - 1) for G clusters (Cameron & Miller 2015, Journal of
    Human Resources 50:317, eq. 11 and Section II.B); without clusters that of a mean.
    """
    if part is None:
        return None
    sums = np.bincount(np.unique(clusters, return_inverse=True)[1], part if rows is None else part[rows])
    count = len(sums)
    return float(np.sqrt(count / (count - 1) * (sums**2).sum())) if count > 1 else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _rounded(value: float | None, step: float) -> float | None:
    return None if value is None else round(round(value / step) * step, 10)


def _rounded_up(value: float | None, step: float) -> float | None:
    return None if value is None else round(math.ceil(round(value / step, 9)) * step, 10)
