"""True areas on the ellipsoid: of polygons in degrees, and of the pixels of a raster in any projection.

Everything goes through Lambert's cylindrical equal-area projection of the WGS 84 ellipsoid (Snyder 1987, "Map
projections: a working manual", USGS Professional Paper 1395, equations 3-12 and 10-14 with the equator as the
standard parallel): x = a * longitude and y = a * q / 2, with q of the latitude. Areas in that plane are areas
on the ellipsoid. A projection that changes areas (UTM by up to 0.1 %), or that is made for a sphere (MODIS
sinusoidal: 0.4 % at 12 degrees south), is thus corrected pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# WGS 84 (NIMA TR8350.2, table 3.1); GRS 80, of ETRS 89 and others, differs by 1e-10 of the area.
SEMI_MAJOR_m = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY = np.sqrt(_FLATTENING * (2 - _FLATTENING))
HECTARE_m2 = 10_000.0
# Between the nodes at which the area of a pixel is computed, linear between them (error below 1e-6, tested)
_NODES, _NODES_m = 16, 8000.0


def equal_area_y(latitude_deg: ArrayLike) -> Floats:
    """y (m) in Lambert's cylindrical equal-area projection of the ellipsoid.

    Args:
        latitude_deg: any shape, geodetic latitude, -90 to 90 (degrees).
    """
    sine = np.sin(np.radians(np.asarray(latitude_deg, np.float64)))
    e = _ECCENTRICITY
    q = (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
    return np.asarray(SEMI_MAJOR_m * q / 2)


def equal_area(longitude_deg: ArrayLike, latitude_deg: ArrayLike) -> tuple[Floats, Floats]:
    """x and y (m) in the same projection, see `equal_area_y`."""
    x = SEMI_MAJOR_m * np.radians(np.asarray(longitude_deg, np.float64))
    return np.asarray(x), equal_area_y(latitude_deg)


def polygons_ha(polygons: Sequence[Sequence[Floats]]) -> float:
    """Area of polygons in degrees (ha); sides are straight in the equal-area plane.

    Args:
        polygons: rings of each polygon, the outline and then its holes, each (corner, 2) longitude, latitude.
    """
    total = 0.0
    for outline, *holes in polygons:
        total += _ring_m2(outline) - sum(_ring_m2(hole) for hole in holes)
    return total / HECTARE_m2


def _ring_m2(ring: Floats) -> float:
    x, y = equal_area(ring[:, 0], ring[:, 1])
    x, y = x - x[0], y - y[0]  # differences of large numbers lose digits
    return abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2


def pixels_ha(transform: Any, crs: Any, shape: tuple[int, int]) -> Floats:
    """Area of each pixel of a part of a raster (ha), shape (row, column).

    Args:
        transform: affine, of this part; rows and columns along the axes of `crs`.
        crs: coordinate reference system, as rasterio has it.
        shape: rows and columns.
    """
    rows, columns = shape
    if crs.is_geographic:  # every pixel of a row has the same area
        edges = equal_area_y(np.clip(transform.f + transform.e * np.arange(rows + 1), -90, 90))
        width = SEMI_MAJOR_m * np.radians(abs(transform.a))
        heights = np.abs(np.diff(edges))
        return np.broadcast_to((heights * width / HECTARE_m2)[:, None], shape).copy()
    step = int(np.clip(_NODES_m / (abs(transform.a) * crs.linear_units_factor[1]), 1, _NODES))
    row, column = _nodes(rows, step), _nodes(columns, step)
    area = _node_areas_m2(transform, crs, row, column) / HECTARE_m2
    along = np.array([np.interp(np.arange(columns), column, one) for one in area])
    return np.array([np.interp(np.arange(rows), row, one) for one in along.T]).T


def _nodes(count: int, step: int) -> NDArray[np.int64]:
    return np.unique(np.append(np.arange(0, count, step), count - 1)).astype(np.int64)


def _node_areas_m2(transform: Any, crs: Any, row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
    """Area of the pixels at some rows and columns, from their four corners."""
    from rasterio.warp import transform as to_other

    down, right = np.meshgrid(row, column, indexing="ij")
    corners = [(down + i, right + j) for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))]
    x = np.array([transform.c + transform.a * j for _, j in corners]).ravel()
    y = np.array([transform.f + transform.e * i for i, _ in corners]).ravel()
    longitude, latitude = to_other(crs, "EPSG:4326", x, y)[:2]
    east, north = equal_area(longitude, latitude)
    east, north = (np.reshape(values, (4, *down.shape)) for values in (east, north))
    # a pixel on the 180th meridian has corners on both sides of it
    around = 2 * np.pi * SEMI_MAJOR_m
    east = east[0] + (east - east[0] + around / 2) % around - around / 2
    crossed = east * np.roll(north, -1, axis=0) - np.roll(east, -1, axis=0) * north
    return np.asarray(np.abs(crossed.sum(axis=0)) / 2)
