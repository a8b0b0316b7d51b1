from __future__ import annotations

import numpy as np
import pytest
from factories import synthetic_forecast

from data_fetchers.ibge.sidra import CROPS
from yieldcast import language
from yieldcast.forecasting import table
from yieldcast.reporting import labels
from yieldcast.reporting.column_labels import COLUMNS


@pytest.mark.parametrize("lang", language.tags())
def test_every_column_is_explained(lang):
    headings = [labels.column(key, lang) for key in COLUMNS if key not in ("level", "aggregate")]
    assert len(set(headings)) == len(headings)
    for key in COLUMNS:
        assert not {"{", "}"} & set(labels.column(key, lang) + labels.meaning(key, lang)), key


def test_values_in_headings_are_in_the_words_of_the_language():
    assert labels.column("yield_p05_kg_ha", "pt") == "Previsão: percentil 5 (kg/ha)"
    assert labels.column("part_level_kg_ha", "pt") == "Componente da mediana: nível dos anos recentes (kg/ha)"
    assert labels.meaning("yield_p05_kg_ha", "pt").endswith("com probabilidade de 5%")


def test_names_for_machines_survive_a_shapefile():
    assert all(key.isascii() and key.isidentifier() for key in COLUMNS)
    assert len({key[:10].lower() for key in COLUMNS}) == len(COLUMNS)


def test_units_in_names_for_machines_are_those_of_the_heading():
    suffixes = {"kg/ha": "_kg_ha", "%": "_pct", "°C": "_degC", "ha": "_ha", "t": "_t", "°": "_deg"}
    for key, label in COLUMNS.items():
        assert key.endswith(suffixes.get(label.unit, "")), key


def test_the_season_has_two_years_only_where_its_months_do():
    forecast = synthetic_forecast()
    assert labels.season(forecast) == "2017/18"
    day = np.datetime64("2018-01-01", "ns")
    within = forecast.assign_coords(
        window_start=("municipality", np.full(forecast.sizes["municipality"], day))
    )
    assert labels.season(within) == "2018"
    assert "safra 2018:" in labels.title(labels.facts(within), "pt")


def test_years_of_scenarios():
    written = "2010, 2011, 2012 (3 scenarios)"
    assert labels.scenario_years(written, "pt") == "2010 a 2012; 3 cenários"
    assert labels.scenario_years("2010, 2012 (1 scenarios)", "pt") == "2010, 2012; 1 cenário"
    assert labels.scenario_years("as before", "pt") == "as before"


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
    attrs = labels.facts(synthetic_forecast())
    assert labels.title(attrs, "pt") == (
        "DADOS SINTÉTICOS: Soja, safra 2017/18: previsão de produtividade, boletim de 15/11/2017"
    )
    assert labels.title({**attrs, "synthetic": 0}, "en") == (
        "Soybean, season 2017/18: yield forecast as of 2017-11-15"
    )


@pytest.mark.parametrize("lang", language.tags())
def test_about_shows_every_attribute(lang):
    attrs = {**labels.facts(synthetic_forecast()), "reviewed_by": "nobody"}
    shown = dict(labels.about(attrs, lang))
    assert set(table.ATTRIBUTES) <= set(labels.ATTRIBUTES)
    assert len(shown) == len(attrs)
    assert shown["reviewed_by"] == "nobody"
    assert shown[labels.attribute("attribution", lang)] == attrs["attribution"]
    assert shown[labels.attribute("synthetic", lang)] == {"en": "yes", "pt-BR": "sim"}[lang]
    assert (
        shown[labels.attribute("weather_known_to", lang)]
        == {"en": "October 2017", "pt-BR": "outubro de 2017"}[lang]
    )


def test_about_before_any_month_is_public():
    shown = dict(labels.about({**labels.facts(synthetic_forecast()), "weather_known_to": ""}, "en"))
    assert shown["Weather known to"] == "–"


def test_what_the_tables_lack_is_said_in_the_language():
    missing = {
        "licence": "as the tables' owners say: they were imported without one",
        "attribution": "tables brought by the user; name their owners when you publish this",
    }
    shown = dict(labels.about({**labels.facts(synthetic_forecast()), **missing}, "pt"))
    assert (
        shown["Licença dos dados"] == "conforme os detentores das tabelas: importadas sem licença declarada"
    )
    assert shown[labels.attribute("attribution", "pt")].startswith("tabelas fornecidas pelo usuário")
