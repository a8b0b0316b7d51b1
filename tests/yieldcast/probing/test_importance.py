import numpy as np
import pytest

from tests.yieldcast.probing.conftest import with_column
from yieldcast.probing.importance import ablation, importance, same_classes, share_by_variable, warnings
from yieldcast.probing.pipeline import Pipeline, Ridge


def test_what_a_model_does_not_use_is_worth_nothing(pipeline):
    found = {one.variable: one for one in importance(pipeline)}
    assert (found["rain"].window, found["rain"].group) == ("month 1", "weather")
    assert found["rain"].loss > found["heat"].loss > 0.02
    flat = pipeline.with_values(np.where(np.arange(5) == 4, 0.0, pipeline.rows.values))
    assert {one.variable: one.loss for one in importance(flat)}["latitude_deg"] == pytest.approx(0.0)
    shares = share_by_variable(importance(pipeline))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert next(iter(shares)) == "rain"


def test_groups_are_left_out_in_turn(pipeline):
    rows = {one.group: one for one in ablation(pipeline)}
    assert list(rows) == ["all", "weather", "soil", "place", "history"]
    assert rows["weather"].change == pytest.approx(rows["weather"].skill - rows["all"].skill)
    assert rows["weather"].change < -0.2
    assert rows["weather"].features == 2


def test_signs_of_a_leak_are_warnings(rows):
    planted = Pipeline(with_column(rows, "x7", rows.yield_kg_ha / 60), (2018,), Ridge())
    told = planted.truth[planted.test]
    texts = warnings(importance(planted), {"a": told, "b": told + 1e-9}, planted)
    assert [str(text) for text in texts] == [
        f"x7 carries {round(100 * share_by_variable(importance(planted))['x7'])} % of the importance",
        "a and b give the same class to every row",
    ]


def test_models_that_differ_in_one_class_or_use_one_class_are_not_the_same(pipeline):
    told = pipeline.truth[pipeline.test]
    other = told.copy()
    other[0] = 6000.0 if told[0] < 3000 else 0.0
    assert not same_classes(told, other, pipeline)
    assert not same_classes(np.full_like(told, 9e3), np.full_like(told, 9e3), pipeline)
