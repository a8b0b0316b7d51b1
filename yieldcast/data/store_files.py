"""The files of a store's folder: the manifest that says which belong together, tables, boundaries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast.data.files import atomic_text, fingerprint, plain_name, remove_leftovers, write_netcdf
from yieldcast.data.store_tables import TABLE_FILE, TABLES
from yieldcast.errors import MissingDataError

FORMAT = 1
MANIFEST = "store.json"
AGAIN = "Run the import or the fetch again: it replaces the table."
_MAKE = "Make one with `yieldcast import` from your own tables or with `yieldcast fetch all`."


def tables_of(manifest: Mapping[str, Any]) -> list[str]:
    """Names of the tables in a manifest."""
    return [table for table in TABLES if table in manifest["tables"]]


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the store in a folder.

    Raises:
        MissingDataError: no manifest, a damaged one, or one of another format.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"no data store at {path}", _MAKE) from None
    except OSError as error:
        raise MissingDataError(f"the data store at {path} cannot be read: {error}", _MAKE) from error
    except ValueError as error:
        raise MissingDataError(f"{path / MANIFEST} is damaged: {error}", AGAIN) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise MissingDataError(
            f"{path / MANIFEST}: expected store format {FORMAT}, received {found!r}",
            f"It was written by another version of yieldcast. {AGAIN}",
        )
    try:
        entries = [manifest["tables"][t] for t in tables_of(manifest)]
        complete = bool(entries) and all({"file", "fingerprint"} <= entry.keys() for entry in entries)
        complete = complete and {"written", "sources"} <= manifest.keys()
        for name in (*(str(entry["file"]) for entry in entries), manifest.get("mesh") or "no mesh"):
            plain_name(name, MANIFEST)  # nothing outside the folder is read or removed
    except (KeyError, AttributeError, TypeError):
        complete = False
    if not complete:
        raise MissingDataError(f"{path / MANIFEST} is damaged: entries are missing", AGAIN)
    return manifest


def files_in_use(path: Path) -> set[str]:
    """Names of the table files and the mesh of the store in a folder; empty without a store."""
    try:
        contents = read_manifest(path)
    except MissingDataError:
        return set()
    return {*(str(entry["file"]) for entry in contents["tables"].values()), str(contents.get("mesh"))}


def write_table(path: Path, table: str, ds: xr.Dataset) -> dict[str, Any]:
    """Write a table; returns its entry of the manifest."""
    mark = fingerprint(ds)
    file = path / f"{table}-{mark[:12]}.nc"
    write_netcdf(file, ds)
    return {"file": file.name, "fingerprint": mark, "bytes": file.stat().st_size}


def write_mesh(path: Path, mesh: str) -> str:
    """Write boundaries, a GeoJSON text; returns the name of the file."""
    name = f"mesh-{hashlib.sha256(mesh.encode()).hexdigest()[:12]}.geojson"
    atomic_text(path / name, mesh)
    return name


def remove_stale(path: Path, keep: set[str]) -> None:
    """Remove tables and boundaries that are not of the names in `keep`."""
    with suppress(OSError):  # the manifest is replaced: files that cannot be removed do no harm
        for file in path.iterdir():
            if TABLE_FILE.fullmatch(file.name) and file.name not in keep:
                file.unlink(missing_ok=True)
    remove_leftovers(path)
