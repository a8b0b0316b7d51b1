"""The area to request from a gridded service, and its local time: those of the store's places."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from data_fetchers.engine.constants import Area
from data_fetchers.fetching.order import FetchContext
from data_fetchers.fetching.provenance import same_source
from data_fetchers.ibge.places import BRAZIL, first_outside_brazil
from data_fetchers.ibge.sidra import STATES
from yieldcast.data.boundaries import boundaries_of


def area_of(context: FetchContext, static: xr.Dataset, mesh: dict[str, Any] | None) -> Area:
    """The area to request: north, west, south, east, in whole degrees.

    It contains all places with a margin of one degree or more, and with a mesh all of their polygons. For all
    states of IBGE's places it is always the same, so that requests do not change when a place is added.

    Args:
        context: order and store.
        static: places to fetch for.
        mesh: boundaries, if values are means over polygons.
    """
    if same_source(context, "places") and set(STATES) <= set(static["state"].values.tolist()):
        return BRAZIL
    corners = [np.stack([static["longitude_deg"].values, static["latitude_deg"].values], axis=1)]
    if mesh is not None:
        inside = set(static["municipality"].values.tolist())
        polygons = [rings for one in boundaries_of(mesh) if one.code in inside for rings in one.polygons]
        corners += [outline for outline, *_holes in polygons]
    points = np.concatenate(corners)
    (west, south), (east, north) = np.floor(points.min(axis=0)) - 1, np.ceil(points.max(axis=0)) + 1
    return (
        min(float(north), 90.0),
        max(float(west), -180.0),
        max(float(south), -90.0),
        min(float(east), 180.0),
    )


def days_offset_h(places: xr.Dataset) -> int:
    """Offset of local time from UTC (h) for daily weather: Brasília's, or that of the mean longitude.

    Args:
        places: all places of the store.
    """
    if not first_outside_brazil(places):
        return -3
    return round(float(places["longitude_deg"].mean()) / 15)  # 15 degrees of longitude are one hour
