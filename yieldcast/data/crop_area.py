"""The store's table of crop areas from maps: of each municipality, by map, with the first day of use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import schema
from yieldcast.data.crop_weights import SHARES, VARIANCES
from yieldcast.errors import SchemaError

TABLE = "crop_area"
_REIMPORT = "Import it again: yieldcast import --crop-area WEIGHTS"
_AREAS = ("crop_ha", "other_ha")
_DAYS = ("last_day", "public_from")


class MappedArea(NamedTuple):
    """Area of a crop from the newest map that was public on a day.

    Args:
        harvest_year: of the map.
        public_from: first day on which it may be used.
        area_ha, error_ha: (municipality) corrected area and its standard error; NaN outside the map, the
            error also where the map has no reference points.
        whole_ha, whole_error_ha: (group) the same of groups of municipalities, see `mapped_area`.
    """

    harvest_year: int
    public_from: dt.date
    area_ha: NDArray[np.float64]
    error_ha: NDArray[np.float64]
    whole_ha: NDArray[np.float64]
    whole_error_ha: NDArray[np.float64]


def check_crop_area(ds: xr.Dataset) -> xr.Dataset:
    """Check the table and return it.

    Args:
        ds: dim map, sorted by crop and harvest year, each pair once: crop (text), harvest_year (int16),
            last_day and public_from (datetime64[ns]), and what reference points say (see
            `yieldcast.data.crop_weights`); municipality (int32, sorted); crop_ha and other_ha (map,
            municipality) float64, mapped area (ha), NaN outside the map.

    Raises:
        SchemaError: the table differs.
    """
    schema.check_coordinate(ds, TABLE, "municipality", "int32")
    schema.check_names(ds, TABLE, (*_AREAS, "crop", "harvest_year", *_DAYS, *SHARES, *VARIANCES), ())
    types = {"crop": "text", "harvest_year": "int16"} | dict.fromkeys(_DAYS, "datetime64[ns]")
    for name, dtype in (types | dict.fromkeys((*SHARES, *VARIANCES), "float64")).items():
        schema.check_array(ds, TABLE, name, ("map",), dtype)
    for name in _AREAS:
        schema.check_array(ds, TABLE, name, ("map", "municipality"), "float64")
        schema.refuse(ds[name], TABLE, ds[name].values < 0, "an area of 0 ha or more", _REIMPORT)
    early = ~(ds["public_from"].values > ds["last_day"].values)  # also NaT
    schema.refuse(ds["public_from"], TABLE, early, "a day after the last day of the season", _REIMPORT)
    keys = list(zip(ds["crop"].values.astype(str).tolist(), ds["harvest_year"].values.tolist(), strict=True))
    if not keys or keys != sorted(set(keys)):
        raise SchemaError(
            f"{TABLE}: expected maps sorted by crop and harvest year, each once, received {keys}", _REIMPORT
        )
    return ds


def crop_area_table(
    weights: Sequence[xr.Dataset], municipalities: NDArray[np.int32], earlier: xr.Dataset | None = None
) -> xr.Dataset:
    """The table of several files of weights; a newer map of a crop and year replaces an earlier one.

    Args:
        weights: checked, see `yieldcast.data.crop_weights.check_crop_weights`.
        municipalities: codes of the store; others are left out.
        earlier: table of the store, or None.

    Raises:
        SchemaError: weights without any of the municipalities.
    """
    parts: dict[tuple[str, int], xr.Dataset] = {}
    for position in range(earlier.sizes["map"] if earlier is not None else 0):
        one = earlier.isel(map=position) if earlier is not None else xr.Dataset()
        parts[str(one["crop"].item()), int(one["harvest_year"])] = one.reindex(municipality=municipalities)
    for table in weights:
        if not np.isin(municipalities, table["municipality"].values).any():
            raise SchemaError(
                f"crop weights of {table.attrs['crop']}: expected places of the store, received none of them",
                "Make them with --places STORE.",
            )
        for position, year in enumerate(table["harvest_year"].values.tolist()):
            parts[str(table.attrs["crop"]), year] = _of_map(table, position).reindex(
                municipality=municipalities
            )
    made = xr.concat([parts[key] for key in sorted(parts)], "map", data_vars="all")
    return check_crop_area(made.transpose("map", "municipality"))


def _of_map(table: xr.Dataset, position: int) -> xr.Dataset:
    """One year of weights; places that the map does not show have no area."""
    one = table.isel(harvest_year=position)
    inside = (one["crop_ha"] + one["other_ha"]) > 0
    data = {name: one[name].where(inside) for name in _AREAS}
    data |= {name: one[name] for name in (*_DAYS, *SHARES, *VARIANCES)}
    found = xr.Dataset(data).drop_vars("harvest_year")
    return found.assign(
        crop=((), np.str_(table.attrs["crop"])), harvest_year=((), np.int16(one["harvest_year"].item()))
    )


def mapped_area(
    ds: xr.Dataset,
    crop: str,
    as_of: dt.date,
    municipalities: NDArray[np.int32],
    groups: Sequence[NDArray[np.bool_]] = (),
) -> MappedArea | None:
    """Area of a crop from the newest map that was public on a day; None where there is none.

    The error of a group is that of the summed mapped areas, because the errors of municipalities of one map
    are not independent (see `yieldcast.data.crop_weights.crop_area_ha`).

    Args:
        ds: checked table.
        crop: key.
        as_of: day of the forecast.
        municipalities: codes, the order of the result.
        groups: (municipality) True for the members of each.
    """
    public = ds["public_from"].values.astype("datetime64[D]")
    mine = np.flatnonzero((ds["crop"].values.astype(str) == crop) & (public <= np.datetime64(as_of)))
    if not mine.size:
        return None
    newest = ds.isel(map=mine[np.argmax(public[mine])])
    areas = newest.reindex(municipality=municipalities)
    mapped = np.stack([areas[name].values for name in _AREAS])
    shares = np.array([float(newest[name]) for name in SHARES])
    variances = np.array([float(newest[name]) for name in VARIANCES])

    def corrected(ha: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return shares @ ha, np.sqrt(variances @ ha**2)

    known = np.isfinite(mapped[0])
    sums = [
        mapped[:, members & known].sum(axis=1) if (members & known).any() else np.full(2, np.nan)
        for members in groups
    ]
    whole = corrected(np.array(sums).reshape(-1, 2).T)
    day = newest["public_from"].values.astype("datetime64[D]").item()
    return MappedArea(int(newest["harvest_year"]), day, *corrected(mapped), *whole)
