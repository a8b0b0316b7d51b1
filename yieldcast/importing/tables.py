"""A user's tables of places, yields and soil to the checked tables."""

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
from yieldcast.importing.columns import ImportLog, measured, pick, quantities
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
from yieldcast.language import message, sentence
from yieldcast.variables import QUANTITIES, YIELDS, Column

# Clay, silt and sand are all of the fine earth; laboratories and maps round each of them.
_FULL_pct, _ROUNDING_pct = 100.0, 10.0
# Medians beyond these are possible, but usually those of another unit (the limits are our choice).
_USUAL = {
    "clay_pct": (1, 95), "silt_pct": (1, 95), "sand_pct": (1, 99), "bulk_density_kg_dm3": (0.3, 2.2),
    "cec_cmolc_kg": (1.5, 100), "soc_g_kg": (0.5, 120), "nitrogen_g_kg": (0.05, 20), "ph_h2o": (3, 10.5),
}  # fmt: skip


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
    frame, source = read_frame(path, "place", "places", report), str(path)
    used, texts = codes_of(frame, source)
    refuse_twice(pd.DataFrame({"code": texts}, index=frame.index), source)
    codes = Codes(texts.tolist())
    order = np.argsort(codes.rows(texts, source))
    data: dict[str, Any] = {"code": texts[order].astype(str)}
    columns = [used]
    roles: dict[str, tuple[str, ...]] = {"name": NAME, "state": STATE, "region": ("region",)}
    for target, options in roles.items():
        column = pick(frame.columns, options, source, needed=target == "state")
        data[target] = data["code"] if target == "name" else np.full(len(frame), "", dtype="U1")
        if column is not None:
            columns.append(column)
            data[target] = frame[column].to_numpy(dtype=object)[order].astype(str)
    refuse_empty(frame, columns, "state", STATE, source)
    for known in (LATITUDE, LONGITUDE):
        column = str(pick(frame.columns, known, source))
        columns.append(column)
        values = measured(frame, column, Column(QUANTITIES[known[0]], 1.0), source)
        if np.isnan(values).any():
            raise SchemaError(
                f"{source}: line {frame.index[int(np.argmax(np.isnan(values)))]}, column {column!r} is empty "
                f"({int(np.isnan(values).sum())} such lines)",
                "Every place needs a latitude and a longitude in degrees.",
            )
        data[known[0]] = values[order]
    report.extras("places", [c for c in frame.columns if c not in columns])
    report.read.append(("places", message("places"), len(frame)))
    arrays = {name: ("municipality", values) for name, values in data.items()}
    ds = xr.Dataset(arrays, coords={"municipality": codes.municipality})
    return schema.check_static(schema.set_units(ds)), codes


def read_yields(
    path: Path, codes: Codes, report: ImportLog, north: bool = False, fields: bool = False
) -> xr.Dataset:
    """The table of yields of all places.

    Args:
        path: CSV: code, crop, year of harvest, yield (or production and harvested area), optionally areas and
            production. Rows with a yield of zero or without one are dropped and counted.
        codes: the places.
        report: gets what was read and left out.
        north: whether they lie north of the equator, see `years_of`.
        fields: whether the places are fields, see `codes.code_column`.

    Raises:
        MissingDataError, SchemaError: as `read_places`.
    """
    frame, source = read_frame(path, "yields", "yields", report), str(path)
    used, texts = codes_of(frame, source, fields)
    rows = codes.rows(texts, source, report, "yields")
    crop_column, year_column = (str(pick(frame.columns, options, source)) for options in (CROP, YEAR))
    crop = crops_of(frame[crop_column], report, "yields")
    refuse_empty(frame, [crop_column], "crop", CROP, source)
    year = years_of(frame, year_column, source, report, "yields", north)
    keys = pd.DataFrame({"code": codes.index[rows], "crop": crop.to_numpy(), "year": year}, index=frame.index)
    refuse_twice(keys, source)
    rest = [c for c in frame.columns if c not in (used, crop_column, year_column)]
    columns, extras = quantities(rest, "yields", source)
    values = {
        c.quantity.name: measured_or_symbol(frame, name, c, source, crop, report, "yields")
        for name, c in columns.items()
    }
    report.extras("yields", extras)
    if derive_yield(values, values.get("area_harvested_ha"), extras, source):
        report.read.append(("yields", message("yields computed as production / harvested area"), len(frame)))
    keep = _drop_without_yield(values["yield_kg_ha"], crop, report)
    warn_of_contradiction(values, report, "yields")
    check_magnitudes(values["yield_kg_ha"][keep], crop[keep], source, report, "yields")
    report.read.append(("yields", message("rows with a yield"), int(keep.sum())))
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


def read_soil(path: Path, codes: Codes, report: ImportLog, fields: bool = False) -> xr.Dataset:
    """Soil of the places by layer.

    Args:
        path: CSV, one row per place: code and soil columns with their layer (``clay_pct_0_30cm``).
        codes: the places.
        report: gets what was read.
        fields: whether the places are fields, see `codes.code_column`.

    Raises:
        MissingDataError, SchemaError: as `read_places`.
    """
    frame, source = read_frame(path, "soil", "soil", report), str(path)
    used, texts = codes_of(frame, source, fields)
    rows = codes.rows(texts, source, report, "soil")
    refuse_twice(pd.DataFrame({"code": codes.index[rows]}, index=frame.index), source)
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
    report.read.append(("soil", message("places with soil"), int(known.sum())))
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
    reasons = {message("no yield"): np.isnan(yields), message("a yield of zero"): yields == 0}
    for reason, mask in reasons.items():
        for name, count in crop[mask].value_counts().sort_index().items():
            report.dropped.append(
                ("yields", sentence("{crop}: {reason}", crop=name, reason=sentence(reason)), int(count))
            )
    keep: NDArray[np.bool_] = yields > 0
    if not keep.any():
        raise SchemaError("yields: no row has a yield above zero", "Is this the right file and column?")
    return keep


def refuse_twice(
    keys: pd.DataFrame, source: str, hint: str = "Keep one row for each, or sum the rows if they are parts."
) -> None:
    """Raise SchemaError where two rows of `keys` are the same; the message names their lines."""
    twice = keys.duplicated(keep=False)
    if twice.any():
        first = keys[twice].iloc[0]
        lines = keys.index[(keys == first).all(axis=1)].tolist()
        key = ", ".join(f"{name} {value}" for name, value in first.items())
        raise SchemaError(
            f"{source}: expected every {' and '.join(keys.columns)} once, received {key} on lines "
            f"{lines[:5]} ({int(twice.sum())} such lines)",
            hint,
        )


def refuse_empty(
    frame: pd.DataFrame, columns: list[str], what: str, names: tuple[str, ...], source: str
) -> None:
    """Raise SchemaError where the one of `columns` that has one of the `names` has an empty cell."""
    column = pick(columns, names, source)
    empty = frame.index[frame[column] == ""]
    if len(empty):
        raise SchemaError(
            f"{source}: line {empty[0]}, column {column!r} is empty ({len(empty)} such lines)",
            f"Every row needs its {what}.",
        )
