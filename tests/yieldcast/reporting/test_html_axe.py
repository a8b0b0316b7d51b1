"""axe-core, with all its rules, in every state of the report: light and dark, both languages."""

import json
from pathlib import Path

import numpy as np
import pytest
from factories import synthetic_forecast
from report_pages import Reader, country, point, settle, skill_rows

from yieldcast.evaluation.skill import HINDCASTS
from yieldcast.forecasting.public_past import PublicYields
from yieldcast.forecasting.water_steps import WaterMonths
from yieldcast.reporting import html

# What a pointer may rest on; the state is checked with the pointer there.
POINTED_AT = (
    "[data-theme-switch]", '[data-lang][aria-pressed="true"]', '[data-lang][aria-pressed="false"]', "nav a",
    '[data-zoom="in"]', ".download", "#panel a", "#panel .buttons button", "#aggregates th button",
    "#aggregates tr.pinned td", "#places tbody tr td", "#places .link",
    "#municipalities .pager button:enabled", "#skill summary", "#layer", "#search",
)  # fmt: skip
AXE = """async ([context, rules]) => {
    const found = await axe.run(context ?? document, {
        preload: false, resultTypes: ["violations"],
        ...(rules ? {runOnly: {type: "rule", values: rules}} : {})});
    return found.violations.map(({id, nodes}) => [id, nodes.map((node) => node.html.slice(0, 200))]);
}"""


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python (dev)")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A report with everything, and one without map, bulletins and backtest."""
    folder = tmp_path_factory.mktemp("axe")
    codes, names, states, mesh = country(60, detail=4, undrawn=1)
    (folder / "mesh.geojson").write_text(json.dumps(mesh))
    early, middle, late = (
        synthetic_forecast(codes, names, states, as_of=day, shift_kg_ha=shift, parts=True)
        for day, shift in (("2017-09-15", 0.0), ("2017-10-15", 80.0), ("2017-11-15", -120.0))
    )
    late.attrs |= {"missing": json.dumps({"harvest_years": [2016]}), "outcome_public": 1}  # banners
    rng = np.random.default_rng(4)
    past = PublicYields(
        2007, codes.astype(np.int64), rng.normal(2900, 300, (len(codes), 10)), ("all", "MT", "PR", "RS"),
        rng.normal(2900, 200, (4, 10)),
    )  # fmt: skip
    full = html.write(
        folder / "full.html", late, folder / "mesh.geojson", earlier=[early, middle], past=past,
        skill=skill_rows(),
        water=WaterMonths(("2017-09", "2017-10"), codes, rng.normal(0, 80, (len(codes), 2))),
    )  # fmt: skip
    rows = [{**row, "protocol": HINDCASTS} for row in skill_rows() if row["lead_months"] == 6]
    return full, html.write(folder / "bare.html", late, None, skill=rows)


def check(page, state, context=None, rules=None):
    assert page.evaluate(AXE, [context, rules]) == [], (state, page.size)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_axe_finds_nothing_in_any_state(browser, axe, reports, size):
    with Reader(browser, size).opens(reports[0]) as page:
        page.evaluate(axe)
        for theme in ("light", "dark"):
            if page.get_attribute("html", "data-theme") != theme:
                page.click("[data-theme-switch]")
            if size == "desk":
                passing_states(page, theme)
            for language in ("en", "pt-BR"):
                whole_page(page, language, theme)
            page.click('[data-lang="en"]')


@pytest.mark.slow
def test_axe_finds_nothing_without_map_bulletins_and_backtest(browser, axe, reports):
    with Reader(browser, "desk").opens(reports[1]) as page:
        page.evaluate(axe)
        whole_page(page, "pt-BR", "light")
        page.click("[data-theme-switch]")
        whole_page(page, "en", "dark")


def whole_page(page, language, theme):
    page.click(f'[data-lang="{language}"]')
    everything_open(page)
    check(page, f"{language}, {theme}: panel open, table sorted, details open")


def everything_open(page):
    page.fill("#search", "Município 0020")
    page.keyboard.press("Enter")
    page.click('#places th[data-key="q3"] button')
    for summary in page.locator("#skill summary").all():
        summary.click()


def passing_states(page, name):
    """States in which a part of the page looks different: these are checked in that part only."""
    page.fill("#search", "Município 00")
    check(page, f"{name}: search", ".search")
    page.keyboard.press("Enter")
    page.fill("#places-filter", "zzz")
    check(page, f"{name}: no rows", "#municipalities .table-block")
    page.fill("#places-filter", "")
    for layer in page.locator("#layer option").evaluate_all("all => all.map((one) => one.value)"):
        page.select_option("#layer", layer)
        check(page, f"{name}: layer {layer}", ".legend", ["color-contrast"])
    page.click('[data-zoom="all"]')
    settle(page)
    point(page, page.evaluate("yieldcastReport.codes[20]"))
    check(page, f"{name}: numbers at the pointer", ".tip")
    for place in POINTED_AT:
        page.locator(place).first.hover()
        check(page, f"{name}: pointer at {place}", place, ["color-contrast"])
    page.mouse.move(0, 0)
