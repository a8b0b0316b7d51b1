"""The leaderboard as tables: columns that sort, cells with intervals, yearly costs of each approach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from markupsafe import Markup

from yieldcast.language import Language
from yieldcast.workspace.scoring.costs import AnnualCost
from yieldcast.workspace.scoring.history import Score
from yieldcast.workspace.scoring.leaderboard import Board, Entry, ordered
from yieldcast.workspace.scoring.measures import RARE_RECALL
from yieldcast.workspace.server import charts, wording
from yieldcast.workspace.server.render import money

Order = Literal["ascending", "descending"]
NOTHING = Markup("")
_OTHER: dict[str, Order] = {"ascending": "descending", "descending": "ascending"}


@dataclass(frozen=True)
class Heading:
    """The heading of a column.

    Args:
        key: by which the table sorts.
        label, unit: in the reader's language.
        first: order that a first click gives.
        sorted: order that the table has by this column; None if by another one.
        text: whether its cells are texts.
    """

    key: str
    label: str
    unit: str
    first: Order
    sorted: Order | None
    text: bool = False

    @property
    def next(self) -> Order:
        """The order that a click gives."""
        return _OTHER[self.first] if self.sorted == self.first else self.first


@dataclass(frozen=True)
class CellView:
    """A cell.

    Args:
        text: as it is read.
        value: as it sorts; "" sorts last.
        below: a second line, such as an interval.
        drawing: of the interval.
        good: True where the number is in favour of the model, False where against it.
    """

    text: str
    value: str
    below: str = ""
    drawing: Markup = NOTHING
    good: bool | None = None


@dataclass(frozen=True)
class LineView:
    """One line: model, contributor, place and the cells after them."""

    model: str
    contributor: str
    place: str
    mine: bool
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class TableView:
    """The leaderboard ready for the template."""

    headings: tuple[Heading, ...]
    lines: tuple[LineView, ...]


@dataclass(frozen=True)
class _Column:
    key: str
    label: str
    unit: str
    first: Order


def table(
    board: Board, sort: tuple[str, str], viewer: str | None, currency: str, words: Language
) -> TableView:
    """The leaderboard in an order.

    Args:
        board: of `disclosure`.
        sort: key and order asked for; an unknown one gives the best first.
        viewer: name of the contributor who looks, for the mark of the own line.
        currency: of prices and costs.
        words: of the reader.
    """
    columns = _columns(board, words)
    key, way = _asked(sort, columns, board)
    rows = ordered(board.entries, key, way == "descending")
    headings = tuple(
        Heading(c.key, c.label, c.unit, c.first, way if c.key == key else None, c.key == "model")
        for c in columns
    )
    view = _Cells(board, currency, words)
    return TableView(headings, tuple(view.line(one, columns[1:], viewer) for one in rows))


def measures(board: Board) -> tuple[str, ...]:
    """Measures after fine-tuning beside the headline, the recall of rare classes first."""
    names = board.entries[0].scores if board.entries else ()
    return tuple(sorted(names, key=lambda name: name != RARE_RECALL))


def _columns(board: Board, words: Language) -> list[_Column]:
    headline = wording.measure_name(board.headline, words)
    better: Order = "ascending" if board.lower_is_better else "descending"
    plain = words.gettext(wording.unit(board.headline))
    points = words.gettext(wording.unit(board.headline, difference=True))
    columns = [
        _Column("model", words.gettext("Model"), "", "ascending"),
        _Column("baseline", words.gettext("As submitted: {measure}", measure=headline), plain, better),
        _Column("tuned", words.gettext("After fine-tuning: {measure}", measure=headline), plain, better),
        _Column("gain", words.gettext("Gain"), points, "descending"),
    ]
    extra = [_measure_column(name, words) for name in measures(board)]
    columns += extra[:1]
    columns.append(
        _Column("price_per_km2", words.gettext("Licence"), words.gettext("per km² and year"), "ascending")
    )
    if board.internal is not None:
        columns.append(_Column("total", words.gettext("Total annual cost"), "", "ascending"))
        columns.append(
            _Column(
                "difference",
                words.gettext("Difference to the internal method"),
                words.gettext("per year"),
                "ascending",
            )
        )
    return columns + extra[1:]


def _measure_column(name: str, words: Language) -> _Column:
    order: Order = "ascending" if wording.is_yield(name) else "descending"
    label = wording.measure_name(name, words)
    return _Column(name, label[:1].upper() + label[1:], words.gettext(wording.unit(name)), order)


def _asked(sort: tuple[str, str], columns: Sequence[_Column], board: Board) -> tuple[str, Order]:
    firsts = {column.key: column.first for column in columns}
    key = sort[0] if sort[0] in firsts else "tuned"
    if key == sort[0] and sort[1] in _OTHER:
        return key, _OTHER[_OTHER[sort[1]]]
    return key, firsts[key]


class _Cells:
    """Makes the cells of a board, whose intervals share one axis for each measure."""

    def __init__(self, board: Board, currency: str, words: Language) -> None:
        self.board, self.currency, self.words = board, currency, words
        headline = [s for one in board.entries for s in (one.baseline, one.tuned) if s is not None]
        self.axes = {board.headline: _axis(headline)}
        for name in measures(board):
            self.axes[name] = _axis([s for one in board.entries if (s := one.scores[name]) is not None])

    def line(self, one: Entry, columns: Sequence[_Column], viewer: str | None) -> LineView:
        cells = tuple(self.cell(one, column.key) for column in columns)
        return LineView(one.model, one.contributor, self.place(one), one.contributor == viewer, cells)

    def place(self, one: Entry) -> str:
        texts = {
            "winner": self.words.gettext("Better than every other model"),
            "not_told_apart": self.words.gettext("Cannot be told from the best"),
        }
        return texts.get(one.place, "")

    def cell(self, one: Entry, key: str) -> CellView:
        board, words = self.board, self.words
        if key in ("baseline", "tuned"):
            return self.score(one.baseline if key == "baseline" else one.tuned, board.headline)
        if key == "gain":
            text = wording.difference_text(one.gain, board.headline, words)
            return CellView(text, _plain(one.gain), good=_sign(one.gain))
        if key == "price_per_km2":
            return CellView(money(one.price_per_km2, self.currency, words), _plain(one.price_per_km2))
        if key in ("total", "difference"):
            return self.cost(one, key)
        return self.score(one.scores[key], key)

    def score(self, score: Score | None, measure: str) -> CellView:
        if score is None:
            return CellView("–", "")
        text, low, high = (
            wording.score_text(v, measure, self.words) for v in (score.value, score.low, score.high)
        )
        ends = (float(score.value), float(score.low), float(score.high))
        drawing = charts.whisker(*ends, self.axes[measure])
        return CellView(text, _plain(score.value), _range(low, high, self.words), drawing)

    def cost(self, one: Entry, key: str) -> CellView:
        if one.cost is None:
            return CellView("–", "")
        row = one.cost
        value, low, high = (
            (row.cost.total, row.low, row.high)
            if key == "total"
            else (row.difference, row.difference_low, row.difference_high)
        )
        written = [money(v, self.currency, self.words) for v in (value, low, high)]
        good = None if key == "total" else _sign(-value)
        below = "" if key == "difference" else _range(written[1], written[2], self.words)
        return CellView(written[0], _plain(value), below, good=good)


@dataclass(frozen=True)
class CostLine:
    """One approach in the table of yearly costs."""

    name: str
    cost: AnnualCost
    difference: Decimal | None


def cost_lines(board: Board, internal_name: str) -> tuple[CostLine, ...]:
    """The internal method, then the models, best first; () without a cost model."""
    if board.internal is None:
        return ()
    models = [
        CostLine(one.model, one.cost.cost, one.cost.difference)
        for one in board.entries
        if one.cost is not None
    ]
    return (CostLine(internal_name, board.internal, None), *models)


def _axis(scores: Sequence[Score]) -> tuple[float, float]:
    return charts.axis_of((float(one.low), float(one.high)) for one in scores)


def _range(low: str, high: str, words: Language) -> str:
    return words.gettext("{low} to {high}", low=low, high=high)


def _plain(value: Decimal | None) -> str:
    return "" if value is None else str(value)


def _sign(value: Decimal | None) -> bool | None:
    return None if not value else value > 0
