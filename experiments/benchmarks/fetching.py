"""Time from answers of the services to tables: a year of ERA5 over Brazil, a year of PAM.

The answers are generated in the shapes that the services send (161 x 161 cells x 366 days in a zip; 5 crops x
5,571 municipalities x 4 variables in three answers). With --mesh the boundaries are real.

    python experiments/benchmarks/fetching.py [--mesh municipalities.geojson] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import xarray as xr

from data_fetchers.cds import netcdf
from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.era5 import table
from data_fetchers.era5.source import Era5
from data_fetchers.ibge.sidra import UNITS, parse_values
from yieldcast.data import zonal

ROUNDS = 5
LATITUDE, LONGITUDE = np.arange(6, -34.01, -0.25), np.arange(-74, -33.99, 0.25)


def answer(file: Path, name: str, step: str, mean: float, spread: float) -> Path:
    """A zip with one netCDF of 2020, as the Climate Data Store sends it."""
    times = np.arange("2020-01", "2021-01", dtype=f"datetime64[{step}]").astype("datetime64[ns]")
    shape = (len(times), len(LATITUDE), len(LONGITUDE))
    values = np.abs(np.random.default_rng(0).normal(mean, spread, shape)).astype(np.float32)
    coords = {"valid_time": times, "latitude": LATITUDE, "longitude": LONGITUDE}
    ds = xr.Dataset({name: (("valid_time", "latitude", "longitude"), values)}, coords)
    packing = {name: {"zlib": True, "complevel": 1, "shuffle": True}}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data_0.nc", bytes(ds.to_netcdf(engine="h5netcdf", encoding=packing)))
    return file


def cache_of_a_year(folder: Path) -> tuple[RequestCache, Era5, list[Request]]:
    """Daily extremes and monthly rain of a year, checked and stored as by a fetch."""
    era5, cache = Era5(Cds(), "era5", (6.0, -74.0, -34.0, -34.0)), RequestCache(folder / "era5")
    requests, _ = era5.weather_requests([2020], dt.date(2026, 11, 21), cache)
    cache.make()
    for request in requests:
        rain, low = request.name.startswith("precipitation"), request.name.startswith("tmin")
        target = cache.temporary(request)
        if rain:
            answer(target, "tp", "M", 0.004, 0.001)
        else:
            answer(target, "t2m", "D", 285 if low else 305, 1)
        cache.commit(request, {"fetched": timestamp(), **era5.check(request, target)})
    return cache, era5, requests


def mesh_of(file: Path | None) -> dict[str, Any]:
    """Boundaries with ``properties.code``; random squares without a file."""
    if file is not None:
        mesh: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for feature in mesh["features"]:
            held = feature["properties"]
            code = next(held[k] for k in ("code", "municipality_code", "codarea", "id") if k in held)
            feature["properties"] = {"code": str(code)}
        return mesh
    rng = np.random.default_rng(1)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * 0.2
    rings = [(corners + rng.uniform((-70, -30), (-38, 3))).tolist() for _ in range(5571)]
    return {
        "type": "FeatureCollection",
        "features": [
            {"properties": {"code": str(i)}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
            for i, ring in enumerate(rings)
        ],
    }


def monthly(file: Path, place: zonal.Place) -> np.ndarray:
    """Means by municipality and month of one variable and year, from the answer on disk."""
    with netcdf.reading(file) as [ds]:
        daily = zonal.take(ds["t2m"].values, place)
        starts = np.flatnonzero(ds["valid_time"].dt.day.values == 1)
    return np.add.reduceat(daily.astype(float), starts, axis=1) / np.diff([*starts, 366])


def year_of_pam() -> list[bytes]:
    """Three answers of SIDRA with 111,420 values in all."""
    header = {"NC": "", "NN": "", "MC": "", "MN": "", "V": "Valor"}
    labels = ("Município", "Ano", "Variável", "Produto das lavouras temporárias")
    for i, label in enumerate(labels, 1):
        header |= {f"D{i}C": f"{label} (Código)", f"D{i}N": label}
    bodies = []
    for products in ((2713, 2711), (2692, 2689), (2696,)):
        rows = [header]
        for i in range(5571):
            for variable in (109, 216, 214, 112):
                for product in products:
                    values = (1100000 + i, 2020, variable, product)
                    row = {"NC": "6", "NN": "Município", "MC": "1006", "MN": UNITS[variable]}
                    row["V"] = str((i * 37 + variable) % 9991)
                    for d, value in enumerate(values, 1):
                        row |= {f"D{d}C": str(value), f"D{d}N": f"name of {value}"}
                    rows.append(row)
        bodies.append(json.dumps(rows).encode())
    return bodies


def timed(work: Callable[[], Any]) -> float:
    """Median seconds of `ROUNDS` calls."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mesh", type=Path, help="GeoJSON with the codes of the municipalities")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    mesh = mesh_of(given.mesh)
    codes = np.array(sorted(int(f["properties"]["code"]) for f in mesh["features"]), dtype=np.int32)
    rng = np.random.default_rng(2)
    lat, lon = rng.uniform(-33, 5, 5571), rng.uniform(-73, -35, 5571)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = answer(folder / "answer.nc", "t2m", "D", 300, 5)
        began = time.perf_counter()
        weights = zonal.cached_weights(folder, mesh, codes, LATITUDE, LONGITUDE)
        first = time.perf_counter() - began
        lines = {
            "5,571 centroids, one variable and year": timed(
                lambda: monthly(file, zonal.nearest(LATITUDE, LONGITUDE, lat, lon))
            ),
            f"{len(codes):,} polygons, one variable and year, weights ready": timed(
                lambda: monthly(file, weights)
            ),
            f"weights of {len(codes):,} polygons, the first time (one reading)": first,
        }
        cache, era5, requests = cache_of_a_year(folder)
        static = xr.Dataset(
            {"latitude_deg": ("municipality", lat), "longitude_deg": ("municipality", lon)},
            {"municipality": np.arange(5571, dtype=np.int32)},
        )
        lines["a year's table of 5,571 centroids: tmax, tmin, rain, degree days of daily values"] = timed(
            lambda: table.read_weather(cache, era5, requests, static, "centroid", None)
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    bodies = year_of_pam()
    lines["PAM: a year of 5 crops, 111,420 values"] = timed(lambda: [parse_values(body) for body in bodies])
    command = " ".join(["python experiments/benchmarks/fetching.py", *_shown(sys.argv[1:])])
    boundaries = "real, simplified" if given.mesh else "squares"
    text = "\n".join(
        [
            "# From answers to tables",
            "",
            f"{dt.date.today()}, `{command}`, "
            f"medians of {ROUNDS} rounds; boundaries: {boundaries}; generated answers.",
            "",
            "| what | s |",
            "|---|--:|",
            *(f"| {what} | {seconds:.2f} |" for what, seconds in lines.items()),
            "",
            f"Peak memory of the process after the weather (generated answer included): {peak:.2f} GB.",
        ]
    )
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


def _shown(arguments: list[str]) -> list[str]:
    return [Path(a).name if "/" in a else a for a in arguments]


if __name__ == "__main__":
    main()
