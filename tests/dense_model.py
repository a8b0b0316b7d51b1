"""Model files as Keras writes them, made without Keras: one dense layer on the flattened input."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np


def _layer(name, kind, **settings):
    config = {"name": name, "trainable": True, "dtype": "float32", **settings}
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def dense_config(shape, classes):
    """The config of the network."""
    given = {"batch_shape": [None, *shape], "dtype": "float32", "name": "input_layer"}
    layers = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": given, "registered_name": None},
        _layer("flatten", "Flatten", data_format="channels_last"),
        _layer("dense", "Dense", units=classes, activation="softmax", use_bias=True),
    ]
    config = {
        "name": "sequential", "trainable": True, "dtype": "float32", "layers": layers,
        "build_input_shape": [None, *shape],
    }  # fmt: skip
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def write_model(path, shape=(8, 8, 1), classes=4, seed=0, change=lambda config: None):
    """Write a model file; `change` may alter its config first. Returns the path."""
    config, weights = dense_config(shape, classes), io.BytesIO()
    change(config)
    kernel = np.random.default_rng(seed).normal(0, 0.1, (int(np.prod(shape)), classes))
    with h5py.File(weights, "w") as file:
        variables = file.create_group("layers/dense/vars")
        variables["0"], variables["1"] = kernel.astype(np.float32), np.zeros(classes, np.float32)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": "2026-12-01"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path
