"""The confinement that workers started with, as the audit log keeps it for the owner's page."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import AuditEntry
from yieldcast.workspace.sandbox.confinement import RULES, Confinement

ACT = "start"


@dataclass(frozen=True)
class Started:
    """How the jobs of a worker are confined.

    Args:
        worker: its name.
        time: of its start, ISO 8601 in UTC.
        walls: what they are made of.
        held: rules of `confinement.RULES` that are enforced.
        open: rules that are not.
    """

    worker: str
    time: str
    walls: tuple[str, ...]
    held: tuple[str, ...]
    open: tuple[str, ...]


def note_start(session: Session, worker: str, confinement: Confinement) -> None:
    """Note how the jobs of a worker are confined.

    Args:
        session: of a transaction that writes.
        worker: its name.
        confinement: as it was probed.
    """
    got_through = [name for name in RULES if not confinement.held.get(name)]
    details = {"walls": confinement.means(), "not_enforced": got_through, "trusted": confinement.trusted}
    audit.write(session, worker, ACT, "", details)


def last_start(session: Session) -> Started | None:
    """The newest start of a worker; None before the first one."""
    query = select(AuditEntry).where(AuditEntry.act == ACT).order_by(AuditEntry.sequence.desc()).limit(1)
    entry = session.scalars(query).first()
    if entry is None:
        return None
    got_through = set(entry.details["not_enforced"])
    return Started(
        entry.actor, entry.time, tuple(entry.details["walls"]),
        tuple(rule for name, rule in RULES.items() if name not in got_through),
        tuple(rule for name, rule in RULES.items() if name in got_through),
    )  # fmt: skip
