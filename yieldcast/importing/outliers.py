"""Yields outside of 1.5 times the interquartile range of their crop and season."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import schema
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.language import message, sentence

RANGES = 1.5  # Xavier et al. (2026), section 2.2.1; the fences of Tukey (1977)
# With fewer yields the quartiles say little, and any yield could be called an outlier (our choice).
LEAST = 12


def check_outliers(yields: xr.Dataset, drop: bool, report: ImportLog) -> xr.Dataset:
    """The yields, with or without those further from the quartiles than 1.5 times their distance.

    The quartiles are of all places of a crop and harvest year, so that a poor year is not an outlier.

    Args:
        yields: checked table.
        drop: leave them out; otherwise they are only counted.
        report: gets their number by crop and year.

    Raises:
        SchemaError: nothing would be left.
    """
    values = yields["yield_kg_ha"].values
    outside = np.zeros(values.shape, dtype=bool)
    lines = report.dropped if drop else report.warnings
    for c, crop in enumerate(yields["crop"].values.tolist()):
        for y in range(yields.sizes["harvest_year"]):
            outside[c, :, y] = _outside(values[c, :, y])
        if number := int(outside[c].sum()):
            years = int(outside[c].any(axis=0).sum())
            text = message(
                "{crop}: yields outside of 1.5 times the interquartile range, in {n} harvest years"
            )
            lines.append(("yields", sentence(text, crop=crop, n=years), number))
    if not drop or not outside.any():
        return yields
    kept = yields.where(xr.DataArray(~outside, dims=yields["yield_kg_ha"].dims), np.nan)
    if np.isnan(kept["yield_kg_ha"].values).all():
        raise SchemaError("yields: every yield is an outlier", "Is this the right file and column?")
    kept = kept.assign({name: kept[name].astype(np.float32) for name in kept.data_vars})
    return schema.check_yields(schema.set_units(kept.assign_attrs(yields.attrs)))


def _outside(column: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(place,) whether a yield of one crop and year is outside of the fences."""
    known = column[~np.isnan(column)].astype(np.float64)
    if len(known) < LEAST:
        return np.zeros(column.shape, dtype=bool)
    low, high = np.quantile(known, (0.25, 0.75))
    fence = RANGES * (high - low)
    return np.asarray((column < low - fence) | (column > high + fence))
