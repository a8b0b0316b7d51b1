"""One member in host memory: built from its seed, saved while unfinished, resumed, saved when finished."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from yieldcast.features.samples import SampleSet
from yieldcast.features.splits import split_validation
from yieldcast.models.custom import CustomNetwork
from yieldcast.models.dual_path import build_network
from yieldcast.models.scaling import Scaling
from yieldcast.models.stacked import Arrays, scaling_of, set_weights, weights_of
from yieldcast.training.epoch import Tree, fresh_state
from yieldcast.training.fine_tuning import Start
from yieldcast.training.run_directory import Run

# Keras has one random seed for the whole process, and members of a custom network share their variables.
_KERAS = threading.Lock()
TRIED = 256  # rows that a custom network is tried on before training


class Member:
    """One seed of a run, from its first epoch or from the epoch where training was stopped.

    Args:
        samples: training rows.
        run: the run it belongs to.
        seed: 1 to 999.
        custom: the network of a build function; None for the dual-path network.
        start: weights and scaling of the dual-path network to start from; None for random weights and the
            scaling of the rows.
    """

    def __init__(
        self, samples: SampleSet, run: Run, seed: int, custom: CustomNetwork | None = None,
        start: Start | None = None,
    ) -> None:  # fmt: skip
        self.seed, self._custom = seed, custom
        settings = run.settings
        self.fit, self.held = split_validation(samples, settings.training, seed)
        with _KERAS:  # also to limit memory: the scaling is computed in float64
            rows = samples.take(self.fit)
            if start is None:
                scaling = Scaling.fit(rows, settings.training.scale_target, settings.network)
            else:
                scaling = start.scaling_for(rows, settings)
            keras.utils.set_random_seed(seed)
            others = Arrays()
            if custom is None:
                self.model = build_network(
                    settings.network, scaling, run.identity.steps, run.identity.static_names
                )
                weights = weights_of(self.model)
                if start is not None:
                    weights, others = start.trained, start.frozen
            else:
                tried = samples.take(self.fit[:TRIED])
                self.model, weights, others = custom.new_member(scaling, tried)
        self.constants: Tree = {"seed": np.int32(seed), "scaling": scaling_of(scaling)}
        if settings.training.validation == "each_year":  # years differ in rows; arrays of a block must not
            sizes = np.unique(samples.harvest_year, return_counts=True)[1]
            self.constants |= _padded("fit", self.fit, len(samples) - int(sizes.min()))
            self.constants |= _padded("held", self.held, int(sizes.max()))
        else:
            self.constants |= {"fit": self.fit.astype(np.int32), "held": self.held.astype(np.int32)}
        self.state: Tree = fresh_state(weights, others)
        self.losses: list[tuple[float, float]] = []
        self.seconds = 0.0
        self._resume(run)

    def _resume(self, run: Run) -> None:
        kept = run.unfinished(self.seed)
        try:
            if kept is None:
                return
            state = _nested(self.state, kept)
            losses = [(float(a), float(b)) for a, b in kept["losses"]]
            if len(losses) == int(state["epoch"]):
                self.state, self.losses, self.seconds = state, losses, float(kept["seconds"])
        except (KeyError, ValueError):  # from another network: train from the first epoch
            pass

    @property
    def best_loss(self) -> float:
        """Lowest validation loss so far."""
        return min((loss for _, loss in self.losses), default=float("inf"))

    def add_epoch(self, loss: float, val_loss: float, seconds: float) -> None:
        """Add an epoch to the history.

        Args:
            loss, val_loss: of the epoch.
            seconds: the member's share of the block's time.
        """
        self.losses.append((loss, val_loss))
        self.seconds += seconds

    @property
    def fault(self) -> str:
        """What is wrong when the validation loss is not finite; else empty."""
        if not self.losses or np.isfinite(self.losses[-1][1]):
            return ""
        epoch, loss = len(self.losses), self.losses[-1][1]
        return f"member {self.seed}: the validation loss became {loss} in epoch {epoch}"

    def keep(self, run: Run) -> None:
        """Save the unfinished state, so that a restart continues from this epoch."""
        flat = {**_flatten(self.state), "losses": np.array(self.losses), "seconds": np.float64(self.seconds)}
        run.keep_unfinished(self.seed, flat)

    def save(self, run: Run, made: Mapping[str, Any]) -> None:
        """Save the finished member.

        Args:
            run: the run.
            made: devices, block and versions it was trained with, for its record.
        """
        validation = [loss for _, loss in self.losses]
        best = int(np.argmin(validation))
        record = {
            "seed": self.seed,
            "epochs": len(validation),
            "best_epoch": best + 1,
            "best_validation_loss": validation[best],
            "seconds": round(self.seconds, 2),
            "fit_rows": len(self.fit),
            "validation_rows": len(self.held),
            **made,
        }
        lines = [f"{epoch},{a:.8g},{b:.8g}" for epoch, (a, b) in enumerate(self.losses, 1)]
        history = "\n".join(["epoch,loss,val_loss", *lines, ""])
        weights = self.state["best" if run.settings.training.restore_best else "weights"]
        with _KERAS:
            if self._custom is None:
                set_weights(self.model, weights)
            else:
                self._custom.set_weights(weights)
            run.save_member(self.seed, self.model, record, history)


def _padded(name: str, rows: npt.NDArray[np.intp], size: int) -> Tree:
    """Rows filled up with zeros to a size, and the number of rows that count."""
    filled = np.zeros(size, dtype=np.int32)
    filled[: len(rows)] = rows
    return {name: filled, f"{name}_rows": np.int32(len(rows))}


def _flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """A nested dictionary as one level, names joined by "|"."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flatten(value, f"{prefix}{name}|") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _nested(tree: Tree, flat: Mapping[str, Any], prefix: str = "") -> Tree:
    """`flat` nested as `tree` is.

    Raises:
        KeyError, ValueError: it has other names or shapes.
    """
    nested: Tree = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            nested[name] = _nested(value, flat, f"{prefix}{name}|")
        else:
            nested[name] = np.asarray(flat[prefix + name], np.asarray(value).dtype)
            if nested[name].shape != np.shape(value):
                raise ValueError(f"{prefix}{name} has another shape")
    return nested


def stack(trees: list[Tree]) -> Tree:
    """Trees of members as one tree with a leading member axis."""
    return {
        name: stack([tree[name] for tree in trees])
        if isinstance(value, dict)
        else np.stack([np.asarray(tree[name]) for tree in trees])
        for name, value in trees[0].items()
    }


def row(tree: Tree, position: int) -> Tree:
    """The tree of one member from a stacked one."""
    return {
        name: row(value, position) if isinstance(value, dict) else np.array(value[position])
        for name, value in tree.items()
    }
