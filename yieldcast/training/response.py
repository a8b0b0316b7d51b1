"""Training of the response network: all members at once, each with one harvest year left out.

The loss is that of generalised least squares with the errors of `models.water_response`: shared by a state
and year, by a unit and year, and of single municipalities. Differences within a state and year therefore
teach as well as those between years, each with its own weight. Training stops when the mean loss of the
members on their left-out years has not fallen for some epochs; the best epoch is the same for all members, so
that a left-out year stays a fair test of the members that left it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from yieldcast.config import TrainingSettings
from yieldcast.errors import MissingDataError
from yieldcast.models.response_network import ResponseNetwork
from yieldcast.models.stacked import Arrays
from yieldcast.models.water_response import STATE_YEAR_SD, UNIT_YEAR_SD
from yieldcast.training import rng
from yieldcast.training.devices import compile_alone, value_and_gradient
from yieldcast.training.epoch import adam

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tree = dict[str, Any]

TRAINING = TrainingSettings(learning_rate=1e-2, max_epochs=80, patience=20)
ROWS, GROUPS = 512, 32  # rows and state-years are filled up to multiples of these: fewer programs to compile
LEAST_YEARS = 3  # of training: two for a member and the one that it leaves out


@dataclass(frozen=True)
class ResponseRows:
    """Unit-years to train on; yields are in units of the crop's mean yield.

    Args:
        weather: (row, step, variable) departures, see `features.dekads`.
        place: (row, feature) of soil and place, mean 0 and standard deviation 1.
        target: (row,) mean over the unit's municipalities of yield less expected yield.
        variance: (row,) of the error of `target` that no other row shares.
        year: (row,) harvest year.
        group: (row,) number of the state and year (and crop), 0 and up.
        linear: harvest year -> (row,) crop-water response fitted without this year.
    """

    weather: Floats
    place: Floats
    target: Floats
    variance: Floats
    year: Ints
    group: Ints
    linear: Mapping[int, Floats]

    @property
    def years(self) -> list[int]:
        """Harvest years of the rows."""
        return [int(year) for year in np.unique(self.year)]


def unit_variance(count: Floats, municipality_sd: float) -> Floats:
    """Variance of the error of a unit's mean in a year, see `models.water_response`.

    Args:
        count: (row,) municipalities in the mean.
        municipality_sd: error of one municipality and year, of the mean yield.
    """
    return np.asarray(UNIT_YEAR_SD**2 + municipality_sd**2 / np.maximum(count, 1.0))


@dataclass(frozen=True)
class ResponseMembers:
    """Trained members.

    Args:
        network: their shape.
        weights: (member, ...) by name.
        left_out: (member,) harvest year that each was not trained on.
        epochs: how many they were trained for.
    """

    network: ResponseNetwork
    weights: Arrays
    left_out: Ints
    epochs: int

    def those_without(self, year: int) -> ResponseMembers:
        """The members that left a year out."""
        return self.take(np.flatnonzero(self.left_out == year))

    def take(self, members: NDArray[Any]) -> ResponseMembers:
        """Some of the members."""
        weights = {name: value[members] for name, value in self.weights.items()}
        return ResponseMembers(self.network, weights, self.left_out[members], self.epochs)

    def predict(self, weather: Floats, place: Floats, linear: Floats) -> Floats:
        """(member, row) what the weather adds, of the mean yield; arguments as in `ResponseRows`, `linear`
        (row,) or (member, row)."""
        shape = (len(self.left_out), len(weather))
        arrays = (weather, place, np.broadcast_to(linear, shape))
        found = self.network.forward(self.weights, *(np.asarray(a, np.float32) for a in arrays))
        return np.asarray(ops.convert_to_numpy(found), np.float64)


def train_response(
    rows: ResponseRows,
    seeds: Sequence[int],
    network: ResponseNetwork | None = None,
    training: TrainingSettings = TRAINING,
) -> ResponseMembers:
    """Train a member per seed; the same rows and seeds give the same weights.

    Args:
        rows: of three harvest years or more.
        seeds: of the members; the first leaves out the newest year, the next the year before, and round
            again.
        network: its shape; the default one if None.
        training: rate, epochs and patience.

    Raises:
        MissingDataError: fewer than three harvest years.
    """
    network, years = network or ResponseNetwork(), rows.years
    if len(years) < LEAST_YEARS:
        raise MissingDataError(
            f"the response network needs {LEAST_YEARS} harvest years with yields and whole seasons of "
            f"weather, received {len(years)}",
            "Import earlier weather, or leave network.form out of the settings.",
        )
    left_out = np.array([years[-1 - k % len(years)] for k in range(len(seeds))], dtype=np.int64)
    data, fit, held = _arrays(rows, left_out)
    shape = rows.weather.shape[2], rows.place.shape[1]
    members = [network.initial(seed, *shape) for seed in seeds]
    weights = {name: np.stack([member[name] for member in members]) for name in members[0]}
    zeros = {name: np.zeros_like(value) for name, value in weights.items()}
    state: Tree = {"weights": weights, "first": zeros, "second": zeros}
    pace = TrainingSettings.model_validate(training.model_dump(include={"learning_rate", "beta_1", "beta_2"}))
    program, who = _compiled(network, pace), np.asarray(seeds, np.int32)  # whatever the number of epochs
    best, kept, wait, epoch = np.inf, weights, 0, 0
    while epoch < training.max_epochs and wait < training.patience:
        before = state["weights"]
        state, loss = program(state, np.int32(epoch), who, data, fit, held)
        mean = float(np.mean(ops.convert_to_numpy(loss)))
        wait, epoch = wait + 1, epoch + 1
        if mean < best:
            best, kept, wait = mean, before, 0
    found = {name: np.asarray(ops.convert_to_numpy(value)) for name, value in kept.items()}
    return ResponseMembers(network, found, left_out, max(epoch - wait - 1, 0))


def _arrays(rows: ResponseRows, left_out: Ints) -> tuple[Tree, Any, Any]:
    """What an epoch reads, float32 and filled up with rows that do not count; (member, row) weights of the
    rows that a member fits and of those that it left out."""
    count = len(rows.target)
    more = -count % ROWS
    weight = np.pad(1.0 / rows.variance, (0, more))
    filled = {
        name: np.pad(values, [(0, more)] + [(0, 0)] * (values.ndim - 1)).astype(np.float32)
        for name, values in (("weather", rows.weather), ("place", rows.place), ("target", rows.target))
    }
    linear = np.stack([np.pad(rows.linear[int(year)], (0, more)) for year in left_out])
    groups = int(rows.group.max()) + 1
    member_of = np.zeros((count + more, groups + -groups % GROUPS), np.float32)
    member_of[np.arange(count), rows.group] = 1.0
    data: Tree = {**filled, "linear": linear.astype(np.float32), "group": member_of}
    held = np.pad(rows.year[None] == left_out[:, None], ((0, 0), (0, more)))
    fit, out = (np.where(chosen, weight, 0.0).astype(np.float32) for chosen in (~held, held))
    return data, fit, out


def shared_error_loss(error: Any, weight: Any, group: Any) -> Any:
    """(member,) mean over rows of the squared error in units of its spread, errors of a state and year
    shared.

    The inverse of a diagonal plus a common variance per group is that of Sherman & Morrison (1950).

    Args:
        error: (member, row) of the mean yield.
        weight: (member, row) inverse variances of errors that are not shared; 0 leaves a row out.
        group: (row, group) 1 where a row belongs to a group.
    """
    shared = STATE_YEAR_SD**2
    lost = shared / (1.0 + shared * ops.matmul(weight, group))
    square = ops.sum(weight * ops.square(error), axis=1)
    square = square - ops.sum(lost * ops.square(ops.matmul(weight * error, group)), axis=1)
    return square / ops.maximum(ops.sum(ops.cast(weight > 0, "float32"), axis=1), 1.0)


@lru_cache(maxsize=8)
def _compiled(network: ResponseNetwork, training: TrainingSettings) -> Callable[..., Any]:
    """One epoch of all members, over all rows at once: the new state, and left-out losses before it."""

    def epoch(state: Tree, number: Any, seeds: Any, data: Tree, fit: Any, held: Any) -> tuple[Tree, Any]:
        inputs = data["weather"], data["place"], data["linear"]
        when = ops.broadcast_to(number, seeds.shape)
        noise = network.noise * rng.normal(seeds, when, np.int32(1), inputs[0].shape)

        def loss(weights: Tree) -> tuple[Any, Any]:
            error = data["target"][None] - network.forward(weights, *inputs, noise)
            penalty = network.penalty(weights) / ops.sum(ops.cast(fit > 0, "float32"), axis=1)
            return ops.sum(shared_error_loss(error, fit, data["group"]) + penalty), ()

        _, gradient = value_and_gradient(loss, state["weights"])
        done = ops.cast(number + 1, "float32")
        moved, first, second = adam(
            training, state["weights"], gradient, state["first"], state["second"], done
        )
        left = data["target"][None] - network.forward(state["weights"], *inputs)
        return {"weights": moved, "first": first, "second": second}, shared_error_loss(
            left, held, data["group"]
        )

    return compile_alone(epoch)
