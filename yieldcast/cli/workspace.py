"""`yieldcast workspace`: the group, and what its owner does: invite, revoke, publish, close, audit.

Each module ``workspace_*`` of this package adds its commands to the group.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import ScreenLanguageOption
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console
from yieldcast.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    from yieldcast.workspace.database.audit import Verdict
    from yieldcast.workspace.directory import Workspace

workspace = typer.Typer(name="workspace", no_args_is_help=True)

WorkspaceArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder made by yieldcast workspace create.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the contributor.")]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="PostgreSQL: postgresql://USER:PASSWORD@HOST/NAME; better by the environment variable "
        "YIELDCAST_DATABASE, which no list of processes shows. Default: what the workspace was created with.",
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_PACKAGES = ("sqlalchemy", "alembic", "fastapi", "uvicorn", "jinja2", "python_multipart")


@workspace.callback()
def root() -> None:
    """A workspace: others train and score their models on your data, and the data never leave.

    The owner creates and serves it, invites contributors and publishes the leaderboard. Contributors submit
    models and see their own results.
    """


def add_commands(app: typer.Typer) -> None:
    """Add what the owner does to the group."""
    for command in (invite, revoke, publish, close, audit):
        app.command(cls=Command)(command)


def require_packages() -> None:
    """Say how to install what a workspace needs, when it is missing.

    Raises:
        ConfigError: a package of the extra is not installed.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"a workspace needs packages that are not installed: {', '.join(missing)}",
            "Install them with: pip install 'yieldcast[workspace]'",
        )


@contextmanager
def opened(path: Path, database: str | None = None) -> Iterator[Workspace]:
    """An open workspace; that its database is upgraded is told on stderr.

    Raises:
        ConfigError: as `require_packages`, and as `Workspace.open`.
    """
    require_packages()
    from yieldcast.workspace.directory import Workspace

    screen = console(stderr=True)
    with Workspace.open(path, database, notice=screen.print) as found:
        yield found


def show(as_json: bool, content: Mapping[str, Any], *lines: str) -> None:
    """Print what was done, as JSON or as lines of text."""
    if as_json:
        typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
        return
    for line in lines:
        console().print(line, soft_wrap=True)


def invite(
    path: WorkspaceArgument,
    name: NameArgument,
    database: DatabaseOption = None,
    lang: ScreenLanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """Invite a contributor: the token is shown once and stored nowhere.

    Give it to the contributor by a safe way. Whoever holds it can submit models under this name and see their
    results. Others may see the name on the leaderboard.

    Example:

        yieldcast workspace invite WORKSPACE "Field Models Ltd"
    """
    from yieldcast import language

    words = language.of(lang)
    with opened(path, database) as found:
        from yieldcast.workspace.database import accounts

        with found.write() as session:
            token = accounts.invite(session, name)
    lines = (
        words.gettext("{name} is invited. The token, shown this once:", name=name),
        token,
        words.gettext("Contributors put it into a file, or into the variable YIELDCAST_TOKEN."),
    )
    show(as_json, {"name": name, "token": token}, *lines)


def revoke(
    path: WorkspaceArgument,
    name: NameArgument,
    database: DatabaseOption = None,
    lang: ScreenLanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """End the access of a contributor: token, sign-ins, and submissions that wait or run.

    Results that are there stay, and the name stays taken.

    Example:

        yieldcast workspace revoke WORKSPACE "Field Models Ltd"
    """
    from yieldcast import language

    words = language.of(lang)
    with opened(path, database) as found:
        from yieldcast.workspace.database import accounts

        with found.write() as session:
            stopped = accounts.revoke(session, name)
    text = words.gettext(
        "The access of {name} has ended; submissions stopped: {count}", name=name, count=len(stopped)
    )
    show(as_json, {"name": name, "stopped": stopped}, text)


def publish(
    path: WorkspaceArgument,
    database: DatabaseOption = None,
    lang: ScreenLanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """Open the leaderboard to everybody; without it, it opens when the window closes.

    It cannot be taken back: who has seen scores knows them.

    Example:

        yieldcast workspace publish WORKSPACE
    """
    from yieldcast import language

    words = language.of(lang)
    with opened(path, database) as found:
        from yieldcast.workspace.database import state

        with found.write() as session:
            new = state.publish(session)
    text = (
        words.gettext("The leaderboard is open.")
        if new
        else words.gettext("The leaderboard was open already.")
    )
    show(as_json, {"published": True, "new": new}, text)


def close(
    path: WorkspaceArgument,
    database: DatabaseOption = None,
    lang: ScreenLanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """Take no models any more, and open the leaderboard; what waits in the queue is still carried out.

    Example:

        yieldcast workspace close WORKSPACE
    """
    from yieldcast import language

    words = language.of(lang)
    with opened(path, database) as found:
        from yieldcast.workspace.database import queue, state

        with found.write() as session:
            new, waiting = state.close(session), queue.waiting(session)
    text = (
        words.gettext("The workspace is closed.")
        if new
        else words.gettext("The workspace was closed already.")
    )
    show(
        as_json, {"closed": True, "new": new, "waiting": waiting},
        text, words.gettext("Submissions that wait: {count}", count=waiting),
    )  # fmt: skip


def audit(
    path: WorkspaceArgument,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the chain of hashes alone; exit code 5 when it is broken.")
    ] = False,
    newest: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show the last N entries; default: all.")
    ] = None,
    database: DatabaseOption = None,
    lang: ScreenLanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """Show every act of owner, contributors and workers, and check that none was changed or removed.

    Each entry holds the hash of the one before. Who keeps the last hash elsewhere sees later whether entries
    were cut off at the end, which the chain alone cannot show.

    Example:

        yieldcast workspace audit WORKSPACE

        yieldcast workspace audit WORKSPACE --verify
    """
    with opened(path, database) as found:  # first: it says what is not installed
        from yieldcast.cli.views.workspace import audit_json, audit_view, verdict_view
        from yieldcast.workspace.database import audit as log

        with found.read() as session:
            verdict = log.verify(session)
            entries = [] if verify else log.entries(session, newest)
    if as_json:
        typer.echo(json.dumps(audit_json(entries, verdict), ensure_ascii=False, indent=2))
    else:
        screen = console()
        if entries:
            screen.print(audit_view(entries, lang))
        screen.print(verdict_view(verdict, lang), soft_wrap=True)
    _refuse_broken(verdict)


def _refuse_broken(verdict: Verdict) -> None:
    if verdict.broken is not None:
        raise SchemaError(
            f"the audit log is broken at entry {verdict.broken}: {verdict.reason}",
            "Somebody went round yieldcast and changed the database. Compare it with a backup.",
        )
