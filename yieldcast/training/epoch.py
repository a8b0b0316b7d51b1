"""One epoch of a block of members as a pure function: shuffle, fit, validate, keep the best, stop.

Weights, Adam's moments, best weights and counters are arguments and return values; nothing else is kept.
Losses are summed over members and never averaged across them, so a member trains in a block as alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from keras import ops

from yieldcast.config import TrainingSettings
from yieldcast.features import augmentation
from yieldcast.models.stacked import Arrays
from yieldcast.training import rng
from yieldcast.training.devices import value_and_gradient

Tensor = Any
Tree = dict[str, Any]
Batch = tuple[Tensor, Tensor, Tensor]  # weather, static inputs, target of (member, row)
EPSILON = 1e-7  # keras.optimizers.Adam's default
VALIDATION_ROWS = 1024  # validated at once: limits memory, whatever the share of validation rows


class TrainableNetwork(Protocol):
    """A network as an epoch needs it; all arrays have a leading member axis."""

    @property
    def base(self) -> int | None:
        """Column of the static inputs with the baseline of a departure; None where yields are predicted."""

    @property
    def noise(self) -> float:
        """Standard deviation of the noise that an epoch adds to scaled weather; 0 for none."""

    def forward(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], weather: Tensor, static: Tensor
    ) -> Tensor:
        """The scaled prediction, (member, row), of inputs in physical units, as when predicting."""

    def training_pass(
        self, weights: Mapping[str, Tensor], scaling: Mapping[str, Tensor], weather: Tensor,
        static: Tensor, noise: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:  # fmt: skip
        """The scaled prediction, (member, row), in training; weights that change without a gradient (moving
        averages, states of random generators); and the penalty, (member,)."""

    def penalty(self, weights: Mapping[str, Tensor]) -> Tensor:
        """What regularisers of weights add to a loss, (member,)."""


def fresh_state(weights: Arrays, others: Arrays | None = None) -> Tree:
    """The state of a member before its first epoch, without the member axis.

    Args:
        weights: initial weights by name.
        others: initial values of variables that are not trained by gradient.
    """
    zeros = {name: np.zeros_like(value) for name, value in weights.items()}
    whole = {**weights, **(others or {})}
    return {
        "weights": whole,
        "first": zeros,
        "second": zeros,
        "best": whole,
        "best_loss": np.float32(np.inf),
        "wait": np.int32(0),
        "epoch": np.int32(0),
        "running": np.int32(1),
        "loss": np.float32(np.nan),
        "val_loss": np.float32(np.nan),
    }


@dataclass(frozen=True)
class EpochProgram:
    """The epoch of one network with one set of training settings; call it with arrays.

    Args:
        network: the network.
        training: settings of the training.
    """

    network: TrainableNetwork
    training: TrainingSettings

    def __call__(self, state: Tree, members: Tree, data: Tree) -> Tree:
        """The state after the epoch; its "loss" and "val_loss", (member,), are this epoch's.

        Args:
            state: `fresh_state` with a leading member axis, or the state that this returned before.
            members: {"seed": (member,) int32, "scaling": see `scaling_of`, "fit": (member, row) int32 rows
                to fit, "held": (member, row) int32 rows to validate on}; where members have different
                numbers of rows also "fit_rows" and "held_rows", (member,) int32: how many of them count.
            data: {"weather": (sample, step, variable), "static": (sample, feature), "target": (sample,)},
                physical units, shared by all members; or, instead of "weather", the arrays of
                `augmentation.SeasonMixer`, from which seasons are mixed again for every batch.
        """
        weights, first, second, loss = self._fit(state, members, data)
        val_loss = self._validate(weights, members, data)
        better = val_loss < state["best_loss"]
        wait = ops.where(better, 0, state["wait"] + 1)
        epoch = state["epoch"] + 1
        stops = ops.logical_or(wait >= self.training.patience, epoch >= self.training.max_epochs)
        after = {
            "weights": weights,
            "first": first,
            "second": second,
            "best": _where(better, weights, state["best"]),
            "best_loss": ops.where(better, val_loss, state["best_loss"]),
            "wait": wait,
            "epoch": epoch,
            "running": ops.cast(ops.logical_not(stops), "int32"),
            "loss": loss,
            "val_loss": val_loss,
        }
        # A member that has stopped stays as it is.
        kept: Tree = _where(state["running"] > 0, after, state)
        return kept

    def _fit(self, state: Tree, members: Tree, data: Tree) -> tuple[Tree, Tree, Tree, Tensor]:
        count, rows = (int(n) for n in members["fit"].shape)
        batch, used = min(self.training.batch_size, rows), members.get("fit_rows")
        order = rng.shuffles(members["seed"], state["epoch"], rows, used)
        shuffled = ops.take_along_axis(members["fit"], order, axis=1)
        batches, counted = _batches(shuffled, batch, used)
        number = batches.shape[1] if used is None else -(-used // batch)

        def step(k: Tensor, carried: tuple[Tree, Tree, Tree, Tensor]) -> tuple[Tree, Tree, Tree, Tensor]:
            weights, first, second, total = carried
            chosen, share = ops.take(batches, k, axis=1), ops.take(counted, k, axis=1)
            weather, static, target = self._inputs(members["seed"], state["epoch"], k, data, chosen)
            noise = self._noise(members["seed"], state["epoch"], k, weather.shape[1:])
            trained = {name: weights[name] for name in first}
            (loss, others), gradient = value_and_gradient(
                lambda w: self._loss({**weights, **w}, members, (weather, static, target), share, noise),
                trained,
            )
            done = ops.cast(state["epoch"] * number + k + 1, "float32")
            moved, *moments = adam(self.training, trained, gradient, first, second, done)
            after = ({**weights, **moved, **others}, *moments)
            if used is not None:  # a member without further rows does not change
                after = tuple(
                    _where(k < number, a, b) for a, b in zip(after, (weights, first, second), strict=True)
                )
            return *after, total + loss * ops.sum(share, axis=-1)

        begun = (state["weights"], state["first"], state["second"], ops.zeros((count,)))
        weights, first, second, total = ops.fori_loop(0, batches.shape[1], step, begun)
        return weights, first, second, total / (rows if used is None else ops.cast(used, "float32"))

    def _inputs(
        self, seed: Tensor, epoch: Tensor, k: Tensor, data: Tree, rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weather, static inputs and target of rows (member, row); mixed seasons where `data` has them."""
        target = ops.take(data["target"], rows, axis=0)
        if "weather" in data:
            return ops.take(data["weather"], rows, axis=0), ops.take(data["static"], rows, axis=0), target
        drawn = rng.uniform(seed, epoch, k + rng.SEASONS, (int(rows.shape[1]), augmentation.DRAWS))
        weather, static = augmentation.mix_seasons(data, rows, drawn, self.training.season_cuts)
        return weather, static, target

    def _noise(self, seed: Tensor, epoch: Tensor, k: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        scale = self.network.noise
        return scale * rng.normal(seed, epoch, k + 1 + rng.SHUFFLE, shape) if scale else None

    def _loss(
        self, weights: Tree, members: Tree, rows: Batch, share: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tree]]:
        """Sum of the losses over members; (each member's loss, weights that change without a gradient).

        The loss is the mean over the rows that count, plus the penalty.
        """
        weather, static, _ = rows
        scaled, others, penalty = self.network.training_pass(
            weights, members["scaling"], weather, static, noise
        )
        counted = ops.maximum(ops.sum(share, axis=-1), 1.0)
        loss = ops.sum(self._errors(scaled, members, rows) * share, axis=1) / counted + penalty
        return ops.sum(loss), (loss, others)

    def _errors(self, prediction: Tensor, members: Tree, rows: Batch) -> Tensor:
        """The loss of every scaled prediction, (member, row); as `keras.losses` with the same names."""
        scaling, (_, static, target) = members["scaling"], rows
        if self.network.base is not None:
            target = target - static[..., self.network.base]
        scaled = (target - scaling["target_mean"][:, None]) / scaling["target_sd"][:, None]
        error = prediction - scaled
        if self.training.loss == "mse":
            return ops.square(error)
        size = ops.absolute(error)
        if self.training.loss == "mae":
            return size
        return ops.where(size <= 1, 0.5 * ops.square(error), size - 0.5)  # Huber, delta 1

    def _validate(self, weights: Tree, members: Tree, data: Tree) -> Tensor:
        count, size = (int(n) for n in members["held"].shape)
        used = members.get("held_rows")
        batches, counted = _batches(members["held"], min(VALIDATION_ROWS, size), used)

        def step(k: Tensor, total: Tensor) -> Tensor:
            chosen, share = ops.take(batches, k, axis=1), ops.take(counted, k, axis=1)
            # Mixed in the same way at every epoch, so that losses of epochs can be compared.
            rows = self._inputs(members["seed"], members["seed"] * 0 - 1, k, data, chosen)
            scaled = self.network.forward(weights, members["scaling"], *rows[:2])
            return total + ops.sum(self._errors(scaled, members, rows) * share, axis=1)

        total = ops.fori_loop(0, batches.shape[1], step, ops.zeros((count,)))
        return total / (size if used is None else ops.cast(used, "float32")) + self.network.penalty(weights)


def adam(
    training: TrainingSettings, weights: Tree, gradient: Tree, first: Tree, second: Tree, done: Tensor
) -> tuple[Tree, Tree, Tree]:
    """One step of Adam (Kingma & Ba 2015, Algorithm 1 in the order of Section 2's last paragraph, as in
    Keras).

    Args:
        training: the rate and the decays of the moments.
        weights, gradient, first, second: (member, ...) by name; the moments before this step.
        done: steps with this one, a scalar or (member,).

    Returns:
        Weights and moments after the step.
    """
    one, two = training.beta_1, training.beta_2
    rate = training.learning_rate * ops.sqrt(1 - two**done) / (1 - one**done)
    first = {n: one * first[n] + (1 - one) * g for n, g in gradient.items()}
    second = {n: two * second[n] + (1 - two) * ops.square(g) for n, g in gradient.items()}
    moved = {n: w - _like(rate, w) * first[n] / (ops.sqrt(second[n]) + EPSILON) for n, w in weights.items()}
    return moved, first, second


def _batches(rows: Tensor, size: int, used: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Rows in batches, (member, batch, row), and shares, (member or 1, batch, row): 1 where a row counts.

    The last batches are filled up from the first rows again, which do not count: a network that looks at a
    whole batch (batch normalisation) must see rows of the member only.
    """
    count = int(rows.shape[1])
    number = -(-count // size)
    position = np.arange(number * size, dtype=np.int32)[None]
    if used is None:
        filled = ops.take(rows, position[0] % count, axis=1)
        counts = ops.convert_to_tensor((position < count).astype(np.float32))
    else:
        filled = ops.take_along_axis(rows, position % used[:, None], axis=1)
        counts = ops.cast(position < used[:, None], "float32")
    return ops.reshape(filled, (-1, number, size)), ops.reshape(counts, (-1, number, size))


def _where(chosen: Tensor, new: Any, old: Any) -> Any:
    """Member by member: `new` where chosen, else `old`, through nested dictionaries."""
    if isinstance(new, dict):
        return {name: _where(chosen, new[name], old[name]) for name in new}
    return ops.where(_like(chosen, new), new, old)


def _like(member: Tensor, array: Tensor) -> Tensor:
    """(member,) with as many further axes of one as `array` has."""
    return ops.reshape(member, (-1, *(1,) * (len(array.shape) - 1)))
