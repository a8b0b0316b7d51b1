"""Crop areas and weights of weather cells, by hand."""

import datetime as dt
import json

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform

from yieldcast.data.crop_weights import crop_area_ha, read_crop_weights, write_crop_weights, year_in_force
from yieldcast.errors import ConfigError, LeakageError, SchemaError
from yieldcast.mapping.areas import polygons_ha
from yieldcast.mapping.class_maps import open_map
from yieldcast.mapping.crop_weights import MaskSettings, make_mask, seasons_of
from yieldcast.mapping.places import read_places
from yieldcast.mapping.zones import WHOLE, Zone, class_areas

TAGS = {"YIELDCAST_CLASSES": '["Forest", "Soy_Corn", "Soy_Cotton", "Pasture"]'}
LATER = dt.date(2022, 1, 1)


def box_ha(west, south, east, north):
    return polygons_ha([[np.array([[west, south], [east, south], [east, north], [west, north]], float)]])


@pytest.fixture
def twenty(write_map):
    """20 x 20 pixels of 0.05 degrees: soybean in column 0 to 3, nothing known in the last row."""
    values = np.full((20, 20), 1, np.uint8)
    values[:, :2], values[:, 2:4], values[-1] = 2, 3, 0
    return write_map("class2020.tif", values, tags=TAGS | {"YIELDCAST_LAST_DAY": "2020-08-31"})


def mask_of(maps, mesh, crop="soybean", **settings):
    days = settings.pop("last_days", [])
    opened = seasons_of([open_map(path) for path in maps], days)
    return make_mask(opened, read_places(mesh), MaskSettings(crop, LATER, **settings))


def test_weights_by_hand(twenty, write_mesh):
    # Soybean from 55.5 W to 55.3 W. The border of ERA5's cells lies at 55.375 W (centres 55.5 and 55.25),
    # 2.5 of the 4 columns in the western cell; the place is a row of cells: 11.875 S to 12.125 S.
    mesh = write_mesh({7: (-55.5, -12.125, -54.5, -11.875), 9: (-55.0, -12.0, -54.8, -11.9)})
    made = mask_of([twenty], mesh)
    table = made.table
    assert table["harvest_year"].values.tolist() == [2020]
    assert table["public_from"].values.astype("datetime64[D]").tolist() == [dt.date(2020, 9, 1)]
    assert made.classes == {2020: ("Soy_Corn", "Soy_Cotton")}
    assert made.without == {2020: 1}
    assert table["crop_ha"].values[0] == pytest.approx([box_ha(-55.5, -12.125, -55.3, -11.875), 0], rel=1e-6)
    assert table["entry_municipality"].values.tolist() == [7, 7]
    assert (table["entry_column"].values * 0.25 - 180).tolist() == [-55.5, -55.25]
    assert (table["entry_row"].values * 0.25 - 90).tolist() == [-12, -12]
    assert table["entry_weight"].values == pytest.approx([0.125 / 0.2, 0.075 / 0.2], rel=1e-6)


def test_other_crops_languages_and_named_classes(twenty, write_mesh):
    mesh = write_mesh({7: (-55.5, -12.4, -54.5, -11.5)})
    whole = box_ha(-55.5, -12.4, -55.3, -11.5)
    assert float(mask_of([twenty], mesh).table["crop_ha"].sum()) == pytest.approx(whole)
    for crop, classes in (("cotton", ()), ("soybean", ("soy cotton",)), ("soybean", ("3",))):
        assert float(mask_of([twenty], mesh, crop, classes=classes).table["crop_ha"].sum()) == pytest.approx(
            whole / 2
        )
    with pytest.raises(ConfigError, match="expected a class of wheat"):
        mask_of([twenty], mesh, "wheat")
    with pytest.raises(ConfigError, match="received 'Soja_Milho'"):
        mask_of([twenty], mesh, classes=("Soja_Milho",))


def test_a_map_made_elsewhere_in_another_projection(write_map, write_mesh):
    # UTM 21 S, pixels of 3 km turned against the degrees: the same crop as in a polygon of its corners
    (x,), (y,) = transform("EPSG:4326", "EPSG:32721", [-55.0], [-12.0])[:2]
    values = np.full((30, 30), 39, np.uint16)
    values[:, 15:] = 3
    path = write_map("elsewhere.tif", values, x, y, 3000, "EPSG:32721", nodata=65535)
    mesh = write_mesh({1: (-56, -13.5, -53, -11)}, key="CD_MUN")
    table = mask_of([path], mesh, classes=("39",), last_days=[dt.date(2019, 9, 30)]).table
    corners = np.array([[x, y], [x + 45_000, y], [x + 45_000, y - 90_000], [x, y - 90_000]])
    sides = zip(corners, np.roll(corners, -1, 0), strict=True)
    long = np.concatenate([np.linspace(a, b, 200) for a, b in sides])
    lon, lat = transform("EPSG:32721", "EPSG:4326", long[:, 0], long[:, 1])[:2]
    assert float(table["crop_ha"].sum()) == pytest.approx(polygons_ha([[np.stack([lon, lat], 1)]]), rel=1e-6)
    assert float(table["entry_weight"].sum()) == pytest.approx(1)
    assert table["harvest_year"].values.tolist() == [2019]


def test_blocks_and_parts_change_nothing(write_map, write_mesh):
    rng = np.random.default_rng(1)
    path = write_map("random.tif", rng.integers(0, 4, (50, 70)).astype(np.uint8), step=0.01)
    found = open_map(path)
    shapes = read_places(write_mesh({1: (-55.43, -11.9, -55.1, -11.55), 2: (-55.1, -12.5, -54, -11)})).shapes
    zones = [Zone(code, shape) for code, shape in shapes.items()]
    whole, parts = class_areas(found, zones), class_areas(found, zones, side=16)
    assert whole.keys() == parts.keys()
    assert list(whole.values()) == pytest.approx([parts[key] for key in whole], rel=1e-12)
    halves = [Zone(1, shapes[1]), Zone(3, shapes[2])]
    assert class_areas(found, halves)[3, 1] == pytest.approx(whole[2, 1])
    assert sum(v for (zone, _), v in whole.items() if zone == WHOLE) < box_ha(-55.5, -12, -54.8, -11.5)


def test_south_up_rasters_are_turned(write_map, write_mesh, tmp_path):
    values = np.full((20, 20), 1, np.uint8)
    values[:5] = 2
    north_up = write_map("up.tif", values, tags=TAGS)
    other = tmp_path / "down.tif"
    with rasterio.open(north_up) as raster:
        profile = raster.profile
    profile["transform"] = rasterio.Affine(0.05, 0, -55.5, 0, 0.05, -12.5)
    with rasterio.open(other, "w", **profile) as raster:
        raster.write(values[::-1], 1)
        raster.update_tags(**TAGS)
    mesh, days = write_mesh({7: (-55.4, -12.3, -54.6, -11.6)}), [dt.date(2020, 8, 31)]
    one, two = (mask_of([path], mesh, last_days=days).table for path in (north_up, other))
    assert one["crop_ha"].values == pytest.approx(two["crop_ha"].values)
    assert one["entry_weight"].values == pytest.approx(two["entry_weight"].values)


def test_tiles_of_one_season_add_up_and_years_stay_apart(twenty, write_map, write_mesh):
    mesh = write_mesh({7: (-55.5, -12.4, -54.5, -11.5), 8: (-54.5, -12.4, -53.5, -11.5)})
    east = write_map(
        "east.tif",
        np.full((20, 20), 2, np.uint8),
        west=-54.5,
        tags=TAGS | {"YIELDCAST_LAST_DAY": "2020-08-31"},
    )
    older = write_map(
        "older.tif", np.full((20, 40), 3, np.uint8), tags=TAGS | {"YIELDCAST_LAST_DAY": "2018-08-31"}
    )
    made = mask_of([twenty, east, older], mesh, lag_days=30)
    table = made.table
    assert table["harvest_year"].values.tolist() == [2018, 2020]
    eighth = box_ha(-54.5, -12.4, -53.5, -11.5)
    assert table["crop_ha"].values == pytest.approx(np.array([[eighth, eighth], [eighth / 5, eighth]]))
    assert str(table["public_from"].values[1])[:10] == "2020-10-01"
    with pytest.raises(ConfigError, match="expected maps of one season"):
        mask_of([twenty, older], mesh, reference=mesh)
    days = ("2018-09-29", "2018-09-30", "2018-10-01", "2020-09-30", "2020-10-01")
    assert [year_in_force(table, np.datetime64(day)) for day in days] == [-1, -1, 0, 0, 1]
    with pytest.raises(SchemaError, match="overlaps"):
        seasons_of([open_map(twenty), open_map(twenty)])


def test_tiles_in_degrees_and_turned_against_them(write_map):
    """Neighbours in a zone of UTM, whose boxes in degrees overlap, and tiles of the next zone."""
    (x,), (y,) = transform("EPSG:4326", "EPSG:32721", [-54.2], [-30.0])[:2]
    tags = {"YIELDCAST_LAST_DAY": "2020-08-31"}
    values = np.full((10, 10), 2, np.uint8)
    west = write_map("w.tif", values, x, y, 10_000, "EPSG:32721", tags=tags)
    east = write_map("e.tif", values, x + 100_000, y, 10_000, "EPSG:32721", tags=tags)
    seasons_of([open_map(west), open_map(east)])
    (other,), (north,) = transform("EPSG:32721", "EPSG:32722", [x + 100_000], [y])[:2]
    across = write_map("a.tif", values, other, north, 10_000, "EPSG:32722", tags=tags)
    with pytest.raises(SchemaError, match="overlaps"):
        seasons_of([open_map(east), open_map(across)])
    beyond = write_map("b.tif", values, other + 120_000, north, 10_000, "EPSG:32722", tags=tags)
    seasons_of([open_map(east), open_map(beyond)])


def test_polygons_that_cross_themselves_are_mended(tmp_path):
    ring = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
    path = tmp_path / "bow.json"
    feature = {
        "type": "Feature", "properties": {"code": "5"}, "geometry": {"type": "Polygon", "coordinates": [ring]}
    }  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert read_places(path).hectares[5] == pytest.approx(box_ha(0, 0, 1, 1) / 2, rel=1e-3)


def test_a_season_that_was_not_over_is_refused(twenty, write_mesh):
    mesh = read_places(write_mesh({7: (-55.5, -12.4, -54.5, -11.5)}))
    seasons = seasons_of([open_map(twenty)])
    make_mask(seasons, mesh, MaskSettings("soybean", dt.date(2020, 9, 1)))
    for lag, day in ((0, dt.date(2020, 8, 31)), (1, dt.date(2020, 9, 1))):
        with pytest.raises(LeakageError, match="its season ends on 2020-08-31"):
            make_mask(seasons, mesh, MaskSettings("soybean", day, lag_days=lag))


def test_the_file_is_checked(twenty, write_mesh, tmp_path):
    mesh = write_mesh({7: (-55.5, -12.4, -54.5, -11.5)})
    made, path = mask_of([twenty], mesh), tmp_path / "weights.nc"
    write_crop_weights(path, made.table)
    read = read_crop_weights(path)
    assert read.identical(made.table)
    area, error = crop_area_ha(read, 0, np.s_[:])
    assert area == pytest.approx(float(read["crop_ha"].sum()))
    assert np.isnan(error)
    wrong = made.table.assign(entry_weight=made.table["entry_weight"] * 1.1)
    with pytest.raises(SchemaError, match="sum to 1"):
        write_crop_weights(tmp_path / "wrong.nc", wrong)
    assert not (tmp_path / "wrong.nc").exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"crs": None}, "coordinate system"),
        ({"values": np.full((4, 4), 0.5, np.float32)}, "whole numbers"),
        ({"west": 30.0}, "expected a map of the places"),
    ],
)
def test_maps_that_cannot_be_used(write_map, write_mesh, change, error):
    values = change.pop("values", np.full((4, 4), 2, np.uint8))
    path = write_map("bad.tif", values, tags=TAGS, **change)
    with pytest.raises(SchemaError, match=error):
        mask_of([path], write_mesh({7: (-55.5, -12.4, -54.5, -11.5)}), last_days=[dt.date(2020, 1, 1)])


def test_a_map_needs_the_last_day_of_its_season(write_map):
    path = write_map("silent.tif", np.full((4, 4), 2, np.uint8), tags=TAGS)
    with pytest.raises(ConfigError, match="--last-day: expected one for each map"):
        seasons_of([open_map(path)])
