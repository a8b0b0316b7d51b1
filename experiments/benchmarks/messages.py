"""What all processes of the benchmark share. Imports only NumPy, because the one with torch has no more."""

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
    """How large the training rows are."""

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
            "machine"; "-cores" is a process for every core.
        units: of every layer.
        members: seeds to train.
        epochs: of each member.
        block: members per block, ours only; None takes the default.
        times: how often the rows are repeated.
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


Results = dict[Job, list[dict[str, Any]]]  # what the processes of each job answered


def task_of_this_process() -> dict[str, Any]:
    """What the parent asks of this child: the fields of a `Job`, and "settings", "size", "data", "core"."""
    task: dict[str, Any] = json.loads(sys.argv[1])
    if task["core"] is not None:
        os.sched_setaffinity(0, {task["core"]})  # before a framework counts the cores
    return task


def answer(result: Mapping[str, Any]) -> None:
    """Give the parent the result: the last line of stdout."""
    print(
        json.dumps(
            {**result, "peak_mib": peak_mib(), "tensorflow": sys.modules.get("tensorflow") is not None}
        )
    )


def rows_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """The training rows: those of the file "data", else synthetic ones, repeated "times" times."""
    if task["data"]:
        with np.load(task["data"]) as kept:
            arrays = dict(kept)
    else:
        arrays = synthetic_rows(Size(*task["size"]))
    if task["times"] > 1:
        arrays = {n: np.tile(v, (task["times"], *(1,) * (v.ndim - 1))) for n, v in arrays.items()}
    return arrays


def synthetic_rows(size: Size) -> dict[str, Any]:
    """Random numbers of the size of real rows: training costs what it costs on those."""
    draw = np.random.default_rng(0).standard_normal
    return {
        WEATHER: draw((size.rows, size.steps, size.variables), np.float32),
        STATIC: draw((size.rows, size.features), np.float32),
        TARGET: 3000 + 500 * draw(size.rows, np.float32),
    }


def split(rows: int, share: float, seed: int) -> tuple[Any, Any]:
    """Positions of rows to fit and of rows to validate on, drawn at random."""
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
    if status.is_file():  # Linux: there ru_maxrss starts at what the parent process held
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def loop_result(seeds: Sequence[tuple[float, Sequence[float]]]) -> dict[str, float]:
    """Seconds per seed and epoch of a loop over seeds, without every seed's first epoch.

    Args:
        seeds: for each, the clock when it was begun and when each of its epochs ended; 2 epochs or more.

    Returns:
        "seconds", the median epoch; "startup", the median first epoch (building, compiling) less that.
    """
    epochs = [b - a for _, ends in seeds for a, b in itertools.pairwise(ends)]
    steady = statistics.median(epochs)
    return {"seconds": steady, "startup": statistics.median(ends[0] - t for t, ends in seeds) - steady}


@dataclass(frozen=True)
class Event:
    """An epoch of a member has ended.

    Args:
        clock: when.
        lane: the thread that trains the member.
        seed: the member.
        finished: it was the last; the member was saved before the clock was read.
    """

    clock: float
    lane: int
    seed: int
    finished: bool


def steady_seconds(events: Sequence[Event]) -> tuple[float | None, float | None]:
    """(seconds per seed and epoch, seconds of a lane's epoch), the medians over all epochs that count.

    An epoch lasts from one event of a member to its next. Left out are a member's first epoch, which may
    compile, and its last, which saves. In a member's epoch every other member of its block ends one too,
    and the lanes that have not ended by then work beside it.
    """
    clocks: dict[int, list[float]] = {}
    for event in events:
        clocks.setdefault(event.lane, []).append(event.clock)
    before: dict[int, float] = {}
    shares, epochs = [], []
    for event in events:
        if event.seed in before and not event.finished:
            lane, begun = clocks[event.lane], before[event.seed]
            block = bisect_right(lane, event.clock) - bisect_right(lane, begun)
            busy = sum(other[-1] >= event.clock for other in clocks.values())
            epochs.append(event.clock - begun)
            shares.append(epochs[-1] / (block * busy))
        before[event.seed] = event.clock
    return (statistics.median(shares), statistics.median(epochs)) if epochs else (None, None)
