"""Intervals from whole blocks: by hand, against scipy; few blocks make percentile intervals narrow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from yieldcast.comparison.bootstrap import FEW_BLOCKS, block_difference, jackknife_error
from yieldcast.comparison.paired import BlockSums, _mean, _root_mean


def sums(differences, size=10, score=_mean):
    """Blocks of equal size whose mean losses differ by these numbers."""
    a = np.array(differences, dtype=float)
    ones = np.full(len(a), float(size))
    names = tuple(map(str, range(len(a))))
    return BlockSums(names, np.column_stack([(a + 5) * size, ones]), np.column_stack([ones * 5, ones]), score)


def test_for_a_mean_loss_the_interval_is_that_of_student():
    differences = [3.0, -1.0, 2.0, 4.0, 0.5]
    found = block_difference(sums(differences))
    low, high = stats.t.interval(0.95, 4, np.mean(differences), stats.sem(differences))
    assert (found.difference, found.blocks, found.method) == (pytest.approx(1.7), 5, "student_t")
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.spread == pytest.approx(np.std(differences, ddof=1))
    assert not found.excludes_zero


def test_the_jackknife_of_an_rmse_by_hand():
    """Squared errors of A 4 and 16, of B 9 and 9, one row in each block."""
    one = BlockSums(("2015", "2016"), np.array([[4.0, 1], [16, 1]]), np.array([[9.0, 1], [9, 1]]), _root_mean)
    assert block_difference(one).difference == pytest.approx(np.sqrt(10) - 3)
    # without the first block 4 - 3, without the second 2 - 3: mean 0, so sqrt(1/2 x 2)
    assert jackknife_error(one) == pytest.approx(1.0)


def test_many_blocks_take_the_percentiles_of_the_bootstrap():
    differences = np.random.default_rng(3).normal(1.0, 2.0, 40)
    found = block_difference(sums(differences), draws=4000)
    expected = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.method == "bootstrap"
    assert (found.low, found.high) == (
        pytest.approx(expected.low, abs=0.1),
        pytest.approx(expected.high, abs=0.1),
    )
    assert found.bootstrap == (found.low, found.high)


def test_the_same_seed_gives_the_same_interval_and_large_blocks_weigh_more():
    one = sums([1.0, 2.0, 3.0])
    assert block_difference(one, seed=4) == block_difference(one, seed=4)
    assert block_difference(one, seed=4).bootstrap != block_difference(one, draws=7, seed=5).bootstrap
    large = BlockSums(("a", "b"), np.array([[90.0, 30], [0, 10]]), np.array([[0.0, 30], [0, 10]]), _mean)
    assert block_difference(large).difference == pytest.approx(90 / 40)


def test_one_block_has_no_interval():
    found = block_difference(sums([4.0]))
    assert (found.low, found.high, found.bootstrap, found.spread) == (None, None, None, None)
    assert not found.excludes_zero


def test_from_few_blocks_the_percentile_interval_is_too_narrow_and_students_is_not():
    """Coverage of a true difference of 0 in 400 records of five years."""
    random = np.random.default_rng(11)
    inside = np.zeros(2)
    for _ in range(400):
        found = block_difference(sums(random.normal(0, 1, 5)), draws=200)
        for k, (low, high) in enumerate(((found.low, found.high), found.bootstrap)):
            inside[k] += low <= 0 <= high
    assert FEW_BLOCKS > 5
    assert inside[0] / 400 == pytest.approx(0.95, abs=0.03)
    assert inside[1] / 400 < 0.89
