"""A store that is filled one table at a time: other tables stay, missing ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError, SchemaError

FIRST = synthetic.country(seed=1, municipalities=6, harvest_years=3)
MESH = json.dumps({"type": "FeatureCollection", "features": []})


def test_a_store_begins_with_places_and_names_missing_tables(tmp_path: Path) -> None:
    Store.update(tmp_path, {"static": FIRST.static}, {"places": {"source": "ibge"}}, mesh=MESH)
    opened = Store.open(tmp_path)
    assert "static" in opened
    assert "weather" not in opened
    assert opened.mesh is not None
    assert opened.mesh.read_text(encoding="utf-8") == MESH
    with pytest.raises(MissingDataError, match="has no weather yet") as caught:
        _ = opened.tables
    assert "yieldcast fetch weather" in caught.value.hint


def test_tables_are_added_and_the_others_stay(tmp_path: Path) -> None:
    Store.update(tmp_path, {"static": FIRST.static}, {"places": {"source": "ibge"}}, mesh=MESH)
    Store.update(tmp_path, {"weather": FIRST.weather}, {"weather": {"source": "era5"}})
    Store.update(tmp_path, {"yields": FIRST.yields}, {"yields": {"source": "ibge"}})
    opened = Store.open(tmp_path)
    for table, ds in FIRST._asdict().items():
        xr.testing.assert_identical(getattr(opened, table), ds)
    assert set(opened.sources) == {"places", "weather", "yields"}
    assert opened.mesh is not None
    assert opened.mesh.is_file()


def test_replaced_tables_and_boundaries_leave_no_file_behind(tmp_path: Path) -> None:
    Store.update(tmp_path, {"static": FIRST.static}, {}, mesh=MESH)
    other = json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature"}]})
    static = FIRST.static.assign(name=FIRST.static["name"].str.upper())
    Store.update(tmp_path, {"static": static}, {}, mesh=other)
    assert len(list(tmp_path.glob("static-*.nc"))) == 1
    assert [p.read_text(encoding="utf-8") for p in tmp_path.glob("mesh-*.geojson")] == [other]


def test_a_table_without_places_or_with_unknown_municipalities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="expected a table of places"):
        Store.update(tmp_path / "a", {"weather": FIRST.weather}, {})
    Store.update(tmp_path / "b", {"static": FIRST.static}, {})
    others = FIRST.weather.assign_coords(municipality=FIRST.weather.municipality + np.int32(1))
    with pytest.raises(SchemaError, match="received 6 others"):
        Store.update(tmp_path / "b", {"weather": others}, {})
    assert "weather" not in Store.open(tmp_path / "b")


def test_places_may_not_lose_municipalities_that_other_tables_hold(tmp_path: Path) -> None:
    store = Store.write(tmp_path, FIRST, {})
    fewer = FIRST.static.isel(municipality=slice(0, 5))
    with pytest.raises(SchemaError, match="received 1 others"):
        Store.update(tmp_path, {"static": fewer}, {})
    assert Store.open(tmp_path).fingerprints == store.fingerprints


def test_an_import_replaces_the_whole_store(tmp_path: Path) -> None:
    Store.update(tmp_path, {"static": FIRST.static}, {"places": {"source": "ibge"}}, mesh=MESH)
    Store.write(tmp_path, FIRST, {"places": "places.csv"})
    opened = Store.open(tmp_path)
    assert opened.mesh is None
    assert opened.sources == {"places": "places.csv"}
    assert not list(tmp_path.glob("mesh-*"))


def test_a_manifest_without_tables_is_refused(tmp_path: Path) -> None:
    text = {"format": 1, "written": "x", "sources": {}, "tables": {}}
    (tmp_path / "store.json").write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(MissingDataError, match="entries are missing"):
        Store.open(tmp_path)
