"""Maps of classes as GeoTIFF: those of ``yieldcast crop-type map``, and any made elsewhere."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calendars import names
from yieldcast.data.files import file_facts
from yieldcast.errors import ConfigError, MissingDataError, SchemaError

Box = tuple[float, float, float, float]  # west, south, east, north
CLASS_FILE, ABOUT_FILE = "class.tif", "map.json"
_CLASSES_TAG, _LAST_DAY_TAG = "YIELDCAST_CLASSES", "YIELDCAST_LAST_DAY"
_OVERLAP = 1e-3  # of the smaller of two tiles: rounding of their corners
_BLOCK = 1024  # pixels on a side: 1 million pixels of 40 bytes at a time
_NOT_THE_CROP = {"no", "non", "not", "without", "other", "others", "sem", "nao", "outro", "outros", "outras"}
_NO_CRS = "Set its coordinate system, for example: gdal_edit.py -a_srs EPSG:32721 FILE"


@dataclass(frozen=True)
class ClassMap:
    """One raster of classes of one season.

    Args:
        file: GeoTIFF with one band of whole numbers.
        classes: value by the name of its class; empty where the map has no names.
        last_day: of the season; None where the map does not say it.
        confusion: counts of reference points by true and mapped class, in the order of `confused`; None
            without any.
        confused: names of the classes of `confusion`.
    """

    file: Path
    classes: Mapping[str, int]
    last_day: dt.date | None = None
    confusion: NDArray[np.int64] | None = None
    confused: tuple[str, ...] = ()

    def values_of(self, wanted: Sequence[str]) -> tuple[int, ...]:
        """Values of classes that were named, or given as numbers.

        Raises:
            ConfigError: a class that the map does not have.
        """
        known = {names.plain(name): value for name, value in self.classes.items()}
        found = []
        for text in wanted:
            if (value := known.get(names.plain(text))) is not None:
                found.append(value)
            elif text.strip().lstrip("-").isdigit() and (
                not self.classes or int(text) in self.classes.values()
            ):
                found.append(int(text))
            else:
                held = ", ".join(self.classes) or "no names, only numbers"
                raise ConfigError(
                    f"{self.file}: expected one of its classes, received {text!r}", f"It has {held}."
                )
        return tuple(dict.fromkeys(found))

    def crop_classes(self, crop: str) -> tuple[str, ...]:
        """Classes whose name has a name of the crop in it, in any language: Soy_Corn for soybean.

        Raises:
            ConfigError: none, or a map without names.
        """
        found = tuple(name for name in self.classes if _grows(name, crop))
        if not found:
            held = ", ".join(self.classes) or "no names of classes"
            raise ConfigError(
                f"{self.file}: expected a class of {crop}, the map has {held}",
                "Name the classes, or the numbers in the raster, that are the crop: --classes 39 or "
                "--classes Soy_Corn,Soy_Cotton",
            )
        return found

    def values_by_label(self, labels: Sequence[str], source: str) -> NDArray[np.int64]:
        """Value of each label, a name or a number.

        Raises:
            SchemaError: a label that is no class of the map.
        """
        try:
            known = {text: self.values_of([text])[0] for text in dict.fromkeys(labels)}
        except ConfigError as error:
            raise SchemaError(f"{source}: {error}", error.hint) from error
        return np.array([known[text] for text in labels], np.int64)

    @property
    def facts(self) -> dict[str, Any]:
        """Name and SHA-256 of the file."""
        return {"file": self.file.name, "sha256": file_facts(self.file)["sha256"]}


def _grows(name: str, crop: str) -> bool:
    words = names.plain(name).split()
    if _NOT_THE_CROP & set(words):
        return False
    return names.crop(name) == crop or any(names.crop(word) == crop or word == crop for word in words)


def open_map(path: Path) -> ClassMap:
    """A map, its names of classes and its season, checked as far as the metadata go.

    Args:
        path: folder of ``yieldcast crop-type map``, its ``class.tif``, or any GeoTIFF of classes; names may
            stand in the tags of such a map or as category names of GDAL (``FILE.aux.xml``).

    Raises:
        MissingDataError: no such file or folder, or an unfinished map.
        SchemaError: it is not a raster of classes with a coordinate system.
    """
    file = path / CLASS_FILE if path.is_dir() else path
    if not file.is_file():
        raise MissingDataError(f"no map {file}", "Give a folder of yieldcast crop-type map, or a GeoTIFF.")
    about = _about(file.with_name(ABOUT_FILE)) if file.name == CLASS_FILE else None
    if path.is_dir() and about is None:
        raise MissingDataError(
            f"{path}: no {ABOUT_FILE}: the map is unfinished", "Run the same crop-type map command again."
        )
    with opened_raster(file) as raster:
        tags = raster.tags()
    classes, last_day = _classes(file, tags, about), str((about or tags).get("last_day") or "")
    text = last_day or tags.get(_LAST_DAY_TAG, "")
    confusion = (about or {}).get("confusion") or {}
    return ClassMap(
        file, classes, _date(text, file) if text else None,
        np.asarray(confusion["counts"], np.int64) if confusion.get("counts") else None,
        tuple(map(str, confusion.get("classes", ()))),
    )  # fmt: skip


def _about(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("classes", []), list):
            raise ValueError("no object with a list of classes")
    except (OSError, ValueError) as error:
        raise SchemaError(f"{file}: expected the record of a map ({error})", "Make the map again.") from error
    return found


def _classes(file: Path, tags: Mapping[str, str], about: Mapping[str, Any] | None) -> dict[str, int]:
    """Values by name: of our maps from 1 on, of category names of GDAL from 0 on."""
    if about and about.get("classes"):
        return {str(name): value for value, name in enumerate(about["classes"], 1)}
    if _CLASSES_TAG in tags:
        try:
            found = json.loads(tags[_CLASSES_TAG])
        except ValueError as error:
            raise SchemaError(f"{file}: the tag {_CLASSES_TAG} is not JSON", "Make the map again.") from error
        if isinstance(found, dict):
            return {str(name): int(value) for name, value in found.items()}
        return {str(name): value for value, name in enumerate(found, 1)}
    side = file.with_name(f"{file.name}.aux.xml")
    if side.is_file():
        try:
            root = ElementTree.parse(side).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise SchemaError(f"{side}: expected XML of GDAL ({error})", "Remove the file.") from error
        texts = [one.text or "" for one in root.findall("./PAMRasterBand[@band='1']/CategoryNames/Category")]
        return {text: value for value, text in enumerate(texts) if text}
    return {}


def _date(text: str, file: Path) -> dt.date:
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError as error:
        raise SchemaError(
            f"{file}: expected the last day of its season as YYYY-MM-DD, received {text!r}",
            "Give it with --last-day.",
        ) from error


@contextmanager
def opened_raster(file: Path) -> Iterator[Any]:
    """The raster of a file, closed after the block.

    Raises:
        SchemaError: it cannot be read, or is not a raster of classes with a coordinate system.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():  # said below, as an error
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raster = rasterio.open(file)
        with raster:
            _check_raster(raster, file)
            yield raster
    except RasterioError as error:
        raise SchemaError(f"{file}: expected a GeoTIFF of classes ({error})", "Is it a raster?") from error


def _check_raster(raster: Any, file: Path) -> None:
    if raster.crs is None:
        raise SchemaError(f"{file}: expected a raster with a coordinate system, received none", _NO_CRS)
    if raster.count != 1:
        raise SchemaError(
            f"{file}: expected one band of classes, received {raster.count} bands",
            "Give the map of classes, not of probabilities; take one band out of a stack with gdal_translate "
            "-b.",
        )
    if np.dtype(raster.dtypes[0]).kind not in "uif":
        raise SchemaError(f"{file}: expected whole numbers, received {raster.dtypes[0]}", "")
    turned = raster.transform
    if turned.b or turned.d or turned.a <= 0 or turned.e == 0:
        raise SchemaError(
            f"{file}: expected rows and columns along the axes, received a turned grid",
            "Warp it to a grid along the axes: gdalwarp FILE OUT",
        )


@dataclass(frozen=True)
class Block:
    """A part of a map, rows from north to south.

    Args:
        values: (row, column) int64 values of the classes.
        valid: (row, column) False where the map has no class.
        transform: affine of this part.
        crs: of the raster.
    """

    values: NDArray[np.int64]
    valid: NDArray[np.bool_]
    transform: Any
    crs: Any


def blocks(found: ClassMap, side: int = _BLOCK) -> Iterator[tuple[int, int, Block]]:
    """The parts of a map, one at a time: number done before it, number of all, the part.

    Args:
        found: from `open_map`.
        side: pixels; it changes no result.

    Raises:
        SchemaError: values that are not whole numbers, or contents that cannot be read.
    """
    from rasterio.windows import Window

    with opened_raster(found.file) as raster:
        starts = [(r, c) for r in range(0, raster.height, side) for c in range(0, raster.width, side)]
        for done, (row, column) in enumerate(starts):
            window = Window(column, row, min(side, raster.width - column), min(side, raster.height - row))
            values = raster.read(1, window=window)
            valid = raster.read_masks(1, window=window) > 0
            if values.dtype.kind == "f":
                valid &= np.isfinite(values)
                if (values[valid] != np.round(values[valid])).any():
                    raise SchemaError(
                        f"{found.file}: expected whole numbers as classes, received fractions",
                        "Give the map of classes, not of probabilities.",
                    )
            values = np.where(valid, values, 0).astype(np.int64)
            yield done, len(starts), _north_up(values, valid, raster.window_transform(window), raster.crs)


def _north_up(values: NDArray[np.int64], valid: NDArray[np.bool_], transform: Any, crs: Any) -> Block:
    if transform.e < 0:
        return Block(values, valid, transform, crs)
    from rasterio import Affine

    top = transform.f + transform.e * len(values)
    turned = Affine(transform.a, 0, transform.c, 0, -transform.e, top)
    return Block(values[::-1].copy(), valid[::-1].copy(), turned, crs)


def refuse_overlap(maps: Iterable[ClassMap]) -> None:
    """Refuse maps of one season that lie on one another: their areas would count twice.

    Raises:
        SchemaError: two maps overlap by more than a thousandth of the smaller one.
    """
    seen: list[tuple[ClassMap, Any, Box]] = []
    for one in maps:
        with opened_raster(one.file) as raster:
            crs, (west, south, east, north) = raster.crs, raster.bounds
        box = (west, south, east, north)
        for other, theirs, held in seen:
            if overlapping(box, held) if crs == theirs else _outlines_overlap(box, crs, held, theirs):
                raise SchemaError(
                    f"expected tiles of one season side by side, {one.file} overlaps {other.file}",
                    "Give each place once; maps of different seasons need different last days.",
                )
        seen.append((one, crs, box))


def overlapping(first: Box, second: Box) -> bool:
    """Whether two boxes (west, south, east, north) share more than a thousandth of the smaller one."""
    (west, south, east, north), (w, s, e, n) = first, second
    shared = max(0.0, min(east, e) - max(west, w)) * max(0.0, min(north, n) - max(south, s))
    return shared > _OVERLAP * min((east - west) * (north - south), (e - w) * (n - s))


def _outlines_overlap(one: Box, crs: Any, other: Box, theirs: Any) -> bool:
    """The same of boxes in two coordinate systems, whose sides are curves in one another's."""
    from rasterio.warp import transform

    shapely = importlib.import_module("shapely")
    made = []
    for box, system in ((one, crs), (other, theirs)):
        outline = shapely.segmentize(shapely.box(*box), (box[2] - box[0]) / 50)
        x, y = shapely.get_coordinates(outline).T
        longitude, latitude = transform(system, "EPSG:4326", x, y)[:2]
        made.append(shapely.Polygon(list(zip(longitude, latitude, strict=True))))
    shared: float = shapely.intersection(*made).area
    return bool(shared > _OVERLAP * min(shape.area for shape in made))
