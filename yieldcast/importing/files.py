"""A user's files into a store: all of its tables, or official estimates and daily weather beside those it
has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from yieldcast.data.store import Store
from yieldcast.errors import ConfigError
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.country import country_of
from yieldcast.importing.daily import read_daily
from yieldcast.importing.estimates import read_estimates
from yieldcast.importing.geometry import read_mesh
from yieldcast.importing.tables import read_user_tables


@dataclass(frozen=True)
class UserFiles:
    """Paths of a user's files; None or empty where there is none.

    Args:
        places, yields, weather, soil: see `yieldcast.importing.tables.read_user_tables`.
        mesh: boundaries, see `yieldcast.importing.geometry.read_mesh`.
        estimates: see `yieldcast.importing.estimates.read_estimates`.
        estimates_source: who published them, for files that do not say it.
        daily: see `yieldcast.importing.daily.read_daily`.
        country: of the places, a ``country.toml`` or the name of a built-in country; see
            `yieldcast.importing.country.country_of`.
    """

    places: Path | None = None
    yields: Path | None = None
    weather: Path | None = None
    soil: Path | None = None
    mesh: Path | None = None
    estimates: tuple[Path, ...] = ()
    estimates_source: str | None = None
    daily: Path | None = None
    country: str | None = None


def import_files(store: Path, files: UserFiles) -> tuple[Store, ImportLog]:
    """Read and check the files, then write them into the store: everything, or nothing.

    Args:
        store: folder of the store.
        files: places, yields and weather together replace the store; estimates and daily weather alone are
            added to an existing one (with places only to say which unit of daily weather each lies in).

    Raises:
        ConfigError: another combination of files.
        MissingDataError: a file or the store is missing or cannot be read, or the disk refuses.
        SchemaError: contents that break the contract of their table.
    """
    whole = [files.places, files.yields, files.weather]
    if files.places is not None and files.yields is not None and files.weather is not None:
        return _import_all(store, files, files.places, files.yields, files.weather)
    added = files.estimates or files.daily
    if not added or files.country is not None or any((files.yields, files.weather, files.soil, files.mesh)):
        given = "none" if not any(whole) else "only some"
        raise ConfigError(
            f"import needs --places, --yields and --weather; {given} of them were given",
            "Give all three; --estimates and --daily-weather can be added alone to an existing store.",
        )
    return _add(store, files)


def _import_all(
    store: Path, files: UserFiles, places: Path, yields: Path, weather: Path
) -> tuple[Store, ImportLog]:
    read = read_user_tables(places, yields, weather, files.soil, keep_days=files.daily is None)
    report = read.log
    country, static = country_of(read.tables.static, files.country, report)
    boundaries = read_mesh(files.mesh, static, report) if files.mesh else None
    optional = _optional(files, static, report)
    tables = read.tables._replace(static=static)
    if read.daily is not None:
        optional["daily"] = read.daily
    return Store.write(store, tables, report.sources, boundaries, optional, country), report


def _add(store: Path, files: UserFiles) -> tuple[Store, ImportLog]:
    report, static = ImportLog(), Store.open(store, damaged=True).static
    tables = _optional(files, static, report)
    return Store.update(store, tables, report.sources), report


def _optional(files: UserFiles, static: xr.Dataset, report: ImportLog) -> dict[str, xr.Dataset]:
    tables = {}
    if files.estimates:
        states = sorted(set(static["state"].values.tolist()))
        tables["estimates"] = read_estimates(files.estimates, states, report, files.estimates_source)
    if files.daily is not None:
        codes = Codes(static["code"].values.tolist())
        tables["daily"] = read_daily(files.daily, codes, report, files.places)
        report.sources["daily"] = {"file": str(files.daily), "bytes": files.daily.stat().st_size}
    return tables
