"""Outputs by their declared names."""

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.workspace.sandbox import outputs

CLASSES = ("barley", "oats", "sugar beet")


def test_names_match_without_case_spaces_and_hyphens():
    assert outputs.positions(["Sugar-Beet", "x", " OATS "], CLASSES) == [None, 2, 0]
    with pytest.raises(SchemaError, match="different names"):
        outputs.positions(["Oats", "oats"], CLASSES)


def test_the_order_of_the_task_holds_where_nothing_is_declared():
    assert outputs.declared_outputs(None, CLASSES, 3) == list(CLASSES)
    with pytest.raises(SchemaError, match="the model has 4 outputs, the task 3"):
        outputs.declared_outputs(None, CLASSES, 4)
    with pytest.raises(SchemaError, match="declared 1 outputs, the model has 2"):
        outputs.declared_outputs(("oats",), CLASSES, 2)


def test_levels_of_quantiles():
    assert outputs.levels(["Yield kg ha"]) is None
    assert outputs.levels(["0.05", "0.5"]) == (0.05, 0.5)
    for wrong in (["0.5", "0.5"], ["1.5"], ["x"], ["yield_kg_ha", "0.5"], []):
        with pytest.raises(SchemaError, match="levels of quantiles"):
            outputs.levels(wrong)


def test_probabilities_are_those_of_the_common_classes():
    given = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]], dtype=np.float32)
    # outputs: oats, maize, barley; no sugar beet
    chosen = outputs.by_class(given, [2, 0, None])
    np.testing.assert_allclose(chosen, [[0.6, 0.4, 0.0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_logits_become_probabilities_and_probabilities_stay():
    logits = np.array([[0.0, np.log(3.0)]], dtype=np.float32)
    np.testing.assert_allclose(outputs.as_probabilities(logits), [[0.25, 0.75]], rtol=1e-6)
    given = np.array([[0.25, 0.75]], dtype=np.float32)
    assert outputs.as_probabilities(given) is given
    assert np.isfinite(outputs.as_probabilities(np.array([[1000.0, -1000.0]], dtype=np.float32))).all()
