"""The leaderboard: the published result table, costs, places, sorting."""

from decimal import Decimal

import numpy as np
import pytest

from yieldcast.errors import ConfigError
from yieldcast.workspace.scoring.costs import CostModel
from yieldcast.workspace.scoring.history import BASELINE, TUNED, Holdout, Result, Steps, tell
from yieldcast.workspace.scoring.leaderboard import Candidate, leaderboard, ordered, own_entries
from yieldcast.workspace.scoring.measures import class_measures, class_rows, value_measures, value_rows

D = Decimal
CLASSES = ("barley", "wheat", "corn", "rapeseed", "potato", "sugar beet")
RARE = CLASSES[2:]
TRUTH = np.repeat(np.arange(6), (2000, 2000, 250, 250, 250, 250))  # 5,000 rows, 1,000 of rare classes
HOLDOUT = Holdout(class_measures(CLASSES, RARE), None, Steps(D("0.001"), D(10)))
COSTS = CostModel(D(1_500_000), D(18), D("0.845"), D(280_000))
# baseline, after fine-tuning, rare-class recall, price: the published result table
PAPER = {
    "Model A": ("0.784", "0.908", "0.813", "0.25"),
    "Model B": ("0.821", "0.945", "0.876", "0.22"),
    "Model C": ("0.806", "0.932", "0.794", "0.10"),
}


def predictions(accuracy, rare_recall, seed):
    """Predictions with exactly this accuracy and mean recall of the rare classes."""
    rng, predicted = np.random.default_rng(seed), TRUTH.copy()
    rare_wrong = round((1 - float(rare_recall)) * 1000)
    for k in range(2, 6):
        mine = rng.permutation(np.flatnonzero(k == TRUTH))
        predicted[mine[: (rare_wrong + k - 2) // 4]] = 0
    rest = round((1 - float(accuracy)) * 5000) - rare_wrong
    common = rng.choice(np.flatnonzero(TRUTH < 2), rest, replace=False)
    predicted[common] = 1 - TRUTH[common]
    return class_rows(TRUTH, predicted, 6)


def candidate(name, rows, price="0.20", holdout=HOLDOUT):
    results = tuple(Result(f"{name}-{k}", one) for k, one in enumerate(rows))
    told = tell(results, holdout)
    names = {one.submission: f"{name}, version {k}" for k, one in enumerate(results)}
    prices = dict.fromkeys(names, None if price is None else D(price))
    return Candidate(name, results, told, names, prices)


def paper():
    found = []
    for seed, (name, (before, after, rare, price)) in enumerate(PAPER.items()):
        rows = {BASELINE: predictions(before, before, seed), TUNED: predictions(after, rare, 10 + seed)}
        found.append(candidate(name, [rows], price))
    return found


def test_the_published_result_table_follows_from_predictions():
    board = leaderboard(paper(), HOLDOUT, COSTS)
    shown = {}
    for one in board.entries:
        columns = (one.baseline.value, one.tuned.value, one.scores["rare_recall"].value, one.price_per_km2)
        shown[one.contributor] = tuple(map(str, columns))
    assert shown == PAPER
    assert {one.contributor: str(one.gain) for one in board.entries} == {
        "Model A": "0.124", "Model B": "0.124", "Model C": "0.126",
    }  # fmt: skip


def test_the_published_cost_table_stands_on_the_leaderboard():
    board = leaderboard(paper(), HOLDOUT, COSTS)
    assert [one.contributor for one in board.entries] == ["Model B", "Model C", "Model A"]
    totals = {one.contributor: one.cost.cost.total for one in board.entries}
    assert totals == {"Model A": 2_859_000, "Model B": 1_815_000, "Model C": 1_986_000}
    assert {one.contributor: one.cost.difference for one in board.entries}["Model B"] == -2_650_000
    assert board.internal.total == 4_465_000
    assert (board.choice.cheapest, board.choice.best, board.choice.extra_cost) == (
        "Model C", "Model B", 171_000,
    )  # fmt: skip
    best = board.entries[0]
    assert best.tuned.low < best.tuned.value < best.tuned.high
    assert best.cost.low < best.cost.cost.total < best.cost.high


def test_a_winner_is_named_only_where_it_is_told_apart():
    board = leaderboard(paper(), HOLDOUT, COSTS)
    assert board.winner == "Model B"
    assert [one.place for one in board.entries] == ["winner", "behind", "behind"]
    twin = candidate("Twin of B", [{TUNED: predictions("0.944", "0.876", 77)}])
    board = leaderboard([*paper(), twin], HOLDOUT, COSTS)
    assert board.winner == ""
    assert board.not_told_apart == ("Model B", "Twin of B")
    assert [one.place for one in board.entries] == ["not_told_apart", "not_told_apart", "behind", "behind"]
    assert board.entries[1].gain is None


def test_a_contributor_stands_with_the_submission_that_the_ladder_published():
    made = [{TUNED: predictions(score, "0.8", 5)} for score in ("0.900", "0.930", "0.931", "0.910")]
    board = leaderboard([candidate("A", made)], HOLDOUT, None)
    assert (board.entries[0].submission, board.entries[0].place) == ("A-1", "alone")
    assert (board.internal, board.choice, board.entries[0].cost) == (None, None, None)
    own = own_entries(candidate("A", made), HOLDOUT, COSTS)
    assert [(one.submission, one.tuned.value, one.place) for one in own] == [
        ("A-1", D("0.930"), "own"), ("A-0", D("0.900"), "own"),
    ]  # fmt: skip


def test_a_model_without_a_price_has_no_cost_and_is_chosen_by_nobody():
    free = candidate("No price", [{TUNED: predictions("0.96", "0.9", 5)}], price=None)
    board = leaderboard([*paper(), free], HOLDOUT, COSTS)
    assert (board.entries[0].price_per_km2, board.entries[0].cost) == (None, None)
    assert board.choice.best == "Model B"
    assert ordered(board.entries, "total")[-1].contributor == "No price"


def test_nobody_stands_on_an_empty_leaderboard():
    board = leaderboard([candidate("A", [{BASELINE: predictions("0.8", "0.8", 1)}])], HOLDOUT, COSTS)
    assert (board.entries, board.winner, board.not_told_apart) == ((), "", ())


def test_yields_are_ranked_by_rmse_and_have_no_cost():
    error = np.random.default_rng(3).normal(0, 500, 400)
    holdout = Holdout(value_measures({"mean": 400.0}), None, HOLDOUT.steps)
    made = [
        candidate(
            name,
            [{BASELINE: value_rows(error, abs(error)), TUNED: value_rows(by * error, abs(by * error))}],
            holdout=holdout,
        )
        for name, by in (("far", 0.9), ("near", 0.5))
    ]
    board = leaderboard(made, holdout, COSTS)
    assert [one.contributor for one in board.entries] == ["near", "far"]
    assert board.winner == "near"
    assert board.lower_is_better
    assert board.entries[0].gain == board.entries[0].baseline.value - board.entries[0].tuned.value > 0
    assert board.entries[0].cost is None


def test_entries_sort_by_every_column_and_missing_values_come_last():
    twin = candidate("Twin of B", [{TUNED: predictions("0.944", "0.876", 77)}], price="0.01")
    entries = leaderboard([*paper(), twin], HOLDOUT, COSTS).entries
    names = [one.contributor[-1] for one in ordered(entries, "gain", descending=True)]
    assert names == ["C", "B", "A", "B"]  # of A and B with equal gains the better one, the twin has none
    assert [one.price_per_km2 for one in ordered(entries, "price_per_km2")] == [
        D("0.01"), D("0.10"), D("0.22"), D("0.25"),
    ]  # fmt: skip
    assert ordered(entries, "rare_recall")[0].contributor == "Model C"
    assert ordered(entries, "total")[0].contributor == "Twin of B"
    with pytest.raises(ConfigError, match="to sort by"):
        ordered(entries, "secret")
