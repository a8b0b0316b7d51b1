"""Which years may teach a forecast: the two protocols by which a method is judged on past harvest years.

``forward`` knows on a date what everyone could know on it. ``leave_year_out`` takes a year out of the record
and lets all others, later ones too, teach the water response, the climatology, the trees and the weights of
all ingredients: eight years of weather with one drought then tell more about droughts than a forward test.
The level, the trend and the estimates of the season are still those that were public on the date. Its
figures are no forecasts that anyone could have made; whoever shows them names the protocol.

In both, a hindcast of another year is made for the same day of its year, and neither it nor the forecast
reads a yield of the harvest year itself, or an estimate of it that came after the date.
"""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import Literal, get_args

from yieldcast.errors import ConfigError
from yieldcast.forecasting.expected import CropEvidence, Expected
from yieldcast.publication import same_day

Name = Literal["forward", "leave_year_out"]
PROTOCOLS: tuple[str, ...] = get_args(Name)

FIRST_HINDCAST = 7  # harvest years of yields before the first hindcast
MOST_HINDCASTS = 12  # newest years that intervals rest on


class Protocol:
    """The expected yields of a harvest year and of the years that teach it, as of a date.

    Args:
        evidence: of the crop.
        harvest_year: the season.
        as_of: date of the forecast.
        name: "forward" or "leave_year_out".

    Raises:
        ConfigError: another name.
    """

    def __init__(
        self, evidence: CropEvidence, harvest_year: int, as_of: dt.date, name: Name = "forward"
    ) -> None:
        if name not in PROTOCOLS:
            raise ConfigError(
                f"expected one of the protocols {', '.join(PROTOCOLS)}, received {name!r}",
                'Write "forward" for what was public on the date.',
            )
        self.name, self.harvest_year, self.as_of = name, harvest_year, as_of
        self.evidence = evidence if name == "forward" else evidence.without(harvest_year, as_of)
        self.last = self.evidence.newest_public_year(harvest_year, as_of)
        forward = name == "forward"
        self.units = evidence.units(evidence.known_day(as_of)) if forward else evidence.all_units()
        self._expected: dict[int, Expected] = {}

    @cached_property
    def seasons(self) -> list[int]:
        """Other harvest years whose weather is known to the last day of the season."""
        if self.name == "leave_year_out":
            return [year for year in self.evidence.weather_years() if year != self.harvest_year]
        if self.units is None:
            return []
        return self.units.whole_years(range(self.evidence.first_year, self.harvest_year))

    @cached_property
    def teachers(self) -> list[int]:
        """Those of `seasons` whose yields may be read."""
        if self.name == "leave_year_out":
            return self.seasons
        return [year for year in self.seasons if year <= self.last]

    @cached_property
    def hindcast_years(self) -> list[int]:
        """Harvest years with a hindcast, oldest first: the public ones, and those that teach."""
        public = range(self.evidence.first_year + FIRST_HINDCAST, self.last + 1)
        later = [year for year in self.teachers if year > self.last]
        return [*public, *later][-MOST_HINDCASTS:]

    def expected(self, year: int) -> Expected:
        """Of the harvest year, or of another one on the same day of its year, taught by the others."""
        if year not in self._expected:
            self._expected[year] = self._find(year)
        return self._expected[year]

    def _find(self, year: int) -> Expected:
        date = same_day(self.as_of, year - self.harvest_year)
        own = year == self.harvest_year
        if (own and self.name == "forward") or not (own or year in self.seasons):
            return self.evidence.expected(year, date)
        donors, teachers = ([t for t in years if t != year] for years in (self.seasons, self.teachers))
        return self.evidence.expected(year, date, teachers, donors, self.units)
