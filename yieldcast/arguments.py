"""What is typed on a command line, read into values."""

from __future__ import annotations

import datetime as dt

from yieldcast.errors import ConfigError


def parse_years(text: str, option: str) -> list[int]:
    """Harvest years from "2018", "2011:2017" (both ends included) or "2011:2015,2017".

    Args:
        text: as typed.
        option: the option's name, for the error.

    Raises:
        ConfigError: anything else, or an empty or backward range.
    """
    years: set[int] = set()
    for part in text.split(","):
        first, colon, last = part.strip().partition(":")
        last = last if colon else first
        if not all(year.isdecimal() and len(year) == 4 for year in (first, last)):
            raise ConfigError(
                f"{option}: expected harvest years such as 2018, 2011:2017 or 2011:2015,2017; "
                f"received {text!r}",
                "Give four-digit years; FIRST:LAST includes both.",
            )
        years.update(range(int(first), int(last) + 1))
    if not years:
        raise ConfigError(f"{option}: {text!r} is an empty range", "Put the earlier year first.")
    return sorted(years)


def parse_date(text: str | None, option: str) -> dt.date | None:
    """A date from "2018-01-15"; None stays None.

    Args:
        text: as typed.
        option: the option's name, for the error.

    Raises:
        ConfigError: not a date of the years 1900 to 2200.
    """
    if text is None:
        return None
    try:
        date = dt.date.fromisoformat(text)
        if 1900 <= date.year <= 2200:
            return date
    except ValueError:
        pass
    raise ConfigError(f"{option}: expected a date YYYY-MM-DD, received {text!r}", "For example 2018-01-15.")
