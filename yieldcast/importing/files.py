"""A user's files into a store: all of its tables, or official estimates, daily weather and vegetation beside
those it has. The same reading serves the import, its check, and Python.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr

from calendars import Country
from calendars.country import UNKNOWN
from yieldcast.data import schema
from yieldcast.data.crop_area import TABLE as CROP_AREA
from yieldcast.data.crop_area import crop_area_table
from yieldcast.data.crop_cells import Before, CropChoice
from yieldcast.data.crop_weights import read_crop_weights
from yieldcast.data.inventory import table_inventory
from yieldcast.data.missing import first_names, places_with_gaps, places_without
from yieldcast.data.schema import PART_OF
from yieldcast.data.store import Store, Tables
from yieldcast.data.summary import number_spans
from yieldcast.data.vegetation import SEASON_TABLE as SEASON_VEGETATION
from yieldcast.data.vegetation import TABLE as VEGETATION
from yieldcast.errors import ConfigError
from yieldcast.importing.check import Reader
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.country import country_of
from yieldcast.importing.daily import daily_from_days, read_daily
from yieldcast.importing.estimates import read_estimates
from yieldcast.importing.field_places import check_seasons_of_yields, read_field_places
from yieldcast.importing.fields import Fields
from yieldcast.importing.geometry import read_mesh
from yieldcast.importing.grid import read_grid, split_role
from yieldcast.importing.outliers import check_outliers
from yieldcast.importing.tables import read_places, read_soil, read_yields
from yieldcast.importing.vegetation import read_vegetation
from yieldcast.importing.weather import UserWeather, months_of_days, read_weather
from yieldcast.language import message, sentence

# No fields lie beyond these latitudes (our choice: Tierra del Fuego and northern Norway are within).
_SOUTHERNMOST_deg, _NORTHERNMOST_deg = -56.0, 72.0


@dataclass(frozen=True)
class UserFiles:
    """Paths of a user's files; None or empty where there is none.

    Args:
        places, yields, soil: see `yieldcast.importing.tables`.
        weather: see `yieldcast.importing.weather.read_weather`.
        mesh: boundaries, see `yieldcast.importing.geometry.read_mesh`.
        estimates: see `yieldcast.importing.estimates.read_estimates`.
        estimates_source: who published them, for files that do not say it.
        daily: see `yieldcast.importing.daily.read_daily`.
        country: of the places, a ``country.toml`` or the name of a built-in country; see
            `yieldcast.importing.country.country_of`.
        grid: gridded weather instead of `weather`, see `yieldcast.importing.grid.read_grid`.
        fields: fields instead of `places`, see `yieldcast.importing.field_places.read_field_places`.
        vegetation: observations, summaries of seasons, or one file of each, see
            `yieldcast.importing.vegetation.read_vegetation`.
        drop_outliers: leave out yields that `yieldcast.importing.outliers` finds; of fields they are always
            counted.
        weights: cropped cells over which `grid` is averaged, see `yieldcast.data.crop_weights`, or None.
        weights_before: what months before their first map take, see `yieldcast.data.crop_cells.CropChoice`.
        crop_area: files of crop weights whose areas go into the store, see `yieldcast.data.crop_area`.
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
    grid: tuple[str, ...] = ()
    fields: Path | None = None
    vegetation: tuple[Path, ...] = ()
    drop_outliers: bool = False
    weights: Path | None = None
    weights_before: Before = "refuse"
    crop_area: tuple[Path, ...] = ()


@dataclass
class UserTables:
    """A user's files as checked tables; None and empty where a file was not given or is refused.

    Args:
        static: places, with soil if there is any.
        weather: monthly.
        yields: of all crops.
        mesh: boundaries, a GeoJSON text.
        country: of the places.
        optional: tables of estimates, daily weather, field seasons and vegetation.
    """

    static: xr.Dataset | None = None
    weather: xr.Dataset | None = None
    yields: xr.Dataset | None = None
    mesh: str | None = None
    country: Country = UNKNOWN
    optional: dict[str, xr.Dataset] = field(default_factory=dict)

    @property
    def whole(self) -> Tables | None:
        """Places, weather and yields, if all three are there."""
        if self.static is None or self.weather is None or self.yields is None:
            return None
        return Tables(self.static, self.weather, self.yields)


def import_files(store: Path, files: UserFiles) -> tuple[Store, Reader]:
    """Read and check the files, then write them into the store: everything, or nothing.

    Args:
        store: folder of the store.
        files: places (or fields), yields and weather (of fields also daily weather) together replace the
            store; estimates, daily weather and vegetation alone are added to an existing one (with places or
            fields only to say which unit of daily weather each lies in).

    Raises:
        ConfigError: another combination of files.
        MissingDataError: a file or the store is missing or cannot be read, or the disk refuses.
        SchemaError: contents that break the contract of their table.
    """
    reader = Reader()
    made = _read(store, files, reader)
    sources, whole = reader.log.sources, made.whole
    if whole is not None:
        return Store.write(store, whole, sources, made.mesh, made.optional, made.country), reader
    return Store.update(store, made.optional, sources), reader


def check_files(store: Path, files: UserFiles) -> Reader:
    """Read every file on its own and keep all faults; nothing is written.

    What depends on a refused file is not read, and listed as unchecked.

    Args:
        store, files: as for `import_files`.

    Raises:
        ConfigError: a combination of files that `import_files` does not accept.
        MissingDataError: an existing store is needed and cannot be read.
    """
    reader = Reader(collect=True)
    _read(store, files, reader)
    return reader


def read_tables(places: Path, yields: Path, weather: Path, soil: Path | None) -> tuple[Tables, ImportLog]:
    """A user's own files as checked tables, and what was read, left out and is missing. Nothing is written.

    Columns may have any order. Quantities are found by name and unit (`variables.resolve`); other columns are
    ignored and listed in the log. All three tables have all places.

    Args:
        places, yields, weather, soil: see `UserFiles`; soil may be None.

    Raises:
        MissingDataError: a file is missing or cannot be read.
        SchemaError: contents break the contract; the message names the file and the line or the place.
    """
    reader = Reader()
    files = UserFiles(Path(places), Path(yields), Path(weather), Path(soil) if soil else None)
    # The reader raises the first fault, so that nothing is None.
    return cast(Tables, read_files(files, reader, keep_days=False).whole), reader.log


def read_files(files: UserFiles, reader: Reader, keep_days: bool = True) -> UserTables:
    """Read places or fields and all files beside them.

    Args:
        files: with places or fields.
        reader: raises or keeps the errors, and gets the log.
        keep_days: make the table of daily weather where the weather file is daily.
    """
    made, log = UserTables(), reader.log
    others = {
        "yields": files.yields, "soil": files.soil, "weather": files.weather or files.grid,
        "mesh": files.mesh, "estimates": files.estimates, "daily": files.daily,
        "vegetation": files.vegetation,
    }  # fmt: skip
    found = _located(files, made, reader)
    if found is None:
        reader.unchecked |= {table: "places" for table, file in others.items() if file}
        return made
    static, codes = found
    of_fields, north = PART_OF in static, bool(static["latitude_deg"].median() > 0)
    made.static = static
    if (file := files.yields) is not None:
        made.yields = reader.read("yields", file, partial(_yields, file, files, made, codes, log, north))
    if (soil := files.soil) is not None:
        soiled = reader.read("soil", soil, lambda: _with_soil(static, soil, codes, log))
        made.static = soiled if soiled is not None else static
    else:
        log.warnings.append(
            ("soil", message("places without soil: no soil file was given"), len(codes.index))
        )
    if (mesh := files.mesh) is not None:
        made.mesh = reader.read("mesh", mesh, lambda: read_mesh(mesh, static, log))
    if (read := _weather(files, static, codes, made.mesh, reader)) is not None:
        made.weather = read.monthly
        if keep_days and files.daily is None and read.fields is not None:
            made.optional["daily"] = _days(read, read.fields, codes, log)
    made.optional |= _optional(files, static, reader)
    if of_fields and files.weather is None and not files.grid and (file := files.daily) is not None:
        daily = made.optional.get("daily")
        if daily is None:
            reader.unchecked["weather"] = "daily"
        else:
            made.weather = reader.read("weather", file, lambda: months_of_days(daily, codes, log))
    _report_missing(made, log)
    return made


def _located(files: UserFiles, made: UserTables, reader: Reader) -> tuple[xr.Dataset, Codes] | None:
    """Places or fields with their codes; country and field seasons go into `made`. None where refused."""
    log = reader.log
    if (fields := files.fields) is not None:
        read = reader.read("places", fields, lambda: _fields(fields, files.country, log))
        if read is None:
            return None
        static, codes, made.country, made.optional["field_seasons"] = read
        log.sources["field_seasons"] = log.sources["places"]
        return static, codes
    if (places := files.places) is None:
        return None
    found = reader.read("places", places, lambda: _places(places, files.country, log))
    if found is None:
        return None
    static, codes, made.country = found
    return static, codes


def _yields(
    file: Path, files: UserFiles, made: UserTables, codes: Codes, log: ImportLog, north: bool
) -> xr.Dataset:
    """Yields of the places; of fields compared with their seasons, and outliers counted or left out."""
    seasons = made.optional.get("field_seasons")
    yields = read_yields(file, codes, log, north, seasons is not None)
    if seasons is not None:
        check_seasons_of_yields(yields, seasons, str(file), log)
    if seasons is not None or files.drop_outliers:
        yields = check_outliers(yields, files.drop_outliers, log)
    return yields


def _read(store: Path, files: UserFiles, reader: Reader) -> UserTables:
    for one, other, names in (
        (files.grid, files.weather, "--weather and --weather-grid"),
        (files.places, files.fields, "--places and --fields"),
    ):
        if one and other is not None:
            raise ConfigError(f"received {names}", "Give one of them.")
    if files.weights is not None and not files.grid:
        raise ConfigError(
            "--weights is for --weather-grid, which is not given", "Give the gridded weather too."
        )
    weather = files.weather or files.grid or (files.daily if files.fields else None) or None
    whole = [files.places or files.fields, files.yields, weather]
    if None not in whole:
        return read_files(files, reader)
    added = files.estimates or files.daily or files.vegetation or files.crop_area
    others = (files.yields, files.weather, files.grid, files.soil, files.mesh, files.country)
    if not added or any(others) or files.drop_outliers:
        given = "none" if not any(whole) else "only some"
        needed = "--places, --yields and --weather"
        if files.fields is not None:
            needed = "--fields, --yields and --daily-weather (or --weather)"
        raise ConfigError(
            f"import needs {needed}; {given} of them were given",
            "Give all three (--weather-grid may stand for --weather, --fields for --places); --estimates, "
            "--daily-weather, --vegetation and --crop-area can be added alone to an existing store.",
        )
    opened = Store.open(store, damaged=True)
    earlier = opened.crop_area if "crop_area" in opened and files.crop_area else None
    return UserTables(optional=_optional(files, opened.static, reader, earlier))


def _places(file: Path, given: str | None, log: ImportLog) -> tuple[xr.Dataset, Codes, Country]:
    """Places, their codes, and their country."""
    static, codes = read_places(file, log)
    country, static = country_of(static, given, log)
    _report_odd_positions(static, log)
    return static, codes, country


def _fields(file: Path, given: str | None, log: ImportLog) -> tuple[xr.Dataset, Codes, Country, xr.Dataset]:
    """Fields as places, their codes, their country, and their seasons."""
    read = read_field_places(file, given, log)
    country, static = country_of(read.static, given, log)
    _report_odd_positions(static, log)
    return static, read.codes, country, read.seasons


def _report_odd_positions(static: xr.Dataset, log: ImportLog) -> None:
    """Name places where nothing can grow, which their boundaries would show too."""
    latitude, longitude = static["latitude_deg"].values, static["longitude_deg"].values
    polar = (latitude < _SOUTHERNMOST_deg) | (latitude > _NORTHERNMOST_deg)
    for odd, text in (
        ((latitude == 0) & (longitude == 0), message("at latitude 0, longitude 0")),
        (polar, message("in polar latitudes: are latitude and longitude exchanged?")),
    ):
        if odd.any():
            names = first_names(static["code"].values.astype(str)[odd].tolist())
            log.warnings.append(
                (
                    "places",
                    sentence("places {where} ({codes})", where=sentence(text), codes=names),
                    int(odd.sum()),
                )
            )


def _with_soil(static: xr.Dataset, file: Path, codes: Codes, log: ImportLog) -> xr.Dataset:
    return schema.check_static(schema.set_units(static.merge(read_soil(file, codes, log, PART_OF in static))))


def _weather(
    files: UserFiles, static: xr.Dataset, codes: Codes, mesh: str | None, reader: Reader
) -> UserWeather | None:
    """The weather of places, or of a grid over them."""
    log = reader.log
    if (weather := files.weather) is not None:
        return reader.read("weather", weather, lambda: read_weather(weather, codes, log))
    if not files.grid:
        return None
    if files.mesh is not None and mesh is None:  # means over its polygons are not possible
        reader.unchecked["weather"] = "mesh"
        return None
    paths = [split_role(text)[1] for text in files.grid]
    polygons = None if mesh is None else json.loads(mesh)
    crop = None
    if files.weights is not None:
        crop = CropChoice(read_crop_weights(files.weights), files.weights_before)
    read = reader.read(
        "weather", paths[0], lambda: read_grid(files.grid, static, codes, polygons, log, crop), origin=False
    )
    if read is not None:
        size = sum(path.stat().st_size for path in paths)
        log.sources["weather"] = {"file": ", ".join(map(str, paths)), "bytes": size}
        log.sources["weather"] |= (
            {} if crop is None else {"where": "crop-area", "weights": str(files.weights)}
        )
    return read


def _days(read: UserWeather, fields: Fields, codes: Codes, log: ImportLog) -> xr.Dataset:
    """The days that monthly weather was made of."""
    position = np.full(len(codes.municipality), -1)
    position[read.rows] = np.arange(len(read.rows))
    unit = codes.municipality[read.rows]
    return daily_from_days(fields, read.days, unit, codes, position, log, read.attrs)


def _optional(
    files: UserFiles, static: xr.Dataset, reader: Reader, earlier: xr.Dataset | None = None
) -> dict[str, xr.Dataset]:
    made: dict[str, xr.Dataset | None] = {}
    if files.crop_area:
        made[CROP_AREA] = reader.read(
            CROP_AREA, files.crop_area[0], lambda: _crop_area(files.crop_area, static, earlier, reader.log)
        )
    if files.estimates:
        states = sorted(set(static["state"].values.tolist()))
        made["estimates"] = reader.read(
            "estimates",
            files.estimates[0],
            lambda: read_estimates(files.estimates, states, reader.log, files.estimates_source),
            origin=False,  # each file and publisher has its own
        )
    codes = Codes(static["code"].values.tolist())
    if (daily := files.daily) is not None:
        part_of = static[PART_OF].values.astype(str).tolist() if PART_OF in static else None
        made["daily"] = reader.read(
            "daily",
            daily,
            lambda: read_daily(daily, codes, reader.log, files.places or files.fields, part_of),
        )
    for file in files.vegetation:
        north = bool(static["latitude_deg"].median() > 0)
        read = reader.read(
            VEGETATION,
            file,
            partial(read_vegetation, file, codes, reader.log, PART_OF in static, north),
            origin=False,  # of one of two tables
        )
        if read is None:
            continue
        table = VEGETATION if "observation" in read.dims else SEASON_VEGETATION
        if table in made:
            raise ConfigError(
                f"received two files of the same kind with --vegetation, the second {file}",
                "Join them to one table.",
            )
        made[table] = read
        reader.log.sources[table] = {"file": str(file), "bytes": file.stat().st_size}
    return {table: ds for table, ds in made.items() if ds is not None}


def _crop_area(
    files: tuple[Path, ...], static: xr.Dataset, earlier: xr.Dataset | None, log: ImportLog
) -> xr.Dataset:
    """Areas of files of crop weights, beside those of earlier imports."""
    weights = [read_crop_weights(file) for file in files]
    table = crop_area_table(weights, static["municipality"].values, earlier)
    log.read.append((CROP_AREA, message("maps of crops"), sum(one.sizes["harvest_year"] for one in weights)))
    if lost := int(np.isnan(table["crop_ha"].values).all(axis=0).sum()):
        log.warnings.append((CROP_AREA, message("places outside every map: their area is unknown"), lost))
    return table


def _report_missing(made: UserTables, log: ImportLog) -> None:
    """Name the places that lack weather, yields or soil, and the years without any yield of a crop."""
    if made.static is None:
        return
    log.places_without = places_without(made.static, made.weather, made.yields)
    for table, codes in log.places_without.items():
        log.warnings.append(
            (
                table,
                sentence("places without {table}: {codes}", table=sentence(table), codes=first_names(codes)),
                len(codes),
            )
        )
    if made.weather is not None and (gaps := places_with_gaps(made.static, made.weather)):
        text = sentence("places without weather in some of the months: {codes}", codes=first_names(gaps))
        log.warnings.append(("weather", text, len(gaps)))
    crops = {} if made.yields is None else table_inventory("yields", made.yields)["crops"]
    for crop, have in crops.items():
        if years := have["missing_years"]:
            text = sentence(
                "{crop}: harvest years without a yield: {years}", crop=crop, years=number_spans(years)
            )
            log.warnings.append(("yields", text, len(years)))
