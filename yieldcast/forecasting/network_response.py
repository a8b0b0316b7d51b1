"""The response network in a forecast: trained on past seasons of a crop's evidence, as of a date.

It is trained where the water response is fitted: on unit-years, from the same years, lines and seasons. Its
departure from the water response is the forecast's ingredient `network`, as far as hindcasts of years that
members left out say that it is right (`combination.Combiner`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError
from yieldcast.features.dekads import Dekads
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.expected import CropEvidence, Expected, WeatherUnits, one_of_each
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.models.water_response import effect
from yieldcast.publication import same_day

if TYPE_CHECKING:
    from yieldcast.training.response import ResponseMembers, ResponseRows

Floats = NDArray[np.float64]
LEAST_LINE = 3  # columns of yields that a line is drawn from, as in `CropEvidence.response`


@dataclass(frozen=True)
class ResponseEvidence:
    """Unit-years of a crop and what the network reads of them.

    Args:
        evidence: of the crop.
        years: harvest years to train on, of whole seasons.
        donors: harvest years that make the usual weather.
        units: the weather that all this is taken from.
    """

    evidence: CropEvidence
    years: tuple[int, ...]
    donors: tuple[int, ...]
    units: WeatherUnits

    @cached_property
    def climatology(self) -> Floats:
        """(unit,) mean index of the donors."""
        return self.units.climatology(self.donors)

    def season(self, as_of: dt.date) -> WeatherUnits:
        """The weather that was public on a date."""
        return self.evidence.units(self.evidence.known_day(as_of)) or self.units

    @cached_property
    def mean_yield(self) -> float:
        """kg/ha, of the last five years to train on; scales yields."""
        last = self.evidence.column(max(self.years))
        return float(np.nanmean(self.evidence.yields[:, max(last - 4, 0) : last + 1]))

    @cached_property
    def place(self) -> Floats:
        """(unit, feature) root zone (mm), latitude, longitude and level, mean 0 and sd 1."""
        places, last = self.evidence.places, max(self.years)
        level = self.evidence.line(last - 2, last).forecast
        columns = [self.units.seasons[0].balance.capacity]
        columns += [
            np.nan_to_num(self.units.mean_of_units(values)[0], nan=float(np.nanmean(values)))
            for values in (places.latitude_deg, places.longitude_deg, level)
        ]
        found = np.stack(columns, axis=1)
        spread = found.std(axis=0)
        return np.asarray((found - found.mean(axis=0)) / np.where(spread > 0, spread, 1.0))

    @cached_property
    def _dekads(self) -> list[Dekads]:
        return [Dekads(season, self.donors) for season in self.units.seasons]

    def weather(self, year: int, units: WeatherUnits | None = None) -> Floats:
        """(unit, step, variable) departures of a season, mixed over the crops of the season.

        Args:
            year: harvest year.
            units: the weather as known on a date; None for whole seasons.
        """
        found = [
            dekads.departures(season, year)
            for dekads, season in zip(self._dekads, (units or self.units).seasons, strict=True)
        ]
        return np.asarray(np.einsum("ku...,uk->u...", np.stack(found), self.units.share))

    def slope(self, without: int | None = None) -> Floats:
        """(unit,) of the water response per unit of effect, of the mean yield; one year may be left out."""
        years = [year for year in self.years if year != without]
        response = self.evidence.response(self.units, years, self.climatology)
        if response is None:
            return np.zeros(len(self.units.state))
        return response.by_state[self.units.state] / self.mean_yield

    def rows(self) -> ResponseRows:
        """All unit-years with yields."""
        from yieldcast.training.response import ResponseRows, unit_variance

        evidence, units, newest = self.evidence, self.units, max(self.years)
        noise = evidence.line(newest - 2, newest).noise_sd
        municipality_sd = float(np.sqrt(np.mean(noise**2))) / self.mean_yield
        parts, effects = [], []
        for k, year in enumerate(self.years):
            line = evidence.line(year - 2, year).forecast
            mean, count = units.mean_of_units(evidence.yields[:, evidence.column(year)] - line)
            known = np.isfinite(mean)
            effects.append(np.where(known, effect(units.index(year) - self.climatology), np.nan))
            parts.append((
                self.weather(year)[known], self.place[known], mean[known] / self.mean_yield,
                unit_variance(count[known], municipality_sd), np.full(int(known.sum()), year),
                (k * evidence.places.states + units.state)[known],
            ))  # fmt: skip
        linear = {}
        for year in self.years:
            all_years = np.concatenate([self.slope(year) * one for one in effects])
            linear[year] = all_years[np.isfinite(all_years)]
        weather, place, target, variance, years, group = (np.concatenate(c) for c in zip(*parts, strict=True))
        return ResponseRows(weather, place, target, variance, years, group, linear)

    def inputs(self, expected: Expected, year: int, units: WeatherUnits) -> tuple[Floats, Floats, Floats]:
        """Weather, place and linear path of a season, (unit, ...) each, see `ResponseRows`.

        Args:
            expected: of the harvest year on a date; its water effect is the linear path.
            year: harvest year.
            units: the weather known on the date.
        """
        water = expected.water_so_far[one_of_each(units.unit)]  # the same for all municipalities of a unit
        return self.weather(year, units), self.place, water / self.mean_yield

    def departure(
        self, members: ResponseMembers, expected: Expected, year: int, units: WeatherUnits
    ) -> Floats:
        """(municipality,) kg/ha by which the network departs from the water response, mean of the members;
        other arguments as for `inputs`."""
        weather, place, linear = self.inputs(expected, year, units)
        found = members.predict(weather, place, linear).mean(axis=0) - linear
        return units.to_municipalities(found * self.mean_yield)


def response_evidence(
    evidence: CropEvidence, years: Sequence[int], donors: Sequence[int], units: WeatherUnits | None
) -> ResponseEvidence:
    """`ResponseEvidence` of the years before which there are yields enough for a line.

    Raises:
        MissingDataError: no water index (`units` is None).
    """
    if units is None:
        raise MissingDataError(
            "the response network needs the stages of the crop (calendars/data/stages.csv), which are absent",
            "Leave network.form out of the settings.",
        )
    used = tuple(year for year in years if evidence.column(year) - 2 >= LEAST_LINE)
    return ResponseEvidence(evidence, used, tuple(donors), units)


def with_response(
    combiner: Combiner, raw: RawForecasts, past: RawForecasts, seeds: Sequence[int]
) -> tuple[RawForecasts, RawForecasts]:
    """The forecasts of the dual-path network replaced by those of the response network, and so its
    hindcasts.

    A hindcast is made by the members that left its year out, for the same day of its year.

    Args:
        combiner: of the forecast.
        raw, past: forecasts and hindcasts of the dual-path network; their rows are kept, of hindcasts
            those of years with whole seasons of weather.
        seeds: of the members.

    Raises:
        MissingDataError: too few years with yields and whole seasons.
    """
    from yieldcast.training.response import train_response

    protocol, harvest_year = combiner.protocol, combiner.protocol.harvest_year
    donors = protocol.seasons
    known = response_evidence(combiner.evidence, protocol.teachers, donors, protocol.units)
    members = train_response(known.rows(), seeds)
    factor = combiner.gain_factor()

    def total(one: Expected, departure: Floats, rows: RawForecasts) -> Floats:
        whole = one.with_gain(factor).forecast + departure
        return np.asarray(whole[np.searchsorted(combiner.codes, rows.municipality)])

    season = known.season(protocol.as_of)
    current = total(combiner.expected, known.departure(members, combiner.expected, harvest_year, season), raw)
    parts = []
    for year in known.years:
        own, mine = members.those_without(year), past.harvest_year == year
        if not mine.any() or not len(own.left_out) or year not in combiner.hindcasts:
            continue
        others = replace(known, donors=tuple(other for other in donors if other != year))
        season = known.season(same_day(protocol.as_of, year - harvest_year))
        expected, rows = combiner.hindcasts[year], past.take(mine)
        departure = others.departure(own, expected, year, season)
        parts.append(replace(rows, mean_kg_ha=total(expected, departure, rows)))
    hindcasts = RawForecasts.join(parts) if parts else past.take(past.harvest_year < 0)
    return replace(raw, mean_kg_ha=current), hindcasts
