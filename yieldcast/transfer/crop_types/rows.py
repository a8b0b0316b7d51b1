"""Labelled pixel series as rows of a study: classes, places, seasons, and what is held out together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.files import fingerprint
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.transfer import places

HoldOut = Literal["group", "country", "region", "block", "none"]
Ints = NDArray[np.int64]
MOST_GROUPS = 10  # held out one by one; more are dealt into five sets (our choice: fits cost time)
# Headings of the column of groups that --hold-out country and region mean.
_MEANT = {"country": ("country", "iso3", "nation"), "region": ("region", "province", "state", "admin1")}
_YEAR = re.compile(r"\D*\d{4}")


@dataclass(frozen=True)
class CropTypeRows:
    """Rows of labelled series, all of them or a part.

    Args:
        series: checked, each with a label of `classes`.
        classes: names, sorted.
        positions: (row,) of each row in `series`.
    """

    series: xr.Dataset
    classes: tuple[str, ...]
    positions: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, rows: NDArray[np.intp]) -> CropTypeRows:
        """The rows of these positions."""
        return replace(self, positions=self.positions[rows])

    def fingerprint(self) -> str:
        """Equal for equal series."""
        return fingerprint(self.series)

    @cached_property
    def truth(self) -> Ints:
        """(row,) positions in `classes`."""
        found = np.searchsorted(np.array(self.classes), self.series["label"].values.astype(str))
        return np.asarray(found[self.positions], dtype=np.int64)

    @cached_property
    def location(self) -> Ints:
        """(row,) number of the place: equal in all seasons of a place."""
        found = np.unique(self.series["location"].values, return_inverse=True)[1]
        return np.asarray(found[self.positions], dtype=np.int64)

    def texts(self, name: Literal["group", "season"]) -> NDArray[np.str_]:
        """(row,) group or season."""
        return np.asarray(self.series[name].values.astype(str)[self.positions])

    def block(self, side_deg: float) -> Ints:
        """(row,) number of the square of `side_deg` degrees."""
        latitude, longitude = (
            self.series[name].values[self.positions].astype(np.float64)
            for name in ("latitude_deg", "longitude_deg")
        )
        return places.square(latitude, longitude, side_deg)


def rows_of(series: xr.Dataset, classes: Sequence[str] | None = None) -> CropTypeRows:
    """Rows of series.

    Args:
        series: checked and labelled.
        classes: to keep; None keeps all.

    Raises:
        ConfigError: a class that no series has.
        SchemaError: fewer than two classes.
    """
    labels = series["label"].values.astype(str)
    known = [str(one) for one in np.unique(labels[labels != ""])]
    wanted = sorted(set(classes)) if classes is not None else known
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError(
            f"--classes: no series of {', '.join(unknown)}", f"The series have {', '.join(known)}."
        )
    if len(wanted) < 2:
        raise SchemaError(
            f"expected series of two classes or more, received {', '.join(wanted) or 'none'}",
            "Train the run on samples of what is not the crop too.",
        )
    kept = series.isel(sample=np.flatnonzero(np.isin(labels, wanted)))
    return CropTypeRows(kept, tuple(wanted), np.arange(kept.sizes["sample"]))


def held_out(rows: CropTypeRows, hold_out: HoldOut, side_deg: float) -> NDArray[np.str_]:
    """(row,) name of what each row is held out with.

    Args:
        rows: of the study.
        hold_out: "group" is that of the series; "country" and "region" are too, if it came from such a
            column; "block" are five groups of blocks; "none" holds nothing out.
        side_deg: of the blocks.

    Raises:
        ConfigError: the group of the series is something else.
        SchemaError: series without a group, one group only, or fewer than five blocks.
    """
    if hold_out == "none":
        return np.full(len(rows), "-")
    if hold_out == "block":
        return places.block_groups(rows.block(side_deg))
    column = str(rows.series.attrs.get("group_column", ""))
    if hold_out in _MEANT and not any(word in column.lower() for word in _MEANT[hold_out]):
        raise ConfigError(
            f"--hold-out {hold_out}: the groups of this run are of the column {column or '(not known)'}",
            f"Use --hold-out group or block, or train the run again with --group COLUMN of the {hold_out}.",
        )
    groups = rows.texts("group")
    if (groups == "").any():
        raise SchemaError(
            f"expected a group for every series, received {int((groups == '').sum())} without one",
            "Use --hold-out block, or train the run again with --group COLUMN.",
        )
    if len(np.unique(groups)) < 2:
        raise SchemaError(
            f"expected two groups or more to hold out, received one: {groups[0]}",
            "Use --hold-out block, or train the run again with --group COLUMN.",
        )
    return groups


def sets_of(domain: NDArray[np.str_], truth: Ints, seed: int) -> NDArray[np.str_]:
    """(row,) what is held out at the same time: each group by itself, or one of five sets of many groups.

    Args:
        domain: (row,) of `held_out`.
        truth: (row,) class; sets have all classes where that is possible.
        seed: of the draw.
    """
    from yieldcast.crop_types.heads import spatial_folds

    if len(np.unique(domain)) <= MOST_GROUPS:
        return domain
    return np.array([f"S{k + 1}" for k in spatial_folds(truth, domain, seed=seed)])


def season_order(seasons: NDArray[Any]) -> Ints:
    """(row,) rank of the season, 0 for the first: by the numbers in its name, the year first.

    Args:
        seasons: (row,) such as 2016, 2015/16 or 2016-2.

    Raises:
        SchemaError: a season without a year, or one season only.
    """
    names, at = np.unique(seasons.astype(str), return_inverse=True)
    wrong = [name or "(none)" for name in names.tolist() if not _YEAR.match(name)]
    if wrong:
        raise SchemaError(
            f"expected seasons with a year, received {', '.join(wrong[:3])}",
            "Give the table a column harvest_year and train the run again.",
        )
    numbers = [tuple(map(int, re.findall(r"\d+", name))) for name in names.tolist()]
    rank = {one: k for k, one in enumerate(sorted(set(numbers)))}
    if len(rank) < 2:
        raise SchemaError(
            f"expected series of two seasons or more, received {names[0]} only",
            "Use --protocol random or geographic, or train the run on more seasons.",
        )
    return np.array([rank[one] for one in numbers], dtype=np.int64)[at]
