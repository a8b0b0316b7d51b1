"""Which series a network is trained on: balanced classes, and a block of places that tells when to stop."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.crop_types.heads import Floats, Ints, spatial_folds

Balance = Literal["weights", "sampling", "none"]
BALANCES: tuple[Balance, ...] = get_args(Balance)
_BLOCKS = 40  # of places, at most
_STOPPING_SHARE = 8  # one of so many parts of the series tells when to stop


def class_weights(classes: Ints, balance: Balance) -> NDArray[np.float32]:
    """(sample,) weights whose mean is 1: equal sums of all classes with "weights", else equal for all."""
    if balance != "weights":
        return np.ones(len(classes), np.float32)
    _, position, count = np.unique(classes, return_inverse=True, return_counts=True)
    made: NDArray[np.float32] = (len(classes) / (len(count) * count[position])).astype(np.float32)
    return made


def epoch_rows(classes: Ints, balance: Balance, batch: int, rng: np.random.Generator) -> Ints:
    """Positions of the samples of one epoch, in their order; a whole number of batches.

    Args:
        classes: (sample,).
        balance: "sampling" draws every class equally often; else each sample comes once, and some of them
            twice where the last batch needs more.
        batch: samples of a batch.
        rng: of the draws.
    """
    count = len(classes)
    wanted = -(-count // batch) * batch
    if balance == "sampling":
        members = [np.flatnonzero(classes == one) for one in np.unique(classes)]
        each = -(-wanted // len(members))
        rows = np.concatenate([_often(mine, each, rng) for mine in members])
        return rng.permutation(rows)[:wanted]
    more = rng.permutation(count)[: wanted - count]
    return np.concatenate([rng.permutation(count), more])


def _often(rows: Ints, times: int, rng: np.random.Generator) -> Ints:
    """Rows in random order, again and again, none much more often than another."""
    rounds = [rng.permutation(rows) for _ in range(-(-times // len(rows)))]
    return np.concatenate(rounds)[:times]


def spatial_blocks(series: xr.Dataset, most: int = _BLOCKS) -> Ints:
    """(sample,) number of a block of neighbouring places; no location is in two of them.

    Args:
        series: see `pixel_series`.
        most: number of blocks, where there are as many locations.
    """
    from sklearn.cluster import KMeans

    _, place = np.unique(series["location"].values, return_inverse=True)
    latitude, longitude = (np.radians(series[f"{name}_deg"].values) for name in ("latitude", "longitude"))
    point = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    size = np.bincount(place)
    centre = np.stack([np.bincount(place, point[:, k]) / size for k in range(3)], axis=1)
    different = len(np.unique(centre.round(7), axis=0))
    made: Ints = KMeans(min(most, different), n_init=1, random_state=0).fit(centre).labels_
    return made.astype(np.int64)[place]


def stopping_block(classes: Ints, blocks: Ints, locations: NDArray[Any], seed: int) -> NDArray[np.bool_]:
    """(sample,) True for the samples that do not train but tell when to stop.

    Whole blocks of neighbours, so that the training does not know the fields beside them; whole locations
    where blocks would take a class away from the training; nothing where these would too.

    Args:
        classes: (sample,).
        blocks: see `spatial_blocks`.
        locations: (sample,).
        seed: other seeds take other blocks.
    """
    present, folds_at_most = len(np.unique(classes)), min(_STOPPING_SHARE, int(np.bincount(classes).max()))
    for units in (blocks, locations):
        if min(len(np.unique(units)), folds_at_most) < 2:
            continue
        folds = spatial_folds(classes, units, folds_at_most)
        found = [folds == one for one in np.unique(folds)]
        good = [held for held in found if len(np.unique(classes[~held])) == present]
        if good:
            most = max(len(np.unique(classes[held])) for held in good)
            best = [held for held in good if len(np.unique(classes[held])) == most]
            chosen: NDArray[np.bool_] = best[seed % len(best)]
            return chosen
    return np.zeros(len(classes), bool)


def weighted_loss(logits: Floats, classes: Ints, weights: NDArray[np.float32]) -> float:
    """Weighted mean cross entropy."""
    top = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float(np.average(total - logits[np.arange(len(classes)), classes], weights=weights))
