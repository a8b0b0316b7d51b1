"""The owner's page: income, compute, queue, contributors, all looks at the holdout, and the audit log."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from yieldcast.language import Language, message
from yieldcast.workspace import disclosure
from yieldcast.workspace.database import audit
from yieldcast.workspace.disclosure.views import AuditRow, ContributorRow, OwnerPage, SubmissionRow
from yieldcast.workspace.sandbox.noted import last_start
from yieldcast.workspace.server import pages, submission_view, visits, wording
from yieldcast.workspace.server.render import money
from yieldcast.workspace.server.submission_view import Card
from yieldcast.workspace.server.visits import Visit

router = APIRouter(include_in_schema=False)
PATH = "/owner"
_ACTS = {
    "create": message("workspace created"),
    "settings": message("settings changed"),
    "invite": message("contributor invited"),
    "revoke": message("access ended"),
    "publish": message("leaderboard published"),
    "close": message("workspace closed"),
    "sign-in": message("signed in"),
    "failed-sign-in": message("sign-in with a wrong token"),
    "look": message("results looked at"),
    "submit": message("model submitted"),
    "accept": message("model accepted"),
    "refuse": message("model refused"),
    "start": message("worker started"),
    "claim": message("worker began"),
    "give-back": message("worker gave it back"),
    "finish": message("results stored"),
    "failed": message("failed"),
    "stopped": message("stopped"),
}


@router.get(PATH)
def owner(request: Request) -> Response:
    """The owner's page."""
    return answer(visits.of_owner(request))


def answer(seen: Visit, status: int = 200, **more: Any) -> Response:
    """The owner's page, also after a form.

    Args:
        seen: visit of the owner.
        status: of HTTP.
        more: `done`, `problem`, `hint`, or `token` of a new contributor.
    """
    workspace, words = seen.site.workspace, seen.words
    with workspace.read() as session:
        found = disclosure.owner_page(session, workspace, seen.viewer)
        verdict, started = audit.verify(session), last_start(session)
    about = pages.about_of(seen)
    headline = about.measures[0]

    def rows(ones: tuple[SubmissionRow, ...]) -> list[submission_view.RowView]:
        return [submission_view.row_view(one, headline, found.currency, words) for one in ones]

    context = {
        "done": "", "problem": "", "hint": "", "token": None, **more, "page": found,
        "cards": _cards(found, words), "window": pages.window_words(about, words),
        "contributors": [_contributor(one, found.currency, words) for one in found.contributors],
        "queue": rows(found.queue), "ended": rows(found.submissions),
        "headline": wording.measure_name(headline, words),
        "entries": [_entry(one, words) for one in found.audit], "intact": verdict.broken is None,
        "verdict": _verdict(verdict, words), "started": started,
    }  # fmt: skip
    return seen.page("owner.html", PATH, status, PATH, **context)


def _cards(page: OwnerPage, words: Language) -> list[Card]:
    charged = sum(one.submissions for one in page.invoices)
    states = ", ".join(
        f"{words.number(n)} {words.gettext(wording.STATES[state])}" for state, n in page.states.items()
    )
    budget = sum(one.budget_pflop for one in page.contributors)
    return [
        Card(words.gettext("Income"), money(page.income, page.currency, words),
             words.ngettext("{n} charged submission", "{n} charged submissions", charged)),
        Card(words.gettext("Submissions"), words.number(sum(page.states.values())), states),
        Card(words.gettext("Compute used"), wording.compute_text(page.pflop, words),
             words.gettext("of {n} PFLOP of all contributors", n=wording.three_digits(budget, words))),
        Card(words.gettext("Looks at the holdout"), words.number(page.looks.looks),
             submission_view.looks_text(page.looks, words)),
    ]  # fmt: skip


def _contributor(one: ContributorRow, currency: str, words: Language) -> dict[str, Any]:
    used = (wording.compute_text(value, words) for value in (one.pflop, one.budget_pflop))
    return {
        "name": one.name, "submissions": words.number(one.submissions),
        "looks": words.number(one.looks.looks),
        "pflop": words.gettext("{used} of {budget}", **dict(zip(("used", "budget"), used, strict=True))),
        "owed": money(one.owed, currency, words), "revoked": one.revoked,
    }  # fmt: skip


def _entry(one: AuditRow, words: Language) -> dict[str, Any]:
    time, _, rest = one.time.partition("T")
    return {
        "sequence": words.number(one.sequence), "time": f"{time} {rest[:5]}", "actor": one.actor,
        "act": words.gettext(_ACTS.get(one.act, one.act)), "subject": one.subject,
    }  # fmt: skip


def _verdict(verdict: audit.Verdict, words: Language) -> str:
    if verdict.broken is None:
        return words.gettext(
            "{count}, each chained to the one before; none was changed. Hash of the last one: {hash}",
            count=words.ngettext("{n} entry", "{n} entries", verdict.entries), hash=verdict.last,
        )  # fmt: skip
    return words.gettext(
        "The log was changed: entry {n} is wrong ({reason}). Compare it with a copy.",
        n=words.number(verdict.broken), reason=verdict.reason,
    )  # fmt: skip
