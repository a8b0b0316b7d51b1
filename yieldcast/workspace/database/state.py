"""What holds for the whole workspace: its task and settings, and whether it is published or closed."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.orm import Session

from yieldcast import clock
from yieldcast.errors import ConfigError
from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import State
from yieldcast.workspace.settings import FILE, WorkspaceSettings

# The keys. The fingerprint of data/task.json ties a database to its folder; the settings are JSON; the last
# two hold the time.
TASK, SETTINGS, PUBLISHED, CLOSED = "task", "settings", "published", "closed"
_FIXED = {"rules.rare_classes", "rules.smallest_cell"}  # settings that are in data/task.json and public.json


def get(session: Session, key: str) -> str | None:
    """The value of a key, or None."""
    row = session.get(State, key)
    return None if row is None else row.value


def put(session: Session, key: str, value: str) -> None:
    """Set the value of a key."""
    session.merge(State(key=key, value=value))


def publish(session: Session, actor: str = "owner") -> bool:
    """Open the leaderboard to contributors; False when that was done before."""
    return _once(session, PUBLISHED, actor, "publish")


def close(session: Session, actor: str = "owner") -> bool:
    """Take no model any more; what waits is still carried out. False when that was done before."""
    return _once(session, CLOSED, actor, "close")


def is_published(session: Session) -> bool:
    """Whether the owner has published the leaderboard."""
    return get(session, PUBLISHED) is not None


def is_closed(session: Session) -> bool:
    """Whether the owner has closed the workspace."""
    return get(session, CLOSED) is not None


def note_settings(session: Session, settings: WorkspaceSettings) -> None:
    """Store changed settings; the audit log says which keys were changed, from what to what.

    Raises:
        ConfigError: a key was changed that the data of the workspace were made with.
    """
    stored, now = get(session, SETTINGS), settings.model_dump_json()
    if stored == now:
        return
    before, after = _flat(json.loads(stored or "{}")), _flat(json.loads(now))
    changed = {
        key: [before.get(key), after.get(key)]
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    }
    for key in sorted(_FIXED.intersection(changed)):
        raise ConfigError(
            f"{FILE}: {key}: expected {before[key]}, with which the data were made, received {after[key]}",
            "Put it back, or create the workspace again.",
        )
    audit.write(session, "owner", "settings", settings.title, {"changed": changed})
    put(session, SETTINGS, now)


def _once(session: Session, key: str, actor: str, act: str) -> bool:
    if get(session, key) is not None:
        return False
    put(session, key, clock.now().isoformat(timespec="seconds"))
    audit.write(session, actor, act)
    return True


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
