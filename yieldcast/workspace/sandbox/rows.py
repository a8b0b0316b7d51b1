"""Rows inside: arrays that the job got as open files, mapped into memory, and batches of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inputs = dict[str, NDArray[np.float32]]


def mapped(number: int) -> NDArray[Any]:
    """The array of an open .npy file, read-only.

    Args:
        number: of the open file.
    """
    with os.fdopen(os.dup(number), "rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, by_column, dtype = read(file)
        return np.memmap(file, dtype, "r", offset=file.tell(), shape=shape, order="F" if by_column else "C")


def arrays(files: Mapping[str, int], part: str) -> Inputs:
    """Inputs of a part by name.

    Args:
        files: open files, those of inputs named ``PART/NAME``.
        part: training or holdout.
    """
    return {
        name.partition("/")[2]: mapped(number)
        for name, number in files.items()
        if name.startswith(f"{part}/")
    }


def taken(inputs: Inputs, rows: NDArray[np.int64] | slice) -> Inputs:
    """Copies of some rows, whatever their type, as float32."""
    return {name: np.asarray(array[rows], dtype=np.float32) for name, array in inputs.items()}


def as_given(inputs: Sequence[Any]) -> Any:
    """Inputs as a model takes them: one by itself, several as a list."""
    return inputs[0] if len(inputs) == 1 else list(inputs)


def batches(count: int, size: int) -> Iterator[slice]:
    """Rows in their order, `size` at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def deviations(inputs: Inputs, rows: NDArray[np.int64], most: int = 2000) -> Inputs:
    """Standard deviation of each value of the last axis over at most so many rows, evenly chosen."""
    chosen = rows[:: max(1, len(rows) // most)]
    return {
        name: array.std(axis=tuple(range(array.ndim - 1))) for name, array in taken(inputs, chosen).items()
    }
