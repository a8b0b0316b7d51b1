"""Floating-point operations of one row through a model, forward and backward, from the shapes of its graph.

A multiplication with an addition counts as two. Products of matrices and convolutions are counted exactly;
any other layer or operation counts one for each element of its largest input or output. The backward pass
costs a layer's products once more for the gradient of its weights, where they are trained, and once more for
the gradient of its inputs, where a layer before it is trained: two times the forward pass for a model that is
trained whole (Hobbhahn and Sevilla 2021, "What's the backward-forward FLOP ratio for neural networks?", Epoch
AI). What the optimiser adds for each step is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]  # of one row, without the axis of rows


@dataclass(frozen=True)
class Flop:
    """Operations of one row.

    Args:
        forward: of a prediction.
        backward: of the gradients besides, of a step of training.
    """

    forward: int
    backward: int


def of_model(model: Any) -> Flop:
    """Operations of one row through a functional or sequential model of known shapes.

    Args:
        model: a built Keras model; which of its layers are trainable counts.
    """
    forward, backward, _ = _through(model, [False] * len(model.inputs))
    return Flop(forward, backward)


def _through(model: Any, needed: Sequence[bool]) -> tuple[int, int, list[bool]]:
    """Operations of a model, and which of its outputs depend on trained weights or such inputs."""
    import keras

    graph = keras.Function(model.inputs, model.outputs)
    depends = {id(one): need for one, need in zip(model.inputs, needed, strict=True)}
    forward = backward = 0
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            before = [depends.get(id(one), False) for one in node.input_tensors]
            if hasattr(node.operation, "operations") or isinstance(node.operation, keras.Sequential):
                ahead, back, after = _through(node.operation, before)
            else:
                ahead = _of_node(node)
                trained = bool(getattr(node.operation, "trainable_weights", ()))
                back = ahead * (trained + any(before))
                after = [trained or any(before)] * len(node.outputs)
            forward, backward = forward + ahead, backward + back
            depends |= {id(one): need for one, need in zip(node.outputs, after, strict=True)}
    return forward, backward, [depends.get(id(one), False) for one in model.outputs]


def _of_node(node: Any) -> int:
    inputs = [_row(one.shape) for one in node.input_tensors]
    return of_layer(node.operation, inputs, _row(node.outputs[0].shape))


def of_layer(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Operations of a forward pass of one row through a layer or an operation of keras.ops.

    Args:
        layer: built.
        inputs: shapes of what it gets.
        output: shape of what it gives.
    """
    kind = type(layer).__name__
    if kind in _WRAPPERS:
        return _WRAPPERS[kind](layer, inputs[0], output)
    if kind in _PRODUCTS:
        return 2 * _PRODUCTS[kind](layer, inputs, output) + _after(layer, output)
    return max(map(math.prod, [*inputs, output]))


def _after(layer: Any, output: Shape) -> int:
    """Bias and activation: one for each element."""
    bias = getattr(layer, "use_bias", False) is True
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear") != "linear"
    return (bias + activation) * math.prod(output)


def _row(shape: Sequence[int | None]) -> Shape:
    """Shape without rows; an axis of unknown length counts once."""
    return tuple(size or 1 for size in shape[1:])


def _dense(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return math.prod(output) * inputs[0][-1]


def _einsum_dense(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    letters, given = layer.equation.split(",")[1].split("->")
    sizes = zip(letters, layer.kernel.shape, strict=True)
    return int(math.prod(output) * math.prod(size for letter, size in sizes if letter not in given))


def _convolution(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return int(math.prod(output) * math.prod(layer.kernel.shape[:-1]))


def _transposed(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return int(math.prod(inputs[0]) * math.prod(layer.kernel.shape[:-1]))


def _depthwise(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return int(math.prod(output) * math.prod(layer.kernel.shape[:-2]))


def _separable(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    places = math.prod(output) // layer.filters
    kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return int(places * kernels)


def _recurrent(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    cell, steps = layer.cell, inputs[0][0]
    return int(steps * (math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape)))


def _heads(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """MultiHeadAttention: projections, scores, weighted means, and the projection of the heads."""
    settings = layer.get_config()
    heads, key = settings["num_heads"], settings["key_dim"]
    axes = settings["attention_axes"]
    return _attention_of_heads(inputs, output, (heads, heads), (key, settings["value_dim"] or key), axes)


def _grouped_heads(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    settings = layer.get_config()
    size = settings["head_dim"]
    heads = settings["num_query_heads"], settings["num_key_value_heads"]
    return _attention_of_heads(inputs, output, heads, (size, size), None)


def _attention_of_heads(
    inputs: Sequence[Shape],
    output: Shape,
    heads: tuple[int, int],
    sizes: tuple[int, int],
    axes: int | Sequence[int] | None,
) -> int:
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    key = inputs[2] if len(inputs) > 2 else value
    (asked, told), (inner, outer) = heads, sizes
    one = (axes,) if isinstance(axes, int) else axes
    looked = math.prod(value[:-1]) if one is None else math.prod(value[axis - (axis > 0)] for axis in one)
    places, others = math.prod(query[:-1]), math.prod(value[:-1])
    projections = places * query[-1] * asked * inner + others * told * (key[-1] * inner + value[-1] * outer)
    attention = places * looked * asked * (inner + outer)
    return projections + attention + places * asked * outer * output[-1]


def _attention(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    query, value = inputs[0], inputs[1]
    return query[-2] * value[-2] * (query[-1] + value[-1]) * math.prod(query[:-2])


def _dot(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Every pair of places of the two inputs over the axis that they share."""
    axes = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(output) * inputs[0][axes - (axes > 0)]


def _matmul(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return math.prod(output) * inputs[0][-1]


def _bidirectional(layer: Any, given: Shape, output: Shape) -> int:
    return sum(of_layer(one, [given], output) for one in (layer.forward_layer, layer.backward_layer))


def _each_step(layer: Any, given: Shape, output: Shape) -> int:
    return given[0] * of_layer(layer.layer, [given[1:]], output[1:])


_WRAPPERS: dict[str, Callable[[Any, Shape, Shape], int]] = {
    "Bidirectional": _bidirectional,
    "TimeDistributed": _each_step,
}
# kind of layer -> multiplications with an addition
_PRODUCTS: dict[str, Callable[[Any, Sequence[Shape], Shape], int]] = {
    "Dense": _dense, "EinsumDense": _einsum_dense,
    "Conv1D": _convolution, "Conv2D": _convolution,
    "Conv1DTranspose": _transposed, "Conv2DTranspose": _transposed,
    "DepthwiseConv1D": _depthwise, "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable, "SeparableConv2D": _separable,
    "LSTM": _recurrent, "GRU": _recurrent, "SimpleRNN": _recurrent,
    "MultiHeadAttention": _heads, "GroupQueryAttention": _grouped_heads,
    "Attention": _attention, "AdditiveAttention": _attention, "Dot": _dot, "Matmul": _matmul,
}  # fmt: skip
