"""Opens answers of the CDS, packed in any way, in one common layout."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

import xarray as xr

from data_fetchers.engine.source import RetryableError
from yieldcast.data.files import open_hdf5
from yieldcast.data.layout import one_version, rising_longitudes
from yieldcast.errors import FetchError

ZIP_LIMIT_bytes = 8_000_000_000
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK"
_OTHERS = {b"CDF": "a netCDF-3 file", b"GRIB": "a GRIB file"}
_TEXTS = {b"{": "a JSON text", b"[": "a JSON text", b"<": "a web page"}


def open_answer(path: Path, limit: int = ZIP_LIMIT_bytes) -> list[xr.Dataset]:
    """Open an answer of the CDS, netCDF-4 or a zip of netCDF-4 files (recognised by the first bytes).

    Datasets are opened lazily and the caller closes them. The members of a zip are read into memory: nothing
    is written to disk, and no name in the zip is used as a path. The layout is that of the CDS since late
    2024 (cads_adaptors/tools/convertors.py), which may change without notice.

    Args:
        path: the file; its name does not matter.
        limit: largest total size of the unpacked members of a zip (bytes).

    Returns:
        datasets with ``valid_time`` (renamed from ``time`` in older files), ``latitude`` rising or falling,
        ``longitude`` rising within -180 to 180, no scalar ``number``, and ``expver`` as text along
        ``valid_time`` if the file has it. With an ``expver`` dimension (older files) final values are taken,
        and preliminary ones where there is no final value.

    Raises:
        RetryableError: damaged or incomplete, or a text instead of data.
        FetchError: another format than requested, or an unsafe zip.
    """
    head = _head(path)
    if head.startswith(_HDF5):
        return [_opened(path, path.name)]
    if not head.startswith(_ZIP):
        raise _not_netcdf(head, path.name)
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as stack:
            opened = [_from_zip(archive, member, stack) for member in _members(archive, path.name, limit)]
            stack.pop_all()
            return opened
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise RetryableError(
            f"{path.name}: expected a complete zip, received a damaged one ({error})"
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[list[xr.Dataset]]:
    """Context of `open_answer` that closes the datasets; RetryableError if reading their values fails."""
    datasets = open_answer(path)
    try:
        yield datasets
    except OSError as error:
        raise RetryableError(
            f"{path.name}: expected readable values, received a damaged file ({error})"
        ) from error
    finally:
        for ds in datasets:
            ds.close()


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except FileNotFoundError as error:
        raise RetryableError(f"{path.name}: expected a file, found none") from error


def _not_netcdf(head: bytes, name: str) -> FetchError:
    for start, kind in _OTHERS.items():
        if head.startswith(start):
            return FetchError(
                f"{name}: expected netCDF-4 or a zip of it, received {kind}",
                "The service has changed its format; this version of yieldcast cannot read it.",
            )
    kind = _TEXTS.get(head.lstrip()[:1], "nothing" if not head else f"a file that begins with {head[:8]!r}")
    return RetryableError(f"{name}: expected netCDF-4 or a zip of it, received {kind}")


def _members(archive: zipfile.ZipFile, name: str, limit: int) -> list[zipfile.ZipInfo]:
    members = [m for m in archive.infolist() if not m.is_dir()]
    total = sum(m.file_size for m in members)
    if not members:
        raise RetryableError(f"{name}: expected netCDF files in the zip, it is empty")
    if total > limit:
        raise FetchError(
            f"{name}: expected at most {limit / 1e9:.1f} GB in the zip, it unpacks to {total / 1e9:.1f} GB",
            "This is more than was requested: refused.",
        )
    for member in members:
        if "\\" in member.filename or ":" in member.filename or member.filename.startswith("/"):
            raise _untrusted(name, member)
        if ".." in PurePosixPath(member.filename).parts:
            raise _untrusted(name, member)
    return members


def _untrusted(name: str, member: zipfile.ZipInfo) -> FetchError:
    return FetchError(
        f"{name}: expected plain file names in the zip, received {member.filename!r}",
        "Such a name could write outside the folder: refused, nothing was unpacked.",
    )


def _from_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo, stack: ExitStack) -> xr.Dataset:
    label = f"{Path(str(archive.filename)).name}: {member.filename}"
    with archive.open(member) as file:
        head = file.read(16)
        if not head.startswith(_HDF5):  # checked before the rest is unpacked
            raise _not_netcdf(head, label)
        ds = _opened(io.BytesIO(head + file.read(member.file_size)), label)
    stack.callback(ds.close)
    return ds


def _opened(file: Path | io.BytesIO, label: str) -> xr.Dataset:
    try:
        raw = open_hdf5(file)
    except (OSError, ValueError, KeyError) as error:
        raise RetryableError(
            f"{label}: expected a complete netCDF-4 file, received a damaged one ({error})"
        ) from error
    try:
        ds = _normal(raw)
    except BaseException:
        raw.close()
        raise
    ds.set_close(raw.close)
    return ds


def _normal(ds: xr.Dataset) -> xr.Dataset:
    if "time" in ds.variables and "valid_time" not in ds.variables:
        ds = ds.rename({"time": "valid_time"})
    if "valid_time" in ds.variables and ds["valid_time"].ndim == 0:
        ds = ds.set_coords("valid_time").expand_dims("valid_time")
    if "number" in ds.variables and ds["number"].ndim == 0:
        ds = ds.drop_vars("number")
    if "expver" in ds.dims:
        ds = one_version(ds, "valid_time")
    elif "expver" in ds.variables:
        text = ds["expver"].astype(str)
        if text.ndim == 0 and "valid_time" in ds.dims:
            text = text.expand_dims(valid_time=ds["valid_time"])
        ds = ds.assign_coords(expver=text)
    if "longitude" in ds.coords:
        ds = rising_longitudes(ds)
    return ds.transpose(..., "latitude", "longitude", missing_dims="ignore")
