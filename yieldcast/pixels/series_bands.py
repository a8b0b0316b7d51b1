"""Bands that a pixel series can hold: kinds, units, possible values, conversions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Kind = Literal["reflectance", "radar", "index", "temperature", "rain", "height", "angle"]


@dataclass(frozen=True)
class SeriesBand:
    """One band of a series.

    Args:
        name: as in tables, without the number of the step.
        kind: decides units and compositing.
    """

    name: str
    kind: Kind

    @property
    def unit(self) -> str:
        """Unit of the values in a series; those of `bands.BANDS` where the encoder reads the band."""
        return UNITS[self.kind][0]

    @property
    def optical(self) -> bool:
        """Whether clouds hide it."""
        return self.kind in ("reflectance", "index")


# Of each kind the unit in a series first, then the others that tables have.
UNITS: dict[Kind, tuple[str, ...]] = {
    "reflectance": ("x10000", "1"),
    "radar": ("dB", "DN"),
    "index": ("1", "x10000"),
    "temperature": ("K", "degC", "Kx100"),
    "rain": ("m", "mm", "mmx100"),
    "height": ("m",),
    "angle": ("degrees",),
}
# Limits of a possible value in the unit of a series. Reflectance and indices pass 0 and 1 a little after the
# correction for the atmosphere. The limits are our choice.
POSSIBLE: dict[Kind, tuple[float, float]] = {
    "reflectance": (-2000.0, 20000.0),
    "radar": (-60.0, 25.0),
    "index": (-2.0, 2.0),
    "temperature": (180.0, 340.0),
    "rain": (0.0, 6.0),
    "height": (-500.0, 9000.0),
    "angle": (0.0, 90.0),
}
SENTINEL2 = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
MODIS = ("RED", "NIR", "BLUE", "MIR")
SERIES_BANDS = (
    SeriesBand("VV", "radar"),
    SeriesBand("VH", "radar"),
    *(SeriesBand(name, "reflectance") for name in (*SENTINEL2, *MODIS)),
    SeriesBand("NDVI", "index"),
    SeriesBand("EVI", "index"),
    SeriesBand("temperature", "temperature"),
    SeriesBand("precipitation", "rain"),
)
STATIC_BANDS = (SeriesBand("elevation", "height"), SeriesBand("slope", "angle"))
BAND_OF = {band.name: band for band in (*SERIES_BANDS, *STATIC_BANDS)}
_OTHER_NAMES = {
    "temperature_2m": "temperature",
    "total_precipitation": "precipitation",
    **{f"B0{i}": f"B{i}" for i in range(2, 9)},
}
_BY_LOWER = {name.lower(): name for name in BAND_OF} | {
    other.lower(): name for other, name in _OTHER_NAMES.items()
}


def band_name(text: str) -> str | None:
    """The name of a band that is written in any case, or as B02, temperature_2m, total_precipitation."""
    return _BY_LOWER.get(text.lower())


def converted(values: Floats, band: SeriesBand, unit: str) -> Floats:
    """Values of a unit of `UNITS` in the unit of the series.

    dB = 20 log10(DN) - 83 is the scale of the Sentinel-1 images of WorldCereal and of ALOS PALSAR.
    """
    if unit == band.unit:
        return values
    if unit == "DN":
        with np.errstate(divide="ignore", invalid="ignore"):
            decibel = 20 * np.log10(values) - 83
        return np.where(values > 0, decibel, np.nan).astype(np.float32)
    factor, add = {
        ("reflectance", "1"): (1e4, 0.0),
        ("index", "x10000"): (1e-4, 0.0),
        ("temperature", "degC"): (1.0, 273.15),
        ("temperature", "Kx100"): (1e-2, 0.0),
        ("rain", "mm"): (1e-3, 0.0),
        ("rain", "mmx100"): (1e-5, 0.0),
    }[band.kind, unit]
    return (values * np.float32(factor) + np.float32(add)).astype(np.float32)
