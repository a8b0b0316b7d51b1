"""How models arrive: checked apart, counted once, refused in words, and never lost."""

import datetime as dt
import json

import pytest
from dense_model import write_model
from scored_workspace import account_of

from yieldcast.workspace.database import audit, submissions
from yieldcast.workspace.database.models import Job, Submission
from yieldcast.workspace.server import acceptance
from yieldcast.workspace.settings import FILE

PATH = "/api/v1/submissions"


def send(client, model, **about):
    files = {"model": ("model.keras", model.read_bytes() if hasattr(model, "read_bytes") else model)}
    return client.post(PATH, files=files, data={"about": json.dumps({"name": "Dense", **about})})


def rows(workspace):
    with workspace.read() as session:
        return {row.id: row.state for row in session.query(Submission) if row.name == "Dense"}


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.keras")


def test_a_model_is_stored_checked_and_queued_and_the_same_again_is_the_same(ask, workspace, model):
    made = send(ask("Beta"), model, price_per_km2=0.22, options={"epochs": 3})
    assert (made.status_code, made.json()["state"], made.json()["place"]) == (201, "queued", 1)
    again = send(ask("Beta"), model, price_per_km2=0.22, options={"epochs": 3})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert rows(workspace) == {made.json()["id"]: "queued"}
    with workspace.read() as session:
        row = session.get(Submission, made.json()["id"])
        assert (row.parameters, str(row.price_per_km2), row.options["epochs"]) == (260, "0.22", 3)
        assert workspace.model_file(row.sha256).read_bytes() == model.read_bytes()
        assert [one.act for one in audit.entries(session)][-2:] == ["submit", "accept"]
    assert not list(workspace.scratch.iterdir())


def test_other_options_are_another_submission_and_places_are_counted(ask, model, set_clock):
    first, second = (send(ask("Beta"), model, options={"epochs": n}).json() for n in (3, 4))
    paths = [f"{PATH}/{one['id']}/progress" for one in (first, second)]
    assert {ask("Beta").get(path).json()["place"] for path in paths} == {1, 2}
    set_clock(dt.datetime(2026, 12, 1, 10, tzinfo=dt.UTC))
    assert send(ask("Alpha"), model, options={"epochs": 3}).json()["place"] == 3


def with_lambda(config):
    layer = config["config"]["layers"][1]
    layer["class_name"], layer["config"] = "Lambda", {"name": "flatten", "function": "x"}


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda path: write_model(path, change=with_lambda), "lambda"),
        (lambda path: write_model(path, shape=(16, 16, 1)), "task"),
        (lambda path: path.write_bytes(b"PK\x03\x04 no model") and path, "archive"),
    ],
)
def test_a_model_that_breaks_a_rule_is_refused_with_the_rule(ask, workspace, tmp_path, make, rule):
    refused = send(ask("Beta"), make(tmp_path / "bad.keras"))
    assert (refused.status_code, refused.json()["rule"]) == (422, rule)
    assert refused.json()["error"]
    assert refused.json()["hint"]
    assert set(rows(workspace).values()) == {"refused"}
    again = send(ask("Beta"), tmp_path / "bad.keras")
    assert (again.status_code, again.json()["error"]) == (422, refused.json()["error"])
    assert not list((workspace.path / "submissions").iterdir())
    with workspace.read() as session:
        assert submissions.counted(session, account_of(session, "Beta").id) == 1


@pytest.mark.parametrize(
    ("about", "text"),
    [
        ({"price_per_km2": -1}, "price_per_km2"),
        ({"price_per_km2": "cheap"}, "price_per_km2"),
        ({"colour": "red"}, "colour"),
        ({"name": ""}, "name"),
        ({"options": {"epochs": 101}}, "epochs: expected at most 100"),
        ({"options": {"learning_rate": 7}}, "learning_rate"),
        ({"outputs": []}, "outputs"),
    ],
)
def test_what_is_declared_is_checked(ask, workspace, about, text):
    refused = send(ask("Beta"), b"model", **about)
    assert refused.status_code == 422
    assert text in refused.json()["error"]
    assert not rows(workspace)


def test_declarations_that_are_no_json_are_refused(ask):
    for about in (b"\xff", b"[" * 100_000, b"", b"name=B"):
        answer = ask("Beta").post(PATH, files={"model": b"x", "about": (None, about)})
        assert answer.status_code in (413, 422)


def test_the_owner_and_strangers_submit_nothing(ask, workspace, model):
    assert send(ask("owner"), model).status_code == 403
    assert send(ask(), model).status_code == 401
    assert not rows(workspace)


def test_the_window_and_the_quota_are_kept(ask, workspace, model, set_clock):
    for epochs in range(1, 5):  # one of five was there
        assert send(ask("Beta"), model, options={"epochs": epochs}).status_code == 201
    over = send(ask("Beta"), model, options={"epochs": 5})
    assert (over.status_code, over.json()["rule"]) == (409, "quota")
    assert send(ask("Beta"), model, options={"epochs": 1}).status_code == 200
    set_clock(dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    late = send(ask("Alpha"), model)
    assert (late.status_code, late.json()["rule"]) == (409, "window")


def test_a_file_that_is_too_large_is_not_kept(workspace, model, scored_once, ask, app):
    small = workspace.settings.model_copy(
        update={"limits": workspace.settings.limits.model_copy(update={"model_mb": 0.0001})}
    )
    object.__setattr__(app.state.site.workspace, "settings", small)
    assert (workspace.path / FILE).is_file()
    refused = send(ask("Beta"), model)
    assert refused.status_code == 413
    assert "at most 100 bytes" in refused.json()["error"]
    assert not rows(workspace)
    assert not list(workspace.scratch.iterdir())


def test_one_upload_of_an_account_at_a_time(ask, app, workspace, model):
    with workspace.read() as session:
        beta = session.query(Submission).filter(Submission.name == "Transformer").one().account_id
    app.state.site.uploads.enter(beta)
    busy = send(ask("Beta"), model)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "5")
    assert send(ask("Alpha"), model).status_code == 201
    app.state.site.uploads.leave(beta)
    assert send(ask("Beta"), model).status_code == 201


def test_what_a_killed_server_left_unchecked_is_checked_at_the_next_start(workspace, ask, model, monkeypatch):
    """The server dies between the row of a submission and its check."""

    class KilledError(BaseException):
        pass

    def killed(*arguments):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(acceptance, "settle", killed)
        with pytest.raises(KilledError):
            send(ask("Beta"), model)
    assert list(rows(workspace).values()) == ["received"]
    (workspace.scratch / "upload-cut-off.tmp").write_bytes(b"half a model")
    acceptance.remove_cut_off(workspace)
    acceptance.settle_received(workspace)
    assert list(rows(workspace).values()) == ["queued"]
    assert not list(workspace.scratch.iterdir())
    with workspace.read() as session:
        assert session.get(Job, next(iter(rows(workspace)))) is not None
    assert send(ask("Beta"), model).status_code == 200
