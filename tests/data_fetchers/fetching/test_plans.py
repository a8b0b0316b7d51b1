"""Boundaries in a plan: of IBGE, whose codes are texts, and of an import, whose codes are numbers."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from data_fetchers.fetching.order import FetchOrder
from data_fetchers.fetching.plans import BRAZIL, _merge_mesh, area_of


def mesh(*squares):
    """A FeatureCollection of (code, west, south, side in degrees); without a geometry where the side is 0."""
    features = []
    for code, west, south, side in squares:
        ring = [[west, south], [west + side, south], [west + side, south + side], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]} if side else None
        features.append({"type": "Feature", "properties": {"code": code}, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def test_new_boundaries_replace_those_of_the_same_municipality():
    old = mesh((5100102, -56, -12, 1), (4100103, -50, -25, 1))  # imported
    new = mesh(("5100102", -57, -13, 1), ("5100201", -58, -14, 1))
    merged = _merge_mesh(old, new)["features"]
    assert [f["properties"]["code"] for f in merged] == [4100103, "5100102", "5100201"]
    assert merged[1] == new["features"][0]
    assert _merge_mesh(None, new) == new


@pytest.mark.parametrize("kind", [int, str])
def test_the_area_of_some_states_contains_their_boundaries(kind):
    places = xr.Dataset(
        {
            "code": ("municipality", ["5100102", "5100201"]),
            "latitude_deg": ("municipality", [-12.5, -14.2]),
            "longitude_deg": ("municipality", [-55.5, -56.5]),
        },
        coords={"municipality": np.array([5100102, 5100201], np.int32)},
    )
    order = FetchOrder(("weather",), states=("MT",), where="polygon")
    assert area_of(order, places, None) == (-11, -58, -16, -54)
    # The first reaches from 60 to 52 W and from 13 to 5 S; the third is of another state.
    shapes = mesh((kind(5100102), -60, -13, 8), (kind(5100201), 0, 0, 0), (kind(4100103), -50, -25, 1))
    assert area_of(order, places, shapes) == (-4, -61, -16, -51)
    assert area_of(FetchOrder(("weather",), where="polygon"), places, shapes) == BRAZIL
