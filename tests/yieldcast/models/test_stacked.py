"""The stacked network against the plain one, and one epoch against Keras's own training step."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import pytest
import tensorflow as tf

from yieldcast.config import DataSettings, NetworkSettings, TrainingSettings
from yieldcast.features.source import build_samples
from yieldcast.features.yield_history import HISTORY_BASELINE
from yieldcast.models.dual_path import build_network, model_inputs, scaled_model
from yieldcast.models.scaling import Scaling, base_column
from yieldcast.models.stacked import Network, scaling_of, set_weights, weights_of
from yieldcast.training import rng
from yieldcast.training.devices import choose_devices, value_and_gradient
from yieldcast.training.epoch import fresh_state
from yieldcast.training.member import _padded, row, stack
from yieldcast.training.trainer import compiled

SETTINGS = NetworkSettings(lstm_units=(5, 3), static_units=(4, 3), head_units=(6,), noise=0.0, l2=1e-3)


@pytest.fixture(scope="module")
def rows(small, calendar):
    found = build_samples(small, calendar, "soybean", range(2011, 2015), DataSettings())[0]
    found.static[3, 0] = np.nan  # a place without soil
    return replace(found, dynamic=found.dynamic[:, :5])  # five months compile faster than nine


def plain(rows, seed, settings=SETTINGS):
    keras.utils.set_random_seed(seed)
    return build_network(settings, Scaling.fit(rows), rows.dynamic.shape[1])


def test_stacked_members_give_what_plain_members_give(rows):
    members = [plain(rows, seed) for seed in (1, 2, 3)]
    scaling = stack([scaling_of(Scaling.fit(rows))] * 3)
    weights = stack([weights_of(member) for member in members])
    tables = (np.stack([table] * 3) for table in (rows.dynamic, rows.static))
    stacked = np.asarray(Network(SETTINGS).forward(weights, scaling, *tables))
    alone = [scaled_model(m)(model_inputs(rows), training=False).numpy()[:, 0] for m in members]
    np.testing.assert_allclose(stacked, alone, rtol=1e-4, atol=1e-5)
    assert np.abs(stacked[0] - stacked[1]).max() > 0.01
    penalty = np.asarray(Network(SETTINGS).penalty(weights))
    np.testing.assert_allclose(penalty, [float(sum(m.losses)) for m in members], rtol=1e-5)


def test_weights_go_to_a_plain_member_and_back(rows):
    one, two = plain(rows, 1), plain(rows, 2)
    set_weights(two, weights_of(one))
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), two.get_weights(), strict=True))


def trees(rows, seeds, settings=SETTINGS):
    """State and constants of some members, and the data, as `train` makes them."""
    scaling = scaling_of(Scaling.fit(rows))
    state = stack([fresh_state(weights_of(plain(rows, seed, settings))) for seed in seeds])
    held = np.arange(0, len(rows), 4, dtype=np.int32)
    fit = np.setdiff1d(np.arange(len(rows), dtype=np.int32), held)
    constants = [{"seed": np.int32(s), "scaling": scaling, "fit": fit, "held": held} for s in seeds]
    data = {"weather": rows.dynamic, "static": rows.static, "target": rows.target_kg_ha.astype(np.float32)}
    return state, stack(constants), data


def epochs(rows, seeds, count, training, settings=SETTINGS):
    """States after some epochs, on the default device."""
    devices = choose_devices("default")
    program = compiled(devices, settings, training)
    state, constants, data = (devices.place([tree]) for tree in trees(rows, seeds, settings))
    for _ in range(count):
        state = program(state, constants, data)
    return devices.fetch(state, list(state))[0]


SLOW = pytest.mark.slow


@pytest.mark.parametrize("loss", ["mse", pytest.param("mae", marks=SLOW), pytest.param("huber", marks=SLOW)])
def test_an_epoch_is_keras_own_training_on_the_same_batches(rows, loss):
    # An oracle that shares nothing with the stacked step but the order of the rows: Keras's LSTM, Adam,
    # regularizers and losses, batch by batch.
    training = TrainingSettings(batch_size=16, learning_rate=0.01, loss=loss)
    after = epochs(rows, [7], 2, training)
    member = plain(rows, 7)
    inner = scaled_model(member)
    inner.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    scaling = Scaling.fit(rows)
    target = (rows.target_kg_ha[:, None] - scaling.target_mean) / scaling.target_sd
    _, constants, _ = trees(rows, [7])
    fit, held = constants["fit"][0], constants["held"][0]
    for epoch in range(2):
        order = np.asarray(rng.shuffles(np.array([7]), np.array([epoch]), len(fit)))[0]
        assert sorted(order.tolist()) == list(range(len(fit)))
        for start in range(0, len(fit), 16):
            chosen = rows.take(fit[order[start : start + 16]])
            inner.train_on_batch(model_inputs(chosen), target[fit[order[start : start + 16]]])
        validation = inner.evaluate(
            model_inputs(rows.take(held)), target[held], batch_size=len(held), verbose=0
        )
    for name, weight in weights_of(member).items():
        np.testing.assert_allclose(row(after["weights"], 0)[name], weight, rtol=2e-3, atol=2e-5, err_msg=name)
    assert after["val_loss"][0] == pytest.approx(validation, rel=1e-4)


# One layer each and three months: what padding does is the same, and it compiles in half the time.
FLAT = SETTINGS.model_copy(update={"lstm_units": (3,), "static_units": (3,), "head_units": (3,)})
DEPARTS = FLAT.model_copy(update={"scaling": "deviation", "target": "departure"})


@pytest.fixture(scope="module")
def departing(rows):
    """Rows with a history baseline that explains part of the yield."""
    baseline = 0.5 * rows.target_kg_ha + 0.5 * rows.target_kg_ha.mean() + 50 * np.sin(np.arange(len(rows)))
    static = np.hstack([rows.static, baseline[:, None].astype(np.float32)])
    names = (*rows.static_names, HISTORY_BASELINE)
    return replace(rows, dynamic=rows.dynamic[:, :3], static=static, static_names=names)


@pytest.mark.slow
def test_padded_rows_and_departures_are_trained_as_keras_does(departing):
    # Two members with other numbers of rows (3 and 5 batches of 16, the last ones not full), filled up to one
    # size: each as Keras trains it on its own rows alone.
    rows, training = departing, TrainingSettings(batch_size=16, learning_rate=0.01, loss="huber")
    held = {7: np.arange(len(rows) - 45), 8: np.arange(len(rows) - 70, len(rows), 4)}
    size = {"fit": 90, "held": 60}
    scaling, column = Scaling.fit(rows, settings=DEPARTS), base_column(rows.static_names)

    def member(seed):
        keras.utils.set_random_seed(seed)
        return build_network(DEPARTS, scaling, rows.dynamic.shape[1], rows.static_names)

    def constants(seed):
        own = {"held": held[seed], "fit": np.setdiff1d(np.arange(len(rows)), held[seed])}
        assert all(len(own[name]) < size[name] for name in own)
        parts = [_padded(name, own[name], size[name]) for name in own]
        return {"seed": np.int32(seed), "scaling": scaling_of(scaling), **parts[0], **parts[1]}

    devices = choose_devices("default")
    program = compiled(devices, DEPARTS, training, column)
    state = stack([fresh_state(weights_of(member(seed))) for seed in held])
    data = {"weather": rows.dynamic, "static": rows.static, "target": rows.target_kg_ha}
    of_all = stack([constants(seed) for seed in held])
    placed = [devices.place([tree]) for tree in (state, of_all, data)]
    for _ in range(2):
        placed[0] = program(*placed)
    after = devices.fetch(placed[0], list(state))[0]
    target = rows.target_kg_ha - rows.static[:, column]
    target = (target[:, None] - scaling.target_mean) / scaling.target_sd
    for k, seed in enumerate(held):
        inner = scaled_model(own := member(seed))
        inner.compile(optimizer=keras.optimizers.Adam(0.01), loss="huber")
        fit = np.setdiff1d(np.arange(len(rows)), held[seed])
        for epoch in range(2):
            used = np.array([len(fit)], np.int32)
            order = np.asarray(rng.shuffles(np.array([seed]), np.array([epoch]), size["fit"], used))[0]
            for start in range(0, len(fit), 16):
                chosen = fit[order[: len(fit)][start : start + 16]]
                inner.train_on_batch(model_inputs(rows.take(chosen)), target[chosen])
        for name, weight in weights_of(own).items():
            found = row(after["weights"], k)[name]
            np.testing.assert_allclose(found, weight, rtol=2e-3, atol=2e-5, err_msg=f"{seed} {name}")
        mine = held[seed]
        loss = inner.evaluate(model_inputs(rows.take(mine)), target[mine], batch_size=len(mine), verbose=0)
        assert after["val_loss"][k] == pytest.approx(loss, rel=1e-4)


@pytest.mark.slow
def test_padding_changes_nothing_but_the_shape(rows):
    # An odd number of rows and one more share their random words, so even the order of the rows is the same.
    settings, training = FLAT.model_copy(update={"noise": 0.3}), TrainingSettings(batch_size=16)
    rows, devices = replace(rows, dynamic=rows.dynamic[:, :3]), choose_devices("default")
    state, constants, data = trees(rows, [3, 4], settings)
    fit, held = constants["fit"][:, :57], constants["held"]
    plain_rows = {**constants, "fit": fit}
    filled = {
        **constants, "fit": np.pad(fit, ((0, 0), (0, 1))), "fit_rows": np.array([57, 57], np.int32),
        "held": np.pad(held, ((0, 0), (0, 7))), "held_rows": np.full(2, held.shape[1], np.int32),
    }  # fmt: skip
    found = []
    for one in (plain_rows, filled):
        program = compiled(devices, settings, training)
        placed = [devices.place([tree]) for tree in (state, one, data)]
        for _ in range(2):
            placed[0] = program(*placed)
        found.append(devices.fetch(placed[0], list(state))[0])
    for name in ("loss", "val_loss", "epoch"):
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-5)
    for part in ("weights", "first", "second", "best"):
        for name, weight in found[0][part].items():
            np.testing.assert_allclose(found[1][part][name], weight, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_a_member_trains_alone_as_it_trains_among_thirty(rows):
    settings = SETTINGS.model_copy(update={"noise": 0.3})
    training = TrainingSettings(batch_size=16)
    many = epochs(rows, range(1, 31), 3, training, settings)
    alone = epochs(rows, [17], 3, training, settings)
    fewer = epochs(rows, [s for s in range(1, 31) if s != 5], 3, training, settings)
    for name, weight in row(alone["weights"], 0).items():
        np.testing.assert_allclose(row(many["weights"], 16)[name], weight, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(row(fewer["weights"], 15)[name], weight, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_stopped_member_stays_as_it_is_and_the_best_is_kept(rows):
    training = TrainingSettings(batch_size=16, learning_rate=0.5, patience=2)  # wild steps: it gets worse
    found = [epochs(rows, [3], count, training) for count in range(1, 9)]
    losses = [state["val_loss"][0] for state in found]
    stopped = next(n for n, state in enumerate(found) if not state["running"][0])
    best = int(np.argmin(losses[: stopped + 1]))
    assert stopped == best + 2 < 7
    for state in found[stopped:]:
        assert state["epoch"][0] == stopped + 1
        for name, weight in found[stopped]["weights"].items():
            np.testing.assert_array_equal(state["weights"][name], weight)
        for name, weight in found[best]["weights"].items():
            np.testing.assert_array_equal(state["best"][name], weight)


def test_value_and_gradient_of_a_parabola():
    handed, gradient = value_and_gradient(
        lambda w: (tf.reduce_sum(w["a"] ** 2), w["a"] * 2), {"a": tf.constant([3.0, -1.0])}
    )
    assert np.asarray(handed).tolist() == [6, -2]
    assert np.asarray(gradient["a"]).tolist() == [6, -2]


_STEP = """
import pickle, sys
sys.modules["tensorflow"] = None
from pathlib import Path
import numpy as np
from yieldcast.training.devices import choose_devices
from yieldcast.training.trainer import compiled
network, training, state, constants, data = pickle.loads(Path("case.pickle").read_bytes())
devices = choose_devices("auto")
program = compiled(devices, network, training)
state, constants, data = (devices.place([tree]) for tree in (state, constants, data))
for _ in range(2):
    state = program(state, constants, data)
Path(sys.argv[1]).write_bytes(pickle.dumps(devices.fetch(state, ["weights", "val_loss", "best"])[0]))
"""


@pytest.mark.slow
def test_jax_takes_the_same_steps_from_the_same_weights(rows, tmp_path):
    settings = SETTINGS.model_copy(update={"noise": 0.3})
    training = TrainingSettings(batch_size=16)
    case = (settings, training, *trees(rows, [1, 2, 3], settings))
    (tmp_path / "case.pickle").write_bytes(pickle.dumps(case))
    subprocess.run(
        [sys.executable, "-c", _STEP, "out.pickle"], cwd=tmp_path, check=True, timeout=240,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    found = pickle.loads((tmp_path / "out.pickle").read_bytes())
    own = epochs(rows, [1, 2, 3], 2, training, settings)
    np.testing.assert_allclose(found["val_loss"], own["val_loss"], rtol=1e-4)
    for name, weight in own["weights"].items():
        np.testing.assert_allclose(found["weights"][name], weight, rtol=1e-3, atol=1e-5, err_msg=name)
