"""The closed list of layers: for every class its arguments, each with its type and range.

A layer or argument that is not here is refused. Left out on purpose: Lambda; wrappers of PyTorch, Flax and
JAX modules; TFSMLayer; layers with a vocabulary or a file; `unroll` and `stateful` of recurrent layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from yieldcast.model_files.keras_objects import (
    NUMBERS,
    activation,
    constraint,
    dtype,
    initializer,
    regularizer,
)
from yieldcast.model_files.values import (
    Reader,
    Unfit,
    choice,
    each,
    either,
    fixed,
    flag,
    ignored,
    name,
    nested_numbers,
    number,
    optional,
    several,
    whole,
)

Arguments = Mapping[str, Reader]
Least = Callable[[Mapping[str, Any]], int]


@dataclass(frozen=True)
class Layer:
    """One class of the closed list.

    Args:
        arguments: reader by name.
        needed: arguments that must be there.
        least: number of weights that a layer of such arguments has at least, whatever its input is.
    """

    arguments: Arguments
    needed: tuple[str, ...] = ()
    least: Least = lambda config: 0


def _seed(value: Any) -> int | None:
    return None if value is None else int(whole(0, 2**63)(value))


def _equation(value: Any) -> str:
    """An equation of einsum: letters, commas, dots and one arrow."""
    if not isinstance(value, str) or not 0 < len(value) <= 60 or set(value) - set(_EQUATION):
        raise Unfit("an equation of einsum, such as ab,bc->ac")
    return value


_EQUATION = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,.->"
COMMON: Arguments = {"name": name, "trainable": flag, "dtype": dtype}
_format = optional(choice("channels_last", "channels_first"))
_padding = choice("valid", "same", "causal")
_axis = either(whole(-8, 8), several(whole(-8, 8), 1, 8))
_rate = number(0, 1)
_size, _channels = whole(1, 4096), whole(1, 2**20)


def _weight(*names: str) -> dict[str, Reader]:
    """Initialiser, regulariser and constraint of weights of these names."""
    made: dict[str, Reader] = {}
    for one in names:
        made |= {
            f"{one}_initializer": initializer, f"{one}_regularizer": regularizer,
            f"{one}_constraint": constraint,
        }  # fmt: skip
    return made


_activity: Arguments = {"activity_regularizer": regularizer}
_not_quantized: Arguments = {"quantization_config": fixed(None)}
_kernel = {**_weight("kernel", "bias"), **_activity, "use_bias": flag}


def _volume(sizes: Any) -> int:
    return math.prod(sizes) if isinstance(sizes, list) else int(sizes)


def _convolution(axes: int, transpose: bool = False) -> Layer:
    known = {
        "filters": _channels, "kernel_size": each(_size, axes), "strides": each(_size, axes),
        "padding": _padding, "data_format": _format, "dilation_rate": each(_size, axes),
        "activation": activation, **_kernel,
    }  # fmt: skip
    known |= (
        {"output_padding": optional(each(whole(0, 4096), axes))} if transpose else {"groups": whole(1, 65536)}
    )
    return Layer(known, ("filters", "kernel_size"), lambda c: c["filters"] * _volume(c["kernel_size"]))


def _separable(axes: int) -> Layer:
    known = {
        "filters": _channels, "kernel_size": each(_size, axes), "strides": each(_size, axes),
        "padding": _padding, "data_format": _format, "dilation_rate": each(_size, axes),
        "depth_multiplier": whole(1, 1024), "activation": activation, "use_bias": flag,
        **_weight("depthwise", "pointwise", "bias"), **_activity,
    }  # fmt: skip
    return Layer(known, ("filters", "kernel_size"), lambda c: c["filters"] + _volume(c["kernel_size"]))


def _depthwise(axes: int) -> Layer:
    known = {
        "kernel_size": each(_size, axes), "strides": each(_size, axes), "padding": _padding,
        "data_format": _format, "dilation_rate": each(_size, axes), "depth_multiplier": whole(1, 1024),
        "activation": activation, "use_bias": flag, **_weight("depthwise", "bias"), **_activity,
    }  # fmt: skip
    return Layer(known, ("kernel_size",), lambda c: _volume(c["kernel_size"]))


def _pooling(axes: int) -> Layer:
    return Layer(
        {
            "pool_size": each(_size, axes), "strides": optional(each(_size, axes)), "padding": _padding,
            "data_format": _format,
        },
        ("pool_size",),
    )  # fmt: skip


def _recurrent(gates: int, own: Arguments) -> Layer:
    known = {
        "units": _channels, "activation": activation, "recurrent_activation": activation, "use_bias": flag,
        **_weight("kernel", "recurrent", "bias"), **_activity, "dropout": _rate, "recurrent_dropout": _rate,
        "return_sequences": flag, "return_state": flag, "go_backwards": flag, "stateful": fixed(False),
        "unroll": fixed(False), "zero_output_for_mask": flag, "seed": _seed, **own,
    }  # fmt: skip
    return Layer(known, ("units",), lambda c: gates * c["units"] * (c["units"] + 1))


_global_pooling = Layer({"data_format": _format, "keepdims": flag})
_merge = Layer({})
_norm: Arguments = {"axis": _axis, "epsilon": number(0, 1), "center": flag, "scale": flag}
_norm_weights = _weight("beta", "gamma")
_dropout = Layer({"rate": _rate, "seed": _seed, "noise_shape": optional(several(optional(whole(1)), 1, 8))})
_spatial_dropout = Layer({"rate": _rate, "seed": _seed, "data_format": _format})
_pads = either(whole(0, 4096), several(whole(0, 4096), 2, 2))
_pads_of_two = either(whole(0, 4096), several(either(whole(0, 4096), several(whole(0, 4096), 2, 2)), 2, 2))
_interpolation = choice("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")
_fill: Arguments = {
    "fill_mode": choice("constant", "nearest", "wrap", "mirror", "reflect", "crop"),
    "fill_value": optional(number()), "interpolation": _interpolation,
}  # fmt: skip
_factor = either(number(-1e4, 1e4), several(number(-1e4, 1e4), 2, 2))
_image: Arguments = {"data_format": _format, "seed": _seed}
_colour: Arguments = {**_image, "factor": _factor, "value_range": several(number(), 2, 2)}
_pixels = whole(1, 8192)
_attention: Arguments = {"dropout": _rate, "use_bias": flag, "seed": _seed, "use_gate": fixed(False),
                         "sliding_window": fixed(None), **_kernel}  # fmt: skip


def _attention_least(config: Mapping[str, Any]) -> int:
    return 4 * int(config["num_heads"]) * int(config["key_dim"])


LAYERS: Mapping[str, Layer] = {
    # dense and embedded
    "Dense": Layer(
        {"units": _channels, "activation": activation, **_kernel, **_not_quantized}, ("units",),
        lambda c: c["units"] * (1 + c.get("use_bias", True)),
    ),
    "EinsumDense": Layer(
        {
            "equation": _equation,
            "output_shape": either(optional(_channels), several(optional(_channels), 1, 6)),
            "activation": activation, "bias_axes": optional(_equation), **_weight("kernel", "bias"),
            **_activity, **_not_quantized,
        },
        ("equation", "output_shape"),
    ),
    "Embedding": Layer(
        {
            "input_dim": whole(1), "output_dim": _channels, "mask_zero": flag, **_weight("embeddings"),
            **_activity, **_not_quantized, "input_length": ignored(optional(whole(1))),
        },
        ("input_dim", "output_dim"), lambda c: c["input_dim"] * c["output_dim"],
    ),
    # convolutions and pooling
    "Conv1D": _convolution(1), "Conv2D": _convolution(2),
    "Conv1DTranspose": _convolution(1, True), "Conv2DTranspose": _convolution(2, True),
    "SeparableConv1D": _separable(1), "SeparableConv2D": _separable(2),
    "DepthwiseConv1D": _depthwise(1), "DepthwiseConv2D": _depthwise(2),
    **{f"{kind}Pooling{axes}D": _pooling(axes) for kind in ("Max", "Average") for axes in (1, 2)},
    **{
        f"Global{kind}Pooling{axes}D": _global_pooling for kind in ("Max", "Average") for axes in (1, 2)
    },
    # normalisation
    "BatchNormalization": Layer({
        **_norm, "momentum": _rate, **_norm_weights, "moving_mean_initializer": initializer,
        "moving_variance_initializer": initializer, "synchronized": fixed(False), "renorm": fixed(False),
        "renorm_clipping": fixed(None), "renorm_momentum": ignored(number()),
    }),
    "LayerNormalization": Layer({**_norm, **_norm_weights, "rms_scaling": flag}),
    "GroupNormalization": Layer({**_norm, **_norm_weights, "groups": whole(-1, 65536)}),
    "RMSNormalization": Layer({"axis": _axis, "epsilon": number(0, 1)}),
    "UnitNormalization": Layer({"axis": _axis}),
    "Normalization": Layer({
        "axis": optional(_axis), "invert": flag, "mean": optional(nested_numbers()),
        "variance": optional(nested_numbers()),
    }),
    "Rescaling": Layer({"scale": nested_numbers(), "offset": nested_numbers()}, ("scale",)),
    # activations
    "Activation": Layer({"activation": activation}, ("activation",)),
    "ReLU": Layer({
        "max_value": optional(number()), "negative_slope": optional(number()),
        "threshold": optional(number()),
    }),
    "LeakyReLU": Layer({"negative_slope": number()}), "ELU": Layer({"alpha": number()}),
    "PReLU": Layer({**_weight("alpha"), "shared_axes": optional(several(whole(1, 8), 0, 8))}),
    "Softmax": Layer({"axis": _axis}), "Identity": Layer({}),
    # regularisation
    "Dropout": _dropout, "AlphaDropout": _dropout,
    "SpatialDropout1D": _spatial_dropout, "SpatialDropout2D": _spatial_dropout,
    "GaussianNoise": Layer({"stddev": number(0), "seed": _seed}),
    "GaussianDropout": Layer({"rate": _rate, "seed": _seed}),
    "ActivityRegularization": Layer({"l1": number(0), "l2": number(0), **_activity}),
    # recurrent
    "LSTM": _recurrent(4, {"unit_forget_bias": flag}), "GRU": _recurrent(3, {"reset_after": flag}),
    "SimpleRNN": _recurrent(1, {}), "Masking": Layer({"mask_value": number()}),
    # joins
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _merge),
    "Concatenate": Layer({"axis": whole(-8, 8)}),
    "Dot": Layer({"axes": _axis, "normalize": flag}, ("axes",)),
    # shapes
    "Reshape": Layer({"target_shape": several(whole(-1), 0, 8)}, ("target_shape",)),
    "Flatten": Layer({"data_format": _format}),
    "Permute": Layer({"dims": several(whole(1, 8), 1, 8)}, ("dims",)),
    "RepeatVector": Layer({"n": whole(1, 65536)}, ("n",)),
    "ZeroPadding1D": Layer({"padding": _pads, "data_format": _format}),
    "ZeroPadding2D": Layer({"padding": _pads_of_two, "data_format": _format}),
    "Cropping1D": Layer({"cropping": _pads}),
    "Cropping2D": Layer({"cropping": _pads_of_two, "data_format": _format}),
    "UpSampling1D": Layer({"size": each(whole(1, 256), 1)}),
    "UpSampling2D": Layer({
        "size": each(whole(1, 256), 2), "data_format": _format, "interpolation": _interpolation,
    }),
    # attention
    "MultiHeadAttention": Layer(
        {
            "num_heads": whole(1, 4096), "key_dim": whole(1, 65536), "value_dim": optional(whole(1, 65536)),
            "output_shape": optional(either(_channels, several(_channels, 1, 6))),
            "attention_axes": optional(_axis), "flash_attention": fixed(None), **_attention,
        },
        ("num_heads", "key_dim"), _attention_least,
    ),
    "GroupQueryAttention": Layer(
        {
            "head_dim": whole(1, 65536), "num_query_heads": whole(1, 4096),
            "num_key_value_heads": whole(1, 4096), "flash_attention": fixed(None), **_attention,
        },
        ("head_dim", "num_query_heads", "num_key_value_heads"),
    ),
    "Attention": Layer({
        "use_scale": flag, "score_mode": choice("dot", "concat"), "dropout": _rate, "seed": _seed,
    }),
    "AdditiveAttention": Layer({"use_scale": flag, "dropout": _rate, "seed": _seed}),
    # images
    "RandomFlip": Layer({**_image, "mode": choice("horizontal", "vertical", "horizontal_and_vertical")}),
    "RandomRotation": Layer({**_image, **_fill, "factor": _factor}, ("factor",)),
    "RandomZoom": Layer(
        {**_image, **_fill, "height_factor": _factor, "width_factor": optional(_factor)}, ("height_factor",)
    ),
    "RandomTranslation": Layer(
        {**_image, **_fill, "height_factor": _factor, "width_factor": _factor},
        ("height_factor", "width_factor"),
    ),
    "RandomContrast": Layer(_colour, ("factor",)), "RandomBrightness": Layer(_colour, ("factor",)),
    "RandomCrop": Layer({**_image, "height": _pixels, "width": _pixels}, ("height", "width")),
    "CenterCrop": Layer({"data_format": _format, "height": _pixels, "width": _pixels}, ("height", "width")),
    "Resizing": Layer(
        {
            "data_format": _format, "height": _pixels, "width": _pixels, "interpolation": _interpolation,
            "crop_to_aspect_ratio": flag, "pad_to_aspect_ratio": flag, "antialias": flag,
            "fill_mode": choice("constant", "nearest", "wrap", "mirror", "reflect"), "fill_value": number(),
        },
        ("height", "width"),
    ),
}  # fmt: skip
RECURRENT = ("LSTM", "GRU", "SimpleRNN")
WRAPPERS: Mapping[str, Arguments] = {
    "TimeDistributed": {},
    "Bidirectional": {"merge_mode": optional(choice("sum", "mul", "concat", "ave"))},
}
INPUT: Arguments = {
    "name": name, "dtype": choice(*NUMBERS), "sparse": fixed(False), "ragged": fixed(False),
    "optional": fixed(False),
    "batch_shape": lambda value: [
        optional(whole(1, 65536))(one) for one in several(lambda one: one, 1, 8)(value)
    ],
}  # fmt: skip
# Classes of published faults: the message says which fault it is. The grammar would refuse them too.
FORBIDDEN: Mapping[str, tuple[str, str]] = {
    "Lambda": ("lambda", "a Lambda layer holds code"),
    "__lambda__": ("lambda", "a lambda function holds code"),
    "function": ("function", "a function is named by the file"),
    "TFSMLayer": ("external-model", "TFSMLayer loads another model"),
    **dict.fromkeys(
        ("TorchModuleWrapper", "FlaxLayer", "JaxLayer"), ("foreign-code", "it wraps code of another library")
    ),
    **dict.fromkeys(
        ("StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing", "FeatureSpace"),
        ("vocabulary", "it reads a vocabulary"),
    ),
}
