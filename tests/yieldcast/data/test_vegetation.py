"""Vegetation: single observations and summaries of seasons, their contracts and days of publication."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from yieldcast.data import synthetic
from yieldcast.data.inventory import table_inventory
from yieldcast.data.store import Store
from yieldcast.data.vegetation import (
    check_season_vegetation,
    public_days,
    season_vegetation_table,
    vegetation_table,
)
from yieldcast.errors import SchemaError


def observations(**changed):
    rows = {"municipality": [7, 3, 7], "date": ["2014-05-18", "2014-05-02", "2014-05-02"],
            "ndvi": [0.7, 0.3, np.nan], "clear": [1, 1, 0]}  # fmt: skip
    frame = pd.DataFrame({**rows, **changed})
    return frame.assign(
        **{n: pd.to_datetime(frame[n], format="ISO8601") for n in ("date", "public_from") if n in frame}
    )


def summaries(**changed):
    values = {"ndvi_max": np.array([[0.8, np.nan]]), "ndvi_amplitude": np.array([[1.2, 0.5]])}
    public = dict.fromkeys(values, np.array(["2013-06-01", "2014-06-01"], dtype="datetime64[D]"))
    return season_vegetation_table(
        {**values, **changed},
        {**public, **dict.fromkeys(changed, public["ndvi_max"])},
        np.array([7], dtype=np.int32),
        np.array([2013, 2014], dtype=np.int16),
    )


def test_observations_are_sorted_and_public_the_day_after():
    table = vegetation_table(observations())
    assert table["municipality"].values.tolist() == [3, 7, 7]
    assert table["ndvi"].values.tolist() == pytest.approx([0.3, np.nan, 0.7], nan_ok=True)
    assert public_days(table).astype(str).tolist() == ["2014-05-03", "2014-05-03", "2014-05-19"]
    have = table_inventory("vegetation", table)
    assert (have["observations"], have["municipalities"], have["not_clear"]) == (3, 2, 1)


def test_a_stated_day_of_publication_is_kept():
    table = vegetation_table(observations(public_from=["2014-06-01", "2014-05-10", "2014-05-10"]))
    assert public_days(table).astype(str).tolist() == ["2014-05-10", "2014-05-10", "2014-06-01"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ndvi": [1.2, 0.3, 0.4]}, "ndvi of -1 to 1"),
        ({"clear": [2, 1, 0]}, "clear"),
        ({"municipality": [7, 7, 7], "date": ["2014-05-02"] * 3}, "each once"),
        ({"date": ["2014-05-02 10:30", "2014-05-02", "2014-05-02"]}, "a whole day"),
        ({"public_from": ["2014-05-18", "2014-05-10", "2014-05-10"]}, "after the day"),
    ],
)
def test_refused_observations(changed, expected):
    with pytest.raises(SchemaError, match=expected):
        vegetation_table(observations(**changed))


def test_summaries_of_seasons():
    table = summaries()
    assert table["summary"].values.tolist() == ["ndvi_amplitude", "ndvi_max"]
    assert str(table["public_from"].sel(summary="ndvi_max", harvest_year=2014).values)[:10] == "2014-06-01"
    assert table_inventory("season_vegetation", table)["missing_cells"] == 1
    with pytest.raises(SchemaError, match="a date for each summary"):
        check_season_vegetation(table.assign(public_from=table["public_from"].where(False)))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("ndvi_mean", 1.5, "-1 to 1"), ("greenness", 0.5, "named after their index")],
)
def test_refused_summaries(name, value, expected):
    with pytest.raises(SchemaError, match=expected):
        summaries(**{name: np.array([[value, 0.1]])})


def test_a_store_keeps_the_tables_of_fields(tmp_path):
    made = synthetic.country(municipalities=4, first_harvest_year=2007, harvest_years=2)
    codes = made.static["municipality"].values
    part_of = ("municipality", np.array(["9", "9", "", "8"]))
    tables = made._replace(static=made.static.assign(part_of=part_of))
    seen = vegetation_table(observations(municipality=[codes[1], codes[0], codes[1]]))
    store = Store.write(tmp_path / "store", tables, {}, optional={"vegetation": seen})
    again = Store.open(store.path)
    assert again.static["part_of"].values.tolist() == ["9", "9", "", "8"]
    assert again.vegetation.equals(seen)
    assert again.status()["tables"]["vegetation"]["last_day"] == "2014-05-18"
    assert "3 observations of ndvi, 2014-05-02 to 2014-05-18, 2 places" in repr(again)
    with pytest.raises(SchemaError, match="expected municipalities of the static table"):
        Store.update(store.path, {"vegetation": vegetation_table(observations())}, {})
