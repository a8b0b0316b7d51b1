"""The forecast of a date: expected yields, the share of the network, and intervals from hindcasts.

Hindcasts of past harvest years are made for the same day of their year by the same code, each with a water
response from the other years. They teach boosted trees (`trees`), give the share of the network (how far its
departure from the expected yield was right in years that its members had left out) and the intervals
(`intervals`). Where the yields are too few for hindcasts, the residuals of level and trend give the intervals
(`few_years`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.forecasting.aggregation import Aggregates
from yieldcast.forecasting.expected import CropEvidence, Expected
from yieldcast.forecasting.few_years import check_years, residual_hindcasts
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.intervals import Hindcast, aggregate_quantiles, error_quantiles, scale
from yieldcast.forecasting.posterior import gain_factor
from yieldcast.forecasting.protocol import Name, Protocol
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, QUANTILES
from yieldcast.forecasting.trees import Trees, TreeShares

Floats = NDArray[np.float64]

LEAST_HINDCASTS = 3  # for intervals from hindcasts
NETWORK_PRIOR_YEARS = 4.0  # years without any use that the network's share is shrunken by


@dataclass(frozen=True)
class Combination:
    """A calibrated forecast; rows are those asked for.

    Args:
        quantiles: (row, quantile) kg/ha.
        mean: (row,) kg/ha, the middle of the combination.
        parts: name -> (row,) kg/ha, adding up to the median.
        network_share: weight of the network, 0 to 1.
        gain_factor: of the gains of official estimates.
        tree_shares: of boosted trees.
        aggregates: name -> (quantile,) kg/ha of the country and the states.
        aggregate_mean: name -> kg/ha.
        years: harvest years that the intervals rest on.
        protocol: see `protocol`; recorded where it is not "forward".
        intervals: "hindcasts", or "residuals" of level and trend (`few_years`), recorded then.
        hindcasts: that the intervals rest on; none where they rest on residuals.
    """

    quantiles: Floats
    mean: Floats
    parts: dict[str, Floats]
    network_share: float
    gain_factor: float
    tree_shares: TreeShares
    aggregates: dict[str, Floats]
    aggregate_mean: dict[str, float]
    years: tuple[int, ...]
    protocol: Name = "forward"
    intervals: Literal["hindcasts", "residuals"] = "hindcasts"
    hindcasts: tuple[Hindcast, ...] = ()

    def about(self) -> dict[str, Any]:
        """What a forecast says of its calibration."""
        about: dict[str, Any] = {
            "years": list(self.years), "record_years": len(self.years), "method": "posterior",
            "network_share": round(self.network_share, 3), "gain_factor": round(self.gain_factor, 3),
            "tree_share": round(self.tree_shares.within, 3),
            "tree_share_of_states": round(self.tree_shares.state, 3),
        }  # fmt: skip
        if self.protocol != "forward":
            about["protocol"] = self.protocol
        if self.intervals != "hindcasts":
            about["intervals"] = self.intervals
        return about

    def replace(self, aggregates: Aggregates) -> Aggregates:
        """The aggregates with this forecast's quantiles and means."""
        return replace(
            aggregates, quantiles_kg_ha=np.array([self.aggregates[name] for name in aggregates.names]),
            mean_kg_ha=np.array([self.aggregate_mean[name] for name in aggregates.names]),
        )  # fmt: skip


@dataclass(frozen=True)
class _Network:
    """Arguments of `Combiner.combine`."""

    raw: RawForecasts
    past: RawForecasts | None
    within_states: bool


class Combiner:
    """Makes one forecast from a crop's evidence.

    Args:
        evidence: of the crop.
        codes: (municipality,) codes of the evidence's municipalities, ascending.
        harvest_year: the season.
        as_of: date of the forecast.
        protocol: "forward", or "leave_year_out" to judge the method, see `protocol`.

    Raises:
        ConfigError: another protocol.
    """

    def __init__(
        self,
        evidence: CropEvidence,
        codes: NDArray[np.int32],
        harvest_year: int,
        as_of: dt.date,
        protocol: Name = "forward",
    ) -> None:
        self.protocol = Protocol(evidence, harvest_year, as_of, protocol)
        self.evidence, self.codes = self.protocol.evidence, codes

    @cached_property
    def plain_hindcasts(self) -> dict[int, Expected]:
        """Expected yields of the years that teach, on the same day of their year, without trees."""
        return {year: self.protocol.expected(year) for year in self.protocol.hindcast_years}

    @cached_property
    def trees(self) -> Trees:
        """Taught by the hindcasts."""
        return Trees(self.protocol)

    @cached_property
    def hindcasts(self) -> dict[int, Expected]:
        """The same with trees, and with the gains of official estimates that they themselves give."""
        found = {year: self.trees.add(year) for year in self.protocol.hindcast_years}
        factor = self._gain_factor(found)
        return {year: one.with_gain(factor) for year, one in found.items()}

    @cached_property
    def expected(self) -> Expected:
        """Of the season on the date: level, trend, water, trees and official estimates."""
        found = self.trees.add(self.protocol.harvest_year)
        return found.with_gain(self._gain_factor(self.hindcasts))

    def gain_factor(self) -> float:
        """By what the prior gains of official estimates are multiplied in `expected` and `hindcasts`."""
        return self.expected.posterior.factor

    @cached_property
    def without_trees(self) -> Expected:
        """The same without trees: a step of the ablation."""
        plain = self.protocol.expected(self.protocol.harvest_year)
        return plain.with_gain(self._gain_factor(self.plain_hindcasts))

    def _gain_factor(self, hindcasts: dict[int, Expected]) -> float:
        """See `posterior.gain_factor`."""
        places, evidence = self.evidence.places, self.evidence
        return gain_factor([
            (one.with_gain(1.0).posterior, evidence.state_yield(year), places.total(np.nan_to_num(one.area)))
            for year, one in hindcasts.items()
        ])  # fmt: skip

    def combine(
        self,
        raw: RawForecasts,
        past: RawForecasts | None,
        *,
        within_states: bool = True,
        chosen: NDArray[np.bool_] | None = None,
    ) -> Combination:
        """The forecast of rows.

        Args:
            raw: the network's uncalibrated forecast of the rows wanted.
            past: its hindcasts of years that members left out; None to leave the network out.
            within_states: use the network's departures from the expected yield less their mean in each
                state. Members that left out a year were trained on later ones too and know the growth since,
                which no forecast can know: in hindcasts their state means look better than they are.
            chosen: (row,) rows of the states asked for, of which the first aggregate is made; None for all.

        Raises:
            RunError: fewer than three harvest years of public yields.
        """
        rows = np.searchsorted(self.codes, raw.municipality)
        network = _Network(raw, past, within_states)
        return self._combine(rows, network, chosen)

    def without_network(self) -> Combination:
        """The forecast of all municipalities without the network."""
        return self._combine(np.arange(len(self.codes)), None)

    def _combine(
        self, rows: NDArray[np.intp], network: _Network | None, chosen: NDArray[np.bool_] | None = None
    ) -> Combination:
        check_years(self.evidence, self.protocol.last)
        current = self.expected
        share = 0.0 if network is None else self._network_share(network)
        checked = [self._checked(year, one, network, share) for year, one in self.hindcasts.items()]
        enough = len(checked) >= LEAST_HINDCASTS
        if not enough:
            checked = residual_hindcasts(self.evidence, current, self.protocol.harvest_year)
        expected = current.forecast
        departure = (
            np.zeros(len(rows)) if network is None else self._departure(network, network.raw, expected)
        )
        parts = {
            "level": current.level[rows],
            "trend": current.trend[rows],
            "water_so_far": current.water_so_far[rows],
            "weather_to_come": current.weather_to_come[rows],
            "official": current.official[rows],
            "trees": current.trees[rows],
            "network": share * departure,
        }
        middle = np.maximum(sum(parts.values()), 0.0)
        parts["network"] = parts["network"] + middle - sum(parts.values())  # where a sum below 0 was lifted
        quantiles = middle[:, None] + scale(current)[rows, None] * error_quantiles(checked)
        quantiles = np.maximum(np.maximum.accumulate(quantiles, axis=1), 0.0)
        parts["calibration"] = quantiles[:, QUANTILES.index(0.50)] - middle
        whole = expected.copy()
        whole[rows] = middle
        means = self._aggregate_means(whole, rows)
        places, within = self.evidence.places, None
        if chosen is not None:  # the first aggregate is that of the chosen rows and of their states' errors
            means[ALL_MUNICIPALITIES] = self._aggregate_means(whole, rows[chosen])[ALL_MUNICIPALITIES]
            within = np.isin(places.state, np.unique(places.state[rows[chosen]]))
        aggregates = aggregate_quantiles(means, checked, self.evidence.estimates.states, places, within)
        return Combination(
            quantiles, middle, parts, share, current.posterior.factor, self.trees.shares, aggregates, means,
            tuple(one.year for one in checked), self.protocol.name, "hindcasts" if enough else "residuals",
            tuple(checked) if enough else (),
        )  # fmt: skip

    def _aggregate_means(self, whole: Floats, rows: NDArray[np.intp]) -> dict[str, float]:
        """Area-weighted means of the country and of every state with a row, kg/ha."""
        names, state, area = self.evidence.estimates.states, self.evidence.places.state, self.expected.area
        asked = np.zeros(len(self.codes), dtype=bool)
        asked[rows] = True
        weight = np.where(asked & np.isfinite(area), area, 0.0)
        groups = {ALL_MUNICIPALITIES: asked}
        groups |= {str(names[index]): asked & (state == index) for index in np.unique(state[rows])}
        means = {}
        for name, mine in groups.items():
            own = weight[mine] if weight[mine].sum() > 0 else np.ones(int(mine.sum()))
            means[name] = float(np.average(whole[mine], weights=own))
        return means

    # --- the network ---

    def _departure(self, network: _Network, raw: RawForecasts, expected: Floats) -> Floats:
        """(row,) kg/ha by which the network departs from the (municipality,) expected yields."""
        rows = np.searchsorted(self.codes, raw.municipality)
        departure = raw.mean_kg_ha - expected[rows]
        if not network.within_states:
            return departure
        state, known = self.evidence.places.state[rows], np.isfinite(departure)
        total, count = (
            np.bincount(state[known], weights, minlength=self.evidence.places.states)
            for weights in (departure[known], None)
        )
        return departure - (total / np.maximum(count, 1))[state]

    def _network_share(self, network: _Network) -> float:
        """How much of the network's departure from the expected yield was right in left-out years, 0 to 1."""
        past = network.past
        if past is None:
            return 0.0
        product = square = 0.0
        years = 0
        for year in np.unique(past.harvest_year).astype(int):
            if year not in self.hindcasts:
                continue
            mine, expected = past.take(past.harvest_year == year), self.hindcasts[year].forecast
            departure = self._departure(network, mine, expected)
            error = mine.target_kg_ha - expected[np.searchsorted(self.codes, mine.municipality)]
            known = np.isfinite(departure) & np.isfinite(error)
            product += float((departure * error)[known].mean())
            square += float((departure[known] ** 2).mean())
            years += 1
        if square <= 0:
            return 0.0
        return float(np.clip(product / square, 0.0, 1.0)) * years / (years + NETWORK_PRIOR_YEARS)

    def _checked(self, year: int, expected: Expected, network: _Network | None, share: float) -> Hindcast:
        forecast = expected.forecast.copy()
        if network is not None and network.past is not None and share > 0:
            mine = network.past.take(network.past.harvest_year == year)
            rows = np.searchsorted(self.codes, mine.municipality)
            forecast[rows] += share * self._departure(network, mine, expected.forecast)
        column = self.evidence.column(year)
        truth, area = self.evidence.yields[:, column], self.evidence.area[:, column]
        return Hindcast(year, np.maximum(forecast, 0.0), truth, area, scale(expected))
