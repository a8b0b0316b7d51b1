"""Self-supervised training of Presto: hidden tokens are told from the others. No labels are needed.

Tseng et al., arXiv 2304.14065, Sections 3.2 and 3.3: mean squared error of the hidden band values, and cross
entropy of hidden land cover classes with a weight that is smaller where few of them are hidden.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from yieldcast.encoders.bands import GROUPS, LAND_COVER, STATIC
from yieldcast.encoders.embedding import BATCH, PixelInputs
from yieldcast.encoders.masking import RATIO, hide, known_tokens, without

if TYPE_CHECKING:
    from yieldcast.encoders.presto import PrestoDecoder, PrestoEncoder

_BETAS = (0.9, 0.95)  # of AdamW, and its weight decay: Tseng et al., Appendix A
_DECAY = 0.05
_NOT_DECAYED = ("bias", "gamma", "beta", "mask_token")
_COVER_WEIGHT = 2.0  # times hidden classes by hidden values, at most 1
COMPILED_FROM = 32  # batches; compiling takes seconds, as long as that many batches without it
_CHECK_SEED = 999  # of what is hidden where the error is measured: the same at every time


@dataclass(frozen=True)
class PretrainingSettings:
    """How an encoder is trained without labels.

    Args:
        epochs: passes over the series.
        learning_rate: of AdamW.
        ratio: share of the tokens that is hidden.
    """

    epochs: int = 5
    learning_rate: float = 1e-4
    ratio: float = RATIO


class Autoencoder(keras.Model):  # type: ignore[misc]
    """Encoder and decoder; the output is the loss of a batch, (1,)."""

    def __init__(self, encoder: PrestoEncoder, decoder: PrestoDecoder, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder, self.decoder, self.groups = encoder, decoder, groups
        self.columns = [column for position in groups for column in GROUPS[position].columns]

    def call(self, batch: dict[str, Any]) -> Any:
        """Loss of a batch of `_batches`."""
        tokens, known = self.encoder.tokens(batch, self.groups)
        encoded = self.encoder.norm(self.encoder.transform(tokens, known))
        bands, cover = self.decoder(
            encoded, known, batch["month"], self.encoder.channel.embeddings, groups=self.groups
        )
        hidden = ops.take(batch["hidden_values"], self.columns, axis=-1)
        off = ops.square(bands - ops.take(batch["values"], self.columns, axis=-1)) * hidden
        count = ops.sum(hidden)
        loss = ops.sum(off) / ops.maximum(count, 1.0)
        if cover is not None:
            wanted = batch["hidden_cover"]
            some = ops.sum(wanted)
            entropy = keras.losses.sparse_categorical_crossentropy(
                ops.minimum(batch["cover"], cover.shape[-1] - 1), cover, from_logits=True
            )
            weight = ops.minimum(1.0, _COVER_WEIGHT * some / ops.maximum(count, 1.0))
            loss += weight * ops.sum(entropy * wanted) / ops.maximum(some, 1.0)
        return ops.reshape(loss, (1,))


def pretrain(
    encoder: PrestoEncoder,
    decoder: PrestoDecoder,
    inputs: PixelInputs,
    settings: PretrainingSettings,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Train encoder and decoder on series, in place.

    Args:
        encoder, decoder: of the same number of positions.
        inputs: series, labelled or not.
        settings: of the training.
        seed: of the order and of what is hidden.
        progress: called with the number of epochs done and of all.
    """
    model = Autoencoder(encoder, decoder, inputs.known_groups())
    optimizer = keras.optimizers.AdamW(
        settings.learning_rate, weight_decay=_DECAY, beta_1=_BETAS[0], beta_2=_BETAS[1]
    )
    optimizer.exclude_from_weight_decay(var_names=list(_NOT_DECAYED))
    few = settings.epochs * -(-len(inputs) // BATCH) < COMPILED_FROM
    model.compile(optimizer=optimizer, loss=_itself, jit_compile=False, run_eagerly=few)
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gradients do not exist", UserWarning)  # of groups left out
        for epoch in range(settings.epochs):
            order = rng.permutation(len(inputs))
            for batch in _batches(inputs, order, rng, settings.ratio):
                model.train_on_batch(batch, np.zeros(1, np.float32))
            progress(epoch + 1, settings.epochs)


def reconstruction_error(
    encoder: PrestoEncoder, decoder: PrestoDecoder, inputs: PixelInputs, ratio: float = RATIO
) -> float:
    """Mean loss of hidden tokens of series; the same tokens are hidden at every call.

    Args:
        encoder, decoder, inputs: see `pretrain`.
        ratio: share of the tokens that is hidden.
    """
    model = Autoencoder(encoder, decoder, inputs.known_groups())
    rng = np.random.default_rng(_CHECK_SEED)
    losses = [
        float(np.asarray(model(one))[0]) for one in _batches(inputs, np.arange(len(inputs)), rng, ratio)
    ]
    return float(np.mean(losses))


def _itself(wanted: Any, loss: Any) -> Any:
    """The model's output is its loss already."""
    return loss


def _batches(
    inputs: PixelInputs, order: NDArray[np.int64], rng: np.random.Generator, ratio: float
) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches of one size with newly hidden tokens; the last one repeats its rows up to that size."""
    size = min(BATCH, len(inputs))
    for start in range(0, len(order), size):
        rows = np.resize(order[start:], size) if start + size > len(order) else order[start : start + size]
        mine = inputs.take(rows)
        hidden = hide(known_tokens(mine), rng, ratio)
        shown = without(mine, hidden)
        _, batch = next(shown.batches(size))
        yield {
            **batch, "values": np.where(mine.mask, np.float32(0), mine.x), "cover": mine.dynamic_world,
            "hidden_values": _by_band(hidden, mine.x.shape[-1]),
            "hidden_cover": hidden[:, LAND_COVER].astype(np.float32),
        }  # fmt: skip


def _by_band(hidden: NDArray[np.bool_], bands: int) -> NDArray[np.float32]:
    """(sample, step, band) 1 where the value is hidden; the static ones count at the first step only."""
    made = np.zeros((len(hidden), hidden.shape[2], bands), np.float32)
    for position, group in enumerate(GROUPS):
        if group.columns:
            made[..., group.columns[0] : group.columns[-1] + 1] = hidden[:, position, :, None]
    made[:, 1:, GROUPS[STATIC].columns[0] : GROUPS[STATIC].columns[-1] + 1] = 0
    return made
