"""Checks whether an answer of ERA5 is exactly what was requested."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request
from data_fetchers.engine.source import NotYetPublishedError, RetryableError

FINAL = "0001"  # the version of final data; 0005 is the preliminary ERA5T
_CHANGED = "The service sent another answer than requested; if it persists, look for a newer yieldcast."


class Variable(NamedTuple):
    """How one column of the weather table is requested.

    Args:
        variable: name at the CDS.
        statistic: daily statistic; empty for monthly means.
        names: possible names in the file.
        low, high: plausible range in the file's unit.
    """

    variable: str
    statistic: str
    names: tuple[str, ...]
    low: float
    high: float


# Temperatures in K: slightly beyond the world records (184 and 330 K, WMO archive). Rain in m per day:
# packing gives values slightly below 0; the record month (9,300 mm, WMO archive) has 0.3 m per day.
VARIABLE_MAP: Mapping[str, Variable] = {
    "tmax_degC": Variable("2m_temperature", "daily_maximum", ("t2m", "mx2t"), 180.0, 335.0),
    "tmin_degC": Variable("2m_temperature", "daily_minimum", ("t2m", "mn2t"), 180.0, 335.0),
    "precipitation_mm": Variable("total_precipitation", "", ("tp",), -1e-3, 0.31),
}
# What daily weather has beside the extremes. Rain in m: the record of a day is 1,825 mm (WMO archive).
# Radiation in J/m2: at most 45 MJ reach the top of the atmosphere (FAO-56 Annex 2, Table 2.6). Wind at 10 m
# has a mean of components only; the CDS offers no daily mean of its speed.
DAILY_MAP: Mapping[str, Variable] = {
    "rain_mm": Variable("total_precipitation", "daily_sum", ("tp",), -1e-3, 1.9),
    "dewpoint_degC": Variable("2m_dewpoint_temperature", "daily_mean", ("d2m",), 180.0, 318.0),
    "radiation_MJ_m2": Variable("surface_solar_radiation_downwards", "daily_sum", ("ssrd",), -1e4, 5e7),
    "eastward_m_s": Variable("10m_u_component_of_wind", "daily_mean", ("u10",), -120.0, 120.0),
    "northward_m_s": Variable("10m_v_component_of_wind", "daily_mean", ("v10",), -120.0, 120.0),
}
ACCUMULATED = ("rain_mm", "radiation_MJ_m2")
Form = Literal["month", "day", "hour"]


def hours_of(offset_h: int) -> list[str]:
    """Hours (UTC) from which local days are made of accumulations since midnight UTC, see `era5.days`.

    Args:
        offset_h: of local time from UTC (h).
    """
    return ["00:00", *([f"{-offset_h % 24:02d}:00"] if offset_h % 24 else [])]


def variable_of(request: Request) -> Variable:
    """The variable of a request."""
    return {**VARIABLE_MAP, **DAILY_MAP}[request.parameters["column"]]


def form_of(request: Request) -> Form:
    """Whether an answer has means of months, statistics of days, or values at hours."""
    inputs = request.parameters["inputs"]
    if "daily_statistic" in inputs:
        return "day"
    return "hour" if "day" in inputs else "month"


def asked_months(request: Request) -> NDArray[np.datetime64]:
    """Requested months, in order: (month) datetime64[M]."""
    inputs = request.parameters["inputs"]
    return np.array([f"{y}-{m}" for y in inputs["year"] for m in inputs["month"]], "datetime64[M]")


def asked_times(request: Request) -> NDArray[np.datetime64]:
    """Requested times: (time) datetime64[M] for months, datetime64[D] for days, datetime64[h] for hours."""
    months, form = asked_months(request), form_of(request)
    if form == "month":
        return months
    days: NDArray[np.datetime64] = np.concatenate(
        [np.arange(m, m + 1, dtype="datetime64[D]") for m in months]
    )
    number = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
    days = days[number <= int(request.parameters["inputs"]["day"][-1])]
    if form == "day":
        return days
    hours = np.array([int(hour[:2]) for hour in request.parameters["inputs"]["time"]], "timedelta64[h]")
    return np.asarray((days.astype("datetime64[h]")[:, None] + hours).ravel())


def stamps(request: Request, array: xr.DataArray) -> NDArray[np.datetime64]:
    """Times of the field as months, days or hours, in its order.

    Rounded down: accumulated monthly means are stamped 06 UTC, others 00 UTC. Daily statistics of UTC-3 may
    be stamped 00 or 03 UTC (not verified); both give the right day.
    """
    return array["valid_time"].values.astype(asked_times(request).dtype)


def field_of(request: Request, datasets: Sequence[xr.Dataset]) -> xr.DataArray:
    """The requested field (valid_time, latitude, longitude), joined over the files of the answer.

    Raises:
        RetryableError: no such field, other dims, or files on different grids.
    """
    names = variable_of(request).names
    found = [ds[name] for ds in datasets for name in names if name in ds.data_vars]
    if not found:
        received = sorted({str(name) for ds in datasets for name in ds.data_vars})
        raise RetryableError(f"{request.name}: expected one of {list(names)}, received {received}", _CHANGED)
    try:
        array = xr.concat(found, "valid_time", join="exact") if len(found) > 1 else found[0]
    except ValueError as error:
        raise RetryableError(f"{request.name}: expected one grid in all files, received several") from error
    if array.dims != ("valid_time", "latitude", "longitude") or not all(array.shape):
        raise RetryableError(
            f"{request.name}: expected values over (valid_time, latitude, longitude), received "
            f"{dict(array.sizes)}",
            _CHANGED,
        )
    return array


def check_times(request: Request, array: xr.DataArray) -> None:
    """Check that every requested month, day or hour occurs once, and no other.

    Raises:
        NotYetPublishedError: only the last ones are missing; the CDS leaves out unpublished data silently.
        RetryableError: any other difference.
    """
    asked, received = asked_times(request), stamps(request, array)
    unique = np.unique(received)
    strange = np.setdiff1d(unique, asked)
    if len(unique) < len(received) or strange.size:
        what = f"also {strange[0]}" if strange.size else "some of them twice"
        raise RetryableError(f"{request.name}: expected {asked[0]} to {asked[-1]}, received {what}", _CHANGED)
    missing = np.setdiff1d(asked, unique)
    if not missing.size:
        return
    text = f"{request.name}: expected {asked[0]} to {asked[-1]}, {len(missing)} of {len(asked)} are missing"
    if missing[0] > unique[-1]:
        raise NotYetPublishedError(
            f"{text} in {spans(missing)}: the answer ends on {unique[-1]}",
            "The service has not published them yet; run the fetch again later.",
        )
    raise RetryableError(f"{text}, the first {missing[0]}", _CHANGED)


def check_grid(request: Request, array: xr.DataArray, box: Sequence[float], step_deg: float) -> None:
    """RetryableError unless the field covers exactly the cells of the box (north, west, south, east)."""
    north, west, south, east = box
    for axis, low, high in (("latitude", south, north), ("longitude", west, east)):
        values = np.sort(array[axis].values)
        expected = np.arange(round((high - low) / step_deg) + 1) * step_deg + low
        if values.shape != expected.shape or np.abs(values - expected).max() > step_deg / 10:
            step = (values[-1] - values[0]) / max(len(values) - 1, 1)
            raise RetryableError(
                f"{request.name}: expected {axis} {low:g} to {high:g} in steps of {step_deg:g}, received "
                f"{values[0]:g} to {values[-1]:g} in steps of {step:.3g}",
                _CHANGED,
            )


def check_values(request: Request, array: xr.DataArray, sea_is_empty: bool) -> None:
    """Check that values are in the expected unit and none is missing, except over sea in ERA5-Land.

    Raises:
        RetryableError: otherwise.
    """
    values, variable = array.values, variable_of(request)
    empty = np.isnan(values)
    sea = empty.all(axis=0)
    if sea.all() or (empty != sea).any() or (sea.any() and not sea_is_empty):
        raise RetryableError(
            f"{request.name}: expected values in all cells{' of land' if sea_is_empty else ''}, received "
            f"{empty.mean():.1%} empty cells",
            _CHANGED,
        )
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if not variable.low <= low <= high <= variable.high:
        raise RetryableError(
            f"{request.name}: expected {variable.low:g} to {variable.high:g} {array.attrs.get('units', '')}, "
            f"received {low:.4g} to {high:.4g}; another unit?",
            _CHANGED,
        )


def versions(request: Request, array: xr.DataArray) -> dict[str, str]:
    """Version of the data of each month, ``0001+0005`` if mixed; empty if the file has no versions."""
    if "expver" not in array.coords:
        return {}
    texts = np.broadcast_to(array["expver"].values.astype(str), array["valid_time"].shape)
    months = stamps(request, array).astype("datetime64[M]")
    return {str(m): "+".join(sorted(set(texts[months == m]))) for m in np.unique(months)}


def spans(times: NDArray[np.datetime64] | Sequence[str]) -> str:
    """Months as short text, ``2026-03 to 2026-06, 2026-09``; days count as their months."""
    months = np.unique(np.asarray(times, "datetime64[M]"))
    runs = np.split(months, np.flatnonzero(np.diff(months).astype(int) != 1) + 1)
    return ", ".join(f"{r[0]} to {r[-1]}" if len(r) > 1 else str(r[0]) for r in runs if len(r))


def length_of(year: int, month: int) -> int:
    """Days in a month."""
    return calendar.monthrange(year, month)[1]


def as_date(month: str) -> dt.date:
    """First day of a month written ``2026-03``."""
    return dt.date.fromisoformat(f"{month}-01")
