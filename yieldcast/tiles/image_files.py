"""Images and label images in GeoTIFF: bands in order, reflectance, windows that continue beyond the edges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.tiles.bands import BandOrder, Floats, ReflectanceUnit, band_order
from yieldcast.tiles.patches import Ints, reflected

_LOOKED_AT = 512  # pixels of a side of the reduced image whose brightness is checked
_HINT = "Give a GeoTIFF."


@dataclass(frozen=True)
class ImageKind:
    """What the user says about images.

    Args:
        bands: names in the order of the file; None takes the descriptions.
        absent: bands that the product does not have.
        scaling: of the numbers.
    """

    bands: tuple[str, ...] | None = None
    absent: tuple[str, ...] = ()
    scaling: ReflectanceUnit = field(default_factory=ReflectanceUnit)


class ImageFile:
    """An open image.

    Args:
        source: dataset of rasterio.
        path: of the file.
        kind: see `ImageKind`.

    Raises:
        SchemaError: other bands, or an image that is too dark for its unit.
    """

    def __init__(self, source: Any, path: Path, kind: ImageKind) -> None:
        self.source, self.path, self._scaling = source, path, kind.scaling
        self.order: BandOrder = band_order(source.descriptions, kind.bands, kind.absent, str(path))
        self._indexes = [k + 1 for k in self.order.positions.values()]
        self.height, self.width = int(source.height), int(source.width)
        self._check_brightness()

    def read(self, rows: Ints, columns: Ints) -> tuple[Floats, NDArray[np.bool_]]:
        """A window, continued by reflection where positions are outside of the image.

        Args:
            rows, columns: positions, each without gaps, from any number on.

        Returns:
            (y, x, 13) reflectance, 0 where a band is missing; (y, x) True where any band is missing.
        """
        down, right = reflected(rows, self.height), reflected(columns, self.width)
        window = ((int(down.min()), int(down.max()) + 1), (int(right.min()), int(right.max()) + 1))
        values, missing = self._decoded(window=window)
        inside = np.ix_(np.arange(len(values)), down - window[0][0], right - window[1][0])
        found = self._scaling.reflectance(values[inside], missing[inside], str(self.path))
        none: NDArray[np.bool_] = np.any(missing[inside], axis=0)
        return self.order.fill(np.where(none, np.float32(0), found)), none

    def whole(self) -> tuple[Floats, NDArray[np.bool_]]:
        """All of the image, as `read`."""
        return self.read(np.arange(self.height), np.arange(self.width))

    def _decoded(self, **options: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """(band, y, x) numbers with scale and offset of the file applied, and True where missing."""
        read = self.source.read(self._indexes, masked=True, **options)
        values, missing = read.data, np.ma.getmaskarray(read)
        if values.dtype.kind == "f":
            missing = missing | np.isnan(values)
        scales, offsets = (
            np.array([of[k - 1] for k in self._indexes]) for of in (self.source.scales, self.source.offsets)
        )
        if (scales != 1).any() or (offsets != 0).any():
            values = (values * scales[:, None, None] + offsets[:, None, None]).astype(np.float32)
        return values, missing

    def _check_brightness(self) -> None:
        shape = (min(self.height, _LOOKED_AT), min(self.width, _LOOKED_AT))
        values, missing = self._decoded(out_shape=(len(self._indexes), *shape))
        found = self._scaling.reflectance(values, missing, str(self.path))
        if not missing.all():
            self._scaling.check_bright(float(found.max()), str(self.path))


@contextmanager
def open_image(path: Path, kind: ImageKind, placed: bool = False) -> Iterator[ImageFile]:
    """Open an image.

    Args:
        path: GeoTIFF.
        kind: see `ImageKind`.
        placed: refuse an image without a coordinate system.

    Raises:
        MissingDataError: no such file.
        SchemaError: not a raster, no coordinate system, or as `ImageFile`.
    """
    with _opened(path) as source:
        if placed and source.crs is None:
            raise SchemaError(
                f"{path}: expected a coordinate system (CRS), received none",
                "Add it, e.g. with gdal_edit -a_srs.",
            )
        yield ImageFile(source, path, kind)


def read_label(path: Path, like: ImageFile) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(y, x) codes of a label image, and True where the file says no data.

    Raises:
        MissingDataError: no such file.
        SchemaError: not a raster of one band, or on another grid than the image.
    """
    with _opened(path) as source:
        if source.count != 1:
            raise SchemaError(f"{path}: expected labels in one band, received {source.count} bands")
        both = [(one.crs, one.transform) for one in (source, like.source) if one.crs is not None]
        same_place = len(both) < 2 or (
            both[0][0] == both[1][0] and both[0][1].almost_equals(both[1][1], 1e-6)
        )
        if (source.height, source.width) != (like.height, like.width) or not same_place:
            raise SchemaError(
                f"{path}: expected the grid of {like.path.name} ({like.height} x {like.width}), "
                f"received {source.height} x {source.width}{'' if same_place else ' at another place'}",
                "Warp image and labels to the same grid; labels with the nearest pixel.",
            )
        read = source.read(1, masked=True)
        return read.data, np.ma.getmaskarray(read)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    if not path.is_file():
        raise MissingDataError(f"no file {path}", _HINT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            source = rasterio.open(path)
        except RasterioError as error:
            raise SchemaError(f"{path}: not a raster: {error}", _HINT) from None
        with source:
            yield source
