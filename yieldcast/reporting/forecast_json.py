"""A forecast as JSON for programs: quantiles, mean, parts, baselines and official estimates of every place.

Numbers are those of the other formats, see `reporting.tables`. The parts of a place add up to its median.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from yieldcast.data.files import atomic_text
from yieldcast.forecasting.parts import PARTS, REMAINDER, part_variable
from yieldcast.forecasting.table import ATTRIBUTES, QUANTILES
from yieldcast.reporting import labels
from yieldcast.reporting.notices import left_out, missing
from yieldcast.reporting.tables import Table, aggregate_table, municipality_table

FORMAT = 1
_QUANTILES = {f"{level:g}": f"yield_p{round(100 * level):02d}_kg_ha" for level in QUANTILES}
_PARTS = {name: part_variable(name) for name in (*PARTS, REMAINDER)}
_BASELINES = {  # name as in a backtest -> column
    "last_public": "last_public_kg_ha", "mean_5y_public": "mean_5y_kg_ha",
    "trend_10y_public": "trend_10y_kg_ha", "level_trend": "level_trend_kg_ha",
    "official": "official_mean_kg_ha",
}  # fmt: skip
_OFFICIAL = {
    "kg_ha": "official_kg_ha", "source": "official_source", "reference": "official_reference",
    "public_from": "official_public_from",
}  # fmt: skip
_GROUPS = {"yield_kg_ha": _QUANTILES, "parts_kg_ha": _PARTS, "baselines_kg_ha": _BASELINES}
_AREAS = {name: name for name in ("area_planted_ha", "map_area_ha", "map_area_se_ha")}
_PLACE = {name: name for name in ("code", "name", "state", "region")} | _AREAS
_AGGREGATE = {"name": "aggregate", "municipalities": "municipalities"} | _AREAS


def write_json(path: Path, forecast: xr.Dataset) -> Path:
    """Write a forecast as one JSON object: the country, the states and the municipalities, one per line.

    Args:
        path: file to write.
        forecast: a checked table.

    Raises:
        MissingDataError: the disk refuses.
    """
    places = _rows(municipality_table(forecast), _PLACE)
    table = aggregate_table(forecast)
    aggregates = _with_official(_rows(table, _AGGREGATE), table)
    attributes = {name: _plain(forecast.attrs[name]) for name in ATTRIBUTES}
    shown = {name for place in (*places, *aggregates) for name in place["parts_kg_ha"]}
    head = {
        "format": FORMAT,
        **attributes,
        "missing": missing(forecast.attrs),
        "left_out": left_out(forecast.attrs),
        "outcome_public": bool(forecast.attrs.get("outcome_public", 0)),
        "parts": {name: labels.meaning(column, "en") for name, column in _PARTS.items() if name in shown},
    }
    lines = [
        f"{_json(head)[:-1]},\n",
        f'"aggregates":[\n{_lines(aggregates)}\n],\n',
        f'"municipalities":[\n{_lines(places)}\n]}}\n',
    ]
    atomic_text(path, "".join(lines))
    return path


def _rows(table: Table, names: dict[str, str]) -> list[dict[str, Any]]:
    """One object per row of a table; missing numbers are None, and groups that it lacks are empty."""
    columns = {key: [_plain(value) for value in values] for key, values in table.items()}
    return [
        {
            **_picked(columns, names, i),
            "mean_kg_ha": columns["yield_mean_kg_ha"][i],
            **{group: _picked(columns, keys, i) for group, keys in _GROUPS.items()},
        }
        for i in range(len(columns["yield_mean_kg_ha"]))
    ]


def _picked(columns: dict[str, list[Any]], keys: dict[str, str], row: int) -> dict[str, Any]:
    return {name: columns[key][row] for name, key in keys.items() if key in columns}


def _with_official(rows: list[dict[str, Any]], table: Table) -> list[dict[str, Any]]:
    """The rows of aggregates with their official estimate; None where there is none."""
    columns = {key: [_plain(value) for value in table[key]] for key in _OFFICIAL.values() if key in table}
    found = [_picked(columns, _OFFICIAL, i) for i in range(len(rows))]
    return [
        {**row, "official": one if one.get("kg_ha") is not None else None}
        for row, one in zip(rows, found, strict=True)
    ]


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain != plain else plain


def _lines(rows: list[dict[str, Any]]) -> str:
    return ",\n".join(map(_json, rows))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
