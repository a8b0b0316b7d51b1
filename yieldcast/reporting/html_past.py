"""What a place's panel of the report shows besides the forecast: public yields, and the season's bulletins.

Numbers of municipalities are packed (`html_map.varints`): thousands of places have some hundred numbers each.
`web/past.js` unpacks and draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.forecasting.parts import change_of_parts
from yieldcast.forecasting.public_past import PublicYields
from yieldcast.forecasting.table import QUANTILES
from yieldcast.reporting.html_map import base64_text, varints, zigzag
from yieldcast.reporting.html_parts import whole_parts

_SHOWN = tuple(QUANTILES.index(level) for level in (0.05, 0.50, 0.95))


def past_columns(forecast: xr.Dataset, past: PublicYields | None) -> dict[str, Any] | None:
    """Public yields of the rows of a forecast as data of the report; None without any.

    Args:
        forecast: a checked table.
        past: public on its date, or None.

    Returns:
        first_year and years (their number); places: for each municipality and year the yield in whole kg/ha
        plus 1, packed, 0 where there is none; aggregates: for each aggregate its yields, None where missing.
    """
    if past is None or not past.own.size:
        return None
    own = _rows(past.own, past.codes.tolist(), forecast["municipality"].values.tolist())
    whole = _rows(past.whole, list(past.names), forecast["aggregate"].values.astype(str).tolist())
    return {
        "first_year": past.first_year, "years": own.shape[1], "places": _packed(own),
        "aggregates": [_plain(values) for values in whole],
    }  # fmt: skip


def bulletin_columns(forecast: xr.Dataset, earlier: Sequence[xr.Dataset]) -> dict[str, Any]:
    """The earlier bulletins of the season for the rows of a forecast, as data of the report.

    Args:
        forecast: a checked table.
        earlier: forecasts of the same season, earliest first.

    Returns:
        dates: of the earlier bulletins. places: for each municipality and bulletin its 5 %, 50 % and 95 %
        quantile in whole kg/ha plus 1, packed, 0 where it had no forecast; aggregates: for each aggregate the
        same three numbers by bulletin, None where missing. parts: names of the parts that moved in any step;
        moved: for each municipality, step (from each bulletin to the next, the last one to this forecast) and
        part the change in whole kg/ha, packed; moved_aggregates: for each aggregate the same as a list.
    """
    places, aggregates = (
        _stack([_quantiles(one, forecast, dim, name) for one in earlier])
        for dim, name in (("municipality", "yield_kg_ha"), ("aggregate", "aggregate_yield_kg_ha"))
    )
    names, moved, moved_aggregates = _moves(forecast, earlier)
    return {
        "dates": [str(one.attrs["as_of"]) for one in earlier],
        "places": _packed(places), "aggregates": [_plain(values) for values in aggregates],
        "parts": names, "moved": base64_text(varints(zigzag(moved.ravel()))),
        "moved_aggregates": moved_aggregates.tolist(),
    }  # fmt: skip


def _quantiles(one: xr.Dataset, forecast: xr.Dataset, dim: str, name: str) -> NDArray[np.float64]:
    """(row, 3) of a bulletin for the rows of the forecast."""
    values = one[name].values[:, _SHOWN].astype(np.float64)
    return _rows(values, one[dim].values.tolist(), forecast[dim].values.tolist())


def _rows(values: NDArray[np.float64], labels: list[Any], wanted: list[Any]) -> NDArray[np.float64]:
    """Rows of `values` by label, NaN for a label that it lacks."""
    position = {label: row for row, label in enumerate(labels)}
    rows = np.array([position.get(label, len(labels)) for label in wanted], dtype=np.int64)
    return np.vstack((values, np.full((1, values.shape[1]), np.nan)))[rows]


def _stack(tables: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(tables, axis=1) if tables else np.empty((0, 0))


def _moves(
    forecast: xr.Dataset, earlier: Sequence[xr.Dataset]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Names of the parts that moved, and (row, step, part) of municipalities and of aggregates."""
    series = [*earlier, forecast]
    steps = [
        [_change(series[k], series[k + 1], forecast, aggregate) for k in range(len(earlier))]
        for aggregate in (False, True)
    ]
    found = [one for both in steps for one in both]
    names = [str(name) for one in found for name in one["part"].values if one.sel(part=name).values.any()]
    kept = list(dict.fromkeys(names))
    places, aggregates = (
        np.stack([one.reindex(part=kept, fill_value=0).values.T for one in both], axis=1).astype(np.int64)
        if both and kept
        else np.zeros((0, 0, 0), dtype=np.int64)
        for both in steps
    )
    return kept, places, aggregates


def _change(before: xr.Dataset, now: xr.Dataset, forecast: xr.Dataset, aggregate: bool) -> xr.DataArray:
    """(part, row of the forecast) whole kg/ha from one bulletin to the next; 0 where one of them has none."""
    old, new = (whole_parts(one, aggregate) for one in (before, now))
    dim = str(new.dims[1])
    if not (old.sizes["part"] and new.sizes["part"]):
        return xr.DataArray(
            np.zeros((0, forecast.sizes[dim])), {"part": [], dim: forecast[dim].values}, ("part", dim)
        )
    return change_of_parts(old, new).reindex({dim: forecast[dim].values}).fillna(0.0).round()


def _packed(values: NDArray[np.float64]) -> str:
    numbers = np.where(np.isnan(values), -1.0, np.round(values)).astype(np.int64).ravel() + 1
    return base64_text(varints(numbers))


def _plain(values: NDArray[np.float64]) -> list[int | None]:
    return [None if np.isnan(value) else round(value) for value in values.tolist()]
