"""A user's boundaries, checked wholly when they are imported: what is accepted, every map can show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.missing import first_names
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.importing.codes import CODES, WEAK, Codes, code_text
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.polygons import Polygons, as_geometry, cleaned, distance_deg, geometry_polygons
from yieldcast.language import message, sentence

TABLE = "mesh"
_HINT = "Give a GeoJSON FeatureCollection of polygons with a property `code`, in degrees, longitude first."
_CONVERT = "Convert it: `ogr2ogr -f GeoJSON -t_srs EPSG:4326 boundaries.geojson FILE`."
_OTHER_FORMATS = {
    b"PK": ("a zip archive", f"Unpack it. {_CONVERT}"),
    b"\x1f\x8b": ("gzip", "Unpack it, for example with gunzip."),
    b"SQLite": ("a GeoPackage", _CONVERT),
    b"<": ("XML or HTML", _CONVERT),
    b"\x00\x00\x27\x0a": ("a shapefile", _CONVERT),
}
# A mesh for maps is generalised, so that a place near its border may lie this far outside (11 km).
_TOLERANCE_deg = 0.1
# What people exchange or lose: (longitude, latitude) of a place as it would have to be.
_MISTAKES: Mapping[str, Callable[[float, float], tuple[float, float]]] = {
    "latitude and longitude are exchanged in one of the two files": lambda x, y: (y, x),
    "longitudes have the wrong sign (west is negative) in one of the two files": lambda x, y: (-x, y),
    "latitudes have the wrong sign (south is negative) in one of the two files": lambda x, y: (x, -y),
    "longitudes and latitudes have lost their signs in one of the two files": lambda x, y: (-x, -y),
}


def read_mesh(path: Path, static: xr.Dataset, report: ImportLog) -> str:
    """A user's own boundaries as the mesh of a store, a GeoJSON text with one feature a place.

    Several features of a place are joined, rings are closed, heights left out, and sides that cross are
    mended (with shapely, of the extra ``geo``). Places that lie outside their polygons are reported.

    Args:
        path: GeoJSON FeatureCollection of polygons, longitude first, each with a property that holds the
            place's code (`codes.CODES`, in any case, or the feature's own ``id``). Where several do, that
            with the most places is taken.
        static: table of places.
        report: gets the numbers of places with and without polygons, of polygons of other places, which are
            left out, and of what was changed.

    Raises:
        MissingDataError: no such file.
        SchemaError: not GeoJSON, no property with codes, polygons that cannot be used, or polygons of which
            most do not hold their place. Every faulty feature is counted, the first ones are named.
    """
    features = _features(path)
    codes = Codes(static["code"].values.astype(str).tolist())
    rows = _rows(features, codes, path)
    parts: dict[int, Polygons] = {}
    faults = []
    for number, (feature, row) in enumerate(zip(features, rows, strict=True), 1):
        if row >= 0:
            try:
                parts.setdefault(row, []).extend(geometry_polygons(feature.get("geometry")))
            except ValueError as error:
                faults.append(f"feature {number} ({codes.index[row]}): {error}")
    shapes: dict[int, Polygons] = {}
    changes: dict[str, list[str]] = {}
    position = {row: number for number, row in reversed(list(enumerate(rows.tolist(), 1)))}
    for row, polygons in sorted(parts.items()):
        try:
            if polygons:
                shapes[row], changed = cleaned(polygons)
                for change in changed:
                    changes.setdefault(change, []).append(codes.index[row])
        except ValueError as error:
            faults.append(f"feature {position[row]} ({codes.index[row]}): {error}")
    if faults:
        raise SchemaError(
            f"{path}: {len(faults)} features cannot be used: {first_names(faults, '; ')}",
            f"{_HINT} For other coordinates: {_CONVERT}",
        )
    if not shapes:
        raise SchemaError(f"{path}: no polygon of any place among {len(features)} features", _HINT)
    _report(rows, shapes, changes, codes, report)
    _compare_with_places(path, shapes, static.sortby("municipality"), report)
    return _mesh_text(shapes, static.sortby("municipality"))


def _features(path: Path) -> list[dict[str, Any]]:
    """The features of a GeoJSON file, not checked further."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingDataError(f"cannot read the mesh {path}: {error.strerror or error}", _HINT) from error
    for start, (kind, hint) in _OTHER_FORMATS.items():
        if content.lstrip().startswith(start):
            raise SchemaError(f"{path}: expected a GeoJSON FeatureCollection, received {kind}", hint)
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # only names can have such letters, and those of the places are used
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = " Is it a sequence, with one feature a line?" if "Extra data" in str(error) else ""
        raise SchemaError(
            f"{path}: expected a GeoJSON FeatureCollection, received {error!r}", _CONVERT + lines
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("features"), list):
        kind = found.get("type", sorted(found)) if isinstance(found, dict) else type(found).__name__
        raise SchemaError(
            f"{path}: expected a GeoJSON FeatureCollection, received {str(kind)[:60]}", f"{_HINT} {_CONVERT}"
        )
    features: list[dict[str, Any]] = found["features"]
    for number, feature in enumerate(features, 1):
        if not isinstance(feature, dict):
            raise SchemaError(
                f"{path}, feature {number}: expected an object, received {feature!r:.60}", _HINT
            )
    return features


def _rows(features: Sequence[Mapping[str, Any]], codes: Codes, path: Path) -> NDArray[np.intp]:
    """Position of the place of every feature among the codes, -1 for other places."""
    found = {}
    for name in (*CODES, *WEAK, ""):
        texts = [_property(feature, name) for feature in features]
        if any(text is not None for text in texts):
            found[name] = codes.find(np.array(["" if text is None else text for text in texts], dtype=object))
    if not found:
        received = str(features[0].get("properties")) if features else "no feature"
        raise SchemaError(
            f"{path}, feature 1: expected a property with the place's code, received {received[:120]}", _HINT
        )
    places = {name: len(np.unique(rows[rows >= 0])) for name, rows in found.items()}
    best = max(places, key=lambda name: places[name])
    if not places[best]:
        first = next(text for text in (_property(f, best) for f in features) if text is not None)
        raise SchemaError(
            f"{path}: none of {len(features)} polygons has the code of a place; places have codes like "
            f"{codes.index[0]!r}, the property {best or 'id'!r} like {first!r}",
            _HINT,
        )
    _refuse_second_opinion(found, best, path)
    return found[best]


def _refuse_second_opinion(found: Mapping[str, Any], best: str, path: Path) -> None:
    """Raise SchemaError where two properties of one feature are codes of different places."""
    for name, rows in found.items():
        differ = (rows >= 0) & (found[best] >= 0) & (rows != found[best])
        if name not in WEAK and differ.any():
            raise SchemaError(
                f"{path}, feature {int(np.argmax(differ)) + 1}: the properties {best or 'id'!r} and "
                f"{name or 'id'!r} name different places ({int(differ.sum())} such features)",
                "Remove the wrong property.",
            )


def _property(feature: Mapping[str, Any], name: str) -> str | None:
    """A property of a feature as a code, in upper or lower case; its own id for the name ""."""
    properties = feature.get("properties")
    held = {"": feature.get("id")} if not name else properties if isinstance(properties, dict) else {}
    for key, value in held.items():
        if key.lower() == name and value is not None:
            return code_text(value)
    return None


def _report(
    rows: NDArray[np.intp],
    shapes: Mapping[int, Polygons],
    changes: Mapping[str, Sequence[str]],
    codes: Codes,
    report: ImportLog,
) -> None:
    report.read.append((TABLE, message("places with boundaries"), len(shapes)))
    if others := int((rows < 0).sum()):
        report.dropped.append((TABLE, message("polygons of other places"), others))
    several = Counter(rows[rows >= 0].tolist())
    if joined := [codes.index[row] for row in shapes if several[row] > 1]:
        text = f"places of several features, joined, first {joined[0]}"
        report.read.append((TABLE, text, len(joined)))
    for text, changed in sorted(changes.items()):
        report.warnings.append(
            (
                TABLE,
                sentence("places with {change}: {codes}", change=sentence(text), codes=first_names(changed)),
                len(changed),
            )
        )
    if lost := [str(code) for row, code in enumerate(codes.index) if row not in shapes]:
        report.warnings.append(
            (TABLE, sentence("places without boundaries: {codes}", codes=first_names(lost)), len(lost))
        )


def _compare_with_places(
    path: Path, shapes: Mapping[int, Polygons], static: xr.Dataset, report: ImportLog
) -> None:
    """Report places outside their polygons; raise SchemaError where that holds for most."""
    longitude, latitude = static["longitude_deg"].values, static["latitude_deg"].values
    codes = static["code"].values.astype(str)
    outside = [row for row, polygons in shapes.items() if not _holds(polygons, longitude[row], latitude[row])]
    if not outside:
        return
    named = first_names([codes[row] for row in outside])
    if len(outside) <= len(shapes) / 2:
        text = f"places more than {_TOLERANCE_deg:g} degrees outside their polygons: {named}"
        report.warnings.append((TABLE, text, len(outside)))
        return
    row = outside[0]
    corner = np.round(shapes[row][0][0][0], 2).tolist()
    mistake = next(
        (
            text
            for text, change in _MISTAKES.items()
            if sum(_holds(shapes[k], *change(longitude[k], latitude[k])) for k in outside) > len(outside) / 2
        ),
        "do the two files belong together?",
    )
    raise SchemaError(
        f"{path}: expected places inside their polygons, received {len(outside)} of {len(shapes)} outside: "
        f"{named}; {codes[row]} is at latitude {latitude[row]:g}, longitude {longitude[row]:g}, and its "
        f"polygon at latitude {corner[1]:g}, longitude {corner[0]:g}",
        f"{mistake[0].upper()}{mistake[1:]}: correct the places or the boundaries, or import without them.",
    )


def _holds(polygons: Polygons, longitude: float, latitude: float) -> bool:
    return distance_deg(longitude, latitude, polygons) <= _TOLERANCE_deg


def _mesh_text(shapes: Mapping[int, Polygons], static: xr.Dataset) -> str:
    """One feature a place, in the order of the places, with the names and states of their table."""
    numbers, names, states = (static[key].values.tolist() for key in ("municipality", "name", "state"))
    features = [
        {
            "type": "Feature",
            "properties": {"code": numbers[row], "name": names[row], "state": states[row]},
            "geometry": as_geometry(shapes[row]),
        }
        for row in shapes
    ]
    return json.dumps(
        {"type": "FeatureCollection", "features": features}, ensure_ascii=False, allow_nan=False
    )
