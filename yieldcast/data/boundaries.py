"""Boundaries of municipalities: GeoJSON, read and checked here for maps, exports and zonal means.

A mesh is a GeoJSON FeatureCollection of polygons in degrees, longitude first, in the datum of the country.
In the mesh of a store ``properties.code`` is the number that the municipality has in the tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError

FETCH_AGAIN = (
    "Fetch the places of the store again: `yieldcast fetch places --store DIR`; or import the boundaries "
    "again: `yieldcast import --mesh FILE ...`."
)
_KINDS = ("Polygon", "MultiPolygon")
_ROUNDING_deg = 1e-6  # conversions between formats put corners on the 180th meridian this far beyond it

Rings = list[NDArray[np.float64]]


class Boundary(NamedTuple):
    """One feature of a mesh.

    Args:
        code: the municipality.
        name, state: texts for readers, empty where the mesh has none.
        geometry: GeoJSON geometry as it is in the mesh; None for a municipality without a polygon.
        polygons: the same as arrays, see `polygons_of`; empty without a geometry.
    """

    code: int
    name: str
    state: str
    geometry: dict[str, Any] | None
    polygons: list[Rings]


def read_boundaries(path: Path) -> list[Boundary]:
    """The checked features of a mesh file, in its order.

    Args:
        path: the mesh of a store (`Store.mesh`).

    Raises:
        MissingDataError, SchemaError: as `read_geojson` and `boundaries_of`.
    """
    return boundaries_of(read_geojson(path), f"mesh {path.name}")


def read_geojson(path: Path) -> dict[str, Any]:
    """A GeoJSON FeatureCollection as nested dictionaries, its features not checked yet.

    Args:
        path: the file, UTF-8.

    Raises:
        MissingDataError: no such file, or no permission.
        SchemaError: not JSON, or no list of features.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingDataError(
            f"cannot read the mesh {path}: {error.strerror or error}", FETCH_AGAIN
        ) from error
    except (ValueError, RecursionError) as error:
        raise SchemaError(
            f"mesh {path.name}: expected a GeoJSON FeatureCollection, received {error!r}", FETCH_AGAIN
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("features"), list):
        received = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise SchemaError(
            f"mesh {path.name}: expected a GeoJSON FeatureCollection, received {str(received)[:60]}",
            FETCH_AGAIN,
        )
    return content


def boundaries_of(mesh: Mapping[str, Any], source: str = "mesh") -> list[Boundary]:
    """The checked features of a mesh, in its order; a municipality may have several.

    Args:
        mesh: from `read_geojson`, with ``properties.code`` the municipality.
        source: name of the mesh, for the error.

    Raises:
        SchemaError: a feature without a number as its code, or a geometry that `polygons_of` refuses.
    """
    found = []
    for number, feature in enumerate(mesh["features"], 1):
        try:
            properties, geometry = feature["properties"], feature["geometry"]
            code, polygons = int(properties["code"]), [] if geometry is None else polygons_of(geometry)
        except (ValueError, TypeError, KeyError) as error:
            raise SchemaError(
                f"{source}: expected features with properties.code and polygons in degrees, received "
                f"{json.dumps(feature)[:120]} as feature {number} ({error!r})",
                FETCH_AGAIN,
            ) from error
        name, state = properties.get("name"), properties.get("state") or properties.get("uf")
        found.append(Boundary(code, str(name or ""), str(state or ""), geometry, polygons))
    return found


def polygons_of(geometry: Any) -> list[Rings]:
    """Rings of every polygon of a geometry, in degrees.

    Args:
        geometry: GeoJSON Polygon or MultiPolygon.

    Returns:
        for every polygon its outline and then its holes, each (corner, 2): longitude and latitude (degrees).
        As in the file the last corner repeats the first. Heights are left out.

    Raises:
        ValueError: another geometry, a polygon without corners, or corners that are not degrees.
    """
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in _KINDS:
        received = f"{kind or geometry!r}"[:60]
        raise ValueError(f"expected a Polygon or MultiPolygon, received {received}")
    coordinates = geometry.get("coordinates")
    try:
        found = [
            [_ring(ring) for ring in rings] for rings in (coordinates if kind == _KINDS[1] else [coordinates])
        ]
    except (ValueError, TypeError, KeyError, OverflowError):
        found = []
    if not found or not all(found):
        raise ValueError(f"expected corners of longitude and latitude, received {str(coordinates)[:60]}")
    corners = np.concatenate([ring for rings in found for ring in rings])
    outside = ~(np.abs(corners) <= np.array([180.0, 90.0]) + _ROUNDING_deg).all(axis=1)
    if outside.any():
        raise ValueError(f"expected degrees, received the corner {tuple(corners[outside][0].tolist())}")
    return found


def _ring(corners: Any) -> NDArray[np.float64]:
    ring = np.array([corner[:2] for corner in corners], dtype=np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2:
        raise ValueError(ring.shape)
    return ring
