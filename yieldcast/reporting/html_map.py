"""Boundaries of municipalities, packed small enough to travel inside a report.

Every corner is rounded to one grid, so a border that two municipalities share stays one border. Corners are
kept as differences from the corner before, in as few bytes as each needs, and the bytes as base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError

_CELLS = 20_000  # of the grid along the longer side of the country, at least: 200 m in Brazil
_LARGEST = 5_000_000  # bytes; a finer mesh is put on a coarser grid until it fits
_FETCH = "Fetch the mesh again: yieldcast fetch places ..."
Ring = NDArray[np.int64]  # (corners, 2) x to the east, y to the north, whole steps of the grid, not closed
Shapes = dict[int, list[Ring]]


def encode(mesh: Path) -> dict[str, Any]:
    """What the map of a report is drawn from, ready for JSON.

    Args:
        mesh: GeoJSON FeatureCollection of polygons, ``properties.code`` the municipality, longitude and
            latitude in degrees; ``name`` and ``state`` (or ``uf``) are used where they are there.

    Returns:
        codes, names, states; `counts`: number of rings of each municipality, then corners of each ring;
        `corners`: their differences (x, y); `borders`: one bit per corner, set where the side that begins
        there is the edge of a state; `step` of the grid, `south` and `north` end of the country (degrees).

    Raises:
        MissingDataError: no such file.
        SchemaError: no JSON, no municipality code, or a shape that is no polygon.
    """
    labels, polygons = _read(mesh)
    if not polygons:
        raise SchemaError(f"{mesh}: expected at least one polygon, received none", _FETCH)
    every = np.concatenate([ring for rings in polygons.values() for ring in rings])
    corner, extent = every.min(axis=0), float(np.ptp(every, axis=0).max())
    step = 10.0 ** np.floor(np.log10(max(extent, 1e-6) / _CELLS))
    while True:
        shapes = {code: _rounded(rings, corner, step) for code, rings in polygons.items()}
        counts, corners = _streams(shapes)
        if len(corners) <= _LARGEST:
            break
        step *= 2
    return {
        "step": step, "south": float(corner[1]), "north": float(every[:, 1].max()), "codes": list(shapes),
        "names": [labels[code][0] for code in shapes], "states": [labels[code][1] for code in shapes],
        "counts": _text(counts), "corners": _text(corners),
        "borders": _text(np.packbits(_state_edges(shapes), bitorder="little").tobytes()),
    }  # fmt: skip


def _read(mesh: Path) -> tuple[dict[int, tuple[str, str]], dict[int, list[NDArray[np.float64]]]]:
    try:
        features = json.loads(mesh.read_text(encoding="utf-8"))["features"]
    except OSError as error:
        raise MissingDataError(f"cannot read the mesh {mesh}: {error.strerror or error}", _FETCH) from error
    except (ValueError, TypeError, KeyError) as error:
        raise SchemaError(f"{mesh}: expected a GeoJSON FeatureCollection ({error!r})", _FETCH) from error
    labels: dict[int, tuple[str, str]] = {}
    polygons: dict[int, list[NDArray[np.float64]]] = {}
    for feature in features:
        try:
            about, geometry = feature["properties"], feature["geometry"]
            if geometry is None:  # a municipality that nobody has drawn yet
                continue
            code = int(about["code"])
            polygons.setdefault(code, []).extend(_rings(geometry))
        except (ValueError, TypeError, KeyError) as error:
            raise SchemaError(
                f"{mesh}: expected features with properties.code and a Polygon or MultiPolygon ({error!r}), "
                f"received {json.dumps(feature)[:120]}",
                _FETCH,
            ) from error
        labels[code] = (str(about.get("name") or ""), str(about.get("state") or about.get("uf") or ""))
    return labels, dict(sorted(polygons.items()))


def _rings(geometry: dict[str, Any]) -> Iterator[NDArray[np.float64]]:
    depth = {"Polygon": 0, "MultiPolygon": 1}.get(geometry["type"])
    if depth is None:
        raise ValueError(f"a {geometry['type']}")
    for rings in geometry["coordinates"] if depth else [geometry["coordinates"]]:
        for ring in rings:
            yield np.asarray([corner[:2] for corner in ring], dtype=np.float64).reshape(-1, 2)


def _rounded(rings: list[NDArray[np.float64]], corner: NDArray[np.float64], step: float) -> list[Ring]:
    """Rings on the grid, without corners that fell together; a municipality never vanishes."""
    whole = [np.rint((ring - corner) / step).astype(np.int64) for ring in rings]
    slim = [ring[np.any(ring != np.roll(ring, -1, axis=0), axis=1)] for ring in whole]
    kept = [ring for ring in slim if len(ring) >= 3]
    return kept or [whole[0][0] + np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])]


def _streams(shapes: Shapes) -> tuple[bytes, bytes]:
    counts = [number for rings in shapes.values() for number in (len(rings), *map(len, rings))]
    corners = np.concatenate([ring for rings in shapes.values() for ring in rings])
    steps = np.diff(corners, axis=0, prepend=0).ravel()
    # Zigzag: small numbers of either sign become small numbers (0, -1, 1, -2 to 0, 1, 2, 3).
    return _varints(np.array(counts)), _varints((steps << 1) ^ (steps >> 63))


def _varints(numbers: NDArray[np.int64]) -> bytes:
    """Seven bits to a byte, lowest first; the eighth says that more follow (LEB128)."""
    sizes = 1 + (numbers[:, None] >= 1 << np.arange(7, 42, 7)).sum(axis=1)
    starts = np.cumsum(sizes) - sizes
    stream = np.zeros(int(sizes.sum()), dtype=np.uint8)
    for k in range(int(sizes.max())):
        has = sizes > k
        more = np.where(sizes[has] > k + 1, 0x80, 0)
        stream[starts[has] + k] = ((numbers[has] >> (7 * k)) & 0x7F) | more
    return stream.tobytes()


def _state_edges(shapes: Shapes) -> NDArray[np.bool_]:
    """Per corner whether the side that begins there is not shared by two municipalities of one state."""
    ends, states = [], []
    for code, rings in shapes.items():
        for ring in rings:
            ends.append(np.hstack([ring, np.roll(ring, -1, axis=0)]))
            states.append(np.full(len(ring), code // 100_000))  # the first two digits of IBGE's code
    sides, state = np.concatenate(ends), np.concatenate(states)
    turned = (sides[:, 0] > sides[:, 2]) | ((sides[:, 0] == sides[:, 2]) & (sides[:, 1] > sides[:, 3]))
    sides[turned] = sides[turned][:, [2, 3, 0, 1]]
    keyed = np.column_stack([sides, state])
    _, which, uses = np.unique(keyed, axis=0, return_inverse=True, return_counts=True)
    edge: NDArray[np.bool_] = uses[which.ravel()] == 1
    # Where neighbours do not share their corners every side looks like an edge: then none is told apart.
    return edge if edge.mean() < 0.5 else np.zeros_like(edge)


def _text(stream: bytes) -> str:
    return base64.b64encode(stream).decode("ascii")
