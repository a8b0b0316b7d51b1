"""Names, units and layers of SoilGrids, the rows of an answer, and the soil table made from answers."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.engine.cache import Record, Request, RequestCache
from data_fetchers.engine.source import Note, RetryableError, Source
from yieldcast.data.files import disk_error
from yieldcast.data.schema import set_units
from yieldcast.variables import QUANTITIES


class Stored(NamedTuple):
    """Conversion of a SoilGrids property.

    Args:
        name: our name, one of `variables.SOIL`.
        factor: from the stored integer to our unit.
        nodata: stored number for missing values, if the file has no tag for it.
    """

    name: str
    factor: float
    nodata: float


# 2017: ISRICWorldSoil/SoilGrids250m, grids/models/META_GEOTIFF_1B.csv (2017-03-10). Volume percent, pH x 10,
# kg/m3 for the bulk density. 2.0: mapped units of ISRIC's FAQ as held in soilDB, R/fetchSoilGrids.R (there
# to divide by 10 or 100; g/kg of texture are tenths of a percent).
VARIABLE_MAP: Mapping[str, Mapping[str, Stored]] = {
    "2017": {
        "CLYPPT": Stored("clay_pct", 1.0, 255),
        "SLTPPT": Stored("silt_pct", 1.0, 255),
        "SNDPPT": Stored("sand_pct", 1.0, 255),
        "BLDFIE": Stored("bulk_density_kg_dm3", 0.001, -32768),
        "CRFVOL": Stored("coarse_fragments_pct", 1.0, 255),
        "CECSOL": Stored("cec_cmolc_kg", 1.0, -32768),
        "ORCDRC": Stored("soc_g_kg", 1.0, -32768),
        "PHIHOX": Stored("ph_h2o", 0.1, 255),
        "PHIKCL": Stored("ph_kcl", 0.1, 255),
    },
    "2.0": {
        "bdod": Stored("bulk_density_kg_dm3", 0.01, -32768),
        "cec": Stored("cec_cmolc_kg", 0.1, -32768),
        "cfvo": Stored("coarse_fragments_pct", 0.1, -32768),
        "clay": Stored("clay_pct", 0.1, -32768),
        "sand": Stored("sand_pct", 0.1, -32768),
        "silt": Stored("silt_pct", 0.1, -32768),
        "nitrogen": Stored("nitrogen_g_kg", 0.01, -32768),
        "phh2o": Stored("ph_h2o", 0.1, -32768),
        "soc": Stored("soc_g_kg", 0.1, -32768),
    },
}
# Our name of each layer -> ISRIC's name: depths in 2017, intervals of depth in 2.0.
LAYERS: Mapping[str, Mapping[str, str]] = {
    "2017": {f"{depth}cm": f"sl{k}" for k, depth in enumerate((0, 5, 15, 30, 60, 100, 200), start=1)},
    "2.0": {
        f"{top}_{bottom}cm": f"{top}-{bottom}cm"
        for top, bottom in ((0, 5), (5, 15), (15, 30), (30, 60), (60, 100), (100, 200))
    },
}
TEXTURE = ("sand_pct", "silt_pct", "clay_pct")
TEXTURE_SUM_pct = (98.0, 102.0)  # the three are predicted separately and rounded


def file_path(parameters: Mapping[str, Any]) -> str:
    """Path of a layer's file below the base address, from the parameters of a request."""
    generation, code, resolution = parameters["generation"], parameters["code"], parameters["resolution"]
    depth = LAYERS[generation][parameters["layer"]]
    if generation == "2017":
        folder = "data" if resolution == "250m" else f"aggregated/{resolution}"
        return f"former/2017-03-10/{folder}/{code}_M_{depth}_{resolution}_ll.tif"
    if resolution == "250m":
        return f"latest/data/{code}/{code}_{depth}_mean.vrt"
    metres = {"1km": 1000, "5km": 5000}[resolution]
    return f"latest/data_aggregated/{metres}m/{code}/{code}_{depth}_mean_{metres}.tif"


class Row(NamedTuple):
    """One municipality in an answer.

    Args:
        municipality: IBGE code of 7 digits.
        value: in our unit, NaN without soil.
        n_valid, n_total: number of pixels with a value, and of all pixels considered.
        radius_km: 0 for the place's own pixels, else radius around the centroid; NaN without a value.
        how: ``centroid``, ``polygon``, or ``no polygon`` for the centroid in place of a missing polygon.
    """

    municipality: int
    value: float
    n_valid: int
    n_total: int
    radius_km: float
    how: str


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV with a header; missing values are empty."""
    try:
        with open(file, "w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(Row._fields)
            for row in rows:
                value, radius = ("" if math.isnan(x) else f"{x:.7g}" for x in (row.value, row.radius_km))
                writer.writerow(row._replace(value=value, radius_km=radius))  # type: ignore[arg-type]
    except OSError as error:
        raise disk_error(file, error) from error


def read_rows(file: Path) -> list[Row]:
    """Read a file of `write_rows`.

    Raises:
        RetryableError: the file has other contents.
    """
    try:
        with open(file, newline="", encoding="utf-8") as handle:
            table = list(csv.reader(handle))
        if tuple(table[0]) != Row._fields:
            raise ValueError(f"header {table[0]}")
        return [
            Row(int(code), _number(value), int(valid), int(total), _number(radius), how)
            for code, value, valid, total, radius, how in table[1:]
        ]
    except (ValueError, IndexError, OSError) as error:
        raise RetryableError(
            f"{file.name}: expected rows of {', '.join(Row._fields)}, received {error}",
            "The file on disk is damaged; it will be fetched again.",
        ) from error


def _number(text: str) -> float:
    return float(text) if text else math.nan


def check_rows(request: Request, rows: Sequence[Row]) -> Record:
    """Check that rows are complete, in range and not all empty; return entries for the sidecar.

    Raises:
        RetryableError: otherwise.
    """
    asked = sorted(place[0] for place in request.parameters["places"])
    if sorted(row.municipality for row in rows) != asked:
        raise RetryableError(
            f"{request.name}: expected {len(asked)} places, received {len(rows)}, or other ones"
        )
    quantity = QUANTITIES[_name(request)]
    for row in rows:
        if math.isnan(row.value) != (row.n_valid == 0) or row.n_valid > row.n_total:
            raise RetryableError(f"{request.name}: inconsistent {row}")
        if not (math.isnan(row.value) or quantity.low <= row.value <= quantity.high):
            raise RetryableError(
                f"{request.name}: expected {quantity.low:g} to {quantity.high:g} {quantity.units}, "
                f"received {row.value:g} for {row.municipality}",
                "The file's nodata value or unit is not the documented one; ask ISRIC if it persists.",
            )
    empty = sum(row.n_valid == 0 for row in rows)
    # A single place may be an island that SoilGrids lacks; a whole state is not.
    if empty == len(rows) > 1:
        raise RetryableError(
            f"{request.name}: none of {empty} places has a value", "Check that the file covers this area."
        )
    return {"places": len(rows), "without_value": empty, "filled": sum(row.radius_km > 0 for row in rows)}


def read_soil(
    cache: RequestCache, source: Source, requests: Sequence[Request], municipalities: NDArray[np.int32]
) -> tuple[xr.Dataset, list[Note]]:
    """The soil of municipalities from cached answers.

    Args:
        cache: holds the answers.
        source: gives licence and attribution.
        requests: from `SoilGrids.soil_requests`.
        municipalities: (municipality) int32, sorted.

    Returns:
        Dataset (municipality, soil_layer), float32, our units, NaN for missing values, layers from the top;
        and notes on filled, missing and implausible values.
    """
    codes = {int(code): i for i, code in enumerate(municipalities)}
    layers = sorted({str(request.parameters["layer"]) for request in requests}, key=depths_cm)
    shape = (len(codes), len(layers))
    tables = {name: np.full(shape, np.nan, np.float32) for name in dict.fromkeys(map(_name, requests))}
    asked = {name: np.zeros(shape, bool) for name in tables}
    rows: list[Row] = []
    absent: list[Request] = []
    for request in requests:
        name, layer = _name(request), layers.index(request.parameters["layer"])
        places = [codes[place[0]] for place in request.parameters["places"] if place[0] in codes]
        asked[name][places, layer] = True
        leaves = list(cache.leaves(request))
        absent += [] if leaves else [request]
        found = [row for _, file, _ in leaves for row in read_rows(file) if row.municipality in codes]
        tables[name][[codes[row.municipality] for row in found], layer] = [row.value for row in found]
        rows += found
    attrs = {"source": source.name, "licence": source.licence, "attribution": source.attribution}
    ds = xr.Dataset(
        {name: (("municipality", "soil_layer"), table) for name, table in tables.items()},
        coords={"municipality": np.asarray(municipalities, np.int32), "soil_layer": np.array(layers, str)},
        attrs=attrs,
    )
    left_out = sum(int((~table).sum()) for table in asked.values())
    return set_units(ds), [*_absence(absent, left_out), *_fillings(rows), *_odd_textures(ds)]


def depths_cm(layer: str) -> list[int]:
    """Depths in a layer's name (cm), e.g. [5, 15] for ``5_15cm``; sort key of layers."""
    return [int(depth) for depth in re.findall(r"\d+", layer)]


def _name(request: Request) -> str:
    return VARIABLE_MAP[request.parameters["generation"]][request.parameters["code"]].name


def _absence(absent: Sequence[Request], left_out: int) -> list[Note]:
    notes = []
    if absent:
        names = ", ".join(request.name for request in absent[:3]) + (", ..." if len(absent) > 3 else "")
        count = sum(len(request.parameters["places"]) for request in absent)
        notes.append(
            Note("soil", f"values not fetched, of {len(absent)} requests: {names}", count, missing=True)
        )
    if left_out:
        text = "values of municipalities that are in no request"
        notes.append(Note("soil", text, left_out, missing=True))
    return notes


def _fillings(rows: Sequence[Row]) -> list[Note]:
    places: dict[str, list[int]] = {}
    for row in rows:
        if math.isnan(row.value):
            text = "values missing: no soil within 10 km of the centroid (water, rock, town)"
            places.setdefault(text, []).append(row.municipality)
        elif row.radius_km > 0:
            text = f"values with soil from up to {row.radius_km:g} km around the centroid: too little nearer"
            places.setdefault(text, []).append(row.municipality)
        if row.how == "no polygon":
            places.setdefault("values at the centroid, because there is no polygon", []).append(
                row.municipality
            )
    return [
        Note("soil", f"{text}; {len(set(codes))} municipalities", len(codes))
        for text, codes in sorted(places.items())
    ]


def _odd_textures(ds: xr.Dataset) -> list[Note]:
    if not all(name in ds for name in TEXTURE):
        return []
    total = np.sum([ds[name].values.astype(float) for name in TEXTURE], axis=0)
    odd = int(((total < TEXTURE_SUM_pct[0]) | (total > TEXTURE_SUM_pct[1])).sum())
    return [Note("soil", "sand + silt + clay not within 98 to 102 %", odd)] if odd else []
