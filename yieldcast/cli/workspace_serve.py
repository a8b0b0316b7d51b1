"""`yieldcast workspace serve`: the server of a workspace and its workers, in one command."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.arguments import ScreenLanguageOption
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console
from yieldcast.cli.workspace import DatabaseOption, WorkspaceArgument, opened
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.language import Language
    from yieldcast.workspace.directory import Workspace


def add_commands(app: typer.Typer) -> None:
    """Add `serve` to ``yieldcast workspace``."""
    app.command(cls=Command)(serve)


def serve(
    path: WorkspaceArgument,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8800,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Trainings at the same time; default: one per core.")
    ] = None,
    no_workers: Annotated[
        bool, typer.Option("--no-workers", help="Train nothing here: yieldcast workspace worker does.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Train although this machine cannot confine models.")
    ] = False,
    database: DatabaseOption = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="PEM", help="Certificate for https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="PEM", help="Key of the certificate.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy on this machine says addresses of clients.")
    ] = False,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Serve a workspace: pages, programming interface and workers. Ctrl-C stops it, and loses nothing.

    At the start it tries to break out of its own sandbox and says what is enforced; where something is not,
    it ends with exit code 2 unless --trust is given. A server that is killed at any moment has kept every
    model that it said it took, and the same command goes on.

    Example:

        yieldcast workspace serve DIR
    """
    from yieldcast import language

    words, screen = language.of(lang), console()
    if (tls_cert is None) != (tls_key is None):
        raise ConfigError("expected --tls-cert and --tls-key, received one of them", "Give both.")
    if no_workers and workers is not None:
        raise ConfigError("expected --workers or --no-workers, received both", "Give one of them.")
    os.umask(0o077)
    with opened(path, database) as found, ExitStack() as after:
        from yieldcast.workspace.server.app import create_app
        from yieldcast.workspace.server.run import Tls, address, listen, run

        tls = Tls(tls_cert, tls_key) if tls_cert and tls_key else None
        listening = after.enter_context(listen(host, port))
        app = create_app(found)
        if no_workers:
            screen.print(words.gettext("no workers here: start yieldcast workspace worker"))
        else:
            after.callback(_start_workers(found, workers, trust, database, screen, words))
        _greet(found, address(listening, tls), screen, words)
        if tls is None:
            _warn(listening.getsockname()[0], behind_proxy, screen, words)
        run(app, listening, tls, behind_proxy)


def _start_workers(
    workspace: Workspace,
    count: int | None,
    trust: bool,
    database: str | None,
    screen: Console,
    words: Language,
) -> Callable[[], None]:
    """Start workers after saying what their sandbox enforces; what is returned ends them."""
    from yieldcast.workspace.sandbox import Confinement
    from yieldcast.workspace.worker import cores, start_workers

    owned = [workspace.path / "workspace.db", workspace.data / "holdout" / "target.npy"]
    for line in Confinement.probe(owned, trust).lines(words):
        screen.print(line, soft_wrap=True)
    count = count or cores()
    screen.print(words.gettext("workers: {n}", n=words.number(count)))
    started = start_workers(workspace.path, count, trust, database, screen.print)
    return started.stop


def _greet(workspace: Workspace, where: str, screen: Console, words: Language) -> None:
    command = f'yieldcast workspace invite {workspace.path} "NAME"'
    for line in (
        words.gettext("{title}: {address}", title=workspace.settings.title, address=where),
        words.gettext("programming interface: {address}/docs", address=where),
        words.gettext("invite contributors: {command}", command=command),
        words.gettext("Ctrl-C stops the server; trainings that run go back to the queue."),
    ):
        screen.print(line, soft_wrap=True)


def _warn(host: str, behind_proxy: bool, screen: Console, words: Language) -> None:
    """Say that others can read what is sent, where the server listens on more than this machine."""
    from yieldcast.workspace.client import is_loopback

    if not is_loopback(host) and not behind_proxy:
        text = words.gettext(
            "Not encrypted: everybody on the way can read tokens and models. Give --tls-cert and --tls-key, "
            "or let a proxy with https stand before it."
        )
        screen.print(text, style="yellow", soft_wrap=True)
