"""`yieldcast crop-type mask` and `area` from the command line."""

import json

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from typer.testing import CliRunner

from yieldcast.cli.app import app
from yieldcast.data.crop_weights import read_crop_weights
from yieldcast.errors import LeakageError, SchemaError

Y = (-12.5, -12.5, -11.5, -11.5, -12.5)
CONFUSION = {"classes": ["Forest", "Soybean"], "counts": [[45, 5], [10, 40]]}


@pytest.fixture
def folder(tmp_path):
    """A map of `crop-type map` with a record, and a mesh of two places."""
    values = np.ones((20, 20), np.uint8)
    values[:, :8] = 2
    about = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "height": 20, "width": 20, "crs": "EPSG:4326",
        "transform": Affine(0.05, 0, -55.5, 0, -0.05, -11.5), "nodata": 0,
    }  # fmt: skip
    (tmp_path / "MAP").mkdir()
    with rasterio.open(tmp_path / "MAP" / "class.tif", "w", **about) as raster:
        raster.write(values, 1)
    record = {"classes": CONFUSION["classes"], "last_day": "2020-08-31", "confusion": CONFUSION}
    (tmp_path / "MAP" / "map.json").write_text(json.dumps(record))
    features = [
        {
            "type": "Feature", "properties": {"code": code},
            "geometry": {"type": "Polygon", "coordinates": [list(zip((w, e, e, w, w), Y, strict=True))]},
        }
        for code, w, e in ((11, -55.5, -55.0), (12, -55.0, -54.5))
    ]  # fmt: skip
    (tmp_path / "mesh.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["crop-type", *map(str, words)], catch_exceptions=True)


def test_mask_of_a_map_with_its_error(folder):
    out, file = folder / "w.nc", folder / "w.json"
    words = (folder / "MAP", "--places", folder / "mesh.json", "--crop", "soja", "--out", out)
    answer = run("mask", *words, "--json", file, "--lang", "pt-BR")
    assert answer.exit_code == 0, answer.output
    assert "2020: classes contadas como a cultura: Soybean" in answer.output
    table = read_crop_weights(out)
    (year,) = json.loads(file.read_text())["years"]
    mapped, other = float(table["crop_ha"].sum()), float(table["other_ha"].sum())
    # true x mapped of the record is turned: 5 of 45 mapped as soybean are forest, 10 of 55 forest soybean
    assert year["corrected_ha"] == pytest.approx(mapped * 40 / 45 + other * 10 / 55)
    spread = mapped**2 * (40 / 45 * 5 / 45) / 44 + other**2 * (10 / 55 * 45 / 55) / 54
    assert year["standard_error_ha"] == pytest.approx(np.sqrt(spread))
    assert year["public_from"] == "2020-09-01"
    assert (year["without_crop"], year["outside"]) == (1, 0)
    early = run("mask", *words, "--as-of", "2020-08-31")
    assert isinstance(early.exception, LeakageError)


def test_area_of_classes_and_places(folder):
    file, table = folder / "a.json", folder / "a.csv"
    answer = run("area", folder / "MAP", "--json", file, "--csv", table, "--places", folder / "mesh.json")
    assert answer.exit_code == 0, answer.output
    assert "left-out training samples" in " ".join(answer.output.split())
    made = json.loads(file.read_text())
    assert [row["class"] for row in made["classes"]] == ["Forest", "Soybean"]
    assert made["counts_mapped_by_true"] == [[45, 10], [5, 40]]
    assert made["classes"][1]["users"] == pytest.approx(40 / 45)
    assert made["municipalities"]["12"]["Soybean"] == 0
    assert table.read_text().splitlines()[0] == "code,name,class,mapped_ha"


def test_nothing_is_written_of_a_map_without_coordinate_system(folder):
    path = folder / "bare.tif"
    about = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 2, "width": 2}
    with rasterio.open(path, "w", transform=Affine(2, 0, 0, 0, -2, 0), **about) as raster:
        raster.write(np.ones((1, 2, 2), np.uint8))
    out = folder / "w.nc"
    words = ("--places", folder / "mesh.json", "--crop", "soybean", "--out", out, "--last-day", "2020-01-31")
    answer = run("mask", path, *words, "--classes", "1")
    assert isinstance(answer.exception, SchemaError)
    assert not out.exists()
