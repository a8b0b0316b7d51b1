"""Small workspaces for tests of federations: images of three classes, each a bright band at another place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.workspace.tasks.task import Task


def make_site(
    folder: Path, seed: int, training: int, holdout: int, shares: Sequence[float], noise: float = 1.0
) -> Path:
    """A workspace of 8 x 8 images.

    Args:
        folder: is made.
        seed: of the random numbers.
        training, holdout: numbers of images.
        shares: of the three classes, in both parts.
        noise: standard deviation; the band is brighter by 0.8.
    """
    rng = np.random.default_rng(seed)
    for part, count in (("training", training), ("holdout", holdout)):
        inputs = folder / "data" / part / "inputs"
        inputs.mkdir(parents=True)
        target = rng.choice(3, size=count, p=list(shares)).astype(np.int32)
        image = rng.normal(0, noise, (count, 8, 8, 1)).astype(np.float32)
        for k in range(3):
            image[target == k, 2 * k : 2 * k + 3] += 0.8
        np.save(inputs / "image.npy", image)
        np.save(inputs.parent / "target.npy", target)
    task = Task(
        task="crop-tiles", inputs={"image": (8, 8, 1)}, outputs=("barley", "wheat", "oats"), kind="classes",
        training=training, holdout=holdout, fingerprint="0" * 64, synthetic=True,
    )  # fmt: skip
    task.write(folder / "data")
    return folder


def small_network(seed: int = 3) -> Any:
    """A convolutional network for these images, with everything that averaging must handle: a moving mean
    (batch normalisation) and random numbers (dropout)."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(3, activation="softmax"),
        ]
    )
