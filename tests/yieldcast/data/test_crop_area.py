"""Areas from maps in the store: by hand, newest public map first."""

import datetime as dt

import numpy as np
import pytest
from factories import synthetic_crop_weights

from yieldcast.data.crop_area import check_crop_area, crop_area_table, mapped_area
from yieldcast.data.inventory import table_inventory
from yieldcast.errors import SchemaError

CODES = np.array([7, 9, 11], np.int32)
SHARES = (0.9, 0.02, 0.0004, 0.000025)


def of(cells, places=(7, 9), **more):
    return synthetic_crop_weights(cells, list(places), **more)


@pytest.fixture
def table():
    soybean = of({2018: {7: {(1, 1): 300.0}}, 2020: {7: {(1, 1): 200.0}, 9: {(1, 2): 50.0}}}, shares=SHARES)
    return crop_area_table([soybean, of({2019: {9: {(1, 2): 5.0}}}, crop="corn")], CODES)


def test_the_newest_public_map_by_hand(table):
    assert table["crop"].values.tolist() == ["corn", "soybean", "soybean"]
    groups = [np.array([True, True, True]), np.array([False, False, True])]
    found = mapped_area(table, "soybean", dt.date(2020, 8, 31), CODES, groups)
    assert (found.harvest_year, found.public_from) == (2018, dt.date(2018, 9, 1))
    # 7: .9 * 300 + .02 * 100; 9: .02 * 100; 11 lies outside the map
    assert found.area_ha == pytest.approx([272, 2, np.nan], nan_ok=True)
    assert found.error_ha[0] == pytest.approx(np.sqrt(0.0004 * 300**2 + 0.000025 * 100**2))
    assert found.whole_ha == pytest.approx([274, np.nan], nan_ok=True)
    # errors of one map are not independent: sums first
    assert found.whole_error_ha[0] == pytest.approx(np.sqrt(0.0004 * 300**2 + 0.000025 * 200**2))
    assert mapped_area(table, "soybean", dt.date(2020, 9, 1), CODES).harvest_year == 2020
    assert mapped_area(table, "soybean", dt.date(2018, 8, 31), CODES) is None
    assert mapped_area(table, "rice", dt.date(2020, 9, 1), CODES) is None
    assert np.isnan(mapped_area(table, "corn", dt.date(2020, 9, 1), CODES).error_ha).all()


def test_a_new_map_replaces_its_own_year_only(table):
    again = crop_area_table([of({2020: {7: {(1, 1): 1.0}}})], CODES, table)
    assert again.sizes["map"] == 3
    assert again["crop_ha"].values[2, 0] == 1
    assert again.isel(map=[0, 1]).equals(table.isel(map=[0, 1]))
    have = table_inventory("crop_area", again)
    assert have["crops"]["soybean"]["mapped_ha"] == {"2018": 300, "2020": 1}
    with pytest.raises(SchemaError, match="received none of them"):
        crop_area_table([of({2020: {3: {(1, 1): 1.0}}}, [3])], CODES)


def test_the_table_is_checked(table):
    with pytest.raises(SchemaError, match="a day after the last day"):
        check_crop_area(table.assign(public_from=table["last_day"]))
    with pytest.raises(SchemaError, match="sorted by crop"):
        check_crop_area(table.isel(map=[1, 0, 2]))
