"""Ten-day steps of a season's weather as departures from the usual, for networks.

A season is cut into steps of ten days from its sowing on, so that a step means the same stage of the crop
everywhere. Days that are not known yet depart by 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.water_balance import SeasonWater

Floats = NDArray[np.float64]

DAYS = 10  # of a step, as in the ten-day bulletins of crop monitors
BEFORE_DAYS, AFTER_DAYS = 10, 20  # days before the centre of sowing, and after a cycle that begins there
VARIABLES = ("tmax_degC", "tmin_degC", "root_rain", "deficit_mm")
LEAST_SPREAD = 1e-6  # a variable that never changes departs by 0, not by its rounding errors
LIMIT = 4.0  # standard deviations: a departure beyond it counts as this much


class Dekads:
    """Departures of one crop's seasons from the usual weather of past ones.

    Args:
        record: weather and sowing dates of the crop; the weather has temperatures.
        donors: harvest years of whole seasons that make the usual weather, two or more.
    """

    def __init__(self, record: SeasonWater, donors: Sequence[int]) -> None:
        past = np.stack([_steps(record, year)[0] for year in donors])
        self.usual = past.mean(axis=0)
        # One spread per step and variable for all units: that of a unit from a few seasons is too uncertain.
        self.spread = np.sqrt(np.mean((past - self.usual) ** 2, axis=(0, 1)))

    def departures(self, season: SeasonWater, year: int) -> Floats:
        """(unit, step, variable) in standard deviations, -4 to 4; 0 where nothing is known yet.

        A step that is known in part departs by the mean of its known days times their share.

        Args:
            season: the weather as known on a date.
            year: harvest year.
        """
        values, share = _steps(season, year)
        changes = self.spread > LEAST_SPREAD
        scaled = np.where(changes, values - self.usual, 0.0) / np.where(changes, self.spread, 1.0)
        scaled = np.clip(scaled, -LIMIT, LIMIT) * share[..., None]
        return np.where(np.isfinite(scaled), scaled, 0.0)


def _steps(season: SeasonWater, year: int) -> tuple[Floats, Floats]:
    """(unit, step, variable) means over the known days, NaN without any, and the share of known days.

    Rain enters as the root of its mean, which is less skewed; the deficit is reference evapotranspiration
    less rain.
    """
    weather = season.weather
    if weather.tmax is None or weather.tmin is None:
        raise ValueError("expected daily weather with temperatures, received only rain and ET0")
    steps = (BEFORE_DAYS + season.balance.stages.cycle_days + AFTER_DAYS) // DAYS
    first = season.centres[year] - np.timedelta64(BEFORE_DAYS, "D")
    tmax, tmin, rain, et0 = (
        weather.window(values, first, steps * DAYS).reshape(len(first), steps, DAYS)
        for values in (weather.tmax, weather.tmin, weather.rain, weather.et0)
    )
    known = np.isfinite(rain) & np.isfinite(et0)
    count = known.sum(axis=2)

    def mean(values: Floats) -> Floats:
        total = np.where(known, values, 0.0).sum(axis=2)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    values = (mean(tmax), mean(tmin), np.sqrt(np.maximum(mean(rain), 0.0)), mean(et0 - rain))
    return np.stack(values, axis=2), count / DAYS
