"""Variables of a user's weather: found by name, in the units that they state, as checked values in ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.data import schema
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog, shown
from yieldcast.importing.netcdf import damaged, refuse_large
from yieldcast.importing.stamps import lengths
from yieldcast.importing.units import Conversion, conversion, of_suffix
from yieldcast.language import sentence
from yieldcast.variables import QUANTITIES, WEATHER, Quantity

Fields = dict[str, NDArray[Any]]
Interval = Literal["day", "month"]
# Names of the quantities in lower case: CF, CMIP, ERA5, NASA POWER, E-OBS, Daymet, and Portuguese. A unit may
# follow after an underscore.
NAMES: Mapping[str, tuple[str, ...]] = {
    "tmax_degC": (
        "tmax", "tasmax", "t2m_max", "mx2t", "tx", "tmmx", "temperature_max", "max_temperature",
        "maximum_temperature", "temperatura_maxima", "temp_max", "temp_maxima", "t_max",
    ),
    "tmin_degC": (
        "tmin", "tasmin", "t2m_min", "mn2t", "tn", "tmmn", "temperature_min", "min_temperature",
        "minimum_temperature", "temperatura_minima", "temp_min", "temp_minima", "t_min",
    ),
    "precipitation_mm": (
        "precipitation", "precip", "prectotcorr", "prectot", "pr", "prec", "prcp", "ppt", "tp", "rr", "rain",
        "rainfall", "total_precipitation", "chuva", "precipitacao",
    ),
    "dewpoint_degC": ("dewpoint", "dew_point", "d2m", "t2mdew", "tdew", "tdps", "ponto_de_orvalho",
    "orvalho"), "radiation_MJ_m2": (
        "radiation", "rsds", "ssrd", "srad", "allsky_sfc_sw_dwn", "solar_radiation", "global_radiation",
        "radiacao", "radiacao_solar", "radiacao_global",
    ),
    "wind_m_s": ("wind", "ws2m", "wind_speed", "vento"),
    "relative_humidity_pct": (
        "relative_humidity", "rh", "rh2m", "hurs", "rhmean", "humidity", "umidade_relativa", "umidade", "ur",
    ),
}  # fmt: skip
# Read to compute the dew point, never stored.
HUMIDITY = Quantity("relative_humidity", "pct", "%", 0, 105, "daily", "Relative humidity")
_QUANTITIES = {**QUANTITIES, HUMIDITY.name: HUMIDITY}
_ACCUMULATES = ("mm", "MJ_m2")
_NO_UNITS = ("", "-", "none", "unknown", "n/a", "na", "unitless", "dimensionless")
# Values that mark a missing one in other formats, when the attribute that says so is lost.
_MARKS = (-9999.0, -999.0, -99.0, -99.9, -999.9, 9999.0, 999.0, 99999.0, -32768.0, -32767.0, 32767.0)
# Reanalyses store rain packed with an offset, which can make a dry day as low as this.
_PACKING_mm = -0.01


class Found(NamedTuple):
    """A variable of a file.

    Args:
        name: in the file.
        quantity: what it is.
        units: as its attribute or its name says; the attribute wins.
        stated: an attribute says it.
        named: what the unit in its name means; None where there is none.
    """

    name: str
    quantity: Quantity
    units: str
    stated: bool
    named: Conversion | None

    @property
    def conversion(self) -> Conversion:
        """To the unit of the quantity."""
        accumulates = self.quantity.unit in _ACCUMULATES
        return conversion(self.units, self.quantity.units, accumulates=accumulates)

    def differs(self, interval: Interval) -> bool:
        """Whether name and attribute mean something else; a value of a day may be called mm or mm/day."""
        if self.named is None or not self.stated:
            return False
        own, named = self.conversion, self.named
        rate = own.per != named.per and {own.per, named.per} != {"", interval}
        return bool(rate or not np.allclose(own[:2], named[:2]))


def find(ds: xr.Dataset, wanted: Collection[str], where: str) -> tuple[dict[str, Found], list[str]]:
    """Variables with wanted quantities, by the name of the quantity, and the names of the others.

    Args:
        ds: the file.
        wanted: names of quantities; degree days (``gdd_*_degC_day``) are found beside those of weather.
        where: the file, for errors.

    Raises:
        SchemaError: a quantity twice, without any unit, or in a unit of something else.
    """
    found: dict[str, Found] = {}
    others: list[str] = []
    bounds = ds["time"].attrs.get("bounds") if "time" in ds.variables else None
    for name in map(str, ds.data_vars):
        if name == bounds:
            continue
        one = _degree_days(name) or _named(name, ds[name].attrs, wanted, where)
        if one is None:
            others.append(name)
            continue
        if one.quantity.name in found:
            twice = found[one.quantity.name].name
            raise SchemaError(f"{where}: {twice!r} and {name!r} are the same quantity", "Keep one.")
        found[one.quantity.name] = one
    return found, others


def refuse_missing(found: Mapping[str, Found], ds: xr.Dataset, where: str) -> None:
    """SchemaError unless a file has the three variables of weather."""
    missing = [name for name in WEATHER if name not in found]
    if missing:
        mean = [n for n in ds.data_vars if str(n).lower() in ("t2m", "tas", "2t", "tmean_degc", "tmean")]
        hint = "Name each variable with its unit: tmax_degC, tmin_degC, precipitation_mm."
        if mean and {"tmax_degC", "tmin_degC"} & set(missing):
            hint += f" {mean[0]} is a mean temperature: daily extremes, or their monthly means, are needed."
        raise SchemaError(f"{where}: expected the variables {missing}, received {shown(ds.data_vars)}", hint)


def _degree_days(name: str) -> Found | None:
    column = variables.resolve(name) if name.startswith("gdd") else None
    if column is None:
        return None
    return Found(name, column.quantity, column.quantity.units, True, None)


def _named(name: str, attrs: Mapping[str, Any], wanted: Collection[str], where: str) -> Found | None:
    stated = str(attrs.get("units", "")).strip()
    stated = "" if stated.lower() in _NO_UNITS else stated
    for key in wanted:
        quantity = _QUANTITIES[key]
        for base in NAMES[key]:
            if name.lower() == base:
                if stated:
                    return _checked(Found(name, quantity, stated, True, None), where)
                raise SchemaError(
                    f"{where}: {name}: expected a unit in its name or attribute units, received none",
                    f"Set its units, or rename it {quantity.name} if that is its unit.",
                )
            suffix = of_suffix(name[len(base) + 1 :])
            named = _meaning(suffix, quantity) if name.lower().startswith(f"{base}_") else None
            if named is not None:
                return _checked(Found(name, quantity, stated or suffix, bool(stated), named), where)
    return None


def _meaning(units: str, quantity: Quantity) -> Conversion | None:
    try:
        return conversion(units, quantity.units, accumulates=quantity.unit in _ACCUMULATES)
    except SchemaError:
        return None


def _checked(one: Found, where: str) -> Found:
    try:
        _ = one.conversion
    except SchemaError as error:
        raise SchemaError(f"{where}: {one.name}: {error}", error.hint) from error
    return one


class Values(NamedTuple):
    """Values of a file in our units.

    Args:
        fields: (place, time) by the name of the quantity; rates are sums of their day or month.
        unsure: quantities whose units no attribute states, or another one than the name.
    """

    fields: Fields
    unsure: tuple[str, ...]


def read_fields(
    ds: xr.Dataset,
    found: Mapping[str, Found],
    dims: tuple[str, str],
    labels: Mapping[str, NDArray[Any]],
    interval: Interval,
    where: str,
    report: ImportLog,
    table: str,
) -> Values:
    """Values of the variables in our units, checked.

    Args:
        ds: the open file; variables are read one after the other, since daily tables are large.
        found: variables to read.
        dims: of the file, places and time.
        labels: names of the two dims and their values, for errors.
        interval: of each value.
        where: the file, for errors.
        report: gets what was changed.
        table: that is made of it, for errors.
    """
    arrays: dict[str, xr.DataArray] = {}
    months = labels["time"].astype("datetime64[M]")
    for key, one in found.items():
        raw = _numbers(ds[one.name], dims, where, table)
        values, scale = _converted(raw, one, interval, months, where)
        if one.quantity.unit == "mm":
            dry = (values < 0) & (values >= _PACKING_mm * scale)
            if dry.any():
                values = np.where(dry, values.dtype.type(0), values)
                report.warnings.append(
                    (table, sentence("{name} between -0.01 and 0 set to 0", name=one.name), int(dry.sum()))
                )
        array = xr.DataArray(values, dims=tuple(labels), coords=labels, name=one.name)
        schema.refuse_outside(array, table, one.quantity, _hint(raw, values, one))
        arrays[key] = array
        _report_units(one, interval, table, report)
    schema.refuse_crossed(arrays["tmin_degC"], arrays["tmax_degC"], table)
    fields = {name: array.values for name, array in arrays.items()}
    unsure = [name for name, one in found.items() if not one.stated or one.differs(interval)]
    return Values(fields, tuple(unsure))


def _report_units(one: Found, interval: Interval, table: str, report: ImportLog) -> None:
    if one.differs(interval):
        text = f"{one.name} has the attribute units {one.units}: this was used, not the unit in its name"
        report.warnings.append((table, text, 1))
    elif one.conversion[:2] != (1.0, 0.0) or (one.conversion.per == "day" and interval == "month"):
        report.read.append(
            (
                table,
                sentence(
                    "{name} converted from {given} to {units}",
                    name=one.name,
                    given=one.units,
                    units=one.quantity.units,
                ),
                1,
            )
        )
    elif not one.stated:
        report.read.append(
            (
                table,
                sentence("{name} without the attribute units: unit taken from its name", name=one.name),
                1,
            )
        )


def _numbers(array: xr.DataArray, dims: tuple[str, str], where: str, table: str) -> NDArray[Any]:
    refuse_large(array, where)
    try:
        values = array.transpose(*dims).values
    except Exception as error:  # h5py raises many kinds on a damaged file
        raise damaged(f"{where} ({table})", error) from error
    if values.dtype.kind not in "fiu":
        raise SchemaError(
            f"{table}: expected {array.name} to hold numbers, received {values.dtype}", "Convert the values."
        )
    if np.isnan(values).all():
        raise SchemaError(f"{table}: {array.name} has no values", "Check the file and its fill value.")
    # float32 stays float32: daily files are large, and the table is float32
    return values if values.dtype == np.float32 else values.astype(np.float64, copy=False)


def _converted(
    values: NDArray[Any], one: Found, interval: Interval, months: NDArray[np.datetime64], where: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values in our unit, and how many units of packing one value has, (time,)."""
    how, scale = one.conversion, np.ones(len(months))
    if how.per == "month" and interval == "day":
        raise SchemaError(
            f"{where}: {one.name}: expected values of days, received units {one.units!r}",
            "Give the amount of each day, or monthly values.",
        )
    number = values.dtype.type
    if how.factor != 1.0:
        values = values * number(how.factor)
    if how.offset != 0.0:
        values = values + number(how.offset)
    if how.per == "day" and interval == "month":
        scale = lengths(months).astype(float)
        values = values * scale.astype(number)
    return values, scale


def _hint(raw: NDArray[Any], values: NDArray[Any], one: Found) -> str:
    """What may be wrong with values outside of their range."""
    quantity = one.quantity
    outside = ~((values >= quantity.low) & (values <= quantity.high)) & ~np.isnan(values)
    if not outside.any():
        return ""
    strange = np.unique(raw[outside])
    marks = [v for v in strange if np.isclose(v, _MARKS, rtol=1e-6).any() or abs(v) > 1e18]
    if marks and len(marks) == len(strange):
        return f"{marks[0]:g} looks like a mark of missing values: set the attribute _FillValue, or use NaN."
    if (
        one.conversion != (1.0, 0.0, "")
        and np.nanmin(raw) >= quantity.low
        and np.nanmax(raw) <= quantity.high
    ):
        return (
            f"Without conversion the values fit {quantity.units}: is the attribute units {one.units!r} left "
            "from an earlier file?"
        )
    median = float(np.nanmedian(values))
    if quantity.unit != "degC" or np.nanmax(values) <= quantity.high:
        return ""
    if median > 150:
        return (
            f"The median is {median:.0f}: this looks like kelvin (or tenths of a degree). "
            "Set the attribute units to K, or subtract 273.15."
        )
    if median > 40:
        return (
            f"The median is {median:.0f}: this looks like Fahrenheit. Set the attribute units to degF, or "
            "convert with (F - 32) / 1.8."
        )
    return ""
