"""What boosted trees add to the expected yields of a date, learned from the hindcasts of other years.

Level, trend and water leave departures that are not pure noise: places whose newest yields lie far from the
level, kinds of place (soil, location, scatter) that the trend of the state does not fit, weather that the
water index does not see. Two sets of trees learn them, and their mean is used. One learns the departures of
all hindcasts from what is known of places; the other learns the yields of the years with weather, and sees
the months known on the date too. Their errors differ, so the mean is better than either.

How much of what the trees say is used follows from hindcasts: each by trees of other years, two or more years
away, because departures of neighbouring years are alike and the newest public year is two years back as well.
There is a share within states and one of the states' means, both strongly shrunken to priors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from yieldcast.forecasting.expected import Expected
from yieldcast.forecasting.protocol import Protocol
from yieldcast.models.sharing import state_mean
from yieldcast.models.trees import Predict, fit_trees

Floats = NDArray[np.float64]

# Columns of the water in `Trees._places`.
INDEX_COLUMN, WATER_COLUMN = 6, 7
LEAST_GAP = 2  # years between a year and those that teach its trees
LEAST_YEARS = 2  # that teach
# Shares of the trees' departures, chosen on soybean and corn with a year left out. That of states' means is
# smaller and held tighter: a state and year is one case, however many municipalities it has, and trees of
# years before and after know better what happened in between than trees of the past know what comes.
PRIOR_WITHIN, PRIOR_STATE = 0.5, 0.2
PRIOR_YEARS, PRIOR_STATE_YEARS = 8.0, 80.0  # weights of the priors, in years of hindcasts


@dataclass(frozen=True)
class TreeShares:
    """How much of the trees' departure is used: within states, and of the states' means; 0 to 1."""

    within: float
    state: float


class Trees:
    """The trees of one date.

    Args:
        protocol: gives the years that teach and their expected yields on the same day.
    """

    def __init__(self, protocol: Protocol) -> None:
        self.protocol, self.evidence = protocol, protocol.evidence
        self.of_places = _Learner(self._places, protocol.hindcast_years, on_departures=True)
        self.of_seasons = self._season_learner()
        self.departures: dict[int, Floats] = {}

    def under(self, water: Floats, index: Floats, months: NDArray[np.floating]) -> Floats:
        """(municipality,) kg/ha of the trees' share in the harvest year if its weather were another.

        Args:
            water: (municipality,) kg/ha, effect of the water balance.
            index: (municipality,) departure of the water index.
            months: (month, variable) factors of the departures of the months known on the date, the variables
                tmax, tmin and root of the rain; 0 is usual weather.
        """
        year = self.protocol.harvest_year
        expected = replace(self.protocol.expected(year), water_so_far=water, departure=index)
        found = []
        for learner in self._learners(year):
            inputs = learner.inputs(year).copy()
            inputs[:, INDEX_COLUMN], inputs[:, WATER_COLUMN] = index, water
            if learner is self.of_seasons and months.size:
                inputs[:, inputs.shape[1] - months.size :] *= months.reshape(-1)
            found.append(learner.departure(year, self.protocol, inputs, expected))
        told = [values for values in found if values is not None]
        return self._share_of(expected, np.mean(told, axis=0) if told else np.zeros(len(water)))

    @property
    def known_months(self) -> int:
        """How many months of the season the trees see."""
        year = self.protocol.harvest_year
        seasons, places = (one.inputs(year).shape[1] for one in (self.of_seasons, self.of_places))
        return (int(seasons) - int(places)) // int(self.evidence.monthly.values.shape[2])

    def _learners(self, year: int) -> list[_Learner]:
        """The learners that tell of a year."""
        seasons = year == self.protocol.harvest_year or year in self.of_seasons.years
        return [self.of_places, self.of_seasons] if seasons else [self.of_places]

    def departure(self, year: int) -> Floats:
        """(municipality,) kg/ha by which the trees of other years leave the expected yield of a year."""
        if year not in self.departures:
            found = [learner.departure(year, self.protocol) for learner in self._learners(year)]
            told = [values for values in found if values is not None]
            nothing = np.zeros(len(self.evidence.yields))
            self.departures[year] = np.mean(told, axis=0) if told else nothing
        return self.departures[year]

    @cached_property
    def shares(self) -> TreeShares:
        """From the hindcasts, shrunken to the priors; 0 where no trees of other years exist."""
        cases = [one for year in self.protocol.hindcast_years if (one := self._case(year)) is not None]
        if not cases:
            return TreeShares(0.0, 0.0)
        within, state = zip(*cases, strict=True)
        return TreeShares(
            _shrunken(within, PRIOR_WITHIN, PRIOR_YEARS), _shrunken(state, PRIOR_STATE, PRIOR_STATE_YEARS)
        )

    def _case(self, year: int) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Mean of error times departure, and of departure squared, within states and of states' means."""
        places, column, departure = self.evidence.places, self.evidence.column(year), self.departure(year)
        truth, area = self.evidence.yields[:, column], self.evidence.area[:, column]
        error = truth - self.protocol.expected(year).without_official
        known = np.isfinite(error)
        if not known.any() or not departure.any():
            return None
        own, told = (
            (values - places.mean(np.where(known, values, np.nan))[places.state])[known]
            for values in (departure, error)
        )
        of_trees, of_states = (state_mean(values, area, places) for values in (departure, error))
        size = np.where(np.isfinite(of_states), np.sqrt(places.total(np.nan_to_num(area))), 0.0)
        size = size / max(size.sum(), 1.0)
        product, square = (np.nan_to_num(values) @ size for values in (of_trees * of_states, of_trees**2))
        return (float((own * told).mean()), float((own**2).mean())), (float(product), float(square))

    def add(self, year: int) -> Expected:
        """Expected yields of a year with the share of the trees in them."""
        expected = self.protocol.expected(year)
        return expected.with_trees(self._share_of(expected, self.departure(year)), self.evidence.places)

    def _share_of(self, expected: Expected, departure: Floats) -> Floats:
        """(municipality,) kg/ha that is used of a departure."""
        places, shares = self.evidence.places, self.shares
        of_state = np.nan_to_num(state_mean(departure, expected.area, places))[places.state]
        return np.asarray(shares.within * (departure - of_state) + shares.state * of_state)

    # --- what the trees see ---

    def _places(self, year: int) -> Floats:
        """(municipality, input) of places, all of it public on the date.

        Newest public yield and mean of five years, less the expected yield; their standard deviation; the
        place's scatter; the expected yield; area (log); water departure and effect; location; soil.
        """
        evidence, expected = self.evidence, self.protocol.expected(year)
        last = evidence.column(expected.last_public_year)
        window = evidence.yields[:, max(last - 4, 0) : last + 1]
        known = np.isfinite(window)
        count = known.sum(axis=1)
        mean = np.where(count > 0, np.where(known, window, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
        square = np.where(known, (window - mean[:, None]) ** 2, 0.0).sum(axis=1)
        deviation = np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)
        columns = [
            window[:, -1] - expected.level_trend, mean - expected.level_trend, deviation, expected.noise_sd,
            expected.level_trend, np.log(np.where(expected.area > 0, expected.area, np.nan)),
            expected.departure, expected.water_so_far, evidence.places.latitude_deg,
            evidence.places.longitude_deg, *evidence.soil.T,
        ]  # fmt: skip
        return np.stack(columns, axis=1)

    def _season_learner(self) -> _Learner:
        """Sees the places and the known months of the season, as departures from the other seasons' mean."""
        units, protocol, monthly = self.protocol.units, self.protocol, self.evidence.monthly
        if units is None or protocol.harvest_year not in units.seasons[0].centres:
            return _Learner(self._places, (), on_departures=False)
        first, count = units.months(protocol.harvest_year)
        after = (self.evidence.known_day(protocol.as_of) + 1).astype("datetime64[M]")
        known = int(np.clip((after - first).astype(np.int64), 0, count))
        seasons = {
            year: monthly.months(units.months(year)[0], known)
            for year in (*protocol.seasons, protocol.harvest_year)
        }

        def inputs(year: int) -> Floats:
            usual = np.mean([seasons[other] for other in protocol.seasons if other != year], axis=0)
            departure = seasons[year] - usual
            return np.concatenate((self._places(year), departure.reshape(len(departure), -1)), axis=1)

        years = [year for year in protocol.hindcast_years if year in protocol.teachers] if known else []
        return _Learner(inputs, years, on_departures=False)


class _Learner:
    """Trees by the years that teach them.

    Args:
        inputs: (year) -> (municipality, input).
        years: that may teach.
        on_departures: True to learn departures from the expected yields, False for the yields themselves.
    """

    def __init__(self, inputs: Callable[[int], Floats], years: Sequence[int], on_departures: bool) -> None:
        self.inputs, self.years, self.on_departures = inputs, years, on_departures
        self._tables: dict[int, tuple[Floats, Floats]] = {}
        self._fitted: dict[tuple[int, ...], Predict | None] = {}

    def departure(
        self, year: int, protocol: Protocol, inputs: Floats | None = None, expected: Expected | None = None
    ) -> Floats | None:
        """(municipality,) kg/ha from the expected yield, by the trees of years some years away; None
        without.

        Args:
            year: harvest year.
            protocol: of the date.
            inputs: in place of those of the year.
            expected: in place of the expected yield of the year.
        """
        teachers = tuple(other for other in self.years if abs(other - year) >= LEAST_GAP)
        if len(teachers) < LEAST_YEARS:
            return None
        if teachers not in self._fitted:
            rows, targets = zip(*(self._table(other, protocol) for other in teachers), strict=True)
            self._fitted[teachers] = fit_trees(np.concatenate(rows), np.concatenate(targets))
        predict = self._fitted[teachers]
        if predict is None:
            return None
        told = predict(self.inputs(year) if inputs is None else inputs)
        return told if self.on_departures else told - (expected or protocol.expected(year)).without_official

    def _table(self, year: int, protocol: Protocol) -> tuple[Floats, Floats]:
        if year not in self._tables:
            target = protocol.evidence.yields[:, protocol.evidence.column(year)]
            if self.on_departures:
                target = target - protocol.expected(year).without_official
            known = np.isfinite(target)
            self._tables[year] = self.inputs(year)[known], target[known]
        return self._tables[year]


def _shrunken(years: Sequence[tuple[float, float]], prior: float, weight: float) -> float:
    """Slope through sums of products and squares, drawn to a prior that weighs `weight` years."""
    square = sum(one for _, one in years)
    if square <= 0:
        return prior
    slope = min(max(sum(product for product, _ in years) / square, 0.0), 1.0)
    return (slope * len(years) + prior * weight) / (len(years) + weight)
