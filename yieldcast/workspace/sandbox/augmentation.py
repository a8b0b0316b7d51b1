"""Training rows varied anew in each epoch: flips, rotations, shifts, noise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_MOST_SHIFT = 8  # at most 1/8 of a side or of the steps, and one at least
NOISE = 0.02  # of the standard deviation of the input


def _flip(rows: Floats, random: np.random.Generator) -> Floats:
    """Turn round lines, columns, both or none of each tile."""
    for axis in (1, 2):
        chosen = random.random(len(rows)) < 0.5
        rows[chosen] = np.flip(rows[chosen], axis=axis)
    return rows


def _rotate(rows: Floats, random: np.random.Generator) -> Floats:
    """Rotate each tile by 0, 90, 180 or 270 degrees; by 0 or 180 where it is no square."""
    step = 1 if rows.shape[1] == rows.shape[2] else 2
    turns = random.integers(0, 4 // step, len(rows)) * step
    for turn in np.unique(turns):
        rows[turns == turn] = np.rot90(rows[turns == turn], turn, axes=(1, 2))
    return rows


def _shift(rows: Floats, random: np.random.Generator) -> Floats:
    """Move each row along its axes but the last, up to an eighth; the edge is repeated."""
    for axis in range(1, rows.ndim - 1):
        size = rows.shape[axis]
        steps = random.integers(-max(1, size // _MOST_SHIFT), max(1, size // _MOST_SHIFT) + 1, len(rows))
        taken = np.clip(np.arange(size) + steps[:, None], 0, size - 1)
        shape = [len(rows)] + [1] * (rows.ndim - 1)
        shape[axis] = size
        rows = np.take_along_axis(rows, taken.reshape(shape), axis=axis)
    return rows


def _noise(deviation: Floats, rows: Floats, random: np.random.Generator) -> Floats:
    return np.asarray(rows + random.normal(size=rows.shape) * deviation * NOISE, dtype=np.float32)


_BY_RANK: Mapping[str, tuple[int, Callable[[Floats, np.random.Generator], Floats]]] = {
    "flips": (4, _flip),
    "rotations": (4, _rotate),
    "shifts": (3, _shift),
}


def augment(
    inputs: Mapping[str, Floats],
    wanted: Collection[str],
    deviations: Mapping[str, Floats],
    random: np.random.Generator,
) -> dict[str, Floats]:
    """Varied copies of rows.

    Args:
        inputs: name -> (row, y, x, band) tiles, (row, step, variable) series, or (row, feature).
        wanted: flips and rotations, of tiles; shifts, of tiles and series; noise.
        deviations: name -> standard deviation of each value of the last axis over the training rows.
        random: source of chance.
    """
    varied = {}
    for name, given in inputs.items():
        rows = np.array(given, dtype=np.float32)
        for kind, (rank, function) in _BY_RANK.items():
            if kind in wanted and (rows.ndim == rank or (kind == "shifts" and rows.ndim > rank)):
                rows = function(rows, random)
        varied[name] = _noise(deviations[name], rows, random) if "noise" in wanted else rows
    return varied
