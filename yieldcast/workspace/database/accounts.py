"""Accounts: invitations, tokens, sign-ins of the page, limits on the rate of requests."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from yieldcast import clock
from yieldcast.errors import ConfigError
from yieldcast.workspace.database.models import Account

_TOKEN_BYTES = 32


def digest(secret: str) -> str:
    """What is stored of a token or cookie: its SHA-256. A random 256-bit value needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(session: Session, name: str, role: str) -> str:
    """Add an account.

    Returns:
        its token, which is stored nowhere.

    Raises:
        ConfigError: the name is taken, empty or longer than 80 characters.
    """
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise ConfigError(f"expected a name of 1 to 80 characters, received {name!r}", "Give another name.")
    if session.scalar(select(Account.id).where(Account.name == name)) is not None:
        raise ConfigError(f"the name {name!r} is taken", "Give another name; revoked names stay taken.")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(Account(name=name, role=role, token_hash=digest(token), created=clock.now()))
    session.flush()
    return token


def of_token(session: Session, token: str) -> Account | None:
    """The account of a token; None for an unknown or revoked one."""
    found = session.scalars(select(Account).where(Account.token_hash == digest(token))).first()
    if found is None or not hmac.compare_digest(found.token_hash, digest(token)):
        return None
    return None if found.revoked is not None else found
