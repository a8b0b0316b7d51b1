"""Retrievals from the CDS with its real client: jobs, lost replies, kills, downloads, and the key."""

import datetime as dt
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import xarray as xr
from cds_calls import DATASET, KEY, POST, REQUEST, posts, problem
from hypothesis import given
from hypothesis import strategies as st

from data_fetchers.cds.account import Account, JobExpiredError
from data_fetchers.cds.client import Cds, equal
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import (
    CrowdedError,
    NotYetPublishedError,
    Retry,
    RetryableError,
    fetch_request,
)
from yieldcast.errors import FetchError


@dataclass(frozen=True)
class Small:
    """A source over `Cds`, as those of ERA5 and SEAS5; a request of several years can be split."""

    cds: Cds
    wanted_points: int = 4
    name: str = "small"
    licence: str = "none"
    attribution: str = "nobody"
    workers: int = 3
    seconds_between: float = 0.0

    def request(self, *years: int) -> Request:
        request = {"year": [str(y) for y in years], "month": ["01"], "points": str(self.wanted_points)}
        return Request(self.name, f"y{years[0]}-{years[-1]}", request, ".nc")

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        return self.cds.retrieve(DATASET, dict(request.parameters), target, job)

    def check(self, request: Request, file: Path) -> Record:
        with xr.open_dataset(file, engine="h5netcdf") as ds:
            if ds.sizes["point"] != self.wanted_points:
                raise RetryableError(f"expected {self.wanted_points} points, received {ds.sizes['point']}")
        return {}

    def split(self, request: Request) -> list[Request]:
        years = [int(y) for y in request.parameters["year"]]
        half = len(years) // 2
        return [self.request(*years[:half]), self.request(*years[half:])] if half else []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        return False


def downloads(server) -> list[dict]:
    return [row for row in server.log() if row["path"].startswith("/object-store/")]


def test_an_answer_arrives_whole_with_its_facts(cds, cds_server, job, target):
    facts = cds.retrieve(DATASET, REQUEST, target, job)
    assert facts["dataset"] == DATASET
    assert facts["md5"] == hashlib.md5(target.read_bytes()).hexdigest()
    with xr.open_dataset(target, engine="h5netcdf") as ds:
        assert ds.sizes["point"] == 4
    assert any(facts["job_id"] in row["path"] for row in cds_server.log())
    assert len(posts(cds_server)) == 1
    # the account is looked through only when a reply was lost
    assert not [row for row in cds_server.log() if row["path"].split("?")[0].endswith("/jobs")]
    assert "job_id" not in job.load()
    assert "submitting" not in job.load()


def test_without_api_in_the_path(cds, cds_server, job, target):
    Cds(cds_server.url, first_poll_s=0.01).retrieve(DATASET, REQUEST, target, job)
    assert target.stat().st_size > 0


def test_the_state_of_a_job_is_reported(now, cds, cds_server, tmp_path):
    cds_server.set(polls_queued=3, polls_running=3)
    said = []

    class Listening(PendingJob):
        def set_state(self, state: str) -> None:
            said.append(state)
            super().set_state(state)

    cds.retrieve(DATASET, REQUEST, tmp_path / "f", Listening(tmp_path / "j"))
    assert said[0] == f"queued at the CDS since {now:%Y-%m-%d %H:%M} UTC"
    assert said[3] == f"running at the CDS since {now:%Y-%m-%d %H:%M} UTC"
    assert said[-1] == "downloading from the CDS"


def test_the_key_reaches_no_message_note_or_pickle(cds, cds_server, job, target, tmp_path):
    # A server that echoes the key in all it says.
    echo = {"title": "invalid request", "detail": f"your key {KEY} asked for nonsense"}
    cds_server.faults({"match": POST, "kind": "status", "status": 400, "body": echo})
    with pytest.raises(FetchError, match=r"\[key\] asked for nonsense") as caught:
        cds.retrieve(DATASET, REQUEST, target, job)
    # the client's own exception holds the request's headers
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert KEY not in f"{caught.value} {caught.value.hint}"
    cds_server.faults({"match": POST, "kind": "fail_job", "text": f"{KEY} failed"})
    source = Small(cds)
    assert fetch_request(source, source.request(2001), tmp_path, Retry(1)).error is not None
    cds.retrieve(DATASET, REQUEST, target, job)
    fetch_request(source, source.request(2001), tmp_path, Retry(1))
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes()
    assert KEY.encode() not in pickle.dumps(source)
    assert KEY not in repr(cds)


def test_the_key_goes_to_the_api_and_nowhere_else(cds, cds_server, job, target):
    cds.retrieve(DATASET, REQUEST, target, job)
    (file,) = downloads(cds_server)
    assert file["token"] == ""
    assert {row["token"] for row in cds_server.log() if row is not file and "/api/" in row["path"]} == {KEY}


def redirect_to(server) -> dict:
    headers = {"Location": f"{server.url}/file/1", "Connection": "close"}
    return {"kind": "status", "status": 302, "headers": headers, "times": 9}


@pytest.mark.parametrize("match", ["GET /api/retrieve/v1/processes/", POST, "GET /api/retrieve/v1/jobs/"])
def test_redirects_to_another_host_are_not_followed(cds, cds_server, plain_server, job, target, match):
    cds_server.faults({"match": match, **redirect_to(plain_server)})
    with pytest.raises(FetchError, match="refused"):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert plain_server.log() == []


def test_links_to_another_host_are_not_followed(cds, cds_server, plain_server, job, target):
    cds_server.faults({"match": POST, "kind": "foreign_monitor", "to": f"{plain_server.url}/file/1"})
    with pytest.raises(FetchError, match="the key is not sent there"):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert plain_server.log() == []


@pytest.mark.parametrize("body", ["[]", "{}", '{"status": 3}', "null"])
@pytest.mark.parametrize("match", [POST, "/results", "/costing"])
def test_answers_of_another_shape(cds, cds_server, job, target, body, match):
    cds_server.faults({"match": match, "kind": "body", "body": body})
    try:
        cds.retrieve(DATASET, REQUEST, target, job)
    except RetryableError:
        cds.retrieve(DATASET, REQUEST, target, job)
    assert target.stat().st_size > 0
    assert match == POST or len(posts(cds_server)) == 1


@pytest.mark.parametrize("text", [
    "Number queued requests for this dataset is temporarily limited. Please configure your scripts",
    "The number of queued requests is temporarily limited to 2",
])  # fmt: skip
def test_a_full_queue_is_neither_a_fault_nor_late_data(cds, cds_server, job, target, text):
    cds_server.faults({"match": POST, "kind": "reject_job", "text": text})
    with pytest.raises(CrowdedError, match="queued requests"):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert "job_id" not in job.load()
    refusal = {"kind": "status", "status": 400, "body": problem("invalid request", text)}
    cds_server.faults({"match": POST, **refusal})
    with pytest.raises(CrowdedError, match="queued requests"):
        cds.retrieve(DATASET, REQUEST, target, job)


def test_a_queue_that_takes_one_job_gets_one_at_a_time(cds, cds_server, tmp_path, quick):
    cds_server.set(queue_limit=1, polls_running=3)
    source, years = Small(cds), range(2001, 2006)
    seen = []
    (summary,) = fetch_requests(
        [(source, [source.request(year) for year in years])], tmp_path, retry=quick,
        progress=lambda summaries: seen.extend(summaries[0].waiting.values()),
    )  # fmt: skip
    assert (summary.fetched, summary.missing) == (5, [])
    # the first three start together; two are rejected, and no other is afterwards
    assert len(posts(cds_server)) == 7
    assert any("one at a time" in text for text in seen)
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in lines].count("postponed") == 2


def test_a_poll_waits_as_long_as_the_service_says(cds, cds_server, monkeypatch, job, target):
    pauses = []
    monkeypatch.setattr("data_fetchers.cds.client.pause", pauses.append)
    slow = {
        "kind": "status",
        "status": 429,
        "body": problem("rate limit exceeded", "Please wait 12 seconds."),
    }
    cds_server.faults({"match": "?log=True", **slow, "times": 7})
    cds.retrieve(DATASET, REQUEST, target, job)
    assert pauses[:7] == [12.0] * 7
    assert len(posts(cds_server)) == 1


def test_some_polls_may_fail(cds, cds_server, job, target):
    cds_server.set(polls_running=6)
    poll = {"match": "?log=True", "times": 1}
    cds_server.faults(
        {**poll, "kind": "status", "status": 503}, {**poll, "kind": "html"}, {**poll, "kind": "lost"},
        {**poll, "kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
    )  # fmt: skip
    cds.retrieve(DATASET, REQUEST, target, job)
    assert len(posts(cds_server)) == 1
    cds_server.faults({**poll, "kind": "status", "status": 503, "times": 7})
    with pytest.raises(RetryableError, match="503"):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert "job_id" in job.load()
    cds_server.faults()
    cds.retrieve(DATASET, REQUEST, target, job)
    assert len(posts(cds_server)) == 2


def test_a_costly_request_is_split_before_it_is_queued(cds, cds_server, tmp_path, quick):
    cds_server.set(cost_limit=2)
    source = Small(cds)
    (summary,) = fetch_requests([(source, [source.request(2001, 2002, 2003, 2004)])], tmp_path, retry=quick)
    assert (summary.fetched, summary.missing) == (2, [])
    leaves = RequestCache(tmp_path / "small").leaves(source.request(2001, 2002, 2003, 2004))
    assert [request.parameters["year"] for request, _, _ in leaves] == [["2001", "2002"], ["2003", "2004"]]
    assert len(posts(cds_server)) == 2


def test_a_cost_that_the_server_sees_later_is_split_too(cds, cds_server, tmp_path, quick):
    cds_server.set(cost_limit=2)
    cds_server.faults({"match": "/costing", "kind": "status", "status": 500, "times": 9})
    source = Small(cds)
    (summary,) = fetch_requests([(source, [source.request(2001, 2002, 2003)])], tmp_path, retry=quick)
    assert (summary.fetched, summary.missing) == (2, [])
    assert [row["status"] for row in posts(cds_server)].count(403) == 1


def test_a_job_that_fails_is_made_anew_once(cds, cds_server, tmp_path, quick):
    source = Small(cds)
    cds_server.faults({"match": POST, "kind": "fail_job", "text": "a tape broke"})
    assert fetch_request(source, source.request(2001), tmp_path, quick).record is not None
    assert len(posts(cds_server)) == 2
    cds_server.faults({"match": POST, "kind": "fail_job", "text": "a tape broke", "times": 9})
    outcome = fetch_request(source, source.request(2002), tmp_path, quick)
    assert "failed at the CDS: The job has failed: a tape broke" in str(outcome.error)
    assert outcome.tries == 2
    assert RequestCache(tmp_path).job(source.request(2002)).load().get("failed") is None


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ({"kind": "reject_job", "text": "requests of this kind wait till Monday"}, FetchError, "till Monday"),
        ({"kind": "no_data"}, NotYetPublishedError, "MARS returned no data"),
        (
            {"kind": "fail_job", "text": "MultiAdaptorNoDataError: None of the data you have requested is "
             "available yet"},
            NotYetPublishedError, "available yet",
        ),
    ],
)  # fmt: skip
def test_jobs_that_end_for_good(cds, cds_server, job, target, fault, kind, message):
    cds_server.faults({"match": POST, **fault})
    with pytest.raises(FetchError, match=message) as caught:
        cds.retrieve(DATASET, REQUEST, target, job)
    assert type(caught.value) is kind
    assert "job_id" not in job.load()


def test_results_that_expired_are_made_anew(cds, cds_server, job, target):
    cds_server.faults({"match": POST, "kind": "expired_results"})
    with pytest.raises(JobExpiredError, match="results expired"):
        cds.retrieve(DATASET, REQUEST, target, job)
    cds.retrieve(DATASET, REQUEST, target, job)
    assert len(posts(cds_server)) == 2


def test_a_file_that_left_the_store_is_made_anew(cds, cds_server, job, target):
    cds_server.faults({"match": "GET /object-store/", "kind": "status", "status": 404})
    with pytest.raises(JobExpiredError, match="answered 404"):
        cds.retrieve(DATASET, REQUEST, target, job)
    cds.retrieve(DATASET, REQUEST, target, job)
    assert len(posts(cds_server)) == 2


@pytest.mark.parametrize("note", ["gone", "dismissed", "anothers"])
def test_a_job_that_is_no_more_is_forgotten(cds, cds_server, job, target, note):
    known = "00000000-0000-0000-0000-000000000000"
    if note == "dismissed":
        with Account(cds.url) as account, account.asking() as api:
            known = api.submit(DATASET, REQUEST).request_id
            api.delete(known)
    if note == "anothers":
        denied = problem("permission denied")
        cds_server.faults({"match": f"/jobs/{known}", "kind": "status", "status": 403, "body": denied})
    job.save(job_id=known)
    facts = cds.retrieve(DATASET, REQUEST, target, job)
    assert facts["job_id"] != known


def test_a_job_that_is_deleted_while_it_is_waited_for(cds, cds_server, job, target):
    gone = problem("job not found", "job dismissed")
    cds_server.faults({"match": "?log=True", "kind": "status", "status": 404, "body": gone})
    with pytest.raises(JobExpiredError, match="job dismissed"):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert "job_id" not in job.load()


def test_a_service_that_is_down_does_not_make_a_job_forgotten(cds, cds_server, job, target):
    job.save(job_id="00000000-0000-0000-0000-000000000000")
    cds_server.faults({"match": "/jobs/", "kind": "status", "status": 503})
    with pytest.raises(RetryableError):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert job.load()["job_id"]
    assert posts(cds_server) == []


def test_patience_ends_and_the_next_run_goes_on(cds, cds_server, tmp_path, quick):
    cds_server.set(polls_queued=10**6)
    source = Small(Cds(cds.url, patience_s=0.1, first_poll_s=0.01))
    outcome = fetch_request(source, source.request(2001), tmp_path, quick)
    assert outcome.tries == 1
    assert "not ready" in str(outcome.error)
    job_id = RequestCache(tmp_path).job(source.request(2001)).load()["job_id"]
    assert job_id in outcome.error.hint
    cds_server.set(polls_queued=0)
    outcome = fetch_request(source, source.request(2001), tmp_path, quick)
    assert outcome.record["job_id"] == job_id
    assert len(posts(cds_server)) == 1


def test_a_service_that_asks_for_a_day_gets_no_more_than_our_patience(
    cds, cds_server, monkeypatch, job, target
):
    pauses = []
    monkeypatch.setattr("data_fetchers.cds.client.pause", pauses.append)
    slow = {"kind": "status", "status": 429, "headers": {"Retry-After": "86400"}}
    cds_server.faults({"match": "?log=True", **slow}, {"match": "?log=True", **slow})
    Cds(cds.url, patience_s=2.0, first_poll_s=0.01).retrieve(DATASET, REQUEST, target, job)
    assert len(pauses) == 3  # two of the refusals, one while it runs
    assert all(1 < asked_s <= 2 for asked_s in pauses[:2])


def test_patience_ends_although_the_service_asks_for_more(cds, cds_server, job, target):
    slow = {"kind": "status", "status": 429, "headers": {"Retry-After": "25"}, "times": 9}
    cds_server.faults({"match": "?log=True", **slow})
    began = time.monotonic()
    with pytest.raises(FetchError, match="not ready"):
        Cds(cds.url, patience_s=0.3, first_poll_s=0.01).retrieve(DATASET, REQUEST, target, job)
    assert time.monotonic() - began < 5
    assert "job_id" in job.load()


def test_pauses_grow_to_the_longest(cds, cds_server, monkeypatch, job, target):
    pauses = []
    monkeypatch.setattr("data_fetchers.cds.client.pause", pauses.append)
    cds_server.set(polls_running=6)
    Cds(cds.url, first_poll_s=1.0, longest_poll_s=3.0).retrieve(DATASET, REQUEST, target, job)
    # 1, 1 x 1.5, 1.5 x 1.5, then 3.375 would exceed 3
    assert pauses == [1.0, 1.5, 2.25, 3.0, 3.0, 3.0]


def test_the_creation_time_of_a_continued_job_is_recorded(now, cds, cds_server, job, target):
    facts = cds.retrieve(DATASET, REQUEST, target, job)
    assert facts["created"] == now.isoformat()
    with Account(cds.url) as account, account.asking() as api:
        old = api.submit(DATASET, REQUEST)
        status = dict(old.json)
    cds_server.set(polls_queued=-1, polls_running=0)  # it is done
    for created, told in (
        ("2024-06-01T12:00:00.123456", "2024-06-01T12:00:00+00:00"),  # the server's times carry no zone
        ("2024-06-01T22:30:00-03:00", "2024-06-02T01:30:00+00:00"),
    ):
        job.save(job_id=old.request_id)
        body = json.dumps({**status, "status": "successful", "created": created})
        cds_server.faults({"match": "?log=True", "kind": "body", "body": body, "times": 2})
        facts = cds.retrieve(DATASET, REQUEST, target, job)
        assert (facts["job_id"], facts["created"]) == (old.request_id, told)
    job.save(job_id=old.request_id)
    odd = json.dumps({**status, "status": "successful", "created": "yesterday"})
    cds_server.faults({"match": "?log=True", "kind": "body", "body": odd, "times": 2})
    assert "created" not in cds.retrieve(DATASET, REQUEST, target, job)


KILLED = """
import sys
from pathlib import Path
from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import PendingJob
url, dataset, request, folder = sys.argv[1], sys.argv[2], eval(sys.argv[3]), Path(sys.argv[4])
job = PendingJob(folder / "part.job.json")
Cds(url, first_poll_s=0.02).retrieve(dataset, request, folder / "answer", job)
"""


def test_a_process_killed_while_waiting_leaves_its_job(cds, cds_server, tmp_path, job, target):
    cds_server.set(polls_running=10**6)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, cds.url, DATASET, repr(REQUEST), str(tmp_path)], env=dict(os.environ)
    )
    until = time.monotonic() + 20
    while sum("?log=True" in row["path"] for row in cds_server.log()) < 2:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    known = json.loads((tmp_path / "part.job.json").read_text())["job_id"]
    cds_server.set(polls_running=0)
    assert cds.retrieve(DATASET, REQUEST, target, job)["job_id"] == known
    assert len(posts(cds_server)) == 1


@pytest.mark.parametrize("extra", [{}, {"_no_cache": ["123"], "data_format": ["netcdf"]}])
def test_a_lost_reply_makes_no_second_job(cds, cds_server, tmp_path, quick, extra):
    cds_server.set(extra=extra)
    cds_server.faults({"match": POST, "kind": "lost"})
    source = Small(cds)
    outcome = fetch_request(source, source.request(2001), tmp_path, quick)
    assert outcome.record is not None
    assert outcome.tries == 2
    assert len(posts(cds_server)) == 1


def test_a_lost_submission_is_made_again(cds, cds_server, tmp_path, quick):
    """503, and no job on the account: other requests' jobs are not taken for it."""
    with Account(cds.url) as account, account.asking() as api:
        for year in range(1990, 2000):
            api.submit(DATASET, {"year": [str(year)], "month": ["01"], "points": "4"})
    cds_server.faults({"match": POST, "kind": "status", "status": 503})
    source = Small(cds)
    outcome = fetch_request(source, source.request(2001), tmp_path, quick)
    assert outcome.record is not None
    assert len(posts(cds_server)) == 12


def test_the_account_is_looked_through_page_by_page(now, cds, cds_server, job, monkeypatch, target):
    monkeypatch.setattr("data_fetchers.cds.client._PAGE", 2)
    with Account(cds.url) as account, account.asking() as api:
        ours = api.submit(DATASET, REQUEST).request_id
        for year in range(1990, 1995):
            api.submit(DATASET, {"year": [str(year)]})
    job.save(submitting=now.isoformat())
    assert cds.retrieve(DATASET, REQUEST, target, job)["job_id"] == ours


def test_the_same_request_to_another_dataset_is_another_job(now, cds, cds_server, job, target):
    with Account(cds.url) as account, account.asking() as api:
        other = api.submit("reanalysis-era5-land", REQUEST).request_id
    job.save(submitting=now.isoformat())
    assert cds.retrieve(DATASET, REQUEST, target, job)["job_id"] != other


def test_a_job_from_long_before_is_not_taken(now, cds, cds_server, job, target):
    """It may hold what was out at its time only."""
    with Account(cds.url) as account, account.asking() as api:
        old = api.submit(DATASET, REQUEST).request_id
    job.save(submitting=(now + dt.timedelta(days=2)).isoformat())
    assert cds.retrieve(DATASET, REQUEST, target, job)["job_id"] != old


def test_a_submission_of_last_week_is_not_looked_for(now, cds, cds_server, job, target):
    cds_server.faults({"match": "/jobs?", "kind": "html", "times": 9})
    job.save(submitting=(now - dt.timedelta(days=7)).isoformat())
    cds.retrieve(DATASET, REQUEST, target, job)
    job.save(submitting="some time ago")
    cds.retrieve(DATASET, REQUEST, target, job)
    assert len(posts(cds_server)) == 2  # each time a new job, and the list that fails is not read


def test_a_list_of_jobs_that_cannot_be_read_makes_no_job(now, cds, cds_server, job, target):
    with Account(cds.url) as account, account.asking() as api:
        ours = api.submit(DATASET, REQUEST).request_id
    job.save(submitting=now.isoformat())
    for match in ("GET /api/retrieve/v1/jobs?", f"/jobs/{ours}"):
        cds_server.faults({"match": match, "kind": "status", "status": 503})
        with pytest.raises(RetryableError):
            cds.retrieve(DATASET, REQUEST, target, job)
    assert cds.retrieve(DATASET, REQUEST, target, job)["job_id"] == ours


def test_a_file_that_the_check_refuses_is_asked_for_anew(cds, cds_server, tmp_path, quick):
    """Otherwise a job from before the data were complete would bring the same file for ever."""
    source = Small(cds, wanted_points=4)
    wrong = Small(cds, wanted_points=5)
    request = source.request(2001)
    assert fetch_request(wrong, request, tmp_path, quick).tries == quick.tries
    assert len(posts(cds_server)) == quick.tries


def test_many_at_once(cds, cds_server, tmp_path, quick):
    cds_server.faults({"match": POST, "kind": "lost", "times": 3})
    source = Small(cds, workers=6)
    requests = [source.request(year) for year in range(2001, 2013)]
    (summary,) = fetch_requests([(source, requests)], tmp_path, retry=quick)
    assert (summary.fetched, summary.missing) == (12, [])
    assert len(posts(cds_server)) == 12
    ids = [
        record["job_id"]
        for request in requests
        for _, _, record in RequestCache(tmp_path / "small").leaves(request)
    ]
    assert len(set(ids)) == 12


def test_clients_of_many_threads_stay_silent(cds, cds_server, tmp_path, capfd, caplog):
    caplog.set_level("DEBUG")
    barrier = threading.Barrier(4)

    def one(n: int) -> Record:
        barrier.wait()
        return cds.retrieve(DATASET, {"year": [str(n)]}, tmp_path / f"f{n}", PendingJob(tmp_path / f"j{n}"))

    with ThreadPoolExecutor(4) as pool:
        assert len({facts["job_id"] for facts in pool.map(one, range(2000, 2004))}) == 4
    assert capfd.readouterr() == ("", "")
    assert KEY not in caplog.text


def test_a_cut_download_goes_on_where_it_broke(cds, cds_server, job, target):
    request = {"year": ["2020"], "points": "200000"}  # 1.6 MB
    cds_server.faults({"match": "GET /object-store/", "kind": "cut", "share": 0.6})
    facts = cds.retrieve(DATASET, request, target, job)
    first, second = downloads(cds_server)
    assert (first["status"], second["status"]) == (200, 206)
    assert second["range"].startswith("bytes=")
    assert hashlib.md5(target.read_bytes()).hexdigest() == facts["md5"]


def test_ten_gigabytes_are_refused(cds, cds_server, job, target):
    cds_server.faults({"match": "GET /object-store/", "kind": "huge"})
    with pytest.raises(FetchError, match="more than 3000 MB"):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert not target.exists()


@pytest.mark.parametrize(("kind", "message"), [("wrong_size", "expected"), ("wrong_md5", "checksum")])
def test_another_file_than_announced(cds, cds_server, job, target, kind, message):
    cds_server.faults({"match": POST, "kind": kind})
    with pytest.raises(RetryableError, match=message):
        cds.retrieve(DATASET, REQUEST, target, job)


def test_a_checksum_of_another_kind_is_left_out(cds, cds_server, job, target):
    cds_server.faults({"match": POST, "kind": "no_md5"})
    assert "md5" not in cds.retrieve(DATASET, REQUEST, target, job)


@pytest.mark.parametrize("kind", ["status", "html", "empty", "lost"])
def test_a_store_that_is_down(cds, cds_server, tmp_path, quick, kind):
    cds_server.faults({"match": "GET /object-store/", "kind": kind, "status": 503})
    source = Small(cds)
    outcome = fetch_request(source, source.request(2001), tmp_path, quick)
    assert outcome.record is not None
    assert outcome.tries == 2
    assert len(posts(cds_server)) == 1


def test_a_store_that_sends_us_on(cds, cds_server, plain_server, job, target):
    cds_server.faults({"match": "GET /object-store/", **redirect_to(plain_server)})
    with pytest.raises(FetchError, match="refused"):
        cds.retrieve(DATASET, REQUEST, target, job)
    assert plain_server.log() == []


def test_an_unencrypted_file_of_an_encrypted_api(cds, monkeypatch, job, target):
    account = Account("https://cds.climate.copernicus.eu/api")
    asset = {"href": "http://object-store.example/file.nc", "file:size": 3}
    with pytest.raises(FetchError, match=r"object-store\.example unencrypted"):
        cds._download(account, asset, target, job)


def test_more_files_come_as_a_zip(cds, cds_server, job, target):
    cds_server.faults({"match": POST, "kind": "zip_evil"})
    cds.retrieve(DATASET, REQUEST, target, job)
    with zipfile.ZipFile(target) as file:
        assert file.namelist() == ["../evil.nc"]


VALUES = st.one_of(st.integers(0, 40), st.sampled_from(["00:00", "t2m", "netcdf"]))
REQUESTS = st.dictionaries(
    st.sampled_from(["year", "month", "time", "variable"]), st.lists(VALUES, min_size=1)
)


def test_equal_requests():
    ours = {"variable": "t2m", "year": ["2020", "2021"], "month": "1", "area": [6, -74, -34, -34.0]}
    server = {
        "variable": ["t2m"], "year": ["2021", "2020"], "month": ["01"], "area": ["6.0", "-74", "-34", "-34"],
        "data_format": ["netcdf"], "_part_of_request_under_embargo": "77",
    }  # fmt: skip
    assert equal(ours, server)
    assert not equal({**ours, "area": [-74, 6, -34, -34]}, server)
    assert not equal({**ours, "data_format": "grib"}, server)
    assert not equal({**ours, "year": ["2020"]}, server)
    assert not equal(ours, {**server, "time": ["00:00"]})
    assert not equal({k: v for k, v in ours.items() if k != "area"}, server)
    assert not equal(ours, {})


@given(REQUESTS, st.randoms(use_true_random=False))
def test_how_values_are_written_does_not_matter(request_, random):
    def rewritten(values):
        values = [str(v) if random.random() < 0.5 else v for v in values]
        random.shuffle(values)
        return values[0] if len(values) == 1 and random.random() < 0.5 else tuple(values)

    assert equal(request_, {key: rewritten(values) for key, values in request_.items()})
    longer = {**request_, "year": [*request_.get("year", []), "1999"]}
    assert not equal(request_, longer)
