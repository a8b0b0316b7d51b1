"""GDAL over HTTP for all services: its settings, a first look at a file, clear errors.

Only here is said how remote rasters are read: no listing of folders, no requests for files that lie beside a
raster, time-outs, few retries (the downloader has its own), blocks that are read once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from data_fetchers.engine import http
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import FetchError

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
VRT = (b"<VRTDataset", b"<?xml")
BUSY = "The service is busy or down, or the connection broke; the next run fetches only what is missing."
# Files that failed or changed in this process: GDAL caches what it read, also a 503, and would not ask again.
_FAILED: set[str] = set()
_MARKS: dict[str, str] = {}
_MARKS_LOCK = threading.Lock()
# GDAL's defaults list the folder, look for side-car files, never retry and have no time-out.
SETTINGS: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_CONNECTTIMEOUT": 15,
    "GDAL_HTTP_USERAGENT": http.AGENT,
    # the other modes bypass GDAL's cache: 126 requests instead of 2 for 141 polygons that share blocks
    "GDAL_HTTP_MULTIRANGE": "SERIAL",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_CACHEMAX": 256,
    "VSI_CACHE": True,
    "VSI_CACHE_SIZE": 32 * 2**20,
    "CPL_VSIL_CURL_CACHE_SIZE": 128 * 2**20,  # a VRT of megabytes is read once for all states
}


def ask_first(url: str, hint: str, heads: tuple[bytes, ...] = TIFF + VRT) -> str:
    """Fetch the first bytes of a file over HTTP, because GDAL does not distinguish the kinds of failure.

    Args:
        url: address of the file.
        hint: what to do when the request is refused.
        heads: how a file may begin.

    Returns:
        what tells this version of the file from others (ETag or date, size); empty where the service says
        neither.

    Raises:
        RetryableError: service busy or down, or another kind of file.
        FetchError: the request is refused.
    """
    session = http.SafeSession()
    session.headers["Range"] = "bytes=0-511"
    try:
        head, headers = http.get_with_headers(session, url, limit=2**20)
    except RetryableError as error:
        raise RetryableError(str(error), error.hint or BUSY, error.after_s) from error
    except FetchError as error:
        raise FetchError(str(error), hint) from error
    if not head.startswith(heads):
        kinds = "neither a TIFF nor a VRT" if VRT[0] in heads else "not a TIFF"
        raise RetryableError(f"{http.shown(url)} sent {kinds} but {head[:20]!r}", hint)
    version = headers.get("ETag") or headers.get("Last-Modified") or ""
    size = headers.get("Content-Range", "").rpartition("/")[2]
    return " ".join(filter(None, (version, size)))


def watch(path: str, mark: str) -> None:
    """Note the version of a file; where it is not the one of before, GDAL shall forget what it read.

    Args:
        path: as GDAL opens it.
        mark: from `ask_first`.
    """
    with _MARKS_LOCK:
        if _MARKS.setdefault(path, mark) != mark:
            _MARKS[path] = mark
            _FAILED.add(path)


@contextmanager
def gdal(path: str, shown: str, hint: str, more: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Context with our GDAL settings; errors of GDAL and rasterio become FetchError or RetryableError.

    Args:
        path: as GDAL opens it.
        shown: address or path for messages.
        hint: what to do when the service refuses the file.
        more: further settings of GDAL, such as credentials.
    """
    fresh = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/"} if path in _FAILED else {}
    try:
        with rasterio.Env(**SETTINGS, **fresh, **(more or {})):
            yield
    except (RasterioError, CPLE_BaseError) as error:
        _FAILED.add(path)
        raise _failure(error, path, shown, hint) from error


def _failure(error: BaseException, path: str, shown: str, hint: str) -> FetchError:
    causes: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    text = f"{shown} could not be read: {causes[-1]}"
    if not path.startswith("/vsicurl/"):
        return FetchError(
            text, "The file, or a tile that it refers to, is damaged or missing: download it again."
        )
    # an address may hold a token
    text = text.replace(path, shown).replace(path.removeprefix("/vsicurl/"), shown)
    status = re.search(r"response code: (4\d\d)", " ".join(causes))
    if status and status[1] not in ("408", "429"):
        return FetchError(text, hint)
    return RetryableError(text, BUSY)
