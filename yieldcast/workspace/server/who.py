"""Who is asking: by the token of a request, or by the session of a page."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request

from yieldcast.workspace.database import accounts, audit
from yieldcast.workspace.database.models import Account, SignIn
from yieldcast.workspace.server.limits import address_key
from yieldcast.workspace.server.problems import RequestError, not_allowed, too_often, unknown_sign_in
from yieldcast.workspace.server.site import site_of

COOKIE = "yieldcast_session"
_SAFE = ("GET", "HEAD", "OPTIONS")


def viewer(request: Request) -> Account | None:
    """The account that asks, by its token or by the session of a page; None without either.

    Raises:
        RequestError: 401 for a token that is not valid, 403 for a foreign page, 429 for too many requests.
    """
    site, header = site_of(request), request.headers.get("authorization")
    found = _by_cookie(request) if header is None else by_token(request, _bearer(header))
    key = f"account {found.id}" if found else f"address {_address(request)}"
    if wait := site.requests.take(key):
        raise too_often("requests", wait)
    return found


def contributor(request: Request) -> Account:
    """The contributor who asks.

    Raises:
        RequestError: 401 nobody signed in, 403 the owner, and as `viewer`.
    """
    found = signed_in(request)
    if found.role != "contributor":
        raise not_allowed("contributors")
    return found


def owner(request: Request) -> Account:
    """The owner, who asks.

    Raises:
        RequestError: 401 nobody signed in, 403 somebody else, and as `viewer`.
    """
    found = signed_in(request)
    if found.role != "owner":
        raise not_allowed("the owner")
    return found


def signed_in(request: Request) -> Account:
    """Whoever asks, with an account.

    Raises:
        RequestError: 401 nobody signed in, and as `viewer`.
    """
    found = viewer(request)
    if found is None:
        raise unknown_sign_in()
    return found


def by_token(request: Request, token: str) -> Account:
    """The account of a token.

    Raises:
        RequestError: 401 for a token that is not valid, 429 after too many of them from this address.
    """
    site, address = site_of(request), _address(request)
    if wait := site.failures.wait(address):
        raise too_often("sign-ins with a wrong token", wait)
    with site.workspace.read() as session:
        found = accounts.of_token(session, token)
    if found is None:
        site.failures.take(address)
        if site.noted_failures.take("all") == 0:
            with site.workspace.write() as session:
                audit.write(session, "unknown", "failed-sign-in", address)
        raise unknown_sign_in()
    return found


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _by_cookie(request: Request) -> Account | None:
    found = page_session(request)
    if found is None:
        return None
    if request.method not in _SAFE and not is_own_page(request):
        raise RequestError(HTTPStatus.FORBIDDEN, "this form was sent by a page of another site")
    return found.account


def page_session(request: Request) -> SignIn | None:
    """The session of whoever signed in on a page."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    with site_of(request).workspace.read() as session:
        return accounts.of_cookie(session, cookie)


def is_own_page(request: Request) -> bool:
    """Whether a request comes from a page of this server, or from no page at all.

    Browsers say it in Sec-Fetch-Site (W3C Fetch Metadata, 2021), older ones in Origin (RFC 6454).
    """
    said = request.headers.get("sec-fetch-site")
    if said is not None:
        return said in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _address(request: Request) -> str:
    return address_key(request.client.host if request.client else None)
