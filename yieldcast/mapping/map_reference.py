"""A finished map against reference classes: another raster, or a table of labelled points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.mapping.aligned import on_grid
from yieldcast.mapping.class_maps import CLASS_FILE, ClassMap, open_map
from yieldcast.mapping.raster_inputs import Grid, Window, opened_geotiff
from yieldcast.mapping.raster_series import windows
from yieldcast.mapping.reference_points import read_points

_SIDE = 512  # pixels that are compared at a time
_RASTERS = (".tif", ".tiff", ".vrt")


@dataclass(frozen=True)
class MapReference:
    """Reference classes of a map.

    Args:
        path: GeoTIFF, or CSV of lon, lat, label.
        classes: of the map.
        values: of the raster, the value of each class of the map; empty for a table.
    """

    path: Path
    classes: tuple[str, ...]
    values: tuple[int, ...] = ()

    @classmethod
    def of(cls, path: Path, classes: Sequence[str]) -> MapReference:
        """A reference, checked as far as a map is not needed.

        A raster with names of classes (tags of our maps, or category names of GDAL) is read by them; in one
        without, value k is class k of the map, from 1.

        Raises:
            MissingDataError: no such file.
            SchemaError: no raster or table, no coordinate system, or classes that the map does not have.
        """
        if not path.is_file():
            raise MissingDataError(f"no reference {path}", "Give a GeoTIFF of classes, or a CSV of points.")
        if path.suffix.lower() not in _RASTERS:
            return cls(path, tuple(classes))
        known = open_map(path).classes or {name: k for k, name in enumerate(classes, 1)}
        if not set(classes) & set(known):
            raise SchemaError(
                f"{path}: expected classes of the map ({', '.join(classes)}), received {', '.join(known)}",
                "Name the classes of the reference as in the training.",
            )
        return cls(path, tuple(classes), tuple(known.get(name, -1) for name in classes))

    def on(self, grid: Grid) -> NDArray[np.uint8] | None:
        """(row, column) values as in the map, 0 where there is no reference; None for points.

        Raises:
            SchemaError: a value that is no class of the map.
        """
        if not self.values:
            return None
        found, valid = on_grid(self.path, grid)
        made = np.zeros(found.shape, np.uint8)
        for k, value in enumerate(self.values, 1):
            made[valid & (found == value)] = k
        if other := np.setdiff1d(found[valid & (made == 0)], [0]).tolist():
            raise SchemaError(
                f"{self.path}: expected classes of the map, received the values {other[:5]}",
                "Set other classes to nodata, or name them as in the training.",
            )
        return made

    def compare(self, folder: Path) -> dict[str, Any]:
        """Counts and scores of the map in a folder, for ``map.json``.

        Raises:
            SchemaError: values or labels that are no classes of the map, or nothing to compare.
        """
        if self.values:
            counts = self._counts_of_pixels(folder)
        else:
            plain = ClassMap(folder / CLASS_FILE, {name: k for k, name in enumerate(self.classes, 1)})
            points = read_points(self.path, [plain])
            counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
            position = [value - 1 for value in points.values]
            counts[np.ix_(position, position)] = points.counts.T
        if not counts.any():
            raise SchemaError(
                f"{self.path}: expected reference classes within the map, received none",
                "Does it lie elsewhere, or has it no class where the map has one?",
            )
        return {"file": self.path.name, **agreement(counts, self.classes)}

    def _counts_of_pixels(self, folder: Path) -> NDArray[np.int64]:
        """(true class, mapped class)."""
        count = len(self.classes) + 1
        total = np.zeros(count * count, np.int64)
        for grid, shown in _parts(folder):
            truth = self.on(grid)
            if truth is not None:
                codes = truth.astype(np.int64) * count + shown
                total += np.bincount(codes.ravel(), minlength=count * count)
        made: NDArray[np.int64] = total.reshape(count, count)[1:, 1:]
        return made


def _parts(folder: Path) -> Iterator[tuple[Grid, NDArray[np.uint8]]]:
    from rasterio.windows import Window as Part

    with opened_geotiff(folder / CLASS_FILE) as raster:
        grid = Grid(raster.crs.to_wkt(), tuple(map(float, raster.transform.to_gdal())), *raster.shape)
        for window in windows(Window(0, 0, grid.height, grid.width), _SIDE):
            height, width = window.shape
            yield grid.part(window), raster.read(1, window=Part(window.left, window.top, width, height))


def agreement(counts: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy and F1 from counts.

    Args:
        counts: (true class, mapped class).
        classes: names.

    Returns:
        number compared, accuracy, macro-F1 of the classes that the reference or the map has there, F1 of each
        (None where neither has it), and the counts.
    """
    hits, true, shown = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    there = true + shown
    f1 = {
        name: float(2 * hits[k] / there[k]) if there[k] else None for k, name in enumerate(classes)
    }  # F1 = 2 TP / (2 TP + FP + FN)
    known = [one for one in f1.values() if one is not None]
    return {
        "count": int(counts.sum()), "accuracy": float(hits.sum() / counts.sum()),
        "macro_f1": float(np.mean(known)), "f1": f1, "counts": counts.tolist(),
    }  # fmt: skip
