"""A season window as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from calendars import Row
from yieldcast import language


def calendar_lines(row: Row, window: Sequence[str], state: str, lang: str) -> list[str]:
    """First and last month, all months, and the days of planting and harvest.

    Args:
        row: of the calendar, for the state or for a region that stands in for it.
        window: months as ``2017-10``.
        state: that was asked for.
        lang: language.
    """
    words = language.of(lang)
    months = [words.short_month(month) for month in window]
    planting, harvest = (
        words.gettext("{first} to {last}", first=first, last=last)
        for first, last in (
            (_day(*row.planting_start), _day(*row.planting_end)),
            (_day(*row.harvest_start), _day(*row.harvest_end)),
        )
    )
    days = words.gettext("planting {planting}, harvest {harvest}", planting=planting, harvest=harvest)
    if row.region != state:
        days += words.gettext(
            " (row of {region}: the calendar has none for {state})", region=row.region, state=state
        )
    every = words.ngettext(
        "{n} month: {months}", "{n} months: {months}", len(months), months=" ".join(months)
    )
    return [f"{months[0]} ... {months[-1]}", every, days]


def _day(day: int, month: int) -> str:
    return f"{day:02d}/{month:02d}"
