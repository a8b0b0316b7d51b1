"""Training of encoder and head together: fine-tuning, with or without labels first, or from random weights.

Fine-tuning starts from the head that was found on the frozen encoder (Kumar, Raghunathan, Jones, Ma & Liang
2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR, Section 3.4:
with a random head the first steps spoil the encoder). A block of places outside the training tells when to
stop; where no epoch helps on it, the network stays as it started.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.crop_types.heads import Floats, Ints, fit_head
from yieldcast.crop_types.network import CropTypeNetwork, Layer
from yieldcast.crop_types.sampling import (
    class_weights,
    epoch_rows,
    spatial_blocks,
    stopping_block,
    weighted_loss,
)
from yieldcast.encoders.embedding import BATCH, PixelInputs, embed
from yieldcast.encoders.presto_inputs import presto_inputs
from yieldcast.encoders.pretraining import COMPILED_FROM, PretrainingSettings, pretrain

if TYPE_CHECKING:
    from yieldcast.crop_types.classifier import CropTypeSettings
    from yieldcast.encoders.presto import PrestoDecoder, PrestoEncoder

Arrays = list[NDArray[Any]]
EPOCHS, SCRATCH_EPOCHS, SSL_EPOCHS = 15, 60, 5
_RATE, _SCRATCH_RATE = 1e-4, 1e-3  # of AdamW
_DECAY = 0.05  # of its weights, as in the training of Presto
_PATIENCE = 5  # epochs without a lower loss on the block
_UNSEEN = -10.0  # logit of a class that no series of the training has
HIDDEN = 64  # units of the head mlp, as `heads.make_head`


@dataclass(frozen=True)
class Series:
    """Labelled series as a network reads them.

    Args:
        inputs: of the encoder.
        classes: (sample,) positions.
        blocks, locations: (sample,) see `sampling.stopping_block`.
    """

    inputs: PixelInputs
    classes: Ints
    blocks: Ints
    locations: NDArray[Any]


class TunedLearner:
    """Trains networks on some of the series, and tells the classes of others.

    One network serves all trainings, so that it is compiled once.

    Args:
        series: labelled, see `pixel_series`.
        classes: (sample,) positions.
        count: of classes.
        settings: of the training.
        encoder: where it starts; with the mode "scratch" only its architecture counts.
        decoder: of the training without labels; None for a new one.
        spare: series without a label, for the training without labels.
    """

    def __init__(
        self,
        series: xr.Dataset,
        classes: Ints,
        count: int,
        settings: CropTypeSettings,
        encoder: PrestoEncoder,
        decoder: PrestoDecoder | None = None,
        spare: xr.Dataset | None = None,
    ) -> None:
        self.settings, self.count = settings, count
        self.series = Series(self._inputs(series), classes, spatial_blocks(series), series["location"].values)
        self.spare = None if spare is None else (self._inputs(spare), spare["location"].values)
        self.encoder, self.decoder = encoder, decoder
        encoder.check(series.sizes["step"], settings.pool)
        self.epochs = settings.epochs or (SCRATCH_EPOCHS if settings.mode == "scratch" else EPOCHS)
        self.network = self.new_network()
        self.network.compile(
            optimizer=keras.optimizers.AdamW(self._rate(), weight_decay=_DECAY),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False,
            run_eagerly=self.epochs * -(-len(classes) // BATCH) < COMPILED_FROM,
        )  # fmt: skip
        self.network.optimizer.build(self.network.trainable_variables)
        self._optimizer = [keras.ops.convert_to_numpy(one) for one in self.network.optimizer.variables]

    def new_network(self, weights: Arrays | None = None) -> CropTypeNetwork:
        """A network of its own, with weights of `fit`."""
        steps = self.series.inputs.x.shape[1] if self.settings.pool == "time" else 1
        hidden = (HIDDEN,) if self.settings.head == "mlp" else ()
        network = CropTypeNetwork(
            copied(self.encoder), self.count, steps * self.encoder.widths[self.settings.pool], hidden,
            self.series.inputs.known_groups(), self.settings.pool,
        )  # fmt: skip
        network.build()
        if weights is not None:
            network.set_weights(weights)
        return network

    def fit(self, rows: Ints, seed: int, progress: Callable[[int, int], None]) -> Arrays:
        """Weights of a network that was trained on these rows.

        Args:
            rows: positions of series.
            seed: of the order, of the block that tells when to stop, and of random weights.
            progress: called with the number of epochs done and of all.
        """
        mine = self.series
        classes = mine.classes[rows]
        held = stopping_block(classes, mine.blocks[rows], mine.locations[rows], seed)
        taught, checked = rows[~held], rows[held]
        for variable, start in zip(self.network.optimizer.variables, self._optimizer, strict=True):
            variable.assign(start)
        self._start(taught, rows, seed)
        return self._train(taught, checked, np.random.default_rng(seed), progress)

    def probabilities(self, weights: Arrays, rows: Ints) -> Floats:
        """(row, class) by a network of `fit`."""
        self.network.set_weights(weights)
        return softmax(self._logits(rows))

    def _inputs(self, series: xr.Dataset) -> PixelInputs:
        return presto_inputs(series, location=self.settings.location, modis=self.settings.modis)

    def _rate(self) -> float:
        return self.settings.learning_rate or (_SCRATCH_RATE if self.settings.mode == "scratch" else _RATE)

    def _start(self, taught: Ints, rows: Ints, seed: int) -> None:
        """Weights before the first epoch."""
        if self.settings.mode == "scratch":
            keras.utils.set_random_seed(seed)
            encoder = type(self.encoder).from_config(self.encoder.get_config())
            self.network.set_weights(_random(self.network, encoder))
            return
        self.network.encoder.set_weights(self.encoder.get_weights())
        if self.settings.mode == "ssl+finetune":
            self._pretrain(rows, seed)
        inputs = self.series.inputs.take(taught)
        embedding = embed(self.network.encoder, inputs, self.settings.pool)
        embedding = embedding.reshape(len(taught), -1)
        found = fit_head(
            self.settings.head, embedding, self.series.classes[taught], seed, self.settings.equal
        )
        self.network.start_head(embedding, dense_layers(found, embedding.shape[1], self.count))

    def _pretrain(self, rows: Ints, seed: int) -> None:
        """Train the encoder without labels, on these series and on those of places that are nowhere held."""
        keras.utils.set_random_seed(seed)
        decoder = copied(self.decoder) if self.decoder else _new_decoder(self.encoder)
        inputs = self.series.inputs.take(rows)
        if self.spare:
            left = np.setdiff1d(self.series.locations, self.series.locations[rows])
            inputs = inputs.joined(self.spare[0].take(np.flatnonzero(~np.isin(self.spare[1], left))))
        settings = PretrainingSettings(epochs=min(self.epochs, SSL_EPOCHS))
        pretrain(self.network.encoder, decoder, inputs, settings, seed)

    def _train(
        self, taught: Ints, checked: Ints, rng: np.random.Generator, progress: Callable[[int, int], None]
    ) -> Arrays:
        balance, classes = self.settings.balance, self.series.classes
        weights = class_weights(classes[taught], balance)
        best: Arrays = self.network.get_weights()
        best_epoch = 0
        least = self._loss(checked) if self.settings.mode != "scratch" else np.inf
        size = min(BATCH, len(taught))
        for epoch in range(1, self.epochs + 1):
            order = epoch_rows(classes[taught], balance, size, rng)
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                self._step(taught[chosen], weights[chosen])
            loss = self._loss(checked)
            if loss < least or not len(checked):
                best, best_epoch, least = self.network.get_weights(), epoch, loss
            progress(epoch, self.epochs)
            if epoch - best_epoch >= _PATIENCE:
                break
        return best

    def _step(self, rows: Ints, weights: NDArray[np.float32]) -> None:
        _, batch = next(self.series.inputs.take(rows).batches(len(rows)))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Gradients do not exist", UserWarning)  # of groups left out
            self.network.train_on_batch(batch, self.series.classes[rows], sample_weight=weights)

    def _loss(self, rows: Ints) -> float:
        if not len(rows):
            return np.inf
        classes = self.series.classes[rows]
        return weighted_loss(self._logits(rows), classes, class_weights(classes, "weights"))

    def _logits(self, rows: Ints) -> Floats:
        made = np.empty((len(rows), self.count))
        for part, batch in self.series.inputs.take(rows).batches():
            made[part] = self.network.predict_on_batch(batch)[: part.stop - part.start]
        return made


def network_probabilities(
    networks: list[CropTypeNetwork],
    inputs: PixelInputs,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Floats:
    """(sample, class) mean of the networks, not calibrated.

    Args:
        networks: trained.
        inputs: series, in any number.
        progress: called with the number of series done, of all networks, and of all.
    """
    total = np.zeros((len(inputs), networks[0].classes))
    for k, network in enumerate(networks):
        done = k * len(inputs)

        def report(now: int, of: int, done: int = done) -> None:
            progress(done + now, of * len(networks))

        embedding = embed(network.encoder, inputs, network.pool, report).reshape(len(inputs), -1)
        total += softmax(np.asarray(network.classify(embedding), np.float64))
    return total / len(networks)


def dense_layers(head: Any, columns: int, count: int) -> list[Layer]:
    """Kernels and biases of a head for columns as they come in.

    All steps before the classifier are affine: their effect on the unit vectors is their matrix.

    Args:
        head: linear or mlp, of `heads.fit_head`.
        columns: of its inputs.
        count: of all classes; those that the head has not seen become improbable.
    """
    *before, model = [step for _, step in head.steps]
    points: NDArray[Any] = np.concatenate([np.zeros((1, columns)), np.eye(columns)])
    for step in before:
        points = step.transform(points)
    shift, matrix = points[0], points[1:] - points[0]
    if hasattr(model, "coefs_"):
        made = list(zip(model.coefs_, model.intercepts_, strict=True))
    else:
        made = [(model.coef_.T, model.intercept_)]
    kernel, bias = made[0]
    made[0] = (matrix @ kernel, shift @ kernel + bias)
    last, offset = made[-1]
    if last.shape[1] == 1:  # of two classes: the logit of the second
        last, offset = np.hstack([np.zeros_like(last), last]), np.concatenate([[0.0], offset])
    kernel, bias = np.zeros((len(last), count)), np.full(count, _UNSEEN)
    kernel[:, head.classes_], bias[head.classes_] = last, offset
    made[-1] = (kernel, bias)
    return made


def softmax(logits: Floats) -> Floats:
    """Probabilities of logits (sample, class)."""
    made = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Floats = made / made.sum(axis=1, keepdims=True)
    return total


def copied(model: Any) -> Any:
    """Another encoder or decoder with the same weights."""
    made = type(model).from_config(model.get_config())
    made.build()
    made.set_weights(model.get_weights())
    return made


def new_encoder(steps: int) -> PrestoEncoder:
    """Presto with random weights, for series of so many steps."""
    from yieldcast.encoders.presto import POSITIONS, PrestoEncoder

    encoder = PrestoEncoder(max(POSITIONS, steps), {"licence": "none", "source": "random weights"})
    encoder.build()
    return encoder


def _new_decoder(encoder: PrestoEncoder) -> PrestoDecoder:
    from yieldcast.encoders.presto import PrestoDecoder

    decoder = PrestoDecoder(encoder.positions)
    decoder.build()
    return decoder


def _random(network: CropTypeNetwork, encoder: PrestoEncoder) -> Arrays:
    """Random weights for a network, of the encoder given and a new head."""
    fresh = CropTypeNetwork(
        encoder, network.classes, network.columns, network.hidden, network.groups, network.pool
    )
    fresh.build()
    made: Arrays = fresh.get_weights()
    return made
