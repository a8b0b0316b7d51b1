"""Crop calendars: which months of weather belong to a crop, a state and a harvest year.

In: a CSV file of planting and harvest dates. Out: a `Calendar` with the months of each season. `brazil()` is
the table of Cunha & Silva (2020); `read(path)` reads the file of any other country. The rules are documented
in `calendars.calendar`, the sources in ``data/SOURCES.md``. Imports no other package of this project.
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
