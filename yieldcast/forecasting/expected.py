"""Expected yield of every municipality on a date, and what water and official estimates add to it.

All that is public on the date enters, and nothing else: municipal yields up to the newest public harvest
year, state estimates by their day of publication, weather up to the last known day. Hindcasts of past years
are made by the same code for the same day of their year.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.official_estimates import OfficialEstimates
from yieldcast.features.water_balance import SeasonWater
from yieldcast.forecasting.posterior import StatePosterior
from yieldcast.models.level_trend import LevelTrend, Places, level_trend
from yieldcast.models.sharing import GROWTH, Sharing, fit_sharing, relative_and_size, state_mean
from yieldcast.models.water_response import WaterResponse, effect, fit_response

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# How much more of a state's surprise goes to municipalities as dry as the state (per effect^2).
DRY_SHARE = 10.0
FIRST_HINDCASTS = 6  # years of yields before the first hindcast of level and trend
RESPONSE_FROM = 4  # years of yields before the first that teaches the water response
LEAST_DONORS = 2  # seasons that a climatology needs
FAR = np.datetime64("2200-01-01")  # a day after all weather


def one_of_each(unit: Ints) -> Ints:
    """(unit,) position of the first municipality of each unit; every unit has one.

    Args:
        unit: (municipality,) position of its unit, -1 without weather.
    """
    units, first = np.unique(unit, return_index=True)
    return np.asarray(first[units >= 0])


@dataclass(frozen=True)
class WeatherUnits:
    """Water index of one or more crops of the season, and which municipality lies in which unit.

    Args:
        seasons: the crops sown in one season (first, second).
        share: (unit, crop of the season) part of the area, adding up to 1.
        unit: (municipality,) position of its unit, -1 without weather.
        state: (unit,) index of the state.
    """

    seasons: tuple[SeasonWater, ...]
    share: Floats
    unit: Ints
    state: Ints

    def whole_years(self, years: Sequence[int]) -> list[int]:
        """Harvest years whose seasons are known to their last day."""
        return [year for year in years if all(season.whole(year) for season in self.seasons)]

    def index(self, year: int) -> Floats:
        """(unit,) index of a whole season."""
        return self._mix([season.full(year) for season in self.seasons])

    def months(self, year: int) -> tuple[np.datetime64, int]:
        """The month before the first sowing of a season, and the number of months to the last harvest."""
        first = min(season.centres[year].min() for season in self.seasons).astype("datetime64[M]") - 1
        ends = [s.centres[year].max() + np.timedelta64(s.balance.stages.cycle_days) for s in self.seasons]
        return first, int((max(ends).astype("datetime64[M]") - first).astype(np.int64)) + 1

    def climatology(self, years: Sequence[int]) -> Floats:
        """(unit,) mean index."""
        return np.asarray(np.mean([self.index(year) for year in years], axis=0))

    def finished(self, year: int, donors: Sequence[int], record: WeatherUnits) -> Floats:
        """(unit, donor) index of the season under way, finished with each donor's weather of `record`."""
        return self._mix([
            season.finished(year, donors, other)
            for season, other in zip(self.seasons, record.seasons, strict=True)
        ])  # fmt: skip

    def _mix(self, values: list[Floats]) -> Floats:
        stacked = np.stack(values, axis=1)
        share = self.share.reshape(self.share.shape + (1,) * (stacked.ndim - 2))
        return np.asarray((stacked * share).sum(axis=1))

    def to_municipalities(self, values: Floats, otherwise: float = 0.0) -> Floats:
        """(unit, ...) to (municipality, ...)."""
        found = values[np.maximum(self.unit, 0)]
        return np.where((self.unit >= 0).reshape((-1,) + (1,) * (values.ndim - 1)), found, otherwise)

    def mean_of_units(self, values: Floats) -> tuple[Floats, Floats]:
        """(municipality,) to the mean and the number of finite values in each unit."""
        used = np.isfinite(values) & (self.unit >= 0)
        total, count = np.zeros(len(self.state)), np.zeros(len(self.state))
        np.add.at(total, self.unit[used], values[used])
        np.add.at(count, self.unit[used], 1.0)
        return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan), count


@dataclass(frozen=True)
class MonthlyWeather:
    """Weather of municipalities by month.

    Args:
        first_month: datetime64[M] of column 0.
        values: (municipality, month, variable), NaN = not known.
    """

    first_month: np.datetime64
    values: Floats

    def months(self, start: np.datetime64, count: int) -> Floats:
        """(municipality, count, variable) from a month on; NaN outside the record."""
        column = int((start - self.first_month).astype(np.int64)) + np.arange(count)
        inside = (column >= 0) & (column < self.values.shape[1])
        found = self.values[:, np.clip(column, 0, self.values.shape[1] - 1)]
        return np.where(inside[None, :, None], found, np.nan)


@dataclass(frozen=True)
class Expected:
    """Expected yields and their ingredients, (municipality,) kg/ha each; they add up to `forecast`.

    Args:
        level_trend: from published yields (and estimates of years between the newest public one and this).
        water_so_far: effect of the season's known days, the rest of the season being as usual.
        weather_to_come: effect of a departure of the coming weather from the usual.
        trees: share of boosted trees; 0 until `with_trees`.
        share: kg/ha per kg/ha by which the official estimate moves the state.
        noise_sd: spread of one municipality and year about its state, kg/ha.
        departure: of the water index as used (no unit).
        posterior: of the states.
        area: newest public area, ha.
        last_public_year: newest harvest year of municipal yields that was read.
        state: index of the state.
        level: part of `level_trend`: what the municipality yielded in recent years.
    """

    level_trend: Floats
    water_so_far: Floats
    weather_to_come: Floats
    trees: Floats
    share: Floats
    noise_sd: Floats
    departure: Floats
    posterior: StatePosterior
    area: Floats
    last_public_year: int
    state: Ints
    level: Floats

    @property
    def trend(self) -> Floats:
        """(municipality,) kg/ha by which the yield has grown from its level to the harvest year."""
        return self.level_trend - self.level

    @property
    def official(self) -> Floats:
        """(municipality,) kg/ha that the official estimate adds."""
        return self.share * self.posterior.estimate[self.state]

    @property
    def forecast(self) -> Floats:
        """(municipality,) kg/ha, 0 or more."""
        return np.maximum(self.without_official + self.trees + self.official, 0.0)

    @property
    def without_official(self) -> Floats:
        """(municipality,) kg/ha from level, trend and water."""
        return self.level_trend + self.water_so_far + self.weather_to_come

    def with_trees(self, trees: Floats, places: Places) -> Expected:
        """The same with a share of trees, kg/ha; an official estimate replaces their state mean as it
        replaces that of the water."""
        of_state = np.nan_to_num(state_mean(trees, self.area, places))
        posterior = replace(self.posterior, weather=np.nan_to_num(self.posterior.weather) + of_state)
        return replace(self, trees=trees, posterior=posterior)

    def with_gain(self, factor: float) -> Expected:
        """The same with the gains of official estimates multiplied by a factor."""
        return replace(self, posterior=self.posterior.with_gain(factor))


@dataclass(frozen=True)
class _Water:
    """Effects of water: of the season (municipality,) in kg/ha and as a departure, of past ones on yields
    and states."""

    effect: Floats
    departure: Floats
    cleaned: Floats | None
    by_state: dict[int, Floats] | None


@dataclass
class CropEvidence:
    """Everything known of one crop; dated views of it give forecasts.

    Args:
        yields, area: (municipality, year) kg/ha and harvested ha, NaN = no value; column 0 is `first_year`.
        first_year: harvest year of column 0.
        places: state and centroid of the municipalities.
        estimates: official ones.
        water: (last known day) -> the water index with weather up to that day, None without daily weather.
        last_public_year: (date) -> newest harvest year whose municipal yields were public.
        known_day: (date) -> last day of weather that was public.
        soil: (municipality, property) of the soil, NaN = unknown; for the trees.
        monthly: weather by month; for the trees.
    """

    yields: Floats
    area: Floats
    first_year: int
    places: Places
    estimates: OfficialEstimates
    water: Callable[[np.datetime64], WeatherUnits] | None
    last_public_year: Callable[[dt.date], int]
    known_day: Callable[[dt.date], np.datetime64]
    soil: Floats
    monthly: MonthlyWeather
    _lines: dict[tuple[object, ...], LevelTrend] = field(default_factory=dict)
    _sharing: dict[int, Sharing] = field(default_factory=dict)
    _units: dict[np.datetime64, WeatherUnits] = field(default_factory=dict)
    _without: dict[int, CropEvidence] = field(default_factory=dict)

    # --- what was public ---

    def without(self, harvest_year: int, as_of: dt.date) -> CropEvidence:
        """The same without the yields of a harvest year, and without its estimates of days after `as_of`."""
        if harvest_year not in self._without:
            yields, area = self.yields.copy(), self.area.copy()
            if 0 <= self.column(harvest_year) < yields.shape[1]:
                yields[:, self.column(harvest_year)] = area[:, self.column(harvest_year)] = np.nan
            self._without[harvest_year] = replace(
                self, yields=yields, area=area, _lines={}, _sharing={}, _without={}
            )
        estimates = self.estimates.without(harvest_year, as_of)
        return replace(self._without[harvest_year], estimates=estimates)

    def column(self, year: int) -> int:
        """Column of a harvest year."""
        return year - self.first_year

    def newest_public_year(self, harvest_year: int, as_of: dt.date) -> int:
        """Newest harvest year before this one with public yields; the year before the first without any."""
        last: int = min(
            self.last_public_year(as_of), harvest_year - 1, self.first_year + self.yields.shape[1] - 1
        )
        while last >= self.first_year and not np.isfinite(self.yields[:, self.column(last)]).any():
            last -= 1
        return max(last, self.first_year - 1)

    def newest_area(self, last_year: int) -> Floats:
        """(municipality,) newest area of the last three public years, ha; NaN without."""
        columns = self.area[:, max(self.column(last_year) - 2, 0) : self.column(last_year) + 1]
        newest = np.full(len(columns), np.nan)
        for values in columns.T:
            newest = np.where(np.isfinite(values), values, newest)
        return newest

    def state_yield(self, year: int) -> Floats:
        """(state,) final area-weighted yield of a year; NaN without."""
        column = self.column(year)
        return state_mean(self.yields[:, column], self.area[:, column], self.places)

    def units(self, day: np.datetime64) -> WeatherUnits | None:
        """The water index with weather up to a day."""
        if self.water is None:
            return None
        if day not in self._units:
            self._units[day] = self.water(day)
        return self._units[day]

    def all_units(self) -> WeatherUnits | None:
        """The water index with all weather of the record, whenever it became public."""
        return self.units(FAR)

    def weather_years(self) -> list[int]:
        """Harvest years from the fifth of the yields on whose seasons are known to their last day."""
        units = self.all_units()
        final = self.first_year + self.yields.shape[1]
        return [] if units is None else units.whole_years(range(self.first_year + RESPONSE_FROM, final))

    # --- level and trend ---

    def sharing(self, last_year: int) -> Sharing:
        """How municipalities share a state's surprise, from years up to `last_year`."""
        if last_year not in self._sharing:
            cases = []
            for year in range(self.first_year + FIRST_HINDCASTS, last_year + 1):
                expected = self.line(year - 2, year).forecast
                area = self.newest_area(year - 2)
                error = self.yields[:, self.column(year)] - expected
                of_state = self.state_yield(year) - state_mean(expected, area, self.places)
                cases.append(
                    (error, of_state[self.places.state], *relative_and_size(expected, area, self.places))
                )
            self._sharing[last_year] = fit_sharing(cases)
        return self._sharing[last_year]

    def line(self, last_year: int, harvest_year: int) -> LevelTrend:
        """Level and trend from municipal yields alone, without estimates and growth."""
        key = last_year, harvest_year
        if key not in self._lines:
            self._lines[key] = level_trend(self.yields, self.first_year, last_year, harvest_year, self.places)
        return self._lines[key]

    def expected_line(
        self,
        harvest_year: int,
        as_of: dt.date,
        cleaned: Floats | None = None,
        effects: dict[int, Floats] | None = None,
    ) -> tuple[Floats, LevelTrend, int]:
        """The baseline `level_trend` of a date: (municipality,) kg/ha, its parts, the newest year read.

        Args:
            harvest_year, as_of: the season and the date.
            cleaned: yields to use in place of `yields`, e.g. less the effect of past weather.
            effects: harvest year -> (state,) kg/ha of weather to take out of the estimates of that year.
        """
        last = self.newest_public_year(harvest_year, as_of)
        sharing = self.sharing(last)
        newest = self.state_yield(last)
        extension = np.stack(
            [
                sharing.a
                * (self.estimates.newest(year, as_of).yield_kg_ha - newest - _difference(effects, year, last))
                for year in range(last + 1, harvest_year)
            ]
            or [np.zeros(self.places.states)][:0],
            axis=1,
        ) if harvest_year - last > 1 else None  # fmt: skip
        yields = self.yields if cleaned is None else cleaned
        found = level_trend(yields, self.first_year, last, harvest_year, self.places, extension)
        growth = np.nan_to_num(found.trend - found.recent)[self.places.state]
        relative, size = relative_and_size(found.forecast, self.newest_area(last), self.places)
        line = found.forecast + GROWTH * (sharing.b * relative + sharing.c * size) * growth
        return np.maximum(line, 0.0), found, last

    # --- weather ---

    def response(
        self, units: WeatherUnits, years: Sequence[int], climatology: Floats
    ) -> WaterResponse | None:
        """The water response from past seasons; None without a year that has both yields and weather."""
        used = [year for year in years if self.column(year) - 2 >= 3]
        if not used:
            return None
        residuals, counts, effects = [], [], []
        for year in used:
            line = self.line(year - 2, year).forecast
            mean, count = units.mean_of_units(self.yields[:, self.column(year)] - line)
            residuals.append(mean)
            counts.append(count)
            effects.append(effect(units.index(year) - climatology))
        last = max(used)
        newest = self.yields[:, max(self.column(last) - 4, 0) : self.column(last) + 1]
        noise = self.line(last - 2, last).noise_sd
        return fit_response(
            np.stack(residuals, 1), np.stack(counts, 1), np.stack(effects, 1), units.state,
            self.places.states, float(np.nanmean(newest)), float(np.sqrt(np.mean(noise**2))),
        )  # fmt: skip

    def water_response(
        self,
        harvest_year: int,
        as_of: dt.date,
        units: WeatherUnits,
        response_years: Sequence[int] | None = None,
        donors: Sequence[int] | None = None,
    ) -> tuple[WaterResponse, list[int], Floats] | None:
        """The response to water, the seasons that finish the current one, and their mean index (unit,).

        Args:
            harvest_year, as_of, response_years, donors: as for `expected`.
            units: the weather that they are taken from.

        Returns:
            None with too few seasons of weather.
        """
        first, last = self.first_year + RESPONSE_FROM, self.newest_public_year(harvest_year, as_of)
        whole = units.whole_years(range(first, harvest_year) if donors is None else donors)
        years = units.whole_years(range(first, last + 1) if response_years is None else response_years)
        if len(whole) < LEAST_DONORS:
            return None
        climatology = units.climatology(whole)
        response = self.response(units, years, climatology)
        return None if response is None else (response, whole, climatology)

    # --- the forecast ---

    def expected(
        self,
        harvest_year: int,
        as_of: dt.date,
        response_years: Sequence[int] | None = None,
        donors: Sequence[int] | None = None,
        record: WeatherUnits | None = None,
    ) -> Expected:
        """Expected yields of a harvest year as of a date.

        Args:
            harvest_year: the season.
            as_of: nothing published later is read.
            response_years: years that the water response is fitted on; None takes those public on `as_of`.
                (The leave-year-out protocol gives the other years.)
            donors: seasons that finish the current one and make the climatology; None takes earlier ones.
            record: other years' weather; None takes what was known on `as_of`, and all of it if `donors`
                are given.
        """
        water = self._water(harvest_year, as_of, response_years, donors, record)
        line, found, last = self.expected_line(harvest_year, as_of, water.cleaned, water.by_state)
        area = self.newest_area(last)
        posterior = StatePosterior(
            state_mean(line, area, self.places), state_mean(water.effect, area, self.places),
            self.estimates.newest(harvest_year, as_of),
        )  # fmt: skip
        relative, size = relative_and_size(line, area, self.places)
        # News goes more to places as dry as their state: weights of the effects' products.
        dry = np.nan_to_num(state_mean(water.departure, area, self.places))[self.places.state]
        lean = np.clip((1.0 + DRY_SHARE * water.departure * dry) / (1.0 + DRY_SHARE * dry**2), 0.0, 3.0)
        share = self.sharing(last).shares(relative, size) * lean
        return Expected(
            line, water.effect, np.zeros(len(line)), np.zeros(len(line)), share, found.noise_sd,
            water.departure, posterior, area, last, self.places.state,
            found.level + found.recent[self.places.state],
        )  # fmt: skip

    def under_usual_weather(self, expected: Expected) -> Expected:
        """The same expected yields had the season's weather been usual so far, without trees."""
        relative, size = relative_and_size(expected.level_trend, expected.area, self.places)
        nothing = np.zeros(len(expected.level_trend))
        posterior = replace(expected.posterior, weather=np.zeros(self.places.states))
        return replace(
            expected, water_so_far=nothing, weather_to_come=nothing, departure=nothing, trees=nothing,
            share=self.sharing(expected.last_public_year).shares(relative, size), posterior=posterior,
        )  # fmt: skip

    def official_factor(self, harvest_year: int, as_of: dt.date) -> Floats:
        """(municipality,) official estimate of the state over its mean of five years; 1 without.

        Multiplied with five-year means it gives the baseline `official`.
        """
        last = self.newest_public_year(harvest_year, as_of)
        window = self.yields[:, max(self.column(last) - 4, 0) : self.column(last) + 1]
        known = np.isfinite(window)
        mean = np.where(known, window, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        mean = np.where(known.any(axis=1), mean, np.nan)
        estimate = self.estimates.newest(harvest_year, as_of).yield_kg_ha
        factor = estimate / state_mean(mean, self.newest_area(last), self.places)
        return np.where(np.isfinite(factor), factor, 1.0)[self.places.state]

    def _water(
        self,
        harvest_year: int,
        as_of: dt.date,
        response_years: Sequence[int] | None,
        donors: Sequence[int] | None,
        record: WeatherUnits | None,
    ) -> _Water:
        """The effect of the season's water and of that of past seasons; arguments of `expected`."""
        last = self.newest_public_year(harvest_year, as_of)
        season = self.units(self.known_day(as_of))
        units = record or (season if donors is None else self.all_units())
        found = None if units is None else self.water_response(
            harvest_year, as_of, units, response_years, donors
        )  # fmt: skip
        if season is None or units is None or found is None:
            return _Water(np.zeros(len(self.yields)), np.zeros(len(self.yields)), None, None)
        response, donors, climatology = found
        slope = response.by_state[units.state]
        past = {year: slope * effect(units.index(year) - climatology) for year in donors}
        ways = season.finished(harvest_year, donors, units)
        departure = effect(ways.mean(axis=1) - climatology)
        return _Water(
            units.to_municipalities(slope * departure), units.to_municipalities(departure),
            *self._cleaned(units, past, last),
        )  # fmt: skip

    def _cleaned(
        self, units: WeatherUnits, past: dict[int, Floats], last: int
    ) -> tuple[Floats, dict[int, Floats]]:
        """Yields less the effect of past weather, and the states' mean effect by year."""
        cleaned, of_states = self.yields.copy(), {}
        area = self.newest_area(last)
        for year, values in past.items():
            municipal = units.to_municipalities(values)
            if self.first_year <= year <= last:
                cleaned[:, self.column(year)] -= municipal
            of_states[year] = np.nan_to_num(state_mean(municipal, area, self.places))
        return cleaned, of_states


def _difference(effects: dict[int, Floats] | None, year: int, last: int) -> Floats | float:
    if effects is None:
        return 0.0
    return effects.get(year, np.float64(0.0)) - effects.get(last, np.float64(0.0))
