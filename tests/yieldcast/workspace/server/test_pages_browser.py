"""The pages in Chromium: axe-core in both colour schemes, sorting, live progress, upload, narrow screens."""

import shutil
import threading
from pathlib import Path

import pytest
import uvicorn
from dense_model import write_model
from scored_workspace import account_of

from yieldcast import clock
from yieldcast.workspace.database import queue
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.server.app import create_app

pytestmark = pytest.mark.slow
AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .map(({id, nodes}) => [id, nodes.map((node) => node.html.slice(0, 200))])"""


class Server:
    """A workspace behind a real server on a port of its own."""

    def __init__(self, workspace):
        self.workspace = workspace
        settings = uvicorn.Config(create_app(workspace), port=0, log_level="error", lifespan="off")
        self.server = uvicorn.Server(settings)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.02)
        (port,) = (one.getsockname()[1] for one in self.server.servers[0].sockets)
        self.address = f"http://127.0.0.1:{port}"

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)

    def start_training(self, name):
        """A submission of Alpha that a worker holds."""
        with self.workspace.write() as session:
            one = Submission(
                id="live", account_id=account_of(session, "Alpha").id, key="live", name=name, options={},
                sha256="a" * 64, bytes=10, received=clock.now(), state="received",
            )  # fmt: skip
            session.add(one)
            session.flush()
            queue.add(session, one)
            self.held = queue.claim(session, "worker", 600)
        self.train(epoch=1, epochs=20, phase=2)

    def train(self, **progress):
        with self.workspace.write() as session:
            assert queue.renew(session, self.held, 600, progress, 10**14, 5.0)

    def end_training(self):
        with self.workspace.write() as session:
            queue.fail(session, self.held, "failed", "the loss is not a number")


@pytest.fixture
def server(scored_once, tmp_path):
    shutil.copytree(scored_once, tmp_path / "W")
    with Workspace.open(tmp_path / "W") as workspace:
        started = Server(workspace)
        yield started
        started.stop()


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python (dev)")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


class Visitor:
    """A page in a window of its own; at the end nothing was said on its console or asked of another host."""

    def __init__(self, browser, server, **options):
        size = {"width": 1280, "height": 900}
        self.context = browser.new_context(viewport=size, reduced_motion="reduce", locale="en-GB", **options)
        self.page, self.server, self.said, self.asked = self.context.new_page(), server, [], []
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def goes(self, path):
        self.page.goto(self.server.address + path)

    def signs_in(self, name):
        self.goes("/sign-in")
        self.page.fill("#token", f"the-token-of-{name}")
        self.page.click("main button")
        self.page.wait_for_url("**/owner" if name == "owner" else "**/submissions")

    def leaves(self):
        self.context.close()
        assert self.said == []
        assert self.asked
        assert [url for url in self.asked if not url.startswith(self.server.address)] == []


def check(visitor, axe, path):
    """axe-core in light and dark, and no sideways scroll on a narrow screen."""
    page = visitor.page
    visitor.goes(path)
    page.evaluate(axe)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(AXE) == [], (path, scheme)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 360, path
    page.set_viewport_size({"width": 1280, "height": 900})


def test_axe_finds_nothing_on_any_page(browser, server, axe):
    server.start_training("Vision transformer")
    for name, paths in (
        (None, ("/", "/data", "/leaderboard", "/sign-in", "/docs")),
        ("Alpha", ("/leaderboard", "/submissions", "/submissions/new", "/submissions/live",
                   "/submissions/alpha6resnet")),
        ("owner", ("/owner", "/leaderboard", "/leaderboard?lang=pt-BR")),
    ):  # fmt: skip
        visitor = Visitor(browser, server)
        if name:
            visitor.signs_in(name)
        for path in paths:
            check(visitor, axe, path)
        visitor.leaves()


def test_headings_sort_and_colours_change_without_a_new_page(browser, server):
    visitor = Visitor(browser, server)
    visitor.signs_in("owner")
    visitor.goes("/leaderboard")
    page = visitor.page
    page.evaluate("window.mark = 1")
    names = "all => all.map((one) => one.firstChild.textContent.trim())"

    def models():
        return page.eval_on_selector_all("table.sortable tbody th", names)

    best = models()
    page.click("a[data-key=price_per_km2]")
    assert models() == ["Efficient, longer", "Transformer", "ResNet"]
    assert page.get_attribute("th:has(a[data-key=price_per_km2])", "aria-sort") == "ascending"
    page.click("a[data-key=price_per_km2]")
    assert models() == ["ResNet", "Transformer", "Efficient, longer"]
    page.click("a[data-key=tuned]")
    assert models() == best
    background = "getComputedStyle(document.body).backgroundColor"
    page.click("[data-theme-link=dark]")
    assert page.evaluate(background) == "rgb(18, 25, 29)"
    assert page.evaluate("window.mark") == 1
    page.reload()
    assert page.evaluate(background) == "rgb(18, 25, 29)"
    assert page.evaluate("location.search") == "?sort=tuned&order=descending"
    page.emulate_media(media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert not page.is_visible("nav")
    visitor.leaves()


def test_progress_changes_without_a_new_page_and_the_end_brings_the_result(browser, server):
    server.start_training("Vision transformer")
    visitor = Visitor(browser, server)
    visitor.signs_in("Alpha")
    page = visitor.page
    page.evaluate("window.mark = 1")
    page.wait_for_selector("text=epoch 1 of 20")
    server.train(epoch=13, epochs=20, phase=2, validation_loss=0.25)
    page.wait_for_selector("text=epoch 13 of 20 · validation loss 0.25")
    assert page.get_attribute("progress", "value") == "0.65"
    assert page.evaluate("window.mark") == 1
    server.end_training()
    page.wait_for_selector("text=the loss is not a number")
    assert page.locator("[data-progress]").count() == 0
    visitor.leaves()


def test_a_model_is_submitted_and_a_contributor_invited_by_forms(browser, server, tmp_path):
    visitor = Visitor(browser, server)
    visitor.signs_in("Beta")
    page = visitor.page
    page.click("text=Submit a model")
    page.set_input_files("#model", write_model(tmp_path / "model.keras"))
    page.fill("#name", "Dense")
    page.fill("#price_per_km2", "0.22")
    page.click("main button.strong")
    page.wait_for_url("**/submissions?done=taken")
    assert page.locator("table tbody th").all_inner_texts()[0] == "Dense"
    page.click("text=Sign out")
    visitor.signs_in("owner")
    page.fill("#name", "Delta")
    page.click("text=Invite")
    shown = page.inner_text("code.token")
    page.click("text=Sign out")
    visitor.goes("/sign-in")
    page.fill("#token", shown)
    page.click("main button")
    page.wait_for_url("**/submissions")
    assert "Delta" in page.inner_text(".account")
    visitor.leaves()


def test_everything_works_without_scripts(browser, server):
    server.start_training("Vision transformer")
    visitor = Visitor(browser, server, java_script_enabled=False)
    visitor.signs_in("owner")
    visitor.goes("/leaderboard")
    visitor.page.click("a[data-key=price_per_km2]")
    assert visitor.page.locator("table.sortable tbody th").all_inner_texts()[0].startswith("Efficient")
    visitor.page.click("text=Dark")
    assert visitor.page.locator("#dark-colours").get_attribute("media") == "screen"
    visitor.page.click("text=Português")
    assert visitor.page.locator("h1").inner_text() == "Classificação"
    visitor.goes("/owner")
    assert visitor.page.locator("noscript meta, meta[http-equiv=refresh]").count() == 1
    visitor.leaves()
