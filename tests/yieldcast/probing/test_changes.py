from dataclasses import replace

import numpy as np

from yieldcast.probing import changes
from yieldcast.probing.pipeline import Ridge, Trees


class ScaledOnAll(Ridge):
    """Scales by the rows to test as well, as a pipeline that scales before it splits."""

    def predict(self, rows, outcome, train):
        values = np.nan_to_num(rows.values, nan=3000.0)
        scaled = (values - values.mean(axis=0)) / values.std(axis=0)
        return super().predict(replace(rows, values=scaled * (1 + 1e-3 * scaled)), outcome, train)


class EncodesPlaces(Ridge):
    """Replaces a place by the mean of all its yields."""

    def predict(self, rows, outcome, train):
        _, place = np.unique(rows.municipality, return_inverse=True)
        mean = np.bincount(place, outcome) / np.bincount(place)
        return super().predict(replace(rows, values=np.column_stack([rows.values, mean[place]]),
                                       features=(*rows.features, replace(rows.features[0], name="mean"))),
                               outcome, train)  # fmt: skip


def test_honest_learners_pass(pipeline):
    for learner in (Ridge(), Trees()):
        honest = pipeline.with_learner(learner)
        assert changes.scaling_on_test(honest).score == 0.0
        assert changes.yields_of_test(honest).score == 0.0


def test_scaling_on_the_test_year_is_noticed(pipeline):
    assert changes.scaling_on_test(pipeline.with_learner(ScaledOnAll())).verdict == "failed"


def test_places_encoded_with_the_yields_of_the_test_year_are_noticed(pipeline):
    planted = pipeline.with_learner(EncodesPlaces())
    assert changes.yields_of_test(planted).verdict == "failed"
    assert (
        changes.worst([changes.yields_of_test(pipeline), changes.yields_of_test(planted)]).verdict == "failed"
    )


def test_a_feature_from_the_future_is_noticed(pipeline):
    def same(year):
        yields = np.where(pipeline.rows.harvest_year == year, 1.0, pipeline.rows.yield_kg_ha)
        return replace(pipeline.rows, yield_kg_ha=yields)  # the outcome itself is of the future

    def other(year):
        values = pipeline.rows.values.copy()
        values[pipeline.rows.harvest_year == year, 1] += 1e-6
        return replace(pipeline.rows, values=values)

    assert changes.future(pipeline, same).verdict == "passed"
    line = changes.future(pipeline, other)
    assert line.verdict == "failed"
    assert "1 (heat_month_2)" in line.detail


def test_yields_that_teach_before_they_are_public_are_noticed(pipeline):
    def later(year):
        yields = np.where(pipeline.rows.harvest_year == 2017, 1.0, pipeline.rows.yield_kg_ha)
        return replace(pipeline.rows, yield_kg_ha=yields)

    line = changes.future(pipeline, later)
    assert (line.verdict, "yields that teach" in line.detail) == ("failed", True)


def test_rows_that_only_another_future_has_are_noticed(pipeline):
    assert changes.future(pipeline, lambda year: pipeline.rows.take(np.arange(10))).verdict == "failed"
    assert changes.future(pipeline, None).verdict == "not tested"
