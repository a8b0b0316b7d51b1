"""`yieldcast workspace worker`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast import language
from yieldcast.cli.arguments import ScreenLanguageOption
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console
from yieldcast.cli.workspace import DatabaseOption, opened
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.workspace.directory import Workspace
    from yieldcast.workspace.sandbox import Confinement
    from yieldcast.workspace.worker import Notice, Workers


def add_commands(app: typer.Typer) -> None:
    """Add `worker` to ``yieldcast workspace``."""
    app.command(cls=Command)(worker)


def worker(
    path: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder of the workspace, or give it with --data.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Folder of the workspace on this machine: workspace.toml, data, submissions and results, "
            "with --database or YIELDCAST_DATABASE.",
        ),
    ] = None,
    database: DatabaseOption = None,
    workers: Annotated[int, typer.Option(min=1, max=4096, help="Jobs at a time.")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of a job; default: cores divided by --workers.")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Run models even where this machine cannot confine them: they can then do what you can.",
        ),
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="End when no job waits.")] = False,
    submission: Annotated[
        str | None, typer.Option(metavar="ID", help="Take only the job of this submission.")
    ] = None,
    lease: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=5, help="For which a job is held without a sign of life from its worker."
        ),
    ] = 60.0,
    parent: Annotated[int | None, typer.Option("--with-parent", hidden=True)] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Run submissions: both phases of each, in a sandbox, and write their scores.

    The server of a workspace starts workers by itself. This command starts more, also on other machines that
    reach the database and have the folder. At the start it tries to break out of its own sandbox,
    and says what is enforced; where something is not, it ends with exit code 2 unless --trust is given.

    Ctrl-C and SIGTERM give the job back to the queue. A worker that is killed loses nothing: after a minute
    another one takes its job.

    Example:

        yieldcast workspace worker WORKSPACE --workers 2
    """
    folder = path or data
    if folder is None or (path is not None and data is not None):
        raise ConfigError("expected the folder of the workspace once", "Give DIR, or --data DIR.")
    screen = console(stderr=True)

    def say(text: str) -> None:
        screen.print(text, soft_wrap=True, markup=False, highlight=False)

    os.umask(0o077)
    if workers > 1 and (once or submission):
        raise ConfigError("--once and --submission are for one worker", "Leave out --workers.")
    with opened(folder, database) as workspace:
        if workers == 1:
            _one(workspace, trust, threads, lang, say, _Order(once, submission, parent, lease))
            return
        _tell(_probed(workspace, trust), lang, say)
    from yieldcast.workspace.worker import start_workers

    _several(start_workers(folder, workers, trust, database, say, threads, lease))


@dataclass(frozen=True)
class _Order:
    """What one worker is to do."""

    once: bool
    submission: str | None
    parent: int | None
    lease: float


def _several(started: Workers) -> None:
    try:
        while started.is_alive():
            time.sleep(0.5)
    finally:
        started.stop()


def _one(
    workspace: Workspace, trust: bool, threads: int | None, lang: str, say: Notice, order: _Order
) -> None:
    from yieldcast.workspace.sandbox.noted import note_start
    from yieldcast.workspace.worker import Worker, cores, end_with_parent, own_name

    if order.parent is not None:
        end_with_parent(order.parent)
    confinement = _probed(workspace, trust)
    if order.parent is None:
        _tell(confinement, lang, say)
    with workspace.write() as session:
        note_start(session, own_name(), confinement)
    with confinement.sandbox() as sandbox:
        worker = Worker(workspace, sandbox, threads=threads or cores(), lease_seconds=order.lease, notice=say)
        worker.run(order.once, order.submission)


def _probed(workspace: Workspace, trust: bool) -> Confinement:
    from yieldcast.workspace.sandbox import Confinement

    owned = [workspace.path / "workspace.db", workspace.data / "holdout" / "target.npy"]
    return Confinement.probe(owned, trust)


def _tell(confinement: Confinement, lang: str, say: Notice) -> None:
    for line in confinement.lines(language.of(lang)):
        say(line)
