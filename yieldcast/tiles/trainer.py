"""Training of a tile network: compiled steps, early stopping on left-out patches, continued after a stop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError
from yieldcast.tiles.augmentation import augmented
from yieldcast.tiles.bands import BANDS, Floats
from yieldcast.tiles.label_codes import NO_DATA, Labels
from yieldcast.tiles.patches import Ints, PatchSet, Progress, ignore, whole_batches
from yieldcast.tiles.scores import Counts, confusion

Loss = Literal["plain", "weighted"]
Weights = NDArray[np.float32]
# Defaults of AdamW in PyTorch, which the paper takes (section 4: "default learning rate 1e-3 and AdamW").
RATE, DECAY, TINY = 1e-3, 1e-2, 1e-8


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained.

    Args:
        seed: of weights, order, augmentation and parts.
        epochs: at most; the paper's 100.
        patience: epochs without a lower loss on the left-out patches before the training stops.
        batch: patches of a step; the paper's 128 needs eight large GPUs.
        loss: "plain" cross entropy as in the paper, or "weighted" with weights that make all classes equal.
    """

    seed: int = 0
    epochs: int = 100
    patience: int = 10
    batch: int = 8
    loss: Loss = "plain"


@dataclass
class Training:
    """How far a training is.

    Args:
        epoch: epochs done.
        best_epoch: epoch with the lowest loss of the left-out patches, from 1; 0 before the first.
        best_loss: that loss.
        history: (training loss, loss of the left-out patches) of each epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    history: list[tuple[float, float]] = field(default_factory=list)

    def ended(self, settings: TrainSettings) -> bool:
        """Whether no epoch follows."""
        return self.epoch >= settings.epochs or self.epoch - self.best_epoch >= settings.patience


def compile_network(network: Any) -> None:
    """Give a network its optimiser and loss.

    The loss is a sum over pixels whose weights, given with each batch, sum to 1.
    """
    import keras

    network.compile(
        keras.optimizers.AdamW(RATE, weight_decay=DECAY, epsilon=TINY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        jit_compile=False,  # convolutions of XLA are slower on CPUs
    )
    network.optimizer.build(network.trainable_variables)


def class_weights(pixels: Ints, loss: Loss) -> Weights:
    """(class,) weights of pixels.

    Args:
        pixels: (class,) labelled pixels of the training.
        loss: "weighted" gives n / (number of classes x pixels of the class), as scikit-learn's "balanced", 0
            to a class without pixels.
    """
    if loss == "plain":
        return np.ones(len(pixels), np.float32)
    present = pixels > 0
    return np.where(present, pixels.sum() / (present.sum() * np.maximum(pixels, 1)), 0).astype(np.float32)


def train(
    network: Any,
    patches: PatchSet,
    rows: tuple[Ints, Ints],
    side: int,
    weights: Weights,
    settings: TrainSettings,
    state: tuple[Path, str] | None = None,
    progress: Progress = ignore,
) -> Training:
    """Train a network and leave it with its best weights.

    Args:
        network: of `unet.tile_network`.
        patches: see `patches.PatchSet`.
        rows: of the patches to train on, and of those that stop the training.
        side: of a training image, pixels, a multiple of 32.
        weights: (class,) of pixels.
        settings: of the training.
        state: file to keep the training in after each epoch and to go on from, and what the training is known
            by there (fingerprint of the patches); None keeps nothing.
        progress: called with epochs done and all epochs.

    Raises:
        ConfigError: `state` holds another training.
    """
    compile_network(network)
    training, best = Training(), _own_weights(network)
    file, known_by = state or (None, "")
    mark = _mark(network, [known_by, side, weights.tolist(), asdict(settings), *(r.tolist() for r in rows)])
    if file and file.is_file():
        training, best = _restore(network, file, mark)
    while not training.ended(settings):
        network.reset_metrics()
        loss = float("nan")
        for images, labels, weight in batches(patches, rows[0], side, weights, settings, training.epoch):
            loss = float(network.train_on_batch(images, labels, sample_weight=weight))
        held, _ = evaluate(network, patches, rows[1], side, settings.batch, weights)
        training.epoch += 1
        training.history.append((loss, held))
        if held < training.best_loss:
            training.best_loss, training.best_epoch, best = held, training.epoch, _own_weights(network)
        if file:
            _keep(network, file, mark, training, best)
        progress(training.epoch, settings.epochs)
    for variable, value in zip(_own(network), best, strict=True):
        variable.assign(value)
    return training


def batches(
    patches: PatchSet, rows: Ints, side: int, weights: Weights, settings: TrainSettings, epoch: int
) -> Iterator[tuple[Floats, Labels, Floats]]:
    """Images, labels and weights of pixels, which sum to 1 in a batch; each epoch has its own random numbers.

    Crops without a labelled pixel are skipped with their batch if all are.
    """
    order = np.random.default_rng([settings.seed, 1, epoch]).permutation(rows)
    for start in range(0, len(order), settings.batch):
        mine = order[start : start + settings.batch]
        images = np.empty((len(mine), side, side, len(BANDS)), np.float32)
        labels = np.empty((len(mine), side, side), np.int8)
        for k, row in enumerate(mine):
            rng = np.random.default_rng([settings.seed, 2, epoch, int(row)])
            images[k], labels[k] = augmented(*patches.load(int(row)), side, rng)
        weight = pixel_weights(labels, weights)
        if weight.any():
            yield images, np.maximum(labels, 0), weight / weight.sum()


def pixel_weights(labels: Labels, weights: Weights) -> Floats:
    """Weights of pixels by their class, 0 where there is no data."""
    return np.where(labels == NO_DATA, np.float32(0), weights[np.maximum(labels, 0)])


def evaluate(
    network: Any, patches: PatchSet, rows: Ints, side: int, batch: int, weights: Weights
) -> tuple[float, Counts]:
    """Mean cross entropy and confusion matrix of whole patches.

    Args:
        network, patches, side, weights: as `train`.
        rows: of the patches.
        batch: patches of a step.
    """
    from scipy.special import log_softmax

    classes, total, weighed = len(patches.classes), 0.0, 0.0
    counts = np.zeros((classes, classes), np.int64)
    for _, images, labels in whole_batches(patches, rows, side, batch):
        chance = log_softmax(np.asarray(network.predict_on_batch(images)), axis=-1)
        mine = np.take_along_axis(chance, np.maximum(labels, 0)[..., None].astype(np.int64), -1)[..., 0]
        weight = pixel_weights(labels, weights)
        total -= float((mine * weight).sum(dtype=np.float64))
        weighed += float(weight.sum(dtype=np.float64))
        counts += confusion(labels, chance.argmax(axis=-1), classes)
    return total / max(weighed, np.finfo(float).tiny), counts


def _own(network: Any) -> list[Any]:
    """Variables that training changes: those of a frozen encoder stay what they are."""
    encoder = network.get_layer("encoder")
    frozen = set() if encoder.trainable else {id(one) for one in encoder.variables}
    return [one for one in network.variables if id(one) not in frozen and "seed" not in one.name]


def _own_weights(network: Any) -> list[NDArray[Any]]:
    return [_copied(one) for one in _own(network)]


def _copied(variable: Any) -> NDArray[Any]:
    import keras

    return np.array(keras.ops.convert_to_numpy(variable))


def _mark(network: Any, about: list[Any]) -> str:
    """SHA-256 of everything that decides a training: the weights at its start, patches, settings."""
    digest = hashlib.sha256(json.dumps(about).encode())
    for one in network.get_weights():
        digest.update(np.ascontiguousarray(one, "<f4").tobytes())
    return digest.hexdigest()


def _keep(network: Any, state: Path, mark: str, training: Training, best: list[NDArray[Any]]) -> None:
    optimiser = [_copied(one) for one in network.optimizer.variables]
    arrays = {
        f"{kind}{k}": value
        for kind, values in (("now", _own_weights(network)), ("best", best), ("optimiser", optimiser))
        for k, value in enumerate(values)
    }
    about = np.array(json.dumps({"mark": mark, **asdict(training)}))

    def save(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez(file, about=about, **arrays)  # type: ignore[arg-type]

    atomic_write(state, save)


def _restore(network: Any, state: Path, mark: str) -> tuple[Training, list[NDArray[Any]]]:
    with np.load(state, allow_pickle=False) as kept:
        about = json.loads(str(kept["about"]))
        if about.pop("mark") != mark:
            raise ConfigError(
                f"{state}: expected a training of these patches, weights and settings, received another one",
                "Give the options of that training, or choose another --out.",
            )
        own, optimiser = _own(network), network.optimizer.variables
        for k, variable in enumerate(own):
            variable.assign(kept[f"now{k}"])
        for k, variable in enumerate(optimiser):
            variable.assign(kept[f"optimiser{k}"])
        best = [kept[f"best{k}"] for k in range(len(own))]
    about["history"] = [tuple(pair) for pair in about["history"]]
    return Training(**about), best
