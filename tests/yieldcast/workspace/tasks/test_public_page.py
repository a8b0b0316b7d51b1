"""The page of the data: what it says of classes and yields, and that no row can be found in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.workspace.tasks.public_page import yield_bins
from yieldcast.workspace.tasks.small_cells import hidden_counts, published_counts


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([50, 20, 30], [50, 20, 30]),
        ([50, 4, 30], [50, None, None]),  # 4 alone follows from the total
        ([50, 4, 7, 30], [50, None, None, 30]),  # 11 together
        ([50, 4, 3, 30], [50, None, None, None]),  # 7 together would say that both are small
        ([50, 0, 30], [50, 0, 30]),
        ([5, 0, 0], [None, None, 0]),
    ],
)
def test_small_counts_are_hidden_with_those_that_would_give_them_back(counts, shown):
    assert published_counts(counts, 10) == shown


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=8), st.integers(2, 20))
def test_no_small_count_follows_from_the_total(counts, smallest):
    hidden = hidden_counts(counts, smallest)
    cells = np.array(counts)
    assert hidden[(cells > 0) & (cells < smallest)].all()
    if hidden.any():
        assert hidden.sum() >= 2
        assert cells[hidden].sum() >= smallest or (cells[~hidden] == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 12_000), min_size=1, max_size=80), st.integers(2, 15))
def test_bins_of_yields_hold_all_rows_and_none_is_small(yields, smallest):
    bins = yield_bins(np.array(yields), smallest)
    assert sum(one["rows"] for one in bins) == len(yields)
    assert all(one["rows"] >= smallest for one in bins) or len(bins) == 1
    assert bins[0]["from_kg_ha"] is None
    assert bins[-1]["below_kg_ha"] is None
    for one in bins:
        low, high = one["from_kg_ha"] or -1, one["below_kg_ha"] or np.inf
        assert sum(low <= value < high for value in yields) == one["rows"]


def test_bins_are_wide():
    bins = yield_bins(np.random.default_rng(0).normal(3000, 500, 2000), 10)
    borders = [one["below_kg_ha"] for one in bins[:-1]]
    assert borders == [2250, 2500, 2750, 3000, 3250, 3500, 3750]


def test_no_bin_holds_a_farm_alone():
    """Forty good seasons of one farm are joined with the next bin below."""
    yields = np.concatenate([np.linspace(2000, 4000, 300), np.linspace(5000, 6000, 40)])
    farms = np.array([f"farm {k % 30}" for k in range(300)] + ["one farm"] * 40)
    alone, joined = yield_bins(yields, 10), yield_bins(yields, 10, farms)
    assert alone[-1]["from_kg_ha"] >= 5000
    assert joined[-1]["from_kg_ha"] < 4000
    assert joined[-1]["rows"] > 40
