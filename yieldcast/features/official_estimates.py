"""Official state estimates as public on a date: the newest yield of a harvest year, and shares of area."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Estimates:
    """The newest estimate of every state.

    Args:
        yield_kg_ha: (state,) kg/ha; NaN where nobody has estimated yet.
        months: (state,) reference month counted from January of the harvest year, which is 1; 0 = none.
        carried_over: (state,) True where the estimate equals the one before it: it may not be news.
    """

    yield_kg_ha: Floats
    months: Ints
    carried_over: NDArray[np.bool_]


class Described(NamedTuple):
    """Estimates as readers are told of them.

    Args:
        yield_kg_ha: (unit,) kg/ha; NaN where nobody has estimated yet, and then the texts are empty.
        source: (unit,) name of the source.
        reference: (unit,) month that the estimate is of, e.g. "2018-02".
        public_from: (unit,) day on which it became public, e.g. "2018-03-08".
    """

    yield_kg_ha: Floats
    source: NDArray[np.str_]
    reference: NDArray[np.str_]
    public_from: NDArray[np.str_]


class OfficialEstimates:
    """Estimates of one crop by one source, with the day on which each became public.

    Args:
        table: of a store (`yieldcast.data.estimates`), dim `estimate`; None for no estimates at all.
        crop: crop wanted.
        states: codes of the states, in the order of all results.
        source: name of the source; the one that began first with the crop if None.
    """

    def __init__(
        self, table: xr.Dataset | None, crop: str, states: NDArray[np.str_], source: str | None = None
    ) -> None:
        self.states = states
        self._newest: dict[tuple[dt.date, int], Estimates] = {}
        if table is None:
            self.table, self.source = None, ""
            return
        mine = table["crop"].values.astype(str) == crop
        # The source that began first: entries of later days cannot change the choice.
        first = sorted(
            zip(table["public_from"].values[mine], table["source"].values[mine].astype(str), strict=True)
        )
        self.source = source or (str(first[0][1]) if first else "")
        mine &= (table["source"].values.astype(str) == self.source) & (table["yield_kg_ha"].values > 0)
        self.table = table.isel(estimate=np.flatnonzero(mine))

    def without(self, harvest_year: int, after: dt.date) -> OfficialEstimates:
        """The same without the estimates of a harvest year that became public after a date."""
        if self.table is None:
            return self
        later = self.table["public_from"].values.astype("datetime64[D]") > np.datetime64(after)
        left_out = later & (self.table["harvest_year"].values == harvest_year)
        kept = self.table.isel(estimate=np.flatnonzero(~left_out))
        crop = str(kept["crop"].values[0]) if kept.sizes["estimate"] else ""
        return OfficialEstimates(kept, crop, self.states, self.source)

    @cached_property
    def _arrays(self) -> tuple[Ints, Ints, NDArray[np.datetime64], Floats, Ints]:
        """State position, harvest year, day of publication, kg/ha and month of every estimate, oldest
        first."""
        table = self.table
        if table is None:
            raise ValueError("no estimates")
        # By reference month first: a late revision of January does not replace the estimate of December.
        order = np.lexsort((table["public_from"].values, table["reference_month"].values))
        table = table.isel(estimate=order)
        unit = table["unit"].values.astype(str)
        position = np.searchsorted(self.states, unit)
        position = np.where(
            (position < len(self.states)) & (self.states[np.minimum(position, len(self.states) - 1)] == unit),
            position,
            -1,
        )
        years = table["harvest_year"].values.astype(np.int64)
        month = table["reference_month"].values.astype("datetime64[M]").astype(np.int64)
        months = month - 12 * (years - 1970) + 1
        public = table["public_from"].values.astype("datetime64[D]")
        return position, years, public, table["yield_kg_ha"].values.astype(np.float64), months

    def newest(self, harvest_year: int, as_of: dt.date) -> Estimates:
        """The newest estimates of a harvest year that were public on a date."""
        key = as_of, harvest_year
        if key not in self._newest:
            self._newest[key] = self._find(harvest_year, as_of)
        return self._newest[key]

    def _find(self, harvest_year: int, as_of: dt.date) -> Estimates:
        count = len(self.states)
        value, months, carried = (
            np.full(count, np.nan),
            np.zeros(count, np.int64),
            np.zeros(count, dtype=bool),
        )
        if self.table is not None and self.table.sizes["estimate"]:
            position, _, _, kg_ha, month = self._arrays
            for row in self._public_rows(harvest_year, as_of):
                state = position[row]
                carried[state] = kg_ha[row] == value[state]
                value[state], months[state] = kg_ha[row], max(month[row], 1)
        return Estimates(value, months, carried)

    def _public_rows(self, harvest_year: int, as_of: dt.date) -> Ints:
        """Rows of `_arrays` of a harvest year that were public on a date, oldest first."""
        position, years, public, _, _ = self._arrays
        return np.flatnonzero((years == harvest_year) & (public <= np.datetime64(as_of)) & (position >= 0))

    def described(self, units: Sequence[str], harvest_year: int, as_of: dt.date) -> Described:
        """The newest estimates of some units that were public on a date, and where they come from."""
        found = dict.fromkeys(units, (np.nan, "", "", ""))
        if self.table is not None and self.table.sizes["estimate"]:
            position, years, public, kg_ha, month = self._arrays
            for row in self._public_rows(harvest_year, as_of):
                unit = str(self.states[position[row]])
                months = 12 * (int(years[row]) - 1970) + int(month[row]) - 1
                if unit in found:
                    reference = str(np.datetime64(months, "M"))
                    found[unit] = float(kg_ha[row]), self.source, reference, str(public[row])
        value, *texts = zip(*(found[unit] for unit in units), strict=True)
        return Described(np.array(value, dtype=np.float64), *(np.array(text, dtype=str) for text in texts))
