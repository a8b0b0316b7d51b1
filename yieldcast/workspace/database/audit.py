"""The audit log: every act, in a chain of hashes that shows whether an entry was changed, removed or added.

The hash of an entry covers its place in the sequence, time, actor, act, subject and details, and the hash of
the entry before. The database refuses to change or remove entries; who goes round that breaks the chain.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from yieldcast import clock
from yieldcast.workspace.database.models import AuditEntry

START = "0" * 64  # what the first entry has for the hash of the one before
_LOCK = 0x7969656C6463  # of PostgreSQL: one writer of the chain at a time


@dataclass(frozen=True)
class Verdict:
    """Whether the audit log is whole.

    Args:
        entries: their number.
        last: hash of the last one: who keeps it outside sees later whether the end was cut off.
        broken: sequence number of the first wrong entry, or None.
        reason: what is wrong with it.
    """

    entries: int
    last: str
    broken: int | None = None
    reason: str = ""


def write(
    session: Session, actor: str, act: str, subject: str = "", details: dict[str, Any] | None = None
) -> AuditEntry:
    """Add an act; it is kept with the transaction of what was done.

    Args:
        session: of a transaction that writes.
        actor: name of the account or worker.
        act: one word, such as invite.
        subject: what was acted on: a name, the identifier of a submission.
        details: what else there is to know; never data of the owner, tokens or scores.
    """
    session.flush()  # rows are locked before the chain, always in this order: no deadlock
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    before = session.scalars(select(AuditEntry).order_by(AuditEntry.sequence.desc()).limit(1)).first()
    entry = AuditEntry(
        sequence=before.sequence + 1 if before else 1,
        time=clock.now().astimezone(dt.UTC).isoformat(timespec="microseconds"),
        actor=actor, act=act, subject=subject, details=details or {},
        previous=before.hash if before else START,
    )  # fmt: skip
    entry.hash = hash_of(entry)
    session.add(entry)
    session.flush()
    return entry


def hash_of(entry: AuditEntry) -> str:
    """SHA-256 of an entry's canonical JSON: sorted keys, no blanks, ASCII."""
    names = ("sequence", "time", "actor", "act", "subject", "details", "previous")
    content = {name: getattr(entry, name) for name in names}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(session: Session) -> Verdict:
    """Read the whole log and check the chain; the first wrong entry is reported."""
    previous, at = START, 0
    for entry in session.scalars(
        select(AuditEntry).order_by(AuditEntry.sequence).execution_options(yield_per=500)
    ):
        at += 1
        if reason := _fault(entry, at, previous):
            total = session.scalar(select(func.count()).select_from(AuditEntry)) or 0
            return Verdict(total, previous, entry.sequence, reason)
        previous = entry.hash
    return Verdict(at, previous)


def _fault(entry: AuditEntry, expected: int, previous: str) -> str:
    """What is wrong with an entry, or nothing."""
    if entry.sequence != expected:
        return f"expected entry {expected}, found {entry.sequence}: entries were removed or moved"
    if entry.previous != previous:
        return "it does not follow the entry before: one was changed, added or moved"
    return "" if entry.hash == hash_of(entry) else "its contents are not those that were hashed"


def entries(session: Session, newest: int | None = None) -> list[AuditEntry]:
    """Entries in their order; `newest` limits them to the last ones."""
    query = select(AuditEntry).order_by(AuditEntry.sequence.desc()).limit(newest)
    return list(session.scalars(query))[::-1]
