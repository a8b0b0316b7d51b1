"""Reads the pixels of one image: the clouds first, then the window of each band, in the units of a series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform
from rasterio.windows import Window

from data_fetchers.engine import http
from data_fetchers.engine.gdal import TIFF, ask_first, gdal, watch
from data_fetchers.engine.source import RetryableError, pause
from data_fetchers.stac import access
from data_fetchers.stac.collections import Catalogue, Collection, clear, in_series_units
from data_fetchers.stac.grids import DEGREES, Target, affine_of, shape_of
from yieldcast.errors import FetchError
from yieldcast.pixels.series_bands import BAND_OF, Floats

WHOLE = -32768  # without a value, in answers of whole numbers
_TO_WHOLE = {"reflectance": 1.0, "index": 1e4}
_M_PER_DEGREE = 111_195.0
_FINEST, _COARSEST = 0.3, 6.5  # pixels of a file over those of the table: Sentinel-2 has 10, 20 and 60 m
_WRONG_FILE = "The catalogue lists a file that is not there or not open; take another catalogue."
_EDGE = 1e-6  # of a pixel


def read_image(
    parameters: Mapping[str, Any], made_by: Collection, catalogue: Catalogue, collection_id: str
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Bands of one image over a target.

    Args:
        parameters: of the request: item, assets (band or flags -> address), offset, target.
        made_by: the collection.
        catalogue: for tokens and logins.
        collection_id: name of the collection in the catalogue.

    Returns:
        band -> (row, column) as `stored` keeps it, and the number of pixels with an image and with a clear
        one.

    Raises:
        RetryableError: a file that is busy, broken, or changed while it was read.
        FetchError: a file that is refused, not one band, or of other pixels.
    """
    target = parameters["target"]
    assets = dict(parameters["assets"])
    flags, seen, ground = assets.pop("flags", None), None, None
    files = _Files(made_by, catalogue, collection_id, parameters["item"])
    if flags is not None:
        raw, _ = files.read(flags, target, made_by.no_flag)
        seen, ground = clear(made_by.flags, raw, made_by.no_flag)
    bands = {}
    for band, href in assets.items():
        if ground is not None and not ground.any():  # nothing to be seen: the bands are not read
            values = np.full(ground.shape, np.nan, np.float32)
        else:
            raw, valid = files.read(href, target, made_by.nodata)
            values = np.where(valid, raw, np.nan).astype(np.float32)
            values = in_series_units(band, values, made_by, parameters["offset"])
        bands[band] = stored(band, values if ground is None else np.where(ground, values, np.nan))
    if seen is None or ground is None:
        seen = ground = np.any([np.isfinite(loaded(band, one)) for band, one in bands.items()], axis=0)
    return bands, {"seen": int(seen.sum()), "clear": int(ground.sum())}


def stored(band: str, values: Floats) -> NDArray[Any]:
    """Values as answers keep them: reflectance and indices x 10000 as whole numbers, others as they are."""
    factor = _TO_WHOLE.get(BAND_OF[band].kind)
    if factor is None:
        return values.astype(np.float32)
    return np.where(np.isfinite(values), np.rint(values * factor), WHOLE).astype(np.int16)


def loaded(band: str, kept: NDArray[Any]) -> Floats:
    """The values of `stored`, in the unit of a series."""
    factor = _TO_WHOLE.get(BAND_OF[band].kind)
    if factor is None:
        return kept.astype(np.float32)
    return np.where(kept == WHOLE, np.nan, kept / factor).astype(np.float32)


def scale_of(band: str) -> float:
    """Value of 1 in a stored whole number."""
    return 1.0 / _TO_WHOLE.get(BAND_OF[band].kind, 1.0)


class _Files:
    """The files of one image."""

    def __init__(self, made_by: Collection, catalogue: Catalogue, collection_id: str, item: str) -> None:
        self.made_by, self.catalogue = made_by, catalogue
        self.collection_id, self.item = collection_id, item

    def read(self, href: str, target: Target, nodata: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Numbers over a target, and where there are any."""
        pause(0)  # stops here on Ctrl-C
        with self._opened(href) as file:
            self._check(file, href)
            if "pixel" in target:
                raw = self._on_grid(file, target, nodata)
            else:
                raw = _at_points(file, target, nodata)
            tag = file.nodata
        valid = np.isfinite(raw) & (raw != nodata)
        return raw, valid if tag is None else valid & (raw != tag)

    @contextmanager
    def _opened(self, href: str) -> Iterator[Any]:
        access.check_address(href, self.catalogue, self.item)
        url, shown = access.signed(href, self.catalogue, self.collection_id), http.shown(href)
        path, mark = f"/vsicurl/{url}", self._look(url)
        watch(path, mark)
        settings = access.gdal_settings(self.catalogue)
        with gdal(path, shown, _WRONG_FILE, settings), rasterio.open(path, driver="GTiff") as file:
            yield file
        after = self._look(url)
        if after != mark:
            watch(path, after)
            raise RetryableError(f"{shown} changed while it was read", "The next try reads the new file.")

    def _look(self, url: str) -> str:
        if self.catalogue.access == "earthdata":  # leads to another host, with the login only
            return ""
        try:
            return ask_first(url, _WRONG_FILE, TIFF)
        except FetchError as error:
            refused = error.__cause__
            if self.catalogue.access == "sas" and getattr(refused, "status", 0) == 403:
                access.forget_token(self.catalogue, self.collection_id)
                raise RetryableError(str(error), error.hint) from error
            raise

    def _check(self, file: Any, href: str) -> None:
        shown, found = http.shown(href), ""
        if file.count != 1:
            found = f"{file.count} bands"
        elif file.crs is None:
            found = "no coordinate system"
        else:
            size = abs(file.transform.a) * (_M_PER_DEGREE if file.crs.is_geographic else 1.0)
            if not _FINEST <= size / self.made_by.pixel_m <= _COARSEST:
                found = f"pixels of {size:g} m"
        if found:
            raise FetchError(
                f"{shown}: expected one band of pixels of about {self.made_by.pixel_m:g} m, received {found}",
                "The file is not of this collection; take another catalogue.",
            )

    def _on_grid(self, file: Any, target: Target, nodata: int) -> NDArray[Any]:
        """The nearest pixel of the file for each of the grid; heights are interpolated."""
        height, width = shape_of(target)
        how = Resampling.bilinear if self.made_by.static else Resampling.nearest
        with WarpedVRT(
            file, crs=target["crs"], transform=affine_of(target), width=width, height=height,
            resampling=how, src_nodata=nodata, nodata=nodata,
        ) as warped:  # fmt: skip
            return np.asarray(warped.read(1))


def _at_points(file: Any, target: Target, nodata: int) -> NDArray[Any]:
    """(1, point) the pixel that contains each point; block by block, so that each is read once."""
    x, y = transform(DEGREES, file.crs, target["longitude"], target["latitude"])
    column, row = ~file.transform * (np.array(x), np.array(y))
    columns, rows = (np.floor(one + _EDGE).astype(np.int64) for one in (column, row))
    made = np.full((1, len(columns)), nodata, np.float64)
    inside = (rows >= 0) & (rows < file.height) & (columns >= 0) & (columns < file.width)
    height, width = file.block_shapes[0]
    order = np.lexsort((columns, rows, columns // width, rows // height))
    for k in order[inside[order]].tolist():
        made[0, k] = file.read(1, window=Window(int(columns[k]), int(rows[k]), 1, 1))[0, 0]
    return made
