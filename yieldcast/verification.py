"""Scores of forecasts with uncertainty: CRPS, coverage, width, reliability, beside those of plain lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yieldcast.evaluation import score
from yieldcast.forecast_table import QUANTILES
from yieldcast.risk import quantile_at

Floats = npt.NDArray[np.float64]
FORECAST, CLIMATOLOGY = "forecast", "climatology"
_LEVELS = (np.arange(99) + 1) / 100


@dataclass(frozen=True)
class Skill:
    """One line of a backtest; its fields are the keys of `yieldcast backtest --json`.

    Args:
        crop, harvest_year, lead_months, model: what was forecast, when, and with what.
        n: rows scored.
        r, mape_pct, rmse_kg_ha: of the point forecast (the mean), see `evaluation.Score`.
        crps_kg_ha: continuous ranked probability score; of a line without uncertainty its absolute error.
        coverage90: share of the rows within the 90 % interval, None without one.
    """

    crop: str
    harvest_year: int
    lead_months: int
    model: str
    n: int
    r: float | None
    mape_pct: float | None
    rmse_kg_ha: float
    crps_kg_ha: float
    coverage90: float | None


def crps(quantiles: Floats, target: Floats) -> Floats:
    """(row,) continuous ranked probability score in kg/ha of quantile forecasts.

    Twice the mean pinball loss over the levels 1 to 99 % (Gneiting & Raftery 2007, JASA 102:359, Section 4.2
    and eq. 40 for one quantile), with the distribution between and beyond the given quantiles as in
    `risk.quantile_at`.

    Args:
        quantiles: (row, quantile) at `QUANTILES`, kg/ha.
        target: (row,) kg/ha.
    """
    values = quantile_at(quantiles, _LEVELS)
    error = target[:, None] - values
    result: Floats = 2.0 * np.where(error > 0, _LEVELS * error, (_LEVELS - 1) * error).mean(axis=1)
    return result


def within(quantiles: Floats, target: Floats) -> npt.NDArray[np.bool_]:
    """(row,) whether the target lies in the 90 % interval, ends included."""
    return np.asarray((target >= quantiles[:, 0]) & (target <= quantiles[:, -1]))


def reliability(quantiles: Floats, target: Floats) -> Floats:
    """(quantile,) share of the targets at or below each quantile; a reliable forecast has its levels."""
    return np.asarray((target[:, None] <= quantiles).mean(axis=0), dtype=np.float64)


def skill(
    about: tuple[str, int, int], model: str, point: Floats, target: Floats, quantiles: Floats | None = None
) -> Skill:
    """Score one model on some rows.

    Args:
        about: crop, harvest year, lead in months.
        model: its name.
        point: (row,) kg/ha.
        target: (row,) kg/ha, 0 or more.
        quantiles: (row, quantile) kg/ha; None for a line without uncertainty.
    """
    scored = score(point, target)
    if quantiles is None:
        loss, coverage = float(np.abs(point - target).mean()), None
    else:
        loss, coverage = float(crps(quantiles, target).mean()), float(within(quantiles, target).mean())
    return Skill(
        *about,
        model,
        scored.n,
        _strict(scored.r),
        _strict(scored.mape_pct),
        scored.rmse_kg_ha,
        loss,
        coverage,
    )


def climatology(window: Floats, states: npt.NDArray[np.str_], least: int = 5) -> Floats:
    """(row, quantile) each place's own public yields as a forecast; the reference with uncertainty.

    Places with fewer than `least` values take all values of their state, then of all places.

    Args:
        window: (row, year) kg/ha, NaN = no value; the public years, at most ten.
        states: (row,).
        least: values that a distribution of one's own takes.
    """
    result = np.empty((len(window), len(QUANTILES)))
    result[:] = np.nanquantile(window, QUANTILES)
    for state in np.unique(states):
        mine = states == state
        if np.isfinite(window[mine]).sum() >= least:
            result[mine] = np.nanquantile(window[mine], QUANTILES)
    own = np.isfinite(window).sum(axis=1) >= least
    if own.any():
        result[own] = np.nanquantile(window[own], QUANTILES, axis=1).T
    return result


def _strict(value: float) -> float | None:
    return value if math.isfinite(value) else None
