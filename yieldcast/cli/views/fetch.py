"""What a terminal shows of a fetch: the plan of a dry run, and the report of a finished fetch."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from data_fetchers.fetching.doctor import Finding
    from data_fetchers.fetching.fetch import FetchReport
    from data_fetchers.fetching.live import LiveRequest
    from data_fetchers.fetching.order import FetchOrder


_SHOWN_REQUESTS = 3
_SHOWN_ITEMS = 12
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def show_plan(order: FetchOrder, store: Path, today: dt.date, screen: Console) -> None:
    """Print what a fetch would ask for: number and size of requests, and the first ones of each table.

    Args:
        order: tables, years, places and sources.
        store: folder of the store.
        today: decides which months and years are published.
        screen: where to print.
    """
    from data_fetchers.fetching.download_sizes import Estimates
    from data_fetchers.fetching.fetch import leaves, plan, still_to_fetch
    from data_fetchers.fetching.order import FetchContext

    context = FetchContext(order, store, today)
    plans, later = plan(order, store, today)
    table = Table(
        "table", "source", "requests", "cached", "to fetch", "about MB", title="dry run: nothing is fetched"
    )
    for column in table.columns[2:]:
        column.justify = "right"
    sizes, to_fetch = Estimates(context.folder), [still_to_fetch(planned, context) for planned in plans]
    for planned, left in zip(plans, to_fetch, strict=True):
        size = sum(sizes.of(request) for request in left)
        count = len(leaves(planned, context))
        cells = (count, count - len(left), len(left))
        table.add_row(planned.table, planned.source.name, *(f"{n:,}" for n in cells), f"{size / 1e6:,.1f}")
    for target, text in later.items():
        table.add_row(target, "", "", "", "", text)
    screen.print(table)
    for planned, left in zip(plans, to_fetch, strict=True):
        for request in left[:_SHOWN_REQUESTS]:
            shown = json.dumps(_shortened(dict(request.parameters)), ensure_ascii=False)
            screen.print(f"{request.source}: {shown}", soft_wrap=True)
        if len(left) > _SHOWN_REQUESTS:
            screen.print(f"{planned.source.name}: ... and {len(left) - _SHOWN_REQUESTS:,} more like these")
        for note in planned.notes:
            screen.print(f"{note.table}: {note.text} ({note.count:,})")
    if later:
        screen.print(f"exact numbers follow once the places are fetched: {', '.join(later)}")


def _shortened(value: Any) -> Any:
    """A request with long lists cut to their first items and their length."""
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)) and len(value) > _SHOWN_ITEMS:
        return [*value[:_SHOWN_REQUESTS], f"... {len(value)} in all"]
    return value


def show_report(report: FetchReport, store: Path, screen: Console) -> None:
    """Print what a fetch did: requests by table, notes, what is missing and why, what was written.

    Args:
        report: result of `data_fetchers.fetching.fetch.fetch`.
        store: folder of the store.
        screen: where to print.
    """
    table = Table("table", "requests", "cached", "fetched", "MB", "revised", "missing", title="fetch")
    for column in table.columns[1:]:
        column.justify = "right"
    for s in report.summaries:
        cells = (s.total, s.kept, s.fetched)
        numbers = [f"{n:,}" for n in cells]
        table.add_row(
            s.name, *numbers, f"{s.bytes / 1e6:,.1f}", f"{len(s.revised):,}", f"{len(s.missing):,}"
        )  # fmt: skip
    screen.print(table)
    for note in report.notes:
        style = "yellow" if note.missing else ""
        screen.print(Text(f"{note.table}: {note.text} ({note.count:,})", style=style))
    reasons: dict[str, list[str]] = {}
    for name, error in report.missing:
        reasons.setdefault(str(error), []).append(name)
    for reason, names in reasons.items():
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        screen.print(Text(f"missing {names[0]}{more}: {reason}", style="red"))
    if report.missing:
        screen.print(f"every request with its reason: {store / 'parts' / 'manifest.jsonl'}")
    for target in report.unwritten:
        text = f"{target}: not written, answers are missing (--partial writes what has arrived)"
        screen.print(Text(text, style="red"))
    for target, error in report.errors:
        screen.print(Text(f"{target}: not written: {error}", style="red"))
    if report.written:
        screen.print(
            f"written to {store}: {', '.join(report.written)}; next: yieldcast status --store {store}"
        )


def show_findings(findings: Sequence[Finding], screen: Console) -> None:
    """Print the checks of `doctor` as a table, and below it each thing to do once, with its checks.

    Args:
        findings: one per check.
        screen: where to print.
    """
    table = Table("what", "", "found")
    table.columns[2].overflow = "fold"
    for finding in findings:
        table.add_row(finding.what, Text(finding.state, style=_COLOURS[finding.state]), Text(finding.text))
    screen.print(table)
    _show_hints(findings, screen)


def show_live(answers: Iterable[tuple[LiveRequest, Finding]], screen: Console) -> list[Finding]:
    """Print each request of `doctor --live` as a command line, what its answer must have, and the finding.

    Args:
        answers: from `data_fetchers.fetching.live.confirm_all`; shown as they come.
        screen: where to print.
    """
    findings = []
    for request, finding in answers:
        screen.print(Text(request.what, style="bold"))
        screen.print(Text(request.command), soft_wrap=True)  # one line, to be copied
        screen.print(Text(f"compare: {request.expected}"))
        said = "as expected" if finding.state == "ok" else finding.text
        screen.print(Text(f"{finding.state}: {said}", style=_COLOURS[finding.state]))
        screen.print()
        findings.append(finding)
    _show_hints(findings, screen)
    return findings


def _show_hints(findings: Sequence[Finding], screen: Console) -> None:
    hints: dict[str, list[str]] = {}
    for finding in findings:
        if finding.todo:
            hints.setdefault(finding.todo, []).append(finding.what)
    for hint, checks in hints.items():
        screen.print(Text(f"{', '.join(checks)}: {hint}"))
