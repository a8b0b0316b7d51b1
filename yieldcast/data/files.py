"""Files written whole or not at all, netCDF without surprises, and fingerprints of contents."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from yieldcast.errors import MissingDataError

_LEFTOVER = re.compile(r"\..+\.\d+\.tmp(\.\w+)?")  # the temporary names of `atomic_write`


def fingerprint(ds: xr.Dataset) -> str:
    """SHA-256 over the contents of a dataset: the same for the same tables, whenever and however written.

    Counted in: names, dims, type, shape, values and units of all variables and coordinates. Left out:
    order of the variables, other attributes, compression, byte order, which NaN.
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


def atomic_write(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file whole or not at all: temporary name in the same folder, fsync, replace.

    Args:
        path: the final name; its folder must exist.
        write: writes to the temporary path that it is given (hidden, with the suffix of `path`).

    Raises:
        MissingDataError: the disk refuses (full, read-only, no permission, no such folder). The temporary
            file is removed on any failure, and an earlier file under `path` stays as it was.
    """
    # The process and a random number: processes of several hosts may share a number, and a folder.
    mark = f"{os.getpid()}{secrets.randbelow(10**6):06d}"
    temporary = path.with_name(f".{path.stem}.{mark}.tmp{path.suffix}")
    try:
        write(temporary)
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with suppress(OSError):  # the folder itself is out of reach; the first error says so
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of writers that were killed; call it only while the folder is held (`alone`)."""
    with suppress(OSError):  # they do no harm where they are
        for file in folder.glob(".*.tmp*"):
            if _LEFTOVER.fullmatch(file.name):
                file.unlink(missing_ok=True)


def atomic_text(path: Path, text: str) -> None:
    """`atomic_write` of a text in UTF-8."""
    atomic_write(path, lambda temporary: _write_bytes(temporary, text.encode()))


def write_netcdf(path: Path, ds: xr.Dataset) -> None:
    """Write a dataset atomically and read it back before it takes its place.

    Raises:
        MissingDataError: as `atomic_write`, or what is read back differs.
    """

    def write(temporary: Path) -> None:
        _write_bytes(temporary, _netcdf_bytes(ds))
        if fingerprint(read_netcdf(temporary)) != fingerprint(ds):
            raise OSError("it reads back differently than it was written")

    atomic_write(path, write)


def _netcdf_bytes(ds: xr.Dataset) -> memoryview:
    """The dataset as a compressed netCDF-4 file, texts and times in their plainest form."""
    # Made in memory: HDF5 crashes the process (segmentation fault at exit) when the disk fills under it.
    encoding: dict[str, dict[str, Any]] = {
        str(name): {"zlib": True, "complevel": 1}
        for name, array in ds.data_vars.items()
        if array.dtype.kind == "f" and array.size
    }
    if "time" in ds.coords:
        encoding["time"] = {"units": "days since 1970-01-01", "dtype": "int32"}
    with without_a_cluster():
        return ds.drop_encoding().to_netcdf(engine="h5netcdf", encoding=encoding)


@contextmanager
def without_a_cluster() -> Iterator[None]:
    """Where a Dask client is open, xarray asks its scheduler for a lock that fails on a file in memory."""
    dask: Any = sys.modules.get("dask")
    if dask is None:
        yield
        return
    with dask.config.set(scheduler="synchronous"):
        yield


def read_netcdf(file: Path) -> xr.Dataset:
    """Read what `write_netcdf` wrote, texts as fixed-width unicode whatever the versions of the libraries."""
    with open_hdf5(file) as opened:
        ds = opened.load()
    texts = {str(n): v.astype(str) for n, v in ds.variables.items() if v.dtype.kind in "OT"}
    return ds.assign({n: v for n, v in texts.items() if n not in ds.coords}).assign_coords(
        {n: v for n, v in texts.items() if n in ds.coords}
    )


def open_hdf5(file: Path) -> xr.Dataset:
    """Open a netCDF-4 file lazily; raises whatever h5py and xarray raise on a damaged one."""
    # Without this first look h5netcdf leaves a half-made object behind, which complains on stderr later.
    with h5py.File(file, "r") as handle:
        handle.attrs.get("_nc3_strict")
    return xr.open_dataset(file, engine="h5netcdf", decode_timedelta=False)


def _write_bytes(path: Path, content: bytes | memoryview) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and its parents where they are not there yet; MissingDataError when the disk refuses."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> MissingDataError:
    """The error to raise when the disk refuses to write `path`."""
    reason = error.strerror or str(error)
    return MissingDataError(
        f"cannot write {path}: {reason}",
        "Free space on the disk, or choose a folder that you may write to. What was there before is intact.",
    )


@contextmanager
def exclusive_lock(path: Path, other: str) -> Iterator[None]:
    """Hold a folder, so that a second writer is refused; the kernel lets go of it when a process dies.

    Args:
        path: a folder that exists.
        other: who holds it when it is refused, e.g. "another import is writing the store".

    Raises:
        MissingDataError: somebody else holds it.
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
    except OSError:  # a file system without locks: go on without
        pass
    try:
        yield
    finally:
        os.close(handle)


_UNFINISHED = ".writing-"


def write_folder_atomically(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder that appears under its name only when all of it is on the disk.

    Args:
        path: of the folder, which must not be there; its parent must.
        fill: writes the files into the hidden folder that it is given.

    Raises:
        MissingDataError: the disk refuses. What `fill` raises is passed on; either way nothing is left.
    """
    # The process and a random number: processes of several hosts may share a number, and a folder.
    mark = f"{os.getpid()}{secrets.randbelow(10**6):06d}"
    temporary = path.with_name(f"{_UNFINISHED}{path.name}-{mark}")
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
    """Remove what writers that were killed left behind; only while the parent is held (`disk.alone`)."""
    for place in parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(place, ignore_errors=True)


def file_facts(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file; OSError where it cannot be read."""
    with open(file, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
