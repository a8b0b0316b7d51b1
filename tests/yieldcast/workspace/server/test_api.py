"""Routes of everybody, of contributors and of the owner: each sees what it may, and no more."""

import json

import pytest
from scored_workspace import CLASSES, account_of

from yieldcast.workspace import disclosure
from yieldcast.workspace.database import audit, state

API = "/api/v1"


def acts(workspace):
    with workspace.read() as session:
        return [(entry.actor, entry.act, entry.subject) for entry in audit.entries(session)]


def test_the_task_says_what_models_get_without_exact_baselines(ask):
    found = ask().get(f"{API}/task").json()
    assert (found["task"], found["outputs"]) == ("crop-tiles", list(CLASSES))
    assert found["inputs"] == {"image": [8, 8, 1]}
    assert found["limits"]["model_mb"] == 500
    assert not {"baselines", "fingerprint", "training", "holdout"} & set(found)


@pytest.mark.parametrize("route", ["overview", "data", "leaderboard", "submissions"])
@pytest.mark.parametrize("who", [None, "Alpha"])
def test_routes_say_what_the_disclosure_says_to_this_viewer(ask, workspace, route, who):
    functions = {
        "overview": disclosure.overview, "data": disclosure.data_page,
        "leaderboard": disclosure.leaderboard, "submissions": disclosure.own_submissions,
    }  # fmt: skip
    answer = ask(who).get(f"{API}/{route}")
    if (who, route) == (None, "submissions"):
        assert answer.status_code == 401
        return
    with workspace.read() as session:
        viewer = None if who is None else account_of(session, who)
        expected = disclosure.to_json(functions[route](session, workspace, viewer))
    assert (answer.status_code, answer.json()) == (200, expected)


def test_a_contributor_finds_own_submissions_only(ask, ids):
    mine, theirs = f"{API}/submissions/{ids['ResNet']}", f"{API}/submissions/{ids['Transformer']}"
    assert ask("Alpha").get(mine).json()["row"]["model"] == "ResNet"
    assert ask("owner").get(theirs).json()["row"]["model"] == "Transformer"
    for path in (theirs, f"{theirs}/progress", f"{API}/submissions/no-such", f"{API}/submissions/%2e%2e"):
        answer = ask("Alpha").get(path)
        assert answer.status_code == 404
        assert "Transformer" not in answer.text
    others, none = (ask("Alpha").get(path).json() for path in (theirs, theirs[:-1]))
    assert others["error"].replace(ids["Transformer"], "") == none["error"].replace(
        ids["Transformer"][:-1], ""
    )


def test_progress_says_where_a_submission_stands(ask, ids):
    found = ask("Beta").get(f"{API}/submissions/{ids['Transformer']}/progress").json()
    assert (found["model"], found["state"]) == ("Transformer", "done")
    assert (found["place"], found["reason"]) == (None, None)
    assert (found["used_pflop"], found["budget_pflop"]) == (0.002, 100.0)  # 2e12 operations
    assert found["received"] == "2026-11-20T12:00:00Z"


def test_the_leaderboard_is_made_once_for_a_viewer_and_never_shown_to_another(ask, workspace, monkeypatch):
    made = []
    real = disclosure.leaderboard

    def counted(session, place, viewer):
        made.append(viewer and viewer.name)
        return real(session, place, viewer)

    monkeypatch.setattr(disclosure, "leaderboard", counted)
    path, everybody = f"{API}/leaderboard", ("owner", "Alpha", None)
    answers = {who: [ask(who).get(path).json() for _ in range(3)] for who in everybody}
    assert made == ["owner", "Alpha", None]
    assert answers["owner"][2]["board"]["entries"]
    for who in ("Alpha", None):
        assert answers[who] == [answers[who][0]] * 3
        assert answers[who][0]["board"] is None
    assert {entry["contributor"] for entry in answers["Alpha"][0]["own"]} == {"Alpha"}
    assert answers[None][0]["own"] == []


def test_looks_at_results_are_noted_once_in_a_while(ask, workspace, ids):
    for _ in range(3):
        ask("Beta").get(f"{API}/submissions/{ids['Transformer']}")
        ask("owner").get(f"{API}/leaderboard")
        ask("Beta").get(f"{API}/leaderboard")
    looks = [act for act in acts(workspace) if act[1] == "look"]
    assert looks == [
        ("Beta", "look", ids["Transformer"]),
        ("owner", "look", "leaderboard"),
        ("Beta", "look", "leaderboard"),
    ]


def test_the_owner_invites_and_revokes(ask, workspace):
    made = ask("owner").post(f"{API}/owner/invitations", json={"name": " Delta "})
    assert (made.status_code, made.json()["name"]) == (201, "Delta")
    header = {"Authorization": f"Bearer {made.json()['token']}"}
    assert ask().get(f"{API}/account", headers=header).json()["name"] == "Delta"
    again = ask("owner").post(f"{API}/owner/invitations", json={"name": "delta"})
    assert (again.status_code, "taken" in again.json()["error"]) == (422, True)
    revoked = ask("owner").post(f"{API}/owner/revocations", json={"name": "Delta"})
    assert revoked.json() == {"name": "Delta", "stopped": []}
    assert ask().get(f"{API}/account", headers=header).status_code == 401
    assert ask("owner").post(f"{API}/owner/revocations", json={"name": "Nobody"}).status_code == 404
    assert acts(workspace)[-3:-1] == [("owner", "invite", "Delta"), ("owner", "revoke", "Delta")]


def test_the_owner_publishes_and_closes(ask, workspace):
    assert ask("Alpha").get(f"{API}/leaderboard").json()["is_open"] is False
    assert ask("owner").post(f"{API}/owner/publish").json() == {"published": True, "closed": False}
    assert ask("Alpha").get(f"{API}/leaderboard").json()["is_open"] is True
    assert ask("owner").post(f"{API}/owner/close").json() == {"published": True, "closed": True}
    with workspace.read() as session:
        assert state.is_closed(session)
    assert [act[1] for act in acts(workspace)][-1] == "close"


def test_the_audit_log_is_checked_and_shown(ask, workspace):
    found = ask("owner").get(f"{API}/owner/audit", params={"newest": 2}).json()
    assert (found["broken"], len(found["newest"])) == (None, 2)
    assert found["newest"][0]["sequence"] == found["entries"]
    assert found["newest"][0]["hash"] == found["last"]


OWNERS = {
    ("GET", "summary"): None, ("GET", "audit"): None, ("POST", "publish"): {}, ("POST", "close"): {},
    ("POST", "invitations"): {"name": "Eve"}, ("POST", "revocations"): {"name": "Beta"},
}  # fmt: skip


@pytest.mark.parametrize(("method", "route"), OWNERS)
def test_nobody_else_gets_the_routes_of_the_owner(ask, workspace, method, route):
    before = acts(workspace)
    for who, status in ((None, 401), ("Alpha", 403)):
        answer = ask(who).request(method, f"{API}/owner/{route}", json=OWNERS[method, route])
        assert answer.status_code == status
    assert acts(workspace) == before


def test_the_owner_sees_the_summary(ask):
    found = ask("owner").get(f"{API}/owner/summary").json()
    assert [row["name"] for row in found["contributors"]] == ["Alpha", "Beta", "Gamma"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 7}, [], "x" * 300_000, {"name": "x" * 81}])
def test_a_body_that_is_none_is_refused_in_words(ask, body):
    answer = ask("owner").post(f"{API}/owner/invitations", content=json.dumps(body))
    assert answer.status_code == (413 if len(str(body)) > 1000 else 422)
    assert len(answer.json()["error"]) < 300
