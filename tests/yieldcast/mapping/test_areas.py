"""True areas: of polygons against pyproj's geodesics, of pixels against the polygons that they are."""

import numpy as np
import pytest
import rasterio
from pyproj import Geod
from rasterio import Affine
from rasterio.warp import transform

from yieldcast.mapping.areas import pixels_ha, polygons_ha

GEOD = Geod(ellps="WGS84")
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"


def box(west, south, east, north):
    return np.array([[west, south], [east, south], [east, north], [west, north], [west, south]], float)


@pytest.mark.parametrize("latitude", [-33.0, -12.1, 0.0, 52.0, 70.0])
def test_polygons_equal_geodesic_areas(latitude):
    ring = box(-55.2, latitude, -55.19, latitude + 0.01)  # so small that geodesics follow its sides
    exact = abs(GEOD.polygon_area_perimeter(ring[:, 0], ring[:, 1])[0]) / 1e4
    assert polygons_ha([[ring]]) == pytest.approx(exact, rel=1e-6)
    hole = box(-55.198, latitude + 0.002, -55.192, latitude + 0.008)
    less = abs(GEOD.polygon_area_perimeter(hole[:, 0], hole[:, 1])[0]) / 1e4
    assert polygons_ha([[ring, hole]]) == pytest.approx(exact - less, rel=1e-5)


def test_the_whole_ellipsoid():
    # Snyder 1987, table 1 and equation 3-12: 510,065,621.7 km2 for WGS 84
    assert polygons_ha([[box(-180, -90, 180, 90)]]) / 100 == pytest.approx(510_065_621.7, abs=1)


@pytest.mark.parametrize(
    ("crs", "at", "pixel"),
    [
        ("EPSG:4326", (-55.0, -12.0), 0.0025),
        ("EPSG:32721", (-59.5, -12.0), 30.0),  # near the border of the zone: 0.05 % smaller on the ground
        (SINUSOIDAL, (-55.0, -12.0), 231.656358),
        ("EPSG:3857", (5.0, 51.0), 100.0),
        ("EPSG:5880", (-50.0, -15.0), 250.0),
    ],
)
def test_pixels_have_their_area_on_the_ellipsoid(crs, at, pixel):
    crs = rasterio.crs.CRS.from_user_input(crs)
    (x,), (y,) = transform("EPSG:4326", crs, [at[0]], [at[1]])[:2]
    grid, shape = Affine(pixel, 0, x, 0, -pixel, y), (40, 50)
    found = pixels_ha(grid, crs, shape)
    assert found.shape == shape
    for row, column in ((0, 0), (17, 5), (39, 49)):
        xs = x + pixel * np.array([column, column + 1, column + 1, column])
        ys = y - pixel * np.array([row, row, row + 1, row + 1])
        lon, lat = transform(crs, "EPSG:4326", xs, ys)[:2]
        exact = abs(GEOD.polygon_area_perimeter(lon, lat)[0]) / 1e4
        assert found[row, column] == pytest.approx(exact, rel=2e-6)


def test_a_modis_pixel_is_not_what_its_sphere_says():
    crs = rasterio.crs.CRS.from_user_input(SINUSOIDAL)
    (x,), (y,) = transform("EPSG:4326", crs, [-55.0], [-12.0])[:2]
    ha = pixels_ha(Affine(231.656358, 0, x, 0, -231.656358, y), crs, (1, 1))[0, 0]
    assert ha / (231.656358**2 / 1e4) == pytest.approx(0.9962, abs=5e-4)
