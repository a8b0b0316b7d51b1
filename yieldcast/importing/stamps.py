"""Days and months of a file's time stamps: from CF bounds, dates, or numbers such as 201801."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.language import message

Months: TypeAlias = NDArray[np.datetime64]
Stamps: TypeAlias = NDArray[np.datetime64]

_STANDARD = ("standard", "gregorian", "proleptic_gregorian", "")
_CALENDARS = {
    "noleap": "years without 29 February", "365_day": "years without 29 February",
    "360_day": "twelve months of 30 days", "all_leap": "years of 366 days", "366_day": "years of 366 days",
    "julian": "the Julian calendar", "none": "no calendar",
}  # fmt: skip
_MONTHS_SINCE = re.compile(r"\s*months?\s+since\s+(\d{4})-(\d{1,2})", re.I)
_DAY_s = 86400
_HINT = "Give time the attribute units = 'days since 2000-01-01', or dates such as 2018-01-31."


def days_of(raw: xr.Dataset, where: str, table: str, report: ImportLog) -> Stamps:
    """Days (datetime64[D]) of the values of a file; of months their first, middle or last day.

    Where the file has CF bounds they decide, not the stamps.

    Args:
        raw: with times not yet decoded.
        where: its name, for errors.
        table: that is made of it.
        report: gets how stamps were read where more than one way exists.

    Raises:
        SchemaError: no dates, a calendar of climate models, stamps that fit two days or months, or a day
            twice.
    """
    stamps = _dates(raw["time"], where)
    bounds = _bounds(raw, where)
    if bounds is not None:
        days = _from_bounds(stamps, *bounds, where)
        shifted = int((days.astype("datetime64[M]") != stamps.astype("datetime64[M]")).sum())
        if shifted:
            report.read.append(
                (table, message("time from its bounds, which differ from its stamps"), shifted)
            )
    else:
        days = _from_stamps(stamps, raw, where, table, report)
    unique, counts = np.unique(days, return_counts=True)
    if (counts > 1).any():
        raise SchemaError(
            f"{where}: expected one value a day or a month, received {counts.max()} values on "
            f"{unique[counts > 1][0]} ({int((counts > 1).sum())} such days)",
            "Remove duplicates; sum or average hourly data to days first (the CDS offers daily statistics).",
        )
    _report_preliminary(raw, days, table, report)
    return days


def _report_preliminary(raw: xr.Dataset, days: Stamps, table: str, report: ImportLog) -> None:
    """A warning with the first preliminary value of ERA5 (``expver`` 5, along time)."""
    if "expver" in raw.variables and raw["expver"].dims == ("time",):
        early = np.char.endswith(raw["expver"].values.astype(str), "5")
        text = f"preliminary values (expver 5), first {days[early].min()}" if early.any() else ""
        line = (table, text, int(early.sum()))
        if text and line not in report.warnings:  # each file of a variable says the same
            report.warnings.append(line)


def is_daily(days: Stamps, where: str) -> bool:
    """Whether a file has one value a day, not one a month; SchemaError where it has neither."""
    months, counts = np.unique(days.astype("datetime64[M]"), return_counts=True)
    if (counts == 1).all():
        _check_dates_of_months(days, where)
        return False
    if np.median(np.diff(np.sort(days)).astype(int)) > 1:
        raise SchemaError(
            f"{where}: expected one value a month (or every day), received {counts.max()} values in "
            f"{months[counts > 1][0]} ({int((counts > 1).sum())} such months)",
            "Remove the duplicates, or give daily values.",
        )
    return True


def lengths(months: Months) -> NDArray[np.int64]:
    """Days in each month."""
    months = months.astype("datetime64[M]")
    days = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
    return np.asarray(days.astype(np.int64))


def _check_dates_of_months(days: Stamps, where: str) -> None:
    """Refuse single days: values of months have the date of the first, the middle or the last day."""
    start = days.astype("datetime64[M]").astype("datetime64[D]")
    day = (days - start).astype(np.int64) + 1
    last = lengths(days)
    if not ((day == 1).all() or (day == last).all() or ((day >= 14) & (day <= 17)).all()):
        raise SchemaError(
            f"{where}: expected one value a day, or one a month with the date of its first, middle or last "
            f"day; received one value a month, with dates such as {days[0]}",
            "Give monthly values the date of the first day of the month, or give every day.",
        )


def _dates(time: xr.DataArray, where: str) -> Stamps:
    """The stamps as datetime64[s]."""
    values, units = time.values, str(time.attrs.get("units", ""))
    calendar = str(time.attrs.get("calendar", "")).strip().lower()
    if calendar not in _STANDARD:
        meaning = _CALENDARS.get(calendar, "not known")
        raise SchemaError(
            f"{where}: expected time as dates of the standard calendar, received calendar {calendar} "
            f"({meaning})",
            "Convert it, for example with xarray: ds.convert_calendar('standard', use_cftime=False, "
            "align_on='year'); then fill the days that it lacks.",
        )
    found: Stamps | None
    if values.dtype.kind == "M":
        found = values
    elif values.dtype.kind in "UOS":
        found = _of_texts(values)
    elif since := _MONTHS_SINCE.match(units):
        found = _months_since(values, *since.groups())
    elif " since " in units:
        found = _decoded(values, units, where)
    else:
        found = _of_numbers(values)
    if found is None or np.isnat(found).any():
        first = values[0].decode() if isinstance(values[0], bytes) else values[0]
        raise SchemaError(
            f"{where}: expected time as dates of the standard calendar, received {values.dtype} from {first} "
            f"on{f', units {units!r}' if units else ', without units'}",
            _HINT,
        )
    # Days as floating-point numbers can end a little before midnight.
    return (found.astype("datetime64[ms]") + np.timedelta64(500, "ms")).astype("datetime64[s]")


def _decoded(values: NDArray[Any], units: str, where: str) -> Stamps:
    try:
        return np.asarray(xr.coding.times.decode_cf_datetime(values, units, "standard", use_cftime=False))
    except (ValueError, OverflowError, TypeError, KeyError) as error:
        raise SchemaError(
            f"{where}: expected time as dates, received {values[0]} with the units {units!r}: {error}", _HINT
        ) from error


def _of_texts(values: NDArray[Any]) -> Stamps | None:
    """ISO dates, also months such as 2018-01; None for other texts and for times with a zone."""
    texts = [v.decode() if isinstance(v, bytes) else str(v) for v in values]
    texts = [re.sub(r"(?<=\d)(Z|\+00:00)$", "", text.strip()) for text in texts]  # UTC is no other zone
    try:
        if all(re.fullmatch(r"\d{6}|\d{8}", text) for text in texts):
            return _of_numbers(np.array([int(text) for text in texts]))
        if not all(re.fullmatch(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.0+)?)?)?)?", t) for t in texts):
            return None
        return np.array(texts, dtype="datetime64[s]")
    except ValueError:
        return None


def _of_numbers(values: NDArray[Any]) -> Stamps | None:
    """Whole numbers such as 201801 or 20180131; None for others."""
    whole = np.asarray(values, dtype=np.float64)
    if not np.isfinite(whole).all() or (whole != np.floor(whole)).any():
        return None
    number = whole.astype(np.int64)
    if ((number >= 190001) & (number <= 210012)).all():
        number = number * 100 + 1
    if not ((number >= 19000101) & (number <= 21001231)).all():
        return None
    texts = [f"{n // 10000:04d}-{n // 100 % 100:02d}-{n % 100:02d}" for n in number]
    try:
        return np.array(texts, dtype="datetime64[s]")
    except ValueError:
        return None


def _months_since(values: NDArray[Any], year: str, month: str) -> Stamps | None:
    whole = np.asarray(values, dtype=np.float64)
    if not np.isfinite(whole).all() or (whole != np.floor(whole)).any() or not 1 <= int(month) <= 12:
        return None
    start = np.datetime64(f"{year}-{int(month):02d}", "M")
    return np.asarray((start + whole.astype(np.int64)).astype("datetime64[s]"))


def _bounds(raw: xr.Dataset, where: str) -> tuple[Stamps, Stamps] | None:
    """Start and end of each value; None without CF bounds."""
    attrs = raw["time"].attrs
    if "climatology" in attrs:
        raise SchemaError(
            f"{where}: expected weather of single years, received means of many years (climatology)",
            "Give the values of each year.",
        )
    name = attrs.get("bounds")
    if name is None or name not in raw.variables:
        return None
    bounds = raw[name]
    if bounds.ndim != 2 or bounds.shape != (raw.sizes["time"], 2) or bounds.dims[0] != "time":
        raise SchemaError(
            f"{where}: expected the bounds {name} with two values for each time, received "
            f"{dict(bounds.sizes)}",
            "Correct or remove the attribute `bounds` of time.",
        )
    own = {key: attrs[key] for key in ("units", "calendar") if key in attrs} | bounds.attrs
    edges = [_dates(bounds[:, k].assign_attrs(own), f"{where}, {name}") for k in range(2)]
    return np.minimum(*edges), np.maximum(*edges)


def _from_bounds(stamps: Stamps, start: Stamps, end: Stamps, where: str) -> Stamps:
    """The day, or the first day of the month, in whose middle the bounds have theirs."""
    length = (end - start).astype(np.int64) / _DAY_s
    middle = start + (end - start) // 2
    outside = (stamps < start - _DAY_s) | (stamps > end + _DAY_s)
    if outside.any():
        k = int(np.argmax(outside))
        raise SchemaError(
            f"{where}: time {stamps[k]} lies outside its own bounds {start[k]} to {end[k]} "
            f"({int(outside.sum())} such times)",
            "Correct time or its bounds.",
        )
    if (length <= 1.1).all():
        return np.asarray(middle.astype("datetime64[D]"))
    months = middle.astype("datetime64[M]")
    away = np.abs((start - months.astype("datetime64[s]")).astype(np.int64)) / _DAY_s
    if not ((length >= 26.5) & (length <= 31.6) & (away <= 1.5)).all():
        k = int(np.argmin((length >= 26.5) & (length <= 31.6) & (away <= 1.5)))
        raise SchemaError(
            f"{where}: expected bounds of days or of months, received {start[k]} to {end[k]}",
            "Sum or average the values to days or months first.",
        )
    return months.astype("datetime64[D]")


def _from_stamps(stamps: Stamps, raw: xr.Dataset, where: str, table: str, report: ImportLog) -> Stamps:
    """The day of each stamp, unless its hour leaves open which day or month is meant."""
    days = stamps.astype("datetime64[D]")
    second = (stamps - days.astype("datetime64[s]")).astype(np.int64)
    steps = np.diff(np.sort(stamps)).astype(np.int64) / _DAY_s
    step = float(np.median(steps)) if len(steps) else 31.0
    if step < 0.9:  # hours: refused later, as several values a day
        return days
    unit = "datetime64[D]" if step < 2 else "datetime64[M]"
    first = stamps.astype(unit)
    before = (stamps - first.astype("datetime64[s]")).astype(np.int64)
    after = ((first + 1).astype("datetime64[s]") - stamps).astype(np.int64)
    away = np.minimum(before, after)
    unclear = (second != 0) & (away < _DAY_s / 2)
    if not unclear.any() or (after <= 60).all():
        return days
    what = "day" if unit.endswith("[D]") else "month"
    if (after <= 3600).all():
        text = f"stamps at {_clock(second[0])}, read as the last hour of the {what} that they end"
        report.warnings.append((table, text, len(stamps)))
        return days
    if what == "month" and of_ecmwf(raw) and (before == 6 * 3600).all():  # accumulations of monthly means
        return days
    k = int(np.argmax(unclear))
    clock = sorted({_clock(value) for value in second[unclear]})
    every = "every time stamp" if len(clock) == 1 and unclear.all() else f"{int(unclear.sum())} time stamps"
    raise SchemaError(
        f"{where}: {every} at {' or '.join(clock[:2])}, the first {stamps[k]}: this is midnight written in "
        f"another time zone, and the value could belong to the {what} {first[k]} or to its neighbour. "
        f"{_zone(second[k])}",
        "Shift time to midnight of the right date, or give time CF bounds (attribute `bounds`).",
    )


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}"


def _zone(second: int) -> str:
    hours = second / 3600
    hours = hours if hours <= 12 else hours - 24
    return (
        f"{_clock(second)} UTC is midnight in UTC{-hours:+g}, and midnight UTC is {_clock(second)} in "
        f"UTC{hours:+g}."
    )


def of_ecmwf(raw: xr.Dataset) -> bool:
    """Whether a file comes from ECMWF (the CDS, cfgrib), by its attributes."""
    marks = [raw.attrs.get("GRIB_centre"), raw.attrs.get("institution")]
    return any(str(mark).lower().startswith(("ecmf", "european centre")) for mark in marks if mark)
