"""Winners only where the paired tests find a difference."""

import numpy as np
from scipy import stats

from yieldcast.workspace.scoring.winners import holm, standing


def wrong(share, rows=1000, seed=0):
    return (np.random.default_rng(seed).random(rows) < share) * 1.0


def test_holm_by_hand():
    # in order: 0.005 <= 0.05 / 4, 0.01 <= 0.05 / 3, but 0.03 > 0.05 / 2: there it stops, also for 0.04 < 0.05
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([0.0126, 0.0126, 0.0126, 0.0126]) == [False] * 4
    assert holm([]) == []


def test_a_model_that_is_clearly_better_wins():
    found = standing({"A": wrong(0.30, seed=1), "B": wrong(0.05, seed=2), "C": wrong(0.2, seed=3)})
    assert (found.best, found.winner, found.not_told_apart) == ("B", "B", ())


def test_models_of_equal_skill_are_named_together_and_the_worse_one_is_not():
    found = standing({"A": wrong(0.30, seed=1), "B": wrong(0.05, seed=2), "C": wrong(0.055, seed=3)})
    assert found.winner == ""
    assert {found.best, *found.not_told_apart} == {"B", "C"}


def test_one_model_wins_nothing_and_none_is_nobody():
    assert standing({"A": wrong(0.1)}).winner == ""
    assert standing({}).best == ""


def test_a_difference_that_comes_from_two_farms_wins_nothing():
    a, b, farm = np.zeros(400), np.zeros(400), np.arange(400) // 40
    b[:80] = 1.0  # B is wrong on the first two of ten farms only
    assert standing({"A": a, "B": b}).winner == "A"  # as if rows were independent
    assert standing({"A": a, "B": b}, np.array([f"farm {k}" for k in farm])).winner == ""


def test_yields_are_compared_by_a_paired_test_of_their_squared_errors():
    rng = np.random.default_rng(4)
    near, far = rng.normal(0, 300, 200) ** 2, rng.normal(0, 600, 200) ** 2
    assert stats.ttest_rel(near, far).pvalue < 0.01
    assert standing({"near": near, "far": far}).winner == "near"
    assert standing({"near": near, "same": near}).winner == ""


def test_noise_seldom_names_a_winner():
    rng = np.random.default_rng(9)
    named = sum(bool(standing({k: rng.random(300) < 0.2 for k in "ABCD"}).winner) for _ in range(100))
    assert named <= 5
