"""Rows of accuracy.json: scores of every model on the same municipalities, states and the country.

Every model of a date gives yields of municipalities or of states. Those of states and the country are means
weighted by the newest area that was public on the date; they are scored against means of the final yields
weighted by the area of the year.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yieldcast.evaluation.metrics import Floats, covered_90, crps
from yieldcast.forecasting.table import QUANTILES
from yieldcast.models.level_trend import Places
from yieldcast.models.sharing import state_mean

LEVELS = ("municipality", "state", "country")
# The columns of a row, in order. What a model does not have is None.
KEYS = (
    "crop", "level", "protocol", "as_of", "harvest_year", "model", "n", "rmse", "rmse_area_weighted", "bias",
    "below_median", "coverage_90", "width_90", "crps", "coverage_90_by_scatter",
)  # fmt: skip
THIRDS = 3  # of the municipalities by their scatter, low to high
_MEDIAN = QUANTILES.index(0.50)


@dataclass(frozen=True)
class Prediction:
    """What a model says on a date, kg/ha; NaN where it says nothing.

    Args:
        municipality: (municipality,); None for a model of states.
        municipality_quantiles: (municipality, quantile) at `QUANTILES`; None for a model without intervals.
        state: (state,); None for the area-weighted mean of the municipalities.
        state_quantiles: (state, quantile).
        country: one number; None for the area-weighted mean of the states.
        country_quantiles: (quantile,).
    """

    municipality: Floats | None = None
    municipality_quantiles: Floats | None = None
    state: Floats | None = None
    state_quantiles: Floats | None = None
    country: float | None = None
    country_quantiles: Floats | None = None


@dataclass(frozen=True)
class Harvest:
    """The final yields of a harvest year, and the areas that were public when it was forecast.

    Args:
        yields: (municipality,) kg/ha, NaN = none.
        area: (municipality,) area of the year, ha; NaN = none.
        public_area: (municipality,) newest area that was public on the date, ha; NaN = none.
        places: states of the municipalities.
        scatter: (municipality,) spread of its years about its level, kg/ha; for coverage by thirds.
    """

    yields: Floats
    area: Floats
    public_area: Floats
    places: Places
    scatter: Floats


def accuracy_rows(
    about: Mapping[str, Any], predictions: Mapping[str, Prediction], harvest: Harvest
) -> list[dict[str, Any]]:
    """Rows with `KEYS` of all models of one date.

    Only municipalities and states for which every model of that level says something are scored, so that all
    rows of a date and level are comparable.

    Args:
        about: crop, protocol, as_of (YYYY-MM-DD) and harvest_year.
        predictions: by name of the model.
        harvest: what was harvested.
    """
    return [
        *_municipalities(about, predictions, harvest),
        *_states(about, predictions, harvest),
        *_country(about, predictions, harvest),
    ]


def _municipalities(
    about: Mapping[str, Any], predictions: Mapping[str, Prediction], harvest: Harvest
) -> list[dict[str, Any]]:
    models = {name: one for name, one in predictions.items() if one.municipality is not None}
    values = {name: np.asarray(one.municipality) for name, one in models.items()}
    rows = _common(harvest.yields, values.values())
    return [
        score_row({**about, "level": "municipality", "model": name}, values[name][rows], harvest.yields[rows],
                  harvest.area[rows], _rows_of(one.municipality_quantiles, rows), harvest.scatter[rows])
        for name, one in models.items() if rows.any()
    ]  # fmt: skip


def _states(
    about: Mapping[str, Any], predictions: Mapping[str, Prediction], harvest: Harvest
) -> list[dict[str, Any]]:
    truth = state_mean(harvest.yields, harvest.area, harvest.places)
    size = harvest.places.total(np.where(np.isfinite(harvest.yields), np.nan_to_num(harvest.area), 0.0))
    values = {name: state_values(one, harvest) for name, one in predictions.items()}
    rows = _common(truth, values.values())
    return [
        score_row({**about, "level": "state", "model": name}, values[name][rows], truth[rows], size[rows],
                  _rows_of(one.state_quantiles, rows))
        for name, one in predictions.items() if rows.any()
    ]  # fmt: skip


def _country(
    about: Mapping[str, Any], predictions: Mapping[str, Prediction], harvest: Harvest
) -> list[dict[str, Any]]:
    known = np.isfinite(harvest.yields) & (np.nan_to_num(harvest.area) > 0)
    if not known.any():
        return []
    truth = np.array([np.average(harvest.yields[known], weights=harvest.area[known])])
    weight = harvest.places.total(np.nan_to_num(harvest.public_area))
    rows = []
    for name, one in predictions.items():
        values = state_values(one, harvest)
        grown = np.isfinite(values) & (weight > 0)
        if one.country is None and not grown.any():
            continue
        whole = np.average(values[grown], weights=weight[grown]) if one.country is None else one.country
        spread = None if one.country_quantiles is None else one.country_quantiles[None]
        head = {**about, "level": "country", "model": name}
        rows.append(score_row(head, np.array([whole]), truth, np.ones(1), spread))
    return rows


def state_values(one: Prediction, harvest: Harvest) -> Floats:
    """(state,) kg/ha that a model says of the states."""
    if one.state is not None:
        return one.state
    if one.municipality is None:
        raise ValueError("a prediction needs yields of municipalities or of states")
    return state_mean(one.municipality, harvest.public_area, harvest.places)


def score_row(
    about: Mapping[str, Any], forecast: Floats, truth: Floats, area: Floats, quantiles: Floats | None = None,
    scatter: Floats | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One row with `KEYS`.

    Args:
        about: the columns before ``n``.
        forecast, truth: (row,) kg/ha, finite.
        area: (row,) weights, ha; NaN counts as 0.
        quantiles: (row, quantile) kg/ha; None for a model without intervals.
        scatter: (row,) kg/ha; None without coverage by thirds of it.
    """
    error, weight = forecast - truth, np.nan_to_num(area)
    row: dict[str, Any] = {
        **about, "n": len(truth), "rmse": float(np.sqrt(np.mean(error**2))),
        "rmse_area_weighted": float(np.sqrt(np.average(error**2, weights=weight))) if weight.any() else None,
        "bias": float(error.mean()),
    }  # fmt: skip
    if quantiles is not None:
        inside = covered_90(quantiles, truth)
        row |= {
            "below_median": float((truth < quantiles[:, _MEDIAN]).mean()),
            "coverage_90": float(inside.mean()),
            "width_90": float((quantiles[:, -1] - quantiles[:, 0]).mean()),
            "crps": float(crps(quantiles, truth).mean()),
        }
        if scatter is not None and len(truth) >= THIRDS:
            parts = np.array_split(np.argsort(scatter, kind="stable"), THIRDS)
            row["coverage_90_by_scatter"] = [float(inside[part].mean()) for part in parts]
    return {key: row.get(key) for key in KEYS}


def _common(truth: Floats, values: Any) -> Any:
    """Where the truth and all values are finite."""
    known = np.isfinite(truth)
    for one in values:
        known &= np.isfinite(one)
    return known


def _rows_of(quantiles: Floats | None, rows: Any) -> Floats | None:
    return None if quantiles is None else quantiles[rows]


def merged(kept: Sequence[Mapping[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one file of several backtests: new ones replace those of their crop and protocol."""
    done = {(row["crop"], row["protocol"]) for row in new}
    return [*(dict(row) for row in kept if (row["crop"], row["protocol"]) not in done), *new]
