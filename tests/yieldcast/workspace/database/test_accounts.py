import datetime as dt
import re

import pytest
from factories import NOW
from sqlalchemy import select, text
from workspace_factory import SCORES, contributor, queued

from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.workspace.database import accounts, queue
from yieldcast.workspace.database.models import Account, SignIn, Submission


@pytest.fixture
def workspace(new_workspace):
    return new_workspace()


def test_a_token_is_shown_once_and_stored_as_its_hash(workspace):
    with workspace.write() as session:
        token = accounts.invite(session, "  Ana ")
    assert re.fullmatch(r"[\w-]{43}", token)  # 256 bits in base64
    with workspace.read() as session:
        found = accounts.of_token(session, token)
        assert (found.name, found.role, found.created, found.revoked) == ("Ana", "contributor", NOW, None)
        assert accounts.of_token(session, token[:-1]) is None
        assert accounts.of_token(session, "") is None
        assert accounts.of_token(session, found.token_hash) is None
    for file in workspace.path.glob("workspace.db*"):
        assert token.encode() not in file.read_bytes()


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\nb", "owner", "ANA"])
def test_names_are_short_printable_and_given_once(workspace, name):
    contributor(workspace, "Ana")
    with pytest.raises(ConfigError, match="name"), workspace.write() as session:
        accounts.invite(session, name)


def test_revoking_ends_token_sign_ins_and_what_waits_or_runs_but_keeps_results(in_both):
    workspace = in_both()
    with workspace.write() as session:
        token = accounts.invite(session, "Ana")
    with workspace.read() as session:
        ana = accounts.of_token(session, token)
    first, second, third = queued(workspace, ana, 3)
    (other,) = queued(workspace, contributor(workspace, "Ben"))
    with workspace.write() as session:
        cookie, _ = accounts.sign_in(session, ana)
        done, running = queue.claim(session, "w", 60.0), queue.claim(session, "w", 60.0)
        while done.submission == other or running.submission == other:
            done, running = running, queue.claim(session, "w", 60.0)
    with workspace.write() as session:
        queue.finish(session, done, SCORES, 1, 1.0)
    with workspace.write() as session:
        stopped = accounts.revoke(session, "Ana")
    assert set(stopped) == {first, second, third} - {done.submission}
    with workspace.write() as session:
        assert accounts.of_token(session, token) is None
        assert accounts.of_cookie(session, cookie) is None
        assert session.scalars(select(SignIn)).all() == []
        assert not queue.renew(session, running, 60.0)
        assert len(session.get_one(Submission, done.submission).results) == 2
        assert session.get_one(Submission, other).state in ("queued", "running")
        assert {session.get_one(Submission, one).state for one in stopped} == {"stopped"}
    with pytest.raises(ConfigError, match="revoked on 2026-11-20"), workspace.write() as session:
        accounts.revoke(session, "Ana")


def test_only_contributors_can_be_revoked(workspace):
    contributor(workspace, "Ana")
    with pytest.raises(MissingDataError) as error, workspace.write() as session:
        accounts.revoke(session, "Bea")
    assert "Ana" in error.value.hint
    with pytest.raises(ConfigError, match="is the owner"), workspace.write() as session:
        accounts.revoke(session, "owner")


def test_a_sign_in_ends_with_its_time_or_by_signing_out(workspace, set_clock):
    ana = contributor(workspace)
    with workspace.write() as session:
        cookie, row = accounts.sign_in(session, ana, hours=1)
        other, _ = accounts.sign_in(session, ana, hours=2)
    with workspace.read() as session:
        assert accounts.of_cookie(session, cookie).account.name == "Ana"
        assert accounts.of_cookie(session, cookie).csrf == row.csrf
        assert accounts.of_cookie(session, row.cookie_hash) is None
    set_clock(NOW + dt.timedelta(hours=1))
    with workspace.write() as session:
        assert accounts.of_cookie(session, cookie) is None
        assert accounts.of_cookie(session, other) is not None
        accounts.sign_out(session, other)
        assert accounts.of_cookie(session, other) is None


def test_the_database_itself_refuses_other_roles_and_unknown_accounts(in_both):
    workspace = in_both()
    for statement in (
        "UPDATE accounts SET role = 'admin'",
        "INSERT INTO jobs (submission_id, state, queued, attempts, progress) "
        "VALUES ('x', 'queued', '2026-01-01', 0, '{}')",
    ):
        with pytest.raises(Exception, match=r"(?i)constraint"), workspace.write() as session:
            session.execute(text(statement))
    with workspace.read() as session:
        assert [one.role for one in session.scalars(select(Account))] == ["owner"]
