"""SEAS5, ECMWF's seasonal forecast, from the Climate Data Store: requests, and the table of anomalies.

A climate model drifts from the observed weather towards its own climate, by an amount that depends on place,
start month and lead. Forecasts must therefore be compared with hindcasts, which are forecasts for past years
by the same system (C3S seasonal forecasts, dataset documentation). The table holds, relative to the hindcast
mean of the same start month, lead and cell, differences for temperatures and ratios for rain, which cannot be
negative.

Values, grids and members follow the operator's documentation; not yet tested against the live service.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import xarray as xr

from data_fetchers.cds.account import InvalidRequestError
from data_fetchers.cds.client import Cds
from data_fetchers.cds.netcdf import reading
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.constants import Area
from data_fetchers.engine.source import Note, NotYetPublishedError
from data_fetchers.seas5.answers import (
    HINDCAST_YEARS,
    VARIABLE_MAP,
    Asked,
    check_field,
    field_of,
    month_of,
    published,
    refuse_two_grids,
    system_of,
)
from data_fetchers.seas5.table import Reader, assemble
from yieldcast import clock
from yieldcast.errors import MissingDataError

DATASET = "seasonal-monthly-single-levels"
DATASETS = (DATASET,)
_LATE = dt.timedelta(days=20)  # possible delay of a release (C3S announcements of 2024, 2025); our choice


@dataclass(frozen=True)
class Seas5:
    """SEAS5: one request per forecast, and one per start month and system for the hindcasts.

    Args:
        cds: the Climate Data Store.
        area: north, west, south, east (degrees).
        leads: number of months from the start month on, 1 to 6.
        systems: (start month, number of the forecast system) where it differs from `answers.SYSTEMS`.
    """

    cds: Cds
    area: Area
    leads: int = 6
    systems: tuple[tuple[str, int], ...] = ()
    name = "seas5"
    licence = "Licence to use Copernicus products, as accepted for the dataset in the Climate Data Store"
    attribution = (
        "Generated using Copernicus Climate Change Service information. Neither the European Commission nor "
        "ECMWF is responsible for any use that may be made of the Copernicus information or data it contains."
    )
    workers = 2
    seconds_between = 0.0

    def seasonal_requests(
        self, starts: Sequence[np.datetime64], today: dt.date
    ) -> tuple[list[Request], list[Note]]:
        """Requests for a table of these starts, and a note for each start that is not published yet.

        Args:
            starts: start months (datetime64[M], or any day of them).
            today: decides which forecasts are published.

        Raises:
            ConfigError: a start before November 2017.
        """
        months = np.unique(np.asarray(starts, "datetime64[M]"))
        known = [start for start in months if published(start) <= today]
        pairs = ((self.forecast(start), self.hindcast(start)) for start in known)
        notes = [_missing(start) for start in months if published(start) > today]
        return list(dict.fromkeys(chain.from_iterable(pairs))), notes

    def system(self, start: np.datetime64) -> int:
        """Number of the forecast system of a start month.

        Raises:
            ConfigError: before November 2017.
        """
        usual = system_of(start)
        return dict(self.systems).get(str(start.astype("datetime64[M]")), usual)

    def forecast(self, start: np.datetime64) -> Request:
        """Request for one forecast."""
        month = month_of(start)
        return self._request(f"forecast-{month:%Y-%m}", self.system(start), month.month, [month.year])

    def hindcast(self, start: np.datetime64) -> Request:
        """Request for the hindcasts that a forecast is compared with."""
        month, system = month_of(start).month, self.system(start)
        years = range(HINDCAST_YEARS[0], HINDCAST_YEARS[1] + 1)
        return self._request(f"hindcast-{system}-m{month:02d}", system, month, years)

    def _request(self, name: str, system: int, month: int, years: Iterable[int]) -> Request:
        inputs = {
            "originating_centre": ["ecmwf"],
            "system": [str(system)],
            "product_type": ["monthly_mean"],
            "variable": [v.variable for v in VARIABLE_MAP.values()],
            "year": [str(year) for year in years],
            "month": [f"{month:02d}"],
            "leadtime_month": [str(lead) for lead in range(1, self.leads + 1)],
            "area": list(self.area),
            "data_format": "netcdf",
            "download_format": "unarchived",
        }
        return Request(self.name, name, {"dataset": DATASET, "inputs": inputs}, ".nc")

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Retrieve the answer; NotYetPublishedError for a new forecast that the CDS refuses."""
        try:
            return self.cds.retrieve(DATASET, dict(request.parameters["inputs"]), target, job)
        except InvalidRequestError as error:
            if request.name.startswith("forecast"):
                # The CDS refuses a start that it does not list yet as an invalid request.
                release = published(Asked.of(request).starts[-1])
                if clock.today() <= release + _LATE:
                    text = f"{request.name} may not be published yet: {error}"
                    raise NotYetPublishedError(text, "Try again tomorrow.") from error
            raise

    def check(self, request: Request, file: Path) -> Record:
        """Check every field of the answer, see `check_field`; return entries for the sidecar."""
        asked, empty = Asked.of(request), 0
        with reading(file) as datasets:
            fields = {name: field_of(datasets, name, file) for name in asked.variables}
            for name, field in fields.items():
                empty += check_field(field, name, asked, file)
            refuse_two_grids(fields.values(), file)
        return {"members": asked.members, "starts": len(asked.starts), "values_missing": empty}

    def split(self, request: Request) -> list[Request]:
        """One request per variable; for a single variable two requests of half the years."""
        for key in ("variable", "year"):
            values = request.parameters["inputs"][key]
            if len(values) > 1:
                size = 1 if key == "variable" else (len(values) + 1) // 2
                groups = [values[i : i + size] for i in range(0, len(values), size)]
                return [
                    Request(
                        request.source,
                        f"{request.name}-{i}",
                        {**request.parameters, "inputs": {**request.parameters["inputs"], key: group}},
                        request.suffix,
                    )
                    for i, group in enumerate(groups, 1)
                ]
        return []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        """Always False: issued forecasts and the hindcasts of a system do not change."""
        return False


def newest_start(today: dt.date) -> np.datetime64:
    """The newest start month that is published on a day, see `answers.RELEASE_DAYS`."""
    month = np.datetime64(today, "M")
    return month if published(month) <= today else month - 1


def _missing(start: np.datetime64) -> Note:
    text = f"the forecast that starts in {start} is missing; it is published by {published(start)}"
    return Note("seasonal", text, 1, missing=True)


def read_seasonal(
    cache: RequestCache,
    seas5: Seas5,
    starts: Sequence[np.datetime64],
    static: xr.Dataset,
    today: dt.date | None = None,
) -> tuple[xr.Dataset, list[Note]]:
    """The table of seasonal forecasts, see `yieldcast.data.schema.check_seasonal`.

    Args:
        cache: of this source.
        seas5: the source with which the requests were made.
        starts: start months for the table.
        static: table of places: latitude_deg, longitude_deg (municipality).
        today: date of the plan; the current date if None.

    Returns:
        the table with all starts that are cached, and notes. Starts that were not published on `today` are
        left to the notes of `seasonal_requests`.

    Raises:
        MissingDataError: none of the starts is cached, or no place lies on the forecast's grid.
        FetchError: the answers of a system are on different grids; they are removed from the cache.
    """
    reader, absent, found = Reader(cache, static), {}, {}
    for start in np.unique(np.asarray(starts, "datetime64[M]")):
        forecast, hindcast = seas5.forecast(start), seas5.hindcast(start)
        if not reader.files(forecast):
            absent[start] = _missing(start)
        elif not reader.files(hindcast):
            text = f"the forecast that starts in {start} cannot be used: {hindcast.name} is missing"
            absent[start] = Note("seasonal", text, 1, missing=True)
        else:
            found[start] = reader.departures(forecast, hindcast)
    if not found:
        raise MissingDataError(
            f"expected seasonal forecasts, received none: {'; '.join(note.text for note in absent.values())}",
            "Fetch them: `yieldcast fetch seasonal`.",
        )
    if not any(cells.flat.size for cells in reader.cells.values()):
        raise MissingDataError(
            f"expected places in the area of the forecast {seas5.area}, received none there",
            "Check the places' latitudes and longitudes.",
        )
    attrs = {
        "licence": seas5.licence,
        "attribution": seas5.attribution,
        "hindcast_years": f"{HINDCAST_YEARS[0]}-{HINDCAST_YEARS[1]}",
    }
    systems = {start: seas5.system(start) for start in found}
    table = assemble(attrs, found, systems, reader.cells, static)
    today = today or clock.today()
    notes = [note for start, note in absent.items() if published(start) <= today]
    beyond = int((table["municipality_cell"].values < 0).all(axis=0).sum())
    notes += [Note("seasonal", text, count) for text, count in reader.irregular.items() if count]
    if beyond:
        notes.append(Note("seasonal", "places outside the area of the forecast", beyond))
    return table, notes
