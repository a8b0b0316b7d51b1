"""Public yields for readers, cut at the newest public harvest year."""

import numpy as np
import pytest

from yieldcast.features.yield_history import YieldHistory
from yieldcast.forecasting.public_past import SHOWN_YEARS, public_yields


def history(years: int) -> YieldHistory:
    """From 1990; the yield of year k after it is k, of the states 10 k, of the nation 100 k."""
    values = np.arange(years, dtype=np.float64)[None, :]
    codes, states = np.array([5100001, 5100002]), np.array(["MT"])
    return YieldHistory(1990, codes, states, np.vstack([values, values]), 10 * values, 100 * values)


@pytest.mark.parametrize(
    ("newest", "first", "last"),
    [
        (1989, None, None),  # before the record
        (1990, 1990, 1990),
        (2000, 1990, 2000),
        (2020, 1990 + 31 - SHOWN_YEARS, 2020),
        (2050, 1990 + 40 - SHOWN_YEARS, 2029),  # the record ends with 2029
    ],
)
def test_no_later_year_is_shown(newest, first, last):
    found = public_yields(history(40), newest)
    if first is None:
        assert found.own.size == found.whole.size == 0
        return
    assert (found.first_year, found.first_year + found.own.shape[1] - 1) == (first, last)
    assert found.own[1].tolist() == [year - 1990 for year in range(first, last + 1)]
    assert found.names == ("all", "MT")
    assert found.whole[:, -1].tolist() == [100 * (last - 1990), 10 * (last - 1990)]
