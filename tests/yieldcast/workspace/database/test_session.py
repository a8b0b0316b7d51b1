import datetime as dt
import sys
import threading
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError
from workspace_factory import contributor, submit

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.workspace.database import state
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.database.session import Database
from yieldcast.workspace.directory import Workspace


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("nonsense secret", "expected the URL of a database"),
        ("oracle://u:secret@h/n", "received one of oracle"),
        ("sqlite://", "received one of sqlite"),
        ("postgresql+asyncpg://u:secret@h/n", "received one of postgresql"),
    ],
)
def test_urls_of_other_databases_are_refused_without_their_password(url, match):
    with pytest.raises(ConfigError, match=match) as error:
        Database(url)
    assert "secret" not in str(error.value)


def test_a_server_that_does_not_answer_is_an_error_without_the_password(tmp_path):
    database = Database(f"postgresql://ana:secret@/workspace?host={tmp_path}")
    with pytest.raises(MissingDataError, match="cannot be used") as error, database.read() as session:
        session.execute(text("SELECT 1"))
    assert "secret" not in str(error.value)
    assert "***" in str(error.value)


def test_prices_and_times_come_back_as_they_were(in_both):
    workspace = in_both()
    made = submit(workspace, contributor(workspace), price_per_km2=Decimal("12345678901.3456"))
    moment = dt.datetime(2026, 3, 1, 1, 30, 0, 123456, dt.timezone(dt.timedelta(hours=3)))
    with workspace.write() as session:
        session.get_one(Submission, made.id).finished = moment
    with workspace.read() as session:
        row = session.get_one(Submission, made.id)
    assert row.price_per_km2 == Decimal("12345678901.3456")
    assert row.finished == moment
    assert row.finished.utcoffset() == dt.timedelta(0)
    with pytest.raises(StatementError, match="time zone"), workspace.write() as session:
        session.get_one(Submission, made.id).finished = moment.replace(tzinfo=None)


def test_a_reader_changes_nothing_and_sees_one_state(in_both):
    workspace = in_both()
    with workspace.read() as session:
        assert state.get(session, "a") is None
        with workspace.write() as other:
            state.put(other, "a", "1")
        session.expire_all()
        assert state.get(session, "a") is None
        state.put(session, "b", "1")
        session.flush() if not workspace.database.is_sqlite else None
    with workspace.read() as session:
        assert (state.get(session, "a"), state.get(session, "b")) == ("1", None)


def test_a_damaged_file_is_told_and_left_as_it_is(new_workspace):
    path = new_workspace().path
    for content in (
        b"this is no database" * 100,
        (path / "workspace.db").read_bytes()[:5000] + b"x" * 30_000,
    ):
        (path / "workspace.db").write_bytes(content)
        for log in path.glob("workspace.db-*"):
            log.unlink()
        with pytest.raises(SchemaError, match="is damaged"):
            Workspace.open(path)
        assert (path / "workspace.db").read_bytes() == content


def test_postgresql_without_its_driver_is_told_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match="psycopg") as error:
        Database("postgresql://ana@host/workspace")
    assert "yieldcast[postgres]" in error.value.hint


def test_forty_threads_read_at_the_same_time(in_both):
    workspace, together, seen = in_both(), threading.Barrier(40, timeout=20), []

    def read():
        with workspace.read() as session:
            state.get(session, state.TASK)
            together.wait()
            seen.append(state.is_closed(session))

    threads = [threading.Thread(target=read) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [False] * 40
