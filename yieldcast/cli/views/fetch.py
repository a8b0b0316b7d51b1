"""What a terminal shows of a fetch: the plan of a dry run, and the report of a finished fetch."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.language import message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from data_fetchers.fetching.doctor import Finding
    from data_fetchers.fetching.fetch import FetchReport
    from data_fetchers.fetching.live import LiveRequest
    from data_fetchers.fetching.order import FetchOrder
    from yieldcast.language import Language


_SHOWN_REQUESTS = 3
_SHOWN_ITEMS = 12
_STATES = {"ok": message("ok"), "warning": message("warning"), "failed": message("failed")}
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def show_plan(order: FetchOrder, store: Path, today: dt.date, screen: Console, lang: str = "en") -> None:
    """Print what a fetch would ask for: number and size of requests, and the first ones of each table.

    Args:
        order: tables, years, places and sources.
        store: folder of the store.
        today: decides which months and years are published.
        screen: where to print.
        lang: language.
    """
    from data_fetchers.fetching.download_sizes import Estimates
    from data_fetchers.fetching.fetch import leaves, plan, still_to_fetch
    from data_fetchers.fetching.order import FetchContext

    words, context = language.of(lang), FetchContext(order, store, today)
    plans, later = plan(order, store, today)
    heads = (
        words.gettext("table"), words.gettext("source"), words.gettext("requests"), words.gettext("cached"),
        words.gettext("to fetch"), words.gettext("about MB"),
    )  # fmt: skip
    table = Table(*heads, title=words.gettext("dry run: nothing is fetched"))
    for column in table.columns[2:]:
        column.justify = "right"
    sizes, to_fetch = Estimates(context.folder), [still_to_fetch(planned, context) for planned in plans]
    for planned, left in zip(plans, to_fetch, strict=True):
        size = sum(sizes.of(request) for request in left)
        count = len(leaves(planned, context))
        cells = (count, count - len(left), len(left))
        table.add_row(
            planned.table, planned.source.name, *map(words.number, cells), words.number(size / 1e6, 1)
        )
    for target, text in later.items():
        table.add_row(target, "", "", "", "", text)
    screen.print(table)
    for planned, left in zip(plans, to_fetch, strict=True):
        for request in left[:_SHOWN_REQUESTS]:
            shown = json.dumps(_shortened(dict(request.parameters)), ensure_ascii=False)
            screen.print(f"{request.source}: {shown}", soft_wrap=True)
        if len(left) > _SHOWN_REQUESTS:
            more = message("{source}: ... and {n} more like these")
            n = words.number(len(left) - _SHOWN_REQUESTS)
            screen.print(words.gettext(more, source=planned.source.name, n=n))
        for note in planned.notes:
            screen.print(f"{note.table}: {words.said(note.text)} ({words.number(note.count)})")
    if later:
        text = message("exact numbers follow once the places are fetched: {tables}")
        screen.print(words.gettext(text, tables=", ".join(later)))


def _shortened(value: Any) -> Any:
    """A request with long lists cut to their first items and their length."""
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)) and len(value) > _SHOWN_ITEMS:
        return [*value[:_SHOWN_REQUESTS], f"... {len(value)} in all"]
    return value


def show_report(report: FetchReport, store: Path, screen: Console, lang: str = "en") -> None:
    """Print what a fetch did: requests by table, notes, what is missing and why, what was written.

    Args:
        report: result of `data_fetchers.fetching.fetch.fetch`.
        store: folder of the store.
        screen: where to print.
        lang: language; the reasons of what is missing are English.
    """
    words = language.of(lang)
    heads = (
        words.gettext("table"), words.gettext("requests"), words.gettext("cached"), words.gettext("fetched"),
        "MB", words.gettext("revised"), words.gettext("missing"),
    )  # fmt: skip
    table = Table(*heads, title=words.gettext("fetch"))
    for column in table.columns[1:]:
        column.justify = "right"
    for s in report.summaries:
        counts = map(words.number, (s.total, s.kept, s.fetched))
        changed = map(words.number, (len(s.revised), len(s.missing)))
        table.add_row(s.name, *counts, words.number(s.bytes / 1e6, 1), *changed)
    screen.print(table)
    for note in report.notes:
        style = "yellow" if note.missing else ""
        screen.print(Text(f"{note.table}: {words.said(note.text)} ({words.number(note.count)})", style=style))
    _show_missing(report, store, screen, words)
    if report.written:
        text = message("written to {store}: {tables}; next: {command}")
        command = f"yieldcast status --store {store}"
        screen.print(words.gettext(text, store=store, tables=", ".join(report.written), command=command))


def _show_missing(report: FetchReport, store: Path, screen: Console, words: Language) -> None:
    """Print each reason once, with its requests; then the tables that were not written."""
    reasons: dict[str, list[str]] = {}
    for name, error in report.missing:
        reasons.setdefault(str(error), []).append(name)
    for reason, names in reasons.items():
        text = message("missing {name}: {reason}")
        if len(names) > 1:
            text = message("missing {name} and {n} more: {reason}")
        said = words.gettext(text, name=names[0], n=words.number(len(names) - 1), reason=reason)
        screen.print(Text(said, style="red"))
    if report.missing:
        path = store / "parts" / "manifest.jsonl"
        screen.print(words.gettext("every request with its reason: {path}", path=path))
    for target in report.unwritten:
        text = message("{table}: not written, answers are missing (--partial writes what has arrived)")
        screen.print(Text(words.gettext(text, table=target), style="red"))
    for target, error in report.errors:
        said = words.gettext("{table}: not written: {reason}", table=target, reason=error)
        screen.print(Text(said, style="red"))


def show_findings(findings: Sequence[Finding], screen: Console, lang: str = "en") -> None:
    """Print the checks of `doctor` as a table, and below it each thing to do once, with its checks.

    Args:
        findings: one per check.
        screen: where to print.
        lang: language of headings, states, and of findings that were not sent by a service.
    """
    words = language.of(lang)
    table = Table(words.gettext("what"), "", words.gettext("found"))
    table.columns[2].overflow = "fold"
    for finding in findings:
        said = Text(words.said(finding.text))
        table.add_row(words.said(finding.what), _state(finding, words), said)
    screen.print(table)
    _show_hints(findings, screen, words)


def _state(finding: Finding, words: Language, after: str = "") -> Text:
    return Text(words.gettext(_STATES[finding.state]) + after, style=_COLOURS[finding.state])


def show_live(
    answers: Iterable[tuple[LiveRequest, Finding]], screen: Console, lang: str = "en"
) -> list[Finding]:
    """Print each request of `doctor --live` as a command line, what its answer must have, and the finding.

    Args:
        answers: from `data_fetchers.fetching.live.confirm_all`; shown as they come.
        screen: where to print.
        lang: language; what an answer must have is English.
    """
    words, findings = language.of(lang), []
    for request, finding in answers:
        screen.print(Text(request.what, style="bold"))
        screen.print(Text(request.command), soft_wrap=True)  # one line, to be copied
        screen.print(Text(words.gettext("compare: {expected}", expected=request.expected)))
        said = words.gettext("as expected") if finding.state == "ok" else words.said(finding.text)
        screen.print(_state(finding, words, f": {said}"))
        screen.print()
        findings.append(finding)
    _show_hints(findings, screen, words)
    return findings


def _show_hints(findings: Sequence[Finding], screen: Console, words: Language) -> None:
    hints: dict[str, list[str]] = {}
    for finding in findings:
        if finding.todo:
            hints.setdefault(words.said(finding.todo), []).append(words.said(finding.what))
    for hint, checks in hints.items():
        screen.print(Text(f"{', '.join(checks)}: {hint}"))
