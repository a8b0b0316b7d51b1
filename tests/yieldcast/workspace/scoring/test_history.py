"""What is told of each submission: the Ladder per measure and phase, and released submissions."""

from decimal import Decimal

import numpy as np

from yieldcast.workspace.scoring.history import BASELINE, TUNED, Holdout, Result, Steps, champion, tell
from yieldcast.workspace.scoring.measures import class_measures, class_rows, value_measures, value_rows

D = Decimal
ROWS = 1000
TRUTH = np.arange(ROWS) % 4
STEPS = Steps(D("0.001"), D(10))
HOLDOUT = Holdout(class_measures(("a", "b", "c", "d"), ("c", "d")), None, STEPS)


def rows(wrong, of=None):
    """Predictions that are wrong in the first `wrong` rows, of one class if asked for."""
    mine = np.flatnonzero(of == TRUTH) if of is not None else np.arange(ROWS)
    predicted = TRUTH.copy()
    predicted[mine[:wrong]] = (TRUTH[mine[:wrong]] + 1) % 4
    return class_rows(TRUTH, predicted, 4)


def result(name, before, after):
    return Result(name, {BASELINE: before, TUNED: after})


def test_the_first_submission_is_released_whole():
    (told,) = tell([result("1", rows(200), rows(100))], HOLDOUT)
    assert told.released
    assert told.score(TUNED, "accuracy").value == D("0.900")
    assert told.score(BASELINE, "accuracy").value == D("0.800")
    assert all(line.score is not None for lines in told.phases.values() for line in lines)


def test_of_a_submission_that_is_no_better_nothing_is_told():
    first, second = tell([result("1", rows(200), rows(100)), result("2", rows(200), rows(99))], HOLDOUT)
    assert not second.released
    assert all(line.score is None for lines in second.phases.values() for line in lines)
    line = second.phases[TUNED][0]
    assert (line.published, line.margin, line.raised) == (D("0.900"), D("0.001"), False)
    assert champion([first, second]) is first


def test_only_the_measures_that_rose_are_told_of_one_that_raised_no_headline():
    # 100 errors in all classes; then 100 errors of class a alone: the recalls of the others rise
    told = tell([result("1", rows(200), rows(100)), result("2", rows(200), rows(100, of=0))], HOLDOUT)[1]
    assert not told.released
    assert told.score(TUNED, "accuracy") is None
    assert told.score(TUNED, "recall:a") is None
    assert told.score(TUNED, "rare_recall").value == 1


def test_the_champion_brings_its_own_baseline_although_that_rose_no_ladder():
    told = tell([result("1", rows(200), rows(100)), result("2", rows(200), rows(20))], HOLDOUT)[1]
    assert told.released
    assert told.score(TUNED, "accuracy").value == D("0.980")
    assert told.score(BASELINE, "accuracy").value == D("0.800")
    assert not told.phases[BASELINE][0].raised


def test_a_submission_without_its_second_phase_is_never_released():
    (told,) = tell([Result("1", {BASELINE: rows(200)})], HOLDOUT)
    assert not told.released
    assert told.score(BASELINE, "accuracy").value == D("0.800")
    assert champion([told]) is None


def test_a_row_that_changes_scores_by_less_than_their_steps_changes_nothing_that_is_told():
    # steps of 0.05: one row of 1000 moves accuracy by 0.001 and recalls by 0.004, from the middle of a step
    coarse = Holdout(HOLDOUT.measures, None, Steps(D("0.05"), D(10)))
    before = tell([result("1", rows(200), rows(100))], coarse)
    for row in range(100, 110):
        predicted = TRUTH.copy()
        predicted[:100] = (TRUTH[:100] + 1) % 4
        predicted[row] = (TRUTH[row] + 1) % 4
        after = tell([result("1", rows(200), class_rows(TRUTH, predicted, 4))], coarse)
        assert [line.score.value for line in after[0].phases[TUNED]] == [
            line.score.value for line in before[0].phases[TUNED]
        ]


def test_yields_fall_and_are_told_in_steps_of_kg_ha():
    error = np.random.default_rng(1).normal(50, 400, ROWS)
    holdout = Holdout(value_measures({"mean": 300.0}), None, STEPS)
    made = [{TUNED: value_rows(scale * error, np.abs(scale * error))} for scale in (1.0, 0.99, 0.5)]
    first, second, third = tell([Result(str(k), one) for k, one in enumerate(made)], holdout)
    rmse = np.sqrt((error**2).mean())
    assert first.score(TUNED, "rmse_kg_ha").value == round(rmse, -1)
    assert not second.released  # 4 kg/ha better: less than the step
    assert third.released
    assert third.phases[TUNED][0].published == round(rmse / 2, -1)
    assert third.score(TUNED, "skill_mean").value == round(D(1 - 0.5 * np.abs(error).mean() / 300), 3)


def test_a_step_that_does_not_divide_1_rounds_no_share_beyond_it():
    coarse = Holdout(HOLDOUT.measures, None, Steps(D("0.35"), D(10)))
    (told,) = tell([result("1", rows(200), rows(0))], coarse)  # 1 / 0.35 is 2.86: the nearest is 1.05
    line = told.phases[TUNED][0]
    assert (line.published, line.score.value, line.score.high) == (1, 1, 1)
    assert all(0 <= one.score.low <= one.score.value for lines in told.phases.values() for one in lines)
