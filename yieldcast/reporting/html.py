"""A forecast as one HTML file: map, tables, season, skill and method, in English and Portuguese, offline.

Nothing in the file comes from elsewhere and nothing in it may open a connection: its Content-Security-Policy
allows only the script and the style whose hashes it names. All texts of the data travel as JSON in a script
element that browsers do not run, and reach the page as text nodes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr

from yieldcast.data.files import atomic_text
from yieldcast.errors import ConfigError
from yieldcast.evaluation import skill as html_skill
from yieldcast.forecasting.table import ATTRIBUTES, QUANTILES, check_forecast, production_t
from yieldcast.reporting import html_map

LANGUAGES = {"en": "en", "pt": "pt-BR"}
# One script, in this order: later files use what earlier ones name.
SCRIPTS = (
    "i18n.js", "format.js", "data.js", "colours.js", "view.js", "map.js", "gestures.js", "search.js",
    "charts.js", "panel.js", "table.js", "tables.js", "skill.js", "sections.js", "main.js",
)  # fmt: skip
_PLACE = (  # variable, name in the page, digits after the point
    ("yield_mean_kg_ha", "mean", 0), ("observed_share", "share", 3), ("probability_low", "low", 3),
    ("low_threshold_kg_ha", "threshold", 0), ("area_planted_ha", "area", 0),
    ("last_public_kg_ha", "last", 0), ("mean_5y_public_kg_ha", "mean5", 0),
    ("trend_10y_public_kg_ha", "trend", 0), ("own_history", "own", 0), ("rain_so_far_pct", "rain", 0),
    ("tmax_so_far_anomaly_degC", "tmax", 1),
)  # fmt: skip
_AGGREGATE = (
    ("aggregate_yield_mean_kg_ha", "mean", 0), ("aggregate_observed_share", "share", 3),
    ("aggregate_area_planted_ha", "area", 0), ("aggregate_last_public_kg_ha", "last", 0),
    ("aggregate_mean_5y_public_kg_ha", "mean5", 0), ("aggregate_municipalities", "count", 0),
)  # fmt: skip
_ENDS = (QUANTILES.index(0.05), QUANTILES.index(0.50), QUANTILES.index(0.95))
# What JSON may hold and a page must not meet: an end of the script element, and the two line ends of Unicode.
_UNSAFE = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def write(
    path: Path,
    forecast: xr.Dataset,
    mesh: Path | None,
    *,
    previous: xr.Dataset | None = None,
    skill: Sequence[Mapping[str, Any]] = (),
    lang: str = "en",
) -> Path:
    """Write the report of a forecast, whole or not at all.

    Args:
        path: the HTML file; its folder must exist.
        forecast: a table that passes `check_forecast`.
        mesh: GeoJSON of the municipalities (see `html_map.encode`); None leaves the map out.
        previous: an earlier forecast of the same crop and harvest year; None leaves changes out.
        skill: rows of ``yieldcast backtest --json``; none are shown as "no backtest".
        lang: en or pt, the language the page opens in; it holds both.

    Returns:
        `path`.

    Raises:
        ConfigError: another language, or `previous` of another crop or harvest year.
        MissingDataError: no such mesh, or the disk refuses.
        SchemaError: a forecast, mesh or skill row that breaks its contract.
    """
    if lang not in LANGUAGES:
        raise ConfigError(f"expected the language of a report to be en or pt, received {lang!r}")
    data = {**contents(forecast, previous, skill), "lang": lang}
    data["mesh"] = html_map.encode(mesh) if mesh is not None else None
    atomic_text(path, _page(data))
    return path


def contents(
    forecast: xr.Dataset, previous: xr.Dataset | None = None, skill: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Every number and text of the report, ready for JSON; arguments and errors as `write`.

    Yields are whole kg/ha, so that a median and its five-year mean differ by what a reader subtracts.
    """
    check_forecast(forecast)
    if previous is not None:
        _check_same_season(forecast, check_forecast(previous))
    table = html_skill.pool_by_lead(skill, str(forecast.attrs["crop"]))
    return {
        "about": {name: _plain(forecast.attrs[name]) for name in ATTRIBUTES},
        "quantiles": list(QUANTILES),
        "places": _places(forecast, previous),
        "aggregates": _aggregates(forecast, previous),
        "previous": str(previous.attrs["as_of"]) if previous is not None else None,
        "skill": {
            "rows": table,
            "beats": {
                score: html_skill.longest_winning_lead(table, score) for score in ("rmse_kg_ha", "crps_kg_ha")
            },
        },
    }


def _check_same_season(forecast: xr.Dataset, previous: xr.Dataset) -> None:
    ours, theirs = ((ds.attrs["crop"], int(ds.attrs["harvest_year"])) for ds in (forecast, previous))
    if ours != theirs:
        raise ConfigError(
            f"expected the previous forecast to be of {ours[0]} {ours[1]}, received {theirs[0]} {theirs[1]}",
            "Give an earlier forecast of the same crop and harvest year, or none.",
        )


def _places(forecast: xr.Dataset, previous: xr.Dataset | None) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"code": forecast["municipality"].values.tolist()}
    columns |= {name: [str(text) for text in forecast[name].values] for name in ("name", "state", "region")}
    columns |= {short: _numbers(forecast[name].values, digits) for name, short, digits in _PLACE}
    for k in range(len(QUANTILES)):
        columns[f"q{k}"] = _numbers(forecast["yield_kg_ha"].values[:, k])
    for k in _ENDS:
        columns[f"t{k}"] = _numbers(production_t(forecast).values[:, k])
    for name, short in (("window_start", "start"), ("window_end", "end")):
        columns[short] = [str(day) for day in forecast[name].values.astype("datetime64[D]")]
    columns["before"] = _before(forecast, previous, "municipality", "yield_kg_ha")
    return columns


def _aggregates(forecast: xr.Dataset, previous: xr.Dataset | None) -> dict[str, list[Any]]:
    names = [str(name) for name in forecast["aggregate"].values]
    columns: dict[str, list[Any]] = {"name": names}
    columns |= {short: _numbers(forecast[name].values, digits) for name, short, digits in _AGGREGATE}
    for k in range(len(QUANTILES)):
        columns[f"q{k}"] = _numbers(forecast["aggregate_yield_kg_ha"].values[:, k])
    for k in _ENDS:
        columns[f"t{k}"] = _numbers(production_t(forecast, aggregate=True).values[:, k])
    columns["before"] = _before(forecast, previous, "aggregate", "aggregate_yield_kg_ha")
    states = forecast["state"].values.astype(str)
    members = [states == name if k else np.ones(states.size, dtype=bool) for k, name in enumerate(names)]
    area = np.nan_to_num(forecast["area_planted_ha"].values.astype(np.float64))
    for name, short in (("rain_so_far_pct", "rain"), ("tmax_so_far_anomaly_degC", "tmax")):
        values = forecast[name].values.astype(np.float64)
        means = np.array([_weighted_mean(values[inside], area[inside]) for inside in members])
        columns[short] = _numbers(means, 1)
    for name, short, end in (("window_start", "start", min), ("window_end", "end", max)):
        days = forecast[name].values.astype("datetime64[D]")
        columns[short] = [str(end(days[inside], default="")) for inside in members]
    return columns


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean of what is known, by planted area; the plain mean where no area is known."""
    known = ~np.isnan(values)
    if not known.any():
        return float("nan")
    heavy = weights[known] if weights[known].sum() > 0 else np.ones(int(known.sum()))
    return float(np.average(values[known], weights=heavy))


def _before(forecast: xr.Dataset, previous: xr.Dataset | None, dim: str, name: str) -> list[Any]:
    """The medians of the previous forecast in the order of this one; None where it had none."""
    if previous is None:
        return [None] * forecast.sizes[dim]
    medians = previous[name].values[:, _ENDS[1]]
    known = dict(zip(previous[dim].values.tolist(), _numbers(medians), strict=True))
    return [known.get(key) for key in forecast[dim].values.tolist()]


def _numbers(values: np.ndarray, digits: int = 0) -> list[Any]:
    rounded = np.round(np.asarray(values, dtype=np.float64), digits).tolist()
    return [None if x != x else int(x) if digits == 0 else x for x in rounded]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _page(data: Mapping[str, Any]) -> str:
    web = files("yieldcast.reporting") / "web"
    script = "\n".join((web / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{script}}})();\n'
    style = (web / "report.css").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    packed = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Template((web / "report.html").read_text(encoding="utf-8")).substitute(
        lang=LANGUAGES[data["lang"]], title=html.escape(str(data["about"]["title"])), policy=policy,
        style=style, script=script, data=packed.translate(_UNSAFE),
    )  # fmt: skip


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
