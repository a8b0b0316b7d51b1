"""Crop calendars: which months of weather belong to a crop, a state and a harvest year.

`brazil()` is the table of Cunha & Silva (2020); `read(path)` takes any other country's. The rules are
in `calendars.calendar`, the sources in ``data/SOURCES.md``.
"""

from calendars.calendar import Calendar, brazil, read
from calendars.rows import CalendarError, CalendarFileError, DayMonth, Row, UnknownKeyError

__all__ = [
    "Calendar",
    "CalendarError",
    "CalendarFileError",
    "DayMonth",
    "Row",
    "UnknownKeyError",
    "brazil",
    "read",
]
