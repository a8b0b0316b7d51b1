"""A visit of a page: who looks, in which language; and what every page shows of the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast.language import Language, message
from yieldcast.workspace.server import render, sign_in, who
from yieldcast.workspace.server.problems import RequestError
from yieldcast.workspace.server.site import Site, site_of
from yieldcast.workspace.tasks.task import Task

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from yieldcast.workspace.database.models import Account

_EVERYBODY = (
    ("/", message("Overview")),
    ("/data", message("Data")),
    ("/leaderboard", message("Leaderboard")),
)
_BY_ROLE = {
    "contributor": (("/submissions", message("My submissions")),),
    "owner": (("/owner", message("Owner")),),
}


@dataclass(frozen=True)
class Visit:
    """A request for a page.

    Args:
        request: that is answered.
        viewer: None for somebody who has not signed in.
        csrf: what the forms of this session carry.
    """

    request: Request
    viewer: Account | None
    csrf: str

    @property
    def site(self) -> Site:
        """What all routes share."""
        return site_of(self.request)

    @property
    def words(self) -> Language:
        """Language of the reader."""
        return render.reader_of(self.request).words

    @property
    def role(self) -> str | None:
        """ "owner" or "contributor"; None for somebody who has not signed in."""
        return self.viewer.role if self.viewer else None

    def page(
        self, template: str, here: str, status: int = 200, path: str | None = None, **context: Any
    ) -> Response:
        """A page.

        Args:
            template: name of its file.
            here: path of the page in the navigation.
            status: of HTTP.
            path: where the page can be read again, if this one answers a form.
            context: what it shows.
        """
        settings = self.site.workspace.settings
        shared = {
            "title": settings.title,
            "synthetic": task_of(self.request).synthetic,
            "pages": (*_EVERYBODY, *_BY_ROLE.get(self.role or "", ())),
            "account": self.viewer.name if self.viewer else None,
            "role": self.role,
            "csrf": self.csrf,
        }
        return render.respond(self.request, template, {"site": shared, "here": here, **context}, status, path)


def visit(request: Request) -> Visit:
    """Who asks for a page; raises as `who.viewer`."""
    viewer = who.viewer(request)
    return Visit(request, viewer, sign_in.form_text(request) if viewer else "")


def of_contributor(request: Request) -> Visit:
    """A visit of a contributor; raises as `who.contributor`."""
    return Visit(request, who.contributor(request), sign_in.form_text(request))


def of_owner(request: Request) -> Visit:
    """A visit of the owner; raises as `who.owner`."""
    return Visit(request, who.owner(request), sign_in.form_text(request))


def task_of(request: Request) -> Task:
    """The task of the workspace, which does not change while the server runs."""
    return _task(site_of(request).workspace.path)


@lru_cache(maxsize=16)
def _task(path: Path) -> Task:
    return Task.read(path)


def problem_page(request: Request, problem: RequestError) -> Response:
    """A refusal as a page; somebody who has not signed in and asks for a page gets the form for it."""
    from starlette.responses import RedirectResponse

    if problem.status == 401 and request.method == "GET":
        return RedirectResponse(f"/sign-in?next={request.url.path}", 303, render.SECURITY_HEADERS)
    found = _session(request)
    seen = Visit(request, found.account if found else None, found.csrf if found else "")
    heading = seen.words.gettext(_HEADINGS.get(problem.status, _FAILED))
    answer = seen.page(
        "error.html", "", problem.status, heading=heading, text=str(problem), hint=problem.hint
    )
    answer.headers.update(problem.headers)
    return answer


def _session(request: Request) -> Any:
    """The session of whoever asks; none where the database does not answer, which may be the problem."""
    from sqlalchemy.exc import SQLAlchemyError

    from yieldcast.errors import YieldcastError

    try:
        return who.page_session(request)
    except (YieldcastError, SQLAlchemyError):
        return None


_FAILED = message("The server failed")
_HEADINGS = {
    400: message("The request is not complete"),
    401: message("Sign in first"),
    403: message("Not allowed"),
    404: message("Not found"),
    405: message("Not allowed"),
    408: message("Too slow"),
    409: message("Not possible now"),
    413: message("Too large"),
    422: message("Not valid"),
    429: message("Too often"),
}
