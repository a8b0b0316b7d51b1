"""A forecast with the boundaries of its municipalities, for maps: GeoJSON and GeoPackage.

Both formats have the same columns under the same English names (`column_labels.COLUMNS`) in every language:
a style or a script made for one bulletin fits all others. A GeoPackage also holds the states, the reader's
headings, and a style for QGIS.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars.country import WGS84
from yieldcast.data.boundaries import FETCH_AGAIN, read_boundaries
from yieldcast.data.files import atomic_text, atomic_write
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, COUNTRY_FILE
from yieldcast.reporting import labels
from yieldcast.reporting.place_names import country_of
from yieldcast.reporting.qgis_style import add_styles
from yieldcast.reporting.tables import Table, aggregate_table, municipality_table

LAYER, STATES_LAYER = "municipalities", "states"
_STYLED = "yield_p50_kg_ha"  # the column by which QGIS colours a layer
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


class Shape(NamedTuple):
    """GeoJSON geometry (Polygon, MultiPolygon) of a municipality; its state in the mesh, empty if unknown."""

    geometry: dict[str, Any]
    state: str = ""


_NO_ROOM = "Free disk space, also in the folder for temporary files (TMPDIR)."
Shapes = Mapping[int, Shape]  # by municipality code


def read_shapes(mesh: Path) -> Shapes:
    """The boundaries of a mesh by municipality code.

    Args:
        mesh: see `yieldcast.data.boundaries`. Features without a geometry are left out.

    Raises:
        MissingDataError: no such file.
        SchemaError: it is not a mesh, or has a municipality twice.
    """
    shapes: dict[int, Shape] = {}
    for code, _name, state, geometry, polygons in read_boundaries(mesh):
        if geometry is None:
            continue
        if code in shapes:
            raise SchemaError(
                f"mesh {mesh.name}: expected one feature per municipality, received two of {code}",
                FETCH_AGAIN,
            )
        rounded = [[_rounded(ring) for ring in rings] for rings in polygons]
        coordinates = rounded if geometry["type"] == "MultiPolygon" else rounded[0]
        shapes[code] = Shape({"type": geometry["type"], "coordinates": coordinates}, state)
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
                "geometry": shapes[code].geometry if code in shapes else None,
            }
        )
        for code, row in zip(codes, zip(*columns, strict=True), strict=True)
    ]
    head = {"type": "FeatureCollection", "name": LAYER, **_crs(forecast), **_facts(forecast, lang)}
    body = ",\n".join(lines)
    atomic_text(path, f'{_json(head)[:-1]},"features":[\n{body}\n]}}\n')
    return path


def _crs(forecast: xr.Dataset) -> dict[str, Any]:
    """The member "crs" of GeoJSON of 2008, which RFC 7946 removed: it allows WGS 84 only.

    GDAL, and so QGIS, still reads it. A program that ignores it is wrong by the difference of the two datums.
    """
    epsg = country_of(forecast.attrs).epsg
    name = f"urn:ogc:def:crs:EPSG::{epsg}"
    return {} if epsg == WGS84 else {"crs": {"type": "name", "properties": {"name": name}}}


def _facts(forecast: xr.Dataset, lang: str) -> dict[str, Any]:
    """The attributes of the forecast as plain values, with the title in the reader's language."""
    plain = {
        str(name): value.item() if isinstance(value, np.generic) else value
        for name, value in forecast.attrs.items()
        if name != COUNTRY_FILE
    }
    return {**plain, "title": labels.title(labels.facts(forecast), lang)}


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
    """Raise ConfigError if pyogrio or shapely is not installed."""
    try:
        import pyogrio  # noqa: F401
        import shapely  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"gpkg needs pyogrio and shapely, of which {error.name} is not installed",
            "Install them with: pip install 'yieldcast[geo]'",
        ) from error


def write_gpkg(path: Path, forecast: xr.Dataset, shapes: Shapes, lang: str) -> Path:
    """Write a GeoPackage of two layers, `LAYER` and `STATES_LAYER`, which QGIS colours by the median.

    A municipality without a boundary has no geometry. A state is the union of its municipalities in the mesh.

    Args:
        path: file to write.
        forecast: a checked table.
        shapes: result of `read_shapes`.
        lang: en or pt, language of the title and of the headings that QGIS shows instead of column names.

    Raises:
        ConfigError: pyogrio or shapely is not installed, or an unknown language.
        SchemaError: a boundary is not a polygon.
        MissingDataError: the disk refuses.
    """
    tables = (municipality_table(forecast), aggregate_table(forecast))
    facts = _facts(forecast, lang)
    return write_layers(path, forecast, shapes, lang, tables=tables, facts=facts, styled=_STYLED)


def write_layers(
    path: Path,
    forecast: xr.Dataset,
    shapes: Shapes,
    lang: str,
    *,
    tables: tuple[Table, Table],
    facts: Mapping[str, Any],
    styled: str,
) -> Path:
    """Write the two layers of other tables of the same places, see `write_gpkg`.

    Args:
        path, forecast, shapes, lang: see `write_gpkg`.
        tables: of the municipalities of the forecast, and of the country and its states.
        facts: metadata of the layers.
        styled: column by which QGIS colours them.

    Raises:
        ConfigError, SchemaError, MissingDataError: see `write_gpkg`.
    """
    check_library()
    polygons, epsg = _polygons(shapes), country_of(forecast.attrs).epsg
    layers = {LAYER: tables[0], STATES_LAYER: _of_states(tables[1])}
    geometry = {
        LAYER: [polygons.get(code) for code in forecast["municipality"].values.tolist()],
        STATES_LAYER: _unions(forecast, shapes, polygons, layers[STATES_LAYER]["aggregate"].tolist()),
    }
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "forecast.gpkg"
        for layer, table in layers.items():
            shapes_of_layer = np.array(geometry[layer], dtype=object)
            _write_layer(made, layer, table, shapes_of_layer, facts, epsg)
        package = made.read_bytes()
    content = _completed(package, layers, lang, forecast.attrs["as_of"], styled)

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    atomic_write(path, write)
    return path


def _polygons(shapes: Shapes) -> dict[int, Any]:
    import shapely

    try:
        found = shapely.from_geojson([json.dumps(shape.geometry) for shape in shapes.values()])
    except shapely.errors.GEOSException as error:
        raise SchemaError(f"mesh: expected polygons, received {error}", FETCH_AGAIN) from error
    return dict(zip(shapes, found, strict=True))


def _of_states(table: Table) -> Table:
    """The rows of the states; the country, the first aggregate, is no state."""
    is_state = table["aggregate"] != ALL_MUNICIPALITIES
    return {key: values[is_state] for key, values in table.items()}


def _unions(
    forecast: xr.Dataset, shapes: Shapes, polygons: Mapping[int, Any], states: list[str]
) -> list[Any]:
    """The union of the municipalities of each state, also those without a forecast; or None."""
    import shapely

    own = dict(zip(forecast["municipality"].values.tolist(), forecast["state"].values.tolist(), strict=True))
    members: dict[str, list[Any]] = defaultdict(list)
    for code, polygon in polygons.items():
        members[own.get(code, shapes[code].state)].append(polygon)
    # The method "structure" gives polygons only, no lines where a ring touches itself.
    valid = [
        shapely.make_valid(np.array(members[state], dtype=object), method="structure", keep_collapsed=False)
        for state in states
    ]
    return [shapely.union_all(polygons) if len(polygons) else None for polygons in valid]


def _write_layer(
    path: Path, layer: str, table: Table, geometry: NDArray[Any], facts: Mapping[str, Any], epsg: int
) -> None:
    """Add a layer to a GeoPackage; days become dates, where a data frame would give texts or times."""
    import shapely
    from pyogrio import raw
    from pyogrio.errors import DataLayerError, DataSourceError

    columns = [values.astype(object) if values.dtype.kind == "U" else values for values in table.values()]
    try:
        raw.write(
            str(path), shapely.to_wkb(geometry), columns, list(table), layer=layer, driver="GPKG",
            geometry_type="MultiPolygon", crs=f"EPSG:{epsg}", promote_to_multi=True, append=path.exists(),
            # GDAL of Debian 12 and QGIS 3.22 warn of newer versions.
            dataset_options=None if path.exists() else {"VERSION": "1.2"},
            layer_options={
                "IDENTIFIER": f"{facts['title']}: {layer}", "DESCRIPTION": facts["attribution"],
            },
            layer_metadata={name: str(value) for name, value in facts.items()},
        )  # fmt: skip
    except (DataLayerError, DataSourceError, OSError) as error:
        raise MissingDataError(f"cannot write {path}: {error}", _NO_ROOM) from error


def _completed(package: bytes, tables: Mapping[str, Table], lang: str, as_of: str, styled: str) -> bytes:
    """The GeoPackage with headings, meanings and styles, and the forecast's date as time stamps.

    With the time of writing instead, the same forecast would give different bytes each time.
    """
    rows = [
        (layer, key, labels.column(key, lang), labels.column(key, lang), labels.meaning(key, lang))
        for layer, table in tables.items()
        for key in table
    ]
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(package)
        _check_rows(database, tables)
        database.executescript(_SCHEMA_TABLES)
        database.executemany("INSERT INTO gpkg_extensions VALUES (?, NULL, ?, ?, ?)", _SCHEMA_EXTENSION)
        database.executemany("INSERT INTO gpkg_data_columns VALUES (?, ?, ?, ?, ?, NULL, NULL)", rows)
        add_styles(database, {layer: table[styled] for layer, table in tables.items()}, styled, as_of)
        for column, of in (("last_change", "gpkg_contents"), ("timestamp", "gpkg_metadata_reference")):
            database.execute(f"UPDATE {of} SET {column} = ?", (f"{as_of}T00:00:00.000Z",))
        database.commit()
        return database.serialize()
    finally:
        database.close()


def _check_rows(database: sqlite3.Connection, tables: Mapping[str, Table]) -> None:
    """Refuse a GeoPackage that lacks rows: SQLite inside GDAL does not always report a full disk."""
    for layer, table in tables.items():
        try:
            (found,) = database.execute(f'SELECT COUNT(*) FROM "{layer}"').fetchone()
        except sqlite3.DatabaseError:
            found = 0
        if found != (wanted := len(next(iter(table.values())))):
            raise MissingDataError(f"cannot write the GeoPackage: {found} of {wanted} rows", _NO_ROOM)
