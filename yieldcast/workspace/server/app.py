"""`create_app`: the server of a workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

import yieldcast
from yieldcast.workspace.server import api, documentation, owner_api, submit_api, upload_form
from yieldcast.workspace.server.acceptance import remove_cut_off, settle_received
from yieldcast.workspace.server.headers import Closed
from yieldcast.workspace.server.pages import add_pages
from yieldcast.workspace.server.problems import ProblemBody, add_handlers
from yieldcast.workspace.server.site import Site

if TYPE_CHECKING:
    from yieldcast.workspace.directory import Workspace

API = "/api/v1"
_BODY_BYTES = 1 << 18
_ABOUT = (
    "Submit models, follow them and read their results. A token goes into the header Authorization: "
    "Bearer TOKEN. Refusals have a body with error, hint and, for model files, the rule."
)
_REFUSALS = {
    401: "No token, or one that is not valid.",
    403: "Not allowed to this account.",
    422: "Not valid: what was expected and received.",
    429: "Too often; Retry-After says when.",
}


def create_app(workspace: Workspace) -> FastAPI:
    """The server of an open workspace: JSON API, its documentation, and pages.

    Args:
        workspace: stays open as long as the server runs.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        remove_cut_off(workspace)
        Thread(target=settle_received, args=(workspace,), daemon=True).start()
        yield

    app = FastAPI(
        title=f"{workspace.settings.title}: programming interface",
        version=yieldcast.__version__, description=_ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None,
        responses={status: {"model": ProblemBody, "description": text} for status, text in _REFUSALS.items()},
    )  # fmt: skip
    app.state.site = Site(workspace)
    add_handlers(app)
    app.add_middleware(Closed, limit=_BODY_BYTES, uploads=(f"{API}/submissions", upload_form.PATH))
    for router in (api.router, submit_api.router, owner_api.router):
        app.include_router(router, prefix=API)

    @cache
    def documented() -> str:
        return documentation.page(app.openapi())

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(documented())

    add_pages(app)
    return app
