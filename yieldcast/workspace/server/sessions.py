"""Sessions of people who signed in on a page: a random cookie, stored as its hash, with an end.

A session of a revoked account is none, from the moment of the revocation.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from yieldcast import clock
from yieldcast.workspace.database.accounts import digest
from yieldcast.workspace.database.models import Account, SignIn

LIFETIME = dt.timedelta(hours=8)
_PER_ACCOUNT = 20  # sessions kept; a person has a few browsers


@dataclass(frozen=True)
class PageSession:
    """Somebody who signed in on a page.

    Args:
        account: who it is.
        csrf: text that every form of this session carries.
    """

    account: Account
    csrf: str


def begin(session: Session, account: Account) -> str:
    """Begin a session, and remove what has ended; of an account only the newest are kept.

    Args:
        session: of a transaction that writes.
        account: who signed in.

    Returns:
        the value of the cookie, which is stored nowhere.
    """
    now, cookie = clock.now(), secrets.token_urlsafe(32)
    session.execute(delete(SignIn).where(SignIn.expires <= now))
    own = select(SignIn).where(SignIn.account_id == account.id).order_by(SignIn.created.desc())
    for old in session.scalars(own.offset(_PER_ACCOUNT - 1)).all():
        session.delete(old)
    session.add(
        SignIn(
            cookie_hash=digest(cookie), account_id=account.id, csrf=secrets.token_urlsafe(32),
            created=now, expires=now + LIFETIME,
        )
    )  # fmt: skip
    return cookie


def find(session: Session, cookie: str | None) -> PageSession | None:
    """The session of a cookie; None when there is none, it has ended or its account was revoked."""
    row = session.get(SignIn, digest(cookie)) if cookie else None
    if row is None or row.expires <= clock.now():
        return None
    account = session.get(Account, row.account_id)
    return None if account is None or account.revoked is not None else PageSession(account, row.csrf)


def end(session: Session, cookie: str | None) -> None:
    """End the session of a cookie, if there is one."""
    if cookie:
        session.execute(delete(SignIn).where(SignIn.cookie_hash == digest(cookie)))
