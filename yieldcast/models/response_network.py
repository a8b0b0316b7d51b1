"""The network in its response form: how a season's weather moves the yield from its level and trend.

The dual path and the Gaussian noise are those of Cunha & Silva (2020, Figure 1): an LSTM on the weather,
dense layers on soil and place, joined by a dense layer. Three things differ from `dual_path`:

- a linear path through the crop-water effect (`water_response`) goes past the network to the output, so that
  a drought deeper than any in training is extrapolated; LSTM and dense layers saturate;
- the output is f(weather) - f(normal weather), which is exactly 0 for normal weather: the candidate of the
  LSTM has no bias, so its state stays 0 on inputs of 0, and the joined layer enters by its difference;
- L2 is strong, so that without evidence only the linear path is left.

Members are stacked along a leading axis, as in `stacked`. Yields are in units of the crop's mean yield.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from yieldcast.models.stacked import Arrays, dense, lstm

Tensor = Any  # of the backend that Keras runs on


@dataclass(frozen=True)
class ResponseNetwork:
    """The shape of the network and its penalties; constants chosen on left-out training years.

    Args:
        lstm_units, place_units, head_units: of the one layer of each kind.
        noise: standard deviation of the noise on the departures of the weather (in standard deviations).
        l2: of every kernel, inverse variance of a normal prior.
        gain_l2: the same of the linear path's departure from a gain of 1: standard deviation 0.25.
        scale: output of the head per unit, of the mean yield: the size of a unit's error in a year.
    """

    lstm_units: int = 8
    place_units: int = 4
    head_units: int = 8
    noise: float = 0.3
    l2: float = 3.0
    gain_l2: float = 16.0
    scale: float = 0.09

    def initial(self, seed: int, variables: int, features: int) -> Arrays:
        """Weights of one member before training, without the member axis.

        Args:
            seed: of the member.
            variables: number of variables of a step of weather.
            features: number of features of soil and place.
        """
        units = self.lstm_units
        shapes = {
            "lstm/kernel": (variables, 4 * units), "lstm/recurrent_kernel": (units, 4 * units),
            "place/kernel": (features, self.place_units),
            "join_weather/kernel": (units, self.head_units),
            "join_place/kernel": (self.place_units, self.head_units),
        }  # fmt: skip
        weights = {name: _glorot(seed, name, shape) for name, shape in shapes.items()}
        forget = np.zeros(4 * units, np.float32)
        forget[units : 2 * units] = 1.0  # Jozefowicz et al. 2015, as Keras's default
        biases = {"lstm/bias": forget, "gain": np.ones(1, np.float32)}
        # An untrained member is the water response alone, so that training can only add to it.
        biases["out/kernel"] = np.zeros((self.head_units, 1), np.float32)
        for name, width in (("place", self.place_units), ("join_place", self.head_units)):
            biases[f"{name}/bias"] = np.zeros(width, np.float32)
        return weights | biases

    def forward(
        self, weights: Mapping[str, Tensor], weather: Tensor, place: Tensor, linear: Tensor,
        noise: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """What the weather adds to the expected yield, (member, row), of the mean yield.

        Args:
            weights: (member, ...) each.
            weather: (row, step, variable) departures; 0 is normal.
            place: (row, feature) of soil and place, scaled.
            linear: (member, row) what the crop-water response says, of the mean yield.
            noise: (member, row, step, variable), added to the weather; None when predicting.
        """
        weather = weather[None] if noise is None else weather[None] + noise
        members = int(weights["gain"].shape[0])
        weather = ops.broadcast_to(weather, (members, *weather.shape[1:]))
        units = self.lstm_units
        open_gates = np.repeat(np.array([1, 1, 0, 1], np.float32), units)  # no bias of the candidate
        steps = ops.unstack(weather, axis=2)
        bias = weights["lstm/bias"] * open_gates
        state = lstm(weights["lstm/kernel"], weights["lstm/recurrent_kernel"], bias, steps)[-1]
        place = ops.broadcast_to(place[None], (members, *place.shape))
        normal = dense(weights, "join_place", ops.relu(dense(weights, "place", place)))
        moved = ops.matmul(state, weights["join_weather/kernel"])
        joined = ops.relu(normal + moved) - ops.relu(normal)
        bent = ops.matmul(joined, weights["out/kernel"])[..., 0]
        return weights["gain"] * linear + self.scale * bent

    def penalty(self, weights: Mapping[str, Tensor]) -> Tensor:
        """L2 of the kernels and of the gain, (member,); against the sum of squared errors over rows."""
        kernels = [value for name, value in weights.items() if name.endswith("kernel")]
        squares = sum(ops.sum(ops.square(value), axis=(1, 2)) for value in kernels)
        return self.l2 * squares + self.gain_l2 * ops.square(weights["gain"][:, 0] - 1.0)


def _glorot(seed: int, name: str, shape: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Uniform initial values (Glorot & Bengio 2010, equation 16), the same on every backend."""
    limit = np.sqrt(6.0 / sum(shape))
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return rng.uniform(-limit, limit, shape).astype(np.float32)
