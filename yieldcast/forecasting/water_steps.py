"""The water index of a season as it became known, day by day: rain and evaporative demand apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.water_balance import SPIN_UP_DAYS, SeasonWater, WaterBalance
from yieldcast.forecasting.expected import CropEvidence, WeatherUnits
from yieldcast.forecasting.protocol import Protocol
from yieldcast.models.water_response import effect

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WaterSteps:
    """The effect of a season's water, had fewer of its days been known.

    Args:
        evidence: of the crop.
        season: the weather known on the date.
        harvest_year: the season.
        donors: seasons that finish it and make the usual weather.
        slope: (unit,) kg/ha per unit of effect.
        climatology: (unit,) mean index of the donors.
    """

    evidence: CropEvidence
    season: WeatherUnits
    harvest_year: int
    donors: tuple[int, ...]
    slope: Floats
    climatology: Floats

    @classmethod
    def of(cls, protocol: Protocol) -> WaterSteps | None:
        """Of the season of a forecast, with the response and the donors of `CropEvidence.expected`; None
        where the forecast has no water."""
        evidence, year, as_of = protocol.evidence, protocol.harvest_year, protocol.as_of
        season = evidence.units(evidence.known_day(as_of))
        if season is None:
            return None
        found = evidence.water_response(year, as_of, season)
        if found is None:
            return None
        response, donors, climatology = found
        slope = response.by_state[season.state]
        return cls(evidence, season, year, tuple(donors), slope, climatology)

    @cached_property
    def first_day(self) -> np.datetime64:
        """The first day of the season's balance in any unit."""
        centres = np.concatenate([one.centres[self.harvest_year] for one in self.season.seasons])
        first: np.datetime64 = centres.min() - np.timedelta64(SPIN_UP_DAYS, "D")
        return first

    def index(self, units: NDArray[np.intp], rain_to: np.datetime64, demand_to: np.datetime64) -> Floats:
        """(unit,) departure of the water index with rain and evaporative demand known to a day.

        Args:
            units: positions of the units wanted.
            rain_to, demand_to: last known days; later ones have the weather of the donors.
        """
        found = np.stack([
            _finished(one, self.harvest_year, self.donors, units, rain_to, demand_to)
            for one in self.season.seasons
        ], axis=1)  # fmt: skip
        mean = (found.mean(axis=2) * self.season.share[units]).sum(axis=1)
        return effect(mean - self.climatology[units])

    def effect(self, units: NDArray[np.intp], index: Floats) -> Floats:
        """(unit,) kg/ha of a departure."""
        return np.asarray(self.slope[units] * index)


def _finished(
    season: SeasonWater,
    year: int,
    donors: Sequence[int],
    units: NDArray[np.intp],
    rain_to: np.datetime64,
    demand_to: np.datetime64,
) -> Floats:
    """(unit, donor) index, as `SeasonWater.finished` where both are known to the same day."""
    et0, rain, known = season.season(year)
    first = season.centres[year][units] - np.timedelta64(SPIN_UP_DAYS, "D")
    day = np.arange(season.balance.days)

    def joined(own: Floats, others: list[Floats], last: np.datetime64) -> Floats:
        count = np.minimum((last - first).astype("timedelta64[D]").astype(np.int64) + 1, known[units])
        seen = (day < count[:, None])[:, None]
        return np.where(seen, own[units][:, None], np.stack([one[units] for one in others], axis=1))

    past = [season.season(donor) for donor in donors]
    balance = WaterBalance(season.balance.stages, season.balance.capacity[units])
    demand = joined(et0, [one[0] for one in past], demand_to)
    water = balance.run(balance.begin(len(donors)), demand, joined(rain, [one[1] for one in past], rain_to))
    return balance.index(water)


@dataclass(frozen=True)
class WaterMonths:
    """What each month so far added to the part `water_so_far` of every municipality.

    Args:
        months: "2017-10", in order of time.
        codes: (municipality,) ascending.
        kg_ha: (municipality, month), adding up to the part.
    """

    months: tuple[str, ...]
    codes: NDArray[np.int32]
    kg_ha: Floats


def water_months(protocol: Protocol, codes: NDArray[np.int32]) -> WaterMonths | None:
    """The effect of the season's water, month by month, as each month became known.

    Args:
        protocol: of the forecast.
        codes: of the municipalities of its evidence.

    Returns:
        None where the forecast has no water, or no day of the season is known.
    """
    steps = WaterSteps.of(protocol)
    if steps is None:
        return None
    known = protocol.evidence.known_day(protocol.as_of)
    months = np.arange(steps.first_day.astype("datetime64[M]"), known.astype("datetime64[M]") + 1)
    effects = [np.zeros(len(steps.slope))]
    for month in months:
        last = min((month + 1).astype("datetime64[D]") - 1, known)
        season = protocol.evidence.units(last)
        if season is None:
            return None
        ways = season.finished(steps.harvest_year, steps.donors, steps.season)
        effects.append(steps.slope * effect(ways.mean(axis=1) - steps.climatology))
    if len(effects) == 1:
        return None
    added = steps.season.to_municipalities(np.diff(np.stack(effects, axis=1), axis=1))
    return WaterMonths(tuple(str(month) for month in months), codes, added)
