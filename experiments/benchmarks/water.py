"""Time of the daily water balance of a whole country: 5,570 places, 20 years of days.

The weather is generated: a yearly course of temperature, and showers on a third of the days. Timed are the
reference evapotranspiration from temperatures of all days and the balance of soybean in 20 seasons.

    python experiments/benchmarks/water.py [--places 5570] [--years 20] [--write experiments/results]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from calendars.stages import stages
from results_file import heading, markdown_table, write
from yieldcast.features.evapotranspiration import extraterrestrial_radiation, hargreaves
from yieldcast.features.water_balance import DailyWeather, SeasonWater, WaterBalance, capacity_mm

Floats = NDArray[np.float64]
FIRST_YEAR = 2000
LIMIT_S = 20.0  # the project's own bound for 5,570 places and 20 years


def generated(places: int, days: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Latitude (place,), and maximum and minimum temperature and rain (place, day)."""
    rng = np.random.default_rng(0)
    latitude = rng.uniform(-33.0, 5.0, places)
    course = 3.0 * np.cos(2.0 * np.pi * (np.arange(days) - 15.0) / 365.25)
    tmax = (29.0 + course + rng.normal(0.0, 2.0, (places, days))).astype(np.float32)
    rain = np.where(rng.random((places, days)) < 1 / 3, rng.exponential(12.0, (places, days)), 0.0)
    return latitude, tmax, tmax - np.float32(11.0), rain


def timed(places: int, years: int) -> tuple[float, float]:
    """Seconds of the evapotranspiration and of the seasons' balances."""
    first = np.datetime64(f"{FIRST_YEAR}-01-01")
    time_of_day = np.arange(first, np.datetime64(f"{FIRST_YEAR + years + 1}-01-01"))
    latitude, tmax, tmin, rain = generated(places, len(time_of_day))
    began = time.perf_counter()
    day = (time_of_day - time_of_day.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    et0 = hargreaves(tmax, tmin, extraterrestrial_radiation(latitude[:, None], day[None]))
    middle = time.perf_counter()
    soybean = stages("soybean")
    balance = WaterBalance(soybean, capacity_mm(np.full(places, 35.0), soybean))
    seasons = range(FIRST_YEAR + 1, FIRST_YEAR + years + 1)
    centres = {year: np.full(places, np.datetime64(f"{year - 1}-11-01")) for year in seasons}
    water = SeasonWater(balance, DailyWeather(first, et0, rain), centres)
    indices = [water.full(year) for year in seasons]
    if not all(np.isfinite(index).all() for index in indices):
        raise SystemExit("expected a finite index of every place and season")
    return middle - began, time.perf_counter() - middle


def main() -> None:
    """Time it once and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--places", type=int, default=5570)
    add("--years", type=int, default=20, help="seasons; one year of days more is made")
    add("--write", type=Path, help="folder for benchmark-water.md")
    given = parser.parse_args()
    evapotranspiration, balance = timed(given.places, given.years)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    total = evapotranspiration + balance
    lines = [
        [f"reference evapotranspiration of all days, {given.years + 1} years", f"{evapotranspiration:.1f}"],
        [f"balances of {given.years} seasons, 5 sowing dates each", f"{balance:.1f}"],
        ["both", f"{total:.1f}"],
    ]
    parts = [
        *heading(f"Water balance of {given.places:,} places"),
        "Generated weather, one process, one reading.",
        markdown_table(["what", "s"], lines),
        f"The bound is {LIMIT_S:.0f} s for 5,570 places and 20 years. Peak memory: {peak:.1f} GB, the "
        "generated weather included.",
    ]
    if given.write:
        print(f"written: {write(given.write / 'benchmark-water.md', parts)}")
    else:
        print("\n\n".join(parts))


if __name__ == "__main__":
    main()
