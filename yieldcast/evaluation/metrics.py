"""Scores of predictions and of quantile forecasts, from arrays to numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.forecasting.distribution import quantile_at

Floats = NDArray[np.float64]
_LEVELS = (np.arange(99) + 1) / 100


@dataclass(frozen=True)
class Score:
    """Agreement of predictions with yields.

    Args:
        n: number of rows.
        r: Pearson correlation, -1 to 1; NaN if predictions or yields are constant.
        mape_pct: mean absolute percentage error (%) over the rows with a positive yield; NaN without any.
        rmse_kg_ha: root mean squared error.
        bias_kg_ha: mean of prediction - yield; positive if predictions are too high.
    """

    n: int
    r: float
    mape_pct: float
    rmse_kg_ha: float
    bias_kg_ha: float


def score(prediction: ArrayLike, target: ArrayLike) -> Score:
    """Score predictions against harvested yields.

    Args:
        prediction, target: (sample,) kg/ha, finite; targets 0 or more.

    Raises:
        MissingDataError: no rows.
        SchemaError: the shapes differ, a value is not finite, or a target is negative.
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
                "Remove the rows without a known yield (SampleSet.take) before scoring.",
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


def _pearson(a: Floats, b: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    # Scaled to a largest departure of 1: squares of extreme values would overflow or vanish in float64.
    x, y = ((v - v.mean()) / np.abs(v - v.mean()).max() for v in (a, b))
    return float(np.clip((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()), -1.0, 1.0))


def finite_or_none(value: float) -> float | None:
    """The value; None if it is NaN or infinite, which strict JSON does not have."""
    return value if math.isfinite(value) else None


def crps(quantiles: Floats, target: Floats, levels: Floats | None = None) -> Floats:
    """Continuous ranked probability score (CRPS) of quantile forecasts.

    Computed as twice the mean pinball loss over the levels 1 to 99 % (Gneiting & Raftery 2007, JASA 102:359,
    Section 4.2 and eq. 40 for one quantile); `distribution.quantile_at` gives the quantiles at these levels.

    Args:
        quantiles: (row, quantile) at `QUANTILES`, kg/ha.
        target: (row,) kg/ha.
        levels: of the quantiles, ascending, in place of `QUANTILES`.

    Returns:
        (row,) kg/ha, 0 or more; lower is better.
    """
    values = quantile_at(quantiles, _LEVELS, levels)
    error = target[:, None] - values
    result: Floats = 2.0 * np.where(error > 0, _LEVELS * error, (_LEVELS - 1) * error).mean(axis=1)
    return result


def covered_90(quantiles: Floats, target: Floats) -> NDArray[np.bool_]:
    """(row,) True where the target is within the 90 % interval, ends included."""
    return np.asarray((target >= quantiles[:, 0]) & (target <= quantiles[:, -1]))


def reliability(quantiles: Floats, target: Floats) -> Floats:
    """(quantile,) share of the targets at or below each quantile; equal to the levels if reliable."""
    return np.asarray((target[:, None] <= quantiles).mean(axis=0), dtype=np.float64)
