"""A user's netCDF, packed and named in the usual ways, opened in one layout with the dim ``time``."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import h5py
import numpy as np
import xarray as xr

from yieldcast.data.files import open_hdf5
from yieldcast.data.layout import one_version
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import code_column
from yieldcast.importing.columns import ImportLog, first_bytes, looks_like, shown
from yieldcast.language import message, sentence

_HDF5, _NETCDF_3, _ZIP = b"\x89HDF\r\n\x1a\n", (b"CDF\x01", b"CDF\x02"), b"PK\x03\x04"
# Contents of a zip are unpacked in memory. Sizes that a file claims are checked before anything is read:
# real fields do not become 200 times smaller by compression, and the axes of a country are short.
ZIP_LIMIT_bytes = 400_000_000
FIELD_LIMIT_bytes = 4_000_000_000
_AXIS_LIMIT_bytes = 50_000_000
_CHUNK_LIMIT_bytes = 400_000_000
_MOST_COMPRESSED, _SMALL_bytes = 200, 100_000_000
_TIMES = (
    "time",
    "valid_time",
    "date",
    "datetime",
    "dates",
    "times",
    "t",
    "data",
    "month",
    "mes",
    "day",
    "dia",
)
# Dims that say which of several versions or levels; with one value they say nothing.
_SINGLE = (
    "number", "realization", "member", "ensemble", "height", "heightaboveground", "level", "lev", "z",
    "surface", "depth", "step", "expver", "band",
)  # fmt: skip
_OTHER_FORMATS = {
    "GRIB": "Convert it, `cdo -f nc4 copy FILE.grib FILE.nc`, or with cfgrib: "
    "xarray.open_dataset(FILE, engine='cfgrib').to_netcdf('FILE.nc'); or download it as netCDF.",
    "gzip": "Unpack it first, `gunzip FILE.gz`.",
    "netCDF-3": "Convert it, `nccopy -k netCDF-4 old.nc new.nc`.",
}


class Opened(NamedTuple):
    """One netCDF of a file.

    Args:
        label: name for messages: the file, and its name in a zip.
        ds: opened lazily, with times as numbers and values as they are scaled.
    """

    label: str
    ds: xr.Dataset


@contextmanager
def open_netcdf(path: Path, table: str, report: ImportLog) -> Iterator[xr.Dataset]:
    """Open a file that holds one netCDF; see `open_all`. SchemaError where a zip holds several."""
    with open_all(path, table, report) as opened:
        if len(opened) > 1:
            raise SchemaError(
                f"{path} ({table}): expected one netCDF, received a zip with {len(opened)}: "
                f"{shown(one.label.rsplit(': ', 1)[-1] for one in opened)}",
                "Unpack it and merge the files, or give gridded ones with --weather-grid.",
            )
        yield opened[0].ds


@contextmanager
def open_all(path: Path, table: str, report: ImportLog) -> Iterator[list[Opened]]:
    """Open netCDF-4, netCDF-3, or a zip of such files, whatever its name; closed at the end of the context.

    Dims with one value that choose a version or a level are dropped, versions of ERA5 merged, and time has
    the name ``time``. Nothing of a zip is written to disk.

    Args:
        path: the file.
        table: that is made of it, for errors.
        report: gets what was unpacked and merged.

    Raises:
        MissingDataError: no such file.
        SchemaError: empty, another format, damaged, or larger than its content can be.
    """
    start = first_bytes(path, table)
    where = f"{path} ({table})"
    with ExitStack() as stack:
        if start.startswith(_ZIP):
            opened = _from_zip(path, table, stack)
            report.read.append(
                (table, sentence("netCDF unpacked from a zip: {name}", name=path.name), len(opened))
            )
        else:
            opened = [_opened(path, start, where, path.stat().st_size, stack)]
        yield [Opened(label, _laid_out(ds, table, label, report)) for label, ds in opened]


def damaged(where: str, error: Exception) -> SchemaError:
    """The error for a netCDF file that cannot be opened or read."""
    return SchemaError(
        f"{where}: not readable as netCDF-4: {error}", "Is it incomplete? Copy or download it again."
    )


def refuse_large(array: xr.DataArray, where: str) -> None:
    """SchemaError for a field that claims more values than can be meant."""
    size = array.size * array.dtype.itemsize
    if size > FIELD_LIMIT_bytes:
        raise _too_large(where, str(array.name), size, FIELD_LIMIT_bytes)


def _too_large(where: str, name: str, size: float, limit: float) -> SchemaError:
    return SchemaError(
        f"{where}: expected {name} with at most {limit / 1e6:,.0f} MB, it claims {size / 1e6:,.0f} MB",
        "Nothing was read. Is the file damaged? Give fewer years in one file.",
    )


def _opened(file: Path | IO[bytes], start: bytes, where: str, size: int, stack: ExitStack) -> Opened:
    try:
        if start.startswith(_HDF5):
            _refuse_bombs(file, where)
            ds = open_hdf5(file, decode_times=False)
        elif start.startswith(_NETCDF_3):
            if size > FIELD_LIMIT_bytes:
                raise _too_large(where, "a file", size, FIELD_LIMIT_bytes)
            ds = xr.open_dataset(file, engine="scipy", decode_times=False, decode_timedelta=False)
        else:
            kind = looks_like(start)
            raise SchemaError(
                f"{where}: expected netCDF-4 (HDF5), received {kind}: {start[:24]!r}",
                _OTHER_FORMATS.get(kind, "Is it the right file? Download or convert it again."),
            )
    except SchemaError:
        raise
    except Exception as error:  # h5py and scipy raise many kinds on a damaged file
        raise damaged(where, error) from error
    stack.callback(ds.close)
    return Opened(where, ds)


def _refuse_bombs(file: Path | IO[bytes], where: str) -> None:
    """SchemaError where a variable claims sizes that its bytes in the file cannot hold."""
    with h5py.File(file, "r") as handle:
        for name, item in handle.items():
            if not isinstance(item, h5py.Dataset) or item.shape is None:
                continue
            size = item.size * item.dtype.itemsize
            if len(item.shape) <= 1 and size > _AXIS_LIMIT_bytes:
                raise _too_large(where, name, size, _AXIS_LIMIT_bytes)
            chunk = float(np.prod(item.chunks or (0,), dtype=float)) * item.dtype.itemsize
            if chunk > _CHUNK_LIMIT_bytes:
                raise _too_large(where, f"pieces of {name}", chunk, _CHUNK_LIMIT_bytes)
            stored = item.id.get_storage_size()
            if size > max(_SMALL_bytes, _MOST_COMPRESSED * stored):
                raise _too_large(where, name, size, max(_SMALL_bytes, _MOST_COMPRESSED * stored))


def _from_zip(path: Path, table: str, stack: ExitStack) -> list[Opened]:
    where = f"{path} ({table})"
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and "__MACOSX" not in m.filename]
            total = sum(m.file_size for m in members)
            if total > ZIP_LIMIT_bytes:
                raise SchemaError(
                    f"{where}: expected a zip that unpacks to at most {ZIP_LIMIT_bytes / 1e6:,.0f} MB, this "
                    f"one claims {total / 1e6:,.0f} MB",
                    "Unpack it yourself and give the netCDF files in it.",
                )
            return [_unpacked(archive, member, path, table, stack) for member in _netcdf(members, where)]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise SchemaError(f"{where}: damaged zip: {error}", "Copy or download it again.") from error


def _netcdf(members: list[zipfile.ZipInfo], where: str) -> list[zipfile.ZipInfo]:
    """The members with netCDF by their names; all of them where none is named so."""
    found = [m for m in members if m.filename.lower().endswith((".nc", ".nc4", ".cdf", ".netcdf"))]
    if not members or (not found and len(members) > 1):
        names = shown(m.filename for m in members) or "nothing"
        raise SchemaError(
            f"{where}: expected netCDF, received a zip or xlsx archive with {names}",
            "Give the netCDF file. A GRIB file must be converted first, for example with cfgrib.",
        )
    return found or members


def _unpacked(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, table: str, stack: ExitStack
) -> Opened:
    # The name of a member is only shown: nothing is written to disk.
    content = archive.read(member)
    label = f"{path} ({table}): {member.filename}"
    return _opened(io.BytesIO(content), content[:64], label, len(content), stack)


def _laid_out(ds: xr.Dataset, table: str, where: str, report: ImportLog) -> xr.Dataset:
    ds = _with_time(ds)
    single = {dim: 0 for dim in ds.dims if str(dim).lower() in _SINGLE and ds.sizes[dim] == 1}
    if single:
        ds = ds.isel(single, drop=True)
        report.read.append(
            (
                table,
                sentence("dims with one value, left out: {names}", names=", ".join(map(str, single))),
                len(single),
            )
        )
    if "expver" in ds.dims and "time" in ds.dims:
        try:
            ds = one_version(ds, "time")
        except (ValueError, TypeError) as error:
            raise SchemaError(
                f"{where}: expver: expected 1 and 5, received other values ({error})"
            ) from error
        report.read.append((table, message("preliminary and final values merged (expver)"), 1))
    return _with_codes(ds, where)


def _with_time(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with its axis of time named ``time``."""
    if "time" not in ds.dims:
        lower = {str(dim).lower(): dim for dim in ds.dims}
        found: Any = next((lower[name] for name in _TIMES if name in lower), None)
        found = found or next((d for d in ds.dims if d in ds.coords and _is_time(ds[d])), None)
        if found is not None:
            ds = ds.drop_vars("time", errors="ignore").rename({found: "time"})
    named = [n for n in ("valid_time", "time") if n in ds.variables and ds[n].dims == ("time",)]
    if "time" in ds.dims and named[:1] == ["valid_time"]:  # cfgrib: time is the start of a forecast
        axis = ds["valid_time"]
        ds = ds.drop_vars([name for name in ("time", "valid_time") if name in ds.variables])
        ds = ds.assign_coords(time=("time", axis.values, axis.attrs))
    for name in ("valid_time", "time"):
        if "time" not in ds.dims and name in ds.variables and ds[name].ndim == 0:
            ds = ds.rename({name: "time"}) if name != "time" else ds
            ds = ds.set_coords("time").expand_dims("time")
    return ds.set_coords("time") if "time" in ds.variables else ds


def _is_time(axis: xr.DataArray) -> bool:
    attrs = axis.attrs
    return (
        attrs.get("standard_name") == "time"
        or attrs.get("axis") == "T"
        or " since " in str(attrs.get("units", ""))
    )


def _with_codes(ds: xr.Dataset, where: str) -> xr.Dataset:
    """The dataset with codes of places that lie beside their dim (a plain index) as its coordinate."""
    single = [str(n) for n, v in ds.variables.items() if len(v.dims) == 1 and v.dims[0] not in ("time", n)]
    if code_column([str(d) for d in ds.dims], where, needed=False) is None:
        name = code_column(single, where, needed=False)
        if name is not None:
            return ds.set_coords(name).swap_dims({ds[name].dims[0]: name})
    return ds
