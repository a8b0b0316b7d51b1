"""Boundaries of municipalities, packed small enough for a report.

Every corner is rounded to one grid, so a border that two municipalities share stays one border. Corners are
stored as differences from the previous corner, in as few bytes as each needs, and the bytes as base64.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.boundaries import FETCH_AGAIN, read_boundaries
from yieldcast.errors import SchemaError

_CELLS = 20_000  # least number of grid steps along the longer side of the country: e.g. 200 m along 4,000 km
_LARGEST = 5_000_000  # bytes of all corners; for a larger mesh the grid is made coarser until it fits
Ring = NDArray[np.int64]  # (corner, 2): x to the east, y to the north, in grid steps; not closed
Shapes = dict[int, list[Ring]]


def encode(mesh: Path) -> dict[str, Any]:
    """Pack the boundaries for the map of a report, as plain values for JSON; ``web/data.js`` unpacks them.

    Args:
        mesh: see `yieldcast.data.boundaries`; several features of one municipality are joined.

    Returns:
        codes, names, states: one value per municipality.
        counts: for each municipality its number of rings, then the number of corners of each ring.
        corners: differences (x, y) between successive corners of all rings, in grid steps.
        borders: one bit per corner, 1 if the side that begins there is the edge of a state.
        step, south, north: grid step and the latitudes of the ends of the country, degrees.

    Raises:
        MissingDataError: no such file.
        SchemaError: it is not a mesh, or has no polygon.
    """
    labels, polygons = _read(mesh)
    if not polygons:
        raise SchemaError(f"{mesh}: expected at least one polygon, received none", FETCH_AGAIN)
    every = np.concatenate([ring for rings in polygons.values() for ring in rings])
    corner, extent = every.min(axis=0), float(np.ptp(every, axis=0).max())
    step = 10.0 ** np.floor(np.log10(max(extent, 1e-6) / _CELLS))
    while True:
        shapes = {code: rings_on_grid(rings, corner, step) for code, rings in polygons.items()}
        counts, corners = _streams(shapes)
        if len(corners) <= _LARGEST:
            break
        step *= 2
    edges = state_edges(shapes, {code: state for code, (_name, state) in labels.items()})
    return {
        "step": step, "south": float(corner[1]), "north": float(every[:, 1].max()), "codes": list(shapes),
        "names": [labels[code][0] for code in shapes], "states": [labels[code][1] for code in shapes],
        "counts": base64_text(counts), "corners": base64_text(corners),
        "borders": base64_text(np.packbits(edges, bitorder="little").tobytes()),
    }  # fmt: skip


def _read(mesh: Path) -> tuple[dict[int, tuple[str, str]], dict[int, list[NDArray[np.float64]]]]:
    labels: dict[int, tuple[str, str]] = {}
    rings: dict[int, list[NDArray[np.float64]]] = {}
    for code, name, state, _geometry, polygons in read_boundaries(mesh):
        if polygons:
            rings.setdefault(code, []).extend(ring for polygon in polygons for ring in polygon)
            labels[code] = (name, state)
    return labels, dict(sorted(rings.items()))


def rings_on_grid(rings: list[NDArray[np.float64]], corner: NDArray[np.float64], step: float) -> list[Ring]:
    """Rings on the grid without repeated corners; a municipality too small for the grid becomes a diamond."""
    whole = [np.rint((ring - corner) / step).astype(np.int64) for ring in rings]
    slim = [ring[np.any(ring != np.roll(ring, -1, axis=0), axis=1)] for ring in whole]
    kept = [ring for ring in slim if len(ring) >= 3]
    return kept or [whole[0][0] + np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])]


def _streams(shapes: Shapes) -> tuple[bytes, bytes]:
    """Packed counts and corners, see `encode`."""
    counts = [number for rings in shapes.values() for number in (len(rings), *map(len, rings))]
    corners = np.concatenate([ring for rings in shapes.values() for ring in rings])
    steps = np.diff(corners, axis=0, prepend=0).ravel()
    return varints(np.array(counts)), varints(zigzag(steps))


def zigzag(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Small numbers of either sign as small numbers: 0, -1, 1, -2 to 0, 1, 2, 3."""
    return (numbers << 1) ^ (numbers >> 63)


def varints(numbers: NDArray[np.int64]) -> bytes:
    """LEB128: seven bits in each byte, lowest first; the eighth bit is 1 if more bytes follow."""
    sizes = 1 + (numbers[:, None] >= 1 << np.arange(7, 42, 7)).sum(axis=1)
    starts = np.cumsum(sizes) - sizes
    stream = np.zeros(int(sizes.sum()), dtype=np.uint8)
    for k in range(int(sizes.max(initial=0))):
        has = sizes > k
        more = np.where(sizes[has] > k + 1, 0x80, 0)
        stream[starts[has] + k] = ((numbers[has] >> (7 * k)) & 0x7F) | more
    return stream.tobytes()


def state_edges(shapes: Shapes, state_of: Mapping[int, str]) -> NDArray[np.bool_]:
    """For each corner, whether the side that begins there is the edge of a state.

    A side is an edge unless two municipalities of the same state share it.

    Args:
        shapes: rings by municipality.
        state_of: state by municipality; those without one count as one state.
    """
    ends, states = [], list[NDArray[np.int64]]()
    number = {name: k for k, name in enumerate(sorted({"", *state_of.values()}))}
    for code, rings in shapes.items():
        for ring in rings:
            ends.append(np.hstack([ring, np.roll(ring, -1, axis=0)]))
            states.append(np.full(len(ring), number[state_of.get(code, "")]))
    sides, state = np.concatenate(ends), np.concatenate(states)
    turned = (sides[:, 0] > sides[:, 2]) | ((sides[:, 0] == sides[:, 2]) & (sides[:, 1] > sides[:, 3]))
    sides[turned] = sides[turned][:, [2, 3, 0, 1]]
    keyed = np.column_stack([sides, state])
    _, which, uses = np.unique(keyed, axis=0, return_inverse=True, return_counts=True)
    edge: NDArray[np.bool_] = uses[which.ravel()] == 1
    # In a mesh whose neighbours do not share corners, every side looks like an edge: then none is marked.
    return edge if edge.mean() < 0.5 else np.zeros_like(edge)


def base64_text(stream: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(stream).decode("ascii")
