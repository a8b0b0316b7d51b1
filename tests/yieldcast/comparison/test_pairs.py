"""Rows pair where they are the same, and what does not belong together is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from yieldcast.comparison.pairs import pair_rows
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.evaluation.score_rows import Said, ScoredPlaces, check_rows, score_table


@pytest.fixture
def table():
    """Two models of three rows, of which two have a class."""
    places = ScoredPlaces(
        "soybean", np.array([11, 12, 13]), np.array([2015, 2015, 2016]), np.datetime64("2015-02-15"),
        np.array(["MT", "MT", "GO"]), np.array([3000.0, 2000.0, 2500.0]), np.array([2, 0, -1]),
    )  # fmt: skip
    said = {"ours": [2900.0, 2100.0, 2500.0], "line": [1.0, 2.0, 3.0]}
    return score_table(places, {name: Said(np.array(one)) for name, one in said.items()})


def test_pairs_are_the_common_rows_in_one_order(table):
    ours = check_rows(table[table["model"] == "ours"], "ours")
    line = check_rows(table[table["model"] == "line"], "line").iloc[::-1][:2]
    pair = pair_rows(ours, line)
    assert pair.a["municipality"].tolist() == pair.b["municipality"].tolist() == [12, 13]
    assert pair.b["forecast_kg_ha"].tolist() == [2.0, 3.0]
    assert (pair.only_a, pair.only_b) == (1, 0)


def test_a_file_without_crop_and_dates_pairs_where_that_leaves_no_doubt(table):
    ours = table[table["model"] == "ours"]
    bare = table[table["model"] == "line"].assign(crop="", as_of="")
    assert len(pair_rows(ours, bare).a) == len(pair_rows(bare, ours).a) == 3
    both = pd.concat([ours, ours.assign(as_of="2015-04-15")])
    with pytest.raises(SchemaError, match="several in A"):
        pair_rows(both, bare)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"crop": "corn"}, ConfigError, "A of soybean and B of corn"),
        ({"as_of": "2015-04-15"}, MissingDataError, "dates 2015-02-15.*dates 2015-04-15"),
        ({"yield_kg_ha": 2600.0}, SchemaError, "the same yield_kg_ha"),
        ({"state": "BA"}, SchemaError, "the same state"),
        ({"class": "medium"}, SchemaError, "the same class"),
    ],
)
def test_what_does_not_belong_together_is_refused(table, changed, error, said):
    ours = table[table["model"] == "ours"]
    with pytest.raises(error, match=said):
        pair_rows(ours, ours.assign(**changed))
