"""Reference evapotranspiration against the worked examples of FAO-56."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.features.evapotranspiration import (
    extraterrestrial_radiation,
    hargreaves,
    penman_monteith,
    saturation_vapour_pressure,
    vapour_pressure_deficit,
)


def test_radiation_at_the_top_of_the_atmosphere():
    # FAO-56 example 8: 3 September (day 246) at 20 degrees south: 32.2 MJ m-2 day-1.
    assert extraterrestrial_radiation(-20.0, 246) == pytest.approx(32.2, abs=0.05)
    # FAO-56 Annex 2, Table 2.6 (15th of the month): equator in January 36.2, 30 north in June 41.0 (rounded).
    assert extraterrestrial_radiation(0.0, 15) == pytest.approx(36.2, abs=0.1)
    # Polar night and polar day.
    assert extraterrestrial_radiation(80.0, 355) == 0.0
    assert extraterrestrial_radiation(80.0, 172) > 40.0


def test_saturation_vapour_pressure_of_table_2_3():
    np.testing.assert_allclose(
        saturation_vapour_pressure([1.0, 15.0, 24.5, 25.0]), [0.657, 1.705, 3.075, 3.168], atol=5e-4
    )


def test_vapour_pressure_deficit_by_hand():
    # FAO-56 example 5: tmax 24.5, tmin 15: es = 2.39 kPa; dewpoint 13.1 degC: ea = 1.51 kPa.
    assert vapour_pressure_deficit(24.5, 15.0, 13.115) == pytest.approx(2.39 - 1.51, abs=0.01)
    assert vapour_pressure_deficit(20.0, 20.0, 25.0) == 0.0


def test_penman_monteith_of_example_18():
    # FAO-56 example 18: Uccle, 50.80 N, 100 m, 6 July: tmax 21.5, tmin 12.3, ea 1.409 kPa (dewpoint 12.07
    # degC), wind 2.078 m/s at 2 m, radiation 22.07 MJ m-2 day-1: 3.9 mm a day.
    top = extraterrestrial_radiation(50.80, 187)
    assert top == pytest.approx(41.09, abs=0.05)
    dewpoint = 237.3 * np.log(1.409 / 0.6108) / (17.27 - np.log(1.409 / 0.6108))
    assert penman_monteith(21.5, 12.3, 22.07, dewpoint, 2.078, top, 100.0) == pytest.approx(3.88, abs=0.03)


def test_hargreaves_of_example_20():
    # FAO-56 example 20: Lyon, July, 45.72 N: tmax 26.6, tmin 14.8, Ra 40.6 (16.55 mm): 5.0 mm a day.
    assert hargreaves(26.6, 14.8, 40.55) == pytest.approx(5.0, abs=0.05)
    assert hargreaves(10.0, 12.0, 40.0) == 0.0  # crossed extremes count as no range
    assert hargreaves(-30.0, -40.0, 10.0) == 0.0  # no negative evapotranspiration


def test_against_an_independent_package():
    xclim = pytest.importorskip("xclim")
    import xarray as xr

    time = xr.date_range("2015-01-01", periods=365)
    rng = np.random.default_rng(1)
    tmin = xr.DataArray(rng.uniform(5, 20, 365), dims="time", coords={"time": time}, attrs={"units": "degC"})
    tmax = (tmin + rng.uniform(4, 15, 365)).assign_attrs(units="degC")
    lat = xr.DataArray(-15.0, attrs={"units": "degrees_north"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas and pint, through xclim
        other = xclim.indices.potential_evapotranspiration(tasmin=tmin, tasmax=tmax, lat=lat, method="HG85")
    ours = hargreaves(tmax.values, tmin.values, extraterrestrial_radiation(-15.0, np.arange(1, 366)))
    # xclim takes Spencer's series for the declination, we FAO-56 eq. 24: they differ by up to 1 %.
    np.testing.assert_allclose(ours, other.values * 86400, rtol=0.02)


@given(st.floats(-60, 60), st.integers(1, 366), st.floats(-20, 40), st.floats(0, 25))
def test_evapotranspiration_is_a_finite_amount(latitude, day, tmin, difference):
    found = hargreaves(tmin + difference, tmin, extraterrestrial_radiation(latitude, day))
    assert 0.0 <= float(found) < 25.0
