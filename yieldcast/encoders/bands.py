"""Bands of a pixel series as the encoder Presto reads them: order, units, scale, groups that make tokens.

Presto: Tseng, Cartuyvels, Zvonkov, Purohit, Rolnick and Kerner, "Lightweight, Pre-trained Transformers for
Remote Sensing Timeseries", arXiv 2304.14065.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LAND_COVER_CLASSES = 9  # of Dynamic World, 0 to 8
NO_LAND_COVER = 9  # the class of a step without one
MONTHS = 12


@dataclass(frozen=True)
class Band:
    """One band: normalised value = (raw + add) / divide.

    Args:
        name: as in tables.
        unit: of the raw value.
        add, divide: as the published weights were trained with; -272.15 for kelvin is theirs.
    """

    name: str
    unit: str
    add: float
    divide: float


_REFLECTANCE = "reflectance x 10000"
BANDS = (
    Band("VV", "dB", 25.0, 25.0),
    Band("VH", "dB", 25.0, 25.0),
    *(
        Band(n, _REFLECTANCE, 0.0, 1e4)
        for n in ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
    ),
    Band("temperature_2m", "K", -272.15, 35.0),
    Band("total_precipitation", "m", 0.0, 0.03),
    Band("elevation", "m", 0.0, 2000.0),
    Band("slope", "degrees", 0.0, 50.0),
    Band("NDVI", "1", 0.0, 1.0),
)
BAND_NAMES = tuple(band.name for band in BANDS)


@dataclass(frozen=True)
class Group:
    """Bands that make one token of a step.

    Args:
        name: as in the published weights.
        columns: positions in `BANDS`; empty for the land cover class, which is looked up.
    """

    name: str
    columns: tuple[int, ...]


# The position of a group is the row of its channel encoding.
GROUPS = (
    Group("S1", (0, 1)),
    Group("S2_RGB", (2, 3, 4)),
    Group("S2_Red_Edge", (5, 6, 7)),
    Group("S2_NIR_10m", (8,)),
    Group("S2_NIR_20m", (9,)),
    Group("S2_SWIR", (10, 11)),
    Group("ERA5", (12, 13)),
    Group("SRTM", (14, 15)),
    Group("NDVI", (16,)),
    Group("dynamic_world", ()),
)
STATIC = 7  # elevation and slope: one token for the series, read from its first step
LAND_COVER = 9


def normalise(raw: Floats, missing: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Raw bands to the inputs of the encoder, with NDVI computed from them.

    Args:
        raw: (sample, step, band) in the units and the order of `BANDS`; the column of NDVI is not read.
        missing: the same shape, True where there is no value.

    Returns:
        values, 0 where missing; and the mask, in which NDVI is missing where red or near infrared is.
    """
    add, divide = (
        np.array([getattr(band, name) for band in BANDS], np.float32) for name in ("add", "divide")
    )
    mask = missing.copy()
    red, infrared, ndvi = (BAND_NAMES.index(name) for name in ("B4", "B8", "NDVI"))
    mask[..., ndvi] = mask[..., red] | mask[..., infrared]
    values = np.where(mask, np.float32(0), (np.nan_to_num(raw) + add) / divide).astype(np.float32)
    total = values[..., infrared] + values[..., red]
    ratio = np.divide(
        values[..., infrared] - values[..., red], total, out=np.zeros_like(total), where=total > 0
    )
    values[..., ndvi] = np.where(mask[..., ndvi], 0.0, ratio)
    return values, mask
