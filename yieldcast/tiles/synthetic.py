"""Made-up patches with plausible reflectance, for tests, docs and trials; no measure of real skill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.data.files import atomic_text, make_folder
from yieldcast.tiles.bands import BANDS
from yieldcast.tiles.label_codes import CLASSES

# Reflectance x 10000 of a closed canopy at the height of the season, by class, in the order of `BANDS`;
# plausible and made up. Wheat is ripe.
_CANOPY = {
    "maize": (1250, 1000, 900, 620, 1050, 2500, 3100, 3250, 3400, 1000, 15, 1750, 850),
    "soybean": (1250, 1010, 960, 600, 1150, 3300, 4300, 4500, 4600, 1100, 15, 1850, 800),
    "rice": (1280, 1050, 980, 750, 1080, 2000, 2450, 2550, 2600, 800, 15, 1150, 560),
    "wheat": (1400, 1250, 1350, 1500, 1900, 2450, 2650, 2850, 3000, 1000, 18, 2900, 2000),
    "other": (1330, 1120, 1050, 1000, 1400, 2300, 2600, 2750, 2850, 950, 16, 2200, 1350),
}
_FIELDS = 14  # in a patch of 64 pixels
_ROAD = 1.2  # half of the width of what lies between fields, pixels
_PIXEL_m = 10.0


def synthetic_patches(
    count: int, side: int, seed: int, shift: float = 0.0, shares: Sequence[float] = (3, 3, 2, 2, 4)
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Patches of fields.

    Args:
        count: patches.
        side: pixels.
        seed: of everything.
        shift: how far a country is from the mean: haze and brightness, about -1 to 1.
        shares: of the classes among the fields, in the order of `CLASSES`.

    Returns:
        (patch, 13, y, x) reflectance x 10000, and (patch, y, x) codes of the harmonised data set: 1 maize to
        5 other; 0 (no data) between the fields.
    """
    rng = np.random.default_rng([seed, count, side])
    images = np.empty((count, len(BANDS), side, side), np.uint16)
    labels = np.empty((count, side, side), np.uint8)
    canopy = np.array([_CANOPY[name] for name in CLASSES], float)
    haze = np.exp(-np.arange(len(BANDS)) / 3) * 250 * shift
    chance = np.asarray(shares, float) / np.sum(shares)
    for k in range(count):
        field, between = _fields(side, rng)
        crop = rng.choice(len(CLASSES), size=int(field.max()) + 1, p=chance)
        vigour = rng.uniform(0.75, 1.25, len(crop))[field] * (1 + 0.15 * shift)
        values = canopy[crop[field]] * vigour[..., None] + haze
        values = values * rng.normal(1, 0.05, values.shape) + rng.normal(0, 40, values.shape)
        values[between] = values[between] * 0.6 + 500
        images[k] = np.clip(np.moveaxis(values, -1, 0), 1, 20000)
        labels[k] = np.where(between, 0, crop[field] + 1)
    return images, labels


def write_patches(
    folder: Path,
    countries: Sequence[str] = ("north", "south"),
    count: int = 12,
    side: int = 64,
    seed: int = 0,
) -> Path:
    """Write patches as GeoTIFF pairs, and ``patches.csv`` with them.

    Args:
        folder: new or empty.
        countries: each with its own shift.
        count: patches of each country.
        side: pixels.
        seed: of everything.

    Returns:
        path of ``patches.csv``.
    """
    rows = []
    for number, country in enumerate(countries):
        shift = np.linspace(-1, 1, len(countries))[number] if len(countries) > 1 else 0.0
        images, labels = synthetic_patches(count, side, seed + number, float(shift))
        make_folder(folder / country)
        for k in range(count):
            names = [f"{country}/{k:04d}_{part}.tif" for part in ("image", "label")]
            corner = (500000.0 + 2 * k * side * _PIXEL_m, 8000000.0)
            write_image(folder / names[0], images[k], corner, BANDS)
            write_image(folder / names[1], labels[k][None], corner, ("class",), nodata=0)
            rows.append({"image": names[0], "label": names[1], "country": country, "season": 2020})
    atomic_text(folder / "patches.csv", pd.DataFrame(rows).to_csv(index=False))
    return folder / "patches.csv"


def write_image(
    path: Path,
    values: NDArray[Any],
    corner: tuple[float, float] = (500000.0, 8000000.0),
    names: Sequence[str] = BANDS,
    nodata: float | None = None,
    crs: str | None = "EPSG:32721",
) -> None:
    """Write (band, y, x) values as a GeoTIFF with 10 m pixels.

    Args:
        path: of the file.
        values: of the bands.
        corner: x and y of the upper left corner, m.
        names: descriptions of the bands.
        nodata: value that stands for no data.
        crs: coordinate system.
    """
    import rasterio

    grid = rasterio.transform.from_origin(*corner, _PIXEL_m, _PIXEL_m)
    shape = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
    with rasterio.open(
        path, "w", driver="GTiff", dtype=values.dtype, nodata=nodata, crs=crs, transform=grid, **shape
    ) as file:
        file.write(values)
        for k, name in enumerate(names):
            file.set_band_description(k + 1, name)


def _fields(side: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(y, x) number of the field (Voronoi cells of random centres), and True on the lines between."""
    count = max(3, round(_FIELDS * (side / 64) ** 2))
    centres = rng.uniform(0, side, (count, 2))
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1])
    nearest = np.partition(distance, 1, axis=-1)
    return distance.argmin(axis=-1), nearest[..., 1] - nearest[..., 0] < 2 * _ROAD
