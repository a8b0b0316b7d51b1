"""What holds for the whole workspace: its task and settings, and whether it is published or closed."""

from __future__ import annotations

from sqlalchemy.orm import Session

from yieldcast.workspace.database.models import State

# The keys. The fingerprint of data/task.json ties a database to its folder.
TASK, SETTINGS, PUBLISHED, CLOSED = "task", "settings", "published", "closed"


def get(session: Session, key: str) -> str | None:
    """The value of a key, or None."""
    row = session.get(State, key)
    return None if row is None else row.value


def put(session: Session, key: str, value: str) -> None:
    """Set the value of a key."""
    session.merge(State(key=key, value=value))


def is_published(session: Session) -> bool:
    """Whether the owner has published the leaderboard."""
    return get(session, PUBLISHED) is not None


def is_closed(session: Session) -> bool:
    """Whether the owner has closed the workspace: no model is taken any more."""
    return get(session, CLOSED) is not None
