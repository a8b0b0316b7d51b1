"""The form by which a model is submitted on a page; what it takes is what the JSON API takes."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, get_args

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile

from yieldcast.errors import SchemaError, YieldcastError
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.database.submissions import About
from yieldcast.workspace.server import pages, sign_in, visits, wording
from yieldcast.workspace.server.acceptance import take
from yieldcast.workspace.server.problems import RequestError
from yieldcast.workspace.server.submit_api import check_space
from yieldcast.workspace.server.uploads import PREFIX, too_large
from yieldcast.workspace.server.visits import Visit
from yieldcast.workspace.settings import Augmentation, TrainingOptions

router = APIRouter(include_in_schema=False)
PATH = "/submissions"
_FIELDS_BYTES = 1 << 16  # of everything but the file
_MOST_FIELDS = 40
_COUNTS = ("epochs", "batch_size", "patience")


@router.get(f"{PATH}/new")
def new(request: Request) -> Response:
    """The form."""
    return _form(visits.of_contributor(request), {})


def _form(seen: Visit, typed: Mapping[str, Any], error: YieldcastError | None = None) -> Response:
    """The form with what was typed, and why it was not taken; a file has to be chosen again."""
    about, workspace, words = pages.about_of(seen), seen.site.workspace, seen.words
    options = TrainingOptions().model_dump()
    augmentations = get_args(Augmentation) if about.task == "crop-tiles" else ("noise",)
    shown = {"name": "", "price_per_km2": "", "outputs": "", **options, **typed}
    status = getattr(error, "status", 422) if error else 200
    return seen.page(
        "upload.html", PATH, status, f"{PATH}/new", form=shown, problem=str(error) if error else "",
        hint=error.hint if error else "", why_not=pages.why_not(about, words), outputs=about.outputs,
        limits=workspace.settings.limits, currency=workspace.settings.prices.currency,
        augmentations={name: words.gettext(wording.AUGMENTATIONS[name]) for name in augmentations},
        price=workspace.settings.prices.per_submission, kind=about.kind,
    )  # fmt: skip


@router.post(PATH)
async def submit(request: Request) -> Response:
    """Take a model: to the list of submissions, or back to the form with what is wrong."""
    seen = await run_in_threadpool(visits.of_contributor, request)
    account, site = _account(seen), seen.site
    limit = round(site.workspace.settings.limits.model_mb * 1e6)
    _check_length(request, limit)
    site.uploads.enter(account.id)
    try:
        check_space(site, limit)
        async with request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=_FIELDS_BYTES) as form:
            typed: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str)}
            typed["augmentation"] = [one for one in form.getlist("augmentation") if isinstance(one, str)]
            await run_in_threadpool(sign_in.check_form, request, str(typed.get("csrf", "")))
            try:
                await run_in_threadpool(_take, seen, account, form.get("model"), typed)
            except YieldcastError as error:
                return await run_in_threadpool(_form, seen, _ticked(typed), error)
    finally:
        site.uploads.leave(account.id)
    return RedirectResponse(f"{PATH}?done=taken", 303)


def _account(seen: Visit) -> Account:
    if seen.viewer is None:
        raise TypeError("expected somebody who has signed in")
    return seen.viewer


def _check_length(request: Request, limit: int) -> None:
    """Refuse a body of unknown or too great length before it is read.

    Raises:
        RequestError: 411, 413.
    """
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        raise RequestError(411, "expected the length of the form (Content-Length), received none")
    if int(declared) > limit + _FIELDS_BYTES:
        raise too_large(limit)


def _take(seen: Visit, account: Account, file: Any, typed: Mapping[str, Any]) -> None:
    """Check what was declared, then the model; raises as `acceptance.take`, and SchemaError."""
    about = About.parse(declared(typed))
    if not isinstance(file, UploadFile) or not file.filename:
        raise SchemaError("expected a model file, received none", "Choose a .keras file.")
    path = seen.site.workspace.scratch / f"{PREFIX}{secrets.token_hex(8)}.tmp"
    try:
        _copy(file, path)
        take(seen.site.workspace, account, path, about)
    finally:
        path.unlink(missing_ok=True)


def _copy(file: UploadFile, path: Path) -> None:
    path.touch(0o600, exist_ok=False)
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)


def declared(typed: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, as `About.parse` takes it; an empty field is not declared.

    Args:
        typed: by name of the field; "augmentation" is a list.

    Raises:
        SchemaError: a text where a number belongs.
    """
    filled = {name: text.strip() for name, text in typed.items() if isinstance(text, str) and text.strip()}
    options: dict[str, Any] = {name: _whole(name, filled[name]) for name in _COUNTS if name in filled}
    if "learning_rate" in filled:
        options["learning_rate"] = float(_number("learning_rate", filled["learning_rate"]))
    if "frozen_layers" in filled:
        text = filled["frozen_layers"]
        options["frozen_layers"] = int(text) if text.isdecimal() else _names(text)
    options["augmentation"] = list(typed.get("augmentation", ()))
    options |= {name: name in filled for name in ("class_weights", "new_head")}
    content: dict[str, Any] = {"name": filled.get("name", ""), "options": options}
    if "price_per_km2" in filled:
        content["price_per_km2"] = _number("price_per_km2", filled["price_per_km2"])
    if "outputs" in filled:
        content["outputs"] = _names(filled["outputs"])
    return content


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        raise SchemaError(f"{name}: expected a whole number, received {text[:40]!r}", "For example 10.")
    return int(text)


def _number(name: str, text: str) -> Decimal:
    """A number with a decimal point; a comma could be one or divide thousands, so it is refused."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise SchemaError(
            f"{name}: expected a number, received {text[:40]!r}", "Write it with a decimal point: 0.10."
        ) from None


def _ticked(typed: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, with boxes that were left empty."""
    return {"class_weights": False, "new_head": False, **typed}
