"""Predictions of the holdout to scores: outputs matched by their names, baselines beside the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.workspace.scoring.scores import (
    Reference,
    RowArrays,
    Scores,
    class_row_arrays,
    class_scores,
    value_row_arrays,
    value_scores,
)
from yieldcast.workspace.tasks.task import VALUE, Task, data_folder, read_group, read_target

_FILE = "baselines.npz"


def score_holdout(
    folder: Path, task: Task, prediction: NDArray[Any], outputs: Sequence[str]
) -> tuple[Scores, RowArrays]:
    """Scores of a submission, and its rows for paired tests; neither may leave the workspace as it is.

    Args:
        folder: of the workspace, or its folder ``data``.
        task: of the folder.
        prediction: (row, output) or, of one output, (row,).
        outputs: declared names of the outputs.

    Raises:
        SchemaError: names that the task does not know, another shape, or values that are not finite.
    """
    target, group = read_target(folder, task, "holdout"), read_group(folder, task, "holdout")
    if task.kind == "classes":
        matched = match_classes(prediction, outputs, task.outputs)
        return class_scores(target, matched, task.outputs, task.rare, group), class_row_arrays(
            target, matched
        )
    levels = check_outputs(task, outputs)
    scores = value_scores(target, prediction, levels, group, read_references(folder))
    return scores, value_row_arrays(target, prediction, levels)


def check_outputs(task: Task, outputs: Sequence[str]) -> tuple[float, ...]:
    """Levels of declared quantiles, () for classes and single values.

    Args:
        task: of the workspace.
        outputs: classes, `VALUE`, or levels such as 0.05 and 0.5.

    Raises:
        SchemaError: an output twice, no class of the task, or neither `VALUE` nor levels between 0 and 1.
    """
    if len(set(outputs)) < len(outputs) or not outputs:
        raise SchemaError(f"expected outputs with different names, received {', '.join(outputs) or 'none'}")
    if task.kind == "classes":
        if len(set(outputs) & set(task.outputs)) < 2:
            raise SchemaError(
                f"expected outputs among the classes {', '.join(task.outputs)}, received "
                f"{', '.join(outputs)}",
                "Declare the names of the model's outputs in their order, as the workspace writes them.",
            )
        return ()
    if tuple(outputs) == (VALUE,):
        return ()
    try:
        levels = tuple(float(one) for one in outputs)
    except ValueError:
        levels = (0.0,)
    if not all(0 < level < 1 for level in levels) or len(set(levels)) < len(levels):
        raise SchemaError(
            f"expected the output {VALUE}, or different levels of quantiles between 0 and 1, received "
            f"{', '.join(outputs)}",
            "For example 0.05, 0.5, 0.95.",
        )
    return levels


def match_classes(
    prediction: NDArray[Any], outputs: Sequence[str], classes: Sequence[str]
) -> NDArray[np.float64]:
    """Outputs in the order of the task's classes.

    Outputs for classes that the task does not have are left out, and probabilities add up to 1 again: what
    is scored is the model's choice among the task's classes. A class without an output is never predicted.

    Args:
        prediction: (row, output).
        outputs, classes: names.

    Raises:
        SchemaError: another shape, or values that are not finite.
    """
    values = np.asarray(prediction, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(outputs):
        raise SchemaError(f"expected {len(outputs)} outputs of each row, received shape {values.shape}")
    if not np.isfinite(values).all():
        raise SchemaError("expected finite predictions, received others")
    if tuple(outputs) == tuple(classes):
        return values
    probable = bool((values >= 0).all() and (abs(values.sum(axis=1) - 1) <= 1e-3).all())
    lowest = np.zeros(len(values)) if probable else values.min(axis=1) - 1
    at = {name: k for k, name in enumerate(outputs)}
    found = np.stack([values[:, at[name]] if name in at else lowest for name in classes], axis=1)
    if probable:
        total = found.sum(axis=1, keepdims=True)
        found = np.where(total > 0, found / np.where(total > 0, total, 1), 1 / len(classes))
    return found


def write_references(folder: Path, references: Mapping[str, Reference]) -> None:
    """Keep what the baselines said of the holdout."""
    arrays = {f"{name}_point": one.point for name, one in references.items()}
    arrays |= {f"{name}_crps": one.crps for name, one in references.items()}
    if arrays:
        np.savez(folder / "holdout" / _FILE, allow_pickle=False, **arrays)


def read_references(folder: Path) -> dict[str, Reference]:
    """What the baselines said of the holdout; none of a task of classes."""
    path = data_folder(folder) / "holdout" / _FILE
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        names = sorted(name.removesuffix("_point") for name in arrays.files if name.endswith("_point"))
        return {name: Reference(arrays[f"{name}_point"], arrays[f"{name}_crps"]) for name in names}
