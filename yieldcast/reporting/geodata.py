"""A forecast with the boundaries of its municipalities, for maps: GeoJSON and GeoPackage in SIRGAS 2000.

Both formats have the same columns under the same English names (`column_labels.COLUMNS`) in every language:
a style or a script made for one bulletin fits all others. A GeoPackage also holds the reader's headings.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.boundaries import FETCH_AGAIN, read_boundaries
from yieldcast.data.files import atomic_text, atomic_write
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.reporting import labels
from yieldcast.reporting.tables import Table, municipality_table

LAYER = "municipalities"
EPSG = 4674  # SIRGAS 2000, the legal datum of Brazil and that of IBGE's meshes
# GeoJSON of 2008 had the member "crs"; RFC 7946 removed it and allows WGS 84 only. GDAL, and so QGIS, still
# reads it. A program that ignores it places SIRGAS 2000 wrong by less than a metre.
_CRS = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{EPSG}"}}
_COORDINATE_DIGITS = 5  # 1 m
# Tables of the schema extension (GeoPackage 1.2, OGC 12-128r14, annex F.9). GDAL reads `name` as the
# alternative name of a column, which QGIS shows instead of the column's own name.
_SCHEMA_TABLES = """
CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT,
  description TEXT, mime_type TEXT, constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name), CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL,
  value TEXT, min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
"""
_SCHEMA_EXTENSION = [
    (table, "gpkg_schema", "http://www.geopackage.org/spec121/#extension_schema", "read-write")
    for table in ("gpkg_data_columns", "gpkg_data_column_constraints")
]
Shapes = Mapping[int, Any]  # municipality code -> GeoJSON geometry


def read_shapes(mesh: Path) -> Shapes:
    """The boundaries of a mesh: GeoJSON geometries (Polygon, MultiPolygon) by municipality code.

    Args:
        mesh: see `yieldcast.data.boundaries`. Features without a geometry are left out.

    Raises:
        MissingDataError: no such file.
        SchemaError: it is not a mesh, or has a municipality twice.
    """
    shapes: dict[int, Any] = {}
    for code, _name, _state, geometry, polygons in read_boundaries(mesh):
        if geometry is None:
            continue
        if code in shapes:
            raise SchemaError(
                f"mesh {mesh.name}: expected one feature per municipality, received two of {code}",
                FETCH_AGAIN,
            )
        rounded = [[_rounded(ring) for ring in rings] for rings in polygons]
        coordinates = rounded if geometry["type"] == "MultiPolygon" else rounded[0]
        shapes[code] = {"type": geometry["type"], "coordinates": coordinates}
    return shapes


def without_shape(forecast: xr.Dataset, shapes: Shapes) -> list[str]:
    """Codes and names of the municipalities of a forecast that have no boundary in a mesh."""
    lost = [code not in shapes for code in forecast["municipality"].values.tolist()]
    codes, names = forecast["code"].values[lost], forecast["name"].values[lost]
    return [f"{code} {name}" for code, name in zip(codes, names, strict=True)]


def write_geojson(path: Path, forecast: xr.Dataset, shapes: Shapes, lang: str) -> Path:
    """Write a FeatureCollection, one municipality per line; ``geometry`` is null if the mesh has none.

    Args:
        path: file to write.
        forecast: a checked table.
        shapes: result of `read_shapes`.
        lang: en or pt, language of the title.

    Raises:
        ConfigError: an unknown language.
        MissingDataError: the disk refuses.
    """
    table = municipality_table(forecast)
    columns = [_plain_values(values) for values in table.values()]
    codes = forecast["municipality"].values.tolist()
    lines = [
        _json(
            {
                "type": "Feature",
                "id": code,
                "properties": dict(zip(table, row, strict=True)),
                "geometry": shapes.get(code),
            }
        )
        for code, row in zip(codes, zip(*columns, strict=True), strict=True)
    ]
    head = {"type": "FeatureCollection", "name": LAYER, "crs": _CRS, **_facts(forecast, lang)}
    body = ",\n".join(lines)
    atomic_text(path, f'{_json(head)[:-1]},"features":[\n{body}\n]}}\n')
    return path


def _facts(forecast: xr.Dataset, lang: str) -> dict[str, Any]:
    """The attributes of the forecast as plain values, with the title in the reader's language."""
    plain = {
        str(name): value.item() if isinstance(value, np.generic) else value
        for name, value in forecast.attrs.items()
    }
    return {**plain, "title": labels.title(forecast.attrs, lang)}


def _plain_values(values: Any) -> list[Any]:
    """A column as plain values: days as ISO 8601 texts, missing numbers as None."""
    if values.dtype.kind == "M":
        return [day.isoformat() for day in values.tolist()]
    return [None if value != value else value for value in values.tolist()]


def _rounded(ring: NDArray[np.float64]) -> list[list[float]]:
    return [[round(x, _COORDINATE_DIGITS), round(y, _COORDINATE_DIGITS)] for x, y in ring.tolist()]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def check_library() -> None:
    """Raise ConfigError if geopandas or pyogrio is not installed."""
    try:
        import geopandas  # noqa: F401
        import pyogrio  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"gpkg needs geopandas and pyogrio, of which {error.name} is not installed",
            "Install them with: pip install 'yieldcast[geo]'",
        ) from error


def write_gpkg(path: Path, forecast: xr.Dataset, shapes: Shapes, lang: str) -> Path:
    """Write a GeoPackage of one layer, `LAYER`; a municipality without a boundary has no geometry.

    Args:
        path: file to write.
        forecast: a checked table.
        shapes: result of `read_shapes`.
        lang: en or pt, language of the title and of the headings that QGIS shows instead of column names.

    Raises:
        ConfigError: geopandas or pyogrio is not installed, or an unknown language.
        SchemaError: a boundary is not a polygon.
        MissingDataError: the disk refuses.
    """
    check_library()
    import geopandas
    import pyogrio
    import shapely

    table, facts = municipality_table(forecast), _facts(forecast, lang)
    found = [shapes.get(code) for code in forecast["municipality"].values.tolist()]
    try:
        geometry = shapely.from_geojson([None if shape is None else json.dumps(shape) for shape in found])
    except shapely.errors.GEOSException as error:
        raise SchemaError(f"mesh: expected polygons, received {error}", FETCH_AGAIN) from error
    columns = {key: _plain_values(values) for key, values in table.items()}
    frame = geopandas.GeoDataFrame(columns, geometry=geometry, crs=f"EPSG:{EPSG}")
    buffer = io.BytesIO()  # in memory: SQLite would not report a full disk as such
    pyogrio.write_dataframe(
        frame,
        buffer,
        driver="GPKG",
        layer=LAYER,
        geometry_type="MultiPolygon",
        promote_to_multi=True,
        dataset_options={"VERSION": "1.2"},  # GDAL of Debian 12 and QGIS 3.22 warn of newer versions
        layer_options={"IDENTIFIER": facts["title"], "DESCRIPTION": facts["attribution"]},
        layer_metadata={name: str(value) for name, value in facts.items()},
    )
    content = _with_headings(buffer.getvalue(), table, lang, forecast.attrs["as_of"])

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    atomic_write(path, write)
    return path


def _with_headings(package: bytes, table: Table, lang: str, as_of: str) -> bytes:
    """The GeoPackage with a heading and a meaning for every column, and the forecast's date as time stamps.

    With the time of writing instead, the same forecast would give different bytes each time.
    """
    rows = [
        (LAYER, key, labels.column(key, lang), labels.column(key, lang), labels.meaning(key, lang))
        for key in table
    ]
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(package)
        database.executescript(_SCHEMA_TABLES)
        database.executemany("INSERT INTO gpkg_extensions VALUES (?, NULL, ?, ?, ?)", _SCHEMA_EXTENSION)
        database.executemany("INSERT INTO gpkg_data_columns VALUES (?, ?, ?, ?, ?, NULL, NULL)", rows)
        for column, of in (("last_change", "gpkg_contents"), ("timestamp", "gpkg_metadata_reference")):
            database.execute(f"UPDATE {of} SET {column} = ?", (f"{as_of}T00:00:00.000Z",))
        database.commit()
        return database.serialize()
    finally:
        database.close()
