"""How many years a difference would need to be told from chance."""

from __future__ import annotations

import numpy as np
from scipy import stats

LEVEL, POWER = 0.05, 0.80  # two-sided level of the test, and chance to find a difference that is there
MOST_YEARS = 1000


def years_needed(difference: float, spread: float, level: float = LEVEL, power: float = POWER) -> int | None:
    """Years after which a t-test of differences by year finds a difference of this size.

    The power of the two-sided one-sample t-test is that of the noncentral t distribution (Cohen 1988,
    Statistical Power Analysis for the Behavioral Sciences, Chapter 2).

    Args:
        difference: mean difference, any unit.
        spread: standard deviation of the differences between years, same unit.
        level: of the test, between 0 and 1.
        power: chance to find the difference, between `level` and 1.

    Returns:
        2 or more; None if more than `MOST_YEARS`.
    """
    if spread == 0:
        return 2 if difference else None
    years = np.arange(2, MOST_YEARS + 1)
    border = stats.t.ppf(1 - level / 2, years - 1)
    shift = abs(difference) / spread * np.sqrt(years)
    # The other tail is left out: it is nothing where the power is near 0.8.
    found = np.flatnonzero(stats.nct.sf(border, years - 1, shift) >= power)
    return int(years[found[0]]) if len(found) else None
