"""A workspace without arrays, in SQLite and in a PostgreSQL server of the tests' own."""

import shutil

import postgres_server
import pytest
from workspace_factory import write_task

from yieldcast.workspace.directory import Workspace, create
from yieldcast.workspace.settings import FILE, WorkspaceSettings, as_toml


@pytest.fixture(scope="session")
def postgres():
    if reason := postgres_server.missing():
        pytest.skip(reason)
    with postgres_server.running() as server:
        yield server


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A new workspace in SQLite, which tests copy."""
    path = tmp_path_factory.mktemp("workspace") / "W"
    create(path, WorkspaceSettings(), write_task)
    return path


@pytest.fixture(scope="session")
def made_once_in_postgres(tmp_path_factory, postgres):
    """A new workspace in PostgreSQL, and its database, which tests copy."""
    path, url = tmp_path_factory.mktemp("workspace") / "W", postgres.new_database()
    create(path, WorkspaceSettings(), write_task, url)
    return path, url


@pytest.fixture
def opened_copy(tmp_path):
    """Copy a workspace and open the copy; other settings than the default are written into it first."""
    opened = []

    def copy(path, settings=None, url=None):
        shutil.copytree(path, tmp_path / "W")
        if settings is not None:
            (tmp_path / "W" / FILE).write_text(as_toml(settings), encoding="utf-8")
        if url is not None:
            (tmp_path / "W" / "database.url").write_text(url, encoding="utf-8")
        opened.append(Workspace.open(tmp_path / "W"))
        return opened[-1]

    yield copy
    for one in opened:
        one.close()


@pytest.fixture
def new_workspace(made_once, opened_copy):
    """Open a new workspace in SQLite."""
    return lambda settings=None: opened_copy(made_once, settings)


@pytest.fixture(params=["sqlite", "postgresql"])
def in_both(request, opened_copy):
    """Open a new workspace, in each database."""
    if request.param == "sqlite":
        return request.getfixturevalue("new_workspace")
    server = request.getfixturevalue("postgres")
    path, url = request.getfixturevalue("made_once_in_postgres")
    return lambda settings=None: opened_copy(path, settings, server.new_database(url))
