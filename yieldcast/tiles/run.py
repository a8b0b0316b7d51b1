"""Training of a run and its directory: the whole network, settings, origin of the weights, scores.

``tiles.json`` is written last, so that a directory with it is whole. Until then ``unfinished.npz`` holds the
training so far, and the same command goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast import model_files
from yieldcast.data.files import atomic_text, atomic_write, file_facts, make_folder
from yieldcast.errors import ConfigError, RunError
from yieldcast.model_files import RefusedModel
from yieldcast.tiles.bands import BANDS
from yieldcast.tiles.patches import Progress, Survey, ignore, split
from yieldcast.tiles.published_resnet import load_encoder
from yieldcast.tiles.resnet import resnet_encoder
from yieldcast.tiles.scores import TileScores, tile_scores
from yieldcast.tiles.trainer import TrainSettings, class_weights, evaluate, train
from yieldcast.tiles.unet import tile_network

RECORD, NETWORK, STATE = "tiles.json", "network.keras", "unfinished.npz"
# Shares of the patches that stop the training and that are scored (paper, section 4.1: 80-10-10).
SHARES = (0.1, 0.1)
_FORMAT = 1
_HINT = "Train again with yieldcast crop-type tiles train."
NewNetwork = Callable[[int, int], Any]  # of the number of classes and the seed


@dataclass(frozen=True)
class TileRun:
    """A trained run.

    Args:
        path: of the directory.
        network: see `unet.tile_network`.
        record: what ``tiles.json`` holds.
    """

    path: Path
    network: Any
    record: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.record["classes"])

    @property
    def absent(self) -> tuple[str, ...]:
        """Bands that the network was trained without."""
        return tuple(self.record["absent"])

    @property
    def scores(self) -> TileScores:
        """Of the patches that had no part in the training."""
        return TileScores(**self.record["scores"])


def networks(weights: Path | None, prefix: str | None = None) -> tuple[NewNetwork, dict[str, str] | None]:
    """How networks are made, and the origin of the encoder's weights.

    Args:
        weights: published ones (safetensors), with which the encoder is frozen; None trains it from scratch.
        prefix: see `published_resnet.load_encoder`.
    """
    import keras

    if weights is None:

        def scratch(classes: int, seed: int) -> Any:
            keras.utils.set_random_seed(seed)
            return tile_network(resnet_encoder(), classes, frozen=False)

        return scratch, None
    encoder, origin = load_encoder(weights, prefix)

    def frozen(classes: int, seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        return tile_network(encoder, classes, frozen=True)

    return frozen, origin


def refuse_existing(path: Path) -> None:
    """Refuse a directory that holds a run. ConfigError."""
    if (path / RECORD).exists():
        raise ConfigError(f"{path} holds a run already", "Choose another --out.")


def train_run(
    path: Path,
    found: Survey,
    network: Any,
    settings: TrainSettings,
    about: dict[str, Any],
    progress: Progress = ignore,
) -> TileRun:
    """Train, score on patches that had no part in the training, and write a run.

    Args:
        path: directory to make; with an unfinished training in it, that one is continued.
        found: patches, see `patches.survey`.
        network: not trained yet.
        settings: of the training.
        about: what else is kept: origin of the weights, scale of the images.
        progress: called with epochs done and all epochs.

    Raises:
        SchemaError: fewer than three patches.
        ConfigError: `path` holds another unfinished training.
        MissingDataError: the disk refuses.
    """
    patches = found.patches
    rows, stop, test = split(patches.countries, SHARES, settings.seed)
    make_folder(path)
    weights = class_weights(found.pixels[rows].sum(axis=0), settings.loss)
    state = (path / STATE, found.fingerprint)
    training = train(network, patches, (rows, stop), found.side, weights, settings, state, progress)
    _, counts = evaluate(network, patches, test, found.side, settings.batch, np.ones_like(weights))
    atomic_write(path / NETWORK, lambda temporary: network.save(temporary, include_optimizer=False))
    record = {
        "format": _FORMAT, "classes": list(patches.classes), "bands": list(BANDS),
        "absent": list(patches.absent), "side": found.side, "settings": asdict(settings),
        "patches": {
            "train": len(rows), "stop": len(stop), "test": len(test), "without_labels": len(found.empty),
            "countries": sorted(set(patches.countries.tolist())), "fingerprint": found.fingerprint,
            "scored": patches.names[test].tolist(),
        },
        "training": asdict(training), "scores": asdict(tile_scores(counts, patches.classes)),
        "network_sha256": file_facts(path / NETWORK)["sha256"], **about,
    }  # fmt: skip
    atomic_text(path / RECORD, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    (path / STATE).unlink(missing_ok=True)
    return TileRun(path, network, record)


def open_run(path: Path) -> TileRun:
    """A run with its network.

    Raises:
        RunError: no run, an unfinished one, another version, or damaged.
    """
    if (path / STATE).exists() and not (path / RECORD).exists():
        raise RunError(f"{path}: the training has not ended", "Give the command of the training again.")
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise RunError(f"{path}: a run of another version of yieldcast", _HINT)
        if file_facts(path / NETWORK)["sha256"] != record["network_sha256"]:
            raise RunError(f"{path}: {NETWORK} was changed", _HINT)
        TileScores(**record["scores"])
        network = model_files.build(model_files.check(path / NETWORK))
        if network.output_shape[-1] != len(record["classes"]):
            raise RunError(f"{path}: the network has other classes than {RECORD}", _HINT)
    except (OSError, ValueError, KeyError, TypeError, RefusedModel) as error:
        raise RunError(f"{path}: not a run of crop-type tiles train: {error}", _HINT) from None
    return TileRun(path, network, record)
