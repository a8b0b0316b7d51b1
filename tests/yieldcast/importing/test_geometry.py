"""A user's boundaries: what is read, mended and refused, and that every export can write what is accepted."""

from __future__ import annotations

import copy
import gzip
import json
import sys
from pathlib import Path

import factories
import numpy as np
import pytest
import xarray as xr

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.geometry import read_mesh
from yieldcast.importing.polygons import cleaned, crossing_sides, distance_deg, geometry_polygons

CODES = ["1100015", "5107925", "4104808", "4314100"]
LATITUDE, LONGITUDE = [-12.5, -13.0, -25.0, -28.0], [-62.0, -55.5, -53.5, -52.5]


def places(latitude=LATITUDE, longitude=LONGITUDE, codes=CODES):
    known = Codes(list(codes))
    order = known.rows(codes, "")
    columns = {"code": codes, "name": codes, "state": ["X"] * len(codes)}
    columns |= {"latitude_deg": latitude, "longitude_deg": longitude}
    arrays = {name: ("municipality", np.array(values)) for name, values in columns.items()}
    ds = xr.Dataset(arrays, coords={"municipality": known.municipality[order]})
    return ds.sortby("municipality")


def square(x, y, half=0.3):
    return [
        [x - half, y - half],
        [x + half, y - half],
        [x + half, y + half],
        [x - half, y + half],
        [x - half, y - half],
    ]


def feature(code, *rings, kind="Polygon", name="code"):
    return {
        "type": "Feature",
        "properties": {name: code},
        "geometry": {"type": kind, "coordinates": [*rings]},
    }


def mesh(name="code", codes=CODES):
    rows = zip(codes, LONGITUDE, LATITUDE, strict=True)
    return [feature(code, square(x, y), name=name) for code, x, y in rows]


@pytest.fixture
def read(tmp_path):
    def inner(features, static=None):
        path, log = tmp_path / "mesh.geojson", ImportLog()
        content = (
            features if isinstance(features, str) else {"type": "FeatureCollection", "features": features}
        )
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        made = json.loads(read_mesh(path, places() if static is None else static, log))
        return {one["properties"]["code"]: one["geometry"] for one in made["features"]}, log

    return inner


@pytest.mark.parametrize(
    "name", ["code", "codarea", "CD_MUN", "CD_GEOCMU", "cd_geocodm", "GEOCODIGO", "id", "Cod_IBGE"]
)
def test_names_of_the_property(read, name):
    found, log = read(mesh(name, ["1100015", 5107925, 4104808.0, "4314100.0"]))
    assert list(found) == [1100015, 4104808, 4314100, 5107925]
    assert found[1100015]["coordinates"] == [square(-62.0, -12.5)]
    assert log.read == [("mesh", "places with boundaries", 4)]
    assert not log.dropped
    assert not log.warnings


def test_the_features_own_id_and_codes_without_check_digit(read):
    features = [{**one, "properties": {}, "id": code[:-1]} for one, code in zip(mesh(), CODES, strict=True)]
    assert len(read(features)[0]) == 4


def test_the_property_with_most_places_wins(read):
    features = mesh("CD_MUN")
    for number, one in enumerate(features, 1):
        one["properties"] |= {"code": number, "id": number}
    assert len(read(features)[0]) == 4


def test_properties_that_contradict_each_other_are_refused(read):
    features = mesh()
    features[0]["properties"]["CD_MUN"], features[1]["properties"]["CD_MUN"] = CODES[1], CODES[0]
    with pytest.raises(
        SchemaError, match=r"feature 1: the properties 'code' and 'cd_mun' name different .*2 such"
    ):
        read(features)


def test_names_and_states_are_those_of_the_places(tmp_path):
    path = tmp_path / "m.geojson"
    path.write_bytes(
        json.dumps({"features": mesh()}, ensure_ascii=False)
        .replace('"code": "11', '"n": "Pará", "code": "11')
        .encode("latin-1")
    )
    made = json.loads(read_mesh(path, places(), ImportLog()))
    assert made["features"][0]["properties"] == {"code": 1100015, "name": "1100015", "state": "X"}


def test_byte_order_mark(tmp_path):
    path = tmp_path / "m.geojson"
    path.write_text("\ufeff" + json.dumps({"features": mesh()}), encoding="utf-8")
    assert len(json.loads(read_mesh(path, places(), ImportLog()))["features"]) == 4


def test_places_without_polygons_and_polygons_without_places(read):
    features = [
        *mesh()[:2],
        feature("9999999", square(0, 0)),
        {"properties": {"code": CODES[2]}, "geometry": None},
    ]
    features.append(feature(CODES[3]))
    found, log = read(features)
    assert list(found) == [1100015, 5107925]
    assert log.dropped == [("mesh", "polygons of other places", 1)]
    assert log.warnings == [("mesh", "places without boundaries: 4104808, 4314100", 2)]


def test_parts_of_one_place_become_one_multipolygon(read):
    far = square(-50.0, -13.0)
    found, log = read(
        [*mesh(), feature(CODES[1], far), feature(CODES[1], far)]
    )  # the second time is the same part
    assert found[5107925] == {"type": "MultiPolygon", "coordinates": [[square(-55.5, -13.0)], [far]]}
    assert ("mesh", "places of several features, joined, first 5107925", 1) in log.read


def test_parts_with_a_common_border_become_one_polygon(read):
    halves = [feature(CODES[1], square(x, -13.0, 0.25)) for x in (-55.5, -55.0)]
    found, _ = read([*mesh()[:1], *halves])
    assert found[5107925]["type"] == "Polygon"
    assert area(found[5107925]) == pytest.approx(0.5)


def area(geometry):
    import shapely

    shape = shapely.from_geojson(json.dumps(geometry))
    assert shape.is_valid
    return shape.area


def test_rings_are_closed_heights_left_out_and_collections_opened(read):
    features = mesh()
    open_ring = [[*corner, 300.0] for corner in square(-62.0, -12.5)[:-1]]
    features[0]["geometry"]["coordinates"] = [open_ring]
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    features[1]["geometry"] = {"type": "GeometryCollection", "geometries": [line, features[1]["geometry"]]}
    found, log = read(features)
    assert found[1100015]["coordinates"] == [square(-62.0, -12.5)]
    assert found[5107925]["coordinates"] == [square(-55.5, -13.0)]
    assert log.warnings == [("mesh", "places with rings closed: 1100015", 1)]


BOWTIE = [[-62.3, -12.8], [-61.7, -12.2], [-61.7, -12.8], [-62.3, -12.2], [-62.3, -12.8]]


def test_crossing_sides_are_mended(read):
    found, log = read([feature(CODES[0], BOWTIE), *mesh()[1:]])
    assert area(found[1100015]) == pytest.approx(2 * 0.6 * 0.3 / 2)  # two triangles, both lobes kept
    assert log.warnings == [("mesh", "places with crossing or overlapping sides mended: 1100015", 1)]


def test_crossing_sides_are_refused_without_shapely(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "shapely", None)
    assert len(read(mesh())[0]) == 4
    with pytest.raises(
        SchemaError, match=r"feature 1 \(1100015\): expected sides that do not cross.*yieldcast\[geo"
    ):
        read([feature(CODES[0], BOWTIE), *mesh()[1:]])


def change(position, corner):
    features = copy.deepcopy(mesh())
    features[1]["geometry"]["coordinates"][0][position] = corner
    return features


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (change(2, [float("nan"), -13]), r"expected degrees, received the corner \(nan"),
        (change(2, [float("inf"), -13]), "expected degrees"),
        (change(2, [5e6, 5e6]), "expected degrees, received the corner"),
        (change(2, [0.0, 0.0]), r"expected corners near one another, received \(0.0, 0.0\) in a ring around"),
        (change(2, [-55.2, 12.7]), "expected corners near one another"),
        (change(2, ["a", "b"]), "expected corners of longitude"),
        ([feature(CODES[1], [[-55, -13], [-54, -13], [-53, -13], [-55, -13]])], "expected an area"),
        (
            [feature(CODES[1], [-55, -13], kind="Point")],
            "expected a Polygon or MultiPolygon, received 'Point'",
        ),
        ([{"properties": {"code": CODES[1]}, "geometry": "x"}], "expected a geometry, received x"),
    ],
)
def test_features_that_cannot_be_used_are_named(read, features, said):
    number = 2 if len(features) > 1 else 1
    with pytest.raises(
        SchemaError, match=rf"1 features cannot be used: feature {number} \(5107925\): {said}"
    ):
        read(features)


def test_every_faulty_feature_is_counted(read):
    features = change(2, [float("nan"), -13])
    features[3]["geometry"]["coordinates"][0][0] = [999, 999]
    with pytest.raises(
        SchemaError, match=r"2 features cannot be used: feature 2 \(5107925\).*; feature 4 \(4314100\)"
    ):
        read(features)


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        ("{", "expected a GeoJSON FeatureCollection", "ogr2ogr"),
        ('{"type": "Topology", "arcs": []}', "received Topology", "ogr2ogr"),
        ('{"type": "Feature"}\n{"type": "Feature"}', "Extra data", "one feature a line"),
        ('{"features": [1]}', "feature 1: expected an object", "GeoJSON"),
        ('{"features": []}', "expected a property with the place's code, received no feature", "code"),
        (gzip.compress(b"{}", mtime=0), "received gzip", "gunzip"),
        (b"PK\x03\x04", "received a zip archive", "ogr2ogr"),
        (b"SQLite format 3\0", "received a GeoPackage", "ogr2ogr"),
    ],
)
def test_other_contents_are_named(tmp_path, content, said, hint):
    path = tmp_path / "m.geojson"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SchemaError, match=said) as caught:
        read_mesh(path, places(), ImportLog())
    assert hint in caught.value.hint


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingDataError, match=r"cannot read .*no\.geojson: No such file"):
        read_mesh(tmp_path / "no.geojson", places(), ImportLog())


def test_no_property_and_no_place(read):
    with pytest.raises(SchemaError, match=r"expected a property with the place's code, received .'x': '1"):
        read(mesh("x"))
    with pytest.raises(SchemaError, match=r"none of 4 polygons has the code of a place; .* 'code' like '1'"):
        read(mesh(codes=["1", "2", "3", "4"]))


def test_a_place_outside_its_polygon_is_named(read):
    found, log = read(mesh(), places([-12.5, -13.0, -25.0, 0.0], [-62.0, -55.5, -53.5, 0.0]))
    assert len(found) == 4
    assert log.warnings == [("mesh", "places more than 0.1 degrees outside their polygons: 4314100", 1)]
    near = places([-12.5 - 0.39, -13.0, -25.0, -28.0])  # 0.09 degrees outside
    assert not read(mesh(), near)[1].warnings


@pytest.mark.parametrize(
    ("static", "said"),
    [
        (places(LONGITUDE, LATITUDE), "Latitude and longitude are exchanged"),
        (places(LATITUDE, [-x for x in LONGITUDE]), "Longitudes have the wrong sign"),
        (places([-y for y in LATITUDE]), "Latitudes have the wrong sign"),
        (places([-y for y in LATITUDE], [-x for x in LONGITUDE]), "have lost their signs"),
        (places([0.0] * 4, [0.0] * 4), "Do the two files belong together"),
    ],
)
def test_most_places_outside_their_polygons_are_refused(read, static, said):
    with pytest.raises(
        SchemaError, match=r"received 4 of 4 outside: 1100015, 4104808, 4314100, 5107925;"
    ) as caught:
        read(mesh(), static)
    assert said in caught.value.hint


def test_distance_by_hand():
    with_hole = geometry_polygons({"type": "Polygon", "coordinates": [square(0, 0, 2), square(0, 0, 1)]})
    assert distance_deg(1.5, 0, with_hole) == 0
    assert distance_deg(0, 0, with_hole) == pytest.approx(1)  # in the hole
    assert distance_deg(5, 6, with_hole) == pytest.approx(5)  # 3 and 4 from the corner (2, 2)


def test_sides_that_touch_do_not_cross():
    touching = geometry_polygons({"type": "MultiPolygon", "coordinates": [[square(0, 0)], [square(0.6, 0)]]})
    assert crossing_sides(touching) is None
    assert crossing_sides([[np.array(BOWTIE)]]) is not None


def random_geometry(rng, k):
    """Rings around a place of its own, of one of ten kinds, most of them faulty in some way."""
    kind = k % 10
    count = int(rng.integers(3, 12))
    angle = np.sort(rng.uniform(0, 2 * np.pi, count))
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(0.02, 0.4, (count, 1))
    ring = np.round(ring, int(rng.integers(1, 7)))
    if kind == 1:
        rng.shuffle(ring)  # crosses itself
    if kind == 2:
        ring = ring * 1e-6  # below the digits of every export
    if kind == 3:
        ring[:, 1] = 0
    if kind == 4:
        ring = np.repeat(ring, 2, axis=0)
    rings = [np.concatenate([ring, ring[:1]]) if kind != 5 else ring]
    if kind == 6:
        rings.append(rings[0] * 0.3)
    if kind == 7:
        rings.append(rings[0] + 0.2)  # a hole across the border
    polygons = [rings, [rings[0] + rng.uniform(0, 0.3)]] if kind in (8, 9) else [rings]
    return [[ring + np.array([k % 16, k // 16]) for ring in rings] for rings in polygons]


@pytest.mark.parametrize("with_shapely", [True, False])
def test_every_export_writes_what_import_accepts(tmp_path, monkeypatch, with_shapely):
    """Property: of 240 random geometries, those accepted are written as GeoPackage, GeoJSON, page and PNG."""
    import geopandas
    from matplotlib.figure import Figure

    from yieldcast.reporting.choropleth import draw_choropleth, read_polygons
    from yieldcast.reporting.geodata import read_shapes, write_geojson, write_gpkg
    from yieldcast.reporting.html_map import encode

    rng, features, codes = np.random.default_rng(5), [], []
    with monkeypatch.context() as only:
        if not with_shapely:
            only.setitem(sys.modules, "shapely", None)
        for k in range(240):
            polygons = random_geometry(rng, k)
            try:
                cleaned(polygons)
            except ValueError:
                continue
            codes.append(k)
            parts = [[ring.tolist() for ring in rings] for rings in polygons]
            features.append(feature(k, *parts, kind="MultiPolygon"))
        (tmp_path / "user.geojson").write_text(json.dumps({"features": features}))
        static = places([k // 16 for k in codes], [k % 16 for k in codes], list(map(str, codes)))
        log = ImportLog()
        (tmp_path / "mesh.geojson").write_text(read_mesh(tmp_path / "user.geojson", static, log))
    assert 100 < len(codes) < 240
    assert bool([text for _, text, _ in log.warnings if "mended" in text]) is with_shapely

    stored, numbers = tmp_path / "mesh.geojson", np.array(codes, dtype=np.int32)
    forecast = factories.synthetic_forecast(numbers, list(map(str, codes)))
    shapes = read_shapes(stored)
    write_geojson(tmp_path / "a.geojson", forecast, shapes, "en")
    write_gpkg(tmp_path / "a.gpkg", forecast, shapes, "en")
    assert not geopandas.read_file(tmp_path / "a.gpkg", layer="municipalities").geometry.isna().any()
    assert encode(stored)["codes"] == codes
    axes = Figure().add_subplot()
    draw_choropleth(axes, *read_polygons(stored), dict.fromkeys(codes, 1.0) | {codes[0]: 2.0}, "viridis")
    axes.figure.savefig(tmp_path / "a.png")
    assert Path(tmp_path / "a.png").stat().st_size > 1000
