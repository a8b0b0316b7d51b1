"""Areas of the classes of a map within polygons, block by block: memory does not grow with the raster."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.mapping.areas import pixels_ha
from yieldcast.mapping.class_maps import Block, ClassMap, blocks

Progress = Callable[[int, int], None]
Areas = dict[tuple[int, int], float]  # (zone, value of the class) -> ha
_SIDE_deg = 0.05  # longest side of a polygon before it is moved to another projection: straight within 1 m
WHOLE = -1  # the zone of all pixels


class Zone(NamedTuple):
    """A polygon within which areas are added.

    Args:
        number: its key in the result.
        shape: shapely geometry in degrees, longitude first.
    """

    number: int
    shape: Any


class Cell(NamedTuple):
    """The part of a municipality in one cell of a weather grid.

    Args:
        municipality: code.
        row, column: of the cell, from the south pole and from 180 degrees west.
        shape: shapely geometry in degrees.
    """

    municipality: int
    row: int
    column: int
    shape: Any


def class_areas(
    found: ClassMap, zones: Sequence[Zone] = (), progress: Progress | None = None, side: int = 1024
) -> Areas:
    """True area of each class within each zone, and of the whole map (zone `WHOLE`).

    A pixel on the border of a polygon counts with the part of it that lies inside; pixels have their area on
    the ellipsoid (`areas.pixels_ha`).

    Args:
        found: the map.
        zones: polygons, which may touch.
        progress: called with blocks done and all.
        side: of the blocks, pixels; it changes results by rounding only.

    Raises:
        ConfigError: zones without exactextract and shapely installed.
        SchemaError: contents of the map that cannot be read.
    """
    total: Areas = {}
    cut = Zones(zones) if zones else None
    for done, count, block in blocks(found, side):
        if progress is not None:
            progress(done, count)
        if not block.valid.any():
            continue
        ha = pixels_ha(block.transform, block.crs, block.values.shape)
        values, index = np.unique(block.values[block.valid], return_inverse=True)
        _add(total, WHOLE, values, np.bincount(index.ravel(), ha[block.valid]))
        if cut is not None:
            position = np.full(block.values.shape, len(values))
            position[block.valid] = index.ravel()
            flat_ha, flat = np.ravel(ha), np.ravel(position)
            for zone, cells, share in cut.covered(block):
                sums = np.bincount(flat[cells], share * flat_ha[cells], minlength=len(values) + 1)
                _add(total, zone, values, sums[: len(values)])
    if progress is not None:
        progress(1, 1)
    return total


def _add(total: Areas, zone: int, values: NDArray[np.int64], ha: NDArray[Any]) -> None:
    for value, area in zip(values.tolist(), ha.tolist(), strict=True):
        if area > 0:
            total[zone, value] = total.get((zone, value), 0.0) + area


class Zones:
    """Zones in the projection of a map, found by their boxes.

    Args:
        zones: in degrees.
    """

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.zones = zones
        self._crs: Any = None
        self._shapes: Any = None
        self._tree: Any = None
        self._exact, self._raster, self._shapely = _libraries()

    def covered(self, block: Block) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
        """Zones that touch a block: number, cells (flat index) and the covered share of each."""
        if self._crs != block.crs:
            self._move(block.crs)
        rows, columns = block.values.shape
        west, north = block.transform.c, block.transform.f
        east, south = west + block.transform.a * columns, north + block.transform.e * rows
        near = np.sort(self._tree.query(self._shapely.box(west, south, east, north)))
        if not near.size:
            return
        features = [
            {
                "type": "Feature", "properties": {"zone": int(i)},
                "geometry": self._shapely.geometry.mapping(self._shapes[i]),
            }
            for i in near
        ]  # fmt: skip
        grid = self._raster.NumPyRasterSource(np.ones((rows, columns), np.uint8), west, south, east, north)
        try:
            answer = self._exact.exact_extract(grid, features, ["cell_id", "coverage"], include_cols=["zone"])
        except RuntimeError as error:
            raise SchemaError(f"places: a polygon cannot be read ({error})", "Mend the polygons.") from error
        for feature in answer:
            one = feature["properties"]
            cells = np.asarray(one["cell_id"], np.int64)
            if cells.size:
                yield self.zones[int(one["zone"])].number, cells, np.asarray(one["coverage"], np.float64)

    def _move(self, crs: Any) -> None:
        """The zones in another projection."""
        shapes = np.array([zone.shape for zone in self.zones], dtype=object)
        if not crs.is_geographic:
            from rasterio.warp import transform

            def to_map(corners: NDArray[np.float64]) -> NDArray[np.float64]:
                x, y = transform("EPSG:4326", crs, corners[:, 0], corners[:, 1])[:2]
                return np.stack([np.asarray(x), np.asarray(y)], axis=1)

            shapes = self._shapely.transform(self._shapely.segmentize(shapes, _SIDE_deg), to_map)
        self._crs, self._shapes, self._tree = crs, shapes, self._shapely.STRtree(shapes)


def _libraries() -> tuple[Any, Any, Any]:
    try:
        importlib.import_module("shapely.geometry")
        return (
            importlib.import_module("exactextract"), importlib.import_module("exactextract.raster"),
            importlib.import_module("shapely"),
        )  # fmt: skip
    except ImportError as error:
        raise ConfigError(
            "areas within polygons need exactextract and shapely, which are not installed",
            "Install them with: pip install 'yieldcast[geo]'",
        ) from error


def cells_of(shapes: Mapping[int, Any], step_deg: float) -> list[Cell]:
    """Polygons cut along the borders of the cells of a weather grid.

    Args:
        shapes: shapely geometry by municipality, in degrees.
        step_deg: of the grid; centres are multiples of it.

    """
    shapely = _libraries()[2]
    found = []
    for code, shape in shapes.items():
        west, south, east, north = shapely.bounds(shape)
        rows = _cell(south, 90, step_deg), _cell(north, 90, step_deg)
        columns = _cell(west, 180, step_deg), _cell(east, 180, step_deg)
        every = np.meshgrid(np.arange(rows[0], rows[1] + 1), np.arange(columns[0], columns[1] + 1))
        row, column = (one.ravel() for one in every)
        y, x = row * step_deg - 90, column * step_deg - 180
        half = step_deg / 2
        parts = shapely.intersection(shape, shapely.box(x - half, y - half, x + half, y + half))
        for i in np.flatnonzero(shapely.area(parts) > 0):
            found.append(Cell(code, int(row[i]), int(column[i]), only_polygons(parts[i], shapely)))
    return found


def _cell(degrees: float, offset: int, step_deg: float) -> int:
    return int(np.floor((degrees + offset) / step_deg + 0.5))


def rings_of(shape: Any, shapely: Any) -> list[list[NDArray[np.float64]]]:
    """Rings of each polygon, the outline first, as `areas.polygons_ha` takes them."""
    return [
        [shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors)]
        for part in shapely.get_parts(shape)
    ]


def only_polygons(shape: Any, shapely: Any) -> Any:
    """The polygons of a shape, without lines and points where two borders touch."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = [part for part in shapely.get_parts(shape) if part.geom_type in ("Polygon", "MultiPolygon")]
    return shapely.union_all(parts)
