"""McNemar's test by hand and against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as oracle

from yieldcast.comparison.mcnemar import EXACT_BELOW, mcnemar


def rights(both, only_a, only_b, neither):
    """Whether A and B are right, of rows counted so."""
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


def test_few_discordant_rows_by_hand():
    found = mcnemar(*rights(10, 1, 5, 2))
    # two-sided binomial of 6 tosses: twice (1 + 6) / 64
    assert (found.method, found.p_value) == ("exact", pytest.approx(14 / 64))
    assert (found.both, found.only_a, found.only_b, found.neither) == (10, 1, 5, 2)


def test_many_discordant_rows_by_hand():
    found = mcnemar(*rights(0, 10, 30, 0))
    assert (found.method, found.statistic) == ("chi2", pytest.approx(19**2 / 40))


def test_no_discordant_row_is_defined():
    found = mcnemar(*rights(7, 0, 0, 3))
    assert (found.p_value, found.statistic, found.method) == (1.0, None, "no_discordant_rows")


@settings(max_examples=60)
@given(st.integers(0, 20), st.integers(0, 60), st.integers(0, 60), st.integers(0, 20))
def test_as_statsmodels(both, only_a, only_b, neither):
    if only_a + only_b == 0:
        return
    found = mcnemar(*rights(both, only_a, only_b, neither))
    exact = only_a + only_b < EXACT_BELOW
    expected = oracle([[both, only_a], [only_b, neither]], exact=exact, correction=True)
    if only_a != only_b:  # of equal numbers statsmodels corrects past 0: (0 - 1)^2 / n
        assert found.p_value == pytest.approx(min(expected.pvalue, 1.0), rel=1e-9)
    else:
        assert found.p_value == 1.0
    assert found.p_value == mcnemar(*rights(neither, only_b, only_a, both)).p_value
