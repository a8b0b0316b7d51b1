"""Sign-in and sign-out on a page: the cookie of the session, and the text that its forms carry."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING

from yieldcast.workspace.database import accounts
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.server import who
from yieldcast.workspace.server.problems import RequestError
from yieldcast.workspace.server.site import site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def enter(request: Request, response: Response, token: str) -> Account:
    """Sign somebody in: `response` gets the cookie of a new session.

    Args:
        request: sent by the form of a page of this server.
        response: to the request.
        token: as typed.

    Raises:
        RequestError: 401 for a token that is not valid, 429 after too many of them, 403 for a foreign page.
    """
    refuse_other_sites(request)
    account, workspace = who.by_token(request, token.strip()), site_of(request).workspace
    with workspace.write() as session:
        accounts.sign_out(session, request.cookies.get(who.COOKIE, ""))
        cookie, _ = accounts.sign_in(session, account)
    response.set_cookie(
        who.COOKIE, cookie, max_age=round(accounts.SIGN_IN_HOURS * 3600), httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return account


def leave(request: Request, response: Response) -> None:
    """Sign somebody out: the session ends, and `response` removes its cookie."""
    with site_of(request).workspace.write() as session:
        accounts.sign_out(session, request.cookies.get(who.COOKIE, ""))
    response.delete_cookie(who.COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")


def form_text(request: Request) -> str:
    """What the forms of a page carry in their field ``csrf``; "" where nobody is signed in."""
    found = who.page_session(request)
    return found.csrf if found else ""


def check_form(request: Request, csrf: str) -> None:
    """Refuse a form that was not made for this session.

    Args:
        request: that sends the form.
        csrf: field of the form.

    Raises:
        RequestError: 403.
    """
    refuse_other_sites(request)
    found = who.page_session(request)
    if found is None or not hmac.compare_digest(found.csrf.encode(), csrf.encode()):
        raise RequestError(
            HTTPStatus.FORBIDDEN, "this form is not of your session", "Open the page again and repeat it."
        )


def refuse_other_sites(request: Request) -> None:
    """Refuse a form that a page of another site sends.

    Raises:
        RequestError: 403.
    """
    if not who.is_own_page(request):
        raise RequestError(HTTPStatus.FORBIDDEN, "this form was sent by a page of another site")
