"""The leaderboard and the invoices as CSV files and Excel workbooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from yieldcast.language import Language
from yieldcast.workspace import disclosure
from yieldcast.workspace.scoring.history import Score
from yieldcast.workspace.scoring.invoices import Invoice
from yieldcast.workspace.scoring.leaderboard import Board, Entry
from yieldcast.workspace.server import api, board_view, visits, wording
from yieldcast.workspace.server.problems import RequestError
from yieldcast.workspace.server.sheets import Column, Kind, csv_file, xlsx_file

router = APIRouter(include_in_schema=False)
Format = Literal["csv", "xlsx"]
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("/exports/leaderboard.{kind}")
def leaderboard(request: Request, kind: Format) -> Response:
    """The leaderboard, for whoever may see it."""
    seen = visits.visit(request)
    page, words = api.leaderboard_page(seen.site, seen.viewer), seen.words
    if page.board is None:
        raise RequestError(
            403, "the leaderboard is closed", "It opens when the owner publishes it or the window ends."
        )
    columns = leaderboard_columns(page.board, page.currency, words)
    return _file(columns, "leaderboard", words.gettext("Leaderboard"), kind, words)


@router.get("/exports/invoices.{kind}")
def invoices(request: Request, kind: Format) -> Response:
    """All invoices for the owner, their own for a contributor."""
    seen = visits.visit(request)
    if seen.viewer is None:
        visits.of_owner(request)  # refuses
    workspace, words = seen.site.workspace, seen.words
    with workspace.read() as session:
        found = disclosure.invoices(session, workspace, seen.viewer)
    return _file(invoice_columns(found, words), "invoices", words.gettext("Invoices"), kind, words)


def leaderboard_columns(board: Board, currency: str, words: Language) -> list[Column]:
    """The leaderboard, best first: every score with its interval, every part of the yearly cost.

    Args:
        board: of `disclosure`.
        currency: of prices and costs.
        words: of the reader.
    """
    entries = board.entries
    places = {
        "winner": words.gettext("Better than every other model"),
        "not_told_apart": words.gettext("Cannot be told from the best"),
    }
    headline = wording.measure_name(board.headline, words)
    columns = [
        Column(words.gettext("Model"), "text", [one.model for one in entries]),
        Column(words.gettext("Contributor"), "text", [one.contributor for one in entries]),
        Column(words.gettext("Place"), "text", [places.get(one.place, "") for one in entries]),
    ]
    first = words.gettext("As submitted: {measure}", measure=headline)
    columns += _scores(first, board.headline, [one.baseline for one in entries], words)
    second = words.gettext("After fine-tuning: {measure}", measure=headline)
    columns += _scores(second, board.headline, [one.tuned for one in entries], words)
    for name in board_view.measures(board):
        columns += _scores(
            wording.measure_name(name, words), name, [one.scores[name] for one in entries], words
        )
    price = words.gettext("Licence per km² and year, {currency}", currency=currency)
    columns.append(Column(price, "amount", [one.price_per_km2 for one in entries]))
    return columns if board.internal is None else [*columns, *_costs(entries, currency, words)]


def _scores(name: str, measure: str, scores: Sequence[Score | None], words: Language) -> list[Column]:
    kind: Kind = "number" if wording.is_yield(measure) else "share"
    title = " ".join(filter(None, (name, wording.unit(measure))))
    low, high = words.gettext("lower end"), words.gettext("upper end")
    ends = {"value": title, "low": f"{title}, {low}", "high": f"{title}, {high}"}
    return [
        Column(heading, kind, [None if one is None else getattr(one, end) for one in scores])
        for end, heading in ends.items()
    ]


def _costs(entries: Sequence[Entry], currency: str, words: Language) -> list[Column]:
    parts: dict[str, tuple[Kind, Callable[[Any], Decimal]]] = {
        words.gettext("Misclassified area, km²"): ("number", lambda row: row.cost.misclassified_km2),
        words.gettext("Cost of errors, {currency}", currency=currency): (
            "amount",
            lambda row: row.cost.misclassification_cost,
        ),
        words.gettext("Licence, {currency}", currency=currency): (
            "amount",
            lambda row: row.cost.licence_cost,
        ),
        words.gettext("Total annual cost, {currency}", currency=currency): (
            "amount",
            lambda row: row.cost.total,
        ),
        words.gettext("Difference to the internal method, {currency}", currency=currency): (
            "amount",
            lambda row: row.difference,
        ),
    }
    return [
        Column(heading, kind, [None if one.cost is None else part(one.cost) for one in entries])
        for heading, (kind, part) in parts.items()
    ]


def invoice_columns(invoices: Sequence[Invoice], words: Language) -> list[Column]:
    """Invoices, one line for each month and contributor."""
    return [
        Column(words.gettext("Invoice"), "text", [one.number for one in invoices]),
        Column(words.gettext("Month"), "text", [one.month for one in invoices]),
        Column(words.gettext("Contributor"), "text", [one.name for one in invoices]),
        Column(words.gettext("Charged submissions"), "count", [one.submissions for one in invoices]),
        Column(words.gettext("Not charged"), "count", [one.not_charged for one in invoices]),
        Column(words.gettext("Amount"), "amount", [one.amount for one in invoices]),
        Column(words.gettext("Currency"), "text", [one.currency for one in invoices]),
    ]


def _file(columns: list[Column], name: str, title: str, kind: Format, words: Language) -> Response:
    content = csv_file(columns, words) if kind == "csv" else xlsx_file(columns, title, title, words)
    return Response(
        content, media_type="text/csv; charset=utf-8" if kind == "csv" else _XLSX,
        headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"'},
    )  # fmt: skip
