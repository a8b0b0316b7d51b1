"""Where pixels are wanted: blocks of a grid in metres over a box, or groups of points.

A box (west, south, east, north; degrees) may cross the 180th meridian: its west is then larger than its east.
The grid lies in the zone of UTM of the middle of the box (MODIS: in its sinusoidal projection). Its edges are
whole multiples of the pixel, as those of Sentinel-2, HLS and MODIS are, so that pixels of the same zone are
taken as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from yieldcast.errors import ConfigError

Box = tuple[float, float, float, float]
Target = dict[str, Any]  # JSON: a block of a grid, or points; see `Grid.blocks` and `point_groups`
DEGREES = "EPSG:4326"
BLOCK = 1024  # pixels of a side: bounds the memory of compositing
_CELL_deg = 0.5  # points of one cell share a search
_GROUP = 500  # points of one request
_SIDE = 21  # points on each side of a box that is projected
_ROUNDING = 1e-6  # of a pixel


def check_box(box: Sequence[float]) -> Box:
    """The box, if it is one.

    Raises:
        ConfigError: not four numbers in degrees, or empty, or beyond the zones of UTM.
    """
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise ConfigError(f"expected a box of west,south,east,north, received {list(box)}")
    west, south, east, north = map(float, box)
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90) or west == east:
        raise ConfigError(
            f"expected west,south,east,north in degrees with south below north, received {list(box)}",
            "For example -55.6,-12.1,-55.4,-11.9; west above east crosses the 180th meridian.",
        )
    if south < -80 or north > 84:
        raise ConfigError(f"expected a box between 80 S and 84 N, received {list(box)}")
    return west, south, east, north


def halves(box: Box) -> list[Box]:
    """The box, or its two parts on the sides of the 180th meridian."""
    west, south, east, north = box
    return [box] if west < east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def touches(box: Box, other: Box) -> bool:
    """Whether two boxes have a point in common, on whichever side of the 180th meridian."""
    west, south, east, north = box
    width, others = (east - west) % 360 or 360.0, (other[2] - other[0]) % 360 if other[2] != other[0] else 0.0
    ahead, behind = (other[0] - west) % 360, (west - other[0]) % 360
    return south <= other[3] and other[1] <= north and (ahead <= width or behind <= others)


def utm(latitude: float, longitude: float) -> str:
    """EPSG code of the zone of UTM."""
    zone = int((longitude + 180) % 360 // 6) + 1
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


@dataclass(frozen=True)
class Grid:
    """North-up square pixels.

    Args:
        crs: EPSG code or PROJ text.
        x, y: corner in the north-west (m).
        pixel: side (m).
        height, width: pixels.
    """

    crs: str
    x: float
    y: float
    pixel: float
    height: int
    width: int

    @property
    def wkt(self) -> str:
        """The coordinate system as WKT."""
        return str(CRS.from_user_input(self.crs).to_wkt())

    @property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """y and x of the pixels' centres (m)."""
        rows, columns = (np.arange(n, dtype=np.float64) + 0.5 for n in (self.height, self.width))
        return self.y - rows * self.pixel, self.x + columns * self.pixel

    def blocks(self) -> Iterator[tuple[slice, slice, Target]]:
        """Rows, columns and target of each block."""
        for row in range(0, self.height, BLOCK):
            for column in range(0, self.width, BLOCK):
                height, width = min(BLOCK, self.height - row), min(BLOCK, self.width - column)
                target = {
                    "crs": self.crs, "x": self.x + column * self.pixel, "y": self.y - row * self.pixel,
                    "pixel": self.pixel, "height": height, "width": width,
                }  # fmt: skip
                yield slice(row, row + height), slice(column, column + width), target


def grid_of(box: Box, pixel_m: float, crs: str = "") -> Grid:
    """The grid that covers a box.

    Args:
        box: checked.
        pixel_m: side of a pixel (m).
        crs: coordinate system in metres; the zone of UTM if empty.

    Raises:
        ConfigError: fewer than two pixels on a side.
    """
    west, south, east, north = box
    east += 360 if east < west else 0
    code = crs or utm((south + north) / 2, (west + east) / 2)
    side = np.linspace(0, 1, _SIDE)
    lon = np.concatenate([west + (east - west) * side] * 2 + [np.full(_SIDE, west), np.full(_SIDE, east)])
    lat = np.concatenate(
        [np.full(_SIDE, south), np.full(_SIDE, north)] + [south + (north - south) * side] * 2
    )
    xs, ys = (np.array(one) / pixel_m for one in transform(DEGREES, code, lon, lat))
    left, bottom = math.floor(xs.min() + _ROUNDING), math.floor(ys.min() + _ROUNDING)
    right, top = math.ceil(xs.max() - _ROUNDING), math.ceil(ys.max() - _ROUNDING)
    if right - left < 2 or top - bottom < 2:
        raise ConfigError(
            f"expected a box of two pixels or more on each side, received {right - left} x {top - bottom} "
            f"pixels of {pixel_m:g} m",
            "Give a larger box, or points with --places.",
        )
    return Grid(code, left * pixel_m, top * pixel_m, pixel_m, top - bottom, right - left)


def affine_of(target: Target) -> Affine:
    """Pixel to metre of a block."""
    return Affine(target["pixel"], 0, target["x"], 0, -target["pixel"], target["y"])


def shape_of(target: Target) -> tuple[int, int]:
    """Rows and columns of a target; points are one row."""
    if "pixel" in target:
        return target["height"], target["width"]
    return 1, len(target["latitude"])


def box_of(target: Target) -> Box:
    """The box around a target (degrees)."""
    if "pixel" not in target:
        lat, lon = target["latitude"], target["longitude"]
        return min(lon), min(lat), max(lon), max(lat)
    height, width = shape_of(target)
    side = np.linspace(0, 1, _SIDE)
    across, down = np.meshgrid(side * width, side * height)
    x, y = affine_of(target) * (across.ravel(), down.ravel())
    lon, lat = (np.array(one) for one in transform(target["crs"], DEGREES, x, y))
    middle = transform(target["crs"], DEGREES, [x.mean()], [y.mean()])[0][0]
    lon = (lon - middle + 180) % 360 - 180 + middle  # near the middle, on whichever side of 180 degrees
    return _wrapped(lon.min()), float(lat.min()), _wrapped(lon.max()), float(lat.max())


def _wrapped(longitude: float) -> float:
    return float((longitude + 180) % 360 - 180)


def point_groups(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Indices of neighbouring points, at most 500 in a group.

    Args:
        latitude, longitude: (point,) degrees.
    """
    cells: dict[tuple[int, int], list[int]] = {}
    for k, (lat, lon) in enumerate(zip(latitude.tolist(), longitude.tolist(), strict=True)):
        cells.setdefault((math.floor(lat / _CELL_deg), math.floor(lon / _CELL_deg)), []).append(k)
    return [
        np.array(members[start : start + _GROUP])
        for _, members in sorted(cells.items())
        for start in range(0, len(members), _GROUP)
    ]


def points_target(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> Target:
    """Target of points (degrees)."""
    return {
        "latitude": np.round(latitude, 7).tolist(),
        "longitude": [_wrapped(one) for one in np.round(longitude, 7).tolist()],
    }
