import numpy as np
import pytest
import xarray as xr

from yieldcast.data import degree_days
from yieldcast.errors import ConfigError
from yieldcast.features.weather import (
    accumulate,
    accumulate_in_place,
    fill_with_climatology,
    limits,
    with_degree_days,
)


def weather(tmax, tmin, **more):
    months = np.array(["2018-01", "2018-02"], dtype="datetime64[M]").astype("datetime64[ns]")
    table = {"tmax_degC": tmax, "tmin_degC": tmin, **more}
    return xr.Dataset(
        {k: (("municipality", "time"), np.array([v], dtype=np.float32)) for k, v in table.items()},
        coords={"municipality": [1], "time": months},
    )


def test_degree_days_of_a_month_by_hand():
    # January: (30 + 20) / 2 - 5 = 20 a day, 31 days: 620. February, tmax above the cap of 30:
    # (30 + 20) / 2 - 5 = 20, 28 days: 560.
    table, name = with_degree_days(weather([30, 35], [20, 20]), 5, 30)
    assert name == "gdd_5_30_degC_day"
    np.testing.assert_allclose(table[name].values, [[620, 560]])


def test_an_exact_column_is_used_if_the_table_has_it():
    table, name = with_degree_days(weather([30, 35], [20, 20], gdd_5_30_degC_day=[1, 2]), 5, 30)
    assert table[name].values.tolist() == [[1, 2]]
    # Another limit is another column.
    other, name = with_degree_days(weather([30, 35], [20, 20], gdd_5_30_degC_day=[1, 2]), 8, 30)
    assert name == "gdd_8_30_degC_day"
    np.testing.assert_allclose(other[name].values[0, 0], 31 * 17)


def season(values):
    values = np.asarray(values, dtype=np.float32)
    public = np.array([[True, False, False]])
    return xr.Dataset(
        {"weather": (("sample", "step", "variable"), values), "public": (("sample", "step"), public)},
        coords={
            "variable": ["rain", "gdd"],
            "municipality": ("sample", [7]),
            "month": (
                ("sample", "step"),
                np.array([["2018-01", "2018-02", "2018-03"]], dtype="datetime64[s]"),
            ),
        },
    )


def test_degree_days_accumulate_over_the_season_and_rain_does_not():
    out = accumulate(season([[[5, 100], [6, 200], [7, 300]]]), "gdd")
    assert out["weather"].values[0].tolist() == [[5, 100], [6, 300], [7, 600]]


def test_accumulating_in_place_keeps_other_variables_and_stays_unknown_after_a_gap():
    values = np.array([[[[1, 10], [np.nan, 20], [3, 30]]]], dtype=np.float32)
    accumulate_in_place(values, 1)
    np.testing.assert_array_equal(values, [[[[1, 10], [np.nan, 30], [3, 60]]]])
    accumulate_in_place(values, 0)
    np.testing.assert_array_equal(values[..., 0], [[[1, np.nan, np.nan]]])
    assert values.dtype == np.float32


def test_unknown_months_take_the_climatology_of_their_own_month_and_place():
    climate = xr.Dataset(
        {
            name: (("municipality", "month"), base + np.arange(24, dtype=np.float32).reshape(2, 12))
            for name, base in (("rain", 0), ("gdd", 1000))
        },
        coords={"municipality": [5, 7], "month": np.arange(1, 13)},
    )
    nan = float("nan")
    out = fill_with_climatology(season([[[nan, 100], [nan, nan], [nan, nan]]]), climate)
    # Municipality 7 is the second row: February is 13, March 14. January was public: it stays missing.
    np.testing.assert_array_equal(out["weather"].values[0], [[nan, 100], [13, 1013], [14, 1014]])


def test_a_place_without_climatology_stays_unknown():
    climate = xr.Dataset(
        {name: (("municipality", "month"), np.ones((1, 12), dtype=np.float32)) for name in ("rain", "gdd")},
        coords={"municipality": [8], "month": np.arange(1, 13)},
    )
    nan = float("nan")
    out = fill_with_climatology(season([[[1, 1], [nan, nan], [nan, nan]]]), climate)
    assert np.isnan(out["weather"].values[0, 1:]).all()


def test_limits_come_from_the_table_or_from_the_settings():
    assert limits("corn", {}) == degree_days.LIMITS["corn"] == (8.0, 30.0)
    assert limits("corn", {"corn": (10.0, 30.0)}) == (10.0, 30.0)
    with pytest.raises(ConfigError, match="quinoa") as caught:
        limits("quinoa", {})
    assert "data.degree_days" in caught.value.hint
