"""A pixel of a raster and a row of a table with the same values are the same series."""

from __future__ import annotations

import numpy as np
import pandas as pd
from mapping_rasters import HEIGHT, START, STEPS, WIDTH, cube_of, field

from yieldcast.crop_types.classifier import CropTypeSettings, head_inputs
from yieldcast.encoders.presto import PrestoEncoder
from yieldcast.mapping.raster_inputs import Window, open_inputs
from yieldcast.mapping.raster_series import RasterPart, pixels_of, units_of
from yieldcast.pixels.cubes import write_cube
from yieldcast.pixels.series_tables import TableSettings, series_of


def test_a_pixel_and_a_row_have_the_same_embedding(tmp_path):
    """Embeddings of pixels in their cell, against those of a table of some of them in another order."""
    bands = field()[1]
    write_cube(tmp_path / "cube.nc", cube_of(bands))
    raster = open_inputs([tmp_path / "cube.nc"])
    window = Window(0, 0, 9, 16)
    units = units_of(raster, Window(0, 0, HEIGHT, WIDTH), {})
    pixels = pixels_of(RasterPart.of(raster, window), window, units, raster.bands)
    assert pixels is not None
    chosen = np.array([100, 3, 77, 20])
    table = pd.DataFrame(
        {"sample_id": chosen, "lat": pixels.series["latitude_deg"].values[chosen],
         "lon": pixels.series["longitude_deg"].values[chosen], "start_month": START.month}
        | {f"{name}_{k:02d}": bands[name][k, pixels.rows[chosen], pixels.columns[chosen]]
           for name in bands for k in range(STEPS)}
    )  # fmt: skip
    rows = series_of(table, TableSettings(step="month")).series
    np.testing.assert_array_equal(rows["values"], pixels.series["values"][chosen])
    encoder = PrestoEncoder()
    encoder.build()
    for pool in ("time", "global"):
        settings = CropTypeSettings(pool=pool, location=True)
        of_pixels, of_rows = (head_inputs(one, settings, encoder) for one in (pixels.series, rows))
        np.testing.assert_allclose(of_rows, of_pixels[chosen], atol=1e-5)
