"""Import of a user's own files: places, yields and soil as CSV, weather as netCDF, to the checked tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from calendars import names
from yieldcast.data import schema
from yieldcast.data.store import Tables
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes, codes_of
from yieldcast.importing.columns import ImportLog, measured, pick, quantities, shown
from yieldcast.importing.daily import daily_from_days
from yieldcast.importing.harvests import (
    check_magnitudes,
    crops_of,
    derive_yield,
    measured_or_symbol,
    warn_of_contradiction,
    years_of,
)
from yieldcast.importing.headings import CROP, LATITUDE, LONGITUDE, NAME, STATE, YEAR
from yieldcast.importing.layout import read_frame
from yieldcast.importing.weather import read_weather
from yieldcast.variables import QUANTITIES, YIELDS, Column

# Clay, silt and sand are all of the fine earth; laboratories and maps round each of them.
_FULL_pct, _ROUNDING_pct = 100.0, 10.0
# Medians beyond these are possible, but usually those of another unit (the limits are our choice).
_USUAL = {
    "clay_pct": (1, 95), "silt_pct": (1, 95), "sand_pct": (1, 99), "bulk_density_kg_dm3": (0.3, 2.2),
    "cec_cmolc_kg": (1.5, 100), "soc_g_kg": (0.5, 120), "nitrogen_g_kg": (0.05, 20), "ph_h2o": (3, 10.5),
}  # fmt: skip


class UserTables(NamedTuple):
    """A user's own tables.

    Args:
        tables: places with soil, weather and yields.
        daily: daily weather, None where the weather file is monthly.
        log: what was read, left out and is missing.
    """

    tables: Tables
    daily: xr.Dataset | None
    log: ImportLog


def read_tables(places: Path, yields: Path, weather: Path, soil: Path | None) -> tuple[Tables, ImportLog]:
    """The tables and the log of `read_user_tables`."""
    read = read_user_tables(places, yields, weather, soil, keep_days=False)
    return read.tables, read.log


def read_user_tables(
    places: Path, yields: Path, weather: Path, soil: Path | None, keep_days: bool = True
) -> UserTables:
    """Read, convert and check a user's own files. Nothing is written; see `Store.write`.

    Columns may have any order. Quantities are found by name and unit (`variables.resolve`); other columns are
    ignored and listed in the log. All three tables have all places. CSV files may be compressed with gzip.

    Args:
        places: CSV, one row per place: code, name, latitude, longitude, state (the key of the crop
            calendar), optionally region. `Codes` describes how codes become the int32 municipality.
        yields: CSV: code, crop, year of harvest, yield (or production and harvested area), optionally
            areas and production. Rows with a yield of zero or without one are dropped and counted.
        weather: netCDF-4, see `importing.weather.read_weather`.
        soil: CSV, one row per place: code and soil columns with their layer (``clay_pct_0_30cm``); or None.
        keep_days: make the table of daily weather where the weather file is daily.

    Raises:
        MissingDataError: a file is missing or cannot be read.
        SchemaError: contents break the contract; the message names the file and the line or the place.
    """
    report = ImportLog()
    files = {"places": places, "yields": yields, "weather": weather, "soil": soil}
    static, codes = _places(Path(places), report)
    north = bool(np.median(static["latitude_deg"].values) > 0)
    yield_table = _yields(Path(yields), codes, report, north)
    if soil is not None:
        static = static.merge(_soil(Path(soil), codes, report))
    else:
        report.warnings.append(
            ("soil", "places without soil: no soil file was given", len(codes.municipality))
        )
    static = schema.check_static(schema.set_units(static))
    read, daily = read_weather(Path(weather), codes, report), None
    if read.fields is not None and keep_days:
        position = np.full(len(codes.municipality), -1)
        position[read.rows] = np.arange(len(read.rows))
        unit = codes.municipality[read.rows]
        daily = daily_from_days(read.fields, read.days, unit, codes, position, report, read.attrs)
    for table, file in files.items():
        if file is not None:
            report.sources[table] = {"file": str(file), "bytes": Path(file).stat().st_size}
    return UserTables(Tables(static, read.monthly, yield_table), daily, report)


def _places(path: Path, report: ImportLog) -> tuple[xr.Dataset, Codes]:
    frame, source = read_frame(path, "place", "places", report), str(path)
    used, texts = codes_of(frame, source)
    _refuse_twice(pd.DataFrame({"code": texts}, index=frame.index), source)
    codes = Codes(texts.tolist())
    order = np.argsort(codes.rows(texts, source))
    data: dict[str, Any] = {"code": texts[order].astype(str)}
    columns = [used]
    for target, options in (("name", NAME), ("state", STATE), ("region", ("region",))):
        column = pick(frame.columns, options, source, needed=target == "state")
        data[target] = data["code"] if target == "name" else np.full(len(frame), "", dtype="U1")
        if column is not None:
            columns.append(column)
            data[target] = frame[column].to_numpy(dtype=object)[order].astype(str)
    _refuse_empty(frame, columns, "state", STATE, source)
    data["state"] = _states(data["state"], data["code"], source, report)
    for names_ in (LATITUDE, LONGITUDE):
        column = str(pick(frame.columns, names_, source))
        columns.append(column)
        values = measured(frame, column, Column(QUANTITIES[names_[0]], 1.0), source)
        if np.isnan(values).any():
            raise SchemaError(
                f"{source}: line {frame.index[int(np.argmax(np.isnan(values)))]}, column {column!r} is empty "
                f"({int(np.isnan(values).sum())} such lines)",
                "Every place needs a latitude and a longitude in degrees.",
            )
        data[names_[0]] = values[order]
    report.extras("places", [c for c in frame.columns if c not in columns])
    report.read.append(("places", "places", len(frame)))
    arrays = {name: ("municipality", values) for name, values in data.items()}
    return xr.Dataset(arrays, coords={"municipality": codes.municipality}), codes


def _states(
    texts: NDArray[np.str_], codes: NDArray[np.str_], source: str, report: ImportLog
) -> NDArray[np.str_]:
    """Codes of the states of Brazil from names and numbers; the states of other countries as they are."""
    known = {str(text): names.state(str(text)) for text in np.unique(texts)}
    keys = np.array([known[text] or "" for text in texts])
    numbered = all(
        code.startswith(names.state_number(key)) for key, code in zip(keys, codes, strict=True) if key
    )
    unknown = [text for text, key in known.items() if key is None]
    if not keys.any() or not numbered or (unknown and not str(codes[0]).isdecimal()):
        return texts
    if unknown:
        raise SchemaError(
            f"{source}: expected states of Brazil by code, name or number, received also {shown(unknown, 5)}",
            "Write for example MT, Mato Grosso or 51.",
        )
    for text, key in known.items():
        if text != key:
            report.read.append(("places", f"state {text!r} read as {key}", int((texts == text).sum())))
    return keys


def _yields(path: Path, codes: Codes, report: ImportLog, north: bool = False) -> xr.Dataset:
    frame, source = read_frame(path, "yields", "yields", report), str(path)
    used, texts = codes_of(frame, source)
    rows = codes.rows(texts, source, report, "yields")
    crop_column, year_column = (str(pick(frame.columns, options, source)) for options in (CROP, YEAR))
    crop = crops_of(frame[crop_column], report, "yields")
    _refuse_empty(frame, [crop_column], "crop", CROP, source)
    year = years_of(frame, year_column, source, report, "yields", north)
    keys = pd.DataFrame({"code": codes.index[rows], "crop": crop.to_numpy(), "year": year}, index=frame.index)
    _refuse_twice(keys, source)
    rest = [c for c in frame.columns if c not in (used, crop_column, year_column)]
    columns, extras = quantities(rest, "yields", source)
    values = {
        c.quantity.name: measured_or_symbol(frame, name, c, source, crop, report, "yields")
        for name, c in columns.items()
    }
    report.extras("yields", extras)
    if derive_yield(values, values.get("area_harvested_ha"), extras, source):
        report.read.append(("yields", "yields computed as production / harvested area", len(frame)))
    keep = _drop_without_yield(values["yield_kg_ha"], crop, report)
    warn_of_contradiction(values, report, "yields")
    check_magnitudes(values["yield_kg_ha"][keep], crop[keep], source, report, "yields")
    report.read.append(("yields", "rows with a yield", int(keep.sum())))
    crops, place_in_crops = np.unique(crop[keep].to_numpy(dtype=str), return_inverse=True)
    years = np.unique(year[keep]).astype(np.int16)
    cells = (place_in_crops, rows[keep], np.searchsorted(years, year[keep]))
    shape = (len(crops), len(codes.municipality), len(years))
    data = {}
    for name in YIELDS:
        if name in values:
            array = np.full(shape, np.nan, dtype=np.float32)
            array[cells] = values[name][keep]
            data[name] = (("crop", "municipality", "harvest_year"), array)
    coords = {"crop": crops, "municipality": codes.municipality, "harvest_year": years}
    return schema.check_yields(schema.set_units(xr.Dataset(data, coords=coords)))


def _soil(path: Path, codes: Codes, report: ImportLog) -> xr.Dataset:
    frame, source = read_frame(path, "soil", "soil", report), str(path)
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
    _warn_of_soil({name: array for name, (_, array) in data.items()}, layers, codes, report)
    known = ~np.isnan(np.concatenate([array for _, array in data.values()], axis=1)).all(axis=1)
    report.read.append(("soil", "places with soil", int(known.sum())))
    if not known.all():
        report.warnings.append(("soil", "places without soil", int((~known).sum())))
    return xr.Dataset(data, coords={"municipality": codes.municipality, "soil_layer": np.array(layers)})


def _warn_of_soil(
    data: dict[str, NDArray[np.float32]], layers: list[str], codes: Codes, report: ImportLog
) -> None:
    """Note textures that do not add up to 100 %, and medians that look like another unit."""
    parts = [data[name] for name in ("clay_pct", "silt_pct", "sand_pct") if name in data]
    total = np.sum(parts, axis=0) if len(parts) > 1 else np.full((1, 1), np.nan)
    wrong = total > _FULL_pct + _ROUNDING_pct
    if len(parts) == 3:  # with only two parts a small sum says nothing
        wrong |= total < _FULL_pct - _ROUNDING_pct
    if wrong.any():
        place, layer = np.argwhere(wrong)[0]
        text = (
            f"clay, silt and sand add up to {total[place, layer]:.0f} % in {layers[layer]} of "
            f"{codes.index[place]}, expected 100 %"
        )
        report.warnings.append(("soil", text, int(wrong.sum())))
    for name, (low, high) in _USUAL.items():
        values = data.get(name, np.array([np.nan]))
        median = float(np.nanmedian(values)) if not np.isnan(values).all() else low
        if not low <= median <= high:
            text = f"{name}: a median of {median:.4g} is unusual, expected {low:g} to {high:g}: another unit?"
            report.warnings.append(("soil", text, int((~np.isnan(values)).sum())))


def _depth(layer: str) -> tuple[int, ...]:
    return tuple(int(part) for part in layer.removesuffix("cm").split("_"))


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
