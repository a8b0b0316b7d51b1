"""Reports of a small made-up country, and a reader who opens them in a browser: for tests of the page."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from yieldcast.data.synthetic import synthetic_mesh

HOSTILE = [
    "</script><script>window.hacked=1</script>",
    '<img src=x onerror="window.hacked=1">',
    "\"quotes\" & 'apostrophes' &lt;b&gt;",
    "line\u2028end",
    "São João d'Aliança",
]
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK = {"viewport": {"width": 1280, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
SIZES = {"desk": DESK, "phone": PHONE}
MODELS = ("forecast", "last_public", "mean_5y_public", "boosted_history_public", "climatology")


class Reader:
    """A page in a new window without network; records the messages of its console and its requests."""

    def __init__(self, browser, size):
        self.context = browser.new_context(
            **SIZES[size], reduced_motion="reduce", offline=True, locale="de-DE"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.size = size
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    @contextmanager
    def opens(self, path, complaints=(), address=""):
        """The page with a report; at the end its console may hold only `complaints`, and only the file may
        have been requested."""
        self.said, self.asked = [], []
        self.page.goto(path.as_uri() + address)
        self.page.wait_for_selector('html[data-ready="1"]', state="attached")
        yield self.page
        assert [line for line in self.said if not any(part in line for part in complaints)] == []
        made = ("data:", "blob:")  # in the page itself
        assert {url.split("#")[0] for url in self.asked if not url.startswith(made)} == {path.as_uri()}


@contextmanager
def opened(browser, path, size="desk", complaints=()):
    reader = Reader(browser, size)
    with reader.opens(path, complaints) as page:
        yield page
    reader.context.close()


def country(count, detail, undrawn=0, unforecast=8, seed=2):
    """Codes, names and states of the municipalities of a country of three states, and its mesh.

    The last `unforecast` of each state have no forecast, the first `undrawn` of the country no polygon.
    """
    rng = np.random.default_rng(seed)
    state = np.sort(rng.integers(0, 3, count))
    codes = np.array([41, 43, 51])[state] * 100_000 + np.arange(count)
    states = np.array(["PR", "RS", "MT"])[state]
    names = [*HOSTILE, *(f"Município {k:04d}" for k in range(len(HOSTILE), count))]
    latitude, longitude = rng.uniform(-30, -5, count), rng.uniform(-10, 0, count) - 40 - 10 * state
    lines = slice(undrawn, None)
    mesh = synthetic_mesh(
        codes[lines], names[lines], states[lines], latitude[lines], longitude[lines], detail
    )
    kept = np.ones(count, dtype=bool)
    for name in np.unique(states):
        kept[np.flatnonzero(states == name)[-unforecast:]] = False
    return (
        codes[kept].astype(np.int32),
        [n for n, k in zip(names, kept, strict=True) if k],
        states[kept].tolist(),
        mesh,
    )


def skill_rows():
    """Rows of a backtest: the forecast wins from a lead of five months on; 2016 is its worst year."""
    rows = []
    for year in (2015, 2016, 2017):
        for lead in range(9):
            for k, model in enumerate(MODELS):
                rmse = 400 + 25 * lead if model == "forecast" else 510 + 30 * k
                covers = {"forecast": 0.9 - 0.1 * (year == 2016), "climatology": 0.91}.get(model)
                score = {
                    "rmse_kg_ha": rmse,
                    "crps_kg_ha": rmse / 2,
                    "coverage90": covers,
                    "r": 0.5,
                    "mape_pct": 10,
                }
                rows.append(
                    {
                        "crop": "soybean",
                        "harvest_year": year,
                        "lead_months": lead,
                        "model": model,
                        "n": 50,
                        **score,
                    }
                )
    return rows


def settle(page):
    """Wait until the map is drawn again after a gesture."""
    page.evaluate("""new Promise((done) =>
        setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 150))""")


def at(page, code):
    page.locator(".map").scroll_into_view_if_needed()
    return page.evaluate("(code) => yieldcastReport.at(code)", int(code))


def point(page, code):
    """Point at a municipality, or touch it; returns the name and the labelled numbers that appear."""
    place = at(page, code)
    if page.size == "phone":
        page.touchscreen.tap(place["x"], place["y"])
    else:
        page.mouse.move(place["x"], place["y"])
    page.wait_for_selector(".tip:not([hidden])")
    name, numbers = page.evaluate("""[document.querySelector(".tip-name").textContent, Object.fromEntries(
        [...document.querySelectorAll(".tip dl div")].map((line) =>
            [...line.children].map((it) => it.textContent)))]""")
    return name, {label: value.replace("\xa0", " ") for label, value in numbers.items()}


def whole(value, lang="en"):
    text = f"{int(np.rint(value)):,}"
    return text.replace(",", ".") if lang == "pt" else text


def colours_at(page, codes):
    return page.evaluate(
        "(codes) => codes.map((code) => yieldcastReport.colourAt(code))", list(map(int, codes))
    )
