"""Crop calendars: which months of weather belong to a crop, a state and a harvest year.

In: a CSV file of planting and harvest dates. Out: a `Calendar` with the months of each season. `brazil()` is
the table of Cunha & Silva (2020); `read(path)` reads the file of any other country, of which
`calendars.country` knows more: states, codes, days of publication. The rules are documented in
`calendars.calendar`, the sources in ``data/SOURCES.md``. Imports no other package of this project.
"""

from calendars.calendar import Calendar, read
from calendars.country import Country, built_in
from calendars.rows import CalendarError, CalendarFileError, DayMonth, Row, UnknownKeyError


def brazil() -> Calendar:
    """The calendar of Brazil: 26 states x 5 crops of Cunha & Silva (2020), Tables 2 and 6.

    States and the regions they belong to are IBGE's, the Distrito Federal included.
    """
    calendar = built_in("brazil").calendar
    if calendar is None:
        raise CalendarFileError("the calendar of Brazil is missing", "Install the package again.")
    return calendar


__all__ = [
    "Calendar",
    "CalendarError",
    "CalendarFileError",
    "Country",
    "DayMonth",
    "Row",
    "UnknownKeyError",
    "brazil",
    "built_in",
    "read",
]
