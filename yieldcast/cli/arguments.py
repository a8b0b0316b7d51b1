"""What is typed on a command line, read into values."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np

from yieldcast.errors import ConfigError

_LEAD = re.compile(r"-?\d{1,2}")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


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


def parse_leads(text: str, option: str) -> tuple[int, ...] | None:
    """Leads in months from "3", "0:9" (both ends included) or "0,3,6"; None for "all".

    Args:
        text: as typed.
        option: the option's name, for the error.

    Raises:
        ConfigError: anything else, or an empty or backward range.
    """
    if text.strip().lower() == "all":
        return None
    leads: set[int] = set()
    for part in text.split(","):
        first, colon, last = part.strip().partition(":")
        if not all(_LEAD.fullmatch(lead) for lead in (first, last if colon else first)):
            raise ConfigError(
                f"{option}: expected all, or months such as 3, 0:9 or 0,3,6; received {text!r}",
                "Count months before the end of harvest; FIRST:LAST includes both.",
            )
        leads.update(range(int(first), int(last if colon else first) + 1))
    if not leads:
        raise ConfigError(f"{option}: {text!r} is an empty range", "Put the smaller number first.")
    return tuple(sorted(leads))


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


def parse_months(text: str, option: str) -> list[np.datetime64]:
    """Months from "2017-09", "2017-09:2018-02" (both ends included) or a list of these.

    Args:
        text: as typed.
        option: the option's name, for the error.

    Raises:
        ConfigError: anything else, or an empty or backward range.
    """
    months: set[np.datetime64] = set()
    for part in text.split(","):
        first, colon, last = part.strip().partition(":")
        if not all(_MONTH.fullmatch(month) for month in (first, last if colon else first)):
            raise ConfigError(
                f"{option}: expected months such as 2017-09, 2017-09:2018-02 or 2017-09,2018-01; "
                f"received {text!r}",
                "Give YYYY-MM; FIRST:LAST includes both.",
            )
        months.update(np.arange(np.datetime64(first), np.datetime64(last if colon else first) + 1))
    if not months:
        raise ConfigError(f"{option}: {text!r} is an empty range", "Put the earlier month first.")
    return sorted(months)
