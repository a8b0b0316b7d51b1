"""Makes the monthly weather table of municipalities from cached answers of ERA5."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.cds.netcdf import reading
from data_fetchers.engine.cache import Record, Request, RequestCache, fetched_on
from data_fetchers.engine.constants import ZERO_degC_in_K
from data_fetchers.engine.source import Note
from data_fetchers.era5 import answers
from data_fetchers.era5.source import Era5, attribution, preliminary_months
from yieldcast.data import crop_cells, degree_days, schema, zonal
from yieldcast.data.crop_cells import AnyPlace, CropChoice
from yieldcast.errors import ConfigError, MissingDataError

Leaf = tuple[Request, Path, Record]
Floats = NDArray[np.float32]
Where = Literal["centroid", "polygon", "crop-area"]


def read_weather(
    cache: RequestCache,
    era5: Era5,
    requests: Sequence[Request],
    static: xr.Dataset,
    where: Where,
    mesh: Mapping[str, Any] | None = None,
    crop: CropChoice | None = None,
) -> tuple[xr.Dataset, list[Note]]:
    """The weather table from cached answers; one year of daily data in memory at a time.

    Args:
        cache: of this source.
        era5: the source.
        requests: from `Era5.weather_requests`; a missing answer gives NaN and a note.
        static: municipality (int32), latitude_deg, longitude_deg of the centroids.
        where: ``centroid`` for the nearest (land) cell, ``polygon`` for the mean over the municipality,
            ``crop-area`` for the mean over its cropped cells.
        mesh: GeoJSON of the municipalities, for all but ``centroid``; see `yieldcast.data.boundaries`.
        crop: weights of cells for ``crop-area``; see `yieldcast.data.crop_cells`.

    Returns:
        table as checked by `schema.check_weather`, with degree days for each pair of limits of
        `degree_days.quantities`, summed from days; and notes.

    Raises:
        ConfigError: polygons requested without a mesh, or without exactextract installed; months before the
            first map of crops.
        MissingDataError: no answer is cached.
        SchemaError: values outside the limits of the table.
    """
    leaves = [leaf for request in requests for leaf in cache.leaves(request)]
    if not leaves:
        raise MissingDataError(
            f"expected files of {era5.name} in {cache.folder}, found none of {len(requests)}",
            "Run the fetch again; its summary shows why they are missing.",
        )
    asked = np.unique(np.concatenate([answers.asked_months(request) for request in requests]))
    months = np.arange(asked[0], asked[-1] + 1)
    table = _Table(months, np.isin(months, asked), static["municipality"].values)
    notes, place = locator(leaves[0], cache.folder, static, where, mesh, crop)
    for leaf in leaves:
        if not answers.variable_of(leaf[0]).statistic:
            table.add_rain(*taken(leaf, place))
    for year in np.unique(asked.astype("datetime64[Y]")):
        daily = [leaf for leaf in leaves if answers.variable_of(leaf[0]).statistic and _year(leaf) == year]
        table.add_days(year, {c: _days(daily, c, year, place) for c in ("tmax_degC", "tmin_degC")})
    notes += table.notes(crop_cells.has_cell(place))
    preliminary = sorted({m for _, _, record in leaves for m in preliminary_months(record)})
    if preliminary:
        text = f"preliminary (ERA5T), to be fetched again when final: {answers.spans(preliminary)}"
        notes.append(Note("weather", text, len(preliminary)))
    ds = schema.set_units(table.dataset())
    ds.attrs = attributes(era5, [record for _, _, record in leaves], where, crop)
    ds.attrs["preliminary"] = ", ".join(preliminary)
    return schema.check_weather(ds), notes


class _Table:
    """The columns of the table while they are filled, with counts of irregular values.

    Args:
        months: (time) datetime64[M] without gaps.
        asked: (time) True for requested months; others stay NaN.
        municipality: (municipality) int32.
    """

    def __init__(
        self, months: NDArray[np.datetime64], asked: NDArray[np.bool_], municipality: NDArray[np.int32]
    ) -> None:
        self.months, self.asked, self.municipality = months, asked, municipality
        shape = (len(municipality), len(months))
        self.columns = {
            name: np.full(shape, np.nan, np.float32)
            for name in (*answers.VARIABLE_MAP, *degree_days.quantities())
        }
        self.days = {name: np.zeros(len(months), int) for name in answers.VARIABLE_MAP}
        self.negative = 0

    def add_rain(self, metres: Floats, months: NDArray[np.datetime64]) -> None:
        """Add rain: monthly means in m per day (municipality, time), converted to mm per month."""
        rain_mm = metres.astype(np.float64) * _length(months) * 1000
        self.negative += int((rain_mm < 0).sum())
        index = (months - self.months[0]).astype(int)
        self.columns["precipitation_mm"][:, index] = np.maximum(rain_mm, 0)
        self.days["precipitation_mm"][index] = _length(months)

    def add_days(self, year: np.datetime64, kelvin: dict[str, tuple[Floats, NDArray[np.bool_]]]) -> None:
        """Add a calendar year of daily extremes: monthly means, and monthly sums of degree days."""
        months = year.astype("datetime64[M]") + np.arange(12)
        lengths = _length(months)
        starts = np.cumsum(lengths) - lengths
        inside = np.isin(months, self.months)
        index = (months[inside] - self.months[0]).astype(int)

        def sums(daily: NDArray[np.float64]) -> NDArray[np.float64]:
            # A missing day is NaN, and so is the sum of its month.
            return np.asarray(np.add.reduceat(daily, starts, axis=1))[:, inside]

        degC = {name: values.astype(np.float64) - ZERO_degC_in_K for name, (values, _) in kelvin.items()}
        for name, daily in degC.items():
            self.columns[name][:, index] = sums(daily) / lengths[inside]
            self.days[name][index] = np.add.reduceat(kelvin[name][1].astype(int), starts)[inside]
        for name, limits in degree_days.quantities().items():
            days = degree_days.daily(degC["tmax_degC"], degC["tmin_degC"], *limits)
            self.columns[name][:, index] = sums(days)

    def dataset(self) -> xr.Dataset:
        """The table, without units."""
        time = self.months.astype("datetime64[ns]")
        dims = ("municipality", "time")
        arrays = {name: (dims, values) for name, values in self.columns.items()}
        return xr.Dataset(arrays, {"municipality": self.municipality.astype(np.int32), "time": time})

    def notes(self, has_cell: NDArray[np.bool_]) -> list[Note]:
        """Notes on missing and changed values."""
        found, lengths = [], _length(self.months)
        for name, days in self.days.items():
            kinds = {"no data": self.asked & (days == 0), "incomplete": (days > 0) & (days < lengths)}
            for kind, which in kinds.items():
                if which.any():
                    text = f"{name}: {kind} in {answers.spans(self.months[which])}"
                    found.append(Note("weather", text, int(which.sum()), missing=True))
            empty = np.isnan(self.columns[name][has_cell][:, days == lengths]).sum()
            if empty:
                found.append(
                    Note("weather", f"{name}: values missing in the files", int(empty), missing=True)
                )
        if self.negative:
            found.append(
                Note("weather", "precipitation_mm: values below 0 (packing) set to 0", self.negative)
            )
        return found


def locator(
    leaf: Leaf,
    folder: Path,
    static: xr.Dataset,
    where: Where,
    mesh: Mapping[str, Any] | None,
    crop: CropChoice | None = None,
) -> tuple[list[Note], AnyPlace]:
    """How the grid maps to municipalities, with notes; all answers have one grid, as `check` has verified."""
    request, path, _ = leaf
    with reading(path) as datasets:
        field = answers.field_of(request, datasets)
        axes = field["latitude"].values, field["longitude"].values
        mask = np.isfinite(field.isel(valid_time=0).values)
    if where != "centroid" and mesh is None:
        raise ConfigError("means over polygons need the mesh of the municipalities", "Fetch it first.")
    place: AnyPlace
    if where == "crop-area" and crop is not None:
        place, notes = crop_cells.locate(*axes, mask, static, mesh, crop, folder)
    else:
        place, notes = zonal.locate(*axes, mask, static, None if where == "centroid" else mesh, folder)
    return [Note("weather", text, count) for text, count in notes], place


def taken(leaf: Leaf, place: AnyPlace) -> tuple[Floats, NDArray[np.datetime64]]:
    """Values of an answer at the municipalities (municipality, time), and its days or months."""
    request, path, _ = leaf
    with reading(path) as datasets:
        field = answers.field_of(request, datasets)
        times = answers.stamps(request, field)
        return crop_cells.take(field.values, times, place), times


def _days(
    leaves: Iterable[Leaf], column: str, year: np.datetime64, place: AnyPlace
) -> tuple[Floats, NDArray[np.bool_]]:
    """A year of one column (municipality, day) in the file's unit, NaN without a file, and the days known."""
    first = year.astype("datetime64[D]")
    length = int((year + 1).astype("datetime64[D]").astype(int) - first.astype(int))
    daily = np.full((len(crop_cells.has_cell(place)), length), np.nan, np.float32)
    known = np.zeros(length, bool)
    for leaf in leaves:
        if leaf[0].parameters["column"] == column:
            values, days = taken(leaf, place)
            index = (days - first).astype(int)
            daily[:, index], known[index] = values, True
    return daily, known


def _year(leaf: Leaf) -> np.datetime64:
    # A request for daily data never spans two years.
    return np.datetime64(leaf[0].parameters["inputs"]["year"][0], "Y")


def _length(months: NDArray[np.datetime64]) -> NDArray[np.int64]:
    days = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
    return np.asarray(days.astype(np.int64))


def attributes(
    era5: Era5, records: Sequence[Record], where: Where, crop: CropChoice | None = None
) -> dict[str, str]:
    """Attributes of a table: dataset, licence, attribution, and how municipalities take their values."""
    fetched = sorted({fetched_on(record).year for record in records})
    years = f"{fetched[0]}-{fetched[-1]}" if len(fetched) > 1 else f"{fetched[0]}"
    return {
        "source": "Copernicus Climate Data Store", "dataset": era5.dataset, "licence": era5.licence,
        "attribution": attribution(years), "extraction": where,
        **(crop.attributes if crop is not None else {}),
    }  # fmt: skip
