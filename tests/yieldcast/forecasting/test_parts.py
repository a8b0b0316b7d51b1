"""Parts of medians on numbers that can be worked out by hand."""

import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.errors import SchemaError
from yieldcast.forecasting.parts import (
    PARTS,
    REMAINDER,
    aggregate_parts,
    change_of_parts,
    municipal_parts,
    part_variable,
)
from yieldcast.forecasting.table import OFFICIAL_TEXTS, check_forecast, read_forecast, write_forecast
from yieldcast.reporting.tables import parts_in_digits

CODES = np.array([4_100_103, 4_100_202, 5_100_102, 5_100_201])


def made(**more):
    return synthetic_forecast(CODES, list("ABCD"), ["PR", "PR", "MT", "MT"], parts=True, **more)


def by_hand():
    """Areas 100 and 300 ha in PR, unknown in MT; level 2000, 3000, 1000, 2000, official 10, 20, 0, 40."""
    ds = made().copy(deep=True)
    for name, values in {
        "level": [2000, 3000, 1000, 2000], "trend": [0, 0, 0, 0], "water_so_far": [0, 0, 0, 0],
        "official": [10, 20, 0, 40], "calibration": [5, 5, 5, 5],
    }.items():  # fmt: skip
        ds[part_variable(name)].values[:] = values
    ds["yield_kg_ha"].values[:] = np.array([2015, 3025, 1005, 2045])[:, None]
    ds["area_planted_ha"].values[:] = [100, 300, np.nan, np.nan]
    for row, median in zip(ds["aggregate_yield_kg_ha"].values, (2700, 1500, 2800), strict=True):
        row[:] = median
    return check_forecast(ds)


def test_parts_of_states_and_the_country_are_means_by_area_and_a_remainder():
    found = aggregate_parts(by_hand())
    assert found["aggregate"].values.tolist() == ["all", "MT", "PR"]
    assert found["part"].values.tolist()[-1] == REMAINDER
    assert "calibration" not in found["part"].values
    # PR: (100 x 2000 + 300 x 3000) / 400; MT: equal weights of 1 ha each
    assert found.sel(part="level").values[1:].tolist() == [1500, 2750]
    assert found.sel(part="official").values[1:].tolist() == [20, 17.5]
    assert found.sel(part="level").values[0] == pytest.approx((400 * 2750 + 2 * 1500) / 402)
    assert found.sel(part=REMAINDER).values[1:].tolist() == [1500 - 1520, 2800 - 2767.5]
    np.testing.assert_allclose(found.sum("part").values, [2700, 1500, 2800])


def test_parts_are_shown_in_their_order_and_a_forecast_of_the_network_has_none():
    forecast = made()
    assert forecast.parts["part"].values.tolist() == [name for name in PARTS if name != "trees"]
    assert (forecast.parts.dims, forecast.parts.attrs["units"]) == (("part", "municipality"), "kg/ha")
    assert "parts of this median" in repr(forecast)
    plain = synthetic_forecast()
    assert (plain.parts.sizes["part"], plain.aggregate_parts.sizes["part"]) == (0, 0)
    assert "parts" not in repr(plain)


def test_parts_that_do_not_add_up_are_refused():
    ds = made().copy(deep=True)
    ds["part_official_kg_ha"].values[2] += 0.5
    with pytest.raises(SchemaError, match="parts that add up to the median, received"):
        check_forecast(ds)
    with pytest.raises(SchemaError, match="official_reference"):
        check_forecast(made().drop_vars("official_reference"))


def test_rounded_parts_add_up_to_the_rounded_median():
    forecast = synthetic_forecast(parts=True)
    for parts, name in ((forecast.parts, "yield_kg_ha"), (forecast.aggregate_parts, "aggregate_yield_kg_ha")):
        median = forecast[name].values[:, 3]
        for digits in (0, 1):
            rounded = parts_in_digits(parts, median, digits)
            np.testing.assert_allclose(
                rounded.sum("part"), np.round(median.astype(np.float64), digits), atol=1e-6
            )
            assert float(abs(rounded - parts).max()) <= 1.001 * 10.0**-digits


def test_changes_of_parts_take_a_part_that_one_forecast_lacks_as_zero():
    now, before = municipal_parts(made()), municipal_parts(made(as_of="2017-10-15", shift_kg_ha=-50))
    trees = now.sel(part=["network"]).assign_coords(part=["trees"]) + 7.0
    before = before.drop_sel(part="network").isel(municipality=slice(1, None))
    with_trees = now.drop_sel(part="official").combine_first(trees)
    found = change_of_parts(before, with_trees)
    assert found["part"].values.tolist() == list(PARTS)
    assert np.isnan(found.values[:, 0]).all()
    np.testing.assert_allclose(found.sel(part="water_so_far").values[1:], 50, atol=1e-3)
    np.testing.assert_allclose(found.sel(part="trees").values[1:], 7)
    gone = before.sel(part="official").values
    np.testing.assert_allclose(found.sel(part="official").values[1:], -gone)


def test_parts_and_official_estimates_are_kept_on_disk(tmp_path):
    forecast = made()
    write_forecast(tmp_path / "f.nc", forecast)
    again = read_forecast(tmp_path / "f.nc")
    assert again.parts.equals(forecast.parts)
    assert [again[name].values.tolist() for name in OFFICIAL_TEXTS] == [
        ["", "lspa", ""], ["", "2017-10", ""], ["", "2017-11-09", ""]
    ]  # fmt: skip
