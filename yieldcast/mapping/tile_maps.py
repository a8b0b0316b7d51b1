"""Maps from an image by a network of `tiles`: classes, probabilities, and ``map.json`` beside them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.files import atomic_text, disk_error
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.mapping.class_maps import ABOUT_FILE, CLASS_FILE
from yieldcast.mapping.geotiffs import PROBABILITY_FILE, MapAmounts, MapTags, write_map
from yieldcast.mapping.raster_inputs import Grid, Window
from yieldcast.tiles.blending import Tiling, blended
from yieldcast.tiles.image_files import ImageFile, ImageKind, open_image
from yieldcast.tiles.patches import Progress, ignore
from yieldcast.tiles.run import TileRun

_CATEGORIES = ".aux.xml"  # names of classes, as GDAL keeps them


@dataclass(frozen=True)
class TileMapFiles:
    """Where a map goes.

    Args:
        classes: GeoTIFF of the classes.
    """

    classes: Path

    @property
    def categories(self) -> Path:
        """Names of the classes for GDAL."""
        return self.classes.with_name(f"{self.classes.name}{_CATEGORIES}")

    @property
    def probability(self) -> Path:
        """GeoTIFF of the probabilities: probability.tif beside class.tif, else NAME_probability.tif."""
        return self._beside(PROBABILITY_FILE, f"{self.classes.stem}_{PROBABILITY_FILE}")

    @property
    def about(self) -> Path:
        """Record: map.json beside class.tif, else NAME.json."""
        return self._beside(ABOUT_FILE, f"{self.classes.stem}.json")

    def _beside(self, plain: str, other: str) -> Path:
        return self.classes.with_name(plain if self.classes.name == CLASS_FILE else other)


def map_image(
    run: TileRun,
    image: Path,
    kind: ImageKind,
    out: Path,
    tiling: Tiling,
    season: tuple[str, str, str] = ("", "", ""),
    progress: Progress = ignore,
) -> MapAmounts:
    """Classify an image and write the files of `TileMapFiles`, ``map.json`` last.

    The record has no confusion matrix: the pixels of a patch are not independent, so that standard errors of
    areas would be far too small. Give reference points to ``yieldcast crop-type mask`` instead.

    Args:
        run: trained.
        image: GeoTIFF with a coordinate system.
        kind: its bands and unit; absent bands are those of the training.
        out: GeoTIFF of the classes; earlier files are replaced.
        tiling: tiles and overlap.
        season: name, first and last day (YYYY-MM-DD) of the season; empty where unknown.
        progress: called with rows of tiles done and all of them.

    Raises:
        ConfigError: `out` is not a GeoTIFF's name.
        MissingDataError: no such image, or the disk refuses.
        SchemaError: other bands or units, no coordinate system, no pixel with data.
    """
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise ConfigError(
            f"--out: expected a name that ends with .tif, received {out}", "For example class.tif."
        )
    tags, files = MapTags(run.classes, *season), TileMapFiles(out)
    with open_image(image, replace(kind, absent=run.absent), placed=True) as source:
        grid = _grid(source)
        try:
            with tempfile.TemporaryDirectory(prefix=".writing-", dir=out.parent) as folder:
                made = write_map(Path(folder), grid, tags, _parts(run.network, source, tiling, progress))
                if not sum(made.pixels.values()):
                    raise SchemaError(f"{image}: expected pixels with data, received none")
                files.about.unlink(missing_ok=True)  # never beside another map
                for name, final in (
                    (PROBABILITY_FILE, files.probability), (CLASS_FILE, files.classes),
                    (f"{CLASS_FILE}{_CATEGORIES}", files.categories),
                ):  # fmt: skip
                    os.replace(Path(folder) / name, final)
        except OSError as error:
            raise disk_error(out, error) from error
    atomic_text(files.about, _record(run, made, grid, tags, image, files))
    return made


def _grid(source: ImageFile) -> Grid:
    transform = tuple(map(float, source.source.transform.to_gdal()))
    return Grid(source.source.crs.to_wkt(), transform, source.height, source.width)


def _parts(
    network: Any, source: ImageFile, tiling: Tiling, progress: Progress
) -> Iterator[tuple[Window, NDArray[np.floating]]]:
    for rows in blended(network, source.read, (source.height, source.width), tiling, progress):
        yield Window(rows.first, 0, rows.first + len(rows.probability), source.width), rows.probability


def _record(
    run: TileRun, made: MapAmounts, grid: Grid, tags: MapTags, image: Path, files: TileMapFiles
) -> str:
    record = {
        "format": 1, "run": str(run.path.absolute()), "image": image.name, "season": tags.season,
        "first_day": tags.first_day, "last_day": tags.last_day, "classes": list(run.classes),
        "crs": grid.crs_wkt, "pixels": made.pixels, "hectares": made.hectares,
        "pixels_without_data": grid.height * grid.width - sum(made.pixels.values()),
        "files": {"class": files.classes.name, "probability": files.probability.name},
    }  # fmt: skip
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
