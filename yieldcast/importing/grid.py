"""Gridded weather as services deliver it (CDS, NASA POWER, cfgrib), averaged to the places of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import crop_cells, zonal
from yieldcast.data.boundaries import boundaries_of
from yieldcast.data.crop_cells import AnyPlace, CropChoice
from yieldcast.data.layout import rising_longitudes
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog, shown
from yieldcast.importing.fields import NAMES, Found, find
from yieldcast.importing.netcdf import Opened, damaged, open_all
from yieldcast.importing.plausible import YEAR_OF_RAIN_mm
from yieldcast.importing.stamps import days_of, is_daily, of_ecmwf
from yieldcast.importing.weather import TABLE, UserWeather, weather_of
from yieldcast.variables import DAILY, QUANTITIES, WEATHER

_AXES = {"latitude": ("latitude", "lat", "y", "nav_lat"), "longitude": ("longitude", "lon", "x", "nav_lon")}
# Daily maxima and minima of the CDS are both named t2m: `tmax=FILE` says which a file holds.
ROLES = {QUANTITIES[name].base: name for name in WEATHER}
_BLOCK_bytes = 256_000_000
_MOST_CELLS = 50_000_000  # of one time step around the places
_EVEN = 0.02  # of a step: axes are rounded to float32 and to decimals in files
_MEANS = (
    "Give them too. t2m may be a mean, a daily maximum or a daily minimum: say which with tmax=FILE or "
    "tmin=FILE. Means alone are not enough: ask the CDS for daily statistics."
)
_HINT = "Give a file on a regular grid of latitude and longitude; other grids must be interpolated first."


class Piece(NamedTuple):
    """One variable of one file, at the places.

    Args:
        found: the variable.
        values: (municipality, time) in the units of the file.
        days: datetime64[D] of each.
        where: name of the file, for errors.
        ecmwf: it is a file of ECMWF.
    """

    found: Found
    values: NDArray[np.float32]
    days: NDArray[np.datetime64]
    where: str
    ecmwf: bool


def read_grid(
    given: Sequence[str],
    static: xr.Dataset,
    codes: Codes,
    mesh: Mapping[str, Any] | None,
    report: ImportLog,
    crop: CropChoice | None = None,
) -> UserWeather:
    """Weather of all places from gridded files, monthly or daily.

    Accumulated ``tp`` of ERA5's monthly means is read as metres per day (ECMWF, "ERA5: data documentation",
    monthly means: accumulations are per day), which its attribute units leaves out.

    Args:
        given: netCDF or zips of them, all on regular grids; together they have the three variables of
            weather. ``tmax=FILE`` says that the one variable of a file is the maximum (``tmin=``,
            ``precipitation=``).
        static: table of places.
        codes: the places.
        mesh: GeoJSON of the places for means over polygons; None takes the nearest cell.
        report: gets what was read, what was ignored and what is missing.
        crop: weights of cropped cells, see `yieldcast.data.crop_cells`; None for none. The grid must be
            theirs.

    Raises:
        ConfigError: polygons without exactextract installed; months before the first map of crops.
        MissingDataError: no such file.
        SchemaError: contents that are not gridded weather of these places.
    """
    places = _Places(static, mesh, report, crop)
    pieces: list[Piece] = []
    for text in given:
        role, path = split_role(text)
        with open_all(path, TABLE, report) as opened:
            for one in opened:
                pieces += _pieces(one, role, places, report)
    where = ", ".join(split_role(text)[1].name for text in given)
    missing = [name for name in WEATHER if name not in {piece.found.quantity.name for piece in pieces}]
    if missing:
        received = shown(sorted({piece.found.name for piece in pieces}))
        raise SchemaError(f"{where}: expected the variables {missing}, received {received}", _MEANS)
    ds = _joined(pieces, static["code"].values.astype(str), where)
    read = weather_of(ds, codes, report, where)
    attrs = {"extraction": "centroid" if mesh is None else "polygon"}
    if crop is not None:
        attrs = {"extraction": "crop-area", **crop.attributes}
    return read._replace(monthly=read.monthly.assign_attrs(attrs), attrs=read.attrs | attrs)


def split_role(text: str) -> tuple[str, Path]:
    """The quantity and the path of ``tmax=FILE``; an empty quantity for a path alone."""
    role, equals, path = text.partition("=")
    return (ROLES[role], Path(path)) if equals and role in ROLES else ("", Path(text))


class _Places:
    """The places on every grid of the files.

    Args:
        static: table of places.
        mesh: for polygons, or None.
        report: gets a line for each grid.
        crop: for means over cropped cells, or None.
    """

    def __init__(
        self,
        static: xr.Dataset,
        mesh: Mapping[str, Any] | None,
        report: ImportLog,
        crop: CropChoice | None = None,
    ) -> None:
        self.static, self.mesh, self.report, self.crop = static, mesh, report, crop
        lat, lon = static["latitude_deg"].values, static["longitude_deg"].values
        if mesh is not None:
            outlines = [polygon[0] for one in boundaries_of(mesh) for polygon in one.polygons]
            x, y = np.concatenate([np.empty((0, 2)), *outlines]).T
            lat, lon = np.concatenate([lat, y]), np.concatenate([lon, x])
        self.box = {"latitude": (lat.min(), lat.max()), "longitude": (lon.min(), lon.max())}
        self._known: dict[bytes, AnyPlace] = {}

    def around(self, ds: xr.Dataset, where: str) -> xr.Dataset:
        """The part of a grid around the places, two cells wider on each side."""
        kept = {}
        for name, (low, high) in self.box.items():
            axis = ds[name].values
            room = 2 * zonal.spacing(axis)
            inside = np.flatnonzero((axis >= low - room) & (axis <= high + room))
            if len(inside) < 2:
                raise SchemaError(
                    f"{where}: expected a grid that covers the places, from {low:.2f} to {high:.2f} degrees "
                    f"of {name}, received {axis.min():.2f} to {axis.max():.2f}",
                    "Is it the file of another region?",
                )
            kept[name] = slice(int(inside[0]), int(inside[-1]) + 1)
        part = ds.isel(kept)
        if part.sizes["latitude"] * part.sizes["longitude"] > _MOST_CELLS:
            raise SchemaError(
                f"{where}: expected a grid of weather, received {part.sizes['latitude']} x "
                f"{part.sizes['longitude']} cells around the places",
                "Average it to 0.01 degrees or more first.",
            )
        return part

    def on(self, latitude: NDArray[Any], longitude: NDArray[Any], mask: NDArray[np.bool_]) -> AnyPlace:
        """How a grid maps to the places; the same for the same grid and mask."""
        key = b"|".join(np.ascontiguousarray(a).tobytes() for a in (latitude, longitude, mask))
        if key not in self._known:
            place: AnyPlace
            if self.crop is not None:
                place, notes = crop_cells.locate(latitude, longitude, mask, self.static, self.mesh, self.crop)
            else:
                place, notes = zonal.locate(latitude, longitude, mask, self.static, self.mesh)
            self._known[key] = place
            found = int(crop_cells.has_cell(place).sum())
            if not found:
                raise SchemaError(f"{TABLE}: no place lies in the grid", "Is it the file of another region?")
            kind = "the nearest cell" if self.mesh is None else "means over their polygons"
            kind = kind if self.crop is None else "means over their cropped cells"
            size = f"{len(latitude)} x {len(longitude)} cells"
            self.report.read.append((TABLE, f"places take {kind} of a grid of {size}", found))
            self.report.warnings.extend((TABLE, text, count) for text, count in notes)
        return self._known[key]


def _pieces(opened: Opened, role: str, places: _Places, report: ImportLog) -> list[Piece]:
    where = opened.label
    ds = _regular(opened.ds, where)
    if role:
        ds = _with_role(ds, role, where)
    found, others = find(ds, (*WEATHER, *DAILY), where)
    found = {name: one for name, one in found.items() if name in WEATHER}
    if not found:
        raise SchemaError(f"{where}: expected gridded weather, received {shown(ds.data_vars)}", _which(ds))
    report.extras(TABLE, [name for name in others if set(ds[name].dims) >= {"latitude", "longitude"}])
    days = days_of(ds, where, TABLE, report)
    part = places.around(ds, where)
    return [
        Piece(one, _at_places(part[one.name], days, places, where), days, where, of_ecmwf(ds))
        for one in found.values()
    ]


def _which(ds: xr.Dataset) -> str:
    if "t2m" in ds.data_vars:
        return _MEANS
    return f"Names that are known: {', '.join(names[0] for names in NAMES.values())}, T2M_MAX, tp, ..."


def _with_role(ds: xr.Dataset, role: str, where: str) -> xr.Dataset:
    """The dataset with its one gridded variable named as the role says."""
    gridded = [name for name, array in ds.data_vars.items() if set(array.dims) >= {"latitude", "longitude"}]
    if len(gridded) != 1:
        raise SchemaError(
            f"{where}: expected one variable, the {QUANTITIES[role].english.lower()}, received "
            f"{shown(gridded)}",
            "Give the file without NAME=, and name its variables.",
        )
    return ds.rename({gridded[0]: QUANTITIES[role].base})


def _regular(ds: xr.Dataset, where: str) -> xr.Dataset:
    """The dataset with the dims latitude and longitude, evenly spaced, longitude within -180 to 180."""
    for name, others in _AXES.items():
        lower = {str(dim).lower(): dim for dim in ds.dims}
        found: Any = next((lower[other] for other in others if other in lower), None)
        if found is None or found not in ds.coords or ds[found].dtype.kind not in "fiu":
            sizes = ", ".join(f"{dim} ({size})" for dim, size in ds.sizes.items())
            raise SchemaError(f"{where}: expected an axis {name} in degrees, received dims {sizes}", _HINT)
        ds = ds.rename({found: name}) if found != name else ds
    if "time" not in ds.dims:
        raise SchemaError(
            f"{where}: expected an axis time, received {shown(ds.dims)}", "Is it the right file?"
        )
    ds = rising_longitudes(ds)
    for name, limit in (("latitude", 90.0), ("longitude", 180.0)):
        axis = ds[name].values.astype(float)
        steps = np.diff(axis)
        even = len(steps) > 0 and np.abs(steps - steps.mean()).max() <= _EVEN * abs(steps.mean())
        if not even or np.abs(axis).max() > limit:
            raise SchemaError(
                f"{where}: expected an evenly spaced {name} in degrees, received {len(axis)} values from "
                f"{axis[0]:g} to {axis[-1]:g}",
                _HINT,
            )
    return ds


def _at_places(
    array: xr.DataArray, days: NDArray[np.datetime64], places: _Places, where: str
) -> NDArray[np.float32]:
    """(municipality, time) values of a variable, read in blocks of time steps."""
    if places.crop is not None and len(days):
        places.crop.refuse_before(days.min())
    if set(array.dims) != {"time", "latitude", "longitude"}:
        sizes = ", ".join(f"{dim} ({size})" for dim, size in array.sizes.items())
        raise SchemaError(
            f"{where}: expected {array.name} over time, latitude and longitude, received {sizes}",
            "Select one value of the other dims.",
        )
    if array.dtype.kind not in "fiu":
        raise SchemaError(f"{where}: expected {array.name} to hold numbers, received {array.dtype}", _HINT)
    array = array.transpose("time", "latitude", "longitude")
    count, step = array.sizes["time"], array[0].size * 8
    block = max(1, _BLOCK_bytes // step)
    result = np.empty((places.static.sizes["municipality"], count), np.float32)
    mask: NDArray[np.bool_] | None = None
    for start in range(0, count, block):
        part = slice(start, start + block)
        try:
            values = array[part].values
        except Exception as error:  # h5py raises many kinds on a damaged file
            raise damaged(where, error) from error
        mask = np.isfinite(values).any(axis=0) if mask is None else mask
        place = places.on(array["latitude"].values, array["longitude"].values, mask)
        result[:, part] = crop_cells.take(values, days[part], place)
    return result


def _joined(pieces: Sequence[Piece], codes: NDArray[np.str_], where: str) -> xr.Dataset:
    """The pieces as one dataset of places and days, in the units of the files."""
    every = np.unique(np.concatenate([piece.days for piece in pieces]))
    daily = {piece.where: is_daily(piece.days, piece.where) for piece in pieces if len(piece.days) > 1}
    if len(set(daily.values())) > 1:
        one, other = (
            next(name for name, kind in daily.items() if kind == wanted) for wanted in (True, False)
        )
        raise SchemaError(
            f"{where}: expected all files daily or all monthly, received days in {one} and months in {other}",
            "Average or sum the days to months first, or give days of both.",
        )
    monthly = not is_daily(every, where)
    arrays: dict[str, tuple[tuple[str, str], NDArray[np.float32], dict[str, str]]] = {}
    for name in {piece.found.quantity.name: None for piece in pieces}:
        own = [piece for piece in pieces if piece.found.quantity.name == name]
        units = {_units(piece, monthly) for piece in own}
        if len(units) > 1:
            raise SchemaError(
                f"{where}: {name} in several units: {shown(sorted(units))}", "Convert the files."
            )
        values = np.full((len(codes), len(every)), np.nan, np.float32)
        taken = np.zeros(len(every), bool)
        for piece in own:
            column = np.searchsorted(every, piece.days)
            if taken[column].any():
                day = every[column[taken[column]][0]]
                raise SchemaError(
                    f"{where}: {name} of {day} occurs in two files, the second {piece.where}", "Keep one."
                )
            values[:, column], taken[column] = piece.values, True
        arrays[QUANTITIES[name].base] = (("municipality", "time"), values, {"units": units.pop()})
    coords = {"municipality": codes, "time": every.astype("datetime64[ns]")}
    return xr.Dataset(arrays, coords)


def _units(piece: Piece, monthly: bool) -> str:
    """Units of a piece, with what ERA5's monthly means leave out."""
    found = piece.found
    if monthly and piece.ecmwf and found.name.lower() in ("mx2t", "mn2t"):
        raise SchemaError(
            f"{piece.where}: {found.name} of monthly means is the mean of hourly extremes, not of daily ones",
            "Ask the CDS for daily statistics of 2m_temperature (daily maximum and minimum).",
        )
    if monthly and found.name.lower() == "tp" and found.units.strip().lower() in ("m", "metre", "metres"):
        year_mm = float(np.nanmean(piece.values)) * 1000 * 365.25
        low, high = YEAR_OF_RAIN_mm
        if not low <= year_mm <= high:
            raise SchemaError(
                f"{piece.where}: tp in m: as metres per day, which monthly means of ERA5 have, a year has "
                f"{year_mm:.4g} mm; as sums of months {year_mm * 12 / 365.25:.4g} mm",
                "Set its attribute units: m/day, or mm/month for sums in mm.",
            )
        return "m/day"
    return found.units
