"""The route by which models arrive."""

from __future__ import annotations

import json
import shutil
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from yieldcast.workspace.database.models import Account
from yieldcast.workspace.database.submissions import About
from yieldcast.workspace.server import who
from yieldcast.workspace.server.acceptance import take
from yieldcast.workspace.server.api import TheSite
from yieldcast.workspace.server.problems import ProblemBody, RequestError
from yieldcast.workspace.server.progress import Progress, progress_of
from yieldcast.workspace.server.site import Site
from yieldcast.workspace.server.uploads import Upload, receive

router = APIRouter()
Contributor = Annotated[Account, Depends(who.contributor)]
UPLOAD_SECONDS = 3600.0  # 500 MB take it at 1.1 Mbit/s
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["about", "model"],
                "properties": {
                    "about": {"$ref": "#/components/schemas/About"},
                    "model": {"type": "string", "format": "binary", "description": "A .keras file."},
                },
            }
        }
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Progress, "description": "You sent the same before: it is that submission."},
    409: {"model": ProblemBody, "description": "The window is closed, or nothing of your quota is left."},
    413: {"model": ProblemBody, "description": "The model has more bytes than allowed."},
    422: {"model": ProblemBody, "description": "The model is refused; rule says why."},
}


@router.post("/submissions", status_code=201, responses=_ANSWERS, openapi_extra={"requestBody": _FORM})
async def submit(request: Request, site: TheSite, asking: Contributor) -> Progress:
    """Submit a model. It is safe to repeat: the same file with the same declaration counts once."""
    limit = round(site.workspace.settings.limits.model_mb * 1e6)
    site.uploads.enter(asking.id)
    try:
        check_space(site, limit)
        upload = await receive(request, site.workspace.scratch, limit, UPLOAD_SECONDS)
        try:
            standing, new = await run_in_threadpool(_take, site, asking, upload)
        finally:
            upload.path.unlink(missing_ok=True)
    finally:
        site.uploads.leave(asking.id)
    if new:
        return standing
    return JSONResponse(standing.model_dump(mode="json"), HTTPStatus.OK)  # type: ignore[return-value]


def _take(site: Site, asking: Account, upload: Upload) -> tuple[Progress, bool]:
    row, new = take(site.workspace, asking, upload.path, declared(upload.about))
    with site.workspace.read() as session:
        return progress_of(session, site.workspace, asking, row.id), new


def declared(sent: bytes) -> About:
    """What was declared with a model.

    Args:
        sent: JSON.

    Raises:
        RequestError: 422, not JSON.
        SchemaError: an unknown key or a value out of range.
    """
    try:
        content = json.loads(sent)
    except (ValueError, RecursionError) as error:
        message, hint = f"about: expected JSON, received {sent[:40]!r}", 'For example {"name": "Model B"}.'
        raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{message}: {error}", hint) from None
    return About.parse(content)


def check_space(site: Site, limit: int) -> None:
    """Refuse an upload while the disk has no room for it and its copy.

    Raises:
        RequestError: 503 with Retry-After.
    """
    if shutil.disk_usage(site.workspace.scratch).free < 3 * limit:
        raise RequestError(
            HTTPStatus.SERVICE_UNAVAILABLE, "the server has no room for a model now", "Tell the owner.",
            headers={"Retry-After": "60"},
        )  # fmt: skip
