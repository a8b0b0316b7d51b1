"""Places, values by formula, and requests of the SoilGrids test server."""

from __future__ import annotations

import json
import math
import urllib.request

import numpy as np
import rasterio
import xarray as xr
from rasterio.transform import Affine

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.source import Retry, fetch_request
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.soilgrids.table import read_rows

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


def write_tiff(file, numbers, nodata=-32768, **more):
    transform = Affine(1 / 480, 0, -57.5, 0, -1 / 480, -11.5)
    profile = {"crs": "EPSG:4326", "transform": transform, "nodata": nodata, **more}
    height, width = numbers.shape
    with rasterio.open(
        file, "w", driver="GTiff", width=width, height=height, count=1, dtype=numbers.dtype, **profile
    ) as out:
        out.write(numbers, 1)


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


PLACE = {5100100: MT[5100100]}


def download(base, path, target):
    with urllib.request.urlopen(f"{base}/{path}", timeout=30) as reply:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(reply.read())
