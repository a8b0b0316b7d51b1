"""Crop yields by municipality: when a part of IBGE's PAM is whole, and the table of yields made of parts."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request, RequestCache, children
from data_fetchers.engine.source import Note
from data_fetchers.ibge.malhas import PARENTS
from data_fetchers.ibge.sidra import FETCH_YIELDS, SYMBOLS, VARIABLE_MAP, parse_values
from yieldcast.data.schema import check_yields, set_units
from yieldcast.errors import MissingDataError

if TYPE_CHECKING:
    from data_fetchers.ibge.source import Ibge

Floats = NDArray[np.float64]


def read_yields(
    shelf: RequestCache, ibge: Ibge, parts: Sequence[Request], municipalities: NDArray[np.int32]
) -> tuple[xr.Dataset, list[Note]]:
    """The table of yields of the parts' crops and years.

    Args:
        shelf: holds the parts.
        ibge: the source.
        parts: as `Ibge.yield_parts` made them.
        municipalities: 7-digit codes, sorted.

    Returns:
        dims (crop, municipality, harvest_year), float32: yield_kg_ha = 1000 * production / harvested area,
        or variable 112 where one of the two is missing or production is 0 by rounding; no yield is NaN. Areas
        (ha) and production (t).

    Raises:
        MissingDataError: none of the parts is on the shelf.
        SchemaError: a value outside its range.
    """
    table = _Table(parts, municipalities)
    for part in parts:
        for leaf, path, _record in shelf.leaves(part):
            table.fill(leaf, parse_values(gzip.decompress(path.read_bytes())))
    if not table.filled:
        raise MissingDataError("no yields have been fetched from IBGE yet", f"Fetch them: {FETCH_YIELDS}.")
    notes = [
        Note("yields", f"{p.name} has not been fetched: its values are NaN", 1, missing=True)
        for part in parts
        for p in _absent(shelf, part)
    ]
    yields = table.yields(notes)
    dims = ("crop", "municipality", "harvest_year")
    arrays = {**table.arrays, "yield_kg_ha": yields}
    ds = xr.Dataset(
        {name: (dims, array.astype(np.float32)) for name, array in arrays.items()},
        coords={
            "crop": table.crops,
            "municipality": np.asarray(municipalities, dtype=np.int32),
            "harvest_year": np.array(table.years, dtype=np.int16),
        },
        attrs={"source": "IBGE PAM", "licence": ibge.licence, "attribution": ibge.attribution},
    )
    return check_yields(set_units(ds)), notes + table.notes()


class _Table:
    """The arrays (crop, municipality, harvest_year) under construction, in float64, and what was odd."""

    def __init__(self, parts: Sequence[Request], municipalities: NDArray[np.int32]) -> None:
        self.crops = sorted({crop for part in parts for crop in part.request["crops"]})
        self.years = sorted({int(part.request["year"]) for part in parts})
        self.codes = pd.Index(municipalities)
        shape = (len(self.crops), len(municipalities), len(self.years))
        self.arrays = {name: np.full(shape, np.nan) for name in sorted(set(VARIABLE_MAP.values()))}
        self.filled = False
        self.symbols: Counter[str] = Counter()
        self.strangers: set[int] = set()
        self.grown: set[int] = set()  # strangers with a value above 0
        self.unlisted: set[int] = set()  # asked for, and not a row of an answer

    def fill(self, part: Request, frame: pd.DataFrame) -> None:
        """Put an answer's values in their places; remember municipalities that are not asked for."""
        rows = self.codes.get_indexer(frame["municipality"])
        year = self.years.index(part.request["year"])
        for crop, product in part.request["crops"].items():
            for variable in part.request["variables"]:
                here = (frame["product"] == product) & (frame["variable"] == variable) & (rows >= 0)
                array = self.arrays[VARIABLE_MAP[variable]]
                array[self.crops.index(crop), rows[here], year] = frame["value"].to_numpy()[here]
        strange = frame[rows < 0]
        self.strangers |= set(strange["municipality"].tolist())
        self.grown |= set(strange.loc[strange["value"] > 0, "municipality"].tolist())
        inside = self.codes[np.isin(self.codes // 100_000, [int(uf) for uf in part.request["territories"]])]
        self.unlisted |= set(inside.difference(frame["municipality"]).tolist()) - set(PARENTS)
        self.symbols.update(frame.attrs["symbols"])
        self.filled = True

    def yields(self, notes: list[Note]) -> Floats:
        """Yields (kg/ha), NaN where there are none; what was odd is added to `notes`."""
        tonnes, hectares = self.arrays["production_t"], self.arrays["area_harvested_ha"]
        stated = self.arrays["yield_kg_ha"]
        incomplete = np.isnan(tonnes) | np.isnan(hectares)
        with np.errstate(divide="ignore", invalid="ignore"):
            computed = np.where(hectares > 0, 1000.0 * tonnes / hectares, 0.0)
        apart = beyond_rounding(tonnes, hectares, stated)
        # Less than half a tonne is written as 0: harvested it was.
        rounded = ~incomplete & (tonnes == 0) & (hectares > 0) & (stated > 0)
        yields = np.where(incomplete | rounded, stated, computed)
        for i, crop in enumerate(self.crops):
            counted = {
                "zero yields (nothing harvested) are NaN": yields[i] == 0,
                "yields are missing": np.isnan(yields[i]),
                "yields are variable 112, production or area is missing": incomplete[i] & (yields[i] > 0),
                "yields are variable 112, production is 0 t by rounding": rounded[i],
                "yields differ from variable 112 by more than rounding": apart[i],
            }
            notes += [Note("yields", f"{crop}: {t}", int(c.sum())) for t, c in counted.items() if c.any()]
        yields[yields == 0] = np.nan
        return yields

    def notes(self) -> list[Note]:
        """Symbols, municipalities that are not asked for, and those without a row or without any value."""
        notes = [
            Note("yields", f"values that SIDRA marks {symbol!r} ({SYMBOLS[symbol]})", count)
            for symbol, count in sorted(self.symbols.items())
        ]
        for word, codes in (("with", self.grown), ("without", self.strangers - self.grown)):
            if codes:
                text = f"municipalities in PAM {word} values, not among the places: {sorted(codes)[:5]}"
                notes.append(Note("yields", text, len(codes)))
        if self.unlisted:
            text = f"municipalities that PAM does not list in every year: {sorted(self.unlisted)[:20]}"
            notes.append(Note("yields", text, len(self.unlisted)))
        # A zero is an answer: only where all is NaN does PAM say nothing.
        silent = np.all([np.isnan(a).all(axis=(0, 2)) for a in self.arrays.values()], axis=0)
        if silent.any():
            text = f"municipalities without any value in PAM: {self.codes[silent].tolist()[:5]}"
            notes.append(Note("yields", text, int(silent.sum())))
        return notes


def beyond_rounding(tonnes: Floats, hectares: Floats, stated: Floats) -> NDArray[np.bool_]:
    """Where 1000 * production / area and variable 112 differ by more than IBGE's rounding.

    Args:
        tonnes, hectares: variables 214 and 216, any shape; NaN where missing.
        stated: variable 112 (kg/ha).

    Production is rounded to whole tonnes: the true one lies within 0.5 t, so 1000 P / A lies within 500 / A
    kg/ha of the true yield y. Variable 112 is y cut down to whole kg/ha, at most 1 below y, or y rounded, at
    most 0.5 above it; so computed - stated lies in [-(500 / A + 0.5), 500 / A + 1].
    Measured on 46,717 rows of PAM 2000-2018 that hold all three (shared/brazil/pam_yields.csv.gz): of those
    whose fraction decides, IBGE cut nearly all up to 2010 and rounded nearly all from 2011; 17 lie outside.
    A yield stated for no area at all is beyond rounding too.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gap, tonne = 1000.0 * tonnes / hectares - stated, 500.0 / hectares
    apart = (gap < -(tonne + 0.5 + 1e-6)) | (gap > tonne + 1.0 + 1e-6)
    return np.asarray(apart | (~np.isnan(tonnes) & (hectares == 0) & (stated > 0)), dtype=np.bool_)


def _absent(shelf: RequestCache, part: Request) -> list[Request]:
    record = shelf.verified(part)
    if record is None:
        return [part]
    return [absent for child in children(part, record) for absent in _absent(shelf, child)]
