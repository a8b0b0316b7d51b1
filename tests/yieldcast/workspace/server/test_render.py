"""The reader's language and colours; amounts and moments as they are read."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.requests import Request

from yieldcast import language
from yieldcast.workspace.server import render


def request(query="", cookie="", accept=""):
    headers = [(b"accept-language", accept.encode()), (b"cookie", cookie.encode()), (b"host", b"local")]
    return Request(
        {"type": "http", "method": "GET", "path": "/data", "query_string": query.encode(), "headers": headers}
    )


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "tag"),
    [
        ("", "", "", "en"),
        ("", "", "de-DE,de;q=0.9", "en"),
        ("", "", "de;q=1, en;q=0.5, pt;q=0.7", "pt-BR"),
        ("", "", "en-GB, pt-BR;q=0.9", "en"),
        ("", "", "pt;q=0, *;q=nonsense", "en"),
        ("", "yieldcast_language=pt-BR", "en", "pt-BR"),
        ("lang=en", "yieldcast_language=pt-BR", "pt", "en"),
        ("lang=../x", "yieldcast_language=<b>", "pt-BR", "pt-BR"),
    ],
)
def test_the_language_is_that_of_the_address_the_cookie_the_browser(query, cookie, accept, tag):
    assert render.reader_of(request(query, cookie, accept)).words.tag == tag


def test_the_theme_is_the_systems_until_one_is_chosen():
    assert render.reader_of(request()).theme is None
    assert render.reader_of(request("theme=dark", "yieldcast_theme=light")).theme == "dark"
    assert render.reader_of(request("theme=neon", "yieldcast_theme=light")).theme == "light"


def test_an_address_keeps_the_other_parameters():
    reader = render.reader_of(request("sort=gain&lang=en&theme=dark"))
    assert reader.address(lang="pt-BR") == "/data?sort=gain&lang=pt-BR"
    assert reader.address(sort="a&b") == "/data?sort=a%26b"


@pytest.mark.parametrize(
    ("amount", "english", "portuguese"),
    [
        (Decimal("2859000.0000"), "€2,859,000", "€\xa02.859.000"),
        (Decimal("-171000"), "-€171,000", "-€\xa0171.000"),
        (Decimal("0.25"), "€0.25", "€\xa00,25"),
        (Decimal("0.1"), "€0.10", "€\xa00,10"),
        (Decimal("0.0025"), "€0.0025", "€\xa00,0025"),
        (Decimal(0), "€0", "€\xa00"),
        (None, "–", "–"),
    ],
)
def test_money(amount, english, portuguese):
    assert render.money(amount, "EUR", language.of("en")) == english
    assert render.money(amount, "EUR", language.of("pt-BR")) == portuguese


def test_moments_are_in_utc():
    when = dt.datetime(2026, 12, 31, 23, 5, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
    assert render.moment(when, language.of("en")) == "2027-01-01 02:05 UTC"
    assert render.moment(when, language.of("pt-BR")) == "01/01/2027 02:05 UTC"
    assert render.moment(None, language.of("en")) == "–"


def variables(text):
    parts = (part.partition(":") for part in text.replace("}", ";").split(";"))
    return {name.split()[-1]: value.strip() for name, _, value in parts if name.strip().startswith("--")}


def test_the_colours_are_those_of_the_report():
    """Of every colour that both have."""
    report = (Path(language.__file__).parents[1] / "reporting" / "web" / "report.css").read_text("utf-8")
    light, _, rest = report.partition("@media screen {")
    dark = rest.partition("@media")[0]
    for name, of_report in (("page.css", light), ("dark.css", dark)):
        ours = variables(
            (render.static_folder() / name).read_text("utf-8").split("{", 1)[1].partition("}")[0]
        )
        shared = ours.keys() & variables(of_report.split("{", 1)[1]).keys()
        assert len(shared) >= 20
        assert {key: ours[key] for key in shared} == {
            key: variables(of_report.split("{", 1)[1])[key] for key in shared
        }
