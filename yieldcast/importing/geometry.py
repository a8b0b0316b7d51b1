"""A user's boundaries, checked wholly when they are imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast.data.boundaries import polygons_of, read_geojson
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import CODES
from yieldcast.importing.columns import ImportLog

_IMPORT_HINT = "Give a GeoJSON FeatureCollection of polygons with a property `code`, in degrees."
_NAMES = (*CODES, "CD_MUN", "GEOCODIGO")


def read_mesh(path: Path, static: xr.Dataset, report: ImportLog) -> str:
    """A user's own boundaries as the mesh of a store, a GeoJSON text.

    Args:
        path: GeoJSON FeatureCollection of polygons, each with a property that holds the place's code
            (`code`, `codarea`, `CD_MUN`, ...).
        static: table of places.
        report: gets the numbers of places with and without polygons, and of polygons of other places, which
            are left out.

    Raises:
        MissingDataError: no such file.
        SchemaError: not GeoJSON, a polygon without a code, coordinates that are not degrees, or no polygon
            of any place.
    """
    features = read_geojson(path, _IMPORT_HINT)["features"]
    codes, texts = static["municipality"].values.tolist(), static["code"].values.astype(str).tolist()
    number = dict(zip(texts, codes, strict=True))
    kept, others = [], 0
    for position, feature in enumerate(features, 1):
        code = _code(feature, f"{path}, feature {position}")
        if code not in number:
            others += 1
            continue
        properties, geometry = feature["properties"], feature.get("geometry")
        try:
            polygons_of(geometry)
        except ValueError as error:
            raise SchemaError(f"{path}, feature {position} ({code}): {error}", _IMPORT_HINT) from None
        named = {key: properties[key] for key in ("name", "uf", "state") if key in properties}
        kept.append({"type": "Feature", "properties": {"code": number[code], **named}, "geometry": geometry})
    if not kept:
        raise SchemaError(f"{path}: none of {len(features)} polygons has the code of a place", _IMPORT_HINT)
    report.read.append(("mesh", "places with boundaries", len(kept)))
    if others:
        report.dropped.append(("mesh", "polygons of other places", others))
    if lost := len(codes) - len({feature["properties"]["code"] for feature in kept}):
        report.warnings.append(("mesh", "places without boundaries", lost))
    report.sources["mesh"] = {"file": str(path), "bytes": path.stat().st_size}
    return json.dumps({"type": "FeatureCollection", "features": kept}, ensure_ascii=False)


def _code(feature: Any, where: str) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    for name in _NAMES:
        if isinstance(properties, dict) and properties.get(name) is not None:
            value = properties[name]
            return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    raise SchemaError(
        f"{where}: expected a property with the place's code, received {properties}", _IMPORT_HINT
    )
