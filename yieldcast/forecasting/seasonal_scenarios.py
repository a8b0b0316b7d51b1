"""Weather of the coming months from a seasonal forecast: one scenario per member, on our own climatology.

Seasonal forecasts are stored as anomalies (`schema.check_seasonal`), so that the systematic error of the
forecasting system stays out; here they are added to the climatology of the store's weather.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import degree_days, schema
from yieldcast.data.files import fingerprint
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.features.seasons import climatology, find, known_weather
from yieldcast.publication import Publication
from yieldcast.variables import WEATHER

# With fewer years of our weather within the hindcast period their mean is too uncertain (our choice).
_MIN_HINDCAST_YEARS = 10


def seasonal_weather(
    seasonal: xr.Dataset,
    weather: xr.Dataset,
    as_of: dt.date,
    publication: Publication,
    start: np.datetime64 | None = None,
) -> xr.Dataset:
    """Weather of the coming months, once per member of the newest seasonal forecast published by `as_of`.

    For each month of the forecast: the mean of that calendar month in the store's weather (as public on
    `as_of`) plus the member's anomaly (temperatures, degC), or times its ratio (rain). The mean is taken over
    the years of the hindcasts, because the anomalies are departures from these years: a mean over later years
    would count the warming since then twice. If fewer than 10 of these years are known, the mean is over all
    known years.

    Where tmin would be above tmax, tmin is set to tmax. Degree days are computed from the monthly means
    (`degree_days.from_monthly`), an approximation even where the weather table holds exact ones.

    Args:
        seasonal: see `schema.check_seasonal`.
        weather: dims (municipality, time), see `schema.check_weather`.
        as_of: date of the forecast; no start and no weather published later is used.
        publication: when the store's weather becomes public.
        start: first day of the month in which the wanted seasonal forecast starts; None for the newest one
            that was published by `as_of` and reaches the month of `as_of` or further.

    Returns:
        the variables of `weather`, float32, dims (scenario, municipality, time): scenario = number of the
        member (int16), municipality as in `weather`, time = months of the forecast. NaN for a municipality
        without a cell of the forecast or without a climatology. Scalar coordinate forecast_reference_time.
        attrs: licence, attribution, system, climatology_years.

    Raises:
        LeakageError: `start` was published after `as_of`.
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
    """Start month of the seasonal forecast to use."""
    starts, today = seasonal["forecast_reference_time"].values, np.datetime64(as_of)
    out = seasonal["published"].values <= today
    if start is not None:
        at = np.flatnonzero(starts == start.astype(starts.dtype))
        if not at.size:
            raise MissingDataError(
                f"the store has no seasonal forecast that starts in {start.astype('datetime64[M]')}",
                f"Fetch it: `yieldcast fetch seasonal --starts {start.astype('datetime64[M]')}`.",
            )
        if not out[at[0]]:
            day = seasonal["published"].values[at[0]].astype("datetime64[D]")
            raise LeakageError(
                f"expected a seasonal forecast published by {as_of}, received the start "
                f"{start.astype('datetime64[M]')}, published on {day}",
                "Choose an earlier start, or a later date.",
            )
        return np.datetime64(starts[at[0]])
    last = starts.astype("datetime64[M]") + (seasonal.sizes["lead_month"] - 1)
    usable = out & (last >= today.astype("datetime64[M]"))
    if not usable.any():
        held = ", ".join(starts.astype("datetime64[M]").astype(str)) or "none"
        raise MissingDataError(
            f"no seasonal forecast in the store was published by {as_of} and reaches that month "
            f"(starts in the store: {held})",
            "Fetch one: `yieldcast fetch seasonal`, with --starts for an earlier month.",
        )
    return np.datetime64(starts[usable].max())


def _base_years(known: xr.Dataset, hindcast_years: str) -> tuple[xr.Dataset, str]:
    """Known weather of the hindcast years (all known weather if these are too few), and the years used."""
    first, last = map(int, hindcast_years.split("-"))
    year = known["time"].dt.year.values
    with_values = np.isfinite(known["tmax_degC"].transpose("municipality", "time").values).any(axis=0)
    inside = (year >= first) & (year <= last)
    if len(np.unique(year[inside & with_values])) < _MIN_HINDCAST_YEARS:
        inside = np.ones_like(inside)
    used = year[inside & with_values]
    return known.isel(time=inside), f"{used.min()}-{used.max()}" if used.size else "none"


def _cells(one: xr.Dataset, codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Cell of each municipality in the grid of this start, and whether the municipality has one."""
    row, found = find(one["municipality"].values, codes)
    cell = one["municipality_cell"].sel(system=int(one["start_system"])).values[row]
    found = found & (cell >= 0)
    if not found.any():
        raise MissingDataError(
            f"none of the {len(codes)} municipalities with weather has a cell in the seasonal forecast",
            "Check that both tables cover the same municipalities (`yieldcast status`).",
        )
    return np.where(found, cell, 0), found


def _limits(name: str) -> tuple[float, float | None]:
    """Base and upper limit (degC) from the name of a degree-day variable, ``gdd_8_30_degC_day``."""
    numbers = [float(x) for x in name.removeprefix("gdd_").removesuffix("_degC_day").split("_")]
    return numbers[0], numbers[1] if len(numbers) > 1 else None


def start_fingerprint(seasonal: xr.Dataset, as_of: dt.date) -> str:
    """Start month and hash of the newest seasonal forecast published by a date; empty if there is none.

    Args:
        seasonal: see `schema.check_seasonal`.
        as_of: date of the forecast; starts published later do not change the result.
    """
    published = seasonal["published"].values <= np.datetime64(as_of)
    starts = seasonal["forecast_reference_time"].values[published]
    if not starts.size:
        return ""
    one = seasonal.sel(forecast_reference_time=starts.max())
    cell = one["municipality_cell"].sel(system=int(one["start_system"])).values
    # Only the cells of this start: later starts may be added to the table on another grid.
    used = np.unique(cell[cell >= 0])
    place = np.where(cell >= 0, np.searchsorted(used, cell), -1)
    fields = [str(name) for name in one.data_vars if {"member", "cell"} <= set(one[name].dims)]
    values = one[fields].isel(cell=used).drop_vars("cell")
    month = starts.max().astype("datetime64[M]")
    return f"{month} {fingerprint(values.assign(place=('municipality', place)))[:12]}"
