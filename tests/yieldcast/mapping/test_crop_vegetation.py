"""Means of NDVI and EVI over the pixels of a crop: by hand, on other grids, and never from a later map."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from rasterio.crs import CRS
from typer.testing import CliRunner

from yieldcast.cli.app import app
from yieldcast.errors import LeakageError, MissingDataError, SchemaError
from yieldcast.mapping.class_maps import open_map
from yieldcast.mapping.crop_vegetation import VegetationSettings, crop_vegetation
from yieldcast.mapping.crop_weights import seasons_of
from yieldcast.mapping.places import read_places
from yieldcast.pixels.cubes import create_cube, write_cube

WGS84 = CRS.from_epsg(4326).to_wkt()
MONTHS = [f"2019-{month:02d}-01" for month in (10, 11, 12)]
# 8 x 8 pixels of 0.05 degrees from 55.5 W, 11.5 S: the left half of the map is soybean (2)
CLASSES = np.where(np.arange(8) < 4, 2, 1) * np.ones((8, 1), np.uint8)
MESH = {11: (-55.5, -11.9, -55.35, -11.5), 12: (-55.35, -11.9, -55.1, -11.5), 13: (-50, -12, -49, -11)}
SETTINGS = VegetationSettings("soybean", dt.date(2020, 6, 1))


def bands(names=("NIR", "RED", "BLUE"), seed=0):
    rng = np.random.default_rng(seed)
    low = {"NIR": 3000, "RED": 500, "BLUE": 200}
    return {name: low[name] * (1 + rng.random((3, 8, 8))) for name in names}


def cube(path, values, up=False):
    y, x = -11.525 - 0.05 * np.arange(8), -55.475 + 0.05 * np.arange(8)
    values = {name: of[:, ::-1] for name, of in values.items()} if up else values
    write_cube(path, create_cube(values, MONTHS, y[::-1] if up else y, x, WGS84, "month"))
    return path


@pytest.fixture
def made(tmp_path, write_map, write_mesh):
    """Means of a cube with the map of an earlier season."""

    def make(values, settings=SETTINGS, up=False, classes=CLASSES, last="2019-08-31", **where):
        tags = {"YIELDCAST_CLASSES": '["Forest", "Soybean"]', "YIELDCAST_LAST_DAY": last}
        found = open_map(write_map("map.tif", classes, tags=tags, **where))
        places = read_places(write_mesh(MESH))
        return crop_vegetation(
            [cube(tmp_path / "cube.nc", values, up)], seasons_of([found]), places, settings
        )

    return make


def test_means_by_hand(made):
    """Place 11 has three columns of soybean, place 12 one; nothing of place 13 is in the cube."""
    values = bands()
    values["RED"][1, 2, 1] = np.nan  # a cloud over one pixel of place 11
    found = made(values)
    ndvi = (values["NIR"] - values["RED"]) / (values["NIR"] + values["RED"])
    nir, red, blue = (values[name] / 1e4 for name in ("NIR", "RED", "BLUE"))
    evi = 2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)
    frame = found.frame.set_index(["code", "date"])
    assert set(found.frame["code"]) == {11, 12}
    for code, columns in ((11, slice(0, 3)), (12, slice(3, 4))):
        for step, day in enumerate(MONTHS):
            row = frame.loc[(code, day)]
            assert row["ndvi"] == pytest.approx(np.nanmean(ndvi[step][:, columns]), abs=1e-6)
            assert row["evi"] == pytest.approx(np.nanmean(evi[step][:, columns]), abs=1e-6)
    assert frame.loc[(11, "2019-11-01"), ["crop_pixels", "clear_pixels", "clear"]].tolist() == [24, 23, 1]
    assert frame.loc[(11, "2019-11-01"), ["date_end", "public_from"]].tolist() == ["2019-11-30", "2019-12-01"]
    assert (found.classes, found.without, found.later) == (("Soybean",), 1, 0)


def test_rows_from_the_south_and_finer_maps_change_nothing(made):
    values = bands(("NIR", "RED"))
    plain = made(values).frame
    assert "evi" not in plain
    pd.testing.assert_frame_equal(made(values, up=True).frame, plain)
    finer = np.kron(CLASSES, np.ones((4, 4), np.uint8))
    pd.testing.assert_frame_equal(made(values, classes=finer, step=0.0125).frame, plain)


def test_no_map_of_the_same_season_and_nothing_later(made):
    """As-of law: a later map is refused; steps that were not public, and their values, move nothing."""
    values = bands()
    with pytest.raises(LeakageError, match="a season that was over before 2019-10-01"):
        made(values, last="2019-10-01")
    with pytest.raises(LeakageError, match="a season that was over on 2019-08-31"):
        made(values, VegetationSettings("soybean", dt.date(2019, 8, 31)))
    early = VegetationSettings("soybean", dt.date(2019, 12, 1))
    found = made(values, early)
    assert (set(found.frame["date"]), found.later) == ({"2019-10-01", "2019-11-01"}, 1)
    later = {name: of * [[[1]], [[1]], [[2]]] for name, of in values.items()}
    pd.testing.assert_frame_equal(made(later, early).frame, found.frame)
    with pytest.raises(MissingDataError, match="no step of the cubes was over"):
        made(values, VegetationSettings("soybean", dt.date(2019, 9, 15)))


def test_what_cannot_be_averaged_is_said(made, tmp_path, write_mesh):
    with pytest.raises(SchemaError, match="expected NDVI, EVI, or red"):
        made(bands(("RED",)))
    with pytest.raises(SchemaError, match="expected pixels of soybean within the places"):
        made(bands(), west=-40.0)


def test_the_command_writes_what_import_reads(tmp_path, write_map, write_mesh, small_store):
    codes = small_store.tables.static["municipality"].values
    place = small_store.tables.static.isel(municipality=0)
    west, north = float(place["longitude_deg"]) - 0.2, float(place["latitude_deg"]) + 0.2
    tags = {"YIELDCAST_CLASSES": '["Forest", "Soybean"]', "YIELDCAST_LAST_DAY": "2019-08-31"}
    found = write_map("map.tif", CLASSES, west=west, north=north, tags=tags)
    mesh = write_mesh({int(codes[0]): (west, north - 0.4, west + 0.4, north)})
    values = bands()
    values["NIR"][0, 2:, :] = np.nan  # only a quarter of the first month is clear
    y, x = north - 0.025 - 0.05 * np.arange(8), west + 0.025 + 0.05 * np.arange(8)
    write_cube(tmp_path / "cube.nc", create_cube(values, MONTHS, y, x, WGS84, "month"))
    words = [
        "crop-type", "vegetation", tmp_path / "cube.nc", "--mask", found, "--places", mesh, "--crop", "soja",
        "--out", tmp_path / "ndvi.csv", "--least-clear", "0.5", "--lang", "pt-BR",
    ]  # fmt: skip
    answer = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert "pixels limpos" in answer.output
    from yieldcast.importing.codes import Codes
    from yieldcast.importing.columns import ImportLog
    from yieldcast.importing.vegetation import read_vegetation

    table = read_vegetation(tmp_path / "ndvi.csv", Codes(map(str, codes)), ImportLog())
    assert table["date"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2019-10-31", "2019-11-30", "2019-12-31"
    ]  # fmt: skip
    assert table["clear"].values.tolist() == [0, 1, 1]
    assert table["public_from"].values.astype("datetime64[D]").astype(str)[0] == "2019-11-01"
    written = pd.read_csv(tmp_path / "ndvi.csv")
    np.testing.assert_allclose(table["ndvi"], written["ndvi"], atol=1e-6)
