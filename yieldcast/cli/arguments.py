"""Options that several commands share, and parsers of what is typed: years, leads, dates, months."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from calendars import names
from yieldcast.errors import ConfigError, MissingDataError

_LEAD = re.compile(r"-?\d{1,2}")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class Method(StrEnum):
    """Where the weather of the months to come is taken from."""

    climatology = "climatology"
    analogue = "analogue"
    seasonal = "seasonal"


def _language(text: str) -> str:
    from yieldcast import language

    return language.of(text).tag


StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the store.")]
CropOption = Annotated[str, typer.Option("--crop", help="Crop, e.g. soybean or soja.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory made by yieldcast train.")]
HarvestYearOption = Annotated[
    int, typer.Option("--harvest-year", min=1800, max=2200, help="Harvest year; 2018 is the season 2017/18.")
]
MethodOption = Annotated[
    Method,
    typer.Option(
        "--scenarios",
        help="Weather of the months that are not public yet: every past year (climatology), the past years "
        "most similar to the season so far (analogue), or the members of a fetched seasonal forecast "
        "(seasonal).",
    ),
]
LanguageOption = Annotated[
    str,
    typer.Option(
        "--lang",
        metavar="LANGUAGE",
        callback=_language,
        help="Language of tables, report and summary: en or pt-BR; pt-BR writes CSV with semicolons and "
        "decimal commas.",
    ),
]
ScreenLanguageOption = Annotated[
    str,
    typer.Option(
        "--lang", metavar="LANGUAGE", callback=_language, help="Language of what is shown: en or pt-BR."
    ),
]
SkillOption = Annotated[
    Path | None,
    typer.Option(
        "--skill", metavar="FILE", help="Scores written by yieldcast backtest --json, shown in the report."
    ),
]
StaleOption = Annotated[
    bool,
    typer.Option(
        "--allow-stale",
        help="Forecast although the store lacks more than one harvest year of yields, or three months of "
        "weather, of those that were public on the date.",
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write the scores to this file.")
]


class BeforeMaps(StrEnum):
    """What weather of months before the first map of crops takes."""

    refuse = "refuse"
    polygon = "polygon"
    first_map = "first-map"


class ProtocolChoice(StrEnum):
    """What a backtest lets a forecast know, see `yieldcast.forecasting.protocol`."""

    forward = "forward"
    leave_year_out = "leave-year-out"


def crop_key(text: str, known: Iterable[str] = ()) -> str:
    """Key of a crop that was typed in any of its names: ``soja`` is soybean.

    Args:
        text: what was typed.
        known: crops of the store; one that has just this name stays as it is.
    """
    typed = text.strip().lower()
    return typed if typed in known else names.crop(text) or typed


def check_json_folder(file: Path | None) -> None:
    """Refuse a ``--json`` file whose folder does not exist, before the long work starts.

    Raises:
        MissingDataError: the folder does not exist.
    """
    if file:
        check_folder_of(file, "--json")


def check_folder_of(file: Path, option: str) -> None:
    """Refuse a file to write whose folder does not exist, before the long work starts.

    Raises:
        MissingDataError: the folder does not exist.
    """
    if not file.parent.is_dir():
        raise MissingDataError(f"{option}: no folder {file.parent}", "Make it first, or give another path.")


def parse_years(text: str, option: str) -> list[int]:
    """Harvest years from "2018", "2011:2017" (both ends included) or "2011:2015,2017".

    Args:
        text: what was typed.
        option: name of the option, for the error message.

    Raises:
        ConfigError: any other text, or a range whose end comes before its start.
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
        text: what was typed.
        option: name of the option, for the error message.

    Raises:
        ConfigError: any other text, or a range whose end comes before its start.
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


def parse_dates(text: str | None, option: str) -> tuple[tuple[int, int], ...] | None:
    """Months and days from "10-15,01-15,06-15"; None stays None.

    Args:
        text: what was typed.
        option: name of the option, for the error message.

    Raises:
        ConfigError: any other text, two dates in the same month, or more than a year of them.
    """
    if text is None:
        return None
    dates = []
    for part in text.split(","):
        try:
            day = dt.datetime.strptime(f"2001-{part.strip()}", "%Y-%m-%d")  # 2001: no 29 February
        except ValueError:
            raise ConfigError(
                f"{option}: expected months and days such as 10-15,01-15,06-15; received {text!r}",
                "Give MM-DD in order of time; the year follows from the season.",
            ) from None
        dates.append((day.month, day.day))
    turns = sum(later <= earlier for earlier, later in pairwise(dates))
    over_a_year = turns > 1 or (turns == 1 and dates[-1] >= dates[0])
    if len({month for month, _ in dates}) < len(dates) or over_a_year:
        raise ConfigError(
            f"{option}: expected dates of different months, in order of time, within a year; received "
            f"{text!r}",
            "For example 10-15,01-15,03-15: October of the year before, January and March.",
        )
    return tuple(dates)


def parse_date(text: str | None, option: str) -> dt.date | None:
    """A date from "2018-01-15"; None stays None.

    Args:
        text: what was typed.
        option: name of the option, for the error message.

    Raises:
        ConfigError: not a date, or not in the years 1900 to 2200.
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
        text: what was typed.
        option: name of the option, for the error message.

    Raises:
        ConfigError: any other text, or a range whose end comes before its start.
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
