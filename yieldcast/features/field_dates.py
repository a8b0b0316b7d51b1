"""Day up to which the features of each row are known: the same day of every season, or one near harvest.

A harvest date that is later than the day of the forecast is not known and not used. One that is known only
places the cut-off of its own season; no feature is computed from it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.config import RiskSettings
from yieldcast.publication import same_day

Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class FieldSeasons:
    """Seasons of one crop in fields, (row,) each.

    Args:
        place: int32 codes.
        harvest_year: int16.
        sowing, harvest: datetime64[D], NaT where unknown.
    """

    place: NDArray[np.int32]
    harvest_year: NDArray[np.int16]
    sowing: Days
    harvest: Days

    @classmethod
    def of(cls, table: xr.Dataset, crop: str) -> FieldSeasons:
        """The seasons of a crop in the table of field seasons."""
        rows = table.isel(season=table["crop"].values.astype(str) == crop)
        dates = (rows[name].values.astype("datetime64[D]") for name in ("sowing_date", "harvest_date"))
        return cls(rows["municipality"].values, rows["harvest_year"].values, *dates)

    def known(self, as_of: dt.date) -> FieldSeasons:
        """The seasons with the dates that had come on a day; later ones are NaT."""
        today = np.datetime64(as_of, "D")
        sowing, harvest = (
            np.where(days <= today, days, np.datetime64("NaT", "D")) for days in (self.sowing, self.harvest)
        )
        return FieldSeasons(self.place, self.harvest_year, sowing, harvest)


def days_of_years(harvest_year: NDArray[np.integer], as_of: dt.date, season: int) -> Days:
    """(row,) `as_of` in the season it belongs to, and the same day of the other seasons.

    Args:
        harvest_year: (row,).
        as_of: day of the forecast.
        season: its harvest year.
    """
    years, row = np.unique(harvest_year, return_inverse=True)
    days = np.array([same_day(as_of, int(year) - season) for year in years], dtype="datetime64[D]")
    return days[row]


def expected_length(seasons: FieldSeasons, cycle_days: int) -> int:
    """Days from sowing to the harvest to expect: the median of the seasons that are over.

    Args:
        seasons: as known on the day of the forecast.
        cycle_days: taken where none is over.
    """
    lengths = (seasons.harvest - seasons.sowing).astype("timedelta64[D]")
    over = lengths[~np.isnat(lengths)].astype(np.int64)
    return int(np.median(over)) if len(over) else cycle_days


def cutoffs(
    seasons: FieldSeasons, settings: RiskSettings, as_of: dt.date, season: int, cycle_days: int
) -> Days:
    """(row,) last day of which anything may be known, never after `as_of`.

    By `RiskSettings.cutoff` it is some days before the expected or the actual harvest, or some days after
    sowing. The harvest to expect is the median length of the seasons that are over after sowing, or the usual
    cycle of the crop without one. No row is cut after its harvest. While the season of the forecast is under
    way, its rows are cut at `as_of`, and those of earlier seasons when they were as old as the middle one of
    its fields is on that day, so that a feature means the same in all of them.

    Args:
        seasons: as `FieldSeasons.known` on `as_of`.
        settings: which cut-off.
        as_of: day of the forecast.
        season: its harvest year.
        cycle_days: usual length of a season of the crop.
    """
    today = np.datetime64(as_of, "D")
    if settings.cutoff == "before_harvest":
        end = seasons.harvest - settings.days_before_harvest
    elif settings.cutoff == "after_sowing":
        end = seasons.sowing + settings.days_after_sowing
    else:
        end = seasons.sowing + (expected_length(seasons, cycle_days) - settings.days_before_harvest)
    end = np.where(end < seasons.harvest, end, np.where(np.isnat(seasons.harvest), end, seasons.harvest - 1))
    end = np.where(np.isnat(end), today, end)
    mine = seasons.harvest_year == season
    ages = (today - seasons.sowing[mine]).astype(np.float64)
    ages = ages[~np.isnat(seasons.sowing[mine])]
    if len(ages):
        aligned = seasons.sowing + int(np.median(ages))
    else:
        aligned = days_of_years(seasons.harvest_year, as_of, season)
    aligned = np.where(mine | np.isnat(aligned), today, aligned)
    return np.minimum(np.minimum(end, aligned), today)
