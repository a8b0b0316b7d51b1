"""The risk of a low yield: what counts as low, and how likely it is under a forecast."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from yieldcast.forecasting.table import QUANTILES

Floats = npt.NDArray[np.float64]
LEAST_YEARS = 5  # a tercile of fewer values is a single year's chance (our choice)
_Z = stats.norm.ppf(QUANTILES)


def low_threshold(window: Floats) -> Floats:
    """The lowest tercile of each place's public yields (kg/ha); NaN with fewer than five.

    Low is the lowest third of a place's own record, as Xavier et al. 2026 (AgriEngineering 8:203, Section
    2.4.2) define it on their training yields; it is relative, no break-even yield.

    Args:
        window: (row, year) kg/ha, NaN = no value, of the years public on the date of the forecast.
    """
    enough = np.isfinite(window).sum(axis=1) >= LEAST_YEARS
    result = np.full(len(window), np.nan)
    if enough.any():
        result[enough] = np.nanquantile(window[enough], 1 / 3, axis=1)
    return result


def probability_below(quantiles: Floats, threshold: Floats) -> Floats:
    """Probability of a yield below a threshold, (row,); NaN where there is no threshold.

    The distribution between and beyond the quantiles is piecewise normal: linear in z = normal score of the
    level, drawn on beyond the outermost two.

    Args:
        quantiles: (row, quantile) kg/ha at `QUANTILES`, rising.
        threshold: (row,) kg/ha.
    """
    z = normal_score(quantiles, threshold)
    return np.asarray(stats.norm.cdf(z), dtype=np.float64)


def normal_score(quantiles: Floats, value: Floats) -> Floats:
    """z of values under the distribution of `probability_below`, (row,)."""
    rising = quantiles + np.arange(quantiles.shape[1]) * 1e-6  # equal quantiles would divide by zero
    below = (rising < value[:, None]).sum(axis=1)
    left = np.clip(below - 1, 0, quantiles.shape[1] - 2)
    row = np.arange(len(value))
    low, high = rising[row, left], rising[row, left + 1]
    score: Floats = _Z[left] + (value - low) / (high - low) * (_Z[left + 1] - _Z[left])
    return score


def quantile_at(quantiles: Floats, levels: Floats) -> Floats:
    """(row, level) values of the same distribution at any levels, not below 0.

    Args:
        quantiles: as for `probability_below`.
        levels: between 0 and 1, both excluded.
    """
    z = stats.norm.ppf(levels)
    left = np.clip(np.searchsorted(_Z, z) - 1, 0, len(_Z) - 2)
    share = (z - _Z[left]) / (_Z[left + 1] - _Z[left])
    values: Floats = quantiles[:, left] * (1 - share) + quantiles[:, left + 1] * share
    return np.maximum(values, 0.0)
