"""SoilGrids through GDAL against a server with ranges: values, holes, polygons, both grids, every fault."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import time
import urllib.request
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from data_fetchers.engine.cache import PendingJob, Request, RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import Note, Retry, RetryableError, fetch_request
from data_fetchers.soilgrids import pixels
from data_fetchers.soilgrids import source as soilgrids
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.soilgrids.table import LAYERS, Row, read_rows, read_soil, write_rows
from yieldcast import variables
from yieldcast.data import schema
from yieldcast.errors import ConfigError, FetchError, MissingDataError

# The stand-in's first state: code -> centroid (servers/country.py), and its holes (servers/soil.py)
MT = {
    5100100: (-12.0, -57.0), 5100201: (-12.0, -56.5), 5100302: (-12.0, -56.0), 5100403: (-12.0, -55.5),
    5100504: (-12.5, -57.0), 5100605: (-12.5, -56.5),
}  # fmt: skip
HOLES_km = {5100201: 2.0, 5100302: 6.0, 5100403: 30.0}
# The stand-in's formula: lowest value, span, in the units of 2017
CLAY, SILT = (20, 35), (10, 15)
OTHERS = {
    "bulk_density_kg_dm3": (1200, 400), "coarse_fragments_pct": (0, 30), "cec_cmolc_kg": (5, 30),
    "soc_g_kg": (4, 60), "ph_h2o": (45, 25), "ph_kcl": (40, 20), "nitrogen_g_kg": (50, 150),
}  # fmt: skip
_BASES = count()


def formula(low, span, k, lat, lon):
    """The stored number at a point; k counts layers from 1."""
    row = math.floor((90 - lat) * 480 + 1e-6)
    column = math.floor((lon + 180) * 480 + 1e-6)
    return low + ((row + 4) // 8 + 3 * ((column + 4) // 8)) % span + k


def expected(name, k, lat, lon):
    """A value in our units, for both generations."""
    if name == "sand_pct":
        return 100 - expected("clay_pct", k, lat, lon) - expected("silt_pct", k, lat, lon)
    low, span = {"clay_pct": CLAY, "silt_pct": SILT, **OTHERS}[name]
    stored = formula(low, span, k, lat, lon)
    return stored * {"bulk_density_kg_dm3": 0.001, "ph_h2o": 0.1, "ph_kcl": 0.1, "nitrogen_g_kg": 0.01}.get(
        name, 1
    )


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setitem(pixels.SETTINGS, "GDAL_HTTP_MAX_RETRY", 1)
    monkeypatch.setitem(pixels.SETTINGS, "GDAL_HTTP_RETRY_DELAY", 0.01)
    monkeypatch.setitem(pixels.SETTINGS, "GDAL_HTTP_TIMEOUT", 5)


@pytest.fixture
def base(soil_server):
    """An address that GDAL has not seen in this process."""
    return f"{soil_server.url}/{next(_BASES)}"


def static(places=MT, state="MT"):
    codes = sorted(places)
    return xr.Dataset(
        {
            "state": ("municipality", np.array([state] * len(codes))),
            "latitude_deg": ("municipality", [places[c][0] for c in codes]),
            "longitude_deg": ("municipality", [places[c][1] for c in codes]),
        },
        coords={"municipality": np.array(codes, np.int32)},
    )


def square(lat, lon, half=0.2):
    ring = [
        [lon - half, lat - half],
        [lon + half, lat - half],
        [lon + half, lat + half],
        [lon - half, lat + half],
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def request_of(source, layer, code, places=MT, mesh=None) -> Request:
    found = [
        p for p in source.soil_requests(static(places), mesh)
        if p.parameters["layer"] == layer and p.parameters["code"] == code
    ]  # fmt: skip
    assert len(found) == 1
    return found[0]


def run(source, request, folder, retry=None):
    cache = RequestCache(folder)
    cache.make()
    outcome = fetch_request(source, request, folder, retry or Retry(tries=1))
    rows = {row.municipality: row for row in read_rows(cache.path(request))} if outcome.record else {}
    return outcome, rows


def download(base, path, target):
    with urllib.request.urlopen(f"{base}/{path}", timeout=30) as reply:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(reply.read())


# --- what is asked for ---


def test_the_papers_63_features():
    requests = SoilGrids().soil_requests(static())
    codes = ("CLYPPT", "SLTPPT", "SNDPPT", "BLDFIE", "CRFVOL", "CECSOL", "ORCDRC", "PHIHOX", "PHIKCL")
    names = {f"former/2017-03-10/data/{code}_M_sl{k}_250m_ll.tif" for code in codes for k in range(1, 8)}
    assert {soilgrids.file_path(p.parameters) for p in requests} == names
    assert len(requests) == len(names) == 63
    depths = dict(zip(LAYERS["2017"].values(), LAYERS["2017"], strict=True))
    assert (depths["sl1"], depths["sl4"], depths["sl7"]) == ("0cm", "30cm", "200cm")


def test_generation_2_has_54_layers_and_no_ph_in_kcl():
    requests = SoilGrids(generation="2.0").soil_requests(static())
    paths = {soilgrids.file_path(p.parameters) for p in requests}
    assert len(paths) == 54
    assert "latest/data/phh2o/phh2o_100-200cm_mean.vrt" in paths
    assert not any("kcl" in path.lower() for path in paths)


@pytest.mark.parametrize(
    ("generation", "resolution", "code", "layer", "path"),
    [
        ("2017", "1km", "CLYPPT", "0cm", "former/2017-03-10/aggregated/1km/CLYPPT_M_sl1_1km_ll.tif"),
        ("2017", "5km", "PHIKCL", "200cm", "former/2017-03-10/aggregated/5km/PHIKCL_M_sl7_5km_ll.tif"),
        ("2.0", "1km", "soc", "5_15cm", "latest/data_aggregated/1000m/soc/soc_5-15cm_mean_1000.tif"),
        ("2.0", "5km", "cec", "0_5cm", "latest/data_aggregated/5000m/cec/cec_0-5cm_mean_5000.tif"),
    ],
)
def test_coarser_files(generation, resolution, code, layer, path):
    source = SoilGrids(generation=generation, resolution=resolution)
    assert soilgrids.file_path(request_of(source, layer, code).parameters) == path


def test_one_part_for_each_state_and_another_place_is_another_part():
    both = xr.concat([static(), static({5200100: (-16.0, -51.0)}, "GO")], "municipality")
    requests = SoilGrids().soil_requests(both)
    assert [p.name for p in requests[:3]] == ["clyppt-0cm-go", "clyppt-0cm-mt", "clyppt-5cm-go"]
    moved = SoilGrids().soil_requests(static({**MT, 5100100: (-12.00001, -57.0)}))
    assert moved[0].mark != requests[1].mark
    assert (
        SoilGrids().soil_requests(static({**MT, 5100100: (-12.0000001, -57.0)}))[0].mark == requests[1].mark
    )


def test_address_from_argument_environment_default(monkeypatch):
    assert SoilGrids().probe_url().startswith("https://files.isric.org/soilgrids/former/2017-03-10/")
    monkeypatch.setenv("YIELDCAST_SOILGRIDS_URL", "http://127.0.0.1:1/soil/")
    source = SoilGrids()
    assert source.base_url == "http://127.0.0.1:1/soil"
    assert SoilGrids("http://127.0.0.1:2").base_url == "http://127.0.0.1:2"
    monkeypatch.delenv("YIELDCAST_SOILGRIDS_URL")
    assert pickle.loads(pickle.dumps(source)) == source  # the address travels to workers without the variable


def test_licences_say_which_generation():
    assert SoilGrids().licence == "ODbL 1.0"
    assert "Hengl" in SoilGrids().attribution
    assert SoilGrids(generation="2.0").licence == "CC BY 4.0"
    assert "Poggio" in SoilGrids(generation="2.0").attribution


def test_polygons_need_a_mesh():
    with pytest.raises(ConfigError, match="boundaries"):
        SoilGrids(where="polygon").soil_requests(static())


# --- values ---


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


@pytest.mark.parametrize("generation", ["2017", "2.0"])
def test_every_property_in_our_units(base, tmp_path, generation):
    source = SoilGrids(base, generation=generation)
    layers = list(LAYERS[generation])
    wanted = [p for p in source.soil_requests(static()) if p.parameters["layer"] in (layers[0], layers[-1])]
    (summary,) = fetch_requests([(source, wanted)], tmp_path, retry=Retry(tries=1))
    assert (summary.fetched, summary.missing) == (18, [])
    ds, notes = read_soil(
        RequestCache(tmp_path / source.name), source, wanted, static()["municipality"].values
    )
    only_20, only_2017 = {"nitrogen_g_kg"}, {"ph_kcl"}
    assert set(ds) == set(variables.SOIL) - (only_20 if generation == "2017" else only_2017)
    assert ds["soil_layer"].values.tolist() == [layers[0], layers[-1]]
    for name in ds:
        assert ds[name].dtype == np.float32
        assert ds[name].attrs["units"] == variables.QUANTITIES[name].units
        for code in (5100100, 5100504, 5100605):
            for layer, k in ((layers[0], 1), (layers[-1], len(layers))):
                value = float(ds[name].sel(municipality=code, soil_layer=layer))
                # 2.0 stores whole hundredths of the bulk density: 1216 kg/m3 -> 122
                room = 0.0051 if (generation, name) == ("2.0", "bulk_density_kg_dm3") else 1e-4
                assert value == pytest.approx(expected(name, k, *MT[code]), abs=room), (name, code, layer)
    assert {n.text for n in notes if "sand" in n.text} == set()
    assert ds.attrs == {
        "source": source.name, "licence": source.licence, "attribution": source.attribution
    }  # fmt: skip
    texts = static().assign(
        {name: ("municipality", np.array(["x"] * len(MT))) for name in ("code", "name", "region")}
    )
    schema.check_static(schema.set_units(xr.merge([texts, ds], join="exact", combine_attrs="drop")))


def within(code, k, radius):
    """Mean clay and number of valid pixels within a radius of a centroid, pixel by pixel."""
    lat, lon = MT[code]
    found = []
    reach = int(radius / 0.22) + 3
    row, column = math.floor((90 - lat) * 480 + 1e-6), math.floor((lon + 180) * 480 + 1e-6)
    for r in range(row - reach, row + reach):
        for c in range(column - reach, column + reach):
            y, x = 90 - (r + 0.5) / 480, (c + 0.5) / 480 - 180
            km = 111.195 * math.hypot(y - lat, (x - lon) * math.cos(math.radians(lat)))
            if HOLES_km[code] <= km <= radius:
                found.append(formula(*CLAY, k, y, x))
    return sum(found) / len(found), len(found)


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


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory):
    """A folder with one flat file of random numbers, 1 degree around 12 S 57 W."""
    folder = tmp_path_factory.mktemp("grid")
    numbers = np.random.default_rng(5).integers(0, 200, (480, 480)).astype("int16")
    write_tiff(folder / "CECSOL_M_sl1_250m_ll.tif", numbers)
    return folder, numbers


def write_tiff(file, numbers, nodata=-32768, **more):
    transform = Affine(1 / 480, 0, -57.5, 0, -1 / 480, -11.5)
    profile = {"crs": "EPSG:4326", "transform": transform, "nodata": nodata, **more}
    height, width = numbers.shape
    with rasterio.open(
        file, "w", driver="GTiff", width=width, height=height, count=1, dtype=numbers.dtype, **profile
    ) as out:
        out.write(numbers, 1)


# --- polygons ---


def mesh_source(tmp_path, base, shapes, **more):
    mesh = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"code": str(code)}, "geometry": shape}
            for code, shape in shapes.items()
        ],
    }
    file = tmp_path / "mesh.geojson"
    file.write_text(json.dumps(mesh))
    return SoilGrids(base, where="polygon", mesh_file=str(file), **more), mesh


def pixel_mean(code, k, half=0.2):
    """Mean clay of the valid pixels whose centres lie in a square, and how many, by numpy alone."""
    lat, lon = MT[code]
    y = 90 - (np.arange(48000, 50400) + 0.5) / 480
    x = (np.arange(58560, 60480) + 0.5) / 480 - 180
    y, x = y[np.abs(y - lat) < half], x[np.abs(x - lon) < half]
    rows = np.floor((90 - y) * 480).astype(int)[:, None]
    columns = np.floor((x + 180) * 480).astype(int)[None, :]
    clay = 20 + ((rows + 4) // 8 + 3 * ((columns + 4) // 8)) % 35 + k
    km = 111.195 * np.hypot(y[:, None] - lat, (x[None, :] - lon) * np.cos(np.radians(lat)))
    valid = km >= HOLES_km.get(code, 0)
    return clay[valid].mean(), int(valid.sum()), valid.size


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


def test_boundaries_that_changed_since_the_plan_are_refused(base, tmp_path):
    place = {5100100: MT[5100100]}
    source, mesh = mesh_source(tmp_path, base, {5100100: square(*MT[5100100])})
    request = request_of(source, "0cm", "CLYPPT", place, mesh)
    mesh_source(tmp_path, base, {5100100: square(*MT[5100100], half=0.1)})
    outcome, _ = run(source, request, tmp_path / "cache")
    assert "have changed since the fetch was planned" in str(outcome.error)
    Path(source.mesh_file).unlink()
    assert "cannot read the boundaries" in str(run(source, request, tmp_path / "cache")[0].error)


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


# --- grids and layouts ---


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


# --- requests ---


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


def test_what_verifies_is_not_fetched_again(soil_server, base, tmp_path):
    source = SoilGrids(base)
    requests = source.soil_requests(static())[:3]
    fetch_requests([(source, requests[:2])], tmp_path, retry=Retry(tries=1))
    before = len(soil_server.log())
    (summary,) = fetch_requests([(source, requests[:2])], tmp_path, retry=Retry(tries=1))
    assert (summary.kept, summary.fetched, len(soil_server.log())) == (2, 0, before)
    (summary,) = fetch_requests([(source, requests)], tmp_path, retry=Retry(tries=1))
    assert (summary.kept, summary.fetched) == (2, 1)
    assert {e["path"].rsplit("/", 1)[1] for e in soil_server.log()[before:]} == {"CLYPPT_M_sl3_250m_ll.tif"}


# --- faults ---

PLACE = {5100100: MT[5100100]}
TIFF = ("2017", "CLYPPT", "100cm", "")
VRT = ("2.0", "clay", "60_100cm", "")
TILE = ("2.0", "clay", "60_100cm", "/tileSG")
FAULTS = {
    "503": {"kind": "status", "status": 503}, "cut": {"kind": "cut", "share": 0.4}, "html": {"kind": "html"},
    "huge": {"kind": "huge"}, "lost": {"kind": "lost"}, "empty": {"kind": "empty"},
    "500": {"kind": "status", "status": 500},
    "429": {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
}  # fmt: skip


def faulty(base, which):
    """Source, part, path of the file (or of its tiles) as the server's faults match it, true value."""
    generation, code, layer, tile = which
    source = SoilGrids(base, generation=generation)
    request = request_of(source, layer, code, PLACE)
    path = soilgrids.file_path(request.parameters)
    k = 1 + list(LAYERS[generation]).index(layer)
    match = f"/{base.rsplit('/', 1)[1]}/{path.removesuffix('.vrt') + tile if tile else path}"
    return source, request, match, expected("clay_pct", k, *MT[5100100])


@pytest.mark.parametrize("which", [TIFF, VRT, TILE], ids=["tiff", "vrt", "tile"])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_go_away_are_survived(soil_server, base, tmp_path, capfd, quick, which, method, fault):
    source, request, match, value = faulty(base, which)
    # three times: more than GDAL itself tries (2), so that our own next try must not see what GDAL remembers
    soil_server.faults({**FAULTS[fault], "match": f"{method} {match}", "times": 3})
    outcome, rows = run(source, request, tmp_path, quick)
    assert any(entry["fault"] for entry in soil_server.log())
    if fault == "huge" and method == "GET" and which is not TILE:
        assert "more than 1 MB" in str(outcome.error)  # refused at the first look
        return
    assert outcome.error is None
    assert rows[5100100].value == value
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("which", [TIFF, VRT, TILE], ids=["tiff", "vrt", "tile"])
@pytest.mark.parametrize("fault", ["500", "503", "429", "cut", "html", "empty", "lost"])
def test_faults_that_stay_are_errors_not_holes(soil_server, base, tmp_path, capfd, which, fault):
    source, request, match, _ = faulty(base, which)
    soil_server.faults({**FAULTS[fault], "share": 0.01, "match": f"GET {match}", "times": 1000})
    outcome, rows = run(source, request, tmp_path, Retry(tries=2, first_s=0.01))
    assert isinstance(outcome.error, RetryableError)
    assert outcome.tries == 2
    assert "clay" in str(outcome.error).lower() or "clyppt" in str(outcome.error).lower()
    assert outcome.error.hint
    assert rows == {}
    assert list(tmp_path.glob("*.csv")) == list(tmp_path.glob(".*.part")) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("which", [TIFF, VRT, TILE], ids=["tiff", "vrt", "tile"])
def test_refused_and_absent_files_are_not_asked_for_again(
    soil_server, base, tmp_path, capfd, quick, which, status
):
    source, request, match, _ = faulty(base, which)
    soil_server.faults({"match": match, "kind": "status", "status": status, "times": 1000})
    outcome, rows = run(source, request, tmp_path, quick)
    assert type(outcome.error) is FetchError
    assert (outcome.tries, rows) == (1, {})
    assert str(status) in str(outcome.error)
    assert capfd.readouterr() == ("", "")
    assert "generation" in outcome.error.hint


def test_wrong_address_says_so(base, tmp_path, quick):
    outcome, _ = run(
        SoilGrids(f"{base}/former/nowhere"), request_of(SoilGrids(base), "0cm", "CLYPPT"), tmp_path, quick
    )
    assert "404" in str(outcome.error)
    assert "base address" in outcome.error.hint


def test_nobody_there(tmp_path, quick):
    source = SoilGrids("http://127.0.0.1:9")
    outcome, _ = run(source, request_of(source, "0cm", "CLYPPT"), tmp_path, quick)
    assert isinstance(outcome.error, RetryableError)
    assert outcome.tries == quick.tries


def test_redirect_to_another_host_is_refused(soil_server, base, tmp_path, quick):
    source, request, match, _ = faulty(base, TIFF)
    soil_server.faults({"match": match, "kind": "redirect", "to": "http://elsewhere.invalid/", "times": 9})
    outcome, _ = run(source, request, tmp_path, quick)
    assert "elsewhere.invalid" in str(outcome.error)
    assert outcome.tries == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_service_asks_for_is_kept(soil_server, base, tmp_path, status):
    source, request, match, _ = faulty(base, TIFF)
    soil_server.faults({"match": match, "kind": "status", "status": status, "headers": {"Retry-After": "7"}})
    with pytest.raises(RetryableError) as caught:
        source.fetch(request, tmp_path / "x", PendingJob(tmp_path / "job"))
    assert caught.value.after_s == 7


def test_a_long_wait_asked_of_gdal_does_not_block_a_worker(soil_server, base, tmp_path):
    source, request, match, _ = faulty(base, TILE)
    slow = {"kind": "status", "status": 429, "headers": {"Retry-After": "600"}}
    soil_server.faults({"match": match, "times": 1000, **slow})
    began = time.monotonic()
    outcome, _ = run(source, request, tmp_path)
    assert isinstance(outcome.error, RetryableError)
    assert time.monotonic() - began < 3


def test_a_file_without_values_is_refused(soil_server, base, tmp_path):
    soil_server.set(blank=True)
    source = SoilGrids(base)
    outcome, _ = run(source, request_of(source, "0cm", "CLYPPT"), tmp_path)
    assert isinstance(outcome.error, RetryableError)
    assert "none of 6 places" in str(outcome.error)
    outcome, rows = run(source, request_of(source, "0cm", "CLYPPT", PLACE), tmp_path)  # an island
    assert outcome.error is None
    assert math.isnan(rows[5100100].value)


# --- folder ---


@pytest.mark.parametrize("flat", [True, False])
def test_files_in_a_folder_need_no_network(base, tmp_path, flat):
    source = SoilGrids("http://127.0.0.1:9", folder=str(tmp_path))
    request = request_of(source, "60cm", "CLYPPT")
    path = soilgrids.file_path(request.parameters)
    download(base, path, tmp_path / (Path(path).name if flat else path))
    outcome, rows = run(source, request, tmp_path / "cache")
    assert rows[5100100].value == expected("clay_pct", 5, *MT[5100100])
    assert outcome.record["file"].startswith(str(tmp_path))


def test_folder_without_the_file_says_what_is_expected(tmp_path):
    source = SoilGrids(folder=str(tmp_path), generation="2.0")
    outcome, _ = run(source, request_of(source, "0_5cm", "clay"), tmp_path / "cache", Retry(tries=3))
    assert type(outcome.error) is FetchError
    assert "clay_0-5cm_mean.vrt" in str(outcome.error)
    assert "https://files.isric.org/soilgrids/latest/data/clay/" in outcome.error.hint
    assert outcome.tries == 1


@pytest.mark.parametrize("generation", ["2017", "2.0"])
def test_what_a_folder_lacks_is_one_error_before_the_fetch(tmp_path, generation):
    requests = SoilGrids(generation=generation).soil_requests(
        xr.concat([static(), static({5200100: (-16.0, -51.0)}, "GO")], "municipality")
    )
    source = SoilGrids(folder=str(tmp_path), generation=generation)
    paths = list(dict.fromkeys(soilgrids.file_path(p.parameters) for p in requests))
    for path in paths[5:]:
        (tmp_path / Path(path).name).touch()
    with pytest.raises(MissingDataError) as caught:
        source.refuse_absent(requests)
    # two states share a file
    assert f"5 of {len(paths)} SoilGrids files" in str(caught.value)
    names = [Path(path).name for path in paths]
    assert f"{names[0]}, {names[1]}, {names[2]}, ..." in str(caught.value)
    assert names[3] not in str(caught.value)
    assert f"https://files.isric.org/soilgrids/{paths[0]}" in caught.value.hint
    source.refuse_absent([p for p in requests if soilgrids.file_path(p.parameters) in paths[5:]])
    for path in paths[:5]:  # ISRIC's tree will do
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    source.refuse_absent(requests)


def test_a_folder_that_is_none_is_one_error_and_no_folder_is_none(tmp_path):
    requests = SoilGrids().soil_requests(static())
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(MissingDataError, match=f"{name} is not a folder: 63 of 63 SoilGrids files"):
            SoilGrids(folder=str(tmp_path / name)).refuse_absent(requests)
        SoilGrids(folder=str(tmp_path / name)).refuse_absent([])
    SoilGrids().refuse_absent(requests)


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


# --- check and table ---

GOOD = [Row(1, 30.0, 1, 1, 0.0, "centroid"), Row(2, math.nan, 0, 9, math.nan, "centroid")]


def test_rows_survive_the_file(tmp_path):
    write_rows(tmp_path / "x.csv", GOOD)
    back = read_rows(tmp_path / "x.csv")
    assert back[0] == GOOD[0]
    assert str(back[1]) == str(GOOD[1])  # NaN is not equal to itself


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (GOOD[:1], "expected 2 places"),
        ([GOOD[0], GOOD[0]], "expected 2 places"),
        ([GOOD[0], GOOD[1]._replace(municipality=3)], "other ones"),
        ([GOOD[0]._replace(value=255.0), GOOD[1]], "expected 0 to 100 %, received 255"),
        ([GOOD[0]._replace(value=-1.0), GOOD[1]], "received -1"),
        ([GOOD[0]._replace(n_valid=0), GOOD[1]], "inconsistent"),
        ([GOOD[0], GOOD[1]._replace(n_valid=1)], "inconsistent"),
        ([GOOD[1]._replace(municipality=1), GOOD[1]], "none of 2 places"),
    ],
)
def test_check_refuses(tmp_path, rows, says):
    source = SoilGrids()
    request = request_of(source, "0cm", "CLYPPT", {1: (-12.0, -57.0), 2: (-13.0, -57.0)})
    write_rows(tmp_path / "x.csv", GOOD)
    assert source.check(request, tmp_path / "x.csv") == {"places": 2, "without_value": 1, "filled": 0}
    write_rows(tmp_path / "x.csv", rows)
    with pytest.raises(RetryableError, match=says):
        source.check(request, tmp_path / "x.csv")


@pytest.mark.parametrize("text", ["", "<html>", "municipality,value\n1,2\n", "x" * 100])
def test_check_refuses_what_is_no_table(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(RetryableError, match=r"x\.csv: expected rows of municipality"):
        SoilGrids().check(request_of(SoilGrids(), "0cm", "CLYPPT"), tmp_path / "x.csv")


def put(cache, request, values):
    rows = [Row(code, value, 1, 1, 0.0, "centroid") for code, value in values.items()]
    write_rows(cache.temporary(request), rows)
    cache.commit(request, {"fetched": "2026-01-01T00:00:00+00:00"})


def test_absent_parts_and_odd_textures_are_noted(tmp_path):
    source, cache = SoilGrids(), RequestCache(tmp_path)
    cache.make()
    places = {1: (-12.0, -57.0), 2: (-13.0, -57.0)}
    requests = [request_of(source, "5cm", code, places) for code in ("CLYPPT", "SLTPPT", "SNDPPT", "CECSOL")]
    # 30 + 30 + 43 = 103 is odd, 30 + 30 + 42 = 102 is not
    for request, values in zip(requests, ({1: 30, 2: 30}, {1: 30, 2: 30}, {1: 43, 2: 42}), strict=False):
        put(cache, request, values)
    ds, notes = read_soil(cache, source, requests, np.array([1, 2, 3], np.int32))
    assert ds["clay_pct"].values.ravel().tolist()[:2] == [30, 30]
    assert np.isnan(ds["cec_cmolc_kg"]).all()
    assert notes == [
        Note("soil", "values not fetched, of 1 requests: cecsol-5cm-mt", 2, True),
        Note("soil", "values of municipalities that are in no request", 4, True),
        Note("soil", "sand + silt + clay not within 98 to 102 %", 1, False),
    ]


def test_layers_are_sorted_by_depth(tmp_path):
    source = SoilGrids()
    requests = [request_of(source, layer, "CLYPPT") for layer in ("100cm", "5cm", "0cm", "30cm")]
    ds, _ = read_soil(RequestCache(tmp_path), source, requests, static()["municipality"].values)
    assert ds["soil_layer"].values.tolist() == ["0cm", "5cm", "30cm", "100cm"]


def test_finished_generations_are_never_stale_and_never_split():
    request = request_of(SoilGrids(), "0cm", "CLYPPT")
    assert SoilGrids().split(request) == []
    assert SoilGrids().stale(request, {"fetched": "2001-01-01T00:00:00+00:00"}, None) is False
