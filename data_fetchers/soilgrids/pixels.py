"""Reads pixels of SoilGrids with GDAL and averages them per municipality.

The rule for the average is in the docstring of `data_fetchers.soilgrids.source`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import rasterio
import rasterio.features
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from data_fetchers.engine.source import pause
from data_fetchers.soilgrids.table import Row, Stored
from yieldcast.data.zonal import EARTH_RADIUS_km
from yieldcast.errors import FetchError

BASE_URL = "https://files.isric.org/soilgrids"
RADII_km = (1.0, 3.0, 10.0)
ENOUGH_VALID = 0.05  # share of a polygon's pixels that need a value
HOMOLOSINE = "ESRI:54052"  # ISRIC's own EPSG:152160 is unknown to PROJ
_KM_PER_DEGREE = math.pi / 180 * EARTH_RADIUS_km
_M_PER_DEGREE = 1000 * _KM_PER_DEGREE
# Accepted deviation of the pixel size from the size in the file name. The exact sizes are not verified (5 km
# may be 1/24 or 0.05 degree); the next resolution is at least twice as coarse or fine.
_PIXEL_TOLERANCE = 0.25
_EDGE = 1e-6  # a centroid on the edge of two pixels belongs to the one to the south or east
WRONG_FILE = f"Check that the base address is one of SoilGrids (default: {BASE_URL}) with this generation."
# rasterio 1.4 masks polygons in a temporary dataset (_io.pyx, MemoryDataset) and suppresses its warning about
# a missing geotransform with `warnings.catch_warnings`, which is not thread-safe: the warning may be printed,
# or all warnings of the process may stay suppressed.
_MASK_LOCK = threading.Lock()


class _Pixels(NamedTuple):
    """A window of a raster: stored numbers (row, column), True for valid ones, transform to degrees."""

    stored: NDArray[Any]
    valid: NDArray[np.bool_]
    transform: Affine

    def within(self, lat: float, lon: float, radius_km: float) -> NDArray[np.bool_]:
        """(row, column) True for pixels whose centre is within a radius of a point."""
        rows, columns = np.arange(self.valid.shape[0])[:, None], np.arange(self.valid.shape[1])[None, :]
        north = self.transform.f + self.transform.e * (rows + 0.5) - lat
        east = (self.transform.c + self.transform.a * (columns + 0.5) - lon) * math.cos(math.radians(lat))
        return np.asarray(np.hypot(north, east) * _KM_PER_DEGREE <= radius_km)


@dataclass(frozen=True)
class Raster:
    """An opened file on a longitude/latitude grid."""

    dataset: Any
    nodata: float
    crs: str

    def index(self, lat: float, lon: float) -> tuple[int, int]:
        """Row and column of the pixel that contains a point."""
        grid = self.dataset.transform
        return math.floor((lat - grid.f) / grid.e + _EDGE), math.floor((lon - grid.c) / grid.a + _EDGE)

    def block(self, place: Sequence[Any]) -> tuple[int, int]:
        """Sort key of a place: row and column of its block, so that neighbours are read together."""
        row, column = self.index(place[1], place[2])
        height, width = self.dataset.block_shapes[0]
        return row // height, column // width

    def read(self, west: float, south: float, east: float, north: float) -> _Pixels:
        """The pixels that a box (degrees) touches, within the file."""
        top, left = self.index(north, west)
        bottom, right = self.index(south, east)
        top, left = max(top, 0), max(left, 0)
        bottom, right = min(bottom + 1, self.dataset.height), min(right + 1, self.dataset.width)
        transform = self.dataset.transform * Affine.translation(left, top)
        if bottom <= top or right <= left:
            return _Pixels(np.empty((0, 0)), np.empty((0, 0), bool), transform)
        stored = self.dataset.read(1, window=Window(left, top, right - left, bottom - top))
        return _Pixels(stored, np.isfinite(stored) & (stored != self.nodata), transform)

    def around(self, lat: float, lon: float, radius_km: float) -> tuple[float, float, float, float]:
        """West, south, east, north of the box around a circle (degrees)."""
        north = radius_km / _KM_PER_DEGREE
        east = north / math.cos(math.radians(lat))
        return lon - east, lat - north, lon + east, lat + north


def row_of(
    raster: Raster, place: Sequence[Any], polygons: Mapping[int, Any], where: str, stored: Stored
) -> Row:
    """The value of one place, by the rule of `data_fetchers.soilgrids.source`.

    Args:
        raster: opened file.
        place: code, latitude, longitude (degrees).
        polygons: GeoJSON geometry by code; empty for centroids.
        where: ``centroid`` or ``polygon``.
        stored: conversion of the property.
    """
    pause(0)  # stops here on Ctrl-C
    code, lat, lon = place
    polygon = polygons.get(code)
    how = where if where == "centroid" or polygon else "no polygon"
    box = rasterio.features.bounds(polygon) if polygon else (lon, lat, lon, lat)
    pixels = raster.read(*box)
    own = _inside(pixels, polygon) if polygon else np.ones(pixels.valid.shape, bool)
    total, enough = int(own.sum()), max(1.0, ENOUGH_VALID * own.sum())
    chosen, radius = own & pixels.valid, 0.0
    if chosen.sum() < enough:
        wide = raster.around(lat, lon, RADII_km[-1])
        pixels = raster.read(*np.minimum(box, wide)[:2], *np.maximum(box, wide)[2:])
        own = _inside(pixels, polygon) if polygon else np.zeros(pixels.valid.shape, bool)
        for radius in RADII_km:
            area = own | pixels.within(lat, lon, radius)
            total, chosen = int(area.sum()), area & pixels.valid
            if chosen.sum() >= enough:
                break
    count = int(chosen.sum())
    if not count:
        return Row(code, math.nan, 0, total, math.nan, how)
    return Row(
        code, float(pixels.stored[chosen].mean(dtype=float)) * stored.factor, count, total, radius, how
    )


def _inside(pixels: _Pixels, polygon: Any) -> NDArray[np.bool_]:
    if not pixels.valid.size:
        return pixels.valid
    for touched in (False, True):
        with _MASK_LOCK:
            outside = rasterio.features.geometry_mask(
                [polygon], pixels.valid.shape, pixels.transform, all_touched=touched
            )
        if not outside.all():
            break
    return np.asarray(~outside)


@contextmanager
def opened(path: str, shown: str, stored: Stored, per_degree: int) -> Iterator[Raster]:
    """Context with a file on a longitude/latitude grid, warped if it is in the homolosine projection.

    Args:
        path: as GDAL opens it.
        shown: address or path for messages.
        stored: conversion of the property.
        per_degree: pixels per degree.

    Raises:
        FetchError: another grid than the file name implies, or several bands.
    """
    with rasterio.open(path) as file:
        _refuse_other_grid(file, shown, per_degree)
        tag = file.nodata
        nodata = stored.nodata if tag is None or math.isnan(tag) else tag
        crs = file.crs
        if crs is not None and crs.is_geographic:
            yield Raster(file, nodata, str(crs))
            return
        # the grid of the whole globe is cheap: only the windows that are read are warped
        grid = Affine(1 / per_degree, 0, -180, 0, -1 / per_degree, 90)
        known = crs is not None and "152160" not in crs.to_wkt()
        with WarpedVRT(
            file, src_crs=crs if known else HOMOLOSINE, crs="EPSG:4326", transform=grid,
            width=360 * per_degree, height=180 * per_degree, src_nodata=nodata, nodata=nodata,
        ) as warped:  # fmt: skip
            yield Raster(warped, nodata, str(crs) if known else HOMOLOSINE)


def _refuse_other_grid(file: Any, shown: str, per_degree: int) -> None:
    grid, degrees = file.transform, file.crs is not None and file.crs.is_geographic
    size, unit = (1 / per_degree, "degree") if degrees else (_M_PER_DEGREE / per_degree, "m")
    found = ""
    if file.count != 1:
        found = f"{file.count} bands"
    elif grid.b or grid.d or grid.a <= 0 or grid.e >= 0:
        found = f"a grid that is not north-up ({', '.join(f'{x:g}' for x in grid[:6])})"
    elif max(abs(side / size - 1) for side in (grid.a, -grid.e)) > _PIXEL_TOLERANCE:
        found = f"pixels of {grid.a:.4g} x {-grid.e:.4g} {unit}"
    if found:
        raise FetchError(
            f"{shown}: expected one band, north-up, of pixels of about {size:.4g} {unit}; received {found}",
            f"The file does not match its name: download it from {BASE_URL}.",
        )
