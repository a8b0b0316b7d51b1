"""Labelled points on a map, counted by hand."""

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.mapping.area_error import estimate
from yieldcast.mapping.areas import polygons_ha
from yieldcast.mapping.class_maps import open_map
from yieldcast.mapping.map_areas import map_areas
from yieldcast.mapping.places import read_places
from yieldcast.mapping.reference_points import read_points

TAGS = {"YIELDCAST_CLASSES": '["Forest", "Soja"]'}


@pytest.fixture
def halves(write_map):
    """Forest in the west, soybean in the east, no class in the last row."""
    values = np.ones((10, 10), np.uint8)
    values[:, 5:], values[-1] = 2, 0
    return open_map(write_map("halves.tif", values, tags=TAGS))


def table(tmp_path, rows, heading="lon,lat,label"):
    path = tmp_path / "points.csv"
    path.write_text("\n".join([heading, *rows]), encoding="utf-8")
    return path


def test_points_are_counted_by_mapped_and_true_class(halves, tmp_path):
    # west of 55.25 W the map shows forest; the last point lies in the row without a class
    rows = [
        "-55.45,-11.6,Forest", "-55.45,-11.7,forest", "-55.3,-11.6,SOJA", "-55.1,-11.6,2",
        "-55.05,-11.9,Soja", "-55.02,-11.9,Forest", "-55.3,-11.99,Soja",
    ]  # fmt: skip
    found = read_points(table(tmp_path, rows), [halves])
    assert found.classes == ("Forest", "Soja")
    assert found.counts.tolist() == [[2, 1], [1, 2]]
    assert found.outside == 1
    made = map_areas([halves], reference=table(tmp_path, rows))
    half = polygons_ha([[np.array([[-55.5, -11.95], [-55.25, -11.95], [-55.25, -11.5], [-55.5, -11.5]])]])
    assert made.hectares == pytest.approx([half, half], rel=1e-6)
    assert made.corrected.area_ha == pytest.approx([half, half], rel=1e-6)  # 2/3 + 1/3 of either
    assert made.corrected.area_error_ha == pytest.approx(estimate(found.counts, made.hectares).area_error_ha)
    # by hand, equation 10: W = 1/2, share 1/3, n = 3: sqrt(2 * (1/4) * (2/9) / 2) of the whole
    assert made.corrected.area_error_ha[0] == pytest.approx(2 * half * np.sqrt(2 / 4 * (2 / 9) / 2))


def test_areas_within_places(halves, write_mesh):
    shapes = {1: (-55.3, -11.9, -55.2, -11.8), 2: (0, 0, 1, 1)}
    made = map_areas([halves], read_places(write_mesh(shapes)))
    half = polygons_ha([[np.array([[-55.3, -11.9], [-55.25, -11.9], [-55.25, -11.8], [-55.3, -11.8]])]])
    assert made.by_place[1] == pytest.approx([half, half], rel=1e-6)
    assert made.by_place[2].tolist() == [0, 0]
    frame = made.frame()
    assert list(frame.columns) == ["code", "name", "class", "mapped_ha"]
    assert made.corrected is None


@pytest.mark.parametrize(
    ("rows", "heading", "error"),
    [
        (["-55.4,-11.6,Wheat"], "lon,lat,label", "received 'Wheat'"),
        (["-11.6,-55.4,Soja"], "lon,lat,label", "points within the map"),
        (["-55.4;-11.6;Soja"], "lon;lat;what", "expected the columns lon, lat and label"),
        (["-55.4,x,Soja"], "lon,lat,label", "received 'x' in line 2"),
    ],
)
def test_tables_that_cannot_be_used(halves, tmp_path, rows, heading, error):
    with pytest.raises(SchemaError, match=error):
        read_points(table(tmp_path, rows, heading), [halves])
