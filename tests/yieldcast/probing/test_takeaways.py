import numpy as np
import pytest

from tests.yieldcast.probing.conftest import make_rows, with_column
from yieldcast.probing import takeaways
from yieldcast.probing.pipeline import Pipeline, Ridge, Trees, low_class, skill


def test_skill_by_hand():
    # Errors 1 and 1 against departures 2 and 2 of the mean: 1 - 1 / 4.
    assert skill(np.array([9.0, 13.0]), np.array([10.0, 14.0]), 12.0) == pytest.approx(0.75)
    assert skill(np.array([12.0, 12.0]), np.array([10.0, 14.0]), 12.0) == 0.0


def test_the_limit_of_draws_is_students():
    # sd 1 of 3 draws, t of 2 degrees of freedom at 99 % is 6.9646: 6.9646 / sqrt(3), and x sqrt(4/3).
    draws = np.array([1.0, 2.0, 3.0])
    assert takeaways.upper(draws, 0.0, ahead=False) == pytest.approx(4.0210, abs=1e-4)
    assert takeaways.upper(draws, 2.0, ahead=True) == pytest.approx(2.0 + 8.0420, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("probe", takeaways.ALL)
def test_honest_rows_are_not_accused(probe, seed):
    line = probe(Pipeline(make_rows(seed), (2018,), Ridge()))
    assert line.verdict == "passed", line


@pytest.mark.parametrize("outcome", ["yield", "low"])
def test_a_class_is_probed_as_a_yield_is(rows, outcome):
    made = Pipeline(rows, (2017, 2018), Ridge())
    case = made if outcome == "yield" else Pipeline(rows, (2017, 2018), Ridge(), outcome=low_class)
    assert set(np.unique(case.truth)) == {0.0, 1.0} or outcome == "yield"
    assert case.skill() > 0.3
    assert [probe(case).verdict for probe in takeaways.ALL] == ["passed"] * 5


def test_rows_of_the_test_year_that_teach_are_noticed(rows):
    def at_random(rows, years):
        return np.random.default_rng(0).random(len(rows)) < 0.75

    random = Pipeline(rows, tuple(range(2009, 2019)), Ridge(), split=at_random)
    random = random.with_learner(Trees())  # a line through the years tells nothing here
    assert takeaways.year_label(random).verdict == "failed"


def test_a_learner_that_reads_the_outcome_of_test_rows_is_noticed(pipeline):
    class Cheats:
        name = "cheats"

        def predict(self, rows, outcome, train):
            return 0.5 * outcome + 0.5 * outcome[train].mean()

    cheats = pipeline.with_learner(Cheats())
    for probe in (takeaways.constant, takeaways.shuffled_target):
        assert probe(cheats).verdict == "failed"


def test_the_yield_of_the_test_year_as_a_property_of_the_place_is_noticed(rows):
    final = rows.yield_kg_ha[rows.harvest_year == 2018]
    planted = with_column(rows, "ph_h2o", np.tile(final * 0.002, 10), "soil")
    assert takeaways.place_label(Pipeline(planted, (2018,), Ridge())).verdict == "failed"
    earlier = rows.yield_kg_ha[rows.harvest_year < 2018].reshape(-1, 40).mean(axis=0)
    known = with_column(rows, "ph_h2o", np.tile(earlier * 0.002, 10), "soil")
    assert takeaways.place_label(Pipeline(known, (2018,), Ridge())).verdict == "passed"


def test_climatology_leaves_the_own_yield_of_a_teaching_row_out(rows):
    case = Pipeline(rows, (2018,), Ridge())
    usual, mine = takeaways.climatology(case, case.train), rows.municipality == 1000
    yields, mean = rows.yield_kg_ha[mine], rows.yield_kg_ha[case.train].mean()
    assert usual[mine][-1] == pytest.approx(
        (yields[:9].sum() + mean) / 10
    )  # of 2018: nine years and the mean
    assert usual[mine][0] == pytest.approx((yields[1:9].sum() + mean) / 9)


def test_weather_is_not_tested_where_there_is_none(pipeline):
    bare = pipeline.with_rows(pipeline.rows.without_group("weather"))
    assert takeaways.shuffled_weather(bare).verdict == "not tested"
