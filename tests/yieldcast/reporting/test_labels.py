from __future__ import annotations

import datetime as dt
import math

import pytest
from factories import synthetic_forecast

from data_fetchers.ibge.sidra import CROPS
from yieldcast.errors import ConfigError
from yieldcast.forecasting import table
from yieldcast.reporting import labels
from yieldcast.reporting.column_labels import COLUMNS


def test_every_column_is_explained_in_both_languages():
    for key, (unit, headings, meanings) in COLUMNS.items():
        assert all(headings), key
        assert len(set(meanings)) == 2, key
        assert labels.column(key, "pt") == (f"{headings[1]} ({unit})" if unit else headings[1])
        assert labels.meaning(key, "en") == meanings[0]
    for lang in labels.LANGUAGES:
        headings = [labels.column(key, lang) for key in COLUMNS if key not in ("level", "aggregate")]
        assert len(set(headings)) == len(headings)


def test_names_for_machines_survive_a_shapefile():
    assert all(key.isascii() and key.isidentifier() for key in COLUMNS)
    assert len({key[:10].lower() for key in COLUMNS}) == len(COLUMNS)


def test_units_in_names_for_machines_are_those_of_the_heading():
    suffixes = {"kg/ha": "_kg_ha", "%": "_pct", "°C": "_degC", "ha": "_ha", "t": "_t", "°": "_deg"}
    for key, label in COLUMNS.items():
        assert key.endswith(suffixes.get(label.unit, "")), key


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
    assert labels.number(value, digits, "en") == english
    assert labels.number(value, digits, "pt") == portuguese


def test_numbers_without_groups():
    assert labels.number(1234567.5, 1, "pt", group=False) == "1234567,5"
    assert labels.number(1234567.5, 1, "en", group=False) == "1234567.5"


def test_dates():
    assert labels.month("2017-10", "en") == "October 2017"
    assert labels.month("2017-03-15", "pt") == "março de 2017"
    assert len({labels.month(f"2018-{m:02d}", "pt") for m in range(1, 13)}) == 12
    assert labels.date(dt.date(2017, 9, 5), "en") == "2017-09-05"
    assert labels.date(dt.date(2017, 9, 5), "pt") == "05/09/2017"
    assert [labels.season(year) for year in (2018, 2000, 2010)] == ["2017/18", "1999/00", "2009/10"]


def test_crops():
    assert labels.crop("sugarcane", "pt") == "cana-de-açúcar"
    assert labels.crop("corn_second", "en") == "corn, second crop"
    assert labels.crop("quinoa", "pt") == "quinoa"  # a crop of the user
    assert [crop for crop in CROPS if labels.crop(crop, "pt") == crop] == []


def test_scenarios():
    for name in ("climatology", "analogue", "seasonal"):
        assert labels.scenario(name, "en") != name != labels.scenario(name, "pt")


def test_aggregates():
    assert labels.aggregate("all", "en", "Brazil") == "Brazil"
    assert labels.aggregate("all", "pt", "Brazil") == "Brasil"
    assert labels.aggregate("all", "pt", "") == "Total"
    assert labels.aggregate("all", "en", "Norland") == "Norland"
    assert labels.aggregate("MT", "pt", "Brazil") == "MT"


def test_the_title_marks_synthetic_data():
    attrs = synthetic_forecast().attrs
    assert labels.title(attrs, "pt") == (
        "DADOS SINTÉTICOS: Soja, safra 2017/18: previsão de rendimento médio, boletim de 15/11/2017"
    )
    assert labels.title({**attrs, "synthetic": 0}, "en") == (
        "Soybean, harvest year 2018 (2017/18): yield forecast as of 2017-11-15"
    )


@pytest.mark.parametrize("lang", labels.LANGUAGES)
def test_about_shows_every_attribute(lang):
    attrs = {**synthetic_forecast().attrs, "reviewed_by": "nobody"}
    shown = dict(labels.about(attrs, lang))
    assert set(table.ATTRIBUTES) <= set(labels.ATTRIBUTES)
    assert len(shown) == len(attrs) + 1  # and the season
    assert shown["reviewed_by"] == "nobody"
    assert shown[labels.attribute("attribution", lang)] == attrs["attribution"]
    assert shown[labels.attribute("synthetic", lang)] == labels.text("yes", lang)
    assert (
        shown[labels.attribute("weather_known_to", lang)]
        == {"en": "October 2017", "pt": "outubro de 2017"}[lang]
    )


def test_about_before_any_month_is_public():
    shown = dict(labels.about({**synthetic_forecast().attrs, "weather_known_to": ""}, "en"))
    assert shown["Weather known to"] == "–"


@pytest.mark.parametrize(
    "ask",
    [
        lambda lang: labels.text("yes", lang),
        lambda lang: labels.crop("quinoa", lang),
        lambda lang: labels.scenario("seasonal", lang),
        lambda lang: labels.column("code", lang),
        lambda lang: labels.meaning("code", lang),
        lambda lang: labels.month("2017-10", lang),
        lambda lang: labels.date(dt.date(2017, 10, 1), lang),
        lambda lang: labels.number(math.nan, 0, lang),
        lambda lang: labels.aggregate("all", lang, ""),
        labels.check,
    ],
)
@pytest.mark.parametrize("lang", ["fr", ""])
def test_an_unknown_language_is_refused(ask, lang):
    with pytest.raises(ConfigError, match="en, pt-BR, received") as error:
        ask(lang)
    assert "--lang" in error.value.hint
