"""Whittaker smoother of daily series with gaps: many series in one banded system."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Xavier et al. 2026, Section 2.2.2: lambda = 100 on a daily grid.
SMOOTHNESS = 100.0
ORDER = 2  # differences whose squares are penalised: a straight line costs nothing
_BLOCK = 2_000_000  # unknowns solved at a time: 100 MB


def smooth(values: Floats, weights: Floats, smoothness: float = SMOOTHNESS) -> Floats:
    """Curves z that minimise sum w (y - z)^2 + smoothness sum (second difference of z)^2, one a row.

    The solution of (W + smoothness D'D) z = W y (Eilers 2003, doi:10.1021/ac034173t, eqs. 2 and 6). A day
    without weight does not move the curve, whatever its value: give the days after a cut-off no weight, and
    the curve does not know them.

    Args:
        values: (series, day) observations; any number or NaN where the weight is 0.
        weights: (series, day) 0 or more, 0 = missing.
        smoothness: above 0.

    Returns:
        (series, day) on every day, also before the first and after the last observation (a straight line
        there); NaN for a series with fewer than two observations, which determine no line.
    """
    count, days = values.shape
    if days <= ORDER:
        return np.full(values.shape, np.nan)
    result = np.empty(values.shape)
    step = max(_BLOCK // days, 1)
    for first in range(0, count, step):
        block = slice(first, first + step)
        result[block] = _solve(values[block], weights[block], smoothness)
    return result


def _solve(values: Floats, weights: Floats, smoothness: float) -> Floats:
    """One banded system for all series: the elements that would join two of them are 0."""
    from scipy.linalg import solveh_banded

    determined = (weights > 0).sum(axis=1) >= ORDER
    weight = np.where(determined[:, None], weights, 1.0)
    right = weight * np.where(determined[:, None] & (weights > 0), values, 0.0)
    bands = np.empty((ORDER + 1, *values.shape))
    for distance, band in enumerate(_penalty(values.shape[1])):
        bands[ORDER - distance] = smoothness * band
    bands[ORDER] += weight
    flat = bands.reshape(ORDER + 1, -1)
    curves = solveh_banded(flat, right.ravel(), overwrite_ab=True, overwrite_b=True, check_finite=False)
    return np.where(determined[:, None], curves.reshape(values.shape), np.nan)


def _penalty(days: int) -> tuple[Floats, Floats, Floats]:
    """Bands 0, 1 and 2 of D'D, each (day,); element j of a band is in column j, as LAPACK stores them."""
    differences = np.diff(np.eye(ORDER + 1), ORDER, axis=0)[0]  # 1, -2, 1
    main, first, second = (np.zeros(days) for _ in range(3))
    for row in range(days - ORDER):
        main[row : row + 3] += differences**2
        first[row + 1 : row + 3] += differences[:-1] * differences[1:]
        second[row + 2] += differences[0] * differences[2]
    return main, first, second
