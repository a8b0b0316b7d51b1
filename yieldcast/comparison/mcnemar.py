"""McNemar's test: do two models decide rightly on different rows?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

EXACT_BELOW = 25  # discordant rows; from so many on the chi-squared approximation is good (Fagerland et al.
# 2013, BMC Medical Research Methodology 13:91, who review the usual limits)


@dataclass(frozen=True)
class McNemar:
    """Result of the test.

    Args:
        only_a, only_b: rows that only A, or only B, decided rightly (b and c of the table).
        both, neither: rows that both, or none, decided rightly.
        statistic: chi-squared with continuity correction; None for the exact test.
        p_value: two-sided, 0 to 1; 1 if no row is discordant.
        method: "exact", "chi2" or "no_discordant_rows".
    """

    only_a: int
    only_b: int
    both: int
    neither: int
    statistic: float | None
    p_value: float
    method: str


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> McNemar:
    """The exact binomial test with few discordant rows, otherwise chi-squared with Edwards' correction.

    McNemar 1947 (Psychometrika 12:153-157); the correction is that of Edwards 1948 (Psychometrika
    13:185-187). The test takes rows for independent. Rows of one year are not, so its p-value is too small
    for a statement about other years; the interval over years (`bootstrap`) is made for that.

    Args:
        right_a, right_b: (row,) whether each model's class was the true one.
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    both, neither = int((right_a & right_b).sum()), int((~right_a & ~right_b).sum())
    discordant = only_a + only_b
    if not discordant:
        return McNemar(only_a, only_b, both, neither, None, 1.0, "no_discordant_rows")
    if discordant < EXACT_BELOW:
        p_value = float(stats.binomtest(only_a, discordant, 0.5).pvalue)
        return McNemar(only_a, only_b, both, neither, None, p_value, "exact")
    statistic = max(abs(only_a - only_b) - 1, 0) ** 2 / discordant
    return McNemar(
        only_a, only_b, both, neither, float(statistic), float(stats.chi2.sf(statistic, 1)), "chi2"
    )
