"""Weather of municipalities averaged over their cropped cells; which cells, depends on the month.

Each month takes the newest map that could be used on its first day (`crop_weights.year_in_force`). So nothing
of a month depends on a map that came later than the month itself, and adding a newer map changes no month
before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from yieldcast.data import zonal
from yieldcast.errors import ConfigError, SchemaError

Before: TypeAlias = Literal["refuse", "polygon", "first-map"]
CELLS, LATER_MAP = "crop_area", "later_map_before"  # attributes of a table of weather
_ALIGNED = 0.02  # of a cell, by which centres may differ: axes are rounded in files


class CropChoice(NamedTuple):
    """Weights, and what months before the first map take.

    Args:
        table: see `crop_weights.check_crop_weights`.
        before: refuse them, take the mean over polygons, or the first map although it came later.
    """

    table: xr.Dataset
    before: Before

    @property
    def first(self) -> np.datetime64:
        """First day on which a map may be used (datetime64[D])."""
        return np.datetime64(self.table["public_from"].values[0].astype("datetime64[D]"))

    @property
    def text(self) -> str:
        """What the values are, for readers and attributes."""
        maps = ", ".join(map(str, self.table["harvest_year"].values.tolist()))
        about = f"cells with {self.table.attrs['crop']} (maps of {maps})"
        if self.before == "polygon":
            return f"{about}; before {self.first} mean over the polygon"
        if self.before == "first-map":
            return f"{about}; before {self.first} the cells of a map that was not known yet"
        return about

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes of a weather table that say which cells it is of, and until when of a later map."""
        later = {LATER_MAP: str(self.first)} if self.before == "first-map" else {}
        return {CELLS: self.text, **later}

    def refuse_before(self, month: np.datetime64) -> None:
        """Refuse a month before the first map, unless the user chose what to take.

        Raises:
            ConfigError: the month is not covered.
        """
        if self.before == "refuse" and month.astype("datetime64[D]") < self.first:
            raise ConfigError(
                f"expected months from {self.first} on, when the first map of crops may be used, received "
                f"{month.astype('datetime64[M]')}",
                "Take later years, or --weights-before polygon, or --weights-before first-map (knowledge of "
                "later years, for hindcasts; it is written into the table).",
            )


class CropCells(NamedTuple):
    """Weights of cells from some days on.

    Args:
        since: (part) datetime64[D], rising; the first part also holds before its day.
        parts: weights of each; all have the same municipalities with cells.
    """

    since: NDArray[np.datetime64]
    parts: tuple[zonal.Weights, ...]

    def of_rows(self, rows: NDArray[np.intp]) -> CropCells:
        """The same for some municipalities."""
        chosen = (zonal.Weights(part.matrix[rows], part.covered[rows]) for part in self.parts)
        return CropCells(self.since, tuple(chosen))


AnyPlace: TypeAlias = zonal.Place | CropCells


def has_cell(place: AnyPlace) -> NDArray[np.bool_]:
    """(municipality) True where at least one cell is assigned."""
    return zonal.has_cell(place.parts[0] if isinstance(place, CropCells) else place)


def take(values: ArrayLike, times: NDArray[np.datetime64], place: AnyPlace) -> NDArray[np.float32]:
    """Values of municipalities from a gridded field, see `zonal.take`.

    Args:
        values: (time, row, column).
        times: datetime64 of each.
        place: one cell, weights of a mean, or weights that depend on the month.

    Returns:
        (municipality, time) float32.
    """
    if not isinstance(place, CropCells):
        return zonal.take(values, place)
    field = np.asarray(values)
    months = times.astype("datetime64[M]").astype("datetime64[D]")
    part = np.maximum(np.searchsorted(place.since, months, side="right") - 1, 0)
    result = np.full((place.parts[0].matrix.shape[0], len(field)), np.nan, np.float32)
    for number in np.unique(part):
        chosen = np.flatnonzero(part == number)
        result[:, chosen] = zonal.take(field[chosen], place.parts[number])
    return result


def locate(
    latitude: NDArray[Any],
    longitude: NDArray[Any],
    mask: NDArray[np.bool_],
    static: xr.Dataset,
    mesh: Mapping[str, Any] | None,
    choice: CropChoice,
    folder: Path | None = None,
) -> tuple[CropCells, list[tuple[str, int]]]:
    """How a grid maps to the municipalities by their cropped cells, and what a reader should know.

    A municipality without cropped cells takes the mean over its polygon, and without polygon the nearest
    cell. Cells without values (sea) are left out of the mean.

    Args:
        latitude, longitude, mask, static, mesh, folder: as for `zonal.locate`.
        choice: weights.

    Raises:
        ConfigError, SchemaError: as `zonal.locate`; weights of another grid, of other places, or of cells
            outside this grid.
    """
    otherwise, notes = zonal.locate(latitude, longitude, mask, static, mesh, folder)
    count = len(latitude) * len(longitude)
    fallback = _as_weights(otherwise, count)
    rows = _rows_in(np.asarray(static["municipality"].values), choice.table)
    cells = _cells_in(latitude, longitude, choice.table)
    if not (rows >= 0).any():
        raise SchemaError("crop weights: expected weights of the store's places, received none of them", "")
    parts, since = [], []
    if choice.before == "polygon":
        parts.append(fallback)
        since.append(np.datetime64("0001-01-01"))
    for year, public in zip(
        choice.table["harvest_year"].values.tolist(), choice.table["public_from"].values, strict=True
    ):
        part, without = _part(choice.table, year, rows, cells, np.asarray(mask, bool).ravel(), fallback)
        parts.append(part)
        since.append(public.astype("datetime64[D]"))
        text = f"municipalities without {choice.table.attrs['crop']} in the map of {year}: mean over polygon"
        notes.append((text, without))
    if choice.before == "first-map":
        notes.append(
            (f"months before {choice.first} take the map of a later year: knowledge of the future", 1)
        )
    return CropCells(np.array(since, "datetime64[D]"), tuple(parts)), [one for one in notes if one[1]]


def _as_weights(place: zonal.Place, cells: int) -> zonal.Weights:
    if isinstance(place, zonal.Weights):
        return place
    rows = np.flatnonzero(place.cell >= 0)
    matrix = sparse.csr_matrix((np.ones(len(rows)), (rows, place.cell[rows])), (len(place.cell), cells))
    return zonal.Weights(matrix, np.full(len(place.cell), np.nan))


def _rows_in(codes: NDArray[Any], table: xr.Dataset) -> NDArray[np.int64]:
    """Row of the municipality of each entry, -1 for places that are not in the store's selection."""
    order = np.argsort(codes)
    position = np.searchsorted(codes[order], table["entry_municipality"].values)
    found = order[np.minimum(position, len(codes) - 1)]
    return np.where(codes[found] == table["entry_municipality"].values, found, -1)


def _cells_in(latitude: NDArray[Any], longitude: NDArray[Any], table: xr.Dataset) -> NDArray[np.int64]:
    """Flat index of the cell of each entry, -1 outside the grid."""
    step = float(table.attrs["step_deg"])
    index = []
    for axis, start, name in ((latitude, 90, "entry_row"), (longitude, 180, "entry_column")):
        number = (np.asarray(axis, float) + start) / step
        whole = np.round(number)
        if abs(zonal.spacing(axis) / step - 1) > _ALIGNED or np.abs(number - whole).max() > _ALIGNED:
            raise SchemaError(
                f"crop weights are for cells of {step:g} degrees ({table.attrs['grid']}), the weather has "
                f"steps of {zonal.spacing(axis):g} from {float(axis[0]):g} on",
                "Make the weights for this grid: yieldcast crop-type mask --grid era5|era5-land",
            )
        wanted = table[name].values.astype(np.int64)
        around = round(360 / step) if name == "entry_column" else 0
        numbers = whole.astype(np.int64)
        if around:
            numbers, wanted = numbers % around, wanted % around
        order = np.argsort(numbers)
        found = order[np.minimum(np.searchsorted(numbers[order], wanted), len(numbers) - 1)]
        index.append(np.where(numbers[found] == wanted, found, -1))
    row, column = index
    return np.where((row >= 0) & (column >= 0), row * len(longitude) + column, -1)


def _part(
    table: xr.Dataset,
    year: int,
    rows: NDArray[np.int64],
    cells: NDArray[np.int64],
    mask: NDArray[np.bool_],
    fallback: zonal.Weights,
) -> tuple[zonal.Weights, int]:
    """Weights of one year, and the number of municipalities that take the fallback."""
    mine = np.flatnonzero((table["entry_harvest_year"].values == year) & (rows >= 0))
    if (lost := int((cells[mine] < 0).sum())) > 0:
        raise SchemaError(
            f"crop weights of {year}: {lost} cells lie outside the grid of the weather",
            "Were they made with the boundaries of these places? Make them again: yieldcast crop-type mask",
        )
    on_land = mine[mask[cells[mine]]]
    values = (table["entry_weight"].values[on_land], (rows[on_land], cells[on_land]))
    matrix = sparse.csr_matrix(values, fallback.matrix.shape)
    total = np.asarray(matrix.sum(axis=1)).ravel()
    scale = np.divide(1.0, total, out=np.zeros(len(total)), where=total > 0)
    matrix = sparse.csr_matrix(
        sparse.diags(scale) @ matrix + sparse.diags((total == 0).astype(float)) @ fallback.matrix
    )
    matrix.eliminate_zeros()
    return zonal.Weights(matrix, fallback.covered), int((total == 0).sum())
