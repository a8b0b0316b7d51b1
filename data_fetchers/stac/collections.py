"""Catalogues, and the one table of collections: assets, scale, offset, nodata, clouds, licence.

Sources: Sentinel-2 Products Specification (reflectance = (DN + BOA_ADD_OFFSET) / 10000, offset -1000 from
processing baseline 04.00 on, January 2022); HLS v2.0 User Guide (scale 0.0001, fill -9999, Fmask bits 1
cloud, 2 adjacent, 3 shadow, 4 snow, 5 water); MOD13 Collection 6.1 User Guide (scale 0.0001, fill -3000,
pixel reliability 0 good, 1 marginal); Microsoft's Sentinel-1 RTC (gamma0 as linear power); Copernicus DEM
Product Handbook. Identifiers and asset names as their catalogues document them in 2025; not seen live.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, FetchError
from yieldcast.pixels.series_bands import BAND_OF, POSSIBLE, Floats, converted
from yieldcast.pixels.series_tables import CLEAR

Access = Literal["open", "sas", "earthdata"]
Flags = Literal["SCL", "Fmask", "reliability", ""]
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
SINUSOIDAL_PIXEL_m = 1111950.519667 / 4800  # a tile of MODIS has 4800 pixels of "250 m"
_HARMONISED = "earthsearch:boa_offset_applied"  # true: the catalogue has taken the offset off the files
_OFFSET_SINCE = 4.0  # processing baseline
_FMASK_HIDDEN = 0b1110  # cloud, adjacent to cloud, shadow


@dataclass(frozen=True)
class Catalogue:
    """A STAC API.

    Args:
        url: root of the API.
        access: open; sas: links are signed with a token of `token_url`; earthdata: NASA's login.
        token_url: gives tokens, followed by the name of the collection.
    """

    url: str
    access: Access = "open"
    token_url: str = ""


CATALOGUES: Mapping[str, Catalogue] = {
    "earth-search": Catalogue("https://earth-search.aws.element84.com/v1"),
    "planetary-computer": Catalogue(
        "https://planetarycomputer.microsoft.com/api/stac/v1", "sas",
        "https://planetarycomputer.microsoft.com/api/sas/v1/token",
    ),
    "lpcloud": Catalogue("https://cmr.earthdata.nasa.gov/stac/LPCLOUD", "earthdata"),
}  # fmt: skip


@dataclass(frozen=True)
class Collection:
    """One kind of images.

    Args:
        ids: by catalogue, its name of the collection.
        bands: band of `series_bands` -> names of the asset in the catalogues.
        unit: of value = stored * scale + offset: one of `series_bands.UNITS`, or power for linear radar.
        nodata: stored number without a value.
        pixel_m: size of the finest pixels (m).
        flags: kind of the asset that tells clouds.
        flag_assets: its names.
        no_flag: stored number of the flags where there is no image.
        family: images of one family are composited together.
        crs: of the target grid; empty for the zone of UTM.
        prefix: with which the names of items begin.
        lag_days: from the date of an image to its publication, for items that do not say it.
        static: without a date: elevation.
        licence, attribution: of the data.
    """

    ids: Mapping[str, str]
    bands: Mapping[str, tuple[str, ...]]
    unit: str
    scale: float
    nodata: int
    pixel_m: float
    family: str
    lag_days: int
    licence: str
    attribution: str
    flags: Flags = ""
    flag_assets: tuple[str, ...] = ()
    no_flag: int = 0
    crs: str = ""
    prefix: str = ""
    static: bool = False


_COPERNICUS = "free, full and open (Copernicus Sentinel data terms)"
_NASA = "no restrictions (NASA EOSDIS data use policy)"


def _hls(ids: Mapping[str, str], bands: Mapping[str, tuple[str, ...]], sensor: str) -> Collection:
    return Collection(
        ids, bands, unit="1", scale=1e-4, nodata=-9999, pixel_m=30.0, family="hls", lag_days=4, licence=_NASA,
        attribution=f"NASA LP DAAC, HLS{sensor} v2.0 (doi:10.5067/HLS/HLS{sensor}.002)",
        flags="Fmask", flag_assets=("Fmask",), no_flag=255,
    )  # fmt: skip


COLLECTIONS: Mapping[str, Collection] = {
    "sentinel-2-l2a": Collection(
        {"earth-search": "sentinel-2-l2a", "planetary-computer": "sentinel-2-l2a"},
        {
            "B2": ("blue", "B02"), "B3": ("green", "B03"), "B4": ("red", "B04"), "B5": ("rededge1", "B05"),
            "B6": ("rededge2", "B06"), "B7": ("rededge3", "B07"), "B8": ("nir", "B08"),
            "B8A": ("nir08", "B8A"), "B11": ("swir16", "B11"), "B12": ("swir22", "B12"),
        },
        unit="1", scale=1e-4, nodata=0, pixel_m=10.0, family="sentinel-2", lag_days=2,
        licence=_COPERNICUS, attribution="Contains modified Copernicus Sentinel data",
        flags="SCL", flag_assets=("scl", "SCL"), no_flag=0,
    ),
    # The names of HLS differ by sensor: near infrared is B8A of Sentinel-2, B05 of Landsat.
    "hls2-s30": _hls(
        {"planetary-computer": "hls2-s30", "lpcloud": "HLSS30_2.0"},
        {
            "B2": ("B02",), "B3": ("B03",), "B4": ("B04",), "B5": ("B05",), "B6": ("B06",), "B7": ("B07",),
            "B8": ("B08",), "B8A": ("B8A",), "B11": ("B11",), "B12": ("B12",),
        },
        "S30",
    ),
    "hls2-l30": _hls(
        {"planetary-computer": "hls2-l30", "lpcloud": "HLSL30_2.0"},
        {
            "B2": ("B02",), "B3": ("B03",), "B4": ("B04",), "B8A": ("B05",), "B11": ("B06",),
            "B12": ("B07",),
        },
        "L30",
    ),
    "modis-13Q1-061": Collection(
        {"planetary-computer": "modis-13Q1-061"},
        {
            "NDVI": ("250m_16_days_NDVI",), "EVI": ("250m_16_days_EVI",),
            "RED": ("250m_16_days_red_reflectance",), "NIR": ("250m_16_days_NIR_reflectance",),
            "BLUE": ("250m_16_days_blue_reflectance",), "MIR": ("250m_16_days_MIR_reflectance",),
        },
        unit="1", scale=1e-4, nodata=-3000, pixel_m=SINUSOIDAL_PIXEL_m, family="modis", lag_days=24,
        licence=_NASA, attribution="NASA LP DAAC, MOD13Q1 v061 (doi:10.5067/MODIS/MOD13Q1.061)",
        flags="reliability", flag_assets=("250m_16_days_pixel_reliability",), no_flag=255,
        # the collection also has composites of Aqua (MYD13Q1), eight days later
        crs=SINUSOIDAL, prefix="MOD13Q1",
    ),
    "sentinel-1-rtc": Collection(
        {"planetary-computer": "sentinel-1-rtc"}, {"VV": ("vv",), "VH": ("vh",)},
        unit="power", scale=1.0, nodata=-32768, pixel_m=10.0, family="sentinel-1", lag_days=3,
        licence="CC BY 4.0",
        attribution="Contains modified Copernicus Sentinel data processed by Microsoft and Catalyst",
    ),
    "cop-dem-glo-30": Collection(
        {"earth-search": "cop-dem-glo-30", "planetary-computer": "cop-dem-glo-30"}, {"elevation": ("data",)},
        unit="m", scale=1.0, nodata=-32767, pixel_m=30.0, family="dem", lag_days=0, static=True,
        licence="Copernicus DEM licence (free of charge, attribution)",
        attribution="(c) DLR e.V. 2010-2014 and (c) Airbus Defence and Space GmbH 2014-2018, provided under "
        "COPERNICUS by the European Union and ESA; all rights reserved",
    ),
}  # fmt: skip
_REFUSED = {
    "sentinel-1-grd": "Sentinel-1 GRD is neither calibrated nor on a map grid: take sentinel-1-rtc of "
    "planetary-computer.",
}


def collection(name: str) -> Collection:
    """A collection of the table.

    Raises:
        ConfigError: unknown.
    """
    if name not in COLLECTIONS:
        hint = _REFUSED.get(name, f"Known: {', '.join(COLLECTIONS)}.")
        raise ConfigError(f"expected a collection of the table, received {name}", hint)
    return COLLECTIONS[name]


def offset_of(name: str, properties: Mapping[str, Any], item: str) -> float:
    """What is added to stored * scale, from the processing baseline of an image of Sentinel-2.

    Args:
        name: of the collection.
        properties: of the item.
        item: its name, which holds the baseline as N0400 where ESA's names are kept.

    Raises:
        FetchError: Sentinel-2 without a baseline: its reflectance may be wrong by 0.1.
    """
    if name != "sentinel-2-l2a" or properties.get(_HARMONISED) is True:
        return 0.0
    known = baseline(properties, item)
    if known is None:
        raise FetchError(
            f"{item}: expected the processing baseline (s2:processing_baseline), received none: from 04.00 "
            "on 0.1 is taken off every reflectance",
            "Take another catalogue.",
        )
    return -0.1 if known >= _OFFSET_SINCE else 0.0


def baseline(properties: Mapping[str, Any], item: str) -> float | None:
    """Processing baseline of an image of Sentinel-2; None where nothing tells it."""
    for name in ("s2:processing_baseline", "processing:version"):
        text = str(properties.get(name, ""))
        if re.fullmatch(r"\d{2}\.\d{2}", text):
            return float(text)
    for text in (str(properties.get("s2:product_uri", "")), item):
        if found := re.search(r"_N(\d{2})(\d{2})_", text):
            return float(f"{found[1]}.{found[2]}")
    return None


def clear(kind: Flags, flags: NDArray[Any], no_flag: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where there is an image, and where the ground is seen in it.

    Args:
        kind: of the flags.
        flags: as stored.
        no_flag: stored number without an image.
    """
    seen = flags != no_flag
    if kind == "Fmask":
        return seen, seen & ((flags.astype(np.int64) & _FMASK_HIDDEN) == 0)
    return seen, seen & np.isin(flags, CLEAR[kind])


def in_series_units(band: str, stored: Floats, made_by: Collection, offset: float) -> Floats:
    """Values in the unit of a series, NaN where impossible.

    Args:
        band: of `series_bands`.
        stored: numbers of the file, NaN without a value.
        made_by: the collection.
        offset: see `offset_of`.
    """
    kind = BAND_OF[band].kind
    values = stored.astype(np.float64) * made_by.scale + offset
    if made_by.unit == "power":
        with np.errstate(divide="ignore", invalid="ignore"):
            made = np.where(values > 0, 10 * np.log10(values), np.nan).astype(np.float32)
    else:
        made = converted(values.astype(np.float32), BAND_OF[band], made_by.unit)
    low, high = POSSIBLE[kind]
    with np.errstate(invalid="ignore"):
        return np.where((made >= low) & (made <= high), made, np.float32(np.nan)).astype(np.float32)
