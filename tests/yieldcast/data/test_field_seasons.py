"""Field seasons: the contract and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from yieldcast.data.field_seasons import check_field_seasons, field_seasons_table
from yieldcast.data.inventory import table_inventory
from yieldcast.errors import SchemaError


def seasons(**changed):
    rows = {
        "municipality": [7, 3, 7], "crop": ["wheat", "corn", "corn"], "harvest_year": [2014, 2014, 2013],
        "sowing_date": ["2014-05-02", "2013-10-01", None], "harvest_date": ["2014-09-30", None, "2013-02-20"],
    }  # fmt: skip
    frame = pd.DataFrame({**rows, **changed})
    return frame.assign(**{n: pd.to_datetime(frame[n]) for n in ("sowing_date", "harvest_date")})


def test_rows_are_sorted_and_counted():
    table = field_seasons_table(seasons())
    assert table["municipality"].values.tolist() == [3, 7, 7]
    assert table["crop"].values.tolist() == ["corn", "corn", "wheat"]
    assert str(table["sowing_date"].values[2])[:10] == "2014-05-02"
    have = table_inventory("field_seasons", table)
    assert (have["seasons"], have["fields"], have["without_sowing_date"]) == (3, 2, 1)
    assert have["crops"]["corn"] == {
        "seasons": 2, "fields": 2, "first_harvest_year": 2013, "last_harvest_year": 2014
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"crop": ["corn"] * 3, "municipality": [7] * 3, "harvest_year": [2014, 2014, 2013]}, "one season"),
        ({"harvest_date": ["2014-05-02", None, None]}, "a day after its sowing date"),
        ({"sowing_date": ["2012-09-01", None, None]}, "at most 731 days"),
        ({"harvest_date": ["2016-01-01", None, None]}, "harvest year"),
        ({"sowing_date": ["2014-05-02 12:00", None, None]}, "a whole day"),
    ],
)
def test_refused(changed, expected):
    with pytest.raises(SchemaError, match=expected):
        field_seasons_table(seasons(**changed))


def test_unsorted_rows_and_other_types_are_refused():
    table = field_seasons_table(seasons())
    with pytest.raises(SchemaError, match="sorted by municipality, crop, harvest_year"):
        check_field_seasons(table.isel(season=[2, 0, 1]))
    with pytest.raises(SchemaError, match="type int16"):
        check_field_seasons(table.assign(harvest_year=table["harvest_year"].astype(np.int64)))
