"""A tiny task of tiles and models for it, for tests of the sandbox and of workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.workspace.tasks.task import Task

CLASSES = ("barley", "oats", "sugar beet")


def tile_task(folder: Path, training: int = 60, holdout: int = 30, side: int = 6) -> Task:
    """Tiles whose mean says their class; three rows belong to one field."""
    random = np.random.default_rng(0)
    for part, count in (("training", training), ("holdout", holdout)):
        target = np.arange(count, dtype=np.int32) % len(CLASSES)
        tiles = random.normal(size=(count, side, side, 1)) * 0.2 + target[:, None, None, None]
        (folder / part / "inputs").mkdir(parents=True)
        np.save(folder / part / "inputs" / "image.npy", tiles.astype(np.float32))
        np.save(folder / part / "target.npy", target)
        np.save(folder / part / "group.npy", np.array([f"field {row // 3}" for row in range(count)]))
    task = Task(
        task="crop-tiles", inputs={"image": (side, side, 1)}, outputs=CLASSES, kind="classes",
        training=training, holdout=holdout, rare=CLASSES[1:], fingerprint="0" * 64, synthetic=True,
    )  # fmt: skip
    task.write(folder)
    return task


def value_task(folder: Path, training: int = 80, holdout: int = 40) -> Task:
    """Yields in kg/ha that follow a series and a feature."""
    random = np.random.default_rng(0)
    for part, count in (("training", training), ("holdout", holdout)):
        weather, static = random.normal(size=(count, 5, 2)), random.normal(size=(count, 3))
        (folder / part / "inputs").mkdir(parents=True)
        np.save(folder / part / "inputs" / "weather.npy", weather.astype(np.float32))
        np.save(folder / part / "inputs" / "static.npy", static.astype(np.float32))
        target = 3000 + 500 * weather.mean(axis=(1, 2)) + 300 * static[:, 0]
        np.save(folder / part / "target.npy", target.astype(np.float32))
    task = Task(
        task="yield", inputs={"weather": (5, 2), "static": (3,)}, outputs=("yield_kg_ha",), kind="value",
        training=training, holdout=holdout, fingerprint="0" * 64, synthetic=True,
    )  # fmt: skip
    task.write(folder)
    return task


def save_tile_model(path: Path, outputs: int = 3, side: int = 6, **dense: Any) -> Path:
    """A model of one convolution."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((side, side, 1), name="pixels"),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(outputs, **({"activation": "softmax"} | dense)),
    ])  # fmt: skip
    model.save(path)
    return path


def save_smallest_model(path: Path, side: int = 6) -> Path:
    """A model of one dense layer, for tests of what happens around it."""
    import keras

    head = [keras.layers.Flatten(), keras.layers.Dense(len(CLASSES), activation="softmax")]
    keras.Sequential([keras.Input((side, side, 1)), *head]).save(path)
    return path


def save_value_model(path: Path, outputs: int = 1) -> Path:
    """A model of both inputs, an LSTM for the weather."""
    import keras

    keras.utils.set_random_seed(1)
    weather, static = keras.Input((5, 2), name="weather"), keras.Input((3,), name="static")
    joined = keras.layers.Concatenate()([keras.layers.LSTM(4)(weather), static])
    keras.Model([weather, static], keras.layers.Dense(outputs)(joined)).save(path)
    return path
