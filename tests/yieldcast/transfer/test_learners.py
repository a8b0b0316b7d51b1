import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from yieldcast.config import Settings
from yieldcast.features.source import build_samples
from yieldcast.transfer.learners import BASELINES, NEIGHBOURS, Climatology, Neighbours, Trees, with_local


@pytest.fixture(scope="module")
def samples(small, calendar):
    return build_samples(small, calendar, "soybean", range(2011, 2017), Settings().data)[0]


def test_climatology_by_hand(samples):
    place = samples.municipality[0]
    mine = samples.municipality == place
    of_state = samples.state == samples.state[0]
    other = samples.state != samples.state[0]
    target = samples.target_kg_ha.astype(np.float64)
    predict = Climatology().fit(samples.take(mine | other))
    found = predict(samples.take(of_state))
    assert found == pytest.approx(np.full(of_state.sum(), target[mine].mean()))  # of the place, or its state
    outside = Climatology().fit(samples.take(other))
    assert outside(samples.take(mine)) == pytest.approx(np.full(mine.sum(), target[other].mean()))
    local = Climatology().fit(samples.take(other), samples.take(mine))
    assert local(samples.take(mine)) == pytest.approx(np.full(mine.sum(), target[mine].mean()))


def test_neighbours_are_the_nearest_on_the_sphere(samples):
    half = np.arange(len(samples)) % 2 == 0
    train, test = samples.take(half), samples.take(~half)
    columns = [train.static_names.index(name) for name in ("latitude_deg", "longitude_deg")]
    near = KNeighborsRegressor(NEIGHBOURS, metric="haversine").fit(
        np.radians(train.static[:, columns].astype(float)), train.target_kg_ha.astype(float)
    )
    wanted = near.predict(np.radians(test.static[:, columns].astype(float)))
    assert np.corrcoef(Neighbours().fit(train)(test), wanted)[0, 1] > 0.99  # ties in another order
    assert Neighbours().fit(train.take(np.arange(3)))(test) == pytest.approx(train.target_kg_ha[:3].mean())


@pytest.mark.parametrize("learner", [*BASELINES, Trees()], ids=lambda one: one.name)
def test_learners_do_not_read_what_they_predict(learner, samples):
    half = np.arange(len(samples)) % 2 == 0
    train, test = samples.take(half), samples.take(~half)
    predict = learner.fit(train)
    found = predict(test)
    test.target_kg_ha[:] = np.nan
    assert np.array_equal(predict(test), found)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert learner.name in learner.mark


def test_local_rows_are_rows_like_the_others(samples):
    some, local = samples.take(np.arange(60)), samples.take(np.arange(60, 80))
    joined = with_local(some, local)
    assert joined.fingerprint() == samples.take(np.arange(80)).fingerprint()
    test = samples.take(np.arange(80, 100))
    assert np.array_equal(Trees().fit(some, local)(test), Trees().fit(joined)(test))
