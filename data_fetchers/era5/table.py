"""ERA5's files on the shelf -> the monthly weather table of municipalities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.cds.netcdf import reading
from data_fetchers.engine import zonal
from data_fetchers.engine.cache import Record, Request, RequestCache, fetched_on
from data_fetchers.engine.source import Note
from data_fetchers.era5 import answers
from data_fetchers.era5.source import Era5, attribution, preliminary_months
from yieldcast.data import degree_days, schema
from yieldcast.errors import ConfigError, MissingDataError

ZERO_degC_in_K = 273.15
WHOLE = 0.95  # of a municipality's area: less of it is told (our choice)
Leaf = tuple[Request, Path, Record]
Floats = NDArray[np.float32]
Where = Literal["centroid", "polygon"]


def read_weather(
    shelf: RequestCache,
    era5: Era5,
    parts: Sequence[Request],
    static: xr.Dataset,
    where: Where,
    mesh: Mapping[str, Any] | None = None,
) -> tuple[xr.Dataset, list[Note]]:
    """The weather table from verified parts, one year in memory at a time.

    Args:
        shelf: of this source.
        era5: the source of the parts.
        parts: as planned; those that are not on the shelf leave NaN and a note.
        static: municipality (int32), latitude_deg, longitude_deg of the centroids.
        where: ``centroid`` takes the nearest cell (of land), ``polygon`` the mean over the municipality.
        mesh: GeoJSON of the municipalities (``properties.code``), for ``polygon``.

    Returns:
        table as `schema.check_weather` wants it, with a column for each pair of limits of
        `degree_days.quantities`, made from days; and what a reader should know.

    Raises:
        ConfigError: polygons without a mesh, or without exactextract.
        MissingDataError: not one part is there.
        SchemaError: values that the table refuses.
    """
    leaves = [leaf for part in parts for leaf in shelf.leaves(part)]
    if not leaves:
        raise MissingDataError(
            f"expected files of {era5.name} in {shelf.folder}, none of {len(parts)} parts is there",
            "Run the fetch again; its summary says why they are missing.",
        )
    asked = np.unique(np.concatenate([answers.asked_months(part) for part in parts]))
    months = np.arange(asked[0], asked[-1] + 1)
    table = _Table(months, np.isin(months, asked), static["municipality"].values)
    notes, place = _locator(leaves[0], shelf.folder, static, where, mesh)
    for leaf in leaves:
        if not answers.variable_of(leaf[0]).statistic:
            table.add_rain(*_taken(leaf, place))
    for year in np.unique(asked.astype("datetime64[Y]")):
        daily = [leaf for leaf in leaves if answers.variable_of(leaf[0]).statistic and _year(leaf) == year]
        table.add_days(year, {c: _days(daily, c, year, place) for c in ("tmax_degC", "tmin_degC")})
    notes += table.notes(zonal.has_cell(place))
    preliminary = sorted({m for _, _, record in leaves for m in preliminary_months(record)})
    if preliminary:
        text = f"preliminary (ERA5T), to be fetched again when final: {answers.spans(preliminary)}"
        notes.append(Note("weather", text, len(preliminary)))
    ds = schema.set_units(table.dataset())
    ds.attrs = _attributes(era5, [record for _, _, record in leaves], preliminary, where)
    return schema.check_weather(ds), notes


def deaccumulate(tp: xr.DataArray) -> xr.DataArray:
    """Daily rain from the hourly field of ERA5-Land, which accumulates from 00 UTC on.

    A day's total is the value at 00 UTC of the next day. (ERA5's own hourly field is not accumulated, and
    the monthly means that the fetcher reads need none of this.)

    Args:
        tp: (valid_time, ...) m since 00 UTC; the stamp 00 UTC itself closes the day before.

    Returns:
        (valid_time, ...) mm per day in UTC; NaN for a day whose last stamp (00 UTC of the next) is not in
        the file, as always for the file's last day.

    Source:
        ECMWF, "ERA5-Land: data documentation", accumulations.
    """
    stamps = tp["valid_time"].values
    day = stamps.astype("datetime64[D]")
    closes = stamps == day
    ended = (day - 1)[closes]
    total = tp.isel(valid_time=closes).assign_coords(valid_time=ended.astype(stamps.dtype))
    first = min([day.min(), *ended[:1]])
    days = np.arange(first, day.max() + 1).astype(stamps.dtype)
    daily: xr.DataArray = total.reindex(valid_time=days) * np.float32(1000)
    return daily.assign_attrs(units="mm")


class _Table:
    """The columns while they are filled, and what was odd about them.

    Args:
        months: (time) datetime64[M] without gaps.
        asked: (time) True for months that were asked for; those between stay NaN.
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
        """Rain in m per day, as monthly means of accumulations are, to mm per month."""
        rain_mm = metres.astype(np.float64) * _length(months) * 1000
        self.negative += int((rain_mm < 0).sum())
        index = (months - self.months[0]).astype(int)
        self.columns["precipitation_mm"][:, index] = np.maximum(rain_mm, 0)
        self.days["precipitation_mm"][index] = _length(months)

    def add_days(self, year: np.datetime64, kelvin: dict[str, tuple[Floats, NDArray[np.bool_]]]) -> None:
        """A calendar year of daily extremes: their monthly means, and the sums of degree days."""
        months = year.astype("datetime64[M]") + np.arange(12)
        lengths = _length(months)
        starts = np.cumsum(lengths) - lengths
        inside = np.isin(months, self.months)
        index = (months[inside] - self.months[0]).astype(int)

        def sums(daily: NDArray[np.float64]) -> NDArray[np.float64]:
            # A missing day is NaN and makes its month NaN.
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
        """What is missing, and what was changed."""
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


def _locator(
    leaf: Leaf, folder: Path, static: xr.Dataset, where: Where, mesh: Mapping[str, Any] | None
) -> tuple[list[Note], zonal.Place]:
    """Where municipalities lie in the grid, that of all parts, since each was checked against the request."""
    part, path, _ = leaf
    with reading(path) as datasets:
        field = answers.field_of(part, datasets)
        axes = field["latitude"].values, field["longitude"].values
        mask = np.isfinite(field.isel(valid_time=0).values)
    centroids = static["latitude_deg"].values, static["longitude_deg"].values
    codes = static["municipality"].values
    points, plain = zonal.nearest(*axes, *centroids, mask), zonal.nearest(*axes, *centroids)
    place: zonal.Place = points
    notes = []
    if where == "polygon":
        if mesh is None:
            raise ConfigError("means over polygons need the mesh of the municipalities", "Fetch it first.")
        weights = zonal.cached_weights(folder, mesh, codes, *axes, mask)
        cut = zonal.has_cell(weights) & (weights.covered < WHOLE)
        if cut.any():
            text = f"municipalities of which less than {WHOLE:.0%} lies within the grid".replace("%", " %")
            notes.append(Note("weather", text, int(cut.sum())))
        place, filled = zonal.with_nearest(weights, points)
        if filled:
            text = "municipalities without polygon or cells in it: the cell nearest to the centroid"
            notes.append(Note("weather", text, filled))
    else:
        moved = (points.cell != plain.cell) & (points.cell >= 0)
        if moved.any():
            farthest = float(points.distance_km[moved].max())
            text = f"municipalities whose own cell is sea: the nearest of land, up to {farthest:.0f} km away"
            notes.append(Note("weather", text, int(moved.sum())))
    lost = codes[~zonal.has_cell(place)]
    if lost.size:
        text = f"municipalities outside the grid: {', '.join(map(str, lost[:5]))}{', ...' * (lost.size > 5)}"
        notes.append(Note("weather", text, int(lost.size)))
    return notes, place


def _taken(leaf: Leaf, place: zonal.Place) -> tuple[Floats, NDArray[np.datetime64]]:
    """The leaf's field at the municipalities (municipality, time), and its days or months."""
    part, path, _ = leaf
    with reading(path) as datasets:
        field = answers.field_of(part, datasets)
        return zonal.take(field.values, place), answers.stamps(part, field)


def _days(
    leaves: Iterable[Leaf], column: str, year: np.datetime64, place: zonal.Place
) -> tuple[Floats, NDArray[np.bool_]]:
    """A year of one column (municipality, day) in the file's unit, NaN where there is no file; which days."""
    first = year.astype("datetime64[D]")
    length = int((year + 1).astype("datetime64[D]").astype(int) - first.astype(int))
    daily = np.full((len(zonal.has_cell(place)), length), np.nan, np.float32)
    there = np.zeros(length, bool)
    for leaf in leaves:
        if leaf[0].request["column"] == column:
            values, days = _taken(leaf, place)
            index = (days - first).astype(int)
            daily[:, index], there[index] = values, True
    return daily, there


def _year(leaf: Leaf) -> np.datetime64:
    # A part of daily data never spans two years.
    return np.datetime64(leaf[0].request["inputs"]["year"][0], "Y")


def _length(months: NDArray[np.datetime64]) -> NDArray[np.int64]:
    days = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
    return np.asarray(days.astype(np.int64))


def _attributes(
    era5: Era5, records: Sequence[Record], preliminary: Sequence[str], where: Where
) -> dict[str, str]:
    fetched = sorted({fetched_on(record).year for record in records})
    years = f"{fetched[0]}-{fetched[-1]}" if len(fetched) > 1 else f"{fetched[0]}"
    return {
        "source": "Copernicus Climate Data Store", "dataset": era5.dataset, "licence": era5.licence,
        "attribution": attribution(years), "extraction": where, "preliminary": ", ".join(preliminary),
    }  # fmt: skip
