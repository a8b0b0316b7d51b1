"""What leaves a workspace, and laws of what never does: searched over all functions and viewers."""

import datetime as dt
import json
import re
from decimal import Decimal
from itertools import product

import numpy as np
import pytest
from scored_workspace import (
    CLASSES,
    FARM,
    ROWS,
    SETTINGS,
    SUBMISSIONS,
    account_of,
    add_scored,
    predicted,
    scored_workspace,
    yield_workspace,
)
from sqlalchemy import select

from yieldcast import clock
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.workspace import disclosure
from yieldcast.workspace.database import state
from yieldcast.workspace.database.models import Account, Submission
from yieldcast.workspace.directory import Workspace

D = Decimal
VIEWERS = (None, "Alpha", "Beta", "Gamma", "owner")
FUNCTIONS = (
    disclosure.overview, disclosure.data_page, disclosure.leaderboard, disclosure.own_submissions,
    disclosure.owner_page, disclosure.invoices,
)  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with scored_workspace(tmp_path_factory.mktemp("SECRET-PATH") / "workspace") as opened:
        yield opened


@pytest.fixture(autouse=True)
def a_day_of_the_window(monkeypatch):
    set_day(monkeypatch, dt.date(2026, 12, 1))


def set_day(monkeypatch, day):
    monkeypatch.setattr(clock, "now", lambda: dt.datetime.combine(day, dt.time(9), dt.UTC))


def view(workspace, function, viewer, *arguments):
    with workspace.read() as session:
        return function(session, workspace, viewer and account_of(session, viewer), *arguments)


def everything(workspace, viewers=VIEWERS):
    """(viewer, function) -> JSON of all that each viewer gets."""
    found = {}
    with workspace.read() as session:
        known = {None, *session.scalars(select(Account.name))}
    viewers = [viewer for viewer in viewers if viewer in known]
    for viewer, function in product(viewers, FUNCTIONS):
        try:
            made = view(workspace, function, viewer)
        except disclosure.NotAllowedError:
            continue
        found[viewer, function.__name__] = json.dumps(disclosure.to_json(made), allow_nan=False)
    with workspace.read() as session:
        ids = list(session.scalars(select(Submission.id)))
    for viewer, one in product(viewers, ids):
        try:
            made = view(workspace, disclosure.submission_detail, viewer, one)
        except (disclosure.NotAllowedError, MissingDataError):
            continue
        found[viewer, one] = json.dumps(disclosure.to_json(made), allow_nan=False)
    return found


def test_nothing_exact_no_group_no_path_and_no_secret_leaves(workspace):
    exact, truth = [], np.load(workspace.data / "holdout" / "target.npy")
    for path in (workspace.path / "results").glob("*.npz"):
        with np.load(path) as arrays:
            right = arrays["predicted"] == truth
        exact += [right.mean(), *(right[truth == k].mean() for k in range(4))]
    marks = [f"{share:.6f}"[1:] for share in exact if round(share * 100, 6) % 1]
    assert len(marks) > 20
    marks += [FARM, "JANSEN", "SECRET", str(workspace.path), ".npz", ".npy", "token", "hash", "0.6931471"]
    texts = everything(workspace)
    assert len(texts) >= 25
    for (viewer, what), text in texts.items():
        for mark in marks:
            assert mark not in text, f"{what} tells {viewer} {mark}"


def test_contributors_see_their_own_submissions_only(workspace):
    others = {"Alpha": ("Beta", "Gamma", "Transformer", "Efficient"), "Beta": ("Alpha", "Gamma", "ResNet")}
    texts = everything(workspace, ("Alpha", "Beta"))
    for (viewer, what), text in texts.items():
        for name in others[viewer]:
            assert name not in text, f"{what} tells {viewer} of {name}"
    mine = view(workspace, disclosure.own_submissions, "Alpha")
    assert {one.model for one in mine} == {"ResNet", "ResNet, again"}


def test_somebody_elses_submission_and_none_give_the_same_error(workspace):
    (theirs,) = view(workspace, disclosure.own_submissions, "Beta")
    for identifier in (theirs.id, "no-such-submission"):
        with pytest.raises(MissingDataError) as error:
            view(workspace, disclosure.submission_detail, "Alpha", identifier)
        assert str(error.value) == f"no submission {identifier!r}"
    assert view(workspace, disclosure.submission_detail, "owner", theirs.id).row.model == "Transformer"


def test_who_has_not_signed_in_gets_the_two_public_pages_only(workspace):
    for function in (disclosure.own_submissions, disclosure.invoices, disclosure.owner_page):
        with pytest.raises(disclosure.NotAllowedError):
            view(workspace, function, None)
    with pytest.raises(disclosure.NotAllowedError, match="only the owner"):
        view(workspace, disclosure.owner_page, "Alpha")
    assert view(workspace, disclosure.overview, None).viewer is None
    assert view(workspace, disclosure.data_page, None).public["classes"][0]["rows"] == 400


def test_the_leaderboard_opens_when_the_window_is_over_or_the_owner_publishes(workspace, monkeypatch):
    page = view(workspace, disclosure.leaderboard, "Alpha")
    assert (page.is_open, page.board, page.looks) == (False, None, None)
    assert view(workspace, disclosure.leaderboard, "owner").is_open
    set_day(monkeypatch, dt.date(2026, 12, 31))
    assert not view(workspace, disclosure.leaderboard, None).is_open
    set_day(monkeypatch, dt.date(2027, 1, 1))
    for viewer in VIEWERS:
        page = view(workspace, disclosure.leaderboard, viewer)
        assert page.is_open
        told = {one.contributor for one in page.board.entries if one.submission}
        assert told == ({"Alpha", "Beta", "Gamma"} if viewer == "owner" else {viewer} - {None})
    set_day(monkeypatch, dt.date(2026, 12, 1))
    for key in (state.PUBLISHED, state.CLOSED):
        with workspace.write() as session:
            state.put(session, key, "2026-12-01")
        assert view(workspace, disclosure.leaderboard, "Alpha").is_open
        with workspace.write() as session:
            session.delete(session.get(state.State, key))
    assert not view(workspace, disclosure.leaderboard, "Alpha").is_open


def test_the_leaderboard_ranks_names_and_costs(workspace):
    board = view(workspace, disclosure.leaderboard, "owner").board
    shown = [(one.contributor, one.model, one.tuned.value, one.place) for one in board.entries]
    assert shown == [
        ("Beta", "Transformer", D("0.93"), "not_told_apart"),
        ("Gamma", "Efficient, longer", D("0.93"), "not_told_apart"),
        ("Alpha", "ResNet", D("0.85"), "behind"),
    ]
    assert board.not_told_apart == ("Beta", "Gamma")
    assert board.entries[0].cost.cost.total == (1 - D("0.93")) * 1_500_000 * 18 + D("0.22") * 1_500_000
    assert board.internal.total == 4_465_000
    assert board.choice.cheapest == "Gamma"


def test_the_second_submission_that_is_no_better_tells_nothing_but_the_published_score(workspace):
    again, _ = sorted(view(workspace, disclosure.own_submissions, "Alpha"), key=lambda one: -len(one.model))
    assert (again.model, again.tuned, again.published, again.released) == (
        "ResNet, again", None, D("0.85"), False,
    )  # fmt: skip
    detail = view(workspace, disclosure.submission_detail, "Alpha", again.id)
    assert [phase.confusion for phase in detail.phases] == [(), ()]
    assert detail.looks.looks == 4
    own = view(workspace, disclosure.leaderboard, "Alpha").own
    assert [one.model for one in own] == ["ResNet"]


def test_the_detail_of_a_released_submission(workspace):
    (row,) = view(workspace, disclosure.own_submissions, "Beta")
    assert (row.received.second, row.finished.second) == (0, 0)
    detail = view(workspace, disclosure.submission_detail, "Beta", row.id)
    assert [phase.phase for phase in detail.phases] == [1, 2]
    tuned = detail.phases[1]
    assert [line.measure for line in tuned.lines] == ["accuracy", "macro_f1", "rare_recall"]
    assert [one.name for one in tuned.classes] == list(CLASSES)
    assert [one.rare for one in tuned.classes] == [False, False, True, True]
    for k, one in enumerate(tuned.classes):
        assert tuned.confusion[k][k] == one.recall.value
        assert one.recall.value % D("0.01") == 0
    assert None in tuned.confusion[3]
    assert detail.curve == ({"epoch": 1, "loss": 0.693},)
    assert (detail.pflop, detail.minutes) == (0.002, 2)
    assert detail.options == {"epochs": 3}


def test_the_owner_sees_income_looks_and_the_log(workspace):
    page = view(workspace, disclosure.owner_page, "owner")
    assert page.income == D("25.01") * 1 + D("50.01") * 2
    assert {one.name: one.owed for one in page.contributors}["Alpha"] == D("50.01")
    assert page.looks.looks == 10
    assert page.states == {"done": 5}
    assert page.audit[0].sequence == page.audit_entries
    assert len(view(workspace, disclosure.invoices, "Beta")) == 1


def test_the_overview_names_rules_measures_and_baselines(workspace):
    page = view(workspace, disclosure.overview, "Alpha")
    assert (page.window, page.leaderboard_open) == ("open", False)
    assert (page.viewer.submissions, page.viewer.submissions_left) == (2, 3)
    assert page.measures[:3] == ("accuracy", "macro_f1", "rare_recall")
    assert page.baselines["majority class"]["accuracy"] == D("0.40")
    assert page.internal.total == 4_465_000


def test_a_row_of_the_holdout_that_moves_scores_by_less_than_the_step_changes_nothing(tmp_path):
    settings = {**SETTINGS, "rules": {**SETTINGS["rules"], "score_step": 0.1, "smallest_cell": 40}}
    with scored_workspace(tmp_path / "workspace", settings, {"Alpha": []}, grouped=False) as opened:
        path = opened.data / "holdout" / "target.npy"
        truth = np.load(path)
        # every fifth row is wrong: all scores are near 0.8, far from where they would be rounded otherwise
        made = np.where(np.arange(ROWS) % 5 == 0, (truth + 1) % 4, truth)
        add_scored(opened, "Alpha", "ResNet", "0.25", {1: made, 2: made})
        before = everything(opened)
        for row in (0, 450, 720, 900):
            changed = truth.copy()
            changed[row] = (truth[row] + 1) % 4
            np.save(path, changed)
            after = everything(opened)
            assert after == before, row


def test_classes_with_few_rows_have_no_recall_anywhere(tmp_path):
    settings = {**SETTINGS, "rules": {**SETTINGS["rules"], "smallest_cell": 148}}
    made = {"Alpha": [("ResNet", "0.25", 0.70, 0.80)]}
    with scored_workspace(tmp_path / "workspace", settings, made) as opened:
        (row,) = view(opened, disclosure.own_submissions, "Alpha")
        detail = view(opened, disclosure.submission_detail, "Alpha", row.id)
        # rapeseed has 147 rows; corn, the next smallest, is hidden with it, and so is their mean
        assert [(one.recall is None, one.hidden) for one in detail.phases[1].classes] == [
            (False, False), (False, False), (True, True), (True, True),
        ]  # fmt: skip
        assert [line.measure for line in detail.phases[1].lines] == ["accuracy", "macro_f1"]
        assert detail.phases[1].confusion[2] == detail.phases[1].confusion[3] == (None,) * 4
        assert "rare_recall" not in view(opened, disclosure.leaderboard, "owner").board.entries[0].scores


def test_damaged_results_are_an_error_that_names_no_path(tmp_path):
    made = {"Alpha": [("ResNet", "0.25", 0.70, 0.80)]}
    with scored_workspace(tmp_path / "SECRET", submissions=made) as opened:
        add_scored(opened, "Alpha", "Broken", None, {1: predicted(0.5, 3), 2: predicted(0.9, 3)[:5]})
        with pytest.raises(SchemaError, match="expected the predictions") as error:
            view(opened, disclosure.leaderboard, "owner")
        assert "SECRET" not in str(error.value)
        for function, name in (
            (disclosure.data_page, "public.json"), (disclosure.overview, "holdout/target.npy"),
        ):  # fmt: skip
            (opened.data / name).unlink()
            with pytest.raises(SchemaError, match="damaged or missing") as error:
                view(opened, function, None)
            assert "SECRET" not in f"{error.value}{error.value.hint}"


def test_yields_are_told_in_steps_without_costs_and_ranked_by_rmse(tmp_path):
    with yield_workspace(tmp_path / "workspace") as opened:
        board = view(opened, disclosure.leaderboard, "owner").board
        assert [one.contributor for one in board.entries] == ["Beta", "Alpha"]
        assert (board.winner, board.internal, board.choice) == ("Beta", None, None)
        best = board.entries[0]
        assert abs(best.tuned.value - 300) <= 30
        assert best.gain == best.baseline.value - best.tuned.value
        (row,) = view(opened, disclosure.own_submissions, "Beta")
        detail = view(opened, disclosure.submission_detail, "Beta", row.id)
        lines = {line.measure: line.score for line in detail.phases[1].lines}
        assert list(lines) == ["rmse_kg_ha", "bias_kg_ha", "crps_kg_ha", "skill_mean"]
        assert all(one.value % 10 == 0 for name, one in lines.items() if name.endswith("kg_ha"))
        assert lines["skill_mean"].value % D("0.01") == 0
        assert (detail.phases[1].classes, detail.phases[1].confusion) == ((), ())
        assert detail.looks.adaptive is None
        about = view(opened, disclosure.overview, None)
        assert about.baselines["mean"]["rmse_kg_ha"] == 950
        for text in everything(opened).values():
            for mark in (FARM, "951.2", "512.3", str(tmp_path)):
                assert mark not in text


def test_what_the_owners_machine_did_is_not_charged(tmp_path):
    with scored_workspace(tmp_path / "workspace", submissions={"Alpha": SUBMISSIONS["Alpha"]}) as opened:
        for state_, reason, owed in (
            ("failed", "its worker was cut off 25 times", D("25.01")),
            ("failed", "the loss of epoch 2 is not a finite number", D("50.01")),
            ("refused", "a layer that is not on the list", D("25.01")),
            ("stopped", "the time limit", D("50.01")),
        ):
            with opened.write() as session:
                one = session.get_one(Submission, "alpha6resnet")
                one.state, one.reason = state_, reason
            assert view(opened, disclosure.owner_page, "owner").income == owed, reason
        with opened.write() as session:
            account_of(session, "Alpha").revoked = session.get_one(Submission, "alpha6resnet").finished
        assert view(opened, disclosure.owner_page, "owner").income == D("25.01")


def test_a_later_price_does_not_change_what_was_owed_before(tmp_path, monkeypatch):
    path = tmp_path / "workspace"
    scored_workspace(path, submissions={"Alpha": SUBMISSIONS["Alpha"]}).close()
    text = (path / "workspace.toml").read_text()
    for day, price in ((2, "99"), (3, "120")):
        set_day(monkeypatch, dt.date(2026, 12, day))
        changed = re.sub("per_submission = [0-9.]+", f"per_submission = {price}", text)
        (path / "workspace.toml").write_text(changed)
        Workspace.open(path).close()  # writes the change into the audit log
    with Workspace.open(path) as opened:
        (first,) = view(opened, disclosure.invoices, "Alpha")
        assert first.amount == D("50.01")
        for day, amount in ((2, "124.01"), (3, "145.01")):  # 25.005 and 99 or 120
            with opened.write() as session:
                queued = dt.datetime(2026, 12, day, 10, tzinfo=dt.UTC)
                session.get_one(Submission, "alpha6resnet").job.queued = queued
            (one,) = view(opened, disclosure.invoices, "Alpha")
            assert one.amount == D(amount)
