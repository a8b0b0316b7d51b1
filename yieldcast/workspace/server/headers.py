"""What holds for every request and answer: closed headers, and a bound on bodies."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# CSP 3 (W3C working draft of 2025): nothing from elsewhere, no script or style inside a page, in no frame.
# A page may set stricter ones itself.
CLOSED = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Answers differ by viewer: no cache between may keep one.
    "Cache-Control": "no-store",
}
_OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}  # RFC 6797, section 6.1.1: a year


class Closed:
    """ASGI middleware: adds the headers that an answer does not have, and bounds the body of a request.

    Args:
        app: what answers.
        limit: bytes of a body at most.
        uploads: paths whose POST bounds its body itself.
    """

    def __init__(self, app: ASGIApp, limit: int, uploads: Collection[str]) -> None:
        self._app, self._limit, self._uploads = app, limit, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with bounded body, and its answer with more headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = {**CLOSED, **(_OVER_TLS if scope.get("scheme") == "https" else {})}
        is_upload = scope["method"] == "POST" and scope["path"] in self._uploads

        async def closed(sent: Message) -> None:
            if sent["type"] == "http.response.start":
                headers = MutableHeaders(scope=sent)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(sent)

        await self._app(scope, receive if is_upload else _bounded(receive, self._limit), closed)


def _bounded(receive: Receive, limit: int) -> Receive:
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, f"expected a body of at most {limit:,} bytes, received more")
        return message

    return bounded
