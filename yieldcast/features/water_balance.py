"""Daily soil-water balance of a crop (FAO-56 chapter 8, single crop coefficient) and its satisfaction index.

The index of a season is the water requirement satisfaction index of crop monitors (FAO-33; Frere & Popov
1979): the crop's actual over its potential evapotranspiration, here between 20 and 95 % of the cycle, 0 to
1. Several sowing dates about the centre of the planting window are run side by side and averaged. A season
under way is finished with the weather of other seasons, from the soil water of the last known day.

Arrays are (unit, ...): a unit is whatever the daily weather is of, a municipality, a grid cell or a region.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calendars.rows import DayMonth
from calendars.stages import Stages

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPIN_UP_DAYS = 75  # run before the centre of sowing, so that the water at sowing follows from rain
START_SHARE = 0.5  # of the capacity, at the first day
SOWING_OFFSETS = (-28, -14, 0, 14, 28)  # days about the centre of the planting window
SOWING_SD_DAYS = 14.0  # weights of the sowings are those of a normal distribution
COUNTED = (0.20, 0.95)  # part of the cycle whose water counts
# Available water of the soil, mm per metre (FAO-56 Table 19): 90 for 10 % clay to 145 for 55 %.
AWC_CLAY_PCT, AWC_MM_PER_M = (10.0, 55.0), (90.0, 145.0)


def capacity_mm(clay_pct: Floats, stages: Stages) -> Floats:
    """Water that the root zone can hold for the crop, mm; the mean of the others where clay is unknown.

    Args:
        clay_pct: 0 to 100, NaN = unknown.
        stages: gives the rooting depth.
    """
    known = np.isfinite(clay_pct)
    clay = np.where(known, clay_pct, clay_pct[known].mean() if known.any() else 30.0)
    return np.asarray(np.interp(clay, AWC_CLAY_PCT, AWC_MM_PER_M) * stages.root_depth_m)


def sowing_centre(start: DayMonth, end: DayMonth, first_month: np.datetime64) -> np.datetime64:
    """Middle of a planting window, the first one that begins in or after a month.

    Args:
        start, end: days of the window, any year.
        first_month: datetime64[M], first month of the season.
    """
    year = int(str(first_month)[:4])
    begin = dt.date(year, start.month, min(start.day, 28))
    if np.datetime64(begin, "M") < first_month:
        begin = dt.date(year + 1, start.month, min(start.day, 28))
    length = (
        dt.date(2001, end.month, min(end.day, 28)) - dt.date(2001, start.month, min(start.day, 28))
    ).days % 365
    return np.datetime64(begin) + np.timedelta64(length // 2, "D")


@dataclass(frozen=True)
class Water:
    """State of the balance at the end of a day, (unit, season, sowing) each.

    Args:
        soil: mm in the root zone.
        actual, potential: mm of evapotranspiration counted so far.
    """

    soil: Floats
    actual: Floats
    potential: Floats


@dataclass(frozen=True)
class WaterBalance:
    """The balance of one crop.

    Args:
        stages: coefficients of the crop.
        capacity: (unit,) mm, of `capacity_mm`.
    """

    stages: Stages
    capacity: Floats

    @property
    def days(self) -> int:
        """Days of a season, from spin-up to the last sowing's harvest."""
        return SPIN_UP_DAYS + max(SOWING_OFFSETS) + self.stages.cycle_days + 1

    @cached_property
    def _weights(self) -> Floats:
        weight = np.exp(-0.5 * (np.array(SOWING_OFFSETS) / SOWING_SD_DAYS) ** 2)
        return np.asarray(weight / weight.sum())

    @cached_property
    def _course(self) -> tuple[Floats, NDArray[np.bool_]]:
        """(day, sowing) crop coefficient, and whether the day counts."""
        s = self.stages
        day = np.arange(self.days)[:, None] - SPIN_UP_DAYS - np.array(SOWING_OFFSETS)
        share = day / s.cycle_days
        knots = (0.0, s.initial_end, s.development_end, s.mid_end, 1.0)
        kc = np.interp(share, knots, (s.kc_initial, s.kc_initial, s.kc_mid, s.kc_mid, s.kc_end))
        kc = np.where((share < 0) | (share > 1), s.kc_initial, kc)  # bare or stubble: evaporation only
        return kc, (share >= COUNTED[0]) & (share < COUNTED[1])

    def begin(self, seasons: int = 1) -> Water:
        """The state before the first day of a season."""
        shape = (len(self.capacity), seasons, len(SOWING_OFFSETS))
        soil = np.broadcast_to((START_SHARE * self.capacity)[:, None, None], shape).copy()
        return Water(soil, np.zeros(shape), np.zeros(shape))

    def run(self, water: Water, et0: Floats, rain: Floats, first_day: int = 0) -> Water:
        """The state after some days; `water` is left as it was.

        Each day rain fills the root zone up to its capacity (the rest drains), then the crop takes Kc x ET0,
        reduced in proportion once less than (1 - p) of the capacity is left (FAO-56 eq. 84).

        Args:
            water: state before these days.
            et0, rain: (unit, season, day) mm per day, finite.
            first_day: which day of the season the first of these is.
        """
        kc, counts = self._course
        soil, actual, potential = water.soil.copy(), water.actual.copy(), water.potential.copy()
        capacity = self.capacity[:, None, None]
        limit = (1.0 - self.stages.depletion_fraction) * capacity
        for day in range(et0.shape[2]):
            demand = kc[first_day + day] * et0[:, :, day, None]
            np.minimum(soil + rain[:, :, day, None], capacity, out=soil)
            taken = np.minimum(demand * np.minimum(soil / limit, 1.0), soil)
            soil -= taken
            active = counts[first_day + day]
            if active.any():
                actual += np.where(active, taken, 0.0)
                potential += np.where(active, demand, 0.0)
        return Water(soil, actual, potential)

    def index(self, water: Water) -> Floats:
        """(unit, season) satisfaction index, 0 to 1, mean over the sowings; 1 where nothing was needed
        yet."""
        ratio = np.where(
            water.potential > 0, water.actual / np.where(water.potential > 0, water.potential, 1.0), 1.0
        )
        return np.asarray(ratio @ self._weights)


@dataclass(frozen=True)
class DailyWeather:
    """Daily weather of units.

    Args:
        first_day: datetime64[D] of column 0.
        et0, rain: (unit, day) mm; NaN = not known.
        tmax, tmin: (unit, day) degC; the water balance does without.
    """

    first_day: np.datetime64
    et0: Floats
    rain: Floats
    tmax: NDArray[np.floating] | None = None
    tmin: NDArray[np.floating] | None = None

    def known_to(self, day: np.datetime64) -> DailyWeather:
        """Without the days after `day`."""
        keep = max(int((day - self.first_day).astype("timedelta64[D]").astype(int)) + 1, 0)
        warmth = (None if values is None else values[:, :keep] for values in (self.tmax, self.tmin))
        return DailyWeather(self.first_day, self.et0[:, :keep], self.rain[:, :keep], *warmth)

    def window(self, values: NDArray[np.floating], first: NDArray[np.datetime64], days: int) -> Floats:
        """(unit, day) values from each unit's first day on, NaN where unknown.

        Args:
            values: (unit, day) of this record.
            first: (unit,) datetime64[D].
            days: length of the window.
        """
        offset = (first - self.first_day).astype("timedelta64[D]").astype(np.int64)
        column = offset[:, None] + np.arange(days)
        if not values.shape[1]:
            return np.full(column.shape, np.nan)
        inside = (column >= 0) & (column < values.shape[1])
        row = np.arange(len(first))[:, None]
        return np.where(inside, values[row, np.clip(column, 0, values.shape[1] - 1)], np.nan)

    def season(self, first: NDArray[np.datetime64], days: int) -> tuple[Floats, Floats, Ints]:
        """Days of a season of every unit, and how many of them from the first on are known.

        Args:
            first: (unit,) datetime64[D], first day of the season.
            days: length of the season.

        Returns:
            et0 and rain (unit, day), NaN where unknown, and (unit,) known days.
        """
        et0, rain = (self.window(values, first, days) for values in (self.et0, self.rain))
        whole = np.isfinite(et0) & np.isfinite(rain)
        known = np.where(whole.all(axis=1), days, np.argmin(whole, axis=1))
        return et0, rain, np.asarray(known, dtype=np.int64)


class SeasonWater:
    """Satisfaction index of one crop by harvest year, of past seasons and of the one under way.

    Args:
        balance: of the crop.
        weather: as known on a date.
        centres: harvest year -> (unit,) datetime64[D], centre of sowing.
    """

    def __init__(
        self, balance: WaterBalance, weather: DailyWeather, centres: dict[int, NDArray[np.datetime64]]
    ) -> None:
        self.balance, self.weather, self.centres = balance, weather, centres
        self._seasons: dict[int, tuple[Floats, Floats, Ints]] = {}
        self._full: dict[int, Floats] = {}

    def season(self, year: int) -> tuple[Floats, Floats, Ints]:
        """See `DailyWeather.season`."""
        if year not in self._seasons:
            first = self.centres[year] - np.timedelta64(SPIN_UP_DAYS, "D")
            self._seasons[year] = self.weather.season(first, self.balance.days)
        return self._seasons[year]

    def whole(self, year: int) -> bool:
        """Whether every unit's season is known to its last day."""
        return year in self.centres and bool((self.season(year)[2] == self.balance.days).all())

    def full(self, year: int) -> Floats:
        """(unit,) index of a whole season."""
        if year not in self._full:
            et0, rain, _ = self.season(year)
            water = self.balance.run(self.balance.begin(), et0[:, None], rain[:, None])
            self._full[year] = self.balance.index(water)[:, 0]
        return self._full[year]

    def climatology(self, years: Sequence[int]) -> Floats:
        """(unit,) mean index over whole seasons."""
        return np.asarray(np.mean([self.full(year) for year in years], axis=0))

    def finished(self, year: int, donors: Sequence[int], record: SeasonWater | None = None) -> Floats:
        """(unit, donor) index of a season whose unknown days have the weather of other seasons.

        Args:
            year: harvest year of the season.
            donors: harvest years of whole seasons.
            record: where the donors' weather is taken from; this record if None.
        """
        et0, rain, known = self.season(year)
        later = [(record or self).season(donor) for donor in donors]
        result = np.empty((len(known), len(donors)))
        for seen in np.unique(known):  # units of one state mostly share their sowing date
            mine = np.flatnonzero(known == seen)
            balance = WaterBalance(self.balance.stages, self.balance.capacity[mine])
            water = balance.run(balance.begin(), et0[mine, None, :seen], rain[mine, None, :seen])
            rest_et0 = np.stack([season[0][mine, seen:] for season in later], axis=1)
            rest_rain = np.stack([season[1][mine, seen:] for season in later], axis=1)
            repeated = (
                np.repeat(v, len(donors), axis=1) for v in (water.soil, water.actual, water.potential)
            )
            result[mine] = balance.index(balance.run(Water(*repeated), rest_et0, rest_rain, int(seen)))
        return result
