"""SEAS5 as a source: requests, splits, and fetches through the real client."""

import datetime as dt

import numpy as np
import pytest
from seas5_store import AREA, NOVEMBER, TODAY, Store, fetched, table_of

from data_fetchers.cds.account import InvalidRequestError
from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.source import NotYetPublishedError
from data_fetchers.seas5.source import Seas5, read_seasonal
from yieldcast.errors import FetchError, MissingDataError


def test_the_request_and_the_hindcast_beside_it():
    requests, notes = Seas5(Cds(), AREA).seasonal_requests([np.datetime64("2026-11-01")], TODAY)
    forecast, hindcast = (request.parameters["inputs"] for request in requests)
    assert forecast == {
        "originating_centre": ["ecmwf"],
        "system": ["51"],
        "product_type": ["monthly_mean"],
        "variable": [
            "maximum_2m_temperature_in_the_last_24_hours",
            "minimum_2m_temperature_in_the_last_24_hours",
            "total_precipitation",
        ],
        "year": ["2026"],
        "month": ["11"],
        "leadtime_month": ["1", "2", "3", "4", "5", "6"],
        "area": list(AREA),
        "data_format": "netcdf",
        "download_format": "unarchived",
    }
    assert hindcast == {**forecast, "year": [str(year) for year in range(1993, 2017)]}
    assert requests[0].parameters["dataset"] == "seasonal-monthly-single-levels"
    assert [request.name for request in requests] == ["forecast-2026-11", "hindcast-51-m11"]
    assert not notes


def test_a_start_that_is_not_published_is_a_note_and_no_request():
    requests, notes = Seas5(Cds(), AREA).seasonal_requests([np.datetime64("2026-12")], TODAY)
    assert requests == []
    assert [(n.missing, "2026-12-07" in n.text) for n in notes] == [(True, True)]


def test_a_request_that_is_too_big_is_split_and_gives_the_same_table(tmp_path, quick, files, static):
    whole, _ = table_of(tmp_path / "whole", quick, Store(files), static, [NOVEMBER])
    store = Store(files, limit=12)  # one variable of 24 years is split into halves
    split, _ = table_of(tmp_path / "split", quick, store, static, [NOVEMBER])
    years = [len(r["year"]) for r in store.asked if len(r["variable"]) == 1]
    assert years.count(12) == 6
    assert split.equals(whole)


def test_a_split_request_with_a_missing_answer_is_not_used(tmp_path, quick, files, static):
    source, _ = fetched(tmp_path, quick, Store(files, limit=12), [NOVEMBER])
    cache = tmp_path / "seas5"
    next(cache.glob("hindcast-51-m11-2-1-*.nc")).unlink()
    with pytest.raises(MissingDataError, match="hindcast-51-m11 is missing"):
        read_seasonal(RequestCache(cache), source, [NOVEMBER], static)


def test_the_smallest_request_cannot_be_split():
    (forecast, _), _ = Seas5(Cds(), AREA).seasonal_requests([NOVEMBER], TODAY)
    source, pieces = Seas5(Cds(), AREA), [forecast]
    pieces = source.split(forecast)
    assert [len(p.parameters["inputs"]["variable"]) for p in pieces] == [1, 1, 1]
    assert source.split(pieces[0]) == []


def test_what_is_there_is_not_asked_for_again(tmp_path, quick, files):
    fetched(tmp_path, quick, Store(files), [NOVEMBER])
    again = Store(files)
    _, summary = fetched(tmp_path, quick, again, [NOVEMBER])
    assert (summary.kept, again.asked) == (2, [])


@pytest.mark.parametrize("day", ["2026-12-01", "2026-12-15", "2026-12-27", "2028-02-27"])
def test_a_new_start_that_is_refused_is_not_published_yet(set_clock, tmp_path, files, day):
    """A release may be 20 days late: the one of the 7th until the 27th."""
    set_clock(dt.datetime.fromisoformat(f"{day}T23:59+00:00"))
    source, start = (
        Seas5(Store(files, error=InvalidRequestError("invalid request")), AREA),
        np.datetime64(day, "M"),
    )
    with pytest.raises(NotYetPublishedError, match="may not be published yet"):
        source.fetch(source.forecast(start), tmp_path / "x", None)
    for request in (source.forecast(NOVEMBER), source.hindcast(start)):
        with pytest.raises(FetchError) as caught:
            source.fetch(request, tmp_path / "x", None)
        assert not isinstance(caught.value, NotYetPublishedError)


def test_a_rejected_job_is_never_called_late(set_clock, tmp_path, files):
    set_clock(dt.datetime.fromisoformat("2026-12-08T12:00+00:00"))
    source = Seas5(Store(files, error=FetchError("the job has been rejected")), AREA)
    with pytest.raises(FetchError, match="rejected") as caught:
        source.fetch(source.forecast(np.datetime64("2026-12")), tmp_path / "x", None)
    assert type(caught.value) is FetchError


@pytest.mark.parametrize("day", ["2026-12-28", "2026-12-31", "2027-01-01", "2028-02-29"])
def test_a_start_that_is_refused_long_after_its_release_is_an_error(set_clock, tmp_path, files, day):
    set_clock(dt.datetime.fromisoformat(f"{day}T00:00+00:00"))
    source = Seas5(Store(files, error=InvalidRequestError("invalid request")), AREA)
    start = np.datetime64("2028-02" if day > "2028" else "2026-12")
    with pytest.raises(FetchError) as caught:
        source.fetch(source.forecast(start), tmp_path / "x", None)
    assert not isinstance(caught.value, NotYetPublishedError)


@pytest.fixture
def cds(cds_server, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", "secret-token-123")
    return Cds(f"{cds_server.url}/api", first_poll_s=0.01, longest_poll_s=0.05)


def test_the_whole_way_through_the_real_client(tmp_path, quick, cds_server, cds, files, static):
    # The forecast's first answer lacks a member, the hindcast's job fails once, and one download is cut off.
    cds_server.faults(
        {"match": "execution", "kind": "members_missing"},
        {"match": "execution", "kind": "fail_job"},
        {"match": "object-store", "kind": "cut"},
    )
    table, _ = table_of(tmp_path / "real", quick, cds, static, [NOVEMBER])
    plain, _ = table_of(tmp_path / "plain", quick, Store(files), static, [NOVEMBER])
    assert table.equals(plain)
    posts = [e for e in cds_server.log() if e["method"] == "POST" and "execution" in e["path"]]
    assert len(posts) == 4
    assert {e["path"].split("/")[-2] for e in posts} == {"seasonal-monthly-single-levels"}


def test_a_costly_request_is_split_at_the_real_client(tmp_path, quick, cds_server, cds, files, static):
    # 24 years, 6 leads, 1 variable cost 144; the hindcast of three variables 432
    cds_server.set(cost_limit=144)
    table, _ = table_of(tmp_path / "real", quick, cds, static, [NOVEMBER])
    plain, _ = table_of(tmp_path / "plain", quick, Store(files), static, [NOVEMBER])
    assert table.equals(plain)
    assert len(list((tmp_path / "real" / "seas5").glob("hindcast-51-m11-?-*.nc"))) == 3


def test_a_forecast_that_the_service_does_not_have_yet(tmp_path, quick, cds_server, cds, static):
    cds_server.set(latest="2024-11-05")
    source, summary = fetched(tmp_path, quick, cds, [NOVEMBER])
    assert [(name, type(error)) for name, error in summary.missing] == [
        ("forecast-2024-11", NotYetPublishedError)
    ]
    assert not list((tmp_path / "seas5").glob("forecast-*.nc"))
    with pytest.raises(MissingDataError, match="starts in 2024-11 is missing; it is published by 2024-11-07"):
        read_seasonal(RequestCache(tmp_path / "seas5"), source, [NOVEMBER], static)
