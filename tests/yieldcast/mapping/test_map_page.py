"""The quick look, the page and the reference of a map."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from mapping_rasters import HEIGHT, WIDTH, WKT, cube_of, field, make_run
from sklearn.metrics import f1_score

from yieldcast.errors import SchemaError
from yieldcast.mapping.crop_maps import MadeMap, finish_map, make_map, plan_map
from yieldcast.mapping.map_page import describe_map
from yieldcast.mapping.map_reference import MapReference, agreement
from yieldcast.pixels.cubes import write_cube

CLASSES = ("maize", "soybean")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeMap:
    folder = tmp_path_factory.mktemp("page")
    write_cube(folder / "cube.nc", cube_of(field()[1]))
    return make_map(plan_map(make_run(folder / "run"), [folder / "cube.nc"]), folder / "map")


def raster(path: Path, values: np.ndarray, scale: int = 1, **tags: str) -> Path:
    """A reference of pixels `scale` times as large as those of the map."""
    size = 30 * scale
    with rasterio.open(
        path, "w", driver="GTiff", height=HEIGHT // scale, width=WIDTH // scale, count=1, dtype="uint8",
        crs=WKT, transform=rasterio.Affine(size, 0, 600000, 0, -size, 8670000), nodata=0,
    ) as opened:  # fmt: skip
        opened.write(values.astype(np.uint8), 1)
        opened.update_tags(**tags)
    return path


def test_a_page_with_a_reference_in_portuguese(made: MadeMap, tmp_path: Path) -> None:
    truth = 2 - field()[0]
    truth[:, :10] = 0  # no reference there
    path = raster(tmp_path / "truth.tif", truth)
    described = describe_map(made, MapReference.of(path, CLASSES), "pt-BR")
    found = described.record["reference"]
    assert found["count"] == HEIGHT * (WIDTH - 10) - 40
    assert found["accuracy"] > 0.99
    assert described.record["files"]["page"] == "map.html"
    page = (made.folder / "map.html").read_text()
    assert '<html lang="pt-BR">' in page
    assert "Mapa de culturas 2020/21" in page
    assert "Partes do mapa" in page
    assert page.count("<figure>") % 4 == 0  # input, prediction, confidence, reference
    assert page.count("<figure>") >= 4
    assert not re.search(r"(src|href)=.(?!data:)", page)  # it loads nothing
    assert (made.folder / "quicklook.png").read_bytes().startswith(b"\x89PNG")
    finish_map(described)


def test_a_reference_with_names_in_another_order_and_grid(made: MadeMap, tmp_path: Path) -> None:
    """Values 7 and 3 of the names; pixels twice as large, filled with the class at their centre."""
    coarse = np.where(field()[0][1::2, 1::2] == 0, 3, 7)
    path = raster(tmp_path / "named.tif", coarse, 2, YIELDCAST_CLASSES='{"Soybean": 3, "maize": 7}')
    with pytest.raises(SchemaError, match="received the values"):
        MapReference.of(path, CLASSES).compare(made.folder)
    path = raster(tmp_path / "named.tif", coarse, 2, YIELDCAST_CLASSES='{"soybean": 3, "maize": 7}')
    assert MapReference.of(path, CLASSES).compare(made.folder)["accuracy"] > 0.8


def test_a_table_of_points(made: MadeMap, tmp_path: Path) -> None:
    grid = made.job.raster.grid
    rows, columns = np.array([0, 20, 39, 7]), np.array([0, 35, 69, 25])  # the last has no data
    latitude, longitude = grid.places(rows, columns)
    labels = np.array(["soybean", "maize"])[field()[0][rows, columns]]
    labels[0] = "maize" if labels[0] == "soybean" else "soybean"
    lines = [f"{x},{y},{label}" for x, y, label in zip(longitude, latitude, labels, strict=True)]
    (tmp_path / "points.csv").write_text("lon,lat,label\n" + "\n".join(lines) + "\n")
    found = MapReference.of(tmp_path / "points.csv", CLASSES).compare(made.folder)
    assert (found["count"], found["accuracy"]) == (3, pytest.approx(2 / 3))


def test_agreement_is_that_of_scikit_learn() -> None:
    counts = np.array([[5, 2, 0], [1, 7, 0], [0, 0, 0]])
    true, shown = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices((3, 3)))
    found = agreement(counts, ["a", "b", "c"])
    assert found["macro_f1"] == pytest.approx(f1_score(true, shown, average="macro"))
    assert (found["accuracy"], found["f1"]["c"]) == (12 / 15, None)


def test_references_that_do_not_fit_are_refused(made: MadeMap, tmp_path: Path) -> None:
    path = raster(tmp_path / "other.tif", np.ones((HEIGHT, WIDTH)), YIELDCAST_CLASSES='["rice", "wheat"]')
    with pytest.raises(SchemaError, match="expected classes of the map"):
        MapReference.of(path, CLASSES)
    empty = raster(tmp_path / "empty.tif", np.zeros((HEIGHT, WIDTH)))
    with pytest.raises(SchemaError, match="received none"):
        MapReference.of(empty, CLASSES).compare(made.folder)
