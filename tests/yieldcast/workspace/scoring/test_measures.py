"""Measures against scikit-learn, their errors against formulas and against leaving rows out by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from yieldcast.workspace.scoring.intervals import intervals, wilson
from yieldcast.workspace.scoring.measures import (
    class_measures,
    class_rows,
    jackknife_errors,
    totals,
    units_of,
    value_measures,
    value_rows,
)

NAMES = ("barley", "corn", "oats")
MEASURES = class_measures(NAMES, ("corn", "oats"))


def labels(seed, rows=200, right=0.7):
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, rows, p=(0.5, 0.3, 0.2))
    return truth, np.where(rng.random(rows) < right, truth, rng.integers(0, 3, rows))


def scores(truth, predicted, groups=None):
    return MEASURES.score(totals(units_of([class_rows(truth, predicted, 3)], groups))[0])


def test_class_measures_are_those_of_scikit_learn():
    truth, predicted = labels(1)
    recall = recall_score(truth, predicted, average=None)
    expected = [
        accuracy_score(truth, predicted),
        f1_score(truth, predicted, average="macro"),
        recall[1:].mean(),
        *recall,
    ]
    assert MEASURES.names == ("accuracy", "macro_f1", "rare_recall", *(f"recall:{name}" for name in NAMES))
    assert scores(truth, predicted) == pytest.approx(expected)
    assert scores(truth, predicted, np.array([f"f{k % 7}" for k in range(200)])) == pytest.approx(expected)


def test_a_class_without_rows_has_no_recall_and_is_left_out_of_the_mean_of_the_rare():
    found = dict(zip(MEASURES.names, scores(np.array([0, 0, 1]), np.array([0, 1, 1])), strict=True))
    assert np.isnan(found["recall:oats"])
    assert found["rare_recall"] == 1.0


def test_value_measures_by_hand():
    measures = value_measures({"mean": 200.0})
    rows = value_rows(np.array([300.0, -100.0, 100.0]), np.array([90.0, 30.0, 60.0]))
    found = dict(zip(measures.names, measures.score(totals(units_of([rows], None))[0]), strict=True))
    assert found == pytest.approx(
        {"rmse_kg_ha": np.sqrt(110_000 / 3), "bias_kg_ha": 100, "crps_kg_ha": 60, "skill_mean": 0.7}
    )
    assert measures.losses(np.array([5.0, -7.0, 3.0, 0.2])).tolist() == [5, 7, 3, -0.2]


def test_the_error_of_a_difference_of_accuracies_is_that_of_the_mean_of_the_differences():
    (truth, a), (_, b) = labels(1), labels(2)
    rows = [class_rows(truth, predicted, 3) for predicted in (a, b)]
    difference = (a != truth) * 1.0 - (b != truth)
    expected = difference.std(ddof=1) / np.sqrt(len(truth))
    assert jackknife_errors(MEASURES, units_of(rows, None))[0] == pytest.approx(expected)
    assert (jackknife_errors(MEASURES, units_of([rows[0], rows[0]], None)) == 0).all()


def test_errors_over_groups_leave_out_whole_groups():
    truth, predicted = labels(3, rows=60)
    groups = np.array([f"farm {k % 6}" for k in range(60)])
    left_out = np.array([scores(truth[groups != g], predicted[groups != g]) for g in np.unique(groups)])
    expected = np.sqrt(5 / 6 * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    units = units_of([class_rows(truth, predicted, 3)], groups)
    assert jackknife_errors(MEASURES, units) == pytest.approx(expected)


def test_rows_without_a_group_are_groups_of_their_own():
    truth, predicted = labels(4, rows=30)
    rows = [class_rows(truth, predicted, 3)]
    alone = jackknife_errors(MEASURES, units_of(rows, np.full(30, "")))
    assert alone == pytest.approx(jackknife_errors(MEASURES, units_of(rows, None)))


def test_wilson_by_hand():
    # 8 of 10: centre (0.8 + 1.96^2 / 20) / (1 + 1.96^2 / 10) = 0.7167, half 0.2265 (Brown et al. 2001)
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_intervals_hold_their_scores_and_groups_widen_them():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 3, 400)
    farm = np.arange(400) // 20
    right = (rng.random(20) < 0.7)[farm]  # whole farms are right or wrong
    predicted = np.where(right, truth, (truth + 1) % 3)
    rows, whole = [class_rows(truth, predicted, 3)], scores(truth, predicted)
    alone = intervals(MEASURES, units_of(rows, None))
    grouped = intervals(MEASURES, units_of(rows, np.array([f"farm {k}" for k in farm])))
    for found in (alone, grouped):
        assert ((found[:, 0] <= whole) & (whole <= found[:, 1])).all()
        assert found.min() >= 0
        assert found.max() <= 1
    assert alone[0] == pytest.approx(wilson(int(right.sum()), 400))
    assert np.diff(grouped[0])[0] > 2.5 * np.diff(alone[0])[0]


def test_the_interval_of_rmse_covers_as_often_as_it_says():
    measures, rng, hits = value_measures({}), np.random.default_rng(11), 0
    for _ in range(300):
        error = rng.normal(0, 500, 80)
        low, high = intervals(measures, units_of([value_rows(error, np.abs(error))], None))[0]
        hits += low <= 500 <= high
    assert 0.91 < hits / 300 < 0.98


def test_groups_that_are_all_right_are_no_certainty():
    truth = np.arange(60) % 3
    units = units_of([class_rows(truth, truth, 3)], np.array([f"farm {k // 3}" for k in range(60)]))
    found = intervals(MEASURES, units)
    assert found[0].tolist() == pytest.approx(wilson(60, 60))
    assert found[-1].tolist() == pytest.approx(wilson(20, 20))
