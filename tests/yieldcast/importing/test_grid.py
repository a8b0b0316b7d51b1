"""Gridded weather to places: nearest cells and polygon means by hand, in the layouts of the services."""

from __future__ import annotations

import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from factories import synthetic_crop_weights

from yieldcast.data import zonal
from yieldcast.data.crop_cells import CropChoice
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.files import UserFiles, import_files
from yieldcast.importing.grid import read_grid
from yieldcast.importing.weather import UserWeather

CODES = Codes(["9", "20"])
# Cells of one degree; 9 lies in the cell (-20, -48), 20 in (-16, -50), nearest to its centre.
STATIC = xr.Dataset(
    {
        "code": ("municipality", np.array(["9", "20"])),
        "latitude_deg": ("municipality", [-20.2, -15.8]),
        "longitude_deg": ("municipality", [-48.1, -50.3]),
    },
    {"municipality": np.array([9, 20], np.int32)},
)
LATITUDE, LONGITUDE = np.arange(-22.0, -12.0), np.arange(-53.0, -44.0)
ECMWF = {"GRIB_centre": "ecmf", "Conventions": "CF-1.7"}


def times(kind: str) -> np.ndarray:
    span = ("2016-01", "2017-01") if kind == "month" else ("2016-01-01", "2017-01-01")
    return np.arange(*span, dtype=f"datetime64[{'M' if kind == 'month' else 'D'}]").astype("datetime64[ns]")


def field(value: float, units: str, kind: str = "month") -> xr.DataArray:
    """A value that grows by 1 K (or 1 % for rain) with each degree to the north."""
    rows = LATITUDE + 20
    values = value + rows if units in ("K", "C", "degC") else value * (1 + rows / 100)
    stamps = times(kind)
    shape = (len(stamps), len(LATITUDE), len(LONGITUDE))
    return xr.DataArray(
        np.broadcast_to(values[None, :, None], shape).astype(np.float32),
        dims=("time", "latitude", "longitude"),
        coords={"time": stamps, "latitude": LATITUDE, "longitude": LONGITUDE},
        attrs={"units": units},
    )


def grid(kind: str = "month", rain: float = 0.003, units: str = "m") -> xr.Dataset:
    return xr.Dataset(
        {"tmax": field(303.15, "K", kind), "tmin": field(288.15, "K", kind), "tp": field(rain, units, kind)},
        attrs=ECMWF,
    )


def put(folder: Path, ds: xr.Dataset, name: str = "grid.nc") -> str:
    ds.to_netcdf(folder / name, engine="h5netcdf")
    return str(folder / name)


def read(*files: str, mesh: dict[str, object] | None = None, log: ImportLog | None = None) -> UserWeather:
    return read_grid(files, STATIC, CODES, mesh, ImportLog() if log is None else log)


def by_hand(table: xr.Dataset) -> None:
    """30 degC at 20 S, one more for each degree to the north; 3 mm a day times the days of the month."""
    np.testing.assert_allclose(table.tmax_degC[:, 0], [30, 34], atol=1e-4)
    np.testing.assert_allclose(table.tmin_degC[:, 5], [15, 19], atol=1e-4)
    np.testing.assert_allclose(table.precipitation_mm[:, 0], [93, 93 * 1.04], rtol=1e-5)
    np.testing.assert_allclose(table.precipitation_mm[:, 1], [87, 87 * 1.04], rtol=1e-5)


def test_monthly_means_of_the_cds_in_their_layouts(tmp_path: Path) -> None:
    """tp in m is per day; north to south; 0 to 360; old and new names of time; one number; expver."""
    log = ImportLog()
    table = read(put(tmp_path, grid()), log=log).monthly
    by_hand(table)
    assert table.attrs["extraction"] == "centroid"
    assert ("weather", "places take the nearest cell of a grid of 9 x 6 cells", 2) in log.read
    turned = grid().isel(latitude=slice(None, None, -1)).assign_coords(longitude=LONGITUDE + 360)
    new = turned.rename(time="valid_time").assign_coords(
        number=0, expver=("valid_time", ["0001"] * 11 + ["0005"])
    )
    log = ImportLog()
    xr.testing.assert_identical(read(put(tmp_path, new), log=log).monthly, table)
    assert ("weather", "preliminary values (expver 5), first 2016-12-01", 1) in log.warnings
    old = xr.concat([grid().where(grid().time < grid().time[6]), grid()], xr.Variable("expver", [1, 5]))
    xr.testing.assert_identical(read(put(tmp_path, old)).monthly, table)
    six = grid().assign_coords(time=grid().time.values + np.timedelta64(6, "h"))  # stamps of accumulations
    xr.testing.assert_identical(read(put(tmp_path, six)).monthly, table)


def test_a_grid_of_the_whole_world_is_cut_to_the_places(tmp_path: Path) -> None:
    world = {"latitude": np.arange(90.0, -91, -1), "longitude": np.arange(0.0, 360)}
    whole = grid().assign_coords(longitude=LONGITUDE % 360).reindex(world)
    by_hand(read(put(tmp_path, whole)).monthly)


def test_nasa_power_and_cfgrib(tmp_path: Path) -> None:
    power = xr.Dataset(
        {
            "T2M_MAX": field(30, "C", "day"),
            "T2M_MIN": field(15, "C", "day"),
            "PRECTOTCORR": field(3, "mm/day", "day"),
        }
    ).rename(latitude="lat", longitude="lon")
    daily = read(put(tmp_path, power))
    by_hand(daily.monthly)
    assert daily.fields is not None
    assert daily.fields["precipitation_mm"].shape == (2, 366)
    monthly = {"T2M_MAX": field(30, "C"), "T2M_MIN": field(15, "C"), "PRECTOTCORR": field(3, "mm/day")}
    by_hand(read(put(tmp_path, xr.Dataset(monthly))).monthly)
    cfgrib = grid().assign_coords(
        number=0, step=0, surface=0.0, valid_time=("time", times("month"))
    )  # as cfgrib writes it, with the start of each forecast beside
    start = cfgrib.time.values - np.timedelta64(1, "D")
    by_hand(read(put(tmp_path, cfgrib.assign_coords(time=start))).monthly)


def test_daily_statistics_in_a_zip_and_with_what_they_are(tmp_path: Path) -> None:
    hot, cold = (grid("day")[[name]].rename({name: "t2m"}) for name in ("tmax", "tmin"))
    wet = grid("day")[["tp"]]
    files = [put(tmp_path, ds, name) for ds, name in ((hot, "a.nc"), (cold, "b.nc"), (wet, "c.nc"))]
    table = read(f"tmax={files[0]}", f"tmin={files[1]}", files[2])
    by_hand(table.monthly)
    with pytest.raises(SchemaError, match="received t2m") as caught:
        read(*files)
    assert "tmax=FILE" in caught.value.hint
    with pytest.raises(SchemaError, match="tmin at or below tmax"):
        read(f"tmax={files[1]}", f"tmin={files[0]}", files[2])
    named = [put(tmp_path, grid("day")[[name]], f"{name}.nc") for name in ("tmax", "tmin")]
    with zipfile.ZipFile(tmp_path / "download.nc", "w") as archive:
        for file in (*named, files[2]):
            archive.write(file, Path(file).name)
    xr.testing.assert_identical(read(str(tmp_path / "download.nc")).monthly, table.monthly)


def test_years_in_several_files_and_none_twice(tmp_path: Path) -> None:
    whole = grid()
    halves = [
        put(tmp_path, whole.isel(time=part), f"{part.start}.nc") for part in (slice(0, 6), slice(6, 12))
    ]
    xr.testing.assert_identical(read(*halves).monthly, read(put(tmp_path, whole)).monthly)
    with pytest.raises(SchemaError, match=r"of 2016-01-01 occurs in two files, the second .*grid.nc"):
        read(halves[0], put(tmp_path, whole))
    with pytest.raises(SchemaError, match=r"all files daily or all monthly, received days in .*days.nc"):
        read(put(tmp_path, grid("day")[["tmax"]], "days.nc"), put(tmp_path, whole[["tmin", "tp"]]))
    with pytest.raises(MissingDataError, match="cannot read"):
        read(str(tmp_path / "none.nc"))


def square(code: int, west: float, south: float, wide: float, high: float) -> dict[str, object]:
    ring = [
        [west, south],
        [west + wide, south],
        [west + wide, south + high],
        [west, south + high],
        [west, south],
    ]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"code": code}, "geometry": geometry}


def test_means_over_polygons_are_those_of_the_fetcher(tmp_path: Path) -> None:
    pytest.importorskip("exactextract")
    # 9 covers the cells of 20 and 19 S in equal parts: 30.5 degC but for the area of cells; 20 has one cell
    mesh = {
        "type": "FeatureCollection",
        "features": [square(9, -48.5, -20.5, 1, 2), square(20, -50.5, -16.5, 1, 1)],
    }
    table = read(put(tmp_path, grid()), mesh=mesh).monthly
    np.testing.assert_allclose(table.tmax_degC[:, 0], [30.5, 34], atol=2e-3)
    weights = zonal.polygon_weights(mesh, [9, 20], LATITUDE, LONGITUDE)
    expected = zonal.take(grid().tmax.values, weights) - np.float32(273.15)
    np.testing.assert_allclose(table.tmax_degC, expected, atol=1e-4)
    assert table.attrs["extraction"] == "polygon"


def test_means_over_cropped_cells(tmp_path: Path) -> None:
    """30 degC at 20 S and one more for each degree to the north: 9 has 1/4 at 20 S and 3/4 at 19 S."""
    table = synthetic_crop_weights({2015: {9: {(70, 132): 2.0, (71, 132): 6.0}}}, [9, 20]).assign_attrs(
        step_deg=1.0
    )
    file = put(tmp_path, grid())
    read_over = partial(read_grid, [file], STATIC, CODES, None, ImportLog())
    weather = read_over(CropChoice(table, "refuse")).monthly
    np.testing.assert_allclose(weather.tmax_degC[:, 0], [30.75, 34], atol=1e-4)
    np.testing.assert_allclose(weather.precipitation_mm[:, 0], [93 * 1.0075, 93 * 1.04], rtol=1e-5)
    assert weather.attrs["extraction"] == "crop-area"
    late = synthetic_crop_weights({2016: {9: {(70, 132): 2.0}}}, [9, 20]).assign_attrs(step_deg=1.0)
    with pytest.raises(ConfigError, match="expected months from 2016-09-01 on"):
        read_over(CropChoice(late, "refuse"))
    assert "not known yet" in read_over(CropChoice(late, "first-map")).monthly.attrs["crop_area"]


def test_what_is_no_grid_of_these_places_is_refused(tmp_path: Path) -> None:
    refused = [
        (grid().assign_coords(latitude=LATITUDE + 60), "expected a grid that covers the places"),
        (grid().assign_coords(longitude=[*LONGITUDE[:-1], -40.0]), "expected an evenly spaced longitude"),
        (grid().rename(latitude="row"), "expected an axis latitude in degrees, received dims"),
        (grid().expand_dims(member=2), r"over time, latitude and longitude, received member \(2\)"),
        (grid()[["tmax", "tp"]], r"expected the variables \['tmin_degC'\]"),
        (grid().rename(tmax="mx2t"), "the mean of hourly extremes"),
        (grid(rain=0.1), r"tp in m: as metres per day, .* a year has 3.7[0-9]*e.04 mm; as sums of months 12"),
        (grid("day").assign_coords(time=times("day") + np.timedelta64(3, "h")), "every time stamp at 03:00"),
        (grid() * np.nan, "no place lies in the grid"),
    ]
    for ds, message in refused:
        with pytest.raises(SchemaError, match=message):
            read(put(tmp_path, ds.assign_attrs(ECMWF)))


def test_hours_are_refused(tmp_path: Path) -> None:
    hours = grid("day").isel(time=slice(0, 48))
    stamps = np.datetime64("2016-01-01", "ns") + np.arange(48) * np.timedelta64(1, "h")
    with pytest.raises(SchemaError, match="received 24 values on 2016-01-01"):
        read(put(tmp_path, hours.assign_coords(time=stamps)))


def test_an_import_with_a_grid_writes_the_store(tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("code,lat,lon,state\n9,-20.2,-48.1,X\n20,-15.8,-50.3,X\n")
    (tmp_path / "yields.csv").write_text("code,crop,year,yield_kg_ha\n9,soybean,2016,3000\n")
    mesh = {
        "type": "FeatureCollection",
        "features": [square(9, -48.5, -20.5, 1, 1), square(20, -51, -17, 2, 2)],
    }
    (tmp_path / "mesh.geojson").write_text(json.dumps(mesh))
    file = put(tmp_path, grid("day"))
    files = UserFiles(tmp_path / "places.csv", tmp_path / "yields.csv", grid=(file,))
    store, reader = import_files(tmp_path / "store", files)
    by_hand(store.weather)
    assert store.daily.sizes == {"unit": 2, "time": 366, "municipality": 2}
    assert reader.log.sources["weather"]["file"] == file
    pytest.importorskip("exactextract")
    with_mesh = UserFiles(files.places, files.yields, mesh=tmp_path / "mesh.geojson", grid=(file,))
    store, _ = import_files(tmp_path / "store", with_mesh)
    np.testing.assert_allclose(store.weather.tmax_degC[:, 0], [30, 34], atol=0.01)
