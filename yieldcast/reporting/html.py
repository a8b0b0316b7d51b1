"""A forecast as one HTML file: map, tables, season, skill and method, in English and Portuguese, offline.

The file loads nothing and opens no connection: its Content-Security-Policy allows only the script and the
style whose hashes it lists. The data are JSON in a script element that browsers do not run; texts of the data
are added to the page as text nodes, never parsed as HTML. ``web/README.md`` describes the page.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr

from yieldcast import language
from yieldcast.data.files import atomic_text
from yieldcast.errors import ConfigError
from yieldcast.evaluation.skill import (
    HINDCASTS,
    beside_own_line,
    longest_winning_lead,
    pool_by_lead,
    protocol_of,
)
from yieldcast.forecasting.public_past import PublicYields
from yieldcast.forecasting.table import ATTRIBUTES, QUANTILES, check_forecast, production_t
from yieldcast.forecasting.water_steps import WaterMonths
from yieldcast.reporting import html_map, labels
from yieldcast.reporting.html_area import area_columns
from yieldcast.reporting.html_language import page_languages
from yieldcast.reporting.html_parts import part_columns
from yieldcast.reporting.html_past import bulletin_columns, past_columns
from yieldcast.reporting.html_water import water_columns
from yieldcast.reporting.notices import notices, public_skill
from yieldcast.reporting.place_names import country_of

# Joined to one script in this order: each file uses names that earlier files define.
SCRIPTS = (
    "i18n.js", "format.js", "data.js", "theme.js", "colours.js", "view.js", "map.js", "gestures.js",
    "search.js", "address.js", "charts.js", "downloads.js", "past.js", "parts.js", "panel.js", "table.js",
    "tables.js", "skill.js", "sections.js", "main.js",
)  # fmt: skip
_PLACE_COLUMNS = (  # variable of the forecast, name in the page's data, digits after the decimal point
    ("yield_mean_kg_ha", "mean", 0), ("observed_share", "share", 3), ("probability_low", "low", 3),
    ("low_threshold_kg_ha", "threshold", 0), ("area_planted_ha", "area", 0),
    ("last_public_kg_ha", "last", 0), ("mean_5y_public_kg_ha", "mean5", 0),
    ("trend_10y_public_kg_ha", "trend", 0), ("own_history", "own", 0), ("rain_so_far_pct", "rain", 0),
    ("tmax_so_far_anomaly_degC", "tmax", 1),
)  # fmt: skip
_AGGREGATE_COLUMNS = (
    ("aggregate_yield_mean_kg_ha", "mean", 0), ("aggregate_observed_share", "share", 3),
    ("aggregate_area_planted_ha", "area", 0), ("aggregate_last_public_kg_ha", "last", 0),
    ("aggregate_mean_5y_public_kg_ha", "mean5", 0), ("aggregate_municipalities", "count", 0),
)  # fmt: skip
_P05, _P50, _P95 = (QUANTILES.index(level) for level in (0.05, 0.50, 0.95))
# Escaped in the JSON: what could end the script element, and the two line ends that are legal in JSON only.
_UNSAFE = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def write(
    path: Path,
    forecast: xr.Dataset,
    mesh: Path | None,
    *,
    earlier: Sequence[xr.Dataset] = (),
    past: PublicYields | None = None,
    skill: Sequence[Mapping[str, Any]] = (),
    risk: Mapping[str, Any] | None = None,
    water: WaterMonths | None = None,
    lang: str = "en",
) -> Path:
    """Write the report of a forecast; the file is written completely or not at all.

    Args:
        path: the HTML file; its folder must exist.
        forecast: a table as `forecasting.table.check_forecast` checks it.
        mesh: GeoJSON of the municipalities (see `html_map.encode`); None leaves out the map.
        earlier: earlier forecasts of the same crop and harvest year, earliest first; changes are those since
            the last one.
        past: public yields, see `forecasting.public_past`; None leaves them out.
        skill: rows of ``yieldcast backtest --json`` or of `evaluation.run_skill`; may be empty.
        risk: `risk_tables.map_columns`, for two more layers of the map; None leaves them out.
        water: what each month's water added, see `forecasting.water_steps`; None leaves it out.
        lang: language in which the page opens; the page holds every language that there is.

    Returns:
        `path`.

    Raises:
        ConfigError: an unknown language, or an earlier forecast of another crop or harvest year.
        MissingDataError: the mesh does not exist, or the disk refuses.
        SchemaError: the forecast, the mesh or a skill row is not valid.
    """
    opened = language.of(lang)
    data = {**contents(forecast, earlier, past, skill, risk, water), "lang": opened.tag}
    data["mesh"] = html_map.encode(mesh) if mesh is not None else None
    atomic_text(path, _page(data))
    return path


def contents(
    forecast: xr.Dataset,
    earlier: Sequence[xr.Dataset] = (),
    past: PublicYields | None = None,
    skill: Sequence[Mapping[str, Any]] = (),
    risk: Mapping[str, Any] | None = None,
    water: WaterMonths | None = None,
) -> dict[str, Any]:
    """Every number and text of the report as plain values for JSON; arguments and errors as for `write`.

    Yields are whole kg/ha, so that the page's differences are exactly those of the numbers that it shows.
    """
    check_forecast(forecast)
    for one in earlier:
        _check_same_season(forecast, check_forecast(one))
    previous = earlier[-1] if earlier else None
    places, aggregates, parts = part_columns(forecast, previous)
    in_map, whole_in_map = area_columns(forecast)
    public, _ = public_skill(forecast.attrs, skill, "en")
    pooled = pool_by_lead(public, str(forecast.attrs["crop"]))
    return {
        "about": {name: _plain(forecast.attrs[name]) for name in ATTRIBUTES},
        "season": labels.season(forecast),
        "quantiles": list(QUANTILES),
        "places": _places(forecast, previous) | in_map | places | (dict(risk["places"]) if risk else {}),
        "aggregates": _aggregates(forecast, previous) | whole_in_map | aggregates,
        "notices": {tag: notices(forecast.attrs, tag) for tag in language.tags()},
        "parts": parts,
        "states": {state.code: state.name for state in country_of(forecast.attrs).states.values()},
        "languages": page_languages(forecast, (str(row["model"]) for row in pooled)),
        "previous": str(previous.attrs["as_of"]) if previous is not None else None,
        "risk": dict(risk["about"]) if risk else None,
        "past": past_columns(forecast, past),
        "water": water_columns(forecast, water),
        "bulletins": bulletin_columns(forecast, earlier),
        "skill": {
            "rows": pooled,
            "left_out": {tag: public_skill(forecast.attrs, skill, tag)[1] for tag in language.tags()},
            "hindcasts": any(protocol_of(row) == HINDCASTS for row in skill),
            "beats": {score: longest_winning_lead(pooled, score) for score in ("rmse_kg_ha", "crps_kg_ha")},
            "own_line": asdict(beside_own_line(pooled)),
        },
    }


def _check_same_season(forecast: xr.Dataset, previous: xr.Dataset) -> None:
    ours, theirs = ((ds.attrs["crop"], int(ds.attrs["harvest_year"])) for ds in (forecast, previous))
    if ours != theirs:
        raise ConfigError(
            f"expected an earlier forecast of {ours[0]} {ours[1]}, received {theirs[0]} {theirs[1]}",
            "Give an earlier forecast of the same crop and harvest year, or none.",
        )


def _places(forecast: xr.Dataset, previous: xr.Dataset | None) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"code": forecast["municipality"].values.tolist()}
    texts = [str(code) for code in forecast["code"].values]
    if texts != list(map(str, columns["code"])):  # codes that are not plain numbers, see `Codes`
        columns["label"] = texts
    columns |= {name: [str(text) for text in forecast[name].values] for name in ("name", "state", "region")}
    columns |= {short: _numbers(forecast[name].values, digits) for name, short, digits in _PLACE_COLUMNS}
    for k in range(len(QUANTILES)):
        columns[f"q{k}"] = _numbers(forecast["yield_kg_ha"].values[:, k])
    for k in (_P05, _P50, _P95):
        columns[f"t{k}"] = _numbers(production_t(forecast).values[:, k])
    for name, short in (("window_start", "start"), ("window_end", "end")):
        columns[short] = [str(day) for day in forecast[name].values.astype("datetime64[D]")]
    columns["before"] = _before(forecast, previous, "municipality", "yield_kg_ha")
    return columns


def _aggregates(forecast: xr.Dataset, previous: xr.Dataset | None) -> dict[str, list[Any]]:
    names = [str(name) for name in forecast["aggregate"].values]
    columns: dict[str, list[Any]] = {"name": names}
    columns |= {short: _numbers(forecast[name].values, digits) for name, short, digits in _AGGREGATE_COLUMNS}
    for k in range(len(QUANTILES)):
        columns[f"q{k}"] = _numbers(forecast["aggregate_yield_kg_ha"].values[:, k])
    for k in (_P05, _P50, _P95):
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
    """Mean of the values that are not NaN, weighted by planted area; the plain mean if no area is known."""
    known = ~np.isnan(values)
    if not known.any():
        return float("nan")
    used = weights[known] if weights[known].sum() > 0 else np.ones(int(known.sum()))
    return float(np.average(values[known], weights=used))


def _before(forecast: xr.Dataset, previous: xr.Dataset | None, dim: str, name: str) -> list[Any]:
    """Medians of the previous forecast in the order of this one; None where it had none."""
    if previous is None:
        return [None] * forecast.sizes[dim]
    medians = previous[name].values[:, _P50]
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
    (title,) = [one["title"] for one in data["languages"] if one["tag"] == data["lang"]]
    packed = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Template((web / "report.html").read_text(encoding="utf-8")).substitute(
        lang=data["lang"], title=html.escape(title), policy=policy,
        style=style, script=script, data=packed.translate(_UNSAFE),
    )  # fmt: skip


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
