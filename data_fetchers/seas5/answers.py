"""System, members and publication date of each SEAS5 forecast, and the check of answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request
from data_fetchers.engine.constants import Area, ZERO_degC_in_K
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import ConfigError
from yieldcast.variables import QUANTITIES

HINDCAST_YEARS = (1993, 2016)  # common to all C3S systems, and the basis of all C3S anomalies
# Day of the month from which a forecast is used: the day after its release at 12 UTC. Releases were on the
# 13th (C3S news of November 2018 and May 2021) and are on the 6th for ECMWF (web page of the dataset). The
# change came by July 2024 (C3S announcement of 10 July 2024); its month is unknown, so the later day is kept
# until then.
RELEASE_DAYS = (("2017-11", 14), ("2024-07", 7))
# System by first start month, as operated (C3S, "Summary of available data"; forum.ecmwf.int/t/1539). System
# 51 is system 5 on another grid; one of the two was issued at a time. Both have hindcasts for all start
# months, and a forecast is compared with hindcasts of its own system. For starts before November 2022
# system 5 is used, because it was the public one. Before November 2017 the system was 4.
SYSTEMS = (("2017-11", 5), ("2022-11", 51))
HINDCAST_MEMBERS, MEMBERS = 25, 51


class Variable(NamedTuple):
    """Names of one quantity in requests and in files, and its possible units in files."""

    variable: str
    name: str
    units: tuple[str, ...]


# The two temperatures are monthly means of daily extremes (UTC days). GRIB writes m s**-1.
VARIABLE_MAP: Mapping[str, Variable] = {
    "tmax_degC": Variable("maximum_2m_temperature_in_the_last_24_hours", "mx2t24", ("K",)),
    "tmin_degC": Variable("minimum_2m_temperature_in_the_last_24_hours", "mn2t24", ("K",)),
    "precipitation_mm": Variable("total_precipitation", "tprate", ("m s**-1", "m s-1")),
}
_DIMS = ("forecast_reference_time", "number", "forecastMonth", "latitude", "longitude")
_MM_PER_DAY = 86_400 * 1000.0  # from m s-1
_PACKING_mm = -1.0  # packing gives rain slightly below 0; lower values are errors


def system_of(start: np.datetime64) -> int:
    """Version of the forecast system for a start month.

    Raises:
        ConfigError: before November 2017, when SEAS5 was not in operation.
    """
    return _since(SYSTEMS, start)


def published(start: np.datetime64) -> dt.date:
    """First day on which the forecast of a start month may be used, see `RELEASE_DAYS`."""
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
    """Required contents of an answer."""

    system: int
    starts: NDArray[np.datetime64]
    leads: int
    members: int
    variables: list[str]
    area: Area

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Required contents of the answer to a request."""
        parameters = request.parameters["inputs"]
        years, month = [int(y) for y in parameters["year"]], parameters["month"][0]
        starts = np.array([f"{year}-{month}" for year in years], "datetime64[M]")
        names = [name for name, v in VARIABLE_MAP.items() if v.variable in parameters["variable"]]
        members = HINDCAST_MEMBERS if years[-1] <= HINDCAST_YEARS[1] else MEMBERS
        leads = len(parameters["leadtime_month"])
        return cls(int(parameters["system"][0]), starts, leads, members, names, tuple(parameters["area"]))


def field_of(datasets: list[xr.Dataset], name: str, file: Path) -> xr.DataArray:
    """One quantity in the file's unit, dims as in `_DIMS`, south to north; RetryableError without it."""
    short = VARIABLE_MAP[name].name
    for ds in datasets:
        if short in ds:
            field = ds[short].load()  # sorting a file that is read lazily is slow
            # a dimension of length one may be a scalar in the file
            field = field.expand_dims([d for d in _DIMS if d not in field.dims and d in field.coords])
            if set(field.dims) == set(_DIMS):
                return field.transpose(*_DIMS).sortby(["latitude", "forecast_reference_time", "number"])
    held = {str(name): a.dims for ds in datasets for name, a in ds.data_vars.items()}
    raise RetryableError(f"{file.name}: expected {short} with the dims {_DIMS}, received {held}")


def check_field(field: xr.DataArray, name: str, asked: Asked, file: Path) -> int:
    """Check starts, members, leads, grid, units and values; return the number of missing values.

    Args:
        field: from `field_of`.
        name: of the quantity, a key of `VARIABLE_MAP`.
        asked: required contents.
        file: for messages.

    Raises:
        RetryableError: the answer is not what was requested.
    """

    def expect(holds: bool, what: str, expected: object, received: object) -> None:
        if not holds:
            raise RetryableError(f"{file.name}: expected {name} with {what} {expected}, received {received}")

    starts = field["forecast_reference_time"].values.astype("datetime64[M]")
    expect(np.array_equal(starts, asked.starts), "the starts", asked.starts.astype(str), starts.astype(str))
    members = len(np.unique(field["number"].values))
    expect(members == field.sizes["number"] == asked.members, "members:", asked.members, members)
    leads = field["forecastMonth"].values.astype(int).tolist()
    expect(leads == list(range(1, asked.leads + 1)), "leads up to", asked.leads, leads)
    north, west, south, east = asked.area
    for axis, low, high in (("latitude", south, north), ("longitude", west, east)):
        values = field[axis].values
        # Any regular grid: systems 5 and 51 have cells of 1 degree centred on whole and on half degrees.
        steps = np.diff(values)
        regular = steps.size > 0 and steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3)
        shown = f"{values.min():g} to {values.max():g} in {values.size} values" if values.size else "none"
        expect(bool(regular), f"{axis} in equal", "steps", shown)
        whole = values[0] <= low + steps[0] and values[-1] >= high - steps[0]
        expect(bool(whole), f"{axis} over the area of", (low, high), shown)
    units = field.attrs.get("units")
    expect(units in VARIABLE_MAP[name].units, "units", VARIABLE_MAP[name].units, units)
    values = converted(field, name)
    missing = np.isnan(values)
    expect(not missing.all(axis=(3, 4)).any(), "values in every member and lead", "", "a field without any")
    low, high = QUANTITIES[name].low, QUANTITIES[name].high
    low = _PACKING_mm if name == "precipitation_mm" else low
    expect(bool(((values >= low) & (values <= high) | missing).all()), "values", (low, high), "others")
    return int(missing.sum())


def refuse_two_grids(fields: Iterable[xr.DataArray], file: Path) -> None:
    """RetryableError unless all quantities of an answer are on the same grid."""
    grids = {
        tuple(tuple(np.round(field[axis].values, 6).tolist()) for axis in ("latitude", "longitude"))
        for field in fields
    }
    if len(grids) > 1:
        raise RetryableError(f"{file.name}: expected one grid for all quantities, received {len(grids)}")


def converted(field: xr.DataArray, name: str) -> NDArray[np.float64]:
    """A field in the unit of `name`, same dims; rain as the total of its valid month."""
    values: NDArray[np.float64] = field.values.astype(np.float64)
    if name != "precipitation_mm":
        return values - ZERO_degC_in_K
    starts = field["forecast_reference_time"].values.astype("datetime64[M]")
    months = starts[:, None] + (field["forecastMonth"].values.astype(np.int64) - 1)
    days = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    return np.asarray(values * _MM_PER_DAY * days[:, None, :, None, None])
