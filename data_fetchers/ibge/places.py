"""Makes the table of places and the boundaries from cached answers of IBGE (Localidades and Malhas).

Localidades decides which municipalities exist: centroids and polygons are joined to it by the 7-digit code,
because a new municipality can be missing in the mesh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.constants import Area
from data_fetchers.engine.source import Note
from data_fetchers.ibge.malhas import (
    PARENTS,
    Place,
    Position,
    area_centroid,
    parse_centroids,
    parse_mesh,
    parse_places,
)
from data_fetchers.ibge.sidra import FETCH_PLACES, STATES, read_answer
from data_fetchers.ibge.source import Ibge
from yieldcast.data.schema import check_static, set_units
from yieldcast.errors import ConfigError, FetchError, MissingDataError

# IBGE's mesh has the two lagoons of Rio Grande do Sul as if they were municipalities.
_LAGOONS = frozenset({4300001, 4300002})
# Localidades and the centroids cover the same country, so each shows whether the other is complete. They
# differ by few new municipalities; larger differences than these are refused (our choice).
# North, west, south, east of all places, in whole degrees: from Roraima to Rio Grande do Sul and from Acre to
# Fernando de Noronha (32.4 W).
BRAZIL: Area = (6.0, -74.0, -34.0, -32.0)
_UNLISTED = 5  # most municipalities with a centroid that are not in Localidades
_UNCENTRED = 20  # most municipalities in Localidades without a centroid
_UNDRAWN = 0.05  # largest share of a state's municipalities without a polygon


def state_codes(states: Sequence[str] | None) -> list[int]:
    """IBGE's codes of states, sorted, e.g. MT -> 51.

    Args:
        states: abbreviations in any case, or None for all 27.

    Raises:
        ConfigError: one that is not a state.
    """
    if states is None:
        return sorted(STATES.values())
    unknown = sorted({s for s in states if s.upper() not in STATES})
    if unknown:
        raise ConfigError(
            f"expected abbreviations of Brazilian states, received {unknown}",
            f"Choose from: {', '.join(sorted(STATES))}.",
        )
    return sorted({STATES[s.upper()] for s in states})


def first_outside_brazil(static: xr.Dataset) -> str:
    """The first place whose code, state or position is not that of a Brazilian municipality; empty if none.

    Args:
        static: table of places.
    """
    codes, states = static["municipality"].values, static["state"].values.astype(str)
    own = np.array([STATES.get(state, 0) for state in states], dtype=np.int64)
    north, west, south, east = BRAZIL
    latitude, longitude = static["latitude_deg"].values, static["longitude_deg"].values
    inside = (latitude <= north) & (latitude >= south - 1) & (longitude >= west - 1) & (longitude <= east + 4)
    others = np.flatnonzero((codes // 100_000 != own) | ~inside)
    if not others.size:
        return ""
    first = static.isel(municipality=int(others[0]))
    return f"{first['name'].item()} ({int(first['municipality'])}, {first['state'].item()})"


def municipality_counts(cache: RequestCache, ibge: Ibge) -> dict[int, int]:
    """Number of municipalities per state code, by Localidades.

    Raises:
        MissingDataError: the answers to `Ibge.place_requests` are not cached.
        FetchError: one of them is incomplete, see `read_places`.
    """
    places, _centroids = _agreed(cache, ibge)
    return dict(sorted(Counter(p.code // 100_000 for p in places).items()))


def read_places(
    cache: RequestCache, ibge: Ibge, states: Sequence[str] | None
) -> tuple[xr.Dataset, list[Note]]:
    """The table of places of some states, without soil.

    Args:
        cache: holds the answers to `ibge.place_requests`; those to `ibge.mesh_requests` are used if present.
        ibge: the source.
        states: abbreviations, or None for all.

    Returns:
        dim municipality (int32, sorted); texts code (7 digits), name, state (abbreviation) and region
        (name); latitude_deg, longitude_deg (float64): centroid stated by IBGE, else centroid of the polygon,
        else mean centroid of the municipalities it was separated from. Also notes.

    Raises:
        MissingDataError: no cached answer, or no municipality with a position.
        FetchError: Localidades or the centroids lack too many municipalities; the incomplete answer is
            removed from the cache, so that the next run requests it again.
        ConfigError: an unknown state.
    """
    everywhere, centroids = _agreed(cache, ibge)
    places = _of_states(everywhere, states)
    positions, notes = _positions(cache, ibge, places, centroids)
    kept = [p for p in places if p.code in positions]
    if not kept:
        raise MissingDataError(f"IBGE lists no municipality with a position in {states or 'Brazil'}")
    notes += _recent(kept) + _unlisted(everywhere, centroids, states)
    columns = {
        "code": [str(p.code) for p in kept],
        "name": [p.name for p in kept],
        "state": [p.state for p in kept],
        "region": [p.region for p in kept],
        "latitude_deg": np.array([positions[p.code][0] for p in kept]),
        "longitude_deg": np.array([positions[p.code][1] for p in kept]),
    }
    ds = xr.Dataset(
        {name: ("municipality", values) for name, values in columns.items()},
        coords={"municipality": np.array([p.code for p in kept], dtype=np.int32)},
        attrs={"source": "IBGE Malhas", "licence": ibge.licence, "attribution": ibge.attribution},
    )
    return check_static(set_units(ds)), notes


def read_mesh(
    cache: RequestCache, ibge: Ibge, states: Sequence[str] | None
) -> tuple[dict[str, Any], list[Note]]:
    """Polygons of the municipalities as one GeoJSON FeatureCollection, sorted by code.

    Args:
        cache: holds the answers to `ibge.place_requests` and `ibge.mesh_requests`.
        ibge: the source.
        states: abbreviations, or None for every state in Localidades.

    Returns:
        features with the properties code (7-digit text), name and state; SIRGAS 2000 (EPSG:4674), which
        differs from WGS84 by less than a metre; and notes.

    Raises:
        MissingDataError: the answer of Localidades is not cached.
        FetchError: the mesh of a state lacks more than 5 % of its municipalities; it is removed from the
            cache.
        ConfigError: an unknown state.
    """
    places = {p.code: p for p in _of_states(_places(cache, ibge), states)}
    geometries, notes = _geometries(cache, ibge, sorted({c // 100_000 for c in places}))
    notes += _undrawn(cache, ibge, places, geometries)
    features = [
        {
            "type": "Feature",
            "properties": {"code": str(code), "name": place.name, "state": place.state},
            "geometry": geometries[code],
        }
        for code, place in places.items()
        if code in geometries
    ]
    others = sorted(set(geometries) - set(places))
    if others:
        text = f"polygons left out, their codes are not in Localidades: {_few(others)}"
        notes.append(Note("places", text, len(others)))
    return {"type": "FeatureCollection", "features": features}, notes


def _places(cache: RequestCache, ibge: Ibge) -> list[Place]:
    request = ibge.place_requests()[0]
    return parse_places(read_answer(cache, request), request)


def _agreed(cache: RequestCache, ibge: Ibge) -> tuple[list[Place], dict[int, Position]]:
    """Places and centroids; FetchError when one lacks too many municipalities of the other."""
    request = ibge.place_requests()[1]
    places, centroids = _places(cache, ibge), parse_centroids(read_answer(cache, request), request)
    listed = {p.code for p in places}
    unlisted, uncentred = set(centroids) - listed - _LAGOONS, listed - set(centroids)
    counts = f"Localidades lists {len(listed)} municipalities, the mesh has centroids of {len(centroids)}"
    if len(unlisted) > _UNLISTED:
        text = f"{counts}; {len(unlisted)} are not in Localidades"
        raise _discard(cache, [ibge.place_requests()[0]], text)
    if len(uncentred) > _UNCENTRED:
        raise _discard(cache, [request], f"{counts}; {len(uncentred)} have no centroid")
    return places, centroids


def _discard(cache: RequestCache, requests: Iterable[Request], text: str) -> FetchError:
    """Remove incomplete answers from the cache; return the error to raise."""
    names = []
    for request in requests:
        cache.forget(request)
        names.append(request.name)
    hint = f"The incomplete answers were discarded ({', '.join(names)}). Fetch again: {FETCH_PLACES}."
    return FetchError(f"IBGE sent incomplete places: {text}", hint)


def _unlisted(
    places: Iterable[Place], centroids: Mapping[int, Position], states: Sequence[str] | None
) -> list[Note]:
    chosen = set(state_codes(states))
    codes = sorted(set(centroids) - {p.code for p in places} - _LAGOONS)
    codes = [code for code in codes if code // 100_000 in chosen]
    text = f"municipalities with a centroid that Localidades does not list, left out: {_few(codes)}"
    return [Note("places", text, len(codes))] if codes else []


def _undrawn(
    cache: RequestCache, ibge: Ibge, places: Mapping[int, Place], geometries: Mapping[int, Any]
) -> list[Note]:
    """Notes on municipalities without a polygon in fetched states; FetchError for too many of them."""
    fetched = {code // 100_000 for code in geometries}
    without = [p for c, p in places.items() if c not in geometries and c // 100_000 in fetched]
    new = [p for p in without if p.code in PARENTS]
    old = [p for p in without if p.code not in PARENTS]
    total, lost = Counter(c // 100_000 for c in places), Counter(p.code // 100_000 for p in old)
    if incomplete := sorted(uf for uf in lost if lost[uf] > _UNDRAWN * total[uf]):
        counts = [f"{total[uf] - lost[uf]} of {total[uf]} municipalities of state {uf}" for uf in incomplete]
        raise _discard(cache, ibge.mesh_requests(incomplete), f"polygons of {', '.join(counts)}")
    kinds = (("new municipalities", new, False), ("municipalities", old, True))
    return [
        Note("places", f"{kind} without a polygon: {_named(group)}", len(group), missing=missing)
        for kind, group, missing in kinds
        if group
    ]


def _of_states(places: Iterable[Place], states: Sequence[str] | None) -> list[Place]:
    codes = set(state_codes(states))
    return [p for p in places if p.code // 100_000 in codes]


def _positions(
    cache: RequestCache, ibge: Ibge, places: Sequence[Place], centroids: Mapping[int, Position]
) -> tuple[dict[int, Position], list[Note]]:
    found = {p.code: centroids[p.code] for p in places if p.code in centroids}
    without = [p for p in places if p.code not in found]
    notes = []
    geometries = _geometries(cache, ibge, sorted({p.code // 100_000 for p in without}))[0]
    for place in without:
        parents = PARENTS[place.code].parents if place.code in PARENTS else ()
        near = [centroids[code] for code in parents if code in centroids]
        centre = area_centroid(geometries[place.code]) if place.code in geometries else None
        if centre is not None:
            found[place.code], how = centre, "computed from its polygon"
        elif near:
            found[place.code] = float(np.mean([n[0] for n in near])), float(np.mean([n[1] for n in near]))
            how = f"taken from {_few(parents)}, which it was separated from"
        else:
            how = "unknown: left out"
        text = f"IBGE gives no centroid for {_named([place])}; its position is {how}"
        notes.append(Note("places", text, 1, missing=place.code not in found))
    return found, notes


def _geometries(
    cache: RequestCache, ibge: Ibge, codes: Sequence[int]
) -> tuple[dict[int, dict[str, Any]], list[Note]]:
    geometries: dict[int, dict[str, Any]] = {}
    notes = []
    for request in ibge.mesh_requests(codes):
        if cache.verified(request) is None:
            notes.append(Note("places", f"polygons of {request.name} have not been fetched", 1, missing=True))
        else:
            geometries |= parse_mesh(read_answer(cache, request), request)
    return geometries, notes


def _recent(places: Sequence[Place]) -> list[Note]:
    recent = [p for p in places if p.code in PARENTS]
    if not recent:
        return []
    names = ", ".join(f"{p.name} ({p.code}, {PARENTS[p.code].year})" for p in recent)
    text = f"created since 2009: their series start late and those of their parents shrink: {names}"
    return [Note("places", text, len(recent))]


def _named(places: Sequence[Place]) -> str:
    return _few([f"{p.name} ({p.code})" for p in places])


def _few(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:5])) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
