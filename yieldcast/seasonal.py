"""Seasonal forecasts: how their table becomes weather scenarios on a date.

The table holds departures from the model's own past forecasts (hindcasts), not temperatures and rain: a
climate model drifts towards a climate of its own, by an amount that depends on place, start month and lead,
so its values mean something only against forecasts that the same model made in the same way. Here these
departures are put on the climatology of our own weather.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import degree_days, schema
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.seasons import climatology, find, known_weather
from yieldcast.variables import WEATHER, Publication

# Fewer years of our weather than these within the hindcast's years make no steady mean (our choice).
_LEAST_YEARS = 10


def scenarios(
    seasonal: xr.Dataset,
    weather: xr.Dataset,
    as_of: dt.date,
    publication: Publication,
    start: np.datetime64 | None = None,
) -> xr.Dataset:
    """Weather of the coming months, once per member of the newest seasonal forecast out on `as_of`.

    For each month that the forecast reaches: the mean of that calendar month in our own weather, as public
    on `as_of`, plus the member's anomaly (temperatures) or times its ratio (rain). The mean is taken over
    the hindcast's years, because that is what the departures are measured from: a later mean would count
    the warming since then twice. If fewer than 10 of those years are known, it is taken over all known years.

    Where tmin would end above tmax, tmin is lowered to tmax. Degree days are those of the monthly means
    (`degree_days.from_monthly`), an approximation also where the weather table holds exact ones.

    Args:
        seasonal: from `seasonal_table.check_seasonal`.
        weather: dims (municipality, time), as `schema.check_weather` wants it.
        as_of: the date of the forecast; neither a start nor weather published later is seen.
        publication: when our weather becomes public.
        start: first day of the month of the wanted start; the newest usable one if None. Usable is a start
            that was out on `as_of` and reaches at least into the month of `as_of`.

    Returns:
        the variables of `weather`, float32, dims (scenario, municipality, time): scenario = number of the
        member (int16), municipality as in `weather`, time = valid months; NaN for a municipality without a
        cell of the forecast or without a climatology. Scalar coordinate forecast_reference_time.
        attrs: licence, attribution, system, climatology_years.

    Raises:
        LeakageError: `start` was not out on `as_of`.
        MissingDataError: no usable start, `start` is not in the table, or no municipality in common.
    """
    one = seasonal.sel(forecast_reference_time=_choose(seasonal, as_of, start))
    months = one["forecast_reference_time"].values.astype("datetime64[M]") + (one["lead_month"].values - 1)
    known, years = _base_years(
        known_weather(weather, as_of, publication), str(seasonal.attrs["hindcast_years"])
    )
    climate = climatology(known)
    column = months.astype(np.int64) % 12  # months since January 1970
    cell, found = _cells(one, weather["municipality"].values)

    def field(name: str) -> NDArray[np.float32]:
        values = one[name].transpose("member", "cell", "lead_month").values[:, cell]
        return np.where(found[None, :, None], values, np.float32(np.nan))

    normal = {name: climate[name].values[:, column] for name in WEATHER}
    tmax = normal["tmax_degC"] + field("tmax_anomaly_degC")
    tables = {
        "tmax_degC": tmax,
        "tmin_degC": np.minimum(normal["tmin_degC"] + field("tmin_anomaly_degC"), tmax),
        "precipitation_mm": normal["precipitation_mm"] * field("precipitation_ratio"),
    }
    days = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    for name in map(str, weather.data_vars):
        if name not in tables:
            base, upper = _limits(name)
            tables[name] = degree_days.from_monthly(tmax, tables["tmin_degC"], days, base, upper)
    dims = ("scenario", "municipality", "time")
    return schema.set_units(
        xr.Dataset(
            {name: (dims, values.astype(np.float32)) for name, values in tables.items()},
            coords={
                "scenario": one["member"].values,
                "municipality": weather["municipality"].values,
                "time": months.astype("datetime64[ns]"),
                "forecast_reference_time": one["forecast_reference_time"].values,
            },
            attrs={
                "licence": seasonal.attrs["licence"],
                "attribution": seasonal.attrs["attribution"],
                "system": int(one["start_system"]),
                "climatology_years": years,
            },
        )
    )


def _choose(seasonal: xr.Dataset, as_of: dt.date, start: np.datetime64 | None) -> np.datetime64:
    """The start to use."""
    starts, today = seasonal["forecast_reference_time"].values, np.datetime64(as_of)
    out = seasonal["published"].values <= today
    if start is not None:
        at = np.flatnonzero(starts == start.astype(starts.dtype))
        if not at.size:
            raise MissingDataError(
                f"no seasonal forecast that starts in {start.astype('datetime64[M]')} in the store",
                f"Get it: `yieldcast fetch seasonal --starts {start.astype('datetime64[M]')}`.",
            )
        if not out[at[0]]:
            day = seasonal["published"].values[at[0]].astype("datetime64[D]")
            raise LeakageError(
                f"expected a seasonal forecast that was out on {as_of}, received the start "
                f"{start.astype('datetime64[M]')}, which came out on {day}",
                "Choose an earlier start, or a later date.",
            )
        return np.datetime64(starts[at[0]])
    last = starts.astype("datetime64[M]") + (seasonal.sizes["lead_month"] - 1)
    usable = out & (last >= today.astype("datetime64[M]"))
    if not usable.any():
        held = ", ".join(starts.astype("datetime64[M]").astype(str)) or "none"
        raise MissingDataError(
            f"no seasonal forecast in the store was out on {as_of} and reaches that month "
            f"(starts in the store: {held})",
            "Get one: `yieldcast fetch seasonal`, with --starts for an earlier month.",
        )
    return np.datetime64(starts[usable].max())


def _base_years(known: xr.Dataset, hindcast_years: str) -> tuple[xr.Dataset, str]:
    """The known weather of the hindcast's years, or all of it where those are too few; and which years."""
    first, last = map(int, hindcast_years.split("-"))
    year = known["time"].dt.year.values
    with_values = np.isfinite(known["tmax_degC"].transpose("municipality", "time").values).any(axis=0)
    inside = (year >= first) & (year <= last)
    if len(np.unique(year[inside & with_values])) < _LEAST_YEARS:
        inside = np.ones_like(inside)
    used = year[inside & with_values]
    return known.isel(time=inside), f"{used.min()}-{used.max()}" if used.size else "none"


def _cells(one: xr.Dataset, codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Cell of each municipality in the start's own grid, and whether there is one."""
    row, found = find(one["municipality"].values, codes)
    cell = one["municipality_cell"].sel(system=int(one["start_system"])).values[row]
    found = found & (cell >= 0)
    if not found.any():
        raise MissingDataError(
            f"none of the {len(codes)} municipalities with weather has a cell in the seasonal forecast",
            "Check that both tables are of the same places (`yieldcast status`).",
        )
    return np.where(found, cell, 0), found


def _limits(name: str) -> tuple[float, float | None]:
    """Base and upper limit in the name of a degree-day variable, ``gdd_8_30_degC_day``."""
    numbers = [float(x) for x in name.removeprefix("gdd_").removesuffix("_degC_day").split("_")]
    return numbers[0], numbers[1] if len(numbers) > 1 else None
