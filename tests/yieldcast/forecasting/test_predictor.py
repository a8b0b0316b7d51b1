"""All members over all scenarios at once, against each member's own Keras model."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import pytest

from yieldcast.config import NetworkSettings
from yieldcast.errors import RunError
from yieldcast.features.samples import SampleSet
from yieldcast.features.yield_history import HISTORY_BASELINE
from yieldcast.forecasting import predictor
from yieldcast.forecasting.predictor import Ensemble, StackedEnsemble
from yieldcast.models.dual_path import build_network
from yieldcast.models.scaling import Scaling, base_column
from yieldcast.models.stacked import Network, scaling_of, weights_of
from yieldcast.training.run_directory import Run

STEPS, SEEDS = 4, (1, 2, 3)
NAMES = ("clay_pct_0cm", "latitude_deg", HISTORY_BASELINE)
YIELDS = NetworkSettings(lstm_units=(4, 3), static_units=(3,), head_units=(3,))
DEPARTURES = YIELDS.model_copy(update={"target": "departure", "scaling": "deviation"})


def weather(rng, *size):
    return rng.normal([25, 15, 120, 900], [5, 5, 80, 300], (*size, STEPS, 4)).astype(np.float32)


def static(rng, rows):
    values = rng.normal([40, -12, 3000], [10, 5, 500], (rows, 3)).astype(np.float32)
    values[::4, 0] = np.nan
    return values


def members(settings):
    """Members of other weights and scalings each, and their Keras models."""
    models, scalings = [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        n = 30
        rows = SampleSet(
            weather(rng, n), static(rng, n), rng.normal(3000, 600, n).astype(np.float32),
            np.arange(n, dtype=np.int32), np.full(n, 2012, np.int16), np.full(n, "MT"),
            np.full(n, np.datetime64("2012-05-31")), tuple("abcd"), NAMES,
        )  # fmt: skip
        keras.utils.set_random_seed(seed)
        scalings.append(Scaling.fit(rows, settings=settings))
        models.append(build_network(settings, scalings[-1], STEPS, NAMES))
    base = base_column(NAMES) if settings.target == "departure" else None
    parts = tuple(map(weights_of, models)), tuple(map(scaling_of, scalings))
    return StackedEnsemble(Network(settings, base), SEEDS, *parts), models


def by_keras(model, seasons, places):
    one_by_one = [np.asarray(model({"weather": s, "static": places}, training=False))[:, 0] for s in seasons]
    return np.maximum(one_by_one, 0.0)


@pytest.mark.parametrize("settings", [YIELDS, DEPARTURES], ids=["yields", "departures"])
def test_every_member_and_scenario_is_what_keras_gives(settings, monkeypatch):
    # 19 rows in chunks of 8: two whole ones and one that is filled up.
    monkeypatch.setattr(predictor, "CHUNK", 8)
    together, models = members(settings)
    rng = np.random.default_rng(9)
    seasons, places, told = weather(rng, 5, 19), static(rng, 19), []
    places[7, 2] = -9e4  # far out, so that one yield would be below 0 with the line
    found = together.predict(seasons, places, lambda done, total: told.append((done, total)))
    assert found.shape == (3, 5, 19)
    for k, model in enumerate(models):
        np.testing.assert_allclose(found[k], by_keras(model, seasons, places), rtol=2e-5, atol=0.05)
    assert (found >= 0).all()
    assert (found[:, :, 7] == 0).all() == (settings.target == "departure")
    assert told == [(1, 3), (2, 3), (3, 3)]
    # Fewer rows than a chunk, fewer scenarios, some members, no rows at all.
    few = together.take([2, 0]).predict(seasons[:, :3], places[:3])
    np.testing.assert_allclose(few, found[[2, 0], :, :3], rtol=2e-5, atol=0.05)
    few = together.take([1]).predict(seasons[2:4], places)
    np.testing.assert_allclose(few, found[[1], 2:4], rtol=2e-5, atol=0.05)
    assert together.take([2, 0]).seeds == (3, 1)
    assert together.predict(seasons[:, :0], places[:0]).shape == (3, 5, 0)


def test_members_of_a_run_are_read_once_with_their_own_scalings(forecast_run):
    told = []
    together = Ensemble.load(forecast_run, lambda done, total: told.append((done, total)))
    assert together.seeds == (1, 2, 3, 4, 5, 6)
    assert told[-1] == (6, 6)
    identity, rng = forecast_run.identity, np.random.default_rng(4)
    seasons = rng.normal(0, 20, (2, 6, identity.steps, 4)).astype(np.float32)
    places = rng.normal(1000, 300, (6, len(identity.static_names))).astype(np.float32)
    places[0, :5] = np.nan
    found = together.predict(seasons, places)
    for k, seed in enumerate(together.seeds):
        keras_model = forecast_run.load_member(seed)
        np.testing.assert_allclose(found[k], by_keras(keras_model, seasons, places), rtol=1e-4, atol=0.1)
    assert np.abs(found[0] - found[1]).max() > 1


def test_a_run_without_a_finished_member_is_refused(forecast_run, tmp_path):
    empty = Run(tmp_path, forecast_run.identity, forecast_run.settings, {})
    with pytest.raises(RunError, match="no finished member") as caught:
        Ensemble.load(empty)
    assert "yieldcast train" in caught.value.hint
