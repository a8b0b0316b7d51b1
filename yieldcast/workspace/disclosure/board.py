"""The leaderboard, for those who may see it."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from yieldcast.workspace.database.models import Account
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.disclosure import usage
from yieldcast.workspace.disclosure.results import (
    board_of,
    candidate,
    costs_of,
    place_of,
    scored,
    truth_of,
)
from yieldcast.workspace.disclosure.views import LeaderboardPage
from yieldcast.workspace.disclosure.window import is_owner, is_public
from yieldcast.workspace.scoring.leaderboard import Board, Entry, own_entries


def leaderboard(session: Session, workspace: Workspace, viewer: Account | None) -> LeaderboardPage:
    """The leaderboard.

    The owner always sees it; others when the owner has published it or the window is over. Before that
    nothing of it is told, also not how many there are.

    Args:
        session: of the workspace's database.
        workspace: open.
        viewer: None for somebody who has not signed in.

    Raises:
        MissingDataError, SchemaError: files of results are missing or damaged.
    """
    rules, currency = workspace.settings.rules, workspace.settings.prices.currency
    public = is_public(session, workspace)
    own = _own(session, workspace, viewer)
    if not (public or is_owner(viewer)):
        return LeaderboardPage(False, public, rules.closes, None, own, currency, None)
    place = place_of(workspace)
    board = board_of(place, scored(session, contributors(session)))
    if not is_owner(viewer):
        board = _without_identifiers(board, viewer.name if viewer else "")
    looks = usage.looks(session, truth_of(place))
    return LeaderboardPage(True, public, rules.closes, board, own, currency, looks)


def _without_identifiers(board: Board, own: str) -> Board:
    """The leaderboard without the identifiers of other contributors' submissions."""
    entries = (one if one.contributor == own else replace(one, submission="") for one in board.entries)
    return replace(board, entries=tuple(entries))


def contributors(session: Session) -> list[Account]:
    """Accounts of contributors by name, revoked ones too: their results stay."""
    return list(session.scalars(select(Account).where(Account.role == "contributor").order_by(Account.name)))


def _own(session: Session, workspace: Workspace, viewer: Account | None) -> tuple[Entry, ...]:
    if viewer is None or is_owner(viewer):
        return ()
    place = place_of(workspace)
    (contributor,) = scored(session, [viewer])
    costs = costs_of(workspace.settings)
    return own_entries(candidate(place, contributor), truth_of(place).holdout, costs)
