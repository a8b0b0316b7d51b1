"""Makes the table of municipal crop yields from cached answers of SIDRA (IBGE's PAM survey)."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request, RequestCache, children
from data_fetchers.engine.source import Note
from data_fetchers.ibge.sidra import FETCH_YIELDS, SYMBOLS, VARIABLE_MAP, parse_values
from data_fetchers.ibge.source import Ibge
from yieldcast.data.schema import check_yields, set_units
from yieldcast.errors import MissingDataError

Floats = NDArray[np.float64]
_NAMED = 20  # municipalities that a note names


def read_yields(
    cache: RequestCache,
    ibge: Ibge,
    requests: Sequence[Request],
    municipalities: NDArray[np.int32],
    names: Mapping[int, str] | None = None,
) -> tuple[xr.Dataset, list[Note]]:
    """The table of yields for the crops and years of some requests.

    Args:
        cache: holds the answers.
        ibge: the source.
        requests: from `Ibge.yield_requests`.
        municipalities: (municipality) 7-digit codes, sorted.
        names: names of municipalities by code, for the notes.

    Returns:
        dims (crop, municipality, harvest_year), float32: yield_kg_ha = 1000 * production / harvested area,
        or variable 112 where one of the two is missing or production is rounded to 0; NaN without a yield.
        Areas (ha) and production (t). The attribute ``not_listed`` names the municipalities that PAM does not
        list in every year. Also notes.

    Raises:
        MissingDataError: no answer is cached.
        SchemaError: a value outside its range.
    """
    table = _Table(requests, municipalities)
    for request in requests:
        for leaf, path, _record in cache.leaves(request):
            table.fill(leaf, parse_values(gzip.decompress(path.read_bytes())))
    if not table.filled:
        raise MissingDataError("no yields have been fetched from IBGE yet", f"Fetch them: {FETCH_YIELDS}.")
    notes = [
        Note("yields", f"{p.name} has not been fetched: its values are NaN", 1, missing=True)
        for request in requests
        for p in _absent(cache, request)
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
    named = [f"{code} {(names or {}).get(code, '')}".strip() for code in sorted(table.unlisted)]
    ds.attrs |= {"not_listed": ", ".join(named)} if named else {}
    return check_yields(set_units(ds)), notes + table.notes(named)


class _Table:
    """The arrays (crop, municipality, harvest_year) while they are filled, float64, with irregular cases."""

    def __init__(self, requests: Sequence[Request], municipalities: NDArray[np.int32]) -> None:
        self.crops = sorted({crop for request in requests for crop in request.parameters["crops"]})
        self.years = sorted({int(request.parameters["year"]) for request in requests})
        self.codes = pd.Index(municipalities)
        shape = (len(self.crops), len(municipalities), len(self.years))
        self.arrays = {name: np.full(shape, np.nan) for name in sorted(set(VARIABLE_MAP.values()))}
        self.filled = False
        self.symbols: Counter[str] = Counter()
        self.unknown: set[int] = set()  # municipalities that are not among the places
        self.unknown_with_values: set[int] = set()  # those of them with a value above 0
        self.unlisted: set[int] = set()  # places without a row in an answer

    def fill(self, request: Request, frame: pd.DataFrame) -> None:
        """Add the values of an answer; collect municipalities that are not among the places."""
        rows = self.codes.get_indexer(frame["municipality"])
        year = self.years.index(request.parameters["year"])
        for crop, product in request.parameters["crops"].items():
            for variable in request.parameters["variables"]:
                here = (frame["product"] == product) & (frame["variable"] == variable) & (rows >= 0)
                array = self.arrays[VARIABLE_MAP[variable]]
                array[self.crops.index(crop), rows[here], year] = frame["value"].to_numpy()[here]
        others = frame[rows < 0]
        self.unknown |= set(others["municipality"].tolist())
        self.unknown_with_values |= set(others.loc[others["value"] > 0, "municipality"].tolist())
        states = [int(uf) for uf in request.parameters["territories"]]
        inside = self.codes[np.isin(self.codes // 100_000, states)]
        self.unlisted |= set(inside.difference(frame["municipality"]).tolist())
        self.symbols.update(frame.attrs["symbols"])
        self.filled = True

    def yields(self, notes: list[Note]) -> Floats:
        """Yields (kg/ha), NaN without one; adds remarks on irregular cases to `notes`."""
        tonnes, hectares = self.arrays["production_t"], self.arrays["area_harvested_ha"]
        stated = self.arrays["yield_kg_ha"]
        incomplete = np.isnan(tonnes) | np.isnan(hectares)
        with np.errstate(divide="ignore", invalid="ignore"):
            computed = np.where(hectares > 0, 1000.0 * tonnes / hectares, 0.0)
        differs = beyond_rounding(tonnes, hectares, stated)
        # Less than half a tonne is rounded to 0 although there was a harvest.
        rounded = ~incomplete & (tonnes == 0) & (hectares > 0) & (stated > 0)
        yields = np.where(incomplete | rounded, stated, computed)
        for i, crop in enumerate(self.crops):
            counted = {
                "zero yields (nothing harvested) are NaN": yields[i] == 0,
                "yields are missing": np.isnan(yields[i]),
                "yields are variable 112, production or area is missing": incomplete[i] & (yields[i] > 0),
                "yields are variable 112, production is 0 t by rounding": rounded[i],
                "yields differ from variable 112 by more than rounding": differs[i],
            }
            notes += [Note("yields", f"{crop}: {t}", int(c.sum())) for t, c in counted.items() if c.any()]
        yields[yields == 0] = np.nan
        return yields

    def notes(self, unlisted: Sequence[str]) -> list[Note]:
        """Notes on symbols, on unknown municipalities, and on places without a row or without any value."""
        notes = [
            Note("yields", f"values that SIDRA marks {symbol!r} ({SYMBOLS[symbol]})", count)
            for symbol, count in sorted(self.symbols.items())
        ]
        for word, codes in (
            ("with", self.unknown_with_values),
            ("without", self.unknown - self.unknown_with_values),
        ):
            if codes:
                text = f"municipalities in PAM {word} values, not among the places: {sorted(codes)[:5]}"
                notes.append(Note("yields", text, len(codes)))
        if unlisted:
            more = ", ..." if len(unlisted) > _NAMED else ""
            text = (
                f"municipalities that PAM does not list in every year: {', '.join(unlisted[:_NAMED])}{more}"
            )
            notes.append(Note("yields", text, len(unlisted)))
        # A zero is a value: only places where all is NaN have none.
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

    Production is rounded to whole tonnes, so 1000 P / A is within 500 / A kg/ha of the true yield y. Variable
    112 is y either cut to whole kg/ha (at most 1 below y) or rounded (at most 0.5 above y). So computed minus
    stated is within [-(500 / A + 0.5), 500 / A + 1].
    In 46,717 rows of PAM 2000-2018 with all three values, IBGE cut nearly all yields up to 2010 and rounded
    nearly all from 2011; 17 rows are outside these limits.
    A yield stated for an area of 0 counts as beyond rounding.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gap, tonne = 1000.0 * tonnes / hectares - stated, 500.0 / hectares
    differs = (gap < -(tonne + 0.5 + 1e-6)) | (gap > tonne + 1.0 + 1e-6)
    return np.asarray(differs | (~np.isnan(tonnes) & (hectares == 0) & (stated > 0)), dtype=np.bool_)


def _absent(cache: RequestCache, request: Request) -> list[Request]:
    record = cache.verified(request)
    if record is None:
        return [request]
    return [absent for child in children(request, record) for absent in _absent(cache, child)]
