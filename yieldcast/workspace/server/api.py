"""The routes of everybody and of contributors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from yieldcast.errors import MissingDataError
from yieldcast.workspace import disclosure
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.disclosure import views
from yieldcast.workspace.server import who
from yieldcast.workspace.server.problems import not_found
from yieldcast.workspace.server.progress import Progress, progress_of
from yieldcast.workspace.server.site import Site, site_of
from yieldcast.workspace.tasks.task import Task

router = APIRouter()
TheSite = Annotated[Site, Depends(site_of)]
Viewer = Annotated[Account | None, Depends(who.viewer)]
SignedIn = Annotated[Account, Depends(who.signed_in)]


class AccountBody(BaseModel):
    """Whom a token belongs to."""

    name: str = Field(description="As the owner gave it.")
    role: Literal["owner", "contributor"]


class TaskBody(BaseModel):
    """What a model gets and gives, and what it may use."""

    task: str = Field(description="crop-tiles, crop-series, yield or risk.")
    kind: Literal["classes", "value"] = Field(description="Outputs are classes, or a yield in kg/ha.")
    inputs: dict[str, tuple[int, ...]] = Field(description="Name and shape of one row, float32.")
    input_names: dict[str, tuple[str, ...]] = Field(description="Names along the last axis of an input.")
    outputs: tuple[str, ...] = Field(description="Classes in their order, or yield_kg_ha.")
    value_range: dict[str, tuple[float, float]] = Field(description="Lowest and highest usual value.")
    synthetic: bool = Field(description="Whether the data are synthetic.")
    limits: dict[str, float] = Field(description="Of one submission; the budget is of all together.")


def shown(view: Any) -> JSONResponse:
    """A record of `disclosure` as the body of an answer."""
    return JSONResponse(disclosure.to_json(view))


@router.get("/account")
def account(asking: SignedIn) -> AccountBody:
    """Whom your token belongs to."""
    return AccountBody.model_validate(asking, from_attributes=True)


@router.get("/task")
def task(site: TheSite, viewer: Viewer) -> TaskBody:
    """What models get and give, and what a submission may use."""
    found = Task.read(site.workspace.path).model_dump(include=set(TaskBody.model_fields))
    return TaskBody(**found, limits=site.workspace.settings.limits.model_dump())


@router.get("/overview", response_model=views.Overview)
def overview(site: TheSite, viewer: Viewer) -> JSONResponse:
    """The workspace: its task, rules, limits, prices and baselines."""
    with site.workspace.read() as session:
        return shown(disclosure.overview(session, site.workspace, viewer))


@router.get("/data", response_model=views.DataPage)
def data(site: TheSite, viewer: Viewer) -> JSONResponse:
    """Counts and statistics of the data; small counts are hidden."""
    with site.workspace.read() as session:
        return shown(disclosure.data_page(session, site.workspace, viewer))


@router.get("/leaderboard", response_model=views.LeaderboardPage)
def leaderboard(site: TheSite, viewer: Viewer) -> JSONResponse:
    """The leaderboard, once it is open to you."""
    return shown(leaderboard_page(site, viewer))


def leaderboard_page(site: Site, viewer: Account | None) -> views.LeaderboardPage:
    """The leaderboard as this viewer may see it, kept for a moment; that somebody saw it is noted."""

    def make() -> views.LeaderboardPage:
        with site.workspace.read() as session:
            return disclosure.leaderboard(session, site.workspace, viewer)

    page = site.recent(viewer, "leaderboard", make)
    if viewer is not None and (page.is_open or page.own):
        site.look(viewer, "leaderboard")
    return page


@router.get("/submissions", response_model=list[views.SubmissionRow])
def submissions(site: TheSite, asking: SignedIn) -> JSONResponse:
    """Your own submissions, newest first; the owner sees all."""
    with site.workspace.read() as session:
        return shown(disclosure.own_submissions(session, site.workspace, asking))


@router.get("/submissions/{submission}", response_model=views.SubmissionDetail)
def submission(site: TheSite, asking: SignedIn, submission: str) -> JSONResponse:
    """One of your submissions: scores by phase, classes, confusion, curve, and looks at the holdout."""
    return shown(submission_page(site, asking, submission))


def submission_page(site: Site, asking: Account, submission: str) -> views.SubmissionDetail:
    """A submission as this viewer may see it; that somebody saw its scores is noted.

    Raises:
        RequestError: 404 when there is none, or it is another contributor's.
    """
    try:
        with site.workspace.read() as session:
            found = disclosure.submission_detail(session, site.workspace, asking, submission)
    except MissingDataError:
        raise not_found(f"submission {submission[:40]!r}") from None
    if found.phases:
        site.look(asking, found.row.id)
    return found


@router.get("/submissions/{submission}/progress")
def progress(site: TheSite, asking: SignedIn, submission: str) -> Progress:
    """Where one of your submissions stands: state, place in the queue, phase, epoch, losses, compute."""
    with site.workspace.read() as session:
        return progress_of(session, site.workspace, asking, submission)
