"""Scores of holdout predictions with standard errors, their rows for paired tests, and what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.metrics import crps, finite_or_none
from yieldcast.forecasting.distribution import quantile_at
from yieldcast.workspace.scoring import measures
from yieldcast.workspace.scoring.confusion import confusion_shares, hidden_classes
from yieldcast.workspace.scoring.ladder import outwards, rounded

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]
RowArrays = dict[str, NDArray[Any]]
SHARES = ("accuracy", "rare_recall", "macro_f1")  # of classes, 0 to 1; higher is better
AMOUNTS = ("rmse_kg_ha", "bias_kg_ha", "crps_kg_ha")  # of values; lower is better, bias near 0
MAIN: dict[str, str] = {"classes": "accuracy", "value": "rmse_kg_ha"}
LOG_SCORE = "log_score"  # mean of -ln(probability of the true class); lower is better
_LEAST_PROBABILITY = 1e-15  # as scikit-learn's log_loss clips for float64
_LEVELS = (np.arange(99) + 1) / 100
_LOG = measures.Measures(
    (LOG_SCORE,),
    ("lower",),
    lambda sums: sums[..., :1] / sums[..., 1:],
    lambda rows: rows.parts(rows.cells)[:, 0],
)


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
    predicted, logs = outputs.argmax(axis=1), _log_scores(truth, outputs)
    rows = measures.class_rows(truth, predicted, len(classes))
    values, errors = _measured(measures.class_measures(classes, rare), rows, group)
    if logs is not None:
        more = measures.Rows(np.arange(len(logs)), np.column_stack([logs, np.ones(len(logs))]))
        values, errors = (
            {**one, **other}
            for one, other in zip((values, errors), _measured(_LOG, more, group), strict=True)
        )
    confusion = np.bincount(rows.cells, minlength=len(classes) ** 2).reshape(len(classes), -1)
    recall, of_recall = ({name: one.pop(f"{measures.RECALL}{name}") for name in classes}
                         for one in (values, errors))  # fmt: skip
    nothing: dict[str, float | None] = {"rare_recall": None, LOG_SCORE: None}
    return Scores(
        kind="classes", n=len(truth), groups=_count(group), values=nothing | values,
        errors=nothing | errors, recall=recall, recall_errors=of_recall,
        support=dict(zip(classes, confusion.sum(axis=1).tolist(), strict=True)), rare=tuple(rare),
        confusion=tuple(map(tuple, confusion.tolist())),
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
    rows = value_row_arrays(truth, prediction, levels)
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
    of_all = {name: float(one.crps.mean()) for name, one in (references or {}).items()}
    known = {name: loss for name, loss in of_all.items() if loss > 0}
    rows = measures.value_rows(said.point - truth, said.crps)
    values, errors = _measured(measures.value_measures(known), rows, group)
    nothing: dict[str, float | None] = {f"{measures.SKILL}{name}": None for name in of_all}
    return Scores(
        kind="value", n=len(truth), groups=_count(group), values=nothing | values, errors=nothing | errors
    )


def _measured(
    of: measures.Measures, rows: measures.Rows, group: Texts | None
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Measures by name and their standard errors; None where not defined."""
    units = measures.units_of([rows], group)
    both = of.score(measures.totals(units)[0]), measures.jackknife_errors(of, units)
    values, errors = (
        {name: finite_or_none(float(one)) for name, one in zip(of.names, found, strict=True)}
        for found in both
    )
    return values, {name: None if values[name] is None else errors[name] for name in values}


def class_row_arrays(target: NDArray[Any], prediction: NDArray[Any]) -> RowArrays:
    """What paired tests need of each row: predicted class, hit, and log score where there is one."""
    truth, outputs = np.asarray(target, dtype=np.int64), np.asarray(prediction, dtype=np.float64)
    predicted, logs = outputs.argmax(axis=1), _log_scores(truth, outputs)
    rows: RowArrays = {"predicted": predicted.astype(np.int16), "hit": truth == predicted}
    return rows if logs is None else rows | {LOG_SCORE: logs}


def value_row_arrays(
    target: NDArray[Any], prediction: NDArray[Any], levels: Sequence[float] = ()
) -> RowArrays:
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
    scores: Scores, step: float = 0.001, smallest_cell: int = 10, step_kg_ha: float = 1.0
) -> dict[str, Any]:
    """What of scores may leave the workspace: rounded, and without small cells.

    Args:
        scores: exact.
        step: that shares, the log score and skill are rounded to; standard errors are rounded up to it.
        smallest_cell: the smallest count that leaves; see `confusion.hidden_classes`.
        step_kg_ha: that amounts are rounded to.

    Returns:
        n, each score and ``NAME_error``, and of classes: recall and recall_errors by class, and confusion
        (shares of each class); None where hidden or not defined.
    """
    found: dict[str, Any] = {"kind": scores.kind, "n": scores.n}
    for name, value in scores.values.items():
        unit = step_kg_ha if name in AMOUNTS else step
        found[name], found[f"{name}_error"] = _rounded(value, unit), _rounded_up(scores.errors[name], unit)
    if scores.kind == "value":
        return found
    names = list(scores.support)
    hidden = hidden_classes(
        list(scores.support.values()), [names.index(one) for one in scores.rare], smallest_cell
    )
    gone = dict(zip(names, hidden.tolist(), strict=True))
    for key, of, rounding in (
        ("recall", scores.recall, _rounded), ("recall_errors", scores.recall_errors, _rounded_up)
    ):  # fmt: skip
        found[key] = {name: None if gone[name] else rounding(of[name], step) for name in names}
    shares = confusion_shares(np.array(scores.confusion), hidden, smallest_cell, Decimal(str(step)))
    found["confusion"] = [[None if one is None else float(one) for one in row] for row in shares]
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


def _count(group: Texts | None) -> int | None:
    return None if group is None else int(measures.group_numbers(group).max()) + 1


def _rounded(value: float | None, step: float) -> float | None:
    return None if value is None else float(rounded(value, Decimal(str(step))))


def _rounded_up(value: float | None, step: float) -> float | None:
    return None if value is None else float(outwards(value, value, Decimal(str(step)))[1])
