"""The Ladder: examples by hand, and the law that noise does not climb it."""

from decimal import Decimal
from itertools import pairwise
from math import comb, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.errors import ConfigError
from yieldcast.workspace.scoring.ladder import climb, looks_spent, outwards, rounded

D = Decimal
STEP = D("0.01")


def published(losses, error=0.0, step=STEP):
    return [rung.published for rung in climb(losses, losses, lambda a, b: error, step)]


def test_a_loss_is_published_if_it_is_better_by_more_than_the_step():
    # 0.305 and 0.29 are no better than 0.30 by more than 0.01; 0.284 is, and is rounded to 0.28;
    # 0.275 is no better than 0.28 by more than 0.01; 0.265 is: the even of 0.26 and 0.27
    losses = [0.301, 0.305, 0.29, 0.284, 0.275, 0.265]
    assert published(losses) == [D("0.30")] * 3 + [D("0.28")] * 2 + [D("0.26")]


def test_a_gain_is_a_loss_turned_round_and_shown_as_it_is():
    gains = [0.90, 0.905, 0.93, 0.91]
    rungs = climb([-gain for gain in gains], gains, lambda a, b: 0.02, STEP)
    assert [rung.published for rung in rungs] == [D("0.90"), D("0.90"), D("0.93"), D("0.93")]
    assert [rung.raised for rung in rungs] == [True, False, True, False]
    assert [rung.holder for rung in rungs] == [0, 0, 2, 2]
    assert [rung.margin for rung in rungs] == [None, D("0.02"), D("0.02"), D("0.02")]


def test_rmse_falls_and_the_standard_error_decides_where_it_is_larger_than_the_step():
    losses = [812.0, 795.0, 771.0]
    assert published(losses, error=25.4, step=D(10)) == [D(810), D(810), D(770)]
    assert climb(losses, losses, lambda a, b: 25.4, D(10))[1].margin == 30  # rounded up to the step


def test_bias_nearer_to_zero_is_better_and_keeps_its_sign():
    rungs = climb([60.0, 22.0], [60.0, -22.0], lambda a, b: 5.0, D(10))
    assert [rung.published for rung in rungs] == [D(60), D(-20)]


def test_the_error_is_that_to_the_submission_that_holds_the_score():
    asked = []

    def error(new, old):
        asked.append((new, old))
        return 0.0

    climb([0.5, 0.6, 0.3, 0.31], [0.5, 0.6, 0.3, 0.31], error, STEP)
    assert asked == [(1, 0), (2, 0), (3, 2)]


def test_a_score_that_is_not_defined_changes_nothing():
    assert published([float("nan"), 0.4, float("nan"), 0.2]) == [None, D("0.40"), D("0.40"), D("0.20")]


def test_no_score_is_a_minus_zero_and_intervals_grow():
    assert str(rounded(-0.001, STEP)) == "0.00"
    assert outwards(0.8812, 0.9001, STEP) == (D("0.88"), D("0.91"))
    with pytest.raises(ConfigError, match="step above 0"):
        climb([0.1], [0.1], lambda a, b: 0.0, D(0))


@given(
    losses=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    errors=st.floats(0, 0.2),
    step=st.sampled_from([D("0.001"), D("0.01"), D("0.05")]),
)
def test_what_is_published_falls_by_more_than_half_a_step_less_than_the_margin(losses, errors, step):
    shown = published(losses, errors, step)
    assert all(value % step == 0 for value in shown)
    margin = max(float(step), errors)
    for before, after in pairwise(shown):
        assert after == before or before - after >= D(margin) - step / 2 - D("1e-9")
    # never better than the best loss by more than the rounding, never worse by more than the margin too
    best = np.minimum.accumulate(losses)
    assert all(
        -float(step) / 2 - 1e-9 <= float(value) - one <= margin + float(step) / 2 + 1e-9
        for value, one in zip(shown, best, strict=True)
    )


@given(st.integers(0, 30), st.integers(0, 2**31))
def test_a_score_below_the_step_changes_nothing(place, seed):
    rng = np.random.default_rng(seed)
    losses = np.round(rng.random(8), 2)  # on the step, so that no score is at the edge of rounding
    changed = losses.copy()
    changed[place % 8] += rng.uniform(-0.0049, 0.0049)
    if len({*np.round(np.diff(sorted(losses)), 4)} & {0.01, 0.02}):  # at the edge of the margin
        return
    assert published(changed.tolist(), 0.005) == published(losses.tolist(), 0.005)


def attack(rows, tries, seed, feedback):
    """Submit coin flips, keep those that the feedback praises, and submit their majority vote (Blum & Hardt
    2015, Section 4.1). Where the vote is wrong on the holdout; its true loss is 0.5."""
    rng = np.random.default_rng(seed)
    wrong = rng.integers(0, 2, (tries, rows)).astype(bool)  # labels are coin flips: the truth is 0.5
    losses = wrong.mean(axis=1)
    praised = feedback(wrong, losses)
    share = wrong[praised].mean(axis=0)
    vote = np.where(share == 0.5, rng.random(rows) < 0.5, share > 0.5)
    return vote, wrong, losses


def test_noise_climbs_naive_publishing_but_not_the_ladder():
    rows, tries, step = 1000, 300, D("0.001")
    naive, _, _ = attack(rows, tries, 7, lambda wrong, losses: losses < 0.5)
    assert naive.mean() < 0.5 - 0.1  # far below the truth: the holdout is used up

    def error(wrong):
        return lambda new, old: float(np.std(wrong[new] * 1.0 - wrong[old], ddof=1) / sqrt(rows))

    def raised(wrong, losses):
        rungs = climb(losses.tolist(), losses.tolist(), error(wrong), step)
        return np.array([rung.raised for rung in rungs])

    one_error = 0.5 / sqrt(rows)
    for seed in range(5):
        vote, wrong, _ = attack(rows, tries, seed, raised)
        every = np.vstack([wrong, vote])
        tried = every.mean(axis=1).tolist()
        rungs = climb(tried, tried, error(every), step)
        assert sum(rung.raised for rung in rungs) <= 6  # nearly nothing was told
        assert float(rungs[-1].published) > 0.5 - float(step) - 4 * one_error


def test_the_bound_of_looks_by_hand():
    found = looks_spent(5, 5000, D("0.01"), shares=True)
    assert found.fixed == pytest.approx(sqrt(log(2 * 5 / 0.05) / 10_000))
    # 101 values, 5 submissions: C(105, 4) models
    assert found.adaptive == pytest.approx(sqrt((log(comb(105, 4)) + log(40)) / 10_000))
    assert looks_spent(1, 5000, D("0.01"), True).adaptive == looks_spent(1, 5000, D("0.01"), True).fixed
    assert looks_spent(0, 5000, D("0.01"), True).adaptive == 0
    assert looks_spent(3, 50, D(10), shares=False).adaptive is None
