"""Pieces of yieldcast/evaluation.py, yieldcast/verification.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike, NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.forecasting.risk import quantile_at


@dataclass(frozen=True)
class Score:
    """How far predictions are from the truth.

    Args:
        n: number of rows.
        r: Pearson correlation, -1..1, NaN when a side is constant.
        mape_pct: mean absolute percentage error over the rows with a positive yield, NaN without any.
        rmse_kg_ha: root mean squared error.
        bias_kg_ha: mean of prediction - target; positive = forecasts too high.
    """

    n: int
    r: float
    mape_pct: float
    rmse_kg_ha: float
    bias_kg_ha: float


def score(prediction: ArrayLike, target: ArrayLike) -> Score:
    """Score predictions against yields.

    Args:
        prediction, target: (sample,) kg/ha, finite; targets 0 or more.

    Raises:
        MissingDataError: no rows.
        SchemaError: shapes differ, a value is not a number, or a target is negative.
    """
    forecast, truth = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if forecast.ndim != 1 or forecast.shape != truth.shape:
        raise SchemaError(
            f"expected a prediction for every target, received shapes {forecast.shape} and {truth.shape}"
        )
    if forecast.size == 0:
        raise MissingDataError("expected rows to score, received none", "Choose years with yields.")
    for name, values in (("prediction", forecast), ("target", truth)):
        unknown = int((~np.isfinite(values)).sum())
        if unknown:
            raise SchemaError(
                f"expected finite numbers, received {unknown} rows of {values.size} without a {name}",
                "Leave out the rows whose yield is not known (SampleSet.take) before scoring.",
            )
    if (truth < 0).any():
        raise SchemaError(f"expected yields of 0 kg/ha or more, received {truth.min():g}")
    error, positive = forecast - truth, truth > 0
    percent = 100 * np.abs(error[positive]) / truth[positive]
    return Score(
        n=int(truth.size),
        r=_pearson(forecast, truth),
        mape_pct=float(percent.mean()) if percent.size else math.nan,
        rmse_kg_ha=float(np.sqrt((error**2).mean())),
        bias_kg_ha=float(error.mean()),
    )


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    # unit length first: squares of yields near the limits of float64 would overflow or vanish
    x, y = ((v - v.mean()) / np.abs(v - v.mean()).max() for v in (a, b))
    return float(np.clip((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()), -1.0, 1.0))


def _strict(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Floats = npt.NDArray[np.float64]
_LEVELS = (np.arange(99) + 1) / 100


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


def covered_90(quantiles: Floats, target: Floats) -> npt.NDArray[np.bool_]:
    """(row,) whether the target lies in the 90 % interval, ends included."""
    return np.asarray((target >= quantiles[:, 0]) & (target <= quantiles[:, -1]))


def reliability(quantiles: Floats, target: Floats) -> Floats:
    """(quantile,) share of the targets at or below each quantile; a reliable forecast has its levels."""
    return np.asarray((target[:, None] <= quantiles).mean(axis=0), dtype=np.float64)
