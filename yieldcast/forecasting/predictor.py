"""Predictions of all members of a run for all scenarios.

Members are read once from their Keras files. Those with the dual-path network run as one compiled program on
all cores, in chunks of one size, so that memory is limited and the program is compiled once; those with a
network of the user (`model.build`) run one after another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from yieldcast.config import NetworkSettings
from yieldcast.errors import RunError
from yieldcast.models.dual_path import predict_arrays
from yieldcast.models.scaling import scaling_of_member
from yieldcast.models.stacked import Arrays, Network, scaling_of, weights_of
from yieldcast.training.devices import compile_alone, cores
from yieldcast.training.run_directory import Run

CHUNK = 128  # rows at once, the fastest of 64 to 512 on two cores (experiments/benchmarks/forecast.py)
Progress = Callable[[int, int], None]


class Ensemble(ABC):
    """The members of a run.

    Attributes:
        seeds: of the members, in order.
    """

    seeds: tuple[int, ...]

    @staticmethod
    def load(run: Run, progress: Progress = lambda done, total: None) -> Ensemble:
        """Read every finished member of a run.

        Args:
            run: a trained run.
            progress: called with members read and members in all.

        Raises:
            RunError: no finished member, or one that cannot be read.
        """
        seeds = run.seeds()
        if not seeds:
            raise RunError(f"{run.path} has no finished member", "Start the same yieldcast train again.")
        if run.settings.model.build:
            models = [run.load_member(seed) for seed in _counted(seeds, progress)]
            return KerasEnsemble(tuple(seeds), tuple(models))
        weights, scalings = list[Arrays](), list[Arrays]()
        for seed in _counted(seeds, progress):
            model = run.load_member(seed)
            weights.append(weights_of(model))
            scalings.append(scaling_of(scaling_of_member(model)))
        network = Network(run.settings.network, run.base_column)
        return StackedEnsemble(network, tuple(seeds), tuple(weights), tuple(scalings))

    @abstractmethod
    def take(self, chosen: Sequence[int]) -> Ensemble:
        """Some members, by position."""

    @abstractmethod
    def predict(
        self,
        weather: npt.NDArray[np.float32],
        static: npt.NDArray[np.float32],
        progress: Progress = lambda done, total: None,
    ) -> npt.NDArray[np.float32]:
        """Yields in kg/ha, (member, scenario, row), not below 0.

        Args:
            weather: (scenario, row, step, variable) as the network takes it, finite.
            static: (row, feature); NaN is a missing value.
            progress: called with members done and members in all.

        Raises:
            RunError: a member's prediction is not finite.
        """


@dataclass(frozen=True)
class KerasEnsemble(Ensemble):
    """Members as Keras models, with any network.

    Args:
        seeds: of the members, in order.
        models: one per member, physical units to kg/ha.
    """

    seeds: tuple[int, ...]
    models: tuple[Any, ...]

    def take(self, chosen: Sequence[int]) -> KerasEnsemble:
        """Some members, by position."""
        return KerasEnsemble(tuple(self.seeds[i] for i in chosen), tuple(self.models[i] for i in chosen))

    def predict(
        self,
        weather: npt.NDArray[np.float32],
        static: npt.NDArray[np.float32],
        progress: Progress = lambda done, total: None,
    ) -> npt.NDArray[np.float32]:
        """See `Ensemble.predict`."""
        result = np.empty((len(self.seeds), *weather.shape[:2]), dtype=np.float32)
        for done, model in enumerate(self.models, 1):
            for values, season in zip(result[done - 1], weather, strict=True):
                values[:] = predict_arrays(model, season, static)
            bad = int((~np.isfinite(result[done - 1])).sum())
            if bad:
                raise RunError(
                    f"member {self.seeds[done - 1]} predicts {bad} yields that are not finite",
                    "Check the network of model.build for a division, logarithm or root.",
                )
            progress(done, len(self.seeds))
        return np.maximum(result, 0.0)


def _counted(seeds: Sequence[int], progress: Progress) -> Iterator[int]:
    for done, seed in enumerate(seeds, 1):
        yield seed
        progress(done, len(seeds))


@dataclass(frozen=True)
class StackedEnsemble(Ensemble):
    """Weights and scalings of members with the dual-path network, in host memory.

    Args:
        network: shape of the network.
        seeds: of the members, in order.
        weights, scalings: one per member.
    """

    network: Network
    seeds: tuple[int, ...]
    weights: tuple[Arrays, ...]
    scalings: tuple[Arrays, ...]

    def take(self, chosen: Sequence[int]) -> StackedEnsemble:
        """Some members, by position."""
        return StackedEnsemble(
            self.network, tuple(self.seeds[i] for i in chosen),
            tuple(self.weights[i] for i in chosen), tuple(self.scalings[i] for i in chosen),
        )  # fmt: skip

    def predict(
        self,
        weather: npt.NDArray[np.float32],
        static: npt.NDArray[np.float32],
        progress: Progress = lambda done, total: None,
    ) -> npt.NDArray[np.float32]:
        """See `Ensemble.predict`."""
        scenarios, rows = weather.shape[:2]
        result = np.empty((len(self.seeds), scenarios, rows), dtype=np.float32)
        if not rows:
            return result
        chunk = min(CHUNK, rows)
        program = _program(self.network.settings, self.network.base, (scenarios, chunk))
        # Chunks are cut and padded once for all members.
        starts = range(0, rows, chunk)
        parts = [
            (_padded(weather[:, s : s + chunk], chunk, 1), _padded(static[s : s + chunk], chunk, 0))
            for s in starts
        ]

        def member(k: int) -> None:
            one, scaling = (
                {n: v[None] for n, v in tree[k].items()} for tree in (self.weights, self.scalings)
            )
            for start, (seasons, places) in zip(starts, parts, strict=True):
                values = np.asarray(program(one, scaling, seasons, places))
                result[k, :, start : start + chunk] = values[:, : min(chunk, rows - start)]

        member(0)  # compiles; the others then find it compiled
        progress(1, len(self.seeds))
        with ThreadPoolExecutor(cores()) as pool:
            for done, _ in enumerate(pool.map(member, range(1, len(self.seeds))), 2):
                progress(done, len(self.seeds))
        return np.maximum(result, 0.0)


def _padded(values: npt.NDArray[np.float32], size: int, axis: int) -> npt.NDArray[np.float32]:
    """`values` filled up to `size` along an axis by repeating the last."""
    lacking = size - values.shape[axis]
    if not lacking:
        return np.ascontiguousarray(values)
    last = np.take(values, [-1], axis=axis)
    return np.concatenate([values, np.repeat(last, lacking, axis=axis)], axis=axis)


@lru_cache(maxsize=64)
def _program(settings: NetworkSettings, base: int | None, shape: tuple[int, int]) -> Callable[..., Any]:
    """The compiled forecast of one member, (scenario, row) kg/ha; one program for each such shape."""
    network = Network(settings, base)

    def forecast(weights: Any, scaling: Any, weather: Any, static: Any) -> Any:
        (scenarios, rows), (steps, variables) = shape, weather.shape[2:]
        flat = ops.reshape(weather, (1, scenarios * rows, steps, variables))
        dynamic = network.dynamic_path(weights, scaling, flat)
        places = network.static_path(weights, scaling, static[None])
        places = ops.tile(places, (1, scenarios, 1))  # the same places in every scenario
        scaled = ops.reshape(network.head(weights, dynamic, places), (scenarios, rows))
        departure = scaled * scaling["target_sd"] + scaling["target_mean"]
        return departure if base is None else departure + static[:, base]

    return compile_alone(forecast)
