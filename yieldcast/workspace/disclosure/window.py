"""Whether models are taken now, and who may see the leaderboard."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from yieldcast import clock
from yieldcast.errors import ConfigError
from yieldcast.workspace.database import state
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.disclosure.views import Window

OWNER = "owner"


class NotAllowedError(ConfigError):
    """The viewer may not see this."""


def window_of(session: Session, workspace: Workspace) -> Window:
    """Whether models are taken now."""
    if state.is_closed(session):
        return "closed"
    return workspace.settings.rules.window(clock.today())


def is_public(session: Session, workspace: Workspace) -> bool:
    """Whether contributors may see the leaderboard: it is published, or the window is over."""
    return state.is_published(session) or window_of(session, workspace) in ("over", "closed")


def is_owner(viewer: Account | None) -> bool:
    """Whether it is the owner who looks."""
    return viewer is not None and viewer.role == OWNER


def owner_of(session: Session) -> Account:
    """The owner's account, for commands on the owner's machine."""
    return session.scalars(select(Account).where(Account.role == OWNER).order_by(Account.id).limit(1)).one()


def check_owner(viewer: Account | None) -> None:
    """Raise NotAllowedError unless it is the owner who looks."""
    if not is_owner(viewer):
        raise NotAllowedError("only the owner of the workspace may see this", "Sign in as the owner.")
