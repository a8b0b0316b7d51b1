"""The client against a real server on this machine: submissions count once, also when answers are lost."""

import datetime as dt
import shutil
import socket
import threading

import pytest
from dense_model import write_model
from workspace_server import TOKENS, running, write_scored

from yieldcast.errors import ConfigError, CredentialsError, FetchError, MissingDataError, SchemaError
from yieldcast.workspace import client
from yieldcast.workspace.database.models import Job, Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.server.app import create_app
from yieldcast.workspace.server.limits import RateLimit
from yieldcast.workspace.settings import parse_options


@pytest.fixture(autouse=True)
def _a_day_of_the_window(set_clock):
    set_clock(dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scored(tmp_path_factory.mktemp("scored") / "W")


@pytest.fixture
def workspace(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "W")
    with Workspace.open(tmp_path / "W") as opened:
        yield opened


@pytest.fixture
def app(workspace):
    return create_app(workspace)


@pytest.fixture
def url(app):
    with running(app) as address:
        yield address


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.keras")


def connect(url, name="Beta", **settings):
    return client.Connection(url, TOKENS[name], pause_s=0.01, **settings)


def count(workspace):
    with workspace.read() as session:
        return session.query(Submission).filter(Submission.name == "Dense").count()


def test_a_submission_from_python_is_followed_to_its_end(url, workspace, model, monkeypatch):
    monkeypatch.setenv("YIELDCAST_TOKEN", TOKENS["Beta"])
    sent, moved = [], []
    made = client.submit(
        url, model, name="Dense", price_per_km2="0.22", outputs=["a", "b", "c", "d"],
        options=parse_options({"epochs": 3, "frozen_layers": ["dense"]}),
        progress=lambda done, total: sent.append((done, total)),
    )  # fmt: skip
    assert made.state == "queued"
    assert sent[-1][0] == sent[-1][1] > model.stat().st_size
    with pytest.raises(MissingDataError, match="no results yet: it is queued"):
        made.results()
    with workspace.read() as session:
        row = session.get(Submission, made.id)
        assert (row.outputs, str(row.price_per_km2)) == (["a", "b", "c", "d"], "0.22")
        assert (row.options["epochs"], row.options["frozen_layers"]) == (3, ["dense"])

    def end(now):
        moved.append(now["state"])
        with workspace.write() as session:
            session.get(Submission, made.id).state = "failed"
            session.get(Job, made.id).state = "failed"

    ended = made.wait(every_s=0.01, progress=end)
    assert (moved, ended.state) == (["queued", "failed"], "failed")
    assert ended.results()["row"]["model"] == "Dense"


def test_a_lost_answer_is_asked_again_and_counts_once(app, workspace, model):
    """A server between them takes the whole request, passes it on, and drops the first answer."""
    with running(app) as behind, Dropping(behind, answers=2) as url:
        made = client.send(connect(url), model, client.about("Dense"))
    assert made.state == "queued"
    assert count(workspace) == 1


class Dropping:
    """Passes connections on to a server; of the first ones the answer is not passed back."""

    def __init__(self, behind, answers):
        self.behind, self.left = int(behind.rpartition(":")[2]), answers
        self.door = socket.create_server(("127.0.0.1", 0))

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return f"http://127.0.0.1:{self.door.getsockname()[1]}"

    def __exit__(self, *error):
        self.door.close()

    def serve(self):
        while True:
            try:
                here, _ = self.door.accept()
            except OSError:
                return
            self.left -= 1
            threading.Thread(target=self.one, args=(here, self.left >= 0), daemon=True).start()

    def one(self, here, drop):
        there = socket.create_connection(("127.0.0.1", self.behind))

        def forward():
            while data := here.recv(1 << 16):
                there.sendall(data)

        threading.Thread(target=forward, daemon=True).start()
        with here, there:
            while data := there.recv(1 << 16):
                if drop:
                    here.shutdown(socket.SHUT_RDWR)
                    return
                here.sendall(data)


def test_a_server_that_starts_late_is_waited_for(app, model):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    late = {}

    def ask():
        late["account"] = connect(f"http://127.0.0.1:{port}", tries=30).get("/account")

    thread = threading.Thread(target=ask)
    thread.start()
    with running(app, port):
        thread.join()
    assert late["account"]["name"] == "Beta"


def test_a_server_that_is_not_there_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(FetchError, match=f"no answer from http://127.0.0.1:{port}: .*refused") as error:
        connect(f"http://127.0.0.1:{port}", tries=2).get("/account")
    assert "nothing counts twice" in error.value.hint


def test_a_busy_server_is_asked_again_when_it_says_so(app, url, monkeypatch):
    paused = []
    monkeypatch.setattr("tenacity.nap.time.sleep", paused.append)
    app.state.site.requests = RateLimit(1, 1000.0)
    assert connect(url).get("/account")["name"] == "Beta"
    with pytest.raises(FetchError, match="too many requests"):
        connect(url, tries=3).get("/account")
    assert len(paused) == 2
    assert all(10 < seconds <= 60 for seconds in paused)


def test_refusals_are_errors_with_the_servers_words(url, model, tmp_path):
    with pytest.raises(CredentialsError, match="expected the token of an account"):
        client.Connection(url, "wrong").get("/account")
    with pytest.raises(CredentialsError, match="only the owner"):
        connect(url).get("/owner/summary")
    with pytest.raises(MissingDataError, match="you have no submission 'alpha6resnet'"):
        connect(url).get("/submissions/alpha6resnet")
    with pytest.raises(SchemaError, match="epochs: expected at most 100, received 101"):
        client.send(connect(url), model, client.about("Dense", options=parse_options({"epochs": 101})))
    with pytest.raises(MissingDataError, match="Not Found"):
        client.Connection(f"{url}/elsewhere", "token").get("/account")


def test_a_bad_model_is_refused_before_it_is_sent(url, workspace, tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    with pytest.raises(SchemaError):
        client.send(connect(url), tmp_path / "bad.keras", client.about("Dense"))
    wide = write_model(tmp_path / "wide.keras", shape=(16, 8, 1))
    with pytest.raises(
        SchemaError, match=r"expected the shape \(8, 8, 1\) of one row, received \(16, 8, 1\)"
    ):
        client.send(connect(url), wide, client.about("Dense"))
    with pytest.raises(MissingDataError, match="no file"):
        client.send(connect(url), tmp_path / "none.keras", client.about("Dense"))
    assert count(workspace) == 0


def test_neither_netrc_nor_a_redirect_takes_the_token_away(url, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password eve\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert connect(url).get("/account")["name"] == "Beta"
    door = socket.create_server(("127.0.0.1", 0))

    def redirect():
        here, _ = door.accept()
        with here:
            here.recv(1 << 16)
            here.sendall(f"HTTP/1.1 302 Found\r\nLocation: {url}/x\r\nContent-Length: 2\r\n\r\n{{}}".encode())

    thread = threading.Thread(target=redirect)
    thread.start()
    with pytest.raises(FetchError, match="302"):
        connect(f"http://127.0.0.1:{door.getsockname()[1]}").get("/account")
    thread.join()
    door.close()


def test_the_token_is_shown_nowhere(url):
    made = connect(url)
    assert TOKENS["Beta"] not in repr(made)
    assert TOKENS["Beta"] not in repr(client.Submission(made, "x", {}))


@pytest.mark.parametrize(
    "url",
    [
        "owner.example",
        "ftp://owner.example",
        "http://",
        "https://me:secret@owner.example",
        "http://[::1",
        "x:y",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="expected the address"):
        client.Connection(url, "token")


def test_tokens_go_over_http_to_this_machine_only():
    for near in ("http://127.0.0.1:8800", "http://[::1]:8800", "http://localhost:1"):
        client.Connection(near, "token")
    for far in ("http://owner.example", "http://192.0.2.1:8800", "http://127.0.0.1.owner.example"):
        with pytest.raises(ConfigError, match="not encrypted"):
            client.Connection(far, "token")
        client.Connection(far, "token", insecure=True)


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("YIELDCAST_TOKEN", raising=False)
    with pytest.raises(CredentialsError, match="YIELDCAST_TOKEN, received nothing"):
        client.read_token()
    (tmp_path / "token").write_text(" abc\n")
    assert client.read_token(tmp_path / "token") == "abc"
    (tmp_path / "token").write_text("two words")
    with pytest.raises(CredentialsError, match="something else"):
        client.read_token(tmp_path / "token")
    with pytest.raises(MissingDataError, match="no token file"):
        client.read_token(tmp_path / "none")
