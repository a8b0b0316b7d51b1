"""What the forms of the pages do: sign in and out, submit a model, and the owner's acts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from yieldcast.errors import YieldcastError
from yieldcast.language import message
from yieldcast.workspace.database import accounts, state
from yieldcast.workspace.server import owner_page, sign_in, visits
from yieldcast.workspace.server.problems import RequestError

router = APIRouter(include_in_schema=False)
Field = Annotated[str, Form()]
_STARTS = {"owner": "/owner", "contributor": "/submissions"}


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "") -> Response:
    """The form to sign in."""
    return visits.visit(request).page("sign_in.html", "/sign-in", problem="", next=own_path(next))


@router.post("/sign-in")
def signed_in(request: Request, token: Field = "", next: Field = "") -> Response:
    """Sign in, and go where the visitor wanted to."""
    answer = RedirectResponse("/", 303)
    try:
        account = sign_in.enter(request, answer, token)
    except RequestError as problem:
        if problem.status not in (401, 429):
            raise
        said = message("The token is not valid.") if problem.status == 401 else f"{problem}. {problem.hint}"
        seen = visits.Visit(request, None, "")
        page = seen.page("sign_in.html", "/sign-in", problem.status, problem=said, next=own_path(next))
        page.headers.update(problem.headers)
        return page
    answer.headers["Location"] = own_path(next) or _STARTS[account.role]
    return answer


def own_path(path: str) -> str:
    """A path of this server; "" for an address of another one, to which nobody is sent from here."""
    is_own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_own else ""


@router.post("/sign-out")
def sign_out(request: Request, csrf: Field = "") -> Response:
    """Sign out."""
    sign_in.check_form(request, csrf)
    answer = RedirectResponse("/", 303)
    sign_in.leave(request, answer)
    return answer


@router.post("/owner/invitations")
def invite(request: Request, name: Field = "", csrf: Field = "") -> Response:
    """Invite a contributor: the token is on the answer, and nowhere else."""
    seen = visits.of_owner(request)
    sign_in.check_form(request, csrf)
    try:
        with seen.site.workspace.write() as session:
            token = accounts.invite(session, name, _name(seen))
    except YieldcastError as error:
        return owner_page.answer(seen, 422, problem=str(error), hint=error.hint)
    return owner_page.answer(seen, token={"name": name.strip(), "text": token})


@router.post("/owner/revocations")
def revoke(request: Request, name: Field = "", csrf: Field = "") -> Response:
    """End the access of a contributor."""
    seen = visits.of_owner(request)
    sign_in.check_form(request, csrf)
    try:
        with seen.site.workspace.write() as session:
            stopped = accounts.revoke(session, name, _name(seen))
    except YieldcastError as error:
        return owner_page.answer(seen, 422, problem=str(error), hint=error.hint)
    seen.site.forget()
    text = seen.words.ngettext(
        "The access of {name} has ended; {n} submission was stopped.",
        "The access of {name} has ended; {n} submissions were stopped.", len(stopped), name=name,
    )  # fmt: skip
    return owner_page.answer(seen, done=text)


@router.post("/owner/publish")
def publish(request: Request, csrf: Field = "") -> Response:
    """Open the leaderboard to contributors."""
    seen = visits.of_owner(request)
    sign_in.check_form(request, csrf)
    with seen.site.workspace.write() as session:
        state.publish(session, _name(seen))
    seen.site.forget()
    return owner_page.answer(seen, done=seen.words.gettext("Contributors see the leaderboard now."))


@router.post("/owner/close")
def close(request: Request, csrf: Field = "") -> Response:
    """Take no model any more."""
    seen = visits.of_owner(request)
    sign_in.check_form(request, csrf)
    with seen.site.workspace.write() as session:
        state.close(session, _name(seen))
    seen.site.forget()
    text = seen.words.gettext(
        "No model is taken any more and the leaderboard is open; what waits is carried out."
    )
    return owner_page.answer(seen, done=text)


def _name(seen: visits.Visit) -> str:
    return seen.viewer.name if seen.viewer else ""
