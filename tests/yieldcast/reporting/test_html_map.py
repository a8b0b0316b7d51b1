import base64
import json

import numpy as np
import pytest

from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.reporting import html_map


def write(path, shapes):
    """A mesh file of {code: GeoJSON geometry}."""
    features = [
        {"type": "Feature", "properties": {"code": code, "state": str(code)[:2]}, "geometry": geometry}
        for code, geometry in shapes.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def square(x, y, size=1.0):
    corners = [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
    return {"type": "Polygon", "coordinates": [corners]}


def numbers(text):
    """LEB128 as its definition says: seven bits at a time, the lowest first."""
    out, value, shift = [], 0, 0
    for byte in base64.b64decode(text):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            out.append(value)
            value = shift = 0
    return out


def decode(packed):
    """Rings in degrees per municipality, and whether each side is an edge of a state."""
    counts, stream = iter(numbers(packed["counts"])), iter(numbers(packed["corners"]))
    bits = np.unpackbits(np.frombuffer(base64.b64decode(packed["borders"]), np.uint8), bitorder="little")
    sides = iter(bits)
    x = y = 0
    shapes = {}
    for code in packed["codes"]:
        rings = []
        for _ in range(next(counts)):
            ring = []
            for _ in range(next(counts)):
                dx, dy = next(stream), next(stream)
                x += dx // 2 if dx % 2 == 0 else -(dx + 1) // 2
                y += dy // 2 if dy % 2 == 0 else -(dy + 1) // 2
                ring.append((x * packed["step"], y * packed["step"] + packed["south"], bool(next(sides))))
            rings.append(ring)
        shapes[code] = rings
    assert next(stream, None) is None
    return shapes


@pytest.fixture
def winding(tmp_path):
    rng = np.random.default_rng(5)
    count = 40
    codes = np.repeat([4_100_000, 5_100_000], count // 2) + np.arange(count)
    longitude = np.where(codes < 5_000_000, -50.0, -58.0) + rng.uniform(-3.5, 3.5, count)
    states = ["PR"] * (count // 2) + ["MT"] * (count // 2)
    latitude = rng.uniform(-25, -15, count)
    names = [f"Município {k}" for k in range(count)]
    mesh = synthetic_mesh(codes.tolist(), names, states, latitude.tolist(), longitude.tolist(), detail=6)
    path = tmp_path / "mesh.geojson"
    path.write_text(json.dumps(mesh))
    return path, mesh


def test_every_corner_comes_back_within_half_a_step(winding):
    path, mesh = winding
    packed = html_map.encode(path)
    assert packed["step"] == pytest.approx(1e-4)
    west = min(x for f in mesh["features"] for x, _ in f["geometry"]["coordinates"][0])
    for feature in mesh["features"]:
        corners = np.array(feature["geometry"]["coordinates"][0])[:-1]
        (ring,) = decode(packed)[int(feature["properties"]["code"])]
        back = np.array([(x + west, y) for x, y, _ in ring])
        assert len(back) == len(corners)
        assert np.abs(back - corners).max() <= packed["step"] / 2 + 1e-9
    assert packed["names"][0] == "Município 0"
    assert packed["states"][0] == "PR"


def test_borders_that_are_shared_stay_shared(winding):
    path, mesh = winding
    before = {tuple(c) for f in mesh["features"] for c in f["geometry"]["coordinates"][0]}
    rings = [ring for rings in decode(html_map.encode(path)).values() for ring in rings]
    after = {(round(x, 6), round(y, 6)) for ring in rings for x, y, _ in ring}
    assert len(after) == len(before)  # a border that came apart would add corners


def test_edges_of_states_are_the_sides_that_no_neighbour_in_the_state_shares(tmp_path):
    # Two by two squares: the left pair is one state, the right pair another.
    shapes = {41_00001: square(0, 0), 41_00002: square(0, 1), 51_00001: square(1, 0), 51_00002: square(1, 1)}
    decoded = decode(html_map.encode(write(tmp_path / "m.geojson", shapes)))
    marks = {code: sum(mark for *_, mark in rings[0]) for code, rings in decoded.items()}
    assert marks == dict.fromkeys(shapes, 0)  # six in eight of all sides are edges: then none is marked
    shapes |= {41_00000 + k: square(-k, y) for k, y in ((3, 0), (4, 0), (5, 0), (6, 0))}
    shapes |= {41_00010 + k: square(-k, 1) for k in (3, 4, 5, 6)}
    shapes |= {41_00020 + k: square(-k, 2) for k in (3, 4, 5, 6)}
    shapes |= {41_00030 + k: square(-k, 3) for k in (3, 4, 5, 6)}
    decoded = decode(html_map.encode(write(tmp_path / "m.geojson", shapes)))
    marks = {code: sum(mark for *_, mark in rings[0]) for code, rings in decoded.items()}
    assert marks[41_00001] == 3  # all but the side to the square above
    assert marks[51_00001] == 3
    assert marks[41_00014] == 0  # within its state
    assert marks[41_00003] == 2  # a corner of the block


def test_several_parts_holes_and_slivers_are_kept(tmp_path):
    hole = square(0.25, 0.25, 0.5)["coordinates"][0][::-1]
    shapes = {
        1_100_001: {"type": "Polygon", "coordinates": [square(0, 0)["coordinates"][0], hole]},
        1_100_002: {
            "type": "MultiPolygon",
            "coordinates": [square(3, 0)["coordinates"], square(5, 0)["coordinates"]],
        },
        1_100_003: square(30, 9, 1e-9),  # falls into one spot of the grid
        1_100_004: None,
    }
    decoded = decode(html_map.encode(write(tmp_path / "m.geojson", shapes)))
    assert {code: [len(ring) for ring in rings] for code, rings in decoded.items()} == {
        1_100_001: [4, 4], 1_100_002: [4, 4], 1_100_003: [4],
    }  # fmt: skip


def test_features_of_one_municipality_are_joined(tmp_path):
    path = write(tmp_path / "m.geojson", {1_100_001: square(0, 0)})
    mesh = json.loads(path.read_text())
    mesh["features"].append({**mesh["features"][0], "geometry": square(4, 4)})
    path.write_text(json.dumps(mesh))
    assert [len(rings) for rings in decode(html_map.encode(path)).values()] == [2]


def test_a_mesh_that_is_too_fine_is_put_on_a_coarser_grid(winding, monkeypatch):
    path, mesh = winding
    fine = html_map.encode(path)
    monkeypatch.setattr(html_map, "_LARGEST", 1500)
    coarse = html_map.encode(path)
    assert len(base64.b64decode(coarse["corners"])) <= 1500 < len(base64.b64decode(fine["corners"]))
    assert coarse["step"] > fine["step"]
    assert coarse["codes"] == [int(f["properties"]["code"]) for f in mesh["features"]]


@pytest.mark.parametrize("shapes", [{}, {1_100_001: None}])
def test_a_mesh_without_polygons_is_refused(tmp_path, shapes):
    with pytest.raises(SchemaError, match="expected at least one polygon"):
        html_map.encode(write(tmp_path / "m.geojson", shapes))


def test_a_mesh_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match=r"cannot read the mesh .*none\.geojson"):
        html_map.encode(tmp_path / "none.geojson")


def test_the_real_mesh_is_small(brazil_files):
    packed = html_map.encode(brazil_files / "municipalities.geojson")
    assert len(packed["codes"]) == 5564
    assert len(json.dumps(packed)) < 1_000_000
