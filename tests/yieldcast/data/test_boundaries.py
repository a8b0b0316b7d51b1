import json

import pytest

from yieldcast.data import boundaries
from yieldcast.data.store import Store
from yieldcast.data.user_columns import ImportLog
from yieldcast.errors import MissingDataError, SchemaError

SQUARE = [[[-55.0, -12.0], [-54.0, -12.0], [-54.0, -11.0], [-55.0, -12.0]]]


def collection(codes, name="code", geometry=None):
    shape = geometry or {"type": "Polygon", "coordinates": SQUARE}
    features = [
        {"type": "Feature", "properties": {name: code}, "geometry": shape}
        for code in codes
    ]  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.fixture
def read(tmp_path, small):
    def inner(text):
        path, log = tmp_path / "mesh.geojson", ImportLog()
        path.write_text(text, encoding="utf-8")
        return json.loads(boundaries.read_mesh(path, small.static, log)), log

    return inner


@pytest.mark.parametrize("name", ["code", "codarea", "CD_MUN"])
def test_codes_as_text_or_number_become_the_stores_numbers(read, small, name):
    first, second = small.static["municipality"].values[:2].tolist()
    mesh, log = read(collection([str(first), second, 9_999_999], name))
    assert [feature["properties"]["code"] for feature in mesh["features"]] == [first, second]
    assert mesh["features"][0]["geometry"]["coordinates"] == SQUARE
    assert log.read == [("mesh", "places with boundaries", 2)]
    assert log.dropped == [("mesh", "polygons of other places", 1)]
    assert log.warnings == [("mesh", "places without boundaries", 22)]  # of the 24 places of the country


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected GeoJSON"),
        ('{"type": "FeatureCollection"}', "expected GeoJSON"),
        (collection([1], "unknown"), "expected a property with the place's code"),
        (collection([9_999_999]), "none of 1 polygons"),
    ],
)
def test_what_is_no_mesh_is_refused(read, text, said):
    with pytest.raises(SchemaError, match=said):
        read(text)


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        ({"type": "Point", "coordinates": [-55, -12]}, "expected a Polygon"),
        ({"type": "Polygon", "coordinates": []}, "expected corners"),
        ({"type": "Polygon", "coordinates": [[[500_000, 8_000_000]]]}, "expected degrees"),
    ],
)
def test_shapes_that_are_none_are_refused(read, small, geometry, said):
    with pytest.raises(SchemaError, match=said):
        read(collection(small.static["municipality"].values[:1].tolist(), geometry=geometry))


def test_a_missing_file(tmp_path, small):
    with pytest.raises(MissingDataError, match="cannot read"):
        boundaries.read_mesh(tmp_path / "no.geojson", small.static, ImportLog())


def test_a_store_keeps_the_mesh_it_was_written_with(tmp_path, small):
    text = collection(small.static["municipality"].values.tolist())
    store = Store.write(tmp_path / "store", small, {}, text)
    assert store.mesh is not None
    assert store.mesh.read_text(encoding="utf-8") == text
    assert Store.write(tmp_path / "store", small, {}).mesh is None
