"""`Site`: what all routes of a server share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.server.limits import RateLimit
from yieldcast.workspace.server.problems import too_often
from yieldcast.workspace.server.recent import Recent

if TYPE_CHECKING:
    from yieldcast.workspace.directory import Workspace

_Value = TypeVar("_Value")


class Site:
    """What the routes share.

    Args:
        workspace: open.
        requests_per_minute: of an account, or of an address without one.
        failures: sign-ins with a wrong token per address in five minutes; then the address waits.
        fresh_s: seconds for which an answer that is slow to make is kept for the same viewer.
    """

    def __init__(
        self,
        workspace: Workspace,
        requests_per_minute: int = 600,
        failures: int = 10,
        fresh_s: float = 2.0,
    ) -> None:
        self.workspace = workspace
        self.requests = RateLimit(requests_per_minute, 60.0)
        self.failures = RateLimit(failures, 300.0)
        self.noted_failures = RateLimit(100, 3600.0, keys=1)  # the log cannot be filled from outside
        self.looks = RateLimit(1, 600.0)
        self.uploads = UploadGate()
        self._recent: Recent[Any] = Recent(fresh_s)

    def recent(self, viewer: Account | None, what: Hashable, make: Callable[[], _Value]) -> _Value:
        """A slow answer, kept for a moment for this viewer and never shown to another.

        Args:
            viewer: who asks.
            what: name of the answer, and what it depends on.
            make: makes it anew.
        """
        made: _Value = self._recent.get((viewer.id if viewer else None, what), make)
        return made

    def forget(self) -> None:
        """Make slow answers anew: after the owner published, closed or revoked something."""
        self._recent.clear()

    def look(self, viewer: Account, subject: str) -> None:
        """Note in the audit log that somebody looked at results, at most once in ten minutes each."""
        if self.looks.take(f"{viewer.id} {subject}") == 0:
            with self.workspace.write() as session:
                audit.write(session, viewer.name, "look", subject)


class UploadGate:
    """Lets a few uploads in at a time, and one of an account, so that they cannot fill the disk.

    Args:
        most: uploads at the same time.
    """

    def __init__(self, most: int = 8) -> None:
        self._most, self._accounts, self._lock = most, set[int](), threading.Lock()

    def enter(self, account: int) -> None:
        """Begin an upload.

        Raises:
            RequestError: 429, another one of this account is under way, or too many are.
        """
        with self._lock:
            if account in self._accounts or len(self._accounts) >= self._most:
                raise too_often("uploads at the same time", 5.0)
            self._accounts.add(account)

    def leave(self, account: int) -> None:
        """End an upload."""
        with self._lock:
            self._accounts.discard(account)


def site_of(request: Request) -> Site:
    """What the routes of the server of a request share."""
    site: Site = request.app.state.site
    return site
