"""Confidence intervals of measures on the holdout: Wilson, bootstrap of groups, or the jackknife."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import stats

from yieldcast.comparison.bootstrap import DRAWS, FEW_BLOCKS, LEVEL
from yieldcast.evaluation.metrics import Floats
from yieldcast.workspace.scoring.measures import (
    Measures,
    Units,
    jackknife_errors,
    totals,
)

_MOST_DRAWN = 2000  # groups; from more the jackknife with Student's t differs by less than it costs


def wilson(right: int, rows: int) -> tuple[float, float]:
    """95 % interval of a share of independent rows (Wilson 1927, JASA 22:209-212); 0 to 1 without rows."""
    if not rows:
        return 0.0, 1.0
    found = stats.binomtest(right, rows).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


def intervals(measures: Measures, units: Units, seed: int = 0) -> Floats:
    """95 % interval of every measure.

    Rows of one group (field, farm, place) are no independent witnesses: where the task has groups, whole
    groups are drawn (percentile bootstrap; below ten groups, and above two thousand, the jackknife over
    groups with Student's t). Without groups, accuracy and recalls get Wilson's interval and the others the
    jackknife over rows. With groups, no interval of a share is narrower than Wilson's: where all groups are
    alike, for example all right, drawing them shows no spread.

    Args:
        measures: of the sums.
        units: of one model.
        seed: of the draws.

    Returns:
        (measure, 2) lower and upper end; NaN where a measure is not defined.
    """
    total = totals(units)[0]
    whole = measures.score(total)
    if units.grouped and FEW_BLOCKS <= len(units.counts) <= _MOST_DRAWN:
        found = _bootstrap(measures, units, seed)
    else:
        half = stats.t.ppf((1 + LEVEL) / 2, max(units.counts.sum() - 1, 1)) * jackknife_errors(
            measures, units
        )
        found = np.stack([whole - half, whole + half], axis=-1)
    if measures.proportions is not None:
        for k, (right, rows) in enumerate(measures.proportions(total).tolist()):
            if rows > 0:  # not NaN
                low, high = wilson(int(right), int(rows))
                found[k] = (min(low, found[k, 0]), max(high, found[k, 1])) if units.grouped else (low, high)
    # a quantile of draws may leave out the score itself where it is skewed: an interval holds its score
    found = np.stack([np.fmin(found[:, 0], whole), np.fmax(found[:, 1], whole)], axis=-1)
    if measures.proportions is not None:  # all measures of classes are shares
        found = np.clip(found, 0.0, 1.0)
    return found


def _bootstrap(measures: Measures, units: Units, seed: int) -> Floats:
    values = measures.score(_drawn(len(units.counts), seed) @ units.sums[0])
    tail = (1 - LEVEL) / 2
    known = np.isfinite(values).all(axis=0)
    found = np.full((len(measures.names), 2), np.nan)
    found[known] = np.quantile(values[:, known], (tail, 1 - tail), axis=0).T
    for k in np.flatnonzero(~known):  # a rare class that some draws do not hold
        rest = values[np.isfinite(values[:, k]), k]
        if rest.size:
            found[k] = np.quantile(rest, (tail, 1 - tail))
    return found


@lru_cache(maxsize=4)
def _drawn(count: int, seed: int) -> Floats:
    """(draw, group) how often each group is drawn: the same for all models of a holdout."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float64)
