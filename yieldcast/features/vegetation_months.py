"""Monthly NDVI and EVI of places, as further inputs of the network beside the weather.

A month's value is the mean of its clear observations that were public when its weather was. It never changes
later: a network is trained on what a forecast sees. A month without such an observation takes the mean of the
same calendar month over the earlier years of the place, so that it can be used as soon as its weather.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError
from yieldcast.features.seasons import find
from yieldcast.features.vegetation import clean_observations
from yieldcast.publication import Publication

Floats = NDArray[np.float64]
Months = NDArray[np.datetime64]


def with_vegetation_months(
    weather: xr.Dataset, vegetation: xr.Dataset, names: Sequence[str], publication: Publication
) -> xr.Dataset:
    """Monthly weather with further columns (municipality, time), NaN before the first value of a place.

    Args:
        weather: table of monthly weather, whose places and months are those of the result.
        vegetation: table of observations, see `yieldcast.data.vegetation.check_vegetation`.
        names: ndvi, evi or both.
        publication: delays of the weather.

    Raises:
        MissingDataError: an index of which no observation can be used.
    """
    months = weather["time"].values.astype("datetime64[M]")
    public_by = _public_days(months, publication)
    found, _ = clean_observations(vegetation, public_by[-1])
    row, known = find(weather["municipality"].values, found.place)
    column = (found.date.astype("datetime64[M]") - months[0]).astype(np.int64)
    use = known & (column >= 0) & (column < len(months))
    use &= found.public <= public_by[np.clip(column, 0, len(months) - 1)]
    made = {}
    for name in names:
        values = found.ndvi if name == "ndvi" else found.evi
        mine = use & np.isfinite(values)
        if not mine.any():
            raise MissingDataError(
                f"the vegetation of the store has no clear observation of {name} that was public when the "
                "weather of its month was, which data.vegetation_inputs needs",
                "Import vegetation of these places and months, or leave the setting out. Observations that "
                "come out later than the weather of their month are not used.",
            )
        shape = (weather.sizes["municipality"], len(months))
        means = _means(values[mine], row[mine], column[mine], shape)
        filled = _filled(means, months).astype(np.float32)
        made[name] = (("municipality", "time"), filled, {"units": "1"})
    return weather.assign(made)


def _public_days(months: Months, publication: Publication) -> NDArray[np.datetime64]:
    """(month,) day on which the weather of each month is public."""
    return np.array([publication.weather_public(one.item()) for one in months], "datetime64[D]")


def _means(
    values: Floats, row: NDArray[np.intp], column: NDArray[np.int64], shape: tuple[int, int]
) -> Floats:
    """(place, month) mean of the observations, NaN without any."""
    cell = row * shape[1] + column
    total, count = (np.bincount(cell, weights, minlength=shape[0] * shape[1]) for weights in (values, None))
    made: Floats = np.full(len(count), np.nan)
    return np.divide(total, count, out=made, where=count > 0).reshape(shape)


def _filled(means: Floats, months: Months) -> Floats:
    """Means with gaps filled from the same calendar month of earlier years of the place."""
    made = means.copy()
    for month in range(12):
        mine = np.flatnonzero(months.astype(np.int64) % 12 == month)
        seen = np.isfinite(means[:, mine])
        count = seen.cumsum(axis=1) - seen
        total = np.where(seen, means[:, mine], 0.0)
        total = total.cumsum(axis=1) - total
        earlier = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        made[:, mine] = np.where(seen, means[:, mine], earlier)
    return made
