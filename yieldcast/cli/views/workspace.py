"""The audit log of a workspace for a terminal."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.language import message
from yieldcast.workspace.database.audit import Verdict
from yieldcast.workspace.database.models import AuditEntry

_COLUMNS = (message("time (UTC)"), message("who"), message("act"), message("on what"), message("details"))


def audit_view(entries: Sequence[AuditEntry], lang: str = "en") -> Table:
    """One row for each entry, oldest first; acts and details are shown as they were written.

    Args:
        entries: of `audit.entries`.
        lang: language of the heads.
    """
    words = language.of(lang)
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    for column in _COLUMNS:
        table.add_column(words.gettext(column), overflow="fold")
    for entry in entries:
        time = dt.datetime.fromisoformat(entry.time).strftime("%Y-%m-%d %H:%M:%S")
        details = json.dumps(entry.details, ensure_ascii=False, sort_keys=True) if entry.details else ""
        cells = (str(entry.sequence), time, entry.actor, entry.act, entry.subject, details)
        table.add_row(*map(_plain, cells))
    return table


def verdict_view(verdict: Verdict, lang: str = "en") -> Text:
    """Whether the log is whole, and the last hash, in one line."""
    words = language.of(lang)
    if verdict.broken is not None:
        text = words.gettext(
            "the audit log is broken at entry {entry}; entries before it are whole", entry=verdict.broken
        )
        return Text(text, style="bold red")
    text = words.gettext(
        "the audit log is whole: {count} entries, last hash {hash}", count=verdict.entries, hash=verdict.last
    )
    return Text(text, style="bold green")


def audit_json(entries: Sequence[AuditEntry], verdict: Verdict) -> dict[str, Any]:
    """Verdict and entries for other programs."""
    names = ("sequence", "time", "actor", "act", "subject", "details", "previous", "hash")
    return {
        "whole": verdict.broken is None,
        "entries": verdict.entries,
        "last_hash": verdict.last,
        "broken": verdict.broken,
        "reason": verdict.reason,
        "log": [{name: getattr(entry, name) for name in names} for entry in entries],
    }


def _plain(text: str) -> Text:
    """Text without control characters: names come from others."""
    return Text("".join(c if c.isprintable() else "�" for c in text))
