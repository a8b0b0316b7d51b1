"""Why a forecast is what it is: what the season's weather adds, by variable and month, in kg/ha.

The reference is the forecast of the same date had all known weather been usual (the climatology). Everything
that does not come from the season's weather, level and trend above all, is the same in both. The difference
is split exactly:

- Water balance: what each month moved it when it became known. Rain and evaporative demand of one month share
  by the mean of both orders (Shapley value of two).
- Boosted trees: month by month in the same order; the variables of a month share by their Shapley values.
- Network: integrated gradients of the members' mean, times the network's share.
- Not split: the official estimate, which already knows part of the weather and replaces what the other parts
  say of it; what the network's part is beside its own gradients (it counts as a departure from the other
  parts and from the state's mean); the calibration.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError
from yieldcast.features.samples import SampleSet
from yieldcast.features.weather import normals
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.hindcasts import RawForecasts, cached_hindcasts
from yieldcast.forecasting.integrated_gradients import (
    Attribution,
    attribute,
    from_months,
    in_months,
    mean_of_members,
)
from yieldcast.forecasting.network_response import with_response
from yieldcast.forecasting.scenarios import Scenarios, build_scenarios
from yieldcast.forecasting.water_steps import WaterSteps

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble

Floats = NDArray[np.float64]
Months = NDArray[np.datetime64]

MONTHLY = ("tmax_degC", "tmin_degC", "precipitation_mm")  # of the trees, in the order of their inputs
RAIN, DEMAND, WATER = "precipitation_mm", "evaporative_demand", "water_balance"
UNSPLIT = ("official", "network", "calibration")


@dataclass(frozen=True)
class Contribution:
    """What one variable of one month adds through one part of the forecast.

    Args:
        part: water, trees, network, official or calibration.
        variable: of the weather; empty where the part is not split.
        month: "2018-01"; empty where the part is not split.
        kg_ha: added to the forecast.
    """

    part: str
    variable: str
    month: str
    kg_ha: float


@dataclass(frozen=True)
class Explanation:
    """Why a forecast differs from that of usual weather.

    Args:
        municipality: code.
        forecast_kg_ha: median by the method "posterior", mean by "network".
        usual_kg_ha: the same had the known weather been usual.
        contributions: adding up to the difference.
        network: integrated gradients of the members' mean; None with the response network.
        network_alone: what the months add to the members' mean, whatever its share in the forecast.
        network_share: of the network in the forecast, 0 to 1.
    """

    municipality: int
    forecast_kg_ha: float
    usual_kg_ha: float
    contributions: tuple[Contribution, ...]
    network: Attribution | None
    network_alone: tuple[Contribution, ...] = ()
    network_share: float = 0.0

    @property
    def error_kg_ha(self) -> float:
        """By how much the contributions miss the difference."""
        total = sum(one.kg_ha for one in self.contributions)
        return float(total - (self.forecast_kg_ha - self.usual_kg_ha))

    def by_variable_and_month(self) -> dict[tuple[str, str], float]:
        """(variable, month) -> kg/ha over all parts that are split."""
        found: dict[tuple[str, str], float] = {}
        for one in self.contributions:
            if one.month:
                key = one.variable, one.month
                found[key] = found.get(key, 0.0) + one.kg_ha
        return found

    def not_split(self) -> dict[str, float]:
        """Part -> kg/ha that belong to no month."""
        return {one.part: one.kg_ha for one in self.contributions if not one.month}


def explain(plan: ForecastPlan, municipality: int, members: Ensemble | None = None) -> Explanation:
    """Explain the forecast of one municipality.

    Args:
        plan: of the forecast.
        municipality: code.
        members: of the run, if they are loaded already.

    Raises:
        MissingDataError: the municipality has no forecast.
        RunError: a member cannot be read.
    """
    return _Place(plan, municipality, members).explanation()


class _Place:
    """One municipality with the others of its state, whose means the forecast reads."""

    def __init__(self, plan: ForecastPlan, municipality: int, members: Ensemble | None) -> None:
        from yieldcast.forecasting.predictor import Ensemble

        self.plan, self.municipality = plan, municipality
        self.members = members or Ensemble.load(plan.run)
        codes = plan.municipalities(everywhere=False)
        if municipality not in codes:
            codes = plan.municipalities(everywhere=True)
        forecaster = plan.forecaster
        names = plan.run.identity.static_names
        rows = forecaster.source.to_forecast(plan.harvest_year, codes, plan.as_of, names)
        scenarios, usable = build_scenarios(
            forecaster.source, rows, plan.as_of, plan.method, forecaster.seasonal
        )
        rows = rows.take(usable)
        mine = rows.municipality == municipality
        if not mine.any():
            raise MissingDataError(
                f"{municipality} has no forecast: it has no weather, or no yield of the crop",
                "Choose a municipality of the bulletin.",
            )
        state = rows.state == rows.state[mine][0]
        self.rows: SampleSet = rows.take(state)
        self.scenarios: Scenarios = scenarios.take(state)
        self.at = int(np.flatnonzero(self.rows.municipality == municipality)[0])
        self.usual_weather = self._usual_weather()

    def _usual_weather(self) -> NDArray[np.float32]:
        """(scenario, row, step, variable) the scenarios with the climatology in the observed months."""
        source = self.plan.forecaster.source
        place = np.searchsorted(source.tables.static["municipality"].values, self.rows.municipality)
        season = source.cut(place, self.rows.harvest_year, self.plan.as_of)
        self.months: Months = season["month"].values.astype("datetime64[M]")[self.at]
        names = [str(name) for name in season["variable"].values]
        self.variables, self.summed = names, names.index(source.weather[1])
        months = in_months(self.scenarios.weather.astype(np.float64), self.summed)
        usual = np.zeros(months.shape[1:])
        if source.settings.weather_inputs == "values":
            climate = source.climate(self.plan.as_of)
            every = season["month"].values
            usual = in_months(
                normals(climate, self.rows.municipality, every, season, source.weather[1]).astype(np.float64),
                self.summed,
            )  # fmt: skip
        months = np.where(self.scenarios.observed[None, :, :, None], usual[None], months)
        months[..., self.summed] = np.cumsum(months[..., self.summed], axis=-1)
        return months.astype(np.float32)

    def explanation(self) -> Explanation:
        """See `explain`."""
        plan, forecaster = self.plan, self.plan.forecaster
        raw = forecaster.raw_forecasts(self.members, self.rows, self.scenarios, plan.as_of)
        usual = replace(self.scenarios, weather=self.usual_weather)
        raw_usual = forecaster.raw_forecasts(self.members, self.rows, usual, plan.as_of)
        if plan.run.settings.forecast.method != "posterior":
            network = self._gradients()
            mean, mean_usual = (float(one.mean_kg_ha[self.at]) for one in (raw, raw_usual))
            found = [*self._of_network(network, 1.0)]
            found.append(_rest("network", mean - mean_usual, found))
            alone = tuple(self._of_network(network, 1.0))
            return Explanation(self.municipality, mean, mean_usual, tuple(found), network, alone, 1.0)
        return self._posterior(raw, raw_usual)

    def _posterior(self, raw: RawForecasts, raw_usual: RawForecasts) -> Explanation:
        plan, combiner = self.plan, self.plan.combiner
        past = cached_hindcasts(plan.forecaster, self.members, plan.harvest_year, plan.input_fingerprints)
        response = plan.run.settings.network.form == "response"
        usual = self._usual_combiner()
        if response:  # with usual weather its departure from the other parts is exactly 0
            raw, past = with_response(combiner, raw, past, plan.run.seeds())
            rows = np.searchsorted(combiner.codes, raw_usual.municipality)
            raw_usual = replace(raw_usual, mean_kg_ha=usual.expected.forecast[rows])
        now, other = (
            one.combine(values, past, within_states=not response)
            for one, values in ((combiner, raw), (usual, raw_usual))
        )
        differ = {name: float(now.parts[name][self.at] - other.parts[name][self.at]) for name in now.parts}
        found = [*self._of_water(), *self._of_trees()]
        network, alone = None, tuple[Contribution, ...]()
        if not response:
            network = self._gradients()
            alone = tuple(self._of_network(network, 1.0))
            if now.network_share > 0:
                found += self._of_network(network, now.network_share)
        for name in ("official", "network", "calibration"):
            found.append(_rest(name, differ[name], found))
        median, median_usual = (
            float(sum(values[self.at] for values in one.parts.values())) for one in (now, other)
        )
        return Explanation(
            self.municipality, median, median_usual, tuple(found), network, alone, now.network_share
        )

    def _usual_combiner(self) -> Combiner:
        """The combiner whose season has usual weather; everything learned stays."""
        combiner = self.plan.combiner
        trees, evidence, places = combiner.trees, combiner.evidence, combiner.evidence.places
        expected = evidence.under_usual_weather(combiner.expected)
        nothing = np.zeros(len(expected.level_trend))
        factors = np.zeros((trees.known_months, len(MONTHLY)))
        other = copy.copy(combiner)
        other.__dict__["expected"] = expected.with_trees(trees.under(nothing, nothing, factors), places)
        return other

    # --- the parts ---

    @property
    def _row(self) -> int:
        """Position of the municipality in the evidence."""
        return int(np.searchsorted(self.plan.combiner.codes, self.municipality))

    @cached_property
    def _steps(self) -> WaterSteps | None:
        return WaterSteps.of(self.plan.combiner.protocol)

    def _ends(self, steps: WaterSteps) -> tuple[list[str], list[np.datetime64]]:
        """Months of the season so far, and the last known day before the first and in each."""
        known = self.plan.combiner.evidence.known_day(self.plan.as_of)
        start = min(steps.first_day.astype("datetime64[M]"), steps.season.months(self.plan.harvest_year)[0])
        months = np.arange(start, known.astype("datetime64[M]") + 1)
        last_days = [min((month + 1).astype("datetime64[D]") - 1, known) for month in months]
        before = start.astype("datetime64[D]") - 1
        return [str(month) for month in months], [before, *last_days]

    def _of_water(self) -> Iterable[Contribution]:
        steps = self._steps
        unit = -1 if steps is None else int(steps.season.unit[self._row])
        if steps is None or unit < 0:
            return
        own = np.array([unit])
        months, ends = self._ends(steps)

        def effect(rain: np.datetime64, demand: np.datetime64) -> float:
            return float(steps.effect(own, steps.index(own, rain, demand))[0])

        for month, old, new in zip(months, ends, ends[1:], strict=False):
            corners = effect(old, old), effect(new, old), effect(old, new), effect(new, new)
            rain = (corners[1] - corners[0] + corners[3] - corners[2]) / 2
            demand = (corners[2] - corners[0] + corners[3] - corners[1]) / 2
            yield Contribution("water", RAIN, month, rain)
            yield Contribution("water", DEMAND, month, demand)

    def _of_trees(self) -> Iterable[Contribution]:
        combiner = self.plan.combiner
        trees, expected, row = combiner.trees, combiner.expected, self._row
        steps = self._steps
        if steps is None or not trees.departure(self.plan.harvest_year).any():
            return
        months, ends = self._ends(steps)
        units = np.unique(steps.season.unit[expected.state == expected.state[row]])
        units = units[units >= 0]
        first = steps.season.months(self.plan.harvest_year)[0]
        seen = np.zeros((trees.known_months, len(MONTHLY)))
        nothing = np.zeros(len(expected.level_trend))
        water = nothing, nothing

        def at(end: np.datetime64) -> tuple[Floats, Floats]:
            if end == ends[-1]:
                return expected.water_so_far, expected.departure
            index = np.zeros(len(steps.slope))
            index[units] = steps.index(units, end, end)
            of_places = steps.season.to_municipalities
            return of_places(steps.slope * index), of_places(index)

        for month, end in zip(months, ends[1:], strict=True):
            after = at(end)
            step = int((np.datetime64(month, "M") - first).astype(np.int64))
            monthly = MONTHLY if 0 <= step < len(seen) else ()

            def told(
                chosen: frozenset[str], step: int = step, before: Any = water, now: Any = after
            ) -> float:
                factors = seen.copy()
                for k, name in enumerate(MONTHLY):
                    if name in chosen:
                        factors[step, k] = 1.0
                effect, index = now if WATER in chosen else before
                return float(trees.under(effect, index, factors)[row])

            for name, value in shapley((*monthly, WATER), told).items():
                yield Contribution("trees", name, month, value)
            if monthly:
                seen[step] = 1.0
            water = after

    def _gradients(self) -> Attribution:
        run = self.plan.run
        models = [run.load_member(seed) for seed in self.members.seeds]
        both = from_months(mean_of_members(models, self.rows.static[self.at]), self.summed)
        inputs, baseline = (
            in_months(weather[:, self.at].astype(np.float64), self.summed)
            for weather in (self.scenarios.weather, self.usual_weather)
        )
        return attribute(both, inputs, baseline)

    def _of_network(self, found: Attribution, share: float) -> Iterable[Contribution]:
        """Of the months observed: the others are the same in both."""
        by_month = share * found.values.sum(axis=0)
        for step in np.flatnonzero(self.scenarios.observed[self.at]):
            for k, name in enumerate(self.variables):
                yield Contribution("network", name, str(self.months[step]), float(by_month[step, k]))


def _rest(part: str, difference: float, found: Sequence[Contribution]) -> Contribution:
    """What a part has beside its split contributions."""
    return Contribution(part, "", "", difference - sum(one.kg_ha for one in found if one.part == part))


def shapley(players: Sequence[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """Shapley values (Shapley 1953): the mean over all orders of what a player adds when it joins.

    Args:
        players: a few.
        value: of a set of players.
    """
    count = len(players)
    sets = [frozenset(one) for size in range(count + 1) for one in combinations(players, size)]
    values = {one: value(one) for one in sets}
    found = {}
    for player in players:
        found[player] = sum(
            math.factorial(len(one)) * math.factorial(count - len(one) - 1) / math.factorial(count)
            * (values[one | {player}] - values[one])
            for one in sets if player not in one
        )  # fmt: skip
    return found
