"""The report of a workspace: tables for a terminal, and the same as columns for files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast.language import Language
from yieldcast.workspace.database.audit import Verdict
from yieldcast.workspace.disclosure.views import AuditRow, LeaderboardPage, Overview, OwnerPage
from yieldcast.workspace.scoring.costs import AnnualCost
from yieldcast.workspace.scoring.history import Score
from yieldcast.workspace.scoring.ladder import Looks
from yieldcast.workspace.scoring.leaderboard import Board, Entry
from yieldcast.workspace.scoring.measures import RARE_RECALL
from yieldcast.workspace.server import wording
from yieldcast.workspace.server.exports import invoice_columns, leaderboard_columns
from yieldcast.workspace.server.sheets import Cell, Column, Kind


@dataclass(frozen=True)
class Report:
    """What the report shows.

    Args:
        overview, leaderboard, owner: of `disclosure`, for the owner.
        acts: all entries of the audit log.
        rare_ties: see `disclosure.views.DataPage`.
        verdict: whether the audit log is whole.
    """

    overview: Overview
    leaderboard: LeaderboardPage
    owner: OwnerPage
    acts: tuple[AuditRow, ...]
    rare_ties: tuple[str, ...]
    verdict: Verdict

    @property
    def board(self) -> Board:
        """The leaderboard, which is open to the owner."""
        if self.leaderboard.board is None:
            raise ValueError("expected the leaderboard of the owner, received a closed one")
        return self.leaderboard.board


def report_columns(report: Report, words: Language) -> dict[str, list[Column]]:
    """The tables for files, by the name of the file; that of costs only where there is a cost model."""
    currency = report.owner.currency
    found = {
        "leaderboard": leaderboard_columns(report.board, currency, words),
        "invoices": invoice_columns(report.owner.invoices, words),
        "costs": cost_columns(report.board, currency, words),
        "cost_ranges": range_columns(report.board, words),
        "looks": looks_columns(report.owner, words),
        "audit": audit_columns(report.acts, words),
    }
    return {name: columns for name, columns in found.items() if columns}


def cost_columns(board: Board, currency: str, words: Language) -> list[Column]:
    """Yearly costs: the internal method, then the models; () without a cost model."""
    if board.internal is None:
        return []
    rows = [one for one in board.entries if one.cost is not None]
    costs: list[AnnualCost] = [board.internal, *(one.cost.cost for one in rows if one.cost)]
    amounts: dict[str, list[Cell]] = {
        words.gettext("Cost of errors, {currency}", currency=currency): [
            one.misclassification_cost for one in costs
        ],
        words.gettext("Licence, {currency}", currency=currency): [one.licence_cost for one in costs],
        words.gettext("Total, {currency}", currency=currency): [one.total for one in costs],
        words.gettext("Difference, {currency}", currency=currency): [
            None, *(one.cost.difference for one in rows if one.cost),
        ],
    }  # fmt: skip
    area = [one.misclassified_km2 for one in costs]
    return [
        Column(words.gettext("Approach"), "text", [words.gettext("Internal method"), *map(_name, rows)]),
        Column(words.gettext("Accuracy"), "share", [one.accuracy for one in costs]),
        Column(words.gettext("Error rate"), "share", [one.error_rate for one in costs]),
        Column(words.gettext("Error area, km²"), "number", area),
        *(Column(heading, "amount", values) for heading, values in amounts.items()),
    ]


def range_columns(board: Board, words: Language) -> list[Column]:
    """What the interval of the accuracy makes of total and difference; [] without a cost model."""
    costs = {_name(one): one.cost for one in board.entries if one.cost is not None}
    if not costs:
        return []
    ends = {
        words.gettext("Total at the upper end of the accuracy"): "low",
        words.gettext("Total at the lower end"): "high",
        words.gettext("Difference at the upper end"): "difference_low",
        words.gettext("Difference at the lower end"): "difference_high",
    }
    return [
        Column(words.gettext("Model"), "text", list(costs)),
        *(
            Column(heading, "amount", [getattr(one, end) for one in costs.values()])
            for heading, end in ends.items()
        ),
    ]


def looks_columns(owner: OwnerPage, words: Language) -> list[Column]:
    """Looks at the holdout by contributor and in all."""
    rows = owner.contributors
    looks, taken = [*(one.looks for one in rows), owner.looks], [one.submissions for one in rows]
    return [
        Column(words.gettext("Contributor"), "text", [*(one.name for one in rows), words.gettext("all")]),
        Column(words.gettext("Submissions"), "count", [*taken, sum(taken)]),
        Column(words.gettext("Looks at the holdout"), "count", [one.looks for one in looks]),
        Column(
            words.gettext("Error of fixed models, at most"), "share", [_share(one.fixed) for one in looks]
        ),
        Column(
            words.gettext("Error of adapted models, at most"),
            "share",
            [_share(one.adaptive) for one in looks],
        ),
        Column(words.gettext("Compute, PFLOP"), "number", [*(one.pflop for one in rows), owner.pflop]),
    ]


def audit_columns(acts: Sequence[AuditRow], words: Language) -> list[Column]:
    """How often each act is in the audit log, with the first and last time."""
    times: dict[str, list[str]] = {}
    for one in acts:
        times.setdefault(one.act, []).append(one.time)
    names = sorted(times)
    return [
        Column(words.gettext("Act"), "text", names),
        Column(words.gettext("Times"), "count", [len(times[name]) for name in names]),
        Column(words.gettext("First"), "moment", [_moment(min(times[name])) for name in names]),
        Column(words.gettext("Last"), "moment", [_moment(max(times[name])) for name in names]),
    ]


def report_view(report: Report, words: Language) -> Group:
    """Tables for a terminal: leaderboard, costs, invoices, looks, audit, with what they mean."""
    owner = report.owner
    parts: list[Table | Text] = [Text(_title(report, words), style="bold")]
    parts += [_board(report.board, words), *_dim(_standing(report.board, words))]
    if report.rare_ties:
        tied = ", ".join(report.rare_ties)
        parts += _dim(
            [words.gettext("As frequent as a rare class, but not counted as rare: {names}", names=tied)]
        )
    costs = cost_columns(report.board, owner.currency, words)
    sections = [
        # without the accuracy, which the leaderboard has: the table fits 80 columns
        (words.gettext("Annual costs"), [c for k, c in enumerate(costs) if k != 1], []),
        (
            words.gettext("Range of the costs by the 95% interval of the accuracy"),
            range_columns(report.board, words), _choice(report.board, owner.currency, words),
        ),
        (
            words.gettext("Invoices"), invoice_columns(owner.invoices, words) if owner.invoices else [],
            [words.gettext("Income: {amount}", amount=_money(owner.income, owner.currency, words))],
        ),
        (
            words.gettext("Looks at the holdout"), looks_columns(owner, words),
            looks_text(owner.looks, words),
        ),
        (
            words.gettext("Audit log"), audit_columns(report.acts, words),
            [verdict_text(report.verdict, words)],
        ),
    ]  # fmt: skip
    for title, columns, notes in sections:
        parts += [_table(title, columns, words)] if columns else []
        parts += _dim(notes)
    return Group(*parts)


def looks_text(looks: Looks, words: Language) -> list[str]:
    """What the number of looks means."""
    if looks.fixed is None or looks.adaptive is None:
        return [
            words.gettext(
                "{n} looks at a holdout of {rows} rows. Errors of yields have no bound, so neither has what "
                "looks may add.",
                n=words.number(looks.looks), rows=words.number(looks.rows),
            )
        ]  # fmt: skip
    return [
        words.gettext(
            "{n} looks at a holdout of {rows} rows. With a probability of 95%, no accuracy of models that "
            "were fixed beforehand is off by more than {fixed}; where each model may depend on all "
            "accuracies published before, by more than {adaptive}.",
            n=words.number(looks.looks), rows=words.number(looks.rows), fixed=words.percent(looks.fixed, 1),
            adaptive=words.percent(looks.adaptive, 1),
        )
    ]  # fmt: skip


def verdict_text(verdict: Verdict, words: Language) -> str:
    """Whether the audit log is whole."""
    if verdict.broken is not None:
        return words.gettext(
            "The audit log is BROKEN at entry {entry}: {reason}", entry=verdict.broken, reason=verdict.reason
        )
    return words.gettext(
        "The audit log is whole: {n} entries, the last one {hash}",
        n=words.number(verdict.entries), hash=verdict.last[:16],
    )  # fmt: skip


def _title(report: Report, words: Language) -> str:
    title = report.overview.title
    return f"{title} ({words.gettext('synthetic data')})" if report.overview.synthetic else title


def _board(board: Board, words: Language) -> Table:
    headline, costs = board.headline, board.internal is not None
    rare = any(one.scores.get(RARE_RECALL) for one in board.entries)
    heads = [
        words.gettext("Model"), words.gettext("baseline"), words.gettext("tuned (95%)"),
        words.gettext("gain"), *([words.gettext("rare recall")] if rare else []),
        words.gettext("per km²"),
        *([words.gettext("total per year")] if costs else []),
    ]  # fmt: skip
    rows = []
    for one in board.entries:
        cells = [_name(one), _score(one.baseline, headline, words), _interval(one.tuned, headline, words)]
        cells.append(wording.difference_text(one.gain, headline, words))
        cells += [_score(one.scores.get(RARE_RECALL), RARE_RECALL, words)] if rare else []
        cells.append("–" if one.price_per_km2 is None else words.number(float(one.price_per_km2), 2))
        if costs:
            cells.append("–" if one.cost is None else words.number(float(one.cost.cost.total)))
        rows.append(cells)
    if board.internal is not None:
        accuracy = wording.score_text(board.internal.accuracy, headline, words)
        own = [words.gettext("Internal method"), "", accuracy, *[""] * (len(heads) - 4)]
        rows.append([*own, words.number(float(board.internal.total))])
    return _grid(words.gettext("Leaderboard"), heads, rows, ["text"])


def _standing(board: Board, words: Language) -> list[str]:
    if not board.entries:
        return [words.gettext("No model has been scored.")]
    if board.winner:
        return [words.gettext("{name} is better than every other model.", name=board.winner)]
    if board.not_told_apart:
        names = ", ".join(board.not_told_apart)
        return [words.gettext("No winner: the holdout cannot tell these apart: {names}", names=names)]
    return [words.gettext("One model alone: there is nothing to compare.")]


def _choice(board: Board, currency: str, words: Language) -> list[str]:
    choice = board.choice
    if choice is None:
        return []
    if not choice.extra_cost:
        return [words.gettext("{name} has the cheapest licence and the lowest total.", name=choice.best)]
    amounts = {
        "saving": choice.licence_saving, "errors": choice.more_misclassification_cost,
        "extra": choice.extra_cost,
    }  # fmt: skip
    written = {name: _money(amount, currency, words) for name, amount in amounts.items()}
    text = words.gettext(
        "Choosing by the licence price alone would take {cheapest}: {saving} less for the licence than "
        "{best}, but {errors} more for errors, {extra} more per year in all.",
        cheapest=choice.cheapest, best=choice.best, **written,
    )  # fmt: skip
    return [text]


def _table(title: str, columns: Sequence[Column], words: Language) -> Table:
    shown = [[_cell(value, column.kind, words) for value in column.values] for column in columns]
    rows = list(zip(*shown, strict=True))
    return _grid(title, [column.heading for column in columns], rows, [column.kind for column in columns])


def _grid(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str]) -> Table:
    """A table in which names wrap and numbers never do: a number that is cut off is a wrong one."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0))
    for k, head in enumerate(heads):
        if k < len(kinds) and kinds[k] == "text":
            table.add_column(head, overflow="fold")
        else:
            least = max([len(row[k]) for row in rows] + [len(word) for word in head.split()])
            table.add_column(head, justify="right", min_width=least)
    for row in rows:
        table.add_row(*row)
    return table


def _cell(value: Cell, kind: Kind, words: Language) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime):
        return f"{words.date(value.date())} {value:%H:%M}"
    if isinstance(value, dt.date):
        return words.date(value)
    number = float(value)
    if kind == "share":
        return words.percent(number, 1)
    if kind in ("count", "amount"):
        return words.number(number, 0 if number == int(number) else 2)
    return words.number(number, 0 if abs(number) >= 100 else 3)


def _score(score: Score | None, measure: str, words: Language) -> str:
    return wording.score_text(score.value if score else None, measure, words)


def _interval(score: Score, measure: str, words: Language) -> str:
    value, low, high = (
        wording.score_text(one, measure, words) for one in (score.value, score.low, score.high)
    )
    return f"{value} ({low.removesuffix('%')}–{high})"


def _name(one: Entry) -> str:
    return f"{one.model} ({one.contributor})"


def _money(amount: Decimal, currency: str, words: Language) -> str:
    return f"{words.number(float(amount), 0 if amount == int(amount) else 2)} {currency}"


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _moment(iso: str) -> dt.datetime:
    return dt.datetime.fromisoformat(iso).replace(second=0, microsecond=0)


def _dim(lines: Sequence[str]) -> list[Text]:
    return [Text(line, style="dim") for line in lines]
