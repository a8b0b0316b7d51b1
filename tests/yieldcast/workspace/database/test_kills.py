import multiprocessing
import random
import time
from collections import Counter

import pytest
from sqlalchemy import func, select
from workspace_factory import contributor, send_until_killed, work_until_killed

from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import Result, Submission
from yieldcast.workspace.settings import WorkspaceSettings

SECONDS = 120


@pytest.mark.slow
def test_who_sends_and_who_works_is_killed_and_no_result_is_lost_or_doubled(in_both):
    workspace = in_both(WorkspaceSettings.model_validate({"rules": {"submissions_per_contributor": 100}}))
    if not workspace.database.is_sqlite:
        pytest.xfail("PostgreSQL: 14 of 40 submissions were done after 120 s; the cause is not found yet")
    models, most = 100, 20
    contributor(workspace)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["workspace_factory"])

    def start(kind):
        arguments = (workspace.path, models) if kind is send_until_killed else (workspace.path,)
        process = context.Process(target=kind, args=arguments, daemon=True)
        process.start()
        return process

    kinds = [send_until_killed, work_until_killed, work_until_killed]
    running, rng, kills = [start(kind) for kind in kinds], random.Random(5), 0
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end and not (kills == most and finished(workspace) == models):
            time.sleep(rng.uniform(0.05, 0.2))
            at = rng.randrange(len(kinds))
            if kills < most:
                running[at].kill()
                running[at].join()
                running[at], kills = start(kinds[at]), kills + 1
    finally:
        for process in running:
            process.kill()
            process.join()
    assert kills == most
    with workspace.read() as session:
        states = Counter(one.state for one in session.scalars(select(Submission)))
        phases = Counter((one.submission_id, one.phase) for one in session.scalars(select(Result)))
        assert states == {"done": models}
        assert len(phases) == 2 * models
        assert set(phases.values()) == {1}
        assert audit.verify(session).broken is None
    assert len(list((workspace.path / "submissions").glob("*.keras"))) == models


def finished(workspace):
    with workspace.read() as session:
        return session.scalar(select(func.count()).select_from(Submission).where(Submission.state == "done"))
