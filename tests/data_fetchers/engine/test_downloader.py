"""Downloads of many requests from a real server: retries, splits, resumption, progress, Ctrl-C."""

import datetime as dt
import json
import os
import threading
import time
from concurrent.futures import Executor, Future

import pytest
from small_files import Files

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.downloader import fetch_requests
from yieldcast.errors import CredentialsError, FetchError, MissingDataError


def _counted(server) -> list[str]:
    return [entry["path"] for entry in server.log()]


def test_all_answers_arrive_and_are_not_fetched_again(plain_server, tmp_path, quick):
    files = Files(plain_server.url)
    (summary,) = fetch_requests([(files, files.requests(1, 2, 3))], tmp_path, retry=quick)
    assert (summary.total, summary.fetched, summary.kept, summary.missing) == (3, 3, 0, [])
    cache = RequestCache(tmp_path / "files")
    for request in files.requests(1, 2, 3):
        record = cache.verified(request)
        assert record["licence"] == "none"
        assert record["job_id"] == f"job-{request.parameters['kilobytes']}"
        assert record["bytes"] == cache.path(request).stat().st_size
        assert not cache.job(request).path.exists()
    plain_server.reset()
    (summary,) = fetch_requests([(files, files.requests(1, 2, 3))], tmp_path, retry=quick)
    assert (summary.fetched, summary.kept) == (0, 3)
    assert plain_server.log() == []
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["fetched"] * 3


@pytest.mark.parametrize("kind", ["html", "empty", "cut", "lost", "body"])
def test_a_passing_fault_is_survived(plain_server, tmp_path, quick, kind):
    plain_server.faults({"match": "/big/2", "kind": kind, "times": 2, "body": '{"kilobytes": 7}'})
    files = Files(plain_server.url)
    (summary,) = fetch_requests([(files, files.requests(1, 2))], tmp_path, retry=quick)
    assert summary.fetched == 2
    assert RequestCache(tmp_path / "files").verified(files.requests(2)[0])["tries"] == 3


def test_a_lasting_fault_leaves_the_other_answers_and_no_half_file(plain_server, tmp_path, quick):
    plain_server.faults({"match": "/big/2", "kind": "cut", "times": 99})
    files = Files(plain_server.url)
    (summary,) = fetch_requests([(files, files.requests(1, 2, 3))], tmp_path, retry=quick)
    assert summary.fetched == 2
    (name, error), *rest = summary.missing
    assert (name, rest) == ("file-2", [])
    assert isinstance(error, FetchError)
    names = sorted(p.name for p in (tmp_path / "files").iterdir() if "file-2" in p.name)
    assert [n for n in names if not n.endswith(".job.json")] == []


def test_retry_after_is_obeyed_and_a_long_one_is_left_to_the_next_run(plain_server, tmp_path, quick):
    files = Files(plain_server.url)
    asked = {"match": "/big/1", "kind": "status", "status": 429, "headers": {"Retry-After": "1"}}
    plain_server.faults(asked)
    began = time.monotonic()
    fetch_requests([(files, files.requests(1))], tmp_path, retry=quick)
    assert time.monotonic() - began >= 1
    plain_server.faults({**asked, "match": "/big/2", "headers": {"Retry-After": "3600"}, "times": 9})
    (summary,) = fetch_requests([(files, files.requests(2))], tmp_path, retry=quick)
    assert len(summary.missing) == 1
    assert _counted(plain_server).count("/big/2") == 1


def test_too_large_requests_are_split_until_they_fit_and_the_split_is_kept(plain_server, tmp_path, quick):
    plain_server.set(limit=3)
    files = Files(plain_server.url)
    try:
        (summary,) = fetch_requests([(files, files.requests(10))], tmp_path, retry=quick)
    finally:
        plain_server.set(limit=10**9)
    # 10 -> 5 + 5 -> the two 5 are one request: 2 + 3; both fit
    cache = RequestCache(tmp_path / "files")
    sizes = [record["kilobytes"] for _, _, record in cache.leaves(files.requests(10)[0])]
    assert sizes == [2, 3, 2, 3]
    assert summary.missing == []
    plain_server.reset()
    (summary,) = fetch_requests([(files, files.requests(10))], tmp_path, retry=quick)
    assert plain_server.log() == []
    assert summary.fetched == 0


def test_what_cannot_be_split_is_missing(plain_server, tmp_path, quick):
    plain_server.faults({"match": "/big/1", "kind": "status", "status": 400, "body": "too many", "times": 9})
    files = Files(plain_server.url)
    (summary,) = fetch_requests([(files, files.requests(1))], tmp_path, retry=quick)
    assert "cannot be split further" in str(summary.missing[0][1])


def test_a_refused_key_ends_its_source_at_once(plain_server, tmp_path, quick):
    plain_server.faults({"match": "/big/", "kind": "status", "status": 401, "times": 99})
    files, others = Files(plain_server.url, workers=1), Files(plain_server.url, name="others")
    plain_server.faults({"match": "/big/1", "kind": "status", "status": 401, "times": 1})
    first, second = fetch_requests(
        [(files, files.requests(1, 2, 3, 4)), (others, others.requests(5))], tmp_path, retry=quick
    )
    assert len(first.missing) == 4
    assert all(isinstance(error, CredentialsError) for _, error in first.missing)
    assert second.fetched == 1
    assert sorted(_counted(plain_server)) == ["/big/1", "/big/5"]


def test_a_service_that_is_down_is_given_up_and_the_next_run_asks_again(plain_server, tmp_path, quick):
    plain_server.faults({"match": "/big/", "kind": "status", "status": 503, "times": 10**6})
    files = Files(plain_server.url, workers=2)
    (summary,) = fetch_requests([(files, files.requests(*range(1, 101)))], tmp_path, retry=quick)
    assert len(summary.missing) == 100
    # eight requests in a row and those running meanwhile, each with its four tries
    assert len(plain_server.log()) <= (8 + 2) * 4
    plain_server.reset()
    (summary,) = fetch_requests([(files, files.requests(*range(1, 101)))], tmp_path, retry=quick)
    assert summary.fetched == 100


def test_one_failing_request_in_ten_does_not_stop_the_others(plain_server, tmp_path, quick):
    plain_server.faults(*[{"match": f"/big/{n}0", "kind": "html", "times": 99} for n in range(1, 10)])
    files = Files(plain_server.url, workers=1)
    (summary,) = fetch_requests([(files, files.requests(*range(11, 100)))], tmp_path, retry=quick)
    assert len(summary.missing) == 8
    assert summary.fetched == 81


def test_outdated_answers_are_fetched_again_and_revised_ones_kept(now, plain_server, tmp_path, quick):
    files, today = Files(plain_server.url, old_after_days=30), now.date()
    request = files.requests(1)[0]
    fetch_requests([(files, [request])], tmp_path, retry=quick, today=today)
    first = RequestCache(tmp_path / "files").path(request).read_bytes()
    later = today + dt.timedelta(days=31)
    # the same contents again: nothing to keep
    (summary,) = fetch_requests([(files, [request])], tmp_path, retry=quick, today=later)
    assert (summary.fetched, summary.revised) == (1, [])
    plain_server.faults({"match": "/big/1", "kind": "body", "body": '{"kilobytes": 1, "fill": "new"}'})
    (summary,) = fetch_requests([(files, [request])], tmp_path, retry=quick, today=later)
    assert summary.revised == ["file-1"]
    kept = [p for p in (tmp_path / "files" / "vintages").iterdir() if not p.name.endswith(".meta.json")]
    assert [p.read_bytes() for p in kept] == [first]


def test_a_failed_refresh_keeps_the_earlier_file(now, plain_server, tmp_path, quick):
    files, today = Files(plain_server.url, old_after_days=30), now.date()
    request = files.requests(1)[0]
    fetch_requests([(files, [request])], tmp_path, retry=quick, today=today)
    plain_server.faults({"match": "/big/1", "kind": "html", "times": 99})
    later = today + dt.timedelta(days=31)
    (summary,) = fetch_requests([(files, [request])], tmp_path, retry=quick, today=later)
    assert len(summary.missing) == 1
    assert RequestCache(tmp_path / "files").verified(request)["kilobytes"] == 1


def test_at_most_workers_requests_at_a_time_and_starts_keep_their_distance(plain_server, tmp_path, quick):
    class Counting(Executor):
        def __init__(self) -> None:
            self.now, self.most, self.starts, self.lock = 0, 0, [], threading.Lock()

        def submit(self, fn, /, *args, **kwargs):
            future: Future = Future()
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
                self.starts.append(time.monotonic())

            def work() -> None:
                time.sleep(0.05)
                result = fn(*args, **kwargs)
                with self.lock:
                    self.now -= 1
                future.set_result(result)

            threading.Thread(target=work).start()
            return future

    files, executor = Files(plain_server.url, workers=2), Counting()
    fetch_requests([(files, files.requests(*range(1, 8)))], tmp_path / "a", retry=quick, executor=executor)
    assert executor.most == 2
    polite, executor = Files(plain_server.url, workers=4, seconds_between=0.2), Counting()
    fetch_requests([(polite, polite.requests(1, 2, 3, 4))], tmp_path / "b", retry=quick, executor=executor)
    gaps = [b - a for a, b in zip(executor.starts[:-1], executor.starts[1:], strict=True)]
    assert min(gaps) >= 0.19


def test_progress_tells_what_is_waited_for(plain_server, tmp_path, quick):
    plain_server.faults({"match": "/big/1", "kind": "sleep", "seconds": 1.5})
    seen = []
    files = Files(plain_server.url)

    def progress(summaries) -> None:
        seen.append((summaries[0].done, summaries[0].total, dict(summaries[0].waiting)))

    fetch_requests([(files, files.requests(1, 2))], tmp_path, retry=quick, progress=progress)
    assert seen[-1] == (2, 2, {})
    assert any("file-1" in waiting for _, _, waiting in seen)


def test_a_second_fetch_in_the_same_folder_is_refused(plain_server, tmp_path, quick):
    plain_server.faults({"match": "/big/1", "kind": "sleep", "seconds": 2})
    files = Files(plain_server.url)
    thread = threading.Thread(target=fetch_requests, args=([(files, files.requests(1))], tmp_path))
    thread.start()
    try:
        time.sleep(0.5)
        with pytest.raises(MissingDataError, match="another fetch is at work"):
            fetch_requests([(files, files.requests(2))], tmp_path, retry=quick)
    finally:
        thread.join()


def test_a_full_disk_stops_the_fetch(plain_server, tmp_path, quick, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    files = Files(plain_server.url)
    with pytest.raises(MissingDataError, match="No space left"):
        fetch_requests([(files, files.requests(1))], tmp_path, retry=quick)
