"""Networks that together hold every layer of the closed list."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


def images() -> keras.Model:
    """A residual network with every layer for images."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    for augmented in (
        layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1),
        layers.RandomTranslation(0.1, 0.1), layers.RandomContrast(0.1), layers.RandomBrightness(0.1),
        layers.RandomCrop(8, 8), layers.CenterCrop(8, 8), layers.Resizing(8, 8),
    ):  # fmt: skip
        x = augmented(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_constraint=keras.constraints.MaxNorm(2))(x)
    short = layers.BatchNormalization()(x)
    for one in (
        layers.ReLU(), layers.SeparableConv2D(4, 3, padding="same"),
        layers.DepthwiseConv2D(3, padding="same"), layers.GroupNormalization(2),
        layers.LeakyReLU(), layers.ELU(), layers.PReLU(shared_axes=[1, 2]),
        layers.Conv2DTranspose(4, 3, padding="same", bias_regularizer="l1"), layers.SpatialDropout2D(0.1),
        layers.ZeroPadding2D(1), layers.Cropping2D(1), layers.UpSampling2D(2), layers.MaxPooling2D(2),
        layers.RMSNormalization(), layers.UnitNormalization(), layers.ActivityRegularization(0.1),
    ):  # fmt: skip
        short = one(short)
    x = layers.Add()([x, short])
    x = layers.AveragePooling2D(2)(x)
    joined = [layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)]
    joined = [
        kind()(joined) for kind in (
            layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum,
            layers.Concatenate,
        )
    ]  # fmt: skip
    x = layers.Dense(6, activation="gelu", kernel_initializer="he_normal")(layers.Concatenate()(joined))
    head = keras.Sequential([layers.Input((6,)), layers.Dropout(0.5), layers.Dense(3)], name="head")
    return keras.Model(image, layers.Softmax()(head(x)), name="images")


def series() -> keras.Model:
    """Recurrent, one-dimensional and attention layers, networks within networks, and operations."""
    steps, static = keras.Input((6, 4), name="series"), keras.Input((2,), name="static")
    ids = keras.Input((6,), dtype="int32", name="ids")
    masked = layers.LSTM(2, go_backwards=True)(layers.Masking()(steps))
    x, state, _ = layers.LSTM(4, return_sequences=True, return_state=True)(steps)
    x = layers.GRU(4, return_sequences=True, dropout=0.1)(x, initial_state=state)
    x = layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True))(x)
    x = layers.TimeDistributed(keras.Sequential([layers.Input((4,)), layers.Dense(4)]))(x)
    token = keras.Input((6, 4))
    mixed = layers.MultiHeadAttention(2, 2)(token, token, use_causal_mask=True)
    mixed = layers.GroupQueryAttention(2, 2, 1)(mixed, token)
    block = keras.Model(token, layers.LayerNormalization()(mixed + token), name="block")
    x = block(block(x))
    x = layers.EinsumDense("btd,de->bte", output_shape=(6, 4), bias_axes="te")(x)
    x = layers.Attention()([x, layers.AdditiveAttention()([x, layers.Embedding(9, 4)(ids)])])
    for one in (
        layers.Conv1D(4, 3, padding="causal"), layers.SeparableConv1D(4, 3, padding="same"),
        layers.DepthwiseConv1D(3, padding="same"), layers.Conv1DTranspose(4, 1), layers.SpatialDropout1D(0.1),
        layers.ZeroPadding1D(1), layers.Cropping1D(1), layers.UpSampling1D(2), layers.MaxPooling1D(2),
        layers.AveragePooling1D(2), layers.Permute((2, 1)), layers.Reshape((3, 4)), layers.Identity(),
        layers.GaussianNoise(0.1), layers.GaussianDropout(0.1), layers.AlphaDropout(0.1),
        layers.Activation("swish"),
    ):  # fmt: skip
        x = one(x)
    pooled = [layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x), layers.Flatten()(x)]
    placed = layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 4.0])(static)
    tokens = layers.Flatten()(layers.RepeatVector(2)(placed))
    x = layers.Concatenate()([*pooled, tokens, masked, layers.Dot(1)([pooled[0], pooled[1]])])
    x = ops.where(x > 0, ops.clip(2 * x, 0, 5), ops.tanh(x)) + ops.mean(x, axis=-1, keepdims=True)
    x = ops.concatenate([ops.expand_dims(x[..., 1:3], 1), ops.reshape(x[:, :2], (-1, 1, 2))], axis=1)
    pair = {"a": keras.Input((4,), name="a"), "b": keras.Input((4,), name="b")}
    sums = keras.Model(pair, layers.Add()([pair["a"], pair["b"]]), name="sums")
    x = layers.Flatten()(x - ops.convert_to_tensor([[1.0, 2.0]]))
    x = layers.Dense(1, name="yield")(sums({"a": x, "b": x}))
    return keras.Model({"series": steps, "static": static, "ids": ids}, {"yield_kg_ha": x}, name="series")


def inputs_of(model: Any, rng: Any) -> Any:
    """Rows of random numbers for a network."""

    def one(tensor: Any) -> Any:
        made = rng.random((3, *tensor.shape[1:]))
        return (made * 8).astype(tensor.dtype) if tensor.dtype == "int32" else made.astype("float32")

    return keras.tree.map_structure(one, model.input)
