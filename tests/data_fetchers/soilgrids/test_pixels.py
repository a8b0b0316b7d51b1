"""Pixels of SoilGrids by GDAL: values, holes, polygons, grids, and the calls to the server."""

from __future__ import annotations

import math
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from soilgrids_world import (
    CLAY,
    MT,
    PLACE,
    download,
    expected,
    formula,
    mesh_source,
    pixel_mean,
    request_of,
    run,
    square,
    static,
    within,
    write_tiff,
)

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.source import Retry, RetryableError
from data_fetchers.soilgrids import source as soilgrids
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.soilgrids.table import Row, read_soil
from yieldcast.errors import FetchError


@pytest.mark.parametrize(
    ("generation", "code", "layer"), [("2017", "CLYPPT", "0cm"), ("2.0", "clay", "0_5cm")]
)
def test_hand_worked_value(base, tmp_path, generation, code, layer):
    # 12 S, 57 W: row (90 + 12) * 480 = 48960, column (180 - 57) * 480 = 59040,
    # n = 48964 // 8 + 3 * (59044 // 8) = 6120 + 3 * 7380 = 28260, and 28260 = 807 * 35 + 15:
    # clay of the top layer = 20 + 15 + 1 = 36 %
    source = SoilGrids(base, generation=generation)
    _, rows = run(source, request_of(source, layer, code), tmp_path)
    assert rows[5100100] == Row(5100100, 36.0, 1, 1, 0.0, "centroid")


def test_holes_are_filled_from_the_nearest_radius_that_has_values(base, tmp_path):
    source = SoilGrids(base)
    request = request_of(source, "0cm", "CLYPPT")
    outcome, rows = run(source, request, tmp_path)
    assert {code: row.radius_km for code, row in rows.items() if row.n_valid} == {
        5100100: 0, 5100201: 3, 5100302: 10, 5100504: 0, 5100605: 0
    }  # fmt: skip
    for code, radius in ((5100201, 3.0), (5100302, 10.0)):  # a lake of 2 km, one of 6 km
        mean, number = within(code, 1, radius)
        assert rows[code].n_valid == number
        assert rows[code].value == pytest.approx(mean, rel=1e-6)
    assert math.isnan(rows[5100403].value)  # nothing within 30 km: missing, not 0
    assert rows[5100403].n_total > 4000  # pi * 10^2 km2 in pixels of 0.23 * 0.23 km2: 5900
    assert outcome.record["without_value"] == 1
    assert outcome.record["filled"] == 2
    assert outcome.record["nodata"] == 255
    ds, notes = read_soil(RequestCache(tmp_path), source, [request], static()["municipality"].values)
    assert np.isnan(ds["clay_pct"].sel(municipality=5100403)).all()
    assert sorted((n.text.split(" of ")[0][:40], n.count, n.missing) for n in notes) == [
        ("values missing: no soil within 10 km", 1, False),
        ("values with soil from up to 10 km around", 1, False),
        ("values with soil from up to 3 km around ", 1, False),
    ]


@given(lat=st.floats(-12.3, -11.7), lon=st.floats(-57.3, -56.7))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_point_gets_its_pixels_number(grid_file, tmp_path_factory, lat, lon):
    folder, numbers = grid_file
    place = {1: (round(lat, 6), round(lon, 6))}
    source = SoilGrids(folder=str(folder))
    _, rows = run(source, request_of(source, "0cm", "CECSOL", place), tmp_path_factory.mktemp("cache"))
    row = math.floor((-11.5 - place[1][0]) * 480 + 1e-6)
    column = math.floor((place[1][1] + 57.5) * 480 + 1e-6)
    assert rows[1].value == numbers[row, column]


@pytest.mark.parametrize(
    ("generation", "code", "layer", "room"), [("2017", "CLYPPT", "0cm", 1e-6), ("2.0", "clay", "0_5cm", 0.02)]
)
def test_polygon_mean(base, tmp_path, generation, code, layer, room):
    places = {c: MT[c] for c in (5100100, 5100302)}
    # 0.2005 degree is 96.24 pixels: the outermost are touched but have their centres outside
    shapes = {c: square(*p, half=0.2005) for c, p in places.items()}
    source, mesh = mesh_source(tmp_path, base, shapes, generation=generation)
    _, rows = run(source, request_of(source, layer, code, places, mesh), tmp_path / "cache")
    for place in places:  # the second with its lake of 6 km left out
        mean, valid, total = pixel_mean(place, 1, half=0.2005)
        assert rows[place].value == pytest.approx(mean, rel=room)
        assert rows[place].n_total == total == 192 * 192
        assert rows[place].n_valid == pytest.approx(valid, rel=0.002 if generation == "2.0" else 0)
        assert (rows[place].radius_km, rows[place].how) == (0, "polygon")


def test_polygon_with_less_than_5_percent_grows_around_its_centroid(base, tmp_path):
    # 5100302 lies in a lake of 6 km: a square of 2 x 4.4 km around it is empty but for the corners, 6.2 km
    # away; the circle of 10 km is not.
    # 5100403's desert of 30 km leaves the four corners of a square of 44 km: below 5 %, and no more to add.
    shapes = {5100302: square(*MT[5100302], half=0.04), 5100403: square(*MT[5100403])}
    places = {c: MT[c] for c in shapes}
    source, mesh = mesh_source(tmp_path, base, shapes)
    _, rows = run(source, request_of(source, "0cm", "CLYPPT", places, mesh), tmp_path / "cache")
    # the corners are within the circle: all valid pixels are the circle's
    mean, number = within(5100302, 1, 10.0)
    assert rows[5100302].value == pytest.approx(mean, rel=1e-6)
    assert (rows[5100302].n_valid, rows[5100302].radius_km) == (number, 10)
    mean, valid, total = pixel_mean(5100403, 1)
    assert valid < 0.05 * total
    assert rows[5100403].value == pytest.approx(mean, rel=1e-6)
    assert (rows[5100403].n_valid, rows[5100403].radius_km) == (valid, 10)


def test_small_polygon_without_a_pixels_centre_takes_what_it_touches(base, tmp_path):
    # At 5 km pixels are 1/24 degree wide; a square of 0.01 degree across a corner of four touches four.
    place = {5100504: MT[5100504]}
    source, mesh = mesh_source(tmp_path, base, {5100504: square(*MT[5100504], half=0.005)}, resolution="5km")
    _, rows = run(source, request_of(source, "0cm", "CLYPPT", place, mesh), tmp_path / "cache")
    lat, lon = MT[5100504]
    four = [formula(*CLAY, 1, lat + a / 48, lon + b / 48) for a in (-1, 1) for b in (-1, 1)]
    assert rows[5100504] == Row(5100504, sum(four) / 4, 4, 4, 0.0, "polygon")


def test_place_without_polygon_takes_its_centroid_and_a_note_says_so(base, tmp_path):
    places = {c: MT[c] for c in (5100100, 5100504)}
    source, mesh = mesh_source(tmp_path, base, {5100100: square(*MT[5100100])})
    request = request_of(source, "0cm", "CLYPPT", places, mesh)
    _, rows = run(source, request, tmp_path / "cache")
    assert rows[5100504].value == expected("clay_pct", 1, *MT[5100504])
    assert rows[5100504].how == "no polygon"
    _, notes = read_soil(
        RequestCache(tmp_path / "cache"), source, [request], np.array(sorted(places), np.int32)
    )
    assert [(n.text, n.count) for n in notes] == [
        ("values at the centroid, because there is no polygon; 1 municipalities", 1)
    ]


POLYGONS_IN_THREADS = """
import json, sys, warnings
from pathlib import Path
import numpy as np, xarray as xr
from data_fetchers.engine.source import Retry
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.soilgrids.source import SoilGrids
folder = Path(sys.argv[1])
mesh = json.loads((folder / "mesh.geojson").read_text())
codes = [int(f["properties"]["code"]) for f in mesh["features"]]
corners = [f["geometry"]["coordinates"][0][0] for f in mesh["features"]]
columns = {"state": ["MT"] * len(codes), "longitude_deg": [c[0] for c in corners],
           "latitude_deg": [c[1] for c in corners]}
static = xr.Dataset({k: ("municipality", np.array(v)) for k, v in columns.items()}, {"municipality": codes})
source = SoilGrids(folder=str(folder), where="polygon", mesh_file=str(folder / "mesh.geojson"), workers=6)
requests = [p for p in source.soil_requests(static, mesh) if p.parameters["code"] == "CECSOL"]
(summary,) = fetch_requests([(source, requests)], folder / "cache", retry=Retry(tries=1))
print(summary.fetched, len(summary.missing), ("ignore", None, Warning, None, 0) in warnings.filters)
"""


def test_masks_in_threads_leave_the_screen_and_the_warnings_alone(tmp_path):
    for k in range(1, 8):
        write_tiff(tmp_path / f"CECSOL_M_sl{k}_250m_ll.tif", np.full((480, 480), 7, "int16"))
    shapes = {i: square(-12.3 + i / 100, -57.3 + i / 100, half=0.02) for i in range(1, 41)}
    mesh_source(tmp_path, "", shapes)
    done = subprocess.run(
        [sys.executable, "-c", POLYGONS_IN_THREADS, str(tmp_path)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == (["7", "0", "False"], "")


@pytest.mark.parametrize("srs", ["none", "152160"])
def test_homolosine_is_assigned_when_the_file_does_not_name_it(soil_server, base, tmp_path, srs):
    soil_server.set(srs=srs)
    source = SoilGrids(base, generation="2.0")
    outcome, rows = run(source, request_of(source, "5_15cm", "clay"), tmp_path)
    assert rows[5100504].value == expected("clay_pct", 2, *MT[5100504])
    assert outcome.record["crs"] == "ESRI:54052"


@pytest.mark.parametrize(
    ("generation", "resolution", "code", "layer"),
    [("2017", "1km", "CLYPPT", "0cm"), ("2017", "5km", "CLYPPT", "0cm"), ("2.0", "1km", "clay", "0_5cm")],
)
def test_coarser_resolutions(base, tmp_path, generation, resolution, code, layer):
    source = SoilGrids(base, generation=generation, resolution=resolution)
    _, rows = run(source, request_of(source, layer, code), tmp_path)
    # the stand-in's coarse pixel holds the formula at its centre: south east of a centroid on a corner
    shift = {"1km": 0.5 / 120, "5km": 0.5 / 24}[resolution]
    for place in (5100100, 5100504, 5100605):
        lat, lon = MT[place]
        want = expected("clay_pct", 1, lat - shift, lon + shift)
        # a homolosine pixel of 1 km may lie with its centre in the next block of the formula (n +- 1 or 3)
        room = 4 if generation == "2.0" else 0
        assert abs(rows[place].value - want) <= room


@pytest.mark.parametrize("setting", [{"nodata_tag": False}, {"striped": True}])
def test_without_a_nodata_tag_and_in_strips(soil_server, base, tmp_path, setting):
    source = SoilGrids(base)
    request = request_of(source, "15cm", "CLYPPT")
    _, tiled = run(source, request, tmp_path / "a")
    soil_server.set(**setting)
    other = SoilGrids(f"{base}/again")
    _, rows = run(other, request, tmp_path / "b")
    assert math.isnan(rows.pop(5100403).value)
    assert math.isnan(tiled.pop(5100403).value)
    assert rows == tiled


def test_only_what_is_needed_is_asked_for(soil_server, base, tmp_path):
    source = SoilGrids(base, generation="2.0")
    request = request_of(source, "0_5cm", "silt", {5100100: MT[5100100]})
    run(source, request, tmp_path)
    log = soil_server.log()
    files = {entry["path"] for entry in log}
    assert all(path.endswith((".vrt", ".tif")) for path in files)  # no listing, no .aux.xml, no .msk
    assert {entry["status"] for entry in log} <= {200, 206}  # no 404
    # the VRT, and of its 21 tiles the one or two that a block of 512 x 128 pixels overlaps
    assert 2 <= len(files) <= 3
    heads = [entry["path"] for entry in log if entry["method"] == "HEAD"]
    assert sorted(heads) == sorted(files)  # one each
    assert len(log) - len(heads) <= len(files) + 2
    assert sum(entry["bytes"] for entry in log if entry["method"] == "GET") < 150_000


def test_2017_opens_its_file_once_and_neighbours_share_blocks(soil_server, base, tmp_path):
    source, mesh = mesh_source(tmp_path, base, {c: square(*p) for c, p in MT.items()})
    run(source, request_of(source, "30cm", "SNDPPT", MT, mesh), tmp_path / "cache")
    log = soil_server.log()
    assert {entry["path"].rsplit("/", 1)[1] for entry in log} == {"SNDPPT_M_sl4_250m_ll.tif"}
    assert [entry["method"] for entry in log].count("HEAD") == 1
    ranges = [entry["range"] for entry in log if entry["method"] == "GET"]
    assert len(ranges) == len(set(ranges))  # nothing is fetched twice
    with urllib.request.urlopen(
        f"{base}/{soilgrids.file_path(_request('SNDPPT', '30cm'))}", timeout=9
    ) as all_:
        assert sum(entry["bytes"] for entry in log if entry["method"] == "GET") < len(all_.read()) + 2048


def _request(code, layer, generation="2017"):
    return {"generation": generation, "code": code, "layer": layer, "resolution": "250m"}


def test_a_file_without_values_is_refused(soil_server, base, tmp_path):
    soil_server.set(blank=True)
    source = SoilGrids(base)
    outcome, _ = run(source, request_of(source, "0cm", "CLYPPT"), tmp_path)
    assert isinstance(outcome.error, RetryableError)
    assert "none of 6 places" in str(outcome.error)
    outcome, rows = run(source, request_of(source, "0cm", "CLYPPT", PLACE), tmp_path)  # an island
    assert outcome.error is None
    assert math.isnan(rows[5100100].value)


def north_up(size, west=-58, north=-11):
    return Affine(size, 0, west, 0, -size, north)


# a pixel of "250 m" is 1/480 degree, or 1 / 480 * 111,195 m = 231.7 m in homolosine: within 25 % of 250 m
@pytest.mark.parametrize(
    ("resolution", "crs", "transform", "bands", "says"),
    [
        ("250m", "EPSG:4326", north_up(1), 1, "about 0.002083 degree; received pixels of 1 x 1 degree"),
        ("5km", "EPSG:4326", north_up(1), 1, "about 0.04167 degree; received pixels of 1 x 1 degree"),
        ("5km", "EPSG:4326", north_up(1 / 12), 1, "received pixels of 0.08333 x 0.08333 degree"),
        ("1km", "EPSG:4326", north_up(1 / 480), 1, "received pixels of 0.002083 x 0.002083 degree"),
        ("1km", "EPSG:4326", Affine(1 / 120, 0, -58, 0, -1 / 90, -11), 1, "pixels of 0.008333 x 0.01111"),
        ("250m", "EPSG:4326", north_up(1 / 480), 2, "received 2 bands"),
        ("250m", "EPSG:4326", Affine(1 / 480, 0, -58, 0, 1 / 480, -13), 1, "not north-up"),
        ("250m", "EPSG:4326", Affine(1 / 480, 1e-4, -58, 0, -1 / 480, -11), 1, "not north-up"),
        ("250m", "ESRI:54052", north_up(1000, -6e6, -1e6), 1, "about 231.7 m; received pixels of 1000 x"),
        ("250m", None, north_up(1 / 480), 1, "received pixels of 0.002083 x 0.002083 m"),
    ],
)
def test_a_file_of_another_grid_than_its_name_says_is_refused(
    tmp_path, resolution, crs, transform, bands, says
):
    file = tmp_path / f"CECSOL_M_sl1_{resolution}_ll.tif"
    write_sevens(file, transform, crs, bands)
    source = SoilGrids(folder=str(tmp_path), resolution=resolution)
    outcome, rows = run(source, request_of(source, "0cm", "CECSOL"), tmp_path / "cache", Retry(tries=3))
    assert type(outcome.error) is FetchError
    assert str(file) in str(outcome.error)
    assert says in str(outcome.error)
    assert "files.isric.org" in outcome.error.hint
    assert (outcome.tries, rows) == (1, {})


def write_sevens(file, transform, crs="EPSG:4326", bands=1, side=200):
    profile = {"width": side, "height": side, "count": bands, "dtype": "int16", "crs": crs}
    with rasterio.open(file, "w", driver="GTiff", transform=transform, **profile) as out:
        out.write(np.full((bands, side, side), 7, "int16"))


def test_pixels_may_differ_a_little_from_their_name(tmp_path):
    # ISRIC's 5 km may be 0.05 degree as well as 1/24: 20 % apart
    write_sevens(tmp_path / "CECSOL_M_sl1_5km_ll.tif", north_up(0.05, -60, -10))
    source = SoilGrids(folder=str(tmp_path), resolution="5km")
    _, rows = run(source, request_of(source, "0cm", "CECSOL"), tmp_path / "cache")
    assert {row.value for row in rows.values()} == {7.0}


def test_damaged_file_and_vrt_without_its_tiles(base, tmp_path, capfd):
    source = SoilGrids(folder=str(tmp_path))
    request = request_of(source, "0cm", "CECSOL")
    (tmp_path / "CECSOL_M_sl1_250m_ll.tif").write_bytes(b"<html>not found</html>")
    assert "download it again" in run(source, request, tmp_path / "cache")[0].error.hint
    source = SoilGrids(folder=str(tmp_path), generation="2.0")
    request = request_of(source, "0_5cm", "clay")
    download(base, soilgrids.file_path(request.parameters), tmp_path / "clay_0-5cm_mean.vrt")
    outcome, _ = run(source, request, tmp_path / "cache")
    assert type(outcome.error) is FetchError
    assert "tile" in str(outcome.error)
    assert capfd.readouterr() == ("", "")


def test_places_outside_the_file_have_no_value(tmp_path):
    write_tiff(tmp_path / "CECSOL_M_sl1_250m_ll.tif", np.full((480, 480), 7, "int16"))
    source = SoilGrids(folder=str(tmp_path))
    # the last lies 3 km north of the file: filled from the 10 km around it
    places = {1: (-12.0, -57.0), 2: (-30.0, -57.0), 3: (-11.473, -57.0)}
    _, rows = run(source, request_of(source, "0cm", "CECSOL", places), tmp_path / "cache")
    assert rows[1].value == 7
    assert rows[2].n_total == rows[2].n_valid == 0
    assert math.isnan(rows[2].value)
    assert (rows[3].value, rows[3].radius_km) == (7, 10)
