"""States and the country: area-weighted yields with intervals that respect that errors are shared in a year.

The errors of one year's municipalities move together, so an aggregate's interval is neither the mean of its
municipalities' intervals nor their sum in quadrature. Here each hindcast year gives one error of the
aggregate itself, and the new year's is one more draw of these.
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
    """Forecasts of the country and its states, in the order of `names`.

    Args:
        names: `ALL_MUNICIPALITIES`, then states by name.
        quantiles_kg_ha: (aggregate, quantile).
        mean_kg_ha, area_ha: (aggregate,).
        municipalities: (aggregate,) how many.
        groups: (aggregate, row) which rows of the forecast belong to each.
        weight: (row,) area, or 1 for every row of a forecast without any area.
    """

    names: list[str]
    quantiles_kg_ha: Floats
    mean_kg_ha: Floats
    area_ha: Floats
    municipalities: npt.NDArray[np.int64]
    groups: npt.NDArray[np.bool_]
    weight: Floats

    def average(self, values: Floats) -> Floats:
        """(aggregate,) area-weighted mean of values of the rows; rows without a value do not count."""
        known = np.isfinite(values)
        weight = self.groups * (self.weight * known)[None]
        total = weight.sum(axis=1)
        summed = (weight * np.where(known, values, 0.0)[None]).sum(axis=1)
        return np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)


def aggregate(
    raw: RawForecasts, area_ha: Floats, hindcasts: RawForecasts, record: YearEffectRecord | None
) -> Aggregates:
    """Country and states from the forecasts of municipalities.

    A state whose municipalities have no area counts them alike.

    Args:
        raw: the forecast.
        area_ha: (row,) last public planted area; NaN where it is not known.
        hindcasts: at the same lead.
        record: year effects of the history line over the longer record; None where there is none.
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
    if len(whole_effects) < 2:  # no place of the hindcasts is forecast, or has an area: they count alike
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
        if len(effects) < 2:  # a state that the hindcasts do not have: the country's years stand in
            effects = whole_effects
        effect = YearEffect.of(effects, record.aggregate_variance(name) if record else None)
        quantiles[k] = mean + scale * effect.spread * stats.t.ppf(QUANTILES, effect.dof)
        means[k] = mean
    return Aggregates(
        names, np.maximum(quantiles, 0.0), means, (groups * area[None]).sum(axis=1),
        groups.sum(axis=1), groups, weight,
    )  # fmt: skip


def _effects(hindcasts: RawForecasts, weight: Floats, mine: npt.NDArray[np.bool_]) -> Floats:
    """(year,) weighted error over weighted scale of some rows, for the years that have any."""
    error, found = hindcasts.target_kg_ha - hindcasts.mean_kg_ha, []
    for year in np.unique(hindcasts.harvest_year):
        rows = mine & (hindcasts.harvest_year == year)
        total = (weight * hindcasts.scale_kg_ha)[rows].sum()
        if total > 0:
            found.append((weight * error)[rows].sum() / total)
    return np.array(found)
