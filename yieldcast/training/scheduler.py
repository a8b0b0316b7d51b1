"""Lanes: threads that each take members from one queue and train a block of them at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yieldcast.training.devices import Devices, cores
from yieldcast.training.epoch import Tree
from yieldcast.training.member import Member, row, stack

KEEP_SECONDS = 120.0  # members under way are kept on disk this often
# Below this, a block keeps its size when members stop: empty slots cost little there, and the program
# that trains a member stays the same to the last bit, whatever the others do.
SHRINK_FROM = 8


@dataclass(frozen=True)
class Placement:
    """How members are spread.

    Args:
        lanes: threads of this process that each run their own block.
        replicas: devices that a lane runs on at once.
        block: members trained together by one replica.
    """

    lanes: int
    replicas: int
    block: int


def choose_placement(devices: Devices, members: int, widest: int, block: int | None = None) -> Placement:
    """The fastest plan measured for the kind of device.

    On a CPU, one lane per core with small blocks: whole gate arrays of a few members stay in its cache,
    and a core never waits for another (experiments/results/benchmark-training.md). On a GPU or TPU, one
    lane with all members in one block: the device is far from full with less.

    Args:
        devices: where to.
        members: members to train.
        widest: largest number of units of a layer.
        block: members per block, when the user chose.
    """
    share = -(-members // devices.replicas)
    if devices.kind != "CPU" or devices.replicas > 1:
        return Placement(1, devices.replicas, min(block or share, share))
    chosen = block or (4 if widest <= 16 else 1)
    lanes = min(cores(), members)
    return Placement(lanes, 1, min(chosen, -(-members // lanes)))


@dataclass
class SharedState:
    """What all lanes share.

    Args:
        queue: seeds to train, taken from the left.
        begin: gives the member of a seed.
        program: the compiled epoch.
        data: placed training rows.
        told: called after every epoch with each running member and whether it has finished.
        finish: saves a finished member.
        keep: keeps a member under way.
        drop: forgets what was kept of a member whose loss is no longer a number.
    """

    queue: deque[int]
    begin: Callable[[int], Member]
    program: Callable[..., Any]
    data: Any
    told: Callable[[Member, bool], None]
    finish: Callable[[Member], None]
    keep: Callable[[Member], None]
    drop: Callable[[Member], None]
    stop: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    compiled: set[int] = field(default_factory=set)


class BlockRunner:
    """A thread's block of members on every replica.

    Args:
        devices: where to.
        plan: number of replicas and members per block.
        work: shared with the other lanes.
    """

    def __init__(self, devices: Devices, plan: Placement, work: SharedState) -> None:
        self.devices, self.work = devices, work
        self.block = plan.block
        self.slots: list[Member | None] = [None] * (plan.replicas * plan.block)
        self.kept = time.monotonic()
        self._state: Any = None

    def run(self) -> None:
        """Train until the queue is empty and every member here has finished, or `stop` is set.

        Members under way are kept whenever it ends early.
        """
        try:
            self._train()
        except BaseException:
            self.work.stop.set()  # the other lanes keep theirs
            with suppress(Exception):  # the first error is the one to tell
                self._keep_all()
            raise
        self._keep_all()

    def _train(self) -> None:
        changed = True
        while True:
            if changed:
                self._fill()
                if not any(self.slots):
                    return
                self._state, constants = self._place()
            if self.work.stop.is_set():
                return
            began = time.perf_counter()
            self._state = self._epoch(self._state, constants)
            changed = self._tell(began)

    def _fill(self) -> None:
        """Take seeds for empty slots; when there are no more, close the gaps that cost computing."""
        self._state = None  # all members are on the host, and what is on the devices no longer fits the slots
        for position, member in enumerate(self.slots):
            if member is None and not self.work.stop.is_set():
                try:
                    seed = self.work.queue.popleft()
                except IndexError:
                    break
                self.slots[position] = self.work.begin(seed)
        running = [member for member in self.slots if member]
        replicas = len(self.slots) // self.block
        while self.block >= SHRINK_FROM and len(running) <= replicas * (self.block // 2):
            self.block //= 2
        if len(self.slots) != replicas * self.block:
            gaps = [None] * (replicas * self.block - len(running))
            self.slots = [*running, *gaps]

    def _place(self) -> tuple[Any, Any]:
        """State and constants of all slots on the devices; an empty slot repeats a member that is stopped."""
        first = next(member for member in self.slots if member)
        states, constants = list[Tree](), list[Tree]()
        for member in self.slots:
            states.append(member.state if member else {**first.state, "running": np.int32(0)})
            constants.append((member or first).constants)
        cuts = range(0, len(self.slots), self.block)
        return (
            self.devices.place([stack(states[cut : cut + self.block]) for cut in cuts]),
            self.devices.place([stack(constants[cut : cut + self.block]) for cut in cuts]),
        )

    def _epoch(self, state: Any, constants: Any) -> Any:
        if self.block in self.work.compiled:
            return self.work.program(state, constants, self.work.data)
        with self.work.lock:  # one lane compiles, the others then find it compiled
            if self.block not in self.work.compiled:
                state = self.work.program(state, constants, self.work.data)
                self.work.compiled.add(self.block)
                return state
        return self.work.program(state, constants, self.work.data)

    def _tell(self, began: float) -> bool:
        """Note the epoch that has just run; True when a slot became empty."""
        short = self._each(["epoch", "loss", "val_loss", "running"])  # waits for the devices
        running = [(m, values) for m, values in zip(self.slots, short, strict=True) if m]
        seconds = (time.perf_counter() - began) / len(running)
        ended: set[Member] = set()
        for member, values in running:
            if int(values["epoch"]) > len(member.losses):  # not when it was kept after its last epoch
                member.note(float(values["loss"]), float(values["val_loss"]), seconds)
            if member.lost or not values["running"]:
                ended.add(member)
        due = time.monotonic() - self.kept > KEEP_SECONDS
        if ended:
            self._fetch()
        for member, _ in running:
            if member.lost:
                self.work.failed.append(member.lost)
                self.work.drop(member)
            elif member in ended:
                self.work.finish(member)
            if member in ended:
                self.slots[self.slots.index(member)] = None
            self.work.told(member, member in ended)
        if due:
            self._keep_all()
        return bool(ended)

    def _each(self, names: list[str]) -> list[Tree]:
        trees = self.devices.fetch(self._state, names)
        return [row(tree, position) for tree in trees for position in range(self.block)]

    def _fetch(self) -> None:
        """Bring every member's state back to the host."""
        names = list(next(member for member in self.slots if member).state)
        for member, tree in zip(self.slots, self._each(names), strict=True):
            if member:
                member.state = tree

    def _keep_all(self) -> None:
        """Keep every member under way on disk."""
        if self._state is not None and any(self.slots):
            self._fetch()
        for member in self.slots:
            if member and member.losses:
                self.work.keep(member)
        self.kept = time.monotonic()
