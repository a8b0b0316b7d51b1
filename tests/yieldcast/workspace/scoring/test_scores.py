"""Scores of the holdout against scikit-learn, scipy and hand-worked numbers; what leaves of them."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.forecasting.table import QUANTILES
from yieldcast.workspace.scoring.scores import (
    Reference,
    class_row_arrays,
    class_scores,
    published,
    reference_scores,
    value_row_arrays,
    value_scores,
)

CLASSES = ("barley", "corn", "oats", "rye")


def drawn(seed=0, rows=300):
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, rows, p=[0.5, 0.25, 0.15, 0.1])
    outputs = rng.dirichlet(np.ones(4), rows)
    outputs[np.arange(rows), truth] += 0.4
    return truth, outputs / outputs.sum(axis=1, keepdims=True)


def test_scores_of_classes_are_those_of_scikit_learn():
    truth, outputs = drawn()
    predicted, found = outputs.argmax(axis=1), class_scores(truth, outputs, CLASSES, ("oats", "rye"))
    recall = oracle.recall_score(truth, predicted, average=None)
    assert found.values == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(truth, predicted),
            "macro_f1": oracle.f1_score(truth, predicted, average="macro"),
            "rare_recall": recall[2:].mean(),
            "log_score": oracle.log_loss(truth, outputs, labels=range(4)),
        }
    )
    assert list(found.recall.values()) == pytest.approx(recall)
    assert found.confusion == tuple(map(tuple, oracle.confusion_matrix(truth, predicted).tolist()))
    assert found.main == found.values["accuracy"]
    assert found.n == 300
    assert found.groups is None


def test_standard_errors_of_means_are_those_of_scipy():
    truth, outputs = drawn()
    hit = truth == outputs.argmax(axis=1)
    found = class_scores(truth, outputs, CLASSES)
    assert found.errors["accuracy"] == pytest.approx(stats.sem(hit))
    logs = -np.log(outputs[np.arange(300), truth])
    assert found.errors["log_score"] == pytest.approx(stats.sem(logs))
    assert found.errors["rare_recall"] is None
    assert found.values["rare_recall"] is None


def test_errors_of_recall_and_f1_are_those_of_the_bootstrap():
    truth, outputs = drawn(rows=800)
    found, rng = class_scores(truth, outputs, CLASSES, ("rye",)), np.random.default_rng(1)
    f1, recall = [], []
    for _ in range(80):
        at = rng.integers(0, 800, 800)
        predicted = outputs[at].argmax(axis=1)
        f1.append(oracle.f1_score(truth[at], predicted, average="macro"))
        recall.append((predicted[truth[at] == 3] == 3).mean())
    assert found.errors["macro_f1"] == pytest.approx(np.std(f1), rel=0.25)
    assert found.recall_errors["rye"] == pytest.approx(np.std(recall), rel=0.25)
    assert found.errors["rare_recall"] == found.recall_errors["rye"]


def test_rows_of_one_field_count_as_one():
    """Four copies of each row: without groups the error is half of what it is, with groups it is right."""
    truth, outputs = drawn(rows=100)
    once = class_scores(truth, outputs, CLASSES)
    four = np.repeat(truth, 4), np.repeat(outputs, 4, axis=0)
    alone = class_scores(*four, CLASSES)
    grouped = class_scores(*four, CLASSES, group=np.repeat([f"field {k}" for k in range(100)], 4))
    assert alone.errors["accuracy"] == pytest.approx(once.errors["accuracy"] / 2, rel=0.01)
    for name in ("accuracy", "macro_f1", "log_score"):
        assert grouped.errors[name] == pytest.approx(once.errors[name])
    assert grouped.groups == 100


def test_outputs_that_are_no_probabilities_have_no_log_score():
    truth, outputs = drawn()
    plain, logits = class_scores(truth, outputs, CLASSES), class_scores(truth, np.log(outputs), CLASSES)
    assert logits.values["log_score"] is None
    assert logits.values["accuracy"] == plain.values["accuracy"]
    assert "log_score" not in class_row_arrays(truth, np.log(outputs))


def test_rows_for_paired_tests():
    rows = class_row_arrays(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert rows["predicted"].tolist() == [0, 0]
    assert rows["hit"].tolist() == [True, False]
    assert rows["log_score"] == pytest.approx([-np.log(0.9), -np.log(0.2)])


TARGET = np.array([2000.0, 3000.0, 4000.0])


def test_scores_of_points_by_hand():
    """Errors of 100, -200 and 300: RMSE sqrt(140000 / 3), bias 200 / 3, CRPS the mean absolute error 200."""
    reference = {"trend": Reference(TARGET + 400, np.full(3, 400.0))}
    found = value_scores(TARGET, np.array([[2100.0], [2800.0], [4300.0]]), references=reference)
    assert found.values == pytest.approx(
        {"rmse_kg_ha": np.sqrt(140000 / 3), "bias_kg_ha": 200 / 3, "crps_kg_ha": 200, "skill_trend": 0.5}
    )
    assert found.errors["bias_kg_ha"] == pytest.approx(stats.sem([100, -200, 300]))
    assert found.errors["crps_kg_ha"] == pytest.approx(stats.sem([100, 200, 300]))
    baseline = reference_scores(TARGET, reference)["trend"]
    assert baseline.values["rmse_kg_ha"] == 400
    assert baseline.values["skill_trend"] == 0


@pytest.mark.parametrize("levels", [QUANTILES, (0.1, 0.5, 0.9), (0.9, 0.1, 0.5)])
def test_the_crps_of_normal_quantiles_is_the_exact_one(levels):
    """Of a normal distribution the quantiles are exact, and Gneiting & Raftery 2007, eq. 21, gives the CRPS;
    99 levels are within 1 % of it."""
    middle, sd, rng = 3000.0, 400.0, np.random.default_rng(2)
    target = rng.normal(middle, sd, 50)
    quantiles = np.tile(stats.norm.ppf(levels, middle, sd), (50, 1))
    z = (target - middle) / sd
    exact = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    rows = value_row_arrays(target, quantiles, levels)
    np.testing.assert_allclose(rows["crps_kg_ha"].mean(), exact.mean(), rtol=0.01)
    np.testing.assert_allclose(rows["prediction_kg_ha"], middle, rtol=1e-9)


def test_quantiles_that_cross_are_put_in_order():
    right = value_row_arrays(TARGET, np.tile([2500.0, 3000.0, 3500.0], (3, 1)), (0.1, 0.5, 0.9))
    crossed = value_row_arrays(TARGET, np.tile([3500.0, 2500.0, 3000.0], (3, 1)), (0.1, 0.5, 0.9))
    np.testing.assert_array_equal(right["crps_kg_ha"], crossed["crps_kg_ha"])


def test_predictions_that_do_not_fit_are_refused():
    truth, outputs = drawn(rows=5)
    outputs[2, 1] = np.nan
    with pytest.raises(SchemaError, match="1 of 20 that are not"):
        class_scores(truth, outputs, CLASSES)
    with pytest.raises(SchemaError, match=r"shape \(5, 3\), received \(5, 4\)"):
        class_scores(truth, outputs, CLASSES[:3])
    with pytest.raises(SchemaError, match="different levels"):
        value_scores(TARGET, np.ones((3, 2)), (0.5, 0.5))
    with pytest.raises(MissingDataError):
        class_scores(np.empty(0, int), np.empty((0, 4)), CLASSES)


def test_what_leaves_is_rounded_and_errors_are_rounded_up():
    truth, outputs = drawn()
    scores = class_scores(truth, outputs, CLASSES, ("oats", "rye"))
    found = published(scores, step=0.01)
    for name in ("accuracy", "macro_f1", "rare_recall", "log_score"):
        assert found[name] == pytest.approx(round(scores.values[name], 2), abs=1e-9)
        assert scores.errors[name] <= found[f"{name}_error"] < scores.errors[name] + 0.01
    value = published(value_scores(TARGET, TARGET + np.array([104, 0, 0])), step_kg_ha=10)
    assert value["rmse_kg_ha"] == 60
    assert value["bias_kg_ha"] == 30
    assert found["recall"]["corn"] == pytest.approx(scores.recall["corn"], abs=0.005)


def test_a_recall_on_few_rows_does_not_leave():
    truth = np.repeat([0, 1, 2, 3], [50, 30, 20, 4])
    found = published(class_scores(truth, np.eye(4)[truth], CLASSES, ("oats", "rye")))
    # rye has 4 rows; from accuracy its recall would follow, therefore oats is hidden with it
    assert found["recall"] == {"barley": 1, "corn": 1, "oats": None, "rye": None}
    assert found["confusion"][3] == [None] * 4
