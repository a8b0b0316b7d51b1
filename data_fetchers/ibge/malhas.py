"""IBGE's answers about places: Localidades (names and states), Malhas (centroids and polygons).

Shapes: shared/reference/data-sources.md, section 3.5.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request
from data_fetchers.engine.source import RetryableError


class Created(NamedTuple):
    """Year in which a municipality was installed, and codes of those that its land was taken from."""

    year: int
    parents: tuple[int, ...]


# Codes: section 3.5 [A]; years there too [B/C]. Parents: of 5101837 [B]; of the others general knowledge [C],
# their codes looked up in IBGE's list of 2018.
PARENTS: Mapping[int, Created] = {
    2206720: Created(2009, (2211001,)),  # Nazária <- Teresina
    1504752: Created(2013, (1506807,)),  # Mojuí dos Campos <- Santarém
    4212650: Created(2013, (4209409,)),  # Pescaria Brava <- Laguna
    4220000: Created(2013, (4207007,)),  # Balneário Rincão <- Içara
    4314548: Created(2013, (4302105,)),  # Pinto Bandeira <- Bento Gonçalves
    5006275: Created(2013, (5003256, 5000203, 5002951)),  # <- Costa Rica, Água Clara, Chapadão do Sul
    5101837: Created(2025, (5107925, 5106240)),  # Boa Esperança do Norte <- Sorriso, Nova Ubiratã
}


class Place(NamedTuple):
    """One municipality as Localidades has it."""

    code: int
    name: str
    state: str
    region: str


Position = tuple[float, float]  # latitude, longitude (degrees)


def area_centroid(geometry: Mapping[str, Any]) -> Position | None:
    """Latitude and longitude (degrees) of a polygon's centre of area, None for one without area.

    Args:
        geometry: GeoJSON Polygon or MultiPolygon; the first ring of a polygon is its outline, the others
            are holes, whichever way round they run.

    The formula of the shoelace, with cross_i = x_i y_(i+1) - x_(i+1) y_i:
    A = sum(cross_i) / 2 and x_c = sum((x_i + x_(i+1)) cross_i) / (6 A), y_c alike. Degrees are taken as a
    plane: over a municipality's few degrees the centre moves by less than the width of a weather cell.
    """
    polygons = geometry["coordinates"]
    polygons = [polygons] if geometry["type"] == "Polygon" else polygons
    total = np.zeros(3)
    for rings in polygons:
        for i, ring in enumerate(rings):
            total += _ring(ring) * (1 if i == 0 else -1)
    if total[0] <= 0:
        return None
    return float(total[2] / total[0]), float(total[1] / total[0])


def parse_places(answer: Any, part: Request) -> list[Place]:
    """Localidades' municipalities, sorted by code; AgainError naming what is missing."""

    def place(item: Any) -> Place:
        # Not from microrregiao: municipalities installed since 2025 have none.
        unit = item["regiao-imediata"]["regiao-intermediaria"]["UF"]
        return Place(_code(item["id"]), str(item["nome"]), str(unit["sigla"]), str(unit["regiao"]["nome"]))

    return sorted(_parsed(answer, part, place, "id, nome and regiao-imediata with its UF").values())


def parse_centroids(answer: Any, part: Request) -> dict[int, Position]:
    """Centroids (degrees) by code; AgainError for any other answer, or a centroid outside Brazil."""

    def centroid(item: Any) -> tuple[int, float, float]:
        # Numbers or texts: others' clients show both, not seen live.
        latitude, longitude = (float(item["centroide"][name]) for name in ("latitude", "longitude"))
        if not (-34 <= latitude <= 6 and -74.5 <= longitude <= -28):
            raise ValueError
        return _code(item["id"]), latitude, longitude

    if isinstance(answer, list):  # one without a centroid is as good as not there
        answer = [i for i in answer if not isinstance(i, dict) or i.get("centroide", "") is not None]
    found = _parsed(answer, part, centroid, "id and centroide in Brazil")
    return {code: (latitude, longitude) for code, (_, latitude, longitude) in found.items()}


def parse_mesh(answer: Any, part: Request) -> dict[int, dict[str, Any]]:
    """A state's geometries by code; AgainError for a feature without a codarea of that state or a polygon."""
    state = int(part.request["state"])

    def feature(item: Any) -> tuple[int, dict[str, Any]]:
        code, geometry = _code(item["properties"]["codarea"]), item["geometry"]
        polygon = geometry["type"] in ("Polygon", "MultiPolygon") and geometry["coordinates"][0]
        if code // 100_000 != state or not polygon:
            raise ValueError
        return code, geometry

    features = answer.get("features") if isinstance(answer, dict) else None
    found = _parsed(features, part, feature, f"a polygon with a 7-digit codarea of state {state}")
    return {code: geometry for code, (_, geometry) in found.items()}


def _parsed(answer: Any, part: Request, parse: Callable[[Any], Any], expected: str) -> dict[int, Any]:
    """What `parse` makes of every entry, by its first field, the code."""
    if not isinstance(answer, list) or not answer:
        raise RetryableError(
            f"{part.name}: expected a list with at least one entry, received {str(answer)[:60]}"
        )
    found: dict[int, Any] = {}
    for item in answer:
        try:
            entry = parse(item)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            text = json.dumps(item, ensure_ascii=False)[:120]
            raise RetryableError(f"{part.name}: expected {expected}, received {text}") from error
        if entry[0] in found:
            raise RetryableError(f"{part.name}: expected each municipality once, received {entry[0]} twice")
        found[entry[0]] = entry
    return found


def _ring(ring: Any) -> NDArray[np.float64]:
    points = np.asarray([p[:2] for p in ring], dtype=float)
    origin = points[0]
    x, y = (points - origin).T  # near zero, where the differences below keep their digits
    cross = x[:-1] * y[1:] - x[1:] * y[:-1]
    area = cross.sum() / 2
    moments = np.array([((x[:-1] + x[1:]) * cross).sum(), ((y[:-1] + y[1:]) * cross).sum()]) / 6
    sign = 1.0 if area >= 0 else -1.0
    return np.array([area, *(moments + area * origin)]) * sign


def _code(value: Any) -> int:
    text = str(value)
    if len(text) != 7 or not text.isdecimal():
        raise ValueError(f"{text!r} is not a code of 7 digits")
    return int(text)
