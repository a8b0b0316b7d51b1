"""Small maps of classes and places around 12 degrees south, 55 degrees west."""

import json

import numpy as np
import pytest
import rasterio
from rasterio import Affine


@pytest.fixture
def write_map(tmp_path):
    """Write a GeoTIFF of classes; returns its path."""

    def write(name, values, west=-55.5, north=-11.5, step=0.05, crs="EPSG:4326", nodata=0, tags=None):
        values = np.asarray(values)
        grid = Affine(step, 0, west, 0, -step, north)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        shape = {"height": values.shape[0], "width": values.shape[1], "count": 1}
        with rasterio.open(
            path, "w", driver="GTiff", dtype=values.dtype, crs=crs, transform=grid, nodata=nodata, **shape
        ) as raster:
            raster.write(values, 1)
            raster.update_tags(**(tags or {}))
        return path

    return write


@pytest.fixture
def write_mesh(tmp_path):
    """Write boxes (west, south, east, north) by code as GeoJSON; returns its path."""

    def write(boxes, name="mesh.geojson", key="code"):
        features = [
            {
                "type": "Feature", "properties": {key: code, "name": f"P{code}"},
                "geometry": {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]},
            }
            for code, (w, s, e, n) in boxes.items()
        ]  # fmt: skip
        path = tmp_path / name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return path

    return write
