"""What the country of a forecast calls its codes and places, and the coordinates of its boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from calendars import Country, country
from calendars.country import said
from yieldcast.forecasting.table import COUNTRY_FILE


def country_of(attrs: Mapping[str, Any]) -> Country:
    """The country of a forecast: of its attribute ``country_file``, else the default one.

    Args:
        attrs: attributes of a forecast table.

    Raises:
        CalendarError: the attribute is damaged.
    """
    return _parsed(str(attrs[COUNTRY_FILE])) if COUNTRY_FILE in attrs else country.default()


@lru_cache(maxsize=8)
def _parsed(text: str) -> Country:
    return country.parse({country.FILE: text}) if text else country.UNKNOWN


def code_name(of: Country, lang: str) -> str:
    """What readers call the code of a place, e.g. "FIPS code"."""
    return said(of.code_name, lang, "code")


def place_word(of: Country, level: str, lang: str = "en") -> str:
    """The country's word for a level of `calendars.country.LEVELS`, e.g. "county" for a municipality."""
    return said(of.levels.get(level, {}), lang, level)
