"""Which part moved a forecast, on two forecasts whose water alone differs."""

import json

import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.operations.changes import compare
from yieldcast.operations.changes_parts import compare_parts
from yieldcast.operations.changes_text import summary

CODES = np.array([4_100_103, 4_100_202, 5_100_102, 5_100_201])


def made(**more):
    return synthetic_forecast(CODES, list("ABCD"), ["PR", "PR", "MT", "MT"], **more)


@pytest.fixture(scope="module")
def pair():
    """The later one has 100 kg/ha more of water everywhere, and 20 more of the official estimate in A."""
    before = made(as_of="2017-10-15", parts=True).copy(deep=True)
    now = made(shift_kg_ha=100, parts=True).copy(deep=True)
    before["official_reference"].values[:] = ""
    now["part_official_kg_ha"].values[0] += 20
    now["part_water_so_far_kg_ha"].values[0] -= 20
    for one in (before, now):
        one["area_planted_ha"].values[:] = [300, 100, 200, 200]
    return before, now


def test_parts_of_places_states_and_the_country(pair):
    found = compare_parts(*pair)
    assert found.of_municipality("4100103") == [
        ("water_so_far", pytest.approx(80, abs=0.2)), ("official", pytest.approx(20, abs=0.2))
    ]  # fmt: skip
    assert found.of_municipality("5100201") == [("water_so_far", pytest.approx(100, abs=0.2))]
    # (300 x 80 + 100 x 100) / 400
    assert found.of_aggregate("PR")[0] == ("water_so_far", pytest.approx(85, abs=0.2))
    total = found.municipalities.sum("part").values
    np.testing.assert_allclose(total, compare(*pair).municipalities["median_change_kg_ha"], atol=0.11)


def test_the_text_names_them_in_both_languages(pair):
    found = compare(*pair)
    assert "What moved the median of the country, kg/ha: water so far +" in summary(found)
    assert "A (PR) +100 to " in summary(found)
    assert ": water so far +80, official estimate +20, rain so far " in summary(found)
    assert "official estimates of October 2017" in summary(found)
    text = summary(found, "pt")
    assert "O que mudou a mediana do país, em kg/ha: água até o momento +" in text
    assert ": água até o momento +80, estimativa oficial +20, chuva até o momento" in text
    assert "estimativas oficiais de outubro de 2017" in text
    same = compare(pair[0], pair[0])
    assert "What moved the median of the country, kg/ha: no part by 0.5 or more." in summary(same)


def test_json_holds_them_under_keys_of_their_own(pair):
    found = json.loads(json.dumps(compare(*pair).to_json(), allow_nan=False))
    assert found["parts"]["municipalities"]["official"] == [20, 0, 0, 0]
    assert found["parts"]["aggregates"]["MT"]["water_so_far"] == pytest.approx(100, abs=0.2)
    assert found["arrived"]["estimates"] == ["2017-10"]


def test_a_place_that_only_the_later_one_has(pair):
    before, now = pair
    found = compare_parts(before.isel(municipality=slice(1, None)), now)
    assert found.of_municipality("4100103") == []
    assert found.to_json()["municipalities"]["level"][0] is None


def test_a_forecast_without_parts_gives_none(pair):
    plain = made(as_of="2017-10-15")
    found = compare(plain, pair[1])
    assert found.parts is None
    assert "parts" not in found.to_json()
    assert "What moved" not in summary(found)
    assert "estimates" not in compare(plain, plain).to_json()["arrived"]
