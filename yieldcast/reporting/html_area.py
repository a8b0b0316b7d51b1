"""Areas of the crop in the newest public map, as data of the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

Columns = dict[str, list[Any]]


def area_columns(forecast: xr.Dataset) -> tuple[Columns, Columns]:
    """Columns ``map_area`` and ``map_error`` (whole ha) of places and of aggregates; empty without a map.

    Args:
        forecast: a checked table.
    """
    if "area_mapped_ha" not in forecast:
        return {}, {}
    places, aggregates = (
        {
            "map_area": _whole(forecast[f"{prefix}area_mapped_ha"]),
            "map_error": _whole(forecast[f"{prefix}area_mapped_error_ha"]),
        }
        for prefix in ("", "aggregate_")
    )
    return places, aggregates


def _whole(values: xr.DataArray) -> list[Any]:
    return [None if np.isnan(value) else round(value) for value in values.values.astype(float).tolist()]
