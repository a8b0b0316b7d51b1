"""What the network is fed beside raw weather: degree days, and climatology where a month is unknown."""

from __future__ import annotations

import numpy as np
import xarray as xr

from yieldcast.data import degree_days
from yieldcast.errors import ConfigError
from yieldcast.features.seasons import find
from yieldcast.variables import degree_day_quantity


def limits(crop: str, chosen: dict[str, tuple[float, float]]) -> tuple[float, float]:
    """Base and upper temperature of a crop's growing degree days (degC).

    Args:
        crop: crop name.
        chosen: the user's own limits, which win over `degree_days.LIMITS`.

    Raises:
        ConfigError: neither knows the crop.
    """
    known = {**degree_days.LIMITS, **chosen}
    if crop not in known:
        raise ConfigError(
            f"no degree-day limits for {crop!r}; known: {', '.join(sorted(known))}",
            f"Give them in the config file: [data.degree_days] {crop} = [base, upper] in degC.",
        )
    return known[crop]


def with_degree_days(weather: xr.Dataset, base_degC: float, upper_degC: float) -> tuple[xr.Dataset, str]:
    """The weather table with monthly degree days of these limits, and the name of that variable.

    A column computed from daily values at import (for the limits of `degree_days.LIMITS`) is exact and
    is used when there is one; otherwise the formula is applied to the monthly means
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
    """The season with every month that is not public yet replaced by that calendar month's known mean.

    A gap in a month that was public stays a gap: it is the table's, not the date's.

    Args:
        season: from `seasons.cut`.
        climate: from `seasons.climatology` of the same known weather: never of later years.
    """
    values = season["weather"].values.copy()
    row, found = find(climate["municipality"].values, season["municipality"].values)
    month, missing = season["month"].dt.month.values - 1, ~season["public"].values & found[:, None]
    for position, name in enumerate(season["variable"].values):
        mean = climate[str(name)].values[row[:, None], month]
        values[..., position] = np.where(missing, mean, values[..., position])
    return season.assign(weather=(season["weather"].dims, values))


def without_normal(season: xr.Dataset, climate: xr.Dataset, summed: str) -> xr.Dataset:
    """The season as departures from each place's own climate (K, mm, degree days).

    Args:
        season: dims (sample, step, variable), `summed` accumulated already.
        climate: from `seasons.climatology`.
        summed: the variable whose normal is accumulated before it is taken off.
    """
    normal = normals(climate, season["municipality"].values, season["month"].values, season, summed)
    return season.assign(weather=(season["weather"].dims, season["weather"].values - normal))


def normals(
    climate: xr.Dataset, municipality: np.ndarray, months: np.ndarray, season: xr.Dataset, summed: str
) -> np.ndarray:
    """Mean weather of windows, (sample, step, variable) float32, `summed` accumulated; NaN where unknown.

    Args:
        climate: from `seasons.climatology`.
        municipality: (sample,) codes.
        months: (sample, step) datetime64.
        season: whose coordinate `variable` gives the order.
        summed: the variable to accumulate.
    """
    row, found = find(climate["municipality"].values, municipality)
    month = months.astype("datetime64[M]").astype(np.int64) % 12  # months since January 1970
    names = [str(name) for name in season["variable"].values]
    values = np.stack([climate[name].values[row[:, None], month] for name in names], axis=-1)
    position = names.index(summed)
    values[..., position] = np.cumsum(values[..., position], axis=1)
    return np.where(found[:, None, None], values, np.nan).astype(np.float32)


def accumulate(season: xr.Dataset, name: str) -> xr.Dataset:
    """The season with one variable summed from planting on, as the paper feeds degree days (Section 3).

    Args:
        season: dims (sample, step, variable), in order of steps.
        name: the variable to accumulate; NaN from the first unknown month on.
    """
    values = season["weather"].values.copy()
    position = list(season["variable"].values).index(name)
    values[..., position] = np.cumsum(values[..., position], axis=1)
    return season.assign(weather=(season["weather"].dims, values))
