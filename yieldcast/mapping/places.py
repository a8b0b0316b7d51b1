"""Polygons of places for areas of maps: the mesh of a store, or a GeoJSON file with their codes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from yieldcast.data.boundaries import boundaries_of, read_geojson
from yieldcast.data.store import Store
from yieldcast.data.store_files import MANIFEST
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.mapping.areas import polygons_ha
from yieldcast.mapping.zones import only_polygons, rings_of


class Places(NamedTuple):
    """Places with polygons.

    Args:
        shapes: shapely geometry by code, in the order of the codes.
        names: by code, empty where the mesh has none.
        hectares: area of the polygons by code.
    """

    shapes: Mapping[int, Any]
    names: Mapping[int, str]
    hectares: Mapping[int, float]


def read_places(path: Path, code: str | None = None) -> Places:
    """Places of a mesh.

    Args:
        path: GeoJSON in degrees, longitude first, or a store, of which the mesh is taken.
        code: property with the codes; None for ``code`` or, where there is none, the first property that is
            a whole number and different in every place.

    Raises:
        ConfigError: shapely is not installed, or no such property.
        MissingDataError: no such file, or a store without boundaries.
        SchemaError: not a mesh of polygons, or polygons that cross themselves.
    """
    file = path
    if (path / MANIFEST).is_file():
        mesh = Store.open(path, damaged=True).mesh
        if mesh is None:
            raise MissingDataError(
                f"the store {path} has no boundaries", "Run yieldcast fetch places, or import --mesh FILE."
            )
        file = mesh
    content = read_geojson(file)
    name = code or _property(content["features"], file)
    features = [_with_code(feature, name, file) for feature in content["features"]]
    try:
        shapely = importlib.import_module("shapely")
    except ImportError as error:
        raise ConfigError(
            "polygons need shapely, which is not installed", "pip install 'yieldcast[geo]'"
        ) from error
    parts: dict[int, list[Any]] = {}
    names: dict[int, str] = {}
    for one in boundaries_of({**content, "features": features}, f"mesh {file.name}"):
        made = [shapely.Polygon(outline, holes) for outline, *holes in one.polygons]
        parts.setdefault(one.code, []).extend(shapely.make_valid(shape) for shape in made)
        names[one.code] = one.name
    shapes = {c: only_polygons(shapely.union_all(parts[c]), shapely) for c in sorted(parts) if parts[c]}
    hectares = {c: polygons_ha(rings_of(shape, shapely)) for c, shape in shapes.items()}
    if not shapes:
        raise SchemaError(f"{file}: expected polygons, received none", "Is it the right file?")
    return Places(shapes, names, hectares)


def _property(features: list[Any], file: Path) -> str:
    try:
        columns = [feature["properties"] for feature in features]
        if features and all("code" in one for one in columns):
            return "code"
        for name in columns[0] if columns else ():
            texts = [str(one.get(name)).strip() for one in columns]
            if all(text.isdigit() for text in texts) and len(set(texts)) == len(texts):
                return str(name)
    except (TypeError, KeyError, AttributeError) as error:
        raise SchemaError(
            f"{file}: expected features with properties ({error!r})", "Is it GeoJSON of polygons?"
        ) from error
    held = ", ".join(map(str, columns[0])) if columns else "no features"
    raise SchemaError(
        f"{file}: expected a property with the code of each place, received {held}",
        "Name it with --code, or give the store that has these places: codes must be whole numbers.",
    )


def _with_code(feature: Mapping[str, Any], name: str, file: Path) -> dict[str, Any]:
    properties = dict(feature["properties"])
    text = str(properties.get(name, "")).strip()
    if not text.removesuffix(".0").isdigit() or int(text.removesuffix(".0")) >= 2**31:
        raise SchemaError(
            f"{file}: expected a whole number as {name} of every place, received {text!r}",
            "Name another property with --code, or give the store that has these places.",
        )
    return {**feature, "properties": {**properties, "code": int(text.removesuffix(".0"))}}
