"""The account at the Climate Data Store: key, licences, and errors for refusals."""

import re
import time

import pytest
from cds_calls import DATASET, KEY, POST, REQUEST, closed_port, problem

from data_fetchers.cds import account
from data_fetchers.cds.account import Account, InvalidRequestError, Licence
from data_fetchers.cds.client import Cds
from data_fetchers.engine.source import (
    NotYetPublishedError,
    RequestTooLargeError,
    RetryableError,
)
from yieldcast.errors import CredentialsError, FetchError


def test_doctor_sees_the_key(cds, cds_server, monkeypatch):
    assert account.check_key(cds.url)["role"] == "authenticated"
    monkeypatch.setenv("CDSAPI_KEY", "another-token")
    with pytest.raises(CredentialsError, match="does not know the key"):
        account.check_key(cds.url)
    with pytest.raises(RetryableError, match="no connection"):
        account.check_key(f"http://127.0.0.1:{closed_port()}/api")


def test_licences_are_found_accepted_and_then_enough(cds, cds_server, job, target):
    theirs = [["cc-by", 2], ["licence-to-use-copernicus-products", 12]]
    cds_server.set(licences=theirs, accepted=[["cc-by", 1]])  # an old revision of one, none of the other
    with pytest.raises(CredentialsError, match="licence"):
        cds.retrieve(DATASET, REQUEST, target, job)
    missing = account.missing_licences(cds.url, [DATASET, "reanalysis-era5-land"])
    assert missing == [
        Licence("cc-by", 2, "CC-BY licence", DATASET),
        Licence("licence-to-use-copernicus-products", 12, "Licence to use Copernicus Products", DATASET),
    ]
    account.accept(cds.url, missing)
    assert account.missing_licences(cds.url, [DATASET]) == []
    cds.retrieve(DATASET, REQUEST, target, job)


def test_nothing_is_accepted_by_looking(cds, cds_server):
    cds_server.set(accepted=[])
    assert account.missing_licences(cds.url, [DATASET])
    assert {row["method"] for row in cds_server.log()} == {"GET"}


def test_a_licence_that_is_on_no_list(cds, cds_server):
    cds_server.faults({"match": "vocabularies/licences", "kind": "body", "body": '{"licences": []}'})
    with pytest.raises(FetchError, match="not on the CDS's list") as caught:
        account.missing_licences(cds.url, [DATASET])
    assert "manage-licences" in caught.value.hint


@pytest.mark.parametrize(
    ("fault", "kind", "message", "hint"),
    [
        (
            (400, problem("invalid request", "no such variable")),
            InvalidRequestError, "no such variable", "not help",
        ),
        (
            (400, problem("invalid request", "None of the data you have requested is available yet, please")),
            NotYetPublishedError, "available yet", "",
        ),
        ((401, problem("permission denied")), CredentialsError, "key from CDSAPI_KEY", "/profile"),
        (
            (403, problem("required licences not accepted", "please visit")),
            CredentialsError, "licence of test-dataset",
            r"/datasets/test-dataset\?tab=download#manage-licences .*yieldcast doctor --accept-licences",
        ),
        ((403, problem("cost limits exceeded", "too large")), RequestTooLargeError, "too large", ""),
        ((403, problem("permission denied", "closed until May")), FetchError, "closed until May", ""),
        ((403, "<html>blocked</html>"), FetchError, "403", ""),
        ((404, problem("process not found")), FetchError, "process not found", "root of a CDS"),
        ((422, problem("invalid parameter", "bad day")), InvalidRequestError, "bad day", ""),
        ((408, ""), RetryableError, "408", ""),
        ((429, problem("rate limit exceeded")), RetryableError, "rate limit", ""),
        ((500, problem("internal server error")), RetryableError, "500", ""),
        ((502, "<html>Bad gateway</html>"), RetryableError, "502", ""),
        ((503, ""), RetryableError, "503", ""),
        ((504, problem("read timeout error")), RetryableError, "504", ""),
    ],
)  # fmt: skip
def test_refusals_of_a_submission(cds, cds_server, job, target, fault, kind, message, hint):
    status, body = fault
    cds_server.faults({"match": POST, "kind": "status", "status": status, "body": body})
    with pytest.raises(FetchError, match=message) as caught:
        cds.retrieve(DATASET, REQUEST, target, job)
    assert type(caught.value) is kind
    assert re.search(hint, caught.value.hint)
    assert not target.exists()
    # after a plain refusal there is no job to look for; after anything else there may be one
    assert ("submitting" in job.load()) == (kind is RetryableError)


def test_the_servers_own_refusals(cds, cds_server, job, target):
    """The stand-in's checks, in its order; what it says must be what the table above holds."""
    cds_server.set(disabled={DATASET: "closed"}, accepted=[], cost_limit=0, latest="2019-12-31")
    for setting, kind, message in (
        ({"disabled": {}}, FetchError, "closed"),
        ({"latest": None}, NotYetPublishedError, "latest date available"),
        ({"cost_limit": 10}, RequestTooLargeError, "cost"),
        ({"accepted": [["cc-by", 2]]}, CredentialsError, "licence"),
    ):
        cds_server.faults({"match": "/costing", "kind": "status", "status": 500})
        with pytest.raises(FetchError, match=message) as caught:
            cds.retrieve(DATASET, REQUEST, target, job)
        assert type(caught.value) is kind
        cds_server.set(**setting)
    cds.retrieve(DATASET, REQUEST, target, job)


def test_a_wrong_key_and_a_wrong_dataset(cds, cds_server, monkeypatch, job, target):
    with pytest.raises(FetchError, match="dataset no-such not found"):
        cds.retrieve("no-such", REQUEST, target, job)
    monkeypatch.setenv("CDSAPI_KEY", "another-token")
    with pytest.raises(CredentialsError, match="does not know the key from CDSAPI_KEY"):
        cds.retrieve(DATASET, REQUEST, target, job)


def test_retry_after_is_read_from_the_header(cds, cds_server, job, target):
    slow = {"kind": "status", "status": 429, "headers": {"Retry-After": "77"}}
    cds_server.faults({"match": POST, **slow})
    with pytest.raises(RetryableError) as caught:
        cds.retrieve(DATASET, REQUEST, target, job)
    assert caught.value.after_s == 77


@pytest.mark.parametrize("kind", ["html", "empty"])
@pytest.mark.parametrize("match", ["GET /api/retrieve/v1/processes/", POST, "/results"])
def test_answers_that_are_no_answers(cds, cds_server, job, target, kind, match):
    cds_server.faults({"match": match, "kind": kind})
    with pytest.raises(RetryableError, match="an answer that its client does not expect"):
        cds.retrieve(DATASET, REQUEST, target, job)


def test_a_dead_server_costs_no_time(monkeypatch, job, target):
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    began = time.monotonic()
    with pytest.raises(RetryableError, match="no connection"):
        Cds(f"http://127.0.0.1:{closed_port()}/api").retrieve(DATASET, REQUEST, target, job)
    assert time.monotonic() - began < 5


def test_the_constructor_asks_nothing(cds, cds_server):
    with Account(cds.url):
        pass
    assert cds_server.log() == []
