"""Pixel series to the inputs of Presto, and to the columns that classifiers without an encoder read."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.encoders.bands import BAND_NAMES, normalise
from yieldcast.encoders.embedding import PixelInputs, pixel_inputs
from yieldcast.pixels.series_bands import MODIS, SENTINEL2

Floats = NDArray[np.float32]
ModisRule = Literal["fill", "mask"]
ONE_PLACE = (0.0, 0.0)  # latitude and longitude of every series where the location is not to be used
_SAME = {name: name for name in ("VV", "VH", *SENTINEL2)} | {
    "temperature": "temperature_2m",
    "precipitation": "total_precipitation",
}


def presto_inputs(series: xr.Dataset, *, location: bool, modis: ModisRule) -> PixelInputs:
    """The inputs of Presto.

    NDVI comes from red and near infrared where both are known, else from the band NDVI of the series. EVI has
    no place in Presto.

    Args:
        series: see `pixel_series`.
        location: False gives all series the same latitude and longitude: with a linear head and regions that
            were not in the training, true ones can ruin the score.
        modis: what becomes of MODIS bands, both outside what Presto saw in its training. "fill": red and blue
            as B4 and B2, green (B3) their mean, near infrared as B8 and B8A, B12 the middle infrared, B11 the
            mean of both infrareds. "mask": only near infrared as B8, and NDVI.
    """
    bands = {name: series["values"].values[..., k] for k, name in enumerate(series["band"].values.tolist())}
    known = {_SAME[name]: values for name, values in bands.items() if name in _SAME}
    if any(name in bands for name in MODIS):
        known |= {name: values for name, values in _of_modis(bands, modis).items() if name not in known}
    raw = np.full((*series["missing"].shape[:2], len(BAND_NAMES)), np.nan, np.float32)
    for name, values in known.items():
        raw[..., BAND_NAMES.index(name)] = values
    for k, name in enumerate(series["static_band"].values.tolist()):
        raw[..., BAND_NAMES.index(name)] = series["static"].values[:, k, None]
    x, mask = normalise(raw, ~np.isfinite(raw))
    column = BAND_NAMES.index("NDVI")
    if "NDVI" in bands:
        given = mask[..., column] & np.isfinite(bands["NDVI"])
        x[..., column] = np.where(given, bands["NDVI"], x[..., column])
        mask[..., column] &= ~given
    place = np.stack([series["latitude_deg"].values, series["longitude_deg"].values], axis=1)
    if not location:
        place = np.broadcast_to(np.array(ONE_PLACE), place.shape)
    return pixel_inputs(x, place, series["month"].values, mask)


def _of_modis(bands: dict[str, Floats], rule: ModisRule) -> dict[str, Floats]:
    missing = np.full(next(iter(bands.values())).shape, np.nan, np.float32)
    red, infrared, blue, middle = (bands.get(name, missing) for name in MODIS)
    if rule == "mask":
        return {"B8": infrared}
    green, short = ((a + b) / np.float32(2) for a, b in ((blue, red), (infrared, middle)))
    return {
        "B2": blue, "B3": green, "B4": red, "B8": infrared, "B8A": infrared,
        "B11": short, "B12": middle,
    }  # fmt: skip


def raw_columns(series: xr.Dataset) -> tuple[Floats, tuple[str, ...]]:
    """The series itself as columns, with gaps filled in time.

    Gaps are filled by straight lines between the dates around them (at the ends, the nearest date), so that a
    comparison with an encoder that knows about gaps is fair, and so that their pattern does not betray the
    year. NDVI is added where the series has red and near infrared only.

    Returns:
        (sample, column), NaN only where a series has no value of a band at all; and the names of the columns.
    """
    bands = {name: series["values"].values[..., k] for k, name in enumerate(series["band"].values.tolist())}
    for red, infrared in (("B4", "B8"), ("RED", "NIR")):
        if "NDVI" not in bands and red in bands and infrared in bands:
            total = bands[infrared] + bands[red]
            ratio = np.full_like(total, np.nan)
            np.divide(bands[infrared] - bands[red], total, out=ratio, where=total > 0)
            bands["NDVI"] = np.clip(ratio, -1, 1)
    columns, names = [], []
    for name, values in bands.items():
        columns.append(_filled(values))
        names += [f"{name}_{k:02d}" for k in range(values.shape[1])]
    columns.append(series["static"].values)
    names += series["static_band"].values.tolist()
    return np.concatenate(columns, axis=1), tuple(names)


def _filled(values: Floats) -> Floats:
    """(sample, step) with gaps filled along the steps."""
    made, steps = values.copy(), np.arange(values.shape[1])
    known = np.isfinite(values)
    for row in np.flatnonzero(known.any(axis=1) & ~known.all(axis=1)):
        made[row] = np.interp(steps, steps[known[row]], values[row, known[row]])
    return made
