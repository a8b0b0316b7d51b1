"""Small real rasters and the items that list them, in a folder that the STAC server serves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.warp import transform, transform_bounds

DEGREES, ZONE_21, ZONE_22 = "EPSG:4326", "EPSG:32721", "EPSG:32722"


def metres(lon: float, lat: float, crs: str, pixel: float) -> tuple[float, float]:
    """Corner of the pixel (whole multiples) that contains a point."""
    (x,), (y,) = transform(DEGREES, crs, [lon], [lat])
    return float(np.floor(x / pixel) * pixel), float(np.ceil(y / pixel) * pixel)


def ramp(x: float, y: float, pixel: float, shape: tuple[int, int]) -> np.ndarray:
    """Numbers by place: 1000 + 10 * (x in pixels of 10 m, modulo 100) + (y in the same, modulo 10)."""
    columns = np.floor((x + (np.arange(shape[1]) + 0.5) * pixel) / 10) % 100
    rows = np.floor((y - (np.arange(shape[0]) + 0.5) * pixel) / 10) % 10
    return (1000 + 10 * columns[None] + rows[:, None]).astype(np.uint16)


class StacWorld:
    """A folder of files and items."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.features = folder, list[dict]()
        folder.mkdir(exist_ok=True)

    def file(self, name, values, crs, x, y, pixel, nodata=None, block=128) -> str:
        """A cloud-optimised GeoTIFF with its north-west corner at x, y; returns its link."""
        values = np.asarray(values)
        bands = values if values.ndim == 3 else values[None]
        with rasterio.open(
            self.folder / f"{name}.tif", "w", driver="COG", height=bands.shape[1], width=bands.shape[2],
            count=len(bands), dtype=bands.dtype, crs=crs, nodata=nodata, compress="none", blocksize=block,
            overviews="none", transform=Affine(pixel, 0, x, 0, -pixel, y),
        ) as file:  # fmt: skip
            file.write(bands)
        return f"{{base}}/files/{name}.tif"

    def item(self, name, collection, when, assets, *, box=None, **properties) -> dict:
        """An item over its first file; `when` is a day or (first, last)."""
        if isinstance(when, tuple):
            ends = {"start_datetime": f"{when[0]}T00:00:00Z", "end_datetime": f"{when[1]}T23:59:59Z"}
            dates = {"datetime": None, **ends}
        else:
            dates = {"datetime": f"{when}T13:32:21.024000Z"}
        if box is None:
            with rasterio.open(self.folder / Path(next(iter(assets.values()))).name) as file:
                box = transform_bounds(file.crs, DEGREES, *file.bounds)
        west, south, east, north = box
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        feature = {
            "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "links": [],
            "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": list(box),
            "properties": {**dates, **properties},
            "assets": {key: {"href": href} for key, href in assets.items()},
        }  # fmt: skip
        self.features.append(feature)
        return feature

    def sentinel2(
        self, name, when, numbers, scl=4, *, crs=ZONE_21, at=(-55.5, -12.0), size=160, nir=False, **more
    ):
        """An image of Sentinel-2 around a point: `numbers` for B4, one or an array; B8 (nir) twice that."""
        x, y = metres(*at, crs, 60)
        x, y = x - size // 2 * 10, y + size // 2 * 10
        x, y = np.floor(x / 60) * 60, np.ceil(y / 60) * 60
        shape = (size, size)
        red = ramp(x, y, 10, shape) if numbers is None else np.broadcast_to(numbers, shape)
        flags = np.broadcast_to(scl, (size // 2, size // 2)).astype(np.uint8)
        assets = {
            "red": self.file(f"{name}-red", red.astype(np.uint16), crs, x, y, 10, 0),
            "scl": self.file(f"{name}-scl", flags, crs, x, y, 20, 0),
        }
        if nir:
            assets["nir"] = self.file(f"{name}-nir", (2 * red).astype(np.uint16), crs, x, y, 10, 0)
        known = {"platform": "sentinel-2a", "s2:processing_baseline": "05.00", "grid:code": f"MGRS-{crs}"}
        return self.item(name, "sentinel-2-l2a", when, assets, **{**known, **more})

    def serve(self, server) -> str:
        """Give the folder to the server; returns its address."""
        (self.folder / "items.json").write_text(json.dumps(self.features))
        server.set(folder=str(self.folder))
        return server.url
