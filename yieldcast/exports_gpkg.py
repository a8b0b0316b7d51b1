"""A forecast as a GeoPackage in SIRGAS 2000: what a GIS opens, with the reader's headings over the names."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import xarray as xr

from yieldcast import labels
from yieldcast.disk import atomic_write
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.exports_columns import Table, municipality_table
from yieldcast.exports_places import EPSG, FETCH_AGAIN, LAYER, Shapes, issue_facts, machine_values

# The schema extension of GeoPackage (OGC 12-128r14, annex F.9): GDAL takes `name` for a field's alternative
# name, which QGIS shows in place of the column's own.
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


def check_library() -> None:
    """Raise ConfigError where geopandas or pyogrio is not installed."""
    try:
        import geopandas  # noqa: F401
        import pyogrio  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"gpkg needs geopandas and pyogrio, of which {error.name} is not installed",
            "Install them with: pip install 'yieldcast[geo]'",
        ) from error


def write_gpkg(path: Path, forecast: xr.Dataset, shapes: Shapes, lang: str) -> Path:
    """Write a GeoPackage of one layer, `LAYER`; a municipality that the mesh lacks has no geometry.

    Args:
        path: file to write.
        forecast: a checked table.
        shapes: of `read_shapes`.
        lang: en or pt, for the title and the headings that QGIS shows in place of names.

    Raises:
        ConfigError: geopandas or pyogrio is not installed, or an unknown language.
        SchemaError: a boundary that is no polygon.
        MissingDataError: the disk refuses.
    """
    check_library()
    import geopandas
    import pyogrio
    import shapely

    table, facts = municipality_table(forecast), issue_facts(forecast, lang)
    here = [shapes.get(code) for code in forecast["municipality"].values.tolist()]
    try:
        geometry = shapely.from_geojson([None if shape is None else json.dumps(shape) for shape in here])
    except shapely.errors.GEOSException as error:
        raise SchemaError(f"mesh: expected polygons, received {error}", FETCH_AGAIN) from error
    columns = {key: machine_values(values) for key, values in table.items()}
    frame = geopandas.GeoDataFrame(columns, geometry=geometry, crs=f"EPSG:{EPSG}")
    whole = io.BytesIO()  # in memory: a disk that fills under SQLite is not reported as one
    pyogrio.write_dataframe(
        frame,
        whole,
        driver="GPKG",
        layer=LAYER,
        geometry_type="MultiPolygon",
        promote_to_multi=True,
        dataset_options={"VERSION": "1.2"},  # newer ones warn in the GDAL of Debian 12 and QGIS 3.22
        layer_options={"IDENTIFIER": facts["title"], "DESCRIPTION": facts["attribution"]},
        layer_metadata={name: str(value) for name, value in facts.items()},
    )
    content = _with_headings(whole.getvalue(), table, lang, forecast.attrs["as_of"])

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    atomic_write(path, write)
    return path


def _with_headings(package: bytes, table: Table, lang: str, as_of: str) -> bytes:
    """The GeoPackage with a heading and a meaning for every column, dated as the forecast is.

    Dated by the clock, the same forecast would be other bytes each time.
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
