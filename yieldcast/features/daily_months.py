"""Monthly variables that only daily values give, as further weather inputs of the network.

Each is computed within its month, and the water of the soil from the days before it, so that no later day
can change a month. A month with a missing day is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.config import DailyInput, DataSettings
from yieldcast.data.store import Store, Tables
from yieldcast.errors import MissingDataError
from yieldcast.features.evapotranspiration import (
    extraterrestrial_radiation,
    radiation_from_temperature,
    reference,
    vapour_pressure_deficit,
)

Floats = NDArray[np.float64]
NAMES: tuple[str, ...] = get_args(DailyInput)
# A wet day has 1 mm or more (ETCCDI: Zhang et al. 2011, doi:10.1002/wcc.147, index CDD).
WET_DAY_mm = 1.0
# Yields of soybean fall above 30 degC, of corn above 29 (Schlenker & Roberts 2009,
# doi:10.1073/pnas.0906865106); degree days of the daily maximum as in Butler & Huybers 2013,
# doi:10.1038/nclimate1585.
HEAT_degC = 30.0
# Water that the soil holds for roots: the usual capacity of reference water balances (Thornthwaite & Mather
# 1955). Below half of it less is taken up, in proportion (FAO-56 eq. 84, p = 0.5 of Table 22).
CAPACITY_mm, DEPLETION_SHARE = 100.0, 0.5
START_SHARE = 0.5  # of the capacity on the first day of the table
_BLOCK = 256  # units at a time: 30 years of one variable are then 22 MB
_OPTIONAL = ("radiation_MJ_m2", "dewpoint_degC", "wind_m_s")


def network_tables(store: Store, settings: DataSettings) -> Tables:
    """The store's tables, with `DataSettings.daily_inputs` as further columns of the monthly weather.

    Args:
        store: needs daily weather if any input is chosen.
        settings: choose the inputs.

    Raises:
        MissingDataError: inputs are chosen, and the store has no daily weather.
    """
    if not settings.daily_inputs:
        return store.tables
    if "daily" not in store:
        raise MissingDataError(
            f"the store {store.path} has no daily weather, which data.daily_inputs = "
            f"{list(settings.daily_inputs)} needs",
            "Fetch it (`yieldcast fetch weather --daily`), import it (--daily-weather), or leave the "
            "setting out.",
        )
    return with_daily_months(store.tables, store.daily, settings.daily_inputs)


def with_daily_months(tables: Tables, daily: xr.Dataset, names: Sequence[str]) -> Tables:
    """Tables whose monthly weather has further columns (municipality, time), NaN where days are missing.

    Args:
        tables: places and monthly weather give the municipalities, latitudes and months.
        daily: table of daily weather, see `yieldcast.data.daily.check_daily`.
        names: some of `NAMES`.
    """
    static, codes = tables.static, daily["municipality"].values
    unit = daily["municipality_unit"].values
    latitude = static["latitude_deg"].reindex(municipality=codes).values.astype(np.float64)
    monthly = months_of_days(daily, _mean_latitude(latitude, unit, daily.sizes["unit"]), names)
    of_place = monthly.isel(unit=xr.DataArray(np.maximum(unit, 0), dims="municipality")).where(
        xr.DataArray(unit >= 0, dims="municipality")
    )
    columns = of_place.drop_vars("unit").assign_coords(municipality=codes)
    weather = tables.weather
    columns = columns.reindex(municipality=weather["municipality"].values, time=weather["time"].values)
    return tables._replace(weather=weather.assign({n: columns[n].astype(np.float32) for n in names}))


def months_of_days(daily: xr.Dataset, latitude_deg: Floats, names: Sequence[str] = NAMES) -> xr.Dataset:
    """Monthly variables of the units of daily weather, dims (unit, time), time = first of the month.

    water_deficit_mm (sum of reference minus actual evapotranspiration of a soil of `CAPACITY_mm`),
    water_ratio (actual over reference, 0 to 1), dry_days (number), heat_degC_day (sum of the degrees of the
    daily maximum above `HEAT_degC`), vpd_kPa and radiation_MJ_m2 (means). Where dew point or radiation are
    missing they are estimated from temperature (FAO-56 eqs. 48 and 50).

    Args:
        daily: dims (unit, time), every day; see `yieldcast.data.daily.check_daily`.
        latitude_deg: (unit,) -90 to 90.
        names: some of `NAMES`.
    """
    days = daily["time"].values.astype("datetime64[D]")
    months, starts, count = np.unique(days.astype("datetime64[M]"), return_index=True, return_counts=True)
    lengths = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(int)
    found = {name: np.full((daily.sizes["unit"], len(months)), np.nan) for name in names}
    for first in range(0, daily.sizes["unit"], _BLOCK):
        block = slice(first, first + _BLOCK)
        sums = _Sums(daily.isel(unit=block), latitude_deg[block], days, starts)
        for name in names:
            values = sums.of(name)
            found[name][block] = np.where(count == lengths, values, np.nan)
    return xr.Dataset(
        {name: (("unit", "time"), values.astype(np.float32)) for name, values in found.items()},
        coords={"unit": daily["unit"].values, "time": months.astype("datetime64[ns]")},
    )


class _Sums:
    """Monthly variables of some units.

    Args:
        daily: the days of these units.
        latitude_deg: (unit,).
        days: datetime64[D] of the days.
        starts: position of the first day of each month.
    """

    def __init__(
        self,
        daily: xr.Dataset,
        latitude_deg: Floats,
        days: NDArray[np.datetime64],
        starts: NDArray[np.intp],
    ) -> None:
        def values(name: str) -> Floats:
            return daily[name].transpose("unit", "time").values.astype(np.float64)

        self.starts = starts
        self.lengths = np.diff(np.append(starts, len(days)))
        self.tmax, self.tmin, self.rain = map(values, ("tmax_degC", "tmin_degC", "precipitation_mm"))
        self.radiation, self.dewpoint, self.wind = (values(n) if n in daily else None for n in _OPTIONAL)
        day = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
        self.top = extraterrestrial_radiation(latitude_deg[:, None], day[None])
        self._water: tuple[Floats, Floats] | None = None

    def of(self, name: str) -> Floats:
        """(unit, month) values of a variable; NaN for months with a missing day."""
        if name == "dry_days":
            return self._sum(np.where(np.isnan(self.rain), np.nan, self.rain < WET_DAY_mm))
        if name == "heat_degC_day":
            return self._sum(np.maximum(self.tmax - HEAT_degC, 0.0))
        if name == "vpd_kPa":
            dewpoint = _filled(self.dewpoint, self.tmin)
            return self._sum(vapour_pressure_deficit(self.tmax, self.tmin, dewpoint)) / self.lengths
        if name == "radiation_MJ_m2":
            estimated = radiation_from_temperature(self.tmax, self.tmin, self.top)
            return self._sum(_filled(self.radiation, estimated)) / self.lengths
        needed, taken = self.water
        if name == "water_deficit_mm":
            return needed - taken
        # nothing is needed where nothing evaporates (polar night): the need is then satisfied
        return np.where(needed == 0, 1.0, taken / np.where(needed == 0, 1.0, needed))

    @property
    def water(self) -> tuple[Floats, Floats]:
        """(unit, month) reference and actual evapotranspiration, mm."""
        if self._water is None:
            et0 = reference(self.tmax, self.tmin, self.top, self.radiation, self.dewpoint, self.wind)
            self._water = self._sum(et0), self._sum(actual_evapotranspiration(et0, self.rain))
        return self._water

    def _sum(self, values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, self.starts, axis=1))


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


def _filled(measured: Floats | None, estimated: Floats) -> Floats:
    return estimated if measured is None else np.where(np.isnan(measured), estimated, measured)


def _mean_latitude(latitude: Floats, unit: NDArray[np.integer], count: int) -> Floats:
    """(unit,) mean latitude of the municipalities of each unit; NaN without any."""
    used = (unit >= 0) & np.isfinite(latitude)
    total = np.bincount(unit[used], latitude[used], minlength=count)
    number = np.bincount(unit[used], minlength=count)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
