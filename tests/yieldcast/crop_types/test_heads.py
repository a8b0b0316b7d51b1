"""Heads, folds and calibration: laws and hand-worked scores."""

import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from yieldcast.crop_types.heads import (
    HEADS,
    calibrated,
    fit_head,
    make_head,
    out_of_fold,
    probabilities,
    spatial_folds,
    temperature,
)
from yieldcast.crop_types.scores import crop_type_scores
from yieldcast.errors import ConfigError, SchemaError


@pytest.fixture(scope="module")
def blobs():
    """Two classes, one of them rare, that a line divides."""
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], [80, 20])
    return rng.normal(size=(100, 5)) + 4 * classes[:, None], classes


@pytest.mark.parametrize("name", HEADS)
def test_every_head_learns_and_draws_the_same_again(name, blobs):
    inputs, classes = blobs
    first, second = (probabilities([fit_head(name, inputs, classes, 3)], inputs, 2) for _ in range(2))
    assert (first.argmax(axis=1) == classes).mean() > 0.9
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first.sum(axis=1), 1)


def test_the_penalty_is_stronger_for_many_columns():
    few, many = (make_head("linear", (200, columns), 0)[-1].C for columns in (128, 1536))
    assert many < few


def test_components_are_a_rotation_of_the_same_problem():
    """Of many columns: the probabilities of the penalised loss on the columns themselves, by scipy."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 600))
    classes = (inputs[:, 0] + rng.normal(size=40) > 0.8).astype(int)
    scaled = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    weight = 40 / (2 * np.bincount(classes)[classes])

    def loss(beta):
        logit = scaled @ beta[:-1] + beta[-1]
        losses = 0.01 * weight * (np.logaddexp(0, logit) - classes * logit)
        slope = 0.01 * weight * (1 / (1 + np.exp(-logit)) - classes)
        return losses.sum() + beta[:-1] @ beta[:-1] / 2, np.append(slope @ scaled + beta[:-1], slope.sum())

    best = minimize(loss, np.zeros(601), jac=True).x
    head = fit_head("linear", inputs, classes)
    wanted = 1 / (1 + np.exp(-(scaled @ best[:-1] + best[-1])))
    np.testing.assert_allclose(probabilities([head], inputs, 2)[:, 1], wanted, atol=1e-3)
    assert head[-1].coef_.shape == (1, 40)


def test_catboost_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "catboost", None)  # as where it is not installed
    with pytest.raises(ConfigError, match="not installed") as error:
        make_head("catboost", (60, 3), 0)
    assert "pip install 'yieldcast[catboost]'" in error.value.hint


def test_no_fold_divides_a_place(blobs):
    _, classes = blobs
    places = np.arange(100) // 3
    folds = spatial_folds(classes, places)
    assert all(len(set(folds[places == one])) == 1 for one in np.unique(places))
    assert sorted(set(folds)) == [0, 1, 2, 3, 4]
    with pytest.raises(SchemaError, match="two places or groups"):
        spatial_folds(classes, np.zeros(100))


def test_left_out_samples_teach_nothing(blobs):
    """Other classes of a fold do not move that fold's own probabilities."""
    inputs, classes = blobs
    folds = np.arange(100) % 4
    other = np.where(folds == 2, 1 - classes, classes)
    held, changed = (out_of_fold("linear", inputs, one, folds, 2) for one in (classes, other))
    np.testing.assert_array_equal(held[folds == 2], changed[folds == 2])
    assert not np.array_equal(held[folds == 1], changed[folds == 1])


def test_temperature_is_found_again():
    """Classes drawn from known probabilities, which are then shown three times too sure."""
    rng = np.random.default_rng(1)
    true = calibrated(rng.dirichlet([2, 2, 2], 20000), 1.5)
    classes = (rng.random(20000)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    too_sure = calibrated(true, 1 / 3)
    assert temperature(too_sure, classes) == pytest.approx(3, rel=0.1)
    np.testing.assert_allclose(calibrated(too_sure, 3.0), true, atol=1e-4)


def test_scores_by_hand():
    # truth a a b b, found a b b b: F1 of a = 2/3, of b = 4/5
    probability = np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.2, 0.8, 0], [0.1, 0.9, 0]])
    made = crop_type_scores(probability, np.array([0, 0, 1, 1]), ["a", "b", "c"])
    assert made.f1 == pytest.approx({"a": 2 / 3, "b": 4 / 5})
    assert made.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert made.accuracy == 0.75
    # bins 0.6: off by 0.6; 0.8: off by 0.2; 0.9: off by 0.1 twice; of four samples
    assert made.calibration_error == pytest.approx((0.6 + 0.2 + 0.2) / 4)


@pytest.mark.parametrize("name", HEADS)
def test_without_equal_weights_a_rare_class_is_predicted_as_often_as_it_was_seen(name):
    rng = np.random.default_rng(5)
    classes = (rng.random(600) < 0.1).astype(np.int64)
    inputs = rng.normal(size=(600, 2))  # which tell nothing of the class
    folds = np.arange(600) % 3
    equal, natural = (
        out_of_fold(name, inputs, classes, folds, 2, equal=one)[:, 1].mean() for one in (True, False)
    )
    assert abs(natural - classes.mean()) < 0.06
    assert equal > natural + 0.15
