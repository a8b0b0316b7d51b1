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
from yieldcast.features.unit_days import UnitDays, unit_mean
from yieldcast.features.vegetation_months import with_vegetation_months

Floats = NDArray[np.float64]
NAMES: tuple[str, ...] = get_args(DailyInput)
# Yields of soybean fall above 30 degC, of corn above 29 (Schlenker & Roberts 2009,
# doi:10.1073/pnas.0906865106); degree days of the daily maximum as in Butler & Huybers 2013,
# doi:10.1038/nclimate1585.
HEAT_degC = 30.0
_BLOCK = 256  # units at a time: 30 years of one variable are then 22 MB


def network_tables(store: Store, settings: DataSettings) -> Tables:
    """The store's tables, with `DataSettings.monthly_inputs` as further columns of the monthly weather.

    Args:
        store: needs daily weather or vegetation if an input of it is chosen.
        settings: choose the inputs.

    Raises:
        MissingDataError: inputs are chosen, and the store has no such table.
    """
    tables = _with_daily(store, settings) if settings.daily_inputs else store.tables
    if not settings.vegetation_inputs:
        return tables
    if "vegetation" not in store:
        raise MissingDataError(
            f"the store {store.path} has no observations of vegetation, which data.vegetation_inputs = "
            f"{list(settings.vegetation_inputs)} needs",
            "Import them (--vegetation), or leave the setting out.",
        )
    weather = with_vegetation_months(
        tables.weather, store.vegetation, settings.vegetation_inputs, settings.publication()
    )
    return tables._replace(weather=weather)


def _with_daily(store: Store, settings: DataSettings) -> Tables:
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
    monthly = months_of_days(daily, unit_mean(latitude, unit, daily.sizes["unit"]), names)
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
        sums = _Sums(UnitDays(daily.isel(unit=block), latitude_deg[block]), starts)
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
        days: of these units.
        starts: position of the first day of each month.
    """

    def __init__(self, days: UnitDays, starts: NDArray[np.intp]) -> None:
        self.days, self.starts = days, starts
        self.lengths = np.diff(np.append(starts, len(days.days)))

    def of(self, name: str) -> Floats:
        """(unit, month) values of a variable; NaN for months with a missing day."""
        if name == "dry_days":
            return self._sum(self.days.dry)
        if name == "heat_degC_day":
            return self._sum(np.maximum(self.days.tmax - HEAT_degC, 0.0))
        if name == "vpd_kPa":
            return self._sum(self.days.vpd) / self.lengths
        if name == "radiation_MJ_m2":
            return self._sum(self.days.radiation) / self.lengths
        needed, taken = (self._sum(values) for values in self.days.water)
        if name == "water_deficit_mm":
            return needed - taken
        # nothing is needed where nothing evaporates (polar night): the need is then satisfied
        return np.where(needed == 0, 1.0, taken / np.where(needed == 0, 1.0, needed))

    def _sum(self, values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, self.starts, axis=1))
