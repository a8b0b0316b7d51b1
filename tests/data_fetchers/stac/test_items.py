"""Which items are taken: public, clear, newest."""

import datetime as dt

import pytest

from data_fetchers.stac.collections import COLLECTIONS
from data_fetchers.stac.items import choose, item_of
from yieldcast.errors import FetchError

S2 = "sentinel-2-l2a"
FIRST, LAST = dt.date(2020, 11, 1), dt.date(2020, 12, 31)
TILE = [-55.6, -12.1, -54.6, -11.1]


def item(name, when="2020-11-10T13:32:21Z", *, collection=S2, bbox=TILE, **properties):
    known = {"datetime": when, "platform": "sentinel-2a", "grid:code": "MGRS-21LXH"}
    feature = {"id": name, "bbox": bbox, "properties": {**known, **properties},
               "assets": {"red": {"href": "http://x/red.tif"}, "empty": {}}}  # fmt: skip
    return item_of(feature, collection, COLLECTIONS[collection])


def names(items, as_of=None, cloud=100.0):
    return [one.name for one in choose(items, as_of, cloud, FIRST, LAST).items]


@pytest.mark.parametrize(
    ("properties", "day"),
    [
        ({"published": "2020-11-12T00:00:00Z", "updated": "2024-01-01T00:00:00Z"}, "2020-11-12"),
        ({"created": "2020-11-15T00:00:00Z"}, "2020-11-15"),
        ({"created": "2020-11-15T00:00:00Z", "updated": "2020-12-24T23:30:00-02:00"}, "2020-12-25"),
        ({}, "2020-11-12"),  # two days after the image
    ],
)
def test_the_day_of_publication_holds_back_what_came_later(properties, day):
    one, day = item("a", **properties), dt.date.fromisoformat(day)
    assert one.published == day
    assert names([one], day) == ["a"]
    assert names([one], day - dt.timedelta(1)) == []


def test_a_composite_lies_in_the_middle_of_its_days():
    one = item("MOD13Q1.A2020305", None, collection="modis-13Q1-061",
               start_datetime="2020-10-31T00:00:00Z", end_datetime="2020-11-15T23:59:59Z")  # fmt: skip
    assert one.moment.date() == dt.date(2020, 11, 7)


def test_clouds_and_season():
    items = [item("a", **{"eo:cloud_cover": 80.0}), item("b", **{"eo:cloud_cover": 80.1}),
             item("c", "2021-01-01T00:00:00Z"), item("d", "2020-11-20T00:00:00Z")]  # fmt: skip
    found = choose(items, None, 80.0, FIRST, LAST)
    assert [one.name for one in found.items] == ["a", "d"]
    assert (found.later, found.cloudy, found.replaced) == (0, 1, 0)


def test_the_newest_processing_replaces_the_others():
    old = item("old", **{"s2:processing_baseline": "02.14"})
    new = item("new", **{"s2:processing_baseline": "05.00", "created": "2023-05-01T00:00:00Z"})
    again = item("again", **{"s2:processing_baseline": "05.00", "created": "2023-06-01T00:00:00Z"})
    assert names([new, again, old]) == ["again"]
    # the later processings were not public: the old one is not lost with them
    assert names([new, again, old], dt.date(2023, 5, 10)) == ["new"]
    assert names([new, again, old], dt.date(2021, 1, 1)) == ["old"]


def test_two_parts_of_a_tile_two_satellites_and_two_tiles_stay():
    parts = [
        item("left", bbox=[-55.6, -12.1, -55.0, -11.1]),
        item("right", bbox=[-55.1, -12.1, -54.6, -11.1]),
    ]
    others = [item("b", platform="sentinel-2b"), item("c", **{"grid:code": "MGRS-21LXJ"})]
    assert sorted(names([*parts, *others])) == ["b", "c", "left", "right"]


def test_boxes_with_heights_and_items_without_dates():
    assert item("a", bbox=[-55.6, -12.1, 0, -54.6, -11.1, 900]).box == tuple(TILE)
    assert item("a", bbox=None).box is None
    assert dict(item("a").assets) == {"red": "http://x/red.tif"}
    with pytest.raises(FetchError, match="expected a date"):
        item("a", None)
    with pytest.raises(FetchError, match="properties and assets"):
        item_of({"id": "a"}, S2, COLLECTIONS[S2])
