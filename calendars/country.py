"""A country: its states, codes, calendar, and the days on which its statistics become public.

In: ``country.toml`` and the CSV files that it names, in the same folder. Out: a `Country`. `built_in` reads
the countries of this package; ``docs/how_to/add_a_country.md`` explains every key.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from calendars.calendar import Calendar, unknown_key
from calendars.names import plain
from calendars.rows import CalendarError, DayMonth, bad_value, day_month, read_records, read_rows, read_text

Names = Mapping[str, str]
"""A text by language, ISO 639-1 (``en``, ``pt``)."""
FILE = "country.toml"
DEFAULT = "brazil"
SKELETON = Path(__file__).with_name("skeleton")
LEVELS = ("municipality", "state", "region")
TABLES = ("weather", "yields")
WGS84 = 4326  # EPSG code
_FILE_KEYS = ("calendar", "second_crops")
_KEYS = (
    "name", "names", *_FILE_KEYS, "epsg", "codes", "levels", "publication", "states",
)  # fmt: skip
_SECOND_CROPS = ("crop", "state", "planting_start", "planting_end", "share")
_SEE = "See docs/how_to/add_a_country.md, which explains every key."
_KINDS: Mapping[type, str] = {str: "a text", dict: "a table", int: "a whole number"}
_T = TypeVar("_T")


@dataclass(frozen=True)
class State:
    """A state, province or any other unit by which the calendar is looked up.

    Args:
        code: the key in the tables and in the calendar.
        name: for readers.
        number: with which the codes of its places begin, None where they do not tell the state.
        region: the larger region, for the missing-state rule of the calendar; empty without one.
    """

    code: str
    name: str
    number: int | None = None
    region: str = ""


@dataclass(frozen=True)
class Delay:
    """Delay after the end of the month or year that a table describes, see `yieldcast.publication`.

    Args:
        months, days: both 0 or more, months first.
        released: days on which single harvest years became public, in place of the delay.
    """

    months: int = 0
    days: int = 0
    released: Mapping[int, dt.date] = field(default_factory=dict)


@dataclass(frozen=True)
class SecondCrop:
    """A second crop of the season.

    Args:
        crop, state: where it is grown.
        planting_start, planting_end: its sowing window.
        share: part of the crop's area that it has, 0 to 1, where no official estimate tells it.
    """

    crop: str
    state: str
    planting_start: DayMonth
    planting_end: DayMonth
    share: float


@dataclass(frozen=True)
class Country:
    """What differs between countries. Without any argument it is a country of which nothing is known.

    Args:
        name: in English; empty if unknown.
        names: by language.
        epsg: coordinate reference of its boundaries, an EPSG code.
        code_name: what readers call the code of a place, by language.
        code_digits: digits of every code; None if codes are any text.
        state_digits: first digits of a code that are the number of the state, 0 if none.
        levels: words for a place, a state and a larger region (`LEVELS`), by language.
        publication: delays by table, of `TABLES`.
        states: by code.
        files: the text of ``country.toml`` and of the files that it names, to make the same country again.
    """

    name: str = ""
    names: Names = field(default_factory=dict)
    epsg: int = WGS84
    code_name: Names = field(default_factory=lambda: {"en": "code", "pt": "código"})
    code_digits: int | None = None
    state_digits: int = 0
    levels: Mapping[str, Names] = field(default_factory=dict)
    publication: Mapping[str, Delay] = field(default_factory=dict)
    states: Mapping[str, State] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def calendar(self) -> Calendar | None:
        """The crop calendar with the larger regions of the states; None if the country has none."""
        text = self._text("calendar")
        if text is None:
            return None
        regions = {state.code: state.region for state in self.states.values() if state.region}
        return Calendar(read_rows(Path(str(self._content["calendar"])), text), regions)

    def state(self, text: str) -> str | None:
        """Code of a state from its code, name or number; None for an unknown one."""
        return text if text in self.states else self._state_keys.get(plain(text))

    def second_crops(self, crop: str) -> dict[str, SecondCrop]:
        """Second crops by state; empty for a crop that is sown once a season."""
        return {one.state: one for one in self._second_crops if one.crop == crop}

    def fits(self, codes: Iterable[str], states: Iterable[str]) -> bool:
        """Whether every place has a state of this country and a code by its scheme.

        Args:
            codes: of the places; one of six digits in place of seven lacks the check digit.
            states: of the places, as many.
        """
        return all(self._fits(code, state) for code, state in zip(codes, states, strict=True))

    def _fits(self, code: str, state: str) -> bool:
        if state not in self.states:
            return False
        digits, number = self.code_digits, self.states[state].number
        if digits is not None and not (
            code.isascii() and code.isdigit() and len(code) in (digits, digits - 1)
        ):
            return False
        return number is None or not self.state_digits or code[: self.state_digits] == str(number)

    @cached_property
    def _state_keys(self) -> dict[str, str]:
        known = self.states.values()
        numbers = {str(state.number): state.code for state in known if state.number is not None}
        named = {plain(state.name): state.code for state in known}
        return numbers | named | {plain(state.code): state.code for state in known}

    @cached_property
    def _content(self) -> dict[str, Any]:
        return tomllib.loads(self.files.get(FILE, ""))

    def _text(self, key: str) -> str | None:
        return self.files.get(str(self._content.get(key, "")))

    @cached_property
    def _second_crops(self) -> tuple[SecondCrop, ...]:
        text, path = self._text("second_crops"), Path(str(self._content.get("second_crops", "")))
        records = [] if text is None else read_records(path, _SECOND_CROPS, text)
        found = []
        for line, record in records:
            try:
                start, end = (day_month(key, record[key]) for key in ("planting_start", "planting_end"))
                share = float(record["share"])
                if not 0 <= share <= 1:
                    raise bad_value("share", "0 to 1", share, "Give the part of the crop's area.")
            except CalendarError as error:
                raise CalendarError(f"{path}, line {line}, {error}", error.hint) from None
            except ValueError:
                raise CalendarError(
                    f"{path}, line {line}, column 'share': expected a number, received {record['share']!r}",
                    "Give the part of the crop's area, 0 to 1, with a decimal point.",
                ) from None
            found.append(SecondCrop(record["crop"], record["state"], start, end, share))
        return tuple(found)


UNKNOWN = Country()


def said(names: Names, lang: str, otherwise: str = "") -> str:
    """The text of a language, else the English one, else `otherwise`."""
    return names.get(lang.split("-")[0]) or names.get("en") or otherwise


@cache
def built_in(name: str) -> Country:
    """A country of this package by the name of its folder in ``data``, e.g. ``brazil``.

    Raises:
        UnknownKeyError: no such country.
    """
    folder = Path(__file__).with_name("data")
    known = sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))
    if name not in known:
        raise unknown_key("country", name, known)
    return read(folder / name / FILE)


def skeleton() -> Country:
    """The made-up country of counties that `yieldcast new-country` writes."""
    return read(SKELETON / FILE)


def default() -> Country:
    """The country of tables that were fetched, and of stores made before a store said its country."""
    return built_in(DEFAULT)


def read(path: Path) -> Country:
    """Read a country from its TOML file and the files that it names.

    Args:
        path: ``country.toml``, or its folder.

    Raises:
        CalendarFileError: a file is missing or cannot be read.
        CalendarError: malformed contents; the message names the file and the key.
    """
    path = path / FILE if path.is_dir() else path
    files = {FILE: read_text(path)}
    content = _toml(files[FILE], str(path))
    for key in _FILE_KEYS:
        if key in content:
            files[content[key]] = read_text(path.parent / _file_name(content, key, str(path)))
    return parse(files, str(path))


def parse(files: Mapping[str, str], source: str = FILE) -> Country:
    """A country from the texts of its files, as `Country.files` keeps them.

    Args:
        files: by name, ``country.toml`` among them; without the file of the calendar the country has none.
        source: of ``country.toml``, for errors.

    Raises:
        CalendarError: malformed contents.
    """
    content = _toml(files.get(FILE, ""), source)
    _only(content, _KEYS, source, "")
    codes = _get(content, "codes", dict, {}, source)
    _only(codes, ("name", "digits", "state_digits"), source, "codes.")
    publication = _table(content, "publication", TABLES, source)
    if "yields" not in publication:
        raise CalendarError(
            f"{source}: expected [publication.yields], the delay of yields after the year, received none",
            "Write for example:  [publication.yields]  months = 2",
        )
    name = _get(content, "name", str, "", source).strip()
    if not name:
        raise CalendarError(
            f"{source}: expected name, the name of the country in English, received none", _SEE
        )
    known = Country(
        name=name,
        names=_names(content, "names", source) or {"en": name},
        epsg=_whole(content, "epsg", source, WGS84),
        code_name=_names(codes, "name", source) or Country().code_name,
        code_digits=_whole(codes, "digits", source, None),
        state_digits=_whole(codes, "state_digits", source, 0) or 0,
        levels={level: _names(_table(content, "levels", LEVELS, source), level, source) for level in LEVELS},
        publication={
            table: _delay(delay, f"{source}: publication.{table}") for table, delay in publication.items()
        },
        states=_states(content, source),
        files=dict(files),
    )
    _ = known.calendar, known.second_crops("")  # malformed files are found now, not at their first use
    return known


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CalendarError(f"{source} is not valid TOML: {error}", _SEE) from None


def _file_name(content: Mapping[str, Any], key: str, source: str) -> str:
    name = _get(content, key, str, "", source)
    if Path(name).name != name or not name:
        raise CalendarError(
            f"{source}: {key}: expected the name of a file beside {FILE}, received {name!r}",
            "Put the file into the same folder and give its name only.",
        )
    return name


def _only(content: Mapping[str, Any], known: Iterable[str], source: str, prefix: str) -> None:
    for key in content:
        if key not in set(known):
            error = unknown_key("key", key, known)
            raise CalendarError(f"{source}: unknown key {prefix + key!r}", error.hint)


def _get(content: Mapping[str, Any], key: str, kind: type[_T], default: _T, source: str) -> _T:
    value = content.get(key, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise CalendarError(f"{source}: {key}: expected {_KINDS[kind]}, received {value!r}", _SEE)
    return value


def _table(content: Mapping[str, Any], key: str, known: Iterable[str], source: str) -> dict[str, Any]:
    table = _get(content, key, dict, {}, source)
    _only(table, known, source, f"{key}.")
    return table


def _whole(content: Mapping[str, Any], key: str, source: str, default: Any) -> Any:
    if key not in content:
        return default
    value = _get(content, key, int, 0, source)
    if value < 0:
        raise CalendarError(f"{source}: {key}: expected 0 or more, received {value}", _SEE)
    return value


def _names(content: Mapping[str, Any], key: str, source: str) -> dict[str, str]:
    names = _get(content, key, dict, {}, source)
    for lang, text in names.items():
        if not isinstance(text, str) or not text.strip():
            raise CalendarError(f"{source}: {key}.{lang}: expected a text, received {text!r}", _SEE)
    return names


def _delay(content: Any, where: str) -> Delay:
    if not isinstance(content, dict):
        raise CalendarError(f"{where}: expected a table, received {content!r}", _SEE)
    _only(content, ("months", "days", "released"), where, "")
    released = {}
    for year, day in _get(content, "released", dict, {}, where).items():
        if not year.isdigit() or type(day) is not dt.date or day.year < int(year):
            raise CalendarError(
                f"{where}.released.{year}: expected a year and a day of it or later, received {day}",
                "Write 2018 = 2019-03-01, without quotation marks.",
            )
        released[int(year)] = day
    return Delay(_whole(content, "months", where, 0), _whole(content, "days", where, 0), released)


def _states(content: Mapping[str, Any], source: str) -> dict[str, State]:
    states = {}
    for code, about in _get(content, "states", dict, {}, source).items():
        where = f"{source}: states.{code}"
        if not isinstance(about, dict):
            raise CalendarError(f"{where}: expected a table, received {about!r}", _SEE)
        _only(about, ("name", "number", "region"), where, "")
        name, region = (_get(about, key, str, "", where) for key in ("name", "region"))
        states[code] = State(code, name or code, _whole(about, "number", where, None), region)
    return states
