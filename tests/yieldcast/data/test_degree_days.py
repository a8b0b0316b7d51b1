"""Degree days: by hand, against xclim, by law, and the monthly approximation on real days."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.data import degree_days

BRAZIL = Path(__file__).parents[3] / ".." / "shared" / "brazil"
temperatures = st.floats(-60, 60)


@pytest.mark.parametrize(
    ("tmax", "tmin", "base", "upper", "expected"),
    [
        (30.0, 20.0, 10.0, None, 15.0),  # (30 + 20) / 2 - 10
        (30.0, 20.0, 10.0, 35.0, 15.0),  # the cap is not reached
        (45.0, 25.0, 10.0, 35.0, 20.0),  # (35 + 25) / 2 - 10; a cap on the difference gives 25
        (45.0, 40.0, 10.0, 35.0, 25.0),  # both at the cap: 35 - 10
        (20.0, 4.0, 10.0, 35.0, 5.0),  # (20 + 10) / 2 - 10; unclipped tmin gives 2
        (9.0, 2.0, 10.0, 35.0, 0.0),  # both below the base
        (12.0, -20.0, 10.0, 30.0, 1.0),  # (12 + 10) / 2 - 10; the mean of the day is below zero
        (40.0, -5.0, 5.0, 30.0, 12.5),  # (30 + 5) / 2 - 5
    ],
)
def test_daily_by_hand(tmax: float, tmin: float, base: float, upper: float | None, expected: float) -> None:
    assert degree_days.daily(tmax, tmin, base, upper) == pytest.approx(expected)


def test_monthly_by_hand() -> None:
    # January: (30 + 22) / 2 - 8 = 18, times 31 days; February capped: (30 + 26) / 2 - 8 = 20, times 28
    found = degree_days.from_monthly([30.0, 34.0], [22.0, 26.0], [31, 28], 8.0, 30.0)
    np.testing.assert_allclose(found, [558.0, 560.0])


def test_labelled_arrays_stay_labelled() -> None:
    time = xr.date_range("2001-01-01", periods=2, freq="MS")
    tmax = xr.DataArray([[30.0, 34.0]], dims=("municipality", "time"), coords={"time": time})
    found = degree_days.from_monthly(tmax, tmax - 8, tmax["time"].dt.days_in_month, 8.0, 30.0)
    assert found.dims == ("municipality", "time")
    np.testing.assert_allclose(found, [[558.0, 560.0]])


def test_a_missing_temperature_stays_missing() -> None:
    assert np.isnan(degree_days.daily([np.nan, 30.0], [20.0, np.nan], 10, 30)).all()


def test_names_of_the_limits() -> None:
    assert list(degree_days.quantities()) == [
        "gdd_0_26_degC_day",
        "gdd_5_30_degC_day",
        "gdd_8_30_degC_day",
        "gdd_9_32_degC_day",
        "gdd_12_35_degC_day",
    ]


@pytest.mark.parametrize("crop", sorted(degree_days.LIMITS))
def test_against_xclim(crop: str) -> None:
    # (clip(x) + clip(n)) / 2 - base = half of max(0, min(x, upper) - base) for x and for n, and xclim's
    # growing_degree_days sums max(0, t - base): so our sum is half of xclim's two sums.
    growing_degree_days = pytest.importorskip("xclim.indices").growing_degree_days

    base, upper = degree_days.LIMITS[crop]
    rng = np.random.default_rng(3)
    middle = 15 + 14 * np.sin(np.arange(365) / 58) + rng.normal(0, 4, 365)
    spread = rng.uniform(0, 10, 365)
    time = xr.date_range("2001-01-01", periods=365, freq="D")

    def half(values: np.ndarray) -> np.ndarray:
        capped = xr.DataArray(
            np.minimum(values, upper), dims="time", coords={"time": time}, attrs={"units": "degC"}
        )
        with warnings.catch_warnings():  # xclim 0.62 reads a property that pandas 3.1 deprecates
            warnings.filterwarnings("ignore", "The 'name' property", DeprecationWarning)
            return growing_degree_days(capped, thresh=f"{base} degC", freq="MS").values / 2

    days = degree_days.daily(middle + spread, middle - spread, base, upper)
    ours = xr.DataArray(days, dims="time", coords={"time": time}).resample(time="MS").sum().values
    np.testing.assert_allclose(ours, half(middle + spread) + half(middle - spread), rtol=1e-9)


@given(temperatures, temperatures, st.floats(0, 20), st.floats(0, 15), st.floats(0.5, 30))
def test_laws_of_a_day(one: float, other: float, warmer: float, base: float, width: float) -> None:
    tmin, tmax, upper = min(one, other), max(one, other), base + width
    found = degree_days.daily(tmax, tmin, base, upper)
    assert 0 <= found <= width + 1e-9
    assert degree_days.daily(tmax + warmer, tmin, base, upper) >= found
    assert degree_days.daily(tmax, tmin + warmer, base, upper) >= found
    assert degree_days.daily(tmax, tmin, base, None) >= found
    if base <= tmin and tmax <= upper:
        assert found == pytest.approx((tmax + tmin) / 2 - base)


@given(st.lists(st.tuples(st.floats(10, 20), st.floats(20, 30)), min_size=28, max_size=31))
def test_monthly_is_exact_while_no_day_crosses_a_limit(days: list[tuple[float, float]]) -> None:
    tmin, tmax = np.array(days).T
    exact = degree_days.daily(tmax, tmin, 10, 30).sum()
    assert degree_days.from_monthly(tmax.mean(), tmin.mean(), len(days), 10, 30) == pytest.approx(exact)


# Measured on 438 regions x 120 months, 2009-2018, ERA5-Land days (bias % of the mean, RMSE and largest
# error in degC day per month):
MEASURED = {"soybean": (0.43, 4.83, 41.23), "corn": (0.44, 5.39, 41.23)}


@pytest.mark.parametrize("crop", sorted(MEASURED))
def test_the_error_of_the_monthly_approximation_on_real_days(crop: str) -> None:
    path = BRAZIL / "weather_daily_health_region.nc"
    if not path.exists():
        pytest.skip("the real daily series is not beside this checkout")
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        tmax, tmin, time = ds["tmax_degC"].values, ds["tmin_degC"].values, ds["time"].values
    months = time.astype("datetime64[M]")
    starts = np.flatnonzero(np.r_[True, months[1:] != months[:-1]])
    length = np.diff(np.r_[starts, len(time)])
    limits = degree_days.LIMITS[crop]
    exact = np.add.reduceat(degree_days.daily(tmax, tmin, *limits), starts, axis=1)
    mean_tmax, mean_tmin = (np.add.reduceat(t, starts, axis=1) / length for t in (tmax, tmin))
    error = degree_days.from_monthly(mean_tmax, mean_tmin, length, *limits) - exact
    bias_pct = 100 * error.mean() / exact.mean()
    rmse, largest = np.sqrt((error**2).mean()), np.abs(error).max()
    assert (bias_pct, rmse, largest) == pytest.approx(MEASURED[crop], abs=0.01)
