"""Answers that refuse a request: a status, what was expected and received, and what to do next."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from yieldcast.errors import ConfigError, MissingDataError, SchemaError, YieldcastError
from yieldcast.workspace import disclosure
from yieldcast.workspace.database.submissions import NotTakenError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.responses import Response

API = "/api/"
log = logging.getLogger(__name__)
_TELL = "Tell the owner; the log of the server has the reason."


class ProblemBody(BaseModel):
    """Body of every answer that refuses a request."""

    error: str = Field(description="What was expected and what was received.")
    hint: str = Field("", description="What to do next.")
    rule: str | None = Field(None, description="Short name of the rule that refuses it.")


class RequestError(YieldcastError):
    """A request that is refused.

    Args:
        status: HTTP status, 400 to 599.
        message: what was expected and what was received.
        hint: what to do next.
        rule: short name of the rule that refuses a model file.
        headers: more headers of the answer, e.g. ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        hint: str = "",
        rule: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.status, self.rule, self.headers = status, rule, dict(headers or {})

    @property
    def body(self) -> ProblemBody:
        """What the answer says."""
        return ProblemBody(error=str(self), hint=self.hint, rule=self.rule)


def unknown_sign_in() -> RequestError:
    """401: no token, or one that is not known, has expired or was revoked."""
    return RequestError(
        HTTPStatus.UNAUTHORIZED,
        "expected the token of an account; received none that is valid",
        "Send 'Authorization: Bearer TOKEN' with the token of your invitation, or ask the owner for one.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def not_allowed(who: str) -> RequestError:
    """403: the account may not do this."""
    return RequestError(HTTPStatus.FORBIDDEN, f"only {who} may do this", "Sign in with another account.")


def not_found(what: str) -> RequestError:
    """404: it does not exist, or it is another contributor's; the answer does not say which."""
    return RequestError(
        HTTPStatus.NOT_FOUND, f"you have no {what}", "List your own: yieldcast workspace status."
    )


def too_often(what: str, seconds: float) -> RequestError:
    """429 with Retry-After.

    Args:
        what: what was done too often.
        seconds: until it is allowed again.
    """
    wait = max(1, math.ceil(seconds))
    return RequestError(
        HTTPStatus.TOO_MANY_REQUESTS, f"too many {what}", f"Try again after {wait} s.",
        headers={"Retry-After": str(wait)},
    )  # fmt: skip


def add_handlers(app: FastAPI) -> None:
    """Make every refusal below ``/api/`` an answer in JSON; pages keep what their own handler shows.

    Args:
        app: gets handlers for `RequestError`, errors of routing and of validation.
    """
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    async def problem(request: Request, error: Exception) -> Response:
        return _answer(request, error if isinstance(error, RequestError) else _of_yieldcast(error))

    async def http(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, HTTPException) else HTTPException(500)
        return _answer(request, RequestError(known.status_code, str(known.detail), headers=known.headers))

    async def invalid(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        return _answer(request, RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, said(found), "See /docs."))

    async def unexpected(request: Request, error: Exception) -> Response:
        return _answer(request, RequestError(500, "the server failed", _TELL))

    app.add_exception_handler(YieldcastError, problem)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def said(errors: Sequence[Any], limit: int = 5) -> str:
    """Pydantic's errors as one line: where, what was expected, what was received.

    Args:
        errors: as `pydantic.ValidationError.errors` gives them.
        limit: number of errors that are said.
    """
    parts = []
    for error in errors[:limit]:
        where = ".".join(str(part) for part in error.get("loc", ()))
        received = "" if error.get("type") == "missing" else f"; received {str(error.get('input'))[:60]!r}"
        parts.append(f"{where}: {error.get('msg', 'not valid')}{received}")
    return "; ".join(parts) or "the request is not valid"


def _of_yieldcast(error: Exception) -> RequestError:
    """Errors raised on purpose below the server, by what they mean for a client."""
    rule, hint = getattr(error, "rule", None), getattr(error, "hint", "")
    if isinstance(error, disclosure.NotAllowedError):
        return RequestError(HTTPStatus.FORBIDDEN, str(error), hint)
    if isinstance(error, NotTakenError):
        status = HTTPStatus.FORBIDDEN if rule in ("role", "revoked") else HTTPStatus.CONFLICT
        return RequestError(status, str(error), hint, rule)
    if isinstance(error, ConfigError | SchemaError):
        return RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), hint, rule)
    if isinstance(error, MissingDataError):  # a database or a disk that does not answer now
        log.error("%s", error)
        later = {"Retry-After": "10"}
        message = "the server cannot do this now"
        return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, message, "Try again later.", headers=later)
    log.error("unexpected", exc_info=error)
    return RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed", _TELL)


def _answer(request: Request, problem: RequestError) -> Response:
    from starlette.responses import JSONResponse

    page = getattr(request.app.state, "problem_page", None)
    if page is not None and not request.url.path.startswith(API):
        shown: Response = page(request, problem)
        return shown
    return JSONResponse(problem.body.model_dump(), status_code=problem.status, headers=problem.headers)
