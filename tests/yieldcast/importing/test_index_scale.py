"""Scales of vegetation indices: by name, by unit, by range, refused where unclear."""

from __future__ import annotations

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.index_scale import index_of, unscaled


def read(values, heading="ndvi", clear=None, log=None):
    array = np.array(values, dtype=float)
    seen = np.ones(len(array), dtype=bool) if clear is None else np.array(clear)
    return unscaled(array, seen, heading, "ndvi.csv", log or ImportLog(), "vegetation").tolist()


@pytest.mark.parametrize(
    ("heading", "values", "expected"),
    [
        ("ndvi", [0.25, -0.1, np.nan], [0.25, -0.1, np.nan]),
        ("ndvi", [2500, 8000, 7001], [0.25, 0.8, 0.7001]),
        ("ndvi", [2500, 8000, -3000, -9999], [0.25, 0.8, np.nan, np.nan]),
        ("NDVI_x10000", [25, 80], [0.0025, 0.008]),
        ("NDVI (x 10000)", [2500, 800], [0.25, 0.08]),
        ("NDVI (0.0001)", [2500, 800], [0.25, 0.08]),
        ("ndvi_pct", [25, 80.5], [0.25, 0.805]),
        ("NDVI (%)", [25, 80.5], [0.25, 0.805]),
    ],
)
def test_scales(heading, values, expected):
    assert read(values, heading) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("heading", "values", "why"),
    [
        ("ndvi", [25, 80, 90], "no factor is known"),
        ("ndvi", [0.4, 0.5, 1.7], "no factor is known"),
        ("ndvi", [0, 1, 1], "whole numbers"),
        ("ndvi_x10000", [0.25, 0.8], "states a factor"),
        ("ndvi", [12000, 14000], "no factor is known"),
    ],
)
def test_unclear_scales_are_refused(heading, values, why):
    with pytest.raises(SchemaError, match=why):
        read(values, heading)


def test_impossible_values_become_missing_only_where_few_or_not_clear():
    log = ImportLog()
    many = [0.5] * 200
    assert np.isnan(read([*many, 1.8], clear=[True] * 200 + [False], log=log)[-1])
    assert log.warnings == [("vegetation", "ndvi outside of -1 to 1, set to missing", 1)]
    assert np.isnan(read([*many, 1.8])[-1])
    with pytest.raises(SchemaError, match="clear values from -1 to 1"):
        read([*many, *many[:50], 1.8], clear=[False] * 200 + [True] * 51)


@pytest.mark.parametrize(
    ("heading", "expected"),
    [("NDVI", "ndvi"), ("MOD13Q1_061__250m_16_days_EVI", "evi"), ("evi2", None), ("ndvi_evi", None)],
)
def test_names(heading, expected):
    assert index_of(heading) == expected
