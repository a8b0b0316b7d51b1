"""Zonal statistics: values of grid cells to values of municipalities, by nearest cell or polygon mean."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from yieldcast.data.boundaries import FETCH_AGAIN, Boundary, boundaries_of
from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError, SchemaError

LAND_SEARCH_km = 50.0
COVERED_SHARE = 0.95  # municipalities with less of their area in the grid are reported (our choice)
EARTH_RADIUS_km = 6371.0088  # mean radius R1 of GRS 80 (Moritz 2000, doi:10.1007/s001900050278)
_BLOCK = 64  # time steps of a product in double precision: 64 x 161 x 161 cells are 13 MB


class Points(NamedTuple):
    """The nearest cell of each place.

    Args:
        cell: (place) int64, flat index row * columns + column; -1 where no cell is near enough.
        distance_km: (place) float64, from the place to the cell's centre; NaN without a cell.
    """

    cell: NDArray[np.int64]
    distance_km: NDArray[np.float64]


class Weights(NamedTuple):
    """Weights of the cells in the mean of each municipality.

    Args:
        matrix: (municipality, cell) float64; a row sums to 1, or is empty without polygon or valid cell.
        covered: (municipality) float64, fraction of the polygon's area within the grid, 0 to 1. Masked cells
            (sea) are left out of both areas; NaN without a polygon, or where every cell is masked.
    """

    matrix: sparse.csr_matrix
    covered: NDArray[np.float64]


# How a grid maps to municipalities: one cell each, or the weights of a mean.
Place: TypeAlias = Points | Weights


def has_cell(place: Place) -> NDArray[np.bool_]:
    """(municipality) True where at least one cell is assigned."""
    if isinstance(place, Points):
        return np.asarray(place.cell >= 0)
    return np.asarray(np.diff(place.matrix.indptr) > 0)


def nearest(
    latitude: ArrayLike, longitude: ArrayLike, lat: ArrayLike, lon: ArrayLike, mask: ArrayLike | None = None
) -> Points:
    """The cell nearest to each place; with a mask the nearest valid cell within 50 km.

    Args:
        latitude, longitude: (row), (column), the grid's axes, evenly spaced, rising or falling (degrees).
        lat, lon: (place), -90 to 90 and -180 to 180 (degrees).
        mask: (row, column), True where a cell has values (land); all cells if None.
    """
    rows, columns = np.asarray(latitude, float), np.asarray(longitude, float)
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    valid = np.ones((len(rows), len(columns)), bool) if mask is None else np.asarray(mask, bool)
    cell, distance = np.full(lat.shape, -1, np.int64), np.full(lat.shape, np.nan)
    inside = _within(lat, rows) & _within(lon, columns)
    ids = np.flatnonzero(valid)
    if not inside.any() or not ids.size:
        return Points(cell, distance)
    centres = _unit_vectors(rows[ids // len(columns)], columns[ids % len(columns)])
    chord, index = cKDTree(centres).query(_unit_vectors(lat[inside], lon[inside]))
    km = 2 * EARTH_RADIUS_km * np.arcsin(np.minimum(chord / 2, 1))
    near = np.ones(len(km), bool) if mask is None else (km <= LAND_SEARCH_km)
    cell[inside] = np.where(near, ids[index], -1)
    distance[inside] = np.where(near, km, np.nan)
    return Points(cell, distance)


def spacing(axis: ArrayLike) -> float:
    """Step of an evenly spaced axis, above 0, in the axis's unit."""
    values = np.asarray(axis, float)
    return abs(float(values[-1] - values[0])) / max(len(values) - 1, 1)


def _within(place: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.bool_]:
    # One cell beyond the outer centres; 1e-6 for places exactly on that limit.
    room = spacing(axis) + 1e-6
    return np.asarray((place >= axis.min() - room) & (place <= axis.max() + room))


def _unit_vectors(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=-1)


def polygon_weights(
    mesh: Mapping[str, Any],
    municipalities: ArrayLike,
    latitude: ArrayLike,
    longitude: ArrayLike,
    mask: ArrayLike | None = None,
) -> Weights:
    """Weight of each cell in a municipality's mean: covered fraction of the cell times the cell's area.

    Args:
        mesh: see `yieldcast.data.boundaries`.
        municipalities: (municipality) int32, the order of the rows.
        latitude, longitude: (row), (column), the grid's axes, evenly spaced (degrees).
        mask: (row, column), True where a cell has values; all cells if None.

    Raises:
        ConfigError: exactextract is not installed.
        SchemaError: a polygon cannot be read.
    """
    rows, columns = np.asarray(latitude, float), np.asarray(longitude, float)
    codes = {int(code): row for row, code in enumerate(np.asarray(municipalities))}
    boundaries = [one for one in boundaries_of(mesh) if one.polygons and one.code in codes]
    # The grid is extended to hold all polygons, so that area outside the grid is measured in the same way.
    north, west, south, east = _room(boundaries, rows, columns)
    shape = north + len(rows) + south, west + len(columns) + east
    corner = rows.max() + north * spacing(rows), columns.min() - west * spacing(columns)
    index, cells, shares = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    outside = np.zeros(len(codes))
    for feature in _covered(boundaries, shape, corner, (spacing(rows), spacing(columns))):
        found = feature["properties"]
        row, column = np.divmod(np.asarray(found["cell_id"], np.int64), shape[1])
        row, column = row - north, column - west
        # On a sphere a cell's area is proportional to the cosine of its latitude.
        latitude_deg = rows.max() - row * spacing(rows)
        share = np.asarray(found["coverage"], float) * np.cos(np.radians(latitude_deg))
        within = (row >= 0) & (row < len(rows)) & (column >= 0) & (column < len(columns))
        outside[codes[int(found["code"])]] += share[~within].sum()
        row = row if rows[0] > rows[-1] else len(rows) - 1 - row
        index.append(np.full(within.sum(), codes[int(found["code"])]))
        cells.append((row * len(columns) + column)[within])
        shares.append(share[within])
    cell, share = np.concatenate(cells), np.concatenate(shares)
    if mask is not None:
        share = share * np.asarray(mask, bool).ravel()[cell]
    size = (len(codes), len(rows) * len(columns))
    weights = sparse.coo_matrix((share, (np.concatenate(index), cell)), size).tocsr()
    weights.eliminate_zeros()
    total = np.asarray(weights.sum(axis=1)).ravel()
    scale = sparse.diags(np.divide(1.0, total, out=np.zeros(len(total)), where=total > 0))
    whole = total + outside
    covered = np.divide(total, whole, out=np.full(len(total), np.nan), where=whole > 0)
    return Weights(sparse.csr_matrix(scale @ weights), covered)


def _room(
    boundaries: list[Boundary], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> tuple[int, int, int, int]:
    """Cells to add in the north, west, south and east so that the grid holds all polygons."""
    outlines = [polygon[0] for one in boundaries for polygon in one.polygons]
    corners = [np.empty((0, 2)), *outlines]
    x, y = np.concatenate(corners).T.clip([[-180], [-90]], [[180], [90]])
    if not len(x):
        return 0, 0, 0, 0

    def cells(beyond: float, axis: NDArray[np.float64]) -> int:
        return max(0, math.ceil(beyond / spacing(axis) - 0.5))  # a cell reaches half a step beyond its centre

    return (
        cells(y.max() - rows.max(), rows), cells(columns.min() - x.min(), columns),
        cells(rows.min() - y.min(), rows), cells(x.max() - columns.max(), columns),
    )  # fmt: skip


def _covered(
    boundaries: list[Boundary],
    shape: tuple[int, int],
    corner: tuple[float, float],
    steps: tuple[float, float],
) -> list[dict[str, Any]]:
    """Cells of each polygon and their covered fractions; `corner` is the centre of the north-western cell."""
    try:
        exactextract = importlib.import_module("exactextract")
        raster = importlib.import_module("exactextract.raster")
    except ImportError as error:
        raise ConfigError(
            "means over polygons need exactextract, which is not installed",
            "Install it with `pip install 'yieldcast[geo]'`, or take the weather at centroids.",
        ) from error
    if not boundaries:
        return []
    features = [
        {"type": "Feature", "properties": {"code": one.code}, "geometry": one.geometry} for one in boundaries
    ]
    (north, west), (high, wide) = corner, steps
    north, west = north + high / 2, west - wide / 2
    grid = raster.NumPyRasterSource(
        np.ones(shape, np.uint8), west, north - shape[0] * high, west + shape[1] * wide, north
    )
    try:
        return list(
            exactextract.exact_extract(grid, features, ["cell_id", "coverage"], include_cols=["code"])
        )
    except RuntimeError as error:
        raise SchemaError(f"mesh: expected polygons, one cannot be read ({error!r})", FETCH_AGAIN) from error


def cached_weights(
    folder: Path,
    mesh: Mapping[str, Any],
    municipalities: ArrayLike,
    latitude: ArrayLike,
    longitude: ArrayLike,
    mask: ArrayLike | None = None,
) -> Weights:
    """`polygon_weights`, saved in `folder` under a hash of all arguments and read from there next time."""
    digest = hashlib.sha256(json.dumps(mesh, sort_keys=True).encode())
    arrays = [np.asarray(a, float) for a in (municipalities, latitude, longitude)]
    for array in [*arrays, np.empty(0) if mask is None else np.asarray(mask, float)]:
        digest.update(repr(array.shape).encode() + array.tobytes())
    file = folder / f"weights-{digest.hexdigest()[:16]}.npz"
    # A damaged file is computed again. Opened here because numpy would leave a damaged file open.
    damaged = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)
    with suppress(*damaged), open(file, "rb") as handle, np.load(handle) as held:
        parts = held["data"], held["indices"], held["indptr"]
        return Weights(sparse.csr_matrix(parts, tuple(held["shape"])), held["covered"])
    weights = polygon_weights(mesh, municipalities, latitude, longitude, mask)
    matrix, covered = weights

    def write(path: Path) -> None:
        rows = {"indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array(matrix.shape)}
        np.savez(path, data=matrix.data, covered=covered, **rows)

    atomic_write(file, write)
    return weights


def with_nearest(weights: Weights, points: Points) -> tuple[Weights, int]:
    """The weights with each empty row replaced by the place's nearest cell, and the number of such rows."""
    empty = np.flatnonzero(~has_cell(weights) & (points.cell >= 0))
    ones = np.ones(len(empty))
    added = sparse.coo_matrix((ones, (empty, points.cell[empty])), weights.matrix.shape)
    return weights._replace(matrix=sparse.csr_matrix(weights.matrix + added)), len(empty)


def locate(
    latitude: ArrayLike,
    longitude: ArrayLike,
    mask: ArrayLike,
    static: xr.Dataset,
    mesh: Mapping[str, Any] | None,
    folder: Path | None = None,
) -> tuple[Place, list[tuple[str, int]]]:
    """How a grid maps to the municipalities, and what a reader should know about it, with counts.

    Args:
        latitude, longitude: (row), (column), the grid's axes, evenly spaced (degrees).
        mask: (row, column), True where a cell has values (land).
        static: municipality (int32), latitude_deg, longitude_deg of the centroids.
        mesh: for means over polygons; None for the cell nearest to the centroid. A municipality without
            polygon or cells takes the nearest cell.
        folder: where `cached_weights` keeps the weights; None computes them.

    Raises:
        ConfigError: polygons without exactextract installed.
        SchemaError: a polygon cannot be read.
    """
    centroids = static["latitude_deg"].values, static["longitude_deg"].values
    codes = static["municipality"].values
    points, plain = (nearest(latitude, longitude, *centroids, land) for land in (mask, None))
    place: Place = points
    notes = []
    if mesh is not None:
        keep = polygon_weights if folder is None else partial(cached_weights, folder)
        weights = keep(mesh, codes, latitude, longitude, mask)
        cut = has_cell(weights) & (weights.covered < COVERED_SHARE)
        share = f"{COVERED_SHARE:.0%}".replace("%", " %")
        notes.append((f"municipalities of which less than {share} lies within the grid", int(cut.sum())))
        place, filled = with_nearest(weights, points)
        notes.append(
            ("municipalities without polygon or cells in it: cell nearest to the centroid used", filled)
        )
    else:
        moved = (points.cell != plain.cell) & (points.cell >= 0)
        farthest = float(points.distance_km[moved].max()) if moved.any() else 0.0
        text = f"municipalities whose cell is sea: nearest land cell used, up to {farthest:.0f} km away"
        notes.append((text, int(moved.sum())))
    lost = codes[~has_cell(place)]
    text = f"municipalities outside the grid: {', '.join(map(str, lost[:5]))}{', ...' * (lost.size > 5)}"
    notes.append((text, int(lost.size)))
    return place, [(text, count) for text, count in notes if count]


def take(values: ArrayLike, place: Place) -> NDArray[np.float32]:
    """Values of municipalities from a gridded field.

    Args:
        values: (time, row, column) on the grid that `place` was made for.
        place: one cell per municipality, or the weights of a mean.

    Returns:
        (municipality, time) float32; NaN without a cell, and where any contributing cell is NaN.
    """
    field = np.asarray(values)
    field = field.reshape(len(field), -1)
    if isinstance(place, Points):
        result = field[:, place.cell].T.astype(np.float32)
    else:
        result = np.empty((place.matrix.shape[0], len(field)), np.float32)
        for start in range(0, len(field), _BLOCK):
            part = slice(start, start + _BLOCK)
            result[:, part] = place.matrix @ field[part].T
    result[~has_cell(place)] = np.nan
    return result
