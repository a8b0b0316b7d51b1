"""Threads that take members from one queue and train them in blocks."""

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

KEEP_SECONDS = 120.0  # unfinished members are saved this often
# A smaller block keeps its size when members stop: empty slots cost little, and the program that trains a
# member stays the same to the last bit, whatever the other members do.
SHRINK_FROM = 8


@dataclass(frozen=True)
class Placement:
    """How members are spread over threads and devices.

    Args:
        threads: threads of this process that each train a block.
        replicas: devices that a thread uses at once.
        block: members trained together on one replica.
    """

    threads: int
    replicas: int
    block: int


def choose_placement(devices: Devices, members: int, widest: int, block: int | None = None) -> Placement:
    """The fastest placement measured for the kind of device.

    On a CPU, one thread per core with small blocks: all gate arrays of a few members fit in its cache,
    and no core waits for another (experiments/results/benchmark-training.md). On a GPU or TPU, one
    thread with all members in one block: fewer do not use the whole device.

    Args:
        devices: the devices.
        members: members to train.
        widest: largest number of units of a layer.
        block: members per block; None for the fastest.
    """
    share = -(-members // devices.replicas)
    if devices.kind != "CPU" or devices.replicas > 1:
        return Placement(1, devices.replicas, min(block or share, share))
    chosen = block or (4 if widest <= 16 else 1)
    threads = min(cores(), members)
    return Placement(threads, 1, min(chosen, -(-members // threads)))


@dataclass
class SharedState:
    """State shared by all threads.

    Args:
        queue: seeds to train, taken from the left.
        begin: returns the member of a seed.
        program: the compiled epoch.
        data: training rows on the devices.
        report: called after every epoch with each running member and whether it has finished.
        finish: saves a finished member.
        keep: saves an unfinished member.
        drop: deletes the saved state of a member whose loss is not finite.
    """

    queue: deque[int]
    begin: Callable[[int], Member]
    program: Callable[..., Any]
    data: Any
    report: Callable[[Member, bool], None]
    finish: Callable[[Member], None]
    keep: Callable[[Member], None]
    drop: Callable[[Member], None]
    stop: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    compiled: set[int] = field(default_factory=set)


class BlockRunner:
    """The block of members of one thread, on every replica.

    Args:
        devices: the devices.
        placement: number of replicas and members per block.
        work: shared with the other threads.
    """

    def __init__(self, devices: Devices, placement: Placement, work: SharedState) -> None:
        self.devices, self.work = devices, work
        self.block = placement.block
        self.slots: list[Member | None] = [None] * (placement.replicas * placement.block)
        self.kept = time.monotonic()
        self._state: Any = None

    def run(self) -> None:
        """Train until the queue is empty and every member of the block has finished, or `stop` is set.

        Unfinished members are saved whenever it ends early.
        """
        try:
            self._train()
        except BaseException:
            self.work.stop.set()  # the other threads save their members too
            with suppress(Exception):  # the first error is the one to report
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
            changed = self._after_epoch(began)

    def _fill(self) -> None:
        """Take seeds for empty slots; when there are no more, halve a block that is mostly empty."""
        self._state = None  # all members are in host memory; the state on the devices is outdated
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
        """State and constants of all slots on the devices; an empty slot holds a stopped copy of a member."""
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
        with self.work.lock:  # one thread compiles, the others then use its program
            if self.block not in self.work.compiled:
                state = self.work.program(state, constants, self.work.data)
                self.work.compiled.add(self.block)
                return state
        return self.work.program(state, constants, self.work.data)

    def _after_epoch(self, began: float) -> bool:
        """Record the epoch that has just run, save what finished; True when a slot became empty."""
        short = self._each(["epoch", "loss", "val_loss", "running"])  # waits for the devices
        running = [(m, values) for m, values in zip(self.slots, short, strict=True) if m]
        seconds = (time.perf_counter() - began) / len(running)
        ended: set[Member] = set()
        for member, values in running:
            if int(values["epoch"]) > len(member.losses):  # else it was saved after its last epoch
                member.add_epoch(float(values["loss"]), float(values["val_loss"]), seconds)
            if member.fault or not values["running"]:
                ended.add(member)
        due = time.monotonic() - self.kept > KEEP_SECONDS
        if ended:
            self._fetch()
        for member, _ in running:
            if member.fault:
                self.work.failed.append(member.fault)
                self.work.drop(member)
            elif member in ended:
                self.work.finish(member)
            if member in ended:
                self.slots[self.slots.index(member)] = None
            self.work.report(member, member in ended)
        if due:
            self._keep_all()
        return bool(ended)

    def _each(self, names: list[str]) -> list[Tree]:
        trees = self.devices.fetch(self._state, names)
        return [row(tree, position) for tree in trees for position in range(self.block)]

    def _fetch(self) -> None:
        """Copy every member's state to host memory."""
        names = list(next(member for member in self.slots if member).state)
        for member, tree in zip(self.slots, self._each(names), strict=True):
            if member:
                member.state = tree

    def _keep_all(self) -> None:
        """Save every unfinished member."""
        if self._state is not None and any(self.slots):
            self._fetch()
        for member in self.slots:
            if member and member.losses:
                self.work.keep(member)
        self.kept = time.monotonic()
