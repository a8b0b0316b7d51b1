"""`yieldcast workspace serve`: what it says, how it stops, and that a server that is killed loses nothing."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from dense_model import write_model
from workspace_server import TOKENS, write_scored

from yieldcast.workspace import client
from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.settings import FILE, parse_options


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scored(tmp_path_factory.mktemp("scored") / "W")


def test_a_port_in_use_is_said_before_anything_is_started(call, folder):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        code, out, error = call("workspace", "serve", folder, "--port", port)
    assert (code, out) == (2, "")
    assert f"port {port} of 127.0.0.1 is in use" in error


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--host", "192.0.2.1"), 2, "cannot listen on 192.0.2.1"),
        (("--tls-cert", "a.pem"), 2, "expected --tls-cert and --tls-key"),
        (("--tls-cert", "a.pem", "--tls-key", "b.pem"), 3, "no file a.pem"),
        (("--workers", "2", "--no-workers"), 2, "received both"),
    ],
)
def test_what_cannot_be_served_is_said(call, folder, arguments, code, text):
    found, _, error = call("workspace", "serve", folder, "--port", 0, *arguments)
    assert found == code
    assert text in " ".join(error.split())


def test_no_workspace_is_said(call, tmp_path):
    code, _, error = call("workspace", "serve", tmp_path)
    assert code == 3
    assert "no workspace" in error


class Server:
    """`yieldcast workspace serve` as a process."""

    def __init__(self, folder, port=0):
        words = ("-m", "yieldcast", "workspace", "serve", folder, "--port", port, "--no-workers")
        command = [sys.executable, *words]
        self.process = subprocess.Popen(
            [str(one) for one in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if found := re.search(r": (http\S+:(\d+))$", line):
                self.url, self.port = found[1], int(found[2])
                break

    def end(self, number):
        """Send a signal; gives exit code and standard error."""
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=30)
        return self.process.returncode, error


@pytest.mark.slow
def test_a_killed_server_loses_no_accepted_model_and_counts_none_twice(tmp_path):
    """Three clients send while the server is killed; whatever was answered is there, each model once."""
    folder, models = write_scored(tmp_path / "W"), 12
    text = (folder / FILE).read_text()
    text = re.sub(r"submissions_per_contributor = \d+", "submissions_per_contributor = 1000", text)
    (folder / FILE).write_text(re.sub(r"(opens|closes) = .*", "", text))
    files = [write_model(tmp_path / f"{k}.keras", seed=k) for k in range(models)]
    server, answered = Server(folder), {}

    def contribute(name, mine):
        connection = client.Connection(server.url, TOKENS[name], tries=60, pause_s=0.05)
        for k in mine:
            declared = client.about(f"Dense {k}", options=parse_options({"epochs": 1 + k}))
            for _ in range(2):  # a client that forgot that it has sent
                answered.setdefault(k, set()).add(client.send(connection, files[k], declared).id)

    threads = [
        threading.Thread(target=contribute, args=(name, range(j, models, 3)))
        for j, name in enumerate(("Alpha", "Beta", "Gamma"))
    ]
    for thread in threads:
        thread.start()
    for pause in (0.3, 0.1, 0.2):
        time.sleep(pause)
        server.end(signal.SIGKILL)
        server = Server(folder, server.port)
    for thread in threads:
        thread.join(60)
    code, error = server.end(signal.SIGTERM)
    assert code == 130
    assert "Traceback" not in error
    with Workspace.open(folder) as workspace, workspace.read() as session:
        rows = session.query(Submission).filter(Submission.name.startswith("Dense")).all()
        assert sorted(row.name for row in rows) == sorted(f"Dense {k}" for k in range(models))
        assert {row.state for row in rows} == {"queued"}
        assert {frozenset(ids) for ids in answered.values()} == {frozenset({row.id}) for row in rows}
        assert all(workspace.model_file(row.sha256).is_file() for row in rows)
        assert audit.verify(session).broken is None
    assert sorted(answered) == list(range(models))
