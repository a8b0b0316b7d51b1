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
from yieldcast.importing.columns import ImportLog, shown
from yieldcast.importing.fields import Fields, find, read_fields, refuse_missing
from yieldcast.importing.layout import read_frame
from yieldcast.importing.netcdf import open_netcdf
from yieldcast.importing.plausible import check_plausible
from yieldcast.importing.stamps import days_of, is_daily
from yieldcast.importing.weather import place_codes, place_dim, refuse_repeated
from yieldcast.language import message, sentence
from yieldcast.variables import DAILY, QUANTITIES, WEATHER


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
    where = str(path)
    with open_netcdf(path, TABLE, report) as ds:
        found, others = find(ds, (*WEATHER, *DAILY), where)
        refuse_missing(found, ds, where)
        # sums of degree days are of months; those of days follow from the temperatures
        others += [one.name for name, one in found.items() if name not in QUANTITIES]
        found = {name: one for name, one in found.items() if name in QUANTITIES}
        report.extras(TABLE, others)
        dim = place_dim(ds, found.values(), where)
        texts = place_codes(ds[dim].values, where)
        days = days_of(ds, where, TABLE, report)
        if not is_daily(days, where):
            raise SchemaError(
                f"{path}: expected one value a day, received one a month",
                "Give monthly weather with --weather.",
            )
        labels = {"unit": texts.astype(str), "time": days.astype("datetime64[ns]")}
        values = read_fields(ds, found, (dim, "time"), labels, "day", where, report, TABLE)
        marks = {name: value for name, value in ds.attrs.items() if name == "synthetic"}
    check_plausible(values, 365.25, where, TABLE, report)
    if code_column([dim], str(path), needed=False):
        rows = codes.rows(texts, str(path), report, TABLE)
        refuse_repeated(codes.index[rows], where)
        unit, place = codes.municipality[rows], np.full(len(codes.municipality), -1)
        place[rows] = np.arange(len(rows))
    else:
        if places is None:
            raise ConfigError(
                f"{path}: its units are of {dim!r}, not municipalities",
                f"Give the places file too (--places), with a column {dim} that names each place's unit.",
            )
        unit, place = _grouped(dim, texts, places, codes, report)
    return daily_from_days(values.fields, days, unit, codes, place, report, marks)


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
    report.read.append(
        ("places", sentence("{column} assigns the units of daily weather", column=best), counts[best])
    )
    position = np.full(len(codes.municipality), -1)
    position[rows] = index.get_indexer(pd.Index(frame[best]))
    made = Codes(texts.tolist())  # units whose codes are texts are numbered as municipalities are
    return made.municipality[made.rows(texts, str(places))], position
