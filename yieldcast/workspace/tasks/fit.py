"""Whether a model takes what a task gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yieldcast.errors import SchemaError

Shape = Sequence[int | None]


def check_inputs(task: Mapping[str, Sequence[int]], model: Mapping[str, Shape]) -> None:
    """Refuse a model whose inputs are not those of the task.

    Args:
        task: name -> shape of one row, see `Task.inputs`.
        model: name -> shape with the sample axis first, None for any length, see `CheckedModel.inputs`; a
            single input may have any name.

    Raises:
        SchemaError: another number of inputs, another name or another shape.
    """
    if len(task) == len(model) == 1:
        model = {next(iter(task)): next(iter(model.values()))}
    if set(task) != set(model):
        received = ", ".join(sorted(model)) or "none"
        raise SchemaError(
            f"expected a model with the inputs {_listed(task)}, received {received}",
            "Name the Input layers so: keras.Input(shape, name=...).",
        )
    for name, wanted in task.items():
        given = tuple(model[name])[1:]
        if len(given) != len(wanted) or any(b not in (None, a) for a, b in zip(wanted, given, strict=True)):
            raise SchemaError(
                f"input {name}: expected the shape {_shape(wanted)} of one row, received {_shape(given)}",
                f"Make the first layer keras.Input({_shape(wanted)}).",
            )


def _listed(task: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{name} {_shape(shape)}" for name, shape in sorted(task.items()))


def _shape(shape: Shape) -> str:
    sizes = ", ".join("any" if one is None else str(one) for one in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"
