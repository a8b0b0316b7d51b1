import os

import pytest
from sqlalchemy import text
from workspace_factory import write_task

from yieldcast.errors import ConfigError, MissingDataError, RunError, SchemaError
from yieldcast.workspace.database import accounts, audit
from yieldcast.workspace.database.session import VARIABLE, Database
from yieldcast.workspace.directory import Workspace, create
from yieldcast.workspace.settings import WorkspaceSettings

SETTINGS = WorkspaceSettings()


def broken(folder):
    (folder / "task.json").write_text("{}")
    raise SchemaError("the data are wrong")


def tables(url):
    database = Database(url)
    with database.transaction() as connection:
        count = connection.execute(
            text("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")
        )
        number = count.scalar_one()
    database.close()
    return number


def test_only_the_owner_may_read_any_of_it(new_workspace, made_once):
    assert made_once.stat().st_mode & 0o777 == 0o700
    names = {path.name: path.stat().st_mode & 0o777 for path in made_once.rglob("*")}
    assert names == {
        **dict.fromkeys(("data", "submissions", "results", "scratch"), 0o700),
        **dict.fromkeys(("task.json", "workspace.toml", "workspace.db"), 0o600),
    }


def test_the_token_of_the_owner_opens_the_workspace(tmp_path):
    token = create(tmp_path / "W", SETTINGS, write_task, owner="Lena")
    with Workspace.open(tmp_path / "W") as workspace, workspace.read() as session:
        found = accounts.of_token(session, token)
        assert (found.name, found.role) == ("Lena", "owner")
        assert [(one.actor, one.act) for one in audit.entries(session)] == [("Lena", "create")]


def test_nothing_is_left_when_the_data_or_the_disk_refuse(tmp_path, postgres, monkeypatch):
    url = postgres.new_database()
    for given in (None, url):
        with pytest.raises(SchemaError, match="the data are wrong"):
            create(tmp_path / "W", SETTINGS, broken, given)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        for given in (None, url):
            with pytest.raises(MissingDataError, match="no space"):
                create(tmp_path / "W", SETTINGS, write_task, given)
    assert list(tmp_path.iterdir()) == []
    assert tables(url) == 0
    create(tmp_path / "W", SETTINGS, write_task, url)
    with pytest.raises(SchemaError, match="expected an empty database"):
        create(tmp_path / "V", SETTINGS, write_task, url)
    assert [path.name for path in tmp_path.iterdir()] == ["W"]


def refuse(*names):
    raise OSError(28, "no space left")


def test_a_folder_that_is_there_stays(tmp_path):
    (tmp_path / "W").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        create(tmp_path / "W", SETTINGS, write_task)
    with pytest.raises(MissingDataError, match="no folder"):
        create(tmp_path / "no" / "W", SETTINGS, write_task)
    with pytest.raises(MissingDataError, match="no workspace in"):
        Workspace.open(tmp_path / "W")
    assert list((tmp_path / "W").iterdir()) == []


def test_a_url_of_the_environment_is_not_stored_and_wanted_again(tmp_path, postgres, monkeypatch):
    monkeypatch.setenv(VARIABLE, postgres.new_database())
    create(tmp_path / "W", SETTINGS, write_task)
    with Workspace.open(tmp_path / "W") as workspace:
        assert not workspace.database.is_sqlite
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(MissingDataError, match="no database in") as error:
        Workspace.open(tmp_path / "W")
    assert VARIABLE in error.value.hint
    assert "workspace.db" not in os.listdir(tmp_path / "W")


def test_the_database_of_another_workspace_is_refused(new_workspace):
    workspace = new_workspace()
    (workspace.data / "task.json").write_text('{"task": "risk"}')
    with pytest.raises(RunError, match="belongs to another workspace"):
        Workspace.open(workspace.path)
