"""Pixels of a raster as pixel series: units found once for the whole raster, gaps, pixels without data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.mapping.raster_inputs import RasterInput, Window
from yieldcast.pixels.pixel_series import STEPS, create
from yieldcast.pixels.series_bands import BAND_OF, POSSIBLE, Floats, converted
from yieldcast.pixels.series_units import in_series_units

_SIDE = 32  # pixels of a sampled window
_SAMPLED = 64  # windows, spread over the raster: 65,536 pixels at most, unless a band shows in none of them
_ENOUGH = 200  # known values by which the unit of a band is found
_ROWS = 4096  # pixels that units are found from


@dataclass(frozen=True)
class Pixels:
    """Series of the pixels of a window that have data.

    Args:
        series: see `pixel_series`.
        rows, columns: of each series, in the window.
        faults: band -> number of impossible values, which became gaps.
    """

    series: xr.Dataset
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    faults: dict[str, int]


def windows(region: Window, side: int) -> Iterator[Window]:
    """Windows of a lattice that starts at the first pixel of the raster, cut to a region."""
    for top in range(region.top // side * side, region.bottom, side):
        for left in range(region.left // side * side, region.right, side):
            yield Window(
                max(top, region.top), max(left, region.left), min(top + side, region.bottom),
                min(left + side, region.right),
            )  # fmt: skip


def units_of(raster: RasterInput, region: Window, given: Mapping[str, str]) -> dict[str, str]:
    """The unit of each band, from pixels all over the region.

    Args:
        raster: the season.
        region: that is mapped.
        given: band -> unit, of bands whose unit is told.

    Raises:
        SchemaError: units that are not clear, differ among bands, or bands that seem exchanged.
    """
    every = list(windows(region, _SIDE))
    chosen = set(np.linspace(0, len(every) - 1, min(_SAMPLED, len(every))).round().astype(int).tolist())
    order = [*sorted(chosen), *(k for k in range(len(every)) if k not in chosen)]
    parts: list[dict[str, Floats]] = []
    known = dict.fromkeys((*raster.bands, *raster.static), 0)
    for k, position in enumerate(order):
        if k >= len(chosen) and min(known.values()) >= _ENOUGH:
            break
        bands, static = raster.read(every[position])
        part = {name: of.reshape(len(of), -1).T for name, of in bands.items()}
        part |= {name: of.reshape(-1, 1) for name, of in static.items()}
        counts = {name: int(np.isfinite(of).sum()) for name, of in part.items()}
        # beyond the sample only where a band shows that was not seen yet
        if k < len(chosen) or any(counts[name] and known[name] < _ENOUGH for name in known):
            parts.append(part)
            known = {name: known[name] + counts[name] for name in known}
    tables = {name: np.concatenate([part[name] for part in parts]) for name in known}
    seen = np.any([np.isfinite(of).any(axis=1) for of in tables.values()], axis=0)
    if not seen.any():
        raise SchemaError(f"{raster.files[0]}: expected values, received a raster without any")
    rows = np.flatnonzero(seen)
    rows = rows[:: max(1, len(rows) // _ROWS)]
    some = {name: of[rows] for name, of in tables.items()}
    if lost := [name for name in known if known[name] and not np.isfinite(some[name]).any()]:
        some |= {name: tables[name][seen] for name in lost}
    where = str(raster.files[0])
    return in_series_units(some, dict(given), STEPS[raster.step], where)[1]


@dataclass(frozen=True)
class RasterPart:
    """Values of a window, from which the pixels of smaller windows are taken.

    Args:
        raster: the season.
        window: that was read.
        bands, static: see `RasterInput.read`.
    """

    raster: RasterInput
    window: Window
    bands: Mapping[str, Floats]
    static: Mapping[str, Floats]

    @classmethod
    def of(cls, raster: RasterInput, window: Window) -> RasterPart:
        """A window, read."""
        return cls(raster, window, *raster.read(window))

    def cut(self, inner: Window) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Bands and static bands of a window within this one."""
        top, left = inner.top - self.window.top, inner.left - self.window.left
        rows, columns = slice(top, top + inner.shape[0]), slice(left, left + inner.shape[1])
        bands = {name: of[:, rows, columns] for name, of in self.bands.items()}
        return bands, {name: of[rows, columns] for name, of in self.static.items()}


def pixels_of(
    part: RasterPart,
    window: Window,
    units: Mapping[str, str],
    bands: Sequence[str],
    wanted: NDArray[np.bool_] | None = None,
) -> Pixels | None:
    """Series of the pixels of a window; None where no pixel has values at two dates or more.

    Args:
        part: that holds the window.
        window: of the pixels.
        units: see `units_of`.
        bands: of the series; those that the raster lacks are missing everywhere.
        wanted: (row, column) pixels to take; None for all.
    """
    raster, (read, fixed) = part.raster, part.cut(window)
    shape = (len(raster.days), *window.shape)
    faults: dict[str, int] = {}
    values = {
        name: _possible(read[name], name, units[name], faults)
        if name in read
        else np.full(shape, np.nan, np.float32)
        for name in bands
    }
    static = {name: _possible(of, name, units[name], faults) for name, of in fixed.items()}
    dates = np.any([np.isfinite(of) for of in values.values()], axis=0).sum(axis=0)
    take = dates >= 2 if wanted is None else (dates >= 2) & wanted
    rows, columns = np.nonzero(take)
    if not rows.size:
        return None
    latitude, longitude = raster.grid.places(rows + window.top, columns + window.left)
    months = np.array(raster.months)
    ids = (rows + window.top) * raster.grid.width + columns + window.left
    series = create(
        {name: of[:, rows, columns].T for name, of in values.items()},
        np.broadcast_to(months, (rows.size, months.size)), latitude, longitude, ids, raster.step,
        {name: of[rows, columns] for name, of in static.items()}, location=ids,
    )  # fmt: skip
    return Pixels(series, rows, columns, faults)


def _possible(values: Floats, name: str, unit: str, faults: dict[str, int]) -> Floats:
    """In the unit of a series, without impossible values, which are counted."""
    low, high = POSSIBLE[BAND_OF[name].kind]
    made = converted(values, BAND_OF[name], unit)
    wrong = (made < low) | (made > high)
    if count := int(wrong.sum()):
        faults[name] = count
        made = np.where(wrong, np.float32(np.nan), made)
    return made
