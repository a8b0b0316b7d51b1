"""The parts of every median as data of the report; `web/parts.js` draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from yieldcast.forecasting.parts import aggregate_parts, change_of_parts, municipal_parts
from yieldcast.forecasting.table import OFFICIAL_TEXTS, QUANTILES
from yieldcast.reporting.column_labels import PART_LABELS
from yieldcast.reporting.tables import parts_in_digits

Columns = dict[str, list[Any]]
_P50 = QUANTILES.index(0.50)


def part_columns(
    forecast: xr.Dataset, previous: xr.Dataset | None
) -> tuple[Columns, Columns, dict[str, Any]]:
    """Columns of places and of aggregates, and what the page says of parts.

    Args:
        forecast: a checked table; without parts the columns are empty.
        previous: an earlier forecast of the season, or None.

    Returns:
        columns of places and of aggregates: for each part its whole kg/ha ``part_NAME``, adding up to the
        median, and, where both forecasts have parts, its change ``moved_NAME`` since the previous one (None
        where that lacks the place). Then the names of the parts of ``places`` and ``aggregates`` that are not
        0 everywhere, of those that are (``zero``) of them.
    """
    now = [whole_parts(forecast, aggregate) for aggregate in (False, True)]
    before = [whole_parts(previous, aggregate) for aggregate in (False, True)] if previous is not None else []
    found: list[Columns] = []
    for k, parts in enumerate(now):
        columns = _columns("part", parts)
        if before and before[k].sizes["part"] and parts.sizes["part"]:
            moved = change_of_parts(before[k], parts)
            columns = _columns("part", parts.reindex(part=moved["part"], fill_value=0.0))
            columns |= _columns("moved", moved)
        found.append(columns)
    places, aggregates = found
    names = [[name[5:] for name in columns if name.startswith("part_")] for columns in found]
    filled = {name for columns in found for name in PART_LABELS if _any(columns, name)}
    about = {
        "places": [name for name in names[0] if name in filled],
        "aggregates": [name for name in names[1] if name in filled],
        "zero": [name for name in names[0] if name not in filled],
    }
    return places, {**aggregates, **_official(forecast)}, about


def _any(columns: Columns, name: str) -> bool:
    return any(any(columns.get(f"{kind}_{name}", ())) for kind in ("part", "moved"))


def whole_parts(forecast: xr.Dataset, aggregate: bool) -> xr.DataArray:
    """(part, row) parts of the municipalities or the aggregates in whole kg/ha."""
    parts = aggregate_parts(forecast) if aggregate else municipal_parts(forecast)
    median = forecast["aggregate_yield_kg_ha" if aggregate else "yield_kg_ha"].values[:, _P50]
    return parts_in_digits(parts, median, 0)


def _columns(kind: str, parts: xr.DataArray) -> Columns:
    return {
        f"{kind}_{name}": [None if np.isnan(value) else round(value) for value in values]
        for name, values in zip(parts["part"].values.tolist(), parts.values.tolist(), strict=True)
    }


def _official(forecast: xr.Dataset) -> Columns:
    """The official estimate of each aggregate and where it comes from."""
    if "aggregate_official_kg_ha" not in forecast:
        return {}
    values = forecast["aggregate_official_kg_ha"].values.astype(np.float64).tolist()
    return {
        "official": [None if np.isnan(value) else round(value) for value in values],
        **{name: forecast[name].values.astype(str).tolist() for name in OFFICIAL_TEXTS},
    }
