"""`Workspace`: the folder of a workspace with its settings and its open database; also how it is created."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from yieldcast.data.files import atomic_text, write_folder_atomically
from yieldcast.errors import ConfigError, MissingDataError, RunError
from yieldcast.workspace.database import accounts, audit, state, versions
from yieldcast.workspace.database.session import VARIABLE, Database
from yieldcast.workspace.settings import FILE, WorkspaceSettings, as_toml, read_settings

_DATABASE, _ADDRESS = "workspace.db", "database.url"
_FOLDERS = ("submissions", "results", "scratch")


@dataclass(frozen=True)
class Workspace:
    """An open workspace; `close` it, or use it in a ``with`` statement.

    Args:
        path: its folder.
        settings: as ``workspace.toml`` has them.
        database: open.
    """

    path: Path
    settings: WorkspaceSettings
    database: Database

    @classmethod
    def open(
        cls, path: Path, database: str | None = None, notice: Callable[[str], None] | None = None
    ) -> Workspace:
        """Open a workspace; an older form of its database is upgraded.

        Args:
            path: folder made by `create`.
            database: URL in place of the stored one, as workers on other machines need it; None for
                the environment variable YIELDCAST_DATABASE, else what `create` was given.
            notice: is told before the database is upgraded.

        Raises:
            MissingDataError: no workspace in this folder, or its database cannot be reached.
            ConfigError: `workspace.toml` or the URL is wrong.
            RunError: the database belongs to another folder, or a newer yieldcast wrote it.
        """
        if not (path / FILE).is_file() or not (path / "data" / "task.json").is_file():
            raise MissingDataError(
                f"no workspace in {path}", "Give the folder that yieldcast workspace create made."
            )
        settings = read_settings(path / FILE)
        url = database or os.environ.get(VARIABLE) or _stored_url(path)
        if not url and not (path / _DATABASE).is_file():
            raise MissingDataError(
                f"no database in {path}: neither {_DATABASE} nor a URL is there",
                f"Set the environment variable {VARIABLE} as when the workspace was created.",
            )
        opened = cls(path, settings, _database(path, url))
        try:
            versions.prepare(opened.database, notice)
            opened._check_and_note_settings()
        except BaseException:
            opened.close()
            raise
        return opened

    def _check_and_note_settings(self) -> None:
        """Refuse the database of another folder; changed settings go into the audit log."""
        with self.read() as session:
            task, known = state.get(session, state.TASK), state.get(session, state.SETTINGS)
        if task != _task_fingerprint(self.path):
            raise RunError(
                f"the database {self.database.name} belongs to another workspace than {self.path}",
                "Give the URL that the workspace was created with, and leave data/task.json as it is.",
            )
        if known == self.settings.model_dump_json():
            return
        with self.write() as session:
            state.note_settings(session, self.settings)

    @property
    def data(self) -> Path:
        """Folder of the task and its arrays."""
        return self.path / "data"

    @property
    def scratch(self) -> Path:
        """Folder for files that live as long as a job."""
        return self.path / "scratch"

    def model_file(self, sha256: str) -> Path:
        """Where the model file of a submission lies."""
        return self.path / "submissions" / f"{sha256}.keras"

    def predictions_file(self, submission: str, phase: int) -> Path:
        """Where the predictions of a submission for the holdout lie, for paired tests."""
        return self.path / "results" / f"{submission}-{phase}.npz"

    def read(self) -> AbstractContextManager[Session]:
        """A transaction that only reads, see `Database.read`."""
        return self.database.read()

    def write(self) -> AbstractContextManager[Session]:
        """A transaction that writes, see `Database.write`."""
        return self.database.write()

    def close(self) -> None:
        """Close the connections of the database."""
        self.database.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create(
    path: Path,
    settings: WorkspaceSettings,
    prepare: Callable[[Path], object],
    database: str | None = None,
    owner: str = "owner",
) -> str:
    """Create a workspace, whole or not at all.

    Args:
        path: folder that does not exist.
        settings: are written to ``workspace.toml``.
        prepare: writes the data of the task into the folder it is given, with ``task.json``.
        database: URL of an empty PostgreSQL database, which is stored in the folder; None for that of the
            environment variable YIELDCAST_DATABASE, which is not, else SQLite in the folder.
        owner: name of the owner's account.

    Returns:
        the token of the owner, which is stored nowhere.

    Raises:
        ConfigError: the folder exists, or the URL is wrong.
        SchemaError: the database is not empty.
        MissingDataError: the disk refuses, or the database cannot be reached. Errors of `prepare` are passed
            on. After any failure nothing is left, in the folder as in the database.
    """
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path} exists already", "Give a folder that does not exist.")
    if not path.absolute().parent.is_dir():
        raise MissingDataError(f"no folder {path.absolute().parent}", "Make it first.")
    url, tokens = database or os.environ.get(VARIABLE), list[str]()
    with ExitStack() as rows:

        def fill(folder: Path) -> None:
            _fill(folder, settings, prepare, database)
            connection = rows.enter_context(_new_tables(_database(folder, url)))
            tokens.append(_first_rows(connection, folder, settings, owner))
            if not url:
                rows.close()  # the file is whole before the folder gets its name
            for one in folder.rglob("*"):
                one.chmod(0o700 if one.is_dir() else 0o600)

        write_folder_atomically(path, fill)
        try:
            rows.close()  # PostgreSQL keeps the rows only now
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    return tokens[0]


def _fill(
    folder: Path, settings: WorkspaceSettings, prepare: Callable[[Path], object], database: str | None
) -> None:
    """The folders, the data and the settings of a new workspace."""
    folder.chmod(0o700)
    for name in ("data", *_FOLDERS):
        (folder / name).mkdir(mode=0o700)
    prepare(folder / "data")
    atomic_text(folder / FILE, as_toml(settings))
    if database is not None:
        atomic_text(folder / _ADDRESS, database + "\n")


@contextmanager
def _new_tables(database: Database) -> Iterator[Connection]:
    """A transaction in which the tables are made; it is kept at the end of the block."""
    try:
        with database.transaction() as connection:
            versions.create_tables(connection)
            yield connection
    finally:
        database.close()


def _first_rows(connection: Connection, folder: Path, settings: WorkspaceSettings, owner: str) -> str:
    """The owner's account, and what ties the database to the folder; returns the token."""
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        state.put(session, state.TASK, _task_fingerprint(folder))
        state.put(session, state.SETTINGS, settings.model_dump_json())
        token = accounts.add(session, owner, "owner")
        audit.write(session, owner, "create", settings.title, {"settings": settings.fingerprint})
        session.commit()
    return token


def _task_fingerprint(folder: Path) -> str:
    return hashlib.sha256((folder / "data" / "task.json").read_bytes()).hexdigest()


def _stored_url(folder: Path) -> str | None:
    file = folder / _ADDRESS
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


def _database(folder: Path, url: str | None) -> Database:
    """PostgreSQL of a URL, else the file in the folder."""
    if not url:
        return Database.of_file(folder / _DATABASE)
    opened = Database(url)
    if opened.is_sqlite:
        raise ConfigError(
            "--database: expected the URL of a PostgreSQL database, received one of SQLite",
            "Leave it out: SQLite is in the folder of the workspace.",
        )
    return opened
