"""Years that a difference needs, against statsmodels."""

from __future__ import annotations

import pytest
from statsmodels.stats.power import TTestPower

from yieldcast.comparison.power import MOST_YEARS, years_needed


@pytest.mark.parametrize("effect", [0.2, 0.5, 1.0, 1.7])
def test_as_statsmodels(effect):
    needed = years_needed(-40 * effect, 40.0)
    power = TTestPower()
    assert power.power(effect, needed, 0.05) >= 0.80 > power.power(effect, needed - 1, 0.05)


def test_the_ends():
    assert years_needed(1e6, 1.0) == 2
    assert years_needed(1.0, 0.0) == 2  # the same in every year
    assert years_needed(0.0, 0.0) is None
    assert years_needed(0.001, 1.0) is None  # more than MOST_YEARS
    assert years_needed(0.1, 1.0) <= MOST_YEARS
