"""Address and key of the Climate Data Store, and a session that sends the key to no other host."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from cdsapi.api import read_config

from data_fetchers.engine.http import SafeSession, shown
from yieldcast.errors import CredentialsError, FetchError

DEFAULT_URL = "https://cds.climate.copernicus.eu/api"  # README of cdsapi 0.7.7
HOW = (
    "Copy the token from https://cds.climate.copernicus.eu/profile into the file ~/.cdsapirc, which has the "
    f"two lines `url: {DEFAULT_URL}` and `key: YOUR-TOKEN`, or set CDSAPI_URL and CDSAPI_KEY."
)
_KEY_HEADER = "PRIVATE-TOKEN"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def settings(url: str) -> tuple[str, str, str]:
    """Address, key and origin of the key, in cdsapi's order: argument, environment, file.

    Args:
        url: address; empty for the configured one.

    Raises:
        NoKeyError: no key.
        CredentialsError: a key in the old form, or an address that would expose the key or contains one.
    """
    path = Path(os.path.expanduser(os.environ.get("CDSAPI_RC") or "~/.cdsapirc"))
    try:
        lines: dict[str, str] = read_config(str(path)) if path.exists() else {}
    except (OSError, UnicodeError) as error:
        raise CredentialsError(f"{path} cannot be read ({type(error).__name__})", HOW) from None
    key = (os.environ.get("CDSAPI_KEY") or lines.get("key", "")).strip()
    key_from = "CDSAPI_KEY" if os.environ.get("CDSAPI_KEY") else str(path)
    if not key:
        raise NoKeyError(f"no key for the CDS, neither in CDSAPI_KEY nor in {path}", HOW)
    if ":" in key:
        raise CredentialsError(f"the key from {key_from} has the old form UID:KEY, not valid since 2024", HOW)
    if not key.isascii() or not key.isprintable() or " " in key or "<" in key:
        raise CredentialsError(f"the key from {key_from} is not a token: unexpected characters", HOW)
    return _address(url or os.environ.get("CDSAPI_URL") or lines.get("url") or DEFAULT_URL), key, key_from


def address() -> str:
    """Address of the CDS for requests that need no key: CDSAPI_URL, else the public one.

    Raises:
        CredentialsError: an address that would expose a key or contains one.
    """
    return _address(os.environ.get("CDSAPI_URL") or DEFAULT_URL)


class NoKeyError(CredentialsError):
    """No key for the CDS is configured."""


class _NoMessages(requests.adapters.BaseAdapter):
    """Answers the client constructor's call for announcements of the service with an empty list.

    The real call would block for minutes when the server is down, and end in a Python warning.
    """

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, str(request.url), request
        answer.raw = io.BytesIO(b'{"messages": []}')
        return answer

    def close(self) -> None:
        pass


class KeySession(SafeSession):
    """A session that sends the key to the CDS only, whatever links the answers contain."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._home = _origin(url)
        self.mount(f"{url}/catalogue/v1/messages", _NoMessages())

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send the request; FetchError when its key would go to another host, port or scheme."""
        if _KEY_HEADER in request.headers and _origin(str(request.url)) != self._home:
            raise FetchError(
                f"the CDS redirects to {shown(str(request.url))}: the key is not sent there",
                "If the service has moved, put its new address into ~/.cdsapirc or CDSAPI_URL.",
            )
        return super().send(request, **kwargs)


def _address(url: str) -> str:
    """Root of the API without the final slash and the ``/v2`` of older configuration files."""
    if "@" in url:  # checked first, because the other messages show the address
        raise CredentialsError("the address of the CDS contains a user name or password: refused", HOW)
    address = re.sub(r"(/+v[12])?/*$", "", url.strip())
    try:
        parts, _ = urlsplit(address), _origin(address)
    except ValueError:  # a port that is no number
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CredentialsError(f"{url!r} is not the address of a CDS", HOW)
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise CredentialsError(f"{shown(address)} would receive the key unencrypted", "Use https:// instead.")
    return address


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
