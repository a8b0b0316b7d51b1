"""Workers: a job is ended once, whatever happens to them."""

import dataclasses
import datetime as dt
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sandbox_jobs import tile_task
from sqlalchemy import select
from typer.testing import CliRunner

from yieldcast import clock
from yieldcast.cli.app import app
from yieldcast.errors import ConfigError, RunError
from yieldcast.workspace import directory, worker
from yieldcast.workspace.database import accounts, queue, submissions
from yieldcast.workspace.database.models import Account, Job, Result, Submission
from yieldcast.workspace.database.submissions import About
from yieldcast.workspace.sandbox import Outcome, Sandbox
from yieldcast.workspace.settings import WorkspaceSettings
from yieldcast.workspace.worker import Worker

QUICK = {"epochs": 1, "batch_size": 16}


def made(folder, **settings):
    """A workspace of tiles with one contributor."""
    directory.create(folder, WorkspaceSettings.model_validate(settings), tile_task)
    opened = directory.Workspace.open(folder)
    with opened.write() as session:
        accounts.invite(session, "ann")
    return opened


def queued(space, model, count=1):
    """Submissions in the queue, which differ by their learning rate."""
    found = []
    for number in range(count):
        about = About.parse(
            {"name": f"model {number}", "options": {**QUICK, "learning_rate": 0.001 + number / 1e5}}
        )
        with space.write() as session:
            account = session.scalars(select(Account).where(Account.name == "ann")).one()
            found.append(submissions.submit(session, space, account, model, about))
        with space.write() as session:
            submissions.accept(session, found[-1], 40)
    return [one.id for one in found]


@pytest.fixture
def space(tmp_path):
    with made(tmp_path / "workspace") as opened:
        yield opened


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "model.keras"
    file.write_bytes(b"a model")
    return file


class Ready(Sandbox):
    """A sandbox that starts nothing, for workers whose jobs are ended by the test."""

    def start(self):
        pass


def rows(space, kind):
    with space.read() as session:
        return list(session.scalars(select(kind)))


def outcome(**changes):
    predictions = {phase: np.tile(np.float32([0.2, 0.5, 0.3]), (30, 1)) for phase in (1, 2)}
    whole = Outcome("done", None, predictions, ({"epoch": 1, "loss": 1.0},), 500, 2.0)
    return dataclasses.replace(whole, **changes)


def ended(space, monkeypatch, *outcomes, during=lambda on_progress: None):
    """What a worker does with a job that ends like this."""
    left = list(outcomes)

    def run_job(sandbox, job, on_progress):
        during(on_progress)
        return left.pop(0)

    monkeypatch.setattr(worker, "run_job", run_job)
    said = []
    Worker(space, Ready(), "one", notice=said.append).run(once=True)
    return said


def test_results_rows_and_state_come_together(space, model, monkeypatch):
    (name,) = queued(space, model)
    ended(space, monkeypatch, outcome())
    (submission,) = rows(space, Submission)
    assert submission.state == "done"
    found = rows(space, Result)
    assert [one.phase for one in found] == [1, 2]
    # ten of thirty rows are oats
    assert found[0].scores["values"]["accuracy"] == pytest.approx(1 / 3)
    assert found[0].published["accuracy"] == 0.333
    with np.load(space.predictions_file(name, 2)) as file:
        assert file["predicted"].tolist() == [1] * 30
    (job,) = rows(space, Job)
    assert job.progress["curve"] == [{"epoch": 1, "loss": 1.0}]
    with space.read() as session:
        account = session.scalars(select(Account).where(Account.name == "ann")).one()
        assert submissions.budget_left(session, space.settings, account.id) == 100 * 10**15 - 500


def test_a_worker_that_lost_its_job_writes_nothing(space, model, monkeypatch):
    (name,) = queued(space, model)

    def another_worker_takes_it(on_progress):
        with space.write() as session:
            session.get_one(Job, name).lease_until = clock.now() - dt.timedelta(minutes=1)
        with space.write() as session:
            assert queue.claim(session, "two", 60.0) is not None

    ended(space, monkeypatch, outcome(), during=another_worker_takes_it)
    assert rows(space, Result) == []
    assert not space.predictions_file(name, 1).exists()
    (job,) = rows(space, Job)
    assert (job.state, job.worker) == ("running", "two")


def test_a_job_that_was_stopped_is_dropped_at_the_next_beat(space, model, monkeypatch):
    queued(space, model)
    answers = []

    def revoked(on_progress):
        with space.write() as session:
            accounts.revoke(session, "ann")
        answers.append(on_progress({"phase": 2}, 100))

    said = ended(space, monkeypatch, outcome(state="stopped"), during=revoked)
    assert answers == [True]
    assert "not held any more" in said[0]
    assert rows(space, Submission)[0].state == "stopped"


def test_beats_tell_progress_and_what_was_used(space, model, monkeypatch):
    queued(space, model)

    def beat(on_progress):
        assert not on_progress({"phase": 2, "epoch": 3}, 123)
        (job,) = rows(space, Job)
        assert job.progress == {"phase": 2, "epoch": 3, "flop": 123, "seconds": 0}
        assert on_progress({"phase": 2}, 10**18) is False  # too early for the next beat

    ended(space, monkeypatch, outcome(), during=beat)


def test_the_budget_counts_other_jobs_that_run(space, model, monkeypatch):
    queued(space, model)
    said = ended(
        space, monkeypatch, outcome(state="stopped", reason="the job was stopped", predictions={}),
        during=lambda on_progress: on_progress({}, 101 * 10**15),
    )  # fmt: skip
    (submission,) = rows(space, Submission)
    assert (submission.state, submission.reason) == ("stopped", worker._BUDGET)
    assert "stopped" in said[0]


def test_a_crash_from_outside_is_tried_again_a_few_times(space, model, monkeypatch):
    queued(space, model)
    killed = outcome(state="failed", reason="the process was killed from outside", again=True, predictions={})
    ended(space, monkeypatch, *[killed] * 10)
    (submission,) = rows(space, Submission)
    assert (submission.state, submission.reason) == ("failed", "the process was killed from outside")
    assert rows(space, Job)[0].attempts == 10


def test_phase_1_stays_where_phase_2_was_stopped(space, model, monkeypatch):
    queued(space, model)
    part = outcome(state="stopped", reason="the time of a submission is over")
    del part.predictions[2]
    ended(space, monkeypatch, part)
    assert [one.phase for one in rows(space, Result)] == [1]
    assert rows(space, Submission)[0].state == "stopped"


def test_a_model_file_that_changed_is_not_run(space, model, monkeypatch):
    queued(space, model)
    space.model_file(rows(space, Submission)[0].sha256).write_bytes(b"another")
    ended(space, monkeypatch)
    assert "missing or damaged" in rows(space, Submission)[0].reason


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunError("the sandbox did not start")])
def test_a_worker_that_ends_gives_its_job_back(space, model, monkeypatch, error):
    queued(space, model)

    def fail(on_progress):
        raise error

    with pytest.raises(type(error)):
        ended(space, monkeypatch, outcome(), during=fail)
    (job,) = rows(space, Job)
    assert (job.state, job.attempts) == ("queued", 1)


def test_the_command_says_what_is_wrong_before_it_starts(tmp_path):
    missing = CliRunner().invoke(app, ["workspace", "worker"])
    assert isinstance(missing.exception, ConfigError)
    both = CliRunner().invoke(app, ["workspace", "worker", "a", "--data", "b"])
    assert isinstance(both.exception, ConfigError)
    several = CliRunner().invoke(app, ["workspace", "worker", "a", "--workers", "2", "--once"])
    assert "--once and --submission" in str(several.exception)


def test_a_worker_whose_parent_is_gone_does_not_start():
    with pytest.raises(ConfigError, match="has ended"):
        worker.end_with_parent(1 if os.getppid() != 1 else 2)


@pytest.mark.slow
def test_killed_workers_lose_and_double_nothing(tmp_path):
    """20 submissions, 6 kills, as in experiments/workspace_kills.py."""
    from workspace_kills import Kills

    found = Kills(tmp_path, submissions=20, kills=6, seed=1).run()
    assert (found.done, found.results, found.doubled) == (20, 40, 0)
    assert found.kills == 6
    assert found.audit_whole


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(tmp_path):
    with made(tmp_path / "workspace"):
        pass
    code = (
        "import sys, time; from pathlib import Path; from yieldcast.workspace.worker import start_workers; "
        f"started = start_workers(Path({str(tmp_path / 'workspace')!r}), 1, True); time.sleep(2); "
        "print(started.processes[0].pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    until = time.monotonic() + 20
    while time.monotonic() < until and _lives(child):
        time.sleep(0.1)
    assert not _lives(child)


def _lives(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
