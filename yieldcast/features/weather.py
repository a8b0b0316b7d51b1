"""Weather inputs that are computed: degree days, months filled with climatology, anomalies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import degree_days
from yieldcast.errors import ConfigError
from yieldcast.features.seasons import find
from yieldcast.variables import degree_day_quantity


def limits(crop: str, chosen: dict[str, tuple[float, float]]) -> tuple[float, float]:
    """Base and upper temperature of a crop's growing degree days (degC).

    Args:
        crop: crop name.
        chosen: limits from the settings, which replace those of `degree_days.LIMITS`.

    Raises:
        ConfigError: neither has the crop.
    """
    known = {**degree_days.LIMITS, **chosen}
    if crop not in known:
        raise ConfigError(
            f"no degree-day limits for {crop!r}; known: {', '.join(sorted(known))}",
            f"Add them to the config file: [data.degree_days] {crop} = [base, upper] in degC.",
        )
    return known[crop]


def with_degree_days(weather: xr.Dataset, base_degC: float, upper_degC: float) -> tuple[xr.Dataset, str]:
    """The weather table with monthly degree days of these limits, and the name of that variable.

    If the table has the variable (an import computes it from daily values for the limits of
    `degree_days.LIMITS`), it is exact and is used; otherwise the formula is applied to the monthly means
    (`degree_days.from_monthly`, an approximation).

    Args:
        weather: dims (municipality, time) with tmax_degC and tmin_degC.
        base_degC, upper_degC: limits in degC.
    """
    quantity = degree_day_quantity(base_degC, upper_degC)
    if quantity.name in weather:
        return weather, quantity.name
    days = weather["time"].dt.days_in_month
    values = degree_days.from_monthly(weather["tmax_degC"], weather["tmin_degC"], days, base_degC, upper_degC)
    values.attrs = {"units": quantity.units, "approximation": "from monthly means"}
    return weather.assign({quantity.name: values.astype(np.float32)}), quantity.name


def fill_with_climatology(season: xr.Dataset, climate: xr.Dataset) -> xr.Dataset:
    """The season with the climatology in all months that are not public yet.

    Values missing in months that were public stay missing.

    Args:
        season: from `seasons.cut_seasons`.
        climate: from `seasons.climatology` of the weather known on the same date.
    """
    values = season["weather"].values.copy()
    row, found = find(climate["municipality"].values, season["municipality"].values)
    month, missing = season["month"].dt.month.values - 1, ~season["public"].values & found[:, None]
    for position, name in enumerate(season["variable"].values):
        mean = climate[str(name)].values[row[:, None], month]
        values[..., position] = np.where(missing, mean, values[..., position])
    return season.assign(weather=(season["weather"].dims, values))


def without_normal(season: xr.Dataset, climate: xr.Dataset, summed: str) -> xr.Dataset:
    """The season as anomalies: departures from the climatology of each municipality (K, mm, degC day).

    Args:
        season: dims (sample, step, variable), with `summed` accumulated.
        climate: from `seasons.climatology`.
        summed: the variable whose climatology is accumulated before it is subtracted.
    """
    normal = normals(climate, season["municipality"].values, season["month"].values, season, summed)
    return season.assign(weather=(season["weather"].dims, season["weather"].values - normal))


def normals(
    climate: xr.Dataset, municipality: np.ndarray, months: np.ndarray, season: xr.Dataset, summed: str
) -> np.ndarray:
    """Climatology of season windows, (sample, step, variable) float32; NaN where unknown.

    Args:
        climate: from `seasons.climatology`.
        municipality: (sample,) codes.
        months: (sample, step) datetime64.
        season: its coordinate `variable` gives names and order.
        summed: the variable to accumulate.
    """
    names = [str(name) for name in season["variable"].values]
    values = month_normals(climate, municipality, months, names)
    accumulate_in_place(values, names.index(summed))
    return values.astype(np.float32)


def month_normals(
    climate: xr.Dataset, municipality: np.ndarray, months: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Climatology of months, (sample, step, variable); NaN where unknown.

    Args:
        climate: from `seasons.climatology`.
        municipality: (sample,) codes.
        months: (sample, step) datetime64.
        names: variables of `climate`, in the order wanted.
    """
    row, found = find(climate["municipality"].values, municipality)
    month = months.astype("datetime64[M]").astype(np.int64) % 12  # months since January 1970
    values = np.stack([climate[name].values[row[:, None], month] for name in names], axis=-1)
    return np.where(found[:, None, None], values, np.nan)


def accumulate(season: xr.Dataset, name: str) -> xr.Dataset:
    """The season with one variable summed from planting on, as the degree days of the paper (Section 3).

    Args:
        season: dims (sample, step, variable), in order of steps.
        name: the variable to accumulate; NaN from the first unknown month on.
    """
    values = season["weather"].values.copy()
    accumulate_in_place(values, list(season["variable"].values).index(name))
    return season.assign(weather=(season["weather"].dims, values))


def accumulate_in_place(weather: NDArray[np.floating], position: int) -> None:
    """Replace one variable by its sums from the first month on (`augmentation.accumulate` for tensors).

    Args:
        weather: (..., step, variable), changed in place.
        position: of the variable.
    """
    weather[..., position] = np.cumsum(weather[..., position], axis=-1)
