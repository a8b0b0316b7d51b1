"""Days of sowing by harvest year where only the calendar knows them: the middle of the planting window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calendars import Calendar, CalendarError
from calendars.country import SecondCrop
from yieldcast.features.water_balance import sowing_centre


class Centres(dict[int, NDArray[np.datetime64]]):
    """Harvest year -> (unit,) middle of the planting window.

    Args:
        years: known from the beginning.
        find: of any year; others are found when they are asked for, as for a store that ends years before.
    """

    def __init__(self, years: Sequence[int], find: Callable[[int], NDArray[np.datetime64]]) -> None:
        super().__init__((year, find(year)) for year in years)
        self._find = find

    def __missing__(self, year: int) -> NDArray[np.datetime64]:
        self[year] = self._find(year)
        return self[year]


def first_centres(calendar: Calendar, crop: str, names: NDArray[np.str_], years: Sequence[int]) -> Centres:
    """Of the first crop; a state without a row takes the commonest one."""
    rows = {}
    for name in np.unique(names):
        try:
            row = calendar.row(crop, str(name))
        except CalendarError:
            continue
        rows[str(name)] = (row.planting_start, row.planting_end)

    def find(year: int) -> NDArray[np.datetime64]:
        centres = np.empty(len(names), dtype="datetime64[D]")
        known = {
            name: sowing_centre(start, end, calendar.starts(crop, [name], np.array([year]))[0])
            for name, (start, end) in rows.items()
        }
        otherwise = (
            np.sort(list(known.values()))[len(known) // 2] if known else np.datetime64(f"{year - 1}-11-01")
        )
        for name in np.unique(names):
            centres[names == name] = known.get(str(name), otherwise)
        return centres

    return Centres(years, find)


def second_centres(
    second: Mapping[str, SecondCrop],
    names: NDArray[np.str_],
    years: Sequence[int],
    first: Centres,
) -> Centres:
    """Of the second crop; states without one keep the first's dates (their share is 0)."""

    def find(year: int) -> NDArray[np.datetime64]:
        centres = first[year].copy()
        for name, one in second.items():
            window = one.planting_start, one.planting_end
            centres[names == name] = sowing_centre(*window, np.datetime64(f"{year}-01", "M"))
        return centres

    return Centres(years, find)
