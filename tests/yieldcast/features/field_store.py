"""A store of fields with days, for tests: four fields, five seasons, sowing and harvest dates, vegetation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from yieldcast.data import synthetic
from yieldcast.data.daily import daily_table
from yieldcast.data.field_seasons import field_seasons_table
from yieldcast.data.store import Store, Tables
from yieldcast.data.vegetation import vegetation_table

YEARS = range(2012, 2017)
DAYS = np.arange(np.datetime64("2011-01-01"), np.datetime64("2017-01-01"))


def tables(seed: int = 1) -> tuple[Tables, dict[str, xr.Dataset]]:
    """Tables of four places in one state with daily weather, field seasons and vegetation."""
    made = synthetic.country(seed, 4, YEARS[0] - 4, len(YEARS) + 4)
    codes = made.static["municipality"].values
    return made, {
        "daily": _daily(codes, seed),
        "field_seasons": _seasons(codes, seed),
        "vegetation": _vegetation(codes, seed),
    }


def store(path: Path, seed: int = 1, without: tuple[str, ...] = ()) -> Store:
    """The tables as a store, without some of the optional ones."""
    made, optional = tables(seed)
    return Store.write(path, made, {}, optional={n: t for n, t in optional.items() if n not in without})


def _daily(codes: np.ndarray, seed: int) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    shape = (len(codes), len(DAYS))
    tmin = rng.normal(19, 3, shape)
    rain = np.where(rng.random(shape) < 0.4, rng.gamma(1.0, 9.0, shape), 0.0)
    values = {"tmax_degC": tmin + rng.uniform(4, 15, shape), "tmin_degC": tmin, "precipitation_mm": rain}
    return daily_table(values, DAYS, codes, codes, np.arange(len(codes)))


def _seasons(codes: np.ndarray, seed: int) -> xr.Dataset:
    rng = np.random.default_rng(seed + 1)
    rows = [
        {
            "municipality": code, "crop": "soybean", "harvest_year": year,
            "sowing_date": (sown := np.datetime64(f"{year - 1}-10-10") + int(rng.integers(0, 25))),
            "harvest_date": sown + int(rng.integers(120, 140)),
        }
        for code in codes for year in YEARS
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return field_seasons_table(frame.astype(dict.fromkeys(("sowing_date", "harvest_date"), "datetime64[ns]")))


def _vegetation(codes: np.ndarray, seed: int) -> xr.Dataset:
    rng = np.random.default_rng(seed + 2)
    days = DAYS[::6]
    season = 0.5 + 0.35 * np.sin((days - days.astype("datetime64[Y]")).astype(int) / 365 * 2 * np.pi)
    rows = []
    for code in codes:
        ndvi = np.clip(season + rng.normal(0, 0.03, len(days)), -1, 0.98)
        clear = (rng.random(len(days)) < 0.8).astype(int)
        rows.append(
            pd.DataFrame(
                {
                    "municipality": code,
                    "date": days.astype("datetime64[ns]"),
                    "ndvi": ndvi,
                    "evi": ndvi * 0.7,
                    "clear": clear,
                }
            )
        )
    return vegetation_table(pd.concat(rows))
