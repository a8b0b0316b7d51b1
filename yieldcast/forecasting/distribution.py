"""The distribution of a forecast between and beyond its quantiles, and the threshold of a low yield."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from yieldcast.forecasting.table import QUANTILES

Floats = npt.NDArray[np.float64]
MIN_YEARS = 5  # with fewer values a tercile is decided by a single year (our choice)
_Z = stats.norm.ppf(QUANTILES)


def low_threshold(window: Floats) -> Floats:
    """Lowest tercile of the public yields of each municipality.

    A low yield is one in the lowest third of the municipality's own record, as in Xavier et al. 2026
    (AgriEngineering 8:203, Section 2.4.2), who define it on their training yields. The threshold is relative;
    it is not a break-even yield.

    Args:
        window: (row, year) yields in kg/ha of the years public on the date of the forecast; NaN = no value.

    Returns:
        (row,) kg/ha; NaN with fewer than five values.
    """
    enough = np.isfinite(window).sum(axis=1) >= MIN_YEARS
    result = np.full(len(window), np.nan)
    if enough.any():
        result[enough] = np.nanquantile(window[enough], 1 / 3, axis=1)
    return result


def probability_below(quantiles: Floats, threshold: Floats) -> Floats:
    """Probability of a yield below a threshold.

    The distribution is piecewise normal: between two quantiles the yield is linear in z, the normal score of
    the level; beyond the outermost quantiles the outermost segment is extrapolated.

    Args:
        quantiles: (row, quantile) kg/ha at `QUANTILES`, not decreasing.
        threshold: (row,) kg/ha.

    Returns:
        (row,) 0 to 1; NaN where the threshold is NaN.
    """
    z = normal_score(quantiles, threshold)
    return np.asarray(stats.norm.cdf(z), dtype=np.float64)


def normal_score(quantiles: Floats, value: Floats) -> Floats:
    """(row,) normal score z of each value (kg/ha) under the distribution of `probability_below`."""
    rising = quantiles + np.arange(quantiles.shape[1]) * 1e-6  # equal quantiles would divide by zero
    below = (rising < value[:, None]).sum(axis=1)
    left = np.clip(below - 1, 0, quantiles.shape[1] - 2)
    row = np.arange(len(value))
    low, high = rising[row, left], rising[row, left + 1]
    score: Floats = _Z[left] + (value - low) / (high - low) * (_Z[left + 1] - _Z[left])
    return score


def quantile_at(quantiles: Floats, levels: Floats, given: Floats | None = None) -> Floats:
    """Quantiles at any levels of the distribution of `probability_below`.

    Args:
        quantiles: see `probability_below`.
        levels: (level,) between 0 and 1, both excluded.
        given: levels of `quantiles`, two or more, ascending; `QUANTILES` if None.

    Returns:
        (row, level) kg/ha, 0 or more.
    """
    z, known = stats.norm.ppf(levels), _Z if given is None else stats.norm.ppf(given)
    left = np.clip(np.searchsorted(known, z) - 1, 0, len(known) - 2)
    share = (z - known[left]) / (known[left + 1] - known[left])
    values: Floats = quantiles[:, left] * (1 - share) + quantiles[:, left + 1] * share
    return np.maximum(values, 0.0)
