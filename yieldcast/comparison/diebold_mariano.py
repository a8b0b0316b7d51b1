"""The test of Diebold and Mariano on losses by year, with the correction for few years."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from yieldcast.evaluation.metrics import Floats

LEAST_YEARS = 3
# Yields of Y-1 are published after most forecasts of Y: the newest error that a model can know is that of
# Y-2, so a forecast is one of two years ahead, and errors of neighbouring years may hang together.
LAG = 1


@dataclass(frozen=True)
class DieboldMariano:
    """Result of the test.

    Args:
        years: their number.
        mean_difference: mean over the years of the loss of A minus that of B.
        lag: years over which differences may hang together: 1 unless `fell_back`, then 0.
        fell_back: whether the variance with lag 1 was not above 0, so that lag 0 was taken.
        statistic: corrected, to be compared with Student's t of years - 1; None where nothing varies.
        p_value: two-sided, 0 to 1; None where nothing varies but the losses differ.
    """

    years: int
    mean_difference: float
    lag: int
    fell_back: bool
    statistic: float | None
    p_value: float | None


def diebold_mariano(loss_a: Floats, loss_b: Floats, lag: int = LAG) -> DieboldMariano | None:
    """Test whether two models lose the same on average.

    Diebold & Mariano 1995 (Journal of Business & Economic Statistics 13:253-263), with the small-sample
    correction of Harvey, Leybourne & Newbold 1997 (International Journal of Forecasting 13:281-291, equation
    9), for forecasts of lag + 1 steps ahead.

    Args:
        loss_a, loss_b: (year,) mean losses in order of time.
        lag: 0 or more.

    Returns:
        the result; None with fewer than `LEAST_YEARS` years, or no more than the lag allows.
    """
    difference = loss_a - loss_b
    count, steps = len(difference), lag + 1
    factor = (count + 1 - 2 * steps + steps * (steps - 1) / count) / count if count else 0.0
    if count < LEAST_YEARS or factor <= 0:
        return None
    mean = float(difference.mean())
    if np.ptp(difference) == 0:
        return DieboldMariano(count, mean, lag, False, None, 1.0 if mean == 0 else None)
    centred = difference - mean
    products = [float((centred[k:] * centred[: count - k]).sum()) / count for k in range(steps)]
    variance = products[0] + 2 * sum(products[1:])
    fell_back = variance <= 0
    if fell_back:
        variance, lag, factor = products[0], 0, (count - 1) / count
    statistic = float(np.sqrt(factor) * mean / np.sqrt(variance / count))
    p_value = float(2 * stats.t.sf(abs(statistic), count - 1))
    return DieboldMariano(count, mean, lag, fell_back, statistic, p_value)
