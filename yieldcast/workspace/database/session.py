"""`Database`: connections to SQLite or PostgreSQL, with transactions that read and others that write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from yieldcast.errors import ConfigError, MissingDataError, SchemaError, YieldcastError

# Environment variable with the URL of the database: a password in it is in no file and no list of processes.
VARIABLE = "YIELDCAST_DATABASE"
_BUSY_SECONDS = 30
_WRITES = {"yieldcast_writes": True}  # execution option of transactions that write
_EXAMPLE = "Give --database postgresql://USER:PASSWORD@HOST/NAME, or leave it out for SQLite."


class Database:
    """An open database. Threads may share it; a process that was forked opens its own.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises:
        ConfigError: no URL of these two databases, or the driver of PostgreSQL is not installed.
    """

    def __init__(self, url: str | URL) -> None:
        self.engine = _engine(_checked(url))
        # In PostgreSQL all statements of a reader see one state; in SQLite they always do.
        isolation: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading = self.engine.execution_options(**isolation)
        self._writing = self.engine.execution_options(**_WRITES)

    @classmethod
    def of_file(cls, path: Path) -> Database:
        """SQLite in a file."""
        return cls(URL.create("sqlite", database=str(path.absolute())))

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        return self.engine.url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, which has one writer at a time."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads: all of it sees one state. What it changes is not kept.

        Raises:
            MissingDataError: the database cannot be reached.
            SchemaError: it is damaged.
        """
        with self._session(self._reading) as session:
            yield session
            session.expunge_all()  # what was read stays readable

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes: kept whole at the end of the block, or not at all after an error.

        SQLite has one at a time: it begins with a lock, so that nothing it has read can change before it
        writes. In PostgreSQL rows are locked where they are read to be changed.

        Raises:
            MissingDataError: the database cannot be reached, or another writer has held it for 30 seconds.
        """
        with self._session(self._writing) as session:
            yield session
            session.commit()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that writes, below the models: for changes of the tables themselves.

        Raises:
            MissingDataError: as `write`, or the user of the database may not do this.
        """
        try:
            with self._writing.begin() as connection:
                yield connection
        except DatabaseError as error:
            # ProgrammingError: no right to make tables
            if isinstance(error, OperationalError | ProgrammingError) or _is_damaged(error):
                raise self.unreachable(error) from error
            raise

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        with Session(engine, expire_on_commit=False) as session:
            try:
                yield session
            except DatabaseError as error:
                if isinstance(error, OperationalError) or _is_damaged(error):
                    raise self.unreachable(error) from error
                raise

    def unreachable(self, error: DBAPIError) -> YieldcastError:
        """The error for a database that does not answer, or is damaged."""
        if _is_damaged(error):
            return SchemaError(
                f"the database {self.name} is damaged: {error.orig}", "Put a backup of it in its place."
            )
        return MissingDataError(
            f"the database {self.name} cannot be used: {str(error.orig).strip()}",
            "Is its server running, the disk not full, and may this user do it? Nothing was half-written: "
            "then do the same again.",
        )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _is_damaged(error: DBAPIError) -> bool:
    """Whether a file is no SQLite database, or broken: for all other errors there is a narrower class."""
    return type(error) is DatabaseError


def _checked(url: str | URL) -> URL:
    """The URL with the driver that is used."""
    try:
        parsed = make_url(url)
    except ArgumentError:  # names no URL in the message: it may hold a password
        raise ConfigError("--database: expected the URL of a database", _EXAMPLE) from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database:
        return parsed.set(drivername="sqlite")
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(
        f"--database: expected a URL of sqlite or postgresql, received one of {parsed.drivername}", _EXAMPLE
    )


def _engine(url: URL) -> Engine:
    try:
        if url.drivername == "sqlite":
            return _sqlite(url)
        # pre_ping: a server that was started again is noticed before a transaction, not in it
        return create_engine(
            url, pool_pre_ping=True, connect_args={"connect_timeout": _BUSY_SECONDS}, **_OPTIONS
        )
    except (ImportError, NoSuchModuleError):
        raise ConfigError(
            "PostgreSQL needs its driver psycopg, which is not installed", "pip install 'yieldcast[postgres]'"
        ) from None


def _json(value: object) -> str:
    """JSON without NaN, which PostgreSQL refuses and SQLite would keep: a value that is not known is null."""
    return json.dumps(value, allow_nan=False)


# Connections: a server answers 40 requests at the same time, each in a thread with one of them.
_OPTIONS: dict[str, Any] = {
    "json_serializer": _json,
    "poolclass": QueuePool,
    "pool_size": 10,
    "max_overflow": 40,
}


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, **_OPTIONS)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, record: object) -> None:
    """Set up a connection: durable, with foreign keys, and no transaction that begins by itself."""
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("yieldcast_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
