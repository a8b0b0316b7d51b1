"""When weather and yields become public: the rule that keeps the future out of every forecast."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from calendars import country

# Delay of the yields of the default country, and the days on which they were released (its country.toml).
DEFAULT_YIELDS = country.default().publication["yields"]


def add_months(date: dt.date, months: int) -> dt.date:
    """First day of the month `months` after that of `date`; before it when negative."""
    count = date.year * 12 + date.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def same_day(date: dt.date, years: int) -> dt.date:
    """The same day some years later or earlier; 29 February becomes the 28th."""
    try:
        return date.replace(year=date.year + years)
    except ValueError:
        return date.replace(year=date.year + years, day=28)


@dataclass(frozen=True)
class Publication:
    """Delays after which values are public, counted from the end of the month or year that they describe.

    Args:
        weather_months, weather_days: after the end of the month, both 0 or more. The default, 3 months, is
            the final version of ERA5, which replaces a month 2-3 months later; 0 months and 5 days is the
            preliminary version, ERA5T (Copernicus CDS, ERA5 documentation, "Data update frequency").
        yields_months, yields_days: after the end of the calendar year, both 0 or more; by default those of
            the default country, see `calendars.country`.
        releases: days on which the yields of single harvest years became public, in place of the delay.
    """

    weather_months: int = 3
    weather_days: int = 0
    yields_months: int = DEFAULT_YIELDS.months
    yields_days: int = DEFAULT_YIELDS.days
    releases: Mapping[int, dt.date] = field(default_factory=dict, hash=False)

    def weather_public(self, month: dt.date) -> dt.date:
        """First day on which the weather of `month` (its first day) is public."""
        return add_months(month, 1 + self.weather_months) + dt.timedelta(days=self.weather_days)

    def yields_public(self, harvest_year: int) -> dt.date:
        """First day on which the yields of `harvest_year` are public."""
        if harvest_year in self.releases:
            return self.releases[harvest_year]
        return add_months(dt.date(harvest_year + 1, 1, 1), self.yields_months) + dt.timedelta(
            days=self.yields_days
        )

    def last_public_harvest_year(self, as_of: dt.date) -> int:
        """The newest harvest year whose yields are public on `as_of`."""
        year = as_of.year
        while self.yields_public(year) > as_of:
            year -= 1
        return year
