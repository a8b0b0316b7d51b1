"""Pixels from search to cube and table, against the local STAC API and real files over HTTP."""

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rasterio.warp import transform
from stac_world import DEGREES, ZONE_21, ZONE_22, StacWorld, metres, ramp

from data_fetchers.engine import gdal
from data_fetchers.engine.source import Retry
from data_fetchers.fetching.pixel_files import write_result
from data_fetchers.fetching.pixels import (
    PixelOrder,
    fetch_images,
    ordered_bands,
    plan_pixels,
    raise_for_missing,
    sources_of,
)
from data_fetchers.stac.collections import SINUSOIDAL, SINUSOIDAL_PIXEL_m
from data_fetchers.stac.places import read_places
from data_fetchers.stac.source import Stac
from data_fetchers.stac.weather import StoreWeather
from yieldcast.data import synthetic
from yieldcast.data.store import Store, Tables
from yieldcast.errors import ConfigError, FetchError, MissingDataError
from yieldcast.pixels.cubes import open_cube
from yieldcast.pixels.series_tables import read_series

S2 = "sentinel-2-l2a"
BOX = (-55.502, -12.002, -55.5, -12.0)
ONCE = Retry(tries=1, first_s=0.01)


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_MAX_RETRY", 1)
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_RETRY_DELAY", 0.01)


@pytest.fixture
def world(tmp_path, request):
    """A folder whose files have the names of the test: GDAL keeps what it read of an address."""
    made = StacWorld(tmp_path / "served")
    file, own = made.file, abs(hash(request.node.name))
    made.file = lambda name, *args, **kwargs: file(f"f{own}-{name}", *args, **kwargs)
    return made


def order_of(url, *names, first=dt.date(2020, 11, 1), last=dt.date(2020, 12, 31), **values):
    where = {} if "points" in values else {"box": BOX}
    sources = tuple(Stac(url, name) for name in names or (S2,))
    return PixelOrder(sources, values.pop("bands", ("B4",)), first, last, **where, **values)


def fetch(order, folder, retry=ONCE):
    plan = plan_pixels(order, folder, retry=retry)
    return plan, fetch_images(plan, folder, retry=retry)


def cube_of(order, tmp_path, name="cube"):
    folder = tmp_path / f"{name}.parts"
    plan, summaries = fetch(order, folder)
    raise_for_missing(summaries)
    seen = write_result(plan, folder, tmp_path / f"{name}.nc")
    with open_cube(tmp_path / f"{name}.nc") as cube:
        return cube.load(), seen, plan


def test_a_season_is_composited_by_hand(world, stac_server, tmp_path):
    world.sentinel2("a", "2020-11-03", 2000, nir=True)
    world.sentinel2("b", "2020-11-13", 2600, nir=True)
    world.sentinel2("c", "2020-11-23", 2300, nir=True)
    world.sentinel2("cloud", "2020-11-28", 9000, 9, nir=True)
    world.sentinel2("d", "2020-12-03", 3000, nir=True, **{"s2:processing_baseline": "03.01"})
    world.sentinel2("e", "2020-12-13", 3500, nir=True, **{"earthsearch:boa_offset_applied": True})
    cube, seen, plan = cube_of(order_of(world.serve(stac_server), bands=("B4", "B8")), tmp_path)
    assert set(cube.B4.values[0].ravel()) == {1300.0}  # median of 1000, 1600, 1300
    assert set(cube.B8.values[0].ravel()) == {3600.0}  # median of 3000, 4200, 3600
    assert set(cube.B4.values[1].ravel()) == {3250.0}  # no offset before 04.00, none where harmonised
    assert seen.images == [4, 2]
    assert seen.clear == [0.75, 1.0]
    assert (seen.filled, seen.never) == ([1.0, 1.0], 0.0)
    assert cube.attrs["licence"].startswith("free, full and open")
    items = json.loads(str(cube["items"].values))
    assert [one["item"] for one in items] == ["a", "b", "c", "cloud", "d", "e"]
    assert [(one["baseline"], one["offset"]) for one in items[3:5]] == [("05.00", -0.1), ("03.01", 0.0)]
    assert cube.time.values.astype("datetime64[D]").astype(str).tolist() == ["2020-11-01", "2020-12-01"]
    assert plan.download_mb > 0
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False, engine="h5netcdf") as raw:
        assert raw.B4.dtype == np.int16


def test_pixels_lie_where_the_files_say(world, stac_server, tmp_path):
    world.sentinel2("a", "2020-11-03", None)
    world.sentinel2("b", "2020-12-03", None)
    cube, _, plan = cube_of(order_of(world.serve(stac_server)), tmp_path)
    grid = plan.grid
    expected = ramp(grid.x, grid.y, 10, (grid.height, grid.width)) - 1000.0
    np.testing.assert_array_equal(cube.B4.values, np.stack([expected, expected]))
    assert cube.x.values[0] == grid.x + 5


def test_images_of_two_zones_are_warped_to_one_grid(world, stac_server, tmp_path):
    """West of 54 W an image of zone 21, east of it one of zone 22; numbers by longitude."""
    box = (-54.004, -12.002, -53.996, -12.0)
    for zone, middle in ((ZONE_21, -54.01), (ZONE_22, -53.99)):
        x, y = metres(middle, -12.001, zone, 60)
        x, y, side = np.floor(x / 60) * 60 - 1200, np.ceil(y / 60) * 60 + 1200, 240
        columns, rows = np.meshgrid(x + 5 + 10 * np.arange(side), y - 5 - 10 * np.arange(side))
        lon = np.array(transform(zone, DEGREES, columns.ravel(), rows.ravel())[0]).reshape(side, side)
        numbers = np.where((lon < -54) == (zone == ZONE_21), np.rint((lon + 54.02) * 1e5) + 1100, 0)
        for month in ("11", "12"):
            world.sentinel2(f"{zone[-2:]}-{month}", f"2020-{month}-03", numbers[:240, :240], crs=zone,
                            at=(middle, -12.001), size=240)  # fmt: skip
            world.features[-1]["bbox"] = [middle - 0.012, -12.02, middle + 0.012, -11.98]
    order = replace(order_of(world.serve(stac_server)), box=box)
    cube, seen, plan = cube_of(order, tmp_path)
    assert plan.grid.crs == ZONE_21 or plan.grid.crs == ZONE_22
    columns, rows = np.meshgrid(cube.x.values, cube.y.values)
    lon = np.array(transform(plan.grid.crs, DEGREES, columns.ravel(), rows.ravel())[0]).reshape(rows.shape)
    wrong = np.abs(cube.B4.values[0] - ((lon + 54.02) * 1e5 + 100))
    assert np.nanmax(wrong) <= 8  # less than a pixel: 10 m are 9.2 numbers
    assert seen.never < 0.03
    assert seen.images == [2, 2]


def test_a_box_across_the_180th_meridian(world, stac_server, tmp_path):
    for zone, middle, number in (("EPSG:32760", 179.99, 2000), ("EPSG:32701", -179.99, 3000)):
        for month in ("11", "12"):
            day, at = f"2020-{month}-03", (middle, -17.001)
            world.sentinel2(f"{zone[-2:]}-{month}", day, number, crs=zone, at=at, size=240)
    # its box says more than its file has: nothing is seen, and nothing fails
    world.sentinel2("far", "2020-11-05", 9000, crs="EPSG:32701", at=(-178.0, -17.001))
    world.features[-1]["bbox"] = [-179.999, -17.1, -177.9, -16.9]
    order = replace(order_of(world.serve(stac_server)), box=(179.99, -17.002, -179.99, -17.0))
    cube, seen, plan = cube_of(order, tmp_path)
    assert sorted(plan.chosen[S2].items[k].name for k in range(5)) == [
        "01-11",
        "01-12",
        "60-11",
        "60-12",
        "far",
    ]
    west, east = cube.B4.values[0, 5, :60], cube.B4.values[0, 5, -60:]
    assert set(west) == {1000.0}
    assert set(east) == {2000.0}
    assert seen.images == [3, 2]


def test_the_overlap_of_two_tiles_counts_once(world, stac_server, tmp_path):
    for name, tile, number in (("t1", "A", 2000), ("t2", "B", 2000), ("other-day", "A", 3000)):
        day = "2020-11-13" if name == "other-day" else "2020-11-03"
        world.sentinel2(name, day, number, **{"grid:code": tile})
    world.sentinel2("d", "2020-12-03", 2000)
    cube, _, _ = cube_of(order_of(world.serve(stac_server)), tmp_path)
    assert set(cube.B4.values[0].ravel()) == {1500.0}  # (1000 + 2000) / 2, not the 1000 of two tiles


def test_nothing_published_later_moves_a_digit(world, stac_server, tmp_path):
    """The law of as_of: later images, and reprocessings of earlier ones, change no value."""
    world.sentinel2("a", "2020-11-03", 2000, created="2020-12-10T00:00:00Z")
    world.sentinel2("b", "2020-12-03", 2600)
    order = order_of(world.serve(stac_server), as_of=dt.date(2020, 12, 15))
    before, _, _ = cube_of(order, tmp_path, "before")
    later = {"created": "2020-12-16T00:00:00Z"}
    world.sentinel2("a-again", "2020-11-03", 7000, **{**later, "s2:processing_baseline": "05.11"})
    world.sentinel2("b-updated", "2020-12-03", 8000, updated="2020-12-16T00:00:00Z")
    world.sentinel2("c", "2020-12-14", 8000)  # public two days after it
    world.sentinel2("d", "2020-12-20", 9000)
    world.serve(stac_server)
    after, _, plan = cube_of(order, tmp_path, "after")
    assert plan.chosen[S2].later == 4
    xr.testing.assert_identical(before.drop_vars("items"), after.drop_vars("items"))
    assert after.attrs["as_of"] == "2020-12-15"
    assert plan_pixels(replace(order, as_of=None), tmp_path / "after.parts").chosen[S2].replaced == 2


def test_a_fetch_that_failed_goes_on_where_it_stopped(world, stac_server, tmp_path):
    for name, day in (("a", "2020-11-03"), ("b", "2020-11-13"), ("c", "2020-12-03")):
        world.sentinel2(name, day, 2000)
    order, folder = order_of(world.serve(stac_server)), tmp_path / "parts"
    stac_server.faults({"kind": "status", "status": 503, "match": "b-red", "times": 999})
    plan, summaries = fetch(order, folder)
    assert (summaries[0].fetched, [name for name, _ in summaries[0].missing]) == (2, ["ib"])
    with pytest.raises(FetchError, match=r"1 requests failed; first: .*503"):
        raise_for_missing(summaries)
    stac_server.faults()
    before = len(stac_server.log())
    plan, summaries = fetch(order, folder)
    assert (summaries[0].kept, summaries[0].fetched) == (2, 1)
    asked = {one["path"].rsplit("-", 2)[1] for one in stac_server.log()[before:]}
    assert asked == {"b"}  # no search and no image again
    assert len(plan.missing) == 1


def test_months_without_images_and_clouds(world, stac_server, tmp_path):
    world.sentinel2("a", "2020-11-03", 2000, **{"eo:cloud_cover": 10.0})
    world.sentinel2("b", "2020-12-03", 2000, **{"eo:cloud_cover": 90.0})
    order = order_of(world.serve(stac_server), max_cloud_pct=80.0)
    plan = plan_pixels(order, tmp_path / "parts")
    assert plan.empty == [dt.date(2020, 12, 1)]
    assert plan.chosen[S2].cloudy == 1
    # a month that is not over, or not public yet, may be empty
    assert plan_pixels(order, tmp_path / "parts", today=dt.date(2021, 1, 1)).empty == []
    assert plan_pixels(replace(order, as_of=dt.date(2020, 12, 20)), tmp_path / "parts").empty == []
    with pytest.raises(FetchError, match=r"none \(2 public only after 2020-11-01, 0 too cloudy\)"):
        plan_pixels(replace(order, as_of=dt.date(2020, 11, 1)), tmp_path / "parts")


def test_an_image_without_an_asset_or_a_baseline_is_left_out_only_on_request(world, stac_server, tmp_path):
    for name, day in (("a", "2020-11-03"), ("b", "2020-12-03"), ("c", "2020-12-05")):
        world.sentinel2(name, day, 2000)
    del world.features[1]["assets"]["red"]
    del world.features[2]["properties"]["s2:processing_baseline"]
    order = order_of(world.serve(stac_server))
    with pytest.raises(FetchError, match="b: expected an asset red or B04"):
        plan_pixels(order, tmp_path / "parts")
    plan = plan_pixels(order, tmp_path / "parts", partial=True)
    assert [one.item.name for one in plan.requests] == ["a"]
    assert plan.empty == [dt.date(2020, 12, 1)]


@pytest.mark.parametrize(("scl", "text"), [(9, "only clouds"), (0, "do not reach")])
def test_a_cube_without_one_value_is_not_written(world, stac_server, tmp_path, scl, text):
    for name, day in (("a", "2020-11-03"), ("b", "2020-12-03")):
        world.sentinel2(name, day, 2000, scl)
    with pytest.raises(FetchError, match=text):
        cube_of(order_of(world.serve(stac_server)), tmp_path)
    assert [one.name for one in tmp_path.glob("cube*")] == ["cube.parts"]


def _hls(world, sensor, day, number, fmask=0):
    x, y = metres(-55.5, -12.0, ZONE_21, 30)
    # HLS has negative northings in the south, in the zone of the north
    crs, x, y = "EPSG:32621", x - 900, y - 10_000_000 + 900
    infrared = "B8A" if sensor == "s30" else "B05"
    numbers = np.full((60, 60), number, np.int16)
    flags = np.full((60, 60), fmask, np.uint8)
    assets = {
        "B04": world.file(f"{sensor}-{day}-red", numbers, crs, x, y, 30, -9999),
        infrared: world.file(f"{sensor}-{day}-nir", numbers + 100, crs, x, y, 30, -9999),
        "Fmask": world.file(f"{sensor}-{day}-fmask", flags, crs, x, y, 30, 255),
    }
    world.item(f"HLS.{sensor}.{day}", f"hls2-{sensor}", day, assets, platform=sensor)


def test_both_sensors_of_hls_are_one_series(world, stac_server, tmp_path):
    _hls(world, "s30", "2020-11-03", 1000)
    _hls(world, "l30", "2020-11-05", 1400)
    _hls(world, "l30", "2020-11-21", 9000, 0b10)
    _hls(world, "s30", "2020-12-03", 2000, 0b100000)  # water is seen
    order = order_of(world.serve(stac_server), "hls2-s30", "hls2-l30", bands=("B4", "B8A"))
    cube, _, plan = cube_of(order, tmp_path)
    assert (plan.grid.pixel, plan.grid.crs) == (30.0, ZONE_21)
    assert set(cube.B4.values[0].ravel()) == {1200.0}
    assert set(cube.B8A.values[0].ravel()) == {1300.0}  # B8A and B05
    assert set(cube.B4.values[1].ravel()) == {2000.0}


def test_sixteen_days_of_modis_stay_in_their_own_grid(world, stac_server, tmp_path):
    pixel = SINUSOIDAL_PIXEL_m
    x, y = metres(-55.5, -12.0, SINUSOIDAL, pixel)
    starts = ["2020-10-31", "2020-11-16", "2020-12-02", "2020-12-18"]
    for k, start in enumerate(starts):
        first = dt.date.fromisoformat(start)
        numbers = 1000 * (k + 1) + np.arange(400).reshape(20, 20)
        files = {
            "250m_16_days_NDVI": world.file(
                f"ndvi{k}", numbers.astype(np.int16), SINUSOIDAL, x - 10 * pixel, y + 10 * pixel, pixel, -3000
            ),
            "250m_16_days_pixel_reliability": world.file(
                f"rel{k}", np.where(numbers % 400 == 7, 3, 0).astype(np.uint8), SINUSOIDAL, x - 10 * pixel,
                y + 10 * pixel, pixel, 255,
            ),
        }  # fmt: skip
        for product in ("MOD13Q1", "MYD13Q1"):
            span = (start, str(first + dt.timedelta(15)))
            world.item(f"{product}.A{k}", "modis-13Q1-061", span, files)
    order = order_of(world.serve(stac_server), "modis-13Q1-061", bands=("NDVI",), step="16-days",
                     last=dt.date(2020, 12, 31))  # fmt: skip
    order = replace(order, box=(-55.51, -12.01, -55.5, -12.0))
    cube, seen, plan = cube_of(order, tmp_path)
    assert cube.time.values.astype("datetime64[D]").astype(str).tolist() == starts
    assert seen.images == [1, 1, 1, 1]  # Terra only
    row = round((y + 10 * pixel - cube.y.values[0] - pixel / 2) / pixel)
    column = round((cube.x.values[0] - pixel / 2 - x + 10 * pixel) / pixel)
    numbers = np.arange(400).reshape(20, 20)[row:, column:][: plan.grid.height, : plan.grid.width]
    for k in range(4):
        good = (1000 * (k + 1) + numbers) % 400 != 7  # where the reliability says cloud
        expected = np.where(good, (1000 * (k + 1) + numbers) / 1e4, np.nan)
        np.testing.assert_allclose(cube.NDVI.values[k], expected, rtol=1e-6)


def _plain(world, name, collection, assets, day, dtype="float32", crs=ZONE_21, pixel=10.0, nodata=None):
    """An item whose assets are constant numbers, or arrays, around the box."""
    x, y = metres(-55.501, -12.001, crs, pixel)
    x, y = x - 64 * pixel, y + 64 * pixel
    files = {
        key: world.file(
            f"{name}-{key}", np.broadcast_to(one, (128, 128)).astype(dtype), crs, x, y, pixel, nodata
        )
        for key, one in assets.items()
    }
    return world.item(name, collection, day, files, platform=name)


def test_radar_is_averaged_as_power_and_elevation_has_a_slope(world, stac_server, tmp_path):
    _plain(world, "a", "sentinel-1-rtc", {"vv": 0.1, "vh": 0.01}, "2020-11-03", nodata=-32768)
    _plain(world, "b", "sentinel-1-rtc", {"vv": 0.3, "vh": 0.03}, "2020-11-15", nodata=-32768)
    _plain(world, "c", "sentinel-1-rtc", {"vv": 1.0, "vh": -32768}, "2020-12-15", nodata=-32768)
    # rises by 3 m for each 30 m to the east: 10 %
    _plain(world, "dem", "cop-dem-glo-30", {"data": 300 + 3.0 * np.arange(128)}, "2021-04-22", pixel=30.0)
    order = order_of(world.serve(stac_server), "sentinel-1-rtc", "cop-dem-glo-30", bands=())
    cube, _, _ = cube_of(order, tmp_path)
    assert cube.VV.values[0] == pytest.approx(10 * np.log10(0.2), abs=1e-5)
    assert cube.VH.values[0] == pytest.approx(10 * np.log10(0.02), abs=1e-5)
    assert cube.VV.values[1] == pytest.approx(0.0, abs=1e-5)
    assert np.isnan(cube.VH.values[1]).all()
    assert cube.slope.values == pytest.approx(np.degrees(np.arctan(0.1)), abs=0.02)
    assert np.diff(cube.elevation.values, axis=1) == pytest.approx(1.0, abs=1e-3)


def test_points_and_the_cube_have_the_same_values(world, stac_server, tmp_path):
    world.sentinel2("a", "2020-11-03", None)
    world.sentinel2("b", "2020-12-03", None)
    _plain(world, "dem", "cop-dem-glo-30", {"data": 300 + 3.0 * np.arange(128)}, "2021-04-22", pixel=30.0)
    names = (S2, "cop-dem-glo-30")
    cube, _, plan = cube_of(order_of(world.serve(stac_server), *names, bands=("B4", "elevation")),
                            tmp_path)  # fmt: skip
    grid = plan.grid
    cells = [(2, 3), (10, 12), (20, 5)]
    x = [grid.x + (column + 0.3) * 10 for _, column in cells]
    y = [grid.y - (row + 0.7) * 10 for row, _ in cells]
    lon, lat = transform(grid.crs, DEGREES, x, y)
    points = pd.DataFrame({"id": ["p", "q", "r"], "Latitude": lat, "lon": lon, "crop": ["soy", "corn", ""]})
    points.to_csv(tmp_path / "points.csv", index=False)
    order = order_of(stac_server.url, *names, bands=("B4", "elevation"),
                     points=read_places(tmp_path / "points.csv"))  # fmt: skip
    folder = tmp_path / "parts"
    plan, summaries = fetch(order, folder)
    raise_for_missing(summaries)
    for file in ("table.parquet", "table.csv"):
        write_result(plan, folder, tmp_path / file)
        found = pd.read_parquet(tmp_path / file) if file.endswith("t") else pd.read_csv(tmp_path / file)
        assert found["sample_id"].tolist() == ["p", "q", "r"]
        for step in range(2):
            expected = [cube.B4.values[step, row, column] for row, column in cells]
            assert found[f"B4_{step:02d}"].tolist() == expected
        assert found["slope"].to_numpy() == pytest.approx(np.degrees(np.arctan(0.1)), abs=1e-3)
        series = read_series(tmp_path / file).series
        assert series.attrs["step"] == "month"
        assert series["month"].values[0].tolist() == [10, 11]
        np.testing.assert_array_equal(series["values"].values[:, 0, 0], found["B4_00"])
    about = json.loads((tmp_path / "table.csv.meta.json").read_text())
    assert [one["item"] for one in about["items"]] == ["dem", "a", "b"]


def _moved(static, latitude, longitude):
    """Places at other coordinates."""
    moved = static.copy(deep=True)
    moved["latitude_deg"].values[:], moved["longitude_deg"].values[:] = latitude, longitude
    return moved


def test_the_weather_of_a_store_becomes_two_bands(world, stac_server, tmp_path):
    world.sentinel2("a", "2020-11-03", 2000)
    world.sentinel2("b", "2020-12-03", 2000)
    tables = synthetic.country(municipalities=3, first_harvest_year=2021, harvest_years=1)
    near = _moved(tables.static, [-12.1, -11.0, -12.5], [-55.4, -55.5, -56.0])
    Store.write(tmp_path / "STORE", Tables(near, tables.weather, tables.yields), {})
    order = order_of(world.serve(stac_server), store=tmp_path / "STORE")
    cube, _, plan = cube_of(order, tmp_path)
    months = tables.weather.isel(municipality=0).sel(time=["2020-11-01", "2020-12-01"])
    kelvin = (months["tmax_degC"].values + months["tmin_degC"].values) / 2 + 273.15
    assert cube.temperature.values[:, 3, 4] == pytest.approx(kelvin, rel=1e-6)
    assert cube.precipitation.values[:, 3, 4] == pytest.approx(
        months["precipitation_mm"].values / 1000, rel=1e-6
    )
    store = Store.open(tmp_path / "STORE")
    # the weather of December is public three months after it
    early = StoreWeather(store, order.days, dt.date(2021, 3, 15)).at(np.array([-12.0]), np.array([-55.5]))
    assert np.isfinite(early["temperature"][:, 0]).tolist() == [True, False]
    with pytest.raises(ConfigError, match="not steps of ten-days"):
        write_result(replace(plan, order=replace(order, step="ten-days")), tmp_path / "cube.parts", tmp_path)
    weather = StoreWeather(store, order.days, None)
    with pytest.raises(MissingDataError, match="within 100 km"):
        weather.at(np.array([-12.0, -20.0]), np.array([-55.5, -55.5]))


def test_collections_and_bands_that_do_not_fit(stac_server):
    assert sources_of([S2], None)[0].catalogue == "earth-search"
    assert {one.catalogue for one in sources_of([S2, "modis-13Q1-061"], None)} == {"planetary-computer"}
    assert sources_of(["hls2-s30"], "lpcloud")[0].collection_id == "HLSS30_2.0"
    assert sources_of(["hls2-s30=my-hls"], stac_server.url)[0].collection_id == "my-hls"
    both = sources_of([S2, "hls2-s30"], "planetary-computer")
    with pytest.raises(ConfigError, match="B2 from hls and sentinel-2"):
        ordered_bands(both, ())
    with pytest.raises(ConfigError, match="NDVI"):
        ordered_bands(both[:1], ("NDVI",))
    with pytest.raises(ConfigError, match="elevation only"):
        ordered_bands(sources_of(["cop-dem-glo-30"], None), ())
    with pytest.raises(ConfigError, match="hls2-s30 has none of"):
        ordered_bands(sources_of(["sentinel-1-rtc", "hls2-s30"], None), ("VV",))
    assert ordered_bands(both[:1], ("B8", "B2")) == ("B2", "B8")
