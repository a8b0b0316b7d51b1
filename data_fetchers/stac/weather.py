"""Temperature and precipitation of a store as two bands: the months of the nearest place, for ERA5."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from data_fetchers.engine.constants import ZERO_degC_in_K
from yieldcast.data.store import Store
from yieldcast.data.zonal import EARTH_RADIUS_km
from yieldcast.errors import MissingDataError
from yieldcast.pixels.series_bands import Floats
from yieldcast.publication import Publication

WEATHER_BANDS = ("temperature", "precipitation")
_FARTHEST_km = 100.0  # beyond, the weather is not that of the pixel (our choice)
_MM = 1000.0


class StoreWeather:
    """Monthly weather of a store's places, given for any point.

    Args:
        store: with weather.
        months: first days of the steps.
        as_of: months that were not public on this day are missing; None takes all.

    Raises:
        MissingDataError: the store has no weather, or none of these months.
    """

    def __init__(self, store: Store, months: Sequence[dt.date], as_of: dt.date | None) -> None:
        weather, static = store.weather, store.static
        public = Publication()
        wanted = [m for m in months if as_of is None or public.weather_public(m) <= as_of]
        kept = np.isin(weather["time"].values, np.array(wanted, "datetime64[ns]"))
        if not kept.any():
            raise MissingDataError(
                f"the weather of the store has none of the months {months[0]:%Y-%m} to {months[-1]:%Y-%m}",
                "Fetch them: yieldcast fetch weather.",
            )
        self.table = weather.isel(time=kept).reindex(time=np.array(months, "datetime64[ns]"))
        places = static.sel(municipality=weather["municipality"].values)
        self._tree = cKDTree(_on_sphere(places["latitude_deg"].values, places["longitude_deg"].values))
        self.source = dict(weather.attrs)

    def at(self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> dict[str, Floats]:
        """Band -> (step, point), in K (mean of the extremes) and m.

        Args:
            latitude, longitude: (point,) degrees.

        Raises:
            MissingDataError: points further than 100 km from every place of the store.
        """
        away, nearest = self._tree.query(_on_sphere(latitude, longitude))
        far = 2 * EARTH_RADIUS_km * np.arcsin(np.minimum(away / 2, 1))
        if far.max() > _FARTHEST_km:
            k = int(far.argmax())
            raise MissingDataError(
                f"expected a place of the store within {_FARTHEST_km:g} km of every pixel, received "
                f"{far[k]:.0f} km at {latitude[k]:.3f}, {longitude[k]:.3f}",
                "Give a store whose places are around the pixels, or leave --store out.",
            )
        places = self.table.isel(municipality=xr.DataArray(nearest, dims="point"))
        mean = (_values(places, "tmax_degC") + _values(places, "tmin_degC")) / 2 + ZERO_degC_in_K
        rain = _values(places, "precipitation_mm") / _MM
        return {"temperature": mean.astype(np.float32), "precipitation": rain.astype(np.float32)}


def _values(table: xr.Dataset, name: str) -> NDArray[Any]:
    return table[name].transpose("time", "point").values.astype(np.float64)


def _on_sphere(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    lat, lon = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
