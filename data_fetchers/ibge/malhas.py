"""Parsers of IBGE's answers on places: Localidades (names, states), Malhas (centroids, polygons)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request
from data_fetchers.engine.source import RetryableError
from yieldcast.data.boundaries import polygons_of


class Created(NamedTuple):
    """Year in which a municipality was created, and codes of the municipalities it was separated from."""

    year: int
    parents: tuple[int, ...]


# Municipalities created since 2009. Codes: IBGE's list of 2018 (5101837: Localidades). Parents of those
# created before 2025 are not verified against a published source.
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
    """One municipality of Localidades: code, name, state (abbreviation) and region (name)."""

    code: int
    name: str
    state: str
    region: str


Position = tuple[float, float]  # latitude, longitude (degrees)


def area_centroid(geometry: Mapping[str, Any]) -> Position | None:
    """Latitude and longitude (degrees) of the centroid of a polygon's area; None for an empty area.

    Args:
        geometry: GeoJSON Polygon or MultiPolygon; the first ring of a polygon is its outline, the others
            are holes, in either orientation.

    Shoelace formula, with cross_i = x_i y_(i+1) - x_(i+1) y_i:
    A = sum(cross_i) / 2 and x_c = sum((x_i + x_(i+1)) cross_i) / (6 A), likewise y_c. Degrees are treated as
    plane coordinates; over the few degrees of a municipality the error is below the width of a weather cell.
    """
    total = np.zeros(3)
    for rings in polygons_of(geometry):
        for i, ring in enumerate(rings):
            total += _ring(ring) * (1 if i == 0 else -1)
    if total[0] <= 0:
        return None
    return float(total[2] / total[0]), float(total[1] / total[0])


def parse_places(answer: Any, request: Request) -> list[Place]:
    """Municipalities of Localidades, sorted by code; RetryableError for an incomplete answer."""

    def place(item: Any) -> Place:
        # Not from microrregiao, which municipalities created since 2025 lack.
        unit = item["regiao-imediata"]["regiao-intermediaria"]["UF"]
        return Place(_code(item["id"]), str(item["nome"]), str(unit["sigla"]), str(unit["regiao"]["nome"]))

    return sorted(_parsed(answer, request, place, "id, nome and regiao-imediata with its UF").values())


def parse_centroids(answer: Any, request: Request) -> dict[int, Position]:
    """Centroids by code; RetryableError for any other answer, or a centroid outside Brazil."""

    def centroid(item: Any) -> tuple[int, float, float]:
        # Numbers or texts: other clients show both.
        latitude, longitude = (float(item["centroide"][name]) for name in ("latitude", "longitude"))
        if not (-34 <= latitude <= 6 and -74.5 <= longitude <= -28):
            raise ValueError
        return _code(item["id"]), latitude, longitude

    if isinstance(answer, list):  # entries without a centroid are ignored
        answer = [i for i in answer if not isinstance(i, dict) or i.get("centroide", "") is not None]
    found = _parsed(answer, request, centroid, "id and centroide in Brazil")
    return {code: (latitude, longitude) for code, (_, latitude, longitude) in found.items()}


def parse_mesh(answer: Any, request: Request) -> dict[int, dict[str, Any]]:
    """Geometries of a state by code; RetryableError for a feature without codarea of the state or polygon."""
    state = int(request.parameters["state"])

    def feature(item: Any) -> tuple[int, dict[str, Any]]:
        code, geometry = _code(item["properties"]["codarea"]), item["geometry"]
        polygons_of(geometry)
        if code // 100_000 != state:
            raise ValueError
        return code, geometry

    features = answer.get("features") if isinstance(answer, dict) else None
    found = _parsed(features, request, feature, f"a polygon with a 7-digit codarea of state {state}")
    return {code: geometry for code, (_, geometry) in found.items()}


def _parsed(answer: Any, request: Request, parse: Callable[[Any], Any], expected: str) -> dict[int, Any]:
    """Results of `parse` for every entry, by code (their first field).

    Raises:
        RetryableError: no list, an entry that `parse` cannot read, or a code twice.
    """
    if not isinstance(answer, list) or not answer:
        raise RetryableError(
            f"{request.name}: expected a list with at least one entry, received {str(answer)[:60]}"
        )
    found: dict[int, Any] = {}
    for item in answer:
        try:
            entry = parse(item)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            text = json.dumps(item, ensure_ascii=False)[:120]
            raise RetryableError(f"{request.name}: expected {expected}, received {text}") from error
        if entry[0] in found:
            text = f"expected each municipality once, received {entry[0]} twice"
            raise RetryableError(f"{request.name}: {text}")
        found[entry[0]] = entry
    return found


def _ring(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    origin = ring[0]
    x, y = (ring - origin).T  # near zero, where the differences below keep their digits
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
