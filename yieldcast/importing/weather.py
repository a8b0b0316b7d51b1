"""Import of a user's weather: netCDF with daily or monthly values, to the table of monthly weather."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import degree_days, schema
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes, code_column, code_texts
from yieldcast.importing.columns import ImportLog, shown
from yieldcast.importing.fields import Fields, Found, Interval, find, read_fields, refuse_missing
from yieldcast.importing.netcdf import open_netcdf
from yieldcast.importing.plausible import check_plausible
from yieldcast.importing.stamps import Months, days_of, is_daily, lengths
from yieldcast.language import message, sentence
from yieldcast.variables import QUANTITIES, WEATHER

TABLE = "weather"
# Any region with agriculture has a month above 10 mm in every year; in metres no month is above it.
_LOWEST_TOP_MONTH_mm = 10.0
_BLOCK = 256  # places at a time, so that the degree days need little memory


class UserWeather(NamedTuple):
    """Weather of a file: the monthly table, and the days that it was made of.

    Args:
        monthly: checked table of all places.
        fields: (place of the file, day) arrays by name; None where the file is monthly.
        days: datetime64[D] of the fields.
        rows: position of each place of the file among the places.
        attrs: marks of the file that its tables must keep.
    """

    monthly: xr.Dataset
    fields: Fields | None
    days: Months
    rows: NDArray[np.intp]
    attrs: dict[str, Any]


def read_weather(path: Path, codes: Codes, report: ImportLog) -> UserWeather:
    """Read weather into the monthly table of all places, NaN where the file has no value.

    Args:
        path: netCDF (also in a zip), dims of places and time in any order; variables by name, in the units of
            their attribute or of their name (``tmax_degC``, ``tmin_degC``, ``precipitation_mm``,
            ``gdd_*_degC_day``; ``tasmax``, ``T2M_MAX``, ... with units), one value per month or per day. Days
            become months: mean temperature, sum of rain, and the sum of daily degree days for every pair of
            `degree_days.LIMITS`; a month with a missing day is NaN.
        codes: the places.
        report: gets what was read, what was ignored, what is missing and what is strange.

    Raises:
        MissingDataError: no such file.
        SchemaError: not netCDF, damaged, or contents that break the contract.
    """
    with open_netcdf(path, TABLE, report) as ds:
        return weather_of(ds, codes, report, str(path))


def weather_of(ds: xr.Dataset, codes: Codes, report: ImportLog, where: str) -> UserWeather:
    """The weather of an open dataset of places and time; see `read_weather`."""
    found, others = find(ds, WEATHER, where)
    refuse_missing(found, ds, where)
    dim = place_dim(ds, found.values(), where, codes)
    report.extras(TABLE, others)
    texts = place_codes(ds[dim].values, where)
    rows = codes.rows(texts, where, report, TABLE)
    refuse_repeated(codes.index[rows], where)
    time = days_of(ds, where, TABLE, report)
    daily = is_daily(time, where)
    labels = {"municipality": texts.astype(str), "time": time.astype("datetime64[ns]")}
    interval: Interval = "day" if daily else "month"
    values = read_fields(ds, found, (dim, "time"), labels, interval, where, report, TABLE)
    # tables made from synthetic files must say so too
    marks = {name: value for name, value in ds.attrs.items() if name == "synthetic"}
    turn = _from_days if daily else _from_months
    months, monthly = turn(time, values.fields, report)
    _refuse_metres(monthly["precipitation_mm"], where)
    check_plausible(values._replace(fields=monthly), 12, where, TABLE, report)
    table = _table(codes, rows, months, monthly, report).assign_attrs(marks)
    return UserWeather(table, values.fields if daily else None, time, rows, marks)


def months_of_days(daily: xr.Dataset, codes: Codes, report: ImportLog) -> xr.Dataset:
    """The monthly table of places from the table of daily weather of their units.

    Args:
        daily: checked table, see `yieldcast.data.daily`.
        codes: all places, those of `daily`.
        report: gets the months, and what is missing.
    """
    fields: Fields = {name: daily[name].values for name in WEATHER}
    days = daily["time"].values.astype("datetime64[D]")
    months, monthly = _from_days(days, fields, report)
    _refuse_metres(monthly["precipitation_mm"], TABLE)
    unit = daily["municipality_unit"].values
    rows = np.flatnonzero(unit >= 0)
    of_places = {name: values[unit[rows]] for name, values in monthly.items()}
    marks = {name: value for name, value in daily.attrs.items() if name == "synthetic"}
    return _table(codes, rows, months, of_places, report).assign_attrs(marks)


def place_dim(ds: xr.Dataset, found: Iterable[Found], where: str, codes: Codes | None = None) -> str:
    """The dim of the places, after a check that the variables have it and time.

    Args:
        ds: the file.
        found: variables to read.
        where: its name, for errors.
        codes: the places: a dim of another name is theirs if all of its values are codes. None accepts any
            dim beside time.
    """
    arrays = [ds[one.name] for one in found]
    dim = code_column(map(str, ds.dims), f"{where}, dims", needed=False)
    if dim is None:
        other = next((str(d) for d in arrays[0].dims if d != "time"), "")
        known = codes is not None and other in ds.coords and _all_codes(ds[other].values, codes)
        dim = other if known or codes is None else None
    wrong = next((a for a in arrays if dim is None or set(a.dims) != {dim, "time"}), None)
    if wrong is not None:
        raise SchemaError(
            f"{where}: expected {wrong.name} with the dims municipality and time, received "
            f"{', '.join(f'{name} ({size})' for name, size in wrong.sizes.items())}",
            _dims_hint([str(d) for d in wrong.dims]),
        )
    for name in (str(dim), "time"):
        if name not in ds.coords or ds.sizes[name] == 0:
            raise SchemaError(
                f"{where}: expected a coordinate {name!r} with values, received {shown(ds.coords)}",
                "Write the codes of the places and the dates as coordinates.",
            )
    return str(dim)


def _all_codes(values: NDArray[Any], codes: Codes) -> bool:
    return values.dtype.kind in "iufUSO" and bool((codes.find(_texts(values)) >= 0).all())


def _dims_hint(dims: Sequence[str]) -> str:
    lower = {dim.lower() for dim in dims}
    if lower & {"latitude", "lat", "y", "rlat"}:
        return "This is gridded data: import it with --weather-grid, which averages it over the places."
    beside = [dim for dim in dims if dim != "time"]
    if "time" not in dims:
        return f"Which of {', '.join(dims)} is time? Rename it time."
    if len(beside) == 1:
        return (
            f"Rename {beside[0]} to municipality; its values must be codes of the places, of all its places."
        )
    if not beside:
        return "Give a series for each place, with the dim municipality and its codes."
    return f"Select one value of the dims that are neither places nor time (of {', '.join(beside)})."


def place_codes(values: NDArray[Any], where: str) -> NDArray[np.object_]:
    """Codes of the places as texts; SchemaError where one occurs twice."""
    texts = _texts(values)
    refuse_repeated(texts, where)
    return texts


def _texts(values: NDArray[Any]) -> NDArray[np.object_]:
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    return code_texts(values)


def refuse_repeated(texts: Collection[str], where: str) -> None:
    """Raise SchemaError where a place occurs twice."""
    unique, counts = np.unique(np.asarray(texts, dtype=object), return_counts=True)
    if (counts > 1).any():
        raise SchemaError(
            f"{where}: expected every municipality once, received {unique[counts > 1][0]!r} "
            f"{counts.max()} times ({int((counts > 1).sum())} such codes)",
            "Keep one series for each place.",
        )


def _from_months(time: Months, fields: Fields, report: ImportLog) -> tuple[Months, Fields]:
    stamps = time.astype("datetime64[M]")
    months = np.arange(stamps.min(), stamps.max() + 1)
    absent = len(months) - len(stamps)
    if absent:
        first = np.setdiff1d(months, stamps)[0]
        report.warnings.append(
            (TABLE, sentence("months not in the file, set to missing, first {month}", month=first), absent)
        )
    out = {}
    for name, values in fields.items():
        out[name] = np.full((len(values), len(months)), np.nan, dtype=np.float32)
        out[name][:, (stamps - months[0]).astype(int)] = values
    return months, out


def _from_days(time: Months, fields: Fields, report: ImportLog) -> tuple[Months, Fields]:
    """Months from days; a month is NaN if a day of the calendar is missing."""
    stamps = time.astype("datetime64[M]")
    months = np.arange(stamps.min(), stamps.max() + 1)
    length = lengths(months)
    starts, end = np.cumsum(length) - length, int(length.sum())
    position = (time - months[0].astype("datetime64[D]")).astype(int)
    pairs = {n: pair for n, pair in degree_days.quantities().items() if n not in fields}
    count = len(fields["tmax_degC"])
    out = {n: np.empty((count, len(months)), dtype=np.float32) for n in [*fields, *pairs]}
    for first in range(0, count, _BLOCK):
        block = slice(first, first + _BLOCK)
        full = {}
        for name, values in fields.items():
            full[name] = np.full((len(values[block]), end), np.nan)
            full[name][:, position] = values[block]
            total = np.add.reduceat(full[name], starts, axis=1)
            is_mean = name in QUANTITIES and QUANTITIES[name].to_month == "mean"
            out[name][block] = total / length if is_mean else total
        for name, pair in pairs.items():
            days = degree_days.daily(full["tmax_degC"], full["tmin_degC"], *pair)
            out[name][block] = np.add.reduceat(days, starts, axis=1)
    report.read.append((TABLE, message("days turned into months"), len(time)))
    broken = np.isnan(np.stack([out[name] for name in WEATHER])).any(axis=(0, 1))
    if broken.any():
        text = f"months with a missing day somewhere, set to missing there, first {months[broken][0]}"
        report.warnings.append((TABLE, text, int(broken.sum())))
    return months, out


def _refuse_metres(monthly_mm: NDArray[Any], where: str) -> None:
    top = float(np.nanmax(monthly_mm)) if not np.isnan(monthly_mm).all() else 0.0
    if monthly_mm.shape[1] >= 12 and 0 < top < _LOWEST_TOP_MONTH_mm:
        raise SchemaError(
            f"{where}: expected precipitation_mm as the sum of the month in mm, received at most {top:g} in "
            "any month of any place: this looks like metres, or a mean per day",
            "Multiply metres by 1000; multiply a mean per day by the days of the month.",
        )


def _table(
    codes: Codes, rows: NDArray[np.intp], months: Months, monthly: Fields, report: ImportLog
) -> xr.Dataset:
    data = {}
    for name, values in monthly.items():
        full = np.full((len(codes.municipality), len(months)), np.nan, dtype=np.float32)
        full[rows] = values
        data[name] = (("municipality", "time"), full)
    coords = {"municipality": codes.municipality, "time": months.astype("datetime64[ns]")}
    report.read.append(
        (TABLE, sentence("months from {first} to {last}", first=months[0], last=months[-1]), len(months))
    )
    report.read.append((TABLE, message("places in the file"), len(rows)))
    for name, values in monthly.items():
        empty = int(np.isnan(values).sum())
        if empty:
            report.warnings.append((TABLE, sentence("missing months of places in {name}", name=name), empty))
    return schema.check_weather(schema.set_units(xr.Dataset(data, coords=coords)))
