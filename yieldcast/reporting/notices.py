"""What a reader must know of a forecast before its numbers: data that the store lacks, a known outcome."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from yieldcast.data.summary import number_spans
from yieldcast.evaluation.skill import public_rows
from yieldcast.forecasting.freshness import month_spans
from yieldcast.reporting import labels

_TEXTS = {
    "missing": (
        "Public on {date}, but not in the store: {what}.",
        "Publicado até {date}, mas ausente dos dados usados: {what}.",
    ),
    "harvest_years": ("yields of harvest years {spans}", "rendimentos das colheitas {spans}"),
    "weather_months": ("weather of {spans}", "dados meteorológicos de {spans}"),
    "daily_weather_months": ("daily weather of {spans}", "dados meteorológicos diários de {spans}"),
    "skill": (
        "Skill: {n} {years} left out, not public on {date}: {spans}.",
        "Desempenho: {n} {years} fora da conta, sem rendimento publicado em {date}: {spans}.",
    ),
    "one_year": ("harvest year", "colheita"),
    "years": ("harvest years", "colheitas"),
    "outcome": (
        "Hindcast: the yields of harvest year {year} are known already; this forecast does not use them.",
        "Previsão retrospectiva: os rendimentos da colheita {year} já são conhecidos; não são usados aqui.",
    ),
}


def missing(attrs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Harvest years and months that were public and that the store lacked, by kind; empty if none.

    Args:
        attrs: attributes of a forecast.
    """
    return dict(json.loads(str(attrs.get("missing", "{}"))))


def notices(attrs: Mapping[str, Any], lang: str) -> list[str]:
    """Sentences on what is missing and on an outcome that is known; none for most forecasts.

    Args:
        attrs: attributes of a forecast.
        lang: en or pt.
    """
    found = []
    lost = missing(attrs)
    if lost:
        what = "; ".join(_say(name, lang, spans=_spans(name, values)) for name, values in lost.items())
        found.append(_say("missing", lang, date=_day(attrs, lang), what=what))
    if attrs.get("outcome_public"):
        found.append(_say("outcome", lang, year=int(attrs["harvest_year"])))
    return found


def public_skill(
    attrs: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], lang: str
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Rows of skill whose yields were public on the date of a forecast, and a sentence on those left out.

    Args:
        attrs: attributes of the forecast.
        rows: of ``yieldcast backtest --json``.
        lang: en or pt.

    Raises:
        SchemaError: see `evaluation.skill.public_rows`.
    """
    newest = int(attrs.get("yields_public_to", attrs["last_public_harvest_year"]))
    kept, left_out = public_rows(rows, str(attrs["crop"]), newest)
    if not left_out:
        return kept, []
    count, spans = len(left_out), number_spans(left_out)
    years = _say("one_year" if count == 1 else "years", lang)
    return kept, [_say("skill", lang, n=count, years=years, date=_day(attrs, lang), spans=spans)]


def _say(key: str, lang: str, **values: Any) -> str:
    return _TEXTS[key][labels.LANGUAGES.index(lang)].format(**values)


def _spans(name: str, values: list[Any]) -> str:
    return number_spans(values) if name == "harvest_years" else month_spans(values)


def _day(attrs: Mapping[str, Any], lang: str) -> str:
    return labels.date(dt.date.fromisoformat(str(attrs["as_of"])), lang)
