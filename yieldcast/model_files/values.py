"""The kinds of values that arguments of layers may have: each reads a value of a file, returns a fresh one.

A reader raises `Unfit` with what it expected. Lists, objects and numbers of the result are new: nothing of
the file is passed on that was not understood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Reader = Callable[[Any], Any]
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
LARGEST_DIMENSION = 2**24
_LARGEST_NUMBER = 1e30
_LONGEST_LIST = 100_000
DROPPED = object()  # of an argument that is left out of the fresh config


class Unfit(Exception):  # noqa: N818  (caught inside this package)
    """A value that is not what its place expects; the message says what was expected."""

    def __init__(self, expected: str, rule: str = "argument") -> None:
        super().__init__(expected)
        self.rule = rule


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Unfit("true or false")
    return value


def nothing(value: Any) -> None:
    """Null."""
    if value is not None:
        raise Unfit("null")


def whole(low: int, high: int = LARGEST_DIMENSION) -> Reader:
    """A whole number from `low` to `high`."""

    def read(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Unfit(f"a whole number from {low:,} to {high:,}")
        return value

    return read


def number(low: float = -_LARGEST_NUMBER, high: float = _LARGEST_NUMBER) -> Reader:
    """A finite number from `low` to `high`."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Unfit(f"a number from {low:g} to {high:g}")
        if not math.isfinite(value) or not low <= value <= high:
            raise Unfit(f"a number from {low:g} to {high:g}")
        return value

    return read


def choice(*allowed: str) -> Reader:
    """One of some texts."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Unfit(f"one of {', '.join(allowed)}")
        return allowed[allowed.index(value)]

    return read


def name(value: Any) -> str:
    """The name of a layer or of a network."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise Unfit("a name of letters, digits, _, - and dots", "path" if like_path(value) else "argument")
    return value


def notes(value: Any) -> dict[str, str]:
    """Texts by name, for readers only: where weights come from, and their licence."""
    if not isinstance(value, dict) or len(value) > 100:
        raise Unfit("notes: texts by name")
    for one in (*value, *value.values()):
        if not isinstance(one, str) or len(one) > 10_000:
            raise Unfit("notes: texts by name")
    return dict(value)


def like_path(value: Any) -> bool:
    """Whether a text looks like a path or an address."""
    return isinstance(value, str) and bool(
        re.match(r"~|\.\.|[A-Za-z]:\\", value) or re.search(r"[/\\]", value)
    )


def either(*readers: Reader) -> Reader:
    """What one of the readers takes."""

    def read(value: Any) -> Any:
        expected = []
        for reader in readers:
            try:
                return reader(value)
            except Unfit as error:
                if error.rule != "argument":
                    raise
                expected.append(str(error))
        raise Unfit(" or ".join(dict.fromkeys(expected)))

    return read


def optional(reader: Reader) -> Reader:
    """Null, or what the reader takes."""
    return lambda value: None if value is None else reader(value)


def several(reader: Reader, low: int = 0, high: int = _LONGEST_LIST) -> Reader:
    """A list of `low` to `high` values."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise Unfit(f"a list of {low:,} to {high:,} values")
        return [reader(one) for one in value]

    return read


def each(reader: Reader, count: int) -> Reader:
    """One value for all axes, or a list of one for each of `count` axes."""
    return either(reader, several(reader, count, count))


def nested_numbers(depth: int = 6) -> Reader:
    """A number, or lists of numbers within each other."""

    def read(value: Any, left: int = depth) -> Any:
        if isinstance(value, list) and left:
            return [read(one, left - 1) for one in value]
        return number()(value)

    return read


def fixed(expected: Any) -> Reader:
    """Only one value, which Keras takes anyway: it is left out of the fresh config."""

    def read(value: Any) -> Any:
        if type(value) is not type(expected) or value != expected:
            raise Unfit(f"{expected!r}".replace("None", "null"))
        return DROPPED

    return read


def ignored(reader: Reader) -> Reader:
    """A value that plays no part: it is checked and left out of the fresh config."""

    def read(value: Any) -> Any:
        reader(value)
        return DROPPED

    return read


def arguments(found: Any, known: Mapping[str, Reader], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The arguments of an object, each read by its own reader.

    Args:
        found: of the file.
        known: reader by name of the argument.
        needed: names that must be there.

    Raises:
        Unfit: an unknown or missing argument, or a value that does not fit.
    """
    if not isinstance(found, dict):
        raise Unfit("an object with arguments")
    strange = sorted(set(found) - set(known), key=ascii)
    if strange:
        raise Unfit(f"no argument {ascii(strange[0])[:80]}; known are {', '.join(sorted(known))}")
    missing = [key for key in needed if key not in found]
    if missing:
        raise Unfit(f"an argument {missing[0]}")
    fresh = {}
    for key, value in found.items():
        try:
            made = known[key](value)
        except Unfit as error:
            shown = ascii(value) if not isinstance(value, (dict, list)) else f"a {type(value).__name__}"
            raise Unfit(f"{key}: expected {error}, received {shown[:80]}", error.rule) from None
        if made is not DROPPED:
            fresh[key] = made
    return fresh
