"""The forecasts of one date of a backtest: with all members, with fewer, and each ingredient alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from yieldcast.evaluation.accuracy import Prediction
from yieldcast.forecasting.combination import Combination, Combiner
from yieldcast.forecasting.expected import CropEvidence
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.hindcasts import Forecaster, RawForecasts, cached_hindcasts
from yieldcast.forecasting.leakage import check_left_out
from yieldcast.forecasting.network_response import with_response
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, QUANTILES, Forecast

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble

Codes = npt.NDArray[np.int32]
# Raw forecasts of the season and of left-out years by some members.
Network = Callable[["Ensemble"], tuple[RawForecasts, RawForecasts]]
WATER, POSTERIOR, TREES = "level_trend+water", "posterior", "posterior+trees"
SOME_MEMBERS = (1, 3, 10, 30)  # numbers of members that are scored besides the whole ensemble


def forward_network(plan: ForecastPlan, municipalities: Codes) -> Network:
    """Forecasts of a season by members that know only what was public on the date."""

    def made(members: Ensemble) -> tuple[RawForecasts, RawForecasts]:
        inputs = plan.input_fingerprints
        past = cached_hindcasts(plan.forecaster, members, plan.harvest_year, inputs, least=1)
        return plan.forecaster.forecast(members, plan.harvest_year, municipalities)[0], past

    return made


def left_out_network(
    forecaster: Forecaster, harvest_year: int, date: dt.date, municipalities: Codes, inputs: Mapping[str, str]
) -> Network:
    """Forecasts of a season by members that were trained on all other years, later ones too.

    Args:
        forecaster: with the weather of the whole record, of tables without the yields of the year.
        harvest_year: the season.
        date: of the forecast.
        municipalities: codes, ascending.
        inputs: fingerprints, for the cache of hindcasts.

    Raises:
        LeakageError: the run was trained on the season itself.
    """
    check_left_out(forecaster.run, harvest_year)

    def made(members: Ensemble) -> tuple[RawForecasts, RawForecasts]:
        past = cached_hindcasts(forecaster, members, harvest_year, inputs, date=date, least=1)
        return forecaster.left_out(members, harvest_year, municipalities, date), past

    return made


@dataclass
class PosteriorSteps:
    """Forecasts by the method "posterior" and its ingredients.

    Args:
        combiner: of the date.
        network: see `Network`; None for a forecast without a network.
        members: all members; None without a network.
        response: whether the network's part is that of members in the response form.
    """

    combiner: Combiner
    network: Network | None
    members: Ensemble | None
    response: bool = False

    @cached_property
    def without_network(self) -> Combination:
        """From level, trend, water, trees and official estimates."""
        return self.combiner.without_network()

    @cached_property
    def forecast(self) -> Prediction:
        """With everything."""
        return self._of(self.members)

    def steps(self) -> dict[str, Prediction]:
        """Ingredient by ingredient, then with the first members of the ensemble."""
        plain = self.combiner.without_trees
        found = {
            WATER: Prediction(plain.without_official), POSTERIOR: Prediction(plain.forecast),
            TREES: self._prediction(self.without_network),
        }  # fmt: skip
        if self.members is not None:
            count = len(self.members.seeds)
            for number in SOME_MEMBERS:
                if number <= count:
                    one = self._of(self.members.take(range(number))) if number < count else self.forecast
                    found[f"forecast_{number}_member{'s' if number > 1 else ''}"] = one
        return found

    def _of(self, members: Ensemble | None) -> Prediction:
        if self.network is None or members is None:
            return self._prediction(self.without_network)
        raw, past = self.network(members)
        if self.response:
            raw, past = with_response(self.combiner, raw, past, members.seeds)
        rows = np.searchsorted(self.combiner.codes, raw.municipality)
        return self._prediction(self.combiner.combine(raw, past, within_states=not self.response), rows)

    def _prediction(self, found: Combination, rows: npt.NDArray[np.intp] | None = None) -> Prediction:
        """Of all municipalities: those that the network cannot forecast are forecast without it."""
        if rows is None:
            mean, quantiles = found.mean, found.quantiles
        else:
            mean, quantiles = self.without_network.mean.copy(), self.without_network.quantiles.copy()
            mean[rows], quantiles[rows] = found.mean, found.quantiles
        names = self.combiner.evidence.estimates.states.astype(str).tolist()
        nothing = np.full(len(QUANTILES), np.nan)
        return Prediction(
            mean, quantiles,
            np.array([found.aggregate_mean.get(name, np.nan) for name in names]),
            np.array([found.aggregates.get(name, nothing) for name in names]),
            found.aggregate_mean[ALL_MUNICIPALITIES], found.aggregates[ALL_MUNICIPALITIES],
        )  # fmt: skip


def of_network_forecast(forecast: Forecast, codes: Codes, evidence: CropEvidence) -> Prediction:
    """The prediction of a forecast by the method "network"; NaN where it has none.

    Args:
        forecast: of the date.
        codes: (municipality,) codes of all municipalities, ascending.
        evidence: names the states.
    """
    rows = np.searchsorted(codes, forecast["municipality"].values)
    mean, quantiles = np.full(len(codes), np.nan), np.full((len(codes), len(QUANTILES)), np.nan)
    mean[rows], quantiles[rows] = forecast["yield_mean_kg_ha"].values, forecast["yield_kg_ha"].values
    names = forecast["aggregate"].values.astype(str).tolist()
    means, spreads = (
        forecast[name].values.astype(np.float64)
        for name in ("aggregate_yield_mean_kg_ha", "aggregate_yield_kg_ha")
    )
    states = evidence.estimates.states.astype(str).tolist()
    at = [names.index(state) if state in names else -1 for state in states]
    found = np.array(at) >= 0
    whole = names.index(ALL_MUNICIPALITIES)
    return Prediction(
        mean, quantiles, np.where(found, means[at], np.nan), np.where(found[:, None], spreads[at], np.nan),
        float(means[whole]), spreads[whole],
    )  # fmt: skip
