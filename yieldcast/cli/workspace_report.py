"""`yieldcast workspace report`: leaderboard, costs, invoices, looks and audit log of a workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import LanguageOption
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console
from yieldcast.cli.workspace import DatabaseOption, JsonFlag, WorkspaceArgument, opened

if TYPE_CHECKING:
    from yieldcast.cli.views.workspace_report import Report
    from yieldcast.language import Language


def add_commands(app: typer.Typer) -> None:
    """Add `report` to the group `workspace`."""
    app.command(cls=Command)(report)


def report(
    path: WorkspaceArgument,
    database: DatabaseOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also write leaderboard, invoices, costs, looks and audit as CSV and XLSX, and report.json.",
        ),
    ] = None,
    as_json: JsonFlag = False,
    lang: LanguageOption = "en",
) -> None:
    """Show the leaderboard, annual costs, invoices, looks at the holdout and the audit log, for the owner.

    Scores are those that contributors see: rounded, after the Ladder, with 95 % intervals. A winner is named
    only where paired tests find a difference to every other model. Costs have the range that the interval of
    the accuracy gives.

    Example:

        yieldcast workspace report WORKSPACE

        yieldcast workspace report WORKSPACE --out REPORT --lang pt-BR
    """
    from yieldcast import language
    from yieldcast.data.files import check_writable

    words, screen = language.of(lang), console()
    if out is not None:
        check_writable(out)
    found = read_report(path, database)
    text = json.dumps(_as_json(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    written = _write(out, found, text, words) if out is not None else []
    if as_json:
        screen.print(text, end="", soft_wrap=True)
        return
    from yieldcast.cli.views.workspace_report import report_view

    screen.print(report_view(found, words))
    for file in written:
        screen.print(words.gettext("written: {path}", path=file))


def read_report(path: Path, database: str | None) -> Report:
    """Everything that the report shows, in one transaction."""
    with opened(path, database) as found, found.read() as session:
        from yieldcast.cli.views.workspace_report import Report
        from yieldcast.workspace import disclosure
        from yieldcast.workspace.database import audit

        owner = disclosure.owner_of(session)
        return Report(
            disclosure.overview(session, found, owner),
            disclosure.leaderboard(session, found, owner),
            disclosure.owner_page(session, found, owner),
            disclosure.audit_rows(session, owner),
            disclosure.data_page(session, found, owner).rare_ties,
            audit.verify(session),
        )


def _as_json(found: Report) -> dict[str, Any]:
    from yieldcast.workspace.disclosure import to_json

    owner = to_json(found.owner)
    verdict = {"whole": found.verdict.broken is None, **to_json(found.verdict)}
    return {
        "overview": to_json(found.overview), "leaderboard": to_json(found.leaderboard), "owner": owner,
        "rare_ties": list(found.rare_ties), "audit": verdict,
    }  # fmt: skip


def _write(out: Path, found: Report, text: str, words: Language) -> list[Path]:
    """The files of ``--out``; all are made before the first is written."""
    from yieldcast.cli.views.workspace_report import report_columns
    from yieldcast.data.files import atomic_write, make_folder
    from yieldcast.workspace.server.sheets import csv_file, xlsx_file

    contents, title = {"report.json": text.encode()}, found.overview.title
    for name, columns in report_columns(found, words).items():
        contents[f"{name}.csv"] = csv_file(columns, words)
        contents[f"{name}.xlsx"] = xlsx_file(columns, name, title, words)
    make_folder(out)
    for name, content in contents.items():
        atomic_write(out / name, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
    return [out / name for name in contents]
