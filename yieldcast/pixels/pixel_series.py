"""Pixel series: one labelled Dataset that every step of crop-type mapping reads, and its check.

Dims and variables (``create`` makes it, ``check_series`` refuses anything else):

===========================  ===================  ============================================================
variable                     dims                 meaning
===========================  ===================  ============================================================
values                       sample, step, band   float32 in the units of `series_bands`; NaN where missing
missing                      sample, step, band   bool, True where there is no value
month                        sample, step         int8, 0 = January
latitude_deg, longitude_deg  sample               float64, WGS 84
static                       sample, static_band  float32, elevation (m), slope (degrees); NaN where unknown
label                        sample               class as text; empty where unknown
group                        sample               region, tile or country as text
location                     sample               text; the same place has the same one, also in other seasons
season                       sample               harvest year or name of the season as text
===========================  ===================  ============================================================

The coordinate ``sample`` holds the ids, ``band`` the names in the order of `series_bands.SERIES_BANDS`;
the attribute ``step`` is month, ten-days or 16-days. Those of tables have ``group_column`` too: the
column that ``group`` came from, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from yieldcast.errors import SchemaError
from yieldcast.pixels.series_bands import BAND_OF, POSSIBLE, SERIES_BANDS, STATIC_BANDS, Floats

STEPS = {"month": 12.0, "ten-days": 36.0, "16-days": 23.0}  # and how many make a year
TEXTS = ("label", "group", "location", "season")
_ORDER = tuple(band.name for band in SERIES_BANDS)
_STATIC = tuple(band.name for band in STATIC_BANDS)
_DIMS = {
    "values": ("sample", "step", "band"), "missing": ("sample", "step", "band"), "month": ("sample", "step"),
    "latitude_deg": ("sample",), "longitude_deg": ("sample",), "static": ("sample", "static_band"),
    **dict.fromkeys(TEXTS, ("sample",)),
}  # fmt: skip
_SAME_PLACE_deg = 1e-6  # about 0.1 m
_HINT = "Make series with yieldcast.pixels.series_tables, or pixel_series.create."


def create(
    bands: Mapping[str, Floats],
    month: ArrayLike,
    latitude_deg: ArrayLike,
    longitude_deg: ArrayLike,
    samples: ArrayLike,
    step: str,
    static: Mapping[str, Floats] | None = None,
    **texts: ArrayLike | None,
) -> xr.Dataset:
    """Checked series.

    Args:
        bands: name -> (sample, step) in the unit of the series, NaN where missing; any order.
        month: (sample, step), 0 = January.
        latitude_deg, longitude_deg: (sample,).
        samples: (sample,) ids.
        step: one of `STEPS`.
        static: elevation and slope, (sample,).
        texts: label, group, location and season, (sample,); without locations, equal coordinates are one.

    Raises:
        SchemaError: as `check_series`.
    """
    names = [name for name in _ORDER if name in bands]
    if unknown := sorted(set(bands) - set(names)):
        raise SchemaError(f"pixel series: unknown bands {', '.join(unknown)}", f"Known: {', '.join(_ORDER)}.")
    if not names:
        raise SchemaError("pixel series: expected bands, received none", f"Known: {', '.join(_ORDER)}.")
    values = np.stack([np.asarray(bands[name], np.float32) for name in names], axis=-1)
    count = len(values)
    fixed = np.full((count, len(_STATIC)), np.nan, np.float32)
    for k, name in enumerate(_STATIC):
        if static and name in static:
            fixed[:, k] = static[name]
    place = np.asarray(latitude_deg, np.float64), np.asarray(longitude_deg, np.float64)
    data: dict[str, Any] = {
        "values": values, "missing": ~np.isfinite(values), "month": np.asarray(month).astype(np.int8),
        "latitude_deg": place[0], "longitude_deg": place[1], "static": fixed,
    }  # fmt: skip
    for name in TEXTS:
        given = texts.get(name)
        if given is None and name == "location":
            given = [f"{a:.5f} {b:.5f}" for a, b in zip(*place, strict=True)]
        data[name] = np.full(count, "") if given is None else np.asarray(given).astype(str)
    made = xr.Dataset(
        {name: (_DIMS[name], array) for name, array in data.items()},
        coords={"sample": np.asarray(samples).astype(str), "band": names, "static_band": list(_STATIC)},
        attrs={"step": step},
    )
    made["values"].attrs["units"] = ", ".join(f"{name}: {BAND_OF[name].unit}" for name in names)
    return check_series(made)


def check_series(series: xr.Dataset, where: str = "pixel series") -> xr.Dataset:
    """The same Dataset, if it keeps the contract of this module.

    Raises:
        SchemaError: other variables, dims, bands or their order; impossible values (most often of another
            scale); one step; samples of one date; seasons that start in different months; an id twice; one
            place under several locations.
    """
    for name, dims in _DIMS.items():
        if name not in series or series[name].dims != dims:
            found = series[name].dims if name in series else "none"
            raise SchemaError(f"{where}: expected {name} of {dims}, received {found}", _HINT)
    if series.attrs.get("step") not in STEPS:
        raise SchemaError(
            f"{where}: expected the attribute step of {', '.join(STEPS)}, received {series.attrs.get('step')}"
        )
    bands = series["band"].values.tolist()
    if not bands or bands != [name for name in _ORDER if name in bands]:
        raise SchemaError(
            f"{where}: expected bands in the order {', '.join(_ORDER)} (or some of them), received "
            f"{', '.join(map(str, bands)) or 'none'}",
            _HINT,
        )
    _check_values(series, where)
    _check_steps(series, where)
    _check_samples(series, where)
    return series


def _check_values(series: xr.Dataset, where: str) -> None:
    values, missing = series["values"].values, series["missing"].values
    if values.dtype != np.float32 or missing.dtype != np.bool_ or (np.isnan(values) != missing).any():
        raise SchemaError(
            f"{where}: expected float32 values that are NaN exactly where missing is True", _HINT
        )
    fixed = series["static"].values
    columns = [(name, values[..., k]) for k, name in enumerate(series["band"].values.tolist())]
    columns += [(name, fixed[:, k]) for k, name in enumerate(_STATIC)]
    for name, array in columns:
        low, high = POSSIBLE[BAND_OF[name].kind]
        wrong = (array < low) | (array > high)
        if wrong.any():
            raise SchemaError(
                f"{where}: {name}: expected {low:g} to {high:g} {BAND_OF[name].unit}, received "
                f"{float(array[wrong][0]):g} ({int(wrong.sum())} such values)",
                "Is it another scale, or another band?",
            )


def _check_steps(series: xr.Dataset, where: str) -> None:
    month = series["month"].values
    if series.sizes["sample"] == 0 or month.shape[1] < 2:
        raise SchemaError(
            f"{where}: expected samples of two steps or more, received {month.shape[0]} of {month.shape[1]}",
            "A crop shows in how its values change over a season; give more dates.",
        )
    if (month < 0).any() or (month > 11).any():
        raise SchemaError(f"{where}: expected months of 0 (January) to 11, received {month.max()}", _HINT)
    other = (month != month[0]).any(axis=1)
    if other.any():
        found = sorted({int(one) + 1 for one in month[:, 0]})
        raise SchemaError(
            f"{where}: mixed seasons: expected series whose steps are the same months, received series that "
            f"start in the months {', '.join(map(str, found))} ({int(other.sum())} of {len(month)} differ "
            "from the first)",
            "Put each season into a table of its own, or cut all series to the same months.",
        )
    dates = (~series["missing"].values).any(axis=2).sum(axis=1)
    if (dates < 2).any():
        raise SchemaError(
            f"{where}: expected values at two dates or more in each series, received fewer in "
            f"{first(series['sample'].values[dates < 2])}",
            "Leave these samples out, or give more dates.",
        )


def _check_samples(series: xr.Dataset, where: str) -> None:
    ids, counts = np.unique(series["sample"].values, return_counts=True)
    if (counts > 1).any():
        raise SchemaError(
            f"{where}: expected each sample once, received {first(ids[counts > 1])} more than once",
            "Give each series its own id; the same place in two seasons is two samples of one location.",
        )
    latitude, longitude = series["latitude_deg"].values, series["longitude_deg"].values
    good = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 360)
    if not good.all():
        raise SchemaError(
            f"{where}: expected latitude of -90 to 90 and longitude of -360 to 360 degrees, received others "
            f"in {first(series['sample'].values[~good])}"
        )
    place = np.round(np.stack([latitude, longitude]) / _SAME_PLACE_deg).astype(np.int64)
    pairs = np.unique(
        np.stack([*place, np.unique(series["location"].values, return_inverse=True)[1]]), axis=1
    )
    _, places = np.unique(pairs[:2], axis=1, return_counts=True)
    if (places > 1).any():
        raise SchemaError(
            f"{where}: expected one location for one place, received {int((places > 1).sum())} places with "
            "several",
            "Give equal coordinates the same location, or leave the column out: no fold may divide a place.",
        )


def first(names: NDArray[Any], most: int = 3) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(str, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
