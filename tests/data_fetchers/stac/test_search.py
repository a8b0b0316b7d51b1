"""Searches of the local STAC API, and its faults."""

import datetime as dt

import pytest

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.source import RetryableError, fetch_request
from data_fetchers.stac.search import search
from data_fetchers.stac.source import Stac
from yieldcast.errors import ConfigError, FetchError

QUERY = {"collections": ["sentinel-2-l2a"], "bbox": [-56, -13, -55, -11],
         "datetime": "2020-11-01T00:00:00Z/2020-12-31T23:59:59Z"}  # fmt: skip
BOX = (-56.0, -13.0, -55.0, -11.0)


@pytest.fixture
def root(world, stac_server):
    for day in range(10, 15):
        world.item(f"item-{day}", "sentinel-2-l2a", f"2020-11-{day}", {"red": "{base}/files/x.tif"}, box=BOX)
    world.item("other", "hls2-s30", "2020-11-11", {"B04": "{base}/files/x.tif"}, box=BOX)
    world.item("late", "sentinel-2-l2a", "2021-01-11", {"red": "{base}/files/x.tif"}, box=BOX)
    return world.serve(stac_server)


def ids(features):
    return [one["id"] for one in features]


EXPECTED = [f"item-{day}" for day in range(10, 15)]


@pytest.mark.parametrize("post", [True, False], ids=["POST", "GET"])
def test_all_pages_are_read(root, stac_server, post):
    stac_server.set(post=post)
    assert ids(search(root, QUERY)) == EXPECTED
    methods = [one["method"] for one in stac_server.log()]
    assert methods == (["POST"] * 3 if post else ["POST", "GET", "GET", "GET"])


def test_another_client_finds_the_same(root):
    client = pytest.importorskip("pystac_client").Client.open(root)
    found = client.search(collections=QUERY["collections"], bbox=QUERY["bbox"], datetime=QUERY["datetime"])
    assert sorted(one.id for one in found.items()) == ids(search(root, QUERY))


@pytest.mark.parametrize(
    "fault",
    [{"kind": "html"}, {"kind": "status", "status": 503}, {"kind": "status", "status": 429}, {"kind": "cut"},
     {"kind": "empty"}, {"kind": "body", "body": "[]"}, {"kind": "body", "body": "{\"type\": 1}"},
     {"kind": "lose"}],
    ids=lambda one: one.get("body", str(one.get("status", one["kind"]))),
)  # fmt: skip
def test_faults_that_go_away_are_survived(root, stac_server, tmp_path, quick, fault):
    stac_server.faults({**fault, "match": "POST /search"})
    source = Stac(root, "sentinel-2-l2a")
    (request,) = source.searches(BOX, dt.date(2020, 11, 1), dt.date(2020, 12, 31))
    RequestCache(tmp_path / "cache").make()
    outcome = fetch_request(source, request, tmp_path / "cache", quick)
    assert outcome.error is None
    assert (outcome.tries, outcome.record["items"]) == (2, 5)
    assert [one.name for one in source.items(RequestCache(tmp_path / "cache").path(request))] == EXPECTED


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"kind": "loop"}, "same page again"), ({"kind": "elsewhere"}, "elsewhere.invalid: refused"),
        ({"kind": "status", "status": 400}, "answered 400"), ({"kind": "huge"}, "more than"),
        ({"kind": "body", "body": "{\"features\": [{\"no\": \"id\"}]}"}, "items with an id"),
        ({"kind": "redirect", "to": "http://elsewhere.invalid/"}, "elsewhere.invalid"),
    ],
    ids=lambda one: one["kind"] if isinstance(one, dict) else "",
)  # fmt: skip
def test_faults_that_stay_are_errors(root, stac_server, fault, text):
    stac_server.faults({**fault, "match": "/search", "times": 99})
    with pytest.raises(FetchError, match=text) as caught:
        search(root, QUERY)
    assert not isinstance(caught.value, RetryableError)


def test_a_lost_item_is_noticed_by_the_count(root, stac_server):
    stac_server.faults({"match": "POST /search", "kind": "lose"})
    with pytest.raises(RetryableError, match="expected 5 items, received 4"):
        search(root, QUERY)
    stac_server.set(matched=False)
    assert ids(search(root, QUERY)) == EXPECTED


def test_an_address_that_is_no_catalogue_says_so(root):
    with pytest.raises(FetchError, match="404") as caught:
        search(f"{root}/nowhere", QUERY)
    assert "root of a STAC API" in caught.value.hint


@pytest.mark.parametrize(
    ("catalogue", "text"), [("earth-search", "has no hls2-s30"), ("my-catalogue", "name or address")]
)
def test_catalogues_that_do_not_fit(catalogue, text):
    with pytest.raises(ConfigError, match=text):
        Stac(catalogue, "hls2-s30")


def test_searches_of_an_earlier_day_are_sent_again(root, now):
    source = Stac(root, "cop-dem-glo-30")
    halves = source.searches((179.0, 0.0, -179.0, 1.0), now.date(), now.date())
    assert [one.parameters["query"] for one in halves] == [
        {"collections": ["cop-dem-glo-30"], "bbox": [179, 0, 180, 1]},
        {"collections": ["cop-dem-glo-30"], "bbox": [-180, 0, -179, 1]},
    ]
    record = {"fetched": now.isoformat()}
    assert not source.stale(halves[0], record, now.date())
    assert source.stale(halves[0], record, now.date() + dt.timedelta(1))
