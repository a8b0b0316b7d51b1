"""The languages of the report as its data: translations of the page's texts, and words of its forecast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import xarray as xr

from yieldcast import language
from yieldcast.language import Language
from yieldcast.reporting import labels
from yieldcast.reporting.column_labels import PART_LABELS
from yieldcast.reporting.place_names import code_name, country_of

_SCRIPTS = "yieldcast/reporting/web/"
# Rules of plurals depend on the number itself below 100, and above on its last two digits.
_PLURALS = 200


def page_languages(forecast: xr.Dataset, models: Iterable[str]) -> list[dict[str, Any]]:
    """One entry for each language that there is; ``web/README.md`` describes them.

    Args:
        forecast: a checked table.
        models: names of the models in the skill section.
    """
    names, attrs = sorted(set(models)), labels.facts(forecast)
    return [_entry(language.of(tag), attrs, names) for tag in language.tags()]


def _entry(words: Language, attrs: Mapping[str, Any], models: list[str]) -> dict[str, Any]:
    crop, country, scenarios = (str(attrs[name]) for name in ("crop", "country", "scenarios"))
    years, licence, attribution = (str(attrs[name]) for name in ("scenario_years", "licence", "attribution"))
    return {
        "tag": words.tag,
        "locale": str(words.locale).replace("_", "-"),
        "name": words.name,
        "title": labels.title(attrs, words.tag),
        "messages": _messages(words),
        "plurals": [words.plural_form(n) for n in range(_PLURALS)],
        "words": {
            "crop": {crop: labels.crop(crop, words.tag)},
            "country": {country: labels.country(country, words.tag)},
            "code": {"": code_name(country_of(attrs), words.tag)},
            "scenarios": {scenarios: labels.scenario(scenarios, words.tag)},
            "scenario_years": {years: labels.scenario_years(years, words.tag)},
            "licence": {licence: words.gettext(licence)},
            "attribution": {attribution: words.gettext(attribution)},
            "model": {name: labels.model(name, words.tag) for name in models},
            "part": {name: labels.part(name, words.tag) for name in PART_LABELS},
            "meaning": {name: labels.part_meaning(name, words.tag) for name in PART_LABELS},
        },
    }


def _messages(words: Language) -> dict[str, Any] | None:
    """Translations of the texts of the scripts; None for English, whose texts are the keys."""
    if not len(words.catalogue):
        return None
    found = (one for one in words.catalogue if any(_SCRIPTS in str(file) for file, _ in one.locations))
    return {one.id if isinstance(one.id, str) else one.id[0]: one.string for one in found}
