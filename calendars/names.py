"""Names of crops and quantities in the words of their users, to the keys of calendars and tables.

``data/crops.csv`` has one row per crop with its English, Portuguese and other names, ``quantities.csv`` what
the columns of yields are called. Case, accents and punctuation do not count.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DATA = Path(__file__).with_name("data")
# IBGE numbers its products: "1.8 Milho (em grão) 1ª Safra".
_NUMBERED = re.compile(r"\d+(\.\d+)+\s+")
_ORDINAL = re.compile(r"\b(\d) ?[ao]\b")  # 1ª, 1.a and 1º become 1


@dataclass(frozen=True)
class Crop:
    """What a crop is called, and the yields it can have.

    Args:
        crop: the key in calendars and tables.
        english, portuguese: for readers.
        lowest_kg_ha, highest_kg_ha: no region has its median yield beyond these; they are wide,
            so that values outside have another unit.
    """

    crop: str
    english: str
    portuguese: str
    lowest_kg_ha: float
    highest_kg_ha: float


def plain(text: str) -> str:
    """A text in lower case without accents, ordinal signs and punctuation, words separated by one space."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _ORDINAL.sub(r"\1", " ".join(re.findall(r"[a-z0-9]+", bare)))


@cache
def crops() -> Mapping[str, Crop]:
    """The crops by key, in the order of the table."""
    return {crop.crop: crop for crop, _ in _crops()}


def crop(text: str) -> str | None:
    """Key of a crop from any of its names (``Soja (em grão)``, ``milho 2ª safra``); None if it is unknown."""
    return _crop_keys().get(plain(_NUMBERED.sub("", text.strip(), count=1)))


def quantity(text: str) -> str | None:
    """What a heading measures, ``area_harvested`` for ``Área colhida``; None for an unknown one."""
    return _quantities().get(plain(text))


@cache
def _quantities() -> dict[str, str]:
    return {row["name"]: row["quantity"] for row in _records("quantities.csv")}


def _records(file: str) -> list[dict[str, str]]:
    with (_DATA / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def _crops() -> tuple[tuple[Crop, tuple[str, ...]], ...]:
    found = []
    for row in _records("crops.csv"):
        limits = float(row["lowest_kg_ha"]), float(row["highest_kg_ha"])
        made = Crop(row["crop"], row["english"], row["portuguese"], *limits)
        others = row["other_names"].split("|")
        found.append((made, (row["crop"], row["english"], row["portuguese"], *others)))
    return tuple(found)


@cache
def _crop_keys() -> dict[str, str]:
    return {plain(name): crop.crop for crop, names in _crops() for name in names}
