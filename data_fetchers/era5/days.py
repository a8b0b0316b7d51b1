"""Makes the table of daily weather from cached answers of ERA5.

Days are local days, in Brazil those of UTC-3. Where the service has no daily sums (ERA5-Land), values hold
what was accumulated since midnight UTC, and midnight itself the whole day before (ECMWF, "ERA5-Land: data
documentation", accumulations). A day from 03 UTC to 03 UTC is then midnight's value minus that of 03 UTC,
plus that of 03 UTC of the next day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.cds.netcdf import reading
from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.constants import ZERO_degC_in_K
from data_fetchers.engine.source import Note
from data_fetchers.era5 import answers
from data_fetchers.era5.source import Era5
from data_fetchers.era5.table import Floats, Leaf, Where, attributes, locator, taken
from yieldcast.data import crop_cells, zonal
from yieldcast.data.crop_cells import AnyPlace, CropCells, CropChoice
from yieldcast.data.daily import daily_table
from yieldcast.errors import MissingDataError
from yieldcast.variables import WEATHER

# FAO-56 eq. 47: wind at 2 m from wind at 10 m, 4.87 / ln(67.8 * 10 - 5.42)
WIND_2m = 4.87 / np.log(67.8 * 10 - 5.42)
_KELVIN = ("tmax_degC", "tmin_degC", "dewpoint_degC")
_SUMS = {"rain_mm": ("precipitation_mm", 1000.0), "radiation_MJ_m2": ("radiation_MJ_m2", 1e-6)}
_WIND = ("eastward_m_s", "northward_m_s")


def read_daily(
    cache: RequestCache,
    era5: Era5,
    requests: Sequence[Request],
    static: xr.Dataset,
    where: Where,
    mesh: Mapping[str, Any] | None = None,
    crop: CropChoice | None = None,
) -> tuple[xr.Dataset, list[Note]]:
    """The table of daily weather from cached answers.

    Its wind is the speed of the mean wind of the day, which is below the mean speed where the wind turns
    during a day: the service has daily means of the components only.

    Args:
        cache, era5, static, where, mesh, crop: as for `table.read_weather`.
        requests: from `Era5.weather_requests` and `Era5.daily_requests`; what is missing is NaN.

    Returns:
        table as checked by `yieldcast.data.daily.check_daily`, whose units are the used cells (numbered from
        the south pole: 10000 times the row plus the column), or for polygons the municipalities; and notes.

    Raises:
        ConfigError, SchemaError: as `table.read_weather`.
        MissingDataError: no answer with days is cached.
    """
    leaves = [leaf for request in requests for leaf in cache.leaves(request)]
    leaves = [leaf for leaf in leaves if answers.form_of(leaf[0]) != "month"]
    if not leaves:
        raise MissingDataError(
            f"expected files of days of {era5.name} in {cache.folder}, found none of {len(requests)}",
            "Run the fetch again; its summary shows why they are missing.",
        )
    _, place = locator(leaves[0], cache.folder, static, where, mesh, crop)
    codes = static["municipality"].values
    unit, units, position = _units(leaves[0], place, codes, era5.product.step_deg)
    days = _calendar(leaves)
    fields = _Fields(days, len(unit), era5.offset_h)
    for leaf in leaves:
        fields.add(leaf, *taken(leaf, units))
    values, notes = fields.finished()
    attrs = attributes(era5, [record for _, _, record in leaves], where, crop)
    return daily_table(values, days, unit, codes, position, attrs), notes


class _Fields:
    """Daily fields (unit, day) while they are filled.

    Args:
        days: datetime64[D] without gaps.
        count: of units.
        offset_h: of the days' local time from UTC (h).
    """

    def __init__(self, days: NDArray[np.datetime64], count: int, offset_h: int) -> None:
        self.days, self.shape, self.offset_h = days, (count, len(days)), offset_h
        self.columns: dict[str, Floats] = {}
        self.hours: dict[str, Floats] = {}

    def add(self, leaf: Leaf, values: Floats, times: NDArray[np.datetime64]) -> None:
        """Add an answer: values (unit, time) in the unit of the file, and their days or hours."""
        column = leaf[0].parameters["column"]
        index = (times.astype("datetime64[D]") - self.days[0]).astype(int)
        if answers.form_of(leaf[0]) == "hour":
            clock = times.astype("datetime64[h]") - times.astype("datetime64[D]").astype("datetime64[h]")
            _field(self.hours, column, (*self.shape, len(answers.hours_of(self.offset_h))))[
                :, index, (clock.astype(int) > 0).astype(int)
            ] = values
        else:
            _field(self.columns, column, self.shape)[:, index] = values

    def finished(self) -> tuple[dict[str, Floats], list[Note]]:
        """Fields by the names and in the units of the table; a field without any answer is left out.

        Values are changed in place, because those of a country and many years fill much of the memory.
        """
        for column in list(self.hours):
            self.columns[column] = _sums_of_days(self.hours.pop(column), self.offset_h)
        found: dict[str, Floats] = {}
        for column in _KELVIN:
            if column in self.columns:
                found[column] = self.columns.pop(column)
                found[column] -= np.float32(ZERO_degC_in_K)
        notes = []
        for column, (name, factor) in _SUMS.items():
            if column in self.columns:
                values = self.columns.pop(column)
                values *= np.float32(factor)
                negative = int((values < 0).sum())
                if negative:
                    notes.append(Note("daily", f"{name}: values below 0 (packing) set to 0", negative))
                found[name] = np.maximum(values, 0, out=values)
        if all(column in self.columns for column in _WIND):
            eastward, northward = (self.columns.pop(column) for column in _WIND)
            found["wind_m_s"] = np.hypot(eastward, northward, out=eastward)
            found["wind_m_s"] *= np.float32(WIND_2m)
        for name in WEATHER:  # the table needs them, even empty
            _field(found, name, self.shape)
        return found, notes


def _field(fields: dict[str, Floats], name: str, shape: tuple[int, ...]) -> Floats:
    """The field of this name, made with NaN if needed."""
    if name not in fields:
        fields[name] = np.full(shape, np.nan, np.float32)
    return fields[name]


def _sums_of_days(hours: Floats, offset_h: int) -> Floats:
    """Sums of local days (unit, day) from accumulations since midnight UTC.

    Args:
        hours: (unit, day, hour) accumulated at `answers.hours_of`: at 00 UTC, the sum of the day before, and
            at the hour at which the local day begins.
        offset_h: of local time from UTC (h). West of Greenwich a local day begins on the same day UTC and the
            last one is NaN; east of it, the day before, and the first one is NaN.
    """
    total = np.full(hours.shape[:2], np.nan, np.float32)
    midnight, begins = hours[..., 0], hours[..., -1]
    if offset_h > 0:
        total[:, 1:] = midnight[:, 1:] - begins[:, :-1] + begins[:, 1:]
    elif offset_h < 0:
        total[:, :-1] = midnight[:, 1:] - begins[:, :-1] + begins[:, 1:]
    else:
        total[:, :-1] = midnight[:, 1:]
    return total


def _calendar(leaves: Sequence[Leaf]) -> NDArray[np.datetime64]:
    """All days from the first to the last one requested."""
    asked = [answers.asked_times(request).astype("datetime64[D]") for request, _, _ in leaves]
    return np.arange(min(days[0] for days in asked), max(days[-1] for days in asked) + 1)


def _units(
    leaf: Leaf, place: AnyPlace, codes: NDArray[np.int32], step_deg: float
) -> tuple[NDArray[np.int32], AnyPlace, NDArray[np.int64]]:
    """Codes of the units, how the grid maps to them, and the unit of each municipality (-1 without)."""
    has_cell = crop_cells.has_cell(place)
    if not isinstance(place, zonal.Points):
        rows = np.flatnonzero(has_cell)
        position = np.where(has_cell, np.cumsum(has_cell) - 1, -1)
        if isinstance(place, CropCells):
            return codes[rows], place.of_rows(rows), position
        return codes[rows], zonal.Weights(place.matrix[rows], place.covered[rows]), position
    used, inverse = np.unique(place.cell[has_cell], return_inverse=True)
    position = np.full(len(codes), -1)
    position[has_cell] = inverse
    with reading(leaf[1]) as datasets:
        field = answers.field_of(leaf[0], datasets)
        latitude, longitude = field["latitude"].values, field["longitude"].values
    row, column = np.divmod(used, len(longitude))
    south = np.round((latitude[row] + 90) / step_deg).astype(np.int32)
    west = np.round((longitude[column] + 180) / step_deg).astype(np.int32)
    return south * np.int32(10_000) + west, zonal.Points(used, np.zeros(len(used))), position
