"""A user's CSV files of places, yields and soil to the checked tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import schema
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes, codes_of
from yieldcast.importing.columns import (
    ImportLog,
    measured,
    numbers,
    pick,
    quantities,
    read_csv,
)
from yieldcast.variables import QUANTITIES, YIELDS, Column

LATITUDE = ("latitude_deg", "lat", "latitude")
LONGITUDE = ("longitude_deg", "lon", "longitude")
NAME = ("name", "nome")
STATE = ("state", "uf", "province")
YEAR = ("harvest_year", "year")
FIRST_YEAR, LAST_YEAR = 1900, 2100
# No crop has a median yield below 50 kg/ha; in t/ha all would be below it.
_LOWEST_MEDIAN_kg_ha = 50.0


def read_places(path: Path, report: ImportLog) -> tuple[xr.Dataset, Codes]:
    """The table of places, without soil, and their codes.

    Args:
        path: CSV, one row per place: code, name, latitude, longitude, state (the key of the crop calendar),
            optionally region. `Codes` describes how codes become the int32 municipality.
        report: gets what was read.

    Raises:
        MissingDataError: the file is missing or cannot be read.
        SchemaError: contents break the contract; the message names the file and the line.
    """
    frame, source = read_csv(path, "places"), str(path)
    used, texts = codes_of(frame, source)
    _refuse_twice(pd.DataFrame({"code": texts}, index=frame.index), source)
    codes = Codes(texts.tolist())
    order = np.argsort(codes.rows(texts, source))
    data: dict[str, Any] = {"code": texts[order].astype(str)}
    columns = [used]
    for target, names in (("name", NAME), ("state", STATE), ("region", ("region",))):
        column = pick(frame.columns, names, source, needed=target == "state")
        data[target] = data["code"] if target == "name" else np.full(len(frame), "", dtype="U1")
        if column is not None:
            columns.append(column)
            data[target] = frame[column].to_numpy(dtype=object)[order].astype(str)
    _refuse_empty(frame, columns, "state", STATE, source)
    for names in (LATITUDE, LONGITUDE):
        column = str(pick(frame.columns, names, source))
        columns.append(column)
        values = measured(frame, column, Column(QUANTITIES[names[0]], 1.0), source)
        if np.isnan(values).any():
            raise SchemaError(
                f"{source}: line {frame.index[int(np.argmax(np.isnan(values)))]}, column {column!r} is empty "
                f"({int(np.isnan(values).sum())} such lines)",
                "Every place needs a latitude and a longitude in degrees.",
            )
        data[names[0]] = values[order]
    report.extras("places", [c for c in frame.columns if c not in columns])
    report.read.append(("places", "places", len(frame)))
    arrays = {name: ("municipality", values) for name, values in data.items()}
    ds = xr.Dataset(arrays, coords={"municipality": codes.municipality})
    return schema.check_static(schema.set_units(ds)), codes


def read_yields(path: Path, codes: Codes, report: ImportLog) -> xr.Dataset:
    """The table of yields of all places.

    Args:
        path: CSV: code, crop, year of harvest, yield (or production and harvested area), optionally areas and
            production. Rows with a yield of zero or without one are dropped and counted.
        codes: the places.
        report: gets what was read and left out.

    Raises:
        MissingDataError, SchemaError: as `read_places`.
    """
    frame, source = read_csv(path, "yields"), str(path)
    used, texts = codes_of(frame, source)
    rows = codes.rows(texts, source, report, "yields")
    crop_column, year_column = (
        str(pick(frame.columns, ("crop",), source)),
        str(pick(frame.columns, YEAR, source)),
    )
    crop = frame[crop_column].str.lower()
    _refuse_empty(frame, [crop_column], "crop", ("crop",), source)
    year = years_of(frame, year_column, source)
    keys = pd.DataFrame({"code": codes.index[rows], "crop": crop.to_numpy(), "year": year}, index=frame.index)
    _refuse_twice(keys, source)
    rest = [c for c in frame.columns if c not in (used, crop_column, year_column)]
    columns, extras = quantities(rest, "yields", source)
    values = {c.quantity.name: measured(frame, name, c, source) for name, c in columns.items()}
    report.extras("yields", extras)
    _derive_yield(values, source, report)
    keep = _drop_without_yield(values["yield_kg_ha"], crop, report)
    _warn_of_tonnes(values["yield_kg_ha"][keep], crop[keep], report)
    report.read.append(("yields", "rows with a yield", int(keep.sum())))
    names, place_in_crops = np.unique(crop[keep].to_numpy(dtype=str), return_inverse=True)
    years = np.unique(year[keep]).astype(np.int16)
    cells = (place_in_crops, rows[keep], np.searchsorted(years, year[keep]))
    shape = (len(names), len(codes.municipality), len(years))
    data = {}
    for name in YIELDS:
        if name in values:
            array = np.full(shape, np.nan, dtype=np.float32)
            array[cells] = values[name][keep]
            data[name] = (("crop", "municipality", "harvest_year"), array)
    coords = {"crop": names, "municipality": codes.municipality, "harvest_year": years}
    return schema.check_yields(schema.set_units(xr.Dataset(data, coords=coords)))


def read_soil(path: Path, codes: Codes, report: ImportLog) -> xr.Dataset:
    """Soil of the places by layer.

    Args:
        path: CSV, one row per place: code and soil columns with their layer (``clay_pct_0_30cm``).
        codes: the places.
        report: gets what was read.

    Raises:
        MissingDataError, SchemaError: as `read_places`.
    """
    frame, source = read_csv(path, "soil"), str(path)
    used, texts = codes_of(frame, source)
    rows = codes.rows(texts, source, report, "soil")
    _refuse_twice(pd.DataFrame({"code": codes.index[rows]}, index=frame.index), source)
    columns, extras = quantities([c for c in frame.columns if c != used], "soil", source)
    report.extras("soil", extras)
    if not columns:
        raise SchemaError(
            f"{source}: expected soil columns such as clay_pct_0_30cm, received {list(frame.columns)}",
            "Name each column with property, unit and layer.",
        )
    layers = sorted({c.layer for c in columns.values()}, key=_depth)
    data: dict[str, Any] = {}
    for name, column in columns.items():
        empty = np.full((len(codes.municipality), len(layers)), np.nan, dtype=np.float32)
        array = data.setdefault(column.quantity.name, (("municipality", "soil_layer"), empty))[1]
        array[rows, layers.index(column.layer)] = measured(frame, name, column, source)
    known = ~np.isnan(np.concatenate([array for _, array in data.values()], axis=1)).all(axis=1)
    report.read.append(("soil", "places with soil", int(known.sum())))
    return xr.Dataset(data, coords={"municipality": codes.municipality, "soil_layer": np.array(layers)})


def _depth(layer: str) -> tuple[int, ...]:
    return tuple(int(part) for part in layer.removesuffix("cm").split("_"))


def years_of(frame: pd.DataFrame, column: str, source: str) -> NDArray[np.int64]:
    """A column of harvest years; SchemaError at the first value that is no year."""
    years = numbers(frame, column, source)
    wrong = ~((years >= FIRST_YEAR) & (years <= LAST_YEAR) & (years == np.floor(years)))
    if wrong.any():
        line = frame.index[int(np.argmax(wrong))]
        raise SchemaError(
            f"{source}: line {line}, column {column!r}: expected a year from {FIRST_YEAR} to {LAST_YEAR}, "
            f"received {frame[column].loc[line]!r} ({int(wrong.sum())} such lines)",
            "Give the year of harvest: 2018 for the season 2017/18.",
        )
    return years.astype(np.int64)


def _derive_yield(values: dict[str, NDArray[np.float64]], source: str, report: ImportLog) -> None:
    if "yield_kg_ha" in values:
        return
    if "production_t" not in values or "area_harvested_ha" not in values:
        raise SchemaError(
            f"{source}: expected a yield (yield_kg_ha, yield_t_ha), or production_t and area_harvested_ha, "
            f"received {sorted(values)}",
            "Add the yield, with its unit in the column's name.",
        )
    area = np.where(values["area_harvested_ha"] > 0, values["area_harvested_ha"], np.nan)
    values["yield_kg_ha"] = values["production_t"] * 1000 / area
    report.read.append(("yields", "yields computed as production / harvested area", len(area)))


def _drop_without_yield(
    yields: NDArray[np.float64], crop: pd.Series[str], report: ImportLog
) -> NDArray[np.bool_]:
    reasons = {"no yield": np.isnan(yields), "a yield of zero": yields == 0}
    for reason, mask in reasons.items():
        for name, count in crop[mask].value_counts().sort_index().items():
            report.dropped.append(("yields", f"{name}: {reason}", int(count)))
    keep: NDArray[np.bool_] = yields > 0
    if not keep.any():
        raise SchemaError("yields: no row has a yield above zero", "Is this the right file and column?")
    return keep


def _warn_of_tonnes(yields: NDArray[np.float64], crop: pd.Series[str], report: ImportLog) -> None:
    medians = pd.Series(yields).groupby(crop.to_numpy()).median()
    for name, median in medians[medians < _LOWEST_MEDIAN_kg_ha].items():
        text = f"{name}: median yield of {median:g} kg/ha, are these t/ha? Then name the column yield_t_ha"
        report.warnings.append(("yields", text, int((crop == name).sum())))


def _refuse_twice(keys: pd.DataFrame, source: str) -> None:
    twice = keys.duplicated(keep=False)
    if twice.any():
        first = keys[twice].iloc[0]
        lines = keys.index[(keys == first).all(axis=1)].tolist()
        key = ", ".join(f"{name} {value}" for name, value in first.items())
        raise SchemaError(
            f"{source}: expected every {' and '.join(keys.columns)} once, received {key} on lines "
            f"{lines[:5]} ({int(twice.sum())} such lines)",
            "Keep one row for each, or sum the rows if they are parts.",
        )


def _refuse_empty(
    frame: pd.DataFrame, columns: list[str], what: str, names: tuple[str, ...], source: str
) -> None:
    column = pick(columns, names, source)
    empty = frame.index[frame[column] == ""]
    if len(empty):
        raise SchemaError(
            f"{source}: line {empty[0]}, column {column!r} is empty ({len(empty)} such lines)",
            f"Every row needs its {what}.",
        )
