"""The owner's page, and invoices."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from yieldcast.workspace.database import audit, state
from yieldcast.workspace.database.models import ENDS, Account, AuditEntry, Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.disclosure import usage
from yieldcast.workspace.disclosure.board import contributors
from yieldcast.workspace.disclosure.results import Truth, place_of, truth_of
from yieldcast.workspace.disclosure.submissions import minute, rows_of
from yieldcast.workspace.disclosure.views import AuditRow, ContributorRow, OwnerPage
from yieldcast.workspace.disclosure.window import NotAllowedError, check_owner, is_owner, window_of
from yieldcast.workspace.scoring.invoices import Charge, Invoice, money
from yieldcast.workspace.scoring.invoices import invoices as invoices_of

_NEWEST = 200  # entries of the audit log on the page
# A revocation stops what waits and runs, in one transaction: the two times lie this close together.
_TOGETHER = dt.timedelta(seconds=5)
# How reasons begin that queue and worker give for what the owner's machine did, not the model
_OWNER_REASONS = (
    "its worker was cut off", "the process was killed from outside", "an error inside the sandbox",
    "its model file is missing or damaged",
)  # fmt: skip


def owner_page(session: Session, workspace: Workspace, viewer: Account | None) -> OwnerPage:
    """Income, budget, queue and audit log.

    Args:
        session: of the workspace's database.
        workspace: open.
        viewer: the owner.

    Raises:
        NotAllowedError: somebody else.
        MissingDataError, SchemaError: files of results are missing or damaged.
    """
    check_owner(viewer)
    truth, accounts = truth_of(place_of(workspace)), contributors(session)
    rows, billed = rows_of(session, workspace, accounts), _invoices(session, workspace, accounts)
    currency = workspace.settings.prices.currency
    submissions = list(session.scalars(select(Submission)))
    newest = audit.entries(session, _NEWEST)[::-1]
    return OwnerPage(
        window_of(session, workspace), state.is_published(session), state.is_closed(session),
        currency, _sum(billed, currency), billed,
        tuple(_contributors(session, workspace, truth, submissions, billed)),
        usage.states(submissions), tuple(one for one in reversed(rows) if one.state not in ENDS),
        tuple(one for one in rows if one.state in ENDS), usage.looks(session, truth), usage.pflop(session),
        tuple(map(_audit_row, newest)),
        session.scalar(select(func.count()).select_from(AuditEntry)) or 0,
    )  # fmt: skip


def audit_rows(session: Session, viewer: Account | None) -> tuple[AuditRow, ...]:
    """All entries of the audit log in their order; NotAllowedError unless the owner looks."""
    check_owner(viewer)
    return tuple(map(_audit_row, audit.entries(session)))


def _audit_row(entry: AuditEntry) -> AuditRow:
    return AuditRow(entry.sequence, entry.time, entry.actor, entry.act, entry.subject, entry.details)


def _contributors(
    session: Session,
    workspace: Workspace,
    truth: Truth,
    submissions: Iterable[Submission],
    billed: Sequence[Invoice],
) -> Iterator[ContributorRow]:
    used, own = usage.by_account(session), defaultdict[int, list[Submission]](list)
    for one in submissions:
        own[one.account_id].append(one)
    for account in contributors(session):
        looks, pflop = used.get(account.id, (0, 0.0))
        owed = [one for one in billed if one.contributor == str(account.id)]
        yield ContributorRow(
            account.name, minute(account.created), minute(account.revoked) if account.revoked else None,
            sum(one.state != "refused" for one in own[account.id]), usage.states(own[account.id]),
            usage.meaning(looks, truth), pflop, workspace.settings.limits.budget_pflop,
            _sum(owed, workspace.settings.prices.currency),
        )  # fmt: skip


def invoices(session: Session, workspace: Workspace, viewer: Account | None) -> tuple[Invoice, ...]:
    """The invoices of all contributors for the owner, their own for a contributor.

    Args:
        session, workspace: see `owner_page`.
        viewer: who looks.

    Raises:
        NotAllowedError: nobody has signed in.
    """
    if viewer is None:
        raise NotAllowedError("expected somebody who has signed in", "Sign in with your token.")
    accounts = contributors(session) if is_owner(viewer) else [viewer]
    return _invoices(session, workspace, accounts)


def _invoices(session: Session, workspace: Workspace, accounts: Iterable[Account]) -> tuple[Invoice, ...]:
    query = (
        select(Submission)
        .where(Submission.account_id.in_([account.id for account in accounts]))
        .options(selectinload(Submission.job), selectinload(Submission.account))
    )
    prices = _prices(session, workspace)
    return invoices_of([_charge(one, prices) for one in session.scalars(query)])


def _prices(session: Session, workspace: Workspace) -> list[tuple[dt.datetime | None, Decimal, str]]:
    """(until, price, currency) of each time with other prices, oldest first; None until today."""
    prices = workspace.settings.prices
    found: list[tuple[dt.datetime | None, Decimal, str]] = [(None, prices.per_submission, prices.currency)]
    acts = session.scalars(
        select(AuditEntry).where(AuditEntry.act == "settings").order_by(AuditEntry.sequence.desc())
    )
    for act in acts:
        changed = act.details.get("changed", {})
        if {"prices.per_submission", "prices.currency"} & set(changed):
            _, price, currency = found[-1]
            before, _ = changed.get("prices.per_submission", (price, None))
            code, _ = changed.get("prices.currency", (currency, None))
            found.append((dt.datetime.fromisoformat(act.time), Decimal(str(before)), str(code)))
    return found[::-1]


def _charge(one: Submission, prices: Sequence[tuple[dt.datetime | None, Decimal, str]]) -> Charge:
    queued = one.job.queued if one.job is not None else one.received
    _, price, currency = next(p for p in prices if p[0] is None or queued < p[0])
    return Charge(
        one.id, str(one.account_id), one.account.name, queued, one.state if one.job else "received",
        _is_owner_fault(one), price, currency,
    )  # fmt: skip


def _is_owner_fault(one: Submission) -> bool:
    """Whether it ended for a reason on the owner's side: see `_OWNER_REASONS`; a revocation."""
    if one.state == "failed":
        return (one.reason or "").startswith(_OWNER_REASONS)
    revoked = one.account.revoked
    if one.state != "stopped" or one.finished is None or revoked is None:
        return False
    return abs(one.finished - revoked) <= _TOGETHER


def _sum(billed: Iterable[Invoice], currency: str) -> Decimal:
    """Of the invoices in this currency."""
    return money(sum((one.amount for one in billed if one.currency == currency), Decimal(0)), currency)
