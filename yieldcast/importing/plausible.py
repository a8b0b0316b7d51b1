"""Whether weather can be what its units say: units that nobody confirms, and values possible but strange."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.fields import Values
from yieldcast.language import message, sentence

# Somewhere in any region with agriculture a year has rain of this size, and a mean temperature of this.
YEAR_OF_RAIN_mm = (150.0, 6000.0)
_YEAR_degC = (-30.0, 45.0)
# Where the warmest month has a mean below 10 degC nothing ripens (Koeppen's limit of polar climates); its
# mean maximum is above that.
_WARMEST_MONTH_degC = 10.0
# The mean daily range on land is above this even on humid coasts (our choice).
_LEAST_RANGE_degC = 2.0


def check_plausible(values: Values, steps_a_year: float, where: str, table: str, report: ImportLog) -> None:
    """Refuse units that no attribute confirms and no year supports; report what is possible but strange.

    Args:
        values: of all places of a file.
        steps_a_year: 12 for months, 365.25 for days.
        where, table: of the file, for errors.
        report: gets a warning for each strange thing, with the number of places.

    Raises:
        SchemaError: the units of rain or temperature are unsure and the mean year is not plausible.
    """
    tmax, tmin = values.fields["tmax_degC"], values.fields["tmin_degC"]
    rain = values.fields["precipitation_mm"]
    whole = rain.shape[1] >= int(steps_a_year)
    if whole:
        _check_rain(_mean(rain) * steps_a_year, "precipitation_mm" in values.unsure, where, table, report)
    for name in ("tmax_degC", "tmin_degC"):
        mean = _mean(values.fields[name])
        if whole and name in values.unsure and not _within(mean, _YEAR_degC):
            raise SchemaError(
                f"{where}: {name}: no attribute units confirms degC, and means of {mean.min():.4g} to "
                f"{mean.max():.4g} degC are plausible nowhere",
                "Set its attribute units.",
            )
    _warn(report, table, tmax, tmin, rain, whole)


def _check_rain(
    year_mm: NDArray[np.float64], unsure: bool, where: str, table: str, report: ImportLog
) -> None:
    if _within(year_mm, YEAR_OF_RAIN_mm):
        return
    received = f"{year_mm.min():.4g} to {year_mm.max():.4g} mm"
    limits = f"{YEAR_OF_RAIN_mm[0]:g} to {YEAR_OF_RAIN_mm[1]:g} mm"
    if unsure:
        raise SchemaError(
            f"{where}: precipitation: expected a year of {limits} in some place, received {received}, and no "
            "attribute units confirms mm",
            "Set its attribute units: mm for sums, mm/day for means per day, m, kg m-2 s-1, ...",
        )
    report.warnings.append(
        (
            table,
            sentence("no place has a year of {limits} of rain: {received}", limits=limits, received=received),
            len(year_mm),
        )
    )


def _warn(
    report: ImportLog, table: str, tmax: NDArray[Any], tmin: NDArray[Any], rain: NDArray[Any], whole: bool
) -> None:
    with_values = ~np.isnan(tmax).all(axis=1)
    top = np.nanmax(np.where(np.isnan(tmax), -np.inf, tmax), axis=1)
    cold = with_values & (top < _WARMEST_MONTH_degC)
    if whole and cold.any():
        text = "places whose tmax is never above 10 degC: anomalies, tenths of a degree, or another unit?"
        report.warnings.append((table, text, int(cold.sum())))
    both = ~np.isnan(tmax) & ~np.isnan(tmin)
    if both.any() and (tmax[both] == tmin[both]).mean() > 0.99:
        report.warnings.append(
            (table, message("tmin and tmax are equal everywhere: one mean twice?"), int(both.sum()))
        )
    elif both.any() and float((tmax[both] - tmin[both]).mean()) < _LEAST_RANGE_degC:
        text = f"tmax is less than {_LEAST_RANGE_degC:g} degC above tmin in the mean: daily extremes?"
        report.warnings.append((table, text, len(tmax)))
    for name, field in (("precipitation", rain), ("tmax", tmax)):
        filled = field[~np.isnan(field).all(axis=1)]
        if len(filled) > 1 and np.array_equal(
            filled, np.broadcast_to(filled[:1], filled.shape), equal_nan=True
        ):
            report.warnings.append(
                (table, sentence("{name} is the same in all places", name=name), len(filled))
            )
        if whole and len(filled) and np.nanmax(filled) == np.nanmin(filled):
            text = f"{name} has one single value, {np.nanmax(filled):g}"
            report.warnings.append((table, text, len(filled)))


def _mean(field: NDArray[Any]) -> NDArray[np.float64]:
    """(place,) mean over time of the values there are, of places that have any."""
    count = (~np.isnan(field)).sum(axis=1)
    total = np.asarray(np.nansum(field, axis=1, dtype=np.float64))
    return np.asarray(total[count > 0] / count[count > 0])


def _within(values: NDArray[np.float64], limits: tuple[float, float]) -> bool:
    return bool(((values >= limits[0]) & (values <= limits[1])).any())
