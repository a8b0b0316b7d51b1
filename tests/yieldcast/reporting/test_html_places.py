"""A place in the report, in a browser: its past, the bulletins of its season, its address, saved files."""

import csv
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from factories import synthetic_forecast
from report_pages import Reader, country, settle, skill_rows

from yieldcast.evaluation.skill import HINDCASTS
from yieldcast.forecasting.public_past import PublicYields
from yieldcast.reporting import html

DAYS = ("2017-09-15", "2017-10-15", "2017-11-15")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Report with three bulletins and ten public years: path, forecasts (earliest first), public yields."""
    folder = tmp_path_factory.mktemp("places")
    codes, names, states, mesh = country(60, detail=4)
    names[6] = '=1+1;"x"'
    (folder / "mesh.geojson").write_text(json.dumps(mesh))
    forecasts = [
        synthetic_forecast(codes, names, states, as_of=day, shift_kg_ha=shift, parts=True)
        for day, shift in zip(DAYS, (0.0, 80.0, -120.0), strict=True)
    ]
    forecasts[0] = forecasts[0].isel(municipality=slice(1, None))  # the first place was not in it
    own = np.random.default_rng(4).normal(2900, 300, (len(codes), 10))
    own[20, 3] = np.nan
    whole = np.full((4, 10), 2900.0)
    past = PublicYields(2007, codes.astype(np.int64), own, ("all", "MT", "PR", "RS"), whole)
    rows = [{**row, "protocol": HINDCASTS} for row in skill_rows() if row["lead_months"] == 6]
    path = html.write(
        folder / "r.html",
        forecasts[-1],
        folder / "mesh.geojson",
        earlier=forecasts[:-1],
        past=past,
        skill=rows,
    )
    return path, forecasts, past


@pytest.fixture(scope="module")
def reader(browser):
    return Reader(browser, "desk")


@pytest.fixture
def page(reader, made):
    with reader.opens(made[0]) as shown:
        yield shown


def choose(page, name):
    page.fill("#search", name)
    page.keyboard.press("Enter")
    settle(page)


def kg(text):
    return int(text.replace("−", "-").replace(",", "").split()[0])


def test_the_panel_shows_the_past_and_the_bulletins_of_the_season(page, made):
    _, forecasts, past = made
    code = past.codes[20]
    choose(page, str(forecasts[-1]["name"].values[20]))
    dots = page.locator("#panel .past").first.locator("circle title").all_text_contents()
    expected = [f"{2007 + k}: {value:,.0f} kg/ha" for k, value in enumerate(past.own[20]) if k != 3]
    assert [text.replace("\xa0", " ") for text in dots] == expected
    rows = page.locator("#panel .bulletins tbody tr").evaluate_all(
        "all => all.map((row) => [...row.children].map((it) => it.innerText.replaceAll('\\u00a0', ' ')))"
    )
    medians = [one.sel(municipality=code)["yield_kg_ha"].values[3] for one in forecasts]
    assert [row[0] for row in rows] == ["15 Nov 2017", "15 Oct 2017", "15 Sept 2017"]
    assert [kg(row[1]) for row in rows] == [round(float(value)) for value in reversed(medians)]
    assert [kg(row[2]) for row in rows[:2]] == pytest.approx([-200, 80], abs=1)
    assert rows[0][3].startswith("water so far −200")
    assert rows[1][3].startswith("water so far +80")
    first = str(forecasts[-1]["name"].values[0])
    choose(page, first)  # new since the second bulletin
    assert page.locator("#panel .bulletins tbody tr").count() == 2


def test_a_place_has_an_address(page, made):
    _, forecasts, past = made
    names = forecasts[-1]["name"].values.astype(str)
    start = page.url
    choose(page, names[20])
    assert page.url == f"{start}#place={past.codes[20]}"
    assert page.locator("#panel .buttons a").get_attribute("href") == f"#place={past.codes[20]}"
    choose(page, names[21])
    page.click('nav a[href="#skill"]')
    assert page.locator("#chosen").inner_text() == names[21]  # a section is no other choice
    page.go_back()
    page.go_back()
    page.wait_for_function("(name) => document.getElementById('chosen').innerText === name", arg=names[20])
    page.go_back()
    page.wait_for_function("document.getElementById('chosen') === null")
    page.go_forward()
    page.wait_for_function("(name) => document.getElementById('chosen')?.innerText === name", arg=names[20])
    page.click("#panel .buttons button:last-child")
    assert page.url == start
    for odd in ("#place=1", "#place=x", "#place=99999999999"):
        page.evaluate("(odd) => { location.hash = odd; }", odd)
        assert page.locator("#chosen").count() == 0


def test_a_link_opens_its_place_on_a_phone(browser, made):
    path, forecasts, past = made
    reader = Reader(browser, "phone")
    with reader.opens(path, address=f"#place={past.codes[12]}") as page:
        assert page.locator("#chosen").inner_text() == forecasts[-1]["name"].values[12]
        assert page.evaluate("yieldcastReport.zoom") > 1.2
        for language in ("en", "pt-BR"):
            page.click(f'[data-lang="{language}"]')
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            assert page.evaluate("""[...document.querySelectorAll("#panel table")].every((it) =>
                it.getBoundingClientRect().right <= it.parentNode.getBoundingClientRect().right)""")


def download(page, button):
    with page.expect_download() as found:
        button.click()
    with open(found.value.path(), "rb") as file:
        return found.value.suggested_filename, file.read()


def test_tables_charts_and_the_map_are_saved_as_files(page, made):
    _, forecasts, _ = made
    codes, medians = forecasts[-1]["municipality"].values, forecasts[-1]["yield_kg_ha"].values[:, 3]
    page.select_option("#places-state", "PR")
    page.click('#places th[data-key="q3"] button')
    name, content = download(page, page.locator("#municipalities .download"))
    assert name == "soybean-2018-2017-11-15-municipalities.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    mine = forecasts[-1]["state"].values == "PR"
    order = np.argsort(-np.rint(medians[mine]), kind="stable")
    assert [int(row["Code"]) for row in rows] == codes[mine][order].tolist()
    assert [int(row["Median (kg/ha)"]) for row in rows] == np.rint(medians[mine][order]).astype(int).tolist()
    assert 0 <= float(rows[0]["P(low yield) (%)"]) <= 100
    page.click('[data-lang="pt-BR"]')
    _, content = download(page, page.locator("#municipalities .download"))
    text = content.decode("utf-8-sig")
    assert content.startswith(b"\xef\xbb\xbf")
    cells = [row[1] for row in csv.reader(io.StringIO(text), delimiter=";")]
    assert '\'=1+1;"x"' in cells  # no spreadsheet reads it as a formula
    name, content = download(page, page.locator("#panel .save button").first)
    assert name.endswith(".svg")
    chart = ElementTree.fromstring(content)
    assert len(chart.findall(".//{http://www.w3.org/2000/svg}circle")) == 10
    assert not [one for one in chart.iter() if one.get("class")]
    assert chart.find(".//{http://www.w3.org/2000/svg}line").get("stroke").startswith("rgb(")
    name, content = download(page, page.locator(".under-map .download"))
    assert name == "soybean-2018-2017-11-15-map-median.png"
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5_000


def test_the_theme_follows_the_system_until_the_reader_chooses(reader, made):
    body = "getComputedStyle(document.body).backgroundColor"
    with reader.opens(made[0]) as page:
        light, sea = page.evaluate(body), "yieldcastReport.noForecast"
        grey = page.evaluate(sea)
        page.emulate_media(color_scheme="dark")
        page.wait_for_selector('html[data-theme="dark"]')
        assert page.evaluate(body) != light
        assert page.evaluate(sea) != grey
        page.click("[data-theme-switch]")
        assert page.evaluate(body) == light
    with reader.opens(made[0]) as page:  # remembered, also against the system
        assert page.get_attribute("html", "data-theme") == "light"
        page.click("[data-theme-switch]")
        assert page.get_attribute("html", "data-theme") == "dark"
        page.emulate_media(color_scheme="light")
        page.wait_for_selector('html[data-theme="light"]')  # as the system again: it is followed again


def test_skill_of_hindcasts_is_a_table_that_says_what_it_is(page):
    text = page.locator("#skill").inner_text().replace("\xa0", " ")
    assert "Hindcasts of this run for harvests 2015, 2016 at the lead" in text  # 2017 was not public
    assert "RMSE: not lower than that of the best baseline" in text  # 400 + 25 x 6 against 540
    assert page.locator("#skill svg.lead-chart").count() == 0
    assert page.locator("#skill-table tbody tr").count() == 5


def test_the_legend_is_above_the_fold(page):
    assert page.evaluate("document.querySelector('.legend').getBoundingClientRect().bottom") < 900
