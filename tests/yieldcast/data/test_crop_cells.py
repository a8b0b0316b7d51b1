"""Weather over cropped cells, month by month, by hand."""

import numpy as np
import pytest
import xarray as xr
from factories import synthetic_crop_weights

from yieldcast.data import crop_cells
from yieldcast.data.crop_cells import CropChoice, locate, take
from yieldcast.data.crop_weights import check_crop_weights
from yieldcast.errors import ConfigError, SchemaError

LATITUDE, LONGITUDE = np.array([-11.75, -12.0, -12.25]), np.array([-55.5, -55.25, -55.0])
MESH = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature", "properties": {"code": code},
            "geometry": {"type": "Polygon", "coordinates": [[(w, s), (e, s), (e, n), (w, n), (w, s)]]},
        }
        for code, w, s, e, n in (
            (7, -55.625, -12.125, -54.875, -11.875), (9, -55.125, -12.375, -54.875, -12.125)
        )
    ],
}  # fmt: skip
STATIC = xr.Dataset(
    {"latitude_deg": ("municipality", [-12.0, -12.25]), "longitude_deg": ("municipality", [-55.25, -55.0])},
    {"municipality": np.array([7, 9], np.int32)},
)
LAND = np.ones((3, 3), bool)


@pytest.fixture
def weights():
    """Place 7: 2018 3/4 at 55.5 W and 1/4 at 55.25 W; 2020 all at 55.25 W. Place 9 has no crop."""
    return synthetic_crop_weights(
        {2018: {7: {(312, 498): 30.0, (312, 499): 10.0}}, 2020: {7: {(312, 499): 20.0}}}, [7, 9]
    )


def field(months):
    """10, 20, 30 from west to east, and 1 more each month."""
    values = np.broadcast_to(np.array([10.0, 20.0, 30.0]), (len(months), 3, 3))
    return (values + np.arange(len(months))[:, None, None]).astype(np.float32)


def test_each_month_takes_the_newest_map_known_on_its_first_day(weights):
    place, notes = locate(LATITUDE, LONGITUDE, LAND, STATIC, MESH, CropChoice(weights, "refuse"))
    months = np.array(["2018-09", "2020-08", "2020-09", "2020-10"], "datetime64[M]")
    got = take(field(months), months, place)
    # public from 1 September 2018 and 1 September 2020; 3/4 * 10 + 1/4 * 20 = 12.5
    assert got[0] == pytest.approx([12.5, 13.5, 22, 23])
    assert got[1] == pytest.approx([30, 31, 32, 33])  # without crop: its polygon, one cell
    assert ("municipalities without soybean in the map of 2018: mean over polygon", 1) in notes
    days = np.arange("2020-08-31", "2020-09-02", dtype="datetime64[D]")
    assert take(field(days), days, place)[0] == pytest.approx([12.5, 21])


def test_a_later_map_changes_no_earlier_month(weights):
    newer = synthetic_crop_weights(
        {
            2018: {7: {(312, 498): 30.0, (312, 499): 10.0}}, 2020: {7: {(312, 499): 20.0}},
            2021: {7: {(312, 500): 5.0}, 9: {(311, 500): 5.0}},
        },
        [7, 9],
    )  # fmt: skip
    months = np.arange("2018-09", "2021-12", dtype="datetime64[M]")
    before = months < np.datetime64("2021-09")
    one, other = (
        take(
            field(months), months, locate(LATITUDE, LONGITUDE, LAND, STATIC, MESH, CropChoice(w, "refuse"))[0]
        )
        for w in (weights, newer)
    )
    np.testing.assert_array_equal(one[:, before], other[:, before])
    assert (one[0, ~before] != other[0, ~before]).all()


def test_months_before_the_first_map(weights):
    early = np.array(["2016-01", "2018-08"], "datetime64[M]")
    with pytest.raises(ConfigError, match="months from 2018-09-01 on") as caught:
        CropChoice(weights, "refuse").refuse_before(early[1])
    assert "--weights-before first-map" in caught.value.hint
    for before, expected in (("polygon", 20), ("first-map", 12.5)):
        choice = CropChoice(weights, before)
        choice.refuse_before(early[0])
        place, notes = locate(LATITUDE, LONGITUDE, LAND, STATIC, MESH, choice)
        assert take(field(early), early, place)[0] == pytest.approx([expected, expected + 1])
        later = np.array(["2018-09"], "datetime64[M]")
        assert take(field(later), later, place)[0] == pytest.approx([12.5])
        assert any("knowledge of the future" in text for text, _ in notes) == (before == "first-map")
    assert "was not known yet" in CropChoice(weights, "first-map").text


def test_cells_in_the_sea_and_rising_latitudes(weights):
    land = LAND.copy()
    land[1, 0] = False
    months = np.array(["2019-01"], "datetime64[M]")
    values = field(months)
    values[:, 1, 0] = np.nan
    place, _ = locate(LATITUDE, LONGITUDE, land, STATIC, MESH, CropChoice(weights, "refuse"))
    assert take(values, months, place)[0] == pytest.approx([20])
    turned, _ = locate(LATITUDE[::-1], LONGITUDE, land[::-1], STATIC, MESH, CropChoice(weights, "refuse"))
    np.testing.assert_array_equal(take(values[:, ::-1], months, turned), take(values, months, place))
    assert crop_cells.has_cell(place).all()


def test_other_grids_and_places_are_refused(weights):
    choice = CropChoice(weights, "refuse")
    with pytest.raises(SchemaError, match=r"cells of 0\.25 degrees"):
        locate(
            np.array([-12.0, -12.1]), np.array([-55.5, -55.4]), np.ones((2, 2), bool), STATIC, None, choice
        )
    with pytest.raises(SchemaError, match=r"cells of 0\.25 degrees"):
        locate(LATITUDE + 0.1, LONGITUDE, LAND, STATIC, MESH, choice)
    with pytest.raises(SchemaError, match="outside the grid"):
        locate(LATITUDE, LONGITUDE[1:], LAND[:, 1:], STATIC, MESH, choice)
    other = CropChoice(synthetic_crop_weights({2018: {3: {(312, 498): 1.0}}}, [3]), "refuse")
    with pytest.raises(SchemaError, match="received none of them"):
        locate(LATITUDE, LONGITUDE, LAND, STATIC, MESH, other)


def test_the_table_is_checked(weights):
    check_crop_weights(weights)
    for change, error in (
        ({"public_from": weights["last_day"]}, "a day after the last day"),
        ({"crop_ha": weights["crop_ha"] * 2}, "the sum of the areas"),
        ({"crop_share": weights["crop_share"] * 2}, "a share of 0 to 1"),
    ):
        with pytest.raises(SchemaError, match=error):
            check_crop_weights(weights.assign(change))
