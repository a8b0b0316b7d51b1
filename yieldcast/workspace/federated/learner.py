"""One Keras model that is trained from given weights, on data that stay where they are."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.workspace.federated.site_data import Examples

if TYPE_CHECKING:
    import keras

    from yieldcast.workspace.federated.settings import FederationSettings
    from yieldcast.workspace.tasks.task import Task

Weights = list[NDArray[Any]]


class Learner:
    """Trains and scores one model; in one thread at a time.

    Args:
        model: built from a checked file; its weights are replaced at every call.
        kind: "classes" (softmax or logits, one value per class) or "value" (one value, kg/ha).
    """

    def __init__(self, model: keras.Model, kind: str) -> None:
        import keras

        self.model, self.kind = model, kind
        model.compile(optimizer=keras.optimizers.Adam(), loss=_loss(model, kind), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        self._fresh_optimizer = [np.array(variable.numpy()) for variable in model.optimizer.variables]
        weights = {id(variable) for variable in model.weights}
        self._random_states = [variable for variable in model.variables if id(variable) not in weights]

    def weights(self) -> Weights:
        """The weights as they are now: all layers in order, moving means and variances among them."""
        return [np.array(array) for array in self.model.get_weights()]

    def fit(
        self,
        weights: Sequence[NDArray[Any]],
        examples: Examples,
        settings: FederationSettings,
        passes: range,
        stream: str,
    ) -> Weights:
        """Train from `weights` with some of the federation's passes over all examples; Adam starts afresh.

        Args:
            weights: as `weights` returns them.
            examples: training part of a site.
            settings: learning rate, size of a batch, seed.
            passes: those of all that are made here, from 0 on: each has its learning rate.
            stream: name of the random stream (site and round): the same stream gives the same result.

        Raises:
            SchemaError: weights of other shapes or not finite, before or after training.
        """
        self._start(weights, settings.seed, stream)
        rng = np.random.default_rng([settings.seed, zlib.crc32(stream.encode())])
        for done in passes:
            self.model.optimizer.learning_rate = settings.rate(done)
            order = rng.permutation(examples.count)
            for first in range(0, examples.count, settings.batch_size):
                inputs, target = examples.rows(order[first : first + settings.batch_size])
                self.model.train_on_batch(inputs, target)
        trained = self.weights()
        check_weights(trained, weights, f"after training at {stream}")
        return trained

    def score(self, weights: Sequence[NDArray[Any]], examples: Examples) -> float:
        """Share of correct classes, or mean squared error in (kg/ha)^2.

        Raises:
            SchemaError: weights of other shapes or not finite.
        """
        self._set(weights)
        total = 0.0
        for first in range(0, examples.count, 256):
            inputs, target = examples.rows(np.arange(first, min(first + 256, examples.count)))
            predicted = np.asarray(self.model.predict_on_batch(inputs))
            if self.kind == "classes":
                total += float((predicted.argmax(-1) == target).sum())
            else:
                total += float(((predicted.reshape(-1) - target) ** 2).sum())
        return total / examples.count

    def _start(self, weights: Sequence[NDArray[Any]], seed: int, stream: str) -> None:
        """Weights as given, optimizer as new, random states of dropout and noise from the stream's name."""
        self._set(weights)
        for variable, value in zip(self.model.optimizer.variables, self._fresh_optimizer, strict=True):
            variable.assign(value)
        rng = np.random.default_rng([seed, zlib.crc32(stream.encode()), 1])
        for state in self._random_states:
            state.assign(rng.integers(2**31, size=state.shape).astype(state.dtype))

    def _set(self, weights: Sequence[NDArray[Any]]) -> None:
        check_weights(weights, self.model.get_weights(), "received")
        self.model.set_weights(list(weights))


def check_weights(weights: Sequence[NDArray[Any]], like: Sequence[NDArray[Any]], which: str) -> None:
    """Raise SchemaError unless all arrays are finite and have the shapes of `like`."""
    shapes, expected = [np.shape(a) for a in weights], [np.shape(a) for a in like]
    if shapes != expected:
        raise SchemaError(
            f"weights {which}: expected {len(expected)} arrays of shapes {_short(expected)}, "
            f"received {len(shapes)} of shapes {_short(shapes)}",
            "All sites and the server must use the same model file.",
        )
    if not all(np.isfinite(array).all() for array in weights):
        raise SchemaError(
            f"weights {which}: not finite (NaN or infinite)",
            "The training diverges: take a smaller learning rate.",
        )


def check_output(model: keras.Model, task: Task) -> None:
    """Raise SchemaError unless the model takes the task's inputs and gives one value for each output."""
    takes = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    if len(takes) == len(task.inputs) == 1:  # a model with one input may call it anything
        takes = dict(zip(task.inputs, takes.values(), strict=True))
    if takes != task.inputs or tuple(model.output_shape) != (None, len(task.outputs)):
        raise SchemaError(
            f"the data have the inputs {task.inputs} and {len(task.outputs)} output(s); "
            f"the model takes {takes} and gives {tuple(model.output_shape)[1:]}",
            "Use a model made for this task.",
        )


def _loss(model: keras.Model, kind: str) -> Any:
    import keras

    if kind == "classes":
        last = model.layers[-1]
        softmax = isinstance(last, keras.layers.Softmax) or (
            getattr(last, "activation", None) is keras.activations.softmax
        )
        return keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)

    return keras.losses.MeanSquaredError()


def _short(shapes: Sequence[tuple[int, ...]]) -> str:
    text = ", ".join(map(str, shapes[:4]))
    return text + (", ..." if len(shapes) > 4 else "")
