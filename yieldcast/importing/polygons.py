"""Polygons of a user's boundaries: parts joined, rings closed, sides that cross mended, corners checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.boundaries import Rings, polygons_of
from yieldcast.language import message

Floats = NDArray[np.float64]
Polygons = list[Rings]
# Corners that span less than this lie on one line (1e-12 square degrees are about 100 square centimetres).
_NO_AREA_deg2 = 1e-12
# A corner is a fault if it is this far from the middle of its ring, and so many times as far as most corners.
_FAR_deg, _FAR_TIMES = 5.0, 10.0
_PAIRS = 1_000_000  # of sides compared at a time, 100 MB


class Cleaned(NamedTuple):
    """Polygons of one place, ready for every map and export.

    Args:
        polygons: valid, each an outline and its holes, closed, longitude and latitude in degrees.
        changes: what was done to them, e.g. "rings closed".
    """

    polygons: Polygons
    changes: tuple[str, ...]


def geometry_polygons(geometry: Any) -> Polygons:
    """Polygons of a GeoJSON geometry as they are written; none of one without a place (null, empty).

    Args:
        geometry: Polygon, MultiPolygon, or a GeometryCollection, whose lines and points are left out.

    Raises:
        ValueError: another geometry, or corners that are not degrees.
    """
    if geometry is None:
        return []
    if not isinstance(geometry, dict):
        raise ValueError(f"expected a geometry, received {str(geometry)[:60]}")
    if geometry.get("type") == "GeometryCollection":
        members = geometry.get("geometries")
        areas = [g for g in members or [] if isinstance(g, dict) and str(g.get("type")).endswith("Polygon")]
        return [polygon for one in areas for polygon in geometry_polygons(one)]
    return [] if geometry.get("coordinates") in ([], [[]]) else polygons_of(geometry)


def cleaned(polygons: Iterable[Rings]) -> Cleaned:
    """Close rings, drop repeated parts and rings without area, and mend sides that cross.

    Args:
        polygons: of one place, from one or several features.

    Raises:
        ValueError: a corner far from its ring, no area at all, or crossing sides where shapely, which mends
            them, is not installed.
    """
    kept: dict[bytes, Rings] = {}
    changes = set()
    for polygon in polygons:
        rings = []
        for ring in polygon:
            closed = ring if np.array_equal(ring[0], ring[-1]) else np.concatenate([ring, ring[:1]])
            if closed is not ring:
                changes.add(message("rings closed"))
            _refuse_far(closed)
            if len(closed) >= 4 and _span(closed) > _NO_AREA_deg2:
                rings.append(closed)
            elif not rings:
                break  # holes of an outline without area go with it
        if rings:
            kept.setdefault(b"".join(ring.tobytes() for ring in rings), rings)
    if not kept:
        raise ValueError("expected an area, received only points on one line")
    parts, mended = _mended(list(kept.values()))
    if mended:
        changes.add(message("crossing or overlapping sides mended"))
    return Cleaned(parts, tuple(sorted(changes)))


def as_geometry(polygons: Polygons) -> dict[str, Any]:
    """Polygons as a GeoJSON Polygon, or a MultiPolygon where there are several."""
    coordinates = [[ring.tolist() for ring in rings] for rings in polygons]
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def distance_deg(longitude: float, latitude: float, polygons: Polygons) -> float:
    """Distance of a point from the polygons in degrees, 0 inside.

    Args:
        longitude, latitude: of the point, degrees.
        polygons: of `cleaned`.
    """
    x0, y0, x1, y1 = (_sides(polygons) - [longitude, latitude, longitude, latitude]).T
    # A ray to the east crosses the border of a polygon that holds the point an odd number of times.
    upward = (y0 <= 0) != (y1 <= 0)
    across = x0[upward] - y0[upward] * (x1 - x0)[upward] / (y1 - y0)[upward]
    if (across > 0).sum() % 2:
        return 0.0
    along = np.stack([x1 - x0, y1 - y0])
    length = np.maximum((along**2).sum(axis=0), np.finfo(float).tiny)
    share = np.clip(-(x0 * along[0] + y0 * along[1]) / length, 0, 1)
    return float(np.hypot(x0 + share * along[0], y0 + share * along[1]).min())


def _refuse_far(ring: Floats) -> None:
    distance = np.abs(ring - np.median(ring, axis=0)).max(axis=1)
    far = int(distance.argmax())
    if distance[far] > max(_FAR_deg, _FAR_TIMES * float(np.median(distance))):
        raise ValueError(
            f"expected corners near one another, received {tuple(ring[far].tolist())} in a ring around "
            f"{tuple(np.round(np.median(ring, axis=0), 3).tolist())}"
        )


def _span(ring: Floats) -> float:
    """Area between the longest line from the first corner and the corner farthest from that line, times two.

    Unlike the area of the ring it is above 0 for a ring that crosses itself.
    """
    x, y = (ring - ring[0]).T
    far = int(np.hypot(x, y).argmax())
    return float(np.abs(x * y[far] - y * x[far]).max())


def _mended(polygons: Polygons) -> tuple[Polygons, bool]:
    """Valid polygons, and whether they had to be changed."""
    try:
        import shapely
    except ImportError:
        crossing = crossing_sides(polygons)
        if crossing is not None:
            raise ValueError(
                f"expected sides that do not cross, received two that do near {crossing}; shapely, which "
                "mends them, is not installed (pip install 'yieldcast[geo]')"
            ) from None
        return polygons, False
    shape = shapely.multipolygons([shapely.polygons(outline, holes or None) for outline, *holes in polygons])
    if shape.is_valid:
        return polygons, False
    # "structure" keeps both lobes of an outline that crosses itself, and joins parts that overlap.
    whole = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    areas = [one for one in shapely.get_parts(whole) if one.geom_type.endswith("Polygon") and one.area]
    if not areas:
        raise ValueError("expected an area, received sides that enclose none")
    joined = json.loads(shapely.to_geojson(shapely.union_all(areas)))
    return polygons_of(joined), True


def crossing_sides(polygons: Polygons) -> tuple[float, float] | None:
    """A point near which two sides cross, or None. Sides that only touch or lie on one another do not.

    Args:
        polygons: closed rings.
    """
    sides = _sides(polygons)
    sides = sides[np.argsort(np.minimum(sides[:, 0], sides[:, 2]))]
    low, high = np.minimum(sides[:, :2], sides[:, 2:]), np.maximum(sides[:, :2], sides[:, 2:])
    # Pairs whose ranges of longitude overlap: each side with those that begin before it ends.
    last = np.searchsorted(low[:, 0], high[:, 0], side="left")
    counts = np.maximum(last - np.arange(len(sides)) - 1, 0)
    for first in _blocks(counts):
        number = counts[first]
        i = np.repeat(np.arange(first.start, first.start + len(number)), number)
        j = i + 1 + np.arange(len(i)) - np.repeat(np.cumsum(number) - number, number)
        near = (low[i, 1] < high[j, 1]) & (low[j, 1] < high[i, 1])
        i, j = i[near], j[near]
        cross = (_turn(sides[i], sides[j, :2]) * _turn(sides[i], sides[j, 2:]) < 0) & (
            _turn(sides[j], sides[i, :2]) * _turn(sides[j], sides[i, 2:]) < 0
        )
        if cross.any():
            x, y = np.round((sides[i[cross][0], :2] + sides[i[cross][0], 2:]) / 2, 3).tolist()
            return x, y
    return None


def _blocks(counts: NDArray[np.intp]) -> Iterator[slice]:
    """Spans of sides with about `_PAIRS` pairs each."""
    ends = np.searchsorted(np.cumsum(counts), np.arange(_PAIRS, counts.sum() + _PAIRS, _PAIRS))
    starts = np.unique([0, *(ends + 1)])
    return (slice(a, b) for a, b in zip(starts, [*starts[1:], len(counts)], strict=True) if a < b)


def _turn(sides: Floats, points: Floats) -> Floats:
    """Positive where a point lies to the left of a side, negative to its right."""
    x0, y0, x1, y1 = sides.T
    turn: Floats = (x1 - x0) * (points[:, 1] - y0) - (y1 - y0) * (points[:, 0] - x0)
    return turn


def _sides(polygons: Sequence[Rings]) -> Floats:
    """(side, 4) longitude and latitude of both ends."""
    return np.concatenate([np.hstack([ring[:-1], ring[1:]]) for rings in polygons for ring in rings])
