"""The smoother against its equation solved densely, its limits, and what it must not know."""

from __future__ import annotations

import time

import numpy as np
import pytest

from yieldcast.features.whittaker import smooth


def dense(values, weights, smoothness):
    """(W + smoothness D'D) z = W y with full matrices."""
    differences = np.diff(np.eye(len(values)), 2, axis=0)
    matrix = np.diag(weights) + smoothness * differences.T @ differences
    return np.linalg.solve(matrix, weights * np.nan_to_num(values))


def series(count=5, days=90, gap=8, seed=3):
    rng = np.random.default_rng(seed)
    weights = (rng.random((count, days)) < 1 / gap).astype(float)
    values = np.where(
        weights > 0, 0.5 + 0.4 * np.sin(np.arange(days) / 20) + rng.normal(0, 0.05, (count, days)), np.nan
    )
    return values, weights


def test_each_curve_solves_its_equation():
    values, weights = series()
    weights[1] *= 2.5
    found = smooth(values, weights, 100.0)
    for row in range(len(values)):
        np.testing.assert_allclose(found[row], dense(values[row], weights[row], 100.0), atol=1e-7)


def test_a_hand_worked_curve():
    # y = (0, ., 2), lambda 1: the line 0, 1, 2 has no second difference and no error
    np.testing.assert_allclose(
        smooth(np.array([[0, 9, 2.0]]), np.array([[1.0, 0, 1]]), 1.0), [[0, 1, 2]], atol=1e-12
    )
    # y = (1, 0, 0), all known: z = y - lambda u (1, -2, 1), u the second difference of z: u = 1 / (1 + 6)
    np.testing.assert_allclose(
        smooth(np.array([[1.0, 0, 0]]), np.ones((1, 3)), 1.0), [[6 / 7, 2 / 7, -1 / 7]]
    )


def test_days_without_weight_leave_every_bit_as_it_is():
    values, weights = series(count=40)
    weights[:, 60:] = 0.0
    later = values.copy()
    later[:, 60:] = np.random.default_rng(1).normal(50, 9, later[:, 60:].shape)
    assert np.array_equal(smooth(values, weights), smooth(later, weights))
    # the line after the last observation costs nothing: the same curve as without these days
    np.testing.assert_allclose(
        smooth(values, weights)[:, :60], smooth(values[:, :60], weights[:, :60]), atol=1e-7
    )


def test_series_do_not_know_each_other():
    values, weights = series(count=3)
    alone = smooth(values[1:2], weights[1:2])
    assert np.array_equal(smooth(values, weights)[1:2], alone)
    values[0], weights[2] = 1e6, 0.0
    together = smooth(values, weights)
    assert np.array_equal(together[1:2], alone)
    assert np.isnan(together[2]).all()


@pytest.mark.parametrize("known", [0, 1])
def test_fewer_than_two_observations_give_no_curve(known):
    weights = np.zeros((1, 30))
    weights[0, :known] = 1
    assert np.isnan(smooth(np.ones((1, 30)), weights)).all()


def test_thousands_of_seasons_take_seconds():
    values, weights = series(count=2560, days=360)
    started = time.process_time()
    smooth(values, weights)
    assert time.process_time() - started < 3.0  # 14 seasons of 2,560 fields: 14 times this
