"""Areas of the classes of a map, as a table: mapped, and corrected for the errors of the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from yieldcast.errors import SchemaError
from yieldcast.mapping.area_error import AreaEstimate, estimate
from yieldcast.mapping.class_maps import ClassMap
from yieldcast.mapping.crop_weights import mapped_ha
from yieldcast.mapping.places import Places
from yieldcast.mapping.reference_points import own_confusion, read_points
from yieldcast.mapping.zones import WHOLE, Areas, Zone, class_areas


class MapAreas(NamedTuple):
    """Areas of a map.

    Args:
        classes: names, or numbers as texts.
        hectares: mapped area of each class in the whole map.
        corrected: with its errors, in the order of the classes; None without reference points.
        counts: (mapped class, true class) of the reference points; None without any.
        sampled: whether the points are a table of the user's, not left-out samples of the training.
        outside: number of points without a class in the map.
        by_place: (class,) mapped area within each municipality, by code; empty without places.
        names: of the municipalities.
    """

    classes: tuple[str, ...]
    hectares: np.ndarray
    corrected: AreaEstimate | None
    counts: np.ndarray | None
    sampled: bool
    outside: int
    by_place: dict[int, np.ndarray]
    names: dict[int, str]

    def frame(self) -> pd.DataFrame:
        """Rows of class and area; of every municipality where there are any."""
        if self.by_place:
            rows = [
                (code, self.names.get(code, ""), name, area)
                for code, areas in self.by_place.items()
                for name, area in zip(self.classes, areas.tolist(), strict=True)
            ]
            return pd.DataFrame(rows, columns=["code", "name", "class", "mapped_ha"])
        frame = pd.DataFrame({"class": self.classes, "mapped_ha": self.hectares})
        if self.corrected is not None:
            for name in AreaEstimate._fields[1:-3]:
                frame[name] = getattr(self.corrected, name)
        return frame


def map_areas(
    maps: Sequence[ClassMap],
    places: Places | None = None,
    reference: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MapAreas:
    """Measure the classes of a map.

    Args:
        maps: tiles of one season with the same classes.
        places: municipalities within which areas are given too, or None.
        reference: table of labelled points; None takes the counts that come with the map, if any.
        progress: called with blocks done and all of one map.

    Raises:
        SchemaError: tiles with other classes, contents that cannot be used, or a class with too few points.
        ConfigError, MissingDataError: see `class_areas` and `read_points`.
    """
    first = maps[0]
    for one in maps[1:]:
        if dict(one.classes) != dict(first.classes):
            raise SchemaError(
                f"expected tiles with the same classes, received {list(first.classes)} in {first.file} and "
                f"{list(one.classes)} in {one.file}",
                "Measure them one at a time.",
            )
    codes = list(places.shapes) if places else []
    zones = [Zone(code, places.shapes[code]) for code in codes] if places else []
    found = [class_areas(one, zones, progress) for one in maps]
    points = read_points(reference, maps) if reference else own_confusion(first)
    if points is not None:
        classes, values = points.classes, points.values
        corrected = estimate(points.counts, mapped_ha(points, found), classes)
    else:
        classes, values = _classes(first, found)
        corrected = None
    return MapAreas(
        classes, _hectares(found, values, WHOLE), corrected, None if points is None else points.counts,
        reference is not None, 0 if points is None else points.outside,
        {code: _hectares(found, values, code) for code in codes}, dict(places.names) if places else {},
    )  # fmt: skip


def _classes(first: ClassMap, found: Sequence[Areas]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    held = sorted({value for one in found for _, value in one} | set(first.classes.values()))
    by_value = {value: name for name, value in first.classes.items()}
    return tuple(by_value.get(value, str(value)) for value in held), tuple(held)


def _hectares(found: Sequence[Areas], values: Sequence[int], zone: int) -> np.ndarray:
    return np.array([sum(one.get((zone, value), 0.0) for one in found) for value in values])
