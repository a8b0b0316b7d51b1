"""A language: its translations, and how it writes numbers, dates and lists of them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO, StringIO

from babel import Locale
from babel.dates import format_skeleton
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from yieldcast.errors import ConfigError

_FOLDER = files("yieldcast.language") / "locale"


def message(text: str) -> str:
    """Mark an English text that is translated elsewhere, so that `make messages` finds it."""
    return text


class Sentence(str):
    """An English text that remembers what it was made of, so that `Language.said` can translate it."""

    template: str
    values: Mapping[str, object]


def sentence(text: str, /, **values: object) -> Sentence:
    """A text with values in place of its ``{name}``, for code that does not know the reader's language.

    Args:
        text: English, a literal, so that `make messages` finds it.
        values: days, numbers, texts; a `Sentence` among them is translated too.
    """
    made = Sentence(_filled(text, values))
    made.template, made.values = text, values
    return made


@dataclass(frozen=True, eq=False)
class Language:
    """One language; get it with `of`.

    Attributes:
        tag: as users write it, ``en`` or ``pt-BR``.
        locale: rules for numbers and dates.
        catalogue: translations; empty for English.
    """

    tag: str
    locale: Locale
    catalogue: Catalog = field(repr=False)

    @cached_property
    def name(self) -> str:
        """Its own name, with a capital letter: English, Português."""
        return str(Locale(self.locale.language).display_name).capitalize()

    def gettext(self, text: str, /, **values: object) -> str:
        """The translation of an English text, with values in place of its ``{name}``.

        A text that the catalogue lacks stays English; a test keeps it complete. A `sentence` among the values
        is translated too, and a day is written as the language does.
        """
        return self._filled(self._translations.gettext(text) if text else "", values)

    def pgettext(self, context: str, text: str, /, **values: object) -> str:
        """As `gettext`, for a short text whose translation depends on where it stands."""
        return self._filled(self._translations.pgettext(context, text), values)

    def said(self, text: str) -> str:
        """A `sentence` or a fixed text in this language; any other text unchanged."""
        if not isinstance(text, Sentence):
            return self.gettext(text)
        return self.gettext(text.template, **text.values)

    def _filled(self, text: str, values: Mapping[str, object]) -> str:
        return _filled(text, {name: self._value(one) for name, one in values.items()})

    def _value(self, value: object) -> object:
        if isinstance(value, dt.date):
            return self.date(value)
        return self.said(value) if isinstance(value, Sentence) else value

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> str:
        """As `gettext`, in the singular or plural that `count` (0 or more) asks for; ``{n}`` is the count."""
        return self._filled(
            self._translations.ngettext(one, many, count), {"n": self.number(count), **values}
        )

    def plural_form(self, count: int) -> int:
        """Which plural form of a text a count (0 or more) takes, from 0."""
        rule = getattr(self._translations, "plural", None)  # of a catalogue, from its Plural-Forms
        return int(rule(count)) if rule else int(count != 1)

    @cached_property
    def _translations(self) -> NullTranslations:
        if not len(self.catalogue):
            return NullTranslations()
        compiled = BytesIO()
        write_mo(compiled, self.catalogue)
        compiled.seek(0)
        return GNUTranslations(compiled)

    def number(self, value: float, digits: int = 0, *, group: bool = True, signed: bool = False) -> str:
        """A number, "3,012.5" or "3.012,5"; an en dash for NaN.

        Args:
            value: NaN if missing.
            digits: number of digits after the decimal sign.
            group: whether to separate thousands.
            signed: whether to put a plus before numbers above zero.
        """
        if math.isnan(value):
            return "–"
        written = f"{value:{',' if group else ''}.{digits}f}"
        if not written.strip("-0.,"):  # no sign before a zero
            return written.removeprefix("-").translate(self._signs)
        return ("+" if signed and value > 0 else "") + written.translate(self._signs)

    @cached_property
    def _signs(self) -> dict[int, str]:
        symbols = self.locale.number_symbols["latn"]
        return {ord(","): symbols["group"], ord("."): symbols["decimal"]}

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers are written with a decimal comma; its CSV files then separate with semicolons."""
        return self._signs[ord(".")] == ","

    def percent(self, share: float, digits: int = 0, *, signed: bool = False) -> str:
        """A share, 0 to 1, in percent: "90%"; an en dash for NaN."""
        written = self.number(100 * share, digits, signed=signed)
        return written if written == "–" else self._percent_pattern.replace("#,##0", written)

    @cached_property
    def _percent_pattern(self) -> str:
        return str(self.locale.percent_formats[None].pattern)

    def date(self, day: dt.date) -> str:
        """A day: 2017-11-15 in English, where 11/15 and 15/11 are both common; 15/11/2017 in Portuguese."""
        return day.isoformat() if self.locale.language == "en" else _skeleton("yMd", day, self.locale)

    @cached_property
    def date_pattern(self) -> str:
        """How spreadsheets are told to show days: ``yyyy-mm-dd`` or ``dd/mm/yyyy``."""
        if self.locale.language == "en":
            return "yyyy-mm-dd"
        return re.sub("y+", "yyyy", str(self.locale.datetime_skeletons["yMd"].pattern).lower())

    def month(self, iso: str) -> str:
        """A month, ``2017-10`` or a day of it: "October 2017", "outubro de 2017"."""
        return _skeleton("yMMMM", _first_day(iso), self.locale)

    def short_month(self, iso: str) -> str:
        """A month in digits, as in tables: 2017-10 in English, 10/2017 in Portuguese; argument as `month`."""
        first = _first_day(iso)
        return iso[:7] if self.locale.language == "en" else _skeleton("yM", first, self.locale)

    def day_of_year(self, month_day: str) -> str:
        """A day without its year, ``10-15``: "15/10" in Portuguese."""
        return _skeleton("MMdd", dt.date.fromisoformat(f"2000-{month_day}"), self.locale)

    def months(self, first: str, last: str) -> str:
        """From one month to another: "September to December 2017"; arguments as for `month`."""
        start, end = _first_day(first), _first_day(last)
        if start == end:
            return self.month(first)
        begin = self.locale.months["stand-alone"]["wide"][start.month] if start.year == end.year else None
        return self.gettext("{first} to {last}", first=begin or self.month(first), last=self.month(last))


def tags() -> tuple[str, ...]:
    """Tags of the languages that are there: English, then those with a catalogue."""
    return ("en", *sorted(_folders()))


@cache
def of(tag: str) -> Language:
    """The language of a tag, in any case, with ``-`` or ``_``.

    A tag without a country takes the only catalogue of its language; a catalogue without a country, and
    English, serves every country of its language.

    Raises:
        ConfigError: there is no catalogue for it.
    """
    wanted = tag.replace("_", "-").lower()
    language = wanted.partition("-")[0]
    known = tags()
    exact = [name for name in known if name.lower() in (wanted, language)]
    wider = [name for name in known if name.lower().partition("-")[0] == wanted]
    chosen = exact or (wider if len(wider) == 1 else [])
    if not chosen:
        raise ConfigError(
            f"expected a language of {', '.join(known)}, received {tag!r}",
            f"Choose --lang {' or --lang '.join(known)}.",
        )
    name = max(chosen, key=len)
    return _english() if name == "en" else _read(name)


def _folders() -> dict[str, str]:
    """Name of the folder of each catalogue, by tag."""
    return {entry.name.replace("_", "-"): entry.name for entry in _FOLDER.iterdir() if entry.is_dir()}


def _english() -> Language:
    return Language("en", Locale("en", "GB"), Catalog("en"))


def _read(tag: str) -> Language:
    folder = _folders()[tag]
    text = (_FOLDER / folder / "LC_MESSAGES" / "yieldcast.po").read_text(encoding="utf-8")
    return Language(tag, Locale.parse(folder), read_po(StringIO(text), locale=folder, abort_invalid=True))


def _filled(text: str, values: Mapping[str, object]) -> str:
    return text.format(**values) if values else text


def _first_day(iso: str) -> dt.date:
    return dt.date(int(iso[:4]), int(iso[5:7]), 1)


@lru_cache(maxsize=4096)
def _skeleton(skeleton: str, day: dt.date, locale: Locale) -> str:
    return str(format_skeleton(skeleton, day, locale=locale))
