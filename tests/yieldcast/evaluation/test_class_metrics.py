"""Scores of classes and of P(low): by hand, against scikit-learn, and the laws that hold for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, f1_score, recall_score

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.class_metrics import (
    CURVE_POINTS,
    brier_parts,
    reliability_curve,
    reliability_slope,
    score_classes,
    score_low,
    warnings_of,
)

EVENT = np.array([1, 0, 1, 0, 0, 1, 0, 0, 0, 0], dtype=bool)
PROBABILITY = np.array([0.85, 0.85, 0.85, 0.25, 0.25, 0.25, 0.25, 0.05, 0.05, 0.05])
ROWS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.floats(0, 1, allow_subnormal=False), min_size=n, max_size=n),
    )
)


def test_classes_by_hand():
    truth = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    found = score_classes(truth, np.array([0, 0, 1, 1, 0, 2, 2, 1]), 3)
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (0, 1, 2))
    assert found.accuracy == 5 / 8
    assert found.precision == pytest.approx((2 / 3, 1 / 3, 1.0))
    assert found.recall == pytest.approx((2 / 3, 1 / 2, 2 / 3))
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 5 + 4 / 5) / 3)
    assert found.support == (3, 2, 3)


def test_a_class_that_does_not_occur_has_no_recall_and_counts_in_no_mean():
    found = score_classes(np.array([1, 1, 2]), np.array([1, 2, 2]), 3)
    assert (found.precision[0], found.recall[0], found.support[0]) == (None, None, 0)
    assert found.macro_f1 == pytest.approx(2 / 3)  # F1 of both is 2/3
    # predicted but never there: no recall, and an F1 of 0 that counts
    found = score_classes(np.array([1, 1]), np.array([1, 0]), 2)
    assert (found.precision[0], found.recall[0]) == (0.0, None)
    assert found.macro_f1 == pytest.approx(f1_score([1, 1], [1, 0], average="macro"))


@pytest.mark.parametrize(
    ("truth", "predicted", "error"),
    [([], [], MissingDataError), ([0, 3], [0, 0], SchemaError), ([0], [0, 1], SchemaError),
     ([0, -1], [0, 0], SchemaError)],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(truth, predicted, error):
    with pytest.raises(error):
        score_classes(np.array(truth, dtype=int), np.array(predicted, dtype=int), 3)


def test_the_brier_score_and_its_parts_by_hand():
    parts = brier_parts(EVENT, PROBABILITY)
    # bins of 3, 4 and 3 rows in which the event came 2, 1 and 0 times; 3 of 10 in all
    shares = np.array([2 / 3, 1 / 4, 0.0])
    size, forecasts = np.array([3, 4, 3]), np.array([0.85, 0.25, 0.05])
    assert parts.reliability == pytest.approx((size * (forecasts - shares) ** 2).sum() / 10)
    assert parts.resolution == pytest.approx((size * (shares - 0.3) ** 2).sum() / 10)
    assert parts.uncertainty == pytest.approx(0.21)
    assert parts.within_bins == pytest.approx(0, abs=1e-15)  # Murphy's identity needs no fourth part here
    assert parts.brier == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty, abs=1e-15)
    assert parts.brier == pytest.approx(brier_score_loss(EVENT, PROBABILITY))
    assert [(one.n, one.observed) for one in reliability_curve(EVENT, PROBABILITY)] == [
        (3, 0.0), (4, 0.25), (3, pytest.approx(2 / 3))
    ]  # fmt: skip


@given(ROWS)
def test_the_parts_add_up_to_the_brier_score(rows):
    event, probability = np.array(rows[0]), np.array(rows[1])
    parts = brier_parts(event, probability)
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bins
    assert parts.brier == pytest.approx(whole, abs=1e-12)
    assert parts.brier == pytest.approx(((probability - event) ** 2).mean(), abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0


def test_the_slope_is_one_for_reliable_probabilities_and_the_weighted_line_through_the_curve():
    event = np.repeat([1, 0, 1, 0], [1, 3, 3, 1]).astype(bool)
    assert reliability_slope(event, np.repeat([0.25, 0.75], 4)) == pytest.approx(1.0)
    assert reliability_slope(event, np.repeat([0.0, 1.0], 4)) == pytest.approx(0.5)  # too sure
    curve = reliability_curve(EVENT, PROBABILITY)
    points = np.array([(one.probability, one.observed, one.n) for one in curve]).T
    line = np.polyfit(points[0], points[1], 1, w=np.sqrt(points[2]))
    assert reliability_slope(EVENT, PROBABILITY) == pytest.approx(line[0])
    assert reliability_slope(EVENT, np.full(10, 0.3)) is None


def test_recall_at_a_false_alarm_rate_by_hand():
    # not low: 0.85, 0.25 x3, 0.05 x3. One alarm in seven at P >= 0.85, four in seven at P >= 0.25.
    found = warnings_of(EVENT, PROBABILITY, 1 / 7)
    assert (found.recall_at_rate, found.threshold) == (pytest.approx(2 / 3), 0.85)
    assert warnings_of(EVENT, PROBABILITY, 4 / 7).recall_at_rate == 1.0
    none = warnings_of(EVENT, PROBABILITY, 0.1)
    assert (none.recall_at_rate, none.threshold) == (0.0, None)
    # pairs of one low and one other row: the low one is higher in 2 x 6 + 3, equal in 2 + 3 of 21
    assert found.roc_area == pytest.approx((15 + 5 / 2) / 21)
    assert found.pr_area == pytest.approx(2 / 3 * 2 / 3 + 1 / 3 * 3 / 7)
    flagged = found.threshold <= PROBABILITY
    assert found.recall_at_rate == pytest.approx(recall_score(EVENT, flagged))


def test_curves_are_short_and_whole():
    random = np.random.default_rng(0)
    probability = random.uniform(size=4000)
    found = warnings_of(random.uniform(size=4000) < probability, probability)
    for curve in (found.roc, found.pr):
        assert CURVE_POINTS // 2 < len(curve) <= CURVE_POINTS
    assert (found.roc[0], found.roc[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert found.roc_area == pytest.approx(np.trapezoid(*np.array(found.roc).T[::-1]), abs=0.005)


def test_a_year_without_low_yields_has_no_curve_but_a_brier_score():
    found = score_low(np.zeros(4, dtype=bool), np.array([0.1, 0.2, 0.3, 0.4]))
    assert (found["roc_area"], found["recall_at_rate"], found["roc"]) == (None, None, ())
    assert found["brier"] == pytest.approx(0.3 / 4)
    with pytest.raises(SchemaError, match="from 0 to 1"):
        score_low(EVENT, PROBABILITY + 1)
    with pytest.raises(SchemaError, match="false-alarm"):
        score_low(EVENT, PROBABILITY, 1.5)
