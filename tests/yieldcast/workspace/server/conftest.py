"""A workspace with scored submissions whose server is asked as browsers and scripts ask it."""

import datetime as dt
import shutil

import pytest
from starlette.testclient import TestClient
from workspace_server import TOKENS, write_scored

from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.server.app import create_app


@pytest.fixture(autouse=True)
def _a_day_of_the_window(set_clock):
    set_clock(dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC))


@pytest.fixture(scope="session")
def scored_once(tmp_path_factory):
    """Folder of a workspace with the owner and Alpha, Beta and Gamma, whose tokens are known."""
    return write_scored(tmp_path_factory.mktemp("scored") / "W")


@pytest.fixture
def workspace(scored_once, tmp_path):
    """A copy of `scored_once`, open."""
    shutil.copytree(scored_once, tmp_path / "W")
    with Workspace.open(tmp_path / "W") as opened:
        yield opened


@pytest.fixture
def app(workspace):
    return create_app(workspace)


@pytest.fixture
def ask(app):
    """Client of somebody: ask() of nobody, ask("Alpha") of a contributor."""

    def client(name=None):
        headers = {"Authorization": f"Bearer {TOKENS[name]}"} if name else {}
        return TestClient(app, headers=headers, follow_redirects=False)

    return client


@pytest.fixture
def ids(workspace):
    """Identifier by name of the model."""
    with workspace.read() as session:
        return {row.name: row.id for row in session.query(Submission)}
