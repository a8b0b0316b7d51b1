"""ResNet-50 for 13 bands in plain Keras layers, with the arithmetic of the published PyTorch models.

Where frameworks differ, this is the side of PyTorch (torchvision's resnet50, timm's resnet50): zero padding
of k // 2 on both sides of every convolution and of the max pooling, also with stride 2, where Keras' "same"
pads one side only; the stride of a bottleneck is on its 3x3 convolution ("v1.5"); batch normalisation with
epsilon 1e-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yieldcast.tiles.bands import BANDS

DEPTHS = (3, 4, 6, 3)  # bottlenecks of each stage, He et al. 2016, table 1
WIDTH = 64
EXPANSION = 4  # channels of a bottleneck's output over its width
EPSILON = 1e-5
DEEPEST = 32  # the deepest features have a 32nd of the resolution


def resnet_encoder(width: int = WIDTH, depths: Sequence[int] = DEPTHS) -> Any:
    """A model with the features that a U-Net needs.

    Args:
        width: channels of the first convolution; 64 in ResNet-50.
        depths: bottlenecks of the four stages; (3, 4, 6, 3) in ResNet-50.

    Returns:
        keras.Model from (batch, y, x, 13) reflectance to five arrays of features, with 1/2, 1/4, 1/8, 1/16
        and 1/32 of the resolution (rounded up) and width, 4, 8, 16 and 32 times width channels. Layers have
        the names of PyTorch, with _ for a dot.
    """
    import keras

    image = keras.Input((None, None, len(BANDS)), name="reflectance")
    first = keras.layers.ReLU(name="relu")(_normed(image, "conv1", "bn1", width, 7, 2))
    features = [first]
    # After ReLU nothing is negative, so that zeros do what PyTorch's -inf does.
    padded = keras.layers.ZeroPadding2D(1, name="maxpool_pad")(first)
    x = keras.layers.MaxPooling2D(3, 2, "valid", name="maxpool")(padded)
    for k, depth in enumerate(depths):
        for i in range(depth):
            stride = 2 if k and not i else 1
            x = _bottleneck(x, f"layer{k + 1}_{i}", width * 2**k, stride, first=not i)
        features.append(x)
    return keras.Model(image, features, name="encoder")


def _bottleneck(x: Any, name: str, width: int, stride: int, first: bool) -> Any:
    import keras

    made = keras.layers.ReLU(name=f"{name}_relu1")(_normed(x, f"{name}_conv1", f"{name}_bn1", width, 1))
    made = _normed(made, f"{name}_conv2", f"{name}_bn2", width, 3, stride)
    made = keras.layers.ReLU(name=f"{name}_relu2")(made)
    made = _normed(made, f"{name}_conv3", f"{name}_bn3", width * EXPANSION, 1)
    if first:
        x = _normed(x, f"{name}_downsample_0", f"{name}_downsample_1", width * EXPANSION, 1, stride)
    return keras.layers.ReLU(name=f"{name}_relu3")(keras.layers.Add(name=f"{name}_add")([x, made]))


def _normed(x: Any, conv: str, norm: str, channels: int, kernel: int, stride: int = 1) -> Any:
    """A convolution without bias, padded as in PyTorch, and batch normalisation."""
    import keras

    if kernel > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{conv}_pad")(x)
    made = keras.layers.Conv2D(
        channels, kernel, stride, "valid", use_bias=False, kernel_initializer="he_normal", name=conv
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=norm)(made)
