"""Requests for monthly and daily weather of ERA5 and ERA5-Land, and the check of their answers.

Temperatures are requested as daily extremes, because the CDS has no monthly means of them; their means are
computed in `data_fetchers.era5.table`. Rain of months is requested as monthly means; days have their own
requests, see `Era5.daily_requests`. Years are calendar years.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data_fetchers.cds.client import Cds
from data_fetchers.cds.netcdf import reading
from data_fetchers.cds.session import NoKeyError
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.constants import Area
from data_fetchers.engine.source import Note
from data_fetchers.era5 import answers
from data_fetchers.era5.answers import ACCUMULATED, DAILY_MAP, VARIABLE_MAP
from yieldcast import clock
from yieldcast.errors import ConfigError
from yieldcast.publication import Publication, add_months

# Days after the end of a month until its preliminary version (ERA5T, 5 days behind) is available; and days
# that the final version may be late after the three months of `Publication`.
PRELIMINARY_days = 5
FINAL_days = 5
_DECADE = 10
_WITHOUT_KEY = "Or take --weather-source nasa-power, which needs no key."


@dataclass(frozen=True)
class Product:
    """Names of one reanalysis at the CDS, its grid, and how it is requested."""

    daily: str
    monthly: str
    step_deg: float
    first_year: int
    months_per_request: int  # of daily data
    daily_extra: Mapping[str, str] = field(default_factory=dict)
    # Where the daily statistics have no sums: values since midnight UTC, by the hour.
    accumulated: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names at the CDS of all that is requested."""
        return tuple(filter(None, (self.daily, self.monthly, self.accumulated)))


PRODUCTS = {
    "era5": Product(
        "derived-era5-single-levels-daily-statistics", "reanalysis-era5-single-levels-monthly-means",
        0.25, 1940, 12, {"product_type": "reanalysis"},
    ),
    "era5-land": Product(
        "derived-era5-land-daily-statistics", "reanalysis-era5-land-monthly-means", 0.1, 1950, 3,
        accumulated="reanalysis-era5-land",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Era5:
    """Daily extremes, monthly rain and daily weather of ERA5 (0.25 degrees) or ERA5-Land (0.1 degrees).

    Args:
        cds: the Climate Data Store.
        dataset: ``era5`` or ``era5-land``.
        area: north, west, south, east (degrees); extended to whole cells.
        offset_h: of the days' local time from UTC (h), -12 to 14.
    """

    cds: Cds
    dataset: Literal["era5", "era5-land"]
    area: Area
    offset_h: int = -3  # of the greater part of Brazil

    licence = "CC-BY-4.0"  # of all five datasets since 2 July 2025 (CDS catalogue)
    workers = 3  # the CDS throttles users with more jobs in its queue
    seconds_between = 0.0

    def __post_init__(self) -> None:
        north, west, south, east = self.area
        if self.dataset not in PRODUCTS:
            raise ConfigError(f"expected one of {sorted(PRODUCTS)}, received {self.dataset!r}")
        if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
            raise ConfigError(
                f"expected an area of north, west, south, east in degrees, received {self.area}"
            )

    @property
    def name(self) -> str:
        """Name of the source and of its folder in the cache."""
        return self.dataset

    @property
    def attribution(self) -> str:
        """Text that the Copernicus licence requires on products, for data of this year."""
        return attribution(str(clock.today().year))

    @property
    def product(self) -> Product:
        """Names and grid of the dataset at the CDS."""
        return PRODUCTS[self.dataset]

    @property
    def box(self) -> Area:
        """The area extended to whole cells; the CDS may interpolate to any other box."""
        step = self.product.step_deg
        north, west, south, east = (round(edge / step, 6) for edge in self.area)
        cells = math.ceil(north), math.floor(west), math.floor(south), math.ceil(east)
        return tuple(round(cell * step, 6) for cell in cells)  # type: ignore[return-value]

    def weather_requests(
        self, years: Sequence[int], today: dt.date, cache: RequestCache
    ) -> tuple[list[Request], list[Note]]:
        """Requests for the weather of calendar years, as far as it is published.

        A final year is requested as a whole, unless the cache has single months of it; any other year month
        by month, up to the last published month.

        Args:
            years: calendar years, with or without gaps.
            today: decides which months are final and which are published.
            cache: of this source.

        Returns:
            requests, and a note on months that are not observed yet (not counted as missing).

        Raises:
            ConfigError: no years, or years before the dataset begins.
        """
        years = sorted(set(years))
        if not years or years[0] < self.product.first_year:
            raise ConfigError(
                f"expected years from {self.product.first_year} on, received {years}",
                f"{self.dataset} begins in {self.product.first_year}.",
            )
        requests: list[Request] = []
        for column in VARIABLE_MAP:
            requests += self._column_requests(column, years, today, cache)
        months = [dt.date(year, month, 1) for year in years for month in range(1, 13)]
        later = [f"{m:%Y-%m}" for m in months if not _observed(m, today)]
        notes = [Note("weather", f"not yet observed: {answers.spans(later)}", len(later))]
        return requests, notes if later else []

    def daily_requests(self, years: Sequence[int], today: dt.date, cache: RequestCache) -> list[Request]:
        """Requests for daily weather, beside `weather_requests`, which have the extremes of whole months.

        They ask for rain, dew point, radiation and wind of whole months, and for everything in the days of
        the month under way, up to the last published one.

        Args:
            years, today, cache: as for `weather_requests`.
        """
        years = sorted(set(years))
        requests: list[Request] = []
        for column in DAILY_MAP:
            requests += self._column_requests(column, years, today, cache)
        last = last_observed(today)
        if last.year not in years or _observed(last.replace(day=1), today):
            return requests
        columns = (*(c for c, v in VARIABLE_MAP.items() if v.statistic), *DAILY_MAP)
        return requests + [self._request(c, [last.year], [last.month], last.day) for c in columns]

    def _column_requests(
        self, column: str, years: Sequence[int], today: dt.date, cache: RequestCache
    ) -> list[Request]:
        whole, requests = [], []
        for year in years:
            months = [m for m in range(1, 13) if _observed(dt.date(year, m, 1), today)]
            single = [self._request(column, [year], [m]) for m in months]
            if final_on(dt.date(year, 12, 1)) <= today and not self._by_month(column, year, single, cache):
                whole.append(year)
            else:
                requests += single
        return self._whole(column, whole) + requests

    def _by_month(self, column: str, year: int, single: list[Request], cache: RequestCache) -> bool:
        """Whether the cache has months of a final year that do not stem from splitting the whole year."""
        if not any(cache.path(request).exists() for request in single):
            return False
        return not all(cache.verified(request) for request in self._whole(column, [year]))

    def _whole(self, column: str, years: list[int]) -> list[Request]:
        every = list(range(1, 13))
        if _variable(column).statistic:
            size = self.product.months_per_request
            cuts = [every[i : i + size] for i in range(0, 12, size)]
            return [self._request(column, [year], months) for year in years for months in cuts]
        # By calendar decade, so that another first year changes the request of one decade only.
        decades = sorted({year // _DECADE for year in years})
        return [self._request(column, [y for y in years if y // _DECADE == d], every) for d in decades]

    def _request(
        self, column: str, years: Sequence[int], months: Sequence[int], days: int | None = None
    ) -> Request:
        """Request for a column; `days`: only the first days of the month."""
        variable = _variable(column)
        inputs: Record = {
            "variable": [variable.variable],
            "year": [str(year) for year in years],
            "month": [f"{month:02d}" for month in months],
            "area": list(self.box),
        }
        # 31 days for several months: the CDS ignores 31 February (cads_adaptors/mapping.py).
        length = days or (31 if len(months) > 1 else answers.length_of(years[0], months[0]))
        every_day = {"day": [f"{day:02d}" for day in range(1, length + 1)]}
        as_file = {"data_format": "netcdf", "download_format": "unarchived"}
        if not variable.statistic:
            dataset = self.product.monthly
            inputs |= {"product_type": ["monthly_averaged_reanalysis"], "time": ["00:00"], **as_file}
        elif column in ACCUMULATED and self.product.accumulated:
            dataset = self.product.accumulated
            inputs |= {**every_day, "time": answers.hours_of(self.offset_h), **as_file}
        else:
            dataset = self.product.daily
            inputs |= {
                **every_day, "daily_statistic": variable.statistic,
                "time_zone": f"utc{self.offset_h:+03d}:00",
                "frequency": "1_hourly", **self.product.daily_extra,
            }  # fmt: skip
        parameters = {"column": column, "dataset": dataset, "inputs": inputs}
        label = _label(years, months) + (f"-{days:02d}" if days else "")
        return Request(self.name, f"{column.split('_')[0]}-{label}", parameters, ".nc")

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Let the CDS create the file, and download it."""
        try:
            return self.cds.retrieve(
                request.parameters["dataset"], dict(request.parameters["inputs"]), target, job
            )
        except NoKeyError as error:
            raise NoKeyError(str(error), f"{error.hint} {_WITHOUT_KEY}") from error

    def check(self, request: Request, file: Path) -> Record:
        """Check that a file is exactly what was requested: variable, every day or month, grid, values.

        Returns:
            ``months`` and, if the file has it, ``expver``.

        Raises:
            RetryableError: another answer than requested.
            NotYetPublishedError: the last days or months are missing (the CDS leaves them out silently).
        """
        with reading(file) as datasets:
            array = answers.field_of(request, datasets)
            answers.check_times(request, array)
            answers.check_grid(request, array, self.box, self.product.step_deg)
            answers.check_values(request, array, sea_is_empty=self.dataset == "era5-land")
            versions = answers.versions(request, array)
        months = [str(month) for month in answers.asked_months(request)]
        return {"months": months} | ({"expver": versions} if versions else {})

    def split(self, request: Request) -> list[Request]:
        """Two requests of half the years, or half the months of a year; none for a single month."""
        years = [int(y) for y in request.parameters["inputs"]["year"]]
        months = [int(m) for m in request.parameters["inputs"]["month"]]
        column = request.parameters["column"]
        if len(years) > 1:
            half = len(years) // 2
            return [self._request(column, some, months) for some in (years[:half], years[half:])]
        if len(months) > 1:
            half = len(months) // 2
            return [self._request(column, years, some) for some in (months[:half], months[half:])]
        return []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        """Whether a month that was preliminary when fetched should be final on `today`."""
        return any(final_on(answers.as_date(month)) <= today for month in preliminary_months(record))


def attribution(years: str) -> str:
    """Text that products made with these data must show.

    Args:
        years: calendar years in which the data were fetched, e.g. ``2025-2026``.
    """
    # Wording of the Licence to Use Copernicus Products for adapted data; not verified against the licence
    return (
        f"Contains modified Copernicus Climate Change Service information {years}. Neither the European "
        "Commission nor ECMWF is responsible for any use that may be made of it."
    )


def preliminary_months(record: Record) -> list[str]:
    """Months of an answer that were preliminary, by their version or else by the date of the job.

    Args:
        record: sidecar of the answer. Daily statistics do not state a version; their contents were decided
            when the job was created, possibly long before the file was fetched.
    """
    if "expver" in record:
        return [month for month in record["months"] if record["expver"][month] != answers.FINAL]
    made = dt.datetime.fromisoformat(record.get("created") or record["fetched"]).date()
    return [month for month in record["months"] if final_on(answers.as_date(month)) > made]


def final_on(month: dt.date) -> dt.date:
    """First day on which the data of a month (given by its first day) count as final."""
    return Publication().weather_public(month) + dt.timedelta(days=FINAL_days)


def last_observed(today: dt.date) -> dt.date:
    """The last day whose preliminary version is published, as a whole, on `today`."""
    return today - dt.timedelta(days=PRELIMINARY_days + 1)


def _variable(column: str) -> answers.Variable:
    return {**VARIABLE_MAP, **DAILY_MAP}[column]


def _observed(month: dt.date, today: dt.date) -> bool:
    return add_months(month, 1) + dt.timedelta(days=PRELIMINARY_days) <= today


def _label(years: Sequence[int], months: Sequence[int]) -> str:
    label = f"{years[0]}" if len(years) == 1 else f"{years[0]}-{years[-1]}"
    if len(months) == 12:
        return label
    return f"{label}-{months[0]:02d}" + (f"to{months[-1]:02d}" if len(months) > 1 else "")
