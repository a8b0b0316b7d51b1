"""Forecasts that nobody made: the contract of `forecast_table` with plausible numbers, for tests and docs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from yieldcast.forecasting.table import ALL_MUNICIPALITIES, assemble

_Z = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])  # of the standard normal


def synthetic_forecast(
    codes: np.ndarray | None = None,
    names: list[str] | None = None,
    states: list[str] | None = None,
    *,
    as_of: str = "2017-11-15",
    crop: str = "soybean",
    harvest_year: int = 2018,
    shift_kg_ha: float = 0.0,
    seed: int = 1,
) -> xr.Dataset:
    """A table that passes `forecast_table.check_forecast`; attribute `synthetic` is 1.

    Args:
        codes: municipality codes, ascending; 60 made-up ones of MT, PR and RS when None.
        names, states: per municipality.
        as_of, crop, harvest_year: what it claims to be.
        shift_kg_ha: added to every yield, to make an earlier or a later issue of the same season.
        seed: of all random numbers.
    """
    rng = np.random.default_rng(seed)
    if codes is None:
        codes = np.concatenate([start + np.arange(20) for start in (4_190_001, 4_390_001, 5_190_001)])
        states = ["PR"] * 20 + ["RS"] * 20 + ["MT"] * 20
    count = len(codes)
    states = states or ["MT"] * count
    names = names or [f"Sintético {i:03d}" for i in range(count)]
    median = rng.normal(3000, 350, count) + shift_kg_ha
    spread = rng.uniform(250, 500, count) * (1.0 if as_of < f"{harvest_year}" else 0.6)
    area = np.where(rng.random(count) < 0.03, np.nan, rng.lognormal(8, 1, count))
    mean_5y = median + rng.normal(0, 300, count)
    share = float(
        np.clip((np.datetime64(as_of) - np.datetime64(f"{harvest_year - 1}-09-15")).astype(int) / 270, 0, 1)
    )
    values = {
        "yield_kg_ha": np.maximum(median[:, None] + spread[:, None] * _Z, 0.0),
        "yield_mean_kg_ha": np.maximum(median + 5.0, 0.0),
        "observed_share": np.full(count, share),
        "probability_low": rng.uniform(0, 1, count),
        "low_threshold_kg_ha": mean_5y * 0.93,
        "area_planted_ha": area,
        "last_public_kg_ha": mean_5y + rng.normal(0, 250, count),
        "mean_5y_public_kg_ha": mean_5y,
        "trend_10y_public_kg_ha": mean_5y * 1.03,
        "own_history": rng.random(count) > 0.05,
        "rain_so_far_pct": rng.uniform(60, 140, count) if share else np.full(count, np.nan),
        "tmax_so_far_anomaly_degC": rng.normal(0, 1, count) if share else np.full(count, np.nan),
    }
    groups = {ALL_MUNICIPALITIES: np.ones(count, dtype=bool)}
    groups |= {state: np.array(states) == state for state in sorted(set(states))}
    weight = np.nan_to_num(area)

    def weighted(array: np.ndarray, factor: float = 1.0) -> np.ndarray:
        return factor * np.stack(
            [np.average(array[m], axis=0, weights=weight[m] + 1e-9) for m in groups.values()]
        )

    values |= {
        "aggregate_yield_kg_ha": np.maximum(
            weighted(median)[:, None] + 0.6 * weighted(spread)[:, None] * _Z, 0
        ),
        "aggregate_yield_mean_kg_ha": np.maximum(weighted(median), 0),
        "aggregate_observed_share": weighted(values["observed_share"]),
        "aggregate_area_planted_ha": [weight[m].sum() for m in groups.values()],
        "aggregate_last_public_kg_ha": weighted(values["last_public_kg_ha"]),
        "aggregate_mean_5y_public_kg_ha": weighted(mean_5y),
        "aggregate_municipalities": [int(m.sum()) for m in groups.values()],
    }
    start, end = (
        np.datetime64(f"{harvest_year - 1}-09-01", "ns"),
        np.datetime64(f"{harvest_year}-05-31", "ns"),
    )
    coords = {
        "municipality": codes, "code": np.array([str(c) for c in codes]), "name": np.array(names),
        "state": np.array(states),
        "region": np.array(["Sul" if s in ("PR", "RS") else "Centro-Oeste" for s in states]),
        "latitude_deg": rng.uniform(-30, -10, count), "longitude_deg": rng.uniform(-60, -48, count),
        "window_start": np.full(count, start), "window_end": np.full(count, end),
    }  # fmt: skip
    attrs = {
        "title": f"Synthetic forecast: {crop} {harvest_year} as of {as_of}", "crop": crop,
        "harvest_year": harvest_year, "as_of": as_of, "lead_months": 6, "scenarios": "climatology",
        "scenario_years": "2010-2017", "members": 30, "run": "RUN", "run_id": "0123456789ab",
        "train_years": "2010-2016", "last_public_harvest_year": 2016, "weather_known_to": "2017-10",
        "calibration": '{"years": [2010, 2011, 2012]}', "inputs": "{}", "country": "Brazil", "synthetic": 1,
        "made_with": "yieldcast 0.1.0", "licence": "CC BY 4.0", "attribution": "synthetic; no data owner",
    }  # fmt: skip
    return assemble(values, coords, list(groups), attrs)
