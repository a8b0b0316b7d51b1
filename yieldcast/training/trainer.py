"""Sample sets to trained members: all seeds of a run by one program, spread over threads and devices."""

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
    from yieldcast.models.custom import CustomNetwork
    from yieldcast.training.devices import Devices
    from yieldcast.training.fine_tuning import Start
    from yieldcast.training.member import Member
    from yieldcast.training.scheduler import BlockRunner, SharedState


@dataclass(frozen=True)
class Epoch:
    """Progress event: the state of one member after an epoch.

    Args:
        members: members that this training trains.
        seed: of the member.
        epoch: epochs done.
        best_loss: lowest validation loss so far.
        finished: whether the member has ended and was saved.
    """

    members: int
    seed: int
    epoch: int
    best_loss: float
    finished: bool


def check_trainable(samples: SampleSet) -> None:
    """Check that a network can be trained on the rows.

    Raises:
        MissingDataError: no rows, or one municipality only.
        SchemaError: all yields equal, or not finite.
    """
    if len(samples) == 0:
        raise MissingDataError("the training set is empty", "Choose years with both yields and weather.")
    places = np.unique(samples.municipality)
    if len(places) == 1:
        raise MissingDataError(
            f"all {len(samples)} training rows are of one municipality ({places[0]}); expected several",
            "The network learns from differences between municipalities: import more of them.",
        )
    if not np.isfinite(samples.target_kg_ha).all():
        raise SchemaError("some training rows have no yield", "Build the samples from positive yields only.")
    if np.ptp(samples.target_kg_ha) == 0:
        raise SchemaError(
            f"all {len(samples)} training yields equal {samples.target_kg_ha[0]:g} kg/ha",
            "Nothing can be learnt from a constant target: check the yields table.",
        )


def train(
    samples: SampleSet,
    run: Run,
    seeds: Sequence[int],
    devices: Devices,
    block: int | None = None,
    progress: Callable[[Epoch], None] = lambda epoch: None,
    mixer: SeasonMixer | None = None,
    start: Callable[[int], Start] | None = None,
) -> None:
    """Train a member for every seed that the run does not have yet, all of them in parallel.

    Initial weights (on one backend), rows, shuffles and noise of a member depend only on seed and epoch.
    Unfinished members are saved every two minutes and when training is interrupted; the next call continues
    from there.

    Args:
        samples: training rows, physical units.
        run: the run directory of the members; its settings are used.
        seeds: 1 to 999, one member each; duplicates are ignored. With several workers, each trains
            every n-th.
        devices: see `devices.choose_devices`.
        block: members per block; None for the fastest known on the devices.
        progress: called after every epoch of every member, from one thread at a time.
        mixer: source of mixed seasons and histories; None where each row keeps its own.
        start: gives the weights that the member of a seed starts from; None for random ones.

    Raises:
        MissingDataError, SchemaError, ConfigError: rows, settings or seeds that cannot be trained on;
            SchemaError too when a loss was not finite, after the other members were trained.
        KeyboardInterrupt: passed on after unfinished members were saved.
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
    custom = _custom_network(run, block)
    network = run.settings.network
    widest = max(*network.lstm_units, *network.static_units, *network.head_units)
    # For all seeds, so that a restart runs the same program.
    placement = choose_placement(devices, len(own), widest, 1 if custom else block)
    made = {
        "backend": devices.backend, "device": devices.kind, "lanes": placement.threads,
        "replicas": placement.replicas, "block": placement.block, "versions": versions(),
    }  # fmt: skip
    reporting = threading.Lock()

    def report(member: Member, finished: bool) -> None:
        with reporting:
            progress(Epoch(len(todo), member.seed, len(member.losses), member.best_loss, finished))

    work = SharedState(
        deque(todo), lambda seed: Member(samples, run, seed, custom, start(seed) if start else None),
        _program(run, devices, custom), devices.place([_table(samples, mixer)] * placement.replicas),
        report, lambda member: member.save(run, made), lambda member: member.keep(run),
        lambda member: run.drop_unfinished(member.seed),
    )  # fmt: skip
    _run_threads([BlockRunner(devices, placement, work) for _ in range(placement.threads)], work)
    if work.failed:
        raise SchemaError(
            "; ".join(sorted(work.failed)),
            "Look for extreme values (yieldcast status), or lower training.learning_rate with another --out.",
        )


def _custom_network(run: Run, block: int | None) -> CustomNetwork | None:
    """The network of the run's build function; None where the run has the dual-path network."""
    if run.settings.model.build is None:
        return None
    if block not in (None, 1):
        raise ConfigError(
            f"model.build = {run.settings.model.build!r}: expected a block of 1, received {block}; only "
            "members with the dual-path network are stacked",
            "Leave --block out.",
        )
    from yieldcast.models.custom import CustomNetwork, InputShapes

    identity = run.identity
    shapes = InputShapes(identity.steps, identity.dynamic_names, identity.static_names)
    return CustomNetwork(run.settings, shapes)


def _program(run: Run, devices: Devices, custom: CustomNetwork | None) -> Callable[..., Any]:
    """The compiled epoch of the run's network."""
    if custom is None:
        return compiled(devices, run.settings.network, run.settings.training, run.base_column)
    from yieldcast.training.epoch import EpochProgram

    return devices.compile(EpochProgram(custom, run.settings.training), custom.xla)


def _table(samples: SampleSet, mixer: SeasonMixer | None) -> dict[str, Any]:
    """The arrays that an epoch reads, float32, or int32 for whole numbers."""
    table: dict[str, Any] = {"target": samples.target_kg_ha}
    table |= {"weather": samples.dynamic, "static": samples.static} if mixer is None else mixer.arrays()
    arrays = {name: np.asarray(values) for name, values in table.items()}
    return {
        n: a.astype(np.int32 if a.dtype.kind == "i" else np.float32, copy=False) for n, a in arrays.items()
    }


def _run_threads(runners: Sequence[BlockRunner], work: SharedState) -> None:
    """Run every block in a thread; an error in one, or Ctrl-C, stops the others at their next epoch."""
    errors: list[BaseException] = []
    running: list[Future[None]] = []
    with ThreadPoolExecutor(len(runners), thread_name_prefix="training") as pool:
        try:
            running.extend(pool.submit(runner.run) for runner in runners)
            wait(running, return_when=FIRST_EXCEPTION)
        except BaseException as interrupted:
            errors.append(interrupted)
            work.stop.set()
    errors.extend(error for future in running if (error := future.exception()))
    if errors:  # an error that kept a thread from saving comes first, even after Ctrl-C
        raise min(errors, key=lambda error: isinstance(error, KeyboardInterrupt))


@lru_cache(maxsize=8)
def compiled(
    devices: Devices, network: NetworkSettings, training: TrainingSettings, base: int | None = None
) -> Callable[..., Any]:
    """The compiled epoch of the dual-path network; cached, because compiling takes seconds."""
    from yieldcast.models.stacked import Network
    from yieldcast.training.epoch import EpochProgram

    return devices.compile(EpochProgram(Network(network, base), training))
