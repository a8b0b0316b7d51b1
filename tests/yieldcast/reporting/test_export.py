from __future__ import annotations

import csv
import datetime as dt
import json
import resource
import sqlite3
import sys
import zipfile
from pathlib import Path

import geopandas
import h5py
import numpy as np
import openpyxl
import pyogrio
import pytest
import xarray as xr
from factories import synthetic_forecast

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.forecasting import table as forecast_table
from yieldcast.reporting import export, labels
from yieldcast.reporting.column_labels import COLUMNS
from yieldcast.reporting.geodata import read_shapes

CODES = np.array([4100001, 4100002, 5100001, 5100002])
FORMULA = '=HYPERLINK("http://x";"São Luís")'
NAMES = ['São "Luís" d\'Oeste <b>', "A;B\nC, D", FORMULA, "Nazária"]
ALL_FILES = [
    "forecast.csv", "forecast-aggregates.csv", "forecast.xlsx", "forecast.gpkg", "forecast.geojson",
    "forecast.nc",
]  # fmt: skip


@pytest.fixture(scope="module")
def forecast():
    """Four municipalities; the numbers of the first are round, the last lacks what may be missing."""
    ds = synthetic_forecast(CODES, NAMES, ["PR", "PR", "MT", "MT"]).copy(deep=True)
    ds["yield_kg_ha"][0] = [2000.0, 2100.0, 2300.0, 2600.5, 2900.0, 3100.0, 3200.0]
    first = {
        "yield_mean_kg_ha": 2610.0, "mean_5y_public_kg_ha": 2500.0, "probability_low": 0.125,
        "low_threshold_kg_ha": 2400.25, "area_planted_ha": 1234.0, "last_public_kg_ha": 2700.0,
        "trend_10y_public_kg_ha": 2550.0, "own_history": 1, "observed_share": 0.25, "rain_so_far_pct": 80.0,
        "tmax_so_far_anomaly_degC": -0.5,
    }  # fmt: skip
    for name, value in first.items():
        ds[name][0] = value
    gaps = ("probability_low", "low_threshold_kg_ha", "area_planted_ha", "last_public_kg_ha")
    for name in (*gaps, "mean_5y_public_kg_ha", "trend_10y_public_kg_ha", "rain_so_far_pct"):
        ds[name][3] = np.nan
    ds["own_history"][3] = 0
    ds["aggregate_yield_kg_ha"][0] = [2500.0, 2600.0, 2700.0, 3000.0, 3100.0, 3200.0, 3300.0]
    ds["aggregate_area_planted_ha"][0] = 2_000_000.0
    return forecast_table.check_forecast(ds)


# By hand, from the fixture: median 2600.5 less 2500 is 100.5, of 2500 4.02 %; 3200 - 2000 = 1200;
# 1234 ha x 2600.5 kg/ha = 3209.017 t, x 2000 = 2468 t, x 3200 = 3948.8 t.
FIRST = {
    "code": "4100001", "name": NAMES[0], "state": "PR", "crop": "soybean", "harvest_year": 2018,
    "as_of": "2017-11-15", "synthetic": True, "yield_p50_kg_ha": 2600.5, "yield_mean_kg_ha": 2610.0,
    "yield_p05_kg_ha": 2000.0, "yield_p10_kg_ha": 2100.0, "yield_p25_kg_ha": 2300.0,
    "yield_p75_kg_ha": 2900.0, "yield_p90_kg_ha": 3100.0, "yield_p95_kg_ha": 3200.0,
    "width90_kg_ha": 1200.0, "anomaly_kg_ha": 100.5, "anomaly_pct": 4.0, "prob_low_pct": 12.5,
    "low_limit_kg_ha": 2400.2, "last_public_kg_ha": 2700.0, "mean_5y_kg_ha": 2500.0,
    "trend_10y_kg_ha": 2550.0, "own_history": True, "observed_pct": 25.0, "rain_pct": 80.0,
    "tmax_anomaly_degC": -0.5, "area_planted_ha": 1234.0, "prod_p50_t": 3209.0, "prod_p05_t": 2468.0,
    "prod_p95_t": 3949.0, "window_start": "2017-09-01", "window_end": "2018-05-31",
}  # fmt: skip
MISSING = (
    "anomaly_kg_ha", "anomaly_pct", "prob_low_pct", "low_limit_kg_ha", "last_public_kg_ha", "mean_5y_kg_ha",
    "trend_10y_kg_ha", "rain_pct", "area_planted_ha", "prod_p50_t", "prod_p05_t", "prod_p95_t",
)  # fmt: skip


def square(west: float, south: float) -> list[list[float]]:
    ring = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    return [[west + x, south + y] for x, y in ring]


@pytest.fixture
def mesh(tmp_path):
    """Boundaries of the first three, and of one that the forecast does not have."""
    shapes = {
        "4100001": {"type": "Polygon", "coordinates": [square(-50.123456789, -25)]},
        4100002: {"type": "MultiPolygon", "coordinates": [[square(-52, -25)], [square(-54, -25)]]},
        "5100001": {"type": "Polygon", "coordinates": [square(-56, -14)]},
        "5100003": {"type": "Polygon", "coordinates": [square(-58, -14)]},
    }
    features = [
        {"type": "Feature", "properties": {"code": code}, "geometry": shape} for code, shape in shapes.items()
    ]
    features.append({"type": "Feature", "properties": {"code": "5100002"}, "geometry": None})
    path = tmp_path / "mesh.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def read_csv(path: Path, lang: str) -> list[dict[str, str]]:
    """Rows by the names for machines."""
    names = {labels.column(key, lang): key for key in COLUMNS}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=";" if lang == "pt" else ","))
    return [{names[heading]: cell for heading, cell in row.items()} for row in rows]


def test_csv_in_english(tmp_path, forecast):
    export.write_csv(tmp_path, forecast, "en")
    raw = (tmp_path / "forecast.csv").read_bytes()
    assert raw.startswith(b"Municipality code,Municipality,State,")  # no byte order mark
    rows = read_csv(tmp_path / "forecast.csv", "en")
    assert [row["name"] for row in rows] == [NAMES[0], NAMES[1], "'" + FORMULA, NAMES[3]]
    for key, value in FIRST.items():
        cell = rows[0][key]
        if isinstance(value, bool):
            assert cell == "yes", key
        elif isinstance(value, float):
            assert float(cell) == value, key
        else:
            assert cell == str(value), key
    assert rows[3]["own_history"] == "no"
    assert [key for key, cell in rows[3].items() if cell == ""] == [
        key
        for key in rows[3]
        if key in MISSING  # in the order of the columns
    ]


def test_csv_in_portuguese(tmp_path, forecast):
    files = export.write_csv(tmp_path, forecast, "pt")
    for file in files:
        text = file.read_bytes().decode("utf-8")
        assert text.startswith("\ufeff")
        assert text.count("\ufeff") == 1
    with files[0].open(newline="", encoding="utf-8-sig") as file:
        head, first, second, *_ = list(csv.reader(file, delimiter=";"))
    row = dict(zip(head, first, strict=True))
    assert row["Município"] == NAMES[0]
    assert second[1] == NAMES[1]
    assert row["Cultura"] == "soja"
    assert row["Data da edição"] == "15/11/2017"
    assert row["Dados sintéticos"] == "sim"
    assert row["Previsão: mediana (kg/ha)"] == "2600,5"
    assert row["Anomalia em relação à média de cinco anos (%)"] == "4,0"
    assert row["Temperatura máxima até agora, anomalia (°C)"] == "-0,5"
    assert row["Produção: mediana (t)"] == "3209"
    assert not [cell for cell in first[8:] if "." in cell]


def test_csv_says_the_same_in_both_languages(tmp_path, forecast):
    table = {}
    for lang in labels.LANGUAGES:
        export.write_csv(tmp_path, forecast, lang)
        table[lang] = read_csv(tmp_path / "forecast.csv", lang)
    numbers = [key for key, label in COLUMNS.items() if label.unit and key in table["en"][0]]
    assert len(numbers) == 25
    for english, portuguese in zip(table["en"], table["pt"], strict=True):
        for key in numbers:
            assert portuguese[key].replace(",", ".") == english[key], key


def test_csv_of_country_and_states(tmp_path, forecast):
    export.write_csv(tmp_path, forecast, "pt")
    rows = read_csv(tmp_path / "forecast-aggregates.csv", "pt")
    assert [(row["level"], row["aggregate"], row["municipalities"]) for row in rows] == [
        ("país", "Brasil", "4"), ("UF", "MT", "2"), ("UF", "PR", "2"),
    ]  # fmt: skip
    assert rows[0]["yield_p50_kg_ha"] == "3000,0"
    assert rows[0]["width90_kg_ha"] == "800,0"
    assert rows[0]["area_planted_ha"] == "2000000"
    # 2,000,000 ha x 3000, 2500 and 3300 kg/ha
    assert [rows[0][f"prod_{p}_t"] for p in ("p50", "p05", "p95")] == ["6000000", "5000000", "6600000"]


def test_departures_of_nothing_and_from_nothing(tmp_path, forecast):
    ds = forecast.copy(deep=True)
    ds["mean_5y_public_kg_ha"][0] = 2600.5 + 0.03  # rounded, the departure is 0 and not -0
    ds["mean_5y_public_kg_ha"][1] = 0.0
    export.write_geojson(tmp_path / "a.geojson", ds, {}, "en")
    text = (tmp_path / "a.geojson").read_text(encoding="utf-8")
    first, second, *_ = (feature["properties"] for feature in json.loads(text)["features"])
    assert "-0.0," not in text
    assert (first["anomaly_kg_ha"], first["anomaly_pct"]) == (0.0, 0.0)
    assert second["anomaly_kg_ha"] == second["yield_p50_kg_ha"]
    assert second["anomaly_pct"] is None  # no share of nothing


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", "'\t'=1"),
        ("＝1", "'＝1"),
        ("x;=1", "x;'=1"),  # a cell of its own where the file is read with the other separator
        ("x,-1", "x,'-1"),
        ("x\n=1", "x\n'=1"),
        ("Mogi-Guaçu", "Mogi-Guaçu"),
        ("'s-Gravenhage", "'s-Gravenhage"),
        ("A = B", "A = B"),
    ],
)
def test_no_text_of_a_csv_begins_like_a_formula(tmp_path, forecast, name, cell):
    ds = forecast.assign_coords(name=("municipality", np.array([name, "b", "c", "d"])))
    for lang in labels.LANGUAGES:
        export.write_csv(tmp_path, ds, lang)
        assert read_csv(tmp_path / "forecast.csv", lang)[0]["name"] == cell


def sheet_rows(book: openpyxl.Workbook, title: str, lang: str) -> list[dict[str, openpyxl.cell.Cell]]:
    names = {labels.column(key, lang): key for key in COLUMNS}
    head, *rows = list(book[title].rows)
    return [dict(zip([names[c.value] for c in head], row, strict=True)) for row in rows]


def test_xlsx_holds_numbers_and_days(tmp_path, forecast):
    path = export.write_xlsx(tmp_path / "a.xlsx", forecast, "pt")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == [
        "municípios (dados sintéticos)", "estados (dados sintéticos)", "unidades", "sobre",
    ]  # fmt: skip
    rows = sheet_rows(book, book.sheetnames[0], "pt")
    days = {"as_of", "window_start", "window_end"}
    words = {"crop": "soja", "synthetic": "sim", "own_history": "sim"}
    for key, value in FIRST.items():
        expected = dt.datetime.fromisoformat(value) if key in days else words.get(key, value)
        assert rows[0][key].value == expected, key
    assert rows[0]["as_of"].number_format == "dd/mm/yyyy"
    assert rows[0]["yield_p50_kg_ha"].number_format == "#,##0"
    assert rows[0]["prob_low_pct"].number_format == "0.0"
    assert rows[0]["harvest_year"].number_format == "0"
    assert {key for key, cell in rows[3].items() if cell.value is None} == set(MISSING)
    sheet = book[book.sheetnames[0]]
    assert sheet.freeze_panes == "D2"  # the headings, and code, name and state
    assert sheet.auto_filter.ref == f"A1:{sheet.dimensions.split(':')[1]}"
    assert sheet.dimensions.endswith("5")
    assert sheet.column_dimensions["B"].width > 20
    states = sheet_rows(book, book.sheetnames[1], "pt")
    assert [row["aggregate"].value for row in states] == ["Brasil", "MT", "PR"]
    assert states[0]["prod_p50_t"].value == 6_000_000


def test_xlsx_keeps_texts_as_texts(tmp_path, forecast):
    names = np.array([FORMULA, "http://example.org", "a\x01b\x0cc", "12"])
    ds = forecast.assign_coords(name=("municipality", names))
    book = openpyxl.load_workbook(export.write_xlsx(tmp_path / "a.xlsx", ds, "en"))
    cells = [row["name"] for row in sheet_rows(book, book.sheetnames[0], "en")]
    assert [cell.value for cell in cells] == [FORMULA, "http://example.org", "a\ufffdb\ufffdc", "12"]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [bool(cell.quotePrefix) for cell in cells] == [True, False, False, False]
    assert [cell.hyperlink for cell in cells] == [None] * 4
    kinds = {cell.data_type for sheet in book for row in sheet.rows for cell in row}
    assert kinds == {"s", "n", "d"}  # no formula anywhere


@pytest.mark.parametrize(("lang", "units", "about"), [("en", "units", "about"), ("pt", "unidades", "sobre")])
def test_xlsx_explains_itself(tmp_path, forecast, lang, units, about):
    ds = forecast.assign_attrs(synthetic=0, attribution="x" * 900)
    book = openpyxl.load_workbook(export.write_xlsx(tmp_path / "a.xlsx", ds, lang))
    assert book.sheetnames == [labels.text("municipalities", lang), labels.text("states", lang), units, about]
    explained = {row[3]: row[:3] for row in list(book[units].values)[1:]}
    shown = {key for title in book.sheetnames[:2] for key in sheet_rows(book, title, lang)[0]}
    assert set(explained) == shown == set(COLUMNS)
    assert explained["prob_low_pct"] == (
        labels.column("prob_low_pct", lang), "%", labels.meaning("prob_low_pct", lang),
    )  # fmt: skip
    told = dict(book[about].values)
    assert told[labels.attribute("attribution", lang)] == "x" * 900
    assert told[labels.attribute("licence", lang)] == "CC BY 4.0"
    assert told[labels.attribute("synthetic", lang)] == labels.text("no", lang)
    (row,) = [cell.row for cell in book[about]["B"] if cell.value == "x" * 900]
    assert book[about].row_dimensions[row].height == 15 * 9  # 900 characters in a column of 110


@pytest.mark.parametrize("lang", labels.LANGUAGES)
def test_gpkg(tmp_path, forecast, mesh, lang):
    path = export.write_gpkg(tmp_path / "a.gpkg", forecast, read_shapes(mesh), lang)
    frame = geopandas.read_file(path)
    assert frame.crs.to_epsg() == 4674
    assert list(frame["code"]) == [str(code) for code in CODES]
    assert list(frame["name"]) == NAMES  # no apostrophe: nothing in a GIS evaluates it
    assert {key: frame[key][0] for key in FIRST} == FIRST  # the same names and values in both languages
    assert [key for key in frame if frame[key].isna()[3]] == [k for k in frame if k in (*MISSING, "geometry")]
    assert set(frame.geometry[:3].geom_type) == {"MultiPolygon"}
    assert frame.geometry[0].area == pytest.approx(1.0, abs=1e-4)
    assert frame.geometry[1].area == pytest.approx(2.0)
    assert frame.geometry[0].bounds == pytest.approx((-50.12346, -25, -49.12346, -24), abs=1e-9)
    info = pyogrio.read_info(path)
    assert info["layer_name"] == "municipalities"
    assert info["layer_metadata"]["as_of"] == "2017-11-15"
    assert info["layer_metadata"]["licence"] == "CC BY 4.0"
    assert info["layer_metadata"]["IDENTIFIER"] == labels.title(forecast.attrs, lang)


def test_gpkg_shows_headings_in_the_language_of_the_reader(tmp_path, forecast, mesh):
    path = export.write_gpkg(tmp_path / "a.gpkg", forecast, read_shapes(mesh), "pt")
    _, table = pyogrio.read_arrow(path)  # GDAL's own view: what QGIS shows as alias and comment
    for key in FIRST:
        told = {k.decode(): v.decode() for k, v in table.schema.field(key).metadata.items()}
        assert told["GDAL:OGR:alternative_name"] == labels.column(key, "pt")
        assert told["GDAL:OGR:comment"] == labels.meaning(key, "pt")
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


@pytest.mark.parametrize("lang", labels.LANGUAGES)
def test_geojson(tmp_path, forecast, mesh, lang):
    path = export.write_geojson(tmp_path / "a.geojson", forecast, read_shapes(mesh), lang)
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert whole["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::4674"
    assert whole["title"] == labels.title(forecast.attrs, lang)
    assert (whole["as_of"], whole["synthetic"], whole["members"]) == ("2017-11-15", 1, 30)
    first, *_, last = whole["features"]
    assert first["id"] == 4100001
    assert {key: first["properties"][key] for key in FIRST} == FIRST
    assert first["geometry"]["coordinates"][0][0] == [-50.12346, -25.0]  # longitude first, five digits
    assert last["geometry"] is None
    assert {key for key, value in last["properties"].items() if value is None} == set(MISSING)
    frame = geopandas.read_file(path)
    assert frame.crs.to_epsg() == 4674
    assert list(frame["name"]) == NAMES
    assert list(frame.geometry.isna()) == [False, False, False, True]


def test_netcdf_reads_back_as_the_same_forecast(tmp_path, forecast):
    before = forecast.copy(deep=True)
    read = forecast_table.read_forecast(export.write_cf(tmp_path / "forecast.nc", forecast))
    xr.testing.assert_identical(forecast, before)  # untouched
    assert read["forecast_reference_time"].values == np.datetime64("2017-11-15")
    xr.testing.assert_equal(read.drop_vars("forecast_reference_time"), forecast)
    for name, array in forecast.variables.items():
        assert read[name].dtype == array.dtype, name
        assert (
            array.attrs.items() <= {k: v for k, v in read[name].attrs.items() if k != "flag_values"}.items()
        )
    assert forecast.attrs.items() <= read.attrs.items()
    again = export.write_cf(tmp_path / "again.nc", read)
    xr.testing.assert_identical(forecast_table.read_forecast(again), read)


def test_a_forecast_from_the_disk_is_told_as_one_just_made(tmp_path, forecast, mesh):
    read = forecast_table.read_forecast(export.write_cf(tmp_path / "forecast.nc", forecast))
    formats = ["csv", "gpkg"]
    made = export.write_all(tmp_path / "a", forecast, mesh, "pt", formats)
    told = export.write_all(tmp_path / "b", read, mesh, "pt", [*formats, "xlsx", "geojson"])
    assert [file.read_bytes() for file in told[:2]] == [file.read_bytes() for file in made[:2]]
    assert geopandas.read_file(told[3]).equals(geopandas.read_file(made[2]))


def test_netcdf_follows_cf(tmp_path, forecast):
    with h5py.File(export.write_cf(tmp_path / "forecast.nc", forecast)) as file:
        assert file.attrs["Conventions"] == "CF-1.11"
        for name in ("title", "source", "history", "references", "comment"):
            assert file.attrs[name], name
        assert "Synthetic data" in file.attrs["comment"]
        quantities = {**forecast_table.ARRAYS, "latitude_deg": (), "longitude_deg": (), "quantile": ()}
        for name in quantities:
            assert file[name].attrs["long_name"], name
            assert file[name].attrs["units"], name
        for name in forecast.coords:  # 2.5.1: no missing values in coordinates
            assert "_FillValue" not in file[name].attrs, name
        for name in ("aggregate", *forecast_table.TEXTS):  # 2.4: no texts in coordinate variables
            assert (file[name].dtype, file[name].ndim) == ("S1", 2), name
        for name, (dims, *_) in forecast_table.ARRAYS.items():
            named = set(file[name].attrs["coordinates"].split())
            assert named == (
                {"aggregate", "forecast_reference_time"}
                if dims[0] == "aggregate"
                else {"code", "name", "state", "region", "latitude_deg", "longitude_deg", "window_start",
                      "window_end", "forecast_reference_time"}
            ), name  # fmt: skip
        assert file["latitude_deg"].attrs["standard_name"] == "latitude"
        assert file["own_history"].attrs["flag_values"].dtype == file["own_history"].dtype


def test_write_all(tmp_path, forecast, mesh):
    said = []
    files = export.write_all(tmp_path / "new" / "folder", forecast, mesh, "pt", notice=said.append)
    assert [file.name for file in files] == ALL_FILES
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(ALL_FILES)
    (line,) = said
    assert "1 of 4 municipalities" in line
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
    assert [file.suffix for file in files] == [".csv", ".csv", ".xlsx", ".nc"]
    assert [line.split(" needs ")[0] for line in said] == ["left out: gpkg", "left out: geojson"]
    assert all("yieldcast fetch places" in line for line in said)
    for name in ("gpkg", "geojson"):
        with pytest.raises(ConfigError, match=f"{name} needs the boundaries"):
            export.write_all(tmp_path / name, forecast, None, "en", formats=["csv", name])
        assert not list((tmp_path / name).glob("*"))  # refused before anything is written


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [("xlsxwriter", "xlsx", "report"), ("geopandas", "gpkg", "geo"), ("pyogrio", "gpkg", "geo")],
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
    with pytest.raises(ConfigError, match="csv, xlsx, gpkg, geojson, nc, received shp"):
        export.write_all(tmp_path, forecast, None, "en", formats=["csv", "shp"])
    with pytest.raises(ConfigError, match="received 'fr'"):
        export.write_all(tmp_path, forecast, None, "fr")
    with pytest.raises(SchemaError, match="quantiles"):
        export.write_all(tmp_path, forecast.isel(quantile=slice(1, None)), None, "en")
    assert list(tmp_path.iterdir()) == []


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


def test_a_polygon_that_is_none_is_refused(tmp_path, forecast):
    ring = [[0.0, 0.0], [1.0, 1.0]]
    with pytest.raises(SchemaError, match="mesh: expected polygons"):
        export.write_gpkg(
            tmp_path / "a.gpkg", forecast, {4100001: {"type": "Polygon", "coordinates": [ring]}}, "en"
        )


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
    assert "6 of 5570 municipalities have no boundary" in said[0]
    frame = geopandas.read_file(tmp_path / "forecast.gpkg")
    assert (len(frame), int(frame.geometry.isna().sum())) == (5570, 6)
    assert frame.geometry.dropna().is_valid.mean() > 0.99
    assert took < 30  # measured: 4 s on two quiet cores
