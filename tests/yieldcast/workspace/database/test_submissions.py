import datetime as dt
import threading
from decimal import Decimal

import pytest
from factories import NOW
from workspace_factory import contributor, model_file, queued, submit

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.workspace.database import accounts, queue, state, submissions
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.database.submissions import About, NotTakenError
from yieldcast.workspace.settings import WorkspaceSettings


def with_rules(**rules):
    return WorkspaceSettings.model_validate({"rules": rules})


@pytest.fixture
def workspace(new_workspace):
    return new_workspace()


def files(workspace):
    return sorted(path.name for path in (workspace.path / "submissions").iterdir())


def test_a_model_is_on_the_disk_with_what_was_declared(in_both):
    workspace = in_both()
    options = {"epochs": 3, "augmentation": ["flips"], "frozen_layers": ["conv"]}
    made = submit(
        workspace,
        contributor(workspace),
        name="Model A",
        price_per_km2=0.25,
        outputs=["a", "b"],
        options=options,
    )
    with workspace.read() as session:
        row = session.get_one(Submission, made.id)
    assert (row.name, row.price_per_km2, row.state, row.received) == (
        "Model A",
        Decimal("0.25"),
        "received",
        NOW,
    )
    assert (str(row.price_per_km2), row.outputs) == ("0.25", ["a", "b"])
    assert About.parse(submissions.declared(row)).options.epochs == 3
    file = workspace.model_file(row.sha256)
    assert file.read_bytes() == b"model 0"
    assert (file.stat().st_mode & 0o777, row.bytes) == (0o600, 7)
    assert files(workspace) == [file.name]


def test_the_same_again_is_the_same_submission_and_another_price_an_error(workspace):
    ana = contributor(workspace)
    first = submit(workspace, ana, price_per_km2=0.1)
    assert submit(workspace, ana, price_per_km2=0.1).id == first.id
    assert submit(workspace, ana, price_per_km2=0.10, options={"epochs": 11}).id != first.id
    assert submit(workspace, contributor(workspace, "Ben"), price_per_km2=0.1).id != first.id
    with pytest.raises(NotTakenError, match=r"at the price 0\.1; received .* the price 0\.2") as error:
        submit(workspace, ana, price_per_km2=0.2)
    assert error.value.rule == "same"


def test_refused_archives_do_not_count_and_leave_no_file(new_workspace):
    workspace = new_workspace(with_rules(submissions_per_contributor=1))
    ana, ben = contributor(workspace, "Ana"), contributor(workspace, "Ben")
    refused = submit(workspace, ana)
    shared = submit(workspace, ben)
    with workspace.write() as session:
        submissions.refuse(session, workspace, refused, "a Lambda layer")
    assert files(workspace) == [f"{shared.sha256}.keras"]  # Ben's is the same file
    with workspace.write() as session:
        submissions.refuse(session, workspace, shared, "a Lambda layer")
        submissions.accept(session, shared, 5)  # too late: nothing happens
    assert files(workspace) == []
    assert submit(workspace, ana).id == refused.id  # the same archive: the same refusal
    submit(workspace, ana, number=1)
    with pytest.raises(NotTakenError, match="at most 1 submissions, received 2") as error:
        submit(workspace, ana, number=2)
    assert error.value.rule == "quota"
    assert len(files(workspace)) == 1


def test_models_are_taken_on_the_first_and_last_day_of_the_window_and_between(new_workspace, set_clock):
    workspace = new_workspace(with_rules(opens=dt.date(2027, 1, 10), closes=dt.date(2027, 1, 20)))
    ana = contributor(workspace)
    for number, (day, taken) in enumerate([("01-09", 0), ("01-10", 1), ("01-20", 1), ("01-21", 0)]):
        set_clock(dt.datetime.fromisoformat(f"2027-{day}T23:59:59+00:00"))
        if taken:
            assert submit(workspace, ana, number).state == "received"
            continue
        with pytest.raises(NotTakenError, match=f"2027-{day}") as error:
            submit(workspace, ana, number)
        assert error.value.rule == "window"
    assert len(files(workspace)) == 2


def test_closed_revoked_owner_and_spent_budget_are_refused(workspace):
    ana, ben = contributor(workspace, "Ana"), contributor(workspace, "Ben")
    queued(workspace, ana)
    with workspace.write() as session:
        held = queue.claim(session, "w", 60.0)
        queue.fail(session, held, "stopped", "the budget is used up", workspace.settings.limits.budget_flop)
        accounts.revoke(session, "Ben")
        owner = session.get_one(type(ana), 1)
    for account, rule in ((ana, "budget"), (ben, "revoked"), (owner, "role")):
        with pytest.raises(NotTakenError) as error:
            submit(workspace, account, number=1)
        assert error.value.rule == rule
    carla = contributor(workspace, "Carla")
    with workspace.write() as session:
        assert submissions.budget_left(session, workspace.settings, ana.id) == 0
        assert submissions.budget_left(session, workspace.settings, carla.id) == 100 * 10**15
        state.close(session)
    with pytest.raises(NotTakenError, match="closed"):
        submit(workspace, carla)
    assert len(files(workspace)) == 1


def test_of_two_uploads_at_the_same_time_one_is_over_the_number_allowed(in_both):
    workspace = in_both(with_rules(submissions_per_contributor=1))
    ana, errors = contributor(workspace), []
    start = threading.Barrier(2)
    paths = [model_file(workspace, number) for number in (1, 2)]

    def send(path):
        start.wait()
        try:
            with workspace.write() as session:
                submissions.submit(session, workspace, ana, path, About(name=path.stem))
        except NotTakenError as error:
            errors.append(error.rule)

    senders = [threading.Thread(target=send, args=(path,)) for path in paths]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert errors == ["quota"]
    assert len(files(workspace)) == 1
    with workspace.read() as session:
        assert len(submissions.unchecked(session)) == 1


def test_a_server_that_is_killed_leaves_no_row_without_its_file(workspace):
    ana, about = contributor(workspace), About(name="A")
    with pytest.raises(KeyboardInterrupt):
        submit_and_be_killed(workspace, ana, about)
    with workspace.read() as session:
        assert submissions.unchecked(session) == []
    with workspace.write() as session:
        again = submissions.submit(session, workspace, ana, model_file(workspace), about)
    with workspace.read() as session:
        assert [one.id for one in submissions.unchecked(session)] == [again.id]
    assert files(workspace) == [f"{again.sha256}.keras"]


def submit_and_be_killed(workspace, account, about):
    with workspace.write() as session:
        submissions.submit(session, workspace, account, model_file(workspace), about)
        raise KeyboardInterrupt


def test_files_that_are_missing_empty_or_too_large_are_refused(new_workspace, tmp_path):
    workspace = new_workspace(WorkspaceSettings.model_validate({"limits": {"model_mb": 0.001, "epochs": 5}}))
    ana, file, about = contributor(workspace), tmp_path / "m.keras", About(name="A")
    few = About.parse({"name": "A", "options": {"epochs": 6}})

    def send(content, about=about):
        file.write_bytes(content)
        with workspace.write() as session:
            submissions.submit(session, workspace, ana, file, about)

    short = About.parse({"name": "A", "options": {"epochs": 5}})
    for content, said, match in (
        (b"", short, "empty"),
        (b"x" * 1001, short, "at most 1,000"),
        (b"x", few, "at most 5"),
    ):
        with pytest.raises(SchemaError, match=match):
            send(content, said)
    file.unlink()
    with pytest.raises(MissingDataError, match="no file"), workspace.write() as session:
        submissions.submit(session, workspace, ana, file, short)
    assert files(workspace) == []
    send(b"x" * 1000, short)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({}, "name: expected a value"),
        ({"nam": "A"}, "name: expected a value.*unknown key 'nam', did you mean 'name'"),
        ({"name": "A", "price_per_km2": -1}, "price_per_km2: .* greater than or equal to 0"),
        ({"name": "A", "price_per_km2": "1"}, "price_per_km2"),
        ({"name": "A\x1b[2J"}, "name: expected a text of one line"),
        ({"name": "A", "options": {"epoch": 1}}, "unknown key 'options.epoch', did you mean 'epochs'"),
        ({"name": "A", "options": {"learning_rate": float("nan")}}, "options.learning_rate"),
        ([], "the settings"),
    ],
)
def test_what_is_declared_is_checked(content, match):
    with pytest.raises(SchemaError, match=match):
        About.parse(content)
