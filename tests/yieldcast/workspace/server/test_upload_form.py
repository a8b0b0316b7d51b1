"""Submitting a model on a page: what is typed is what the JSON API would get; nothing is half-taken."""

import re
from decimal import Decimal

import pytest
from dense_model import write_model

from yieldcast.errors import SchemaError
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.database.submissions import About
from yieldcast.workspace.server.upload_form import declared


@pytest.fixture
def form(ask):
    """A client of Beta, signed in on the page, and the text of its forms."""
    client = ask()
    client.post("/sign-in", data={"token": "the-token-of-Beta"})
    text = re.search(r'name="csrf" value="([^"]+)"', client.get("/submissions/new").text)[1]

    def send(content, **typed):
        files = {"model": ("model.keras", content)} if content is not None else {"model": ("", b"")}
        return client.post("/submissions", files=files, data={"csrf": text, "name": "Dense", **typed})

    return send


def taken(workspace):
    with workspace.read() as session:
        return {row.name: row for row in session.query(Submission).filter(Submission.sha256 != "f" * 64)}


def test_a_model_is_taken_with_what_was_typed(form, workspace, tmp_path):
    model = write_model(tmp_path / "model.keras").read_bytes()
    answer = form(
        model, price_per_km2="0.22", outputs="barley, wheat,corn,rapeseed", epochs="3", learning_rate="0.01",
        frozen_layers="1", augmentation=["flips", "noise"], class_weights="1",
    )  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, "/submissions?done=taken")
    row = taken(workspace)["Dense"]
    assert (row.state, row.price_per_km2, row.outputs) == (
        "queued", Decimal("0.22"), ["barley", "wheat", "corn", "rapeseed"],
    )  # fmt: skip
    assert row.options == {
        "epochs": 3, "learning_rate": 0.01, "batch_size": 32, "frozen_layers": 1,
        "augmentation": ["flips", "noise"], "class_weights": True, "patience": 3, "new_head": False,
    }  # fmt: skip
    assert not list(workspace.scratch.iterdir())


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"price_per_km2": "0,22"}, "price_per_km2: expected a number, received &#39;0,22&#39;"),
        ({"price_per_km2": "NaN"}, "price_per_km2"),
        ({"epochs": "1e3"}, "epochs: expected a whole number"),
        ({"epochs": "101"}, "epochs: expected at most 100, received 101"),
        ({"name": " "}, "name"),
        ({"augmentation": "dreams"}, "augmentation"),
        ({}, "archive"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(form, workspace, typed, text):
    answer = form(b"no archive", **{"outputs": "a,<b>", **typed})
    assert answer.status_code == 422
    assert "Nothing was submitted." in answer.text
    assert text in answer.text
    assert 'value="a,&lt;b&gt;"' in answer.text
    assert {row.state for row in taken(workspace).values()} <= {"refused"}
    assert not list(workspace.scratch.iterdir())


def test_a_form_without_file_without_its_text_or_too_large_is_refused(form, ask, workspace):
    assert "Choose a .keras file." in form(None).text
    assert form(b"x", csrf="guessed").status_code == 403
    length = {"Content-Length": str(10**12), "Content-Type": "multipart/form-data; boundary=b"}
    client = ask("Beta")
    assert client.post("/submissions", content=b"x", headers=length).status_code == 413
    assert client.post("/submissions", content=iter([b"x"])).status_code == 411
    assert ask().post("/submissions", data={"name": "x"}).status_code == 401
    assert taken(workspace) == {}


def test_the_form_says_why_no_model_is_taken(ask, set_clock):
    import datetime as dt

    set_clock(dt.datetime(2027, 1, 2, tzinfo=dt.UTC))
    page = ask("Beta").get("/submissions/new").text
    assert "Models are not taken now: last day 2026-12-31 (UTC)." in page


def test_names_of_frozen_layers_and_defaults():
    assert About.parse(declared({"name": "A", "frozen_layers": "conv_1, conv_2"})).options.frozen_layers == (
        "conv_1", "conv_2",
    )  # fmt: skip
    assert About.parse(declared({"name": "A"})) == About(name="A")
    with pytest.raises(SchemaError, match="learning_rate"):
        declared({"name": "A", "learning_rate": "fast"})
