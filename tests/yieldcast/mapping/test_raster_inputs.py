"""GeoTIFFs in every layout read as the cube does; rasters that are not one clear season are refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from mapping_rasters import HEIGHT, START, WIDTH, WKT, cube_of, field

from yieldcast.errors import SchemaError
from yieldcast.mapping.raster_inputs import Window, open_inputs
from yieldcast.mapping.raster_series import RasterPart, pixels_of, units_of
from yieldcast.pixels.cubes import first_days, write_cube
from yieldcast.pixels.series_units import in_series_units

DAYS = [day.isoformat() for day in first_days(START, 6, "month")]
PART = Window(0, 0, 12, 32)
WHOLE = Window(0, 0, HEIGHT, WIDTH)
Layers = list[tuple[str, np.ndarray]]


def write(path: Path, layers: Layers, **changes: Any) -> Path:
    """A GeoTIFF of described bands."""
    profile = {
        "driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": len(layers), "dtype": "float32",
        "crs": WKT, "transform": rasterio.Affine(30, 0, 600000, 0, -30, 8670000), "nodata": float("nan"),
    } | changes  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        for k, (name, values) in enumerate(layers, 1):
            raster.write(values.astype(profile["dtype"]), k)
            raster.set_band_description(k, name)
    return path


def one_file(folder: Path, bands: dict[str, np.ndarray]) -> Iterable[Path]:
    layers = [(f"{name}_{day[:7]}", of[k]) for k, day in enumerate(DAYS) for name, of in bands.items()]
    return [write(folder / "all.tif", layers)]


def file_for_each_date(folder: Path, bands: dict[str, np.ndarray]) -> Iterable[Path]:
    for k, day in enumerate(DAYS):
        yield write(folder / f"s2_{day.replace('-', '')}.tif", [(n, of[k]) for n, of in bands.items()])


def file_for_each_band(folder: Path, bands: dict[str, np.ndarray]) -> Iterable[Path]:
    for name, of in bands.items():
        yield write(folder / f"farm_{name.lower()}.tif", list(zip(DAYS, of, strict=True)))


def scaled_whole_numbers(folder: Path, bands: dict[str, np.ndarray]) -> Iterable[Path]:
    """Reflectance x 10000 as int16 with a nodata value, a file for each band and date."""
    for name, of in bands.items():
        for k, day in enumerate(DAYS):
            values = np.where(np.isnan(of[k]), -32768, np.round(of[k] * (1e4 if name == "NDVI" else 1)))
            yield write(folder / f"{day}_{name}.tif", [("", values)], dtype="int16", nodata=-32768)


@pytest.mark.parametrize("layout", [one_file, file_for_each_date, file_for_each_band, scaled_whole_numbers])
def test_every_layout_reads_as_the_cube(layout: Any, tmp_path: Path) -> None:
    _, bands = field()
    write_cube(tmp_path / "cube.nc", cube_of(bands))
    made = []
    for paths in ([tmp_path / "cube.nc"], list(layout(tmp_path, bands))):
        raster = open_inputs(paths)
        assert (raster.step, raster.days, raster.bands) == (
            "month",
            tuple(first_days(START, 6, "month")),
            ("RED", "NIR", "NDVI"),
        )
        units = units_of(raster, WHOLE, {})
        made.append(pixels_of(RasterPart.of(raster, PART), PART, units, raster.bands))
    series, other = (one.series for one in made if one is not None)
    np.testing.assert_allclose(other["values"], series["values"], atol=0.51)
    np.testing.assert_allclose(other["values"][..., 2], series["values"][..., 2], atol=6e-5)
    np.testing.assert_array_equal(other["missing"], series["missing"])
    np.testing.assert_array_equal(other["month"], series["month"])
    np.testing.assert_allclose(other["latitude_deg"], series["latitude_deg"], atol=1e-9)
    assert series.sizes["sample"] == 12 * 32 - 40


def test_pixel_centres_have_their_latitude_and_longitude(tmp_path: Path) -> None:
    raster = open_inputs(
        [write(tmp_path / "x.tif", [(f"NDVI_{d}", np.full((HEIGHT, WIDTH), 0.5)) for d in DAYS])]
    )
    latitude, longitude = raster.grid.places(np.array([0]), np.array([0]))
    x, y = rasterio.warp.transform("EPSG:32721", "EPSG:4326", [600015.0], [8669985.0])
    np.testing.assert_allclose([longitude[0], latitude[0]], [x[0], y[0]], atol=1e-9)


def ones(name: str, days: Iterable[str], value: float = 0.5) -> Layers:
    return [(f"{name}_{day}", np.full((HEIGHT, WIDTH), value)) for day in days]


WRONG: dict[str, tuple[Layers, dict[str, Any], str]] = {
    "no CRS": (ones("NDVI", DAYS), {"crs": None}, "with a coordinate system, received none"),
    "turned": (
        ones("NDVI", DAYS), {"transform": rasterio.Affine(30, 9, 6e5, 9, -30, 8e6)},
        "received a turned grid",
    ),
    "one date": (ones("NDVI", DAYS[:1]), {}, "two dates or more, received 1"),
    "a gap": (ones("NDVI", [*DAYS[:2], DAYS[4]]), {}, "consecutive steps"),
    "days within months": (ones("NDVI", ["2020-11-07", "2020-12-09"]), {}, "consecutive steps"),
    "no name": (ones("layer", DAYS), {}, "expected its name, such as B4 or NDVI"),
    "no date": ([("NDVI", np.ones((HEIGHT, WIDTH)))], {}, "expected a date or step"),
    "twice": (ones("NDVI", [DAYS[0], DAYS[0]]), {}, "two bands of NDVI"),
    "unequal": ([*ones("NDVI", DAYS), *ones("RED", DAYS[:3])], {}, "no RED of 2021-02-01"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_unclear_rasters_are_refused(case: str, tmp_path: Path) -> None:
    layers, changes, message = WRONG[case]
    path = write(tmp_path / "x.tif", layers, **changes)
    with pytest.raises(SchemaError, match=message):
        open_inputs([path])


def test_files_of_other_grids_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "2020-11_NDVI.tif", [("NDVI", np.ones((HEIGHT, WIDTH)))])
    moved = rasterio.Affine(30, 0, 600030, 0, -30, 8670000)
    second = write(tmp_path / "2020-12_NDVI.tif", [("NDVI", np.ones((HEIGHT, WIDTH)))], transform=moved)
    with pytest.raises(SchemaError, match="expected the grid of 2020-11_NDVI"):
        open_inputs([first, second])


def test_steps_without_dates_need_a_start(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", ones("NDVI", ["00", "01", "02"]))
    with pytest.raises(SchemaError, match="numbers of steps, but no dates"):
        open_inputs([path])
    raster = open_inputs([path], "16-days", dt.date(2020, 12, 18))
    assert [day.isoformat() for day in raster.days] == ["2020-12-18", "2021-01-01", "2021-01-17"]
    assert raster.months == (11, 0, 0)


def test_a_scale_that_shows_in_few_pixels_only_is_found(tmp_path: Path) -> None:
    """All values lie outside the sampled windows."""
    values = np.full((6, 320, 320), np.nan)
    values[:, 33:36, 33:36] = 0.4
    with rasterio.open(
        tmp_path / "x.tif", "w", driver="GTiff", height=320, width=320, count=6, dtype="float32", crs=WKT,
        transform=rasterio.Affine(30, 0, 600000, 0, -30, 8670000), nodata=-9999,
    ) as raster:  # fmt: skip
        raster.write(np.nan_to_num(values * 1e4, nan=-9999).astype("float32"))
        for k, day in enumerate(DAYS, 1):
            raster.set_band_description(k, f"B8 {day}")
    opened = open_inputs([tmp_path / "x.tif"])
    assert units_of(opened, Window(0, 0, 320, 320), {}) == {"B8": "x10000"}


def test_a_few_walls_do_not_hide_the_unit_of_radar() -> None:
    values = np.full((500, 6), -9.0, np.float32)
    values[:4] = 3.0
    assert in_series_units({"VV": values}, {}, 12.0, "raster")[1] == {"VV": "dB"}
    values[:50] = 0.1  # linear power in some rows
    with pytest.raises(SchemaError, match="the unit of VV is not clear"):
        in_series_units({"VV": values}, {}, 12.0, "raster")
