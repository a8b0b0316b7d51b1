"""Maps of classes: names and seasons wherever they stand, and what is refused."""

import datetime as dt
import json

import numpy as np
import pytest

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.mapping.class_maps import ClassMap, open_map

VALUES = np.full((4, 4), 2, np.uint8)


def test_a_folder_of_our_own(write_map, tmp_path):
    write_map("run/class.tif", VALUES)
    with pytest.raises(MissingDataError, match="unfinished"):
        open_map(tmp_path / "run")
    confusion = {"classes": ["Forest", "Soy_Corn"], "counts": [[8, 2], [1, 9]]}
    about = {"format": 1, "classes": ["Forest", "Soy_Corn"], "last_day": "2020-08-31", "confusion": confusion}
    (tmp_path / "run" / "map.json").write_text(json.dumps(about))
    for path in (tmp_path / "run", tmp_path / "run" / "class.tif"):
        found = open_map(path)
        assert found.classes == {"Forest": 1, "Soy_Corn": 2}
        assert found.last_day == dt.date(2020, 8, 31)
        assert found.confusion.tolist() == [[8, 2], [1, 9]]
    (tmp_path / "run" / "map.json").write_text("{")
    with pytest.raises(SchemaError, match="expected the record of a map"):
        open_map(tmp_path / "run")


def test_names_of_category_files(write_map):
    path = write_map("gdal.tif", VALUES)
    assert open_map(path).classes == {}
    side = path.with_name("gdal.tif.aux.xml")
    side.write_text(
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category></Category><Category>Floresta'
        "</Category><Category>Soja</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    found = open_map(path)
    assert found.classes == {"Floresta": 1, "Soja": 2}
    assert found.crop_classes("soybean") == ("Soja",)
    assert found.values_of(["SOJA", "1"]) == (2, 1)


def test_classes_of_a_crop(tmp_path):
    names = ["Soy_Corn", "Milho 2ª safra", "Non-soybean", "other corn", "Maize", "Fallow_Cotton", "Trigo"]
    found = ClassMap(tmp_path, {name: value for value, name in enumerate(names, 1)})
    assert found.crop_classes("soybean") == ("Soy_Corn",)
    assert found.crop_classes("corn") == ("Soy_Corn", "Milho 2ª safra", "Maize")
    assert found.crop_classes("cotton") == ("Fallow_Cotton",)
    assert found.crop_classes("wheat") == ("Trigo",)
    with pytest.raises(ConfigError, match="expected one of its classes, received '12'"):
        found.values_of(["12"])


def test_turned_and_stacked_rasters_are_refused(tmp_path):
    import rasterio
    from rasterio import Affine

    for name, count, grid in (
        ("turned.tif", 1, Affine(1, 0.1, 0, 0.1, -1, 0)),
        ("stack.tif", 2, Affine(2, 0, 0, 0, -2, 0)),
    ):
        about = {"driver": "GTiff", "dtype": "uint8", "height": 2, "width": 2, "crs": "EPSG:4326"}
        with rasterio.open(tmp_path / name, "w", count=count, transform=grid, **about) as raster:
            raster.write(np.ones((count, 2, 2), np.uint8))
        with pytest.raises(SchemaError, match="a turned grid" if count == 1 else "received 2 bands"):
            open_map(tmp_path / name)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(SchemaError, match="expected a GeoTIFF"):
        open_map(tmp_path / "text.tif")
