"""Maps as files: classes and probabilities as cloud-optimised GeoTIFF, written block by block."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.files import atomic_text, atomic_write, disk_error
from yieldcast.errors import SchemaError
from yieldcast.mapping.class_maps import CLASS_FILE, open_map
from yieldcast.mapping.raster_inputs import Grid, Window
from yieldcast.mapping.zones import WHOLE, class_areas

PROBABILITY_FILE = "probability.tif"
NO_CLASS = 0
MOST_CLASSES = 255
_TILE = 512
# Colours of Paul Tol's qualitative schemes "muted" and "light", which colour-blind readers tell apart
# (personal.sron.nl/~pault, technical note 3.2).
_COLOURS = (
    (51, 34, 136), (221, 204, 119), (17, 119, 51), (204, 102, 119), (136, 204, 238), (136, 34, 85),
    (68, 170, 153), (153, 153, 51), (170, 68, 153), (119, 170, 221), (238, 136, 102), (238, 221, 136),
    (255, 170, 187), (153, 221, 255), (68, 187, 153), (187, 204, 51), (170, 170, 0), (102, 102, 102),
)  # fmt: skip
_EMPTY = (255, 255, 255, 0)


@dataclass(frozen=True)
class MapTags:
    """What a map says of itself.

    Args:
        classes: value k of the raster is class k, from 1.
        season: name.
        first_day, last_day: YYYY-MM-DD; empty where unknown.
    """

    classes: tuple[str, ...]
    season: str = ""
    first_day: str = ""
    last_day: str = ""

    def texts(self) -> dict[str, str]:
        """Tags of the files."""
        return {
            "YIELDCAST_CLASSES": json.dumps(list(self.classes), ensure_ascii=False),
            "YIELDCAST_SEASON": self.season, "YIELDCAST_FIRST_DAY": self.first_day,
            "YIELDCAST_LAST_DAY": self.last_day,
        }  # fmt: skip


@dataclass(frozen=True)
class MapAmounts:
    """How much of each class a map has.

    Args:
        pixels: class -> number.
        hectares: class -> area on the ellipsoid.
    """

    pixels: dict[str, int]
    hectares: dict[str, float]


def colours(classes: Sequence[str]) -> dict[int, tuple[int, int, int, int]]:
    """Red, green, blue, opacity of each value of a map."""
    table = {k + 1: (*_COLOURS[k % len(_COLOURS)], 255) for k in range(len(classes))}
    return {NO_CLASS: _EMPTY, **table}


def classes_of(probability: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(row, column) values of the most probable classes; the first of equal ones, 0 where NaN."""
    valid = np.isfinite(probability).all(axis=-1)
    best = np.where(valid[..., None], probability, 0).argmax(axis=-1) + 1
    return np.where(valid, best, NO_CLASS).astype(np.uint8)


def write_map(
    folder: Path, grid: Grid, tags: MapTags, parts: Iterable[tuple[Window, NDArray[np.floating]]]
) -> MapAmounts:
    """Write ``class.tif`` and ``probability.tif``, each whole or not at all; memory holds one part.

    Args:
        folder: exists.
        grid: of the whole map.
        tags: classes and season.
        parts: windows of the grid, none on another, and (row, column, class) probabilities, NaN where there
            are none; pixels of no window have none.

    Returns:
        pixels and hectares of each class.

    Raises:
        SchemaError: more classes than a byte holds.
        MissingDataError: the disk refuses.
    """
    import rasterio
    from rasterio.errors import RasterioError

    if len(tags.classes) > MOST_CLASSES:
        raise SchemaError(f"expected at most {MOST_CLASSES} classes, received {len(tags.classes)}")
    raw = {name: folder / f".writing-{name}" for name in (CLASS_FILE, PROBABILITY_FILE)}
    try:
        with (
            rasterio.open(raw[CLASS_FILE], "w", **_profile(grid, 1, "uint8", NO_CLASS)) as of_class,
            rasterio.open(
                raw[PROBABILITY_FILE], "w", **_profile(grid, len(tags.classes), "float32", float("nan"))
            ) as of_probability,
        ):
            _describe(of_class, of_probability, tags)
            pixels = _fill(of_class, of_probability, tags, parts)
        _optimise(raw[CLASS_FILE], folder / CLASS_FILE, overviews="MODE", predictor="STANDARD")
        _optimise(raw[PROBABILITY_FILE], folder / PROBABILITY_FILE, overviews="AVERAGE",
                  predictor="FLOATING_POINT")  # fmt: skip
    except RasterioError as error:
        raise disk_error(folder, OSError(str(error))) from error
    finally:
        for path in raw.values():
            for left in (path, path.with_name(f"{path.name}.aux.xml")):
                with suppress(OSError):
                    left.unlink(missing_ok=True)
    _write_categories(folder / f"{CLASS_FILE}.aux.xml", tags.classes)
    # in blocks of one size, so that sums do not depend on the parts
    areas = class_areas(open_map(folder / CLASS_FILE), [])
    named = enumerate(tags.classes, 1)
    return MapAmounts(pixels, {name: round(areas.get((WHOLE, k), 0.0), 4) for k, name in named})


def _profile(grid: Grid, count: int, dtype: str, nodata: float) -> dict[str, Any]:
    return {
        "driver": "GTiff", "height": grid.height, "width": grid.width, "count": count, "dtype": dtype,
        "crs": grid.crs, "transform": grid.affine, "nodata": nodata, "tiled": True, "blockxsize": _TILE,
        "blockysize": _TILE, "interleave": "pixel" if count == 1 else "band", "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": True,
    }  # fmt: skip


def _describe(of_class: Any, of_probability: Any, tags: MapTags) -> None:
    of_class.write_colormap(1, colours(tags.classes))
    of_class.set_band_description(1, "class")
    for k, name in enumerate(tags.classes, 1):
        of_probability.set_band_description(k, name)
    for raster in (of_class, of_probability):
        raster.update_tags(**tags.texts())


def _fill(
    of_class: Any,
    of_probability: Any,
    tags: MapTags,
    parts: Iterable[tuple[Window, NDArray[np.floating]]],
) -> dict[str, int]:
    from rasterio.windows import Window as Part

    pixels = np.zeros(len(tags.classes) + 1, np.int64)
    for window, probability in parts:
        height, width = window.shape
        part = Part(window.left, window.top, width, height)
        values = classes_of(probability)
        of_class.write(values, 1, window=part)
        of_probability.write(np.moveaxis(probability, -1, 0).astype(np.float32), window=part)
        pixels += np.bincount(values.ravel(), minlength=len(pixels))
    return {name: int(pixels[k]) for k, name in enumerate(tags.classes, 1)}


def _optimise(raw: Path, final: Path, overviews: str, predictor: str) -> None:
    """A cloud-optimised copy."""
    import rasterio
    from rasterio.shutil import copy

    def write(temporary: Path) -> None:
        temporary.unlink()
        # one thread: the same bytes each time
        with rasterio.Env(GDAL_NUM_THREADS="1"):
            copy(
                raw, temporary, driver="COG", compress="DEFLATE", predictor=predictor,
                overview_resampling=overviews, blocksize=_TILE, bigtiff="IF_SAFER",
            )  # fmt: skip

    atomic_write(final, write)


def _write_categories(path: Path, classes: Sequence[str]) -> None:
    """Names of the values, as GDAL keeps them beside a GeoTIFF."""
    names = "".join(f"<Category>{escape(name)}</Category>" for name in ("", *classes))
    band = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
    atomic_text(path, f"<PAMDataset>{band}</PAMDataset>\n")
