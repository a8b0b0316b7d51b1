"""The form of a database: making its tables, upgrading an older one, refusing one of a newer yieldcast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from yieldcast.errors import RunError, SchemaError
from yieldcast.workspace.database.models import Base
from yieldcast.workspace.database.session import Database

_STEPS = Path(__file__).with_name("migrations")
_LOCK = 0x7969656C6466  # of PostgreSQL


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(_STEPS), version_locations=[str(_STEPS)])


def newest() -> str:
    """The form that this yieldcast writes."""
    (head,) = _script().get_heads()
    return head


def form_of(connection: Connection) -> str | None:
    """The form of a database; None for one without tables of a workspace."""
    return MigrationContext.configure(connection).get_current_revision()


def create_tables(connection: Connection) -> None:
    """Make the tables in a database that has none, within the transaction of the connection.

    Raises:
        SchemaError: it holds tables of these names already.
    """
    _wait_for_others(connection)
    taken = set(inspect(connection).get_table_names()) & {*Base.metadata.tables, "alembic_version"}
    if taken:
        raise SchemaError(
            f"expected an empty database, received one with the tables {', '.join(sorted(taken))}",
            "Each workspace has a database of its own: CREATE DATABASE, and give its URL.",
        )
    _upgrade(connection, newest())


def prepare(database: Database, notice: Callable[[str], None] | None = None) -> None:
    """Bring a database into the newest form.

    Args:
        database: of a workspace.
        notice: is told before an older database is upgraded.

    Raises:
        RunError: the database was written by a newer yieldcast, or is none of a workspace.
    """
    with database.read() as session:
        if form_of(session.connection()) == newest():
            return
    with database.transaction() as connection:
        _wait_for_others(connection)
        found, wanted = form_of(connection), newest()
        if found == wanted:  # another process was faster
            return
        _refuse_unknown(found, database)
        if notice is not None:
            notice(f"the database is of the form {found}: it is upgraded to {wanted}")
        _upgrade(connection, wanted)


def _refuse_unknown(found: str | None, database: Database) -> None:
    known = sorted(step.revision for step in _script().walk_revisions())
    if found in known:
        return
    what = "no workspace" if found is None else f"the form {found}"
    hint = "A newer yieldcast wrote it: upgrade yieldcast."
    if found is None:
        hint = "Give the URL that the workspace was created with."
    raise RunError(
        f"the database {database.name} holds {what}; this yieldcast knows {', '.join(known)}", hint
    )


def _wait_for_others(connection: Connection) -> None:
    """One process at a time changes tables; SQLite's transactions do that by themselves."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _upgrade(connection: Connection, to: str) -> None:
    """Apply the steps up to a form. There is no env.py: the connection is open already."""
    script = _script()

    def steps(revision: Any, context: Any) -> Any:
        return script._upgrade_revs(to, revision)

    with EnvironmentContext(Config(), script, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
        environment.run_migrations()
