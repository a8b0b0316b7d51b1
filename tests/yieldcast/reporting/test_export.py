"""All formats of a forecast at once: what is written, left out and refused."""

from __future__ import annotations

import csv
import json
import resource
import sys
import zipfile

import geopandas
import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.forecasting import table
from yieldcast.reporting import export
from yieldcast.reporting.netcdf import write_cf

ALL_FILES = [
    "forecast.csv", "forecast-aggregates.csv", "forecast.xlsx", "forecast.gpkg", "forecast.geojson",
    "forecast.json", "forecast.nc",
]  # fmt: skip


def test_a_forecast_from_the_disk_is_exported_as_one_just_made(tmp_path, forecast, mesh):
    read = table.read_forecast(write_cf(tmp_path / "forecast.nc", forecast))
    formats = ["csv", "gpkg"]
    made = export.write_all(tmp_path / "a", forecast, mesh, "pt", formats)
    exported = export.write_all(tmp_path / "b", read, mesh, "pt", [*formats, "xlsx", "geojson"])
    assert [file.read_bytes() for file in exported[:2]] == [file.read_bytes() for file in made[:2]]
    ours, theirs = (geopandas.read_file(path, layer="municipalities") for path in (exported[3], made[2]))
    assert ours.equals(theirs)


def test_write_all(tmp_path, forecast, mesh):
    said = []
    files = export.write_all(tmp_path / "new" / "folder", forecast, mesh, "pt", notice=said.append)
    assert [file.name for file in files] == ALL_FILES
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(ALL_FILES)
    (line,) = said
    assert "1 de 4 municípios" in line
    assert "5100002 Nazária" in line
    first = {file.name: file.read_bytes() for file in files}
    again = export.write_all(tmp_path / "again", forecast, mesh, "pt")
    # all but netCDF, in which HDF5 writes the second: its contents are compared elsewhere
    assert [file.name for file in again[:-1] if file.read_bytes() != first[file.name]] == []
    # whenever they are written: no clock in the workbook (that of GeoPackages ticks in milliseconds)
    with zipfile.ZipFile(tmp_path / "again" / "forecast.xlsx") as workbook:
        assert {entry.date_time[0] for entry in workbook.infolist()} == {1980}
        assert b"2017-11-15T00:00:00Z" in workbook.read("docProps/core.xml")


def test_write_all_of_some_formats(tmp_path, forecast):
    files = export.write_all(tmp_path, forecast, None, "en", formats=["nc", "csv", "csv"])
    assert [file.name for file in files] == ["forecast.csv", "forecast-aggregates.csv", "forecast.nc"]
    assert {p.name for p in tmp_path.iterdir()} == {file.name for file in files}


def test_write_all_without_boundaries(tmp_path, forecast):
    said = []
    files = export.write_all(tmp_path, forecast, None, "en", notice=said.append)
    assert [file.suffix for file in files] == [".csv", ".csv", ".xlsx", ".json", ".nc"]
    assert [line.split(" needs ")[0] for line in said] == ["left out: gpkg", "left out: geojson"]
    assert all("yieldcast fetch places" in line for line in said)
    for name in ("gpkg", "geojson"):
        with pytest.raises(ConfigError, match=f"{name} needs the boundaries"):
            export.write_all(tmp_path / name, forecast, None, "en", formats=["csv", name])
        assert not list((tmp_path / name).glob("*"))  # refused before anything is written


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [("xlsxwriter", "xlsx", "report"), ("shapely", "gpkg", "geo"), ("pyogrio", "gpkg", "geo")],
)
def test_write_all_without_a_library(tmp_path, forecast, mesh, monkeypatch, module, name, extra):
    monkeypatch.setitem(sys.modules, module, None)  # importing it fails as where it is not installed
    said = []
    files = export.write_all(tmp_path / "a", forecast, mesh, "en", notice=said.append)
    assert [f.name for f in files] == [file for file in ALL_FILES if not file.endswith(name)]
    assert [line for line in said if f"left out: {name} needs" in line and f"yieldcast[{extra}]" in line]
    with pytest.raises(ConfigError, match=f"{name} needs") as error:
        export.write_all(tmp_path / "b", forecast, mesh, "en", formats=["csv", name])
    assert f"yieldcast[{extra}]" in error.value.hint
    assert not list((tmp_path / "b").glob("*"))


def test_write_all_refuses_what_it_does_not_know(tmp_path, forecast):
    with pytest.raises(ConfigError, match="csv, xlsx, gpkg, geojson, json, nc, received shp"):
        export.write_all(tmp_path, forecast, None, "en", formats=["csv", "shp"])
    with pytest.raises(ConfigError, match="received 'fr'"):
        export.write_all(tmp_path, forecast, None, "fr")
    with pytest.raises(SchemaError, match="quantiles"):
        export.write_all(tmp_path, forecast.isel(quantile=slice(1, None)), None, "en")
    assert list(tmp_path.iterdir()) == []


def square(west: float, south: float) -> list[list[float]]:
    return [[west + x, south + y] for x, y in [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]]


def feature(kind: str, coordinates: object) -> dict[str, object]:
    return {"properties": {"code": 1}, "geometry": {"type": kind, "coordinates": coordinates}}


@pytest.mark.parametrize(
    "content",
    [
        "<html>",
        "[]",
        "{}",
        '{"features": null}',
        '{"features": ["a"]}',
        json.dumps({"features": [{"geometry": None, "properties": {}}]}),
        json.dumps({"features": [{"geometry": None, "properties": {"code": "x"}}]}),
        json.dumps({"features": [feature("Polygon", [])]}),
        json.dumps({"features": [feature("Polygon", "abc")]}),
        json.dumps({"features": [feature("Point", [1, 2])]}),
        json.dumps({"features": [feature("Polygon", [square(600_000, 7_000_000)])]}),  # metres
        json.dumps({"features": [feature("Polygon", [square(float("nan"), 0)])]}),
        json.dumps({"features": [feature("Polygon", [square(0, 0)])] * 2}),
    ],
)
def test_a_damaged_mesh_is_refused(tmp_path, forecast, content):
    mesh = tmp_path / "mesh.geojson"
    mesh.write_text(content)
    with pytest.raises(SchemaError, match=r"mesh mesh.geojson: expected .+ received") as error:
        export.write_all(tmp_path / "out", forecast, mesh, "en")
    assert "yieldcast fetch places" in error.value.hint


def test_a_mesh_that_is_not_there(tmp_path, forecast):
    with pytest.raises(MissingDataError, match=r"nowhere.geojson: No such file"):
        export.write_all(tmp_path, forecast, tmp_path / "nowhere.geojson", "en")
    assert export.write_all(tmp_path, forecast, tmp_path / "nowhere.geojson", "en", formats=["csv"])


@pytest.mark.parametrize("name", export.FORMATS)
def test_a_full_disk_leaves_what_was_there(tmp_path, forecast, mesh, name):
    folder = tmp_path / "out"
    files = export.write_all(folder, forecast, mesh, "en", formats=[name])
    before = {file: file.read_bytes() for file in files}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))  # the kernel refuses the 1025th byte
    try:
        with pytest.raises(MissingDataError, match=r"cannot write .+forecast"):
            export.write_all(folder, forecast, mesh, "pt", formats=[name])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.slow
def test_the_whole_country_takes_seconds(tmp_path, brazil_files):
    import time

    with (brazil_files / "municipalities.csv").open(encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["municipality_code"]))
    codes = np.array([int(row["municipality_code"]) for row in rows])
    ds = synthetic_forecast(codes, [row["name"] for row in rows], [row["state"] for row in rows])
    said, start = [], time.perf_counter()
    files = export.write_all(tmp_path, ds, brazil_files / "municipalities.geojson", "pt", notice=said.append)
    took = time.perf_counter() - start
    assert [file.name for file in files] == ALL_FILES
    assert "6 de 5570 municípios não têm limites" in said[0]
    frame = geopandas.read_file(tmp_path / "forecast.gpkg", layer="municipalities")
    assert (len(frame), int(frame.geometry.isna().sum())) == (5570, 6)
    assert frame.geometry.dropna().is_valid.mean() > 0.99
    assert took < 30  # measured: 4 s on two quiet cores
