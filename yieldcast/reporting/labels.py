"""Words for what a forecast is made of, in the language of the reader."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from calendars import country as countries
from calendars import names
from yieldcast import language
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, COUNTRY_FILE
from yieldcast.language import message
from yieldcast.reporting.column_labels import COLUMNS, PART_LABELS, ColumnLabel

_SCENARIO_YEARS = re.compile(r"(\d{4}(?:, \d{4})*) \((\d+) scenarios\)")
_SCENARIOS: Mapping[str, str] = {
    "climatology": message("weather of every past year"),
    "analogue": message("weather of the most similar past years"),
    "seasonal": message("seasonal weather forecast (SEAS5)"),
}
_MODELS: Mapping[str, str] = {
    "forecast": message("forecast"),
    "last_public": message("last public yield"),
    "mean_5y_public": message("mean of five public years"),
    "trend_10y_public": message("trend of ten public years"),
    "level_trend": message("level and trend"),
    "official": message("five-year mean at the official estimate"),
    "boosted_history_public": message("boosted trees with yield history"),
    "climatology": message("climatology: own past yields"),
}
_ALL = message("All")  # in place of the name of a country that is not known
_LEVELS: Mapping[str, str] = {"country": message("country"), "state": message("state")}
# The attributes of a forecast, in the order in which readers see them
ATTRIBUTES: Mapping[str, str] = {
    "title": message("Forecast"),
    "synthetic": message("Synthetic data"),
    "crop": message("Crop"),
    "harvest_year": message("Harvest year"),
    "season": message("Season"),
    "as_of": message("As of (date of the bulletin)"),
    "lead_months": message("Lead (months)"),
    "country": message("Country"),
    "last_public_harvest_year": message("Newest public harvest year"),
    "weather_known_to": message("Weather known to"),
    "scenarios": message("Weather of the rest of the season"),
    "scenario_years": message("Years of that weather"),
    "members": message("Members of the ensemble"),
    "train_years": message("Harvest years trained on"),
    "run": message("Run"),
    "run_id": message("Run: fingerprint"),
    "made_with": message("Made with"),
    "licence": message("Licence of the data"),
    "attribution": message("Sources, as they ask to be named"),
    "calibration": message("Calibration, for machines"),
    "inputs": message("Inputs, for machines"),
}
# Attributes that only some forecasts have
_RARE_ATTRIBUTES: Mapping[str, str] = {
    "missing": message("Public, but not in the store"),
    "states": message("States"),
    "outcome_public": message("Hindcast: outcome known"),
    "yields_public_to": message("Newest harvest year with published yields"),
}


def crop(name: str, lang: str) -> str:
    """Name of a crop; an unknown crop is returned unchanged."""
    known, portuguese = names.crops().get(name), language.of(lang).locale.language == "pt"
    return (known.portuguese if portuguese else known.english) if known else name


def scenario(name: str, lang: str) -> str:
    """Where the weather of the rest of the season comes from; an unknown method is returned unchanged."""
    return language.of(lang).gettext(_SCENARIOS.get(name, name))


def scenario_years(written: str, lang: str) -> str:
    """The attribute ``scenario_years``: "2009, 2010, 2011 (3 scenarios)" as "2009 to 2011; 3 scenarios"."""
    words, found = language.of(lang), _SCENARIO_YEARS.fullmatch(written)
    if found is None:
        return written
    years = [int(year) for year in found[1].split(", ")]
    scenarios = words.ngettext("{n} scenario", "{n} scenarios", int(found[2]))
    return f"{years_in_words(years, lang)}; {scenarios}"


def years_in_words(years: Sequence[int], lang: str) -> str:
    """Years in rising order: "2010", "2010 to 2012", or "2010, 2012" where they have gaps."""
    if len(years) > 2 and years[-1] - years[0] == len(years) - 1:
        return language.of(lang).gettext("{first} to {last}", first=years[0], last=years[-1])
    return ", ".join(map(str, years))


def model(name: str, lang: str) -> str:
    """Name of a model in the skill of a forecast; an unknown model is returned unchanged."""
    return language.of(lang).gettext(_MODELS.get(name, name))


def country(name: str, lang: str) -> str:
    """Name of a country; that of the default one in the language, any other as its country.toml has it."""
    words, known = language.of(lang), countries.default()
    if not name:
        return words.gettext(_ALL)
    return countries.said(known.names, words.locale.language, name) if name == known.name else name


def level(name: str, lang: str) -> str:
    """Kind of an aggregate, ``country`` or ``state``."""
    return language.of(lang).gettext(_LEVELS[name])


def aggregate(name: str, lang: str, of: str) -> str:
    """Name of an aggregate of the forecast table, the country or a state.

    Args:
        name: `forecasting.table.ALL_MUNICIPALITIES` or a state.
        lang: language.
        of: the forecast's attribute ``country``.
    """
    if name != ALL_MUNICIPALITIES:
        return name
    return country(of, lang)


def attribute(name: str, lang: str) -> str:
    """Name of an attribute of a forecast; an unknown attribute is returned unchanged."""
    return language.of(lang).gettext(ATTRIBUTES.get(name, _RARE_ATTRIBUTES.get(name, name)))


def column(key: str, lang: str) -> str:
    """Heading of a column with its unit, e.g. "Previsão: mediana (kg/ha)"; keys as in `COLUMNS`."""
    label = COLUMNS[key]
    heading = _with_values(label.heading, label, lang)
    return f"{heading} ({label.unit})" if label.unit else heading


def meaning(key: str, lang: str) -> str:
    """Meaning of a column in one sentence; keys as in `COLUMNS`."""
    return _with_values(COLUMNS[key].meaning, COLUMNS[key], lang)


def _with_values(text: str, label: ColumnLabel, lang: str) -> str:
    words = language.of(lang)
    kinds: dict[type, Callable[[Any], object]] = {str: words.gettext, float: words.percent, int: str}
    return words.gettext(text, **{name: kinds[type(value)](value) for name, value in label.values.items()})


def part(name: str, lang: str) -> str:
    """Short name of a part of the median, e.g. "water so far"; keys as in `PART_LABELS`."""
    return language.of(lang).gettext(PART_LABELS[name].name)


def part_meaning(name: str, lang: str) -> str:
    """What a part of the median is; keys as in `PART_LABELS`."""
    return language.of(lang).gettext(PART_LABELS[name].meaning)


def season(forecast: xr.Dataset) -> str:
    """The season of a forecast: "2017/18" where some of its months lie in the year before, else "2018"."""
    year = int(forecast.attrs["harvest_year"])
    earlier = forecast["window_start"].values < np.datetime64(f"{year:04d}-01-01")
    return f"{year - 1}/{year % 100:02d}" if earlier.any() else str(year)


def facts(forecast: xr.Dataset) -> dict[str, Any]:
    """The attributes of a forecast table, and its season."""
    return {**forecast.attrs, "season": season(forecast)}


def title(attrs: Mapping[str, Any], lang: str) -> str:
    """Title of a forecast in one line; that of synthetic data says so.

    Args:
        attrs: `facts` of a forecast.
        lang: language.
    """
    words = language.of(lang)
    line = words.gettext(
        "{crop}, season {season}: yield forecast as of {date}",
        crop=crop(attrs["crop"], lang).capitalize(),
        season=attrs["season"],
        date=words.date(dt.date.fromisoformat(attrs["as_of"])),
    )
    return marked(line, bool(attrs["synthetic"]), lang)


def marked(title: str, synthetic: bool, lang: str) -> str:
    """A title that says so if the data are synthetic."""
    mark = language.of(lang).gettext("synthetic data").upper()
    return f"{mark}: {title}" if synthetic else title


def about(attrs: Mapping[str, Any], lang: str) -> list[tuple[str, str]]:
    """Heading and value of every attribute of a forecast, the known attributes first.

    Args:
        attrs: `facts` of a forecast.
        lang: language.
    """
    words = language.of(lang)
    translated = {
        "title": title(attrs, lang),
        "synthetic": words.gettext("yes") if attrs["synthetic"] else words.gettext("no"),
        "crop": crop(attrs["crop"], lang),
        "season": attrs["season"],
        "as_of": words.date(dt.date.fromisoformat(attrs["as_of"])),
        "country": country(attrs["country"], lang),
        "scenarios": scenario(attrs["scenarios"], lang),
        "scenario_years": scenario_years(str(attrs["scenario_years"]), lang),
        "weather_known_to": words.month(attrs["weather_known_to"]) if attrs["weather_known_to"] else "–",
        "licence": words.gettext(str(attrs["licence"])),
        "attribution": words.gettext(str(attrs["attribution"])),
    }
    known = {name: translated.get(name, str(attrs.get(name, "–"))) for name in ATTRIBUTES}
    others = {str(name): str(value) for name, value in attrs.items() if name not in {*known, COUNTRY_FILE}}
    return [(attribute(name, lang), value) for name, value in {**known, **others}.items()]
