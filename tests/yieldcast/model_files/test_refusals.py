"""One archive of our own for each published class of faults, and the bounds of archive, JSON and weights."""

import io
import json
import os
import re
import stat
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from model_archives import CONFIG, METADATA, WEIGHTS, config_of, members, packed, with_config

from yieldcast.errors import MissingDataError
from yieldcast.model_files import RULES, Limits, RefusedModel, check

LAMBDA = {
    "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
    "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}},
}  # fmt: skip
ZEROS = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}


@pytest.fixture
def refused(tmp_path):
    """The rule by which the check refuses some bytes."""

    def rule(content: bytes, limits: Limits | None = None) -> str:
        path = tmp_path / "sent.keras"
        path.write_bytes(content)
        with pytest.raises(RefusedModel) as caught:
            check(path, limits)
        assert caught.value.rule in RULES
        assert str(caught.value)
        assert caught.value.hint
        assert caught.value.exit_code == 5
        return caught.value.rule

    return rule


def layer_of(config, kind):
    return next(one for one in config["config"]["layers"] if one["class_name"] == kind)


def _lambda_layer(config):
    layer_of(config, "Dropout").update(LAMBDA)


def _lambda_in_wrapper(config):
    layer = layer_of(config, "Dense")
    layer["class_name"] = "TimeDistributed"
    layer["config"] = {"name": layer["name"], "layer": LAMBDA}


def _lambda_in_initialiser(config):
    layer_of(config, "Dense")["config"]["kernel_initializer"] = LAMBDA


def _lambda_in_activation(config):
    layer_of(config, "Dense")["config"]["activation"] = LAMBDA["config"]["function"]


def _lambda_in_loss(config):
    config["compile_config"] = {"loss": [{"a": LAMBDA}], "optimizer": "adam"}


def _lambda_in_node(config):
    layer_of(config, "Dense")["inbound_nodes"][0]["kwargs"] = {"mask": LAMBDA["config"]["function"]}


def _foreign_module(config):
    layer_of(config, "Dropout").update(module="os", class_name="system", config={"command": "true"})


def _module_of_keras_outside_the_list(config):
    layer_of(config, "Dropout").update(module="keras.utils", class_name="get_file", config={"name": "d"})


def _foreign_initialiser(config):
    layer_of(config, "Dense")["config"]["kernel_initializer"] = {**ZEROS, "module": "subprocess"}


def _no_module(config):
    layer_of(config, "Dropout")["module"] = None


def _registered_name(config):
    layer_of(config, "Dropout")["registered_name"] = "mine>Dropout"


def _function(config):
    layer_of(config, "Dense")["config"]["activation"] = {
        "module": "keras.models", "class_name": "function", "config": "load_model",
        "registered_name": "load_model",
    }  # fmt: skip


def _function_as_layer(config):
    layer_of(config, "Dropout").update(module="keras.saving", class_name="function", config="load_model")


def _builtin_function_as_loss(config):
    config["compile_config"] = {
        "loss": {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"}
    }


def _vocabulary(config):
    layer_of(config, "Dropout").update(
        class_name="StringLookup", config={"name": "s", "vocabulary": "/etc/hostname"}
    )


def _text_vectorization(config):
    layer_of(config, "Dropout").update(class_name="TextVectorization", config={"vocabulary": "v.txt"})


def _path(config):
    layer_of(config, "Dense")["config"]["name"] = "/etc/passwd"


def _address(config):
    config["config"]["name"] = "https://example.org/a"


def _path_in_a_key(config):
    config["compile_config"] = {"../../x": 1}


def _torch(config):
    layer_of(config, "Dropout").update(class_name="TorchModuleWrapper", config={"module": "UEsDBA=="})


def _jax(config):
    layer_of(config, "Dropout").update(class_name="JaxLayer", config={"call_fn": "f"})


def _saved_model(config):
    layer_of(config, "Dropout").update(class_name="TFSMLayer", config={"filepath": "model"})


def _unknown_layer(config):
    layer_of(config, "Dropout")["class_name"] = "Pipeline"


def _unknown_argument(config):
    layer_of(config, "Dense")["config"]["build"] = "x"


def _wrong_type(config):
    layer_of(config, "Dense")["config"]["units"] = "3"


def _true_as_a_number(config):
    layer_of(config, "Dense")["config"]["units"] = True


def _quantized(config):
    layer_of(config, "Dense")["config"]["quantization_config"] = {"mode": "int8"}


def _huge_units(config):
    layer_of(config, "Dense")["config"]["units"] = 2**20


def _huge_embedding(config):
    layer_of(config, "Dropout").update(
        class_name="Embedding", config={"name": "dropout", "input_dim": 2**24, "output_dim": 2**10}
    )


def _huge_input(config):
    layer_of(config, "InputLayer")["config"]["batch_shape"] = [None, 50_000, 50_000, 1]


def _loop(config):
    layers = {one["name"]: one for one in config["config"]["layers"]}
    first, last = layers["conv2d"]["inbound_nodes"][0], layers["classes"]["name"]
    first["args"][0]["config"]["keras_history"] = [last, 0, 0]


def _tensor_of_nothing(config):
    config["config"]["output_layers"] = ["nowhere", 0, 0]


def _subclass(config):
    config.update(module="keras.models", class_name="Model")


def _two_of_a_name(config):
    config["config"]["layers"].append(config["config"]["layers"][-1])


def _names_of_a_layer_differ(config):
    layer_of(config, "Dense")["config"]["name"] = "other"


def _keras_2_nodes(config):
    layer_of(config, "Dense")["inbound_nodes"] = [[["flatten", 0, 0, {}]]]


def _deep_networks(config):
    inner = {"name": "inner", "layers": [layer_of(config, "InputLayer")], "build_input_shape": [None, 4]}
    for _ in range(15):
        nested = {"module": "keras", "class_name": "Sequential", "config": inner, "registered_name": None}
        inner = {**inner, "layers": [inner["layers"][0], nested]}
    config.update(module="keras", class_name="Sequential", config=inner, registered_name=None)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_lambda_layer, "lambda"), (_lambda_in_wrapper, "lambda"), (_lambda_in_initialiser, "lambda"),
        (_lambda_in_activation, "lambda"), (_lambda_in_loss, "lambda"), (_lambda_in_node, "lambda"),
        (_foreign_module, "module"), (_module_of_keras_outside_the_list, "module"),
        (_foreign_initialiser, "module"), (_no_module, "module"), (_registered_name, "class"),
        (_function, "function"), (_function_as_layer, "function"), (_builtin_function_as_loss, "function"),
        (_vocabulary, "vocabulary"), (_text_vectorization, "vocabulary"), (_path, "path"),
        (_address, "path"), (_path_in_a_key, "path"), (_torch, "foreign-code"), (_jax, "foreign-code"),
        (_saved_model, "external-model"), (_unknown_layer, "class"), (_unknown_argument, "argument"),
        (_wrong_type, "argument"), (_true_as_a_number, "argument"), (_quantized, "argument"),
        (_huge_units, "size"), (_huge_embedding, "size"), (_huge_input, "size"), (_loop, "graph"),
        (_tensor_of_nothing, "graph"), (_subclass, "class"), (_two_of_a_name, "graph"),
        (_names_of_a_layer_differ, "graph"), (_keras_2_nodes, "graph"), (_deep_networks, "size"),
    ],
)  # fmt: skip
def test_a_config_with_a_fault_is_refused_by_its_rule(refused, small_content, change, rule):
    config = config_of(small_content)
    change(config)
    assert refused(with_config(small_content, config)) == rule


def test_the_check_does_not_ask_whether_keras_is_in_its_safe_mode(refused, small_content, monkeypatch):
    import keras
    from keras.src.backend.common import global_state

    keras.config.enable_unsafe_deserialization()
    try:
        config = config_of(small_content)
        _lambda_layer(config)
        assert refused(with_config(small_content, config)) == "lambda"
    finally:
        global_state.set_global_attribute("safe_mode_saving", None)


def test_a_message_says_where_what_was_expected_and_what_was_received(small_content, tmp_path):
    config = config_of(small_content)
    layer_of(config, "Dense")["config"]["units"] = -1
    (tmp_path / "m.keras").write_bytes(with_config(small_content, config))
    with pytest.raises(RefusedModel) as caught:
        check(tmp_path / "m.keras")
    assert str(caught.value) == (
        "layer 'dense' (Dense): expected units: expected a whole number from 1 to 1,048,576, received -1"
    )


# ---- JSON


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[" * 100_000, "json"), ('{"a":' * 5000 + "1" + "}" * 5000, "json"), ('{"a": NaN}', "json"),
        ('{"a": 1e999}', "json"), ('{"a": -Infinity}', "json"), ('{"a": ' + "9" * 5000 + "}", "json"),
        ('{"a": 1, "a": 2}', "duplicate"), ("[1]", "json"), ("", "json"), ("\xef\xbb\xbf{}", "json"),
        ('{"a": "\\ud800"}', "module"), ("{}{}", "json"),
    ],
)  # fmt: skip
def test_a_config_that_is_not_plain_json_is_refused(refused, small_content, text, rule):
    parts = {**members(small_content), CONFIG: text.encode("latin-1")}
    found = refused(packed(parts))
    assert found in (rule, "class")
    assert found == rule or "ud800" in text


def test_a_config_that_is_not_utf_8_is_refused(refused, small_content):
    assert refused(packed({**members(small_content), CONFIG: b'{"a": "\xff\xfe"}'})) == "json"


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 500_000,
        '{"a": ' + '"\\' * 300_000,
        "{" + ",".join(f'"{k}":1' for k in [*range(50_000), 0]) + "}",
    ],
)
def test_a_config_made_to_take_long_is_refused_at_once(refused, small_content, text):
    assert refused(packed({**members(small_content), CONFIG: text.encode()})) in ("json", "duplicate")


def test_a_config_of_too_many_values_is_refused(refused, small_content):
    text = '{"a": [' + "1," * 2000 + "1]}"
    assert (
        refused(packed({**members(small_content), CONFIG: text.encode()}), Limits(json_nodes=1000)) == "size"
    )


def test_a_file_of_another_keras_is_refused(refused, small_content):
    for version in ("2.15.0", 3, None, "3.x", "4.0.0"):
        metadata = json.dumps({"keras_version": version}).encode()
        assert refused(packed({**members(small_content), METADATA: metadata})) == "keras-version"


# ---- archive


def test_what_is_not_a_zip_archive_by_content_is_refused(refused, small_content):
    legacy = io.BytesIO()
    with h5py.File(legacy, "w") as file:  # the older format, which ignores Keras's safe mode
        file.attrs["model_config"] = "{}"
    for content in (
        legacy.getvalue(),
        b"",
        b"PK",
        b"\x80\x04K\x01.",
        small_content[:1000],
        b"x" + small_content,
    ):
        assert refused(content) == "archive"


def test_only_the_three_members_are_taken(refused, small_content):
    parts = members(small_content)
    for name in (
        "../evil.txt",
        "/tmp/evil",
        "assets/vocabulary.txt",
        "a\\b",
        "config.json/",
        "CONFIG.JSON",
    ):
        assert refused(packed({**parts, name: b"x"})) == ("link" if name.endswith("/") else "member")
    assert refused(packed({**parts, "model.weights.npz": b"x"})) == "member"
    assert refused(packed({key: value for key, value in parts.items() if key != WEIGHTS})) == "member"
    renamed = {("../config.json" if key == CONFIG else key): value for key, value in parts.items()}
    assert refused(packed(renamed)) == "member"


def test_links_encryption_and_duplicates_are_refused(refused, small_content):
    parts = members(small_content)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16 if name == CONFIG else 0
            archive.writestr(entry, b"/etc/passwd" if name == CONFIG else content)
    assert refused(held.getvalue()) == "link"
    encrypted = bytearray(small_content)
    for at in _central_headers(small_content):
        encrypted[at + 8] |= 1
    assert refused(bytes(encrypted)) == "encrypted"
    twice = packed({**parts, "config.jsox": b"{}"}).replace(b"config.jsox", CONFIG.encode())
    assert refused(twice) == "duplicate"


def _central_headers(content):
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        yield at
        at = content.find(b"PK\x01\x02", at + 1)


def test_zip_bombs_are_refused_by_what_they_state_and_by_what_they_unpack_to(refused, small_content):
    parts, limits = members(small_content), Limits(file_bytes=2**20)
    bomb = packed({**parts, WEIGHTS: bytes(2**21)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**15
    assert refused(bomb, limits) == "size"
    lying = bytearray(bomb)  # states fewer bytes than it unpacks to
    for at in [*_central_headers(bomb)]:
        size = at + 24
        if struct.unpack_from("<I", lying, size)[0] == 2**21:
            struct.pack_into("<I", lying, size, 1000)
    assert refused(bytes(lying), limits) in ("size", "archive")
    assert refused(packed(parts, zipfile.ZIP_BZIP2)) == "archive"
    assert refused(packed({**parts, CONFIG: b" " * 2**19 + b"{}"}), Limits(json_bytes=2**18)) == "size"


def test_a_directory_of_very_many_members_is_refused_before_it_is_read(refused, small_content):
    at = small_content.rindex(b"PK\x05\x06")
    for size in (2**23, 2**32 - 1):
        content = small_content[: at + 12] + struct.pack("<I", size) + small_content[at + 16 :]
        assert refused(content) == "size"


def test_a_file_that_is_too_large_is_not_read(refused, small_content):
    assert refused(small_content, Limits(file_bytes=100)) == "size"


def test_only_regular_files_are_opened(tmp_path):
    with pytest.raises(MissingDataError, match="cannot be read"):
        check(tmp_path / "nothing.keras")
    os.mkfifo(tmp_path / "pipe.keras")
    for path in (tmp_path / "pipe.keras", tmp_path, Path("/dev/zero")):
        with pytest.raises((RefusedModel, MissingDataError)):
            check(path)


# ---- weights


def _weights_with(small_content, change, name=WEIGHTS) -> bytes:
    """The archive with changed HDF5, written by the HDF5 library."""
    parts = members(small_content)
    held = io.BytesIO(parts.pop(WEIGHTS))
    with h5py.File(held, "a") as file:
        change(file)
    return packed({**parts, name: held.getvalue()})


def _replace(file, **how):
    values = file["layers/dense/vars/0"][...]
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_dataset("0", data=values.astype(how.pop("dtype", values.dtype)), **how)


def _external_storage(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_dataset("0", (8, 3), "<f4", external=[("/etc/passwd", 0, 96)])


def _virtual(file):
    layout = h5py.VirtualLayout((8, 3), "<f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (8, 3))
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def _external_link(file):
    del file["layers/dense/vars"]
    file["layers/dense/vars"] = h5py.ExternalLink("/tmp/other.h5", "/vars")


def _soft_link(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense_1/vars/0")


def _hard_link_back(file):
    file["layers/dense/vars/again"] = file["/"]


def _nan(file):
    file["layers/dense/vars/0"][0, 0] = np.nan


def _infinite(file):
    file["layers/conv2d/vars/0"][0] = -np.inf


def _strings(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"]["0"] = "text"


def _reference(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_dataset("0", data=file["vars"].ref, dtype=h5py.ref_dtype)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_external_storage, "hdf5-storage"), (_virtual, "hdf5-storage"), (_external_link, "hdf5-link"),
        (_soft_link, "hdf5-link"), (_hard_link_back, "hdf5-link"), (_nan, "not-finite"),
        (_infinite, "not-finite"), (_strings, "dtype"), (_reference, "dtype"),
        (lambda file: _replace(file, compression="gzip"), "hdf5-storage"),
        (lambda file: _replace(file, chunks=(2, 3)), "hdf5-storage"),
        (lambda file: _replace(file, shuffle=True), "hdf5-storage"),
        (lambda file: _replace(file, dtype=">f4"), "dtype"),
        (lambda file: _replace(file, dtype="complex64"), "dtype"),
        (lambda file: file.create_dataset("loose", data=1.0), "weights"),
    ],
)  # fmt: skip
def test_weights_that_are_not_plain_arrays_in_the_file_are_refused(refused, small_content, change, rule):
    assert refused(_weights_with(small_content, change)) == rule


def test_the_reader_of_weights_gives_what_the_hdf5_library_gives(small_file, small_content):
    found = check(small_file).weights
    with h5py.File(io.BytesIO(members(small_content)[WEIGHTS])) as file:
        expected = {}
        file.visititems(lambda name, one: expected.update({name: one[...]} if hasattr(one, "shape") else {}))
    assert {f"{layer}/vars/{number}" for layer, arrays in found.items() for number in arrays} == set(expected)
    for path, array in expected.items():
        layer, _, number = path.partition("/vars/")
        np.testing.assert_array_equal(found[layer][number], array)
        assert found[layer][number].dtype == array.dtype


def test_many_groups_and_every_type_of_number_are_read(refused, small_content, tmp_path):
    def fill(file):
        for k in range(120):  # a tree of more than one level of nodes
            kind = ("<f2", "<f4", "<f8", "<i4", "<u8", "<i1")[k % 6]
            file.create_dataset(f"optimizer/slot{k}/vars/0", data=np.arange(k % 5, dtype=kind).reshape(-1, 1))

    (tmp_path / "m.keras").write_bytes(_weights_with(small_content, fill))
    weights = check(tmp_path / "m.keras").weights
    for k in (0, 1, 4, 119):
        np.testing.assert_array_equal(weights[f"optimizer/slot{k}"]["0"][:, 0], np.arange(k % 5))


def test_a_shape_larger_than_its_bytes_is_refused_before_memory_is_taken(refused, small_content):
    parts = members(small_content)
    content, shape = parts[WEIGHTS], struct.pack("<QQ", 8, 3)  # of the first dense layer
    found = re.search(rb"\x01\x02[\x00\x01]\x00{5}" + re.escape(shape), content)
    at = found.end() - len(shape)
    huge = content[:at] + struct.pack("<QQ", 2**20, 2**12) + content[at + 16 :]
    assert refused(packed({**parts, WEIGHTS: huge})) == "size"


def _npz(arrays) -> bytes:
    held = io.BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


def test_weights_in_npz_are_read_without_objects_and_lies(refused, small_file, small_content, tmp_path):
    parts = members(small_content)
    del parts[WEIGHTS]
    plain = {
        f"{layer}/vars/{number}": array for layer, arrays in check(small_file).weights.items()
        for number, array in arrays.items()
    }  # fmt: skip
    npz = "model.weights.npz"
    (tmp_path / "m.keras").write_bytes(packed({**parts, npz: _npz(plain)}))
    assert check(tmp_path / "m.keras").parameters == check(small_file).parameters
    objects = {"layers/dense/vars/0": np.array({"code": 1}, dtype=object)}
    assert refused(packed({**parts, npz: _npz(objects)})) == "pickle"
    assert refused(packed({**parts, npz: _npz({"a": np.zeros(2)})})) == "npz"
    assert refused(packed({**parts, npz: _npz({"a/vars/0": np.array(["x"])})})) == "dtype"
    assert refused(packed({**parts, npz: b"PK\x03\x04nothing"})) == "archive"
    member = members(_npz({"a/vars/0": np.zeros(4, "<f4")}))["a/vars/0.npy"]
    for content in (member[:-1], member + b"x", member.replace(b"(4,), }         ", b"(4000000000,), }")):
        assert refused(packed({**parts, npz: packed({"a/vars/0.npy": content})})) == "size"
    bomb = packed({"a/vars/0.npy": bytes(2**21)}, zipfile.ZIP_DEFLATED)
    assert refused(packed({**parts, npz: bomb}), Limits(file_bytes=2**20)) == "size"


def test_fewer_weights_than_the_layers_have_at_least_are_refused(refused, small_content):
    parts = members(small_content)
    held = io.BytesIO()
    h5py.File(held, "w").close()
    assert refused(packed({**parts, WEIGHTS: held.getvalue()})) == "size"


def test_more_layers_or_weights_than_the_limits_are_refused(refused, small_content):
    assert refused(small_content, Limits(layers=3)) == "size"
    assert refused(small_content, Limits(parameters=20)) == "size"
