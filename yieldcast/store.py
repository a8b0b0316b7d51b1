"""The data store: three checked tables and a manifest in one folder, replaced whole or not at all.

A table lies in ``<table>-<first 12 of its fingerprint>.nc``; ``store.json`` names the three that belong
together and is replaced last, so an import that is cut off leaves the earlier store as it was.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from yieldcast import schema, variables
from yieldcast.disk import (
    alone,
    atomic_text,
    fingerprint,
    make_folder,
    read_netcdf,
    remove_leftovers,
    write_netcdf,
)
from yieldcast.errors import MissingDataError, SchemaError

FORMAT = 1
MANIFEST = "store.json"
_TABLE_FILE = re.compile(r"(static|weather|yields)-[0-9a-f]{12}\.nc")
_IMPORT = "Run `yieldcast import` with your own tables to make a store here."
_AGAIN = "Run the import again: it replaces the store."


class Tables(NamedTuple):
    """The three tables that belong together; see `yieldcast.schema` for what each must hold."""

    static: xr.Dataset
    weather: xr.Dataset
    yields: xr.Dataset


class Store:
    """Tables on disk, read when first asked for and verified against the manifest.

    Args:
        path: the folder.
        manifest: contents of its ``store.json``; use `Store.open` or `Store.write` to get one.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = path
        self._manifest = manifest
        self.fingerprints: dict[str, str] = {t: manifest["tables"][t]["fingerprint"] for t in Tables._fields}

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open an existing store.

        Raises:
            MissingDataError: no store there, or a manifest that is broken or of another format.
            SchemaError: a table file that the manifest names is gone.
        """
        path = Path(path)
        store = cls(path, _read_manifest(path))
        for table in Tables._fields:
            if not store._file(table).is_file():
                raise SchemaError(
                    f"the store {path} is damaged: {store._file(table).name} is not there", _AGAIN
                )
        return store

    @classmethod
    def write(cls, path: Path, tables: Tables, sources: Mapping[str, Any]) -> Store:
        """Check the tables, write them and switch the store over to them.

        Args:
            path: the folder, made when it is not there.
            tables: static, weather, yields; weather and yields may hold fewer municipalities than static.
            sources: where the tables come from, anything JSON can hold; shown by `status`.

        Raises:
            SchemaError: a table breaks its contract; nothing is written.
            MissingDataError: the disk refuses or another import is at work; the earlier store is intact.
        """
        _check(tables)
        path = Path(path)
        make_folder(path)
        with alone(path, "another import is writing the store"):
            try:
                entries = {t: _write_table(path, t, ds) for t, ds in tables._asdict().items()}
                now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                manifest = {"format": FORMAT, "written": now, "sources": dict(sources), "tables": entries}
                atomic_text(path / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False))
            finally:
                # After a failure the earlier store's tables are in use: what was written for this one goes.
                _remove_stale(path, _files_in_use(path))
        return cls(path, manifest)

    @cached_property
    def static(self) -> xr.Dataset:
        """Places and soil."""
        return schema.check_static(self._load("static"))

    @cached_property
    def weather(self) -> xr.Dataset:
        """Monthly weather."""
        return schema.check_weather(self._load("weather"))

    @cached_property
    def yields(self) -> xr.Dataset:
        """Yields, areas, production."""
        return schema.check_yields(self._load("yields"))

    @property
    def tables(self) -> Tables:
        """All three."""
        return Tables(self.static, self.weather, self.yields)

    def status(self) -> dict[str, Any]:
        """What the store holds and lacks: path, written, sources, and per table file, size and gaps."""
        tables = {"static": _static_status, "weather": _weather_status, "yields": _yields_status}
        entries = self._manifest["tables"]
        return {
            "path": str(self.path),
            "written": self._manifest["written"],
            "sources": self._manifest["sources"],
            "tables": {t: {**entries[t], **about(getattr(self, t))} for t, about in tables.items()},
        }

    def _file(self, table: str) -> Path:
        return self.path / str(self._manifest["tables"][table]["file"])

    def _load(self, table: str) -> xr.Dataset:
        file, expected = self._file(table), self.fingerprints[table]
        try:
            ds = read_netcdf(file)
        except FileNotFoundError:
            raise MissingDataError(
                f"the store {self.path} was replaced while it was read", "Start the same command again."
            ) from None
        except Exception as error:  # h5py raises many kinds on a damaged file
            raise SchemaError(
                f"the store {self.path} is damaged: {file.name} cannot be read ({error})", _AGAIN
            ) from error
        if fingerprint(ds) != expected:
            raise SchemaError(
                f"the store {self.path} is damaged: the contents of {file.name} are not those written", _AGAIN
            )
        return ds


def _check(tables: Tables) -> None:
    schema.check_static(tables.static)
    known = tables.static["municipality"].values
    for table, ds in (
        ("weather", schema.check_weather(tables.weather)),
        ("yields", schema.check_yields(tables.yields)),
    ):
        unknown = np.setdiff1d(ds["municipality"].values, known)
        if unknown.size:
            raise SchemaError(
                f"{table}: expected municipalities of the static table, received {unknown.size} others, "
                f"first {unknown[:5].tolist()}",
                "Add them to the static table or drop their rows.",
            )


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"no data store at {path}", _IMPORT) from None
    except OSError as error:
        raise MissingDataError(f"the data store at {path} cannot be read: {error}", _IMPORT) from error
    except ValueError as error:
        raise MissingDataError(f"{path / MANIFEST} is broken: {error}", _AGAIN) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise MissingDataError(
            f"{path / MANIFEST}: expected store format {FORMAT}, received {found!r}",
            f"It was written by another version of yieldcast. {_AGAIN}",
        )
    try:
        complete = all({"file", "fingerprint"} <= manifest["tables"][t].keys() for t in Tables._fields)
        complete = complete and {"written", "sources"} <= manifest.keys()
    except (KeyError, AttributeError, TypeError):
        complete = False
    if not complete:
        raise MissingDataError(f"{path / MANIFEST} is broken: entries are missing", _AGAIN)
    return manifest


def _write_table(path: Path, table: str, ds: xr.Dataset) -> dict[str, Any]:
    mark = fingerprint(ds)
    file = path / f"{table}-{mark[:12]}.nc"
    write_netcdf(file, ds)
    return {"file": file.name, "fingerprint": mark, "bytes": file.stat().st_size}


def _files_in_use(path: Path) -> set[str]:
    try:
        entries = _read_manifest(path)["tables"].values()
    except MissingDataError:
        return set()
    return {str(entry["file"]) for entry in entries}


def _remove_stale(path: Path, keep: set[str]) -> None:
    with suppress(OSError):  # the new store is in place: what cannot be removed does no harm
        for file in path.iterdir():
            if _TABLE_FILE.fullmatch(file.name) and file.name not in keep:
                file.unlink(missing_ok=True)
    remove_leftovers(path)


def _static_status(ds: xr.Dataset) -> dict[str, Any]:
    soil = [name for name in variables.SOIL if name in ds]
    known = np.zeros(ds.sizes["municipality"], dtype=bool)
    for name in soil:
        known |= ~np.isnan(ds[name].values).all(axis=1)
    return {
        "municipalities": ds.sizes["municipality"],
        "states": sorted(set(ds["state"].values.tolist())),
        "soil_variables": soil,
        "soil_layers": ds["soil_layer"].values.tolist() if "soil_layer" in ds.coords else [],
        "municipalities_without_soil": int((~known).sum()),
    }


def _weather_status(ds: xr.Dataset) -> dict[str, Any]:
    missing = np.isnan(np.stack([ds[name].values for name in variables.WEATHER])).any(axis=0)
    months = ds["time"].values.astype("datetime64[M]").astype(str)
    return {
        "municipalities": ds.sizes["municipality"],
        "months": len(months),
        "first_month": str(months[0]),
        "last_month": str(months[-1]),
        "variables": sorted(map(str, ds.data_vars)),
        "municipalities_without_weather": int(missing.all(axis=1).sum()),
        "missing_months": months[missing.all(axis=0)].tolist(),
        "missing_cells": int(missing.sum()),
    }


def _yields_status(ds: xr.Dataset) -> dict[str, Any]:
    crops = {}
    for crop, values in zip(ds["crop"].values.tolist(), ds["yield_kg_ha"].values, strict=True):
        present = ~np.isnan(values)
        years = ds["harvest_year"].values[present.any(axis=0)].tolist()
        crops[crop] = {
            "rows": int(present.sum()),
            "municipalities": int(present.any(axis=1).sum()),
            "first_harvest_year": years[0] if years else None,
            "last_harvest_year": years[-1] if years else None,
            "missing_years": sorted(set(range(years[0], years[-1])) - set(years)) if years else [],
        }
    return {"variables": sorted(map(str, ds.data_vars)), "crops": crops}
