"""What a reader must know of a forecast before its numbers: data that the store lacks, a known outcome."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from yieldcast import language
from yieldcast.data.missing import first_names
from yieldcast.data.summary import number_spans
from yieldcast.evaluation.skill import public_rows
from yieldcast.forecasting.freshness import month_spans
from yieldcast.forecasting.table import AREA_MAP, LATER_MAP, WEATHER_CELLS
from yieldcast.language import message

_KINDS = {  # of the attribute `missing`
    "harvest_years": message("yields of harvest years {spans}"),
    "weather_months": message("weather of {spans}"),
    "daily_weather_months": message("daily weather of {spans}"),
}


def missing(attrs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Harvest years and months that were public and that the store lacked, by kind; empty if none.

    Args:
        attrs: attributes of a forecast.
    """
    return dict(json.loads(str(attrs.get("missing", "{}"))))


def left_out(attrs: Mapping[str, Any]) -> dict[str, list[str]]:
    """Codes of the municipalities left out because they lack "weather", and "states" that have no other.

    Args:
        attrs: attributes of a forecast; empty if none is left out.
    """
    return dict(json.loads(str(attrs.get("left_out", "{}"))))


def notices(attrs: Mapping[str, Any], lang: str) -> list[str]:
    """Sentences on what is missing or left out, and on an outcome that was public; mostly none.

    Args:
        attrs: attributes of a forecast.
        lang: tag of the language.
    """
    found, words = [], language.of(lang)
    if lost := missing(attrs):
        what = "; ".join(words.gettext(_KINDS[name], spans=_spans(name, lost[name])) for name in lost)
        text = message("Public on {date}, but not in the store: {what}.")
        found.append(words.gettext(text, date=_day(attrs, lang), what=what))
    if gone := left_out(attrs):
        text = words.ngettext(
            "{n} municipality left out: no weather: {codes}",
            "{n} municipalities left out: no weather: {codes}",
            len(gone["weather"]),
            codes=first_names(gone["weather"]),
        )
        found.append(text)
        if gone["states"]:
            states = message("States without any municipality in this forecast: {states}")
            found.append(words.gettext(states, states=", ".join(gone["states"])))
    found += _of_maps(attrs, words)
    if attrs.get("outcome_public"):
        text = message("Hindcast: yields of harvest year {year} are known; this forecast does not use them.")
        found.append(words.gettext(text, year=int(attrs["harvest_year"])))
    return found


def _of_maps(attrs: Mapping[str, Any], words: language.Language) -> list[str]:
    """What maps of crops were used for, and where they tell of later years."""
    found = []
    if AREA_MAP in attrs:
        text = message("Area in the map: of harvest year {year}, the newest map that was public.")
        found.append(words.gettext(text, year=int(attrs[AREA_MAP])))
    if WEATHER_CELLS in attrs:
        found.append(words.gettext("Weather is averaged over cropped cells of municipalities."))
    if LATER_MAP in attrs:
        text = message(
            "Weather before {date} is averaged over cells of a map that was not known then: not what a "
            "forecast on that day could have used."
        )
        found.append(words.gettext(text, date=words.date(dt.date.fromisoformat(str(attrs[LATER_MAP])))))
    return found


def public_skill(
    attrs: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], lang: str
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Rows of skill whose yields were public on the date of a forecast, and a sentence on those left out.

    Args:
        attrs: attributes of the forecast.
        rows: of ``yieldcast backtest --json``.
        lang: tag of the language.

    Raises:
        SchemaError: see `evaluation.skill.public_rows`.
    """
    newest = int(attrs.get("yields_public_to", attrs["last_public_harvest_year"]))
    kept, left_out = public_rows(rows, str(attrs["crop"]), newest)
    if not left_out:
        return kept, []
    text = language.of(lang).ngettext(
        "Skill: {n} harvest year left out, not public on {date}: {spans}.",
        "Skill: {n} harvest years left out, not public on {date}: {spans}.",
        len(left_out),
        date=_day(attrs, lang),
        spans=number_spans(left_out),
    )
    return kept, [text]


def _spans(name: str, values: list[Any]) -> str:
    return number_spans(values) if name == "harvest_years" else month_spans(values)


def _day(attrs: Mapping[str, Any], lang: str) -> str:
    return language.of(lang).date(dt.date.fromisoformat(str(attrs["as_of"])))
