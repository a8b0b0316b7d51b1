"""A network of the user: what is refused, what is added around it, and one epoch against Keras's own."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import pytest

from yieldcast.config import DataSettings, Settings, TrainingSettings, parse_settings
from yieldcast.errors import ConfigError
from yieldcast.features.source import build_samples
from yieldcast.features.yield_history import HISTORY_BASELINE
from yieldcast.models import custom
from yieldcast.models.custom import CustomNetwork, InputShapes, import_build
from yieldcast.models.dual_path import predict
from yieldcast.models.scaling import Scaling
from yieldcast.models.stacked import scaling_of
from yieldcast.training import rng
from yieldcast.training.devices import choose_devices
from yieldcast.training.epoch import EpochProgram, _batches, fresh_state
from yieldcast.training.member import row, stack

SOURCE = """
import keras
from keras import layers


def build(settings, shapes):
    weather = keras.Input(shapes.weather, name="weather")
    static = keras.Input(shapes.static, name="static")
    l2 = keras.regularizers.L2(1e-2)
    x = layers.Conv1D(4, 3, activation="relu", kernel_regularizer=l2, use_bias=False)(weather)
    x = layers.BatchNormalization()(layers.Flatten()(x))
    x = layers.Dense(5, activation="tanh", activity_regularizer=l2)(x)
    x = layers.Concatenate()([x, static])
    return keras.Model({"weather": weather, "static": static}, layers.Dense(1)(x))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into the current folder; gives its name. It is forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    written = []

    def write(source=SOURCE, name=None):
        written.append(name or f"network_{os.getpid()}_{len(written)}_{tmp_path.name.replace('-', '_')}")
        (tmp_path / f"{written[-1]}.py").write_text(source, encoding="utf-8")
        return written[-1]

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def rows(small, calendar):
    data = DataSettings(yield_history=True)
    found = build_samples(small, calendar, "soybean", range(2013, 2017), data)[0]
    found.static[3, 0] = np.nan  # a place without soil
    return found


def shapes(rows):
    return InputShapes(rows.dynamic.shape[1], rows.dynamic_names, rows.static_names)


def settings(spec, **network):
    return Settings.model_validate(
        {"model": {"build": spec}, "network": network, "data": {"yield_history": True}}
    )


def network(rows, name, **more):
    return CustomNetwork(settings(f"{name}:build", **more), shapes(rows))


def test_shapes_are_those_of_keras_inputs(rows):
    steps, variables = rows.dynamic.shape[1:]
    assert shapes(rows).weather == (steps, variables)
    assert shapes(rows).static == (rows.static.shape[1],)


def test_the_settings_of_the_built_in_network_are_written_as_before():
    assert list(Settings().model_dump()) == ["network", "training", "data"]
    assert '"model"' not in Settings().model_dump_json()
    own = settings("my.networks:cnn")
    assert own.model_dump()["model"] == {"build": "my.networks:cnn"}
    assert parse_settings(own.model_dump(mode="json"), "resolved") == own
    assert Settings() != own
    for wrong in ("networks", "networks:", ":cnn", "my networks:cnn", "a.py:cnn", "a:b:c", "a..b:c"):
        with pytest.raises(ConfigError, match=r'model\.build: .*expected "package\.module:function"'):
            parse_settings({"model": {"build": wrong}}, "own.toml")


def test_a_module_of_the_current_folder_comes_first_and_leaves_no_trace(module, tmp_path):
    (tmp_path / "packaged").mkdir()
    (tmp_path / "packaged" / "__init__.py").write_text("")
    before = list(sys.path)
    module(SOURCE, "packaged/inner")
    build = import_build("packaged.inner:build")
    assert build.__module__ == "packaged.inner"
    assert custom.source_of(build) == SOURCE
    assert sys.path == before
    for name in ("packaged", "packaged.inner"):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("source", "function", "texts"),
    [
        (None, "build", ("no Python module 'not_there'", "Start yieldcast in the folder")),
        ("import not_installed\n", "build", ("failed while it was imported", "not_installed")),
        ("def build(:\n", "build", ("failed while it was imported", "SyntaxError")),
        (SOURCE, "biuld", ("expected a function 'biuld'", "nothing of that name", "are: build")),
        ("build = 3\n", "build", ("received int",)),
        ("def build(settings):\n    pass\n", "build", ("the function failed", "positional argument")),
        ("def build(settings, shapes):\n    return {}['x']\n", "build", ("the function failed: KeyError",)),
        ("def build(settings, shapes):\n    return shapes\n", "build", ("a keras.Model", "InputShapes")),
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_a_settings_error(module, rows, source, function, texts):
    name = "not_there" if source is None else module(source)
    with pytest.raises(ConfigError) as caught:
        CustomNetwork(settings(f"{name}:{function}"), shapes(rows))
    assert caught.value.exit_code == 2
    told = f"{caught.value} {caught.value.hint}"
    assert f"model.build = '{name}:{function}'" in told
    for text in texts:
        assert text in told


HEAD = """
import keras
from keras import layers, ops
def build(settings, shapes):
    weather = keras.Input(shapes.weather, name="weather")
    static = keras.Input(shapes.static, name="static")
    both = {"weather": weather, "static": static}
    x = layers.Concatenate()([layers.Flatten()(weather), static])
"""


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (
            "rain = keras.Input(shapes.weather, name='rain'); y = layers.Dense(1)(layers.Flatten()(rain))\n"
            "    return keras.Model({'rain': rain, 'static': static}, y + layers.Dense(1)(static))",
            ("the inputs {'weather': (None, 9, 4), 'static': (None,", "received {'rain': (None, 9, 4)"),
        ),
        (
            "w = keras.Input((4, shapes.weather[1]), name='weather')\n"
            "    y = layers.Dense(1)(layers.Flatten()(w))\n"
            "    return keras.Model({'weather': w, 'static': static}, y + layers.Dense(1)(static))",
            ("expected the inputs", "received {'weather': (None, 4, 4)"),
        ),
        (
            "return keras.Model([weather, static], layers.Dense(1)(x))",
            ("expected the inputs", "received [(None, 9, 4), (None,"),
        ),
        (
            "return keras.Sequential([layers.Dense(1)])",
            ("expected the inputs", "received a Sequential without keras.Input"),
        ),
        (
            "class Mine(keras.Model):\n        pass\n    return Mine()",
            ("expected the inputs", "received a Mine without keras.Input"),
        ),
        (
            "return keras.Model(both, layers.Dense(2)(x))",
            ("expected one output of shape (None, 1), received [(None, 2)]",),
        ),
        (
            "return keras.Model(both, [layers.Dense(1)(x), layers.Dense(1)(x)])",
            ("expected one output of shape (None, 1), received [(None, 1), (None, 1)]",),
        ),
        (
            "return keras.Model(both, ops.sum(x, axis=1, keepdims=True))",
            ("no trainable weights",),
        ),
        (
            "return keras.Model(both, layers.Dense(1)(layers.Lambda(lambda x: 2 * x)(x)))",
            ("Keras cannot load this network once it is saved", "Lambda", "Replace Lambda layers"),
        ),
        (
            "class Mine(layers.Dense):\n        pass\n    return keras.Model(both, Mine(1)(x))",
            ("once it is saved: Could not locate class 'Mine'", "register_keras_serializable()"),
        ),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_is_a_settings_error(module, rows, body, texts):
    name = module(HEAD + f"    {body}\n")
    with pytest.raises(ConfigError) as caught:
        network(rows, name)
    assert caught.value.exit_code == 2
    told = f"{caught.value} {caught.value.hint}"
    assert len(told) < 800
    for text in texts:
        assert text in told


def test_an_output_that_is_not_finite_is_refused_before_training(module, rows):
    own = network(
        rows, module(HEAD + "    return keras.Model(both, ops.log(-ops.square(layers.Dense(1)(x))))\n")
    )
    with pytest.raises(ConfigError, match=rf"before training, {len(rows)} of {len(rows)} outputs") as caught:
        own.new_member(Scaling.fit(rows), rows)
    assert "division, logarithm or root" in caught.value.hint


def test_a_function_that_builds_another_network_is_refused(module, rows):
    source = "calls = []\n" + HEAD + (
        "    calls.append(1)\n    return keras.Model(both, layers.Dense(1)(layers.Dense(len(calls))(x)))\n"
    )  # fmt: skip
    own = network(rows, module(source))
    with pytest.raises(
        ConfigError, match=r"expected the weights of the first call, .*\(1,\).*received .*\(2,\)"
    ):
        own.new_member(Scaling.fit(rows), rows)


@pytest.mark.parametrize("target", ["yield", "departure"])
@pytest.mark.parametrize("scaling", ["range", "deviation"])
def test_a_member_scales_what_the_network_gets_and_returns(module, rows, target, scaling, tmp_path):
    own = network(rows, module(), target=target, scaling=scaling)
    fitted = Scaling.fit(rows, settings=own.settings.network)
    keras.utils.set_random_seed(3)
    member, _, _ = own.new_member(fitted, rows)
    weather = (rows.dynamic - fitted.dynamic_low) / fitted.dynamic_range
    static = np.where(np.isnan(rows.static), fitted.static_mean, rows.static)
    static = (static - fitted.static_low) / fitted.static_range
    inner = np.asarray(own.model({"weather": weather, "static": static}))[:, 0]
    by_hand = inner * fitted.target_sd + fitted.target_mean
    if target == "departure":
        by_hand = by_hand + rows.static[:, rows.static_names.index(HISTORY_BASELINE)]
    np.testing.assert_allclose(predict(member, rows), by_hand, rtol=1e-4, atol=0.1)
    member.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_allclose(predict(loaded, rows), predict(member, rows), rtol=1e-6)


def test_a_new_member_has_weights_of_its_own_seed(module, rows):
    own, found = network(rows, module()), []
    for seed in (1, 2, 1):
        keras.utils.set_random_seed(seed)
        found.append(own.new_member(Scaling.fit(rows), rows)[1])
    kernel = next(name for name in found[0] if name.endswith("kernel"))
    assert np.array_equal(found[0][kernel], found[2][kernel])
    assert not np.array_equal(found[0][kernel], found[1][kernel])


def epochs(own, rows, training, count, fit, held, seed=7):
    """State of one member after some epochs, and its scaling."""
    scaling = Scaling.fit(rows, settings=own.settings.network)
    keras.utils.set_random_seed(seed)
    _, weights, others = own.new_member(scaling, rows)
    constants = {"seed": np.int32(seed), "scaling": scaling_of(scaling), "fit": fit, "held": held}
    data = {"weather": rows.dynamic, "static": rows.static, "target": rows.target_kg_ha.astype(np.float32)}
    devices = choose_devices("default")
    program = devices.compile(EpochProgram(own, training), own.xla)
    trees = (stack([fresh_state(weights, others)]), stack([constants]), data)
    state, constants, data = (devices.place([tree]) for tree in trees)
    for _ in range(count):
        state = program(state, constants, data)
    return devices.fetch(state, ["weights", "best", "first", "loss", "val_loss"])[0], scaling


@pytest.mark.parametrize("target", ["yield", "departure"])
def test_an_epoch_is_keras_own_training_on_the_same_batches(module, rows, target):
    # The oracle shares only the order of the rows: Keras's layers, moving averages, regularisers and Adam.
    own = network(rows, module(), target=target)
    training = TrainingSettings(batch_size=16, learning_rate=0.01)
    fit, held = (
        np.arange(*ends, dtype=np.int32) for ends in ((0, 48), (48, len(rows)))
    )  # three full batches
    after, scaling = epochs(own, rows, training, 2, fit, held)
    base = rows.static[:, own.base] if target == "departure" else 0
    goal = (rows.target_kg_ha - base - scaling.target_mean) / scaling.target_sd
    arrays = scaling_of(scaling)
    inputs = {
        "weather": (rows.dynamic - arrays["dynamic_low"]) / arrays["dynamic_range"],
        "static": np.nan_to_num((rows.static - arrays["static_mean"]) / arrays["static_range"])
        + arrays["static_offset"],
    }
    keras.utils.set_random_seed(7)
    model = import_build(own.spec)(own.settings, shapes(rows))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    for epoch in range(2):
        order = np.asarray(rng.shuffles(np.array([7]), np.array([epoch]), len(fit)))[0]
        for chosen in fit[order].reshape(3, 16):
            model.train_on_batch(
                {name: values[chosen] for name, values in inputs.items()}, goal[chosen, None]
            )
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    assert len(variables) == len(after["weights"]) == len(after["first"]) + 2 == 9
    for (name, found), expected in zip(sorted(after["weights"].items()), variables, strict=True):
        np.testing.assert_allclose(found[0], np.asarray(expected), rtol=2e-3, atol=2e-5, err_msg=name)
    output = np.asarray(model({name: values[held] for name, values in inputs.items()}, training=False))[:, 0]
    kernel = np.asarray(model.trainable_variables[0])
    loss = np.square(output - goal[held]).mean() + 1e-2 * np.square(kernel).sum()
    assert after["val_loss"][0] == pytest.approx(loss, rel=1e-4)


@pytest.mark.slow
def test_random_layers_go_on_from_their_state(module, rows):
    # With a learning rate of almost 0 the loss changes from epoch to epoch by the dropout alone.
    name = module(HEAD + "    return keras.Model(both, layers.Dense(1)(layers.Dropout(0.5)(x)))\n")
    own, training = network(rows, name), TrainingSettings(batch_size=16, learning_rate=1e-12)
    fit, held = (np.arange(*ends, dtype=np.int32) for ends in ((0, 40), (40, len(rows))))
    one, two = (epochs(own, rows, training, count, fit, held)[0] for count in (1, 2))
    again = epochs(own, rows, training, 2, fit, held)[0]
    assert one["loss"][0] != two["loss"][0]
    assert two["loss"][0] == again["loss"][0]
    assert one["val_loss"][0] == pytest.approx(two["val_loss"][0], rel=1e-5)
    state = next(name for name in one["weights"] if name.endswith("seed_generator_state"))
    assert row(two["weights"], 0)[state][1] == 2 * row(one["weights"], 0)[state][1] == 6  # 3 batches an epoch


def test_the_last_batch_is_filled_up_with_rows_of_the_member():
    chosen = np.array([[11, 12, 13, 14, 15, 0, 0]], np.int32)  # five rows, filled up with zeros
    batches, counted = (np.asarray(a) for a in _batches(chosen, 4, np.array([5], np.int32)))
    assert batches.tolist() == [[[11, 12, 13, 14], [15, 11, 12, 13]]]
    assert counted.tolist() == [[[1, 1, 1, 1], [1, 0, 0, 0]]]
    batches, counted = (np.asarray(a) for a in _batches(chosen[:, :5], 4))
    assert batches.tolist() == [[[11, 12, 13, 14], [15, 11, 12, 13]]]
    assert counted.tolist() == [[[1, 1, 1, 1], [1, 0, 0, 0]]]


def test_layers_that_xla_cannot_compile_are_compiled_without_it(module, rows):
    name = module(
        SOURCE.replace("    x = layers.Concatenate", "    x = NoXla()(x)\n    x = layers.Concatenate")
        + """
@keras.saving.register_keras_serializable()
class NoXla(layers.Layer):
    def __init__(self, **more):
        super().__init__(**more)
        self.supports_jit = False

    def call(self, x):
        return x
"""
    )
    own = network(rows, name)
    assert not own.xla
    training = TrainingSettings(batch_size=16, learning_rate=0.01)
    fit, held = (np.arange(*ends, dtype=np.int32) for ends in ((0, 48), (48, len(rows))))
    without, _ = epochs(own, rows, training, 2, fit, held)
    other = network(rows, module())
    assert other.xla
    other, _ = epochs(other, rows, training, 2, fit, held)
    for name, values in other["weights"].items():
        np.testing.assert_allclose(without["weights"][name], values, rtol=1e-3, atol=1e-5)
