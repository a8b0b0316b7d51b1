"""Files as the CDS makes them from ERA5 and ERA5-Land, shape-true, with the country's weather by formula.

make(DATASET, REQUEST, FAULT, LATEST) -> [(member name, netCDF-4 bytes), ...]; several members make a zip.
Days after LATEST (last day that the service has, "2026-10-31"; None for all) are dropped without a word, and
months that it cuts from monthly means too; nothing left: an empty list, for which the CDS answers 400.
FAULT (a name, or a dict with "kind"): wrong_grid, days_missing, all_nan, changed_name, kelvin_celsius.
Sea, where ERA5-Land has no values, lies east of 36 degrees west. Days of the formulas are those of UTC-3; the
hourly values of ERA5-Land are what was accumulated since midnight UTC, with rain and sun spread evenly over a
day.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from country import dewpoint_degC, radiation_MJ_m2, rain_mm, tmax_degC, tmin_degC, wind_components_m_s

STEP_deg = {
    "derived-era5-single-levels-daily-statistics": 0.25,
    "derived-era5-land-daily-statistics": 0.1,
    "reanalysis-era5-single-levels-monthly-means": 0.25,
    "reanalysis-era5-land-monthly-means": 0.1,
    "reanalysis-era5-land": 0.1,
}
SEA_deg = -36.0
SHORT = {
    "2m_temperature": "t2m",
    "total_precipitation": "tp",
    "2m_dewpoint_temperature": "d2m",
    "surface_solar_radiation_downwards": "ssrd",
    "10m_u_component_of_wind": "u10",
    "10m_v_component_of_wind": "v10",
}
UNITS = {"t2m": "K", "tp": "m", "d2m": "K", "ssrd": "J m**-2", "u10": "m s**-1", "v10": "m s**-1"}
CHANGED = {"t2m": "temperature_2m", "tp": "precipitation_total"}
FIELDS = {
    "d2m": lambda *at: dewpoint_degC(*at) + 273.15,
    "ssrd": lambda *at: radiation_MJ_m2(*at) * 1e6,
    "tp": lambda *at: rain_mm(*at) / 1000,
    "u10": lambda *at: wind_components_m_s(*at)[0],
    "v10": lambda *at: wind_components_m_s(*at)[1],
}
ACCUMULATED = ("tp", "ssrd")


def make(dataset, request, fault=None, latest=None):
    kind = fault.get("kind") if isinstance(fault, dict) else fault
    daily, hourly = dataset.endswith("daily-statistics"), dataset == "reanalysis-era5-land"
    days = _days(request, latest) if daily or hourly else None
    months = None if daily or hourly else _months(request, latest)
    variables = _listed(request, "variable")
    members = []
    for variable in variables:
        name = SHORT[variable]
        if daily:
            statistic = str(_listed(request, "daily_statistic")[0])
            if "land" in dataset and name in ACCUMULATED:
                raise ValueError("the daily statistics of ERA5-Land have no accumulated variables")
            if (statistic == "daily_sum") != (name in ACCUMULATED):
                continue  # the CDS skips what it has no such statistic of, with a message
            member = f"{variable}_stream-oper_{statistic.replace('_', '-').replace('imum', '')}.nc"
            times = days.astype("datetime64[ns]")
        elif hourly:
            member = "data_0.nc"
            times = _hours(request, days)
        else:
            accumulated = name == "tp"
            member = f"data_stream-moda_stepType-{'avgad' if accumulated else 'avgua'}.nc"
            member = member if len(variables) > 1 else "data_0.nc"
            times = months.astype("datetime64[ns]") + np.timedelta64(6 if accumulated else 0, "h")
        if not len(times):
            return []
        north, west, south, east = (float(edge) for edge in request["area"])
        step = 1.0 if kind == "wrong_grid" else STEP_deg[dataset]
        lat = np.round(north - step * np.arange(int((north - south) / step + 1e-6) + 1), 6)
        lon = np.round(west + step * np.arange(int((east - west) / step + 1e-6) + 1), 6)
        if daily:
            values = _daily(name, statistic, lat, lon, days)
        else:
            values = _hourly(name, lat, lon, times) if hourly else _monthly(name, lat, lon, months)
        if "land" in dataset:
            values[:, :, lon > SEA_deg] = np.nan
        versions = None if daily or hourly else _versions(months, latest)
        members.append((member, _bytes(name, values, times, lat, lon, versions, kind)))
    return members


def _listed(request, key):
    value = request[key]
    return [value] if isinstance(value, str | int) else list(value)


def _days(request, latest):
    """Days that exist, of those asked: there is no 31 February."""
    found = []
    for year in _listed(request, "year"):
        for month in _listed(request, "month"):
            first = np.datetime64(f"{int(year)}-{int(month):02d}", "M")
            number = {int(day) for day in _listed(request, "day")}
            every = np.arange(first, first + 1, dtype="datetime64[D]")
            found += [day for i, day in enumerate(every, 1) if i in number]
    days = np.sort(np.array(found, "datetime64[D]"))
    return days if latest is None else days[days <= np.datetime64(latest, "D")]


def _months(request, latest):
    pairs = [(int(y), int(m)) for y in _listed(request, "year") for m in _listed(request, "month")]
    months = np.sort(np.array([f"{y}-{m:02d}" for y, m in pairs], "datetime64[M]"))
    last = (months + 1).astype("datetime64[D]") - 1
    return months if latest is None else months[last <= np.datetime64(latest, "D")]


def _versions(months, latest):
    """0005 until three months after the month's end."""
    if latest is None:
        return np.full(len(months), "0001")
    final = (months + 4).astype("datetime64[D]") <= np.datetime64(latest, "D") + 1
    return np.where(final, "0001", "0005")


def _hours(request, days):
    hours = np.array([int(time[:2]) for time in _listed(request, "time")], "timedelta64[h]")
    return (days.astype("datetime64[h]")[:, None] + hours).ravel().astype("datetime64[ns]")


def _daily(name, statistic, lat, lon, days):
    if name != "t2m":
        return FIELDS[name](lat, lon, days).astype(np.float32)
    high, low = tmax_degC(lat, lon, days), tmin_degC(lat, lon, days)
    values = {"daily_maximum": high, "daily_minimum": low, "daily_mean": (high + low) / 2}[statistic]
    return (values + 273.15).astype(np.float32)


def _hourly(name, lat, lon, times):
    """Accumulated since midnight UTC, which has the whole day before; local days begin at 03 UTC."""
    layers = []
    for time in times.astype("datetime64[h]"):
        day = time.astype("datetime64[D]")
        hours = int((time - day.astype("datetime64[h]")).astype(int))
        first = day if hours else day - 1
        before, own = (FIELDS[name](lat, lon, [one])[0] / 24 for one in (first - 1, first))
        layers.append(min(hours or 24, 3) * before + max((hours or 24) - 3, 0) * own)
    return np.array(layers, np.float32)


def _monthly(name, lat, lon, months):
    layers = []
    for month in months:
        days = np.arange(month, month + 1, dtype="datetime64[D]")
        if name == "tp":  # metres per day
            layers.append(rain_mm(lat, lon, days).mean(axis=0) / 1000)
        else:
            mean = (tmax_degC(lat, lon, days) + tmin_degC(lat, lon, days)).mean(axis=0) / 2
            layers.append(mean + 273.15)
    return np.array(layers, np.float32)


def _bytes(name, values, times, lat, lon, versions, kind):
    if kind == "all_nan":
        values = np.full_like(values, np.nan)
    if kind == "kelvin_celsius":
        values = values - np.float32(273.15) if name == "t2m" else values * np.float32(1000)
    keep = np.arange(len(times)) != (len(times) // 2 if kind == "days_missing" else -1)
    attrs = {"units": UNITS[name], "GRIB_units": UNITS[name], "GRIB_shortName": name}
    field = CHANGED[name] if kind == "changed_name" else name
    ds = xr.Dataset(
        {field: (("valid_time", "latitude", "longitude"), values[keep], attrs)},
        {
            "number": 0,
            "valid_time": times[keep],
            "latitude": ("latitude", lat, {"units": "degrees_north", "stored_direction": "decreasing"}),
            "longitude": ("longitude", lon, {"units": "degrees_east"}),
        },
        {"GRIB_centre": "ecmf", "Conventions": "CF-1.7"},
    )
    if versions is not None:
        ds = ds.assign_coords(expver=("valid_time", versions[keep]))
    encoding = {"valid_time": {"units": "seconds since 1970-01-01", "dtype": "int64"}}
    if ds[field].size:
        encoding[field] = {"zlib": True, "complevel": 1, "shuffle": True}
    return bytes(ds.to_netcdf(engine="h5netcdf", encoding=encoding))
