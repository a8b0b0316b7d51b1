"""Crop calendars and the month arithmetic on them.

Window rule. The window of harvest year Y is the first n months (n = the row's ``months``) counted from
the month in which planting starts. Planting falls in Y when its first month is not later in the year
than the first month of harvest, otherwise in Y-1. Soybean in MT is planted from September and harvested
from January, n = 9: the window of 2018 is 2017-09 .. 2018-05.

Missing-state rule (Cunha & Silva 2020, text above Table 2: "When data about a specific state was
missing, we used data about the region the state belongs to"). The row used is the state's own; else the
row that carries the name of the state's region; else, among the states of that region that have the
crop, the row of the alphabetically first state that starts planting in the most common month (of equally
common months, the one whose first state comes first in the alphabet). It is always an existing row, never an
average.

Sources and worked examples: ``data/SOURCES.md``.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calendars import names
from calendars.rows import (
    COLUMNS,
    MAX_MONTHS,
    CalendarError,
    Row,
    UnknownKeyError,
    csv_text,
    read_rows,
)

_LISTED = 40


@dataclass(frozen=True)
class Calendar:
    """Rows of a calendar, and the larger region of each state.

    Args:
        rows: rows by (crop, region).
        regions: larger region by state; if empty, only states with their own row are known.
    """

    rows: Mapping[tuple[str, str], Row]
    regions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", dict(self.rows))
        object.__setattr__(self, "regions", dict(self.regions))
        for key, row in self.rows.items():
            if key != (row.crop, row.region):
                raise CalendarError(
                    f"expected the key {(row.crop, row.region)}, received {key}",
                    "Key rows by (crop, region).",
                )

    @property
    def crops(self) -> tuple[str, ...]:
        """Names of the crops, sorted."""
        return tuple(sorted({crop for crop, _ in self.rows}))

    def row(self, crop: str, state: str) -> Row:
        """The row of a crop in a state; by the missing-state rule if the state has none.

        Raises:
            UnknownKeyError: crop or state unknown, or no row in the state's region.
        """
        crop = self._key(crop)
        region = self.regions.get(state, "")
        for name in (state, region):
            if (crop, name) in self.rows:
                return self.rows[crop, name]
        peers = sorted(peer for peer, its in self.regions.items() if region and its == region)
        found = [self.rows[crop, peer] for peer in peers if (crop, peer) in self.rows]
        if found:
            # max() returns the first of equals, so alphabetical order decides both ties of the rule
            common = Counter(row.planting_start.month for row in found)
            return max(found, key=lambda row: common[row.planting_start.month])
        known = {*self.regions, *(name for _, name in self.rows)}
        if state not in known:
            raise unknown_key("state", state, known)
        raise UnknownKeyError(
            f"expected a row of {crop!r} for {state!r}, received none for it or its region {region!r}",
            f"Add a row for {state} to the calendar, or leave its municipalities out for {crop}.",
        )

    def months(self, crop: str, state: str) -> int:
        """Length of the window of a crop in a state, in months; raises as `row` does."""
        return self.row(crop, state).months

    def steps(self, crop: str) -> int:
        """Window length of a crop in months; the network needs the same length in all regions.

        Raises:
            UnknownKeyError: crop unknown.
            CalendarError: rows of the crop have different lengths.
        """
        crop = self._key(crop)
        lengths = {row.months: row.region for row in self.rows.values() if row.crop == crop}
        if len(lengths) > 1:
            parts = ", ".join(f"{n} ({region})" for n, region in sorted(lengths.items()))
            raise CalendarError(
                f"expected one number of months for {crop!r}, received {parts}",
                f"Set one with with_months({{{crop!r}: {max(lengths)}}}).",
            )
        return next(iter(lengths))

    def window(self, crop: str, state: str, harvest_year: int) -> npt.NDArray[np.datetime64]:
        """The months whose weather belongs to a harvest year, by the window rule.

        Args:
            crop, state: keys of the calendar.
            harvest_year: calendar year of the statistics (2018 is the 2017/18 season).

        Returns:
            datetime64[M] of length `months`, consecutive.

        Raises:
            UnknownKeyError: as `row` does.
        """
        first = self.starts(crop, [state], np.array([harvest_year])).astype(np.int64)
        return (first + np.arange(self.months(crop, state))).astype("datetime64[M]")

    def starts(
        self, crop: str, states: Sequence[str] | npt.NDArray[np.str_], harvest_years: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.datetime64]:
        """First month of the window of each (state, harvest year) pair.

        Args:
            crop: key of the calendar.
            states: state of each pair.
            harvest_years: whole year of each pair, as many as `states`.

        Returns:
            datetime64[M], one per pair.

        Raises:
            UnknownKeyError: as `row` does.
            CalendarError: different numbers of states and years, or years that are not integers.
        """
        crop = self._key(crop)
        names, years = np.asarray(states, dtype=np.str_), np.asarray(harvest_years)
        if names.ndim != 1 or names.shape != years.shape or years.dtype.kind not in "iu":
            raise CalendarError(
                f"expected one whole harvest year per state, received {names.shape} states "
                f"and {years.shape} years of type {years.dtype}",
                "Pass two one-dimensional lists of the same length, years as integers.",
            )
        distinct, which = np.unique(names, return_inverse=True)
        first = np.array([self.row(crop, str(name)).first_month for name in distinct], dtype=np.int64)
        # int64 before arithmetic, because unsigned years before 1970 would overflow
        return (first[which] + 12 * (years.astype(np.int64) - 1970)).astype("datetime64[M]")

    def with_months(self, months: Mapping[str, int]) -> Calendar:
        """A copy with other window lengths for some crops.

        Args:
            months: number of months, 1..24, by crop.

        Raises:
            UnknownKeyError: unknown crop, or not an integer in 1..24.
        """
        lengths = {self._key(crop): n for crop, n in months.items()}
        for crop, n in lengths.items():
            whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
            if not whole or not 1 <= n <= MAX_MONTHS:
                raise UnknownKeyError(
                    f"expected 1..{MAX_MONTHS} months for {crop!r}, received {n!r}",
                    "Give the number of months from the planting start, e.g. 9.",
                )
        changed = {k: replace(r, months=int(lengths.get(r.crop, r.months))) for k, r in self.rows.items()}
        return replace(self, rows=changed)

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of the CSV text of the rows, followed by that of the regions if any."""
        regions = csv_text([("state", "region"), *sorted(self.regions.items())]) if self.regions else ""
        return hashlib.sha256((self.csv() + regions).encode()).hexdigest()

    def csv(self) -> str:
        """CSV text of the rows, sorted, as `read` accepts it; without the regions."""
        ordered = sorted(self.rows.values(), key=lambda row: (row.region, row.crop))
        return csv_text([COLUMNS, *([getattr(row, name) for name in COLUMNS] for row in ordered)])

    def _key(self, crop: str) -> str:
        """The calendar's own name of a crop, which may be called soja here and soybean in the yields."""
        if crop in self.crops:
            return crop
        alike = [known for known in self.crops if names.crop(known) == (names.crop(crop) or crop)]
        if len(alike) != 1:
            raise unknown_key("crop", crop, self.crops)
        return alike[0]


def read(path: str | os.PathLike[str], regions: Mapping[str, str] | None = None) -> Calendar:
    """Read the calendar of any country from a CSV file (UTF-8, commas, header).

    Columns, in any order: region, crop, planting_start, planting_end, harvest_start, harvest_end (DD/MM)
    and months (1..24, the same in all rows of a crop). Others are ignored.

    Args:
        path: the file.
        regions: larger region by state, for the missing-state rule.

    Raises:
        CalendarFileError: the file does not exist or cannot be read.
        CalendarError: malformed contents; the message names file, line and column.
    """
    return Calendar(read_rows(Path(path)), regions or {})


def unknown_key(what: str, received: str, known: Iterable[str]) -> UnknownKeyError:
    """The error for an unknown key, with the most similar known ones."""
    names = sorted(known)
    same = [name for name in names if name.casefold() == received.casefold()]
    near = same or difflib.get_close_matches(received, names)
    listed = ", ".join(names[:_LISTED]) + (
        f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    )
    return UnknownKeyError(
        f"expected a {what} of the calendar, received {received!r}",
        (f"Did you mean {' or '.join(near)}? " if near else "") + f"Known: {listed}.",
    )
