"""Links that may be read: signed with a token of the catalogue, or with the login of NASA's Earthdata.

Tokens stay in the memory of the process: never in a request, a sidecar or a message.
"""

from __future__ import annotations

import datetime as dt
import json
import netrc
import os
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data_fetchers.engine import http
from data_fetchers.engine.source import RetryableError
from data_fetchers.stac.collections import Catalogue
from yieldcast import clock
from yieldcast.errors import CredentialsError, FetchError

ENVIRONMENT = "EARTHDATA_TOKEN"
_EARTHDATA = "urs.earthdata.nasa.gov"
_SPARE = dt.timedelta(minutes=5)
_TOKENS: dict[str, tuple[str, dt.datetime]] = {}
_LOCK = threading.Lock()


def check_address(href: str, catalogue: Catalogue, item: str) -> None:
    """Refuse addresses that are no files of a web server, or not as safe as the catalogue itself.

    Raises:
        FetchError: another scheme, such as s3 or file.
    """
    scheme = urlsplit(href).scheme
    wanted = ("https",) if catalogue.url.startswith("https:") else ("https", "http")
    if scheme not in wanted:
        raise FetchError(
            f"{item}: expected an address of {' or '.join(wanted)}, received {scheme or 'none'}",
            "The catalogue gives no open link to this file; take another catalogue.",
        )


def signed(href: str, catalogue: Catalogue, collection_id: str) -> str:
    """An address with the token of its collection, where the catalogue wants one.

    Raises:
        RetryableError: the service of the tokens is busy, or sends none.
        FetchError: it refuses.
    """
    if catalogue.access != "sas":
        return href
    return f"{href}{'&' if '?' in href else '?'}{_token(catalogue, collection_id)}"


def _token(catalogue: Catalogue, collection_id: str) -> str:
    url = f"{catalogue.token_url}/{collection_id}"
    with _LOCK:  # one request for all threads
        token, until = _TOKENS.get(url, ("", dt.datetime.min.replace(tzinfo=dt.UTC)))
        if until > clock.now() + _SPARE:
            return token
        body = http.get(http.SafeSession(), url, limit=2**16)
        try:
            answer = json.loads(body)
            token, until = str(answer["token"]), dt.datetime.fromisoformat(answer["msft:expiry"])
            until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
        except (ValueError, TypeError, KeyError) as error:
            raise RetryableError(
                f"{http.shown(url)}: expected a token, received another answer ({error!r})"
            ) from None
        _TOKENS[url] = (token, until)
        return token


def forget_token(catalogue: Catalogue, collection_id: str) -> None:
    """Ask for a new token next time: the old one was refused."""
    with _LOCK:
        _TOKENS.pop(f"{catalogue.token_url}/{collection_id}", None)


def gdal_settings(catalogue: Catalogue) -> dict[str, Any]:
    """Credentials for GDAL; it sends them to the host of the file only, not to where that redirects.

    Raises:
        CredentialsError: no login of Earthdata.
    """
    if catalogue.access != "earthdata":
        return {"GDAL_HTTP_NETRC": "NO"}
    if token := os.environ.get(ENVIRONMENT, "").strip():
        return {"GDAL_HTTP_AUTH": "BEARER", "GDAL_HTTP_BEARER": token}
    if not _in_netrc():
        raise CredentialsError(
            f"{catalogue.url} needs a login of NASA's Earthdata: found neither {ENVIRONMENT} nor a line of "
            f"{_EARTHDATA} in ~/.netrc",
            f"Make a token at https://{_EARTHDATA} and set {ENVIRONMENT}; or --catalog planetary-computer, "
            "which needs no login.",
        )
    cookies = _cookies()  # the login sets them, and NASA's servers want them back
    return {"GDAL_HTTP_NETRC": "YES", "GDAL_HTTP_COOKIEFILE": cookies, "GDAL_HTTP_COOKIEJAR": cookies}


def _in_netrc() -> bool:
    try:
        return netrc.netrc().authenticators(_EARTHDATA) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@lru_cache(1)
def _cookies() -> str:
    return str(Path(tempfile.mkdtemp(prefix="yieldcast-")) / "cookies")
