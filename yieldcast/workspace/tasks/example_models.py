"""Three small Keras models for tiles, trained elsewhere: what contributors of the demo submit.

Only plain layers of Keras, so that a workspace accepts their files; small enough for two cores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]


def small_cnn(shape: Shape, classes: int) -> keras.Model:
    """Four convolutions and a head.

    Args:
        shape: (y, x, band) of a tile with values of 0 to 255.
        classes: outputs.

    Returns:
        an untrained model of tiles to probabilities.
    """
    from keras import layers

    inputs, x = _scaled(shape)
    for filters, size in ((16, 5), (24, 3), (32, 3), (48, 3)):
        x = layers.Conv2D(filters, size, strides=2, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    return _classified(inputs, layers.GlobalAveragePooling2D()(x), classes, "small_cnn")


def residual_network(shape: Shape, classes: int) -> keras.Model:
    """Three stages of a residual block each (He et al. 2016, CVPR, Figure 2); arguments as `small_cnn`."""
    from keras import layers

    inputs, x = _scaled(shape)
    x = layers.Conv2D(16, 5, strides=2, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    for filters in (16, 24, 40):
        side = layers.Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(x)
        y = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(y))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization(momentum=0.9)(y)
        x = layers.Activation("relu")(layers.Add()([y, side]))
    return _classified(inputs, layers.GlobalAveragePooling2D()(x), classes, "residual_network")


def vision_transformer(shape: Shape, classes: int) -> keras.Model:
    """Patches by convolutions, two blocks of attention (Dosovitskiy et al. 2021, ICLR, Section 3.1).

    The patches come from three strided convolutions instead of one, which learns from far fewer images (Xiao
    et al. 2021, NeurIPS, "Early convolutions help transformers see better"); without embeddings of positions:
    what a field is does not depend on where its texture lies. Arguments as `small_cnn`.
    """
    from keras import layers

    inputs, x = _scaled(shape)
    for filters, size, stride in ((16, 5, 2), (32, 3, 2), (48, 3, 2)):
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Conv2D(48, 2, strides=2)(x)
    x = layers.Reshape((x.shape[1] * x.shape[2], 48))(x)
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 16)(y, y)])
        y = layers.Dense(96, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([x, layers.Dense(48)(y)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    return _classified(inputs, layers.GlobalAveragePooling1D()(x), classes, "vision_transformer")


EXAMPLE_MODELS: dict[str, Callable[[Shape, int], Any]] = {
    "small CNN": small_cnn, "residual network": residual_network, "vision transformer": vision_transformer,
}  # fmt: skip


def pretrained(
    build: Callable[[Shape, int], keras.Model],
    images: NDArray[np.uint8],
    labels: NDArray[np.int32],
    *,
    classes: int,
    epochs: int = 6,
    learning_rate: float = 3e-3,
    batch_size: int = 32,
    seed: int = 0,
) -> keras.Model:
    """A model trained on the contributor's own tiles.

    Args:
        build: one of `EXAMPLE_MODELS`.
        images: (tile, y, x, band).
        labels: (tile,) positions of classes.
        classes: their number.
        epochs, learning_rate, batch_size: of Adam; the rate falls to 0 along half a cosine.
        seed: of first weights and the order of tiles.

    Returns:
        the model, compiled.
    """
    import keras

    keras.utils.set_random_seed(seed)
    shape = (images.shape[1], images.shape[2], images.shape[3])
    model = build(shape, classes)
    steps = epochs * -(-len(images) // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=epochs, batch_size=batch_size, verbose=0)
    return model


def _scaled(shape: Shape) -> tuple[Any, Any]:
    """The input, and its values about 0."""
    from keras import layers

    inputs = layers.Input(shape, name="image")
    return inputs, layers.Rescaling(1 / 32, offset=-110 / 32)(inputs)


def _classified(inputs: Any, features: Any, classes: int, name: str) -> Any:
    import keras
    from keras import layers

    return keras.Model(
        inputs, layers.Dense(classes, activation="softmax", name="classes")(features), name=name
    )
