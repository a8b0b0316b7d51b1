"""Progress of long work on a rich console, with time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.training import Epoch


class TimeLeft:
    """Seconds left, from the pace of all members together and the epochs that finished ones took.

    Args:
        members: members in all.
        max_epochs: most epochs a member can take.
        began: clock time of the start.
    """

    def __init__(self, members: int, max_epochs: int, began: float) -> None:
        self.members, self.max_epochs = members, max_epochs
        self._began, self._here = began, 0
        self._running: dict[int, int] = {}
        self._finished: list[int] = []

    @property
    def running(self) -> list[int]:
        """Seeds under way."""
        return sorted(self._running)

    def after(self, seed: int, epoch: int, finished: bool, now: float) -> float:
        """Seconds left after an epoch of one member, at clock time `now`."""
        self._here += 1  # a member that was kept starts from a later epoch: only epochs run here count
        self._running[seed] = epoch
        if finished:
            self._finished.append(self._running.pop(seed))
        # Until a member has finished, the longest it can take is assumed: the guess only falls.
        typical = sum(self._finished) / len(self._finished) if self._finished else self.max_epochs
        waiting = self.members - len(self._finished) - len(self._running)
        epochs = waiting * typical + sum(max(typical - done, 0) for done in self._running.values())
        return (now - self._began) / self._here * epochs


@contextmanager
def training_progress(
    max_epochs: int, screen: Console, label: str = "training"
) -> Iterator[Callable[[Epoch], None]]:
    """A bar over members: how many run, the epoch and best validation loss of one, time left.

    Args:
        max_epochs: most epochs a member can take.
        screen: where to draw.
        label: what is being trained.
    """
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
            if event.finished and not screen.is_terminal:
                screen.print(f"{label}, member done: seed {event.seed} {best}, left {clock(seconds)}")

        try:
            yield update
        finally:
            bar.update(task, visible=bool(left))  # nothing was trained: nothing to show


@contextmanager
def counting_progress(label: str, screen: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told (done, total).

    Args:
        label: what is being counted.
        screen: where to draw.
    """
    with Progress(
        TextColumn(label), BarColumn(20), MofNCompleteColumn(), console=screen, transient=True
    ) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
