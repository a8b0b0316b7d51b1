"""The report in headless Chromium, at desktop and phone size."""

import json
import time

import numpy as np
import pytest
from factories import synthetic_forecast
from report_pages import (
    HOSTILE,
    MODELS,
    SIZES,
    Reader,
    at,
    colours_at,
    country,
    opened,
    point,
    settle,
    skill_rows,
    whole,
)

from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.reporting import html


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report of a small country: (path, forecast, previous forecast, mesh)."""
    folder = tmp_path_factory.mktemp("report")
    codes, names, states, mesh = country(120, detail=4, undrawn=1)
    forecast = synthetic_forecast(codes, names, states)
    previous = synthetic_forecast(codes, names, states, as_of="2017-10-15", seed=2)
    (folder / "mesh.geojson").write_text(json.dumps(mesh))
    path = html.write(
        folder / "report.html", forecast, folder / "mesh.geojson", earlier=[previous], skill=skill_rows()
    )
    return path, forecast, previous, mesh


@pytest.fixture(scope="module")
def readers(browser):
    return {size: Reader(browser, size) for size in SIZES}


@pytest.fixture(params=SIZES)
def page(readers, made, request):
    with readers[request.param].opens(made[0]) as shown:
        yield shown


@pytest.fixture
def desk(readers, made):
    with readers["desk"].opens(made[0]) as shown:
        yield shown


def test_every_municipality_is_drawn_in_the_colour_of_its_class(page, made):
    _, forecast, _, mesh = made
    codes = [int(feature["properties"]["code"]) for feature in mesh["features"]]
    assert page.evaluate("[yieldcastReport.drawn, yieldcastReport.polygons]") == [len(codes)] * 2
    settle(page)
    wrong = page.evaluate(
        """(codes) => codes.filter((code) =>
            String(yieldcastReport.colourAt(code)) !== String(yieldcastReport.classColour(code)))""",
        codes,
    )
    assert wrong == []
    without = sorted(set(codes) - set(forecast["municipality"].values.tolist()))
    assert len(without) == 24
    assert {tuple(colour) for colour in colours_at(page, without)} == {(0xD3, 0xD6, 0xDA)}
    assert "no forecast (24)" in page.locator(".legend").inner_text()
    assert "Município 0000" not in page.locator("#map").inner_text()
    assert "1 municipalities have a forecast and no boundaries" in page.locator("#map").inner_text()


def test_pointing_shows_the_numbers_of_that_municipality(page, made):
    _, forecast, previous, mesh = made
    for code in forecast["municipality"].values[[1, 2, 30, 60, -1]]:
        row = forecast.sel(municipality=code)
        name, numbers = point(page, code)
        q = row["yield_kg_ha"].values
        change = np.rint(q[3]) - np.rint(previous["yield_kg_ha"].sel(municipality=code, quantile=0.5).item())
        assert name == f"{row['name'].values} {row['state'].values}"
        assert numbers["Median yield"] == f"{whole(q[3])} kg/ha"
        assert numbers["90% interval"] == f"{whole(q[0])} to {whole(q[6])} kg/ha"
        assert numbers["Five-year mean"] == f"{whole(row['mean_5y_public_kg_ha'])} kg/ha"
        assert numbers["Last public yield"] == f"{whole(row['last_public_kg_ha'])} kg/ha"
        assert numbers["Change"] == f"{change:+,.0f} kg/ha".replace("-", "−")
        assert numbers["Season observed"] == f"{row['observed_share'].item():.0%}"
        area = row["area_planted_ha"].item()
        assert numbers["Planted area"] == ("–" if np.isnan(area) else f"{whole(area)} ha")
    grey = next(
        f["properties"]
        for f in mesh["features"]
        if int(f["properties"]["code"]) not in forecast["municipality"]
    )
    assert point(page, grey["code"]) == (f"{grey['name']} {grey['state']}", {})
    assert "no forecast" in page.locator(".tip").inner_text()


def test_the_area_in_the_map_stands_beside_the_planted_area(readers, made, tmp_path):
    count, whole_count = (made[1].sizes[dim] for dim in ("municipality", "aggregate"))
    areas = np.arange(count, dtype=np.float32) + 7000
    errors = np.where(np.arange(count) == 0, np.nan, 50).astype(np.float32)
    forecast = made[1].assign(
        area_mapped_ha=("municipality", areas, {"units": "ha"}),
        area_mapped_error_ha=("municipality", errors, {"units": "ha"}),
        aggregate_area_mapped_ha=("aggregate", np.full(whole_count, 123_456.0), {"units": "ha"}),
        aggregate_area_mapped_error_ha=("aggregate", np.full(whole_count, 789.0), {"units": "ha"}),
    )
    path = html.write(tmp_path / "report.html", forecast, made[0].with_name("mesh.geojson"))
    with readers["desk"].opens(path, address=f"#place={forecast['code'].values[1]}") as shown:
        text = " ".join(shown.locator("body").inner_text().split())
    assert "Area in the map" in text
    assert "7,001 ± 50 ha" in text  # the chosen place
    assert "123,456" in text


def test_zoom_by_wheel_fingers_buttons_and_keys(page, made):
    code = made[1]["municipality"].values[40]
    place = at(page, code)

    def zoom():
        settle(page)
        return page.evaluate("yieldcastReport.zoom")

    assert zoom() == pytest.approx(1)
    if page.size == "desk":
        page.mouse.move(place["x"], place["y"])
        page.mouse.wheel(0, -300)
        settle(page)
        still = at(page, code)
        assert colours_at(page, [code]) == [page.evaluate("(c) => yieldcastReport.classColour(c)", int(code))]
        assert [still["x"], still["y"]] == pytest.approx(
            [place["x"], place["y"]], abs=3
        )  # it stays under the pointer
    else:
        fingers = page.context.new_cdp_session(page)
        for kind, gap in (("touchStart", 30), ("touchMove", 60), ("touchMove", 120)):
            touches = [{"x": 195 + side * gap, "y": place["y"], "id": side + 1} for side in (-1, 1)]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    zoomed = zoom()
    assert zoomed > 1.5
    page.locator('[data-zoom="in"]').click()
    assert zoom() > zoomed
    page.locator('[data-zoom="all"]').click()
    assert zoom() == pytest.approx(1)
    page.locator(".map-base").focus()
    page.keyboard.press("+")
    assert zoom() > 1.2
    page.keyboard.press("ArrowLeft")
    assert page.locator(".tip").is_visible()  # of the municipality in the centre
    page.keyboard.press("0")
    assert zoom() == pytest.approx(1)


def test_the_wheel_scrolls_the_page_when_the_whole_country_is_shown(desk, made):
    place = at(desk, made[1]["municipality"].values[40])
    before = desk.evaluate("scrollY")
    desk.mouse.move(place["x"], place["y"])
    desk.mouse.wheel(0, 200)
    desk.wait_for_function("(before) => scrollY > before", arg=before)
    assert desk.evaluate("yieldcastReport.zoom") == pytest.approx(1)


def test_layers(page, made):
    _, forecast, previous, mesh = made
    drawn = [int(f["properties"]["code"]) for f in mesh["features"]]
    shown = forecast.sel(municipality=[code for code in drawn if code in forecast["municipality"]])
    codes = shown["municipality"].values

    def choose(layer):
        page.select_option("#layer", layer)
        settle(page)
        return np.array(colours_at(page, codes))

    q = np.rint(shown["yield_kg_ha"].values)
    before = np.rint(previous["yield_kg_ha"].sel(municipality=codes).values[:, 3])
    mean = np.rint(shown["mean_5y_public_kg_ha"].values)
    for layer, value in (("change", q[:, 3] - before), ("departure", q[:, 3] - mean)):
        colours = choose(layer)
        assert ((colours[:, 2] > colours[:, 0]) == (value >= 0)).all()  # blue above, brown below
        assert (value < 0).any()
        assert (value > 0).any()
    for layer, value in (
        ("median", q[:, 3]),
        ("low", shown["probability_low"].values),
        ("width", q[:, 6] - q[:, 0]),
    ):
        colours = choose(layer)
        classes = [
            tuple(int(c[k : k + 2], 16) for k in (1, 3, 5))
            for c in page.evaluate("(l) => yieldcastReport.palettes[l]", layer)
        ]
        found = np.array([classes.index(tuple(c)) for c in colours])
        order = np.argsort(value, kind="stable")
        assert (np.diff(found[order]) >= 0).all()  # never a higher class for a smaller number
        assert len(set(found)) >= 5
    low = choose("low")
    bins = np.floor(np.round(shown["probability_low"].values, 3) * 10 + 1e-9).astype(int)
    assert len({(k, tuple(c)) for k, c in zip(bins, low.tolist(), strict=True)}) == len(set(bins))  # tenths
    assert "(%)" in page.locator(".legend").inner_text()


def simulated(colour, kind):
    """Machado et al. (2009), doi 10.1109/TVCG.2009.113, severity 1; in CIE L*a*b* (D65)."""
    machado = {
        "none": np.eye(3),
        "protan": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deutan": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        "tritan": [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    }[kind]
    share = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(machado) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.where((c := xyz / [0.9505, 1, 1.089]) > 0.008856, np.cbrt(c), 7.787 * c + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_colour_blind_readers_can_tell_classes_apart(desk):
    palettes, grey = desk.evaluate("[yieldcastReport.palettes, yieldcastReport.noForecast]")
    assert set(palettes) == {"median", "change", "departure", "low", "width"}
    for kind in ("none", "protan", "deutan", "tritan"):
        for name, colours in palettes.items():
            labs = [simulated(colour, kind) for colour in colours]
            gaps = [np.linalg.norm(a - b) for k, a in enumerate(labs) for b in labs[:k]]
            assert min(gaps) > 7, (name, kind)  # 2.3 is just noticeable
            assert min(np.linalg.norm(lab - simulated(grey, kind)) for lab in labs) > 12, (name, kind)


def test_search_finds_by_plain_letters_and_keys_alone(page, made):
    _, forecast, _, _ = made
    search = page.locator("#search")
    search.focus()
    page.keyboard.type("sao joao")
    assert page.locator("#found li").count() == 1
    assert search.get_attribute("aria-expanded") == "true"
    assert search.get_attribute("aria-activedescendant") == "found-0"
    page.keyboard.press("Enter")
    settle(page)
    row = forecast.isel(municipality=HOSTILE.index("São João d'Aliança"))
    panel = page.locator("#panel").inner_text().replace("\xa0", " ")
    assert panel.startswith("São João d'Aliança")
    assert f"{whole(row['yield_kg_ha'].values[3])} kg/ha" in panel
    assert f"{whole(row['yield_kg_ha'].values[1])} to {whole(row['yield_kg_ha'].values[5])} kg/ha" in panel
    assert "Sept 2017 – May 2018" in panel
    assert page.evaluate("yieldcastReport.zoom") > 2
    assert page.evaluate("document.activeElement.id") == "chosen"
    place = page.evaluate("(code) => yieldcastReport.at(code)", int(row["municipality"]))
    frame = page.locator(".map").bounding_box()
    assert frame["x"] < place["x"] < frame["x"] + frame["width"]
    assert frame["y"] < place["y"] < frame["y"] + frame["height"]
    search.fill("municipio 00")
    page.keyboard.press("ArrowDown")
    assert search.get_attribute("aria-activedescendant") == "found-1"
    page.keyboard.press("Escape")
    assert not page.locator("#found").is_visible()
    search.fill("nowhere")
    assert not page.locator("#found").is_visible()
    assert "none found" in page.locator(".search").inner_text()


def test_the_language_switches_and_the_choice_stays(page, made):
    _, forecast, _, _ = made
    page.locator("#search").fill("sao joao")
    page.keyboard.press("Enter")
    page.select_option("#layer", "departure")
    page.locator('[data-lang="pt-BR"]').click()
    assert page.evaluate("document.documentElement.lang") == "pt-BR"
    text = page.locator("body").inner_text().replace("\xa0", " ")
    median = whole(forecast["aggregate_yield_kg_ha"].values[0, 3], "pt")
    for words in (
        "Soja: previsão de produtividade, colheita de 2018", "safra 2017/18", "Dados sintéticos",
        "Desempenho", "15/11/2017", f"{median} kg/ha", "boletim de 15/10/2017",
        "Mapa dos municípios", "Rio Grande do Sul",
    ):  # fmt: skip
        assert words in text, words
    assert "Yield" not in text.replace("yieldcast", "")
    assert "São João d'Aliança" in page.locator("#panel").inner_text()
    assert page.input_value("#layer") == "departure"
    assert page.evaluate("document.activeElement.dataset.lang") == "pt-BR"
    page.locator('[data-lang="en"]').click()
    assert "Soybean, season 2017/18" in page.title()


def cells(page, table, column):
    return [
        text.replace("\xa0", " ")
        for text in page.locator(f"#{table} tbody tr:not(.pinned) > :nth-child({column})").all_inner_texts()
    ]


def test_tables_sort_and_filter(page, made):
    _, forecast, _, _ = made
    names, states = forecast["name"].values.astype(str), forecast["state"].values.astype(str)
    medians = np.rint(forecast["yield_kg_ha"].values[:, 3]).astype(int)
    page.locator('#places th[data-key="q3"] button').click()
    assert cells(page, "places", 3) == [whole(v) for v in sorted(medians, reverse=True)[:25]]
    assert page.locator('#places th[data-key="q3"]').get_attribute("aria-sort") == "descending"
    page.locator('#places th[data-key="q3"] button').click()
    assert cells(page, "places", 3) == [whole(v) for v in sorted(medians)[:25]]
    page.locator("#municipalities .pager button").last.click()
    assert cells(page, "places", 3) == [whole(v) for v in sorted(medians)[25:50]]
    page.select_option("#places-state", "RS")
    assert set(cells(page, "places", 2)) == {"RS"}
    assert f"of {(states == 'RS').sum()}" in page.locator("#municipalities .controls").inner_text()
    page.select_option("#places-state", "")
    page.locator("#places-filter").fill("SAO joao")
    assert cells(page, "places", 1) == ["São João d'Aliança"]
    page.locator("#places-filter").fill("zzz")
    assert cells(page, "places", 1) == ["no rows"]
    page.locator("#places-filter").fill("")
    page.locator('#places th[data-key="area"] button').click()
    area = forecast["area_planted_ha"].values
    largest = names[np.argsort(-np.rint(area), kind="stable")][:25].tolist()
    assert np.isnan(area).any()
    assert cells(page, "places", 1) == largest or cells(page, "places", 11) == sorted(
        cells(page, "places", 11)
    )
    page.locator('#aggregates th[data-key="name"] button').click()
    assert cells(page, "aggregates", 1) == ["Mato Grosso", "Paraná", "Rio Grande do Sul"]
    assert page.locator("#aggregates tr.pinned").inner_text().startswith("Brazil")
    page.locator("#aggregates-filter").fill("parana")
    assert cells(page, "aggregates", 2) == [whole(forecast["aggregate_yield_kg_ha"].values[2, 3])]


def test_a_name_in_the_table_opens_it_on_the_map(desk, made):
    desk.locator("#places-filter").fill("sao joao")
    desk.locator("#places tbody button").click()
    settle(desk)
    assert desk.locator("#chosen").inner_text() == "São João d'Aliança"
    assert desk.evaluate("yieldcastReport.zoom") > 2


def test_hostile_names_are_shown_and_not_executed(page, made):
    _, forecast, _, _ = made
    page.locator('#places th[data-key="name"] button').click()
    for k, name in enumerate(HOSTILE):
        page.locator("#places-filter").fill(name)
        assert page.locator("#places tbody button").all_text_contents() == [name]
        if k:  # the first has no polygon
            page.locator("#search").fill(name)
            assert page.locator("#found li span").first.text_content() == name
            page.keyboard.press("Enter")
            settle(page)
            assert (
                point(page, forecast["municipality"].values[k])[0] == f"{name} {forecast['state'].values[k]}"
            )
        assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


def test_the_policy_of_the_page_stops_scripts_and_connections(browser, made):
    with opened(browser, made[0], complaints=("Content Security Policy", "Refused", "violates")) as page:
        reached = page.evaluate("fetch('data:text/plain,x').then(() => 'reached', () => 'stopped')")
        assert reached == "stopped"
        page.evaluate("""() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
        }""")
        assert page.evaluate("typeof window.hacked") == "undefined"


def test_everything_is_reached_by_tab_with_a_visible_focus(desk):
    reached = []
    for _ in range(70):
        desk.keyboard.press("Tab")
        reached.append(
            desk.evaluate("""() => {
            const it = document.activeElement, style = getComputedStyle(it);
            const name = it.id || it.dataset.lang || it.dataset.zoom || it.closest("th")?.dataset.key ||
                it.className;
            return [name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
        }""")
        )
    names = [name for name, _ in reached]
    wanted = [
        "skip",
        "en",
        "pt-BR",
        "layer",
        "search",
        "map-base",
        "in",
        "out",
        "all",
        "aggregates-filter",
        "q3",
        "places-filter",
        "places-state",
    ]
    assert [name for name in wanted if name not in names] == []
    assert sorted(map(names.index, wanted)) == list(map(names.index, wanted))  # in the order of the page
    assert all(seen for _, seen in reached)
    desk.locator('#aggregates th[data-key="mean5"] button').focus()
    desk.keyboard.press("Enter")
    assert desk.locator('#aggregates th[data-key="mean5"]').get_attribute("aria-sort") == "descending"
    desk.locator(".map-base").focus()
    desk.keyboard.press("+")
    desk.keyboard.press("Enter")
    assert desk.evaluate("document.activeElement.id") == "chosen"


@pytest.fixture(scope="module")
def with_parts(tmp_path_factory):
    """The report of a forecast by the method "posterior": (path, forecast, previous forecast)."""
    folder = tmp_path_factory.mktemp("parts")
    codes, names, states, mesh = country(60, detail=4)
    (folder / "mesh.geojson").write_text(json.dumps(mesh))
    forecast, previous = (
        synthetic_forecast(codes, names, states, as_of=day, shift_kg_ha=shift, parts=True)
        for day, shift in (("2017-11-15", -120.0), ("2017-10-15", 0.0))
    )
    path = html.write(folder / "report.html", forecast, folder / "mesh.geojson", earlier=[previous])
    return path, forecast, previous


def waterfall(page, place):
    """Heading, numbers, changes and bars (left and right end as shares of the cell) of a waterfall."""
    return page.evaluate(
        """(place) => {
        const kg = (text) => Number(text.replace("−", "-").replace(/[^0-9-]/g, ""));
        const rows = document.querySelectorAll(`${place} .waterfall :is(tbody, tfoot) tr`);
        return [...rows].map((row) => {
            const [name, value, bar, change] = row.children, cell = bar.getBoundingClientRect();
            const drawn = bar.querySelector("rect, .median").getBoundingClientRect();
            const ends = [drawn.left, drawn.right].map((x) => (x - cell.left) / cell.width);
            return {name: name.innerText, scope: name.scope, kg: kg(value.innerText),
                    change: kg(change.innerText), ends};
        });
    }""",
        place,
    )


@pytest.mark.parametrize("size", SIZES)
def test_waterfalls_lead_from_the_level_to_the_median(readers, with_parts, size):
    path, forecast, previous = with_parts
    with readers[size].opens(path) as page:
        page.fill("#search", "Município 0020")
        page.keyboard.press("Enter")
        row = forecast.isel(municipality=forecast["name"].values.tolist().index("Município 0020"))
        before = previous.sel(municipality=row["municipality"])["yield_kg_ha"].values[3]
        rows = waterfall(page, "#panel")
        names = ["Level of recent years", "Trend", "Water so far", "Official estimate", "Calibration"]
        assert [one["name"] for one in rows] == [*names, "Median yield"]
        assert {one["scope"] for one in rows} == {"row"}
        median = round(float(row["yield_kg_ha"].values[3]))
        assert sum(one["kg"] for one in rows[:-1]) == rows[-1]["kg"] == median
        assert sum(one["change"] for one in rows[:-1]) == rows[-1]["change"] == median - round(float(before))
        assert rows[2]["change"] == pytest.approx(-120, abs=1)
        at = 0
        for one in rows[:-1]:  # each bar lies between the sums before and after it
            kinds = sorted((at, at + one["kg"]))
            at += one["kg"]
            one["sums"] = kinds
        scale = np.polyfit(
            [edge for one in rows[1:4] for edge in one["sums"]],
            [edge for one in rows[1:4] for edge in one["ends"]], 1,
        )  # fmt: skip
        for one in rows[1:4]:
            np.testing.assert_allclose(np.polyval(scale, one["sums"]), one["ends"], atol=0.02)
        assert np.mean(rows[-1]["ends"]) == pytest.approx(np.polyval(scale, median), abs=0.02)
        page.select_option("#parts-of", label="Mato Grosso")
        of_state = waterfall(page, "#parts-shown")
        assert [one["name"] for one in of_state] == [*names[:-1], "Rest of the whole", "Median yield"]
        assert sum(one["kg"] for one in of_state[:-1]) == of_state[-1]["kg"]
        shown = page.locator("#parts-shown").inner_text().replace("\xa0", " ")
        assert "Official estimate for Mato Grosso: 3,120 kg/ha (LSPA, October 2017)" in shown
        assert "public from 9 November 2017" in shown
        page.click('[data-lang="pt-BR"]')
        assert waterfall(page, "#panel")[2]["name"] == "Água até o momento"
        assert "Zero em toda parte" in page.locator("section#parts").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"]


def test_a_layer_of_the_map_for_every_part_but_the_level(readers, with_parts):
    path, forecast, _ = with_parts
    with readers["desk"].opens(path) as page:
        layers = page.evaluate("[...document.querySelectorAll('#layer option')].map((one) => one.value)")
        wanted = ["trend", "water_so_far", "official", "calibration"]
        assert layers[5:] == [f"part_{name}" for name in wanted]
        page.select_option("#layer", "part_water_so_far")
        settle(page)
        water = forecast["part_water_so_far_kg_ha"].values
        chosen = [int(np.argmin(water)), int(np.argmax(water))]
        low, high = colours_at(page, forecast["municipality"].values[chosen])
        assert (low[0] > low[2], high[2] > high[0]) == (water.min() < 0, water.max() > 0)
        assert "Part: water so far" in page.locator(".legend").inner_text()


def test_waterfalls_fit_on_paper_which_is_light_on_a_dark_desktop_too(browser, with_parts):
    context = browser.new_context(viewport={"width": 794, "height": 1123}, offline=True)
    page = context.new_page()
    page.goto(with_parts[0].as_uri())
    page.wait_for_selector('html[data-ready="1"]', state="attached")
    colours = """["body", ".waterfall td.axis"].map((one) =>
        getComputedStyle(document.querySelector(one)).backgroundColor)"""
    light = page.evaluate(colours)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector('html[data-theme="dark"]')
    assert not set(page.evaluate(colours)) & set(light)
    page.emulate_media(media="print")
    assert page.evaluate(colours) == light
    for place in ("#panel", "#parts-shown"):
        inside = page.evaluate(
            """(place) => {
            const right = document.querySelector(place).getBoundingClientRect().right + 1;
            return [...document.querySelectorAll(`${place} .waterfall :is(th, td)`)].every((cell) =>
                cell.scrollWidth <= cell.clientWidth + 1 && cell.getBoundingClientRect().right <= right);
        }""",
            place,
        )
        assert inside, place
    context.close()


def test_season_and_skill(desk):
    season = desk.locator("#progress").inner_text().replace("\xa0", " ")
    assert (
        "23% of the season is observed, 77% comes from scenarios (weather of every past year, 2010-2017)"
        in season
    )
    assert "Sept 2017 – May 2018" in season
    skill = desk.locator("#skill").inner_text().replace("\xa0", " ")
    # 400 + 25 x lead against 540 of the best line: lower up to lead 5 (525)
    assert "RMSE: the forecast beats the best baseline from 5 months before the harvest on." in skill
    assert "lower RMSE at 6 of 9 leads" in skill
    assert "In the worst year (2016), 80% of the outcomes fell inside the 90% interval" in skill
    assert desk.locator("#skill svg.lead-chart").count() == 3
    assert desk.locator("#skill svg.lead-chart").first.locator("polyline").count() == len(MODELS)
    desk.locator("#skill summary").click()
    assert desk.locator("#skill-table tbody tr").count() == 24


def test_how_it_was_made(desk):
    text = desk.locator("#method").inner_text()
    for words in (
        "0123456789ab",
        "2010-2016",
        "weather of every past year",
        "2010–2012",
        "CC BY 4.0",
        "synthetic; no data owner",
        "yieldcast 0.1.0",
        "October 2017",
    ):
        assert words in text, words


def test_nothing_is_wider_than_the_window(page):
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert (
        page.evaluate("""[...document.querySelectorAll("button, select, input")]
        .filter((it) => it.offsetParent && !it.closest(".scroll, table")).filter((it) => {
            const box = it.getBoundingClientRect();
            return box.left < 0 || box.right > innerWidth;
        }).length""")
        == 0
    )


@pytest.mark.parametrize("size", SIZES)
def test_without_mesh_previous_bulletin_and_backtest_the_rest_works(browser, tmp_path, size):
    forecast = synthetic_forecast(as_of="2017-08-15")
    path = html.write(tmp_path / "r.html", forecast, None, lang="pt")
    with opened(browser, path, size) as page:
        text = page.locator("body").inner_text()
        assert "Sem mapa" in text
        assert "primeiro boletim: nada a comparar" in text
        assert "nenhum teste retrospectivo acompanha este boletim" in text
        assert "Nenhum mês da safra foi publicado ainda" in text
        assert page.locator("canvas").count() == 0
        assert page.locator('#places th[data-key="change"]').count() == 0
        page.locator("#search").fill("sintetico 007")
        page.keyboard.press("Enter")
        assert page.locator("#chosen").inner_text() == "Sintético 007"


def test_without_a_previous_bulletin_its_layer_is_not_offered(browser, made, tmp_path):
    _, forecast, _, mesh = made
    (tmp_path / "mesh.geojson").write_text(json.dumps(mesh))
    real = forecast.assign_attrs(synthetic=0)
    with opened(browser, html.write(tmp_path / "r.html", real, tmp_path / "mesh.geojson")) as page:
        assert page.locator("#layer option").evaluate_all("all => all.map((o) => o.value)") == [
            "median",
            "departure",
            "low",
            "width",
        ]
        assert page.locator(".synthetic").count() == 0


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A report of 5,570 municipalities with more corners than Brazil's: (path, a code, number of shapes)."""
    folder = tmp_path_factory.mktemp("large")
    codes, names, states, mesh = country(5570, detail=7, unforecast=1)
    assert sum(len(f["geometry"]["coordinates"][0]) for f in mesh["features"]) > 206_615
    return wide_report(folder, codes, names, states, mesh)


@pytest.fixture(scope="module")
def brazil(tmp_path_factory, brazil_files):
    """The same with the real boundaries."""
    mesh = json.loads((brazil_files / "municipalities.geojson").read_text())
    about = sorted(
        (int(f["properties"]["code"]), *(f["properties"][k] for k in ("name", "uf")))
        for f in mesh["features"]
    )
    codes, names, states = (list(column) for column in zip(*about, strict=True))
    return wide_report(
        tmp_path_factory.mktemp("brazil"), np.array(codes, dtype=np.int32), names, states, mesh
    )


def wide_report(folder, codes, names, states, mesh):
    (folder / "mesh.geojson").write_text(json.dumps(mesh))
    forecast = synthetic_forecast(codes, names, states)
    rows = skill_rows()
    path = html.write(folder / "r.html", forecast, folder / "mesh.geojson", earlier=[forecast], skill=rows)
    return path, int(codes[2000]), len(mesh["features"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", ["large", "brazil"])
def test_a_whole_country_is_small_and_opens_in_three_seconds(browser, request, which, size):
    path, code, polygons = request.getfixturevalue(which)
    assert path.stat().st_size < 4_000_000  # 15 MB are allowed
    best = np.inf
    for _ in range(3):  # the best of three: other processes may slow the machine down
        start = time.perf_counter()
        with opened(browser, path, size) as page:
            page.evaluate("(code) => yieldcastReport.colourAt(code)", code)  # waits for the picture
            best = min(best, time.perf_counter() - start)
            assert page.evaluate("yieldcastReport.drawn") == polygons
        if best < 3:
            break
    assert best < 3


@pytest.mark.parametrize("size", SIZES)
def test_one_municipality_of_which_little_is_known(readers, tmp_path, size):
    forecast = synthetic_forecast(np.array([5_100_001], dtype=np.int32), ["Só"], ["MT"])
    for name in ("mean_5y_public_kg_ha", "last_public_kg_ha", "probability_low", "area_planted_ha"):
        forecast[name].values[:] = np.nan
    forecast["aggregate_mean_5y_public_kg_ha"].values[:] = np.nan
    forecast["low_threshold_kg_ha"].values[:] = np.nan
    (tmp_path / "mesh.geojson").write_text(
        json.dumps(synthetic_mesh([5_100_001], ["Só"], ["MT"], [-10], [-55]))
    )
    rows = [row for row in skill_rows() if row["lead_months"] == 6 and row["model"] == "forecast"]
    path = html.write(tmp_path / "r.html", forecast, tmp_path / "mesh.geojson", skill=rows)
    with readers[size].opens(path) as page:
        _, numbers = point(page, 5_100_001)
        assert [numbers[label] for label in ("Five-year mean", "P(low yield)", "Planted area")] == ["–"] * 3
        for layer in ("departure", "low", "width", "median"):
            page.select_option("#layer", layer)
            settle(page)
            known = layer in ("width", "median")
            assert ("not known (1)" in page.locator(".legend").inner_text()) != known
            assert (colours_at(page, [5_100_001]) == [[0xD3, 0xD6, 0xDA]]) != known
        assert "RMSE: there is no baseline to compare with." in page.locator("#skill").inner_text()
        page.locator("#places tbody button").click()
        text = page.locator("#panel").inner_text()
        assert "NaN" not in text + page.locator("body").inner_text()
        assert "undefined" not in page.locator("body").inner_text()
