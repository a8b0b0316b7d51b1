"""Data of a place's panel: packed yields and bulletins, read back by hand."""

import base64

import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.forecasting.public_past import PublicYields
from yieldcast.reporting.html_past import bulletin_columns, past_columns


def numbers(text: str) -> list[int]:
    """LEB128, see `html_map.varints`."""
    found, value, place = [], 0, 0
    for byte in base64.b64decode(text):
        value |= (byte & 0x7F) << place
        place += 7
        if not byte & 0x80:
            found.append(value)
            value = place = 0
    return found


@pytest.fixture(scope="module")
def forecast():
    return synthetic_forecast(parts=True)


def test_yields_follow_the_places_of_the_forecast(forecast):
    codes = forecast["municipality"].values.astype(np.int64)
    own = np.full((3, 2), np.nan)
    own[0], own[2] = (1234.4, 0.0), (70_000.0, np.nan)
    past = PublicYields(2015, codes[[1, 2, 5]], own, ("all", "PR"), np.array([[2999.6, np.nan], [1.0, 2.0]]))
    found = past_columns(forecast, past)
    assert (found["first_year"], found["years"]) == (2015, 2)
    values = np.reshape(numbers(found["places"]), (-1, 2))
    assert values[[0, 1, 2, 5]].tolist() == [[0, 0], [1235, 1], [0, 0], [70_001, 0]]
    assert found["aggregates"] == [[3000, None], [None, None], [1, 2], [None, None]]  # all, MT, PR, RS


def test_no_yields_are_none(forecast):
    empty = PublicYields(2015, np.array([1]), np.empty((1, 0)), ("all",), np.empty((1, 0)))
    assert past_columns(forecast, None) is past_columns(forecast, empty) is None


def test_bulletins_follow_the_places_of_the_forecast(forecast):
    first = synthetic_forecast(as_of="2017-09-15", parts=True).isel(municipality=slice(1, None))
    second = synthetic_forecast(as_of="2017-10-15", shift_kg_ha=70.0, parts=True)
    found = bulletin_columns(forecast, [first, second])
    assert found["dates"] == ["2017-09-15", "2017-10-15"]
    values = np.reshape(numbers(found["places"]), (-1, 2, 3))
    assert values[0, 0].tolist() == [0, 0, 0]
    wanted = np.rint(second["yield_kg_ha"].values[:, [0, 3, 6]]).astype(int)
    assert (values[:, 1] - 1).tolist() == wanted.tolist()
    water = found["parts"].index("water_so_far")
    moved = [(n >> 1) ^ -(n & 1) for n in numbers(found["moved"])]
    steps = np.reshape(moved, (-1, 2, len(found["parts"])))[:, :, water]
    assert steps[0].tolist() == pytest.approx([0, -70], abs=1)
    assert np.abs(steps[1:] - [70, -70]).max() <= 1
    assert np.array(found["moved_aggregates"])[:, 1, water].tolist() == pytest.approx([-70] * 4, abs=1)


def test_the_first_bulletin_has_none_before_it(forecast):
    found = bulletin_columns(forecast, [])
    assert (found["dates"], found["places"], found["parts"], found["moved"]) == ([], "", [], "")


def test_bulletins_without_parts_have_medians_only(forecast):
    found = bulletin_columns(forecast, [synthetic_forecast(as_of="2017-10-15")])
    assert found["parts"] == []
    assert len(numbers(found["places"])) == 3 * forecast.sizes["municipality"]
