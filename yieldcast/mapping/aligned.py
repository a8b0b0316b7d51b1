"""Another raster on the grid of a map: which pixels to map, and reference classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError
from yieldcast.mapping.raster_inputs import Grid, opened_geotiff


def on_grid(path: Path, grid: Grid) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values of the first band of a raster at the pixel centres of a grid, and where there are any.

    Raises:
        MissingDataError: no such file.
        SchemaError: it is no raster, or has no coordinate system.
    """
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    if not path.is_file():
        raise MissingDataError(f"no raster {path}", "Give a GeoTIFF.")
    with opened_geotiff(path) as raster, WarpedVRT(
        raster, crs=grid.crs, transform=grid.affine, width=grid.width, height=grid.height,
        resampling=Resampling.nearest, add_alpha=raster.nodata is None,
    ) as warped:  # fmt: skip
        return warped.read(1), warped.read_masks(1) > 0


def wanted_pixels(mask: Path, grid: Grid) -> NDArray[np.bool_]:
    """(row, column) where a mask has a value other than 0."""
    values, valid = on_grid(mask, grid)
    wanted: NDArray[np.bool_] = valid & (values != 0)
    return wanted
