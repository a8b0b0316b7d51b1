"""A workspace whose server is asked as browsers and scripts ask it."""

import json

import pytest
from starlette.testclient import TestClient

from yieldcast.workspace import directory
from yieldcast.workspace.database import accounts
from yieldcast.workspace.server.app import create_app
from yieldcast.workspace.settings import WorkspaceSettings


@pytest.fixture
def tokens():
    """Token by name of the account."""
    return {}


@pytest.fixture
def workspace(tmp_path, tokens):
    """With the owner Lena and the contributors Ana and Ben."""
    folder = tmp_path / "workspace"

    def prepare(data):
        (data / "task.json").write_text(json.dumps({"format": 1}))

    tokens["Lena"] = directory.create(folder, WorkspaceSettings(title="Nine crops"), prepare, owner="Lena")
    with directory.Workspace.open(folder) as opened:
        with opened.write() as session:
            for name in ("Ana", "Ben"):
                tokens[name] = accounts.add(session, name, "contributor")
        yield opened


@pytest.fixture
def app(workspace):
    return create_app(workspace)


@pytest.fixture
def ask(app, tokens):
    """Client of somebody: ask() of nobody, ask("Ana") of a contributor."""

    def client(name=None):
        headers = {"Authorization": f"Bearer {tokens[name]}"} if name else {}
        return TestClient(app, headers=headers, follow_redirects=False)

    return client
