"""Raster cubes: the bands of a season on a grid of pixels, as netCDF; the input of crop-type maps.

Contract (``create_cube`` makes it, ``write_cube`` writes it, ``open_cube`` reads it lazily and checks it):

=================  =============  =========================================================================
variable           dims           meaning
=================  =============  =========================================================================
NDVI, B4, VV, ...  time, y, x     one for each band, named as in `series_bands`; NaN where missing; in its
                                  units. In files float32, or whole numbers with scale_factor, add_offset
                                  and _FillValue (CF)
elevation, slope   y, x           optional; m, degrees
time               time           first day of each step: of a month, of ten days (1, 11, 21), or of 16 days
                                  (from 1 January of each year, as MODIS)
y, x               y, x           centres of the pixels, evenly spaced, in the unit of the coordinate system
spatial_ref        -              attributes crs_wkt, and GeoTransform (x of the upper left corner, width, 0,
                                  y of that corner, 0, -height), as rioxarray writes them
=================  =============  =========================================================================

The attribute ``step`` of the Dataset is month, ten-days or 16-days. Every band variable has the attributes
units and grid_mapping.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from yieldcast.data.files import atomic_write, netcdf_content, open_hdf5
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.pixels.pixel_series import STEPS
from yieldcast.pixels.series_bands import BAND_OF, POSSIBLE, SERIES_BANDS, STATIC_BANDS, Floats, band_name

Days = NDArray[np.datetime64]
BAND_DIMS, GRID = ("time", "y", "x"), "spatial_ref"
_DAY_NAMES = ("time", "t")  # of the steps; t is that of openEO
_STATIC = tuple(band.name for band in STATIC_BANDS)
_CHUNK = 128  # pixels of a side: a block of a map reads little more than it needs
_UNEVEN = 1e-3  # of a pixel, by which spacings may differ: files round their coordinates
_HINT = "Write cubes with yieldcast.pixels.cubes.create_cube and write_cube, or see the docs on crop maps."


def create_cube(
    bands: Mapping[str, Floats],
    time: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    crs_wkt: str,
    step: str,
    static: Mapping[str, Floats] | None = None,
) -> xr.Dataset:
    """A checked cube.

    Args:
        bands: name -> (time, y, x) in the unit of `series_bands`, NaN where missing.
        time: (time,) first day of each step.
        y, x: centres of the pixels; y usually falls.
        crs_wkt: coordinate system, as WKT.
        step: one of `pixel_series.STEPS`.
        static: elevation and slope, (y, x).

    Raises:
        SchemaError: as `check_cube`, or values that are not possible in the unit of their band.
    """
    names = [band.name for band in SERIES_BANDS if band.name in bands]
    if unknown := sorted(set(bands) - set(names)):
        known = ", ".join(band.name for band in SERIES_BANDS)
        raise SchemaError(f"cube: unknown bands {', '.join(unknown)}", f"Known: {known}.")
    data: dict[str, Any] = {name: (BAND_DIMS, np.asarray(bands[name], np.float32)) for name in names}
    data |= {name: (BAND_DIMS[1:], np.asarray(of, np.float32)) for name, of in (static or {}).items()}
    across, down = np.asarray(x, np.float64), np.asarray(y, np.float64)
    cube = xr.Dataset(
        data,
        coords={"time": np.asarray(time, "datetime64[ns]"), "y": down, "x": across, GRID: 0},
        attrs={"step": step, "Conventions": "CF-1.8"},
    )
    cube[GRID].attrs = {"crs_wkt": crs_wkt, "spatial_ref": crs_wkt}
    if across.size > 1 and down.size > 1:
        corner = transform_of(down, across)
        cube[GRID].attrs["GeoTransform"] = " ".join(repr(float(one)) for one in corner)
    for name in data:
        cube[name].attrs = {"units": BAND_OF[name].unit, "grid_mapping": GRID}
    check_cube(cube)
    _check_values(cube)
    return cube


def transform_of(y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[float, ...]:
    """The six numbers of a GDAL GeoTransform, from the centres of the pixels."""
    width, height = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
    return float(x[0] - width / 2), float(width), 0.0, float(y[0] - height / 2), 0.0, float(height)


def write_cube(path: Path, cube: xr.Dataset) -> None:
    """Write a cube as compressed netCDF-4, whole or not at all.

    Raises:
        SchemaError: as `check_cube`.
        MissingDataError: the disk refuses.
    """
    check_cube(cube, str(path))
    encoding: dict[str, Any] = {"time": {"units": "days since 1970-01-01", "dtype": "int32"}}
    for name in (*bands_of(cube), *(name for name in _STATIC if name in cube)):
        sides = tuple(min(_CHUNK, cube.sizes[dim]) for dim in BAND_DIMS[1:])
        chunks = (cube.sizes["time"], *sides) if cube[name].ndim == 3 else sides
        encoding[name] = {"zlib": True, "complevel": 1, "dtype": "float32", "chunksizes": chunks}
    content = netcdf_content(cube.drop_encoding(), encoding)
    atomic_write(path, lambda temporary: temporary.write_bytes(content))


@contextmanager
def open_cube(path: Path) -> Iterator[xr.Dataset]:
    """A checked cube whose values are read when they are used, while the file is open.

    Bands may be named as tables name them (B02, ndvi); the dimension t is time; a missing attribute ``step``
    is found from the days.

    Raises:
        MissingDataError: no such file.
        SchemaError: not netCDF-4, or as `check_cube`.
    """
    if not path.is_file():
        raise MissingDataError(f"no cube {path}", "Give a netCDF file of raster bands.")
    try:
        opened = open_hdf5(path)
    except (ValueError, OSError, KeyError, TypeError, RuntimeError) as error:
        raise SchemaError(f"{path}: not a netCDF-4 file: {error}", _HINT) from None
    with opened:
        yield check_cube(_with_our_names(opened, str(path)), str(path))


def _with_our_names(opened: xr.Dataset, where: str) -> xr.Dataset:
    """Names of bands, dims and the grid mapping as in the contract, and the step."""
    names: dict[str, str] = {}
    for text in map(str, opened.data_vars):
        name = band_name(text)
        if name is not None:
            if name in names.values():
                raise SchemaError(f"{where}: expected one variable for a band, received two of {name}")
            names[text] = name
    days = next((name for name in _DAY_NAMES if name in opened.dims), None)
    names |= {days: "time"} if days else {}
    grid = next((str(name) for name, of in opened.variables.items() if _wkt(of)), None)
    names |= {grid: GRID} if grid else {}
    cube = opened.rename({old: new for old, new in names.items() if old != new})
    if GRID in cube and "crs_wkt" not in cube[GRID].attrs:
        cube[GRID].attrs["crs_wkt"] = _wkt(cube[GRID].variable)
    if "step" not in cube.attrs and "time" in cube.coords and cube["time"].dtype.kind == "M":
        cube.attrs["step"] = _step_of(cube["time"].values, where)
    return cube


def _wkt(variable: xr.Variable) -> str:
    return str(variable.attrs.get("crs_wkt") or variable.attrs.get("spatial_ref") or "")


def _step_of(days: Days, where: str) -> str:
    """The step that these days are the first days of."""
    whole = days.astype("datetime64[D]").tolist()
    for step in STEPS:
        if all(day == first_days(day, 1, step)[0] for day in whole):
            return step
    raise SchemaError(
        f"{where}: expected the first days of steps of {', '.join(STEPS)}, received "
        f"{', '.join(map(str, whole[:4]))}, ... ({len(whole)} of them)",
        "Give each step one date, its first day.",
    )


def first_days(start: dt.date, count: int, step: str) -> list[dt.date]:
    """First days of consecutive steps.

    Args:
        start: day in the first step.
        count: number of steps.
        step: one of `pixel_series.STEPS`.
    """
    days = []
    year, month, day = start.year, start.month, start.day
    for _ in range(count):
        if step == "16-days":
            position = (dt.date(year, month, day) - dt.date(year, 1, 1)).days // 16
            days.append(dt.date(year, 1, 1) + dt.timedelta(16 * position))
            following = days[-1] + dt.timedelta(16)
            year, month, day = following.year, following.month, following.day
            if year > days[-1].year:  # composites start anew on 1 January
                month, day = 1, 1
            continue
        part = 0 if step == "month" else min((day - 1) // 10, 2)
        days.append(dt.date(year, month, 1 + 10 * part))
        if step == "month" or part == 2:
            year, month, day = (year + 1, 1, 1) if month == 12 else (year, month + 1, 1)
        else:
            day = 11 + 10 * part
    return days


def last_day(first: dt.date, step: str) -> dt.date:
    """Last day of the step that starts on a day."""
    return first_days(first, 2, step)[1] - dt.timedelta(1)


def bands_of(cube: xr.Dataset) -> list[str]:
    """Bands of a cube, in the order of `series_bands`."""
    return [band.name for band in SERIES_BANDS if band.name in cube]


def check_cube(cube: xr.Dataset, where: str = "cube") -> xr.Dataset:
    """The same Dataset, if its structure keeps the contract of this module; values are not read.

    Raises:
        SchemaError: no band, other dims, one date, days that are not the first days of steps, in
            their order, uneven pixels, no coordinate system, or a GeoTransform that does not belong
            to the pixels.
    """
    names = bands_of(cube)
    if not names:
        found = ", ".join(map(str, cube.data_vars)) or "none"
        raise SchemaError(
            f"{where}: expected variables of bands, received {found}",
            f"Known: {', '.join(band.name for band in SERIES_BANDS)}.",
        )
    for name in (*names, *(name for name in _STATIC if name in cube)):
        dims = BAND_DIMS if name in names else BAND_DIMS[1:]
        if cube[name].dims != dims:
            raise SchemaError(f"{where}: expected {name} of {dims}, received {cube[name].dims}", _HINT)
        if cube[name].dtype.kind not in "fiu":
            raise SchemaError(f"{where}: expected numbers in {name}, received {cube[name].dtype}", _HINT)
    _check_days(cube, where)
    _check_grid(cube, where)
    return cube


def _check_days(cube: xr.Dataset, where: str) -> None:
    step = cube.attrs.get("step")
    if "time" not in cube.coords or cube["time"].dtype.kind != "M":
        raise SchemaError(f"{where}: expected a coordinate time of days, received none", _HINT)
    if step not in STEPS:
        raise SchemaError(f"{where}: expected the attribute step of {', '.join(STEPS)}, received {step}")
    days = cube["time"].values.astype("datetime64[D]")
    if len(days) < 2 or np.isnat(days).any():
        raise SchemaError(
            f"{where}: expected two dates or more, received {len(days)}",
            "A crop shows in how its values change over a season; give more dates.",
        )
    refuse_other_days(days.tolist(), str(step), where)


def refuse_other_days(days: Sequence[dt.date], step: str, where: str, gaps: bool = True) -> None:
    """Refuse days that are not the first days of steps, one after the other.

    Args:
        days: of the steps.
        step: one of `pixel_series.STEPS`.
        where: the file, for errors.
        gaps: whether steps may be left out, as between the seasons of a cube of several.

    Raises:
        SchemaError: other days, or a gap.
    """
    for before, day in zip((None, *days[:-1]), days, strict=True):
        wanted = first_days(day, 1, step)[0]
        if before is not None and (not gaps or day <= before):
            wanted = first_days(before, 2, step)[1]
        if day != wanted:
            raise SchemaError(
                f"{where}: expected the first days of consecutive steps ({step}), received {day} in place of "
                f"{wanted}",
                "Give each step one date, its first day, also where nothing was seen; one season only.",
            )


def _check_grid(cube: xr.Dataset, where: str) -> None:
    if GRID not in cube.variables or not cube[GRID].attrs.get("crs_wkt"):
        raise SchemaError(
            f"{where}: expected a coordinate system ({GRID} with the attribute crs_wkt), received none",
            "Without it nobody knows where the pixels are; write it with rioxarray (rio.write_crs).",
        )
    for dim in ("y", "x"):
        if dim not in cube.coords or cube.sizes[dim] < 2:
            raise SchemaError(f"{where}: expected a coordinate {dim} of two pixels or more", _HINT)
        steps = np.diff(cube[dim].values.astype(np.float64))
        size = steps.mean()
        if not size or not np.isfinite(size) or np.abs(steps - size).max() > _UNEVEN * abs(size):
            raise SchemaError(
                f"{where}: expected evenly spaced {dim}, received distances of {np.abs(steps).min():g} to "
                f"{np.abs(steps).max():g}",
                "Resample to a regular grid.",
            )
    written = str(cube[GRID].attrs.get("GeoTransform", "")).split()
    if written:
        own = np.array(transform_of(*(cube[dim].values.astype(np.float64) for dim in ("y", "x"))))
        pixel = np.abs([own[1], own[1], own[1], own[5], own[5], own[5]])
        try:
            apart = np.abs(np.array(written, np.float64) - own) / pixel
        except ValueError:
            apart = np.full(6, np.inf)
        if apart.max() > 0.1:
            raise SchemaError(
                f"{where}: expected y and x to be the centres of the pixels of its GeoTransform "
                f"({' '.join(f'{one:.10g}' for one in own)}), received {' '.join(written)}",
                "Are y and x the corners of the pixels, or is the GeoTransform of another cut?",
            )


def _check_values(cube: xr.Dataset) -> None:
    for name in (*bands_of(cube), *(name for name in _STATIC if name in cube)):
        low, high = POSSIBLE[BAND_OF[name].kind]
        values = cube[name].values
        wrong = (values < low) | (values > high)
        if wrong.any():
            raise SchemaError(
                f"cube: {name}: expected {low:g} to {high:g} {BAND_OF[name].unit}, received "
                f"{float(values[wrong][0]):g} ({int(wrong.sum())} such values)",
                "Is it another scale, or another band?",
            )
