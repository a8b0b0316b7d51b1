import json

import numpy as np
import pytest

from yieldcast.data import boundaries
from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError, SchemaError

SQUARE = [[[-55.0, -12.0], [-54.0, -12.0], [-54.0, -11.0], [-55.0, -12.0]]]


def collection(codes, name="code", geometry=None):
    shape = geometry or {"type": "Polygon", "coordinates": SQUARE}
    features = [
        {"type": "Feature", "properties": {name: code}, "geometry": shape}
        for code in codes
    ]  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": features})


def polygon(*corners):
    return {"type": "Polygon", "coordinates": [list(corners)]}


GEOMETRIES = [
    ({"type": "Point", "coordinates": [-55, -12]}, "expected a Polygon or MultiPolygon, received 'Point'"),
    ("Polygon", "expected a Polygon or MultiPolygon, received 'Polygon'"),
    ({"type": "Polygon"}, "expected corners .* received None"),
    ({"type": "Polygon", "coordinates": []}, "expected corners"),
    ({"type": "Polygon", "coordinates": [[]]}, "expected corners"),
    ({"type": "Polygon", "coordinates": "abc"}, "expected corners"),
    ({"type": "Polygon", "coordinates": [[["a", "b"]]]}, "expected corners"),
    ({"type": "MultiPolygon", "coordinates": []}, "expected corners"),
    ({"type": "MultiPolygon", "coordinates": [SQUARE, []]}, "expected corners"),
    ({"type": "MultiPolygon", "coordinates": SQUARE}, "expected corners"),  # one level of nesting too few
    (polygon([-55], [-54], [-54]), "expected corners"),
    (polygon([500_000, 8_000_000]), r"expected degrees, received the corner \(500000.0, 8000000.0\)"),
    (polygon([0, 0], [1, 0], [1, 90.1]), r"expected degrees, received the corner \(1.0, 90.1\)"),
    (polygon([0, 0], [1, 0], [float("nan"), 1]), "expected degrees"),
]


@pytest.mark.parametrize(("geometry", "said"), GEOMETRIES)
def test_geometries_that_are_not_polygons_in_degrees_are_refused(geometry, said):
    with pytest.raises(ValueError, match=said):
        boundaries.polygons_of(geometry)
    with pytest.raises(SchemaError, match=said):
        boundaries.boundaries_of(json.loads(collection([1], geometry=geometry)))


def test_rings_of_polygons():
    outline, hole = SQUARE[0], [[-54.6, -11.6], [-54.4, -11.6], [-54.4, -11.4], [-54.6, -11.6]]
    high = [[*corner, 300] for corner in outline]  # with heights
    one = boundaries.polygons_of({"type": "Polygon", "coordinates": [high, hole]})
    assert [[ring.tolist() for ring in rings] for rings in one] == [[outline, hole]]
    two = boundaries.polygons_of({"type": "MultiPolygon", "coordinates": [[outline, hole], [hole]]})
    assert [[ring.tolist() for ring in rings] for rings in two] == [[outline, hole], [hole]]
    assert two[0][0].dtype == np.float64
    east = boundaries.polygons_of(polygon([179, 0], [180.0000001, 0], [180, 1], [179, 0]))
    assert east[0][0].max() > 180  # a rounding error of a conversion is let through


def test_the_mesh_of_a_store_is_read_in_its_order(tmp_path):
    about = [
        {"code": "5107925", "name": "Sorriso", "state": "MT"},
        {"code": 4100001, "uf": "PR"},
        {"code": "11", "name": None},
    ]
    shapes = [
        {"type": "Polygon", "coordinates": SQUARE}, {"type": "MultiPolygon", "coordinates": [SQUARE, SQUARE]},
        None,
    ]  # fmt: skip
    features = [{"properties": p, "geometry": g} for p, g in zip(about, shapes, strict=True)]
    path = tmp_path / "mesh.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    found = boundaries.read_boundaries(path)
    assert [(b.code, b.name, b.state) for b in found] == [
        (5107925, "Sorriso", "MT"), (4100001, "", "PR"), (11, "", ""),
    ]  # fmt: skip
    assert [b.geometry for b in found] == shapes
    assert [len(b.polygons) for b in found] == [1, 2, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", "expected a GeoJSON FeatureCollection"),
        ("[1]", "expected a GeoJSON FeatureCollection, received list"),
        ('{"features": {}}', r"expected a GeoJSON FeatureCollection, received \['features'\]"),
        ("[" * 100_000, "expected a GeoJSON FeatureCollection"),
        ('{"features": ["feature"]}', 'expected features .* received "feature" as feature 1'),
        ('{"features": [{"properties": {}, "geometry": null}]}', "expected features .*KeyError\\('code'"),
        ('{"features": [{"properties": {"code": "x"}, "geometry": null}]}', "expected features .* 'x'"),
        ('{"features": [{"properties": {"code": 1}}]}', "expected features .*KeyError\\('geometry'"),
    ],
)
def test_a_damaged_mesh_is_refused_and_named(tmp_path, text, said):
    path = tmp_path / "m.geojson"
    path.write_text(text)
    with pytest.raises(SchemaError, match=f"mesh m.geojson: {said}") as caught:
        boundaries.read_boundaries(path)
    assert "yieldcast fetch places" in caught.value.hint


def test_a_mesh_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match=r"cannot read the mesh .*none\.geojson: No such file"):
        boundaries.read_boundaries(tmp_path / "none.geojson")


def test_a_store_keeps_the_mesh_it_was_written_with(tmp_path, small):
    text = collection(small.static["municipality"].values.tolist())
    store = Store.write(tmp_path / "store", small, {}, text)
    assert store.mesh is not None
    assert store.mesh.read_text(encoding="utf-8") == text
    assert Store.write(tmp_path / "store", small, {}).mesh is None
