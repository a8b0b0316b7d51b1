"""Small pixel series for classifiers."""

import numpy as np
import pytest

from yieldcast.pixels import pixel_series


def make_crops(each=12, seed=0, unlabelled=2):
    """Red and near infrared of three crops that peak in different months; some without a label."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(3), each)
    green = np.exp(-((np.arange(6) - 1 - 1.5 * kind[:, None]) ** 2) / 2) + rng.normal(0, 0.05, (len(kind), 6))
    names = np.array(["maize", "pasture", "soybean"])[kind]
    names[:unlabelled] = ""
    return pixel_series.create(
        {"B4": 1500 - 800 * green, "B8": 2000 + 2000 * green}, np.tile(np.arange(6), (len(kind), 1)),
        -12 - np.arange(len(kind)) / 100, np.full(len(kind), -55.0), np.arange(len(kind)), "month",
        label=names, group=[f"r{i % 3}" for i in range(len(kind))],
    )  # fmt: skip


@pytest.fixture(scope="session")
def crops():
    """`make_crops`."""
    return make_crops
