"""Inside: the two phases of a job. It sees open files and numbers only, never the targets of the holdout."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from yieldcast import model_files
from yieldcast.errors import SchemaError, YieldcastError
from yieldcast.model_files import RefusedModel
from yieldcast.workspace.sandbox import flop, outputs, training
from yieldcast.workspace.sandbox.meter import BudgetSpentError, Meter
from yieldcast.workspace.sandbox.rows import Inputs, arrays, as_given, batches, mapped, taken
from yieldcast.workspace.settings import TrainingOptions

_BATCH = 64  # rows of a prediction
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class _Order:
    """What is to be done, as `job.run_job` wrote it."""

    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    kind: str
    declared: tuple[str, ...] | None
    options: TrainingOptions
    budget: int
    seed: int
    threads: int

    @classmethod
    def of(cls, job: dict[str, Any]) -> _Order:
        shapes = {name: tuple(shape) for name, shape in job["inputs"].items()}
        declared = None if job["declared"] is None else tuple(job["declared"])
        options = TrainingOptions.model_validate(job["options"])
        numbers = {name: job[name] for name in ("budget", "seed", "threads")}
        return cls(shapes, tuple(job["outputs"]), job["kind"], declared, options, **numbers)


def run(job: dict[str, Any], files: dict[str, int], report: Report) -> None:
    """Do a job and report how it ended, as ``{"end": {"state": ..., "reason": ...}}``.

    Args:
        job: message of `job.run_job`.
        files: open files: model, training/NAME, holdout/NAME, target, validation, prediction1, prediction2.
        report: sends a line to the worker.
    """
    order = _Order.of(job)
    meter = Meter(order.budget, report)
    try:
        reason = _phases(order, files, meter)
        end = {"state": "done", "reason": reason}
    except RefusedModel as error:
        end = {"state": "refused", "reason": _text(error)}
    except BudgetSpentError:
        end = {"state": "stopped", "reason": "the compute budget of the contributor is spent"}
    except (MemoryError, tf.errors.ResourceExhaustedError):
        end = {"state": "stopped", "reason": "more memory was needed than allowed"}
    except YieldcastError as error:
        end = {"state": "failed", "reason": _text(error)}
    except (tf.errors.OpError, ValueError, TypeError, ArithmeticError) as error:
        end = {"state": "failed", "reason": f"the model could not be computed: {_first_line(error)}"}
    meter.say(now=True)
    report({"end": end})


def _text(error: YieldcastError) -> str:
    return f"{error} {error.hint}".strip()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _phases(order: _Order, files: dict[str, int], meter: Meter) -> str | None:
    """Both phases; returns why there was no first one."""
    tf.config.threading.set_intra_op_parallelism_threads(order.threads)
    tf.config.threading.set_inter_op_parallelism_threads(order.threads)
    keras.utils.set_random_seed(order.seed)
    meter.say(now=True, stage="reading", phase=1)
    model = _read_model(files["model"], order)
    found, levels = _meaning(model, order)
    holdout = _named(arrays(files, "holdout"), model, order)
    reason = None
    if all(position is None for position in found):
        reason = f"No result of phase 1: no output of the model is one of {', '.join(order.outputs)}."
    else:
        meter.say(now=True, stage="baseline", share=0.0)
        _write(files["prediction1"], _predict(model, holdout, order, found, meter))
        meter.report({"predicted": 1})
    meter.say(now=True, phase=2, stage="training", share=0.0, epochs=order.options.epochs)
    model, found = _tuned(model, order, files, found, levels, meter)
    meter.say(now=True, stage="scoring", share=0.0)
    _write(files["prediction2"], _predict(model, holdout, order, found, meter))
    meter.report({"predicted": 2})
    return reason


def _meaning(model: keras.Model, order: _Order) -> tuple[list[int | None], tuple[float, ...] | None]:
    """Positions of the task's outputs (for values: the declared ones) in the model, and levels of quantiles.

    Outputs without names of their own are no hindrance where all of them get a new head.
    """
    count, names = model.outputs[0].shape[-1], order.declared or order.outputs
    levels = None if order.kind == "classes" else outputs.levels(names)
    if order.options.new_head and len(names) != count:
        return [None] * len(names), levels
    declared = outputs.declared_outputs(order.declared, order.outputs, count)
    if order.kind == "classes":
        return outputs.positions(declared, order.outputs), levels
    return list(range(count)), levels


def _read_model(number: int, order: _Order) -> keras.Model:
    """The model, built from what was understood of its file.

    Raises:
        RefusedModel: the archive breaks a rule, or does not fit the task.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        with os.fdopen(os.dup(number), "rb") as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        model = model_files.build(model_files.check(path))
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        shapes = [tuple(one.shape) for one in model.outputs]
        raise RefusedModel(
            f"expected one output of shape (row, output), received {shapes}",
            "End the model with a layer such as Dense.", rule="outputs",
        )  # fmt: skip
    for weight in model.weights:
        if not np.isfinite(np.asarray(weight, dtype=np.float32)).all():
            raise RefusedModel(
                f"the weight {weight.path} holds values that are not finite",
                "Submit a model whose training did not diverge.", rule="weights",
            )  # fmt: skip
    _assigned(model, order)
    return keras.Model(as_given(model.inputs), model.outputs[0])  # whatever structure its inputs had


def _assigned(model: keras.Model, order: _Order) -> dict[str, str]:
    """Name of the task's input for each input of the model.

    Raises:
        RefusedModel: a shape or a name does not fit.
    """
    given = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    if len(given) == len(order.inputs) == 1:
        pairs = dict(zip(given, order.inputs, strict=True))
    else:
        known = {outputs.key(name): name for name in order.inputs}
        pairs = {name: known.get(outputs.key(name), "") for name in given}
    for name, wanted in pairs.items():
        shape = order.inputs.get(wanted)
        if shape is None or not _fits(given[name], shape):
            expected = ", ".join(f"{one} {list(size)}" for one, size in order.inputs.items())
            raise RefusedModel(
                f"expected inputs {expected}, received {name} {list(given[name])}",
                "Name the inputs of the model as the task does, with its shapes.", rule="inputs",
            )  # fmt: skip
    return pairs


def _fits(given: Sequence[int | None], wanted: Sequence[int]) -> bool:
    return len(given) == len(wanted) and all(
        one is None or one == size for one, size in zip(given, wanted, strict=True)
    )


def _named(inputs: Inputs, model: keras.Model, order: _Order) -> Inputs:
    """Inputs under the model's own names, in its order."""
    return {name: inputs[wanted] for name, wanted in _assigned(model, order).items()}


def _predict(
    model: keras.Model, inputs: Inputs, order: _Order, found: Sequence[int | None], meter: Meter
) -> NDArray[np.float32]:
    """(row, output): probabilities of the task's classes, or values."""
    forward = flop.of_model(model).forward
    count = len(next(iter(inputs.values())))
    step = tf.function(lambda rows: model(rows, training=False), autograph=False, reduce_retracing=True)
    parts = []
    for rows in batches(count, _BATCH):
        meter.spend((rows.stop - rows.start) * forward)
        given = as_given([tf.constant(array) for array in taken(inputs, rows).values()])
        parts.append(np.asarray(step(given), dtype=np.float32))
        meter.say(share=rows.stop / count)
    predicted = np.concatenate(parts)
    if not np.isfinite(predicted).all():
        lost = int((~np.isfinite(predicted).all(axis=1)).sum())
        raise SchemaError(f"the model gave values that are not finite for {lost} of {count} holdout rows")
    if order.kind != "classes":
        return predicted
    return outputs.by_class(outputs.as_probabilities(predicted), found)


def _tuned(
    model: keras.Model,
    order: _Order,
    files: dict[str, int],
    found: list[int | None],
    levels: Sequence[float] | None,
    meter: Meter,
) -> tuple[keras.Model, list[int | None]]:
    """The model after fine-tuning, and the positions of the classes among its outputs."""
    target = np.array(mapped(files["target"]))
    classes = len(order.outputs) if order.kind == "classes" else 0
    training.freeze(model, order.options.frozen_layers)
    if order.options.new_head or (classes and None in found):
        model = training.with_new_head(model, classes, target, len(found))
        found = list(range(len(found)))
    wanted, loss = target.astype(np.float32), _value_loss(levels)
    if classes:
        place = np.array([position or 0 for position in found], dtype=np.int32)
        wanted = place[target]
        loss = keras.losses.SparseCategoricalCrossentropy(not training.gives_probabilities(model))
    validation = np.array(mapped(files["validation"]))
    inputs = _named(arrays(files, "training"), model, order)
    data = training.TrainingRows(inputs, target, validation, classes)
    training.fine_tune(model, data, order.options, loss, wanted, meter, order.seed)
    return model, found


def _value_loss(levels: Sequence[float] | None) -> Any:
    """Squared error of a value; pinball loss of quantiles (Koenker and Bassett 1978, Econometrica 46:33)."""
    if levels is None:
        return keras.losses.MeanSquaredError()
    asked = tf.constant(levels, dtype=tf.float32)

    def pinball(truth: Any, said: Any) -> Any:
        above = tf.reshape(tf.cast(truth, tf.float32), (-1, 1)) - said
        return tf.reduce_mean(tf.maximum(asked * above, (asked - 1) * above), axis=-1)

    return pinball


def _write(number: int, predicted: NDArray[np.float32]) -> None:
    """Write predictions as plain float32 into an open file."""
    with os.fdopen(os.dup(number), "wb") as file:
        file.write(np.ascontiguousarray(predicted, dtype="<f4").tobytes())
