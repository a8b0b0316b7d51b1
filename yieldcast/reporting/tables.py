"""The columns of the exported tables, as arrays under the keys of `column_labels.COLUMNS`.

Values are rounded here, once, so that every format shows the same number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import language
from yieldcast.forecasting.parts import aggregate_parts, municipal_parts, part_variable
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, OFFICIAL_TEXTS, QUANTILES, production_t
from yieldcast.reporting import labels
from yieldcast.reporting.column_labels import COLUMNS

# key -> (row,) texts, integers, booleans, days (datetime64[D]) or numbers (float64, NaN where missing)
Table = dict[str, NDArray[Any]]
# Digits after the decimal sign by unit; 1 for any other. PAM has whole hectares and tonnes; 0.0001° is 11 m.
_DIGITS = {"ha": 0, "t": 0, "°": 4}
_PUBLIC_BASELINES = (  # column, variable of forecasts by the method "posterior"
    ("level_trend_kg_ha", "level_trend_public_kg_ha"),
    ("official_mean_kg_ha", "official_public_kg_ha"),
)
_P05, _P50, _P95 = (QUANTILES.index(q) for q in (0.05, 0.50, 0.95))


def digits(key: str) -> int:
    """Number of digits after the decimal sign of a column of numbers."""
    own = COLUMNS[key].digits
    return _DIGITS.get(COLUMNS[key].unit, 1) if own is None else own


def municipality_table(forecast: xr.Dataset) -> Table:
    """One row per municipality: names, quantiles, risk, baselines, season, area and production.

    Args:
        forecast: a checked table.
    """
    got = {name: array.values for name, array in forecast.variables.items()}
    names = {key: got[key].astype(str) for key in ("code", "name", "state", "region")}
    risk = {
        "prob_low_pct": 100.0 * got["probability_low"],
        "low_limit_kg_ha": got["low_threshold_kg_ha"],
        "last_public_kg_ha": got["last_public_kg_ha"],
        "mean_5y_kg_ha": got["mean_5y_public_kg_ha"],
        "trend_10y_kg_ha": got["trend_10y_public_kg_ha"],
        **{key: got[name] for key, name in _PUBLIC_BASELINES if name in got},
        "own_history": got["own_history"].astype(bool),
        "observed_pct": 100.0 * got["observed_share"],
        "rain_pct": got["rain_so_far_pct"],
        "tmax_anomaly_degC": got["tmax_so_far_anomaly_degC"],
        "area_planted_ha": got["area_planted_ha"],
        **_in_map(got, ""),
    }
    places = {
        **{key: got[key].astype("datetime64[D]") for key in ("window_start", "window_end")},
        "latitude_deg": got["latitude_deg"],
        "longitude_deg": got["longitude_deg"],
    }
    return rounded(
        names
        | _bulletin(forecast, forecast.sizes["municipality"])
        | _yields(got["yield_kg_ha"], got["yield_mean_kg_ha"], got["mean_5y_public_kg_ha"])
        | _parts(municipal_parts(forecast), got["yield_kg_ha"])
        | risk
        | _production(forecast, aggregate=False)
        | places
        | _synthetic(forecast, forecast.sizes["municipality"])
    )


def aggregate_table(forecast: xr.Dataset) -> Table:
    """One row for the country and one per state; only the columns that aggregates have.

    Args:
        forecast: a checked table.
    """
    got = {str(name): array.values for name, array in forecast.variables.items()}
    is_country = got["aggregate"] == ALL_MUNICIPALITIES
    names = {
        "level": np.where(is_country, "country", "state"),
        "aggregate": got["aggregate"].astype(str),
        "municipalities": got["aggregate_municipalities"],
    }
    rest = {
        "last_public_kg_ha": got["aggregate_last_public_kg_ha"],
        "mean_5y_kg_ha": got["aggregate_mean_5y_public_kg_ha"],
        **_official(got),
        "observed_pct": 100.0 * got["aggregate_observed_share"],
        "area_planted_ha": got["aggregate_area_planted_ha"],
        **_in_map(got, "aggregate_"),
    }
    return rounded(
        names
        | _bulletin(forecast, len(is_country))
        | _yields(
            got["aggregate_yield_kg_ha"],
            got["aggregate_yield_mean_kg_ha"],
            got["aggregate_mean_5y_public_kg_ha"],
        )
        | _parts(aggregate_parts(forecast), got["aggregate_yield_kg_ha"])
        | rest
        | _production(forecast, aggregate=True)
        | _synthetic(forecast, len(is_country))
    )


def parts_in_digits(parts: xr.DataArray, median: NDArray[Any], digits: int) -> xr.DataArray:
    """(part, row) parts rounded so that they still add up to the rounded median.

    Args:
        parts: (part, row) kg/ha, adding up to the median.
        median: (row,) kg/ha.
        digits: number of digits after the decimal sign.
    """
    sums = np.cumsum(parts.values, axis=0)
    sums[-1:] = median.astype(np.float64)
    whole = np.diff(np.round(sums, digits), axis=0, prepend=0.0)
    return parts.copy(data=np.round(whole, digits) + 0.0)


def localised(table: Table, lang: str, country: str) -> Table:
    """The table with crop, level, country, months, days and booleans in the words of a language.

    Args:
        table: result of `municipality_table` or `aggregate_table`.
        lang: language.
        country: the forecast's attribute ``country``.
    """
    words = language.of(lang)
    shown: dict[str, Callable[[str], str]] = {
        "crop": lambda name: labels.crop(name, lang),
        "level": lambda name: labels.level(name, lang),
        "aggregate": lambda name: labels.aggregate(name, lang, country),
        "official_reference": lambda iso: words.month(iso) if iso else "",
        "official_public_from": lambda iso: words.date(dt.date.fromisoformat(iso)) if iso else "",
    }
    out = dict(table)
    for key, values in table.items():
        if key in shown:
            out[key] = np.array([shown[key](str(value)) for value in values])
        elif values.dtype.kind == "b":
            out[key] = np.where(values, words.gettext("yes"), words.gettext("no"))
    return out


def _parts(parts: xr.DataArray, quantiles: NDArray[Any]) -> Table:
    keys = [part_variable(name) for name in parts["part"].values.tolist()]
    rounded = parts_in_digits(parts, quantiles[:, _P50], digits(part_variable("level")))
    return dict(zip(keys, rounded.values, strict=True))


def _official(got: dict[str, NDArray[Any]]) -> Table:
    if "aggregate_official_kg_ha" not in got:
        return {}
    texts = {name: got[name].astype(str) for name in OFFICIAL_TEXTS}
    return {"official_kg_ha": got["aggregate_official_kg_ha"], **texts}


def _in_map(got: Mapping[Any, NDArray[Any]], prefix: str) -> Table:
    """Area in the newest public map and its standard error, where the store has maps of the crop."""
    names = {"map_area_ha": "area_mapped_ha", "map_area_se_ha": "area_mapped_error_ha"}
    return {key: got[prefix + name] for key, name in names.items() if prefix + name in got}


def _bulletin(forecast: xr.Dataset, rows: int) -> Table:
    """Columns that identify the forecast in every row."""
    attrs = forecast.attrs
    return {
        "crop": np.full(rows, attrs["crop"]),
        "harvest_year": np.full(rows, attrs["harvest_year"], dtype=np.int32),
        "as_of": np.full(rows, np.datetime64(attrs["as_of"], "D")),
    }


def _synthetic(forecast: xr.Dataset, rows: int) -> Table:
    """Whether the data are made up: the last column, because it is the same in every row."""
    return {"synthetic": np.full(rows, bool(forecast.attrs["synthetic"]))}


def _yields(quantiles: NDArray[Any], mean: NDArray[Any], mean_5y: NDArray[Any]) -> Table:
    median = quantiles[:, _P50].astype(np.float64)
    departure = median - mean_5y
    share = np.full(len(median), np.nan)
    np.divide(100.0 * departure, mean_5y, out=share, where=mean_5y > 0)
    others = {
        f"yield_p{round(100 * q):02d}_kg_ha": quantiles[:, i] for i, q in enumerate(QUANTILES) if i != _P50
    }
    return {
        "yield_p50_kg_ha": median,
        "yield_mean_kg_ha": mean,
        **others,
        "width90_kg_ha": quantiles[:, _P95].astype(np.float64) - quantiles[:, _P05],
        "anomaly_kg_ha": departure,
        "anomaly_pct": share,
    }


def _production(forecast: xr.Dataset, aggregate: bool) -> Table:
    # in float64: a float32 has seven digits, too few for tonnes
    values = production_t(forecast.drop_vars("own_history").astype(np.float64), aggregate).values
    return {"prod_p50_t": values[:, _P50], "prod_p05_t": values[:, _P05], "prod_p95_t": values[:, _P95]}


def rounded(table: Table) -> Table:
    """Numbers as float64 with the digits of their column; adding zero turns -0 into 0."""
    return {
        key: np.round(values.astype(np.float64), digits(key)) + 0.0 if values.dtype.kind == "f" else values
        for key, values in table.items()
    }
