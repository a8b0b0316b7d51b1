"""Import of a user's weather: netCDF with daily or monthly values, to the table of monthly weather."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import degree_days, schema
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes, code_column, code_texts
from yieldcast.importing.columns import ImportLog, damaged, open_netcdf, quantities, shown
from yieldcast.variables import QUANTITIES, WEATHER, Column, Quantity

TABLE = "weather"
Fields = dict[str, NDArray[Any]]
Months = NDArray[np.datetime64]
# Values of attrs["units"] that contradict a name with degC or mm.
_KELVIN_OR_F = "k kelvin kelvins degk degree_kelvin f degf fahrenheit degree_fahrenheit"
_NOT_mm = "m|m d-1|m/d|m/day|m day-1|m of water equivalent|metre|metres|meter|meters|cm|in|inch|inches"
_CONTRADICTING = {
    "degC": set(_KELVIN_OR_F.split()),
    "mm": {*_NOT_mm.split("|"), "kg m-2 s-1", "mm s-1", "mm/s", "m s-1"},
    "MJ_m2": {"w m-2", "w m**-2", "w/m2", "w/m^2", "j m-2", "j m**-2", "j/m2", "kj m-2", "kj/m2"},
    "m_s": {"km/h", "km h-1", "kt", "kn", "knots", "mph"},
}
_RATES = {"mm/day", "mm/d", "mm d-1", "mm day-1", "mm per day"}
# Reanalyses store rain packed with an offset, which can make a dry day as low as this.
_PACKING_mm = -0.01
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
        path: netCDF-4, dims municipality and time in any order; variables by name and unit
            (``tmax_degC``, ``tmin_degC``, ``precipitation_mm``, ``gdd_*_degC_day``), one value per month or
            per day. Days become months: mean temperature, sum of rain, and the sum of daily degree days for
            every pair of `degree_days.LIMITS`; a month with a missing day is NaN.
        codes: the places.
        report: gets what was read, what was ignored and what is missing.

    Raises:
        MissingDataError: no such file.
        SchemaError: not netCDF-4, damaged, or contents that break the contract.
    """
    with open_netcdf(path, TABLE) as ds:
        columns, extras = quantities(map(str, ds.data_vars), "weather", str(path))
        names = [column.quantity.name for column in columns.values()]
        missing = [name for name in WEATHER if name not in names]
        if missing:
            raise SchemaError(
                f"{path}: expected the variables {missing}, received {shown(ds.data_vars)}",
                "Name each variable with its unit: tmax_degC, tmin_degC, precipitation_mm.",
            )
        dim = place_dim(ds, columns, path, TABLE)
        report.extras(TABLE, extras)
        texts = place_codes(ds[dim].values, path)
        rows = codes.rows(texts, str(path), report, TABLE)
        refuse_repeated(codes.index[rows], path)
        time = days_of(ds, path)
        daily = is_daily(time, path)
        _refuse_rates(ds, columns, daily, path)
        labels = {"municipality": texts.astype(str), "time": time.astype("datetime64[ns]")}
        fields = read_fields(ds, columns, (dim, "time"), labels, path, report, TABLE)
        # tables made from synthetic files must say so too
        marks = {name: value for name, value in ds.attrs.items() if name == "synthetic"}
    months, monthly = _from_days(time, fields, report) if daily else _from_months(time, fields, report)
    _refuse_metres(monthly["precipitation_mm"], path)
    table = _table(codes, rows, months, monthly, report).assign_attrs(marks)
    return UserWeather(table, fields if daily else None, time, rows, marks)


def place_dim(ds: xr.Dataset, columns: Iterable[str], path: Path, table: str, any_dim: bool = False) -> str:
    """The dim of the places, after a check that the variables have it and time.

    Args:
        ds: the file.
        columns: names of the variables to read.
        path: its name, for errors.
        table: that is made of it.
        any_dim: accept a dim that is not named like municipalities; it is that of the first variable.
    """
    dim = code_column(map(str, ds.dims), f"{path}, dims", needed=False)
    arrays = [ds[name] for name in columns]
    if dim is None and any_dim:
        dim = next((str(d) for d in arrays[0].dims if d != "time"), None)
    wrong = next((a for a in arrays if dim is None or set(a.dims) != {dim, "time"}), None)
    if wrong is not None:
        raise SchemaError(
            f"{path}: expected {wrong.name} with the dims municipality and time, received {wrong.dims}",
            "Average gridded data over each place, or extract them there; other dims are not accepted.",
        )
    for name in (str(dim), "time"):
        if name not in ds.coords or ds.sizes[name] == 0:
            raise SchemaError(
                f"{path}: expected a coordinate {name!r} with values, received {sorted(map(str, ds.coords))}",
                "Write the codes of the places and the dates as coordinates.",
            )
    return str(dim)


def place_codes(values: NDArray[Any], path: Path) -> NDArray[np.object_]:
    """Codes of the places as texts; SchemaError where one occurs twice."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    texts = code_texts(values)
    refuse_repeated(texts, path)
    return texts


def refuse_repeated(texts: Collection[str], path: Path) -> None:
    """Raise SchemaError where a place occurs twice."""
    unique, counts = np.unique(np.asarray(texts, dtype=object), return_counts=True)
    if (counts > 1).any():
        raise SchemaError(
            f"{path}: expected every municipality once, received {unique[counts > 1][0]!r} "
            f"{counts.max()} times ({int((counts > 1).sum())} such codes)",
            "Keep one series for each place.",
        )


def days_of(raw: xr.Dataset, path: Path) -> Months:
    """Days (datetime64[D]) of a file's time stamps; SchemaError unless they are dates, each once."""
    time = raw["time"].values
    if time.dtype.kind != "M" or np.isnat(time).any():
        raise SchemaError(
            f"{path}: expected time as dates of the standard calendar, received {time.dtype} "
            f"from {time[0]} on",
            "Give time the attribute units = 'days since 2000-01-01'.",
        )
    days: Months = time.astype("datetime64[D]")
    unique, counts = np.unique(days, return_counts=True)
    if (counts > 1).any():
        raise SchemaError(
            f"{path}: expected one value a day or a month, received {counts.max()} values on "
            f"{unique[counts > 1][0]} ({int((counts > 1).sum())} such days)",
            "Remove duplicates; sum or average hourly data to days first.",
        )
    return days


def is_daily(days: Months, path: Path) -> bool:
    """Whether a file has one value a day, not one a month; SchemaError where it has neither."""
    months, counts = np.unique(days.astype("datetime64[M]"), return_counts=True)
    if (counts == 1).all():
        _check_dates_of_months(days, path)
        return False
    if np.median(np.diff(np.sort(days)).astype(int)) > 1:
        raise SchemaError(
            f"{path}: expected one value a month (or every day), received {counts.max()} values in "
            f"{months[counts > 1][0]} ({int((counts > 1).sum())} such months)",
            "Remove the duplicates, or give daily values.",
        )
    return True


def _check_dates_of_months(days: Months, path: Path) -> None:
    """Refuse single days: values of months have the date of the first, the middle or the last day."""
    start = days.astype("datetime64[M]").astype("datetime64[D]")
    day = (days - start).astype(np.int64) + 1
    last = ((days.astype("datetime64[M]") + 1).astype("datetime64[D]") - start).astype(np.int64)
    if not ((day == 1).all() or (day == last).all() or ((day >= 14) & (day <= 17)).all()):
        raise SchemaError(
            f"{path}: expected one value a day, or one a month with the date of its first, middle or last "
            f"day; received one value a month, with dates such as {days[0]}",
            "Give monthly values the date of the first day of the month, or give every day.",
        )


def _check_units(array: xr.DataArray, column: Column, contradicting: Collection[str], path: Path) -> None:
    units = str(array.attrs.get("units", "")).strip().lower()
    if units in contradicting:
        raise SchemaError(
            f"{path}: expected {array.name} in {column.quantity.units}, the unit in its name, "
            f"received attrs units {array.attrs['units']!r}",
            f"Convert the values and set the units to {column.quantity.units!r}; "
            "the rain of a month is its sum in mm.",
        )


def _refuse_rates(ds: xr.Dataset, columns: Mapping[str, Column], daily: bool, path: Path) -> None:
    for name, column in columns.items():
        if not daily and column.quantity.unit == "mm":
            _check_units(ds[name], column, _RATES, path)


def read_fields(
    ds: xr.Dataset,
    columns: Mapping[str, Column],
    dims: tuple[str, str],
    labels: Mapping[str, NDArray[Any]],
    path: Path,
    report: ImportLog,
    table: str,
) -> Fields:
    """Values of the variables in our units, checked, by the name of their quantity.

    Args:
        ds: the open file; variables are read one after the other, since daily tables are large.
        columns: variables to read.
        dims: of the file, places and time.
        labels: names of the two dims and their values, for errors.
        path: of the file.
        report: gets what was changed.
        table: that is made of it, for errors.
    """
    fields: dict[str, xr.DataArray] = {}
    for name, column in columns.items():
        quantity = column.quantity
        if column.factor == 1.0:
            _check_units(ds[name], column, _CONTRADICTING.get(quantity.unit, ()), path)
        try:
            values = ds[name].transpose(*dims).values
        except Exception as error:  # h5py raises many kinds on a damaged file
            raise damaged(path, table, error) from error
        if values.dtype.kind not in "fiu":
            raise SchemaError(
                f"{table}: expected {name} to hold numbers, received {values.dtype}", "Convert the values."
            )
        # float32 stays float32: daily files are large, and the table is float32
        values = values if values.dtype == np.float32 else values.astype(np.float64, copy=False)
        if column.factor != 1.0:
            values = values * values.dtype.type(column.factor)
        if quantity.unit == "mm":
            dry = (values < 0) & (values >= _PACKING_mm)
            if dry.any():
                values = np.where(dry, values.dtype.type(0), values)
                report.warnings.append((table, f"{name} between -0.01 and 0 set to 0", int(dry.sum())))
        if np.isnan(values).all():
            raise SchemaError(f"{table}: {name} has no values", "Check the file and its fill value.")
        array = xr.DataArray(values, dims=tuple(labels), coords=labels, name=name)
        schema.refuse_outside(array, table, quantity, _unit_hint(values, quantity))
        fields[quantity.name] = array
    schema.refuse_crossed(fields["tmin_degC"], fields["tmax_degC"], table)
    return {name: array.values for name, array in fields.items()}


def _unit_hint(values: NDArray[Any], quantity: Quantity) -> str:
    if quantity.unit != "degC" or np.nanmax(values) <= quantity.high:
        return ""
    median = float(np.nanmedian(values))
    if median > 150:
        return f"The median is {median:.0f}: this looks like kelvin. Subtract 273.15."
    if median > 40:
        return f"The median is {median:.0f}: this looks like Fahrenheit. Convert with (F - 32) / 1.8."
    return ""


def _from_months(time: Months, fields: Fields, report: ImportLog) -> tuple[Months, Fields]:
    stamps = time.astype("datetime64[M]")
    months = np.arange(stamps.min(), stamps.max() + 1)
    absent = len(months) - len(stamps)
    if absent:
        first = np.setdiff1d(months, stamps)[0]
        report.warnings.append((TABLE, f"months not in the file, set to missing, first {first}", absent))
    out = {}
    for name, values in fields.items():
        out[name] = np.full((len(values), len(months)), np.nan, dtype=np.float32)
        out[name][:, (stamps - months[0]).astype(int)] = values
    return months, out


def _from_days(time: Months, fields: Fields, report: ImportLog) -> tuple[Months, Fields]:
    """Months from days; a month is NaN if a day of the calendar is missing."""
    stamps = time.astype("datetime64[M]")
    months = np.arange(stamps.min(), stamps.max() + 1)
    starts = (months.astype("datetime64[D]") - months[0].astype("datetime64[D]")).astype(int)
    end = (months[-1] + 1).astype("datetime64[D]") - months[0].astype("datetime64[D]")
    length = np.diff([*starts, int(end.astype(int))])
    position = (time - months[0].astype("datetime64[D]")).astype(int)
    pairs = {n: pair for n, pair in degree_days.quantities().items() if n not in fields}
    count = len(fields["tmax_degC"])
    out = {n: np.empty((count, len(months)), dtype=np.float32) for n in [*fields, *pairs]}
    for first in range(0, count, _BLOCK):
        block = slice(first, first + _BLOCK)
        full = {}
        for name, values in fields.items():
            full[name] = np.full((len(values[block]), int(end.astype(int))), np.nan)
            full[name][:, position] = values[block]
            total = np.add.reduceat(full[name], starts, axis=1)
            is_mean = name in QUANTITIES and QUANTITIES[name].to_month == "mean"
            out[name][block] = total / length if is_mean else total
        for name, pair in pairs.items():
            days = degree_days.daily(full["tmax_degC"], full["tmin_degC"], *pair)
            out[name][block] = np.add.reduceat(days, starts, axis=1)
    report.read.append((TABLE, "days turned into months", len(time)))
    broken = np.isnan(np.stack([out[name] for name in WEATHER])).any(axis=(0, 1))
    if broken.any():
        text = f"months with a missing day somewhere, set to missing there, first {months[broken][0]}"
        report.warnings.append((TABLE, text, int(broken.sum())))
    return months, out


def _refuse_metres(monthly_mm: NDArray[Any], path: Path) -> None:
    top = float(np.nanmax(monthly_mm)) if not np.isnan(monthly_mm).all() else 0.0
    if monthly_mm.shape[1] >= 12 and 0 < top < _LOWEST_TOP_MONTH_mm:
        raise SchemaError(
            f"{path}: expected precipitation_mm as the sum of the month in mm, received at most {top:g} in "
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
    report.read.append((TABLE, f"months from {months[0]} to {months[-1]}", len(months)))
    report.read.append((TABLE, "places with weather", len(rows)))
    for name, values in monthly.items():
        empty = int(np.isnan(values).sum())
        if empty:
            report.warnings.append((TABLE, f"missing months of places in {name}", empty))
    return schema.check_weather(schema.set_units(xr.Dataset(data, coords=coords)))
