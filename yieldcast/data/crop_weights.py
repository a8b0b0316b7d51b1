"""The table of crop areas from maps: of each municipality, and of each weather cell within it, by year.

It is what ``yieldcast crop-type mask`` writes. A map says nothing before its season is over: `public_from` is
the first day on which the areas and weights of a year may be used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import schema
from yieldcast.data.files import read_netcdf, write_netcdf
from yieldcast.errors import MissingDataError, SchemaError

TABLE = "crop weights"
GRIDS: Mapping[str, float] = {"era5": 0.25, "era5-land": 0.1}  # steps (degrees), see data_fetchers.era5
ATTRIBUTES = ("title", "crop", "grid", "step_deg", "maps", "fallback")
_REMAKE = "Make it with: yieldcast crop-type mask MAP... --places MESH --crop CROP --out WEIGHTS"
_AREAS = ("crop_ha", "other_ha")  # of the pixels of the crop, and of all other pixels with a class
# Of the pixels mapped as the crop, and of the others: the share that is truly the crop, and the variance of
# that share as the reference points tell it; 1, 0 and NaN where there are none.
SHARES = ("crop_share", "other_share")
VARIANCES = ("crop_share_variance", "other_share_variance")
_ENTRY = {
    "entry_harvest_year": "int16", "entry_municipality": "int32", "entry_row": "int32",
    "entry_column": "int32", "entry_ha": "float64", "entry_weight": "float64",
}  # fmt: skip


def check_crop_weights(ds: xr.Dataset) -> xr.Dataset:
    """Check the table and return it.

    Args:
        ds: coordinates harvest_year (int16, sorted) and municipality (int32, sorted); crop_ha and other_ha
            (harvest_year, municipality) float64, mapped area of the crop and of all other classes (ha);
            polygon_ha (municipality); last_day and public_from (harvest_year) datetime64[ns], the last day of
            the season and the first day of use; `SHARES` and `VARIANCES` (harvest_year) float64; and for each
            cell with crop pixels (entry): its year and municipality, entry_row and entry_column (int32, its
            number from the south pole and from 180 degrees west, in steps of `step_deg`), entry_ha (ha) and
            entry_weight, which sum to 1 over each year and municipality. Attributes `ATTRIBUTES`.

    Raises:
        SchemaError: the table differs.
    """
    if lost := [name for name in ATTRIBUTES if name not in ds.attrs]:
        raise SchemaError(f"{TABLE}: expected the attributes {ATTRIBUTES}, received none of {lost}", _REMAKE)
    schema.check_coordinate(ds, TABLE, "harvest_year", "int16")
    schema.check_coordinate(ds, TABLE, "municipality", "int32")
    names = (*_AREAS, "polygon_ha", "last_day", "public_from", *SHARES, *VARIANCES, *_ENTRY)
    schema.check_names(ds, TABLE, names, ())
    for name in _AREAS:
        schema.check_array(ds, TABLE, name, ("harvest_year", "municipality"), "float64")
        schema.refuse(ds[name], TABLE, ~(ds[name].values >= 0), "an area of 0 ha or more", _REMAKE)
    schema.check_array(ds, TABLE, "polygon_ha", ("municipality",), "float64")
    for name in (*SHARES, *VARIANCES):
        schema.check_array(ds, TABLE, name, ("harvest_year",), "float64")
    for name in SHARES:
        inside = (ds[name].values >= 0) & (ds[name].values <= 1)
        schema.refuse(ds[name], TABLE, ~inside, "a share of 0 to 1", _REMAKE)
    for name in ("last_day", "public_from"):
        schema.check_array(ds, TABLE, name, ("harvest_year",), "datetime64[ns]")
    early = ~(ds["public_from"].values > ds["last_day"].values)  # also NaT
    schema.refuse(ds["public_from"], TABLE, early, "a day after the last day of the season", _REMAKE)
    steps = np.diff(ds["public_from"].values.astype("datetime64[D]")).astype(np.int64)
    falls = np.concatenate([[False], steps < 0])
    schema.refuse(ds["public_from"], TABLE, falls, "days in the order of the years", _REMAKE)
    _check_entries(ds)
    return ds


def _check_entries(ds: xr.Dataset) -> None:
    for name, dtype in _ENTRY.items():
        schema.check_array(ds, TABLE, name, ("entry",), dtype)
    years, codes = ds["harvest_year"].values, ds["municipality"].values
    known = np.isin(ds["entry_harvest_year"].values, years) & np.isin(ds["entry_municipality"].values, codes)
    if not known.all():
        raise SchemaError(
            f"{TABLE}: expected cells of the table's years and municipalities, received others", _REMAKE
        )
    if ds.sizes["entry"]:
        sums = _sums_of(ds, "entry_weight")
        wrong = (sums != 0) & ~(np.abs(sums - 1) < 1e-6)
        schema.refuse(ds["crop_ha"], TABLE, wrong, "weights of cells that sum to 1", _REMAKE)
    areas = _sums_of(ds, "entry_ha")
    apart = ~(np.abs(areas - ds["crop_ha"].values) <= 1e-6 * ds["crop_ha"].values + 1e-6)
    schema.refuse(ds["crop_ha"], TABLE, apart, "the sum of the areas in the cells", _REMAKE)


def _sums_of(ds: xr.Dataset, name: str) -> NDArray[np.float64]:
    """(harvest year, municipality) sums over the cells."""
    sums = np.zeros((ds.sizes["harvest_year"], ds.sizes["municipality"]))
    year = np.searchsorted(ds["harvest_year"].values, ds["entry_harvest_year"].values)
    place = np.searchsorted(ds["municipality"].values, ds["entry_municipality"].values)
    np.add.at(sums, (year, place), ds[name].values)
    return sums


def write_crop_weights(path: Path, ds: xr.Dataset) -> None:
    """Check and write the table; after an error there is no file.

    Raises:
        SchemaError: see `check_crop_weights`.
        MissingDataError: the file cannot be written.
    """
    write_netcdf(path, check_crop_weights(ds))


def read_crop_weights(path: Path) -> xr.Dataset:
    """Read and check a file of `write_crop_weights`.

    Raises:
        MissingDataError: no such file.
        SchemaError: it cannot be read, or is another table.
    """
    if not path.is_file():
        raise MissingDataError(f"no file {path}", _REMAKE)
    try:
        ds = read_netcdf(path)
    except Exception as error:  # h5py raises many kinds on a damaged file
        raise SchemaError(f"{path}: expected crop weights, it cannot be read ({error})", _REMAKE) from error
    try:
        return check_crop_weights(ds)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}", error.hint) from error


def year_in_force(ds: xr.Dataset, day: dt.date | np.datetime64) -> int:
    """Position of the newest year that may be used on a day; -1 where there is none yet."""
    public = ds["public_from"].values.astype("datetime64[D]")
    return int(np.searchsorted(public, np.datetime64(day).astype("datetime64[D]"), side="right")) - 1


def crop_area_ha(
    ds: xr.Dataset, position: int, rows: NDArray[Any] | slice = slice(None)
) -> tuple[float, float]:
    """Area of the crop in some municipalities together, and its standard error (ha).

    The mapped areas of the crop and of the rest are corrected with the shares that reference points tell
    (Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015, equations 9 to 11). For a part of the map the shares
    are those of the whole map, so that errors of municipalities are not independent: areas are added before
    their error is computed.

    Args:
        ds: checked table, or one year of it with the same names.
        position: of the harvest year.
        rows: (municipality) True or positions of those to add; all by default.

    Returns:
        area, and its standard error; the mapped area and NaN without reference points.
    """
    one = ds.isel(harvest_year=position)
    mapped = [float(one[name].values[rows].sum()) for name in _AREAS]
    area = sum(m * float(one[share]) for m, share in zip(mapped, SHARES, strict=True))
    variance = sum(m**2 * float(one[name]) for m, name in zip(mapped, VARIANCES, strict=True))
    return area, float(np.sqrt(variance))
