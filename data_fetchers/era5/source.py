"""ERA5 and ERA5-Land: which requests make monthly weather, and when their answers are whole.

Monthly means of daily extremes are made here from daily statistics: the CDS's monthly means do not have
them. Rain comes from the monthly means. Years are calendar years.
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
from data_fetchers.engine import clock
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.source import Note
from data_fetchers.era5 import answers
from data_fetchers.era5.answers import VARIABLE_MAP
from yieldcast.errors import ConfigError
from yieldcast.publication import Publication, add_months

BRAZIL = (6.0, -74.0, -34.0, -34.0)  # without Fernando de Noronha, 32.4 degrees west
# From the first of the next month on: ERA5T is 5 days behind, so a month is there on the sixth; and the
# final version, due after the three months of `Publication`, may come a little late.
PRELIMINARY_days = 5
FINAL_days = 5
_DECADE = 10
_WITHOUT_KEY = "Or take --weather-source nasa-power, which needs no key."


@dataclass(frozen=True)
class _Product:
    daily: str
    monthly: str
    step_deg: float
    first_year: int
    months_a_part: int  # of daily data
    daily_extra: Mapping[str, str] = field(default_factory=dict)


_PRODUCTS = {
    "era5": _Product(
        "derived-era5-single-levels-daily-statistics", "reanalysis-era5-single-levels-monthly-means",
        0.25, 1940, 12, {"product_type": "reanalysis"},
    ),
    "era5-land": _Product(
        "derived-era5-land-daily-statistics", "reanalysis-era5-land-monthly-means", 0.1, 1950, 3
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Era5:
    """Daily extremes and monthly rain of ERA5 (0.25 degrees) or ERA5-Land (0.1 degrees).

    Args:
        cds: how to reach the Climate Data Store.
        dataset: ``era5`` or ``era5-land``.
        area: north, west, south, east (degrees); widened to the grid.
    """

    cds: Cds
    dataset: Literal["era5", "era5-land"] = "era5"
    area: tuple[float, float, float, float] = BRAZIL

    licence = "CC-BY-4.0"  # of all four datasets since 2 July 2025 (CDS catalogue)
    workers = 3  # the CDS throttles users with more jobs in its queue
    seconds_between = 0.0

    def __post_init__(self) -> None:
        north, west, south, east = self.area
        if self.dataset not in _PRODUCTS:
            raise ConfigError(f"expected one of {sorted(_PRODUCTS)}, received {self.dataset!r}")
        if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
            raise ConfigError(
                f"expected an area of north, west, south, east in degrees, received {self.area}",
                "For Brazil: 6, -74, -34, -34.",
            )

    @property
    def name(self) -> str:
        """Of the source and its shelf."""
        return self.dataset

    @property
    def attribution(self) -> str:
        """The line that the Copernicus licence asks of products."""
        return attribution(str(clock.today().year))

    @property
    def product(self) -> _Product:
        """The dataset's names at the CDS."""
        return _PRODUCTS[self.dataset]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The area, widened to whole cells: the CDS may interpolate any other."""
        step = self.product.step_deg
        north, west, south, east = (round(edge / step, 6) for edge in self.area)
        cells = math.ceil(north), math.floor(west), math.floor(south), math.ceil(east)
        return tuple(round(cell * step, 6) for cell in cells)  # type: ignore[return-value]

    def weather_requests(
        self, years: Sequence[int], today: dt.date, shelf: RequestCache
    ) -> tuple[list[Request], list[Note]]:
        """What to ask for, so that the weather of some calendar years is there as far as it can be today.

        Final years are asked whole, unless months of them are on the shelf already; the others month by
        month, up to the last one that the service must have.

        Args:
            years: any calendar years, with or without gaps.
            today: decides what is final and what is there.
            shelf: this source's.

        Returns:
            parts, and a note of the months that were not yet observed: nobody can have them, so that they
            are not missing.

        Raises:
            ConfigError: years that the dataset does not have.
        """
        years = sorted(set(years))
        if not years or years[0] < self.product.first_year:
            raise ConfigError(
                f"expected years from {self.product.first_year} on, received {years}",
                f"{self.dataset} begins in {self.product.first_year}.",
            )
        parts: list[Request] = []
        for column in VARIABLE_MAP:
            parts += self._column_parts(column, years, today, shelf)
        months = [dt.date(year, month, 1) for year in years for month in range(1, 13)]
        later = [f"{m:%Y-%m}" for m in months if not _observed(m, today)]
        notes = [Note("weather", f"not yet observed: {answers.spans(later)}", len(later))]
        return parts, notes if later else []

    def _column_parts(
        self, column: str, years: Sequence[int], today: dt.date, shelf: RequestCache
    ) -> list[Request]:
        whole, parts = [], []
        for year in years:
            months = [m for m in range(1, 13) if _observed(dt.date(year, m, 1), today)]
            single = [self._part(column, [year], [m]) for m in months]
            if final_on(dt.date(year, 12, 1)) <= today and not self._by_month(column, year, single, shelf):
                whole.append(year)
            else:
                parts += single
        return self._whole(column, whole) + parts

    def _by_month(self, column: str, year: int, single: list[Request], shelf: RequestCache) -> bool:
        """Whether a final year has months on the shelf that are not those of a whole year that was split."""
        if not any(shelf.path(part).exists() for part in single):
            return False
        return not all(shelf.verified(part) for part in self._whole(column, [year]))

    def _whole(self, column: str, years: list[int]) -> list[Request]:
        every = list(range(1, 13))
        if VARIABLE_MAP[column].statistic:
            size = self.product.months_a_part
            cuts = [every[i : i + size] for i in range(0, 12, size)]
            return [self._part(column, [year], months) for year in years for months in cuts]
        # By calendar decade, so that a later first year leaves the other decades as they are.
        decades = sorted({year // _DECADE for year in years})
        return [self._part(column, [y for y in years if y // _DECADE == d], every) for d in decades]

    def _part(self, column: str, years: Sequence[int], months: Sequence[int]) -> Request:
        variable = VARIABLE_MAP[column]
        inputs: Record = {
            "variable": [variable.variable],
            "year": [str(year) for year in years],
            "month": [f"{month:02d}" for month in months],
            "area": list(self.box),
        }
        if variable.statistic:
            # Of several months all 31: the CDS drops 31 February (cads_adaptors/mapping.py).
            days = 31 if len(months) > 1 else answers.length_of(years[0], months[0])
            inputs |= {
                "day": [f"{day:02d}" for day in range(1, days + 1)], "daily_statistic": variable.statistic,
                "time_zone": "utc-03:00", "frequency": "1_hourly", **self.product.daily_extra,
            }  # fmt: skip
        else:
            inputs |= {
                "product_type": ["monthly_averaged_reanalysis"], "time": ["00:00"],
                "data_format": "netcdf", "download_format": "unarchived",
            }  # fmt: skip
        dataset = self.product.daily if variable.statistic else self.product.monthly
        request = {"column": column, "dataset": dataset, "inputs": inputs}
        return Request(self.name, f"{column.split('_')[0]}-{_label(years, months)}", request, ".nc")

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        """Have the CDS make the file, and download it."""
        try:
            return self.cds.retrieve(part.request["dataset"], dict(part.request["inputs"]), target, job)
        except NoKeyError as error:
            raise NoKeyError(str(error), f"{error.hint} {_WITHOUT_KEY}") from error

    def check(self, part: Request, file: Path) -> Record:
        """Refuse a file that is not exactly what was asked: variable, every day or month, grid, values.

        Returns:
            ``months`` and, when the file says it, ``expver``.

        Raises:
            AgainError: another answer than the request's.
            NotYetError: the last days or months are not there yet (the CDS drops them without a word).
        """
        with reading(file) as datasets:
            array = answers.field_of(part, datasets)
            answers.check_times(part, array)
            answers.check_grid(part, array, self.box, self.product.step_deg)
            answers.check_values(part, array, sea_is_empty=self.dataset == "era5-land")
            versions = answers.versions(part, array)
        months = [str(month) for month in answers.asked_months(part)]
        return {"months": months} | ({"expver": versions} if versions else {})

    def split(self, part: Request) -> list[Request]:
        """Half the years, or half the months of a year; nothing for a single month."""
        years = [int(y) for y in part.request["inputs"]["year"]]
        months = [int(m) for m in part.request["inputs"]["month"]]
        column = part.request["column"]
        if len(years) > 1:
            half = len(years) // 2
            return [self._part(column, some, months) for some in (years[:half], years[half:])]
        if len(months) > 1:
            half = len(months) // 2
            return [self._part(column, years, some) for some in (months[:half], months[half:])]
        return []

    def stale(self, part: Request, record: Record, today: dt.date) -> bool:
        """Whether a month that was preliminary when it was fetched should be final by now."""
        return any(final_on(answers.as_date(month)) <= today for month in preliminary_months(record))


def attribution(years: str) -> str:
    """The line that products made with these data must carry.

    Args:
        years: in which they were fetched, e.g. ``2025-2026``.
    """
    # Wording of the Licence to Use Copernicus Products, for adapted data [C]
    return (
        f"Contains modified Copernicus Climate Change Service information {years}. Neither the European "
        "Commission nor ECMWF is responsible for any use that may be made of it."
    )


def preliminary_months(record: Record) -> list[str]:
    """The months of a fetched part that were preliminary, by their version or else by their date.

    Args:
        record: the part's sidecar. Daily statistics do not say their version; what they hold was decided
            when the job was made, which may be long before its file was fetched.
    """
    if "expver" in record:
        return [month for month in record["months"] if record["expver"][month] != answers.FINAL]
    made = dt.datetime.fromisoformat(record.get("created") or record["fetched"]).date()
    return [month for month in record["months"] if final_on(answers.as_date(month)) > made]


def final_on(month: dt.date) -> dt.date:
    """The day from which a month (its first day) is taken to be final."""
    return Publication().weather_public(month) + dt.timedelta(days=FINAL_days)


def _observed(month: dt.date, today: dt.date) -> bool:
    return add_months(month, 1) + dt.timedelta(days=PRELIMINARY_days) <= today


def _label(years: Sequence[int], months: Sequence[int]) -> str:
    label = f"{years[0]}" if len(years) == 1 else f"{years[0]}-{years[-1]}"
    if len(months) == 12:
        return label
    return f"{label}-{months[0]:02d}" + (f"to{months[-1]:02d}" if len(months) > 1 else "")
