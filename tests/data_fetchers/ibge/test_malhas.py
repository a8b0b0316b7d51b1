"""IBGE's answers on places: centroids of polygons, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_fetchers.engine.cache import Request
from data_fetchers.engine.source import RetryableError
from data_fetchers.ibge.malhas import area_centroid, parse_centroids, parse_mesh, parse_places


def test_area_centroid_by_hand():
    # An L of a 2 x 2 square without its upper right quarter: squares centred at (0.5, 0.5), (1.5, 0.5),
    # (0.5, 1.5), so x = y = 2.5 / 3
    corner = [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2], [0, 0]]
    assert area_centroid({"type": "Polygon", "coordinates": [corner]}) == pytest.approx((5 / 6, 5 / 6))
    # 3 x 3 around (1.5, 1.5), a hole of 1 x 1 around (0.5, 0.5): (9 * 1.5 - 0.5) / 8 = 1.625
    outline = [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]]
    hole = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    assert area_centroid({"type": "Polygon", "coordinates": [outline, hole]}) == pytest.approx((1.625, 1.625))
    # 1 x 1 around (0.5, 0.5) and 2 x 1 around (lon 11, lat 0.5): lon (0.5 + 2 * 11) / 3 = 7.5
    island = [[10, 0], [12, 0], [12, 1], [10, 1], [10, 0]]
    both = {"type": "MultiPolygon", "coordinates": [[hole], [island]]}
    assert area_centroid(both) == pytest.approx((0.5, 7.5))
    assert area_centroid({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}) is None


@given(
    st.lists(st.tuples(st.floats(0.5, 3), st.floats(0, 6.28)), min_size=3, max_size=12),
    st.floats(-60, -40),
    st.floats(-30, 0),
)
def test_area_centroid_moves_with_its_polygon_and_turns_either_way(corners, lon, lat):
    corners = sorted(corners, key=lambda c: c[1])
    ring = [[r * np.cos(a), r * np.sin(a)] for r, a in corners]
    ring.append(ring[0])
    here = area_centroid({"type": "Polygon", "coordinates": [ring]})
    moved = [[x + lon, y + lat] for x, y in reversed(ring)]
    there = area_centroid({"type": "Polygon", "coordinates": [moved]})
    area = abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)))
    if area > 1e-3:
        assert there == pytest.approx((here[0] + lat, here[1] + lon), abs=1e-6)


PART = Request("ibge", "x", {"kind": "mesh", "state": 51})


@pytest.mark.parametrize(
    ("parse", "answer", "names"),
    [
        (parse_places, [], "at least one"),
        (parse_places, {"message": "erro"}, "erro"),
        (parse_places, [{"id": 5107925, "nome": "Sorriso"}], "regiao-imediata"),
        (parse_centroids, [{"id": "5107925", "centroide": {"latitude": -55, "longitude": -12}}], "in Brazil"),
        (parse_centroids, [{"id": "510792", "centroide": {"latitude": -12, "longitude": -55}}], "510792"),
        (parse_centroids, [{"id": "5107925", "centroide": {"latitude": "nan", "longitude": -55}}], "nan"),
        (parse_centroids, [{"id": "5107925", "centroide": {"latitude": -12, "longitude": -55}}] * 2, "twice"),
        (parse_mesh, {"type": "FeatureCollection", "features": []}, "at least one"),
        (parse_mesh, [{"codarea": "5107925"}], "at least one"),
        (parse_mesh, {"features": [{"properties": {"codarea": "5107925"}, "geometry": None}]}, "polygon"),
        (
            parse_mesh,
            {"features": [{"properties": {"codarea": "51"}, "geometry": {"type": "Polygon"}}]},
            "codarea",
        ),
        (
            parse_mesh,
            {
                "features": [
                    {
                        "properties": {"codarea": "4107925"},
                        "geometry": {"type": "Polygon", "coordinates": [[[0, 0]]]},
                    }
                ]
            },
            "state 51",
        ),
    ],
)
def test_strange_answers_are_refused_and_named(parse, answer, names):
    with pytest.raises(RetryableError, match=names):
        parse(answer, PART)


def test_coordinates_may_be_texts_and_a_centroid_may_be_null():
    answer = [
        {"id": 5107925, "centroide": {"latitude": "-12.5", "longitude": "-55.7"}},
        {"id": "5101837", "centroide": None},
    ]
    assert parse_centroids(answer, PART) == {5107925: (-12.5, -55.7)}
