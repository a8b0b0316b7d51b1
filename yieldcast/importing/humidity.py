"""The dew point of days from their relative humidity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError

_MOST_pct = 100.0
# A day of less than this has not been observed; a mean of all days below it is a share of 1, not per cent.
_LEAST_pct = 1.0


def saturation_pressure(temperature_degC: NDArray[np.floating]) -> NDArray[np.float64]:
    """Saturation vapour pressure (kPa) at a temperature (degC): FAO-56 (Allen et al. 1998), equation 11."""
    t = temperature_degC.astype(np.float64)
    return np.asarray(0.6108 * np.exp(17.27 * t / (t + 237.3)))


def dewpoint(
    humidity_pct: NDArray[np.floating],
    tmax_degC: NDArray[np.floating],
    tmin_degC: NDArray[np.floating],
    where: str,
) -> NDArray[np.float32]:
    """Dew point of each day (degC), from its mean relative humidity and extremes, NaN where one is missing.

    The actual vapour pressure is the mean humidity times the mean of the saturation pressures of the two
    extremes (FAO-56, equation 19); the dew point is equation 11 solved for the temperature.

    Args:
        humidity_pct: mean of the day, above 0 to 100 %; up to 105 % counts as 100 %.
        tmax_degC, tmin_degC: same shape.
        where: the file, for errors.

    Raises:
        SchemaError: humidity as a share of 1, or a day of 0 %.
    """
    known = ~np.isnan(humidity_pct)
    if known.any() and float(np.nanmax(humidity_pct)) <= _LEAST_pct:
        raise SchemaError(
            f"{where}: expected relative humidity in per cent, received values up to "
            f"{float(np.nanmax(humidity_pct)):g} %",
            "This looks like a share of 1: multiply it by 100.",
        )
    if (low := known & (humidity_pct < _LEAST_pct)).any():
        raise SchemaError(
            f"{where}: expected relative humidity of {_LEAST_pct:g} to {_MOST_pct:g} %, received "
            f"{float(humidity_pct[low][0]):g} % ({int(low.sum())} such days)",
            "Is 0 a mark of missing values? Leave those cells empty.",
        )
    share = np.minimum(humidity_pct.astype(np.float64), _MOST_pct) / 100.0
    pressure_kPa = share * (saturation_pressure(tmax_degC) + saturation_pressure(tmin_degC)) / 2.0
    logarithm = np.log(pressure_kPa / 0.6108)
    return np.asarray(237.3 * logarithm / (17.27 - logarithm), dtype=np.float32)
