"""NDVI and EVI of raster cubes, block by block with north up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.mapping.class_maps import Block, Box, overlapping
from yieldcast.pixels.cubes import GRID, transform_of

Floats = NDArray[np.float64]
Part = tuple[slice, slice]
INDICES = ("ndvi", "evi")
_BLOCK = 256  # pixels on a side: 36 steps of three bands are then 28 MB
# Huete et al. 2002, doi:10.1016/S0034-4257(02)00096-2, eq. 1: gain, factors of red and blue, background.
_GAIN, _RED, _BLUE, _CANOPY = 2.5, 6.0, 7.5, 1.0
_REFLECTANCE = 1e4  # the unit of reflectance in a cube


class IndexCube:
    """An opened cube, read in blocks with north up.

    Args:
        data: see `yieldcast.pixels.cubes`.
        path: for errors.
    """

    def __init__(self, data: xr.Dataset, path: Path) -> None:
        from rasterio import Affine
        from rasterio.crs import CRS

        self.data, self.path = data, path
        self.crs = CRS.from_wkt(data[GRID].attrs["crs_wkt"])
        y, x = (data[dim].values.astype(np.float64) for dim in ("y", "x"))
        self.turned = bool(y[-1] > y[0]), bool(x[-1] < x[0])
        y, x = y[::-1] if self.turned[0] else y, x[::-1] if self.turned[1] else x
        west, width, _, north, _, height = transform_of(y, x)
        self.transform = Affine(width, 0, west, 0, height, north)
        self.days = [day.astype("datetime64[D]").item() for day in data["time"].values]
        self.bands = _index_bands(data, path)

    def blocks(self) -> Iterator[Part]:
        """Rows and columns of each block, from north and west."""
        rows, columns = self.data.sizes["y"], self.data.sizes["x"]
        for row in range(0, rows, _BLOCK):
            for column in range(0, columns, _BLOCK):
                yield slice(row, min(row + _BLOCK, rows)), slice(column, min(column + _BLOCK, columns))

    def grid(self, part: Part) -> Block:
        """The pixels of a block, without values."""
        from rasterio import Affine

        rows, columns = part
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        corner = self.transform * Affine.translation(columns.start, rows.start)
        return Block(np.zeros(shape, np.int64), np.ones(shape, bool), corner, self.crs)

    def indices(self, part: Part) -> dict[str, Floats]:
        """(step, row, column) of each index, NaN where not clear."""
        read: dict[str, Floats] = {}
        for name in {band for bands in self.bands.values() for band in bands}:
            values = self.data[name]
            for dim, chosen, turned in zip(("y", "x"), part, self.turned, strict=True):
                size = self.data.sizes[dim]
                values = values.isel(
                    {dim: slice(size - chosen.stop, size - chosen.start) if turned else chosen}
                )
            order = tuple(slice(None, None, -1 if turned else 1) for turned in self.turned)
            read[name] = values.values.astype(np.float64)[(slice(None), *order)]
        found = {name: _index(name, [read[band] for band in bands]) for name, bands in self.bands.items()}
        return {name: np.where(np.abs(of) <= 1, of, np.nan) for name, of in found.items()}


def _index_bands(cube: xr.Dataset, path: Path) -> dict[str, tuple[str, ...]]:
    """The bands that each index is read or computed from."""
    found: dict[str, tuple[str, ...]] = {}
    for infrared, red, blue in (("B8", "B4", "B2"), ("NIR", "RED", "BLUE")):
        if infrared in cube and red in cube:
            found["ndvi"] = (infrared, red)
            if blue in cube:
                found["evi"] = (infrared, red, blue)
    found |= {name: (name.upper(),) for name in INDICES if name.upper() in cube}
    if not found:
        held = ", ".join(map(str, cube.data_vars))
        raise SchemaError(
            f"{path}: expected NDVI, EVI, or red and near infrared (B4 and B8, RED and NIR), received {held}",
            "Give cubes with these bands.",
        )
    return {name: found[name] for name in INDICES if name in found}


def _index(name: str, bands: Sequence[Floats]) -> Floats:
    if len(bands) == 1:
        return bands[0]
    infrared, red = bands[0] / _REFLECTANCE, bands[1] / _REFLECTANCE
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "ndvi":
            made: Floats = (infrared - red) / (infrared + red)
        else:
            blue = bands[2] / _REFLECTANCE
            made = _GAIN * (infrared - red) / (infrared + _RED * red - _BLUE * blue + _CANOPY)
    return made


def refuse_overlapping(cubes: Sequence[IndexCube]) -> None:
    """Refuse cubes that show the same place on the same day: their pixels would count twice."""
    from rasterio.warp import transform_bounds

    seen: list[tuple[IndexCube, Box]] = []
    for one in cubes:
        west, north = one.transform * (0, 0)
        east, south = one.transform * (one.data.sizes["x"], one.data.sizes["y"])
        box = transform_bounds(one.crs, "EPSG:4326", west, south, east, north)
        for other, held in seen:
            if set(one.days) & set(other.days) and overlapping(box, held):
                raise SchemaError(
                    f"expected cubes of one season side by side, {one.path} overlaps {other.path}",
                    "Give each place and day once.",
                )
        seen.append((one, box))
