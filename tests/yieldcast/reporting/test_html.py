import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.reporting import html
from yieldcast.reporting.html_language import page_languages

WEB = Path(html.__file__).parent / "web"
HOSTILE = [
    "</script><script>window.hacked=1</script>",
    '<img src=x onerror="window.hacked=1">',
    "\"quotes\" & 'apostrophes' &lt;",
    "line\u2028end\u2029marks",
    "São João d'Aliança",
]


class Parts(HTMLParser):
    """The elements of a page as a browser finds them: attributes, and the text of scripts and styles."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.found = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.found[-1][2] += data


def parts(path, tag):
    return [
        (attrs, text) for name, attrs, text in Parts(path.read_text(encoding="utf-8")).found if name == tag
    ]


def embedded(path):
    (data,) = [text for attrs, text in parts(path, "script") if attrs.get("id") == "data"]
    return json.loads(data)


@pytest.fixture(scope="module")
def forecast():
    return synthetic_forecast()


@pytest.fixture
def mesh(tmp_path, forecast):
    shown = forecast.isel(municipality=slice(0, 50))
    texts = [shown[name].values.tolist() for name in ("municipality", "name", "state")]
    where = [shown[name].values.tolist() for name in ("latitude_deg", "longitude_deg")]
    path = tmp_path / "mesh.geojson"
    path.write_text(json.dumps(synthetic_mesh(*texts, *where)))
    return path


def test_every_number_is_in_the_data_as_readers_see_it(forecast, mesh, tmp_path):
    data = embedded(html.write(tmp_path / "r.html", forecast, mesh))
    places = data["places"]
    assert places["code"] == forecast["municipality"].values.tolist()
    for k in range(7):
        assert places[f"q{k}"] == np.rint(forecast["yield_kg_ha"].values[:, k]).astype(int).tolist()
    area = forecast["area_planted_ha"].values
    assert np.isnan(area).any()
    assert [value is None for value in places["area"]] == np.isnan(area).tolist()
    known = ~np.isnan(area)
    tonnes = forecast["yield_kg_ha"].values[known, 3].astype(float) * area[known].astype(float) / 1000
    np.testing.assert_allclose(np.array(places["t3"], dtype=float)[known], tonnes, atol=0.6, rtol=1e-6)
    assert places["start"][0] == "2017-09-01"
    assert data["aggregates"]["name"] == ["all", "MT", "PR", "RS"]
    whole = forecast["aggregate_yield_kg_ha"].values[0]
    assert [data["aggregates"][f"q{k}"][0] for k in range(7)] == np.rint(whole).astype(int).tolist()
    assert len(data["mesh"]["codes"]) == 50


def test_the_season_of_a_state_is_the_mean_by_planted_area(forecast):
    data = html.contents(forecast)["aggregates"]
    inside = (forecast["state"].values == "PR") & ~np.isnan(forecast["area_planted_ha"].values)
    weights = forecast["area_planted_ha"].values[inside].astype(float)
    for name, short in (("rain_so_far_pct", "rain"), ("tmax_so_far_anomaly_degC", "tmax")):
        expected = (forecast[name].values[inside].astype(float) * weights).sum() / weights.sum()
        assert data[short][2] == pytest.approx(expected, abs=0.051)


def test_before_the_season_its_weather_is_missing(tmp_path):
    early = synthetic_forecast(as_of="2017-08-15")
    data = embedded(html.write(tmp_path / "r.html", early, None))
    assert set(data["places"]["rain"]) == set(data["aggregates"]["tmax"]) == {None}
    assert data["mesh"] is None
    assert data["previous"] is None


def test_unknown_areas_give_plain_means(forecast):
    unknown = forecast.copy(deep=True)
    unknown["area_planted_ha"].values[:] = np.nan
    data = html.contents(unknown)
    assert data["aggregates"]["rain"][0] == pytest.approx(
        forecast["rain_so_far_pct"].values.mean(), abs=0.051
    )
    assert set(data["places"]["t3"]) == {None}


def test_changes_follow_the_municipality_not_its_row(forecast):
    previous = synthetic_forecast(as_of="2017-10-15", shift_kg_ha=-100.0).isel(municipality=slice(3, None))
    before = html.contents(forecast, [previous])["places"]["before"]
    assert before[:3] == [None] * 3
    assert before[3:] == np.rint(previous["yield_kg_ha"].values[:, 3]).astype(int).tolist()


def test_the_previous_forecast_is_of_the_same_season(forecast, tmp_path):
    for other in (synthetic_forecast(harvest_year=2017), synthetic_forecast(crop="corn")):
        with pytest.raises(ConfigError, match="expected an earlier forecast of soybean 2018, received"):
            html.write(tmp_path / "r.html", forecast, None, earlier=[other])


def test_another_language_is_refused(forecast, tmp_path):
    with pytest.raises(ConfigError, match="en, pt-BR, received 'es'"):
        html.write(tmp_path / "r.html", forecast, None, lang="es")


def test_a_table_that_is_no_forecast_is_refused(forecast, tmp_path):
    with pytest.raises(SchemaError, match="rising quantiles"):
        html.write(tmp_path / "r.html", forecast.assign(yield_kg_ha=-forecast["yield_kg_ha"] + 9e3), None)


def test_an_earlier_report_stays_when_the_new_one_fails(forecast, tmp_path):
    path = html.write(tmp_path / "r.html", forecast, None)
    before = path.read_bytes()
    with pytest.raises(MissingDataError):
        html.write(path, forecast, tmp_path / "no.geojson")
    with pytest.raises(MissingDataError, match="cannot write"):
        html.write(tmp_path / "no folder" / "r.html", forecast, None)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_texts_of_the_data_cannot_leave_their_element(forecast, mesh, tmp_path):
    names = [*HOSTILE, *forecast["name"].values.tolist()[len(HOSTILE) :]]
    hostile = forecast.assign_coords(name=("municipality", names))
    hostile.attrs |= {"crop": HOSTILE[0], "attribution": HOSTILE[1]}
    path = html.write(tmp_path / "r.html", hostile, mesh)
    assert embedded(path)["places"]["name"] == names
    assert embedded(path)["about"]["attribution"] == HOSTILE[1]
    assert [attrs.get("type") for attrs, _ in parts(path, "script")] == ["application/json", None]
    assert parts(path, "img") == []
    ((_, title),) = parts(path, "title")
    assert HOSTILE[0].capitalize() in title
    raw = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL).group(1)
    assert not set(raw) & set("<>&\u2028\u2029")


def test_the_policy_names_the_script_and_the_style_and_nothing_else(forecast, tmp_path):
    path = html.write(tmp_path / "r.html", forecast, None)
    (policy,) = [
        a["content"] for a, _ in parts(path, "meta") if a.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def digest(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == digest(parts(path, "script")[1][1])
    assert rules["style-src"] == digest(parts(path, "style")[0][1])
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}


def test_parts_of_places_and_aggregates_add_up_to_the_medians_shown(tmp_path):
    forecast = synthetic_forecast(parts=True)
    previous = synthetic_forecast(as_of="2017-10-15", shift_kg_ha=-50.0, parts=True)
    data = embedded(html.write(tmp_path / "r.html", forecast, None, earlier=[previous]))
    about = data["parts"]
    assert about["zero"] == ["weather_to_come", "network"]
    assert about["places"] == ["level", "trend", "water_so_far", "official", "calibration"]
    assert about["aggregates"] == ["level", "trend", "water_so_far", "official", "remainder"]
    for kind in ("places", "aggregates"):
        rows, names = data[kind], about[kind]
        for i, median in enumerate(rows["q3"]):
            assert sum(rows[f"part_{name}"][i] for name in names) == median
            assert sum(rows[f"moved_{name}"][i] for name in names) == median - rows["before"][i]
    assert data["aggregates"]["official"] == [None, 3120, None, None]
    assert data["aggregates"]["official_reference"][1] == "2017-10"


def test_a_forecast_without_parts_has_none_and_no_change_of_them(forecast):
    later = synthetic_forecast(as_of="2017-12-15", parts=True)
    assert html.contents(forecast)["parts"]["places"] == []
    changed = html.contents(later, [forecast])
    assert changed["parts"]["places"][0] == "level"
    assert not any(name.startswith("moved") for name in changed["places"])


def test_every_text_of_the_scripts_is_in_every_language():
    """Babel's extractor overlooks a text inside the call of another; this finds those too."""
    scripts = "".join((WEB / name).read_text(encoding="utf-8") for name in html.SCRIPTS)
    string = r'"((?:[^"\\]|\\.)*)"'
    called = [json.loads(f'"{text}"') for text in re.findall(rf"\bt\(\s*{string}", scripts)]
    counted = [json.loads(f'"{text}"') for text in re.findall(rf"\btn\(\s*{string}", scripts)]
    assert len(called) > 100
    assert len(counted) > 3
    for one in page_languages(synthetic_forecast(), ["forecast"]):
        if one["tag"] == "en":
            assert one["messages"] is None
        else:
            assert set(one["messages"]) == {*called, *counted}
            assert all(len(one["messages"][text]) == max(one["plurals"]) + 1 for text in counted)
            assert (one["locale"], one["name"]) == ("pt-BR", "Português")
            assert one["plurals"][:3] == [1, 0, 1]


def test_every_script_belongs_to_the_page_and_none_ends_it():
    assert sorted(path.name for path in WEB.glob("*.js")) == sorted(html.SCRIPTS)
    for path in (*WEB.glob("*.js"), WEB / "report.css", WEB / "report.html"):
        text = path.read_text(encoding="utf-8")
        assert path.suffix == ".html" or "</script" not in text.lower()
        assert "\r" not in text
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|https?://(?!www\.w3\.org)", text
        )


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    share = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(theme):
    light, dark = (WEB / "report.css").read_text().split(':root[data-theme="dark"] {')
    found = re.compile(r"--([\w-]+): (#\w{6});")
    colours = dict(found.findall(light))
    if theme == "dark":
        own = dict(found.findall(dark.split("}")[0]))
        assert own.keys() == colours.keys()  # no colour of the light page is left
        colours |= own
    inks, grounds = ("ink", "quiet", "up", "down", "accent"), ("paper", "wash", "accent-soft", "row")
    pairs = [(ink, ground) for ink in inks for ground in grounds]
    for ink, ground in [*pairs, ("on-solid", "solid"), ("on-solid-quiet", "solid"), ("ink", "note")]:
        low, high = sorted((luminance(colours[ink]), luminance(colours[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)  # WCAG 2.2, 1.4.3, level AA
