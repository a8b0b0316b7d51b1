"""One forecast with hand-worked numbers, the exported values that follow from it, and boundaries for it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.forecasting.table import check_forecast

CODES = np.array([4100001, 4100002, 5100001, 5100002])
FORMULA = '=HYPERLINK("http://x";"São Luís")'
NAMES = ['São "Luís" d\'Oeste <b>', "A;B\nC, D", FORMULA, "Nazária"]


@pytest.fixture(scope="module")
def forecast():
    """Four municipalities; the numbers of the first are round, the last lacks what may be missing."""
    ds = synthetic_forecast(CODES, NAMES, ["PR", "PR", "MT", "MT"]).copy(deep=True)
    ds["yield_kg_ha"][0] = [2000.0, 2100.0, 2300.0, 2600.5, 2900.0, 3100.0, 3200.0]
    first = {
        "yield_mean_kg_ha": 2610.0, "mean_5y_public_kg_ha": 2500.0, "probability_low": 0.125,
        "low_threshold_kg_ha": 2400.25, "area_planted_ha": 1234.0, "last_public_kg_ha": 2700.0,
        "trend_10y_public_kg_ha": 2550.0, "own_history": 1, "observed_share": 0.25, "rain_so_far_pct": 80.0,
        "tmax_so_far_anomaly_degC": -0.5,
    }  # fmt: skip
    for name, value in first.items():
        ds[name][0] = value
    gaps = ("probability_low", "low_threshold_kg_ha", "area_planted_ha", "last_public_kg_ha")
    for name in (*gaps, "mean_5y_public_kg_ha", "trend_10y_public_kg_ha", "rain_so_far_pct"):
        ds[name][3] = np.nan
    ds["own_history"][3] = 0
    ds["aggregate_yield_kg_ha"][0] = [2500.0, 2600.0, 2700.0, 3000.0, 3100.0, 3200.0, 3300.0]
    ds["aggregate_area_planted_ha"][0] = 2_000_000.0
    return check_forecast(ds)


# By hand, from the fixture: median 2600.5 minus 2500 is 100.5, of 2500 4.02 %; 3200 - 2000 = 1200;
# 1234 ha x 2600.5 kg/ha = 3209.017 t, x 2000 = 2468 t, x 3200 = 3948.8 t.
FIRST = {
    "code": "4100001", "name": NAMES[0], "state": "PR", "crop": "soybean", "harvest_year": 2018,
    "as_of": "2017-11-15", "synthetic": True, "yield_p50_kg_ha": 2600.5, "yield_mean_kg_ha": 2610.0,
    "yield_p05_kg_ha": 2000.0, "yield_p10_kg_ha": 2100.0, "yield_p25_kg_ha": 2300.0,
    "yield_p75_kg_ha": 2900.0, "yield_p90_kg_ha": 3100.0, "yield_p95_kg_ha": 3200.0,
    "width90_kg_ha": 1200.0, "anomaly_kg_ha": 100.5, "anomaly_pct": 4.0, "prob_low_pct": 12.5,
    "low_limit_kg_ha": 2400.2, "last_public_kg_ha": 2700.0, "mean_5y_kg_ha": 2500.0,
    "trend_10y_kg_ha": 2550.0, "own_history": True, "observed_pct": 25.0, "rain_pct": 80.0,
    "tmax_anomaly_degC": -0.5, "area_planted_ha": 1234.0, "prod_p50_t": 3209.0, "prod_p05_t": 2468.0,
    "prod_p95_t": 3949.0, "window_start": "2017-09-01", "window_end": "2018-05-31",
}  # fmt: skip
MISSING = (
    "anomaly_kg_ha", "anomaly_pct", "prob_low_pct", "low_limit_kg_ha", "last_public_kg_ha", "mean_5y_kg_ha",
    "trend_10y_kg_ha", "rain_pct", "area_planted_ha", "prod_p50_t", "prod_p05_t", "prod_p95_t",
)  # fmt: skip


@pytest.fixture(scope="session")
def expected():
    """What exports of `forecast` hold: the first row, keys that the last one lacks, names, codes."""
    return SimpleNamespace(first=FIRST, missing=MISSING, names=NAMES, codes=CODES, formula=FORMULA)


def square(west: float, south: float) -> list[list[float]]:
    ring = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    return [[west + x, south + y] for x, y in ring]


@pytest.fixture
def mesh(tmp_path):
    """Boundaries of the first three, and of one that the forecast does not have."""
    shapes = {
        "4100001": {"type": "Polygon", "coordinates": [square(-50.123456789, -25)]},
        4100002: {"type": "MultiPolygon", "coordinates": [[square(-52, -25)], [square(-54, -25)]]},
        "5100001": {"type": "Polygon", "coordinates": [square(-56, -14)]},
        "5100003": {"type": "Polygon", "coordinates": [square(-58, -14)]},
    }
    features = [
        {"type": "Feature", "properties": {"code": code}, "geometry": shape} for code, shape in shapes.items()
    ]
    features.append({"type": "Feature", "properties": {"code": "5100002"}, "geometry": None})
    path = tmp_path / "mesh.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path
