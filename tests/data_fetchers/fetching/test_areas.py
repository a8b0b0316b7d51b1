"""The area of a request, and boundaries of IBGE (codes are texts) and of an import (codes are numbers)."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
import xarray as xr

from data_fetchers.fetching.areas import area_of
from data_fetchers.fetching.order import FetchContext, FetchOrder
from data_fetchers.fetching.plans import _merge_mesh
from data_fetchers.ibge.places import BRAZIL
from data_fetchers.ibge.sidra import STATES


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


def context_of(folder, source, **settings):
    """An order for a store whose manifest says where its places come from."""
    (folder / "store.json").write_text(
        json.dumps({"format": 1, "written": "", "sources": {"places": source}, "tables": {
            "static": {"file": "static.nc", "fingerprint": "0"}}})
    )  # fmt: skip
    (folder / "static.nc").touch()
    return FetchContext(FetchOrder(("weather",), **settings), folder, dt.date(2026, 11, 20))


def places(latitudes, longitudes, states):
    return xr.Dataset(
        {
            "latitude_deg": ("municipality", np.array(latitudes)),
            "longitude_deg": ("municipality", np.array(longitudes)),
            "state": ("municipality", list(states)),
        },
        coords={"municipality": np.array([5100102, 5100201][: len(latitudes)], np.int32)},
    )


@pytest.mark.parametrize("kind", [int, str])
def test_the_area_contains_all_places_and_their_boundaries(tmp_path, kind):
    context = context_of(tmp_path, {"source": "ibge"}, states=("MT",), where="polygon")
    static = places([-12.5, -14.2], [-55.5, -56.5], ["MT", "MT"])
    assert area_of(context, static, None) == (-11, -58, -16, -54)
    # The first reaches from 60 to 52 W and from 13 to 5 S; the third is of another state.
    shapes = mesh((kind(5100102), -60, -13, 8), (kind(5100201), 0, 0, 0), (kind(4100103), -50, -25, 1))
    assert area_of(context, static, shapes) == (-4, -61, -16, -51)


def test_the_area_of_another_country_is_its_own_and_that_of_all_ibge_states_is_brazil(tmp_path):
    imported = context_of(tmp_path, {"file": "places.csv"})
    assert area_of(imported, places([47.3, 42.1], [-96.2, -90.0], ["MN", "IA"]), None) == (49, -98, 41, -89)
    assert area_of(imported, places([89.5], [179.5], ["X"]), None) == (90, 178, 88, 180)
    everywhere = xr.Dataset({
        "state": ("municipality", sorted(STATES)), "latitude_deg": ("municipality", np.full(27, -10.0)),
        "longitude_deg": ("municipality", np.full(27, -50.0)),
    })  # fmt: skip
    assert area_of(imported, everywhere, None) == (-9, -51, -11, -49)
    assert area_of(context_of(tmp_path, {"source": "ibge"}), everywhere, None) == BRAZIL
