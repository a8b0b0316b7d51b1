"""The forecast of a date: expected yields, the share of the network, and intervals from hindcasts.

Hindcasts of past harvest years are made for the same day of their year by the same code, each with a water
response from the other years. They give the share of the network (how far its departure from the expected
yield was right in years that its members had left out) and the intervals: the quantiles of scaled errors of
each year, averaged over the years, so that years count and not rows, and moved outwards by part of their
standard deviation between years.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from yieldcast.errors import RunError
from yieldcast.forecasting.aggregation import Aggregates
from yieldcast.forecasting.expected import CropEvidence, Expected
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.posterior import gain_factor
from yieldcast.forecasting.protocol import FIRST_HINDCAST, Name, Protocol
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, QUANTILES
from yieldcast.models.sharing import state_mean

Floats = NDArray[np.float64]

LEAST_HINDCASTS = 3
# Looked at on the forecasts of harvest years 2014-2018, where 0.3 to 0.35 and 0.5 to 1 all cover 85 to 95 %
# in every year. Outwards: quantiles move by this part of their standard deviation between years, for the
# coming year is one more year, not the mean year. Scale: part of the municipality's own scatter, the rest is
# the country's.
OUTWARDS, SCALE_POWER = 0.3, 0.75
MEDIAN_SHARE = (
    0.5  # of the mean of the yearly medians that the median takes over: past biases only partly return
)
NETWORK_PRIOR_YEARS = 4.0  # years without any use that the network's share is shrunken by
AGGREGATE_PRIOR_DOF = 6.0  # weight of the other states' variance in a state's, in years


@dataclass(frozen=True)
class Hindcast:
    """A past year as it would have been forecast.

    Args:
        year: harvest year.
        expected: of that year, on the same day.
        forecast: (municipality,) kg/ha, the network's share included where it has one.
        truth: (municipality,) kg/ha, NaN = no yield.
        area: (municipality,) harvested area of that year, ha.
    """

    year: int
    expected: Expected
    forecast: Floats
    truth: Floats
    area: Floats


@dataclass(frozen=True)
class Combination:
    """A calibrated forecast; rows are those asked for.

    Args:
        quantiles: (row, quantile) kg/ha.
        mean: (row,) kg/ha, the middle of the combination.
        parts: name -> (row,) kg/ha, adding up to the median.
        network_share: weight of the network, 0 to 1.
        gain_factor: of the gains of official estimates.
        aggregates: name -> (quantile,) kg/ha of the country and the states.
        aggregate_mean: name -> kg/ha.
        years: harvest years of the hindcasts.
        protocol: see `protocol`; recorded where it is not "forward".
    """

    quantiles: Floats
    mean: Floats
    parts: dict[str, Floats]
    network_share: float
    gain_factor: float
    aggregates: dict[str, Floats]
    aggregate_mean: dict[str, float]
    years: tuple[int, ...]
    protocol: Name = "forward"

    def about(self) -> dict[str, Any]:
        """What a forecast says of its calibration."""
        about = {
            "years": list(self.years), "record_years": len(self.years), "method": "posterior",
            "network_share": round(self.network_share, 3), "gain_factor": round(self.gain_factor, 3),
        }  # fmt: skip
        return about if self.protocol == "forward" else {**about, "protocol": self.protocol}

    def replace(self, aggregates: Aggregates) -> Aggregates:
        """The aggregates with this forecast's quantiles and means."""
        return replace(
            aggregates, quantiles_kg_ha=np.array([self.aggregates[name] for name in aggregates.names]),
            mean_kg_ha=np.array([self.aggregate_mean[name] for name in aggregates.names]),
        )  # fmt: skip


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
    def expected(self) -> Expected:
        """Of the season on the date, with the prior gains of official estimates."""
        return self.protocol.expected(self.protocol.harvest_year)

    @cached_property
    def hindcasts(self) -> dict[int, Expected]:
        """Expected yields of the years that teach, on the same day of their year."""
        return {year: self.protocol.expected(year) for year in self.protocol.hindcast_years}

    def gain_factor(self) -> float:
        """See `posterior.gain_factor`, over the hindcasts."""
        places, evidence = self.evidence.places, self.evidence
        return gain_factor([
            (one.posterior, evidence.state_yield(year), places.total(np.nan_to_num(one.area)))
            for year, one in self.hindcasts.items()
        ])  # fmt: skip

    def combine(self, raw: RawForecasts, past: RawForecasts | None) -> Combination:
        """The forecast of rows.

        Args:
            raw: the network's uncalibrated forecast of the rows wanted.
            past: its hindcasts of years that members left out; None to leave the network out.

        Raises:
            RunError: fewer than three years of yields for hindcasts.
        """
        rows = np.searchsorted(self.codes, raw.municipality)
        return self._combine(rows, raw.mean_kg_ha, past)

    def without_network(self) -> Combination:
        """The forecast of all municipalities from level, trend, water and official estimates."""
        return self._combine(np.arange(len(self.codes)), None, None)

    def _combine(
        self, rows: NDArray[np.intp], network_kg_ha: Floats | None, past: RawForecasts | None
    ) -> Combination:
        years = self.protocol.hindcast_years
        if len(years) < LEAST_HINDCASTS:
            raise RunError(
                f"intervals need hindcasts of {LEAST_HINDCASTS} harvest years, received {len(years)}: the "
                f"yields begin with {self.evidence.first_year} and are public to {self.protocol.last}",
                f"Add earlier yields: {FIRST_HINDCAST} years before the first hindcast.",
            )
        factor = self.gain_factor()
        hindcasts = {year: one.with_gain(factor) for year, one in self.hindcasts.items()}
        current = self.expected.with_gain(factor)
        share = self._network_share(hindcasts, past)
        checked = [self._checked(year, one, past, share) for year, one in hindcasts.items()]
        expected = current.forecast
        network = np.zeros(len(rows))
        if network_kg_ha is not None:
            network = share * (network_kg_ha - expected[rows])
        parts = {
            "level_trend": current.level_trend[rows],
            "water_so_far": current.water_so_far[rows],
            "weather_to_come": current.weather_to_come[rows],
            "official": current.official[rows],
            "network": network,
        }
        middle = np.maximum(sum(parts.values()), 0.0)
        parts["network"] = parts["network"] + middle - sum(parts.values())  # where a sum below 0 was lifted
        quantiles = middle[:, None] + _scale(current)[rows, None] * error_quantiles(checked)
        quantiles = np.maximum(np.maximum.accumulate(quantiles, axis=1), 0.0)
        parts["calibration"] = quantiles[:, QUANTILES.index(0.50)] - middle
        whole = expected.copy()
        whole[rows] = middle
        aggregates, means = self._aggregates(whole, rows, checked)
        return Combination(
            quantiles, middle, parts, share, factor, aggregates, means, tuple(years),
            self.protocol.name,
        )  # fmt: skip

    # --- the network ---

    def _network_share(self, hindcasts: dict[int, Expected], past: RawForecasts | None) -> float:
        """How much of the network's departure from the expected yield was right in left-out years, 0 to 1."""
        if past is None:
            return 0.0
        product = square = 0.0
        years = 0
        for year in np.unique(past.harvest_year).astype(int):
            if year not in hindcasts:
                continue
            mine = past.harvest_year == year
            expected = hindcasts[year].forecast[np.searchsorted(self.codes, past.municipality[mine])]
            departure = past.mean_kg_ha[mine] - expected
            error = past.target_kg_ha[mine] - expected
            known = np.isfinite(departure) & np.isfinite(error)
            product += float((departure * error)[known].mean())
            square += float((departure[known] ** 2).mean())
            years += 1
        if square <= 0:
            return 0.0
        return float(np.clip(product / square, 0.0, 1.0)) * years / (years + NETWORK_PRIOR_YEARS)

    def _checked(self, year: int, expected: Expected, past: RawForecasts | None, share: float) -> Hindcast:
        forecast = expected.forecast.copy()
        if past is not None and share > 0:
            mine = past.harvest_year == year
            rows = np.searchsorted(self.codes, past.municipality[mine])
            forecast[rows] += share * (past.mean_kg_ha[mine] - forecast[rows])
        column = self.evidence.column(year)
        truth, area = self.evidence.yields[:, column], self.evidence.area[:, column]
        return Hindcast(year, expected, np.maximum(forecast, 0.0), truth, area)

    # --- states and the country ---

    def _aggregates(
        self, whole: Floats, rows: NDArray[np.intp], checked: list[Hindcast]
    ) -> tuple[dict[str, Floats], dict[str, float]]:
        """Quantiles and means of the country and of every state with a row."""
        places, area = self.evidence.places, self.expected.area
        asked = np.zeros(len(self.codes), dtype=bool)
        asked[rows] = True
        weight = np.where(asked & np.isfinite(area), area, 0.0)
        names = self.evidence.estimates.states
        errors = {ALL_MUNICIPALITIES: np.array([_country_error(one) for one in checked])}
        of_states = np.array([
            state_mean(np.where(np.isfinite(one.truth), one.truth - one.forecast, np.nan), one.area, places)
            for one in checked
        ])  # fmt: skip
        means, quantiles = {}, {}
        for index in np.unique(places.state[rows]):
            errors[str(names[index])] = of_states[:, index]
        for name in errors:
            mine = asked if name == ALL_MUNICIPALITIES else asked & (names[places.state] == name)
            own = weight[mine] if weight[mine].sum() > 0 else np.ones(int(mine.sum()))
            means[name] = float(np.average(whole[mine], weights=own))
        relative = {name: error[np.isfinite(error)] / max(means[name], 1.0) for name, error in errors.items()}
        pooled = np.concatenate([e for name, e in relative.items() if name != ALL_MUNICIPALITIES])
        common = float(np.median(pooled**2) / stats.chi2.median(1)) if len(pooled) else 0.0
        for name, error in relative.items():
            prior = 0.0 if name == ALL_MUNICIPALITIES else AGGREGATE_PRIOR_DOF
            dof = max(len(error) + prior, 1.0)
            variance = ((error**2).sum() + prior * common) / dof
            spread = means[name] * np.sqrt(variance) * stats.t.ppf(QUANTILES, dof)
            quantiles[name] = np.maximum(means[name] + spread, 0.0)
        return quantiles, means


def _scale(expected: Expected) -> Floats:
    """(municipality,) kg/ha: scatter of the place, drawn to that of the country."""
    typical = np.sqrt(np.mean(expected.noise_sd**2))
    return np.asarray(expected.noise_sd**SCALE_POWER * typical ** (1.0 - SCALE_POWER))


def error_quantiles(checked: list[Hindcast]) -> Floats:
    """(quantile,) of the scaled error of a new year, see the module's docstring.

    Args:
        checked: hindcasts, three or more.
    """
    by_year = []
    for one in checked:
        score = (one.truth - one.forecast) / _scale(one.expected)
        known = np.isfinite(score)
        if known.sum() > 1:
            by_year.append(np.quantile(score[known], QUANTILES))
    found = np.array(by_year)
    side = np.sign(np.array(QUANTILES) - 0.5)
    centre = np.where(side == 0, MEDIAN_SHARE, 1.0) * found.mean(axis=0)
    return np.asarray(centre + OUTWARDS * side * found.std(axis=0, ddof=1))


def _country_error(one: Hindcast) -> float:
    """Area-weighted error of a year over all municipalities with a yield."""
    known = np.isfinite(one.truth) & (one.area > 0)
    if not known.any():
        return np.nan
    return float(np.average((one.truth - one.forecast)[known], weights=one.area[known]))
