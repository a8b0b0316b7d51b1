"""Bring your own network: a function of yours builds a Keras model, yieldcast scales, trains and saves it.

``[model] build = "package.module:function"`` in the settings names the function. It is called as
``function(settings, shapes)`` with the `Settings` of the run and an `InputShapes`, and returns a functional
`keras.Model`::

    {"weather": (None, steps, variables), "static": (None, features)} -> (None, 1)

The model gets scaled inputs without NaN and returns the scaled target. yieldcast adds the layers that scale
the inputs, return kg/ha and, with `target = "departure"`, add the history baseline.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from yieldcast.config import Settings
from yieldcast.errors import ConfigError
from yieldcast.features.samples import SampleSet
from yieldcast.models.dual_path import predict
from yieldcast.models.scaling import Scaling, base_column, scale_static, scale_weather, scaled_to_yield
from yieldcast.models.stacked import Arrays, scaled_static, scaled_weather
from yieldcast.user_code import current_folder_first, import_function

Tensor = Any  # of the backend that Keras runs on
_EXAMPLE = (
    'Return keras.Model({"weather": weather, "static": static}, output) with weather = '
    'keras.Input(shapes.weather, name="weather"), static = keras.Input(shapes.static, name="static") '
    "and an output of one unit."
)


@dataclass(frozen=True)
class InputShapes:
    """Inputs of a network, as a build function gets them.

    Args:
        steps: months of the season window.
        dynamic_names: names with units of the monthly variables, in the order of the last axis of "weather".
        static_names: names with units of the static inputs, in the order of the last axis of "static".
    """

    steps: int
    dynamic_names: tuple[str, ...]
    static_names: tuple[str, ...]

    @property
    def weather(self) -> tuple[int, int]:
        """Shape of the input "weather" without the sample axis: (steps, variables)."""
        return self.steps, len(self.dynamic_names)

    @property
    def static(self) -> tuple[int]:
        """Shape of the input "static" without the sample axis: (features,)."""
        return (len(self.static_names),)


Build = Callable[[Settings, InputShapes], keras.Model]


def import_build(spec: str) -> Build:
    """The build function of a specification, see `user_code.import_function`."""
    build: Build = import_function(spec, "model.build")
    return build


def source_of(build: Build) -> str:
    """Source text of the module of a build function; empty where Python cannot read it."""
    try:
        return inspect.getsource(sys.modules[build.__module__])
    except (OSError, TypeError, KeyError, AttributeError):
        return ""


class CustomNetwork:
    """The network of a build function in the training loop: one member at a time, not stacked.

    All members share one Keras model, so that one compiled epoch serves all of them: a member is its weights.
    The build function is called again for each, for its initial weights.

    Args:
        settings: of the run; `model.build` names the function.
        shapes: of the inputs.

    Raises:
        ConfigError: the function fails or returns a model that does not fit; says what was expected.
    """

    noise = 0.0  # a build function adds its own noise layers

    def __init__(self, settings: Settings, shapes: InputShapes) -> None:
        self.settings, self.shapes = settings, shapes
        self.spec = settings.model.build or ""
        self.base = base_column(shapes.static_names) if settings.network.target == "departure" else None
        self._function = import_build(self.spec)
        self.model = self._build()
        self._check_saving()
        self.xla = _for_xla(self.model)
        count = len(self.model.trainable_variables)
        self._variables = _variables(self.model)
        self.trained, self.others = list(self._variables)[:count], list(self._variables)[count:]

    def new_member(self, scaling: Scaling, rows: SampleSet) -> tuple[keras.Model, Arrays, Arrays]:
        """A member before training, with weights by Keras's global random seed.

        Args:
            scaling: of the member.
            rows: some of its training rows, to try it on.

        Returns:
            The member in physical units, as `dual_path.build_network` returns it, which shares its variables
            with all other members; and the initial values of its trained and of its other variables, by name.

        Raises:
            ConfigError: another network than the first time, or an output that is not finite.
        """
        weights, others = self._initial_weights()
        member = self._member(scaling)
        self.set_weights({**weights, **others})
        bad = int((~np.isfinite(predict(member, rows))).sum())
        if bad:
            raise self._error(
                f"before training, {bad} of {len(rows)} outputs are not finite",
                "Inputs are scaled and without NaN: look for a division, logarithm or root in the network.",
            )
        return member, weights, others

    def _initial_weights(self) -> tuple[Arrays, Arrays]:
        variables = _variables(self._build())
        first, received = (
            {name: tuple(variable.shape) for name, variable in each.items()}
            for each in (self._variables, variables)
        )
        if first != received:
            raise self._error(
                f"expected the weights of the first call, {first}, received {received}",
                "Build the same network in every call: only its initial weights may be random.",
            )
        values = {name: ops.convert_to_numpy(variable) for name, variable in variables.items()}
        return {name: values[name] for name in self.trained}, {name: values[name] for name in self.others}

    def _member(self, scaling: Scaling) -> keras.Model:
        weather = keras.Input(self.shapes.weather, name="weather")
        static = keras.Input(self.shapes.static, name="static")
        scaled = {"weather": scale_weather(weather, scaling), "static": scale_static(static, scaling)}
        output = scaled_to_yield(
            keras.tree.flatten(self.model(scaled))[0],
            static,
            self.settings.network,
            scaling,
            self.shapes.static_names,
        )
        return keras.Model({"weather": weather, "static": static}, output, name="custom")

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Write weights, trained and others by name, into the model that all members share."""
        for name, variable in self._variables.items():
            variable.assign(weights[name])

    def forward(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], weather: Tensor, static: Tensor
    ) -> Tensor:
        """See `training.epoch.TrainableNetwork`; the member axis has length 1."""
        inputs = _scaled(scaling, weather, static)
        output, _ = self.model.stateless_call(*self._lists(weights), inputs, training=False)
        return ops.transpose(keras.tree.flatten(output)[0])

    def training_pass(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], weather: Tensor,
        static: Tensor, noise: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:  # fmt: skip
        """See `training.epoch.TrainableNetwork`; the member axis has length 1."""
        inputs = _scaled(scaling, weather, static)
        output, others, losses = self.model.stateless_call(
            *self._lists(weights), inputs, training=True, return_losses=True
        )
        changed = {name: value[None] for name, value in zip(self.others, others, strict=True)}
        penalty = sum((ops.cast(loss, "float32") for loss in losses), ops.zeros(()))
        return ops.transpose(keras.tree.flatten(output)[0]), changed, ops.reshape(penalty, (1,))

    def penalty(self, weights: Mapping[str, Tensor]) -> Tensor:
        """See `training.epoch.TrainableNetwork`: the regularisers of weights, not those of activities."""
        found = ops.zeros(())
        for name in self.trained:
            regularizer = self._variables[name].regularizer
            if regularizer is not None:
                found = found + ops.cast(regularizer(weights[name][0]), "float32")
        return ops.reshape(found, (1,))

    def _lists(self, weights: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return [weights[name][0] for name in self.trained], [weights[name][0] for name in self.others]

    def _build(self) -> keras.Model:
        """Call the build function and check what it returns."""
        try:
            with current_folder_first():  # for what it imports itself
                model = self._function(self.settings, self.shapes)
        except Exception as error:
            raise self._error(
                f"the function failed: {type(error).__name__}: {error}",
                "Correct it; yieldcast --debug shows the place.",
            ) from error
        if not isinstance(model, keras.Model):
            raise self._error(f"expected a keras.Model, received {type(model).__name__}", _EXAMPLE)
        expected = {name: (None, *getattr(self.shapes, name)) for name in ("weather", "static")}
        received = _shapes(model)
        if received != expected:
            raise self._error(f"expected the inputs {expected}, received {received}", _EXAMPLE)
        outputs = [tuple(tensor.shape) for tensor in model.outputs]
        if outputs != [(None, 1)]:
            raise self._error(f"expected one output of shape (None, 1), received {outputs}", _EXAMPLE)
        if not model.trainable_variables:
            raise self._error("the network has no trainable weights", "Add a layer with weights to train.")
        return model

    def _check_saving(self) -> None:
        """Save and load the model in memory, so that a fault is found before training, not after."""
        try:
            keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(self.model))
        except Exception as error:
            raise self._error(
                f"Keras cannot load this network once it is saved: {_reason(error)}",
                "Replace Lambda layers by keras.ops or a Layer class; give custom layers a get_config and "
                "decorate them with @keras.saving.register_keras_serializable().",
            ) from error

    def _error(self, message: str, hint: str) -> ConfigError:
        return ConfigError(f"model.build = {self.spec!r}: {message}", hint)


def _for_xla(model: keras.Model) -> bool:
    """Whether XLA can compile all layers: not, for example, Keras's LSTM on a GPU with TensorFlow.

    XLA is used wherever it can be, also on a CPU, where Keras itself does not: its sums have one order, so
    that a restart gives the same bits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns where it must set it back to False
        model.jit_compile = True
    return bool(model.jit_compile)


def _reason(error: Exception) -> str:
    """The cause in a message of Keras, without the configuration of the whole model."""
    cause = str(error).rpartition("Exception encountered: ")[2].strip()
    return cause.partition(" Full object config")[0].partition("\n")[0]


def _shapes(model: keras.Model) -> Any:
    """Shapes of a model's inputs by name; a text where it has no such inputs."""
    try:
        inputs = model.input
    except (AttributeError, ValueError):
        return f"a {type(model).__name__} without keras.Input"
    if not isinstance(inputs, dict):
        return keras.tree.map_structure(lambda tensor: tuple(tensor.shape), inputs)
    return {name: tuple(tensor.shape) for name, tensor in inputs.items()}


def _variables(model: keras.Model) -> dict[str, Any]:
    """Variables by position and name, the trainable ones first; names of layers differ from call to call."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    return {f"{position:03d}/{variable.name}": variable for position, variable in enumerate(variables)}


def _scaled(scaling: Mapping[str, Tensor], weather: Tensor, static: Tensor) -> dict[str, Tensor]:
    return {"weather": scaled_weather(scaling, weather)[0], "static": scaled_static(scaling, static)[0]}
