"""What a backtest forecasts: harvest years, the dates of each, and the protocol."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yieldcast.config import Settings
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.features import season_dates
from yieldcast.forecasting.protocol import Name

DAY = 15  # of the month on which forecasts are made: ERA5T of the previous month is public by then
# "All" leads begin one month before the season window and end one month after it (our choice).
MONTHS_BEFORE, MONTHS_AFTER = 1, 1


@dataclass(frozen=True)
class ForecastCase:
    """One forecast of a backtest: harvest year, date, and lead time in months before the end of harvest."""

    harvest_year: int
    as_of: dt.date
    lead_months: int


@dataclass(frozen=True)
class Backtest:
    """What to test, and the folder that keeps its runs and scores.

    Args:
        store: tables.
        crop: crop of the yields table.
        test_years: harvest years to forecast.
        folder: of the backtest; created if it does not exist.
        settings: of the runs.
        seeds: number of members of each run; 0 for the method "posterior" without a network.
        scenarios: one of `scenarios.METHODS`.
        leads: lead times in months before the end of harvest; None for all.
        dates: month and day of each forecast, in order of time, instead of `leads`; see `days_of_season`.
        protocol: see `forecasting.protocol`.
    """

    store: Store
    crop: str
    test_years: tuple[int, ...]
    folder: Path
    settings: Settings
    seeds: int = 30
    scenarios: str = "climatology"
    leads: tuple[int, ...] | None = None
    dates: tuple[tuple[int, int], ...] | None = None
    protocol: Name = "forward"

    def __post_init__(self) -> None:
        # frozen: the settings may still lack what the store's country says
        object.__setattr__(self, "settings", self.settings.for_country(self.store.country))

    @property
    def posterior(self) -> bool:
        """Whether forecasts are made by the method "posterior"."""
        return self.settings.forecast.method == "posterior"

    def cases(self) -> list[ForecastCase]:
        """All forecasts to make, by harvest year, then date.

        Raises:
            ConfigError: a lead time that no date has.
        """
        calendar = season_dates.calendar_for(self.settings.data, self.store.static, self.store.country)
        publication, cases, possible = self.settings.data.publication(), list[ForecastCase](), set[int]()
        for year in self.test_years:
            newest = publication.last_public_harvest_year(dt.date(year - 1, 1, 1))
            start, end = season_dates.main_window(calendar, self.crop, self.store.tables, year, newest)
            for day in self._days(start, end):
                lead = int((end - np.datetime64(day, "M")).astype(np.int64))
                possible.add(lead)
                if self.dates or self.leads is None or lead in self.leads:
                    cases.append(ForecastCase(year, day, lead))
        if lost := sorted(set(self.leads or ()) - possible):
            raise ConfigError(
                f"no lead time of {', '.join(map(str, lost))} months: those of {self.crop} are "
                f"{min(possible, default='none')} to {max(possible, default='none')}",
                "Use --leads all, or numbers like 0,3,6 or 0:9.",
            )
        return cases

    def _days(self, start: np.datetime64, end: np.datetime64) -> list[dt.date]:
        if self.dates:
            return list(days_of_season(self.dates, end))
        months = np.arange(start - MONTHS_BEFORE, end + MONTHS_AFTER + 1)
        return [month.astype("datetime64[D]").item().replace(day=DAY) for month in months]

    def check(self) -> None:
        """Check that everything can be scored, before anything is trained.

        Raises:
            MissingDataError: no yields of the crop or of a test year.
            ConfigError: a lead time that no date has, or settings that exclude each other.
        """
        if not self.posterior and (self.protocol != "forward" or not self.seeds):
            wanted = "a backtest without members" if not self.seeds else "the leave-year-out protocol"
            raise ConfigError(
                f'{wanted} needs forecast.method = "posterior", received {self.settings.forecast.method!r}',
                'Write method = "posterior" into the section [forecast] of the config file.',
            )
        if self.protocol != "forward" and self.scenarios == "seasonal":
            raise ConfigError(
                "the leave-year-out protocol finishes seasons with the weather of other years, received "
                "seasonal forecasts",
                "Use --scenarios climatology or analogue.",
            )
        table = yields_of(self.store.yields, self.crop)["yield_kg_ha"]
        known = table["harvest_year"].values[(table.fillna(0) > 0).any("municipality").values].tolist()
        if lost := [year for year in self.test_years if year not in known]:
            raise MissingDataError(
                f"no {self.crop} yields of harvest year {', '.join(map(str, lost))} to score against; the "
                f"store has {min(known, default='none')} to {max(known, default='none')}",
                "Test harvest years that have yields, or fetch more yields.",
            )
        self.cases()


def days_of_season(dates: tuple[tuple[int, int], ...], end: np.datetime64) -> Iterator[dt.date]:
    """Dates of one season from months and days.

    The last one lies in the twelve months that end one month after the last month of the season; the earlier
    ones lie before it, each as late as the order allows.

    Args:
        dates: (month, day), in order of time.
        end: last month of the season window.
    """
    final = end + MONTHS_AFTER
    year = int(str(final)[:4])
    if dates[-1][0] > int(str(final)[5:7]):
        year -= 1
    found = [dt.date(year, *dates[-1])]
    for month, day in reversed(dates[:-1]):
        year -= (month, day) >= (found[-1].month, found[-1].day)
        found.append(dt.date(year, month, day))
    yield from reversed(found)
