"""What a model's outputs mean: classes matched by their declared names, values in kg/ha, or quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError

Floats = NDArray[np.float32]


def key(name: str) -> str:
    """A name without case, spaces, hyphens and underscores: "Sugar beet" is "sugar_beet"."""
    return "".join(name.casefold().split()).replace("-", "").replace("_", "")


def positions(declared: Sequence[str], classes: Sequence[str]) -> list[int | None]:
    """For each class of the task its position among the declared outputs, None if it is not there.

    Raises:
        SchemaError: two declared outputs have the same name.
    """
    known = {key(name): number for number, name in enumerate(declared)}
    if len(known) < len(declared):
        raise SchemaError(
            f"outputs: expected different names, received {', '.join(declared)}",
            "Case, spaces, hyphens and underscores make no difference.",
        )
    return [known.get(key(name)) for name in classes]


def declared_outputs(declared: Sequence[str] | None, task: Sequence[str], count: int) -> list[str]:
    """Names of a model's outputs: as declared, else the task's own where the number fits.

    Args:
        declared: by the contributor, or None.
        task: the outputs that the task asks for.
        count: of the model.

    Raises:
        SchemaError: the numbers differ.
    """
    if declared is None:
        if count == len(task):
            return list(task)
        raise SchemaError(
            f"the model has {count} outputs, the task {len(task)}: {', '.join(task)}",
            "Declare the names of the model's outputs in their order.",
        )
    if len(declared) != count:
        raise SchemaError(
            f"declared {len(declared)} outputs, the model has {count}",
            "Declare one name for each output, in the order of the model.",
        )
    return list(declared)


def levels(declared: Sequence[str]) -> tuple[float, ...] | None:
    """Levels of declared quantiles; None where the output is the yield itself.

    Raises:
        SchemaError: neither.
    """
    if len(declared) == 1 and key(declared[0]) == key("yield_kg_ha"):
        return None
    try:
        found = tuple(float(name) for name in declared)
    except ValueError:
        found = ()
    if not found or any(not 0 < one < 1 for one in found) or len(set(found)) < len(found):
        raise SchemaError(
            f"outputs: expected yield_kg_ha or levels of quantiles between 0 and 1, each once, received "
            f"{', '.join(declared)}",
            'Declare ["yield_kg_ha"], or levels such as ["0.05", "0.5", "0.95"].',
        )
    return found


def as_probabilities(outputs: Floats) -> Floats:
    """(row, output) probabilities: outputs that are none, such as logits, go through the softmax."""
    if (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1.0, atol=1e-3):
        return outputs
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def by_class(outputs: Floats, found: Sequence[int | None]) -> Floats:
    """(row, class) probabilities of the task's classes, for a choice among these.

    Other outputs are dropped and the rest adds up to 1 again. Classes without an output are 0; a row where
    nothing is left says nothing: all classes are equal.

    Args:
        outputs: (row, output) probabilities.
        found: from `positions`.
    """
    chosen = np.zeros((len(outputs), len(found)), dtype=np.float32)
    for column, position in enumerate(found):
        if position is not None:
            chosen[:, column] = outputs[:, position]
    total = chosen.sum(axis=1, keepdims=True)
    equal = np.float32(1 / len(found))
    return np.where(total > 0, chosen / np.where(total > 0, total, 1), equal)
