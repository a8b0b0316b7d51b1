"""Training: all seeds of a run as one program, spread over lanes and devices."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from yieldcast.config import NetworkSettings, TrainingSettings
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.features.samples import SampleSet
from yieldcast.training.run_directory import Run, versions

if TYPE_CHECKING:
    from yieldcast.features.augmentation import SeasonMixer
    from yieldcast.training.devices import Devices
    from yieldcast.training.member import Member


@dataclass(frozen=True)
class Epoch:
    """What a progress display is told of a member after each epoch, and once it is saved."""

    members: int
    seed: int
    epoch: int
    best_loss: float
    finished: bool


def check_trainable(samples: SampleSet) -> None:
    """Refuse rows that cannot teach anything.

    Raises:
        MissingDataError: no rows, or one municipality only.
        SchemaError: all yields equal, or not finite.
    """
    if len(samples) == 0:
        raise MissingDataError("the training set is empty", "Ask for years with both yields and weather.")
    places = np.unique(samples.municipality)
    if len(places) == 1:
        raise MissingDataError(
            f"all {len(samples)} training rows are of one municipality ({places[0]}); expected several",
            "The network learns from differences between places: import more municipalities.",
        )
    if not np.isfinite(samples.target_kg_ha).all():
        raise SchemaError("some training rows have no yield", "Build the samples from positive yields only.")
    if np.ptp(samples.target_kg_ha) == 0:
        raise SchemaError(
            f"all {len(samples)} training yields equal {samples.target_kg_ha[0]:g} kg/ha",
            "A constant target cannot be learnt: check the yields table.",
        )


def train(
    samples: SampleSet,
    run: Run,
    seeds: Sequence[int],
    devices: Devices,
    block: int | None = None,
    progress: Callable[[Epoch], None] = lambda epoch: None,
    cuts: SeasonMixer | None = None,
) -> None:
    """Train a member for every seed that the run does not hold yet, all of them side by side.

    A member's initial weights (of one backend), rows, shuffles and noise depend on its seed and epoch
    alone. Members under way are kept every two minutes and when it is interrupted; called again, it goes
    on from there.

    Args:
        samples: training rows, physical units.
        run: where members go; its settings are used.
        seeds: 1 to 999, one member each; repeated ones count once. With several workers, each trains
            every n-th.
        devices: see `backend.choose_devices`.
        block: members per block; None takes the fastest known for the devices.
        progress: called after every epoch of every member, from one thread at a time.
        cuts: what seasons are put together from, where `training.season_cuts` is above 0.

    Raises:
        MissingDataError, SchemaError, ConfigError: rows, settings or seeds that cannot be trained on;
            SchemaError too when a loss was no longer a number, after the other members were trained.
        KeyboardInterrupt: passed on after members under way were kept.
    """
    from yieldcast.training.member import Member
    from yieldcast.training.scheduler import BlockRunner, SharedState, choose_placement

    check_trainable(samples)
    if min(seeds, default=1) < 1 or max(seeds, default=1) > 999:
        raise ConfigError(
            f"expected seeds from 1 to 999, received {min(seeds)} to {max(seeds)}", "Count seeds from 1."
        )
    if block is not None and block < 1:
        raise ConfigError(f"expected a block of 1 member or more, received {block}", "Leave --block out.")
    done = set(run.seeds())
    own = sorted(set(seeds))[devices.worker :: devices.workers]
    todo = [seed for seed in own if seed not in done]
    if not todo:
        return
    network, telling = run.settings.network, threading.Lock()
    widest = max(*network.lstm_units, *network.static_units, *network.head_units)
    # Planned for all seeds, so that a restart runs the same program.
    plan = choose_placement(devices, len(own), widest, block)
    made = {
        "backend": devices.backend, "device": devices.kind, "lanes": plan.lanes, "replicas": plan.replicas,
        "block": plan.block, "versions": versions(),
    }  # fmt: skip

    def told(member: Member, finished: bool) -> None:
        with telling:
            progress(Epoch(len(todo), member.seed, len(member.losses), member.best_loss, finished))

    table: dict[str, Any] = {"weather": samples.dynamic, "static": samples.static} if cuts is None else {}
    table |= {"target": samples.target_kg_ha, **(cuts.arrays() if cuts else {})}
    placed = {name: _narrow(values) for name, values in table.items()}
    work = SharedState(
        deque(todo), lambda seed: Member(samples, run, seed),
        compiled(devices, network, run.settings.training, run.base_column),
        devices.place([placed] * plan.replicas),
        told, lambda member: member.save(run, made), lambda member: member.keep(run),
        lambda member: run.drop_unfinished(member.seed),
    )  # fmt: skip
    _run_lanes([BlockRunner(devices, plan, work) for _ in range(plan.lanes)], work)
    if work.failed:
        raise SchemaError(
            "; ".join(sorted(work.failed)),
            "Look for extreme values (yieldcast status), or lower training.learning_rate with another --out.",
        )


def _run_lanes(lanes: Sequence[Any], work: Any) -> None:
    """Run every lane in a thread; whatever ends one, Ctrl-C too, stops the others at their next epoch."""
    errors: list[BaseException] = []
    running: list[Future[None]] = []
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="lane") as pool:
        try:
            running.extend(pool.submit(lane.run) for lane in lanes)
            wait(running, return_when=FIRST_EXCEPTION)
        except BaseException as interrupted:
            errors.append(interrupted)
            work.stop.set()
    errors.extend(error for lane in running if (error := lane.exception()))
    if errors:  # what kept a lane from saving must be told, even after Ctrl-C
        raise min(errors, key=lambda error: isinstance(error, KeyboardInterrupt))


@lru_cache(maxsize=8)
def compiled(
    devices: Devices, network: NetworkSettings, training: TrainingSettings, base: int | None = None
) -> Callable[..., Any]:
    """The compiled epoch of a network; kept, because compiling takes longer than many an epoch."""
    from yieldcast.models.stacked import Network
    from yieldcast.training.epoch import EpochProgram

    return devices.compile(EpochProgram(Network(network, base), training))


def _narrow(values: Any) -> Any:
    """float32, or int32 for whole numbers."""
    return np.asarray(values, np.int32 if np.asarray(values).dtype.kind == "i" else np.float32)
