import subprocess
import sys
from dataclasses import fields, replace

import keras
import numpy as np
import pytest

from yieldcast.config import NetworkSettings
from yieldcast.features.samples import SampleSet
from yieldcast.features.yield_history import HISTORY_BASELINE
from yieldcast.models import dual_path
from yieldcast.models.scaling import Scaling, scaling_of_member


def rows(n=40, steps=5, seed=0):
    rng = np.random.default_rng(seed)
    static = rng.normal(50, 20, (n, 6)).astype(np.float32)
    static[::7, :3] = np.nan
    return SampleSet(
        rng.normal([25, 15, 120, 900], [5, 5, 80, 300], (n, steps, 4)).astype(np.float32),
        static,
        rng.normal(3000, 600, n).astype(np.float32),
        np.arange(n, dtype=np.int32),
        np.full(n, 2012, dtype=np.int16),
        np.full(n, "MT"),
        np.full(n, np.datetime64("2012-05-31")),
        ("a", "b", "c", "d"),
        tuple("uvwxyz"),
    )


SMALL = NetworkSettings(lstm_units=(5, 3), static_units=(4,), head_units=(6, 2))


def test_scaling_is_of_the_rows_given_only():
    some = rows()
    scaling = Scaling.fit(some)
    np.testing.assert_allclose(scaling.dynamic_low, some.dynamic.min(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(
        scaling.static_range, np.ptp(some.static[~np.isnan(some.static).any(1)], axis=0), rtol=0.3
    )
    assert scaling.target_mean == pytest.approx(some.target_kg_ha.mean())


def test_inputs_reach_the_paths_between_0_and_1_and_missing_soil_at_its_mean():
    some = rows()
    scaling = Scaling.fit(some)
    network = dual_path.build_network(SMALL, scaling, 5)
    look = keras.Model(
        network.input, [network.get_layer("weather_0_1").output, network.get_layer("static_0_1").output]
    )
    weather, static = look.predict(dual_path.model_inputs(some), verbose=0)
    for scaled in (weather, static):
        assert scaled.min() == pytest.approx(0, abs=1e-5)
        assert scaled.max() == pytest.approx(1, abs=1e-5)
    missing = np.isnan(some.static)
    by_hand = (scaling.static_mean - scaling.static_low) / scaling.static_range
    np.testing.assert_allclose(static[missing], np.broadcast_to(by_hand, static.shape)[missing], rtol=1e-4)


def test_a_constant_input_stays_finite():
    some = rows()
    some.static[:, 4] = 7
    some.static[:, 0] = np.nan
    network = dual_path.build_network(SMALL, Scaling.fit(some), 5)
    assert np.isfinite(dual_path.predict(network, some)).all()
    # A soil column that no fitted row had says nothing about a place that has it.
    later = rows()
    later.static[:, 4] = 7
    before = dual_path.predict(
        network, replace(later, static=np.where(np.arange(6) == 0, np.nan, later.static))
    )
    np.testing.assert_allclose(dual_path.predict(network, later), before, rtol=1e-6)


def test_the_network_is_figure_1():
    network = dual_path.build_network(SMALL, Scaling.fit(rows()), 5)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("LSTM") == 2
    assert kinds.count("GaussianNoise") == kinds.count("Concatenate") == 1
    # 1 static + 2 head + 1 output
    assert kinds.count("Dense") == 4
    # LSTM: 4 gates x (inputs + units + 1) x units; dense: (inputs + 1) x units.
    lstm = 4 * (4 + 5 + 1) * 5 + 4 * (5 + 3 + 1) * 3
    dense = (6 + 1) * 4 + (3 + 4 + 1) * 6 + (6 + 1) * 2 + (2 + 1) * 1
    assert sum(int(np.prod(w.shape)) for w in network.trainable_weights) == lstm + dense
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense | keras.layers.LSTM):
            config = layer.get_config()
            assert config["kernel_regularizer"]["config"]["l2"] == pytest.approx(1e-5)


def test_noise_acts_in_training_only_with_the_given_spread():
    some = rows(400)
    network = dual_path.build_network(SMALL, Scaling.fit(some), 5)
    noise = keras.Model(network.input["weather"], network.get_layer("noise").output)
    clean = np.asarray(noise(some.dynamic, training=False))
    spread = np.asarray(noise(some.dynamic, training=True)) - clean
    # 8,000 draws: the mean is within 4 standard errors of 0, the sd within 4 of 0.3.
    assert abs(spread.mean()) < 4 * 0.3 / np.sqrt(spread.size)
    assert abs(spread.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * spread.size)
    np.testing.assert_array_equal(clean, np.asarray(noise(some.dynamic, training=False)))


def test_the_output_is_kg_ha_of_the_scaled_output():
    some = rows()
    scaling = Scaling.fit(some)
    network = dual_path.build_network(SMALL, scaling, 5)
    inner = dual_path.scaled_model(network).predict(dual_path.model_inputs(some), verbose=0)[:, 0]
    np.testing.assert_allclose(
        dual_path.predict(network, some), inner * scaling.target_sd + scaling.target_mean, rtol=1e-5
    )


def test_a_saved_member_loads_without_yieldcast(tmp_path):
    some = rows()
    network = dual_path.build_network(SMALL, Scaling.fit(some), 5)
    network.save(tmp_path / "m.keras")
    np.savez(tmp_path / "x.npz", **dual_path.model_inputs(some))
    code = (
        "import sys, numpy as np, keras\n"
        "m = keras.models.load_model('m.keras')\n"
        "x = np.load('x.npz')\n"
        "np.save('y.npy', m.predict({k: x[k] for k in x}, verbose=0))\n"
        "assert not any(name.startswith('yieldcast') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy")[:, 0], dual_path.predict(network, some), rtol=1e-5)


DEPARTS = SMALL.model_copy(update={"scaling": "deviation", "target": "departure"})
NAMES = (*"uvwx", HISTORY_BASELINE, "z")


def with_a_baseline():
    some = rows()
    some.static[:, 4] = some.target_kg_ha + np.linspace(-400, 600, 40)  # departures -400 ... 600 with a turn
    some.static[:, 4] -= 2 * np.linspace(-400, 600, 40)
    return replace(some, static_names=NAMES)


def test_deviation_scaling_brings_inputs_to_mean_0_and_deviation_1():
    some = with_a_baseline()
    scaling = Scaling.fit(some, settings=DEPARTS)
    network = dual_path.build_network(DEPARTS, scaling, 5, NAMES)
    look = keras.Model(
        network.input, [network.get_layer("weather_0_1").output, network.get_layer("static_0_1").output]
    )
    weather, static = look.predict(dual_path.model_inputs(some), verbose=0)
    flat = weather.reshape(-1, 4)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(flat.std(axis=0), 1, rtol=1e-4)
    there = np.isfinite(some.static)
    for k in range(6):
        mine = static[there[:, k], k]
        assert mine.mean() == pytest.approx(0, abs=1e-4)
        assert mine.std() == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(static[~there], 0, atol=1e-6)  # missing soil at its mean


def test_a_departure_is_added_to_the_history_baseline():
    # Departures rise evenly from -400 to 600: mean 100; deviation of 40 even steps over 1000:
    # 1000 / 39 x root((40^2 - 1) / 12) = 295.985.
    some = with_a_baseline()
    scaling = Scaling.fit(some, settings=DEPARTS)
    assert scaling.target_mean == pytest.approx(100, abs=0.01)
    assert scaling.target_sd == pytest.approx(295.985, abs=0.01)
    network = dual_path.build_network(DEPARTS, scaling, 5, NAMES)
    inner = dual_path.scaled_model(network).predict(dual_path.model_inputs(some), verbose=0)[:, 0]
    by_hand = inner * scaling.target_sd + scaling.target_mean + some.static[:, 4]
    np.testing.assert_allclose(dual_path.predict(network, some), by_hand, rtol=1e-5)
    unscaled = Scaling.fit(some, scale_target=False, settings=DEPARTS)
    assert (unscaled.target_mean, unscaled.target_sd) == (0, 1)


@pytest.mark.parametrize("settings", [SMALL, DEPARTS])
@pytest.mark.parametrize("scale_target", [True, False])
def test_the_scaling_of_a_saved_member_is_the_one_it_was_built_with(tmp_path, settings, scale_target):
    some = with_a_baseline()
    some.static[:, 0] = np.nan  # a column without a value, and one that never changes
    some.static[:, 5] = 7
    scaling = Scaling.fit(some, scale_target, settings)
    network = dual_path.build_network(settings, scaling, 5, NAMES)
    network.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", compile=False)
    for member in (network, loaded):
        found = scaling_of_member(member)
        for field in fields(scaling):
            expected = getattr(scaling, field.name)
            np.testing.assert_allclose(
                getattr(found, field.name), expected, rtol=2e-5, atol=1e-3, err_msg=field.name
            )
