"""What readers see by name in English and Portuguese: crops, lines, columns, dates and numbers."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Literal

from yieldcast.errors import ConfigError
from yieldcast.forecasting.table import ALL_MUNICIPALITIES
from yieldcast.reporting.column_labels import COLUMNS

Lang = Literal["en", "pt"]
LANGUAGES: tuple[Lang, ...] = ("en", "pt")
_Pair = tuple[str, str]
# PAM's names of the crops that we know how to fetch, without "em grão" and the like
_CROPS: Mapping[str, _Pair] = {
    "soybean": ("soybean", "soja"),
    "corn": ("corn", "milho"),
    "corn_first": ("corn, first crop", "milho 1ª safra"),
    "corn_second": ("corn, second crop", "milho 2ª safra"),
    "rice": ("rice", "arroz"),
    "cotton": ("cotton", "algodão"),
    "sugarcane": ("sugarcane", "cana-de-açúcar"),
    "wheat": ("wheat", "trigo"),
    "beans": ("beans", "feijão"),
    "cassava": ("cassava", "mandioca"),
    "sorghum": ("sorghum", "sorgo"),
    "sunflower": ("sunflower", "girassol"),
    "tomato": ("tomato", "tomate"),
    "coffee": ("coffee", "café"),
    "orange": ("orange", "laranja"),
}
_LINES: Mapping[str, _Pair] = {
    "forecast": ("this forecast", "esta previsão"),
    "last_public": ("last public yield", "último rendimento publicado"),
    "mean_5y_public": ("mean of five public years", "média de cinco anos publicados"),
    "trend_10y_public": ("trend of ten public years", "tendência de dez anos publicados"),
    "boosted_history_public": (
        "boosted trees on weather and public yields",
        "árvores de decisão (boosting) com clima e rendimentos publicados",
    ),
    "climatology": (
        "climatology: own past yields",
        "climatologia: rendimentos passados do próprio município",
    ),
}
_SCENARIOS: Mapping[str, _Pair] = {
    "climatology": ("weather of every past year", "clima de todos os anos passados"),
    "analogue": ("weather of the most similar past years", "clima dos anos passados mais parecidos"),
    "seasonal": ("seasonal weather forecast (SEAS5)", "previsão climática sazonal (SEAS5)"),
}
_WHOLE: Mapping[str, _Pair] = {"Brazil": ("Brazil", "Brasil"), "": ("All", "Total")}
_MONTHS: tuple[tuple[str, ...], ...] = (
    ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
     "November", "December"),
    ("janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro",
     "novembro", "dezembro"),
)  # fmt: skip
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
# The attributes of a forecast, in the order in which they are told
ATTRIBUTES: Mapping[str, _Pair] = {
    "title": ("Forecast", "Previsão"),
    "synthetic": ("Synthetic data", "Dados sintéticos"),
    "crop": ("Crop", "Cultura"),
    "harvest_year": ("Harvest year", "Ano da colheita"),
    "season": ("Season", "Safra"),
    "as_of": ("As of (date of the issue)", "Data da edição"),
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


def text(key: str, lang: str) -> str:
    """A word or a short phrase, e.g. ``text("synthetic", "pt")``: "dados sintéticos".

    Raises:
        ConfigError: an unknown language.
        KeyError: an unknown key.
    """
    return _TEXTS[key][_side(lang)]


def crop(name: str, lang: str) -> str:
    """A crop as readers call it; one that is not known keeps its own name."""
    return _CROPS.get(name, (name, name))[_side(lang)]


def line(name: str, lang: str) -> str:
    """A model or reference line of the skill table; one that is not known keeps its own name."""
    return _LINES.get(name, (name, name))[_side(lang)]


def scenario(name: str, lang: str) -> str:
    """Where the weather of the rest of the season comes from; an unknown method keeps its own name."""
    return _SCENARIOS.get(name, (name, name))[_side(lang)]


def country(name: str, lang: str) -> str:
    """A country as readers call it; one that is not known keeps its own name."""
    return _WHOLE.get(name, (name, name))[_side(lang)]


def aggregate(name: str, lang: str, of: str) -> str:
    """An aggregate of the forecast table: the whole country by its name, a state by its own.

    Args:
        name: `forecast_table.ALL_MUNICIPALITIES` or a state.
        lang: en or pt.
        of: the forecast's attribute ``country``.
    """
    return (
        (country(of, lang) if of == "Brazil" else _WHOLE[""][_side(lang)])
        if name == ALL_MUNICIPALITIES
        else name
    )


def attribute(name: str, lang: str) -> str:
    """An attribute of a forecast; one that is not known keeps its own name."""
    return ATTRIBUTES.get(name, (name, name))[_side(lang)]


def column(key: str, lang: str) -> str:
    """The heading of a column with its unit, e.g. "Previsão: mediana (kg/ha)"; `COLUMNS` has the keys."""
    unit, heading, _ = COLUMNS[key]
    return f"{heading[_side(lang)]} ({unit})" if unit else heading[_side(lang)]


def meaning(key: str, lang: str) -> str:
    """What a column holds, one sentence; `COLUMNS` has the keys."""
    return COLUMNS[key].meaning[_side(lang)]


def month(iso: str, lang: str, short: bool = False) -> str:
    """A month for readers: "October 2017", "outubro de 2017"; short: "Oct 2017", "out/2017".

    Args:
        iso: the month or a day of it, ``2017-10`` or ``2017-10-15``.
        lang: en or pt.
        short: three letters.
    """
    year, number_ = int(iso[:4]), int(iso[5:7])
    side = _side(lang)
    name = _MONTHS[side][number_ - 1]
    if short:
        return f"{name[:3]}{(' ', '/')[side]}{year}"
    return f"{name}{(' ', ' de ')[side]}{year}"


def date(day: dt.date, lang: str) -> str:
    """A day: 2017-11-15 in English, where 11/15 and 15/11 are both in use; 15/11/2017 in Portuguese."""
    return (day.isoformat(), day.strftime("%d/%m/%Y"))[_side(lang)]


def season(harvest_year: int) -> str:
    """The agricultural year (safra) of a harvest year: 2018 is 2017/18."""
    return f"{harvest_year - 1}/{harvest_year % 100:02d}"


def number(value: float, digits: int, lang: str, group: bool = True) -> str:
    """A number as it is written in a language, "3,012.5" or "3.012,5"; an en dash where there is none.

    Args:
        value: NaN where missing.
        digits: after the decimal sign.
        lang: en or pt.
        group: whether thousands are set apart.
    """
    side = _side(lang)
    if math.isnan(value):
        return "–"
    written = f"{value:{',' if group else ''}.{digits}f}"
    if not written.strip("-0.,"):  # what is rounded to nothing has no sign
        written = written.removeprefix("-")
    return written.translate(_COMMA) if side else written


_COMMA = str.maketrans({",": ".", ".": ","})


def title(attrs: Mapping[str, Any], lang: str) -> str:
    """One line that names a forecast, with the mark of synthetic data.

    Args:
        attrs: of a forecast table.
        lang: en or pt.
    """
    name, year = crop(attrs["crop"], lang).capitalize(), int(attrs["harvest_year"])
    day = date(dt.date.fromisoformat(attrs["as_of"]), lang)
    lines = (
        f"{name}, harvest year {year} ({season(year)}): yield forecast as of {day}",
        f"{name}, safra {season(year)}: previsão de rendimento médio, boletim de {day}",
    )
    mark = f"{text('synthetic', lang).upper()}: " if attrs["synthetic"] else ""
    return mark + lines[_side(lang)]


def about(attrs: Mapping[str, Any], lang: str) -> list[tuple[str, str]]:
    """Every attribute of a forecast as heading and value, first the known ones in the reader's words.

    Args:
        attrs: of a forecast table.
        lang: en or pt.
    """
    said = {
        "title": title(attrs, lang),
        "synthetic": text("yes" if attrs["synthetic"] else "no", lang),
        "crop": crop(attrs["crop"], lang),
        "season": season(int(attrs["harvest_year"])),
        "as_of": date(dt.date.fromisoformat(attrs["as_of"]), lang),
        "country": country(attrs["country"], lang),
        "scenarios": scenario(attrs["scenarios"], lang),
        "weather_known_to": month(attrs["weather_known_to"], lang) if attrs["weather_known_to"] else "–",
    }
    known = {name: said.get(name, str(attrs.get(name, "–"))) for name in ATTRIBUTES}
    others = {str(name): str(value) for name, value in attrs.items() if name not in known}
    return [(attribute(name, lang), value) for name, value in {**known, **others}.items()]


def check(lang: str) -> None:
    """Refuse a language that is not one of `LANGUAGES` with a ConfigError."""
    _side(lang)


def _side(lang: str) -> int:
    if lang not in LANGUAGES:
        raise ConfigError(
            f"expected a language of {', '.join(LANGUAGES)}, received {lang!r}",
            "Choose --lang en or --lang pt.",
        )
    return LANGUAGES.index(lang)
