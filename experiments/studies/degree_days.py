"""The error of degree days computed from monthly means, measured on daily temperatures.

Reads a daily netCDF of tmax_degC and tmin_degC, dims (place, time). For each crop it compares the sum over
the days of each month (exact) with the same formula applied to the monthly means.

    python experiments/studies/degree_days.py --daily DAILY.nc
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from yieldcast.data import degree_days


def errors(daily: xr.Dataset, base_degC: float, upper_degC: float) -> tuple[np.ndarray, np.ndarray]:
    """Exact degree days and the error of the approximation, (place, month), degC day."""
    exact = degree_days.daily(daily["tmax_degC"], daily["tmin_degC"], base_degC, upper_degC)
    exact = exact.resample(time="MS").sum()
    means = daily[["tmax_degC", "tmin_degC"]].resample(time="MS").mean()
    days = means["time"].dt.days_in_month
    from_means = degree_days.from_monthly(means["tmax_degC"], means["tmin_degC"], days, base_degC, upper_degC)
    order = ("time", *(d for d in exact.dims if d != "time"))
    return exact.transpose(*order).values, (from_means - exact).transpose(*order).values


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--daily", type=Path, required=True, help="netCDF of daily temperatures")
    given = parser.parse_args()
    daily = xr.open_dataset(given.daily, engine="h5netcdf")
    print("| crop | base, upper degC | mean degC day per month | bias % | RMSE degC day | max degC day |")
    print("|---|---|--:|--:|--:|--:|")
    for crop, (base, upper) in degree_days.LIMITS.items():
        exact, error = errors(daily, base, upper)
        rmse, worst = np.sqrt((error**2).mean()), np.abs(error).max()
        print(
            f"| {crop} | {base:g}, {upper:g} | {exact.mean():.0f} | {100 * error.mean() / exact.mean():+.2f} "
            f"| {rmse:.1f} | {worst:.1f} |"
        )


if __name__ == "__main__":
    main()
