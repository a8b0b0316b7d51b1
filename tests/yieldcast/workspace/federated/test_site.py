"""What a site does with weights that it gets, without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federated_sites import make_site, small_network

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.workspace.federated.learner import Learner
from yieldcast.workspace.federated.settings import FederationSettings
from yieldcast.workspace.federated.site import Limits, Round, Site
from yieldcast.workspace.federated.site_data import Examples, SiteData, open_site

SETTINGS = FederationSettings(rounds=2, batch_size=50, learning_rate=0.01)
SECRET = b"a secret of sixteen bytes and more"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SiteData:
    return open_site(make_site(tmp_path_factory.mktemp("sites") / "a", 1, 100, 60, (0.4, 0.3, 0.3)))


@pytest.fixture(scope="module")
def learner() -> Learner:
    return Learner(small_network(), "classes")


def config(number: int, **changes: Any) -> dict[str, Any]:
    return {**SETTINGS.model_dump(), **changes, "round": number}


def test_a_round_has_the_same_result_whenever_it_is_repeated(data: SiteData, learner: Learner) -> None:
    done: list[Round] = []
    site = Site("a", learner, "0" * 64, data, SECRET, on_round=done.append)
    start = learner.weights()
    first = site.train(start, config(1))
    other = site.train(start, config(2))
    again = site.train(start, config(1))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any((one != two).any() for one, two in zip(first, other, strict=True)), "order and dropout differ"
    score = site.score(first, config(1))
    learner.model.set_weights(first)
    predicted = np.asarray(learner.model(np.asarray(data.holdout.inputs["image"]), training=False)).argmax(-1)
    assert score == pytest.approx((predicted == data.holdout.target).mean(), abs=1e-12)
    assert done[-1] == Round("score", 1, score)


def test_one_step_on_kg_ha_by_hand() -> None:
    """From zero weights the gradient of the squared error is -2 mean(x y); Adam's first step is the learning
    rate against its sign (Kingma and Ba 2015, Algorithm 1: m/sqrt(v) is 1 after bias correction)."""
    import keras

    model = keras.Sequential([keras.layers.Input((2,), name="static"), keras.layers.Dense(1, use_bias=False)])
    x = np.array([[1, -1], [2, 0], [0, -3], [1, -1]], np.float32)
    y = np.array([3000, 2000, 4000, 1000], np.float32)
    examples = Examples({"static": x}, y)
    learner, settings = Learner(model, "value"), FederationSettings(batch_size=4, learning_rate=0.5)
    (trained,) = learner.fit([np.zeros((2, 1), np.float32)], examples, settings, range(1), "by hand")
    np.testing.assert_allclose(trained, [[0.5], [-0.5]], atol=1e-4)
    # Predictions in kg/ha: 1.0, 1.0, 1.5, 1.0.
    wanted = np.mean((y - np.array([1.0, 1.0, 1.5, 1.0])) ** 2)
    assert learner.score([trained], examples) == pytest.approx(wanted, rel=1e-5)


def test_the_learning_rate_falls_along_half_a_cosine() -> None:
    settings = FederationSettings(rounds=2, local_epochs=2, learning_rate=0.8)
    rates = [settings.rate(done) for done in range(settings.passes)]
    assert rates == pytest.approx([0.8, 0.4 * (1 + 0.5**0.5), 0.4, 0.4 * (1 - 0.5**0.5)])


def test_the_owner_s_limits_hold(data: SiteData, learner: Learner) -> None:
    site = Site("a", learner, "0" * 64, data, SECRET, Limits(rounds=1, local_epochs=1))
    start = learner.weights()
    site.train(start, config(1))
    site.train(start, config(1))  # the same round again is no second one
    with pytest.raises(ConfigError, match="this site allows 1 rounds"):
        site.train(start, config(2))
    with pytest.raises(ConfigError, match="2 epochs"):
        site.train(start, config(1, local_epochs=2))
    with pytest.raises(ConfigError, match="settings that this version does not know"):
        site.train(start, config(1, code="print"))


def test_weights_that_do_not_fit_are_refused(data: SiteData, learner: Learner) -> None:
    site, start = Site("a", learner, "0" * 64, data, SECRET), learner.weights()
    with pytest.raises(SchemaError, match="shapes"):
        site.train(start[:-1], config(1))
    with pytest.raises(SchemaError, match="not finite"):
        site.score([np.full_like(array, np.nan) for array in start], config(1))


def test_a_site_that_does_not_fit_is_refused(data: SiteData, learner: Learner, tmp_path: Path) -> None:
    import keras

    few = make_site(tmp_path / "few", 1, 99, 60, (0.4, 0.3, 0.3))
    with pytest.raises(SchemaError, match="at least 100 training examples, it has 99"):
        open_site(few)
    other = keras.Sequential([keras.layers.Input((8, 8, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(SchemaError, match="the model takes"):
        Site("a", Learner(other, "classes"), "0" * 64, data, SECRET)
    with pytest.raises(ConfigError, match="name of a site"):
        Site("a b", learner, "0" * 64, data, SECRET)
    with pytest.raises(ConfigError, match="does not admit this site: all sites are there"):
        Site("a", learner, "0" * 64, data, SECRET).answer({"refused": "all sites are there"})
