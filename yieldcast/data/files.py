"""Files and folders that are written completely or not at all, netCDF files, fingerprints and locks."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from yieldcast.errors import MissingDataError, SchemaError

_LEFTOVER = re.compile(r"\..+\.\d+\.tmp(\.\w+)?")  # temporary names of `atomic_write`
_UNFINISHED = ".writing-"  # start of the temporary names of `write_folder_atomically`


def fingerprint(ds: xr.Dataset) -> str:
    """SHA-256 of the contents of a dataset: equal for equal tables, whenever and however they were written.

    It covers names, dims, type, shape, values and units of all variables and coordinates, but not the order
    of the variables, other attributes, compression, byte order and the bits of a NaN.
    """
    digest = hashlib.sha256()
    for name in sorted(ds.variables, key=str):
        array = ds.variables[name]
        values, is_text = array.values, array.values.dtype.kind in "UOT"
        kind = "text" if is_text else values.dtype.newbyteorder("<").str
        head = [
            str(name),
            list(map(str, array.dims)),
            kind,
            list(array.shape),
            str(array.attrs.get("units", "")),
        ]
        digest.update(json.dumps(head).encode())
        if is_text:
            digest.update(json.dumps([str(v) for v in values.ravel()]).encode())
        else:
            if values.dtype.kind == "f":
                values = np.where(np.isnan(values), values.dtype.type(np.nan), values)
            digest.update(np.ascontiguousarray(values.astype(kind)).tobytes())
    return digest.hexdigest()


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file completely or not at all: to a temporary name in the same folder, fsync, replace.

    Args:
        path: the final name; its folder must exist.
        write: writes to its argument, a temporary path (hidden, with the suffix of `path`).

    Raises:
        MissingDataError: the disk refuses (full, read-only, no permission, no such folder). The temporary
            file is removed after any failure, and an earlier file at `path` is unchanged.
    """
    temporary = path.with_name(f".{path.stem}.{_unique_number()}.tmp{path.suffix}")
    try:
        # A name that nobody can have planted: O_EXCL follows no link and takes no file that exists.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        write(temporary)
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with suppress(OSError):  # where the folder cannot be reached, the first error says so
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes; only while holding the folder's `exclusive_lock`."""
    with suppress(OSError):  # they do no harm
        for file in folder.glob(".*.tmp*"):
            if _LEFTOVER.fullmatch(file.name):
                file.unlink(missing_ok=True)


def atomic_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 with `atomic_write`."""
    atomic_write(path, lambda temporary: temporary.write_bytes(text.encode()))


def write_netcdf(path: Path, ds: xr.Dataset) -> None:
    """Write a dataset with `atomic_write`, after reading it back from the temporary file.

    Raises:
        MissingDataError: as `atomic_write`, or the contents read back differ.
    """

    def write(temporary: Path) -> None:
        temporary.write_bytes(_netcdf_bytes(ds))
        if fingerprint(read_netcdf(temporary)) != fingerprint(ds):
            raise OSError("the contents read back differ from those written")

    atomic_write(path, write)


def _netcdf_bytes(ds: xr.Dataset) -> bytes:
    """The dataset as a compressed netCDF-4 file."""
    encoding: dict[str, dict[str, Any]] = {
        str(name): {"zlib": True, "complevel": 1}
        for name, array in ds.data_vars.items()
        if array.dtype.kind == "f" and array.size
    }
    if "time" in ds.coords:
        encoding["time"] = {"units": "days since 1970-01-01", "dtype": "int32"}
    for name, array in ds.data_vars.items():
        if array.dtype.kind == "M" and np.isnat(array.values).any():  # by itself xarray would write floats
            units = "seconds since 1970-01-01"
            encoding[str(name)] = {"units": units, "dtype": "int64", "_FillValue": np.int64(-(2**63))}
    return netcdf_content(ds.drop_encoding(), encoding)


def netcdf_content(ds: xr.Dataset, encoding: Mapping[str, Any] | None = None) -> bytes:
    """The dataset as a netCDF-4 file, byte for byte the same for the same dataset and libraries.

    In memory: when the disk becomes full, HDF5 crashes the process (segmentation fault at exit). Not through
    `to_netcdf`, whose files hold the time at which they were written.

    Args:
        ds: the variables are written in their order.
        encoding: how each variable is stored, by name, as in `xarray.Dataset.to_netcdf`.
    """
    order = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED  # as netCDF-4 demands
    creation, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    creation.set_link_creation_order(order)
    creation.set_attr_creation_order(order)
    creation.set_obj_track_times(False)
    access.set_fapl_core(1 << 20, backing_store=False)
    file = h5py.h5f.create(b"in memory", h5py.h5f.ACC_TRUNC, creation, access)
    with h5py.File(file) as handle:
        with h5netcdf.File(handle, "a") as opened:
            ds.dump_to_store(xr.backends.H5NetCDFStore(opened), encoding=encoding)
        handle.flush()
        content: bytes = file.get_file_image()
        return content


def read_netcdf(file: Path) -> xr.Dataset:
    """Read a file of `write_netcdf`; texts are fixed-width Unicode with all versions of the libraries."""
    with open_hdf5(file) as opened:
        ds = opened.load()
    texts = {str(n): v.astype(str) for n, v in ds.variables.items() if v.dtype.kind in "OT"}
    return ds.assign({n: v for n, v in texts.items() if n not in ds.coords}).assign_coords(
        {n: v for n, v in texts.items() if n in ds.coords}
    )


def open_hdf5(file: Path | IO[bytes], decode_times: bool = True) -> xr.Dataset:
    """Open a netCDF-4 file lazily; on a damaged one h5py and xarray raise errors of many types."""
    # h5netcdf alone leaves an incomplete object after an error, which writes to stderr when it is deleted.
    with h5py.File(file, "r") as handle:
        handle.attrs.get("_nc3_strict")
    return xr.open_dataset(file, engine="h5netcdf", decode_times=decode_times, decode_timedelta=False)


def make_folder(path: Path) -> None:
    """Make a folder and its parents unless they exist; MissingDataError when the disk refuses."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(path, error) from error


def check_writable(path: Path) -> None:
    """Refuse a folder that cannot be made or written; nothing is made. MissingDataError, as `make_folder`."""
    place = Path(path).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise disk_error(path, NotADirectoryError(errno.ENOTDIR, f"{place} is not a folder"))
    if not os.access(place, os.W_OK | os.X_OK):
        raise disk_error(path, PermissionError(errno.EACCES, f"{place} may not be written"))


def disk_error(path: Path, error: OSError) -> MissingDataError:
    """The error to raise when the disk refuses to write `path`."""
    reason = error.strerror or str(error)
    return MissingDataError(
        f"cannot write {path}: {reason}",
        "Free space on the disk, or choose a folder that you may write to. Earlier files are unchanged.",
    )


@contextmanager
def exclusive_lock(path: Path, other: str) -> Iterator[None]:
    """Lock a folder against other writers; the kernel removes the lock when the process ends.

    Args:
        path: a folder that exists.
        other: start of the error when another process has the lock, e.g. "another import is writing the
            store".

    Raises:
        MissingDataError: another process has the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise MissingDataError(f"{other} {path}", "Wait until it ends, then try again.") from None
    except OSError:  # a file system without locks: continue without one
        pass
    try:
        yield
    finally:
        os.close(handle)


def write_folder_atomically(path: Path, fill: Callable[[Path], None]) -> None:
    """Write a folder that has its name only when all of its files are on the disk.

    Args:
        path: the folder, which must not exist; its parent must.
        fill: writes the files into its argument, a hidden folder.

    Raises:
        MissingDataError: the disk refuses. Errors of `fill` are passed on. After any failure nothing is left.
    """
    temporary = path.with_name(f"{_UNFINISHED}{path.name}-{_unique_number()}")
    try:
        temporary.mkdir()
        fill(temporary)
        for one in (*temporary.rglob("*"), temporary):
            _sync(one)
        os.rename(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(parent: Path) -> None:
    """Remove incomplete folders of killed processes; only while holding the parent's `exclusive_lock`."""
    for place in parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(place, ignore_errors=True)


def file_facts(file: Path) -> dict[str, Any]:
    """Size (bytes) and SHA-256 of a file; OSError where it cannot be read."""
    with open(file, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _unique_number() -> str:
    # Processes on several hosts may have the same process number and write into the same folder; nobody shall
    # guess the name.
    return f"{os.getpid()}{secrets.randbelow(10**12):012d}"


def plain_name(name: str, what: str) -> str:
    """The name, if a file or folder of this name lies in its folder and nowhere else.

    Args:
        name: as it stands in data or in a file that somebody may have changed.
        what: names it in the error, e.g. "crop".

    Raises:
        SchemaError: it is empty, starts with a dot, is longer than 150 bytes, or holds a slash, a backslash
            or a control character.
    """
    wrong = not name or name[0] == "." or len(name.encode()) > 150
    if wrong or any(c in "/\\" or unicodedata.category(c).startswith("C") for c in name):
        raise SchemaError(
            f"{what}: expected a name that can be part of a file name, received {name!r}",
            "Use letters, digits, spaces and hyphens; no slashes, and no dot at the start.",
        )
    return name


def no_links(path: str, flags: int) -> int:
    """`opener` of `open` for files whose names are known before they are written: no link is followed.

    Raises:
        OSError: the name is a symbolic link (ELOOP).
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
