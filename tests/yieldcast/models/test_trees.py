"""Boosted trees: a known step is learned, the same numbers every time, nothing from too few rows."""

import numpy as np

from yieldcast.models.trees import LEAST_ROWS, fit_trees


def table(rows=2000):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, 3))
    targets = np.where(inputs[:, 0] > 0, 300.0, -100.0) + rng.normal(0, 50, rows)
    inputs[::7, 1] = np.nan
    return inputs, targets


def test_a_step_is_learned_and_unknown_inputs_are_allowed():
    predict = fit_trees(*table())
    found = predict(np.array([[1.5, np.nan, 0.0], [-1.5, 0.0, np.nan]]))
    np.testing.assert_allclose(found, (300, -100), atol=40)


def test_the_same_numbers_every_time():
    one, other = (fit_trees(*table())(table()[0]) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_too_few_rows_teach_nothing():
    inputs, targets = table(LEAST_ROWS - 1)
    assert fit_trees(inputs, targets) is None
