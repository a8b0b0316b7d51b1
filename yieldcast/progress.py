"""Progress of long work on a rich console, with time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.training import Epoch


class TimeLeft:
    """Seconds left, from the seconds of finished members and the pace of the running one.

    Args:
        members: members in all.
        max_epochs: most epochs a member can take.
    """

    def __init__(self, members: int, max_epochs: int) -> None:
        self.members, self.max_epochs = members, max_epochs
        self._done = 0
        self._epochs = 0
        self._member_began = self._began = time.monotonic()

    def after(self, epoch: int, finished: bool, now: float) -> float:
        """Seconds left after an epoch of the running member, at clock time `now`."""
        if finished:
            self._done += 1
            self._epochs += epoch
            self._member_began = now
            return (now - self._began) / self._done * (self.members - self._done)
        # Until a member has finished, the longest it can take is assumed: the guess only falls.
        expected = max(self._epochs / self._done if self._done else self.max_epochs, epoch)
        pace = (now - self._member_began) / epoch
        return pace * (expected - epoch + expected * (self.members - self._done - 1))


@contextmanager
def training_progress(
    max_epochs: int, screen: Console, label: str = "training"
) -> Iterator[Callable[[Epoch], None]]:
    """A bar over members, with epoch, best validation loss and time left.

    Args:
        max_epochs: most epochs a member can take.
        screen: where to draw.
        label: what is being trained.
    """
    columns = (
        TextColumn(label), BarColumn(10), MofNCompleteColumn(), TextColumn("members"),
        TextColumn("{task.fields[now]}"), TimeElapsedColumn(), TextColumn("left {task.fields[left]}"),
    )  # fmt: skip
    with Progress(*columns, console=screen, refresh_per_second=4) as bar:
        task = bar.add_task(label, total=None, now="starting", left="?")
        left: list[TimeLeft] = []

        def update(event: Epoch) -> None:
            if not left:
                left.append(TimeLeft(event.members, max_epochs))
            seconds = left[0].after(event.epoch, event.finished, time.monotonic())
            now = f"seed {event.seed} epoch {event.epoch} best {event.best_loss:.4f}"
            bar.update(task, total=event.members, advance=int(event.finished), now=now, left=clock(seconds))
            if event.finished and not screen.is_terminal:
                screen.print(f"{label}, member done: {now}, left {clock(seconds)}")

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
