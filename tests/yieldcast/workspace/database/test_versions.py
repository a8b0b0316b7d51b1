import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from yieldcast.errors import MissingDataError, RunError, SchemaError
from yieldcast.workspace.database import audit, versions
from yieldcast.workspace.database.models import Base
from yieldcast.workspace.database.session import Database
from yieldcast.workspace.directory import Workspace


def test_the_steps_make_the_tables_of_the_models(in_both):
    with in_both().database.transaction() as connection:
        assert versions.form_of(connection) == versions.newest()
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_the_steps_make_the_checks_of_the_models_too(new_workspace, tmp_path):
    """`compare_metadata` leaves out CHECK constraints: the statements themselves are compared."""

    def statements(database):
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        with database.transaction() as connection:
            rows = connection.execute(text(query)).all()
        return {
            name: sorted(re.sub(r'[",]+', "", line).strip() for line in sql.splitlines())
            for name, sql in rows
        }

    models = Database.of_file(tmp_path / "models.db")
    with models.transaction() as connection:
        Base.metadata.create_all(connection)
    made, wanted = statements(new_workspace().database), statements(models)
    models.close()
    assert {name: made[name] for name in wanted} == wanted
    assert set(made) - set(wanted) == {"alembic_version", "audit_no_update", "audit_no_delete"}


def test_an_older_database_is_upgraded_after_telling_and_a_newer_one_refused(new_workspace):
    workspace, told = new_workspace(), []
    with workspace.database.transaction() as connection:  # the form 0001 has no triggers
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        for act in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER audit_no_{act}"))
    with Workspace.open(workspace.path, notice=told.append) as again, again.read() as session:
        assert audit.verify(session).entries == 1
        assert len(session.execute(text("SELECT 1 FROM sqlite_master WHERE type = 'trigger'")).all()) == 2
    assert told == ["the database is of the form 0001: it is upgraded to 0002"]
    with workspace.database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RunError, match="holds the form 9999; this yieldcast knows 0001, 0002") as error:
        Workspace.open(workspace.path)
    assert error.value.exit_code == 6


def test_a_database_of_something_else_is_left_alone(tmp_path):
    database = Database.of_file(tmp_path / "other.db")
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE accounts (id INTEGER)"))
    with pytest.raises(RunError, match="holds no workspace"):
        versions.prepare(database)
    with pytest.raises(SchemaError, match="tables accounts"), database.transaction() as connection:
        versions.create_tables(connection)
    database.close()


def test_a_user_without_the_right_to_make_tables_is_told(postgres):
    url = postgres.new_database()
    owner, guest = Database(url), Database(url.replace("tests@", "guest@"))
    with owner.transaction() as connection:
        connection.execute(text("CREATE ROLE guest LOGIN"))
        connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    with pytest.raises(MissingDataError, match="permission denied"), guest.transaction() as connection:
        versions.create_tables(connection)
    owner.close()
    guest.close()
