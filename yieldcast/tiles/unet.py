"""The segmentation network: a ResNet encoder and a U-Net decoder.

The decoder is that of the library behind the paper's experiments (TorchGeo's segmentation task): five blocks
of nearest upsampling, the encoder's features of that resolution, and two 3x3 convolutions with batch
normalisation, with 256, 128, 64, 32 and 16 channels; a 3x3 convolution makes the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yieldcast.tiles.bands import BANDS
from yieldcast.tiles.resnet import EPSILON, resnet_encoder

CHANNELS = (256, 128, 64, 32, 16)


def tile_network(encoder: Any, classes: int, frozen: bool, channels: Sequence[int] = CHANNELS) -> Any:
    """The whole network.

    Args:
        encoder: of `resnet.resnet_encoder`.
        classes: number of classes.
        frozen: whether the encoder stays as it is, its batch normalisation too.
        channels: of the five blocks of the decoder, deepest first.

    Returns:
        keras.Model from (batch, y, x, 13) reflectance, y and x multiples of 32, to (batch, y, x, class)
        logits.
    """
    import keras

    encoder.trainable = not frozen
    image = keras.Input((None, None, len(BANDS)), name="reflectance")
    # training=False: a frozen batch normalisation uses its own means, never those of the batch.
    features = encoder(image, training=False) if frozen else encoder(image)
    x, skips = features[-1], [*features[-2::-1], None]
    for k, (skip, width) in enumerate(zip(skips, channels, strict=True)):
        x = keras.layers.UpSampling2D(2, interpolation="nearest", name=f"decoder{k}_up")(x)
        if skip is not None:
            x = keras.layers.Concatenate(name=f"decoder{k}_join")([x, skip])
        for i in (1, 2):
            x = _convolved(x, f"decoder{k}_{i}", width)
    logits = keras.layers.Conv2D(classes, 3, padding="same", name="logits")(x)
    return keras.Model(image, logits, name="tiles")


def small_encoder(seed: int) -> Any:
    """An encoder of the same structure for trials and tests: width 8, one bottleneck in each stage."""
    import keras

    keras.utils.set_random_seed(seed)
    return resnet_encoder(8, (1, 1, 1, 1))


def _convolved(x: Any, name: str, width: int) -> Any:
    import keras

    made = keras.layers.Conv2D(
        width, 3, padding="same", use_bias=False, kernel_initializer="he_uniform", name=f"{name}_conv"
    )(x)
    normed = keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=f"{name}_norm")(made)
    return keras.layers.ReLU(name=f"{name}_relu")(normed)
