"""Synthetic tables with plausible numbers that pass the package's checks, for tests and docs."""

from __future__ import annotations

import datetime as dt
import io
import os

import numpy as np
import xarray as xr
from rich.console import Console

from yieldcast.data.crop_weights import GRIDS, SHARES, VARIANCES, check_crop_weights
from yieldcast.evaluation.metrics import Score
from yieldcast.evaluation.score_rows import Said, ScoredPlaces, check_rows, score_table
from yieldcast.evaluation.scores import BaselineScore, Evaluation
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, assemble

_Z = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])  # of the standard normal


# The time of every test; `make test-slow` runs the tests of the clock's users on the special days too.
NOW = dt.datetime.fromisoformat(os.environ.get("YIELDCAST_TEST_NOW", "2026-11-20T12:00:00+00:00"))
SPECIAL_DAYS = (
    dt.datetime(2026, 10, 31, 23, 59, 59, tzinfo=dt.UTC),
    dt.datetime(2026, 12, 31, 12, tzinfo=dt.UTC),
    dt.datetime(2028, 2, 29, 0, 0, 1, tzinfo=dt.UTC),
)


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
    parts: bool = False,
) -> xr.Dataset:
    """A table that passes `forecast_table.check_forecast`; attribute `synthetic` is 1.

    Args:
        codes: municipality codes, ascending; 60 made-up ones of MT, PR and RS when None.
        names, states: per municipality.
        as_of, crop, harvest_year: what it claims to be.
        shift_kg_ha: added to every yield, to make an earlier or a later issue of the same season.
        seed: of all random numbers.
        parts: as by the method "posterior": with parts of the medians, of which the water takes the shift,
            the baselines of everyone, and an official estimate for the first state.
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
    if not parts:
        return assemble(values, coords, list(groups), attrs)
    more, texts = _posterior(median, shift_kg_ha, len(groups), seed)
    return assemble(values | more, coords, list(groups), attrs, texts)


def _posterior(median: np.ndarray, shift_kg_ha: float, aggregates: int, seed: int) -> tuple[dict, dict]:
    """What only forecasts by the method "posterior" have."""
    rng = np.random.default_rng(seed + 1000)
    level = np.round(0.9 * (median - shift_kg_ha))
    zero = np.zeros(len(median))
    found = {
        "level": level, "trend": rng.normal(150, 50, len(median)), "weather_to_come": zero,
        "official": rng.normal(40, 30, len(median)), "network": zero,
        "calibration": np.full(len(median), -12.5),
    }  # fmt: skip
    found["water_so_far"] = median - sum(found.values())
    values = {f"part_{name}_kg_ha": array for name, array in found.items()}
    values |= {"level_trend_public_kg_ha": level + found["trend"], "official_public_kg_ha": 0.95 * level}
    official = np.full(aggregates, np.nan)
    official[1] = 3120.0
    empty = [""] * (aggregates - 2)
    texts = {
        "official_source": ["", "lspa", *empty], "official_reference": ["", "2017-10", *empty],
        "official_public_from": ["", "2017-11-09", *empty],
    }  # fmt: skip
    return {**values, "aggregate_official_kg_ha": official}, texts


SEASONAL_CODES = [1100, 1200, 1300]
SEASONAL_DIMS = ("forecast_reference_time", "lead_month", "member", "cell")
SEASONAL_ANOMALIES = ("tmax_anomaly_degC", "tmin_anomaly_degC")


def synthetic_seasonal(starts=("2016-11", "2016-12"), leads=3, members=2, systems=None, seed=0):
    """Seasonal forecasts of three municipalities in two cells per system; the third one has no cell."""
    rng = np.random.default_rng(seed)
    starts = np.array(starts, "datetime64[M]")
    systems = systems or [51] * len(starts)
    different = sorted(set(systems))
    size = (len(starts), leads, members, 2 * len(different))
    mine = np.array([[different.index(s) == c // 2 for c in range(size[3])] for s in systems])[:, None, None]

    def field(low, high):
        return np.where(mine, rng.uniform(low, high, size), np.nan).astype(np.float32)

    cells = np.array([[2 * i, 2 * i + 1, -1] for i in range(len(different))], np.int32)
    return xr.Dataset(
        {
            "tmax_anomaly_degC": (SEASONAL_DIMS, field(-3, 3), {"units": "degC"}),
            "tmin_anomaly_degC": (SEASONAL_DIMS, field(-3, 3), {"units": "degC"}),
            "precipitation_ratio": (SEASONAL_DIMS, field(0, 2), {"units": "1"}),
            "published": (SEASONAL_DIMS[:1], starts.astype("datetime64[ns]") + np.timedelta64(6, "D")),
            "start_system": (SEASONAL_DIMS[:1], np.array(systems, np.int16)),
            "cell_latitude_deg": ("cell", np.linspace(-12.5, -9.5, size[3])),
            "cell_longitude_deg": ("cell", np.linspace(-57.5, -54.5, size[3])),
            "municipality_cell": (("system", "municipality"), cells),
        },
        coords={
            SEASONAL_DIMS[0]: starts.astype("datetime64[ns]"),
            "lead_month": np.arange(1, leads + 1, dtype=np.int16),
            "member": np.arange(members, dtype=np.int16),
            "cell": np.arange(size[3], dtype=np.int32),
            "system": np.array(different, np.int16),
            "municipality": np.array(SEASONAL_CODES, np.int32),
        },
        attrs={"licence": "L", "attribution": "A", "hindcast_years": "1993-2016"},
    )


def constant_seasonal(ds, tmax=0.0, tmin=0.0, ratio=1.0):
    """The same table with one value everywhere for each variable; writes to `ds`."""
    for name, value in zip((*SEASONAL_ANOMALIES, "precipitation_ratio"), (tmax, tmin, ratio), strict=True):
        ds[name] = ds[name].copy(data=np.where(np.isnan(ds[name].values), np.nan, value).astype(np.float32))
    return ds


# A network that trains in seconds, as the contents of a config file; what it lacks is the preset's.
TINY_NETWORK = """
[network]
lstm_units = [4]
static_units = [4]
head_units = [4]
[training]
max_epochs = 3
batch_size = 32
"""


def printed(renderable, width=80):
    """A rich renderable as text on a console without colours."""
    screen = Console(width=width, file=io.StringIO(), color_system=None)
    screen.print(renderable)
    return screen.file.getvalue()


def refused(result, code, *texts):
    """Check that a command (exit code, stdout, stderr) ended with one short error and a hint.

    Args:
        result: what the `call` fixture returns.
        code: expected exit code.
        texts: must occur in stderr, line breaks aside.

    Returns:
        stderr on one line.
    """
    assert result[0] == code, result
    said = " ".join(result[2].split())
    assert "Traceback" not in said
    assert "Hint:" in said
    assert len(result[2].splitlines()) < 24
    for text in texts:
        assert text in said
    return said


def synthetic_evaluation(seeds=30, crop="soybean", scale=1.0):
    """Scores in round numbers; `scale` makes RMSE and bias as long as those of sugarcane."""

    def one(r, mape, rmse, bias):
        return Score(2315, r, mape, rmse * scale, bias * scale)

    members = tuple(one(0.30 + 0.01 * i, 16 - 0.1 * i, 615, 20) for i in range(seeds))
    baselines = {
        "last_year": (one(0.635, 9.6, 450, -60), "hindsight", 104),
        "ridge": (one(0.41, 15.0, 560, 12), "none", 0),
        "boosted_history": (one(0.64, 11.1, 423, 30), "hindsight", 0),
        "last_public": (one(0.49, 17.1, 653, -301), "public", 211),
        "boosted_history_public": (one(float("nan"), 12.0, 521, 8), "public", 0),
    }
    return Evaluation(
        crop, tuple(range(2011, 2018)), (2018,), tuple(range(1, seeds + 1)), members,
        one(0.45, 14.9, 600, 19), {name: BaselineScore(*values) for name, values in baselines.items()},
    )  # fmt: skip


SKILL_MODELS = [
    "forecast", "last_public", "mean_5y_public", "trend_10y_public", "boosted_history_public", "climatology",
]  # fmt: skip


def synthetic_skill(leads=(6, 3, 0), years=(2014, 2015), scale=1.0, states=()):
    """Rows of a backtest in which the forecast is better than every baseline up to three months ahead."""
    rows = []
    for state in states or [None]:
        for year in years:
            for lead in leads:
                for k, model in enumerate(SKILL_MODELS):
                    rmse = (500.0 + 10 * lead if model == "forecast" else 530.0 + 10 * k) * scale
                    intervals = model in ("forecast", "climatology")
                    rows.append(
                        {
                            **({"state": state} if state else {}),
                            "crop": "soybean", "harvest_year": year, "lead_months": lead, "model": model,
                            "n": 100, "r": 0.5, "mape_pct": 14.0, "rmse_kg_ha": rmse,
                            "crps_kg_ha": rmse * (0.55 if intervals else 0.8),
                            "coverage90": (0.95 if year == 2014 else 0.85) if intervals else None,
                        }
                    )  # fmt: skip
    return rows


def score_rows(model, seed, years=range(2014, 2019), places=24, scale=300.0, classes=False):
    """Checked rows of scores of one model in two states; yields are those of every seed, errors its own."""
    count = len(list(years)) * places
    truth = np.random.default_rng(0).normal(3000, 500, count)
    random = np.random.default_rng([seed, 1])
    point = truth + random.normal(0, scale, count)
    known = np.digitize(truth, (2700, 3300)) if classes else None
    said = Said(
        point,
        np.maximum(point[:, None] + scale * _Z, 0),
        np.digitize(point, (2700, 3300)) if classes else None,
    )
    codes = np.tile(np.arange(places) + 5100000, len(list(years)))
    rows = ScoredPlaces(
        "soybean", codes, np.repeat(list(years), places), np.datetime64("2013-02-15"),
        np.where(codes % 2, "MT", "GO"), truth, known,
    )  # fmt: skip
    return check_rows(score_table(rows, {model: said}), model)


def synthetic_crop_weights(
    cells, places, crop="soybean", other=100.0, last=(8, 31), grid="era5", shares=None
):
    """A table of crop areas.

    Args:
        cells: hectares by harvest year, place and (row, column) of the cell.
        places: all codes, sorted.
        other: hectares of other classes in each place.
        last: month and day on which every season ends.
        grid: of the weather.
        shares: crop_share, other_share and their two variances; None for no reference points.
    """
    years = sorted(cells)
    rows = [
        (year, place, row, column, ha, ha / sum(held.values()))
        for year in years
        for place, held in sorted(cells[year].items())
        for (row, column), ha in sorted(held.items())
    ]
    columns = list(zip(*rows, strict=True))
    types = ("int16", "int32", "int32", "int32", "float64", "float64")
    names = ("harvest_year", "municipality", "row", "column", "ha", "weight")
    crop_ha = [[sum(cells[year].get(place, {}).values()) for place in places] for year in years]
    days = np.array([f"{year}-{last[0]:02d}-{last[1]:02d}" for year in years], "datetime64[ns]")
    both, each = ("harvest_year", "municipality"), "harvest_year"
    known = shares or (1.0, 0.0, np.nan, np.nan)
    data = {
        "crop_ha": (both, np.array(crop_ha, float)),
        "other_ha": (both, np.full((len(years), len(places)), other)),
        "polygon_ha": ("municipality", np.full(len(places), 1000.0)),
        "last_day": (each, days), "public_from": (each, days + np.timedelta64(1, "D")),
        **{
            name: (each, np.full(len(years), value))
            for name, value in zip((*SHARES, *VARIANCES), known, strict=True)
        },
        **{
            f"entry_{name}": ("entry", np.array(values, dtype))
            for name, values, dtype in zip(names, columns, types, strict=True)
        },
    }  # fmt: skip
    coords = {"harvest_year": np.array(years, np.int16), "municipality": np.array(places, np.int32)}
    attrs = {
        "title": f"Area of {crop}", "crop": crop, "grid": grid, "step_deg": GRIDS[grid], "maps": "{}",
        "fallback": "polygon",
    }  # fmt: skip
    return check_crop_weights(xr.Dataset(data, coords, attrs))
