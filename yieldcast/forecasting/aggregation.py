"""Forecasts of states and the country: area-weighted yields, with intervals from errors of the aggregates.

Errors of municipalities are correlated within a year, so the interval of an aggregate is neither the mean of
the intervals of its municipalities nor their sum in quadrature. Here each hindcast year gives one error of
the aggregate itself, and the error of the new year follows Student's t with their variance (`YearEffect`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from yieldcast.forecasting.calibration import YearEffect
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, QUANTILES
from yieldcast.forecasting.year_effects import YearEffectRecord

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Aggregates:
    """Forecasts of the country and its states.

    Args:
        names: (aggregate,) `ALL_MUNICIPALITIES`, then states by name.
        quantiles_kg_ha: (aggregate, quantile) at `QUANTILES`, 0 or more.
        mean_kg_ha: (aggregate,) area-weighted mean.
        area_ha: (aggregate,) sum of the newest public planted areas; NaN where none is known.
        municipalities: (aggregate,) number of municipalities.
        groups: (aggregate, row) True for the rows of the forecast that belong to the aggregate.
        weight: (row,) area in ha; 1 for the rows of a state without any known area.
    """

    names: list[str]
    quantiles_kg_ha: Floats
    mean_kg_ha: Floats
    area_ha: Floats
    municipalities: npt.NDArray[np.int64]
    groups: npt.NDArray[np.bool_]
    weight: Floats

    def average(self, values: Floats) -> Floats:
        """(aggregate,) area-weighted mean of (row,) values; NaN values are left out."""
        known = np.isfinite(values)
        weight = self.groups * (self.weight * known)[None]
        total = weight.sum(axis=1)
        summed = (weight * np.where(known, values, 0.0)[None]).sum(axis=1)
        return np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)


def aggregate(
    raw: RawForecasts, area_ha: Floats, hindcasts: RawForecasts, record: YearEffectRecord | None
) -> Aggregates:
    """Forecast the country and the states from the forecasts of their municipalities.

    The municipalities of a state without any known area have equal weights.

    Args:
        raw: uncalibrated forecasts of the municipalities.
        area_ha: (row,) newest public planted area; NaN if it is not known.
        hindcasts: at the same lead time.
        record: year effects of the history baseline; None if not known.
    """
    states = sorted(set(raw.state.tolist()))
    groups = np.array([np.ones(len(raw.state), dtype=bool), *(raw.state == state for state in states)])
    area = np.nan_to_num(area_ha)
    weight = area.copy()
    for mine in groups[1:]:
        if not weight[mine].sum():
            weight[mine] = 1.0
    by_place = dict(zip(raw.municipality.tolist(), weight.tolist(), strict=True))
    past = np.array([by_place.get(int(code), 0.0) for code in hindcasts.municipality])
    names = [ALL_MUNICIPALITIES, *states]
    quantiles, means = np.empty((len(names), len(QUANTILES))), np.empty(len(names))
    everywhere = np.ones(len(past), dtype=bool)
    whole_effects = _effects(hindcasts, past, everywhere)
    if len(whole_effects) < 2:  # no municipality of the hindcasts is forecast and has an area: equal weights
        whole_effects = _effects(hindcasts, np.ones(len(past)), everywhere)
    for k, (name, mine) in enumerate(zip(names, groups, strict=True)):
        own = weight[mine]
        mean = float(np.average(raw.mean_kg_ha[mine], weights=own))
        scale = float(np.average(raw.scale_kg_ha[mine], weights=own))
        effects = (
            whole_effects
            if name == ALL_MUNICIPALITIES
            else _effects(hindcasts, past, hindcasts.state == name)
        )
        if len(effects) < 2:  # the state has fewer than two hindcast years: use those of the country
            effects = whole_effects
        effect = YearEffect.of(effects, record.aggregate_variance(name) if record else None)
        quantiles[k] = mean + scale * effect.spread * stats.t.ppf(QUANTILES, effect.dof)
        means[k] = mean
    known = (groups & np.isfinite(area_ha)[None]).any(axis=1)
    total = np.where(known, (groups * area[None]).sum(axis=1), np.nan)
    return Aggregates(
        names, np.maximum(quantiles, 0.0), means, total,
        groups.sum(axis=1), groups, weight,
    )  # fmt: skip


def _effects(hindcasts: RawForecasts, weight: Floats, mine: npt.NDArray[np.bool_]) -> Floats:
    """(year,) weighted error / weighted scale of the rows `mine`, for the years with a positive weight."""
    error, found = hindcasts.target_kg_ha - hindcasts.mean_kg_ha, []
    for year in np.unique(hindcasts.harvest_year):
        rows = mine & (hindcasts.harvest_year == year)
        total = (weight * hindcasts.scale_kg_ha)[rows].sum()
        if total > 0:
            found.append((weight * error)[rows].sum() / total)
    return np.array(found)
