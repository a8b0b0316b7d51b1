"""A user's own boundaries: GeoJSON to what a store keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast.data.user_columns import CODES, ImportLog
from yieldcast.errors import MissingDataError, SchemaError

_NAMES = (*CODES, "codarea", "CD_MUN", "GEOCODIGO")  # the last three are IBGE's


def read_mesh(path: Path, static: xr.Dataset, report: ImportLog) -> str:
    """Boundaries of the places as a GeoJSON text, each with the number that its place has in the store.

    Args:
        path: GeoJSON FeatureCollection of polygons in degrees (SIRGAS 2000 or WGS 84), each with a property
            that holds the place's code (`code`, `codarea`, `CD_MUN`, ...).
        static: table of places.
        report: told of polygons of other places, which are left out, and of places without one.

    Raises:
        MissingDataError: no such file.
        SchemaError: no GeoJSON, no code, coordinates that are no degrees, or no polygon of any place.
    """
    hint = "Give a GeoJSON FeatureCollection of polygons with a property `code`, in degrees."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = list(content["features"])
    except OSError as error:
        raise MissingDataError(f"cannot read {path}: {error.strerror}", "Give the path of a file.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaError(f"{path}: expected GeoJSON, received something else ({error})", hint) from None
    codes, texts = static["municipality"].values.tolist(), static["code"].values.astype(str).tolist()
    number = dict(zip(texts, codes, strict=True))
    kept, strange = [], 0
    for position, feature in enumerate(features, 1):
        code = _code(feature, f"{path}, feature {position}", hint)
        if code not in number:
            strange += 1
            continue
        _check_degrees(feature, f"{path}, feature {position} ({code})", hint)
        about = {
            key: feature["properties"][key] for key in ("name", "uf", "state") if key in feature["properties"]
        }
        kept.append(
            {
                "type": "Feature",
                "properties": {"code": number[code], **about},
                "geometry": feature["geometry"],
            }
        )
    if not kept:
        raise SchemaError(f"{path}: none of {len(features)} polygons has the code of a place", hint)
    report.read.append(("mesh", "places with boundaries", len(kept)))
    if strange:
        report.dropped.append(("mesh", "polygons of other places", strange))
    if lost := len(codes) - len({feature["properties"]["code"] for feature in kept}):
        report.warnings.append(("mesh", "places without boundaries", lost))
    report.sources["mesh"] = {"file": str(path), "bytes": path.stat().st_size}
    return json.dumps({"type": "FeatureCollection", "features": kept}, ensure_ascii=False)


def _code(feature: Any, where: str, hint: str) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    for name in _NAMES:
        if isinstance(properties, dict) and properties.get(name) is not None:
            value = properties[name]
            return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    raise SchemaError(f"{where}: expected a property with the place's code, received {properties}", hint)


def _check_degrees(feature: Any, where: str, hint: str) -> None:
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        kind = geometry.get("type") if isinstance(geometry, dict) else geometry
        raise SchemaError(f"{where}: expected a Polygon or MultiPolygon, received {kind}", hint)
    corner: Any = geometry.get("coordinates")
    try:
        while isinstance(corner[0], list):
            corner = corner[0]
        longitude, latitude = float(corner[0]), float(corner[1])
    except (TypeError, IndexError, ValueError):
        raise SchemaError(f"{where}: expected corners, received {corner!r}", hint) from None
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise SchemaError(f"{where}: expected degrees, received the corner ({longitude}, {latitude})", hint)
