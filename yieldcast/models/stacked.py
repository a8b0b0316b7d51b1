"""The dual-path network of `dual_path` with a leading member axis: many members in one call, by `keras.ops`.

Weights are a mapping from "layer/variable" (as in the plain model) to an array (member, ...). Members
are independent: row k of every output depends only on row k of every input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from yieldcast.config import NetworkSettings
from yieldcast.models.dual_path import SCALED_OUTPUT
from yieldcast.models.scaling import Scaling

if TYPE_CHECKING:
    import keras


Tensor = Any  # of the backend that Keras runs on
Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


def weights_of(member: keras.Model) -> Arrays:
    """Trainable weights of a plain member by "layer/variable", float32, without the member axis."""
    return {
        f"{layer.name}/{variable.name}": ops.convert_to_numpy(variable)
        for layer in member.layers
        for variable in layer.trainable_variables
    }


def set_weights(member: keras.Model, weights: Mapping[str, Any]) -> None:
    """Write weights back into a plain member.

    Args:
        member: built by `dual_path.build_network` with the same settings.
        weights: as `weights_of` returns them.
    """
    for layer in member.layers:
        for variable in layer.trainable_variables:
            variable.assign(weights[f"{layer.name}/{variable.name}"])


def scaling_of(scaling: Scaling) -> Arrays:
    """A member's scaling as float32 arrays, without the member axis; target values have shape ()."""
    values = {name: np.asarray(value, np.float32) for name, value in asdict(scaling).items()}
    offset = (scaling.static_mean - scaling.static_low) / scaling.static_range
    return {**values, "static_offset": offset.astype(np.float32)}


def scaled_weather(scaling: Mapping[str, Tensor], weather: Tensor) -> Tensor:
    """Weather (member, row, step, variable) in physical units to scaled weather; see `scaling_of`."""
    low, spread = (scaling[f"dynamic_{name}"][:, None, None] for name in ("low", "range"))
    return (weather - low) / spread


def scaled_static(scaling: Mapping[str, Tensor], static: Tensor) -> Tensor:
    """Static inputs (member, row, feature) in physical units to scaled ones without NaN."""
    mean, spread, offset = (scaling[f"static_{name}"][:, None] for name in ("mean", "range", "offset"))
    return ops.nan_to_num((static - mean) / spread, nan=0.0) + offset


@dataclass(frozen=True)
class Network:
    """The part of the network that is the same for all members: its shape and its L2 penalty.

    Args:
        settings: unit counts, noise, L2.
        base: column of the static inputs that holds the baseline of a departure; None where the network
            predicts yields.
    """

    settings: NetworkSettings
    base: int | None = None

    @property
    def noise(self) -> float:
        """Standard deviation of the noise on scaled weather in training."""
        return self.settings.noise

    def training_pass(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], weather: Tensor,
        static: Tensor, noise: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:  # fmt: skip
        """See `training.epoch.TrainableNetwork`; no weight changes but by its gradient."""
        scaled = self.forward(weights, scaling, weather, static, noise)
        return scaled, {}, self.penalty(weights)

    def forward(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], weather: Tensor,
        static: Tensor, noise: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """The scaled yield, (member, row).

        Args:
            weights: (member, ...) each.
            scaling: (member, ...) each, see `scaling_of`.
            weather: (member, row, step, variable), physical units.
            static: (member, row, feature), physical units; NaN is a missing value.
            noise: added to the scaled weather, same shape; None when predicting.
        """
        dynamic = self.dynamic_path(weights, scaling, weather, noise)
        return self.head(weights, dynamic, self.static_path(weights, scaling, static))

    def dynamic_path(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], weather: Tensor,
        noise: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Output of the last LSTM at the last step, (member, row, unit); arguments as for `forward`."""
        weather = scaled_weather(scaling, weather)
        if noise is not None:
            weather = weather + noise
        sequence = ops.unstack(weather, axis=2)
        for k in range(1, len(self.settings.lstm_units) + 1):
            kernel, recurrent, bias = (
                weights[f"lstm_{k}/{name}"] for name in ("kernel", "recurrent_kernel", "bias")
            )
            sequence = lstm(kernel, recurrent, bias, sequence)
        return sequence[-1]

    def head(self, weights: Mapping[str, Tensor], dynamic: Tensor, static: Tensor) -> Tensor:
        """The scaled yield, (member, row), from the outputs of the two paths."""
        joined = ops.concatenate([dynamic, static], axis=-1)
        for k in range(1, len(self.settings.head_units) + 1):
            joined = ops.relu(dense(weights, f"head_{k}", joined))
        return dense(weights, SCALED_OUTPUT, joined)[..., 0]

    def static_path(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], static: Tensor
    ) -> Tensor:
        """Output of the dense layers on soil and place, (member, row, unit); arguments as for `forward`."""
        x = scaled_static(scaling, static)
        for k in range(1, len(self.settings.static_units) + 1):
            x = ops.relu(dense(weights, f"static_{k}", x))
        return x

    def penalty(self, weights: Mapping[str, Tensor]) -> Tensor:
        """L2 of every kernel, biases left out as in the plain model, (member,)."""
        kernels = [value for name, value in weights.items() if name.endswith("kernel")]
        return self.settings.l2 * sum(ops.sum(ops.square(value), axis=(1, 2)) for value in kernels)


def dense(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """A dense layer without activation, (member, row, unit) from (member, row, input)."""
    return ops.matmul(x, weights[f"{name}/kernel"]) + weights[f"{name}/bias"][:, None]


def lstm(kernel: Tensor, recurrent: Tensor, bias: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Outputs of an LSTM layer at every step, each (member, row, unit), from a zero state.

    The steps are unrolled: a season window has few, and XLA cannot fuse operations across a loop.

    Args:
        kernel: (member, input, 4 units), gates in Keras's order: input, forget, cell, output.
        recurrent: (member, unit, 4 units).
        bias: (member, 4 units).
        inputs: one (member, row, input) per step.
    """
    outputs: list[Tensor] = []
    c: Tensor = None
    for t, x in enumerate(inputs):
        z = ops.matmul(x, kernel) + bias[:, None]
        if t > 0:
            z = z + ops.matmul(outputs[-1], recurrent)
        i, f, g, o = ops.split(z, 4, axis=-1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        c = f * c + i * g if t > 0 else i * g
        outputs.append(o * ops.tanh(c))
    return outputs
