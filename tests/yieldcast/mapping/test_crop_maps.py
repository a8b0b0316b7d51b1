"""Maps of a raster: right classes, the same bytes whatever the blocks, continued after an interruption."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from mapping_rasters import HEIGHT, START, WIDTH, cube_of, field, make_run

from yieldcast.errors import ConfigError
from yieldcast.mapping.blocks import BlockResult, BlockStore
from yieldcast.mapping.class_maps import open_map
from yieldcast.mapping.crop_maps import MapSettings, finish_map, make_map, plan_map
from yieldcast.pixels.cubes import write_cube

FILES = ("class.tif", "class.tif.aux.xml", "probability.tif", "map.json")


def mapped(run: Path, source: Path, out: Path, settings: MapSettings | None = None) -> dict[str, bytes]:
    made = make_map(plan_map(run, [source], settings or MapSettings()), out)
    finish_map(made)
    return {name: (out / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def crop_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("maps") / "run")


@pytest.fixture(scope="module")
def cube_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cube") / "cube.nc"
    write_cube(path, cube_of(field()[1]))
    return path


@pytest.fixture(scope="module")
def whole(crop_run: Path, cube_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "map"
    mapped(crop_run, cube_file, out)
    return out


def test_a_map_shows_what_grows_where(whole: Path) -> None:
    crop, _ = field()
    with rasterio.open(whole / "class.tif") as raster:
        classes, tags = raster.read(1), raster.tags()
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (raster.nodata, raster.dtypes[0], raster.crs.to_epsg()) == (0, "uint8", 32721)
        assert set(raster.colormap(1)) >= {1, 2}
    hole = np.zeros(crop.shape, bool)
    hole[5:9, 20:30] = True
    assert (classes[hole] == 0).all()
    assert (classes[~hole] == 2 - crop[~hole]).mean() > 0.99  # 1 maize, 2 soybean
    assert json.loads(tags["YIELDCAST_CLASSES"]) == ["maize", "soybean"]
    assert (tags["YIELDCAST_FIRST_DAY"], tags["YIELDCAST_LAST_DAY"]) == ("2020-11-01", "2021-04-30")
    with rasterio.open(whole / "probability.tif") as raster:
        probability = raster.read()
        assert raster.descriptions == ("maize", "soybean")
    np.testing.assert_allclose(probability.sum(axis=0)[~hole], 1, atol=2e-4)
    assert np.isnan(probability[:, hole]).all()
    np.testing.assert_array_equal(probability.argmax(axis=0)[~hole] + 1, classes[~hole])


def test_the_record_counts_pixels_and_hectares(whole: Path) -> None:
    record = json.loads((whole / "map.json").read_text())
    assert sum(record["pixels"].values()) == HEIGHT * WIDTH - 40 == 2760
    assert record["pixels_without_data"] == 40
    # 0.09 ha in the plane; near the central meridian of UTM the plane is 0.08 % smaller than the ellipsoid
    assert sum(record["hectares"].values()) == pytest.approx(2760 * 0.09, rel=1e-3)
    assert (record["season"], record["format"]) == ("2020/21", 1)
    assert np.array(record["confusion"]["counts"]).sum() == 60
    assert not (whole / ".blocks").exists()
    found = open_map(whole)
    assert dict(found.classes) == {"maize": 1, "soybean": 2}
    assert found.last_day == dt.date(2021, 4, 30)


def test_the_size_of_blocks_changes_no_byte(
    crop_run: Path, cube_file: Path, whole: Path, tmp_path: Path
) -> None:
    made = mapped(crop_run, cube_file, tmp_path / "map", MapSettings(block=1))
    assert made == {name: (whole / name).read_bytes() for name in FILES}


def test_an_interrupted_map_goes_on_with_the_missing_blocks(
    crop_run: Path, cube_file: Path, whole: Path, tmp_path: Path
) -> None:
    job, out = plan_map(crop_run, [cube_file], MapSettings(block=32)), tmp_path / "map"
    seen: list[int] = []

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_map(job, out, progress=interrupt)
    assert not any((out / name).exists() for name in FILES)
    kept = {one: one.stat().st_mtime_ns for one in (out / ".blocks").glob("block_*")}
    assert len(kept) == 2
    seen.clear()
    finish_map(
        make_map(
            plan_map(crop_run, [cube_file], MapSettings(block=32)), out, progress=lambda d, t: seen.append(d)
        )
    )
    assert seen[0] == 2 * 32 * 32
    assert len(seen) == 1 + 4  # six blocks in all
    assert {name: (out / name).read_bytes() for name in FILES} == {
        name: (whole / name).read_bytes() for name in FILES
    }
    with pytest.raises(ConfigError, match="holds a map already"):
        make_map(job, out)


def test_blocks_of_another_input_are_not_used(crop_run: Path, cube_file: Path, tmp_path: Path) -> None:
    job = plan_map(crop_run, [cube_file], MapSettings(block=32))
    window = job.blocks()[0]
    BlockStore(tmp_path / "blocks", job).put(window, BlockResult(np.zeros((32, 32, 2), np.float32), {}))
    assert window in BlockStore(tmp_path / "blocks", job)
    assert window not in BlockStore(tmp_path / "blocks", replace(job, units={**job.units, "RED": "1"}))


def test_nothing_after_the_season_moves_a_byte(crop_run: Path, whole: Path, tmp_path: Path) -> None:
    """As-of law: steps after the last day of the season change nothing, nor do those before."""
    _, bands = field()
    more = np.random.default_rng(0).uniform(100, 900, (5, HEIGHT, WIDTH))
    longer = {
        name: np.concatenate([more[:1] / scale, of, more[1:] / scale]).astype(np.float32)
        for (name, of), scale in zip(bands.items(), (1, 0.2, 1000), strict=True)
    }
    write_cube(tmp_path / "cube.nc", cube_of(longer, dt.date(2020, 10, 1)))
    made = mapped(crop_run, tmp_path / "cube.nc", tmp_path / "map", MapSettings(start=START))
    assert made == {name: (whole / name).read_bytes() for name in FILES}


def test_a_part_of_a_raster_is_that_part_of_its_map(
    crop_run: Path, cube_file: Path, whole: Path, tmp_path: Path
) -> None:
    with rasterio.open(whole / "class.tif") as raster:
        all_classes = raster.read(1)
        west, north = raster.xy(10, 35)
        profile = raster.profile
        box = rasterio.warp.transform_bounds(
            raster.crs, "EPSG:4326", west - 1, north - 300, west + 300, north + 1
        )
    with rasterio.open(
        tmp_path / "mask.tif", "w", **{**profile, "driver": "GTiff", "nodata": None}
    ) as raster:
        raster.write((np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 2).astype(np.uint8), 1)
    mapped(crop_run, cube_file, tmp_path / "map", MapSettings(bbox=box, mask=tmp_path / "mask.tif"))
    with rasterio.open(tmp_path / "map/class.tif") as raster:
        part = raster.read(1)
        top, left = (
            round(one) for one in ((8670000 - raster.transform.f) / 30, (raster.transform.c - 600000) / 30)
        )
    height, width = part.shape
    assert 10 <= height <= 12
    cut = all_classes[top : top + height, left : left + width]
    odd = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 2)[top : top + height, left : left + width]
    np.testing.assert_array_equal(part, cut * odd)


@pytest.mark.slow
def test_a_dask_cluster_makes_the_same_bytes(
    crop_run: Path, cube_file: Path, whole: Path, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        job = plan_map(crop_run, [cube_file], MapSettings(block=32))
        finish_map(make_map(job, tmp_path / "map", client.get_executor(), 2))
    assert {name: (tmp_path / "map" / name).read_bytes() for name in FILES} == {
        name: (whole / name).read_bytes() for name in FILES
    }
