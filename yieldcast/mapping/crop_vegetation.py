"""Vegetation of a crop: NDVI and EVI of raster cubes, averaged over its pixels in each municipality."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from yieldcast.errors import LeakageError, MissingDataError, SchemaError
from yieldcast.mapping.class_maps import Block, Box, opened_raster
from yieldcast.mapping.crop_weights import Season
from yieldcast.mapping.cube_indices import INDICES, Floats, IndexCube, Part, refuse_overlapping
from yieldcast.mapping.places import Places
from yieldcast.mapping.zones import Zone, Zones
from yieldcast.pixels.cubes import last_day, open_cube

Progress = Callable[[int, int], None]
# A pixel is the crop's if at least half of its mapped area is (our choice): mixed pixels show neighbours.
_LEAST_CROP = 0.5


@dataclass(frozen=True)
class VegetationSettings:
    """What is averaged, and when it may be used.

    Args:
        crop: key of the crop.
        as_of: maps and observations that were not public on this day are not used.
        classes: names or numbers of the classes that are the crop; empty for those with its name.
        lag_days: after the last day of a step until its observation may be used, 0 or more.
        least_clear: share of the crop's pixels of a municipality that a clear observation needs.
    """

    crop: str
    as_of: dt.date
    classes: tuple[str, ...] = ()
    lag_days: int = 0
    least_clear: float = 0.25


class CropVegetation(NamedTuple):
    """Observations, and what a reader should know about them.

    Args:
        frame: a row for each municipality and step with a clear pixel: code, date (first day of the step),
            date_end, ndvi, evi (-1 to 1; those that the cubes have bands for), clear (1 or 0), clear_pixels,
            crop_pixels, public_from; by code and date.
        classes: classes counted as the crop.
        later: number of steps that were not public on the day, left out.
        without: number of municipalities without a pixel of the crop.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    later: int
    without: int


def crop_vegetation(
    cubes: Sequence[Path],
    seasons: Sequence[Season],
    places: Places,
    settings: VegetationSettings,
    progress: Progress | None = None,
) -> CropVegetation:
    """Mean indices over the crop's pixels of each municipality, for each step of the cubes.

    Each step takes the newest map whose season was over before the step began: a map of the same season
    would tell an early observation which fields were sown to the crop later. A pixel on the border of a
    municipality counts with the part of it that lies inside. Indices outside -1 to 1 are not clear.

    Args:
        cubes: files, see `yieldcast.pixels.cubes`; parts of one season lie side by side.
        seasons: maps, from `crop_weights.seasons_of`.
        places: municipalities.
        settings: crop, classes, days.
        progress: called with the number of blocks done and of all.

    Raises:
        LeakageError: a map of a season that was not over on `settings.as_of`, or a step before the end of
            every map's season.
        SchemaError: a cube without bands of an index, cubes that overlap, or no pixel of the crop anywhere.
        MissingDataError, ConfigError: as `open_cube`, and the libraries of polygons.
    """
    for season in seasons:
        if season.last_day >= settings.as_of:
            raise LeakageError(
                f"{season.maps[0].file}: expected a season that was over on {settings.as_of}, it ends on "
                f"{season.last_day}",
                "Leave this map out, or give a later --as-of.",
            )
    classes = {one.harvest_year: settings.classes or _classes(one, settings.crop) for one in seasons}
    zones = Zones([Zone(number, shape) for number, shape in enumerate(places.shapes.values())])
    sums: dict[tuple[dt.date, dt.date], _Sums] = {}
    later: set[dt.date] = set()
    with ExitStack() as stack:
        opened = [IndexCube(stack.enter_context(open_cube(path)), path) for path in cubes]
        refuse_overlapping(opened)
        parts = [(cube, part) for cube in opened for part in cube.blocks()]
        chosen = [_steps(cube, seasons, settings, later) for cube in opened]
        if not any(chosen):
            raise MissingDataError(
                f"no step of the cubes was over and public on {settings.as_of}", "Give a later --as-of."
            )
        used = dict(zip(map(id, opened), chosen, strict=True))
        for done, (cube, part) in enumerate(parts):
            if progress is not None:
                progress(done, len(parts))
            _add_block(cube, part, used[id(cube)], classes, zones, len(places.shapes), sums)
    if progress is not None:
        progress(1, 1)
    if not any(one.crop.any() for one in sums.values()):
        raise SchemaError(
            f"expected pixels of {settings.crop} within the places, received none",
            "Do the cubes, the maps and the places lie in the same region?",
        )
    grown = np.max([one.crop for one in sums.values()], axis=0)
    names = tuple(dict.fromkeys(name for of in classes.values() for name in of))
    return CropVegetation(
        _frame(sums, list(places.shapes), settings), names, len(later), int((grown == 0).sum())
    )


def _classes(season: Season, crop: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in season.maps for name in one.crop_classes(crop)))


class _Sums:
    """Sums of one step by place: pixels of the crop, clear ones, weights and weighted values of indices."""

    def __init__(self, places: int) -> None:
        self.crop, self.clear = np.zeros(places, np.int64), np.zeros(places, np.int64)
        self.weight = {name: np.zeros(places) for name in INDICES}
        self.total = {name: np.zeros(places) for name in INDICES}

    def add(self, place: int, weight: Floats, values: Mapping[str, Floats]) -> None:
        """Add the crop's pixels of a block: weights, and values of each index, NaN where not clear."""
        self.crop[place] += len(weight)
        self.clear[place] += int(np.isfinite(next(iter(values.values()))).sum())
        for name, of in values.items():
            known = np.isfinite(of)
            self.weight[name][place] += weight[known].sum()
            self.total[name][place] += weight[known] @ of[known]

    def mean(self, name: str) -> Floats:
        """(place,) mean of an index, NaN without a clear pixel."""
        weight = self.weight[name]
        made: Floats = np.full(len(weight), np.nan)
        return np.divide(self.total[name], weight, out=made, where=weight > 0)


class _Step(NamedTuple):
    """A step of a cube that is used: its position, first and last day, and its maps."""

    position: int
    first: dt.date
    last: dt.date
    season: Season


def _steps(
    cube: IndexCube, seasons: Sequence[Season], settings: VegetationSettings, later: set[dt.date]
) -> list[_Step]:
    """The steps that were public, each with the newest map that was finished when it began.

    Raises:
        LeakageError: no such map.
    """
    found = []
    for position, first in enumerate(cube.days):
        last = last_day(first, str(cube.data.attrs["step"]))
        if last + dt.timedelta(1 + settings.lag_days) > settings.as_of:
            later.add(first)
            continue
        over = [one for one in seasons if one.last_day < first]
        if not over:
            ends = ", ".join(str(one.last_day) for one in seasons)
            raise LeakageError(
                f"{cube.path}: expected a map of a season that was over before {first}, the first day of "
                f"a step; the maps' seasons end on {ends}",
                "Give the map of an earlier season too, with --mask: a map of this season knows fields "
                "that nobody could know on that day.",
            )
        found.append(_Step(position, first, last, max(over, key=lambda one: one.last_day)))
    return found


def _add_block(
    cube: IndexCube,
    part: Part,
    steps: Sequence[_Step],
    classes: Mapping[int, Sequence[str]],
    zones: Zones,
    places: int,
    sums: dict[tuple[dt.date, dt.date], _Sums],
) -> None:
    """Add the pixels of a block to the sums of each step."""
    block = cube.grid(part)
    inside = list(zones.covered(block))
    seasons = {one.season.harvest_year: one.season for one in steps}
    crop = {year: crop_share(of, classes[year], block) >= _LEAST_CROP for year, of in seasons.items()}
    for step in steps:
        sums.setdefault((step.first, step.last), _Sums(places))
    if not inside or not any(of.any() for of in crop.values()):
        return
    indices = {name: of.reshape(len(of), -1) for name, of in cube.indices(part).items()}
    for place, cells, share in inside:
        for step in steps:
            mine = crop[step.season.harvest_year].ravel()[cells]
            values = {name: of[step.position, cells[mine]] for name, of in indices.items()}
            sums[step.first, step.last].add(place, share[mine], values)


def crop_share(season: Season, classes: Sequence[str], block: Block) -> Floats:
    """(row, column) share of the mapped area of each pixel that is the crop, 0 outside the maps.

    Args:
        season: maps in any projection and resolution.
        classes: names or numbers of the classes that are the crop.
        block: the pixels.
    """
    from rasterio.warp import Resampling, reproject, transform_bounds

    rows, columns = block.values.shape
    west, north = block.transform * (0, 0)
    east, south = block.transform * (columns, rows)
    total = np.zeros((rows, columns))
    for one in season.maps:
        with opened_raster(one.file) as raster:
            box = transform_bounds(block.crs, raster.crs, west, south, east, north)
            window = _window(raster, box)
            if window is None:
                continue
            values, valid = raster.read(1, window=window), raster.read_masks(1, window=window) > 0
            crop = np.where(valid, np.isin(values, one.values_of(classes)), np.nan).astype(np.float32)
            made = np.full((rows, columns), np.nan, np.float32)
            reproject(
                crop, made, src_transform=raster.window_transform(window), src_crs=raster.crs,
                src_nodata=np.nan, dst_transform=block.transform, dst_crs=block.crs, dst_nodata=np.nan,
                resampling=Resampling.average,
            )  # fmt: skip
        total += np.nan_to_num(made)
    return np.minimum(total, 1.0)


def _window(raster: Any, box: Box) -> Any:
    """The part of a raster within a box, two pixels wider on each side; None where they do not meet."""
    from rasterio.windows import Window

    corners = [~raster.transform * (x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
    columns, rows = zip(*corners, strict=True)
    low = [max(int(np.floor(min(of))) - 2, 0) for of in (columns, rows)]
    high = [
        min(int(np.ceil(max(of))) + 2, size)
        for of, size in zip((columns, rows), (raster.width, raster.height), strict=True)
    ]
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    return Window(low[0], low[1], high[0] - low[0], high[1] - low[1])


def _frame(
    sums: Mapping[tuple[dt.date, dt.date], _Sums], codes: Sequence[int], settings: VegetationSettings
) -> pd.DataFrame:
    """The rows of `CropVegetation`."""
    parts = []
    for (first, last), of in sorted(sums.items()):
        clear = of.clear >= np.maximum(settings.least_clear * of.crop, 1)
        frame = pd.DataFrame(
            {
                "code": codes, "date": first.isoformat(), "date_end": last.isoformat(),
                **{name: of.mean(name) for name in INDICES}, "clear": clear.astype(int),
                "clear_pixels": of.clear, "crop_pixels": of.crop,
                "public_from": (last + dt.timedelta(1 + settings.lag_days)).isoformat(),
            }
        )  # fmt: skip
        parts.append(frame[frame[list(INDICES)].notna().any(axis=1)])
    frame = pd.concat(parts).sort_values(["code", "date"], ignore_index=True)
    return frame.drop(columns=[name for name in INDICES if frame[name].isna().all()])
