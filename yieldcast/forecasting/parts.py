"""The parts of a forecast: how much each ingredient adds to the median, in kg/ha.

The parts of a municipality add up to its median. Those of a state or the country are the area-weighted means
of its municipalities' parts, except the calibration, which belongs to the errors of single municipalities;
what the median of the aggregate has besides is its part `REMAINDER`. Only forecasts by the method "posterior"
have parts.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.language import message

Floats = NDArray[np.float64]

# In the order in which they are added.
PARTS = {
    "level": message("level of recent published yields"),
    "trend": message("growth from the level to the harvest year"),
    "water_so_far": message("water balance of the season's known days"),
    "weather_to_come": message("departure of the coming weather from the usual"),
    "official": message("official state estimate"),
    "trees": message("boosted trees, as far as their hindcasts add to the rest"),
    "network": message("network, as far as its hindcasts add to the rest"),
    "calibration": message("median error of hindcasts, in part"),
}
CALIBRATION, REMAINDER = "calibration", "remainder"


def part_variable(part: str) -> str:
    """Name of the variable of a forecast that holds a part of `PARTS`."""
    return f"part_{part}_kg_ha"


def municipal_parts(forecast: xr.Dataset) -> xr.DataArray:
    """Parts of the medians of municipalities.

    Args:
        forecast: a checked table.

    Returns:
        (part, municipality) kg/ha in the order of `PARTS`; no part where the forecast has none.
    """
    names = [name for name in PARTS if part_variable(name) in forecast]
    values = [forecast[part_variable(name)].values.astype(np.float64) for name in names]
    places = forecast["municipality"].values
    return _array(np.array(values).reshape(len(names), len(places)), names, "municipality", places)


def aggregate_parts(forecast: xr.Dataset) -> xr.DataArray:
    """Parts of the medians of the country and the states, see the module's docstring.

    Args:
        forecast: a checked table.

    Returns:
        (part, aggregate) kg/ha, the last part being `REMAINDER`; no part where the forecast has none.
    """
    aggregates = forecast["aggregate"].values
    found = municipal_parts(forecast)
    if not found.sizes["part"]:
        return _array(np.empty((0, len(aggregates))), [], "aggregate", aggregates)
    found = found.sel(part=[name for name in found["part"].values.tolist() if name != CALIBRATION])
    means = found.values @ _weights(forecast).T
    median = forecast["aggregate_yield_kg_ha"].sel(quantile=0.5, method="nearest").values.astype(np.float64)
    values = np.vstack((means, median - means.sum(axis=0)))
    return _array(values, [*found["part"].values.tolist(), REMAINDER], "aggregate", aggregates)


def change_of_parts(before: xr.DataArray, now: xr.DataArray) -> xr.DataArray:
    """By how much each part of an earlier forecast differs from that of a later one.

    Args:
        before, now: results of `municipal_parts` or `aggregate_parts`.

    Returns:
        (part, row) kg/ha for the rows of `now`; a part that only one of them has is 0 in the other, and rows
        that only `now` has are NaN.
    """
    names = [name for name in (*PARTS, REMAINDER) if name in before["part"] or name in now["part"]]
    old, new = (parts.reindex(part=names, fill_value=0.0) for parts in (before, now))
    dim = now.dims[1]
    return new - old.reindex({dim: now[dim].values})


def _weights(forecast: xr.Dataset) -> Floats:
    """(aggregate, municipality) shares of planted area; equal ones within a state without a known area."""
    state = forecast["state"].values.astype(str)
    area = np.nan_to_num(forecast["area_planted_ha"].values.astype(np.float64))
    names = forecast["aggregate"].values.astype(str).tolist()
    mine = np.array([np.ones(len(state), dtype=bool), *(state == name for name in names[1:])])
    for group in mine[1:]:
        if not area[group].sum():
            area[group] = 1.0
    weight = mine * area
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12))


def _array(values: Floats, names: list[str], dim: str, labels: NDArray[np.generic]) -> xr.DataArray:
    attributes = {"units": "kg/ha", "long_name": "part of the median yield"}
    coords = {"part": np.array(names, dtype=str), dim: labels}
    return xr.DataArray(values, coords, ("part", dim), "parts", attributes)
