"""Growing degree days by one formula, from daily values (exact) or from monthly means (an approximation)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, overload

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from yieldcast import variables

# crop -> (base, upper) temperature in degC: Tbase and Tupper of Raes, Steduto, Hsiao and Fereres (2023),
# AquaCrop version 7.1, Reference manual, FAO, Annex I, as held in AquaCrop-OSPy (crop_params.py).
LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "corn": (8.0, 30.0),
        "cotton": (12.0, 35.0),
        "rice": (8.0, 30.0),
        "soybean": (5.0, 30.0),
        "sugarcane": (9.0, 32.0),
        "wheat": (0.0, 26.0),
    }
)


def quantities() -> dict[str, tuple[float, float]]:
    """Variable name (``gdd_8_30_degC_day``) and limits (degC) of every different pair in `LIMITS`."""
    return {variables.degree_day_quantity(*pair).name: pair for pair in sorted(set(LIMITS.values()))}


@overload
def daily(
    tmax_degC: xr.DataArray, tmin_degC: xr.DataArray, base_degC: float, upper_degC: float | None
) -> xr.DataArray: ...
@overload
def daily(
    tmax_degC: ArrayLike, tmin_degC: ArrayLike, base_degC: float, upper_degC: float | None
) -> NDArray[np.float64]: ...
def daily(tmax_degC: Any, tmin_degC: Any, base_degC: float, upper_degC: float | None) -> Any:
    """Degree days of each day: both temperatures clipped to the limits, averaged, minus the base.

    The upper limit clips the temperatures, not the difference: a day of 45/25 degC with the limits 10 and 35
    gives (35 + 25) / 2 - 10 = 20 degC day. NaN stays NaN.

    Args:
        tmax_degC: highest temperature of each day, any shape, array or DataArray (degC).
        tmin_degC: lowest temperature of each day, same shape (degC).
        base_degC: temperature at and below which a day adds nothing (degC).
        upper_degC: temperature above which a day adds no more (degC), or None for no limit.

    Returns:
        degree days of each day, same shape, float64, from 0 to upper - base (degC day).

    Source:
        Method 2 of AquaCrop (Raes et al. 2023, AquaCrop v7.1 Reference manual, growing degree days), the
        second interpretation in McMaster and Wilhelm 1997, doi:10.1016/S0168-1923(97)00027-0.
    """
    highest = _clip(tmax_degC, base_degC, upper_degC)
    lowest = _clip(tmin_degC, base_degC, upper_degC)
    return (highest + lowest) / 2 - base_degC


@overload
def from_monthly(
    tmax_degC: xr.DataArray,
    tmin_degC: xr.DataArray,
    days_in_month: xr.DataArray,
    base_degC: float,
    upper_degC: float | None,
) -> xr.DataArray: ...
@overload
def from_monthly(
    tmax_degC: ArrayLike,
    tmin_degC: ArrayLike,
    days_in_month: ArrayLike,
    base_degC: float,
    upper_degC: float | None,
) -> NDArray[np.float64]: ...
def from_monthly(
    tmax_degC: Any, tmin_degC: Any, days_in_month: Any, base_degC: float, upper_degC: float | None
) -> Any:
    """Degree days of each month from the monthly means of tmax and tmin: an approximation.

    The formula of `daily` on the means, times the number of days. It is exact when no day of the month
    crosses a limit. Otherwise the sign of its error is known (Jensen's inequality): the formula is convex at
    the base, so that months around the base are too low, and concave at the upper limit, so that months
    around it are too high.

    Args:
        tmax_degC: monthly mean of the daily maximum, any shape, array or DataArray (degC).
        tmin_degC: monthly mean of the daily minimum, same shape (degC).
        days_in_month: 28 to 31, broadcast to their shape.
        base_degC: temperature at and below which a day adds nothing (degC).
        upper_degC: temperature above which a day adds no more (degC), or None for no limit.

    Returns:
        degree days of each month, same shape (degC day).
    """
    days = days_in_month if isinstance(days_in_month, xr.DataArray) else np.asarray(days_in_month)
    return daily(tmax_degC, tmin_degC, base_degC, upper_degC) * days


def _clip(temperature: Any, base_degC: float, upper_degC: float | None) -> Any:
    if not isinstance(temperature, xr.DataArray):
        temperature = np.asarray(temperature)
    return temperature.astype(np.float64).clip(base_degC, upper_degC)
