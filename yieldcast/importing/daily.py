"""A user's netCDF of daily weather, of municipalities or of regions, to the checked table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.daily import TABLE, daily_table
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.importing.codes import Codes, code_column, codes_of
from yieldcast.importing.columns import ImportLog, open_netcdf, quantities, shown
from yieldcast.importing.layout import read_frame
from yieldcast.importing.weather import (
    Fields,
    days_of,
    is_daily,
    place_codes,
    place_dim,
    read_fields,
    refuse_repeated,
)
from yieldcast.variables import QUANTITIES, WEATHER, Column


def read_daily(path: Path, codes: Codes, report: ImportLog, places: Path | None = None) -> xr.Dataset:
    """Read a netCDF of daily weather.

    Args:
        path: netCDF-4 with the dims time and municipality, or time and another dim X, whose units (regions,
            cells) the column X of the places file assigns to municipalities. A column whose name starts
            with X and an underscore serves too. Variables by name and unit: tmax_degC, tmin_degC,
            precipitation_mm, and optionally dewpoint_degC, radiation_MJ_m2, wind_m_s.
        codes: municipalities of the store.
        report: gets what was read, left out and is missing.
        places: the places file; needed only where the units are not municipalities.

    Raises:
        MissingDataError: no such file.
        ConfigError: the file is by region and no places file was given.
        SchemaError: not netCDF-4, damaged, monthly, or contents that break the contract.
    """
    with open_netcdf(path, TABLE) as ds:
        columns = _columns(ds, path, report)
        dim = place_dim(ds, columns, path, TABLE, any_dim=True)
        texts = place_codes(ds[dim].values, path)
        days = days_of(ds, path)
        if not is_daily(days, path):
            raise SchemaError(
                f"{path}: expected one value a day, received one a month",
                "Give monthly weather with --weather.",
            )
        labels = {"unit": texts.astype(str), "time": days.astype("datetime64[ns]")}
        fields = read_fields(ds, columns, (dim, "time"), labels, path, report, TABLE)
        marks = {name: value for name, value in ds.attrs.items() if name == "synthetic"}
    if code_column([dim], str(path), needed=False):
        rows = codes.rows(texts, str(path), report, TABLE)
        refuse_repeated(codes.index[rows], path)
        unit, place = codes.municipality[rows], np.full(len(codes.municipality), -1)
        place[rows] = np.arange(len(rows))
    else:
        if places is None:
            raise ConfigError(
                f"{path}: its units are of {dim!r}, not municipalities",
                f"Give the places file too (--places), with a column {dim} that names each place's unit.",
            )
        unit, place = _grouped(dim, texts, places, codes, report)
    return daily_from_days(fields, days, unit, codes, place, report, marks)


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
    report.read.append((TABLE, f"days from {first} to {last}", table.sizes["time"]))
    report.read.append((TABLE, "units with daily weather", len(unit)))
    absent = table.sizes["time"] - len(days)
    if absent:
        report.warnings.append((TABLE, "days not in the file, set to missing", absent))
    without = int((place < 0).sum())
    if without:
        report.warnings.append((TABLE, "places without daily weather", without))
    for name in kept:
        missing = table[name].size - int(np.count_nonzero(~np.isnan(table[name].values)))
        if missing:
            report.warnings.append((TABLE, f"missing days of units in {name}", missing))
    return table


def _columns(ds: xr.Dataset, path: Path, report: ImportLog) -> dict[str, Column]:
    weather, others = quantities(map(str, ds.data_vars), "weather", str(path))
    daily, others = quantities(others, "daily", str(path))
    # sums of degree days are of months; those of days follow from the temperatures
    others += [name for name, column in weather.items() if column.quantity.name not in WEATHER]
    columns = {n: c for n, c in weather.items() if c.quantity.name in WEATHER} | daily
    missing = [name for name in WEATHER if name not in [c.quantity.name for c in columns.values()]]
    if missing:
        raise SchemaError(
            f"{path}: expected the variables {missing}, received {shown(ds.data_vars)}",
            "Name each variable with its unit: tmax_degC, tmin_degC, precipitation_mm.",
        )
    report.extras(TABLE, others)
    return columns


def _grouped(
    dim: str, texts: NDArray[np.object_], places: Path, codes: Codes, report: ImportLog
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Codes of the units, and the position of each municipality's unit, by a column of the places file."""
    frame = read_frame(places, "place", "places", report)
    rows = codes.rows(codes_of(frame, str(places))[1], str(places))
    names = [c for c in frame if c.lower() == dim.lower()]
    names = names or [c for c in frame if c.lower().startswith(f"{dim.lower()}_")]
    index = pd.Index(texts)
    counts = {name: int((index.get_indexer(pd.Index(frame[name])) >= 0).sum()) for name in names}
    best = max(counts, key=lambda name: counts[name], default="")
    if not counts.get(best):
        raise SchemaError(
            f"{places}: expected a column {dim} with units of the daily weather such as {texts[0]!r}, "
            f"received {shown(names or list(frame))}",
            f"Add a column {dim} that names the unit of each place.",
        )
    report.read.append(("places", f"{best} assigns the units of daily weather", counts[best]))
    position = np.full(len(codes.municipality), -1)
    position[rows] = index.get_indexer(pd.Index(frame[best]))
    made = Codes(texts.tolist())  # units whose codes are texts are numbered as municipalities are
    return made.municipality[made.rows(texts, str(places))], position
