"""Grids, boxes across the 180th meridian, groups of points."""

import numpy as np
import pytest
from rasterio.warp import transform

from data_fetchers.stac import grids
from data_fetchers.stac.collections import SINUSOIDAL, SINUSOIDAL_PIXEL_m
from data_fetchers.stac.grids import box_of, check_box, grid_of, halves, point_groups, touches, utm
from yieldcast.errors import ConfigError


@pytest.mark.parametrize(
    ("lat", "lon", "code"),
    [(-12, -55.5, 32721), (51, 3, 32631), (0, -54, 32622), (-1, 179.9, 32760), (-1, -180, 32701),
     (10, 180, 32601)],
)  # fmt: skip
def test_zones_of_utm(lat, lon, code):
    assert utm(lat, lon) == f"EPSG:{code}"


@pytest.mark.parametrize(
    "box", [(-55, -12, -55, -11), (-55, -11, -54, -12), (-55, -12, -54, 95), (3, 84.5, 4, 85), (1, 2, 3),
            (-55, float("nan"), -54, -11), (-190, -12, -54, -11)],
)  # fmt: skip
def test_boxes_that_are_none(box):
    with pytest.raises(ConfigError, match=r"box|west"):
        check_box(box)


def test_a_grid_covers_its_box_in_whole_pixels():
    box = (-55.503, -12.003, -55.5, -12.0)
    grid = grid_of(box, 10.0)
    assert grid.crs == "EPSG:32721"
    assert grid.x % 10 == grid.y % 10 == 0
    x, y = transform("EPSG:4326", grid.crs, [box[0], box[0], box[2], box[2]], [box[1], box[3]] * 2)
    assert grid.x <= min(x) < grid.x + 10
    assert grid.y - 10 < max(y) <= grid.y
    assert grid.x + grid.width * 10 - 10 < max(x) <= grid.x + grid.width * 10
    ys, xs = grid.centres
    assert (xs[0], ys[0]) == (grid.x + 5, grid.y - 5)
    west, south, east, north = box_of(next(grid.blocks())[2])
    assert west <= box[0] < box[2] <= east
    assert south <= box[1] < box[3] <= north


def test_pixels_of_modis_are_those_of_its_own_grid():
    grid = grid_of((-55.51, -12.01, -55.5, -12.0), SINUSOIDAL_PIXEL_m, SINUSOIDAL)
    west_edge = -18 * 1111950.519667  # of tile h00; tiles are 4800 pixels wide
    columns = (grid.x - west_edge) / SINUSOIDAL_PIXEL_m
    assert columns == pytest.approx(round(columns), abs=1e-5)


def test_blocks_cover_a_grid_once(monkeypatch):
    monkeypatch.setattr(grids, "BLOCK", 20)
    grid = grid_of((-55.503, -12.003, -55.5, -12.0), 10.0)
    count = np.zeros((grid.height, grid.width), int)
    for rows, columns, target in grid.blocks():
        count[rows, columns] += 1
        assert (target["x"], target["y"]) == (grid.x + columns.start * 10, grid.y - rows.start * 10)
        assert (target["height"], target["width"]) == count[rows, columns].shape
    assert (count == 1).all()


def test_a_box_across_the_180th_meridian():
    box = check_box((179.99, -17.01, -179.99, -17.0))
    assert halves(box) == [(179.99, -17.01, 180.0, -17.0), (-180.0, -17.01, -179.99, -17.0)]
    grid = grid_of(box, 100.0)
    assert 2100 < grid.width * 100 < 2500  # 0.02 degrees of longitude at 17 degrees south: 2.13 km
    west, _, east, _ = box_of(next(grid.blocks())[2])
    assert (round(west, 2), round(east, 2)) == (179.99, -179.99)
    for other, expected in [
        ((179.5, -18, 179.995, -16), True), ((-179.995, -18, -179.5, -16), True),
        ((178, -18, 179.9, -16), False), ((-179.9, -18, -178, -16), False), ((179.5, -18, -179.5, -16), True),
        ((-180, -90, 180, 90), True), ((0, -18, 1, -16), False),
    ]:  # fmt: skip
        assert touches((west, -17.01, east, -17.0), other) is expected
        assert touches(other, (west, -17.01, east, -17.0)) is expected


def test_too_few_pixels_are_refused():
    with pytest.raises(ConfigError, match="two pixels"):
        grid_of((-55.51, -12.01, -55.5, -12.0), 5000.0)


def test_points_are_grouped_by_neighbourhood(monkeypatch):
    monkeypatch.setattr(grids, "_GROUP", 2)
    lat, lon = np.array([-12.1, -12.2, 5.0, -12.3]), np.array([-55.1, -55.2, 100.0, -55.3])
    assert [one.tolist() for one in point_groups(lat, lon)] == [[0, 1], [3], [2]]
