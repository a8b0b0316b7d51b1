"""Reference evapotranspiration of a day (FAO-56: Allen, Pereira, Raes & Smith 1998).

Hargreaves where only temperature is known, Penman-Monteith where radiation, humidity and wind are known too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1, FAO-56 eq. 21
MM_PER_MJ = 0.408  # FAO-56 eq. 20: evaporation equivalent of radiation
ALBEDO = 0.23  # of the reference grass, FAO-56 eq. 38
STEFAN_BOLTZMANN = 4.903e-9  # MJ K-4 m-2 day-1, FAO-56 eq. 39


def extraterrestrial_radiation(latitude_deg: ArrayLike, day_of_year: ArrayLike) -> Floats:
    """Radiation at the top of the atmosphere, MJ m-2 day-1 (FAO-56 eqs. 21-25).

    Args:
        latitude_deg: -90 to 90, broadcast against `day_of_year`.
        day_of_year: 1 to 366.
    """
    latitude, day = np.radians(np.asarray(latitude_deg, np.float64)), np.asarray(day_of_year, np.float64)
    distance = 1.0 + 0.033 * np.cos(2.0 * np.pi * day / 365.0)
    declination = 0.409 * np.sin(2.0 * np.pi * day / 365.0 - 1.39)
    # Beyond the polar circles the sun does not set or rise: the cosine is held to its range.
    sunset = np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1.0, 1.0))
    daily = sunset * np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.sin(
        sunset
    )
    return np.asarray(24.0 * 60.0 / np.pi * SOLAR_CONSTANT * distance * np.maximum(daily, 0.0))


def hargreaves(tmax_degC: ArrayLike, tmin_degC: ArrayLike, radiation_top: ArrayLike) -> Floats:
    """Reference evapotranspiration from temperature, mm day-1, 0 or more (FAO-56 eq. 52).

    Args:
        tmax_degC, tmin_degC: daily extremes; tmin above tmax counts as no range.
        radiation_top: of `extraterrestrial_radiation`, MJ m-2 day-1.
    """
    tmax, tmin = np.asarray(tmax_degC, np.float64), np.asarray(tmin_degC, np.float64)
    top = MM_PER_MJ * np.asarray(radiation_top, np.float64)
    warmth = 0.5 * (tmax + tmin) + 17.8
    return np.maximum(0.0023 * warmth * np.sqrt(np.maximum(tmax - tmin, 0.0)) * top, 0.0)


def radiation_from_temperature(
    tmax_degC: ArrayLike, tmin_degC: ArrayLike, radiation_top: ArrayLike
) -> Floats:
    """Global radiation at the ground from the range of temperature, MJ m-2 day-1 (FAO-56 eq. 50, interior).

    Args:
        tmax_degC, tmin_degC: daily extremes; tmin above tmax counts as no range.
        radiation_top: of `extraterrestrial_radiation`, MJ m-2 day-1.
    """
    span = np.asarray(tmax_degC, np.float64) - np.asarray(tmin_degC, np.float64)
    return np.asarray(0.16 * np.sqrt(np.maximum(span, 0.0)) * np.asarray(radiation_top, np.float64))


def reference(
    tmax_degC: ArrayLike,
    tmin_degC: ArrayLike,
    radiation_top: ArrayLike,
    radiation: Floats | None,
    dewpoint_degC: Floats | None,
    wind_2m: Floats | None,
) -> Floats:
    """Reference evapotranspiration, mm day-1: Penman-Monteith where dew point and wind are known, else
    Hargreaves.

    Radiation that is missing, as that of the last weeks often is, is estimated from temperature (FAO-56
    chapter 3, "Missing climatic data"), so that the last days have the same formula as those before them.

    Args:
        tmax_degC, tmin_degC, radiation_top: as for `hargreaves`.
        radiation, dewpoint_degC, wind_2m: as for `penman_monteith`, NaN where unknown; None if unknown
            everywhere.
    """
    plain = hargreaves(tmax_degC, tmin_degC, radiation_top)
    if dewpoint_degC is None or wind_2m is None:
        return plain
    sun = radiation_from_temperature(tmax_degC, tmin_degC, radiation_top)
    if radiation is not None:
        sun = np.where(np.isnan(radiation), sun, radiation)
    penman = penman_monteith(tmax_degC, tmin_degC, sun, dewpoint_degC, wind_2m, radiation_top)
    return np.where(np.isfinite(penman), penman, plain)


def saturation_vapour_pressure(temperature_degC: ArrayLike) -> Floats:
    """Saturation vapour pressure, kPa (FAO-56 eq. 11)."""
    temperature = np.asarray(temperature_degC, np.float64)
    return np.asarray(0.6108 * np.exp(17.27 * temperature / (temperature + 237.3)))


def vapour_pressure_deficit(tmax_degC: ArrayLike, tmin_degC: ArrayLike, dewpoint_degC: ArrayLike) -> Floats:
    """Mean vapour pressure deficit of a day, kPa, 0 or more (FAO-56 eqs. 12 and 14)."""
    mean = 0.5 * (saturation_vapour_pressure(tmax_degC) + saturation_vapour_pressure(tmin_degC))
    return np.maximum(mean - saturation_vapour_pressure(dewpoint_degC), 0.0)


def penman_monteith(
    tmax_degC: ArrayLike,
    tmin_degC: ArrayLike,
    radiation: ArrayLike,
    dewpoint_degC: ArrayLike,
    wind_2m: ArrayLike,
    radiation_top: ArrayLike,
    elevation_m: ArrayLike = 0.0,
) -> Floats:
    """Reference evapotranspiration of grass, mm day-1, 0 or more (FAO-56 eq. 6, soil heat flux 0).

    Args:
        tmax_degC, tmin_degC: daily extremes.
        radiation: global radiation at the ground, MJ m-2 day-1.
        dewpoint_degC: daily mean; gives the actual vapour pressure (eq. 14).
        wind_2m: m s-1 at 2 m.
        radiation_top: of `extraterrestrial_radiation`, MJ m-2 day-1.
        elevation_m: of the place; enters the psychrometric constant and clear-sky radiation.
    """
    tmax, tmin = np.asarray(tmax_degC, np.float64), np.asarray(tmin_degC, np.float64)
    short, top = np.asarray(radiation, np.float64), np.asarray(radiation_top, np.float64)
    wind, height = np.asarray(wind_2m, np.float64), np.asarray(elevation_m, np.float64)
    mean = 0.5 * (tmax + tmin)
    saturated = 0.5 * (saturation_vapour_pressure(tmax) + saturation_vapour_pressure(tmin))
    actual = saturation_vapour_pressure(dewpoint_degC)
    slope = 4098.0 * saturation_vapour_pressure(mean) / (mean + 237.3) ** 2  # eq. 13
    pressure = 101.3 * ((293.0 - 0.0065 * height) / 293.0) ** 5.26  # eq. 7
    gamma = 0.665e-3 * pressure  # eq. 8
    clear = np.maximum((0.75 + 2e-5 * height) * top, 1e-6)  # eq. 37
    cloud = 1.35 * np.clip(short / clear, 0.3, 1.0) - 0.35
    kelvin4 = 0.5 * ((tmax + 273.16) ** 4 + (tmin + 273.16) ** 4)
    long = STEFAN_BOLTZMANN * kelvin4 * (0.34 - 0.14 * np.sqrt(np.maximum(actual, 0.0))) * cloud  # eq. 39
    net = (1.0 - ALBEDO) * short - long
    wind_term = gamma * 900.0 / (mean + 273.0) * wind * np.maximum(saturated - actual, 0.0)
    return np.maximum((MM_PER_MJ * slope * net + wind_term) / (slope + gamma * (1.0 + 0.34 * wind)), 0.0)
