"""The routes of the owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from yieldcast.errors import MissingDataError
from yieldcast.workspace import disclosure
from yieldcast.workspace.database import accounts, audit, state
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.disclosure import views
from yieldcast.workspace.server import who
from yieldcast.workspace.server.api import TheSite, shown
from yieldcast.workspace.server.problems import RequestError
from yieldcast.workspace.server.site import Site

router = APIRouter(prefix="/owner")
Owner = Annotated[Account, Depends(who.owner)]


class NameBody(BaseModel):
    """Name of a contributor."""

    name: str = Field(min_length=1, max_length=80, description="1 to 80 characters.")


class InvitationBody(BaseModel):
    """A new contributor."""

    name: str
    token: str = Field(description="Shown once; only its hash is stored.")


class RevocationBody(BaseModel):
    """A contributor whose access has ended."""

    name: str
    stopped: list[str] = Field(description="Identifiers of submissions that waited or ran.")


class AuditBody(BaseModel):
    """The audit log: whether its chain is whole, and its newest entries."""

    entries: int = Field(description="Number of all.")
    last: str = Field(description="Hash of the last one.")
    broken: int | None = Field(description="Sequence number of the first wrong entry.")
    reason: str = Field(description="What is wrong with it.")
    newest: list[dict[str, Any]] = Field(description="sequence, time, actor, act, subject, details, hash.")


@router.get("/summary", response_model=views.OwnerPage)
def summary(site: TheSite, owner: Owner) -> JSONResponse:
    """Income, contributors, queue, submissions, and the newest entries of the audit log."""
    with site.workspace.read() as session:
        return shown(disclosure.owner_page(session, site.workspace, owner))


@router.post("/invitations", status_code=201)
def invite(site: TheSite, owner: Owner, body: NameBody) -> InvitationBody:
    """Invite a contributor; the token in the answer is shown only here."""
    with site.workspace.write() as session:
        token = accounts.invite(session, body.name, owner.name)
    return InvitationBody(name=body.name.strip(), token=token)


@router.post("/revocations")
def revoke(site: TheSite, owner: Owner, body: NameBody) -> RevocationBody:
    """End the access of a contributor at once; what waits or runs is stopped, results stay."""
    try:
        with site.workspace.write() as session:
            stopped = accounts.revoke(session, body.name, owner.name)
    except MissingDataError as unknown:
        raise RequestError(404, str(unknown), unknown.hint) from None
    site.forget()
    return RevocationBody(name=body.name.strip(), stopped=stopped)


@router.get("/audit")
def audit_log(site: TheSite, owner: Owner, newest: Annotated[int, Query(ge=1, le=1000)] = 100) -> AuditBody:
    """Check the chain of the audit log, and show its newest entries, newest first."""
    names = ("sequence", "time", "actor", "act", "subject", "details", "hash")
    with site.workspace.read() as session:
        verdict = audit.verify(session)
        rows = audit.entries(session, newest)[::-1]
    return AuditBody(
        entries=verdict.entries, last=verdict.last, broken=verdict.broken, reason=verdict.reason,
        newest=[{name: getattr(row, name) for name in names} for row in rows],
    )  # fmt: skip


class StateBody(BaseModel):
    """What the owner has opened and ended."""

    published: bool = Field(description="Whether contributors see the leaderboard before the window ends.")
    closed: bool = Field(description="Whether no model is taken any more.")


@router.post("/publish")
def publish(site: TheSite, owner: Owner) -> StateBody:
    """Open the leaderboard to contributors now."""
    return _standing(site, owner, state.publish)


@router.post("/close")
def close(site: TheSite, owner: Owner) -> StateBody:
    """Take no model any more; the leaderboard opens."""
    return _standing(site, owner, state.close)


def _standing(site: Site, owner: Account, act: Callable[[Session, str], bool]) -> StateBody:
    with site.workspace.write() as session:
        act(session, owner.name)
        standing = StateBody(published=state.is_published(session), closed=state.is_closed(session))
    site.forget()
    return standing
