"""A small convolution of the user, from `yieldcast train --config` to a calibrated forecast."""

import datetime as dt
import json
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import pytest

from yieldcast.cli import app
from yieldcast.config import read_settings
from yieldcast.errors import ConfigError, RunError
from yieldcast.evaluation.evaluate import evaluate_run
from yieldcast.features.source import build_samples
from yieldcast.features.splits import held_year
from yieldcast.forecasting.forecast import forecast
from yieldcast.forecasting.predictor import Ensemble
from yieldcast.models.dual_path import predict
from yieldcast.training.pipeline import train_run
from yieldcast.training.run_directory import Run

YEARS, SEEDS = range(2011, 2014), range(1, 7)
CNN = """\
import keras
from keras import layers


def build(settings, shapes):
    weather = keras.Input(shapes.weather, name="weather")
    static = keras.Input(shapes.static, name="static")
    x = layers.GaussianNoise(settings.network.noise)(weather)
    x = layers.Conv1D(4, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(layers.GlobalAveragePooling1D()(x))
    x = layers.Dropout(0.2)(layers.Concatenate()([x, layers.Dense(4, activation="relu")(static)]))
    return keras.Model({"weather": weather, "static": static}, layers.Dense(1)(x))
"""
TOML = """\
[model]
build = "NAME:build"

[network]
scaling = "deviation"
target = "departure"

[training]
max_epochs = 3
batch_size = 32
learning_rate = 1e-2
loss = "huber"
validation = "each_year"
season_cuts = 0.5

[data]
weather_delay_months = 0
weather_delay_days = 5
weather_inputs = "anomalies"
yield_history = true

[forecast]
method = "network"
"""
DENSE = """\
import keras
from keras import layers


def build(settings, shapes):
    weather = keras.Input(shapes.weather, name="weather")
    static = keras.Input(shapes.static, name="static")
    x = layers.Concatenate()([layers.Flatten()(weather), static])
    return keras.Model({"weather": weather, "static": static}, layers.Dense(1)(x))
"""
CUSTOM_LAYER = """\
import keras
from keras import layers, ops


@keras.saving.register_keras_serializable()
class Weighted(layers.Layer):
    def build(self, shape):
        self.weight = self.add_weight(shape=(shape[1], 1), name="weight")

    def call(self, x):
        return ops.sum(x * ops.softmax(self.weight, axis=0), axis=1)


def build(settings, shapes):
    weather = keras.Input(shapes.weather, name="weather")
    static = keras.Input(shapes.static, name="static")
    x = layers.Concatenate()([Weighted()(weather), static])
    return keras.Model({"weather": weather, "static": static}, layers.Dense(1)(x))
"""


@pytest.fixture(scope="module")
def write():
    """Write a module and its TOML file into a folder; gives the path of the TOML file."""
    names = []

    def written(folder, name, source=CNN):
        names.append(name)
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        (folder / "own.toml").write_text(TOML.replace("NAME", name), encoding="utf-8")
        return folder / "own.toml"

    yield written
    for name in names:
        sys.modules.pop(name, None)


def command(*arguments):
    """Run the command line in this process; gives its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["yieldcast", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            app.main()
    return caught.value.code or 0


@pytest.fixture(scope="module")
def cnn(forecast_store, write, tmp_path_factory):
    """Six members of the convolution, two for each harvest year left out, by `yieldcast train`."""
    folder = tmp_path_factory.mktemp("cnn")
    toml = write(folder, "small_cnn_of_the_tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        years, out = f"{YEARS[0]}:{YEARS[-1]}", folder / "run"
        code = command(
            "train", "--store", forecast_store.path, "--crop", "soybean", "--train-years", years,
            "--seeds", len(SEEDS), "--config", toml, "--out", out,
        )  # fmt: skip
    assert code == 0
    return Run.open(out)


def weights(run, seed):
    return run.load_member(seed).get_weights()


def equal(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_run_keeps_what_its_network_was_built_by(cnn):
    assert cnn.seeds() == [*SEEDS]
    assert cnn.settings.model.build == "small_cnn_of_the_tests:build"
    assert (cnn.path / "model.py").read_text() == CNN
    assert json.loads((cnn.path / "resolved.json").read_text())["model"]["build"] in repr(cnn)
    card = (cnn.path / "model_card.md").read_text()
    assert (
        "| Network | `small_cnn_of_the_tests:build`, inputs scaled by deviation, target: departure |" in card
    )
    assert "Cunha" not in card
    assert "LSTM" not in card
    record = cnn.records()[0]
    assert (record["block"], record["epochs"]) == (1, 3)
    assert not equal(weights(cnn, 1), weights(cnn, 4))  # of the same rows


def test_members_load_without_yieldcast(cnn, forecast_store, tmp_path):
    rows = build_samples(
        forecast_store.tables, cnn.calendar(), "soybean", [2014], cnn.settings.data, climate_to=2013
    )[0]
    np.savez(tmp_path / "x.npz", weather=rows.dynamic, static=rows.static)
    code = (
        "import sys, numpy as np, keras\n"
        f"m = keras.models.load_model({str(cnn.member_path(1))!r})\n"
        "x = np.load('x.npz')\n"
        "np.save('y.npy', m.predict({k: x[k] for k in x}, verbose=0))\n"
        "assert not any(name.startswith(('yieldcast', 'small_cnn')) for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    here = predict(cnn.load_member(1), rows)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy")[:, 0], here, rtol=1e-4)
    assert 500 < here.mean() < 8000  # kg/ha


def test_it_is_evaluated_beside_the_baselines(cnn, forecast_store, capsys):
    assert command("evaluate", cnn.path, "--store", forecast_store.path, "--test-years", "2015") == 0
    assert "mean of 6 seeds" in capsys.readouterr().out
    result = evaluate_run(cnn, forecast_store, [2015])
    assert result.members.shape == (6, len(result.rows))
    assert np.isfinite(result.members).all()


def test_its_forecast_is_calibrated_on_the_years_that_members_left_out(cnn, forecast_store):
    table = forecast(cnn, forecast_store, 2015, dt.date(2014, 12, 15))
    quantiles = table["yield_kg_ha"].values
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert table.attrs["members"] == 6
    assert json.loads(table.attrs["calibration"])["years"] == [*YEARS]
    assert list((cnn.path / "hindcasts").glob("*.npz"))
    again = forecast(cnn, forecast_store, 2015, dt.date(2014, 12, 15))
    assert again.identical(table)


def test_the_ensemble_is_each_keras_model_on_each_scenario(cnn):
    together, told = Ensemble.load(cnn), []
    rng, identity = np.random.default_rng(4), cnn.identity
    seasons = rng.normal(0, 20, (2, 5, identity.steps, 4)).astype(np.float32)
    places = rng.normal(1000, 300, (5, len(identity.static_names))).astype(np.float32)
    places[0, :5] = np.nan
    places[4, cnn.base_column] = -1e6
    found = together.predict(seasons, places, lambda done, total: told.append((done, total)))
    assert told == [(k, 6) for k in SEEDS]
    for k, seed in enumerate(together.seeds):
        model = cnn.load_member(seed)
        for season, values in zip(seasons, found[k], strict=True):
            expected = np.asarray(model({"weather": season, "static": places}))[:, 0]
            np.testing.assert_allclose(values, np.maximum(expected, 0), rtol=1e-5)
    assert (found[:, :, 4] == 0).any()
    few = together.take([2, 0])
    assert few.seeds == (3, 1)
    np.testing.assert_array_equal(few.predict(seasons[:1], places), found[[2, 0], :1])
    places[1, cnn.base_column] = np.inf
    with pytest.raises(RunError, match="member 1 predicts 2 yields that are not finite") as caught:
        together.predict(seasons, places)
    assert caught.value.exit_code == 6


@pytest.mark.slow
def test_stopped_in_the_middle_it_ends_with_the_same_members(cnn, forecast_store, monkeypatch, tmp_path):
    # Dropout and noise go on from their random state, batch normalisation from its averages.
    monkeypatch.chdir(cnn.path.parent)
    heard = []

    def interrupt(epoch):
        heard.append(epoch)
        if len(heard) == 3:
            raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_run(forecast_store, "soybean", YEARS, [1, 2], out, cnn.settings, progress=interrupt)
    kept = sorted(int(p.stem[-3:]) for p in (out / "unfinished").glob("*.npz"))
    assert kept
    heard.clear()
    again = train_run(
        forecast_store, "soybean", YEARS, [1, 2], out, cnn.settings,
        progress=lambda epoch: heard.append((epoch.seed, epoch.epoch)),
    )  # fmt: skip
    assert all((seed, 1) not in heard for seed in kept)
    for seed in (1, 2):
        assert equal(weights(again, seed), weights(cnn, seed))
        assert again.history_path(seed).read_text() == cnn.history_path(seed).read_text()


def test_members_leave_out_their_year_and_are_scaled_by_the_others(cnn, forecast_store):
    rows = build_samples(forecast_store.tables, cnn.calendar(), "soybean", YEARS, cnn.settings.data)[0]
    for seed in (1, 2, 3):
        own = rows.take(rows.harvest_year != held_year(rows.harvest_year, seed))
        mean = np.asarray(cnn.load_member(seed).get_layer("weather_0_1").mean).ravel()
        np.testing.assert_allclose(
            mean, own.dynamic.mean(axis=(0, 1), dtype=np.float64), rtol=1e-4, atol=1e-4
        )


def test_only_the_same_network_continues_a_run(cnn, forecast_store, forecast_settings, monkeypatch):
    monkeypatch.chdir(cnn.path.parent)
    other = cnn.settings.model.model_copy(update={"build": "small_cnn_of_the_tests:other"})
    settings = cnn.settings.model_copy(update={"model": other})
    with pytest.raises(RunError, match=r"differs in: model\.build") as caught:
        train_run(forecast_store, "soybean", YEARS, SEEDS, cnn.path, settings)
    assert caught.value.exit_code == 6
    plain = cnn.settings.model_copy(update={"model": forecast_settings.model})
    with pytest.raises(RunError, match=r"differs in: model\.build"):
        train_run(forecast_store, "soybean", YEARS, SEEDS, cnn.path, plain)
    with pytest.raises(ConfigError, match="expected a block of 1, received 2"):
        train_run(forecast_store, "soybean", YEARS, [7], cnn.path, cnn.settings, block=2)


def test_a_finished_run_needs_no_module_and_changed_source_is_reported(
    forecast_store, write, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    settings, notices = read_settings(write(tmp_path, "changing_network", DENSE)), []

    def trained(seeds):
        return train_run(
            forecast_store, "soybean", YEARS, seeds, tmp_path / "run", settings, notice=notices.append
        )

    trained([1])
    sys.modules.pop("changing_network")
    write(tmp_path, "changing_network", DENSE + "# another line\n")
    notices.clear()
    trained([1])
    assert not any("source" in line for line in notices)
    trained([1, 2])
    told = next(line for line in notices if "source" in line)
    assert "changing_network:build" in told
    assert "model.py" in told
    sys.modules.pop("changing_network")
    (tmp_path / "changing_network.py").unlink()
    assert trained([1, 2]).seeds() == [1, 2]
    with pytest.raises(ConfigError, match="no Python module 'changing_network'"):
        trained([1, 2, 3])


def test_a_network_that_is_refused_leaves_a_folder_that_can_be_used(
    forecast_store, write, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    toml = write(tmp_path, "refused_network", CNN.replace("Dense(1)", "Dense(2)"))
    asked = (
        "train", "--store", forecast_store.path, "--crop", "soybean", "--train-years", "2011:2013",
        "--seeds", 2, "--config", toml, "--out", tmp_path / "run",
    )  # fmt: skip
    assert command(*asked) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "expected one output of shape (None, 1), received [(None, 2)]" in told
    assert "Traceback" not in told
    write(tmp_path, "refused_network")
    sys.modules.pop("refused_network")
    assert command(*asked) == 0
    assert Run.open(tmp_path / "run").seeds() == [1, 2]
    assert (tmp_path / "run" / "model.py").read_text() == CNN


_LOAD = """
import os, sys
from pathlib import Path
from yieldcast import Run
from yieldcast.errors import RunError
for trusted in (False, True):
    run = Run.open(Path(sys.argv[1]), trust_code=trusted)
    try:
        run.load_member(1)
    except RunError as error:
        print(error.exit_code, error, error.hint)
os.chdir(run.path.parent)
print(run.load_member(1).name)
"""


@pytest.mark.slow
def test_custom_layers_are_found_where_their_module_is(forecast_store, write, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = read_settings(write(tmp_path, "network_with_a_layer", CUSTOM_LAYER))
    run = train_run(forecast_store, "soybean", YEARS, [1], tmp_path / "run", settings)
    (tmp_path / "elsewhere").mkdir()
    found = subprocess.run(
        [sys.executable, "-c", _LOAD, str(run.path)],
        cwd=tmp_path / "elsewhere", check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert found[0].startswith("6 member 1 of")
    assert "yieldcast --trust-code COMMAND" in found[0]
    assert "start yieldcast where Python finds network_with_a_layer" in found[-2]
    assert found[-1] == "custom"


_TRAIN = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            raise ImportError("as on a host without it")
if os.environ["KERAS_BACKEND"] == "jax":
    sys.meta_path.insert(0, NoTensorFlow())
else:
    import tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from pathlib import Path
from yieldcast import Store, train_run
from yieldcast.config import read_settings
settings = read_settings(Path("own.toml"))
train_run(Store.open(Path(sys.argv[1])), "soybean", range(2011, 2014), [1, 2, 3], Path("run"), settings,
          strategy=sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_it_trains_on_two_devices_and_on_jax(cnn, forecast_store, write, tmp_path, backend):
    write(tmp_path, "network_of_a_subprocess")
    strategy = "mirrored" if backend == "tensorflow" else "auto"
    subprocess.run(
        [sys.executable, "-c", _TRAIN, str(forecast_store.path), strategy],
        cwd=tmp_path, check=True, env={**os.environ, "KERAS_BACKEND": backend},
    )  # fmt: skip
    run = Run.open(tmp_path / "run")
    assert {(r["replicas"], r["block"]) for r in run.records()} == {(2 if backend == "tensorflow" else 1, 1)}
    for seed in (1, 2, 3):
        if backend == "tensorflow":
            assert all(
                np.allclose(*pair, atol=1e-5)
                for pair in zip(weights(run, seed), weights(cnn, seed), strict=True)
            )
        else:
            assert all(np.isfinite(array).all() for array in weights(run, seed))
