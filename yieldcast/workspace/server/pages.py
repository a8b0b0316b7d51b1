"""The pages that people look at: overview, data, leaderboard, submissions and the owner's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from yieldcast.language import Language
from yieldcast.workspace import disclosure
from yieldcast.workspace.disclosure.views import LeaderboardPage, Overview
from yieldcast.workspace.scoring.costs import PriceChoice
from yieldcast.workspace.scoring.leaderboard import Board
from yieldcast.workspace.scoring.measures import RECALL
from yieldcast.workspace.server import (
    api,
    board_view,
    data_view,
    sign_in,
    submission_view,
    visits,
    who,
    wording,
)
from yieldcast.workspace.server.problems import not_found
from yieldcast.workspace.server.render import money, static_folder
from yieldcast.workspace.server.visits import Visit
from yieldcast.workspace.tasks.task import EXAMPLES

router = APIRouter(include_in_schema=False)


def add_pages(app: FastAPI) -> None:
    """Add the pages, their forms and exports to a server that is being made by `app.create_app`."""
    from yieldcast.workspace.server import exports, forms, owner_page, upload_form

    app.state.problem_page = visits.problem_page
    app.mount("/static", _Static(directory=str(static_folder())), name="static")
    for one in (upload_form.router, router, owner_page.router, forms.router, exports.router):
        app.include_router(one)


class _Static(StaticFiles):
    """Style and script, which a browser keeps and asks for changes."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file, or 304."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


@router.get("/")
def overview(request: Request) -> Response:
    """Overview and rules."""
    seen = visits.visit(request)
    about, words = about_of(seen), seen.words
    whole = [name for name in about.measures if not name.startswith(RECALL)]
    names = [wording.measure_name(name, words) for name in whole]
    if len(whole) < len(about.measures):
        names.append(words.gettext("recall of each class"))
    paragraphs = [one.strip() for one in about.description.split("\n\n") if one.strip()]
    return seen.page(
        "overview.html", "/", about=about, paragraphs=paragraphs, window=window_words(about, words),
        measures=names, input_names=visits.task_of(request).input_names,
        baselines=_baselines(about, whole, words),
        step=_step(about, words), duration=lambda seconds: duration(seconds, words),
        base=str(request.base_url).rstrip("/"),
    )  # fmt: skip


def about_of(seen: Visit) -> Overview:
    """The overview for whoever visits."""
    workspace = seen.site.workspace
    with workspace.read() as session:
        return disclosure.overview(session, workspace, seen.viewer)


def window_words(about: Overview, words: Language) -> dict[str, str]:
    """The evaluation window: a title and a text."""
    titles = {
        "before": words.gettext("not yet open"),
        "open": words.gettext("open"),
        "over": words.gettext("over"),
        "closed": words.gettext("closed"),
    }
    if about.window == "before" and about.opens:
        text = words.gettext("opens on {day} (UTC)", day=about.opens)
    elif about.closes is None:
        text = (
            words.gettext("until the owner closes it")
            if about.window == "open"
            else words.gettext("closed by the owner")
        )
    else:
        text = words.gettext("last day {day} (UTC)", day=about.closes)
    return {"title": titles[about.window], "text": text}


def duration(seconds: int, words: Language) -> str:
    """A time limit in the largest unit that leaves a whole number: "1 hour", "90 minutes"."""
    if seconds % 3600 == 0:
        return words.ngettext("{n} hour", "{n} hours", seconds // 3600)
    if seconds % 60 == 0:
        return words.ngettext("{n} minute", "{n} minutes", seconds // 60)
    return words.ngettext("{n} second", "{n} seconds", seconds)


def _step(about: Overview, words: Language) -> str:
    rules: Mapping[str, Any] = about.rules
    if about.kind == "value":
        return (
            f"{words.number(rules['score_step_kg_ha'], 0 if rules['score_step_kg_ha'] % 1 == 0 else 3)} kg/ha"
        )
    points = 100 * rules["score_step"]
    if points == 1:
        return words.gettext("1 percentage point")
    return words.gettext("{n} percentage points", n=wording.three_digits(points, words))


def _baselines(about: Overview, measures: Sequence[str], words: Language) -> dict[str, Any] | None:
    if not about.baselines:
        return None
    shown = [name for name in measures if any(name in scores for scores in about.baselines.values())]
    headings = [" ".join(filter(None, (wording.measure_name(n, words), wording.unit(n)))) for n in shown]
    lines = [
        (
            words.gettext(wording.BASELINES.get(name, name)),
            [wording.score_text(scores.get(one), one, words) for one in shown],
        )
        for name, scores in about.baselines.items()
    ]
    return {"headings": headings, "lines": lines}


@router.get("/data")
def data(request: Request) -> Response:
    """The page of the data."""
    seen = visits.visit(request)
    workspace, words = seen.site.workspace, seen.words
    with workspace.read() as session:
        found = disclosure.data_page(session, workspace, seen.viewer)
    page = found.public
    captions = {
        "training": words.gettext("Training rows by harvest year"),
        "holdout": words.gettext("Holdout rows by harvest year"),
    }
    return seen.page(
        "data.html", "/data", page=page, ties=found.rare_ties,
        classes=data_view.class_shares(page["classes"], words),
        yields=data_view.yield_shares(page["yields"], words),
        years={captions[part]: data_view.year_shares(years, words) for part, years in page["years"].items()},
        statistics=data_view.statistic_tables(page["statistics"], words),
    )  # fmt: skip


@router.get("/data/examples/{name}")
def example(request: Request, name: str) -> Response:
    """A synthetic example tile: one of those that the page of the data lists, no other file."""
    seen = visits.visit(request)
    workspace = seen.site.workspace
    with workspace.read() as session:
        listed = disclosure.data_page(session, workspace, seen.viewer).public["examples"]
    if name not in {one["file"] for one in listed}:
        raise not_found("example of this name")
    path = workspace.data / EXAMPLES / name
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "public, max-age=3600"})


@router.get("/leaderboard")
def leaderboard(request: Request, sort: str = "", order: str = "") -> Response:
    """The leaderboard, sorted by a column."""
    seen = visits.visit(request)
    words, about = seen.words, about_of(seen)
    page = api.leaderboard_page(seen.site, seen.viewer)
    viewer = seen.viewer.name if seen.viewer else None
    board = page.board
    shown = own = None
    if board is not None and board.entries:
        shown = board_view.table(board, (sort, order), viewer, page.currency, words)
    if board is None and page.own:
        headline = about.measures[0]
        alone = Board(headline, wording.is_yield(headline), page.own, "", (), about.internal, None)
        own = board_view.table(alone, (sort, order), None, page.currency, words)
    return seen.page(
        "leaderboard.html", "/leaderboard", page=page, table=shown, own=own,
        closed=_closed(page, words), verdict=_verdict(board, words) if board else "",
        costs=board_view.cost_lines(board, words.gettext("Internal method")) if shown and board else (),
        choice=_choice(board.choice, page.currency, words) if board and board.choice else "",
        cost_settings=about.costs, looks=_looks(page, words),
    )  # fmt: skip


def _closed(page: LeaderboardPage, words: Language) -> str:
    if page.closes is None:
        return words.gettext("It opens when the owner publishes it or closes the workspace.")
    return words.gettext("It opens after {day} (UTC), or when the owner publishes it.", day=page.closes)


def _verdict(board: Board, words: Language) -> str:
    """The sentence above the table: a winner only where every difference is sure."""
    if not board.entries:
        return words.gettext("No contributor has a result yet.")
    models = {one.contributor: f"{one.model} ({one.contributor})" for one in board.entries}
    if board.winner:
        return words.gettext(
            "{name} is better than every other model: paired tests find each difference.",
            name=models[board.winner],
        )
    if board.not_told_apart:
        names = ", ".join(models[name] for name in board.not_told_apart)
        return words.gettext("No winner: these cannot be told apart from the best one: {names}.", names=names)
    return words.gettext("One contributor has a result; there is nothing to compare it with yet.")


def _choice(choice: PriceChoice, currency: str, words: Language) -> str:
    """What choosing by the licence price alone would cost."""
    if choice.cheapest == choice.best:
        return words.gettext("The cheapest licence, {name}, also has the lowest total.", name=choice.best)
    return words.gettext(
        "{name} has the cheapest licence: it saves {saving} a year against {best}. Its errors on {area} km² "
        "more cost {errors}: chosen by price alone it would cost {extra} a year more.",
        name=choice.cheapest, best=choice.best, saving=money(choice.licence_saving, currency, words),
        area=words.number(float(choice.more_misclassified_km2)),
        errors=money(choice.more_misclassification_cost, currency, words),
        extra=money(choice.extra_cost, currency, words),
    )  # fmt: skip


def _looks(page: LeaderboardPage, words: Language) -> str:
    if page.looks is None:
        return ""
    spent = words.ngettext(
        "The holdout of {rows} rows was looked at {n} time",
        "The holdout of {rows} rows was looked at {n} times",
        page.looks.looks, rows=words.number(page.looks.rows),
    )  # fmt: skip
    return f"{spent}: {submission_view.looks_text(page.looks, words)}."


@router.get("/submissions")
def submissions(request: Request, done: str = "") -> Response:
    """The submissions of whoever visits."""
    seen = visits.of_contributor(request)
    workspace, words, about = seen.site.workspace, seen.words, about_of(seen)
    with workspace.read() as session:
        rows = disclosure.own_submissions(session, workspace, seen.viewer)
    headline, currency = about.measures[0], workspace.settings.prices.currency
    shown = [submission_view.row_view(one, headline, currency, words) for one in rows]
    return seen.page(
        "submissions.html", "/submissions", rows=shown, any_live=not all(one.ended for one in shown),
        account=about.viewer, window=window_words(about, words), may_submit=not why_not(about, words),
        why_not=why_not(about, words), headline=wording.measure_name(headline, words),
        done=words.gettext("The model was taken and waits in the queue.") if done == "taken" else "",
    )  # fmt: skip


def why_not(about: Overview, words: Language) -> str:
    """Why a contributor cannot submit a model now; "" if it is possible."""
    if about.window != "open":
        return words.gettext("Models are not taken now: {text}.", text=window_words(about, words)["text"])
    if about.viewer is not None and about.viewer.submissions_left == 0:
        return words.gettext("You have used all of your submissions.")
    return ""


@router.get("/submissions/{submission}")
def submission_page(request: Request, submission: str) -> Response:
    """One submission, for its contributor and the owner."""
    viewer = who.signed_in(request)
    seen = visits.Visit(request, viewer, sign_in.form_text(request))
    about, currency = about_of(seen), seen.site.workspace.settings.prices.currency
    found = api.submission_page(seen.site, viewer, submission)
    view = submission_view.detail_view(found, about.measures[0], about.outputs, currency, seen.words)
    return seen.page("submission.html", "/owner" if seen.role == "owner" else "/submissions", view=view)
