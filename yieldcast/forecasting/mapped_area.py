"""What maps of crops add to a forecast: areas beside the official ones, and the cells of its weather."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.crop_area import TABLE, mapped_area
from yieldcast.data.crop_cells import CELLS
from yieldcast.data.crop_cells import LATER_MAP as WEATHER_LATER_MAP
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Store
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, AREA_MAP, LATER_MAP, WEATHER_CELLS


def mapped_columns(
    store: Store,
    crop: str,
    as_of: dt.date,
    municipality: NDArray[np.int32],
    state: NDArray[np.str_],
    aggregates: Sequence[str],
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Variables and attributes of a forecast with the crop's area in the newest map that was public.

    Args:
        store: tables; without areas from maps both results are empty.
        crop, as_of: of the forecast.
        municipality, state: (row) of the forecast.
        aggregates: names, `ALL_MUNICIPALITIES` and states.
    """
    if "crop_area" not in store:
        return {}, {}
    groups = [
        np.ones(len(state), bool) if name == ALL_MUNICIPALITIES else np.asarray(state == name)
        for name in aggregates
    ]
    found = mapped_area(store.crop_area, crop, as_of, municipality, groups)
    if found is None:
        return {}, {}
    columns = {
        "area_mapped_ha": found.area_ha,
        "area_mapped_error_ha": found.error_ha,
        "aggregate_area_mapped_ha": found.whole_ha,
        "aggregate_area_mapped_error_ha": found.whole_error_ha,
    }
    return columns, {AREA_MAP: found.harvest_year}


def crop_area_fingerprint(store: Store, crop: str, as_of: dt.date) -> dict[str, str]:
    """Fingerprint of the maps of the crop that were public; empty for a store without any table of them."""
    if "crop_area" not in store:
        return {}
    table = store.crop_area
    public = table["public_from"].values <= np.datetime64(as_of)
    mine = np.flatnonzero(public & (table["crop"].values.astype(str) == crop))
    return {TABLE: fingerprint(table.isel(map=mine))[:16] if mine.size else ""}


def weather_cells(weather: xr.Dataset) -> dict[str, str]:
    """Attributes of a forecast whose weather is averaged over cropped cells; empty for other weather."""
    pairs = ((CELLS, WEATHER_CELLS), (WEATHER_LATER_MAP, LATER_MAP))
    return {mine: str(weather.attrs[theirs]) for theirs, mine in pairs if theirs in weather.attrs}
