"""Daily weather summed over windows before a cut-off and over growth stages, by weather unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars.stages import Stages
from yieldcast.data import degree_days
from yieldcast.features.feature_rows import Feature
from yieldcast.features.unit_days import UnitDays
from yieldcast.language import message

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Number = TypeVar("_Number", np.float64, np.int64)

# Daily maximum above which a day counts as hot. Yields fall above 29 degC (corn), 30 (soybean) and 32
# (cotton): Schlenker & Roberts 2009, doi:10.1073/pnas.0906865106. Wheat sets no grain above 31 at anthesis
# (Porter & Gawith 1999, doi:10.1016/S1161-0301(98)00047-1), rice spikelets are sterile above 35 (Yoshida
# 1981, Fundamentals of Rice Crop Science, IRRI). Other crops: that of soybean.
HOT_degC: Mapping[str, float] = MappingProxyType(
    {"corn": 29.0, "soybean": 30.0, "cotton": 32.0, "wheat": 31.0, "rice": 35.0}
)
OTHER_HOT_degC = 30.0
# Xavier et al. 2026, Table 1: degree days above 10 degC, for wheat above 0.
BASE_degC, WHEAT_BASE_degC = 10.0, 0.0
# Radiation counts in full up to the first vapour pressure deficit, not at all from the second on, in
# proportion between (cropland of the light-use model MOD17: Running & Zhao 2015, User's Guide, Table of
# biome properties). The paper gives its discount no formula.
FULL_kPa, CLOSED_kPa = 0.65, 4.3

CUTOFF_DAYS = (7, 30)  # Xavier et al. 2026, Table 2
SINCE_SOWING = "since_sowing"
SHORTEST_days = 7  # from sowing to the cut-off; a mean of fewer days is noise
_BLOCK = 64  # units at a time: 30 years of all quantities are then 130 MB
_DECIMALS = 6  # running sums of thousands of mm carry rounding errors of 1e-11


@dataclass(frozen=True)
class Quantity:
    """One quantity of a window.

    Args:
        stem, unit: of the feature's name, stem_window_unit.
        units: for readers.
        how: whether the window has the sum or the mean of its days; "spell": the longest run of dry days.
        meaning: for readers.
    """

    stem: str
    unit: str
    units: str
    how: Literal["sum", "mean", "spell"]
    meaning: str

    def feature(self, window: str, text: str) -> Feature:
        """The feature of a window of fixed length."""
        return Feature(f"{self.stem}_{window}_{self.unit}", "weather", self.units, text, self.meaning)

    def daily_mean(self, window: str, text: str) -> Feature:
        """The feature of a window whose length differs between rows: the mean day."""
        units = {"days": "1", "degC day": "degC"}.get(self.units, f"{self.units}/day")
        if self.how == "mean":
            return self.feature(window, text)
        name = f"mean_day_{self.stem}_{window}_{self.unit}"
        return Feature(name, "weather", units, text, self.meaning)


QUANTITIES = (
    Quantity("temperature", "degC", "degC", "mean", message("Mean temperature")),
    Quantity("precipitation", "mm", "mm", "sum", message("Rain")),
    Quantity("dry", "days", "days", "sum", message("Dry days (less than 1 mm)")),
    Quantity("longest_dry_spell", "days", "days", "spell", message("Longest run of dry days")),
    Quantity("hot", "days", "days", "sum", message("Hot days (maximum above the limit of the crop)")),
    Quantity("hot_and_dry", "days", "days", "sum", message("Days that are hot and dry")),
    Quantity("vpd", "kPa", "kPa", "mean", message("Vapour pressure deficit")),
    Quantity("radiation", "MJ_m2", "MJ/m2", "sum", message("Global radiation")),
    Quantity(
        "useful_radiation", "MJ_m2", "MJ/m2", "sum", message("Radiation less what dry air keeps from use")
    ),
    Quantity(
        "degree_days", "degC_day", "degC day", "sum", message("Degree days (base 10 degC, wheat 0 degC)")
    ),
    Quantity("water_deficit", "mm", "mm", "sum", message("Water that the soil could not give")),
)  # fmt: skip
STAGE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "establishment": message("establishment, from sowing on"),
        "growth": message("vegetative growth"),
        "flowering": message("flowering (first half of mid-season)"),
        "filling": message("grain filling (second half of mid-season)"),
        "ripening": message("ripening"),
    }
)
CUTOFF_TEXTS: Mapping[int, str] = MappingProxyType(
    {
        7: message("7 days to the last known day"),
        30: message("30 days to the last known day"),
    }
)
SINCE_SOWING_TEXT = message("from sowing to the last known day")


def features() -> tuple[Feature, ...]:
    """All features of daily weather, in the order of `window_values`."""
    fixed = {**{f"{n}d": text for n, text in CUTOFF_TEXTS.items()}, **STAGE_TEXTS}
    found = [one.feature(window, text) for window, text in fixed.items() for one in QUANTITIES]
    running = [q for q in QUANTITIES if q.how != "spell"]  # the longest run grows with the window
    return (*found, *(one.daily_mean(SINCE_SOWING, SINCE_SOWING_TEXT) for one in running))


def stage_bounds(stages: Stages) -> tuple[int, ...]:
    """Days from sowing at which the stages of `STAGE_TEXTS` begin, and the end of the last one.

    FAO-56 has four stages by the canopy; its mid-season, from full cover to the first yellow leaves, is
    halved here into flowering and grain filling (our choice).
    """
    middle = (stages.development_end + stages.mid_end) / 2
    shares = (0.0, stages.initial_end, stages.development_end, middle, stages.mid_end, 1.0)
    return tuple(round(share * stages.cycle_days) for share in shares)


@dataclass(frozen=True)
class Season:
    """Days of some rows, (row,) each.

    Args:
        unit: position of the weather unit, 0 or more.
        sowing: datetime64[D], NaT where it is not known.
        last: datetime64[D], the last day whose weather is known.
    """

    unit: NDArray[np.integer]
    sowing: NDArray[np.datetime64]
    last: NDArray[np.datetime64]

    def take(self, rows: NDArray[np.bool_]) -> Season:
        """Some of the rows."""
        return Season(self.unit[rows], self.sowing[rows], self.last[rows])


def window_values(
    daily: xr.Dataset, latitude_deg: Floats, crop: str, stages: Stages | None, season: Season
) -> Floats:
    """(row, feature) values of `features`, NaN where a day of the window is missing.

    A stage that has not ended on the last known day is NaN: a part of it would be another quantity, and
    which part would tell how long the season was. From sowing on only means of days are given, for the same
    reason.

    Args:
        daily: daily weather, see `yieldcast.data.daily.check_daily`; days after the last one of any row are
            not read.
        latitude_deg: (unit,).
        crop: gives the limit of hot days and the base of degree days.
        stages: of the crop; None if unknown: its stages are then NaN.
        season: the rows.
    """
    keys = np.stack([season.unit.astype(np.int64), _day(season.sowing), _day(season.last)], axis=1)
    distinct, row = np.unique(keys, axis=0, return_inverse=True)
    found = np.full((len(distinct), len(features())), np.nan)
    daily = daily.sel(time=slice(None, season.last.max())) if len(distinct) else daily
    if daily.sizes["time"]:
        for first in range(0, daily.sizes["unit"], _BLOCK):
            mine = (distinct[:, 0] >= first) & (distinct[:, 0] < first + _BLOCK)
            if mine.any():
                block = slice(first, first + _BLOCK)
                sums = _Sums(UnitDays(daily.isel(unit=block), latitude_deg[block]), crop)
                unit, sowing, last = distinct[mine].T
                found[mine] = _of_block(sums, stages, unit - first, sowing, last)
    return found[row.ravel()]


_NO_DAY = np.iinfo(np.int64).min // 2  # NaT


def _day(dates: NDArray[np.datetime64]) -> Ints:
    """Days since 1970, a number far before all days for NaT."""
    return np.where(np.isnat(dates), _NO_DAY, dates.astype("datetime64[D]").astype(np.int64))


def _of_block(sums: _Sums, stages: Stages | None, unit: Ints, sowing: Ints, last: Ints) -> Floats:
    columns = []
    for length in CUTOFF_DAYS:
        columns.extend(sums.window(unit, last + 1 - length, last + 1))
    bounds = stage_bounds(stages) if stages else (0,) * (len(STAGE_TEXTS) + 1)
    for begin, end in pairwise(bounds):
        over = (sowing != _NO_DAY) & (sowing + end <= last + 1) & (stages is not None)
        values = sums.window(unit, np.where(over, sowing + begin, 0), np.where(over, sowing + end, 0))
        columns.extend(np.where(over, one, np.nan) for one in values)
    enough = (sowing != _NO_DAY) & (last + 1 - sowing >= SHORTEST_days)
    means = sums.mean_days(unit, np.where(enough, sowing, 0), np.where(enough, last + 1, 0))
    columns.extend(np.where(enough, one, np.nan) for one in means)
    return np.stack(columns, axis=1)


class _Sums:
    """Running sums of the quantities of some units, from which windows are differences."""

    def __init__(self, days: UnitDays, crop: str) -> None:
        self.first = int(days.days[0].astype(np.int64))
        self.count = len(days.days)
        values = _quantities(days, crop)
        self.missing = {name: _running(np.isnan(one).astype(np.int64)) for name, one in values.items()}
        self.total = {name: _running(np.nan_to_num(one)) for name, one in values.items()}
        position = np.broadcast_to(np.arange(self.count), days.dry.shape)
        wet = np.maximum.accumulate(np.where(days.dry == 1.0, -1, position), axis=1)
        self.spell = position - wet  # dry days up to and including this one

    def window(self, unit: Ints, begin: Ints, end: Ints) -> list[Floats]:
        """Values of `QUANTITIES` over the days from `begin` to before `end` (days since 1970)."""
        return [self._one(q, unit, begin, end) for q in QUANTITIES]

    def mean_days(self, unit: Ints, begin: Ints, end: Ints) -> list[Floats]:
        """Means of days instead of sums, without the dry spell."""
        length = np.maximum(end - begin, 1)
        return [
            self._one(q, unit, begin, end) / (1 if q.how == "mean" else length)
            for q in QUANTITIES
            if q.how != "spell"
        ]

    def _one(self, quantity: Quantity, unit: Ints, begin: Ints, end: Ints) -> Floats:
        name = "dry" if quantity.how == "spell" else quantity.stem
        low, high = begin - self.first, end - self.first
        inside = (low >= 0) & (high <= self.count) & (high > low)
        low, high = np.where(inside, low, 0), np.where(inside, high, 0)
        known = inside & (self.missing[name][unit, high] == self.missing[name][unit, low])
        if quantity.how == "spell":
            values = self._spell(unit, low, high)
        else:
            values = self.total[name][unit, high] - self.total[name][unit, low]
            values = values / np.maximum(high - low, 1) if quantity.how == "mean" else values
        return np.where(known, np.round(values, _DECIMALS), np.nan)

    def _spell(self, unit: Ints, low: Ints, high: Ints) -> Floats:
        """Longest run of dry days inside a window; windows are taken together by their length."""
        longest = np.zeros(len(unit))
        for length in np.unique(high - low):
            if length:
                mine = np.flatnonzero(high - low == length)
                day = np.arange(length)
                runs = np.minimum(self.spell[unit[mine, None], low[mine, None] + day], day + 1)
                longest[mine] = runs.max(axis=1)
        return longest


def _running(values: NDArray[_Number]) -> NDArray[_Number]:
    """(unit, day + 1) sums of the days before each day."""
    return np.concatenate([np.zeros((len(values), 1), values.dtype), values.cumsum(axis=1)], axis=1)


def _quantities(days: UnitDays, crop: str) -> dict[str, Floats]:
    """(unit, day) values of the quantities but the dry spell."""
    name = crop.split("_")[0]
    hot = np.where(np.isnan(days.tmax), np.nan, days.tmax > HOT_degC.get(name, OTHER_HOT_degC))
    needed, taken = days.water
    use = np.clip((CLOSED_kPa - days.vpd) / (CLOSED_kPa - FULL_kPa), 0.0, 1.0)
    base = WHEAT_BASE_degC if name == "wheat" else BASE_degC
    return {
        "temperature": 0.5 * (days.tmax + days.tmin),
        "precipitation": days.rain,
        "dry": days.dry,
        "hot": hot,
        "hot_and_dry": hot * days.dry,
        "vpd": days.vpd,
        "radiation": days.radiation,
        "useful_radiation": days.radiation * use,
        "degree_days": degree_days.daily(days.tmax, days.tmin, base, None),
        "water_deficit": needed - taken,
    }
