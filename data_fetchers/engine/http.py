"""HTTP for all fetchers: time-outs, size limits, no redirect to another host, clear errors."""

from __future__ import annotations

import email.utils
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from data_fetchers.engine.source import RetryableError, pause
from yieldcast import clock
from yieldcast.data.files import disk_error, no_links
from yieldcast.errors import FetchError

TIMEOUT_s = (15.0, 120.0)  # to connect, between two reads
_BUSY = (408, 429, 500, 502, 503, 504)
_CHUNK = 1 << 18
_RESUMES = 5
AGENT = "Mozilla/5.0 (compatible; yieldcast)"  # CONAB's server refuses unknown agents


class BusyError(RetryableError):
    """An answer with a status that says that the service is busy or down.

    Args:
        message, hint, after_s: see `RetryableError`.
        status: HTTP status, 400 to 599.
        reason: beginning of the answer's text; empty without one.
    """

    def __init__(
        self, message: str, hint: str = "", after_s: float | None = None, status: int = 0, reason: str = ""
    ) -> None:
        super().__init__(message, hint, after_s)
        self.status, self.reason = status, reason


class RefusedError(FetchError):
    """An answer with a status that refuses the request for good.

    Args:
        message, hint: see `YieldcastError`.
        status: HTTP status, 400 to 599.
        reason: beginning of the answer's text; empty without one.
    """

    def __init__(self, message: str, hint: str = "", status: int = 0, reason: str = "") -> None:
        super().__init__(message, hint)
        self.status, self.reason = status, reason


class SafeSession(requests.Session):
    """A session that follows redirects on the same host only, so that a key never reaches another host."""

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = AGENT
        self.max_redirects = 5

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Address of the redirect; FetchError when it leaves the host or changes from https to http."""
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        old, new = urlsplit(str(resp.url)), urlsplit(urljoin(str(resp.url), target))
        downgrade = old.scheme == "https" and new.scheme != "https"
        if old.hostname != new.hostname or (old.port != new.port and not _to_https(old, new)) or downgrade:
            resp.close()
            raise FetchError(
                f"{old.hostname} redirects to {new.scheme}://{new.hostname}: refused",
                "If the service has moved, give its new address; otherwise a proxy or a login page of your "
                "network answers in its place.",
            )
        return target


def _to_https(old: Any, new: Any) -> bool:
    return old.scheme == "http" and new.scheme == "https" and old.port is None and new.port is None


def get(
    session: requests.Session,
    url: str,
    *,
    params: Mapping[str, Any] | None = None,
    limit: int,
    refuse_html: bool = True,
    timeout_s: tuple[float, float] = TIMEOUT_s,
) -> bytes:
    """The complete body of a GET.

    Args:
        session: usually a `SafeSession`.
        url: absolute address.
        params: query.
        limit: largest size to accept (bytes).
        refuse_html: raise RetryableError for an HTML page; services under repair send one with status 200.
        timeout_s: to connect, and between two reads (s).

    Raises:
        RetryableError: no connection, service busy, transfer broken, empty answer, HTML.
        FetchError: request refused, or answer larger than `limit`.
    """
    body, _ = get_with_headers(
        session, url, params=params, limit=limit, refuse_html=refuse_html, timeout_s=timeout_s
    )
    return body


def get_with_headers(
    session: requests.Session,
    url: str,
    *,
    params: Mapping[str, Any] | None = None,
    limit: int,
    refuse_html: bool = True,
    timeout_s: tuple[float, float] = TIMEOUT_s,
    post: Any = None,
) -> tuple[bytes, Mapping[str, str]]:
    """The complete body of a GET, or of a POST, and the headers of the answer.

    Args:
        session, url, params, limit, refuse_html, timeout_s: as `get`.
        post: what a POST sends as JSON; None for a GET.

    Raises:
        RetryableError, FetchError: as `get`.
    """
    method = "GET" if post is None else "POST"
    with (
        _translated(url),
        session.request(method, url, params=params, json=post, stream=True, timeout=timeout_s) as answer,
    ):
        raise_for_status(answer)
        _refuse_large(answer, limit, url)
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            pause(0)  # stops here on Ctrl-C
            body += chunk
            if len(body) > limit:
                raise _too_large(url, limit)
    if not body:
        raise RetryableError(f"{shown(url)} sent an empty answer")
    if refuse_html and looks_like_html(bytes(body[:200])):
        raise RetryableError(f"{shown(url)} sent a web page with status {answer.status_code} instead of data")
    return bytes(body), answer.headers


def download(
    session: requests.Session,
    url: str,
    target: Path,
    *,
    limit: int,
    size: int | None = None,
    md5: str | None = None,
) -> None:
    """Stream a GET into a file; resume a broken transfer where the server supports it.

    Args:
        session: usually a `SafeSession`.
        url: absolute address.
        target: file to write; after an error its contents are undefined.
        limit: largest size to accept (bytes).
        size: expected size (bytes), if the service states it.
        md5: expected checksum, if the service states it.

    Raises:
        RetryableError, FetchError: as `get`; RetryableError also for another size or checksum.
        MissingDataError: the disk refuses.
    """
    received, resumes = 0, 0
    while True:
        try:
            with _translated(url):
                received = _stream(session, url, target, received, limit)
            break
        except RetryableError as error:
            received = target.stat().st_size if target.exists() else 0
            resumes += 1
            if not received or resumes > _RESUMES or error.after_s is not None:
                raise
    if size is not None and received != size:
        raise RetryableError(f"{shown(url)}: expected {size} bytes, received {received}")
    if received == 0:
        raise RetryableError(f"{shown(url)} sent an empty file")
    if md5 is not None and _md5(target) != md5:
        raise RetryableError(f"{shown(url)}: the file does not have the checksum that the service states")


def _stream(session: requests.Session, url: str, target: Path, start: int, limit: int) -> int:
    headers = {"Range": f"bytes={start}-"} if start else {}
    # identity: a compressed body could not be resumed in the middle
    headers["Accept-Encoding"] = "identity"
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_s) as answer:
        if (
            start and answer.status_code == 416
        ):  # nothing after `start`: complete, or a changed file: start again
            return _stream(session, url, target, 0, limit)
        raise_for_status(answer)
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        )
        start = start if resumed else 0
        _refuse_large(answer, limit - start, url)
        try:
            with open(target, "r+b" if resumed else "wb", opener=no_links) as file:
                file.seek(start)
                for chunk in answer.iter_content(_CHUNK):
                    pause(0)
                    start += len(chunk)
                    if start > limit:
                        raise _too_large(url, limit)
                    file.write(chunk)
                file.truncate()
        except requests.RequestException:
            raise
        except OSError as error:
            raise disk_error(target, error) from error
    return start


def raise_for_status(answer: requests.Response) -> None:
    """Raise for a status of 400 or more.

    Raises:
        BusyError: the service is busy or down.
        RefusedError: any other status.
    """
    if answer.status_code < 400:
        return
    status, reason = answer.status_code, _reason(answer)
    text = f"{shown(str(answer.url))} answered {status}" + (f": {reason}" if reason else "")
    if status in _BUSY:
        raise BusyError(text, "The service is busy or down.", retry_after(answer), status, reason)
    raise RefusedError(text, "The request was refused; trying again will not help.", status, reason)


def retry_after(answer: requests.Response) -> float | None:
    """Seconds that the service asks to wait (Retry-After as number or date); None without one."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - clock.now().timestamp())
    except (TypeError, ValueError):
        return None


def looks_like_html(head: bytes) -> bool:
    """Whether a body begins like an HTML page."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html", b"<head"))


def shown(url: str) -> str:
    """An address for messages: without query, user and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise FetchError(
            f"no trusted connection to {shown(url)}: {type(error).__name__}",
            "Update certifi (`pip install -U certifi`), or name your proxy's certificate in "
            "REQUESTS_CA_BUNDLE.",
        ) from error
    except requests.exceptions.InvalidURL as error:
        raise FetchError(f"{shown(url)} is not an address", "Check the base URL.") from error
    except requests.exceptions.Timeout as error:
        raise RetryableError(f"{shown(url)} did not answer in time") from error
    except requests.exceptions.TooManyRedirects as error:
        raise FetchError(f"{shown(url)} redirects without end") from error
    except requests.RequestException as error:
        raise RetryableError(f"the connection to {shown(url)} broke ({type(error).__name__})") from error


def _refuse_large(answer: requests.Response, limit: int, url: str) -> None:
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(url, limit)


def _too_large(url: str, limit: int) -> FetchError:
    return FetchError(
        f"{shown(url)} sends more than {limit / 1e6:.0f} MB: refused",
        "Check that this is the address of the right service.",
    )


def _reason(answer: requests.Response) -> str:
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        return ""
    try:
        body = next(answer.iter_content(400), b"")
    except requests.RequestException:
        return ""
    text = " ".join(body.decode("utf-8", "replace").split())
    return "" if looks_like_html(text.encode()) else text[:200]


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
