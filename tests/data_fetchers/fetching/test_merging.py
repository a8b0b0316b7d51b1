"""Fetched tables joined with what a store holds."""

import numpy as np
import pytest
import xarray as xr

from data_fetchers.fetching.merging import (
    merge_daily,
    merge_places,
    merge_soil,
    merge_weather,
    merge_yields,
)
from yieldcast.data.daily import daily_table
from yieldcast.data.schema import check_static, check_weather, check_yields, set_units


def _places(codes, lat=-12.0) -> xr.Dataset:
    texts = [str(code) for code in codes]
    n = len(texts)
    return check_static(
        set_units(
            xr.Dataset(
                {
                    "code": ("municipality", np.array(texts)),
                    "name": ("municipality", np.array([f"Place {t}" for t in texts])),
                    "state": ("municipality", np.array(["MT"] * n)),
                    "region": ("municipality", np.array(["CO"] * n)),
                    "latitude_deg": ("municipality", np.full(n, lat)),
                    "longitude_deg": ("municipality", np.linspace(-57, -55, n)),
                },
                coords={"municipality": np.array(codes, dtype=np.int32)},
            )
        )
    )


def _soil(codes, value) -> xr.Dataset:
    clay = np.full((len(codes), 2), value, dtype=np.float32)
    return set_units(
        xr.Dataset(
            {"clay_pct": (("municipality", "soil_layer"), clay)},
            coords={"municipality": np.array(codes, dtype=np.int32), "soil_layer": ["0cm", "5cm"]},
        )
    )


def _weather(codes, first, months, value) -> xr.Dataset:
    time = np.arange(np.datetime64(first, "M"), np.datetime64(first, "M") + months).astype("datetime64[ns]")
    shape = (len(codes), months)
    data = {"tmax_degC": value + 10, "tmin_degC": value, "precipitation_mm": 5 * value}
    arrays = {n: (("municipality", "time"), np.full(shape, v, dtype=np.float32)) for n, v in data.items()}
    coords = {"municipality": np.array(codes, dtype=np.int32), "time": time}
    return check_weather(set_units(xr.Dataset(arrays, coords=coords)))


def _yields(codes, crops, years, value) -> xr.Dataset:
    shape = (len(crops), len(codes), len(years))
    return check_yields(
        set_units(
            xr.Dataset(
                {
                    "yield_kg_ha": (
                        ("crop", "municipality", "harvest_year"),
                        np.full(shape, value, np.float32),
                    )
                },
                coords={
                    "crop": np.array(crops),
                    "municipality": np.array(codes, dtype=np.int32),
                    "harvest_year": np.array(years, dtype=np.int16),
                },
            )
        )
    )


def test_the_first_table_is_taken_as_it_is():
    new = _weather([1, 2], "2010-01", 3, 10.0)
    assert merge_weather(None, new) is new


def test_months_are_added_with_a_gap_shown_and_refetched_ones_replaced():
    old, new = _weather([1, 2], "2010-01", 3, 10.0), _weather([2, 3], "2010-03", 3, 20.0)
    far = _weather([1], "2010-08", 1, 7.0)
    merged = merge_weather(merge_weather(old, new), far)
    assert merged["time"].values.astype("datetime64[M]").astype(str).tolist()[::7] == ["2010-01", "2010-08"]
    nan = np.nan
    # municipality 1: old January to March, nothing of the new ones, August; 2: March replaced
    expected = [
        [10, 10, 10, nan, nan, nan, nan, 7],
        [10, 10, 20, 20, 20, nan, nan, nan],
        [nan, nan, 20, 20, 20, nan, nan, nan],
    ]
    np.testing.assert_array_equal(merged["tmin_degC"].values, np.array(expected, dtype=np.float32))


def test_a_missing_month_fetched_again_does_not_take_a_value_away():
    old, new = _weather([1], "2010-01", 2, 10.0), _weather([1], "2010-01", 2, 20.0)
    for name in new:
        new[name].values[0, 1] = np.nan
    assert merge_weather(old, new)["tmin_degC"].values.tolist() == [[20.0, 10.0]]


def test_a_crop_and_year_of_yields_is_replaced_whole():
    old = _yields([1, 2], ["corn", "soybean"], [2017, 2018], 3000.0)
    new = _yields([1, 2], ["soybean"], [2018, 2019], 3500.0)
    new["yield_kg_ha"].values[0, 1, 0] = np.nan  # PAM took back the value of 2018
    merged = merge_yields(old, new, whole=True)
    soy = merged["yield_kg_ha"].sel(crop="soybean")
    np.testing.assert_array_equal(soy.values, [[3000, 3500, 3500], [3000, np.nan, 3500]])
    corn = merged["yield_kg_ha"].sel(crop="corn")
    np.testing.assert_array_equal(corn.values, [[3000, 3000, np.nan], [3000, 3000, np.nan]])


def test_a_year_of_which_nothing_arrived_leaves_what_is_there():
    old = _yields([1, 2], ["corn"], [2017, 2018], 3000.0)
    new = _yields([1, 2], ["corn"], [2018, 2019, 2020], 3500.0)
    new["yield_kg_ha"].values[0, :, 0] = np.nan
    new["yield_kg_ha"].values[0, :, 2] = np.nan
    merged = merge_yields(old, new, whole=True)
    assert merged["harvest_year"].values.tolist() == [2017, 2018, 2019]
    assert merged["yield_kg_ha"].values[0, 0].tolist() == [3000.0, 3000.0, 3500.0]
    assert merge_yields(None, new, whole=True)["harvest_year"].values.tolist() == [2019]


def test_places_are_joined_and_soil_stays_where_a_place_has_not_moved():
    static = merge_soil(_places([1, 2]), _soil([1, 2], 30.0), keep=False)
    moved = _places([2, 3], lat=-13.0)
    merged, count = merge_places(static, moved)
    assert count == 1
    assert merged["municipality"].values.tolist() == [1, 2, 3]
    assert merged["latitude_deg"].values.tolist() == [-12.0, -13.0, -13.0]
    clay = merged["clay_pct"].values[:, 0]
    np.testing.assert_array_equal(clay, np.array([30, np.nan, np.nan], dtype=np.float32))


@pytest.mark.parametrize(("keep", "rest"), [(True, 30.0), (False, np.nan)])
def test_soil_of_some_places_leaves_the_others_only_when_of_the_same_source(keep, rest):
    static = merge_soil(_places([1, 2, 3]), _soil([1, 2, 3], 30.0), keep=False)
    merged = merge_soil(static, _soil([2], 45.0), keep=keep)
    np.testing.assert_array_equal(merged["clay_pct"].values[:, 1], np.float32([rest, 45.0, rest]))


def test_a_crop_that_nobody_grows_is_no_error():
    nothing = _yields([1, 2], ["cotton"], [2017, 2018], np.nan)
    assert merge_yields(None, nothing, whole=True) is nothing
    old = _yields([1, 2], ["corn"], [2018], 3000.0)
    assert merge_yields(old, nothing, whole=True) is old


def test_of_yields_that_did_not_all_arrive_nothing_is_taken_away():
    old = _yields([1, 2], ["corn"], [2018], 3000.0)
    new = _yields([1, 2], ["corn"], [2018], 3500.0)
    new["yield_kg_ha"].values[0, 0, 0] = np.nan  # the request of its state failed
    merged = merge_yields(old, new, whole=False)
    assert merged["yield_kg_ha"].values[0, :, 0].tolist() == [3000.0, 3500.0]


def test_a_place_that_moved_by_a_rounding_keeps_its_soil():
    static = merge_soil(_places([1, 2]), _soil([1, 2], 30.0), keep=False)
    merged, count = merge_places(static, _places([1, 2], lat=-12.0 + 1e-6))
    assert count == 0
    assert merged["clay_pct"].values[:, 0].tolist() == [30.0, 30.0]


def test_soil_that_did_not_arrive_leaves_what_is_there():
    static = merge_soil(_places([1, 2]), _soil([1, 2], 30.0), keep=False)
    merged = merge_soil(static, _soil([1, 2], np.nan), keep=True)
    assert merged["clay_pct"].values[:, 0].tolist() == [30.0, 30.0]


def test_preliminary_months_are_remembered_until_they_are_fetched_again():
    old, new = _weather([1], "2017-11", 2, 10.0), _weather([1], "2018-01", 2, 10.0)
    old.attrs["preliminary"], new.attrs["preliminary"] = "2017-11, 2017-12", "2018-02"
    merged = merge_weather(old, new)
    assert merged.attrs["preliminary"] == "2017-11, 2017-12, 2018-02"
    final = _weather([1], "2017-12", 1, 10.0)
    final.attrs["preliminary"] = ""
    assert merge_weather(merged, final).attrs["preliminary"] == "2017-11, 2018-02"


def test_merging_twice_changes_nothing():
    old, new = _weather([1, 2], "2010-01", 3, 10.0), _weather([2, 3], "2010-03", 3, 20.0)
    once = merge_weather(old, new)
    xr.testing.assert_identical(once, merge_weather(once, new))
    first, second = _yields([1], ["corn"], [2017], 1.0), _yields([1], ["corn"], [2018], 2.0)
    both = merge_yields(first, second, whole=True)
    xr.testing.assert_identical(both, merge_yields(both, second, whole=True))


def _daily(units, first, count, value, places=((1, 0), (2, -1))):
    """Daily weather of units; pairs of a municipality and the position of its unit."""
    names = ("tmax_degC", "tmin_degC", "precipitation_mm")
    fields = {name: np.full((len(units), count), value, np.float32) for name in names}
    days = np.datetime64(first, "D") + np.arange(count)
    codes, place = (np.array(values, np.int32) for values in zip(*places, strict=True))
    return daily_table(fields, days, np.array(units, np.int32), codes, place)


def test_days_and_units_of_both_tables_are_kept_and_fetched_values_win():
    old = _daily([5, 9], "2020-01-01", 3, 10.0, ((1, 0), (2, 1)))
    new = _daily([7, 9], "2020-01-03", 4, 20.0, ((1, 0), (3, 1)))
    new["tmax_degC"].values[1, 0] = np.nan  # 9 on 3 January is incomplete: the stored day stays
    merged = merge_daily(old, new)
    assert merged["unit"].values.tolist() == [5, 7, 9]
    assert merged.sizes["time"] == 6
    assert merged["municipality"].values.tolist() == [1, 2, 3]
    assert merged["municipality_unit"].values.tolist() == [1, 2, 2]
    hot = merged["tmax_degC"].sel(unit=9).values
    assert hot.tolist() == [10, 10, 10, 20, 20, 20]
    assert merged["tmin_degC"].sel(unit=9).values.tolist() == hot.tolist()
    assert np.isnan(merged["tmax_degC"].sel(unit=5).values[3:]).all()
    xr.testing.assert_identical(merge_daily(merged, new), merged)
    xr.testing.assert_identical(merge_daily(None, new), new)


def test_years_apart_leave_missing_days_between():
    merged = merge_daily(_daily([5], "2020-01-01", 1, 1.0), _daily([5], "2019-12-28", 1, 2.0))
    assert merged["precipitation_mm"].values[0].tolist()[::4] == [2.0, 1.0]
    assert int(np.isnan(merged["precipitation_mm"].values).sum()) == 3
