"""Progress bars of training, forecasts and fetches, with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from yieldcast.cli.terminal import console

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.training.trainer import Epoch


_LINE_EVERY_s = 30.0  # without a terminal


class TimeLeft:
    """Estimate of the seconds left, from the epochs per second so far and the epochs of finished members.

    Args:
        members: number of all members.
        max_epochs: maximum number of epochs of a member.
        began: time of the start, seconds of a monotonic clock.
    """

    def __init__(self, members: int, max_epochs: int, began: float) -> None:
        self.members, self.max_epochs = members, max_epochs
        self._began, self._here = began, 0
        self._running: dict[int, int] = {}
        self._finished: list[int] = []

    @property
    def running(self) -> list[int]:
        """Seeds that are being trained."""
        return sorted(self._running)

    def after(self, seed: int, epoch: int, finished: bool, now: float) -> float:
        """Seconds left after an epoch of one member, at clock time `now`."""
        self._here += 1  # a resumed member starts at a later epoch; only epochs run here give the pace
        self._running[seed] = epoch
        if finished:
            self._finished.append(self._running.pop(seed))
        # Until a member has finished, the maximum is assumed, so that the estimate only falls.
        typical = sum(self._finished) / len(self._finished) if self._finished else self.max_epochs
        waiting = self.members - len(self._finished) - len(self._running)
        epochs = waiting * typical + sum(max(typical - done, 0) for done in self._running.values())
        return (now - self._began) / self._here * epochs


@contextmanager
def training_progress(
    max_epochs: int, screen: Console | None = None, label: str = "training"
) -> Iterator[Callable[[Epoch], None]]:
    """A bar over members: how many are being trained, epoch and best validation loss of one, time left.

    Args:
        max_epochs: maximum number of epochs of a member.
        screen: where to draw; None is the terminal, or the cell of a notebook.
        label: name of what is trained.
    """
    screen = screen or console()
    columns = (
        TextColumn(label), BarColumn(8), MofNCompleteColumn(),
        TextColumn("{task.fields[now]}"), TextColumn("left {task.fields[left]}"),
    )  # fmt: skip
    with Progress(*columns, console=screen, refresh_per_second=4) as bar:
        task = bar.add_task(label, total=None, now="starting", left="?")
        began, left = time.monotonic(), list[TimeLeft]()

        def update(event: Epoch) -> None:
            if not left:
                left.append(TimeLeft(event.members, max_epochs, began))
            seconds = left[0].after(event.seed, event.epoch, event.finished, time.monotonic())
            best = f"epoch {event.epoch} best {event.best_loss:.4f}"
            now = f"{len(left[0].running)} run, {best}"
            bar.update(task, total=event.members, advance=int(event.finished), now=now, left=clock(seconds))
            if event.finished and not (screen.is_terminal or screen.is_jupyter):
                screen.print(f"{label}, member done: seed {event.seed} {best}, left {clock(seconds)}")

        try:
            yield update
        finally:
            bar.update(task, visible=bool(left))  # hide the bar if nothing was trained


@contextmanager
def counting_progress(label: str, screen: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar that is updated with (done, total).

    Args:
        label: name of what is counted.
        screen: where to draw; None is the terminal, or the cell of a notebook.
    """
    with Progress(
        TextColumn(label), BarColumn(20), MofNCompleteColumn(), console=screen or console(), transient=True
    ) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Counted(Protocol):
    """What `fetch_progress` shows of one source."""

    name: str
    total: int
    bytes: int
    waiting: dict[str, str]

    @property
    def done(self) -> int:
        """Requests that need no more work."""


@contextmanager
def fetch_progress(screen: Console) -> Iterator[Callable[[Sequence[Counted]], None]]:
    """One bar per source: requests done, rate, and what the first open request waits for.

    Args:
        screen: where to draw; without a terminal, a line at most every 30 s when something was done.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(12), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[now]}"),
    )  # fmt: skip
    with Progress(*columns, console=screen, refresh_per_second=4) as bar:
        tasks: dict[int, TaskID] = {}
        began, printed = time.monotonic(), [time.monotonic(), 0]  # time and requests done of the last line

        def update(sources: Sequence[Counted]) -> None:
            minutes = max(time.monotonic() - began, 1e-3) / 60
            for source in sources:
                if id(source) not in tasks:
                    tasks[id(source)] = bar.add_task(source.name, total=source.total, rate="", now="")
                rate = f"{source.bytes / 1e6:,.1f} MB, {source.bytes / 1e6 / minutes:,.1f} MB/min"
                now = next((f"{part}: {state}" for part, state in source.waiting.items() if state), "")
                bar.update(
                    tasks[id(source)], completed=source.done, total=source.total, rate=rate, now=now[:70]
                )
            done = sum(source.done for source in sources)
            overdue = time.monotonic() - printed[0] > _LINE_EVERY_s
            if not screen.is_terminal and done != printed[1] and overdue:
                printed[:] = [time.monotonic(), done]
                screen.print(", ".join(f"{s.name} {s.done} of {s.total}" for s in sources))

        yield update


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
