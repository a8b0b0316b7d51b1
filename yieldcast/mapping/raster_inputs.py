"""Rasters that maps are made from: a netCDF cube, or GeoTIFFs of one season, read window by window.

GeoTIFFs may come as one file with a band for each band and date, as one file for each date, for each band, or
for each of both. The name of the band and the date stand in the description or the tags of each band, else in
the name or the tags of the file: ``B4_2020-11``, ``NDVI 2007-09-14``, ``20201101``. Steps without dates are
``B4_00``, ``B4_01``, ... Every band needs every date. Elevation and slope have no date. Scale, offset and
nodata of each band are applied, and the mask or alpha band of a file.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.pixels.cubes import GRID, bands_of, first_days, open_cube, refuse_other_days, transform_of
from yieldcast.pixels.pixel_series import STEPS
from yieldcast.pixels.series_bands import BAND_OF, SERIES_BANDS, STATIC_BANDS, Floats, band_name
from yieldcast.pixels.series_tables import NO_DATA

_STATIC = tuple(band.name for band in STATIC_BANDS)
_DATE = re.compile(
    r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<m>0[1-9]|1[0-2])(?:(?P=s)(?P<d>[0-3]\d))?(?!\d)"
)
_STEP = re.compile(r"(?:^|[^0-9a-zA-Z])(\d{2,3})$")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_(?:2m|precipitation))?")
_LAYOUT = "Describe each band as BAND_DATE, for example B4_2020-11; or name files so: season_B4_2020-11.tif."
_SHIFT = 1e-3  # of a pixel, by which grids of files may differ
_SEVERAL = "one season only; choose it with --start"


class Window(NamedTuple):
    """A part of a raster: rows and columns from, and up to but without."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster are.

    Args:
        crs_wkt: coordinate system.
        transform: the six numbers of a GDAL GeoTransform.
        height, width: rows and columns.
    """

    crs_wkt: str
    transform: tuple[float, ...]
    height: int
    width: int

    @property
    def affine(self) -> Any:
        """The transform as rasterio has it."""
        from rasterio import Affine

        return Affine.from_gdal(*self.transform)

    @property
    def crs(self) -> Any:
        """The coordinate system as rasterio has it."""
        from rasterio.crs import CRS

        return CRS.from_wkt(self.crs_wkt)

    def same(self, other: Grid) -> bool:
        """Whether another grid has the same pixels."""
        apart = np.abs(np.subtract(self.transform, other.transform)).max()
        sizes = (self.height, self.width) == (other.height, other.width)
        return sizes and self.crs == other.crs and bool(apart <= _SHIFT * abs(self.transform[1]))

    def part(self, window: Window) -> Grid:
        """The grid of a window."""
        from rasterio import Affine

        moved = self.affine * Affine.translation(window.left, window.top)
        return Grid(self.crs_wkt, tuple(map(float, moved.to_gdal())), *window.shape)

    def places(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[Any, Any]:
        """Latitude and longitude (degrees, WGS 84) of the centres of pixels."""
        from rasterio.warp import transform

        x, y = self.affine * (columns + 0.5, rows + 0.5)
        longitude, latitude = transform(self.crs, "EPSG:4326", x, y)[:2]
        return np.asarray(latitude), np.asarray(longitude)

    def window_of(self, bounds: tuple[float, float, float, float]) -> Window:
        """The pixels whose centres lie in the rectangle around west, south, east, north (degrees).

        Raises:
            SchemaError: none does.
        """
        from rasterio.warp import transform_bounds

        west, south, east, north = transform_bounds("EPSG:4326", self.crs, *bounds)
        corners = [~self.affine * (x, y) for x in (west, east) for y in (south, north)]
        limits = np.array([[y, x] for x, y in corners])
        low = np.maximum(np.ceil(limits.min(axis=0) - 0.5), 0).astype(int)
        high = np.minimum(np.floor(limits.max(axis=0) - 0.5) + 1, (self.height, self.width)).astype(int)
        if (high <= low).any():
            raise SchemaError(
                f"--bbox {','.join(f'{one:g}' for one in bounds)}: expected a rectangle over the raster, "
                "received one that holds no pixel of it",
                "Give WEST,SOUTH,EAST,NORTH in degrees.",
            )
        return Window(*low.tolist(), *high.tolist())


Place = tuple[Path, int]  # a file, and the number of a band in it


@dataclass(frozen=True)
class RasterInput:
    """A season of a raster; values are read with `read`.

    Args:
        grid: of the pixels.
        step: one of `pixel_series.STEPS`.
        days: first day of each step; years of 2001 and later ones where the raster has no dates.
        bands: in the order of `series_bands`.
        static: elevation, slope, those that there are.
        cube: netCDF file, or None.
        skipped: steps of the cube before the first day.
        layers: of GeoTIFFs, where each step of each band is, and each static band.
        dated: whether the days are those of the raster.
        ignored: bands of the files that are not read.
    """

    grid: Grid
    step: str
    days: tuple[dt.date, ...]
    bands: tuple[str, ...]
    static: tuple[str, ...]
    cube: Path | None = None
    skipped: int = 0
    layers: Mapping[str, tuple[Place, ...]] | None = None
    dated: bool = True
    ignored: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, each once."""
        if self.cube:
            return (self.cube,)
        return tuple(dict.fromkeys(path for places in (self.layers or {}).values() for path, _ in places))

    @property
    def months(self) -> tuple[int, ...]:
        """Of each step, 0 = January; of 16-day steps as in tables, where a leap year is like any other."""
        if self.step != "16-days":
            return tuple(day.month - 1 for day in self.days)
        since = [(day - dt.date(day.year, 1, 1)).days for day in self.days]
        return tuple((dt.date(2001, 1, 1) + dt.timedelta(one)).month - 1 for one in since)

    def season(self, start: dt.date | None, count: int) -> RasterInput:
        """So many steps from a day on.

        Args:
            start: a day in the first step; None where the raster holds one season.
            count: of steps.

        Raises:
            SchemaError: the raster has other steps.
        """
        first = 0
        if start is not None and self.dated:
            day = first_days(start, 1, self.step)[0]
            if day not in self.days:
                raise SchemaError(
                    f"{self.files[0]}: no step starts at {day}, it has {self.days[0]} to {self.days[-1]}"
                )
            first = self.days.index(day)
        kept = self.days[first:] if start is None else self.days[first : first + count]
        if len(kept) != count:
            raise SchemaError(
                f"{self.files[0]}: mixed seasons: expected {count} steps ({self.step}) as in the training, "
                f"received {len(kept)} from {kept[0]} on",
                f"Give the steps of {_SEVERAL}." if len(kept) > count else "Give all steps of the season.",
            )
        refuse_other_days(kept, self.step, str(self.files[0]), gaps=False)
        part = slice(first, first + count)
        layers = {
            name: places if name in _STATIC else places[part] for name, places in (self.layers or {}).items()
        }
        return replace(self, days=kept, skipped=self.skipped + first, layers=layers or None)

    def read(self, window: Window) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Values of a window, NaN where missing, in the units of the file.

        Returns:
            band -> (step, row, column), static band -> (row, column).
        """
        if self.cube:
            return self._read_cube(self.cube, window)
        layers = self.layers or {}
        with ExitStack() as stack:
            opened = {path: stack.enter_context(opened_geotiff(path)) for path in self.files}
            made = {
                name: np.stack([_read_band(opened[path], band, window) for path, band in places])
                for name, places in layers.items()
            }
        return {name: made[name] for name in self.bands}, {name: made[name][0] for name in self.static}

    def _read_cube(self, path: Path, window: Window) -> tuple[dict[str, Floats], dict[str, Floats]]:
        steps = slice(self.skipped, self.skipped + len(self.days))
        part = {"y": slice(window.top, window.bottom), "x": slice(window.left, window.right)}
        with open_cube(path) as cube:
            bands = {name: _plain(cube[name].isel({"time": steps, **part}).values) for name in self.bands}
            return bands, {name: _plain(cube[name].isel(part).values) for name in self.static}


def _plain(values: NDArray[Any]) -> Floats:
    """float32, NaN where missing."""
    made = values.astype(np.float32)
    made[~np.isfinite(made) | np.isin(made, NO_DATA)] = np.nan
    return made


def _read_band(raster: Any, band: int, window: Window) -> Floats:
    from rasterio.windows import Window as Part

    height, width = window.shape
    read = raster.read(band, window=Part(window.left, window.top, width, height), masked=True)
    values = _plain(np.ma.getdata(read))
    values[np.ma.getmaskarray(read)] = np.nan
    scale, offset = raster.scales[band - 1], raster.offsets[band - 1]
    if (scale, offset) != (1.0, 0.0):
        values = (values * scale + offset).astype(np.float32)
    return values


def open_inputs(paths: Sequence[Path], step: str | None = None, start: dt.date | None = None) -> RasterInput:
    """The raster in one netCDF cube or in GeoTIFFs.

    Args:
        paths: files.
        step: of GeoTIFFs whose dates do not say it, or whose dates lie within steps.
        start: first day of GeoTIFFs without dates.

    Raises:
        MissingDataError: no such file.
        SchemaError: no coordinate system, bands or dates that are not clear, gaps, one date, different grids.
        ConfigError: several netCDF files, or an unknown step.
    """
    for path in paths:
        if not path.is_file():
            raise MissingDataError(f"no raster {path}", "Give a netCDF cube or GeoTIFFs.")
    if step is not None and step not in STEPS:
        raise ConfigError(f"expected a step of {', '.join(STEPS)}, received {step}")
    cubes = [path for path in paths if path.suffix.lower() in (".nc", ".nc4", ".cdf")]
    if not cubes:
        return _of_geotiffs(paths, step, start)
    if len(paths) > 1:
        raise ConfigError(f"expected one netCDF cube, or GeoTIFFs, received {len(paths)} files")
    with open_cube(cubes[0]) as cube:
        y, x = (cube[dim].values.astype(np.float64) for dim in ("y", "x"))
        grid = Grid(cube[GRID].attrs["crs_wkt"], transform_of(y, x), len(y), len(x))
        _check_grid(grid, cubes[0])
        days = tuple(cube["time"].values.astype("datetime64[D]").tolist())
        static = tuple(name for name in _STATIC if name in cube)
        return RasterInput(grid, cube.attrs["step"], days, tuple(bands_of(cube)), static, cubes[0])


@contextmanager
def opened_geotiff(path: Path) -> Iterator[Any]:
    """A raster of bands; SchemaError where it is none, or has no coordinate system."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raster = rasterio.open(path)
    except RasterioError as error:
        raise SchemaError(f"{path}: expected a GeoTIFF ({error})", "Is it a raster?") from None
    with raster:
        if raster.crs is None:
            raise SchemaError(
                f"{path}: expected a raster with a coordinate system, received none",
                "Without it nobody knows where the pixels are. Set it: gdal_edit.py -a_srs EPSG:32721 FILE",
            )
        yield raster


def _check_grid(grid: Grid, path: Path) -> None:
    from rasterio.errors import CRSError

    _, width, turned, _, other, height = grid.transform
    if turned or other or width <= 0 or not height:
        raise SchemaError(
            f"{path}: expected rows and columns along the axes, columns from west to east, received a turned "
            "grid",
            "Warp it to a grid along the axes: gdalwarp FILE OUT",
        )
    try:
        corner = grid.places(np.array([0, grid.height - 1]), np.array([0, grid.width - 1]))
    except CRSError as error:
        raise SchemaError(f"{path}: coordinate system that GDAL cannot read: {error}") from None
    if not np.isfinite(corner).all():
        raise SchemaError(
            f"{path}: expected pixels on the Earth, received corners without latitude and longitude",
            "Is the coordinate system the right one?",
        )


def _of_geotiffs(paths: Sequence[Path], step: str | None, start: dt.date | None) -> RasterInput:
    grid: Grid | None = None
    found: dict[str, dict[str, Place]] = {}
    for path in paths:
        with opened_geotiff(path) as raster:
            mine = Grid(raster.crs.to_wkt(), tuple(map(float, raster.transform.to_gdal())), *raster.shape)
            grid = grid or mine
            if not grid.same(mine):
                raise SchemaError(
                    f"{path}: expected the grid of {paths[0].name}, received another one",
                    "Resample all files to one grid, for example with gdalwarp.",
                )
            for band in range(1, raster.count + 1):
                if "alpha" in raster.colorinterp[band - 1].name:
                    continue
                name, when = _meaning(raster, path, band)
                if when in found.setdefault(name, {}):
                    raise SchemaError(f"{path}: two bands of {name} {when}", _LAYOUT)
                found[name][when] = (path, band)
    if grid is None:
        raise ConfigError("expected rasters, received none")
    _check_grid(grid, paths[0])
    static = tuple(name for name in _STATIC if name in found)
    names = tuple(band.name for band in SERIES_BANDS if band.name in found)
    if not names:
        raise SchemaError(f"{paths[0]}: expected bands of a series, received none", _LAYOUT)
    moments = sorted({when for name in names for when in found[name]})
    for name in names:
        if lost := [one for one in moments if one not in found[name]]:
            raise SchemaError(
                f"{paths[0]}: expected every band at every date, received no {name} of {', '.join(lost[:3])}",
                "Give it, with nodata where nothing was seen.",
            )
    dated, kind, days = _axis(moments, step, start, str(paths[0]))
    layers = {name: tuple(found[name][when] for when in moments) for name in names}
    layers |= {name: (next(iter(found[name].values())),) for name in static}
    return RasterInput(grid, kind, days, names, static, layers=layers, dated=dated)


def _meaning(raster: Any, path: Path, band: int) -> tuple[str, str]:
    """Name of a band and its date (or number of the step, or nothing)."""
    tags, own = raster.tags(band), raster.tags()
    texts = [raster.descriptions[band - 1] or "", *tags.values(), path.stem, *own.values()]
    name = next((one for text in texts if (one := _name_in(text))), None)
    if name is None:
        raise SchemaError(
            f"{path}: band {band}: expected its name, such as B4 or NDVI, received "
            f"{raster.descriptions[band - 1] or 'no description'}",
            f"{_LAYOUT} Bands: {', '.join(BAND_OF)}.",
        )
    if name in _STATIC:
        return name, ""
    when = next((one for text in texts if (one := _date_in(text))), None)
    if when is None:
        number = next((m[1] for text in (texts[0], path.stem) if (m := _STEP.search(text.strip()))), None)
        if number is None:
            raise SchemaError(
                f"{path}: band {band} ({name}): expected a date or step, received none", _LAYOUT
            )
        when = f"{int(number):03d}"
    return name, when


def _name_in(text: str) -> str | None:
    return next((name for word in _WORD.findall(text) if (name := band_name(word))), None)


def _date_in(text: str) -> str | None:
    match = _DATE.search(text)
    return f"{match['y']}-{match['m']}" + (f"-{match['d']}" if match["d"] else "") if match else None


def _axis(
    moments: Sequence[str], step: str | None, start: dt.date | None, where: str
) -> tuple[bool, str, tuple[dt.date, ...]]:
    """Whether there are dates, the step and its first days."""
    if len(moments) < 2:
        raise SchemaError(
            f"{where}: expected two dates or more, received {len(moments)}",
            "A crop shows in how its values change over a season; give more dates.",
        )
    if len({len(one) for one in moments}) > 1:
        raise SchemaError(
            f"{where}: expected dates of one form, received {moments[0]} and {moments[-1]}", _LAYOUT
        )
    if len(moments[0]) == 3:  # numbers of steps
        if [int(one) for one in moments] != list(range(int(moments[0]), int(moments[0]) + len(moments))):
            raise SchemaError(f"{where}: expected steps without a gap, received {', '.join(moments)}")
        if start is None or step is None:
            raise SchemaError(
                f"{where}: bands have numbers of steps, but no dates",
                "Say the first day and the step: --start 2020-11-01 --step month.",
            )
        return False, step, tuple(first_days(start, len(moments), step))
    try:
        days = [dt.date.fromisoformat(one if len(one) > 7 else f"{one}-01") for one in moments]
    except ValueError:
        raise SchemaError(f"{where}: expected dates YYYY-MM-DD, received {', '.join(moments)}") from None
    kinds = [step] if step else ["month"] if len(moments[0]) == 7 else list(STEPS)
    for kind in kinds:
        within = [first_days(day, 1, kind)[0] if step else day for day in days]
        if within == first_days(days[0], len(days), kind):
            return True, kind, tuple(within)
    raise SchemaError(
        f"{where}: expected the first days of consecutive steps of {' or '.join(kinds)}, received "
        f"{', '.join(moments[:4])}, ... ({len(moments)} of them)",
        f"Give each step one date, {_SEVERAL}; dates within steps need --step.",
    )
