"""Inside: fine-tuning a model on the training rows, as a contributor declared it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.workspace.sandbox import flop
from yieldcast.workspace.sandbox.augmentation import augment
from yieldcast.workspace.sandbox.meter import Meter
from yieldcast.workspace.sandbox.rows import Inputs, as_given, deviations, taken
from yieldcast.workspace.settings import TrainingOptions


@dataclass(frozen=True)
class TrainingRows:
    """What a model is trained on.

    Args:
        inputs: name -> (row, ...).
        target: (row,) positions of classes of the task, or kg/ha.
        validation: (row,) True for rows that only tell when to stop.
        classes: number of classes; 0 for values.
    """

    inputs: Inputs
    target: NDArray[Any]
    validation: NDArray[np.bool_]
    classes: int


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of rows in an order that changes with each epoch, augmented if wished.

    Args:
        data: all rows.
        rows: numbers of those to take.
        options: batch size, augmentation, class weights.
        target: (row,) as the loss takes it.
        seed: of order and augmentation; None for rows in order and as they are.
    """

    def __init__(
        self,
        data: TrainingRows,
        rows: NDArray[np.int64],
        options: TrainingOptions,
        target: NDArray[Any],
        seed: int | None,
    ) -> None:
        super().__init__()
        self.data, self.rows, self.options, self.target = data, rows, options, target
        self.random = None if seed is None else np.random.default_rng(seed)
        self.deviations = deviations(data.inputs, rows) if "noise" in options.augmentation else {}
        self.weights = _class_weights(data.target[rows], data.classes) if options.class_weights else None
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.options.batch_size)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        size = self.options.batch_size
        rows = np.sort(self.rows[number * size : (number + 1) * size])
        inputs = taken(self.data.inputs, rows)
        if self.random is not None and self.options.augmentation:
            inputs = augment(inputs, self.options.augmentation, self.deviations, self.random)
        given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        if self.weights is None:
            return given, self.target[rows]
        return given, self.target[rows], self.weights[self.data.target[rows]]

    def on_epoch_end(self) -> None:
        if self.random is not None:
            self.rows = self.random.permutation(self.rows)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts each step before it is done, and reports each epoch."""

    def __init__(self, meter: Meter, rows: int, checked: int, batch_size: int, epochs: int) -> None:
        super().__init__()
        self.meter, self.rows, self.checked, self.batch_size = meter, rows, checked, batch_size
        self.epochs = epochs
        self.curve: list[dict[str, Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.cost = flop.of_model(self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.meter.say(epoch=epoch + 1, step=0, steps=math.ceil(self.rows / self.batch_size))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        rows = min(self.batch_size, self.rows - batch * self.batch_size)
        self.meter.spend(rows * (self.cost.forward + self.cost.backward))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = (batch + 1) * self.batch_size / self.rows
        epoch = self.meter.progress["epoch"] - 1
        self.meter.say(step=batch + 1, loss=float(logs["loss"]), share=(epoch + min(done, 1.0)) / self.epochs)

    def on_test_begin(self, logs: Any = None) -> None:
        self.meter.spend(self.checked * self.cost.forward)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        names = {"loss": "loss", "val_loss": "validation_loss", "accuracy": "accuracy",
                 "val_accuracy": "validation_accuracy"}  # fmt: skip
        found = {names[name]: float(value) for name, value in logs.items() if name in names}
        if not all(map(math.isfinite, found.values())):
            raise SchemaError(
                f"the loss of epoch {epoch + 1} is not a finite number", "Declare a smaller learning rate."
            )
        self.curve.append({"epoch": epoch + 1, **found})
        self.meter.say(now=True, curve=self.curve, **found)


def fine_tune(
    model: keras.Model, data: TrainingRows, options: TrainingOptions, loss: Any, target: NDArray[Any],
    meter: Meter, seed: int,
) -> None:  # fmt: skip
    """Train a model in place; at the end it has the weights of its best epoch on the validation rows.

    Args:
        model: its layers are frozen as declared already.
        data: all training rows.
        options: as declared.
        loss: of Keras.
        target: (row,) as the loss takes it.
        meter: counts and stops.
        seed: of order and augmentation.

    Raises:
        BudgetSpentError: at the budget.
        SchemaError: the loss is no finite number, or no weight is left to train.
    """
    if not model.trainable_weights:
        raise SchemaError("no weight is left to train", "Declare fewer frozen layers.")
    chosen, checked = np.flatnonzero(~data.validation), np.flatnonzero(data.validation)
    metrics = ["accuracy"] if data.classes else []
    optimizer = keras.optimizers.Adam(options.learning_rate)
    # XLA would take longer to compile than small models to train
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=False)
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", mode="min", patience=options.patience, restore_best_weights=True
    )
    watch = _Watch(meter, len(chosen), len(checked), options.batch_size, options.epochs)
    model.fit(
        _Batches(data, chosen, options, target, seed),
        validation_data=_Batches(data, checked, options, target, None),
        epochs=options.epochs, callbacks=[watch, stopping], shuffle=False, verbose=0,
    )  # fmt: skip


def freeze(model: keras.Model, layers: int | Sequence[str]) -> None:
    """Keep the weights of layers as they are.

    Args:
        model: its layers.
        layers: the number of the first layers with weights, or names.

    Raises:
        SchemaError: a name that the model does not have.
    """
    weighted = [layer for layer in _layers(model) if layer.weights]
    if isinstance(layers, int):
        chosen = weighted[:layers]
    else:
        if unknown := set(layers) - {layer.name for layer in _layers(model)}:
            raise SchemaError(
                f"frozen layers: the model has no {', '.join(sorted(unknown))}",
                f"Its layers with weights are {', '.join(layer.name for layer in weighted)}.",
            )
        chosen = [layer for layer in _layers(model) if layer.name in layers]
    for layer in chosen:
        layer.trainable = False


def _layers(model: keras.Model) -> list[Any]:
    """Layers, those of a model inside a model after it."""
    found: list[Any] = []
    for layer in model.layers:
        found += _layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def with_new_head(model: keras.Model, classes: int, target: NDArray[Any], outputs: int) -> keras.Model:
    """The model with a new last layer, in place of its last dense one, or after all of it without one.

    Args:
        model: as submitted.
        classes: number of classes, which get probabilities; 0 for values.
        target: (row,) kg/ha, whose mean and deviation scale the new outputs; unused for classes.
        outputs: number of values.
    """
    features = _before_head(model)
    if len(features.shape) > 2:
        features = keras.layers.Flatten(name="new_head_features")(features)
    if classes:
        made = keras.layers.Dense(classes, activation="softmax", name="new_head")(features)
    else:
        scale, offset = float(target.std()) or 1.0, float(target.mean())
        made = keras.layers.Dense(outputs, name="new_head")(features)
        made = keras.layers.Rescaling(scale, offset, name="new_head_kg_ha")(made)
    return keras.Model(as_given(model.inputs), made)


def _before_head(model: keras.Model) -> Any:
    """What goes into the last dense layer, if only layers without weights follow; else the model's output."""
    for layer in reversed(model.layers):
        if type(layer).__name__ == "Dense":
            return layer.input
        if layer.weights or type(layer).__name__ not in ("Activation", "Softmax", "Rescaling", "Identity"):
            break
    return model.outputs[0]


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the last layer is a softmax."""
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    return type(last).__name__ == "Softmax" or activation == "softmax"


def _class_weights(target: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """(class,) weights by the inverse of the share, 1 on average over the rows."""
    counts = np.bincount(target.astype(np.int64), minlength=classes)
    present = np.maximum(counts, 1) * max(1, int((counts > 0).sum()))
    return np.asarray(len(target) / present, dtype=np.float32)
