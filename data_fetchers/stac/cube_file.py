"""A raster cube written block by block, so that its size is bounded by the disk and not by the memory."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from data_fetchers.stac.grids import Grid
from data_fetchers.stac.pixels import WHOLE, scale_of, stored
from yieldcast.data.files import atomic_write
from yieldcast.errors import MissingDataError
from yieldcast.pixels.cubes import BAND_DIMS, GRID, open_cube
from yieldcast.pixels.series_bands import BAND_OF, Floats

_CHUNK = 128
_FLAT = ("height", "angle")  # without steps
Slab = tuple[str, slice, slice, Floats]  # band, rows, columns, (step, row, column)


def write_cube_file(
    path: Path,
    grid: Grid,
    days: Sequence[dt.date],
    step: str,
    bands: Sequence[str],
    slabs: Callable[[], Iterator[Slab]],
    attributes: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
) -> None:
    """Write a cube that keeps the contract of `yieldcast.pixels.cubes`, whole or not at all.

    Args:
        path: netCDF-4 file.
        grid: of the pixels.
        days: first day of each step.
        step: kind of the steps.
        bands: names; elevation and slope have no steps.
        slabs: gives parts of bands in units of series, NaN where missing; elevation and slope as one step.
        attributes: of the whole file.
        items: images that were used, written as JSON in the variable ``items``.

    Raises:
        MissingDataError: the disk refuses, or has too little room.
        SchemaError: the file does not keep the contract.
    """

    _refuse_small_disk(path, grid, len(days), bands)

    def write(temporary: Path) -> None:
        with h5py.File(_created(temporary)) as handle, h5netcdf.File(handle, "a") as file:
            _frame(file, grid, days, step, bands, attributes, items)
            for band, rows, columns, values in slabs():
                kept = stored(band, values)
                file[band][(..., rows, columns)] = kept[0] if file[band].ndim == 2 else kept
        with open_cube(temporary):
            pass

    atomic_write(path, write)


def _refuse_small_disk(path: Path, grid: Grid, steps: int, bands: Sequence[str]) -> None:
    """HDF5 crashes the process when the disk becomes full: there must be room for uncompressed values."""
    numbers = sum(1 if BAND_OF[band].kind in _FLAT else steps for band in bands)
    needed, free = numbers * grid.height * grid.width * 4, shutil.disk_usage(path.absolute().parent).free
    if needed > free:
        raise MissingDataError(
            f"{path}: expected {needed / 1e9:.1f} GB of free disk, found {free / 1e9:.1f} GB",
            "Free some, or take a smaller box or fewer bands.",
        )


def _created(path: Path) -> Any:
    """An empty file without the time of its creation: the same values are the same bytes."""
    order = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED  # as netCDF-4 demands
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_link_creation_order(order)
    creation.set_attr_creation_order(order)
    creation.set_obj_track_times(False)
    return h5py.h5f.create(str(path).encode(), h5py.h5f.ACC_TRUNC, creation)


def _frame(
    file: Any,
    grid: Grid,
    days: Sequence[dt.date],
    step: str,
    bands: Sequence[str],
    attributes: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
) -> None:
    file.attrs.update({"Conventions": "CF-1.8", "step": step, **attributes})
    file.dimensions = {"time": len(days), "y": grid.height, "x": grid.width}
    time = file.create_variable("time", ("time",), np.int32)
    time[:] = np.array(days, "datetime64[D]").astype(np.int32)
    time.attrs["units"], time.attrs["calendar"] = "days since 1970-01-01", "proleptic_gregorian"
    for name, centres in zip(("y", "x"), grid.centres, strict=True):
        file.create_variable(name, (name,), np.float64)[:] = centres
        file[name].attrs["units"] = "m"
    mapping = file.create_variable(GRID, (), np.int64)
    mapping[...] = 0
    corner = (grid.x, grid.pixel, 0.0, grid.y, 0.0, -grid.pixel)
    mapping.attrs.update({"crs_wkt": grid.wkt, "spatial_ref": grid.wkt})
    mapping.attrs["GeoTransform"] = " ".join(repr(float(one)) for one in corner)
    for band in bands:
        _band(file, band, (len(days), grid.height, grid.width))
    text = json.dumps(list(items), ensure_ascii=False)
    file.create_variable("items", (), dtype=h5py.string_dtype())[...] = text
    file["items"].attrs["long_name"] = "images that were used, as JSON"


def _band(file: Any, band: str, shape: tuple[int, int, int]) -> None:
    kind = BAND_OF[band].kind
    flat = kind in _FLAT
    whole = kind in ("reflectance", "index")
    sides = (*(() if flat else shape[:1]), *(min(_CHUNK, side) for side in shape[1:]))
    made = file.create_variable(
        band, BAND_DIMS[1:] if flat else BAND_DIMS, np.int16 if whole else np.float32,
        fillvalue=np.int16(WHOLE) if whole else np.float32(np.nan), chunks=sides, compression="gzip",
        compression_opts=1, shuffle=True,
    )  # fmt: skip
    made.attrs.update({"units": BAND_OF[band].unit, "grid_mapping": GRID})
    if whole:
        made.attrs["scale_factor"] = np.float64(scale_of(band))
