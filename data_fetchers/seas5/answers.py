"""SEAS5's answers: which system and members a start has, when it comes out, and what a whole file holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import ConfigError
from yieldcast.variables import QUANTITIES

HINDCAST_YEARS = (1993, 2016)  # the years that all C3S systems share, used for all C3S anomalies
# The day after the release at 12 UTC. The release was on the 13th (C3S news of November 2018 and May 2021);
# it is on the 6th for ECMWF (the dataset's page, as public code quotes it). The month of the change could
# not be found: the new days were in use by July 2024 (C3S announcement of 10 July 2024); until then the
# later day is kept.
RELEASE_DAYS = (("2017-11", 14), ("2024-07", 7))
# System by start month, as the operator issued them (C3S, "Summary of available data";
# forum.ecmwf.int/t/1539). 51 is 5 put on another grid; one of the two was issued at a time. There are
# hindcasts of both for all start months, and a start is compared with those of its own system. Users have
# asked 51 for starts before November 2022 too; whether it answers is not known here, and 5 is what was
# public then. Before November 2017 it was 4.
SYSTEMS = (("2017-11", 5), ("2022-11", 51))
HINDCAST_MEMBERS, MEMBERS = 25, 51


class Variable(NamedTuple):
    """What stands for one quantity in a request and in a file."""

    request: str
    file: str
    units: tuple[str, ...]


# The two temperatures are true monthly means of daily extremes (UTC days). GRIB writes m s**-1.
VARIABLE_MAP: Mapping[str, Variable] = {
    "tmax_degC": Variable("maximum_2m_temperature_in_the_last_24_hours", "mx2t24", ("K",)),
    "tmin_degC": Variable("minimum_2m_temperature_in_the_last_24_hours", "mn2t24", ("K",)),
    "precipitation_mm": Variable("total_precipitation", "tprate", ("m s**-1", "m s-1")),
}
_DIMS = ("forecast_reference_time", "number", "forecastMonth", "latitude", "longitude")
KELVIN = 273.15
_MM_PER_DAY = 86_400 * 1000.0  # from m s-1
_PACKING_mm = -1.0  # rain a little below 0 is noise of the packing; less than this is not rain


def system_of(start: np.datetime64) -> int:
    """Version of the model that was in use for a start month.

    Raises:
        ConfigError: before November 2017, when SEAS5 was not in use.
    """
    return _since(SYSTEMS, start)


def published(start: np.datetime64) -> dt.date:
    """First day on which a start may be used: the day after its release, see `RELEASE_DAYS`."""
    return month_of(start).replace(day=_since(RELEASE_DAYS, start))


def month_of(start: np.datetime64) -> dt.date:
    """First day of the month of a date."""
    return dt.date.fromisoformat(f"{start.astype('datetime64[M]')}-01")


def _since(table: tuple[tuple[str, int], ...], start: np.datetime64) -> int:
    values = [value for first, value in table if np.datetime64(first, "M") <= start.astype("datetime64[M]")]
    if not values:
        raise ConfigError(
            f"expected a seasonal forecast of {table[0][0]} or later, received the start "
            f"{start.astype('datetime64[M]')}",
            "ECMWF's system 5 began in November 2017.",
        )
    return values[-1]


class Asked(NamedTuple):
    """What a part's answer must hold."""

    system: int
    starts: NDArray[np.datetime64]
    leads: int
    members: int
    variables: list[str]
    area: tuple[float, float, float, float]

    @classmethod
    def of(cls, part: Request) -> Asked:
        """What a part asks for."""
        request = part.request["inputs"]
        years, month = [int(y) for y in request["year"]], request["month"][0]
        starts = np.array([f"{year}-{month}" for year in years], "datetime64[M]")
        names = [name for name, v in VARIABLE_MAP.items() if v.request in request["variable"]]
        members = HINDCAST_MEMBERS if years[-1] <= HINDCAST_YEARS[1] else MEMBERS
        leads = len(request["leadtime_month"])
        return cls(int(request["system"][0]), starts, leads, members, names, tuple(request["area"]))


def field_of(datasets: list[xr.Dataset], name: str, file: Path) -> xr.DataArray:
    """One quantity of an answer as the file has it, dims as in `_DIMS`, south to north."""
    short = VARIABLE_MAP[name].file
    for ds in datasets:
        if short in ds:
            field = ds[short].load()  # whole: sorting a file that is read lazily is slow
            # a dimension of one value may come as a plain number
            field = field.expand_dims([d for d in _DIMS if d not in field.dims and d in field.coords])
            if set(field.dims) == set(_DIMS):
                return field.transpose(*_DIMS).sortby(["latitude", "forecast_reference_time", "number"])
    held = {str(name): a.dims for ds in datasets for name, a in ds.data_vars.items()}
    raise RetryableError(f"{file.name}: expected {short} with the dims {_DIMS}, received {held}")


def check_field(field: xr.DataArray, name: str, asked: Asked, file: Path) -> int:
    """Refuse a field that is not whole: starts, members, leads, grid, units, values; count the gaps."""

    def expect(holds: bool, what: str, expected: object, received: object) -> None:
        if not holds:
            raise RetryableError(f"{file.name}: expected {name} with {what} {expected}, received {received}")

    starts = field["forecast_reference_time"].values.astype("datetime64[M]")
    expect(np.array_equal(starts, asked.starts), "the starts", asked.starts.astype(str), starts.astype(str))
    members = len(np.unique(field["number"].values))
    expect(members == field.sizes["number"] == asked.members, "members:", asked.members, members)
    leads = field["forecastMonth"].values.astype(int).tolist()
    expect(leads == list(range(1, asked.leads + 1)), "leads up to", asked.leads, leads)
    offset = 0.5 if asked.system == 51 else 0.0
    north, west, south, east = asked.area
    for axis, low, high in (("latitude", south, north), ("longitude", west, east)):
        values = field[axis].values
        right = np.allclose(np.diff(values), 1) and np.allclose(values - offset, np.round(values - offset))
        whole = right and values[0] <= low + 1 and values[-1] >= high - 1
        expect(whole, f"{axis} in steps of 1 from whole degrees plus", offset, f"{values[0]}..{values[-1]}")
    units = field.attrs.get("units")
    expect(units in VARIABLE_MAP[name].units, "units", VARIABLE_MAP[name].units, units)
    values = converted(field, name)
    missing = np.isnan(values)
    expect(not missing.all(axis=(3, 4)).any(), "values in every member and lead", "", "a field without any")
    low, high = QUANTITIES[name].low, QUANTITIES[name].high
    low = _PACKING_mm if name == "precipitation_mm" else low
    expect(bool(((values >= low) & (values <= high) | missing).all()), "values", (low, high), "others")
    return int(missing.sum())


def converted(field: xr.DataArray, name: str) -> NDArray[np.float64]:
    """A field in the unit of `name`; rain as the sum of its valid month, with that month's days."""
    values: NDArray[np.float64] = field.values.astype(np.float64)
    if name != "precipitation_mm":
        return values - KELVIN
    starts = field["forecast_reference_time"].values.astype("datetime64[M]")
    months = starts[:, None] + (field["forecastMonth"].values.astype(np.int64) - 1)
    days = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    return np.asarray(values * _MM_PER_DAY * days[:, None, :, None, None])
