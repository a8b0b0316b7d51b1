"""Yields outside of 1.5 times the interquartile range of their crop and year."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from yieldcast.data import schema
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.outliers import LEAST, check_outliers


def yields(*columns):
    """One crop; a column of yields for each year."""
    values = np.array(columns, dtype=np.float32).T[None]
    coords = {
        "crop": ["corn"],
        "municipality": np.arange(1, values.shape[1] + 1, dtype=np.int32),
        "harvest_year": np.arange(2014, 2014 + values.shape[2], dtype=np.int16),
    }
    ds = xr.Dataset({"yield_kg_ha": (("crop", "municipality", "harvest_year"), values)}, coords)
    return schema.set_units(ds)


# quartiles of 1000, 1100, ..., 2100: 1275 and 1825, fences at 450 and 2650
PLAIN = list(range(1000, 2200, 100))


def test_fences_by_hand():
    log = ImportLog()
    poor = [value / 10 for value in PLAIN]
    kept = check_outliers(yields([*PLAIN, 5000.0], [*poor, 110.0]), True, log)
    # quartiles with 5000: 1300 and 1900, fences at 400 and 2800; a poor year has its own
    assert np.isnan(kept["yield_kg_ha"].values[0, -1, 0])
    assert int(np.isnan(kept["yield_kg_ha"].values).sum()) == 1
    text = "corn: yields outside of 1.5 times the interquartile range, in 1 harvest years"
    assert log.dropped == [("yields", text, 1)]


@pytest.mark.parametrize("value", [2700.0, 2900.0, 3500.0])
def test_kept_and_counted_without_the_option(value):
    log = ImportLog()
    table = yields([*PLAIN, value])
    assert check_outliers(table, False, log) is table
    low, high = np.quantile([*PLAIN, value], (0.25, 0.75))
    assert sum(count for _, _, count in log.warnings) == int(value > high + 1.5 * (high - low))


def test_few_yields_have_no_outliers():
    log = ImportLog()
    check_outliers(yields([1000.0] * (LEAST - 2) + [90000.0]), True, log)
    assert not log.dropped
