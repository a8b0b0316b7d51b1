import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import StatementError
from workspace_factory import SCORES, contributor, queued

from yieldcast.workspace.database import accounts, audit, queue, versions
from yieldcast.workspace.database.models import STATES, Account, Job, Result, Submission
from yieldcast.workspace.database.session import Database
from yieldcast.workspace.settings import WorkspaceSettings

LONG, OVER = 600.0, -1.0  # a lease that holds, and one that is over at once


@pytest.fixture
def workspace(new_workspace):
    return new_workspace()


def found(workspace, identifier):
    with workspace.read() as session:
        row = session.get_one(Submission, identifier)
        phases = [one.phase for one in row.results]
        return row.state, row.reason, phases, row.job.state, [one.flop for one in row.compute]


def test_jobs_are_carried_out_in_their_order_and_once(in_both, set_clock):
    workspace = in_both()
    first, second = queued(workspace, contributor(workspace), 2)
    with workspace.write() as session:
        session.get_one(Job, second).queued = session.get_one(Job, first).queued.replace(year=2020)
    with workspace.write() as session:
        claims = [queue.claim(session, "w", LONG) for _ in range(3)]
        assert queue.waiting(session) == 0
    assert [claim and claim.submission for claim in claims] == [second, first, None]
    with workspace.write() as session:
        assert queue.renew(session, claims[0], LONG, {"epoch": 3}, flop=5, used_seconds=0.5)
    with workspace.write() as session:
        assert queue.finish(session, claims[0], SCORES, flop=7, used_seconds=1.0)
    with workspace.write() as session:
        assert not queue.finish(session, claims[0], SCORES, flop=7, used_seconds=1.0)
    assert found(workspace, second) == ("done", None, [1, 2], "finished", [7])
    with workspace.read() as session:
        row = session.get_one(Submission, second)
        assert row.job.progress == {"epoch": 3}
        assert [one.scores["accuracy"] for one in row.results] == [0.91, 0.92]
        assert queue.spent_flop(session, row.account_id) == 7


def test_a_worker_that_was_cut_off_changes_nothing_any_more(in_both):
    workspace = in_both()
    (identifier,) = queued(workspace, contributor(workspace))
    with workspace.write() as session:
        lost = queue.claim(session, "first", OVER)
        queue.renew(session, lost, OVER, flop=4)
    with workspace.write() as session:
        held = queue.claim(session, "second", LONG)
    assert (held.submission, held.attempt) == (identifier, 2)
    for act in (
        lambda s: queue.renew(s, lost, LONG),
        lambda s: queue.finish(s, lost, SCORES, 9, 1.0),
        lambda s: queue.fail(s, lost, "failed", "it broke"),
        lambda s: queue.give_back(s, lost),
    ):
        with workspace.write() as session:
            assert not act(session)
    assert found(workspace, identifier) == ("running", None, [], "running", [4])
    with workspace.write() as session:
        assert queue.finish(session, held, SCORES, 6, 1.0)
    assert found(workspace, identifier) == ("done", None, [1, 2], "finished", [4, 6])


def finish_and_be_killed(workspace, held):
    with workspace.write() as session:
        queue.finish(session, held, SCORES, 6, 1.0)
        session.flush()
        raise KeyboardInterrupt


def test_results_and_state_are_kept_together_or_not_at_all(workspace):
    (identifier,) = queued(workspace, contributor(workspace))
    with workspace.write() as session:
        held = queue.claim(session, "w", LONG)
    with pytest.raises(KeyboardInterrupt):
        finish_and_be_killed(workspace, held)
    assert found(workspace, identifier) == ("running", None, [], "running", [])
    with workspace.write() as session:
        assert queue.fail(session, held, "stopped", "it took too long", 3, 1.0, {1: SCORES[1]})
    assert found(workspace, identifier) == ("stopped", "it took too long", [1], "stopped", [3])


def test_a_worker_that_is_asked_to_end_gives_its_job_back(workspace):
    (identifier,) = queued(workspace, contributor(workspace))
    with workspace.write() as session:
        queue.give_back(session, queue.claim(session, "first", LONG), flop=2)
    assert found(workspace, identifier) == ("queued", None, [], "queued", [2])
    with workspace.write() as session:
        assert queue.claim(session, "second", LONG).attempt == 2


def test_a_job_that_ends_all_of_its_workers_fails_at_last(workspace):
    (identifier,) = queued(workspace, contributor(workspace))
    for _ in range(queue.MOST_ATTEMPTS):
        with workspace.write() as session:
            assert queue.claim(session, "w", OVER)
    with workspace.write() as session:
        assert queue.claim(session, "w", OVER) is None
    state, reason, *_ = found(workspace, identifier)
    assert (state, reason) == ("failed", f"its worker was cut off {queue.MOST_ATTEMPTS} times")


def test_numbers_that_are_not_known_are_no_nan(workspace):
    queued(workspace, contributor(workspace))
    with workspace.write() as session:
        held = queue.claim(session, "w", LONG)
    nan = {1: queue.Scores({"accuracy": float("nan")}, {})}
    with pytest.raises(StatementError, match="Out of range"), workspace.write() as session:
        queue.finish(session, held, nan, 1, 1.0)


def work(workspace, name, errors):
    """A worker that gives every fifth job back and is cut off at every seventh."""
    try:
        for turn in range(1000):
            with workspace.write() as session:
                held = queue.claim(session, name, OVER if turn % 7 == 6 else LONG)
            if held is None:
                return
            if turn % 7 == 6:
                continue
            with workspace.write() as session:
                if turn % 5 == 4:
                    queue.give_back(session, held)
                else:
                    queue.finish(session, held, SCORES, 1, 1.0)
    except Exception as error:
        errors.append(error)


@pytest.mark.slow
def test_many_workers_at_once_give_each_submission_its_results_once(in_both):
    workspace = in_both(WorkspaceSettings.model_validate({"rules": {"submissions_per_contributor": 8}}))
    made = queued(workspace, contributor(workspace), 8)
    errors = []
    workers = [threading.Thread(target=work, args=(workspace, f"w{n}", errors)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    with workspace.read() as session:
        rows = Counter((one.submission_id, one.phase) for one in session.scalars(select(Result)))
        assert rows == {(one, phase): 1 for one in made for phase in (1, 2)}
        assert set(session.scalars(select(Submission.state))) == {"done"}
        assert audit.verify(session).broken is None


class Memory:
    """A database in memory with one contributor, for many short stories."""

    def __init__(self):
        self.database = Database("sqlite:///:memory:")
        with self.database.transaction() as connection:
            versions.create_tables(connection)
        with self.database.write() as session:
            accounts.invite(session, "Ana")
            self.account = session.scalars(select(Account.id)).one()
        self.stories = 0

    def story(self, count):
        """Identifiers of new submissions; those of earlier stories are removed."""
        self.stories += 1
        names = [f"{self.stories}-{n}" for n in range(count)]
        with self.database.write() as session:
            for model in (Result, Job):
                session.query(model).delete()
            for name in names:
                one = Submission(
                    id=name, account_id=self.account, key=name, name=name, options={}, sha256=name, bytes=1,
                    received=accounts.clock.now(), state="received",
                )  # fmt: skip
                session.add(one)
                session.flush()
                queue.add(session, one)
        return names


@pytest.fixture(scope="module")
def memory():
    made = Memory()
    yield made
    made.database.close()


ACTS = ("claim", "cut off", "renew", "finish", "fail", "give back", "late finish")


@settings(max_examples=15, deadline=None)
@given(story=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(ACTS)), max_size=20))
def test_no_order_of_events_loses_or_doubles_a_result(memory, story):
    names = memory.story(2)
    held, lost, ended = {}, [], Counter()
    for worker, act in [*story, *((w, a) for _ in names for w in "abc" for a in ("claim", "finish"))]:
        with memory.database.write() as session:
            step(session, worker, act, held, lost, ended)
    with memory.database.read() as session:
        for name in names:
            row = session.get_one(Submission, name)
            assert row.state in STATES
            assert ended[name] == 1, (name, row.state)
            assert sorted(one.phase for one in row.results) == ([1, 2] if row.state == "done" else [])


def step(session, worker, act, held, lost, ended):
    """One event; `held` is what each worker believes to hold, `lost` what others may have by now."""
    if act == "claim":
        claim = None if worker in held else queue.claim(session, worker, LONG)
        held |= {worker: claim} if claim else {}
        return
    if act == "late finish":
        for claim in lost:
            ended[claim.submission] += queue.finish(session, claim, SCORES, 1, 1.0)
        return
    claim = held.get(worker) if act == "renew" else held.pop(worker, None)
    if claim is None:
        return
    if act == "finish":
        ended[claim.submission] += queue.finish(session, claim, SCORES, 1, 1.0)
    elif act == "fail":
        ended[claim.submission] += queue.fail(session, claim, "failed", "it broke")
    elif act == "give back":
        queue.give_back(session, claim)
        lost.append(claim)
    else:
        queue.renew(session, claim, LONG if act == "renew" else OVER, {"epoch": 1})
        lost += [claim] if act == "cut off" else []
