"""Words, numbers and dates for readers, in English and Portuguese."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Literal

from calendars import country as countries
from calendars import names
from yieldcast import language
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, COUNTRY_FILE
from yieldcast.reporting.column_labels import COLUMNS, PART_LABELS

Lang = Literal["en", "pt"]
LANGUAGES: tuple[Lang, ...] = ("en", "pt")
_Pair = tuple[str, str]
_SCENARIOS: Mapping[str, _Pair] = {
    "climatology": ("weather of every past year", "clima de todos os anos passados"),
    "analogue": ("weather of the most similar past years", "clima dos anos passados mais parecidos"),
    "seasonal": ("seasonal weather forecast (SEAS5)", "previsão climática sazonal (SEAS5)"),
}
_MODELS: Mapping[str, _Pair] = {
    "forecast": ("forecast", "previsão"),
    "last_public": ("last public yield", "último rendimento publicado"),
    "mean_5y_public": ("mean of five public years", "média de cinco anos publicados"),
    "trend_10y_public": ("trend of ten public years", "tendência de dez anos publicados"),
    "level_trend": ("level and trend", "nível e tendência"),
    "official": ("five-year mean at the official estimate", "média de cinco anos na estimativa oficial"),
    "boosted_history_public": ("boosted trees with yield history", "árvores (boosting) com histórico"),
    "climatology": ("climatology: own past yields", "climatologia: rendimentos passados"),
}
_ALL: _Pair = ("All", "Total")  # in place of the name of a country that is not known
_MONTHS: tuple[tuple[str, ...], ...] = (
    ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
     "November", "December"),
    ("janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro",
     "novembro", "dezembro"),
)  # fmt: skip
_PORTUGUESE_SIGNS = str.maketrans({",": ".", ".": ","})
_TEXTS: Mapping[str, _Pair] = {
    "synthetic": ("synthetic data", "dados sintéticos"),
    "yes": ("yes", "sim"),
    "no": ("no", "não"),
    "country": ("country", "país"),
    "state": ("state", "UF"),
    "municipalities": ("municipalities", "municípios"),
    "states": ("states", "estados"),
    "units": ("units", "unidades"),
    "about": ("about", "sobre"),
    "column": ("Column", "Coluna"),
    "unit": ("Unit", "Unidade"),
    "meaning": ("Meaning", "Significado"),
    "machine_name": ("Name in GeoPackage and GeoJSON", "Nome em GeoPackage e GeoJSON"),
}
# The attributes of a forecast, in the order in which readers see them
ATTRIBUTES: Mapping[str, _Pair] = {
    "title": ("Forecast", "Previsão"),
    "synthetic": ("Synthetic data", "Dados sintéticos"),
    "crop": ("Crop", "Cultura"),
    "harvest_year": ("Harvest year", "Ano da colheita"),
    "season": ("Season", "Safra"),
    "as_of": ("As of (date of the bulletin)", "Data de referência do boletim"),
    "lead_months": ("Lead (months)", "Antecedência (meses)"),
    "country": ("Country", "País"),
    "last_public_harvest_year": ("Newest public harvest year", "Último ano de colheita publicado"),
    "weather_known_to": ("Weather known to", "Dados meteorológicos até"),
    "scenarios": ("Weather of the rest of the season", "Clima do restante da safra"),
    "scenario_years": ("Years of that weather", "Anos desse clima"),
    "members": ("Members of the ensemble", "Membros do conjunto"),
    "train_years": ("Harvest years trained on", "Anos de colheita do treinamento"),
    "run": ("Run", "Treinamento (run)"),
    "run_id": ("Run: fingerprint", "Treinamento: impressão digital"),
    "made_with": ("Made with", "Feito com"),
    "licence": ("Licence of the data", "Licença dos dados"),
    "attribution": ("Sources, as they ask to be named", "Fontes, como pedem para ser citadas"),
    "calibration": ("Calibration, for machines", "Calibração, para máquinas"),
    "inputs": ("Inputs, for machines", "Entradas, para máquinas"),
}
# Attributes that only some forecasts have
_RARE_ATTRIBUTES: Mapping[str, _Pair] = {
    "missing": ("Public, but not in the store", "Publicado, mas ausente dos dados usados"),
    "states": ("States", "Estados"),
    "outcome_public": ("Hindcast: outcome known", "Previsão retrospectiva: resultado conhecido"),
    "yields_public_to": (
        "Newest harvest year with published yields",
        "Última colheita com rendimento publicado",
    ),
}


def text(key: str, lang: str) -> str:
    """A word or a short phrase, e.g. ``text("synthetic", "pt")``: "dados sintéticos".

    Raises:
        ConfigError: an unknown language.
        KeyError: an unknown key.
    """
    return _TEXTS[key][side_of(lang)]


def crop(name: str, lang: str) -> str:
    """Name of a crop; an unknown crop is returned unchanged."""
    side, known = side_of(lang), names.crops().get(name)
    return (known.english, known.portuguese)[side] if known else name


def scenario(name: str, lang: str) -> str:
    """Where the weather of the rest of the season comes from; an unknown method is returned unchanged."""
    return _SCENARIOS.get(name, (name, name))[side_of(lang)]


def model(name: str, lang: str) -> str:
    """Name of a model in the skill of a forecast; an unknown model is returned unchanged."""
    return _MODELS.get(name, (name, name))[side_of(lang)]


def country(name: str, lang: str) -> str:
    """Name of a country; that of the default one in the language, any other as its country.toml has it."""
    if not name:
        return _ALL[side_of(lang)]
    known = countries.default()
    return countries.said(known.names, lang, name) if name == known.name else name


def aggregate(name: str, lang: str, of: str) -> str:
    """Name of an aggregate of the forecast table, the country or a state.

    Args:
        name: `forecasting.table.ALL_MUNICIPALITIES` or a state.
        lang: en or pt.
        of: the forecast's attribute ``country``.
    """
    side_of(lang)  # an unknown language is an error also where no word is needed
    return country(of, lang) if name == ALL_MUNICIPALITIES else name


def attribute(name: str, lang: str) -> str:
    """Name of an attribute of a forecast; an unknown attribute is returned unchanged."""
    return ATTRIBUTES.get(name, _RARE_ATTRIBUTES.get(name, (name, name)))[side_of(lang)]


def column(key: str, lang: str) -> str:
    """Heading of a column with its unit, e.g. "Previsão: mediana (kg/ha)"; keys as in `COLUMNS`."""
    unit, heading, _ = COLUMNS[key]
    return f"{heading[side_of(lang)]} ({unit})" if unit else heading[side_of(lang)]


def meaning(key: str, lang: str) -> str:
    """Meaning of a column in one sentence; keys as in `COLUMNS`."""
    return COLUMNS[key].meaning[side_of(lang)]


def part(name: str, lang: str) -> str:
    """Short name of a part of the median, e.g. "water so far"; keys as in `PART_LABELS`."""
    return PART_LABELS[name].name[side_of(lang)]


def part_meaning(name: str, lang: str) -> str:
    """What a part of the median is; keys as in `PART_LABELS`."""
    return PART_LABELS[name].meaning[side_of(lang)]


def month(iso: str, lang: str) -> str:
    """A month for readers: "October 2017", "outubro de 2017".

    Args:
        iso: the month or a day of it, ``2017-10`` or ``2017-10-15``.
        lang: en or pt.
    """
    side = side_of(lang)
    return f"{_MONTHS[side][int(iso[5:7]) - 1]}{(' ', ' de ')[side]}{int(iso[:4])}"


def date(day: dt.date, lang: str) -> str:
    """A day: 2017-11-15 in English, where 11/15 and 15/11 are both common; 15/11/2017 in Portuguese."""
    return (day.isoformat(), day.strftime("%d/%m/%Y"))[side_of(lang)]


def season(harvest_year: int) -> str:
    """The agricultural year (safra) of a harvest year: 2018 is 2017/18."""
    return f"{harvest_year - 1}/{harvest_year % 100:02d}"


def number(value: float, digits: int, lang: str, group: bool = True) -> str:
    """A number in the notation of a language, "3,012.5" or "3.012,5"; an en dash for NaN.

    Args:
        value: NaN if missing.
        digits: number of digits after the decimal sign.
        lang: en or pt.
        group: whether to separate thousands.
    """
    side = side_of(lang)
    if math.isnan(value):
        return "–"
    written = f"{value:{',' if group else ''}.{digits}f}"
    if not written.strip("-0.,"):  # no sign before a zero
        written = written.removeprefix("-")
    return written.translate(_PORTUGUESE_SIGNS) if side else written


def title(attrs: Mapping[str, Any], lang: str) -> str:
    """Title of a forecast in one line; that of synthetic data says so.

    Args:
        attrs: attributes of a forecast table.
        lang: en or pt.
    """
    name, year = crop(attrs["crop"], lang).capitalize(), int(attrs["harvest_year"])
    day = date(dt.date.fromisoformat(attrs["as_of"]), lang)
    lines = (
        f"{name}, harvest year {year} ({season(year)}): yield forecast as of {day}",
        f"{name}, safra {season(year)}: previsão de rendimento médio, boletim de {day}",
    )
    mark = f"{text('synthetic', lang).upper()}: " if attrs["synthetic"] else ""
    return mark + lines[side_of(lang)]


def about(attrs: Mapping[str, Any], lang: str) -> list[tuple[str, str]]:
    """Heading and value of every attribute of a forecast, the known attributes first.

    Args:
        attrs: attributes of a forecast table.
        lang: en or pt.
    """
    translated = {
        "title": title(attrs, lang),
        "synthetic": text("yes" if attrs["synthetic"] else "no", lang),
        "crop": crop(attrs["crop"], lang),
        "season": season(int(attrs["harvest_year"])),
        "as_of": date(dt.date.fromisoformat(attrs["as_of"]), lang),
        "country": country(attrs["country"], lang),
        "scenarios": scenario(attrs["scenarios"], lang),
        "weather_known_to": month(attrs["weather_known_to"], lang) if attrs["weather_known_to"] else "–",
    }
    known = {name: translated.get(name, str(attrs.get(name, "–"))) for name in ATTRIBUTES}
    others = {str(name): str(value) for name, value in attrs.items() if name not in {*known, COUNTRY_FILE}}
    return [(attribute(name, lang), value) for name, value in {**known, **others}.items()]


def check(lang: str) -> None:
    """Raise ConfigError for a language that is not in `LANGUAGES`."""
    side_of(lang)


def side_of(lang: str) -> int:
    """Place of a language in a pair of texts: 0 for English, 1 for Portuguese."""
    return int(language.of(lang).tag != "en")
