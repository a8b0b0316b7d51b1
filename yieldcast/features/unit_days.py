"""Daily values of weather units that windows and months are computed from: what is missing is estimated."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.features.evapotranspiration import (
    extraterrestrial_radiation,
    radiation_from_temperature,
    reference,
    vapour_pressure_deficit,
)

Floats = NDArray[np.float64]
# A wet day has 1 mm or more (ETCCDI: Zhang et al. 2011, doi:10.1002/wcc.147, index CDD).
WET_DAY_mm = 1.0
# Water that the soil holds for roots: the usual capacity of reference water balances (Thornthwaite & Mather
# 1955). Below half of it less is taken up, in proportion (FAO-56 eq. 84, p = 0.5 of Table 22).
CAPACITY_mm, DEPLETION_SHARE = 100.0, 0.5
START_SHARE = 0.5  # of the capacity on the first day of the table
_OPTIONAL = ("radiation_MJ_m2", "dewpoint_degC", "wind_m_s")


class UnitDays:
    """Daily values (unit, day) of some units; NaN where a day is missing.

    Args:
        daily: dims (unit, time), every day; see `yieldcast.data.daily.check_daily`.
        latitude_deg: (unit,) -90 to 90.
    """

    def __init__(self, daily: xr.Dataset, latitude_deg: Floats) -> None:
        def values(name: str) -> Floats:
            return daily[name].transpose("unit", "time").values.astype(np.float64)

        self.days = daily["time"].values.astype("datetime64[D]")
        self.tmax, self.tmin, self.rain = map(values, ("tmax_degC", "tmin_degC", "precipitation_mm"))
        self._radiation, self._dewpoint, self._wind = (values(n) if n in daily else None for n in _OPTIONAL)
        day = (self.days - self.days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
        self._top = extraterrestrial_radiation(latitude_deg[:, None], day[None])

    @cached_property
    def dry(self) -> Floats:
        """1 on a day without rain of 1 mm, else 0."""
        return np.where(np.isnan(self.rain), np.nan, self.rain < WET_DAY_mm)

    @cached_property
    def vpd(self) -> Floats:
        """Vapour pressure deficit, kPa; an unknown dew point is that of the minimum (FAO-56 eq. 48)."""
        return vapour_pressure_deficit(self.tmax, self.tmin, _filled(self._dewpoint, self.tmin))

    @cached_property
    def radiation(self) -> Floats:
        """Global radiation, MJ/m2; where unknown estimated from temperature (FAO-56 eq. 50)."""
        return _filled(self._radiation, radiation_from_temperature(self.tmax, self.tmin, self._top))

    @cached_property
    def water(self) -> tuple[Floats, Floats]:
        """Reference evapotranspiration and what a soil of `CAPACITY_mm` gives of it, mm."""
        et0 = reference(self.tmax, self.tmin, self._top, self._radiation, self._dewpoint, self._wind)
        return et0, actual_evapotranspiration(et0, self.rain)


def actual_evapotranspiration(et0: Floats, rain: Floats) -> Floats:
    """(unit, day) evapotranspiration from a soil that holds `CAPACITY_mm`, mm; NaN where a day is missing.

    Water above the capacity is lost. On a missing day the water of the soil stays as it is.

    Args:
        et0, rain: (unit, day) mm; NaN = missing.
    """
    known = np.isfinite(et0) & np.isfinite(rain)
    demand, gain = np.where(known, et0, 0.0), np.where(known, rain, 0.0)
    soil = np.full(len(et0), START_SHARE * CAPACITY_mm)
    limit = (1.0 - DEPLETION_SHARE) * CAPACITY_mm
    taken = np.empty(et0.shape)
    for day in range(et0.shape[1]):
        soil = np.minimum(soil + gain[:, day], CAPACITY_mm)
        taken[:, day] = np.minimum(demand[:, day] * np.minimum(soil / limit, 1.0), soil)
        soil = soil - taken[:, day]
    return np.where(known, taken, np.nan)


def unit_mean(values: Floats, unit: NDArray[np.integer], count: int) -> Floats:
    """(unit,) mean over the places of each unit; NaN where none has a value.

    Args:
        values: (place,) NaN = unknown.
        unit: (place,) position of the unit of each place, -1 without.
        count: number of units.
    """
    used = np.isfinite(values) & (unit >= 0)
    total = np.bincount(unit[used], values[used], minlength=count)
    number = np.bincount(unit[used], minlength=count)
    return np.where(number > 0, total / np.where(number > 0, number, 1), np.nan)


def _filled(measured: Floats | None, estimated: Floats) -> Floats:
    return estimated if measured is None else np.where(np.isnan(measured), estimated, measured)
