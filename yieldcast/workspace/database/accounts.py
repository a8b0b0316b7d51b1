"""Accounts: invitations and tokens, revocation, sign-ins of the page."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from yieldcast import clock
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.workspace.database import audit, queue
from yieldcast.workspace.database.models import Account, SignIn

SIGN_IN_HOURS = 8
_SECRET_BYTES = 32  # 256 random bits, so that a plain hash is enough
_NAME_LENGTH = 80


def digest(secret: str) -> str:
    """What is stored of a token or cookie: its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(session: Session, name: str, role: str) -> str:
    """Add an account.

    Args:
        session: of a transaction that writes.
        name: 1 to 80 printable characters; others may see it on the leaderboard.
        role: one of `models.ROLES`.

    Returns:
        its token, which is stored nowhere.

    Raises:
        ConfigError: the name is taken or not allowed.
    """
    name = name.strip()
    if not name or len(name) > _NAME_LENGTH or not name.isprintable():
        raise ConfigError(f"expected a name of 1 to 80 characters, received {name!r}", "Give another name.")
    same = (one for one in session.scalars(select(Account.name)) if one.casefold() == name.casefold())
    if (taken := next(same, None)) is not None:
        raise ConfigError(f"the name {taken!r} is taken", "Give another name; revoked names stay taken.")
    token = secrets.token_urlsafe(_SECRET_BYTES)
    session.add(Account(name=name, role=role, token_hash=digest(token), created=clock.now()))
    session.flush()
    return token


def invite(session: Session, name: str, actor: str = "owner") -> str:
    """Add a contributor; returns the token, see `add`."""
    token = add(session, name, "contributor")
    audit.write(session, actor, "invite", name.strip())
    return token


def revoke(session: Session, name: str, actor: str = "owner") -> list[str]:
    """End the access of a contributor: the token, sign-ins, and what waits or runs in the queue.

    Results that are there stay.

    Returns:
        identifiers of the submissions that were stopped.

    Raises:
        MissingDataError: no contributor of this name.
        ConfigError: it is the owner, or was revoked before.
    """
    account = session.scalars(select(Account).where(Account.name == name.strip()).with_for_update()).first()
    if account is None:
        raise MissingDataError(f"no contributor {name!r}", f"There are: {_names(session)}.")
    if account.role == "owner":
        raise ConfigError(f"{name!r} is the owner", "Only contributors can be revoked.")
    if account.revoked is not None:
        day = account.revoked.date().isoformat()
        raise ConfigError(f"{name!r} was revoked on {day} already", "Nothing is left to do.")
    account.revoked = clock.now()
    session.execute(delete(SignIn).where(SignIn.account_id == account.id))
    stopped = queue.stop_all(session, account, "the owner ended the access of this account")
    audit.write(session, actor, "revoke", account.name, {"stopped": stopped})
    return stopped


def _names(session: Session) -> str:
    query = select(Account.name).where(Account.role == "contributor", Account.revoked.is_(None))
    return ", ".join(session.scalars(query.order_by(Account.name))) or "none"


def of_token(session: Session, token: str) -> Account | None:
    """The account of a token; None for an unknown or revoked one."""
    found = session.scalars(select(Account).where(Account.token_hash == digest(token))).first()
    if found is None or not hmac.compare_digest(found.token_hash, digest(token)):
        return None
    return found if found.revoked is None else None


def sign_in(session: Session, account: Account, hours: float = SIGN_IN_HOURS) -> tuple[str, SignIn]:
    """Begin a sign-in of the page; those that are over are removed.

    Args:
        session: of a transaction that writes.
        account: not revoked.
        hours: after which it ends.

    Returns:
        the cookie, which is stored nowhere, and the row with the text that forms must carry.
    """
    now = clock.now()
    session.execute(delete(SignIn).where(SignIn.expires <= now))
    cookie = secrets.token_urlsafe(_SECRET_BYTES)
    row = SignIn(
        cookie_hash=digest(cookie), account_id=account.id, csrf=secrets.token_urlsafe(_SECRET_BYTES),
        created=now, expires=now + dt.timedelta(hours=hours),
    )  # fmt: skip
    session.add(row)
    audit.write(session, account.name, "sign-in")
    return cookie, row


def of_cookie(session: Session, cookie: str) -> SignIn | None:
    """The sign-in of a cookie with its account; None when unknown, over or of a revoked account."""
    found = session.get(SignIn, digest(cookie), options=[joinedload(SignIn.account)])
    if found is None or found.expires <= clock.now() or found.account.revoked is not None:
        return None
    return found


def sign_out(session: Session, cookie: str) -> None:
    """End the sign-in of a cookie, if there is one."""
    session.execute(delete(SignIn).where(SignIn.cookie_hash == digest(cookie)))
