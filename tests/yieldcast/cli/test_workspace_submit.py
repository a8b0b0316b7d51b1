"""`yieldcast workspace submit`, `status` and `results` against a real server on this machine."""

import datetime as dt
import json
import shutil

import pytest
from dense_model import write_model
from workspace_server import TOKENS, running, write_scored

from yieldcast.cli.views.submissions import Curve, bars, progress_line, progress_view
from yieldcast.language import of
from yieldcast.workspace.database import queue
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.server.app import create_app


@pytest.fixture(autouse=True)
def _a_day_of_the_window(set_clock, monkeypatch):
    set_clock(dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC))
    monkeypatch.setenv("YIELDCAST_TOKEN", TOKENS["Beta"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scored(tmp_path_factory.mktemp("scored") / "W")


@pytest.fixture
def workspace(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "W")
    with Workspace.open(tmp_path / "W") as opened:
        yield opened


@pytest.fixture
def url(workspace):
    with running(create_app(workspace)) as address:
        yield address


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.keras")


def test_a_model_is_submitted_and_the_same_again_is_the_same(call, url, workspace, model):
    arguments = (
        "workspace", "submit", url, model, "--name", "Dense", "--price-per-km2", "0.22", "--epochs", 3,
        "--freeze", "flatten,dense", "--augment", "flips", "--outputs", "a,b,c,d",
    )  # fmt: skip
    code, out, error = call(*arguments)
    assert (code, error) == (0, "")
    with workspace.read() as session:
        row = session.query(Submission).filter(Submission.name == "Dense").one()
    assert f"submission {row.id}: in the queue" in out
    assert f"yieldcast workspace status {url} {row.id} --watch" in out
    assert (row.options["frozen_layers"], row.outputs) == (["flatten", "dense"], ["a", "b", "c", "d"])
    code, out, _ = call(*arguments, "--json")
    assert (code, json.loads(out)["id"]) == (0, row.id)


def test_submissions_are_listed_and_one_is_shown(call, url, workspace):
    code, out, _ = call("workspace", "status", url)
    assert code == 0
    assert "Transformer" in out
    assert "93.0%" in out
    assert "ResNet" not in out
    code, out, _ = call("workspace", "status", url, "beta", "--lang", "pt-BR")
    assert code == 0
    assert "pronto" in out
    code, out, _ = call("workspace", "status", url, "beta", "--watch", "--json")
    assert json.loads(out)["state"] == "done"


def test_results_show_scores_by_phase_and_class(call, url):
    code, out, _ = call("workspace", "results", url)
    assert code == 0
    for text in (
        "accuracy",
        "93.0%",
        "75.0%",
        "rare-class recall",
        "barley",
        "corn (rare)",
        "looks at the holdout: 2",
    ):
        assert text in out
    code, out, _ = call("workspace", "results", url, "--json")
    assert json.loads(out)["row"]["tuned"]["value"] == 0.93
    code, out, _ = call("workspace", "results", url, "--lang", "pt-BR")
    assert "93,0%" in out


def test_a_submission_is_followed_to_its_end(call, url, workspace, model, monkeypatch):
    """With --wait: a worker takes the job, and it fails."""

    def work(seconds):
        with workspace.write() as session:
            held = queue.claim(session, "worker", 60)
            if held is not None:
                queue.fail(session, held, "failed", "its outputs are not four numbers")

    monkeypatch.setattr("yieldcast.workspace.client.time.sleep", work)
    code, out, _ = call("workspace", "submit", url, model, "--name", "Dense", "--wait")
    assert code == 0
    assert "in the queue · place 1" in out
    assert "its outputs are not four numbers" in out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("status", "http://owner.example"), 2, "is not encrypted"),
        (("status", "{url}", "zzz"), 3, "expected one submission that begins with zzz, received none"),
        (("status", "{url}", "--watch"), 2, "expected a submission"),
        (("status", "{url}", "--token-file", "none"), 3, "no token file none"),
        (("submit", "{url}", "none.keras", "--name", "x"), 3, "no file none.keras"),
        (("submit", "{url}", "{model}", "--name", "x", "--price-per-km2", "cheap"), 2, "such as 0.22"),
        (("submit", "{url}", "{model}", "--name", "x", "--learning-rate", "7"), 2, "learning_rate"),
        (("submit", "{url}", "{model}", "--name", "x", "--augment", "blur"), 2, "augmentation"),
        (("submit", "{url}", "{model}", "--name", "x", "--outputs", "a", "--outputs-file", "b"), 2, "both"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(call, url, model, arguments, code, text):
    found, _, error = call("workspace", *(one.format(url=url, model=model) for one in arguments))
    assert found == code
    assert text in " ".join(error.split())


def now(epoch, loss, **more):
    progress = {"phase": 2, "epoch": epoch, "epochs": 4, "loss": loss, "validation_loss": loss + 0.1}
    return {
        "id": "0123456789", "model": "Dense", "state": "running", "reason": None, "place": None,
        "progress": progress, "used_pflop": 0.0123, "budget_pflop": 100.0, **more,
    }  # fmt: skip


def test_progress_is_a_line_and_losses_are_bars():
    assert progress_line(now(2, 0.5)) == "running · after fine-tuning · epoch 2 of 4 · validation loss 0.6"
    curve = Curve()
    for epoch, loss in ((1, 1.0), (2, 0.5), (2, 0.5), (3, 0.25)):
        curve.add(now(epoch, loss))
    assert [line.split()[-2:] for line in curve.lines(of("en"))] == [["█▃▁", "0.25"], ["█▃▁", "0.35"]]
    texts = [str(one) for one in progress_view(now(3, 0.25), "en", curve).renderables]
    assert texts[-1] == "compute used: 0.0123 of 100 PFLOP"
    assert len(bars([float(k) for k in range(1000)])) <= 60
    assert bars([1.0]) == "▁"
