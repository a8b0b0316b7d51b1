"""Outputs of a submission are matched by their declared names."""

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.workspace.tasks.holdout import check_outputs, match_classes
from yieldcast.workspace.tasks.task import Task

CLASSES = ("corn", "oats", "rye")


def task(**fields):
    about = {"task": "crop-tiles", "inputs": {"image": (8, 8, 1)}, "kind": "classes", "outputs": CLASSES}
    return Task.model_validate({**about, "training": 9, "holdout": 3, "fingerprint": "0", **fields})


def test_another_order_of_the_classes_is_put_right():
    found = match_classes(np.array([[0.1, 0.7, 0.2]]), ("rye", "corn", "oats"), CLASSES)
    np.testing.assert_allclose(found, [[0.7, 0.2, 0.1]])


def test_classes_that_the_task_lacks_are_left_out():
    found = match_classes(np.array([[0.5, 0.2, 0.2, 0.1]]), ("flax", "oats", "rye", "corn"), CLASSES)
    np.testing.assert_allclose(found, [[0.2, 0.4, 0.4]])


def test_a_class_without_an_output_is_never_predicted():
    assert match_classes(np.array([[0.25, 0.75]]), ("rye", "corn"), CLASSES).tolist() == [[0.75, 0, 0.25]]
    logits = match_classes(np.array([[-4.0, -2.0]]), ("rye", "corn"), CLASSES)
    assert logits.argmax() == 0
    assert logits.argmin() == 1
    nothing_left = match_classes(np.array([[1.0, 0.0, 0.0]]), ("flax", "corn", "rye"), CLASSES)
    np.testing.assert_allclose(nothing_left, 1 / 3)


@pytest.mark.parametrize(
    ("outputs", "fields"),
    [
        (("corn", "corn"), {}), ((), {}), (("flax", "corn"), {}), (("a", "b", "c"), {}),
        (("corn",), {"kind": "value", "outputs": ("yield_kg_ha",)}),
        (("0.1", "1.5"), {"kind": "value", "outputs": ("yield_kg_ha",)}),
        (("0.5", "0.50"), {"kind": "value", "outputs": ("yield_kg_ha",)}),
        (("nan", "0.5"), {"kind": "value", "outputs": ("yield_kg_ha",)}),
    ],
)  # fmt: skip
def test_names_that_the_task_does_not_know_are_refused(outputs, fields):
    with pytest.raises(SchemaError):
        check_outputs(task(**fields), outputs)


def test_levels_of_quantiles_are_read():
    of = task(kind="value", outputs=("yield_kg_ha",))
    assert check_outputs(of, ("0.05", "0.5", ".95")) == (0.05, 0.5, 0.95)
    assert check_outputs(of, ("yield_kg_ha",)) == () == check_outputs(task(), ("rye", "corn", "oats"))


def test_predictions_of_another_shape_or_without_a_number_are_refused():
    for values in (np.ones((2, 2)), np.ones(3), np.full((1, 3), np.inf)):
        with pytest.raises(SchemaError):
            match_classes(values, CLASSES, CLASSES)
