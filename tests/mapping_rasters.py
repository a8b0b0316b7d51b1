"""A run on three bands of two crops, and rasters of its season."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast.crop_types.classifier import CropTypeSettings, train
from yieldcast.crop_types.heads import HeadName
from yieldcast.crop_types.run import write_run
from yieldcast.pixels.cubes import create_cube, first_days
from yieldcast.pixels.series_tables import TableSettings, series_of

STEPS, START = 6, dt.date(2020, 11, 1)
HEIGHT, WIDTH = 40, 70  # cells of 32 x 32 pixels are cut at both edges
SIZE_m = 30.0
LEFT, TOP = 600000.0, 8670000.0
WKT = (
    'PROJCS["WGS 84 / UTM zone 21S",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,'
    '298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",-57],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",10000000],UNIT["metre",1]]'
)
Bands = dict[str, NDArray[np.float32]]


def curves(crop: NDArray[np.int64], seed: int) -> Bands:
    """Bands of soybean (0, an early peak) and maize (1), (step, ...)."""
    rng = np.random.default_rng(seed)
    step = np.arange(STEPS).reshape(-1, *[1] * crop.ndim)
    green = np.exp(-((step - 1.5 - 2 * crop) ** 2) / 2) + rng.normal(0, 0.02, (STEPS, *crop.shape))
    ndvi, red = 0.25 + 0.55 * green, 1500 - 1000 * green
    infrared = red * (1 + ndvi) / (1 - ndvi)
    values = {"RED": red, "NIR": infrared, "NDVI": ndvi}
    return {name: of.astype(np.float32) for name, of in values.items()}


def field(seed: int = 1) -> tuple[NDArray[np.int64], Bands]:
    """Classes of a landscape of stripes, and its bands with a hole without data and a few gaps."""
    crop = (np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) // 11) % 2
    bands = curves(crop, seed)
    for values in bands.values():
        values[:, 5:9, 20:30] = np.nan
        values[2, ::7, ::3] = np.nan
    return crop, bands


def cube_of(bands: Bands, start: dt.date = START) -> xr.Dataset:
    """Bands as a cube of months."""
    days = first_days(start, len(next(iter(bands.values()))), "month")
    x, y = LEFT + SIZE_m * (np.arange(WIDTH) + 0.5), TOP - SIZE_m * (np.arange(HEIGHT) + 0.5)
    return create_cube(bands, days, y, x, WKT, "month")


def make_run(path: Path, head: HeadName = "linear") -> Path:
    """A run on the raw series of 60 fields."""
    crop = np.arange(60) % 2
    bands = curves(crop, seed=0)
    table = pd.DataFrame(
        {"sample_id": np.arange(60), "lat": -12 - np.arange(60) / 100, "lon": -55.0,
         "crop": np.array(["soybean", "maize"])[crop], "start_month": START.month}
        | {f"{name}_{k:02d}": of[k] for name, of in bands.items() for k in range(STEPS)}
    )  # fmt: skip
    series = series_of(table, TableSettings("crop")).series
    write_run(path, train(series, CropTypeSettings(head=head), None), series, {"encoder": None})
    return path
