"""What arguments of layers name: initialisers, regularisers, constraints, activations, types of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yieldcast.model_files.values import (
    Reader,
    Unfit,
    arguments,
    choice,
    either,
    fixed,
    nested_numbers,
    number,
    optional,
    several,
    whole,
)

ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu",
    "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
)  # fmt: skip
FLOATS = ("float16", "bfloat16", "float32", "float64")
POLICIES = (*FLOATS, "mixed_float16", "mixed_bfloat16")
NUMBERS = (
    *FLOATS, "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
)  # fmt: skip

_seed = optional(whole(0, 2**63))
_spread = {"seed": _seed, "input_axes": fixed(None), "output_axes": fixed(None)}
INITIALIZERS: dict[str, dict[str, Reader]] = {
    "Zeros": {}, "Ones": {}, "Constant": {"value": nested_numbers()},
    "Identity": {"gain": number()}, "IdentityInitializer": {"gain": number()},
    "Orthogonal": {"gain": number(), "seed": _seed},
    "OrthogonalInitializer": {"gain": number(), "seed": _seed},
    "RandomNormal": {"mean": number(), "stddev": number(), "seed": _seed},
    "TruncatedNormal": {"mean": number(), "stddev": number(), "seed": _seed},
    "RandomUniform": {"minval": number(), "maxval": number(), "seed": _seed},
    "VarianceScaling": {
        "scale": number(), "mode": choice("fan_in", "fan_out", "fan_avg"),
        "distribution": choice("truncated_normal", "untruncated_normal", "uniform"), **_spread,
    },
    **{f"{who}{law}": _spread for who in ("Glorot", "He", "Lecun") for law in ("Normal", "Uniform")},
}  # fmt: skip
REGULARIZERS: dict[str, dict[str, Reader]] = {
    "L1": {"l1": number(0)}, "L2": {"l2": number(0)}, "L1L2": {"l1": number(0), "l2": number(0)},
    "OrthogonalRegularizer": {"factor": number(0), "mode": choice("rows", "columns")},
}  # fmt: skip
_axes = either(whole(-8, 8), several(whole(-8, 8), 1, 8))
CONSTRAINTS: dict[str, dict[str, Reader]] = {
    "NonNeg": {}, "UnitNorm": {"axis": _axes}, "MaxNorm": {"max_value": number(0), "axis": _axes},
    "MinMaxNorm": {
        "min_value": number(0), "max_value": number(0), "rate": number(0, 1), "axis": _axes,
    },
}  # fmt: skip
_KEYS = {"module", "class_name", "config", "registered_name", "shared_object_id"}


def keras_object(module: str, classes: Mapping[str, Mapping[str, Reader]], what: str) -> Reader:
    """An object of Keras with its class and arguments, of one module and a closed list."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not set(value) <= _KEYS:
            raise Unfit(f"{what} of Keras")
        found = value.get("class_name")
        if value.get("module") != module or not isinstance(found, str) or found not in classes:
            raise Unfit(f"{what} of {', '.join(classes)} in {module}", "class")
        if value.get("registered_name") not in (None, found):
            raise Unfit(f"{what} without another registered name", "class")
        config = value.get("config")
        made = arguments({} if config is None else config, classes[found])
        return {"module": module, "class_name": found, "config": made, "registered_name": None}

    return read


initializer = either(
    keras_object("keras.initializers", INITIALIZERS, "an initialiser"),
    choice("zeros", "ones", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal"),
)
regularizer = optional(keras_object("keras.regularizers", REGULARIZERS, "a regulariser"))
constraint = optional(keras_object("keras.constraints", CONSTRAINTS, "a constraint"))
activation = optional(choice(*ACTIVATIONS))


def dtype(value: Any) -> str:
    """A type of numbers or a policy of them; the fresh config holds its name."""
    if isinstance(value, dict):
        for module in ("keras", "keras.dtype_policies"):
            if value.get("module") == module:
                policy = keras_object(module, {"DTypePolicy": {"name": choice(*POLICIES)}}, "a policy")
                made: str = policy(value)["config"].get("name", "float32")
                return made
        raise Unfit("a DTypePolicy of keras", "class")
    found: str = choice(*POLICIES)(value)
    return found
