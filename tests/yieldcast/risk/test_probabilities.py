"""Probabilities of classes: hand-worked, monotone, adding up; classes of the largest expected macro-F1."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from yieldcast.forecasting.table import QUANTILES
from yieldcast.risk.classes import HIGH, LOW, MEDIUM, UNKNOWN
from yieldcast.risk.probabilities import class_probabilities, shown_classes

NORMAL = stats.norm.ppf(QUANTILES)


def test_normal_forecast_by_hand() -> None:
    """3000 +- 500 kg/ha with borders one deviation away: 15.87 %, 68.27 %, 15.87 %."""
    quantiles = (3000.0 + 500.0 * NORMAL)[None]
    found = class_probabilities(quantiles, np.array([[2500.0, 3500.0]]))
    np.testing.assert_allclose(found, [[0.158655, 0.682689, 0.158655]], atol=1e-6)
    two = class_probabilities(quantiles, np.array([[3000.0]]))
    np.testing.assert_allclose(two, [[0.5, 0.5]], atol=1e-6)


def test_unknown_stays_unknown() -> None:
    quantiles = np.tile(3000.0 + 500.0 * NORMAL, (3, 1))
    quantiles[1, 2] = np.nan
    borders = np.array([[2500.0, 3500], [2500, 3500], [np.nan, np.nan]])
    found = class_probabilities(quantiles, borders)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True]
    assert shown_classes(found).tolist()[1:] == [UNKNOWN, UNKNOWN]


@given(
    st.lists(st.floats(0, 9000), min_size=7, max_size=7),
    st.tuples(st.floats(1, 9000), st.floats(1, 9000), st.floats(0, 3000)),
)
def test_monotone_and_adding_up(values: list[float], border: tuple[float, float, float]) -> None:
    """A higher border makes a low yield more likely and a high one less; the shares stay shares."""
    quantiles = np.sort(values)[None]
    low, high, more = min(border[:2]), max(border[:2]), border[2]
    found = class_probabilities(quantiles, np.array([[low, high]]))[0]
    raised = class_probabilities(quantiles, np.array([[low + more, high + more]]))[0]
    better = class_probabilities(quantiles + more, np.array([[low, high]]))[0]
    assert abs(found.sum() - 1.0) < 1e-9
    assert (found >= 0).all()
    assert raised[0] >= found[0] - 1e-9
    assert raised[2] <= found[2] + 1e-9
    assert better[0] <= found[0] + 1e-6  # quantiles that are equal are kept apart by 1e-6 kg/ha


def test_shown_classes_by_hand() -> None:
    """The middle class is shown though it is nowhere the most probable."""
    rows = np.array([[0.50, 0.30, 0.20], [0.36, 0.33, 0.31], [0.31, 0.33, 0.36], [0.20, 0.30, 0.50]])
    assert rows.argmax(axis=1).tolist() == [LOW, LOW, HIGH, HIGH]
    found = shown_classes(rows)
    assert found.tolist() == [LOW, MEDIUM, MEDIUM, HIGH]
    # E[right]: low 0.5 of 1.37 expected and 1 shown; medium 0.66 of 1.26 and 2; high as low
    best = (2 * 0.5 / 2.37 * 2 + 2 * 0.66 / 3.26) / 3
    assert expected(rows, found) == best


def expected(rows: np.ndarray, classes: np.ndarray) -> float:
    shown = np.eye(3)[classes]
    return float((2 * (shown * rows).sum(axis=0) / (rows.sum(axis=0) + shown.sum(axis=0))).mean())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 500))
def test_shown_classes_expect_more_than_the_most_probable(seed: int) -> None:
    rows = np.random.default_rng(seed).dirichlet([2.0, 2.0, 2.0], size=5)
    found = expected(rows, shown_classes(rows))
    assert found >= expected(rows, rows.argmax(axis=1)) - 1e-12
    every = max(expected(rows, np.array(one)) for one in itertools.product(range(3), repeat=5))
    assert found <= every + 1e-12


def test_classes_read_no_outcome() -> None:
    """The order of the rows, all that a table holds besides its probabilities, moves nothing."""
    rows = np.random.default_rng(1).dirichlet([1.0, 2.0, 1.0], size=40)
    order = np.random.default_rng(2).permutation(40)
    np.testing.assert_array_equal(shown_classes(rows)[order], shown_classes(rows[order]))


def test_two_classes() -> None:
    rows = np.array([[0.4, 0.6], [0.1, 0.9], [0.05, 0.95]])
    assert shown_classes(rows).tolist() == [0, 1, 1]
