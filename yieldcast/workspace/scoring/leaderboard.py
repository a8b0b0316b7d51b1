"""The leaderboard: one line per contributor, its costs, and who is told apart from the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from yieldcast.errors import ConfigError
from yieldcast.workspace.scoring.costs import (
    AnnualCost,
    CostModel,
    CostRow,
    PriceChoice,
    choice_by_price,
    cost_row,
    internal_cost,
)
from yieldcast.workspace.scoring.history import BASELINE, TUNED, Holdout, Result, Score, Told, champion
from yieldcast.workspace.scoring.measures import ACCURACY, RECALL
from yieldcast.workspace.scoring.winners import Standing, standing

Place = Literal["winner", "not_told_apart", "behind", "alone", "own"]


@dataclass(frozen=True)
class Candidate:
    """A contributor's results, as the leaderboard takes them.

    Args:
        contributor: name that the owner gave.
        results: in the order in which they came.
        told: what is known of each.
        names: submission -> name of the model.
        prices: submission -> licence per km2 and year; None where none was declared.
    """

    contributor: str
    results: tuple[Result, ...]
    told: tuple[Told, ...]
    names: Mapping[str, str]
    prices: Mapping[str, Decimal | None]


@dataclass(frozen=True)
class Entry:
    """One line.

    Args:
        contributor: name that the owner gave.
        submission: identifier of the contributor's submission that stands here; "" where it is not told.
        model: its name.
        baseline, tuned: headline score as submitted and after fine-tuning.
        gain: by which fine-tuning made it better: of an RMSE how much it fell.
        scores: further measures after fine-tuning, by name, without recalls of single classes.
        price_per_km2: licence per km2 and year; None where none was declared.
        cost: yearly cost; None for yields, without a price and without a cost model.
        place: "winner" if every difference to the others is sure, "not_told_apart" for all that cannot be
            told from the best one, else "behind"; "alone" where there is nothing to compare, "own" of
            `own_entries`.
    """

    contributor: str
    submission: str
    model: str
    baseline: Score | None
    tuned: Score
    gain: Decimal | None
    scores: Mapping[str, Score | None]
    price_per_km2: Decimal | None
    cost: CostRow | None
    place: Place


@dataclass(frozen=True)
class Board:
    """The leaderboard.

    Args:
        headline: measure of `baseline` and `tuned`.
        lower_is_better: of the headline.
        entries: best first.
        winner: contributor; "" where none is told apart from all others.
        not_told_apart: contributors that cannot be told from each other at the top; () with a winner.
        internal: yearly cost of the method that the owner has; None without a cost model.
        choice: what choosing by the licence price alone costs; None with fewer than two entries.
    """

    headline: str
    lower_is_better: bool
    entries: tuple[Entry, ...]
    winner: str
    not_told_apart: tuple[str, ...]
    internal: AnnualCost | None
    choice: PriceChoice | None


def leaderboard(candidates: Sequence[Candidate], holdout: Holdout, costs: CostModel | None) -> Board:
    """The leaderboard of all contributors that have a released submission.

    Args:
        candidates: contributors with different names.
        holdout: of the workspace.
        costs: None without a cost model.
    """
    measures = holdout.measures
    costs = costs if measures.names[0] == ACCURACY else None
    chosen = [(one, best) for one in candidates if (best := champion(one.told)) is not None]
    found = _standing(chosen, holdout)
    entries = [_entry(one, best, holdout, costs, _place(one.contributor, found)) for one, best in chosen]
    lower = measures.better[0] == "lower"
    ordered = sorted(entries, key=lambda one: one.tuned.value * (1 if lower else -1))
    licences = {one.contributor: one.cost.cost for one in ordered if one.cost is not None}
    return Board(
        measures.names[0],
        lower,
        tuple(ordered),
        found.winner,
        (found.best, *found.not_told_apart) if found.not_told_apart else (),
        internal_cost(costs) if costs else None,
        choice_by_price(licences) if len(licences) > 1 else None,
    )


def _standing(chosen: Sequence[tuple[Candidate, Told]], holdout: Holdout) -> Standing:
    losses: dict[str, Any] = {}
    for one, best in chosen:
        rows = next(result.rows for result in one.results if result.submission == best.submission)
        losses[one.contributor] = holdout.measures.row_losses(rows[TUNED])
    return standing(losses, holdout.groups)


def _place(contributor: str, found: Standing) -> Place:
    if contributor == found.winner:
        return "winner"
    if contributor in found.not_told_apart:
        return "not_told_apart"
    if contributor == found.best:
        return "not_told_apart" if found.not_told_apart else "alone"
    return "behind"


def _entry(one: Candidate, best: Told, holdout: Holdout, costs: CostModel | None, place: Place) -> Entry:
    headline, lower = holdout.measures.names[0], holdout.measures.better[0] == "lower"
    tuned, baseline = best.score(TUNED, headline), best.score(BASELINE, headline)
    if tuned is None:
        raise ValueError(f"a released submission has a score, received none of {best.submission}")
    gain = None if baseline is None else (tuned.value - baseline.value) * (-1 if lower else 1)
    price = one.prices[best.submission]
    cost = None
    if costs is not None and price is not None:
        cost = cost_row(costs, tuned.value, (tuned.low, tuned.high), price)
    others = [name for name in holdout.measures.names[1:] if not name.startswith(RECALL)]
    scores = {name: best.score(TUNED, name) for name in others}
    return Entry(
        one.contributor, best.submission, one.names[best.submission], baseline, tuned, gain, scores, price,
        cost, place,
    )  # fmt: skip


def own_entries(one: Candidate, holdout: Holdout, costs: CostModel | None) -> tuple[Entry, ...]:
    """All released submissions of a contributor, the newest first; of their places nothing is said.

    Args:
        one: the contributor.
        holdout, costs: see `leaderboard`.
    """
    costs = costs if holdout.measures.names[0] == ACCURACY else None
    return tuple(_entry(one, told, holdout, costs, "own") for told in reversed(one.told) if told.released)


# What a leaderboard can be sorted by: its value, None where an entry has none
SORT_KEYS: Mapping[str, Callable[[Entry], Any]] = {
    "contributor": lambda one: one.contributor.casefold(),
    "model": lambda one: one.model.casefold(),
    "baseline": lambda one: one.baseline and one.baseline.value,
    "tuned": lambda one: one.tuned.value,
    "gain": lambda one: one.gain,
    "price_per_km2": lambda one: one.price_per_km2,
    "total": lambda one: one.cost and one.cost.cost.total,
    "difference": lambda one: one.cost and one.cost.difference,
}


def ordered(entries: Sequence[Entry], key: str, descending: bool = False) -> tuple[Entry, ...]:
    """The entries by one of `SORT_KEYS` or a measure of `Entry.scores`; those without a value come last.

    Raises:
        ConfigError: no such key.
    """
    measures = {name for one in entries for name in one.scores}
    if key not in SORT_KEYS and key not in measures:
        known = ", ".join([*SORT_KEYS, *sorted(measures)])
        raise ConfigError(f"expected one of {known} to sort by, received {key!r}", "Choose one of them.")

    def of_measure(one: Entry) -> Any:
        score = one.scores.get(key)
        return score and score.value

    value = SORT_KEYS.get(key, of_measure)
    known_ones = [one for one in entries if value(one) is not None]
    rest = [one for one in entries if value(one) is None]
    return (*sorted(known_ones, key=value, reverse=descending), *rest)
