"""Presto in Keras: an encoder of pixel series, and the decoder of its self-supervised training.

Architecture: Tseng et al., arXiv 2304.14065, Section 3 and Appendix A, as checked against the published
weights. Each group of bands of each step becomes a token of 128 numbers, to which fixed and learned encodings
of month, channel and position are added. Masked tokens stay in the sequence, so that all series have one
shape, but no token attends to them and no mean counts them: the result is that of a sequence without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from yieldcast.encoders.bands import GROUPS, LAND_COVER, LAND_COVER_CLASSES, MONTHS, NO_LAND_COVER, STATIC
from yieldcast.errors import SchemaError

Tensor = Any  # of the Keras backend
WIDTH, HEADS, HIDDEN, DEPTH = 128, 8, 512, 2
EPSILON = 1e-5  # of every layer normalisation; Keras' default is 1e-3
POSITIONS = 24  # steps that the published original can tell apart; 72 in WorldCereal's version
_MASKED = -1e9  # added to the attention scores of masked tokens
_POSITION_BASE = 1000.0
ALL_GROUPS = tuple(range(len(GROUPS)))
_register = keras.saving.register_keras_serializable("yieldcast.encoders")


def month_table(width: int) -> NDArray[np.float32]:
    """(month, width) encoding of the months: sine in the first half of the columns, cosine in the second."""
    angle = 2 * np.pi * np.arange(MONTHS)[:, None] / MONTHS
    half = np.ones((1, width // 2))
    return np.hstack([np.sin(angle) * half, np.cos(angle) * half]).astype(np.float32)


def position_table(positions: int, width: int) -> NDArray[np.float32]:
    """(position, width) encoding of the steps: sine and cosine by turns, with the base 1000."""
    columns = np.arange(width)
    angle = np.arange(positions)[:, None] / _POSITION_BASE ** (2 * (columns // 2) / width)
    return np.where(columns % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


@_register
class Attention(layers.Layer):  # type: ignore[misc]
    """Self-attention with one fused layer for queries, keys and values."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.qkv = layers.Dense(3 * WIDTH, name="qkv")
        self.proj = layers.Dense(WIDTH, name="proj")

    def build(self, shape: Sequence[int | None]) -> None:  # noqa: D102
        self.qkv.build(shape)
        self.proj.build(shape)

    def call(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """(sample, token, 128) of tokens; `bias` (sample, 1, 1, token) is added to the scores of the keys."""
        count = ops.shape(tokens)[1]
        parts = ops.reshape(self.qkv(tokens), (-1, count, 3, HEADS, WIDTH // HEADS))
        query, key, value = (ops.transpose(parts[:, :, i], (0, 2, 1, 3)) for i in range(3))
        scores = ops.matmul(query * (WIDTH // HEADS) ** -0.5, ops.transpose(key, (0, 1, 3, 2)))
        weights = ops.softmax(scores if bias is None else scores + bias, axis=-1)
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        return self.proj(ops.reshape(mixed, (-1, count, WIDTH)))


@_register
class Block(layers.Layer):  # type: ignore[misc]
    """One transformer block with normalisation first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norm1 = layers.LayerNormalization(epsilon=EPSILON, name="norm1")
        self.attn = Attention(name="attn")
        self.norm2 = layers.LayerNormalization(epsilon=EPSILON, name="norm2")
        self.fc1 = layers.Dense(HIDDEN, name="fc1")
        self.fc2 = layers.Dense(WIDTH, name="fc2")

    def build(self, shape: Sequence[int | None]) -> None:  # noqa: D102
        for layer in (self.norm1, self.attn, self.norm2, self.fc1):
            layer.build(shape)
        self.fc2.build((*shape[:-1], HIDDEN))

    def call(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `Attention.call`."""
        tokens = tokens + self.attn(self.norm1(tokens), bias)
        return tokens + self.fc2(ops.gelu(self.fc1(self.norm2(tokens)), approximate=False))


class _Encodings(layers.Layer):  # type: ignore[misc]
    """The encodings added to tokens: month, channel and position side by side.

    Args:
        positions: most steps of a series.
        month_width: columns of the month and, in the encoder, half of those of the position.
        position_width: columns of the position; the rest is the channel's.
    """

    def __init__(self, positions: int, month_width: int, position_width: int, **options: Any) -> None:
        super().__init__(**options)
        self.positions, self.widths = positions, (month_width, position_width)

    def build(self, shape: Sequence[int | None] | None = None) -> None:
        month, position = self.widths
        tables = {"month": month_table(month), "position": position_table(self.positions, position)}
        for name, table in tables.items():
            weight = self.add_weight(
                shape=table.shape, name=name, trainable=False,
                initializer=lambda shape, dtype=None, table=table: ops.convert_to_tensor(table, dtype),
            )  # fmt: skip
            setattr(self, f"{name}_table", weight)
        self.built = True

    def call(self, months: Tensor, channel_table: Tensor, groups: Sequence[int]) -> Tensor:
        """(sample, token, 128) for the tokens of these groups; months are (sample, step)."""
        month = ops.take(self.month_table, months, axis=0)
        rows, steps = ops.shape(month)[0], ops.shape(month)[1]
        position = ops.broadcast_to(self.position_table[None, :steps], (rows, steps, self.widths[1]))
        found = []
        for group in groups:
            wide = 1 if group == STATIC else steps
            channel = ops.broadcast_to(channel_table[group], (rows, wide, WIDTH - sum(self.widths)))
            if group == STATIC:  # neither month nor position: it does not change
                parts = [ops.zeros((rows, 1, self.widths[0])), channel, ops.zeros((rows, 1, self.widths[1]))]
            else:
                parts = [month, channel, position]
            found.append(ops.concatenate(parts, axis=-1))
        return ops.concatenate(found, axis=1)


@_register
class PrestoEncoder(keras.Model):  # type: ignore[misc]
    """Pixel series to one embedding, or to one for each step.

    Args:
        positions: most steps of a series; 24 in the published original, 72 in WorldCereal's version.
        notes: where the weights come from and under which licence; kept in the saved file.
    """

    def __init__(
        self, positions: int = POSITIONS, notes: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.positions, self.notes = positions, dict(notes or {})
        self.patches = {group.name: layers.Dense(WIDTH, name=group.name) for group in GROUPS if group.columns}
        self.land_cover = layers.Embedding(NO_LAND_COVER + 1, WIDTH, name="land_cover")
        self.latlon = layers.Dense(WIDTH, name="latlon")
        self.channel = layers.Embedding(len(GROUPS), WIDTH // 4, name="channel")
        self.encodings = _Encodings(positions, WIDTH // 4, WIDTH // 2, name="encodings")
        self.blocks = [Block(name=f"block_{i}") for i in range(DEPTH)]
        self.norm = layers.LayerNormalization(epsilon=EPSILON, name="norm")

    @property
    def widths(self) -> dict[str, int]:
        """Numbers of an embedding of a series ("global") and of a step ("time")."""
        return {"global": WIDTH, "time": WIDTH}

    def check(self, steps: int, pool: str) -> None:
        """Refuse series of more steps than the encoder can tell apart. SchemaError."""
        if steps > self.positions:
            raise SchemaError(
                f"expected series of at most {self.positions} steps, received {steps}",
                "Make longer steps (months instead of ten days), or take weights with more positions.",
            )

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "positions": self.positions, "notes": self.notes}

    def build(self, shape: Any = None) -> None:  # noqa: D102
        for group in GROUPS:
            if group.columns:
                self.patches[group.name].build((None, None, len(group.columns)))
        self.latlon.build((None, 3))
        for layer in (self.land_cover, self.channel):
            layer.build((None, None))
        self.encodings.build()
        for layer in (*self.blocks, self.norm):
            layer.build((None, None, WIDTH))
        self.built = True

    def get_build_config(self) -> dict[str, Any]:  # noqa: D102
        return {"positions": self.positions}  # Keras builds nothing from an empty one

    def build_from_config(self, config: Mapping[str, Any]) -> None:  # noqa: D102
        self.build()

    def tokens(self, inputs: Tensor, groups: Sequence[int] = ALL_GROUPS) -> tuple[Tensor, Tensor]:
        """The tokens before the first block, latitude and longitude in front, and which are known.

        Args:
            inputs: see `call`.
            groups: positions in `GROUPS` of those to use; the others count as masked everywhere.

        Returns:
            (sample, token, 128); and (sample, token) float, 1 where known.
        """
        x, mask = inputs["x"], ops.cast(inputs["mask"], "float32")
        cover = inputs["dynamic_world"]
        made, known = [], []
        for group in groups:
            columns = GROUPS[group].columns
            if group == LAND_COVER:
                made.append(self.land_cover(cover))
                known.append(ops.cast(ops.not_equal(cover, NO_LAND_COVER), "float32"))
                continue
            steps = slice(0, 1) if group == STATIC else slice(None)
            part = slice(columns[0], columns[-1] + 1)
            made.append(self.patches[GROUPS[group].name](x[:, steps, part]))
            known.append(1.0 - ops.max(mask[:, steps, part], axis=-1))
        tokens = ops.concatenate(made, axis=1)
        tokens = tokens + self.encodings(
            inputs["month"], channel_table=self.channel.embeddings, groups=groups
        )
        place = self.latlon(_on_sphere(inputs["latlons"]))[:, None]
        always = ops.ones((ops.shape(place)[0], 1))
        return ops.concatenate([place, tokens], axis=1), ops.concatenate([always, *known], axis=1)

    def transform(self, tokens: Tensor, known: Tensor) -> Tensor:
        """(sample, token, 128) after the blocks, before the last normalisation."""
        bias = ((1.0 - known) * _MASKED)[:, None, None, :]
        for block in self.blocks:
            tokens = block(tokens, bias)
        return tokens

    def call(self, inputs: Tensor, groups: Sequence[int] = ALL_GROUPS, pool: str = "global") -> Tensor:
        """Embeddings.

        Args:
            inputs: a dictionary of x (sample, step, band) normalised, mask (the same shape, 1 = missing),
                dynamic_world (sample, step) classes, latlons (sample, 2) in degrees, and month (sample, step)
                0 to 11.
            groups: see `tokens`.
            pool: "global": (sample, 128), the mean of all known tokens. "time": (sample, step, 128), the mean
                of the known tokens of each step, elevation and slope counted in every one, without place and
                land cover; zeros where a step has none.
        """
        tokens, known = self.tokens(inputs, groups)
        tokens = self.transform(tokens, known)
        if pool == "global":
            total = ops.sum(tokens * known[..., None], axis=1)
            return self.norm(total / ops.sum(known, axis=1)[:, None])
        return self._by_step(tokens, known, ops.shape(inputs["x"])[1], groups)

    def _by_step(self, tokens: Tensor, known: Tensor, steps: int, groups: Sequence[int]) -> Tensor:
        total, count, start = 0.0, 0.0, 1
        for group in groups:
            end = start + (1 if group == STATIC else steps)
            if group != LAND_COVER:
                weight = known[:, start:end, None]
                total, count = total + tokens[:, start:end] * weight, count + weight
            start = end
        some = ops.cast(count > 0, "float32")
        return self.norm(total / ops.maximum(count, 1.0)) * some


@_register
class PrestoDecoder(keras.Model):  # type: ignore[misc]
    """Encoded tokens back to bands: for self-supervised training, and to fill gaps.

    Args:
        positions, notes: see `PrestoEncoder`.
    """

    def __init__(
        self, positions: int = POSITIONS, notes: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.positions, self.notes = positions, dict(notes or {})
        self.embed = layers.Dense(WIDTH, name="embed")
        self.encodings = _Encodings(positions, WIDTH * 3 // 8, WIDTH * 3 // 8, name="encodings")
        self.blocks = [Block(name=f"block_{i}") for i in range(DEPTH)]
        self.norm = layers.LayerNormalization(epsilon=EPSILON, name="norm")
        self.heads = {
            group.name: layers.Dense(len(group.columns) or LAND_COVER_CLASSES, name=group.name)
            for group in GROUPS
        }

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "positions": self.positions, "notes": self.notes}

    def build(self, shape: Any = None) -> None:  # noqa: D102
        self.mask_token = self.add_weight(shape=(WIDTH,), initializer="zeros", name="mask_token")
        self.encodings.build()
        for layer in (self.embed, *self.blocks, self.norm, *self.heads.values()):
            layer.build((None, None, WIDTH))
        self.built = True

    def get_build_config(self) -> dict[str, Any]:  # noqa: D102
        return {"positions": self.positions}  # Keras builds nothing from an empty one

    def build_from_config(self, config: Mapping[str, Any]) -> None:  # noqa: D102
        self.build()

    def call(
        self,
        encoded: Tensor,
        known: Tensor,
        month: Tensor,
        channel_table: Tensor,
        groups: Sequence[int] = ALL_GROUPS,
    ) -> tuple[Tensor, Tensor | None]:
        """Reconstructed bands.

        Args:
            encoded: (sample, token, 128) of these groups after the encoder's last normalisation.
            known: (sample, token), 1 where the encoder saw the token.
            month: (sample, step) 0-11.
            channel_table: (group, 32), the encoder's.
            groups: positions in `GROUPS`, in their order.

        Returns:
            (sample, step, band) normalised values of the bands of these groups; and (sample, step, class)
            logits of the land cover, None where it is not among the groups.
        """
        kept = known[..., None]
        tokens = self.embed(encoded) * kept + self.mask_token * (1.0 - kept)
        added = self.encodings(month, channel_table=channel_table, groups=groups)
        place = ops.zeros((ops.shape(tokens)[0], 1, WIDTH))
        tokens = tokens + ops.concatenate([place, added], axis=1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens, steps, start = self.norm(tokens), ops.shape(month)[1], 1
        bands, cover = [], None
        for position in groups:
            end = start + (1 if position == STATIC else steps)
            made = self.heads[GROUPS[position].name](tokens[:, start:end])
            if position == LAND_COVER:
                cover = made
            else:
                bands.append(ops.repeat(made, steps, axis=1) if position == STATIC else made)
            start = end
        return ops.concatenate(bands, axis=-1), cover


def _on_sphere(latlons: Tensor) -> Tensor:
    """(sample, 3) on the unit sphere, from latitude and longitude in degrees."""
    radians = latlons * (np.pi / 180.0)
    latitude, longitude = radians[:, 0], radians[:, 1]
    return ops.stack(
        [ops.cos(latitude) * ops.cos(longitude), ops.cos(latitude) * ops.sin(longitude), ops.sin(latitude)],
        axis=-1,
    )
