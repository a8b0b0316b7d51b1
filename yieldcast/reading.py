"""A user's files as they come: CSV as texts with line numbers, netCDF, and plain words for anything else."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

import pandas as pd
import xarray as xr

from yieldcast.disk import open_hdf5
from yieldcast.errors import MissingDataError, SchemaError


def read_csv(path: Path, table: str) -> pd.DataFrame:
    """Read a CSV (``,``, ``;`` or tab; plain or gzip; UTF-8) as stripped texts, indexed by line number.

    Raises:
        MissingDataError: no such file.
        SchemaError: empty, not a CSV, not UTF-8, lines of different length, a column twice.
    """
    text = _decode(path, table)
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:  # not pandas' reader, which fills up short lines without a word
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise SchemaError(
            f"{path} ({table}): not a regular CSV: line {reader.line_num}: {error}", "Save it again as CSV."
        ) from error
    if len(lines) < 2:
        raise SchemaError(f"{path} ({table}): a header but no rows", "Is this the right file?")
    names = [name.strip() for name in lines.pop(0)[1]]
    uneven = [(number, len(row)) for number, row in lines if len(row) != len(names)]
    if uneven:
        raise SchemaError(
            f"{path} ({table}): expected {len(names)} columns as in the first line, received {uneven[0][1]} "
            f"on line {uneven[0][0]} ({len(uneven)} such lines)",
            "Is the file cut off, or a text with commas not quoted? Save or download it again.",
        )
    twice = sorted({n for n in names if names.count(n) > 1 and n})
    if twice:
        raise SchemaError(f"{path} ({table}): column {twice[0]!r} occurs twice", "Keep one of them.")
    frame = pd.DataFrame([row for _, row in lines], index=[n for n, _ in lines], columns=names, dtype=object)
    return frame.apply(lambda column: column.str.strip())


def open_netcdf(path: Path, table: str) -> xr.Dataset:
    """Open a netCDF-4 file lazily; use it in a ``with``.

    Raises:
        MissingDataError: no such file.
        SchemaError: empty, something else under that name, or damaged.
    """
    start = _first_bytes(path, table)
    if not start.startswith(b"\x89HDF\r\n\x1a\n"):
        raise SchemaError(
            f"{path} ({table}): expected netCDF-4 (HDF5), received {_looks_like(start)}: {start[:24]!r}",
            "Download or convert it again; `nccopy -k netCDF-4 old.nc new.nc` converts netCDF-3.",
        )
    try:
        return open_hdf5(path)
    except Exception as error:  # h5py raises many kinds on a damaged file
        raise damaged(path, table, error) from error


def damaged(path: Path, table: str, error: Exception) -> SchemaError:
    """The error for a netCDF file that opens or reads badly."""
    return SchemaError(
        f"{path} ({table}): not readable as netCDF-4: {error}",
        "Is it cut off? Copy or download it again. Are its times in days (not months) since a date?",
    )


def _first_bytes(path: Path, table: str) -> bytes:
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise MissingDataError(
            f"cannot read {path} ({table}): {error.strerror}", "Check the path and the permissions."
        ) from error
    if not start:
        raise SchemaError(f"{path} ({table}): the file is empty", "Copy or download it again.")
    return start


def _decode(path: Path, table: str) -> str:
    start = _first_bytes(path, table)
    zipped = start.startswith(b"\x1f\x8b")
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if zipped else content
        text = content.decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SchemaError(f"{path} ({table}): damaged gzip: {error}", "Copy or download it again.") from error
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"{path} ({table}): expected CSV in UTF-8, received {_looks_like(start)}: {start[:24]!r}",
            "Save it as CSV in UTF-8.",
        ) from error
    except OSError as error:
        raise MissingDataError(f"cannot read {path} ({table}): {error}", "Check the disk.") from error
    if not text.strip() or "\0" in text or text.lstrip().startswith("<"):
        kind = "nothing" if not text.strip() else _looks_like(content[:64])
        raise SchemaError(
            f"{path} ({table}): expected CSV, received {kind}: {content[:24]!r}", "Is it the right file?"
        )
    return text


def _looks_like(start: bytes) -> str:
    signatures = {
        b"\x89HDF": "netCDF-4 or HDF5",
        b"CDF": "netCDF-3",
        b"PK": "a zip or xlsx archive",
        b"\x1f\x8b": "gzip",
        b"<": "an HTML or XML page",
        b"GRIB": "GRIB",
        b"\xff\xfe": "UTF-16 text",
    }
    for signature, kind in signatures.items():
        if start.lstrip().startswith(signature):
            return kind
    return "text, perhaps CSV" if start.isascii() and b"\0" not in start else "unknown contents"
