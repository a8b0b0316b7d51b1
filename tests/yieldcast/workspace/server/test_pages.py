"""What each page says to whom, in both languages; that no page has script or style of its own."""

import datetime as dt
import re
import shutil
from decimal import Decimal

import pytest
from scored_workspace import FARM, account_of, scored_workspace, yield_workspace
from starlette.testclient import TestClient

from yieldcast import clock
from yieldcast.workspace.database import accounts, queue, state
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.sandbox.confinement import RULES, Confinement
from yieldcast.workspace.sandbox.noted import note_start
from yieldcast.workspace.sandbox.walls import Walls
from yieldcast.workspace.server.app import create_app

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def shared(scored_once, tmp_path_factory):
    """A workspace with results of three contributors, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("pages") / "W"
    shutil.copytree(scored_once, folder)
    with Workspace.open(folder) as opened:
        yield create_app(opened)


@pytest.fixture
def own(tmp_path):
    """One without submissions, for tests that change something."""
    with scored_workspace(tmp_path / "W", submissions={"Alpha": [], "Beta": []}) as opened:
        with opened.write() as session:
            for name in ("owner", "Alpha", "Beta"):
                account_of(session, name).token_hash = accounts.digest(f"the-token-of-{name}")
        yield create_app(opened)


def opened_by(app):
    return app.state.site.workspace


def browser(app, name=None):
    """A client that keeps cookies and follows no redirect; signed in by the form if named."""
    client = TestClient(app, follow_redirects=False)
    if name:
        answer = client.post("/sign-in", data={"token": f"the-token-of-{name}"})
        assert answer.status_code == 303
    return client


def csrf(client, path="/"):
    return re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)[1]


def rows(page):
    """Texts of the cells of each row of the first table."""
    table = re.search(r"<tbody>(.*?)</tbody>", page, re.S)[1]
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.S)
    cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S) for line in lines)
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in line] for line in cells]


def test_the_overview_has_rules_limits_prices_and_what_leaves(shared):
    page = browser(shared).get("/").text
    for text in (
        "Tiles of crops", "Phase 1: as submitted", "5 for each contributor", "100 PFLOP", "1 hour",
        "last day 2026-12-31 (UTC)", "rare: corn, rapeseed", "What never leaves it", "€18", "84.5%",
        "majority class", "40%", "1 percentage point,", "yieldcast workspace submit http://testserver",
    ):  # fmt: skip
        assert text in page, text


def test_portuguese_by_address_is_kept_in_a_cookie(shared):
    client = browser(shared)
    assert '<html lang="pt-BR">' in client.get("/leaderboard?lang=pt-BR").text
    page = client.get("/").text
    assert '<html lang="pt-BR">' in page
    assert "último dia 31/12/2026" in page
    assert "Regras e limites" in page
    assert '<html lang="en">' in client.get("/?lang=en").text


def test_the_theme_is_kept_in_a_cookie(shared):
    client = browser(shared)
    assert 'media="screen and (prefers-color-scheme: dark)"' in client.get("/").text
    client.get("/?theme=dark")
    assert 'media="screen">' in client.get("/data").text


def test_pages_have_no_script_or_style_of_their_own_and_a_strict_policy(shared):
    client = browser(shared, "Alpha")
    for path in ("/", "/data", "/leaderboard", "/sign-in", "/submissions/none", "/none"):
        answer = client.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(
            r"<style|style=|<script(?![^>]* src=\"/static/)|\son\w+=|javascript:", answer.text
        )
        assert not re.findall(r"(?:src|href|action)=\"(?!/|#)[^\"]*\"", answer.text)


def test_the_leaderboard_is_closed_until_the_window_is_over(shared, set_clock):
    anybody, alpha = browser(shared), browser(shared, "Alpha")
    for client in (anybody, alpha):
        page = client.get("/leaderboard").text
        assert "It opens after 2026-12-31 (UTC), or when the owner publishes it." in page
        assert "Transformer" not in page
        assert client.get("/exports/leaderboard.csv").status_code == 403
    assert [line[0] for line in rows(alpha.get("/leaderboard").text)] == ["ResNet Alpha"]
    assert "Only you see it" in browser(shared, "owner").get("/leaderboard").text
    set_clock(dt.datetime(2027, 1, 1, 9, tzinfo=dt.UTC))
    shared.state.site.forget()
    page = browser(shared).get("/leaderboard").text
    assert "Transformer" in page
    assert "Only you see it" not in page
    shared.state.site.forget()


def test_the_leaderboard_has_scores_costs_and_the_verdict(shared):
    page = browser(shared, "owner").get("/leaderboard").text
    first, second, third = rows(page)
    assert [line[0].split(" Cannot")[0] for line in (first, second, third)] == [
        "Transformer Beta", "Efficient, longer Gamma", "ResNet Alpha",
    ]  # fmt: skip
    assert "No winner: these cannot be told apart from the best one" in page
    assert "Better than every other model" not in page
    assert first[2].startswith("93% 91% to 95%")
    assert first[3] == "+18"
    # (1 - 0.93) x 1,500,000 km2 x 18 + 0.22 x 1,500,000 = 2,220,000; internal 4,465,000
    assert first[6].startswith("€2,220,000")
    assert first[7] == "-€2,245,000"
    for text in ("232,500", "€4,185,000", "€4,465,000", "Internal method", "was looked at 10 times"):
        assert text in page, text


def test_links_of_the_headings_sort(shared):
    client = browser(shared, "owner")
    price = [line[5] for line in rows(client.get("/leaderboard?sort=price_per_km2&order=ascending").text)]
    assert price == ["€0.10", "€0.22", "€0.25"]
    page = client.get("/leaderboard?sort=price_per_km2&order=descending").text
    assert [line[5] for line in rows(page)] == price[::-1]
    assert page.count('aria-sort="descending"') == 1
    assert '<a href="/leaderboard?sort=price_per_km2&amp;order=ascending"' in page
    best = rows(client.get("/leaderboard").text)
    assert rows(client.get("/leaderboard?sort=nonsense&order=x").text) == best


def test_a_contributor_sees_own_submissions_only(shared):
    client = browser(shared, "Alpha")
    page = client.get("/submissions").text
    assert [line[0] for line in rows(page)] == ["ResNet, again", "ResNet"]
    assert "Transformer" not in page
    assert client.get("/submissions/beta11transformer").status_code == 404
    assert browser(shared, "owner").get("/submissions/beta11transformer").status_code == 200
    for path in ("/submissions", "/submissions/beta11transformer", "/owner"):
        answer = browser(shared).get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")
    assert client.get("/owner").status_code == 403


def test_a_submission_has_scores_classes_and_the_confusion_matrix(shared):
    page = browser(shared, "Alpha").get("/submissions/alpha6resnet").text
    assert 'http-equiv="refresh"' not in page  # it has ended
    assert rows(page)[0] == ["Accuracy", "70% 67% to 73%", "70%", "85% 82% to 88%", "85%"]
    for text in (
        "Recall of each class",
        "not shown",
        "0.693",
        "2 TFLOP",
        "1,234",
        "Change by fine-tuning",
    ):
        assert text in page, text
    assert FARM not in page
    assert '<svg class="curve"' in page
    again = browser(shared, "Alpha").get("/submissions/alpha13resnetagain").text
    assert "not better than your best one by more than its standard error" in again
    assert rows(again)[0][:2] == ["Accuracy", "– not told"]


def test_progress_is_on_the_page_and_the_page_reads_itself_without_scripts(own):
    with opened_by(own).write() as session:
        one = Submission(
            id="live", account_id=account_of(session, "Alpha").id, key="live", name=HOSTILE, options={},
            price_per_km2=Decimal("0.5"), sha256="a" * 64, bytes=10, received=clock.now(), state="received",
        )  # fmt: skip
        session.add(one)
        session.flush()
        queue.add(session, one)
        held = queue.claim(session, "worker", 600)
        progress = {"phase": 2, "epoch": 7, "epochs": 20, "validation_loss": 0.31234}
        queue.renew(session, held, 600, progress, 10**14, 5.0)
    client = browser(own, "Alpha")
    for path in ("/submissions", "/submissions/live"):
        page = client.get(path).text
        assert "after fine-tuning · epoch 7 of 20 · validation loss 0.312" in page
        assert 'data-progress="/api/v1/submissions/live/progress"' in page
        assert 'value="0.35"' in page
        assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page
    assert "&lt;script&gt;" in browser(own, "owner").get("/owner").text


def test_the_owner_sees_income_looks_queue_and_the_audit_log(shared):
    page = browser(shared, "owner").get("/owner").text
    # 25.005 EUR each: 50.01 for two, 25.005 -> 25.01 for one
    for text in ("€125.03", "5 done", "0.01 PFLOP", "Nothing waits and nothing runs.", "each chained"):
        assert text in page, text
    assert "contributor invited" in page
    assert "Transformer" in page
    assert "Looks at the holdout" in page


def test_the_owner_sees_the_confinement_that_the_newest_worker_found(own):
    client = browser(own, "owner")
    assert "No worker has started yet" in client.get("/owner").text
    walls, held = Walls(True, True, True), dict.fromkeys(RULES, True)
    with opened_by(own).write() as session:
        note_start(session, "worker a 1", Confinement(walls, "/usr/bin/bwrap", held, 4))
    page = client.get("/owner").text
    assert "As worker a 1 found it when it started: walls of bubblewrap, namespaces, Landlock 4" in page
    assert all(f"<li>{rule}</li>" in page for rule in RULES.values())
    assert "Not enforced" not in page
    with opened_by(own).write() as session:
        weaker = Confinement(walls, None, {**held, "connect": False}, 0, trusted=True)
        note_start(session, "worker b 2", weaker)
    page = client.get("/owner").text
    warning = re.search(r'<div class="error" role="alert">(.*?)</div>', page, re.S)[1]
    assert re.findall("<li>(.*?)</li>", warning) == [RULES["connect"]]
    assert page.count(f"<li>{RULES['connect']}</li>") == 1


def test_sign_in_leads_on_within_this_server_only(shared):
    client = browser(shared)
    for asked, led in (
        ("", "/submissions"), ("/data?lang=en", "/data?lang=en"), ("//evil.example", "/submissions"),
        ("https://evil.example", "/submissions"), ("/\\evil.example", "/submissions"),
    ):  # fmt: skip
        answer = client.post("/sign-in", data={"token": "the-token-of-Alpha", "next": asked})
        assert (answer.status_code, answer.headers["location"]) == (303, led)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
    assert browser(shared).post("/sign-in", data={"token": "wrong"}).status_code == 401


def test_sign_out_ends_the_session(own):
    client = browser(own, "Alpha")
    before = dict(client.cookies)
    assert client.post("/sign-out", data={"csrf": csrf(client)}).status_code == 303
    assert not client.cookies
    client.cookies.update(before)
    assert client.get("/submissions").status_code == 303


def test_a_form_without_the_text_of_its_session_is_refused(shared):
    client, other = browser(shared, "owner"), csrf(browser(shared, "owner"))
    right = {"csrf": csrf(client), "name": "Mallory"}
    for path in (
        "/sign-out",
        *(f"/owner/{act}" for act in ("invitations", "revocations", "publish", "close")),
    ):
        for data in ({}, {"csrf": "guessed"}, {"csrf": other}):
            assert client.post(path, data={"name": "Mallory", **data}).status_code == 403
        assert client.post(path, data=right, headers={"Origin": "https://evil.example"}).status_code == 403
    with opened_by(shared).read() as session:
        assert not state.is_published(session)
    assert client.get("/owner").status_code == 200  # still signed in


def test_the_owner_invites_once_shown_revokes_publishes_and_closes(own):
    client = browser(own, "owner")
    form = {"csrf": csrf(client, "/owner")}
    page = client.post("/owner/invitations", data={**form, "name": "Delta <b>"}).text
    shown = re.search(r'<code class="token">([^<]+)</code>', page)[1]
    assert "Delta &lt;b&gt;" in page
    with opened_by(own).read() as session:
        assert accounts.of_token(session, shown).name == "Delta <b>"
    assert shown not in client.get("/owner").text
    again = client.post("/owner/invitations", data={**form, "name": "Delta <b>"})
    assert (again.status_code, "is taken" in again.text) == (422, True)
    page = client.post("/owner/revocations", data={**form, "name": "Beta"}).text
    assert "The access of Beta has ended; 0 submissions were stopped." in page
    assert client.post("/owner/revocations", data={**form, "name": "Nobody"}).status_code == 422
    client.post("/owner/publish", data=form)
    client.post("/owner/close", data=form)
    with opened_by(own).read() as session:
        assert state.is_published(session)
        assert state.is_closed(session)
    assert "Publish the leaderboard" not in client.get("/owner").text


def test_exports_are_of_this_viewer_and_in_this_language(shared):
    client = browser(shared, "owner")
    board = client.get("/exports/leaderboard.csv").text.splitlines()
    assert board[1].startswith("Transformer,Beta,Cannot be told from the best,0.7500,")
    assert board[1].endswith("0.22,105000.000,1890000.00,330000.00,2220000.00,-2245000.00")
    assert ";0,7500;" in client.get("/exports/leaderboard.csv?lang=pt-BR").text
    client.get("/?lang=en")
    bills = client.get("/exports/invoices.csv").text.splitlines()
    assert [line.split(",")[1:4] for line in bills[1:]] == [
        ["2026-11", "Alpha", "2"], ["2026-11", "Beta", "1"], ["2026-11", "Gamma", "2"],
    ]  # fmt: skip
    assert "Beta" not in browser(shared, "Alpha").get("/exports/invoices.csv").text
    answer = client.get("/exports/invoices.xlsx")
    assert answer.headers["content-disposition"] == 'attachment; filename="invoices.xlsx"'
    assert answer.content[:2] == b"PK"
    assert browser(shared).get("/exports/invoices.xlsx").status_code == 303
    assert client.get("/exports/leaderboard.exe").status_code == 422


def test_pages_of_yields_are_in_kg_ha_and_without_classes_and_costs(tmp_path):
    with yield_workspace(tmp_path / "W") as opened:
        with opened.write() as session:
            account_of(session, "owner").token_hash = accounts.digest("the-token-of-owner")
        client = browser(create_app(opened), "owner")
        page = client.get("/leaderboard").text
        first = rows(page)[0]
        assert first[0] == "Network Beta Beta Better than every other model"
        assert re.fullmatch(r"[23]\d0 [23]\d0 to [23]\d0", first[2])
        assert first[3].startswith("+")
        assert "kg/ha" in page
        assert "Total annual cost" not in page
        assert "Network Beta (Beta) is better than every other model" in page
        about = client.get("/").text
        for text in ("10 kg/ha", "mean", "950", "skill against mean"):
            assert text in about, text
        assert "Rare" not in about
        with opened.read() as session:
            one = account_of(session, "Beta").submissions[0].id
        detail = client.get(f"/submissions/{one}").text
        assert "RMSE" in detail
        assert "Recall of each class" not in detail
        assert "RMSE kg/ha, lower end" in client.get("/exports/leaderboard.csv").text
