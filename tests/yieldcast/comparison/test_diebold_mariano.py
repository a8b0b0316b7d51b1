"""The Diebold-Mariano test: by hand, as a t-test without lag, and where it is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from yieldcast.comparison.diebold_mariano import diebold_mariano

LOSS_A = np.array([4.0, 7.0, 1.0, 6.0, 3.0, 9.0])
LOSS_B = np.array([3.0, 9.0, 5.0, 7.0, 6.0, 7.0])


def test_without_lag_it_is_the_t_test_of_the_differences():
    """Then factor x mean / sqrt(variance / n), variance over n, is the t statistic (n - 1)."""
    found = diebold_mariano(LOSS_A, LOSS_B, lag=0)
    expected = stats.ttest_rel(LOSS_A, LOSS_B)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_lag_one_by_hand():
    """Differences 1, 3, 2, 4 with mean 2.5: deviations -1.5, 0.5, -0.5, 1.5.

    Products: lag 0 (2.25 + 0.25 + 0.25 + 2.25) / 4 = 1.25; lag 1 (-0.75 - 0.25 - 0.75) / 4 = -0.4375, so the
    variance is 0.375. The correction for two steps ahead is sqrt((4 + 1 - 4 + 2 / 4) / 4) = sqrt(0.375).
    """
    found = diebold_mariano(np.array([1.0, 3, 2, 4]), np.zeros(4))
    assert found.statistic == pytest.approx(np.sqrt(0.375) * 2.5 / np.sqrt(0.375 / 4))
    assert found.p_value == pytest.approx(2 * stats.t.sf(5.0, 3))
    assert (found.lag, found.fell_back, found.years, found.mean_difference) == (1, False, 4, 2.5)


def test_a_variance_that_is_not_above_zero_takes_no_lag():
    """Differences that go up and down every year: lag 1 takes away more than lag 0 gives."""
    loss = np.array([1.0, -1, 1, -1, 1])
    found = diebold_mariano(loss, np.zeros(5))
    assert (found.lag, found.fell_back) == (0, True)
    assert found.statistic == pytest.approx(stats.ttest_1samp(loss, 0).statistic)


def test_swapping_the_models_turns_the_sign():
    one, other = diebold_mariano(LOSS_A, LOSS_B), diebold_mariano(LOSS_B, LOSS_A)
    assert one.statistic == pytest.approx(-other.statistic)
    assert one.p_value == pytest.approx(other.p_value)


def test_too_few_years_and_losses_that_do_not_vary():
    assert diebold_mariano(LOSS_A[:2], LOSS_B[:2]) is None
    assert diebold_mariano(np.array([]), np.array([])) is None
    same = diebold_mariano(LOSS_A, LOSS_A)
    assert (same.statistic, same.p_value, same.mean_difference) == (None, 1.0, 0.0)
    apart = diebold_mariano(LOSS_A + 1.0, LOSS_A)
    assert (apart.statistic, apart.p_value, apart.mean_difference) == (None, None, 1.0)
