"""A user's daily weather, of places or of units such as regions, to the checked table."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast import clock
from yieldcast.data.daily import TABLE, daily_table
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.importing.codes import FIELD_CODES, WEAK, Codes, code_column, code_texts, codes_of
from yieldcast.importing.columns import ImportLog, first_bytes, shown
from yieldcast.importing.dates import refuse_future
from yieldcast.importing.fields import HUMIDITY, Fields, find, read_fields, refuse_missing
from yieldcast.importing.headings import key
from yieldcast.importing.humidity import dewpoint
from yieldcast.importing.layout import read_frame
from yieldcast.importing.long_weather import read_long
from yieldcast.importing.netcdf import open_netcdf
from yieldcast.importing.plausible import check_plausible
from yieldcast.importing.stamps import days_of, is_daily
from yieldcast.importing.weather import place_codes, place_dim, refuse_repeated
from yieldcast.language import message, sentence
from yieldcast.variables import DAILY, QUANTITIES, WEATHER


def read_daily(
    path: Path,
    codes: Codes,
    report: ImportLog,
    places: Path | None = None,
    part_of: Sequence[str] | None = None,
) -> xr.Dataset:
    """Read daily weather.

    Args:
        path: netCDF with the dims time and municipality, or time and another dim X, whose units (regions,
            cells) the column X of the places file assigns to municipalities. A column whose name starts
            with X and an underscore serves too. Or a table with a row for each unit and day, see
            `yieldcast.importing.long_weather`. Variables by name and unit: tmax_degC, tmin_degC,
            precipitation_mm, and optionally dewpoint_degC (or relative humidity), radiation_MJ_m2, wind_m_s.
        codes: places of the store.
        report: gets what was read, left out and is missing.
        places: the file of places or fields; needed only where the units are neither of them.
        part_of: code of the municipality of each place where the places are fields, whose units may also be
            municipalities; None where they are none.

    Raises:
        MissingDataError: no such file.
        ConfigError: the file is by region and no places file was given.
        SchemaError: no netCDF and no table, damaged, monthly, days after today, or contents that break the
            contract.
    """
    where, fields = str(path), part_of is not None
    frame = None if places is None else read_frame(places, "place", "places", ImportLog())
    with _opened(path, report, fields, [] if frame is None else list(frame)) as ds:
        found, others = find(ds, (*WEATHER, *DAILY, HUMIDITY.name), where)
        refuse_missing(found, ds, where)
        if "dewpoint_degC" in found and (unused := found.pop(HUMIDITY.name, None)) is not None:
            others.append(unused.name)
        # sums of degree days are of months; those of days follow from the temperatures
        others += [one.name for name, one in found.items() if name.startswith("gdd_")]
        found = {name: one for name, one in found.items() if not name.startswith("gdd_")}
        report.extras(TABLE, others)
        dim = place_dim(ds, found.values(), where)
        texts = place_codes(ds[dim].values, where)
        days = days_of(ds, where, TABLE, report)
        refuse_future(days, range(1, len(days) + 1), "time", where, clock.today())
        if not is_daily(days, where):
            raise SchemaError(
                f"{path}: expected one value a day, received one a month",
                "Give monthly weather with --weather.",
            )
        labels = {"unit": texts.astype(str), "time": days.astype("datetime64[ns]")}
        values = read_fields(ds, found, (dim, "time"), labels, "day", where, report, TABLE)
        marks = {name: value for name, value in ds.attrs.items() if name == "synthetic"}
    check_plausible(values, 365.25, where, TABLE, report)
    fields_of_units = _with_dewpoint(values.fields, where, report)
    unit, place = _assigned(dim, texts, path, codes, places, frame, part_of, report)
    return daily_from_days(fields_of_units, days, unit, codes, place, report, marks)


@contextmanager
def _opened(path: Path, report: ImportLog, fields: bool, unit_names: list[str]) -> Iterator[xr.Dataset]:
    """The file as a dataset of units and time: a netCDF, or a table in long form."""
    if _is_netcdf(path):
        with open_netcdf(path, TABLE, report) as ds:
            yield ds
    else:
        yield read_long(path, TABLE, report, fields, unit_names)


def _is_netcdf(path: Path) -> bool:
    """Whether a file holds netCDF, by its first bytes or its name; other files are read as tables."""
    start = first_bytes(path, TABLE)
    if start.startswith(b"PK"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            names = [name.lower() for name in archive.namelist()]
            return "xl/workbook.xml" not in names and not any(n.endswith((".csv", ".json")) for n in names)
    return start.startswith((b"\x89HDF", b"CDF")) or path.suffix.lower() in (".nc", ".nc4", ".cdf")


def _with_dewpoint(fields: Fields, where: str, report: ImportLog) -> Fields:
    """The fields with the dew point in place of the relative humidity."""
    humidity = fields.pop(HUMIDITY.name, None)
    if humidity is None:
        return fields
    extremes = (fields["tmax_degC"], fields["tmin_degC"])
    fields["dewpoint_degC"] = dewpoint(humidity, *extremes, where)
    report.read.append(
        (TABLE, message("dew points computed from relative humidity (FAO-56)"), int(humidity.size))
    )
    return fields


def _assigned(
    dim: str,
    texts: NDArray[np.object_],
    path: Path,
    codes: Codes,
    places: Path | None,
    frame: pd.DataFrame | None,
    part_of: Sequence[str] | None,
    report: ImportLog,
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Codes of the units of a file, and the position of each place's unit, -1 without one.

    The column of the file's units decides, not their codes: unit 7 of the weather is not field 7.
    """
    named = [] if frame is None else _columns_like(dim, frame)
    own = code_column([dim], str(path), needed=False, fields=part_of is not None)
    if part_of is None or own is None or key(dim) in (*FIELD_CODES, *WEAK):
        if own is not None:
            return _of_places(texts, path, codes, report)
    elif not named:
        position = pd.Index(texts).get_indexer(pd.Index(part_of))
        if (position >= 0).any():
            text = message("fields with the weather of their municipality")
            report.read.append((TABLE, text, int((position >= 0).sum())))
        return _numbered(texts, path), position
    if places is None or frame is None:
        raise ConfigError(
            f"{path}: its units are of {dim!r}, not {'municipalities' if part_of is None else 'fields'}",
            f"Give the file of places too (--places or --fields), with a column {dim} that names each "
            "place's unit.",
        )
    position = _grouped(dim, texts, places, frame, codes, part_of is not None, report)
    return _numbered(texts, places), position


def _columns_like(dim: str, frame: pd.DataFrame) -> list[str]:
    """Columns of a file of places that may name the units of a dim."""
    same = [c for c in frame if key(c) == key(dim)]
    return same or [c for c in frame if key(c).startswith(f"{key(dim)}_")]


def _of_places(
    texts: NDArray[np.object_], path: Path, codes: Codes, report: ImportLog
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Units that are places."""
    rows = codes.rows(texts, str(path), report, TABLE)
    refuse_repeated(codes.index[rows], str(path))
    place = np.full(len(codes.municipality), -1)
    place[rows] = np.arange(len(rows))
    return codes.municipality[rows], place


def _numbered(texts: NDArray[np.object_], path: Path) -> NDArray[np.int32]:
    """Codes of units as numbers; those that are texts are numbered as places are."""
    made = Codes(texts.tolist())
    return made.municipality[made.rows(texts, str(path))]


def daily_from_days(
    fields: Fields,
    days: NDArray[np.datetime64],
    unit: NDArray[np.int32],
    codes: Codes,
    place: NDArray[np.intp],
    report: ImportLog,
    attrs: dict[str, object],
) -> xr.Dataset:
    """The table of daily fields; gaps and places without a unit are reported.

    Args:
        fields: (unit, day) arrays by name; degree days are left out.
        days: datetime64[D] of the fields.
        unit: (unit,) codes.
        codes: municipalities.
        place: (municipality,) position of the unit of each, -1 without one.
        report: gets the counts.
        attrs: of the table.
    """
    kept = {name: values for name, values in fields.items() if name in QUANTITIES}
    table = daily_table(kept, days, unit, codes.municipality, place, attrs)
    first, last = days.min(), days.max()
    report.read.append(
        (TABLE, sentence("days from {first} to {last}", first=first, last=last), table.sizes["time"])
    )
    report.read.append((TABLE, message("units with daily weather"), len(unit)))
    absent = table.sizes["time"] - len(days)
    if absent:
        report.warnings.append((TABLE, message("days not in the file, set to missing"), absent))
    without = int((place < 0).sum())
    if without:
        report.warnings.append((TABLE, message("places without daily weather"), without))
    for name in kept:
        missing = table[name].size - int(np.count_nonzero(~np.isnan(table[name].values)))
        if missing:
            report.warnings.append((TABLE, sentence("missing days of units in {name}", name=name), missing))
    return table


def _grouped(
    dim: str,
    texts: NDArray[np.object_],
    places: Path,
    frame: pd.DataFrame,
    codes: Codes,
    fields: bool,
    report: ImportLog,
) -> NDArray[np.intp]:
    """Position of each place's unit, by a column of the file of places or fields."""
    rows = codes.rows(codes_of(frame, str(places), fields)[1], str(places))
    names = _columns_like(dim, frame)
    index = pd.Index(texts)
    found = {name: index.get_indexer(pd.Index(code_texts(frame[name]))) for name in names}
    counts = {name: len(np.unique(rows[position >= 0])) for name, position in found.items()}
    best = max(counts, key=lambda name: counts[name], default="")
    if not counts.get(best):
        raise SchemaError(
            f"{places}: expected a column {dim} with units of the daily weather such as {texts[0]!r}, "
            f"received {shown(names or list(frame))}",
            f"Add a column {dim} that names the unit of each place.",
        )
    report.read.append(
        ("places", sentence("{column} assigns the units of daily weather", column=best), counts[best])
    )
    position = np.full(len(codes.municipality), -1)
    position[rows] = found[best]
    changed = position[rows] != found[best]
    if changed.any():
        line = frame.index[int(np.argmax(changed))]
        raise SchemaError(
            f"{places}: line {line}: expected one {best} of each place in all of its rows, received several "
            f"({len(np.unique(rows[changed]))} such places)",
            "Give all rows of a place the same unit of daily weather.",
        )
    return position
