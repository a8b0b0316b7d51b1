"""What the processes of training.py share: jobs, rows, answers, timings.

Imports only NumPy, because the interpreter with torch may have nothing else.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import statistics
import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WEATHER, STATIC, TARGET = "dynamic", "static", "target_kg_ha"
VALIDATED_AT_ONCE = 1024  # rows; as in our own validation pass


class Size(NamedTuple):
    """Size of the training rows."""

    rows: int
    steps: int
    variables: int = 4
    features: int = 65


SOYBEAN = Size(14_190, 9)  # Brazil, harvest years 2011 to 2017, full soil table


@dataclass(frozen=True)
class Job:
    """One process of the benchmark: a contestant at one size.

    Args:
        contestant: "keras", "keras-tuned", "keras-cores", "torch", "torch-cores", "ours", "gemm" or
            "machine"; "-cores" means one process per core.
        units: of every layer.
        members: seeds to train.
        epochs: of each member.
        block: members per block, for "ours" only; None takes the default.
        times: number of copies of the rows.
    """

    contestant: str
    units: int = 0
    members: int = 1
    epochs: int = 0
    block: int | None = None
    times: int = 1

    def __str__(self) -> str:
        more = f", block {self.block}" if self.block else ""
        more += f", rows x {self.times}" if self.times > 1 else ""
        many = f", {self.members} members" if self.members > 1 else ""
        return f"{self.contestant}{f', {self.units} units' if self.units else ''}{many}{more}"


Results = dict[Job, list[dict[str, Any]]]  # answers of the processes of each job


def task_of_this_process() -> dict[str, Any]:
    """The job that the parent passes as JSON: fields of `Job`, and "settings", "size", "data", "core"."""
    task: dict[str, Any] = json.loads(sys.argv[1])
    if task["core"] is not None:
        os.sched_setaffinity(0, {task["core"]})  # before TensorFlow or torch counts the cores
    return task


def answer(result: Mapping[str, Any]) -> None:
    """Send the result to the parent, as the last line of stdout."""
    print(
        json.dumps(
            {**result, "peak_mib": peak_mib(), "tensorflow": sys.modules.get("tensorflow") is not None}
        )
    )


def rows_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """The training rows: from the file "data", or synthetic ones, copied "times" times."""
    if task["data"]:
        with np.load(task["data"]) as kept:
            arrays = dict(kept)
    else:
        arrays = synthetic_rows(Size(*task["size"]))
    if task["times"] > 1:
        arrays = {n: np.tile(v, (task["times"], *(1,) * (v.ndim - 1))) for n, v in arrays.items()}
    return arrays


def synthetic_rows(size: Size) -> dict[str, Any]:
    """Random numbers in the size of real rows; training them costs the same time."""
    draw = np.random.default_rng(0).standard_normal
    return {
        WEATHER: draw((size.rows, size.steps, size.variables), np.float32),
        STATIC: draw((size.rows, size.features), np.float32),
        TARGET: 3000 + 500 * draw(size.rows, np.float32),
    }


def split(rows: int, share: float, seed: int) -> tuple[Any, Any]:
    """Positions of the rows to fit and of the rows to validate on, drawn at random."""
    order = np.random.default_rng(seed).permutation(rows)
    held = round(share * rows)
    return order[held:], order[:held]


def cores() -> list[int]:
    """CPU cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux, ru_maxrss of a child starts at the memory of its parent
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def loop_result(seeds: Sequence[tuple[float, Sequence[float]]]) -> dict[str, float]:
    """Seconds per seed and epoch of a loop over seeds, without the first epoch of each seed.

    Args:
        seeds: for each seed the time of its start and the times when its epochs ended; 2 epochs or more.

    Returns:
        "seconds": the median epoch; "startup": the median first epoch (building, compiling) minus "seconds".
    """
    epochs = [b - a for _, ends in seeds for a, b in itertools.pairwise(ends)]
    steady = statistics.median(epochs)
    return {"seconds": steady, "startup": statistics.median(ends[0] - t for t, ends in seeds) - steady}


@dataclass(frozen=True)
class Event:
    """The end of an epoch of a member.

    Args:
        clock: time of the end, seconds.
        thread: number of the thread that trains the member.
        seed: of the member.
        finished: whether it was the last epoch; the member was then saved before the time was taken.
    """

    clock: float
    thread: int
    seed: int
    finished: bool


def steady_seconds(events: Sequence[Event]) -> tuple[float | None, float | None]:
    """(seconds per seed and epoch, seconds of an epoch of a block), medians over all epochs that count.

    An epoch lasts from one event of a member to its next one. The first epoch of a member, which may compile,
    and the last one, which saves, do not count. During an epoch of a member every other member of its block
    ends one too, and the threads that still have events to come work at the same time.
    """
    clocks: dict[int, list[float]] = {}
    for event in events:
        clocks.setdefault(event.thread, []).append(event.clock)
    before: dict[int, float] = {}
    shares, epochs = [], []
    for event in events:
        if event.seed in before and not event.finished:
            thread, begun = clocks[event.thread], before[event.seed]
            block = bisect_right(thread, event.clock) - bisect_right(thread, begun)
            busy = sum(other[-1] >= event.clock for other in clocks.values())
            epochs.append(event.clock - begun)
            shares.append(epochs[-1] / (block * busy))
        before[event.seed] = event.clock
    return (statistics.median(shares), statistics.median(epochs)) if epochs else (None, None)
