"""GeoJSON and GeoPackage of a forecast with hand-worked numbers."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pytest

from yieldcast import language
from yieldcast.errors import SchemaError
from yieldcast.reporting import labels
from yieldcast.reporting.geodata import Shape, read_shapes, write_geojson, write_gpkg
from yieldcast.reporting.qgis_style import class_limits

DAYS = ("as_of", "window_start", "window_end")


def test_departures_of_nothing_and_from_nothing(tmp_path, forecast):
    ds = forecast.copy(deep=True)
    ds["mean_5y_public_kg_ha"][0] = 2600.5 + 0.03  # rounded, the departure is 0 and not -0
    ds["mean_5y_public_kg_ha"][1] = 0.0
    write_geojson(tmp_path / "a.geojson", ds, {}, "en")
    text = (tmp_path / "a.geojson").read_text(encoding="utf-8")
    first, second, *_ = (feature["properties"] for feature in json.loads(text)["features"])
    assert "-0.0," not in text
    assert (first["anomaly_kg_ha"], first["anomaly_pct"]) == (0.0, 0.0)
    assert second["anomaly_kg_ha"] == second["yield_p50_kg_ha"]
    assert second["anomaly_pct"] is None  # no share of nothing


@pytest.mark.parametrize("lang", language.tags())
def test_gpkg(tmp_path, forecast, mesh, lang, expected):
    path = write_gpkg(tmp_path / "a.gpkg", forecast, read_shapes(mesh), lang)
    frame = geopandas.read_file(path, layer="municipalities")
    assert frame.crs.to_epsg() == 4674
    assert list(frame["code"]) == [str(code) for code in expected.codes]
    assert list(frame["name"]) == expected.names  # no apostrophe: nothing in a GIS evaluates it
    # the same names and values in both languages
    days = {key: dt.datetime.fromisoformat(expected.first[key]) for key in DAYS}
    assert {key: frame[key][0] for key in expected.first} == expected.first | days
    missing = (*expected.missing, "geometry")
    assert [key for key in frame if frame[key].isna()[3]] == [key for key in frame if key in missing]
    assert set(frame.geometry[:3].geom_type) == {"MultiPolygon"}
    assert frame.geometry[0].area == pytest.approx(1.0, abs=1e-4)
    assert frame.geometry[1].area == pytest.approx(2.0)
    assert frame.geometry[0].bounds == pytest.approx((-50.12346, -25, -49.12346, -24), abs=1e-9)
    info = pyogrio.read_info(path, layer="municipalities")
    assert [
        str(kind) for name, kind in zip(info["fields"], info["ogr_types"], strict=True) if name in DAYS
    ] == ["OFTDate"] * 3
    assert info["layer_name"] == "municipalities"
    assert info["layer_metadata"]["as_of"] == "2017-11-15"
    assert info["layer_metadata"]["licence"] == "CC BY 4.0"
    title = labels.title(labels.facts(forecast), lang)
    assert info["layer_metadata"]["IDENTIFIER"] == f"{title}: municipalities"


def test_gpkg_has_the_states_and_a_style_for_qgis(tmp_path, forecast, mesh):
    path = write_gpkg(tmp_path / "a.gpkg", forecast, read_shapes(mesh), "en")
    assert (
        write_gpkg(tmp_path / "b.gpkg", forecast, read_shapes(mesh), "en").read_bytes() == path.read_bytes()
    )
    states = geopandas.read_file(path, layer="states")
    assert list(states["aggregate"]) == ["MT", "PR"]
    # squares of one degree: of MT one is in the mesh, and 5100003 has no forecast; of PR three
    assert [polygon.area for polygon in states.geometry] == pytest.approx([1.0, 3.0], abs=1e-4)
    assert states["yield_p50_kg_ha"][1] == pytest.approx(
        forecast["aggregate_yield_kg_ha"].sel(aggregate="PR", quantile=0.5).item(), abs=0.051
    )
    assert (states["as_of"] == dt.datetime(2017, 11, 15)).all()
    with sqlite3.connect(path) as database:
        found = dict(
            database.execute(
                "SELECT f_table_name, styleQML FROM layer_styles JOIN gpkg_geometry_columns ON table_name = "
                "f_table_name AND column_name = f_geometry_column WHERE useAsDefault = 1"
            ).fetchall()
        )
    database.close()
    assert set(found) == {"municipalities", "states"}
    medians = geopandas.read_file(path, layer="municipalities")["yield_p50_kg_ha"]
    renderer = ElementTree.fromstring(found["municipalities"].split("\n", 1)[1]).find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("graduatedSymbol", "yield_p50_kg_ha")
    ranges = [(float(one.get("lower")), float(one.get("upper"))) for one in renderer.iter("range")]
    assert all(any(low <= median <= high for low, high in ranges) for median in medians)
    colours = [one.get("value") for one in renderer.iter("Option") if one.get("name") == "color"]
    assert (colours[0], colours[-1]) == ("68,1,84,255", "253,231,37,255")  # the ends of viridis
    assert len(colours) == len(ranges) == len(set(colours))


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([2013.0, np.nan, 3987.0], [2000, 2250, 2500, 2750, 3000, 3250, 3500, 3750, 4000]),  # 1974 / 8 = 247
        ([3000.0], [3000.0, 3000.2]),  # one value: a class of its own, of the least width
        ([0.0, 0.0], [0.0, 0.2]),
    ],
)
def test_classes_of_the_style_hold_every_value(values, limits):
    np.testing.assert_allclose(class_limits(np.array(values)), limits)


def test_gpkg_shows_headings_in_the_language_of_the_reader(tmp_path, forecast, mesh, expected):
    path = write_gpkg(tmp_path / "a.gpkg", forecast, read_shapes(mesh), "pt")
    _, table = pyogrio.read_arrow(
        path, layer="municipalities"
    )  # GDAL's own view: what QGIS shows as alias and comment
    for key in expected.first:
        metadata = {k.decode(): v.decode() for k, v in table.schema.field(key).metadata.items()}
        assert metadata["GDAL:OGR:alternative_name"] == labels.column(key, "pt")
        assert metadata["GDAL:OGR:comment"] == labels.meaning(key, "pt")
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


@pytest.mark.parametrize("lang", language.tags())
def test_geojson(tmp_path, forecast, mesh, lang, expected):
    path = write_geojson(tmp_path / "a.geojson", forecast, read_shapes(mesh), lang)
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert whole["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::4674"
    assert whole["title"] == labels.title(labels.facts(forecast), lang)
    assert (whole["as_of"], whole["synthetic"], whole["members"]) == ("2017-11-15", 1, 30)
    first, *_, last = whole["features"]
    assert first["id"] == 4100001
    assert {key: first["properties"][key] for key in expected.first} == expected.first
    assert first["geometry"]["coordinates"][0][0] == [-50.12346, -25.0]  # longitude first, five digits
    assert last["geometry"] is None
    assert {key for key, value in last["properties"].items() if value is None} == set(expected.missing)
    frame = geopandas.read_file(path)
    assert frame.crs.to_epsg() == 4674
    assert list(frame["name"]) == expected.names
    assert list(frame.geometry.isna()) == [False, False, False, True]


def test_a_polygon_that_is_none_is_refused(tmp_path, forecast):
    ring = [[0.0, 0.0], [1.0, 1.0]]
    with pytest.raises(SchemaError, match="mesh: expected polygons"):
        write_gpkg(
            tmp_path / "a.gpkg", forecast, {4100001: Shape({"type": "Polygon", "coordinates": [ring]})}, "en"
        )
