import json

import pytest
from sqlalchemy import text
from typer.testing import CliRunner
from workspace_factory import write_task

from yieldcast.cli.app import workspace as commands
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.workspace.database import accounts
from yieldcast.workspace.directory import Workspace, create
from yieldcast.workspace.settings import WorkspaceSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "W"
    create(path, WorkspaceSettings(), write_task)
    return path


def call(*arguments):
    done = CliRunner().invoke(commands.workspace, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_an_owner_invites_publishes_closes_and_revokes(folder):
    token = json.loads(call("invite", folder, "Ana", "--json"))["token"]
    shown = call("invite", folder, "Bia", "--lang", "pt-BR")
    assert shown.startswith("Bia foi convidado. O token, mostrado só esta vez:\n")
    with Workspace.open(folder) as workspace, workspace.read() as session:
        assert accounts.of_token(session, token).name == "Ana"
        assert accounts.of_token(session, shown.splitlines()[1]).name == "Bia"
    assert "The leaderboard is open." in call("publish", folder)
    assert "was open already" in call("publish", folder)
    assert json.loads(call("close", folder, "--json")) == {"closed": True, "new": True, "waiting": 0}
    assert call("revoke", folder, "Ana").strip() == "The access of Ana has ended; submissions stopped: 0"
    with Workspace.open(folder) as workspace, workspace.read() as session:
        assert accounts.of_token(session, token) is None
    log = json.loads(call("audit", folder, "--json"))
    assert [one["act"] for one in log["log"]] == ["create", "invite", "invite", "publish", "close", "revoke"]
    assert log["whole"]
    assert token not in json.dumps(log)


def test_the_audit_log_is_shown_and_a_broken_one_is_an_error(folder):
    shown = call("audit", folder, "--newest", 1, "--lang", "pt-BR")
    assert "hora (UTC)" in shown
    assert call("audit", folder, "--verify").startswith("the audit log is whole: ")
    with Workspace.open(folder) as workspace, workspace.database.transaction() as connection:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET actor = 'x\x1b[2J' WHERE sequence = 1"))
    with pytest.raises(SchemaError, match="broken at entry 1") as error:
        call("audit", folder)
    assert error.value.exit_code == 5
    assert "\x1b" not in CliRunner().invoke(commands.workspace, ["audit", str(folder)]).stdout


def test_a_missing_extra_is_said_with_how_to_install_it(folder, monkeypatch):
    monkeypatch.setattr("yieldcast.cli.workspace.find_spec", lambda name: None if name == "alembic" else name)
    with pytest.raises(ConfigError, match="not installed: alembic") as error:
        call("audit", folder)
    assert "yieldcast[workspace]" in error.value.hint
