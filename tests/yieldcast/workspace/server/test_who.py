"""Who is asking: tokens, their limits, and what the audit log says of them."""

import datetime as dt

from factories import NOW
from sqlalchemy import select

from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.server.limits import RateLimit

PATH = "/api/v1/account"


def acts(workspace):
    with workspace.read() as session:
        assert audit.verify(session).broken is None
        return [(entry.actor, entry.act) for entry in audit.entries(session)]


def test_a_token_says_who_asks(ask):
    assert ask("Alpha").get(PATH).json() == {"name": "Alpha", "role": "contributor"}
    assert ask("owner").get(PATH).json() == {"name": "owner", "role": "owner"}


def test_without_a_valid_token_nothing_is_said(ask):
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic the-token-of-Alpha"}):
        answer = ask().get(PATH, headers=header)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"] == "expected the token of an account; received none that is valid"


def test_a_revoked_token_is_out_at_once(ask, workspace):
    client = ask("Alpha")
    assert client.get(PATH).status_code == 200
    with workspace.write() as session:
        session.scalars(select(Account).where(Account.name == "Alpha")).one().revoked = NOW + dt.timedelta(0)
    assert client.get(PATH).status_code == 401


def test_an_address_that_guesses_tokens_has_to_wait_and_is_noted(ask, workspace, app):
    client = ask()
    answers = [client.get(PATH, headers={"Authorization": f"Bearer guess{n}"}) for n in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 30
    assert "too many sign-ins" in answers[-1].json()["error"]
    assert acts(workspace).count(("unknown", "failed-sign-in")) == 10


def test_an_account_that_asks_too_often_has_to_wait(ask, app):
    app.state.site.requests = RateLimit(3, 60.0)
    assert [ask("Alpha").get(PATH).status_code for _ in range(5)] == [200] * 3 + [429] * 2
    assert ask("Beta").get(PATH).status_code == 200
