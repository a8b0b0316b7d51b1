"""The data store: checked tables and a manifest in one folder, replaced whole or not at all.

A table lies in ``<table>-<first 12 of its fingerprint>.nc``; ``store.json`` names those that belong together
and is replaced last, so an import or fetch that is cut off leaves the earlier store as it was. A store that
is being filled by `yieldcast fetch` may lack tables; one from an import has places, weather and yields.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from yieldcast.data import inventory, schema
from yieldcast.data import schema as seasonal_table
from yieldcast.data.files import (
    atomic_text,
    exclusive_lock,
    fingerprint,
    make_folder,
    read_netcdf,
    remove_leftovers,
    write_netcdf,
)
from yieldcast.data.summary import store_summary, summary_html, summary_text
from yieldcast.errors import MissingDataError, SchemaError

FORMAT = 1
FILE = "store.json"
TABLES = ("static", "weather", "yields", "seasonal")
AGAIN = "Run the import or the fetch again: it replaces the table."
_MAKE = "Make one with `yieldcast import` from your own tables or with `yieldcast fetch all`."


def tables_of(manifest: Mapping[str, Any]) -> list[str]:
    """Names of the tables that a manifest lists."""
    return [table for table in TABLES if table in manifest["tables"]]


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the store in a folder.

    Raises:
        MissingDataError: none there, or one that is broken or of another format.
    """
    try:
        manifest = json.loads((path / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"no data store at {path}", _MAKE) from None
    except OSError as error:
        raise MissingDataError(f"the data store at {path} cannot be read: {error}", _MAKE) from error
    except ValueError as error:
        raise MissingDataError(f"{path / FILE} is broken: {error}", AGAIN) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise MissingDataError(
            f"{path / FILE}: expected store format {FORMAT}, received {found!r}",
            f"It was written by another version of yieldcast. {AGAIN}",
        )
    try:
        entries = [manifest["tables"][t] for t in tables_of(manifest)]
        complete = bool(entries) and all({"file", "fingerprint"} <= entry.keys() for entry in entries)
        complete = complete and {"written", "sources"} <= manifest.keys()
    except (KeyError, AttributeError, TypeError):
        complete = False
    if not complete:
        raise MissingDataError(f"{path / FILE} is broken: entries are missing", AGAIN)
    return manifest


def files_in_use(path: Path) -> set[str]:
    """Names of the files that the store in a folder consists of; none where there is no store."""
    try:
        contents = read_manifest(path)
    except MissingDataError:
        return set()
    return {*(str(entry["file"]) for entry in contents["tables"].values()), str(contents.get("mesh"))}


_TABLE_FILE = re.compile(r"(static|weather|yields|seasonal)-[0-9a-f]{12}\.nc|mesh-[0-9a-f]{12}\.geojson")
_CHECKS = {
    "static": schema.check_static,
    "weather": schema.check_weather,
    "yields": schema.check_yields,
    "seasonal": seasonal_table.check_seasonal,
}
_GET = {
    "static": "Get the places: `yieldcast fetch places`.",
    "weather": "Get it: `yieldcast fetch weather --years ...`.",
    "yields": "Get them: `yieldcast fetch yields --years ...`.",
    "seasonal": "Get it: `yieldcast fetch seasonal --starts ...`.",
}


class Tables(NamedTuple):
    """The three tables that belong together; see `yieldcast.data.schema` for what each must hold."""

    static: xr.Dataset
    weather: xr.Dataset
    yields: xr.Dataset


class Store:
    """Tables on disk, read when first asked for and verified against the manifest.

    Args:
        path: the folder.
        contents: of its ``store.json``; use `Store.open` or `Store.write` to get one.
    """

    def __init__(self, path: Path, contents: Mapping[str, Any]) -> None:
        self.path = path
        self._contents = contents
        entries = contents["tables"]
        self.fingerprints: dict[str, str] = {
            t: entries[t]["fingerprint"] for t in Tables._fields if t in entries
        }

    @classmethod
    def open(cls, path: Path, damaged: bool = False) -> Store:
        """Open an existing store.

        Args:
            path: the folder.
            damaged: take tables whose file is gone as not there, so that they can be made again.

        Raises:
            MissingDataError: no store there, or a manifest that is broken or of another format.
            SchemaError: a table file that the manifest names is gone.
        """
        path = Path(path)
        contents = read_manifest(path)
        if damaged:
            there = {t: e for t, e in contents["tables"].items() if (path / str(e["file"])).is_file()}
            contents = {**contents, "tables": there}
        store = cls(path, contents)
        for table in tables_of(store._contents):
            if not store._file(table).is_file():
                raise SchemaError(
                    f"the store {path} is damaged: {store._file(table).name} is not there", AGAIN
                )
        return store

    @classmethod
    def write(cls, path: Path, tables: Tables, sources: Mapping[str, Any], mesh: str | None = None) -> Store:
        """Check the tables, write them and switch the store over to them.

        Args:
            path: the folder, made when it is not there.
            tables: static, weather, yields; weather and yields may hold fewer municipalities than static.
            sources: where the tables come from, anything JSON can hold; shown by `status`.
            mesh: boundaries of the municipalities, a GeoJSON text, or None.

        Raises:
            SchemaError: a table breaks its contract; nothing is written.
            MissingDataError: the disk refuses or another import is at work; the earlier store is intact.
        """
        return cls._replace(Path(path), tables._asdict(), sources, mesh, keep=False)

    @classmethod
    def update(
        cls,
        path: Path,
        tables: Mapping[str, xr.Dataset],
        sources: Mapping[str, Any],
        mesh: str | None = None,
        drop: Collection[str] = (),
    ) -> Store:
        """Replace some tables of a store, or begin one; the others stay, but for damaged ones.

        Args:
            path: the folder, made when it is not there.
            tables: of static, weather, yields, seasonal.
            sources: where they come from, merged into what the store says of the others.
            mesh: boundaries of the municipalities, a GeoJSON text; None leaves them.
            drop: tables to leave out, and names to leave out of what the store says of its sources.

        Raises:
            SchemaError, MissingDataError: as `write`, also when the tables no longer fit together.
        """
        return cls._replace(Path(path), tables, sources, mesh, keep=True, drop=drop)

    @classmethod
    def _replace(
        cls,
        path: Path,
        tables: Mapping[str, xr.Dataset],
        sources: Mapping[str, Any],
        mesh: str | None,
        keep: bool,
        drop: Collection[str] = (),
    ) -> Store:
        for table, ds in tables.items():
            _CHECKS[table](ds)
        if not keep:
            _refuse_strangers(tables, None)  # before the folder is made
        make_folder(path)
        with exclusive_lock(path, "another import or fetch is writing the store"):
            exists = keep and (path / FILE).exists()
            earlier = cls.open(path, damaged=True)._without({*drop, *tables}) if exists else None
            _refuse_strangers(tables, earlier)
            old = earlier._contents if earlier else {"tables": {}, "sources": {}}
            try:
                entries = {t: _write_table(path, t, ds) for t, ds in tables.items()}
                contents: dict[str, Any] = {
                    "format": FORMAT,
                    "written": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                    "sources": {**old["sources"], **sources},
                    "tables": {**old["tables"], **entries},
                    "mesh": _write_mesh(path, mesh) if mesh is not None else old.get("mesh"),
                }
                atomic_text(path / FILE, json.dumps(contents, indent=2, ensure_ascii=False))
            finally:
                # After a failure the earlier store's tables are in use: what was written for this one goes.
                _remove_stale(path, files_in_use(path))
        return cls(path, contents)

    def _without(self, tables: Collection[str]) -> Store:
        """This store less some tables, and less those that cannot be read."""
        kept = {}
        for table, entry in self._contents["tables"].items():
            if table in tables:
                continue
            with suppress(SchemaError):
                self._load(table)
                kept[table] = entry
        sources = {k: v for k, v in self._contents["sources"].items() if k not in tables}
        return Store(self.path, {**self._contents, "tables": kept, "sources": sources})

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

    @cached_property
    def seasonal(self) -> xr.Dataset:
        """Seasonal forecasts as anomalies, see `yieldcast.forecasting.scenarios`."""
        return seasonal_table.check_seasonal(self._load("seasonal"))

    @property
    def mesh(self) -> Path | None:
        """The file with the boundaries of the municipalities (GeoJSON), or None."""
        name = self._contents.get("mesh")
        return self.path / str(name) if name else None

    def __contains__(self, table: str) -> bool:
        return table in self._contents["tables"]

    @property
    def sources(self) -> dict[str, Any]:
        """Where the tables come from, as they were written."""
        return dict(self._contents["sources"])

    @property
    def tables(self) -> Tables:
        """Places, weather and yields; MissingDataError when one is not there yet."""
        return Tables(self.static, self.weather, self.yields)

    def status(self) -> dict[str, Any]:
        """What the store holds and lacks: path, written, sources, and per table file, size and gaps."""
        entries = self._contents["tables"]
        present = [t for t in _CHECKS if t in entries]
        return {
            "path": str(self.path),
            "written": self._contents["written"],
            "sources": self._contents["sources"],
            "mesh": self._contents.get("mesh"),
            "tables": {t: {**entries[t], **inventory.table_inventory(t, getattr(self, t))} for t in present},
        }

    def __repr__(self) -> str:
        return summary_text(*store_summary(self.path, self._contents, vars(self)))

    def _repr_html_(self) -> str:
        return summary_html(*store_summary(self.path, self._contents, vars(self)))

    def _file(self, table: str) -> Path:
        return self.path / str(self._contents["tables"][table]["file"])

    def _load(self, table: str) -> xr.Dataset:
        if table not in self:
            raise MissingDataError(f"the store {self.path} has no {table} yet", _GET[table])
        file, expected = self._file(table), self._contents["tables"][table]["fingerprint"]
        try:
            ds = read_netcdf(file)
        except FileNotFoundError:
            raise MissingDataError(
                f"the store {self.path} was replaced while it was read", "Start the same command again."
            ) from None
        except Exception as error:  # h5py raises many kinds on a damaged file
            raise SchemaError(
                f"the store {self.path} is damaged: {file.name} cannot be read ({error})", AGAIN
            ) from error
        if fingerprint(ds) != expected:
            raise SchemaError(
                f"the store {self.path} is damaged: the contents of {file.name} are not those written",
                AGAIN,
            )
        return ds


def _refuse_strangers(tables: Mapping[str, xr.Dataset], earlier: Store | None) -> None:
    """Every municipality of a table, new or kept, must be in the table of places."""

    def get(table: str) -> xr.Dataset | None:
        if table in tables:
            return tables[table]
        return getattr(earlier, table) if earlier is not None and table in earlier else None

    static = get("static")
    if static is None:
        raise SchemaError(
            f"expected a table of places beside {sorted(tables)}, received none", _GET["static"]
        )
    for table in _CHECKS:
        ds = get(table)
        if ds is None or ("static" not in tables and table not in tables):
            continue
        unknown = np.setdiff1d(ds["municipality"].values, static["municipality"].values)
        if unknown.size:
            raise SchemaError(
                f"{table}: expected municipalities of the static table, received {unknown.size} others, "
                f"first {unknown[:5].tolist()}",
                "Add them to the static table or drop their rows.",
            )


def _write_table(path: Path, table: str, ds: xr.Dataset) -> dict[str, Any]:
    mark = fingerprint(ds)
    file = path / f"{table}-{mark[:12]}.nc"
    write_netcdf(file, ds)
    return {"file": file.name, "fingerprint": mark, "bytes": file.stat().st_size}


def _write_mesh(path: Path, mesh: str) -> str:
    name = f"mesh-{hashlib.sha256(mesh.encode()).hexdigest()[:12]}.geojson"
    atomic_text(path / name, mesh)
    return name


def _remove_stale(path: Path, keep: set[str]) -> None:
    with suppress(OSError):  # the new store is in place: what cannot be removed does no harm
        for file in path.iterdir():
            if _TABLE_FILE.fullmatch(file.name) and file.name not in keep:
                file.unlink(missing_ok=True)
    remove_leftovers(path)


def is_synthetic(tables: Tables) -> bool:
    """Whether the tables come from `yieldcast.data.synthetic`; everything made from them must say so."""
    return bool(tables.weather.attrs.get("synthetic", 0))
