"""Boundaries that nobody surveyed: every place takes the ground that is nearer to it than to any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EDGE_DEG = 0.5  # of ground beyond the outermost places


def synthetic_mesh(
    codes: Sequence[int],
    names: Sequence[str],
    states: Sequence[str],
    latitude_deg: Sequence[float],
    longitude_deg: Sequence[float],
    detail: int = 1,
) -> dict[str, Any]:
    """GeoJSON polygons about places, as `Store.mesh` holds them: neighbours share their borders exactly.

    Args:
        codes, names, states, latitude_deg, longitude_deg: one per municipality; no two at one spot.
        detail: pieces of each side; above 1 sides wind, so that a polygon has about 6 x detail corners.
    """
    from scipy.spatial import Voronoi

    places = np.column_stack([longitude_deg, latitude_deg]).astype(np.float64)
    low, high = places.min(axis=0) - _EDGE_DEG, places.max(axis=0) + _EDGE_DEG
    # Mirrored in the four sides of the box, the places have cells that end at the box.
    mirrored = [places]
    for axis in (0, 1):
        for side in (low, high):
            image = places.copy()
            image[:, axis] = 2 * side[axis] - image[:, axis]
            mirrored.append(image)
    cells = Voronoi(np.concatenate(mirrored))
    features = []
    for k, (code, name, state) in enumerate(zip(codes, names, states, strict=True)):
        corners = cells.regions[cells.point_region[k]]
        ring = [
            point
            for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)
            for point in _side(cells.vertices, a, b, detail)
        ]
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        properties = {"code": str(code), "name": name, "state": state}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def _side(corners: NDArray[np.float64], a: int, b: int, detail: int) -> list[list[float]]:
    """From corner a to just before corner b; from b to a it is the same line turned round."""
    first, last = min(a, b), max(a, b)
    along = corners[last] - corners[first]
    pieces = np.arange(detail)
    share = (pieces if a < b else detail - pieces) / detail
    # Any curve that is 0 at both ends will do, as long as it depends on the two corners alone.
    bend = 0.08 * np.sin(np.pi * share) * np.sin(first + 2.0 * last + 17.0 * share)
    line = corners[first] + share[:, None] * along + bend[:, None] * np.array([-along[1], along[0]])
    return [[round(float(x), 4), round(float(y), 4)] for x, y in line]
