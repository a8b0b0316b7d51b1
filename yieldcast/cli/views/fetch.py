"""What readers see of a fetch: the plan of a dry run, and what became of one."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from data_fetchers.fetching.fetch import FetchReport
    from data_fetchers.fetching.order import FetchOrder


_SHOWN_REQUESTS = 3
_SHOWN_ITEMS = 12


def show_plan(order: FetchOrder, store: Path, today: dt.date, screen: Console) -> None:
    """What a fetch would ask for: counts, sizes, the first requests of each target; nothing is fetched.

    Args:
        order: what is asked.
        store: the folder.
        today: decides what is published.
        screen: where to draw.
    """
    from data_fetchers.fetching.download_sizes import Estimates
    from data_fetchers.fetching.fetch import leaves, plan, still_to_fetch
    from data_fetchers.fetching.order import FetchContext

    context = FetchContext(order, store, today)
    plans, later = plan(order, store, today)
    table = Table(
        "target", "source", "parts", "here", "to fetch", "about MB", title="dry run: nothing is fetched"
    )
    for column in table.columns[2:]:
        column.justify = "right"
    sizes, to_fetch = Estimates(context.folder), [still_to_fetch(planned, context) for planned in plans]
    for planned, left in zip(plans, to_fetch, strict=True):
        size = sum(sizes.of(part) for part in left)
        count = len(leaves(planned, context))
        cells = (count, count - len(left), len(left))
        table.add_row(planned.target, planned.source.name, *(f"{n:,}" for n in cells), f"{size / 1e6:,.1f}")
    for target, text in later.items():
        table.add_row(target, "", "", "", "", text)
    screen.print(table)
    for planned, left in zip(plans, to_fetch, strict=True):
        for part in left[:_SHOWN_REQUESTS]:
            shown = json.dumps(_shortened(dict(part.request)), ensure_ascii=False)
            screen.print(f"{part.source}: {shown}", soft_wrap=True)
        if len(left) > _SHOWN_REQUESTS:
            screen.print(f"{planned.source.name}: ... and {len(left) - _SHOWN_REQUESTS:,} more like these")
        for note in planned.notes:
            screen.print(f"{note.table}: {note.text} ({note.count:,})")
    if later:
        screen.print(f"not known exactly until the places are here: {', '.join(later)}")


def _shortened(value: Any) -> Any:
    """A request as a reader can take it in: of long lists the beginning and the length."""
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)) and len(value) > _SHOWN_ITEMS:
        return [*value[:_SHOWN_REQUESTS], f"... {len(value)} in all"]
    return value


def show_report(report: FetchReport, store: Path, screen: Console) -> None:
    """What a fetch did: parts by target, notes, what is missing and why, what was written.

    Args:
        report: of `data_fetchers.fetching.fetch.fetch`.
        store: the folder.
        screen: where to draw.
    """
    table = Table("target", "parts", "here before", "fetched", "MB", "revised", "missing", title="fetch")
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
        screen.print(f"every part with its reason: {store / 'parts' / 'manifest.jsonl'}")
    for target in report.unwritten:
        text = f"{target}: not written, parts are missing (--partial writes what is there)"
        screen.print(Text(text, style="red"))
    for target, error in report.errors:
        screen.print(Text(f"{target}: not written: {error}", style="red"))
    if report.written:
        screen.print(
            f"written to {store}: {', '.join(report.written)}; next: yieldcast status --store {store}"
        )
