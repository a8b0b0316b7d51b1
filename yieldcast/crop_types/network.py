"""Encoder and head as one Keras model, for training end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from yieldcast.encoders.embedding import Pool
from yieldcast.model_files.own_models import OwnModel
from yieldcast.model_files.values import choice, several, whole

Tensor = Any  # of the Keras backend
Layer = tuple[NDArray[np.float64], NDArray[np.float64]]  # kernel (input, output) and bias


@keras.saving.register_keras_serializable("yieldcast.crop_types")
class CropTypeNetwork(keras.Model):  # type: ignore[misc]
    """Pixel series to logits of classes.

    Args:
        encoder: see `encoders.presto.PrestoEncoder`; its weights are trained too.
        classes: number.
        columns: of the embedding of one series, all steps together.
        hidden: units of the hidden layers of the head; none for a linear head.
        groups: of bands that the series have, positions in `encoders.bands.GROUPS`.
        pool: see `encoders.embedding.embed`.
    """

    def __init__(
        self,
        encoder: keras.Model,
        classes: int,
        columns: int,
        hidden: Sequence[int] = (),
        groups: Sequence[int] = (),
        pool: Pool = "time",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.encoder, self.classes, self.columns = encoder, classes, columns
        self.hidden, self.groups = tuple(hidden), tuple(groups)
        self.pool: Pool = pool
        self.dense = [layers.Dense(units, name=f"dense_{i}") for i, units in enumerate((*hidden, classes))]

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {
            **super().get_config(), "encoder": keras.saving.serialize_keras_object(self.encoder),
            "classes": self.classes, "columns": self.columns, "hidden": list(self.hidden),
            "groups": list(self.groups), "pool": self.pool,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CropTypeNetwork:
        """The network of a configuration, as `get_config` gives it."""
        encoder = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**{**config, "encoder": encoder})

    def build(self, shape: Any = None) -> None:  # noqa: D102
        if not self.encoder.built:
            self.encoder.build()
        self.centre = self.add_weight((self.columns,), "zeros", trainable=False, name="centre")
        self.spread = self.add_weight((self.columns,), "ones", trainable=False, name="spread")
        width = self.columns
        for layer in self.dense:
            layer.build((None, width))
            width = layer.units
        self.built = True

    def get_build_config(self) -> dict[str, Any]:  # noqa: D102
        return {"columns": self.columns}  # Keras builds nothing from an empty one

    def build_from_config(self, config: Mapping[str, Any]) -> None:  # noqa: D102
        self.build()

    def call(self, inputs: Tensor) -> Tensor:
        """(sample, class) logits; the inputs are those of the encoder."""
        embedding = self.encoder(inputs, groups=self.groups, pool=self.pool)
        return self.classify(ops.reshape(embedding, (-1, self.columns)))

    def classify(self, embedding: Tensor) -> Tensor:
        """(sample, class) logits of embeddings (sample, column)."""
        made = (embedding - self.centre) / self.spread
        for layer in self.dense[:-1]:
            made = ops.relu(layer(made))
        return self.dense[-1](made)

    def start_head(self, embedding: NDArray[np.float32], head: Sequence[Layer]) -> None:
        """Give the head weights that were found on embeddings.

        Args:
            embedding: (sample, column), of which centre and spread are kept to scale the columns.
            head: kernel and bias of each layer, for columns that are not scaled.
        """
        centre, spread = embedding.mean(axis=0, dtype=np.float64), embedding.std(axis=0, dtype=np.float64)
        spread[spread < 1e-6] = 1.0  # a column that is the same everywhere
        self.centre.assign(centre)
        self.spread.assign(spread)
        for k, (layer, (kernel, bias)) in enumerate(zip(self.dense, head, strict=True)):
            layer.bias.assign(bias + centre @ kernel if k == 0 else bias)
            layer.kernel.assign(spread[:, None] * kernel if k == 0 else kernel)


def own_network() -> OwnModel:
    """The network as files may hold it; its encoder is one of `encoders.files.own_models`."""
    known = {
        "classes": whole(1, 10_000), "columns": whole(1), "hidden": several(whole(1, 65536), 0, 100),
        "groups": several(whole(0, 100), 0, 100), "pool": choice("global", "time"),
    }  # fmt: skip
    nested = {"encoder": "yieldcast.encoders>PrestoEncoder"}
    return OwnModel("yieldcast.crop_types>CropTypeNetwork", __name__, known, _made, nested)


def _made(**config: Any) -> CropTypeNetwork:
    network = CropTypeNetwork(**config)
    network.build()
    return network
