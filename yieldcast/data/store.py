"""The data store: checked tables and a manifest in one folder, replaced completely or not at all.

A table is the file ``<table>-<first 12 digits of its fingerprint>.nc``. ``store.json`` lists the tables that
belong together and is replaced last, so an interrupted import or fetch leaves the earlier store unchanged. A
store that `yieldcast fetch` fills may lack tables; one from an import has places, weather and yields.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

import calendars.country
from calendars.country import UNKNOWN, Country
from yieldcast import clock
from yieldcast.data import inventory
from yieldcast.data.estimates import COUNTRY, known_units, merge_estimates
from yieldcast.data.files import (
    atomic_text,
    exclusive_lock,
    fingerprint,
    make_folder,
    read_netcdf,
)
from yieldcast.data.store_files import (
    AGAIN,
    FORMAT,
    MANIFEST,
    files_in_use,
    read_manifest,
    remove_stale,
    tables_of,
    write_mesh,
    write_table,
)
from yieldcast.data.store_tables import CHECKS, HOW_TO_GET, TABLES
from yieldcast.data.summary import store_summary, summary_html, summary_text
from yieldcast.errors import MissingDataError, SchemaError

ESTIMATE_SOURCES = "estimates-"  # start of the names under which the origins of estimates are recorded


class Tables(NamedTuple):
    """Places with soil, weather and yields of one store; `yieldcast.data.schema` has their contracts."""

    static: xr.Dataset
    weather: xr.Dataset
    yields: xr.Dataset


def is_synthetic(tables: Tables) -> bool:
    """Whether the tables are from `yieldcast.data.synthetic`; all results made from them must say so."""
    return bool(tables.weather.attrs.get("synthetic", 0))


class Store:
    """Tables on disk, each read at its first use and verified against the manifest.

    Args:
        path: the folder.
        contents: of its ``store.json``; use `Store.open` or `Store.write` instead of the constructor.
    """

    def __init__(self, path: Path, contents: Mapping[str, Any]) -> None:
        self.path = path
        self._contents = contents
        self._loaded: dict[str, xr.Dataset] = {}  # read, and not yet checked
        entries = contents["tables"]
        self.fingerprints: dict[str, str] = {
            t: entries[t]["fingerprint"] for t in Tables._fields if t in entries
        }

    @classmethod
    def open(cls, path: Path, damaged: bool = False) -> Store:
        """Open an existing store.

        Args:
            path: the folder.
            damaged: open the store without the tables whose files are missing, so that they can be made
                again.

        Raises:
            MissingDataError: no store, a damaged manifest, or one of another format.
            SchemaError: a file of a table is missing.
        """
        path = Path(path)
        contents = read_manifest(path)
        if damaged:
            there = {t: e for t, e in contents["tables"].items() if (path / str(e["file"])).is_file()}
            contents = {**contents, "tables": there}
        store = cls(path, contents)
        for table in tables_of(store._contents):
            if not store._file(table).is_file():
                raise SchemaError(f"the store {path} is damaged: {store._file(table).name} is missing", AGAIN)
        return store

    @classmethod
    def write(
        cls,
        path: Path,
        tables: Tables,
        sources: Mapping[str, Any],
        mesh: str | None = None,
        optional: Mapping[str, xr.Dataset] | None = None,
        country: Country | None = None,
    ) -> Store:
        """Check the tables, write them, and replace the manifest.

        Of an earlier store only the official estimates of the new places' states are kept: they cannot be
        had again as they were published.

        Args:
            path: the folder, made if it does not exist.
            tables: static, weather, yields; weather and yields may hold fewer municipalities than static.
            sources: origin of the tables, JSON values; shown by `status`.
            mesh: boundaries of the municipalities (see `yieldcast.data.boundaries`), a GeoJSON text, or None.
            optional: other tables, such as seasonal, estimates and daily.
            country: of the places; None for the default one.

        Raises:
            SchemaError: a table breaks its contract; nothing is written.
            MissingDataError: the disk refuses, or another import is writing; the earlier store is unchanged.
        """
        every = {**tables._asdict(), **(optional or {})}
        return cls._replace(Path(path), every, sources, mesh, keep=False, country=country)

    @classmethod
    def update(
        cls,
        path: Path,
        tables: Mapping[str, xr.Dataset],
        sources: Mapping[str, Any],
        mesh: str | None = None,
        drop: Collection[str] = (),
    ) -> Store:
        """Replace some tables of a store, or begin one; its other tables stay unless they are damaged.

        Official estimates are not replaced but merged (`yieldcast.data.estimates.merge_estimates`).

        Args:
            path: the folder, made if it does not exist.
            tables: of `TABLES`.
            sources: their origin, merged into the sources of the other tables.
            mesh: boundaries of the municipalities, a GeoJSON text; None keeps those of the store.
            drop: names of tables, and of entries of the sources, to remove.

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
        country: Country | None = None,
    ) -> Store:
        for table, ds in tables.items():
            CHECKS[table](ds)
        if not keep:
            _refuse_unknown_municipalities(tables, None)  # before the folder is made
        make_folder(path)
        with exclusive_lock(path, "another import or fetch is writing the store"):
            previous = cls._previous(path, keep)
            earlier = previous._without({*drop, *tables}) if previous and keep else None
            old = earlier._contents if earlier else {"tables": {}, "sources": {}}
            if previous and "estimates" not in drop and (not keep or "estimates" in tables):
                tables, sources = previous._with_estimates(tables, sources)
            _refuse_unknown_municipalities(tables, earlier)
            try:
                entries = {t: write_table(path, t, ds) for t, ds in tables.items()}
                contents: dict[str, Any] = {
                    "format": FORMAT,
                    "written": clock.now().isoformat(timespec="seconds"),
                    "sources": {**old["sources"], **sources},
                    "tables": {**old["tables"], **entries},
                    "mesh": write_mesh(path, mesh) if mesh is not None else old.get("mesh"),
                }
                files = old.get("country") if keep else _country_entry(country)
                if files is not None:
                    contents["country"] = files
                atomic_text(path / MANIFEST, json.dumps(contents, indent=2, ensure_ascii=False))
            finally:
                # After a failure the manifest is still the earlier one, so that the new files are removed.
                remove_stale(path, files_in_use(path))
        return cls(path, contents)

    @classmethod
    def _previous(cls, path: Path, keep: bool) -> Store | None:
        """The store that is there now; a damaged manifest is an error only if its tables are to be kept."""
        if not (path / MANIFEST).exists():
            return None
        try:
            return cls.open(path, damaged=True)
        except MissingDataError:
            if keep:
                raise
            return None

    def _with_estimates(
        self, tables: Mapping[str, xr.Dataset], sources: Mapping[str, Any]
    ) -> tuple[Mapping[str, xr.Dataset], Mapping[str, Any]]:
        """The tables to write, with the estimates of this store merged into theirs, and the sources of
        both.
        """
        try:
            old = self.estimates
        except (MissingDataError, SchemaError):  # none, or damaged: made again from its sources
            return tables, sources
        if "static" in tables:
            old = old.isel(estimate=known_units(old, tables["static"]["state"].values.tolist()))
        if not old.sizes["estimate"]:
            return tables, sources
        today = clock.today()
        merged = merge_estimates(old, tables["estimates"], today) if "estimates" in tables else old
        origins = {k: v for k, v in self.sources.items() if k.startswith(ESTIMATE_SOURCES)}
        return {**tables, "estimates": merged}, {**origins, **sources}

    def _without(self, tables: Collection[str]) -> Store:
        """This store without some tables, and without those that cannot be read."""
        kept = {}
        for table in self._contents["tables"]:
            if table not in tables:
                with suppress(SchemaError):
                    kept[table] = self._load(table)
        entries = {table: self._contents["tables"][table] for table in kept}
        sources = {k: v for k, v in self._contents["sources"].items() if k not in tables}
        found = Store(self.path, {**self._contents, "tables": entries, "sources": sources})
        found._loaded.update(kept)  # they are not read a second time
        return found

    @cached_property
    def static(self) -> xr.Dataset:
        """Places and soil."""
        return self._checked("static")

    @cached_property
    def weather(self) -> xr.Dataset:
        """Monthly weather."""
        return self._checked("weather")

    @cached_property
    def yields(self) -> xr.Dataset:
        """Yields, areas, production."""
        return self._checked("yields")

    @cached_property
    def seasonal(self) -> xr.Dataset:
        """Seasonal forecasts as anomalies, see `yieldcast.data.schema.check_seasonal`."""
        return self._checked("seasonal")

    @cached_property
    def estimates(self) -> xr.Dataset:
        """Official yield estimates with their days of publication, see `yieldcast.data.estimates`."""
        return self._checked("estimates")

    @cached_property
    def daily(self) -> xr.Dataset:
        """Daily weather of units, see `yieldcast.data.daily`."""
        return self._checked("daily")

    @cached_property
    def field_seasons(self) -> xr.Dataset:
        """Crops of fields with their days of sowing and harvest, see `yieldcast.data.field_seasons`."""
        return self._checked("field_seasons")

    @cached_property
    def vegetation(self) -> xr.Dataset:
        """Observations of vegetation indices, see `yieldcast.data.vegetation`."""
        return self._checked("vegetation")

    @cached_property
    def season_vegetation(self) -> xr.Dataset:
        """Vegetation indices summarised over seasons, see `yieldcast.data.vegetation`."""
        return self._checked("season_vegetation")

    @cached_property
    def crop_area(self) -> xr.Dataset:
        """Areas of crops from maps, see `yieldcast.data.crop_area`."""
        return self._checked("crop_area")

    @property
    def mesh(self) -> Path | None:
        """The file with the boundaries of the municipalities (GeoJSON), or None."""
        name = self._contents.get("mesh")
        return self.path / str(name) if name else None

    @cached_property
    def country(self) -> Country:
        """The country of the places: as the import said, else the default one (`calendars.country`).

        Raises:
            CalendarError: its entry in the manifest is damaged.
        """
        files = self._contents.get("country")
        if files is None:
            return calendars.country.default()
        return calendars.country.parse(files, f"{self.path / MANIFEST}: country") if files else UNKNOWN

    def __contains__(self, table: str) -> bool:
        return table in self._contents["tables"]

    @property
    def sources(self) -> dict[str, Any]:
        """Origin of the tables, as given when they were written."""
        return dict(self._contents["sources"])

    @property
    def tables(self) -> Tables:
        """Places, weather and yields; MissingDataError if one is missing."""
        return Tables(self.static, self.weather, self.yields)

    def status(self) -> dict[str, Any]:
        """Path, time of writing, sources and country of the store; per table file, size, spans and gaps."""
        entries = self._contents["tables"]
        return {
            "path": str(self.path),
            "written": self._contents["written"],
            "sources": self._contents["sources"],
            "country": self.country.name,
            "mesh": self._contents.get("mesh"),
            "tables": {
                t: {**entries[t], **inventory.table_inventory(t, getattr(self, t))}
                for t in tables_of(self._contents)
            },
        }

    def __repr__(self) -> str:
        return summary_text(*store_summary(self.path, self._contents, vars(self)))

    def _repr_html_(self) -> str:
        return summary_html(*store_summary(self.path, self._contents, vars(self)))

    def _file(self, table: str) -> Path:
        return self.path / str(self._contents["tables"][table]["file"])

    def _checked(self, table: str) -> xr.Dataset:
        return CHECKS[table](self._load(table))

    def _load(self, table: str) -> xr.Dataset:
        if table not in self:
            raise MissingDataError(f"the store {self.path} has no {table} yet", HOW_TO_GET[table])
        if table in self._loaded:
            return self._loaded.pop(table)
        file, expected = self._file(table), self._contents["tables"][table]["fingerprint"]
        try:
            ds = read_netcdf(file)
        except FileNotFoundError:
            raise MissingDataError(
                f"the store {self.path} was replaced while it was read", "Run the same command again."
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


def _refuse_unknown_municipalities(tables: Mapping[str, xr.Dataset], earlier: Store | None) -> None:
    """Raise SchemaError unless every municipality of a table, new or kept, is in the table of places."""

    def get(table: str) -> xr.Dataset | None:
        if table in tables:
            return tables[table]
        return getattr(earlier, table) if earlier is not None and table in earlier else None

    static = get("static")
    if static is None:
        raise SchemaError(
            f"expected a table of places beside {sorted(tables)}, received none", HOW_TO_GET["static"]
        )
    for table in TABLES:
        ds = get(table)
        if ds is None or ("static" not in tables and table not in tables):
            continue
        if table == "estimates":
            _refuse_unknown_states(ds, static)
            continue
        unknown = np.setdiff1d(ds["municipality"].values, static["municipality"].values)
        if unknown.size:
            raise SchemaError(
                f"{table}: expected municipalities of the static table, received {unknown.size} others, "
                f"first {unknown[:5].tolist()}",
                "Add them to the static table or remove their rows.",
            )


def _refuse_unknown_states(estimates: xr.Dataset, static: xr.Dataset) -> None:
    states = sorted(set(static["state"].values.tolist()))
    known = known_units(estimates, states)
    if not known.all():
        units = sorted(set(estimates["unit"].values[~known].tolist()))
        raise SchemaError(
            f"estimates: expected states of the static table ({', '.join(states)}) or {COUNTRY!r}, "
            f"received {', '.join(units[:5])} ({int((~known).sum())} entries)",
            "Use the states' codes of the places, or remove these rows.",
        )


def _country_entry(country: Country | None) -> Mapping[str, str] | None:
    """Entry of the manifest: files by name, empty for an unknown country; None for the default one."""
    if country is None or country == calendars.country.default():
        return None
    return dict(country.files)
