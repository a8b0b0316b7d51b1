"""Labelled points beside the map: what is there, and what the map shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calendars import names
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.mapping.class_maps import ClassMap, opened_raster

_COLUMNS = {
    "longitude": ("lon", "longitude", "x", "long", "lng"),
    "latitude": ("lat", "latitude", "y"),
    "label": ("label", "class", "reference", "crop"),
}


class Confusion(NamedTuple):
    """Reference points by mapped and true class.

    Args:
        classes: names, or numbers as texts where a map has no names.
        values: of the classes in the map; -1 for one that the map cannot show.
        counts: (mapped class, true class).
        outside: number of points without a class in the map, which are left out.
    """

    classes: tuple[str, ...]
    values: tuple[int, ...]
    counts: NDArray[np.int64]
    outside: int


def own_confusion(found: ClassMap) -> Confusion | None:
    """The counts of left-out samples that the map itself brings; None without any."""
    if found.confusion is None or found.confusion.sum() == 0:
        return None
    shape = (len(found.confused), len(found.confused))
    if found.confusion.shape != shape or (found.confusion < 0).any():
        raise SchemaError(
            f"{found.file}: expected counts of {shape[0]} x {shape[0]} classes beside the map, received "
            f"{found.confusion.shape}",
            "Make the map again.",
        )
    values = tuple(found.classes.get(name, -1) for name in found.confused)
    return Confusion(found.confused, values, found.confusion.T, 0)


def read_points(path: Path, maps: Sequence[ClassMap]) -> Confusion:
    """Points of a table, compared with the map that holds each.

    Args:
        path: CSV with the columns lon, lat (degrees) and label, a name or a number of a class.
        maps: tiles of one season, with the same classes.

    Raises:
        MissingDataError: no such file.
        SchemaError: no such columns, values that are no numbers, a label that is no class of the map, or no
            point within the map.
    """
    frame = _table(path)
    first = maps[0]
    values = first.values_by_label(frame["label"].tolist(), str(path))
    mapped = np.full(len(frame), np.iinfo(np.int64).min)
    x, y = frame["longitude"].to_numpy(float), frame["latitude"].to_numpy(float)
    for one in maps:
        shown, inside = _shown(one, x, y)
        mapped = np.where(inside, shown, mapped)
    inside = mapped != np.iinfo(np.int64).min
    if not inside.any():
        raise SchemaError(
            f"{path}: expected points within the map, received none of {len(frame)}",
            "Are longitude and latitude exchanged? Both are degrees.",
        )
    every = np.union1d(values, mapped[inside])
    if first.classes:
        every = np.union1d(every, list(first.classes.values()))
    by_value = {value: name for name, value in first.classes.items()}
    counts = np.zeros((every.size, every.size), np.int64)
    np.add.at(counts, (np.searchsorted(every, mapped[inside]), np.searchsorted(every, values[inside])), 1)
    classes = tuple(by_value.get(value, str(value)) for value in every.tolist())
    return Confusion(classes, tuple(every.tolist()), counts, int((~inside).sum()))


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise MissingDataError(f"no file {path}", "Give a CSV with the columns lon, lat and label.")
    try:
        frame = pd.read_csv(path, sep=None, engine="python", dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise SchemaError(f"{path}: expected a CSV ({error})", "Columns: lon, lat, label.") from error
    plain = {names.plain(str(column)): column for column in frame.columns}
    found = {}
    for name, known in _COLUMNS.items():
        column = next((plain[one] for one in known if one in plain), None)
        if column is None:
            raise SchemaError(
                f"{path}: expected the columns lon, lat and label, received {', '.join(map(str, frame))}",
                "Rename the columns.",
            )
        found[name] = frame[column].fillna("").str.strip()
    table = pd.DataFrame(found)
    for name, limit in (("longitude", 180), ("latitude", 90)):
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = ~(numbers.abs() <= limit)
        if wrong.any():
            line = int(np.flatnonzero(wrong)[0])
            raise SchemaError(
                f"{path}: expected {name} of {-limit} to {limit} degrees, received "
                f"{table[name].iloc[line]!r} in line {line + 2}",
                "Give degrees with a decimal point.",
            )
        table[name] = numbers
    return table


def _shown(
    found: ClassMap, longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Value of the map at each point, and whether it has one."""
    from rasterio.warp import transform

    with opened_raster(found.file) as raster:
        x, y = transform("EPSG:4326", raster.crs, longitude, latitude)[:2]
        sampled = list(raster.sample(zip(x, y, strict=True), masked=True))
    inside = np.array([not bool(np.ma.getmaskarray(one)[0]) for one in sampled])
    values = np.array([one.data[0] for one in sampled])
    return np.where(inside, values, 0).astype(np.int64), inside
