import json
import re
from pathlib import Path

import keras
import model_networks as networks
import numpy as np
import pytest
from keras import layers
from model_archives import CONFIG, config_of, members, packed, saved, with_config
from numpy.testing import assert_array_equal

from yieldcast.model_files import Limits, RefusedModel, build, check
from yieldcast.model_files.layer_table import LAYERS, WRAPPERS

PAGE = Path(__file__).parents[3] / "docs" / "user_guide" / "model_files.md"


def the_same(made, expected):
    """Weights, what is trained, names and outputs of two networks are equal."""
    rows = networks.inputs_of(expected, np.random.default_rng(0))
    for one, other in zip(
        keras.tree.flatten(made(rows, training=False)),
        keras.tree.flatten(expected(rows, training=False)),
        strict=True,
    ):
        assert_array_equal(one, other)
    for one, other in zip(made.weights, expected.weights, strict=True):
        assert_array_equal(one, other)
        assert one.trainable == other.trainable
    assert json.dumps(made.get_config()) == json.dumps(expected.get_config())


def test_the_network_of_a_file_gives_the_same_bits_as_with_keras(small_file):
    checked = check(small_file)
    assert checked.inputs == {"image": (None, 4, 4, 1), "static": (None, 3)}
    assert checked.outputs == ("classes",)
    expected = keras.models.load_model(small_file, compile=False)
    the_same(build(checked), expected)
    assert checked.parameters == expected.count_params()


@pytest.mark.slow
def test_every_layer_of_the_closed_list_is_accepted_and_built(tmp_path):
    used = set()
    for make in (networks.images, networks.series):
        keras.utils.set_random_seed(2)
        original = make()
        checked = check(saved(original, tmp_path / "m.keras"))
        used |= {kind for _, kind in checked.layers}
        the_same(build(checked), original)
    assert set(LAYERS) | set(WRAPPERS) <= used


def test_the_page_lists_every_layer():
    rows = re.findall(r"^\| \w+ \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"\b[A-Z]\w+\b", row)} - {"Keras"}
    assert named == set(LAYERS) | set(WRAPPERS)


def test_a_compiled_model_is_accepted_without_its_optimiser(tmp_path):
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2), layers.BatchNormalization()])
    model.compile("adam", keras.losses.MeanSquaredError(), metrics=["mae"])
    model.optimizer.build(model.trainable_variables)  # as the first step of a training does
    checked = check(saved(model, tmp_path / "m.keras"))
    assert any(path == "optimizer" for path in checked.weights)
    made = build(checked)
    assert not made.compiled
    assert checked.parameters == made.count_params() == 3 * 2 + 2 + 4 * 2
    assert_array_equal(made(np.ones((1, 3))), model(np.ones((1, 3))))


def test_frozen_layers_stay_frozen(tmp_path):
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2), layers.Dense(2)])
    model.layers[0].trainable = False
    made = build(check(saved(model, tmp_path / "m.keras")))
    assert [layer.trainable for layer in made.layers] == [False, True]


def _refused(content, tmp_path, limits=None):
    (tmp_path / "m.keras").write_bytes(content)
    checked = check(tmp_path / "m.keras")
    with pytest.raises(RefusedModel) as caught:
        build(checked, limits)
    return caught.value


def test_weights_of_another_network_are_refused_before_memory_is_taken(small_content, tmp_path):
    config = config_of(small_content)
    dense = next(one for one in config["config"]["layers"] if one["name"] == "classes")
    dense["config"]["units"] = 3
    refused = _refused(with_config(small_content, config), tmp_path)
    assert refused.rule == "weights"
    assert "must match" in str(refused)
    # 2^26 inputs of a dense layer would be 800 MB; the file holds 24 numbers for it.
    config = config_of(small_content)
    image = config["config"]["layers"][0]["config"]
    image["batch_shape"] = [None, 8000, 8000, 1]
    assert _refused(with_config(small_content, config), tmp_path).rule in ("weights", "graph", "size")
    # What was refused leaves nothing behind that Keras would make later.
    from keras.src.backend.common import global_state

    assert not global_state.get_global_attribute("uninitialized_variables")


def test_weights_that_the_network_does_not_have_are_refused(small_content, tmp_path):
    config = config_of(small_content)
    kept = config["config"]["layers"]
    dense = next(one for one in kept if one["name"] == "dense")
    dense.update(class_name="Identity", config={"name": "dense", "trainable": True, "dtype": "float32"})
    assert _refused(with_config(small_content, config), tmp_path).rule in ("weights", "graph")


def test_outputs_beyond_the_limit_are_refused(small_content, tmp_path):
    config = config_of(small_content)
    conv = next(one for one in config["config"]["layers"] if one["name"] == "conv2d")
    conv.update(
        class_name="UpSampling2D",
        config={"name": "conv2d", "trainable": True, "dtype": "float32", "size": [256, 256]},
    )
    assert _refused(with_config(small_content, config), tmp_path, Limits(elements=2**18)).rule == "size"


def test_outputs_beyond_the_limit_are_refused_in_sequential_networks_too(tmp_path):
    model = keras.Sequential([layers.Input((4, 4, 1)), layers.UpSampling2D(8), layers.GlobalMaxPooling2D()])
    checked = check(saved(model, tmp_path / "m.keras"))
    with pytest.raises(RefusedModel, match=r"at most 100 numbers of a sample, received 1,024"):
        build(checked, Limits(elements=100))


def test_a_graph_that_keras_cannot_build_is_refused_with_its_reason(small_content, tmp_path):
    config = config_of(small_content)
    dense = next(one for one in config["config"]["layers"] if one["name"] == "conv2d")
    dense["config"]["kernel_size"] = [5, 1]  # on 4 x 4
    refused = _refused(with_config(small_content, config), tmp_path)
    assert refused.rule == "graph"
    assert "Keras cannot build this network" in str(refused)


def test_a_file_that_was_changed_after_the_check_is_not_read_again(small_file, small_content, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(small_content)
    checked = check(path)
    path.write_bytes(packed({**members(small_content), CONFIG: b"{}"}))
    the_same(build(checked), keras.models.load_model(small_file, compile=False))
