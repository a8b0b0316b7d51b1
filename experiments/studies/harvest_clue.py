"""Study: how much the features of fields tell of the length of the season, by the rule of the cut-off.

Fields are made up: ten seasons, sowing dates and season lengths (110 to 139 days) drawn by lot, weather and
vegetation that know nothing of them. So whatever trees explain of the lengths was told by the cut-off.

    python experiments/studies/harvest_clue.py [--fields 320] [--write experiments/results/harvest-clue.md]
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_file import heading, markdown_table, write
from yieldcast import Store
from yieldcast.config import FORECAST_SETTINGS, RiskSettings
from yieldcast.data import synthetic
from yieldcast.data.daily import daily_table
from yieldcast.data.field_seasons import field_seasons_table
from yieldcast.data.vegetation import vegetation_table
from yieldcast.features.day_rows import rows_for
from yieldcast.features.harvest_clue import harvest_clue, season_lengths
from yieldcast.features.season_dates import calendar_for

CROP, YEARS = "soybean", range(2007, 2017)
UNITS = (1, 40)  # weather units that the fields lie in
RULES = (
    RiskSettings(cutoff="before_harvest"),
    RiskSettings(cutoff="before_expected_harvest"),
    RiskSettings(cutoff="after_sowing", days_after_sowing=80),
)


def made_up(folder: Path, fields: int, units: int) -> Store:
    """A store of fields whose sowing dates and season lengths are drawn by lot."""
    rng = np.random.default_rng(0)
    tables = synthetic.country(1, fields, YEARS[0] - 4, len(YEARS) + 4)
    codes = tables.static["municipality"].values
    days = np.arange(np.datetime64(f"{YEARS[0] - 5}-01-01"), np.datetime64(f"{YEARS[-1] + 1}-01-01"))
    tmin = rng.normal(19, 3, (units, len(days)))
    weather = {
        "tmin_degC": tmin, "tmax_degC": tmin + rng.uniform(4, 15, tmin.shape),
        "precipitation_mm": np.where(rng.random(tmin.shape) < 0.4, rng.gamma(1, 9, tmin.shape), 0),
    }  # fmt: skip
    numbers = np.arange(1, units + 1, dtype=np.int32)
    daily = daily_table(weather, days, numbers, codes, np.arange(fields) % units)
    optional = {
        "daily": daily,
        "field_seasons": seasons(codes, rng),
        "vegetation": observed(codes, days, rng),
    }
    return Store.write(folder, tables, {}, optional=optional)


def seasons(codes: np.ndarray, rng: np.random.Generator) -> xr.Dataset:
    """Sowing in 25 days from 10 October on, harvest 110 to 139 days later."""
    code, year = np.repeat(codes, len(YEARS)), np.tile(np.array(YEARS), len(codes))
    first = (year - 1971).astype("datetime64[Y]").astype("datetime64[D]") + 282
    sowing = first + rng.integers(0, 25, len(year))
    harvest = sowing + rng.integers(110, 140, len(year))
    return field_seasons_table(
        pd.DataFrame(
            {
                "municipality": code,
                "crop": CROP,
                "harvest_year": year,
                "sowing_date": sowing.astype("datetime64[ns]"),
                "harvest_date": harvest.astype("datetime64[ns]"),
            }
        )
    )


def observed(codes: np.ndarray, days: np.ndarray, rng: np.random.Generator) -> xr.Dataset:
    """Vegetation every eight days, without any course."""
    dates = days[::8]
    count = len(dates) * len(codes)
    return vegetation_table(
        pd.DataFrame(
            {
                "municipality": np.repeat(codes, len(dates)),
                "date": np.tile(dates, len(codes)).astype("datetime64[ns]"),
                "ndvi": rng.uniform(0.2, 0.9, count),
                "evi": rng.uniform(0.2, 0.7, count),
                "clear": (rng.random(count) < 0.7).astype(int),
            }
        )
    )


def told(store: Store, rule: RiskSettings) -> str:
    """Share of the lengths explained for rows of known seasons, and of a new season in brackets."""
    settings = FORECAST_SETTINGS.model_copy(update={"risk": rule})
    calendar = calendar_for(settings.data, store.static, store.country)
    last = YEARS[-1]
    rows = rows_for(store, calendar, CROP, YEARS, settings, as_of=dt.date(last, 6, 1), season=last)
    clue = harvest_clue(rows, season_lengths(store.field_seasons, CROP, rows))
    return f"{clue.known_seasons:.2f} ({clue.new_seasons:.2f})"


def main() -> None:
    """Measure every rule with few and many weather units."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fields", type=int, default=320)
    parser.add_argument("--write", type=Path, help="results file")
    given = parser.parse_args()
    cells = []
    for units in UNITS:
        with tempfile.TemporaryDirectory() as folder:
            store = made_up(Path(folder) / "store", given.fields, units)
            cells.append([told(store, rule) for rule in RULES])
    rows = [[f"`{rule.cutoff}`", *found] for rule, found in zip(RULES, zip(*cells, strict=True), strict=True)]
    parts = [
        *heading("What features tell of the length of the season"),
        f"{given.fields} made-up fields, {len(YEARS)} seasons; lengths of 110 to 139 days drawn by lot. "
        "Share of the variance of the lengths within a harvest year that trees explain from the features, "
        "left-out rows of known seasons; in brackets, whole seasons left out. 0 or less: nothing is told.",
        markdown_table(["cut-off", *(f"{n} weather unit{'s' * (n > 1)}" for n in UNITS)], rows),
    ]
    if given.write:
        print(f"written: {write(given.write, parts)}")
    else:
        print("\n\n".join(parts))


if __name__ == "__main__":
    main()
