"""SEAS5, ECMWF's seasonal forecast, from the Climate Data Store: departures from its own past forecasts.

A climate model drifts from the weather it starts in towards a climate of its own, by an amount that depends
on place, start month and lead. The operator therefore issues hindcasts, forecasts for past years by the same
model, and wants forecasts read against them (C3S seasonal forecasts, dataset documentation: forecasts are to
be paired with hindcasts of the same system). So the table gives differences from the hindcast's mean of the
same start month, lead and cell for temperatures, and ratios to it for rain, which cannot be negative.

Values, grids and members are as the operator documents them; no live answer was seen when this was written.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import xarray as xr

from data_fetchers.cds.client import Cds
from data_fetchers.cds.netcdf import reading
from data_fetchers.engine import clock
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.source import Note, NotYetPublishedError
from data_fetchers.seas5.answers import (
    HINDCAST_YEARS,
    VARIABLE_MAP,
    Asked,
    check_field,
    field_of,
    month_of,
    published,
    system_of,
)
from data_fetchers.seas5.table import Reader, assemble
from yieldcast.errors import FetchError, MissingDataError

DATASET = "seasonal-monthly-single-levels"
DATASETS = (DATASET,)
_LATE = dt.timedelta(days=20)  # a release may be late (C3S announcements of 2024 and 2025); our choice


@dataclass(frozen=True)
class Seas5:
    """The source: one part per forecast, one per start month and system for the hindcasts.

    Args:
        cds: the Climate Data Store.
        area: north, west, south, east (degrees).
        leads: months from the start month on, 1 to 6.
    """

    cds: Cds
    area: tuple[float, float, float, float] = (6.0, -74.0, -34.0, -34.0)
    leads: int = 6
    name = "seas5"
    licence = "Licence to use Copernicus products, as accepted for the dataset in the Climate Data Store"
    attribution = (
        "Generated using Copernicus Climate Change Service information. Neither the European Commission nor "
        "ECMWF is responsible for any use that may be made of the Copernicus information or data it contains."
    )
    workers = 2
    seconds_between = 0.0

    def seasonal_parts(
        self, starts: Sequence[np.datetime64], today: dt.date
    ) -> tuple[list[Request], list[Note]]:
        """The parts that a table of these starts needs, and a note for each start that is not out yet.

        Args:
            starts: start months (datetime64[M], or any day of them).
            today: decides what is out.

        Raises:
            ConfigError: a start before November 2017.
        """
        months = np.unique(np.asarray(starts, "datetime64[M]"))
        out = [start for start in months if published(start) <= today]
        pairs = ((self.forecast(start), self.hindcast(start)) for start in out)
        notes = [_not_there(start) for start in months if published(start) > today]
        return list(dict.fromkeys(chain.from_iterable(pairs))), notes

    def forecast(self, start: np.datetime64) -> Request:
        """The part of one forecast."""
        month = month_of(start)
        return self._part(f"forecast-{month:%Y-%m}", system_of(start), month.month, [month.year])

    def hindcast(self, start: np.datetime64) -> Request:
        """The part of the hindcasts that a forecast is compared with."""
        month, system = month_of(start).month, system_of(start)
        years = range(HINDCAST_YEARS[0], HINDCAST_YEARS[1] + 1)
        return self._part(f"hindcast-{system}-m{month:02d}", system, month, years)

    def _part(self, name: str, system: int, month: int, years: Iterable[int]) -> Request:
        inputs = {
            "originating_centre": ["ecmwf"],
            "system": [str(system)],
            "product_type": ["monthly_mean"],
            "variable": [v.request for v in VARIABLE_MAP.values()],
            "year": [str(year) for year in years],
            "month": [f"{month:02d}"],
            "leadtime_month": [str(lead) for lead in range(1, self.leads + 1)],
            "area": list(self.area),
            "data_format": "netcdf",
            "download_format": "unarchived",
        }
        return Request(self.name, name, {"dataset": DATASET, "inputs": inputs}, ".nc")

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        """Ask the store; a new forecast that it does not know yet is a NotYetError."""
        try:
            return self.cds.retrieve(DATASET, dict(part.request["inputs"]), target, job)
        except FetchError as error:
            if type(error) is FetchError and part.name.startswith("forecast"):
                # A start that the store's form does not list yet is an invalid request to it.
                out = published(Asked.of(part).starts[-1])
                if clock.today() <= out + _LATE:
                    text = f"{part.name} may not be out yet: {error}"
                    raise NotYetPublishedError(text, "Try again tomorrow.") from error
            raise

    def check(self, part: Request, file: Path) -> Record:
        """Refuse whatever is not the whole answer; see `seas5_answers.check_field`."""
        asked, empty = Asked.of(part), 0
        with reading(file) as datasets:
            for name in asked.variables:
                empty += check_field(field_of(datasets, name, file), name, asked, file)
        return {"members": asked.members, "starts": len(asked.starts), "values_missing": empty}

    def split(self, part: Request) -> list[Request]:
        """By variable; one variable by halves of the years."""
        for key in ("variable", "year"):
            values = part.request["inputs"][key]
            if len(values) > 1:
                # each variable by itself; years in two halves
                size = 1 if key == "variable" else (len(values) + 1) // 2
                groups = [values[i : i + size] for i in range(0, len(values), size)]
                return [
                    Request(
                        part.source,
                        f"{part.name}-{i}",
                        {**part.request, "inputs": {**part.request["inputs"], key: group}},
                        part.suffix,
                    )
                    for i, group in enumerate(groups, 1)
                ]
        return []

    def stale(self, part: Request, record: Record, today: dt.date) -> bool:
        """Never: a forecast that was issued does not change, nor do a system's hindcasts."""
        return False


def newest_start(today: dt.date) -> np.datetime64:
    """The newest start month that is out on a day, see `seas5_answers.RELEASE_DAYS`."""
    month = np.datetime64(today, "M")
    return month if published(month) <= today else month - 1


def _not_there(start: np.datetime64) -> Note:
    text = f"the forecast that starts in {start} is not there; it is out by {published(start)}"
    return Note("seasonal", text, 1, missing=True)


def read_seasonal(
    shelf: RequestCache,
    seas5: Seas5,
    starts: Sequence[np.datetime64],
    static: xr.Dataset,
    today: dt.date | None = None,
) -> tuple[xr.Dataset, list[Note]]:
    """The table of seasonal forecasts, as `yieldcast.data.schema.check_seasonal` describes it.

    Args:
        shelf: of this source.
        seas5: as the parts were fetched.
        starts: start months that are wanted.
        static: the places: latitude_deg, longitude_deg (municipality).
        today: the day of the plan; today if none.

    Returns:
        the table, with the starts that are there, and notes. A start that was not out on `today` was never
        planned: `seasonal_parts` has told of it.

    Raises:
        MissingDataError: none of the starts is there, or no place lies on the forecast's grid.
    """
    reader, absent, found = Reader(shelf, static), {}, {}
    for start in np.unique(np.asarray(starts, "datetime64[M]")):
        forecast, hindcast = seas5.forecast(start), seas5.hindcast(start)
        if not reader.files(forecast):
            absent[start] = _not_there(start)
        elif not reader.files(hindcast):
            text = f"the forecast that starts in {start} cannot be used: {hindcast.name} is not there"
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
    table = assemble(attrs, found, reader.cells, static)
    today = today or clock.today()
    notes = [note for start, note in absent.items() if published(start) <= today]
    beyond = int((table["municipality_cell"].values < 0).all(axis=0).sum())
    notes += [Note("seasonal", text, count) for text, count in reader.odd.items() if count]
    if beyond:
        notes.append(Note("seasonal", "places outside the area of the forecast", beyond))
    return table, notes
