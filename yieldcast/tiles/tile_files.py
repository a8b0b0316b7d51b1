"""Single tiles as PNG or GeoTIFF: read with their limits, and written as PNG."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.tiles.png_check import check_png

DRIVERS = {".png": "PNG", ".tif": "GTiff", ".tiff": "GTiff"}
TYPES = ("uint8", "uint16", "int16", "float32")
# Of one tile, before anything is unpacked: an image of a few bytes can claim any size.
LONGEST_SIDE, MOST_BANDS, MOST_BYTES = 4096, 64, 2**26


@dataclass(frozen=True)
class TileKind:
    """What all tiles of a set share.

    Args:
        shape: y, x, band.
        dtype: one of `TYPES`.
    """

    shape: tuple[int, int, int]
    dtype: str

    @classmethod
    def of(cls, tile: NDArray[Any]) -> TileKind:
        """The kind of a (y, x, band) tile."""
        y, x, band = tile.shape
        return cls((y, x, band), tile.dtype.name)

    def __str__(self) -> str:
        y, x, band = self.shape
        return f"{y} x {x} pixels of {band} {'band' if band == 1 else 'bands'} in {self.dtype}"

    def check(self, where: str) -> None:
        """Raise SchemaError for a size or type that no tile has."""
        y, x, band = self.shape
        if self.dtype not in TYPES:
            raise SchemaError(f"{where}: expected numbers in {', '.join(TYPES)}, received {self.dtype}")
        if not (0 < y <= LONGEST_SIDE and 0 < x <= LONGEST_SIDE and 0 < band <= MOST_BANDS) or (
            y * x * band * np.dtype(self.dtype).itemsize > MOST_BYTES
        ):
            raise SchemaError(
                f"{where}: expected a tile of at most {LONGEST_SIDE} pixels a side, {MOST_BANDS} bands and "
                f"{MOST_BYTES // 2**20} MiB, received {y} x {x} x {band}",
                "Cut larger images into tiles.",
            )


def read_tile(path: Path, like: TileKind | None = None) -> NDArray[Any]:
    """(y, x, band) pixels of a tile.

    Args:
        path: PNG or GeoTIFF, by its ending.
        like: kind that it must have.

    Raises:
        SchemaError: not such an image, too large, another kind than the others, a palette of colours, pixels
            that are transparent or marked as no data.
    """
    if DRIVERS[path.suffix.lower()] == "PNG":
        check_png(path)
    with _opened(path) as source:
        bands = _bands(source, path)
        kind = TileKind((source.height, source.width, len(bands)), source.dtypes[0])
        kind.check(str(path))
        if like is not None and kind != like:
            raise SchemaError(
                f"{path}: expected {like}, as the tiles before it, received {kind}",
                "All tiles of training set and holdout have one size, one number of bands and one type.",
            )
        read = source.read(masked=True)
    if missing := int(np.ma.getmaskarray(read).any(axis=0).sum()):
        raise SchemaError(
            f"{path}: expected a value in every pixel, received {missing} pixels without one",
            "Fill what is transparent or marked as no data, or leave the tile out.",
        )
    return np.ascontiguousarray(np.moveaxis(read.data[[band - 1 for band in bands]], 0, -1))


def png(values: NDArray[np.uint8]) -> bytes:
    """A grey or colour image.

    Args:
        values: (y, x) or (y, x, 3).

    Returns:
        the bytes of a PNG file.
    """
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    bands = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    shape = {"count": len(bands), "height": values.shape[0], "width": values.shape[1]}
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(driver="PNG", dtype="uint8", **shape) as file:
            file.write(bands)
        content: bytes = memory.read()
    return content


def _bands(source: Any, path: Path) -> list[int]:
    """Numbers of the bands that are values; a band of transparency is in the mask."""
    from rasterio.enums import ColorInterp

    if ColorInterp.palette in source.colorinterp:
        raise SchemaError(
            f"{path}: expected values, received positions in a palette of colours",
            "Save the tile as grey or as bands.",
        )
    if len(set(source.dtypes)) > 1:
        raise SchemaError(f"{path}: expected one type for all bands, received {', '.join(source.dtypes)}")
    return [k for k, what in enumerate(source.colorinterp, 1) if what != ColorInterp.alpha]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path, driver=DRIVERS[path.suffix.lower()]) as source:
                yield source
        except RasterioError as error:
            raise SchemaError(
                f"{path}: not a PNG or GeoTIFF: {error}", "Save the tile again, or leave it out."
            ) from None
