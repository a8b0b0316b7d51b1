"""Images of a season to one value for each step and pixel.

Images of one satellite and day are one observation: where they overlap, at the edges of tiles, the first one
with a value counts once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_fetchers.stac.pixels import loaded
from yieldcast.pixels.compositing import over_observations
from yieldcast.pixels.series_bands import BAND_OF, Floats

CROSS_m = 30.0  # the pixels of the Copernicus DEM


@dataclass(frozen=True)
class Answer:
    """An image over a target, as it was fetched.

    Args:
        path: file of the answer.
        bands: that it holds.
        step: of the season, from 0; 0 for elevation.
        seen_by: satellite and day.
    """

    path: Path
    bands: frozenset[str]
    step: int
    seen_by: tuple[str, dt.date]


def composite(answers: Sequence[Answer], band: str, steps: int, shape: tuple[int, int]) -> Floats:
    """A band of all steps.

    Args:
        answers: of one target, in the order of preference.
        band: name.
        steps: number of steps.
        shape: rows and columns of the target.

    Returns:
        (step, row, column) in the unit of a series, NaN where nothing was seen.
    """
    made = np.full((steps, *shape), np.nan, np.float32)
    for step in range(steps):
        passes: dict[tuple[str, dt.date], Floats] = {}
        for one in answers:
            if one.step != step or band not in one.bands:
                continue
            with np.load(one.path, allow_pickle=False) as kept:
                values = loaded(band, kept[band])
            before = passes.get(one.seen_by)
            passes[one.seen_by] = values if before is None else np.where(np.isnan(before), values, before)
        if passes:
            made[step] = over_observations(np.stack(list(passes.values())), BAND_OF[band].kind)
    return made


def slope_of(elevation: Floats, pixel_m: float) -> Floats:
    """Slope (degrees) of heights on a grid, from the differences to the neighbours.

    Args:
        elevation: (row, column) m.
        pixel_m: side of a pixel (m).
    """
    down, across = np.gradient(elevation.astype(np.float64), pixel_m)
    made: Floats = np.degrees(np.arctan(np.hypot(down, across))).astype(np.float32)
    return made


def merged(parts: Mapping[str, Floats]) -> dict[str, Floats]:
    """A cross of five points (middle, north, south, west, east; each 30 m away) as elevation and slope.

    Args:
        parts: elevation -> (5, point).
    """
    middle, north, south, west, east = parts["elevation"].astype(np.float64)
    slope = np.degrees(np.arctan(np.hypot((north - south) / (2 * CROSS_m), (east - west) / (2 * CROSS_m))))
    return {"elevation": middle.astype(np.float32), "slope": slope.astype(np.float32)}
