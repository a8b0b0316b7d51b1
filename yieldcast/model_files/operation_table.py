"""The closed list of keras.ops that a network may hold as nodes, with their arguments.

They are arithmetic on tensors; none takes a function, reads a file or makes shapes from values of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

from yieldcast.model_files.keras_objects import NUMBERS
from yieldcast.model_files.layer_table import Arguments
from yieldcast.model_files.values import choice, either, fixed, flag, number, optional, several, whole

NUMPY, NN, CORE, MATH = (f"keras.src.ops.{name}" for name in ("numpy", "nn", "core", "math"))
_axis = optional(either(whole(-8, 8), several(whole(-8, 8), 0, 8)))
_one_axis = whole(-8, 8)
_reduced: Arguments = {"axis": _axis, "keepdims": flag}
_scalar = either(number(), several(number(), 0, 4096))
_running: Arguments = {"axis": optional(_one_axis), "dtype": optional(choice(*NUMBERS))}
_like: Arguments = {"dtype": optional(choice(*NUMBERS))}
_PLAIN = (
    "Abs", "Absolute", "Add", "Arccos", "Arcsin", "Arctan", "Arctan2", "Ceil", "Copy", "Cos", "Cosh",
    "Divide", "DivideNoNan", "Equal", "Exp", "Expm1", "Floor", "FloorDivide", "GetItem", "Greater",
    "GreaterEqual", "Isfinite", "Isinf", "Isnan", "Less", "LessEqual", "Log", "Log10", "Log1p", "Log2",
    "Logaddexp", "LogicalAnd", "LogicalNot", "LogicalOr", "LogicalXor", "Matmul", "Maximum", "Minimum", "Mod",
    "Multiply", "Negative", "NotEqual", "Power", "Reciprocal", "Sign", "Sin", "Sinh", "Sqrt", "Square",
    "Subtract", "Tan", "Tanh", "TrueDivide", "Where",
)  # fmt: skip
_REDUCED = ("All", "Amax", "Amin", "Any", "Argmax", "Argmin", "Mean", "Std", "Var")
_PLAIN_NN = (
    "Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "Silu", "LogSigmoid", "HardSigmoid", "HardSilu",
    "Selu",
)  # fmt: skip

OPERATIONS: Mapping[tuple[str, str], Arguments] = {
    **{(NUMPY, name): {} for name in _PLAIN},
    **{(NUMPY, name): _reduced for name in _REDUCED},
    (NUMPY, "Max"): {**_reduced, "initial": fixed(None)},
    (NUMPY, "Min"): {**_reduced, "initial": fixed(None)},
    (NUMPY, "Sum"): {**_reduced, "dtype": fixed(None)},
    (NUMPY, "Prod"): {**_reduced, "dtype": fixed(None)},
    (NUMPY, "Clip"): {"x_min": _scalar, "x_max": _scalar},
    (NUMPY, "NanToNum"): {"nan": number(), "posinf": optional(number()), "neginf": optional(number())},
    (NUMPY, "Round"): {"decimals": whole(-20, 20)},
    (NUMPY, "Reshape"): {"newshape": either(whole(-1), several(optional(whole(-1)), 0, 8))},
    (NUMPY, "Transpose"): {"axes": optional(several(whole(-8, 8), 0, 8))},
    (NUMPY, "ExpandDims"): {"axis": _axis}, (NUMPY, "Squeeze"): {"axis": _axis},
    (NUMPY, "Concatenate"): {"axis": _one_axis}, (NUMPY, "Stack"): {"axis": _one_axis},
    (NUMPY, "Flip"): {"axis": _axis}, (NUMPY, "Swapaxes"): {"axis1": _one_axis, "axis2": _one_axis},
    (NUMPY, "Moveaxis"): {"source": _axis, "destination": _axis},
    (NUMPY, "Repeat"): {"repeats": whole(1, 4096), "axis": optional(_one_axis)},
    (NUMPY, "Tile"): {"repeats": either(whole(1, 4096), several(whole(1, 4096), 1, 8))},
    (NUMPY, "Take"): {"axis": optional(_one_axis)},
    (NUMPY, "Cumsum"): _running, (NUMPY, "Cumprod"): _running,
    (NUMPY, "OnesLike"): _like, (NUMPY, "ZerosLike"): _like,
    **{(NN, name): {} for name in _PLAIN_NN},
    (NN, "LeakyRelu"): {"negative_slope": number()}, (NN, "Elu"): {"alpha": number()},
    (NN, "Gelu"): {"approximate": flag}, (NN, "Softmax"): {"axis": _axis},
    (NN, "LogSoftmax"): {"axis": _axis},
    (CORE, "Cast"): {"dtype": choice(*NUMBERS)}, (CORE, "StopGradient"): {},
    (MATH, "Rsqrt"): {}, (MATH, "Erf"): {}, (MATH, "Logsumexp"): _reduced,
}  # fmt: skip
