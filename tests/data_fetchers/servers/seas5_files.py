"""SEAS5's monthly files as the CDS would send them: shapes as documented, values by formula.

With y the year of the start, m the member's number, L the lead and "usual" the country's weather of the valid
calendar month in 2005 (mean of three days):

    mx2t24 = usual + 0.05 (y - 2004.5) + 0.1 (m - 12) + 0.5 L        degC, sent in K
    mn2t24 = usual + 0.03 (y - 2004.5) + 0.05 (m - 12) - 0.2 L       degC, sent in K
    tprate = usual (1 + 0.02 (m - 12)) (0.8 + 0.1 L)                 mm a day, sent in m s-1

The last terms are the model's drift. Over the hindcast (1993-2016, members 0-24) the middle terms are 0 on
average.
"""

from __future__ import annotations

import io
import math

import country
import numpy as np
import xarray as xr

NAMES = {
    "maximum_2m_temperature_in_the_last_24_hours": "mx2t24",
    "minimum_2m_temperature_in_the_last_24_hours": "mn2t24",
    "total_precipitation": "tprate",
}
DAYS = (5, 15, 25)


def make(dataset, request, fault=None, latest=None):
    """[(file name, contents)]: temperatures in one file, rain in another, as the CDS may part them.

    Starts that come out (on the 6th) after LATEST are dropped; nothing left: an empty list.
    FAULT, a name or a dict with "kind": members_missing, leads_missing, all_nan, wrong_grid.
    """
    fault = fault["kind"] if isinstance(fault, dict) else fault
    month = int(_list(request["month"])[0])
    out = [y for y in _list(request["year"]) if latest is None or f"{y}-{month:02d}-06" <= str(latest)]
    if not out:
        return []
    request = {**request, "year": out}
    asked = [NAMES[name] for name in _list(request["variable"])]
    groups = [[n for n in asked if n != "tprate"], [n for n in asked if n == "tprate"]]
    return [(f"data_{i}.nc", _file(group, request, fault)) for i, group in enumerate(g for g in groups if g)]


def _list(value):
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]


def axes(area, system, fault=None):
    """Latitudes north to south and longitudes of the cells whose centres lie in the area."""
    north, west, south, east = (float(x) for x in area)
    offset = 0.5 if (system == "51") != (fault == "wrong_grid") else 0.0
    lat = np.arange(math.floor(north - offset), math.ceil(south - offset) - 1, -1) + offset
    lon = np.arange(math.ceil(west - offset), math.floor(east - offset) + 1) + offset
    return lat, lon


def usual(name, month, lat, lon):
    """Mean weather of a calendar month: degC, or mm a day."""
    by_name = {"mx2t24": country.tmax_degC, "mn2t24": country.tmin_degC, "tprate": country.rain_mm}
    days = np.array([f"2005-{month:02d}-{day:02d}" for day in DAYS], "datetime64[D]")
    return by_name[name](lat, lon, days).mean(axis=0)


def values(name, years, months, members, leads, lat, lon):
    """The formula of the module's head, dims (number, start, lead, latitude, longitude), in K or m s-1."""
    y = np.array(years, float)[None, :, None, None, None] - 2004.5
    m = np.array(members, float)[:, None, None, None, None] - 12
    lead = np.array(leads, float)[None, None, :, None, None]
    mean = np.stack([usual(name, month, lat, lon) for month in months])[None, None]
    if name == "mx2t24":
        return mean + 0.05 * y + 0.1 * m + 0.5 * lead + 273.15
    if name == "mn2t24":
        return mean + 0.03 * y + 0.05 * m - 0.2 * lead + 273.15
    return (mean * (1 + 0.02 * m) * (0.8 + 0.1 * lead) + 0 * y) / 86_400_000


def _file(names, request, fault):
    years, start = [int(y) for y in _list(request["year"])], int(_list(request["month"])[0])
    leads = [int(x) for x in _list(request["leadtime_month"])]
    members = list(range(25 if max(years) <= 2016 else 51))
    leads = leads[:-1] if fault == "leads_missing" else leads
    members = members[:-1] if fault == "members_missing" else members
    lat, lon = axes(request["area"], _list(request["system"])[0], fault)
    months = [(start + lead - 2) % 12 + 1 for lead in leads]
    dims = ("number", "forecast_reference_time", "forecastMonth", "latitude", "longitude")
    fields = {}
    for name in names:
        field = values(name, years, months, members, leads, lat, lon).astype(np.float32)
        if fault == "all_nan":
            field[:] = np.nan
        units = "m s**-1" if name == "tprate" else "K"
        fields[name] = (dims, field, {"units": units, "GRIB_paramId": 0})
    ds = xr.Dataset(
        fields,
        coords={
            "number": np.array(members, np.int64),
            "forecast_reference_time": np.array([f"{y}-{start:02d}-01" for y in years], "datetime64[ns]"),
            "forecastMonth": np.array(leads, np.int64),
            "latitude": lat,
            "longitude": lon,
        },
        attrs={"institution": "European Centre for Medium-Range Weather Forecasts", "Conventions": "CF-1.7"},
    )
    encoding = {name: {"zlib": True, "complevel": 1, "shuffle": True} for name in names}
    contents = ds.to_netcdf(engine="h5netcdf", encoding=encoding)
    return contents.getvalue() if isinstance(contents, io.BytesIO) else bytes(contents)
