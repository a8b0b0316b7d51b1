"""Flags and expected costs: hand-worked, and the least of both decisions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.errors import ConfigError
from yieldcast.risk.decisions import Costs, costs_of


def test_by_hand() -> None:
    costs = Costs(miss=4.0, alarm=1.0)
    p_low = np.array([0.1, 0.2, 0.5, np.nan])
    assert costs.threshold == 0.2
    assert costs.flags(p_low).tolist() == [False, True, True, False]
    # 0.1 * 4 not flagged; 0.8 * 1 and 0.5 * 1 flagged
    np.testing.assert_allclose(costs.expected(p_low), [0.4, 0.8, 0.5, np.nan])
    np.testing.assert_allclose(costs.expected(p_low[:2], np.array([True, False])), [0.9, 0.8])


@given(st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100))
def test_flags_cost_least(p: float, miss: float, alarm: float) -> None:
    costs, p_low = Costs(miss, alarm), np.array([p])
    both = [costs.expected(p_low, np.array([flag])).item() for flag in (False, True)]
    assert costs.expected(p_low).item() <= min(both) * (1 + 1e-12) + 1e-12


@pytest.mark.parametrize("cost", [0.0, -1.0, float("nan"), float("inf")])
def test_costs_are_above_zero(cost: float) -> None:
    for wrong in ((cost, 1.0), (1.0, cost)):
        with pytest.raises(ConfigError, match="above 0") as error:
            costs_of(*wrong)
        assert error.value.exit_code == 2


def test_both_costs_or_none() -> None:
    assert costs_of(None, None) is None
    assert costs_of(2.0, 3.0) == Costs(2.0, 3.0)
    with pytest.raises(ConfigError, match="--cost-miss only"):
        costs_of(2.0, None)
    with pytest.raises(ConfigError, match="--cost-alarm only"):
        costs_of(None, 3.0)
