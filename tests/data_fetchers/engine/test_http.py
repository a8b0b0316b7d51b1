"""HTTP of the fetchers, against a real server process with faults."""

import datetime as dt
import email.utils
import hashlib
import json
import socket
import time
from pathlib import Path

import pytest
import requests

from data_fetchers.engine.http import SafeSession, download, get, looks_like_html, shown
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import FetchError

LIMIT = 10**7


def _content(kilobytes: int) -> bytes:
    return json.dumps({"kilobytes": kilobytes, "fill": "x" * (1024 * kilobytes)}).encode()


def test_a_body_arrives_whole(plain_server):
    assert get(SafeSession(), f"{plain_server.url}/file/3", limit=LIMIT) == _content(3)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "html"}, "web page with status 200"),
        ({"kind": "empty"}, "empty answer"),
        ({"kind": "cut"}, "broke"),
        ({"kind": "lost"}, "broke"),
        ({"kind": "status", "status": 500}, "answered 500"),
        (
            {"kind": "status", "status": 503, "body": "<html>wait</html>", "type": "text/html"},
            "answered 503$",
        ),
        ({"kind": "status", "status": 429, "body": "slow down"}, "answered 429: slow down"),
    ],
)
def test_temporary_failures_are_retryable_errors(plain_server, fault, says):
    plain_server.faults({"match": "/file/2", **fault})
    with pytest.raises(RetryableError, match=says):
        get(SafeSession(), f"{plain_server.url}/file/2", limit=LIMIT)
    assert get(SafeSession(), f"{plain_server.url}/file/2", limit=LIMIT) == _content(2)


def test_a_refusal_is_final_and_shows_the_reason(plain_server):
    plain_server.faults({"match": "/file/2", "kind": "status", "status": 400, "body": "wrong period"})
    with pytest.raises(FetchError, match="answered 400: wrong period") as caught:
        get(SafeSession(), f"{plain_server.url}/file/2?key=hidden", limit=LIMIT)
    assert not isinstance(caught.value, RetryableError)
    assert "hidden" not in str(caught.value)


def test_retry_after_in_seconds_and_as_a_date(now, plain_server):
    later = email.utils.format_datetime(now + dt.timedelta(seconds=40), usegmt=True)
    for text, seconds in (("7", 7), (later, 40), ("soon", None)):
        plain_server.faults({"match": "/", "kind": "status", "status": 429, "headers": {"Retry-After": text}})
        with pytest.raises(RetryableError) as caught:
            get(SafeSession(), f"{plain_server.url}/file/1", limit=LIMIT)
        assert caught.value.after_s == seconds


def test_a_slow_server_times_out(plain_server):
    plain_server.faults({"match": "/file/1", "kind": "sleep", "seconds": 3})
    with pytest.raises(RetryableError, match="did not answer in time"):
        get(SafeSession(), f"{plain_server.url}/file/1", limit=LIMIT, timeout_s=(1, 0.2))


def test_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(RetryableError, match="broke"):
        get(SafeSession(), f"http://127.0.0.1:{port}/", limit=LIMIT)


@pytest.mark.parametrize(
    "to", ["http://localhost:1/file/1", "https://127.0.0.1/file/1", "http://evil.example/"]
)
def test_a_redirect_to_another_host_or_port_is_refused(plain_server, to):
    plain_server.faults({"match": "/file/1", "kind": "redirect", "to": to})
    with pytest.raises(FetchError, match=r"redirects to .*refused"):
        get(SafeSession(), f"{plain_server.url}/file/1", limit=LIMIT)


def test_a_redirect_on_the_same_host_is_followed(plain_server):
    plain_server.faults({"match": "/file/9", "kind": "redirect", "to": "/file/1"})
    assert get(SafeSession(), f"{plain_server.url}/file/9", limit=LIMIT) == _content(1)


def test_an_announced_ten_gigabytes_are_refused_at_once(plain_server, tmp_path):
    plain_server.faults({"match": "/file/1", "kind": "huge", "times": 2})
    began = time.monotonic()
    with pytest.raises(FetchError, match="more than 10 MB: refused"):
        get(SafeSession(), f"{plain_server.url}/file/1", limit=LIMIT)
    with pytest.raises(FetchError, match="more than 10 MB: refused"):
        download(SafeSession(), f"{plain_server.url}/file/1", tmp_path / "x", limit=LIMIT)
    assert time.monotonic() - began < 5


def test_an_unannounced_flood_is_cut_off(plain_server, tmp_path):
    with pytest.raises(FetchError, match="refused"):
        get(SafeSession(), f"{plain_server.url}/file/300", limit=1000)
    with pytest.raises(FetchError, match="refused"):
        download(SafeSession(), f"{plain_server.url}/file/300", tmp_path / "x", limit=1000)


def test_a_cut_download_goes_on_where_it_broke(plain_server, tmp_path):
    whole = _content(900)
    plain_server.faults({"match": "/file/900", "kind": "cut", "times": 2})
    target = tmp_path / "file"
    md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    download(SafeSession(), f"{plain_server.url}/file/900", target, limit=LIMIT, size=len(whole), md5=md5)
    assert target.read_bytes() == whole
    ranges = [entry["range"] for entry in plain_server.log()]
    assert ranges[0] == ""
    assert all(r.startswith("bytes=") for r in ranges[1:])
    assert len(ranges) == 3


def test_a_server_without_ranges_starts_again(plain_server, tmp_path):
    plain_server.faults({"match": "/whole/900", "kind": "cut"})
    download(SafeSession(), f"{plain_server.url}/whole/900", tmp_path / "f", limit=LIMIT)
    assert (tmp_path / "f").read_bytes() == _content(900)


@pytest.mark.parametrize("wrong", [{"size": 5}, {"md5": "0" * 32}])
def test_another_size_or_checksum_is_not_taken(plain_server, tmp_path, wrong):
    with pytest.raises(RetryableError, match=r"expected 5 bytes|checksum"):
        download(SafeSession(), f"{plain_server.url}/file/1", tmp_path / "f", limit=LIMIT, **wrong)


def test_a_disk_that_refuses_is_not_blamed_on_the_service(plain_server):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    from yieldcast.errors import MissingDataError

    with pytest.raises(MissingDataError, match="No space left"):
        download(SafeSession(), f"{plain_server.url}/file/900", Path("/dev/full"), limit=LIMIT)


def test_small_helpers():
    assert shown("https://user:secret@host:8/a/b?key=1#x") == "https://host:8/a/b"
    assert looks_like_html(b"\xef\xbb\xbf \n<!doctype HTML>")
    assert not looks_like_html(b'{"html": 1}')
    assert isinstance(SafeSession(), requests.Session)
