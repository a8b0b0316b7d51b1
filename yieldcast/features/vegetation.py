"""Vegetation indices of seasons as known on a day: cleaned, smoothed, and described by a few numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.vegetation import public_days
from yieldcast.features.feature_rows import Feature
from yieldcast.features.whittaker import smooth
from yieldcast.language import message

Floats = NDArray[np.float64]

# Xavier et al. 2026, Section 2.2.2: a higher NDVI is that of a cloud which the flags missed.
SATURATED_NDVI = 0.99
INDICES = ("ndvi", "evi")
LONGEST_days = 540  # of a season that is read, sugarcane included
INTEGRAL_days, SLOPE_days = 60, 30
# The maximum is that of the season only once the curve has fallen for this many days.
PAST_PEAK_days = 10
_DECIMALS = 6  # the length of the longest season of a block moves the fifteenth
_BLOCK = 2048  # seasons at a time: 540 days of one index are then 9 MB

_SINCE_SOWING = message("from sowing to the last clear observation")
_LAST_60 = message("60 days to the last clear observation")
_LAST_30 = message("30 days to the last clear observation")
_STEEPEST = message("steepest 30 days before the maximum")
_AFTER_SOWING = message("days after sowing")
_STATISTICS = (  # end of the name, unit, window, meaning by index
    ("max", "1", _SINCE_SOWING, (message("Maximum of NDVI"), message("Maximum of EVI"))),
    ("mean", "1", _SINCE_SOWING, (message("Mean of NDVI"), message("Mean of EVI"))),
    ("sd", "1", _SINCE_SOWING, (message("Variation of NDVI"), message("Variation of EVI"))),
    ("last", "1", message("last clear observation"), (message("Latest NDVI"), message("Latest EVI"))),
    ("integral_60d_days", "days", _LAST_60, (message("Integral of NDVI"), message("Integral of EVI"))),
    ("peak_days", "days", _AFTER_SOWING, (message("Day of maximum NDVI"), message("Day of maximum EVI"))),
    ("rise_per_day", "1/day", _STEEPEST, (message("Rise of NDVI"), message("Rise of EVI"))),
    ("change_per_day", "1/day", _LAST_30,
     (message("Latest change of NDVI"), message("Latest change of EVI"))),
)  # fmt: skip


def features() -> tuple[Feature, ...]:
    """All features of observations, in the order of `season_values`."""
    return tuple(
        Feature(f"{index}_{name}", "vegetation", unit, window, meaning[position])
        for position, index in enumerate(INDICES)
        for name, unit, window, meaning in _STATISTICS
    )


@dataclass(frozen=True)
class Seasons:
    """Seasons whose vegetation is wanted, (row,) each.

    Args:
        place: codes.
        sowing: datetime64[D], NaT where unknown: no features then.
        cutoff: datetime64[D]: an observation counts if it was public on this day.
    """

    place: NDArray[np.integer]
    sowing: NDArray[np.datetime64]
    cutoff: NDArray[np.datetime64]


def season_values(vegetation: xr.Dataset, seasons: Seasons, least: int) -> tuple[Floats, dict[str, int]]:
    """(row, feature) values of `features`, NaN where unknown; and what the cleaning removed, by reason.

    None of them tells how long the season is: what would (days since the maximum, the integral from sowing
    on) is left out, because seasons that are cut some days before harvest would give the harvest date away.

    Args:
        vegetation: observations, see `yieldcast.data.vegetation.check_vegetation`.
        seasons: the rows.
        least: clear observations from sowing to the cut-off below which a season has no features.
    """
    result = np.full((len(seasons.place), len(features())), np.nan)
    if not len(seasons.place):
        return result, {}
    seen, removed = clean_observations(vegetation, seasons.cutoff.max())
    row, observation = _pairs(seen, seasons)
    number = np.bincount(row, minlength=len(result))
    few = (number > 0) & (number < least)
    removed[message("seasons with too few clear observations")] = int(few.sum())
    start = np.searchsorted(row, np.arange(len(result) + 1))  # pairs are sorted by row
    rows = np.flatnonzero(number >= least)
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK]
        mine = np.concatenate([np.arange(start[one], start[one + 1]) for one in block])
        line = np.repeat(np.arange(len(block)), number[block])
        picked = observation[mine]
        day = (seen.date[picked] - seasons.sowing[block][line]).astype(np.int64)
        parts = [_of_index(values[picked], line, day, len(block), least) for values in (seen.ndvi, seen.evi)]
        result[block] = np.hstack(parts)
    return result, {reason: n for reason, n in removed.items() if n}


@dataclass(frozen=True)
class Observations:
    """Observations, (observation,) each, sorted by place and date; NaN where an index is missing."""

    place: NDArray[np.int64]
    date: NDArray[np.datetime64]
    public: NDArray[np.datetime64]
    ndvi: Floats
    evi: Floats


def clean_observations(vegetation: xr.Dataset, last: np.datetime64) -> tuple[Observations, Counter[str]]:
    """Observations that are kept, of those public on the last cut-off; and the number of others."""
    public = public_days(vegetation)
    unknown = np.full(len(public), np.nan)
    ndvi, evi = (vegetation[n].values.astype(np.float64) if n in vegetation else unknown for n in INDICES)
    removed: Counter[str] = Counter()
    keep = public <= last
    steps = {
        message("observations that are not clear"): vegetation["clear"].values == 0,
        message("observations with an NDVI above 0.99"): ndvi > SATURATED_NDVI,
        message("observations without a value of -1 to 1"): ~((np.abs(ndvi) <= 1) | (np.abs(evi) <= 1)),
    }
    for reason, bad in steps.items():
        removed[reason] = int((keep & bad).sum())
        keep = keep & ~bad
    place = vegetation["municipality"].values.astype(np.int64)
    date = vegetation["date"].values.astype("datetime64[D]")
    return Observations(place[keep], date[keep], public[keep], ndvi[keep], evi[keep]), removed


def _pairs(seen: Observations, seasons: Seasons) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and observation of each observation of a season that was public on its cut-off, by row."""

    def key(place: NDArray[np.int64], date: NDArray[np.datetime64]) -> NDArray[np.int64]:
        return place * 1_000_000 + date.astype("datetime64[D]").astype(np.int64)

    sown = ~np.isnat(seasons.sowing)
    sowing = np.where(sown, seasons.sowing, seasons.cutoff)
    end = np.minimum(seasons.cutoff, sowing + LONGEST_days)
    keys, place = key(seen.place, seen.date), seasons.place.astype(np.int64)
    low = np.searchsorted(keys, key(place, sowing), "left")
    high = np.searchsorted(keys, key(place, end), "right")
    count = np.where(sown, np.maximum(high - low, 0), 0)
    row = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    observation = np.repeat(low, count) + within
    public = seen.public[observation] <= seasons.cutoff[row]
    return row[public], observation[public]


def _of_index(values: Floats, row: NDArray[np.intp], day: NDArray[np.int64], rows: int, least: int) -> Floats:
    """(row, statistic) of one index, NaN for rows with fewer than `least` values.

    Args:
        values: (observation,) of the index.
        row, day: (observation,) row of each and its days after sowing.
        rows: their number.
        least: see `season_values`.
    """
    known = np.isfinite(values)
    row, day, values = row[known], day[known], values[known]
    result = np.full((rows, len(_STATISTICS)), np.nan)
    enough = np.flatnonzero(np.bincount(row, minlength=rows) >= least)
    if not len(enough):
        return result
    first = np.full(rows, day.max())
    last = np.zeros(rows, dtype=np.int64)
    np.minimum.at(first, row, day)
    np.maximum.at(last, row, day)
    weights = np.zeros((rows, int(day.max()) + 1))
    observed = np.zeros(weights.shape)
    weights[row, day], observed[row, day] = 1.0, values
    curve = np.clip(smooth(observed[enough], weights[enough]), -1.0, 1.0)
    result[enough] = np.round(_describe(curve, first[enough], last[enough]), _DECIMALS)
    return result


def _describe(curve: Floats, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
    """(row, statistic) of smoothed curves between their first and last observation.

    Args:
        curve: (row, day), finite.
        first, last: (row,) days of these observations.
    """
    day = np.arange(curve.shape[1])
    inside = (day >= first[:, None]) & (day <= last[:, None])
    number = last - first + 1
    mean = np.where(inside, curve, 0.0).sum(axis=1) / number
    sd = np.sqrt(np.where(inside, (curve - mean[:, None]) ** 2, 0.0).sum(axis=1) / number)
    peak = np.where(inside, curve, -np.inf).argmax(axis=1)
    row = np.arange(len(curve))
    recent = inside & (day > last[:, None] - INTEGRAL_days)
    integral = np.where(number >= INTEGRAL_days, np.where(recent, curve, 0.0).sum(axis=1), np.nan)
    before = np.maximum(last - SLOPE_days, 0)
    late = np.where(number > SLOPE_days, (curve[row, last] - curve[row, before]) / SLOPE_days, np.nan)
    rise = np.full(len(curve), np.nan)
    if curve.shape[1] > SLOPE_days:
        steps = (curve[:, SLOPE_days:] - curve[:, :-SLOPE_days]) / SLOPE_days
        up = (day[:-SLOPE_days] >= first[:, None]) & (day[SLOPE_days:] <= peak[:, None])
        rise = np.where(up.any(axis=1), np.where(up, steps, -np.inf).max(axis=1), np.nan)
    day_of_peak = np.where(last - peak >= PAST_PEAK_days, peak, np.nan)
    return np.stack([curve[row, peak], mean, sd, curve[row, last], integral, day_of_peak, rise, late], axis=1)
