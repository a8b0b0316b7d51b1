"""Which ingredient moved a forecast between two bulletins: the change of each part of every median."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from yieldcast.forecasting.parts import aggregate_parts, change_of_parts, municipal_parts
from yieldcast.forecasting.table import QUANTILES
from yieldcast.reporting.tables import parts_in_digits

SHOWN_kg_ha = 0.5  # smaller changes are 0 in whole kg/ha
_DIGITS = 1


@dataclass(frozen=True)
class PartChanges:
    """Changes of the parts of the medians, kg/ha; they add up to the change of the median.

    Args:
        aggregates: (part, aggregate); NaN for aggregates that only the later forecast has.
        municipalities: (part, municipality), with the coordinate code; NaN likewise.
    """

    aggregates: xr.DataArray
    municipalities: xr.DataArray

    def of_aggregate(self, name: str) -> list[tuple[str, float]]:
        """Parts that moved the country or a state by `SHOWN_kg_ha` or more, with their change, largest
        first."""
        return _largest(self.aggregates.sel(aggregate=name))

    def of_municipality(self, code: str) -> list[tuple[str, float]]:
        """The same of a municipality."""
        found = self.municipalities["code"].values.astype(str) == code
        return _largest(self.municipalities[:, np.flatnonzero(found)[0]])

    def to_json(self) -> dict[str, Any]:
        """Changes by aggregate and part, and by part in the order of the municipalities; None where
        missing."""
        known, places = self.aggregates.dropna("aggregate"), self.municipalities
        names, columns = places["part"].values.tolist(), places.values.tolist()
        return {
            "aggregates": {
                str(name): dict(zip(known["part"].values.tolist(), values, strict=True))
                for name, values in zip(known["aggregate"].values, known.values.T.tolist(), strict=True)
            },
            "municipalities": {
                name: [None if value != value else value for value in column]
                for name, column in zip(names, columns, strict=True)
            },
        }


def compare_parts(previous: xr.Dataset, current: xr.Dataset) -> PartChanges | None:
    """Compare the parts of two forecasts of a season; None unless both have parts.

    Args:
        previous, current: checked tables.
    """
    if not all(municipal_parts(forecast).sizes["part"] for forecast in (previous, current)):
        return None
    municipalities, aggregates = (
        _rounded(change_of_parts(_parts(previous, aggregate), _parts(current, aggregate)))
        for aggregate in (False, True)
    )
    codes = ("municipality", current["code"].values)
    return PartChanges(aggregates, municipalities.assign_coords(code=codes))


def _parts(forecast: xr.Dataset, aggregate: bool) -> xr.DataArray:
    """Parts with the digits of the tables."""
    parts = aggregate_parts(forecast) if aggregate else municipal_parts(forecast)
    quantiles = forecast["aggregate_yield_kg_ha" if aggregate else "yield_kg_ha"].values
    return parts_in_digits(parts, quantiles[:, QUANTILES.index(0.50)], _DIGITS)


def _rounded(changes: xr.DataArray) -> xr.DataArray:
    return changes.copy(data=np.round(changes.values, _DIGITS) + 0.0)


def _largest(changes: xr.DataArray) -> list[tuple[str, float]]:
    found = [
        (str(name), float(value))
        for name, value in zip(changes["part"].values, changes.values, strict=True)
        if abs(value) >= SHOWN_kg_ha
    ]
    return sorted(found, key=lambda pair: -abs(pair[1]))
