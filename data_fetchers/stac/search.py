"""The search of a STAC API: pages, next links, completeness.

Our own lines over the HTTP engine, not pystac-client: a search is one POST and its next links, and the engine
brings what that library leaves to its caller: limits of sizes and pages, no other host, no web page in place
of JSON, Ctrl-C, retries with the pauses that the service asks for, and a check that all items came.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin, urlsplit

from data_fetchers.engine import http
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import FetchError

_PAGE = 100  # items; catalogues allow 100 to 250 and more
_MOST_PAGES = 1000
_LIMIT_bytes = 64 * 2**20  # of a page: an item of Sentinel-2 has about 25 kB
_NO_POST = (404, 405, 501)
_NOT_STAC = "Check that --catalog is the root of a STAC API: it has a link to its search."
Feature = dict[str, Any]


def search(root: str, query: dict[str, Any]) -> list[Feature]:
    """All items that a catalogue has for a query, sorted by their names.

    Args:
        root: address of the catalogue.
        query: collections, bbox, datetime, as in the body of a POST /search.

    Raises:
        RetryableError: busy, broken, HTML, not JSON, or fewer items than the catalogue says.
        FetchError: refused, another host, or next links in a circle.
    """
    session = http.SafeSession()
    ask: _Ask | None = _Ask("POST", f"{root}/search", {**query, "limit": _PAGE})
    asked: set[str] = set()
    found: dict[str, Feature] = {}
    matched: int | None = None
    while ask is not None:
        if ask.mark in asked or len(asked) >= _MOST_PAGES:
            raise FetchError(
                f"{http.shown(root)}: expected an end of the pages, received the same page again after "
                f"{len(asked)} pages",
                "The catalogue's next links go round in a circle; take another one.",
            )
        asked.add(ask.mark)
        page, ask = _page(session, ask, len(asked) == 1)
        for feature in page["features"]:
            found[_name(feature, root)] = feature
        matched = _matched(page, matched)
        ask = _next(page, ask, root)
    if matched is not None and len(found) < matched:
        raise RetryableError(
            f"{http.shown(root)}: expected {matched} items, received {len(found)}",
            "The catalogue changed while it was read, or it lost a page.",
        )
    return [found[name] for name in sorted(found)]


class _Ask:
    """One request of a page."""

    def __init__(self, method: str, url: str, body: dict[str, Any]) -> None:
        self.method, self.url, self.body = method, url, body

    @property
    def mark(self) -> str:
        return json.dumps([self.method, self.url, self.body], sort_keys=True)

    def as_get(self) -> _Ask:
        """The same request as a GET, for catalogues without POST."""
        texts = {
            name: ",".join(map(str, one)) if isinstance(one, list) else one for name, one in self.body.items()
        }
        return _Ask("GET", self.url, texts)

    def send(self, session: http.SafeSession) -> bytes:
        post, params = (self.body, None) if self.method == "POST" else (None, self.body or None)
        body, _ = http.get_with_headers(session, self.url, params=params, post=post, limit=_LIMIT_bytes)
        return body


def _page(session: http.SafeSession, ask: _Ask, first: bool) -> tuple[dict[str, Any], _Ask]:
    """A checked page, and the request that brought it."""
    try:
        body = ask.send(session)
    except http.RefusedError as error:
        if not first or ask.method != "POST" or error.status not in _NO_POST:
            raise FetchError(str(error), _NOT_STAC) from error
        return _page(session, ask.as_get(), False)
    try:
        page = json.loads(body)
        whole = isinstance(page["features"], list)
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise RetryableError(
            f"{http.shown(ask.url)}: expected JSON with features, received {body[:60]!r}", _NOT_STAC
        )
    return page, ask


def _name(feature: Any, root: str) -> str:
    if not isinstance(feature, dict) or not isinstance(feature.get("id"), str):
        raise FetchError(f"{http.shown(root)}: expected items with an id, received {str(feature)[:80]}")
    return f"{feature.get('collection', '')}/{feature['id']}"


def _matched(page: dict[str, Any], before: int | None) -> int | None:
    """How many items there are in all, where the catalogue says it."""
    context = page.get("context")
    stated = page.get("numberMatched", context.get("matched") if isinstance(context, dict) else None)
    return stated if isinstance(stated, int) and not isinstance(stated, bool) else before


def _next(page: dict[str, Any], ask: _Ask, root: str) -> _Ask | None:
    links = page.get("links")
    link = next((one for one in links or [] if isinstance(one, dict) and one.get("rel") == "next"), None)
    if link is None or not isinstance(link.get("href"), str):
        return None
    url = urljoin(ask.url, link["href"])
    own, other = urlsplit(root), urlsplit(url)
    if (own.scheme, own.netloc) != (other.scheme, other.netloc):
        raise FetchError(
            f"{http.shown(root)}: its next page is at {other.scheme}://{other.netloc}: refused",
            "Give the address of the catalogue as its links have it.",
        )
    if str(link.get("method", "GET")).upper() != "POST":
        return _Ask("GET", url, {})
    body = link.get("body") or {}
    return _Ask("POST", url, {**ask.body, **body} if link.get("merge") or not body else body)
