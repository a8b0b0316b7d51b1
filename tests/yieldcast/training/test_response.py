"""Training of the response network: its loss, a known truth, an unseen drought, seeds, left-out years."""

import numpy as np
import pytest
from keras import ops

from yieldcast.config import TrainingSettings
from yieldcast.errors import MissingDataError
from yieldcast.models.response_network import ResponseNetwork
from yieldcast.models.water_response import STATE_YEAR_SD, UNIT_YEAR_SD
from yieldcast.training.response import ResponseRows, shared_error_loss, train_response, unit_variance

NETWORK = ResponseNetwork(lstm_units=4, place_units=2, head_units=4)
FAST = TrainingSettings(learning_rate=2e-2, max_epochs=120, patience=30)
YEARS, UNITS, STEPS = range(2001, 2009), 40, 4


def made_rows(truth, noise=0.02, water=0.1, seed=0, years=YEARS):
    """Unit-years whose yield is `truth(weather, linear)` plus noise; the water response is right on them."""
    rng = np.random.default_rng(seed)
    count = len(years) * UNITS
    weather, place = rng.normal(size=(count, STEPS, 2)), rng.normal(size=(count, 3))
    linear = rng.normal(0, water, count)
    year = np.repeat(list(years), UNITS)
    state = np.tile(np.arange(UNITS) % 5, len(years))
    target = truth(weather, linear) + rng.normal(0, noise, count)
    group = (year - year.min()) * 5 + state
    variance = np.full(count, 0.01)
    return ResponseRows(weather, place, target, variance, year, group, {int(y): linear for y in years})


@pytest.fixture(scope="module")
def trained():
    """Members trained on yields that fall with the second variable, beside the water response."""
    rows = made_rows(lambda weather, linear: 1.5 * linear - 0.05 * weather[:, 1, 1])
    return rows, train_response(rows, range(1, 9), NETWORK, FAST)


def test_the_loss_is_that_of_a_dense_covariance():
    rng = np.random.default_rng(2)
    error, group = rng.normal(size=9), np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    variance = rng.uniform(0.005, 0.02, 9)
    covariance = np.diag(variance) + STATE_YEAR_SD**2 * (group[:, None] == group)
    expected = error @ np.linalg.solve(covariance, error) / 9
    arrays = (error[None], 1.0 / variance[None], np.eye(3)[group])
    found = shared_error_loss(*(array.astype(np.float32) for array in arrays))
    assert float(ops.convert_to_numpy(found)[0]) == pytest.approx(expected, rel=1e-5)


def test_a_linear_truth_is_recovered(trained):
    _, members = trained
    fresh = made_rows(lambda weather, linear: 1.5 * linear - 0.05 * weather[:, 1, 1], noise=0.0, seed=9)
    linear = fresh.linear[2001]
    found = members.predict(fresh.weather, fresh.place, linear).mean(axis=0)
    left = np.std(found - fresh.target)
    assert left < 0.35 * np.std(fresh.target)
    assert left < 0.65 * np.std(linear - fresh.target)  # the water response alone
    assert members.weights["gain"].mean() == pytest.approx(1.5, abs=0.25)


def test_an_unseen_drought_is_extrapolated_by_the_linear_path(trained):
    """Training ends at about 0.35 below normal, the drought lies at 1."""
    rows, members = trained
    normal = np.zeros((1, STEPS, 2)), np.zeros((1, 3))
    deep, half = (members.predict(*normal, np.array([-depth])).mean() for depth in (1.0, 0.5))
    assert rows.linear[2001].min() > -0.5
    assert deep == pytest.approx(2 * half)
    assert deep < -1.2


def test_the_same_seeds_give_the_same_weights(trained):
    rows, members = trained
    again = train_response(rows, range(1, 9), NETWORK, FAST)
    for name, value in members.weights.items():
        np.testing.assert_array_equal(value, again.weights[name])
    np.testing.assert_array_equal(members.left_out, list(YEARS)[::-1])


def test_a_member_does_not_see_the_year_that_it_leaves_out(trained):
    rows, _ = trained
    mine = rows.year == 2003
    moved = ResponseRows(
        rows.weather, rows.place, np.where(mine, rows.target + 0.02, rows.target), rows.variance, rows.year,
        rows.group, rows.linear,
    )  # fmt: skip
    few = TrainingSettings(learning_rate=2e-2, max_epochs=4, patience=9)
    before, after = (train_response(r, range(1, 9), NETWORK, few) for r in (rows, moved))
    assert before.epochs == after.epochs == 3  # of the choice of the epoch, left-out years do decide
    for year, same in ((2003, True), (2005, False)):
        one, other = (m.those_without(year).weights["out/kernel"] for m in (before, after))
        assert (one == other).all() == same


def test_weather_that_says_nothing_leaves_the_water_response():
    rows = made_rows(lambda weather, linear: linear, noise=0.1, seed=4)
    members = train_response(rows, range(1, 9), NETWORK, FAST)
    fresh = made_rows(lambda weather, linear: linear, noise=0.0, seed=5)
    found = members.predict(fresh.weather, fresh.place, fresh.target).mean(axis=0)
    assert np.std(found - fresh.target) < 0.25 * np.std(fresh.target)


def test_too_few_years_are_refused():
    rows = made_rows(lambda weather, linear: linear, years=range(2001, 2003))
    with pytest.raises(MissingDataError, match="3 harvest years"):
        train_response(rows, [1], NETWORK, FAST)


def test_more_municipalities_make_a_unit_surer():
    assert unit_variance(np.array([1.0, 4.0]), 0.2) == pytest.approx(
        UNIT_YEAR_SD**2 + 0.04 / np.array([1, 4])
    )
