from dataclasses import replace

import numpy as np
import pytest

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.probing.given import read_given


def written(tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_joined_by_place_and_year(small_store, rows, tmp_path):
    code = small_store.static["municipality"].values[:2]
    text = f"harvest_year,municipality,ndvi_max,crop,depth\n2012,{code[1]},0.5,soybean,\n"
    text += f"2011,{code[0]},0.7,soybean,3\n2012,{code[0]},9,corn,9\n"
    given = read_given(written(tmp_path, text), small_store.static, "soybean")
    assert given.names == ("ndvi_max", "depth")
    mine = rows.take(np.arange(3))
    mine = replace(
        mine,
        municipality=np.array([code[0], code[1], code[1]], np.int32),
        harvest_year=np.array([2011, 2012, 2013], np.int16),
    )
    joined = given.join(mine)
    np.testing.assert_array_equal(joined.values[:, -2:], [[0.7, 3.0], [0.5, np.nan], [np.nan, np.nan]])
    assert [feature.group for feature in joined.features[-2:]] == ["vegetation", "weather"]
    with pytest.raises(SchemaError, match="already have"):
        given.join(joined)
    with pytest.raises(SchemaError, match="no line"):
        given.join(rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("municipality,ndvi\nCODE,1\n", "harvest_year"),
        ("municipality,harvest_year\nCODE,2011\n", "one or more features"),
        ("municipality,harvest_year,ndvi\nCODE,2011,high\n", "'high' in line 2"),
        ("municipality,harvest_year,ndvi\nCODE,2011.5,1\n", "a year in every line"),
        ("municipality,harvest_year,ndvi\nCODE,,1\n", "a year in every line"),
        ("municipality,harvest_year,ndvi\n7,2011,1\n", "codes of the store, received '7'"),
        ("municipality,harvest_year,ndvi\nCODE,2011,1\nCODE,2011,2\n", "received two of"),
        ("municipality,harvest_year,ndvi\n", "no line"),
    ],
)
def test_bad_tables_are_refused(small_store, tmp_path, text, said):
    code = str(small_store.static["municipality"].values[0])
    with pytest.raises(SchemaError, match=said):
        read_given(written(tmp_path, text.replace("CODE", code)), small_store.static, "soybean")


def test_a_table_that_is_not_there(small_store, tmp_path):
    with pytest.raises(MissingDataError, match="no file"):
        read_given(tmp_path / "none.csv", small_store.static, "soybean")
