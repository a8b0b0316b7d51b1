"""The catalogues against the code; `make messages` brings them up to date."""

import ast
import datetime as dt
import math
import pickle
import string
from pathlib import Path

import pytest
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po

from yieldcast import language
from yieldcast.errors import ConfigError

ROOT = Path(__file__).parents[3]
MARKS = ("gettext", "ngettext", "message", "sentence")


def placeholders(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def forms(text):
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.fixture(scope="module")
def in_code(tmp_path_factory):
    pot = tmp_path_factory.mktemp("pot") / "yieldcast.pot"
    CommandLineInterface().run(
        ["pybabel", "-q", "extract", "-F", str(ROOT / "pyproject.toml"), "-o", str(pot), str(ROOT)]
    )
    with pot.open("rb") as file:
        return {(one.context, one.id) for one in read_po(file) if one.id}


@pytest.mark.parametrize("tag", [tag for tag in language.tags() if tag != "en"])
def test_every_text_of_the_code_is_translated_with_the_same_fillings(in_code, tag):
    found = [one for one in language.of(tag).catalogue if one.id]
    assert len(found) > 100
    assert {(one.context, one.id) for one in found} ^ in_code == set()
    for one in found:
        assert not one.fuzzy, one.id
        assert all(text.strip() for text in forms(one.string)), one.id
        singular, *plurals = forms(one.string)
        assert placeholders(singular) == placeholders(forms(one.id)[0]), one.id
        assert all(placeholders(text) == placeholders(forms(one.id)[-1]) for text in plurals), one.id


def test_the_extractor_finds_every_text(in_code):
    """Babel overlooks a call inside an f-string; write it on a line of its own."""
    known = {text for _, one in in_code for text in forms(one)}
    called = set()
    for path in (ROOT / "yieldcast").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MARKS:
                called |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    assert len(called) > 100
    assert {text for text in called if isinstance(text, str)} <= known


def test_a_text_that_is_not_in_the_catalogue_stays_english():
    assert language.of("pt").gettext("no such text {n}", n=1) == "no such text 1"


def test_a_sentence_is_english_until_it_is_said_in_a_language():
    made = language.sentence("bulletin: {path}", path=language.sentence("States"))
    assert made == "bulletin: States"
    assert language.of("pt").said(made) == "boletim: UF"
    assert language.of("en").said(made) == made
    assert pickle.loads(pickle.dumps(made)).values == made.values
    assert language.of("pt").gettext("bulletin: {path}", path=language.sentence("States")) == "boletim: UF"
    dated = language.sentence("no such text {day}", day=dt.date(2017, 9, 5))
    assert (dated, language.of("pt").said(dated)) == ("no such text 2017-09-05", "no such text 05/09/2017")
    assert language.of("pt").said("text of a file: {a}") == "text of a file: {a}"


def test_plurals():
    for tag, one, many in (("en", "1 month", "1,200 months"), ("pt-BR", "1 mês", "1.200 meses")):
        words = language.of(tag)
        assert words.ngettext("{n} month", "{n} months", 1) == one
        assert words.ngettext("{n} month", "{n} months", 1200) == many
        assert [words.plural_form(n) for n in (0, 1, 2, 101)] == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("asked", "tag"),
    [
        ("en", "en"), ("EN", "en"), ("en-GB", "en"), ("en_us", "en"),
        ("pt", "pt-BR"), ("pt-BR", "pt-BR"), ("pt_BR", "pt-BR"), ("PT-br", "pt-BR"),
    ],
)  # fmt: skip
def test_a_tag_in_any_writing(asked, tag):
    assert language.of(asked).tag == tag


@pytest.mark.parametrize("asked", ["fr", "", "pt-PT", "p", "english", "../en"])
def test_an_unknown_language_is_refused(asked):
    with pytest.raises(ConfigError, match="en, pt-BR, received") as error:
        language.of(asked)
    assert error.value.hint == "Choose --lang en or --lang pt-BR."


@pytest.mark.parametrize(
    ("value", "digits", "english", "portuguese"),
    [
        (3012.5, 1, "3,012.5", "3.012,5"),
        (1234567.891, 2, "1,234,567.89", "1.234.567,89"),
        (-1234.0, 0, "-1,234", "-1.234"),
        (999.96, 1, "1,000.0", "1.000,0"),
        (0.25, 2, "0.25", "0,25"),
        (-0.04, 1, "0.0", "0,0"),
        (-0.06, 1, "-0.1", "-0,1"),
        (math.nan, 1, "–", "–"),
    ],
)
def test_numbers(value, digits, english, portuguese):
    assert language.of("en").number(value, digits) == english
    assert language.of("pt").number(value, digits) == portuguese


def test_numbers_without_groups_and_with_a_sign():
    english, portuguese = language.of("en"), language.of("pt")
    assert portuguese.number(1234567.5, 1, group=False) == "1234567,5"
    assert english.number(1234567.5, 1, group=False) == "1234567.5"
    assert [portuguese.number(v, 0, signed=True) for v in (1500.0, -1500.0, 0.4, math.nan)] == [
        "+1.500", "-1.500", "0", "–",
    ]  # fmt: skip
    assert (english.decimal_comma, portuguese.decimal_comma) == (False, True)


def test_percent():
    portuguese = language.of("pt")
    assert [portuguese.percent(share) for share in (0.9, 0.0, 12.34)] == ["90%", "0%", "1.234%"]
    assert portuguese.percent(-0.0526, 1, signed=True) == "-5,3%"
    assert portuguese.percent(0.0526, 1, signed=True) == "+5,3%"
    assert portuguese.percent(math.nan) == "–"
    assert language.of("en").percent(0.905, 1) == "90.5%"


def test_dates():
    english, portuguese = language.of("en"), language.of("pt")
    assert english.date(dt.date(2017, 9, 5)) == "2017-09-05"
    assert portuguese.date(dt.date(2017, 9, 5)) == "05/09/2017"
    assert (english.date_pattern, portuguese.date_pattern) == ("yyyy-mm-dd", "dd/mm/yyyy")
    assert english.month("2017-10") == "October 2017"
    assert portuguese.month("2017-03-15") == "março de 2017"
    assert (english.short_month("2017-03"), portuguese.short_month("2017-03-15")) == ("2017-03", "03/2017")
    assert len({portuguese.month(f"2018-{m:02d}") for m in range(1, 13)}) == 12


def test_spans_of_months():
    assert language.of("pt").months("2017-09", "2017-12") == "setembro a dezembro de 2017"
    assert language.of("pt").months("2017-12", "2018-02") == "dezembro de 2017 a fevereiro de 2018"
    assert language.of("en").months("2017-09", "2017-12") == "September to December 2017"
    assert language.of("en").months("2017-09", "2017-09-30") == "September 2017"
