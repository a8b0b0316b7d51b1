"""Values of grid cells as values of municipalities."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.data import zonal
from yieldcast.errors import ConfigError, SchemaError

LATITUDE, LONGITUDE = np.array([-10.0, -10.5, -11.0]), np.array([-56.0, -55.5, -55.0, -54.5])


def test_nearest_cell_and_its_distance_by_hand():
    # (-10.1, -55.6): nearest row -10.0, column -55.5. 0.1 deg of latitude = 6371.0088 * pi/180/10 = 11.12 km,
    # 0.1 deg of longitude at 10.05 S = 11.12 * cos(10.05 deg) = 10.95 km: together 15.61 km.
    points = zonal.nearest(LATITUDE, LONGITUDE, [-10.1], [-55.6])
    assert points.cell.tolist() == [1]
    assert points.distance_km[0] == pytest.approx(15.61, abs=0.01)


@given(st.floats(-11.2, -9.8), st.floats(-56.2, -54.3), st.booleans())
def test_nearest_is_the_cell_that_holds_the_place(lat, lon, south_up):
    rows = LATITUDE[::-1] if south_up else LATITUDE
    cell = int(zonal.nearest(rows, LONGITUDE, [lat], [lon]).cell[0])
    row, column = divmod(cell, 4)
    assert abs(rows[row] - lat) <= 0.25 + 1e-9
    assert abs(LONGITUDE[column] - lon) <= 0.25 + 0.003  # on a sphere the border is not quite a meridian


def test_places_outside_by_more_than_a_cell_have_none():
    lat = [-9.6, -9.4, -10, -10, -10]
    lon = [-55, -55, -54.1, -53.9, -32.4]  # the last: Fernando de Noronha
    points = zonal.nearest(LATITUDE, LONGITUDE, lat, lon)
    assert (points.cell >= 0).tolist() == [True, False, True, False, False]
    assert np.isnan(points.distance_km).tolist() == [False, True, False, True, True]


def test_mask_moves_to_the_nearest_land_within_50_km():
    fine = np.round(np.arange(-10.0, -12.01, -0.1), 1), np.round(np.arange(-56.0, -53.99, 0.1), 1)
    land = np.zeros((21, 21), bool)
    land[10, 10] = True  # (-11, -55)
    # 0.3 deg north: 33.4 km; 0.5 deg north: 55.6 km, beyond 50 km
    points = zonal.nearest(*fine, [-11, -10.7, -10.5], [-55, -55, -55], land)
    assert points.cell.tolist() == [10 * 21 + 10, 10 * 21 + 10, -1]
    assert points.distance_km[:2] == pytest.approx([0, 33.36], abs=0.01)
    assert (zonal.nearest(*fine, [-11], [-55], np.zeros((21, 21), bool)).cell == -1).all()


def ring(west: float, south: float, east: float, north: float) -> dict:
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [corners]}


def mesh(**polygons: dict | None) -> dict:
    features = [
        {"type": "Feature", "properties": {"code": code[1:]}, "geometry": shape}
        for code, shape in polygons.items()
    ]
    return {"type": "FeatureCollection", "features": features}


@pytest.mark.parametrize("rows", [LATITUDE, LATITUDE[::-1]], ids=["north-up", "south-up"])
def test_weights_are_covered_area_by_hand(rows):
    # Cells are 0.5 deg wide. The polygon covers all of the cell (-10, -55.5) and the northern half of the
    # cell (-10.5, -55.5): areas cos(10) and cos(10.5)/2 = 0.984808 and 0.491627, together 1.476435.
    shape = mesh(m7=ring(-55.75, -10.5, -55.25, -9.75))
    weights = zonal.polygon_weights(shape, np.array([7], np.int32), rows, LONGITUDE).matrix.toarray()[0]
    weights = weights.reshape(3, 4)[np.argsort(-rows)]
    assert weights[0, 1] == pytest.approx(0.984808 / 1.476435, abs=1e-5)
    assert weights[1, 1] == pytest.approx(0.491627 / 1.476435, abs=1e-5)
    assert np.count_nonzero(weights) == 2


def test_mask_takes_cells_out_and_rows_still_sum_to_1():
    codes = np.array([5, 7, 8, 9], np.int32)
    shapes = mesh(
        m9=ring(-55.75, -10.5, -55.25, -9.75),
        m5=ring(-56.2, -11.2, -54.3, -9.8),
        m7=None,
        m3=ring(0, 0, 1, 1),
    )
    land = np.ones((3, 4), bool)
    land[0, 1] = False
    weights = zonal.polygon_weights(shapes, codes, LATITUDE, LONGITUDE, land)
    assert np.asarray(weights.matrix.sum(axis=1)).ravel() == pytest.approx([1, 0, 0, 1])
    assert weights.matrix[3, 5] == pytest.approx(1)
    assert weights.matrix[0, 1] == 0
    points = zonal.nearest(LATITUDE, LONGITUDE, [-10, -11, 40, -10], [-56, -54.5, 0, -56])
    filled, count = zonal.with_nearest(weights, points)
    assert count == 1  # 7 has no polygon; 8 has neither polygon nor a cell near it
    assert filled.matrix[1].toarray().ravel().argmax() == 11
    assert zonal.has_cell(filled).tolist() == [True, True, False, True]


@pytest.mark.parametrize("rows", [LATITUDE, LATITUDE[::-1]], ids=["north-up", "south-up"])
def test_share_of_a_polygon_that_lies_in_the_grid_by_hand(rows):
    # Cells of 0.5 degrees with centres from 56 to 54.5 W and from 10 to 11 S: the grid ends at 56.25 and
    # 54.25 W, 9.75 and 11.25 S.
    shapes = mesh(
        m1=ring(-56.0, -11.0, -55.0, -10.0),  # within
        m2=ring(-56.75, -10.25, -55.75, -9.75),  # half of it west of the grid
        m3=ring(-54.75, -10.25, -53.75, -9.75),  # half of it east
        # Two cells high, centres 9.5 S (beyond) and 10 S: cos(10) / (cos(9.5) + cos(10)) = 0.4996
        m4=ring(-56.25, -10.25, -55.75, -9.25),
        m5=ring(-56.25, -11.75, -55.75, -10.75),  # south: cos(11) / (cos(11) + cos(11.5)) = 0.5004
        m6=ring(-60.0, -20.0, -59.0, -19.0),  # elsewhere
        m7=None,
    )
    weights = zonal.polygon_weights(shapes, np.arange(1, 8), rows, LONGITUDE)
    expected = [1, 0.5, 0.5, 0.4996, 0.5004, 0, np.nan]
    np.testing.assert_allclose(weights.covered, expected, atol=1e-4)
    total = np.asarray(weights.matrix.sum(axis=1)).ravel()
    assert total == pytest.approx([1, 1, 1, 1, 1, 0, 0])
    # What lies in the grid weighs as if there were nothing else: the one cell at 56 W, 10 S.
    first = len(rows) * len(LONGITUDE) - len(LONGITUDE) if rows[0] < rows[-1] else 0
    assert weights.matrix[1, first] == pytest.approx(1)
    assert weights.matrix[3, first] == pytest.approx(1)


def test_sea_is_neither_within_nor_beyond_the_grid():
    shapes = mesh(
        m1=ring(-56.25, -10.25, -55.25, -9.75),  # a cell of sea and one of land
        m2=ring(-56.75, -10.25, -55.25, -9.75),  # beyond, sea, land: 1/2
        m3=ring(-56.25, -10.25, -55.75, -9.75),  # sea alone
        m4=ring(-56.75, -10.25, -55.75, -9.75),  # beyond and sea: nothing of what may count
    )
    land = np.ones((3, 4), bool)
    land[0, 0] = False
    weights = zonal.polygon_weights(shapes, [1, 2, 3, 4], LATITUDE, LONGITUDE, land)
    np.testing.assert_allclose(weights.covered, [1, 0.5, np.nan, 0], atol=1e-6)
    assert zonal.has_cell(weights).tolist() == [True, True, False, False]


def test_several_polygons_of_one_place_and_holes_count_by_their_area():
    # In the grid: a square of 0.5 degrees with a hole of a quarter of it; beyond: a square of 0.5 degrees in
    # the same row. 0.75 / 1.75 = 0.428571
    outer, hole = ring(-56.25, -10.25, -55.75, -9.75), ring(-56.125, -10.125, -55.875, -9.875)
    beyond = ring(-57.25, -10.25, -56.75, -9.75)
    shape = {"type": "MultiPolygon", "coordinates": [
        [outer["coordinates"][0], hole["coordinates"][0][::-1]], beyond["coordinates"]]}  # fmt: skip
    weights = zonal.polygon_weights(mesh(m1=shape), [1], LATITUDE, LONGITUDE)
    assert weights.covered[0] == pytest.approx(0.75 / 1.75, abs=1e-5)


@given(st.floats(-56.2, -55.0), st.floats(-11.2, -10.6), st.floats(0.05, 0.6), st.floats(0.05, 0.6))
def test_mean_of_a_constant_is_the_constant_and_of_longitude_the_middle(west, south, width, height):
    shape = mesh(m1=ring(west, south, west + width, south + height))
    fine = np.round(np.arange(-9.0, -12.51, -0.05), 2), np.round(np.arange(-57.0, -53.9, 0.05), 2)
    weights = zonal.polygon_weights(shape, [1], *fine)
    grid = np.broadcast_to(fine[1], (1, len(fine[0]), len(fine[1]))).astype(np.float32)
    assert zonal.take(np.full_like(grid, 4.5), weights)[0, 0] == pytest.approx(4.5)
    # A rectangle's mean longitude is its middle up to what one cell can hide.
    assert zonal.take(grid, weights)[0, 0] == pytest.approx(west + width / 2, abs=0.026)


def test_cache_is_used_and_changes_with_all_that_weights_depend_on(tmp_path, monkeypatch):
    shapes, codes = mesh(m7=ring(-55.75, -10.5, -55.25, -9.75)), np.array([7], np.int32)
    first = zonal.cached_weights(tmp_path, shapes, codes, LATITUDE, LONGITUDE)
    [file] = tmp_path.glob("*.npz")
    with monkeypatch.context() as patched:
        patched.setattr(zonal, "polygon_weights", lambda *_: pytest.fail("not from the cache"))
        again = zonal.cached_weights(tmp_path, shapes, codes, LATITUDE, LONGITUDE)
    np.testing.assert_array_equal(first.matrix.toarray(), again.matrix.toarray())
    np.testing.assert_array_equal(first.covered, again.covered)
    land = np.ones((3, 4), bool)
    moved = mesh(m7=ring(-55.75, -10.4, -55.25, -9.75))
    for other in (
        (moved, codes, LATITUDE, LONGITUDE), (shapes, np.array([8], np.int32), LATITUDE, LONGITUDE),
        (shapes, codes, LATITUDE[::-1], LONGITUDE), (shapes, codes, LATITUDE, LONGITUDE + 0.25),
        (shapes, codes, LATITUDE, LONGITUDE, land),
    ):  # fmt: skip
        zonal.cached_weights(tmp_path, *other)
    assert len(list(tmp_path.glob("*.npz"))) == 6
    file.write_bytes(file.read_bytes()[:50])  # a damaged one is made again
    repaired = zonal.cached_weights(tmp_path, shapes, codes, LATITUDE, LONGITUDE)
    np.testing.assert_array_equal(first.matrix.toarray(), repaired.matrix.toarray())


def test_without_exactextract_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "exactextract", None)
    with pytest.raises(ConfigError, match="exactextract") as caught:
        zonal.polygon_weights(mesh(m1=ring(-56, -11, -55, -10)), [1], LATITUDE, LONGITUDE)
    assert "yieldcast[geo]" in caught.value.hint


def test_polygon_that_cannot_be_read_is_a_schema_error():
    broken = mesh(m1={"type": "Polygon", "coordinates": [[[-56, -11]]]})
    with pytest.raises(SchemaError, match="polygons"):
        zonal.polygon_weights(broken, [1], LATITUDE, LONGITUDE)


def test_take_by_points_and_by_weights():
    values = np.arange(36, dtype=np.float32).reshape(3, 3, 4)
    values[2, 0, 0] = np.nan
    points = zonal.Points(np.array([0, 5, -1]), np.zeros(3))
    taken = zonal.take(values, points)
    assert taken.dtype == np.float32
    # cell 0 of days 1 to 3 holds 0, 12, 24 (made NaN); cell 5 holds 5, 17, 29
    np.testing.assert_array_equal(taken, [[0, 12, np.nan], [5, 17, 29], [np.nan] * 3])
    weights = np.zeros((2, 12))
    weights[0, [0, 5]] = 0.25, 0.75  # 0.75 * 5 = 3.75, 0.25 * 12 + 0.75 * 17 = 15.75, NaN counts
    taken = zonal.take(values, zonal.Weights(zonal.sparse.csr_matrix(weights), np.ones(2)))
    np.testing.assert_array_equal(taken, [[3.75, 15.75, np.nan], [np.nan] * 3])


def test_the_sea_beside_does_not_reach_a_mean():
    values = np.full((100, 3, 4), np.nan, np.float32)
    values[:, 1, 1] = np.arange(100)
    weights = np.zeros((1, 12))
    weights[0, 5] = 1
    place = zonal.Weights(zonal.sparse.csr_matrix(weights), np.ones(1))
    np.testing.assert_array_equal(zonal.take(values, place)[0], np.arange(100))


BARS = r"""
    import re, sys, time
    import numpy as np, xarray as xr
    from data_fetchers.cds import netcdf
    from yieldcast.data import zonal
    from pathlib import Path
    file = Path(sys.argv[1])
    rng = np.random.default_rng(0)
    lat, lon = np.arange(6, -34.01, -0.25), np.arange(-74, -33.99, 0.25)
    places = rng.uniform(-33, 5, 5571), rng.uniform(-73, -35, 5571)
    def ring(y, x):
        t = np.linspace(0, 2 * np.pi, 60)
        corners = np.stack([x + 0.3 * np.cos(t), y + 0.3 * np.sin(t)], 1)
        corners[-1] = corners[0]
        return {"type": "Polygon", "coordinates": [corners.tolist()]}
    features = [{"type": "Feature", "properties": {"code": i}, "geometry": ring(y, x)}
                for i, (y, x) in enumerate(zip(*places))]
    mesh = {"type": "FeatureCollection", "features": features}
    weights = zonal.cached_weights(file.parent, mesh, np.arange(5571), lat, lon)
    def monthly(place):
        began = time.perf_counter()
        with netcdf.reading(file) as [ds]:
            daily = zonal.take(ds["t2m"].values, place if place is not None else
                               zonal.nearest(ds["latitude"], ds["longitude"], *places))
            starts = np.flatnonzero(ds["valid_time"].dt.day.values == 1)
        means = np.add.reduceat(daily.astype(float), starts, axis=1)
        assert means.shape == (5571, 12) and np.isfinite(means).all()
        return time.perf_counter() - began
    times = monthly(None), monthly(weights)
    # not ru_maxrss, which a process inherits from the one that started it
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(*times, int(peak[1]) / 1e6)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_bars_of_time_and_memory_for_a_year_of_brazil(tmp_path):
    """5,571 municipalities from 161 x 161 x 366: 2 s by centroid, 1 s by polygon, below 1 GB."""
    rng = np.random.default_rng(0)
    ds = xr.Dataset(
        {"t2m": (("valid_time", "latitude", "longitude"), rng.normal(300, 5, (366, 161, 161)).astype("f4"))},
        {
            "valid_time": np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]").astype(
                "datetime64[ns]"
            ),
            "latitude": np.arange(6, -34.01, -0.25),
            "longitude": np.arange(-74, -33.99, 0.25),
        },
    )
    content = ds.to_netcdf(
        engine="h5netcdf", encoding={"t2m": {"zlib": True, "complevel": 1, "shuffle": True}}
    )
    with zipfile.ZipFile(tmp_path / "a.nc", "w") as archive:
        archive.writestr("data_0.nc", io.BytesIO(content).getvalue())
    script = textwrap.dedent(BARS)
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.nc")], capture_output=True, text=True, check=True
    )
    centroid_s, polygon_s, gigabytes = map(float, run.stdout.split())
    print(f"centroid {centroid_s:.2f} s, polygon {polygon_s:.2f} s, peak {gigabytes:.2f} GB")
    assert centroid_s < 2
    assert polygon_s < 1
    assert gigabytes < 1
