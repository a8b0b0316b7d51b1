"""ERA5's table by hand-worked numbers, and real files of ERA5-Land through the same code."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from factories import synthetic_crop_weights

from data_fetchers.cds.client import Cds
from data_fetchers.cds.netcdf import reading
from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.engine.source import NotYetPublishedError, RetryableError
from data_fetchers.era5 import answers
from data_fetchers.era5.source import Era5, preliminary_months
from data_fetchers.era5.table import read_weather
from yieldcast.data import zonal
from yieldcast.data.crop_cells import CropChoice
from yieldcast.errors import ConfigError, MissingDataError

AREA = (-11.0, -58.0, -13.0, -55.0)


@pytest.fixture
def era5() -> Era5:
    return Era5(Cds(), "era5", AREA)


@pytest.fixture
def land() -> Era5:
    return Era5(Cds(), "era5-land", AREA)


@pytest.fixture
def cache(tmp_path) -> RequestCache:
    cache = RequestCache(tmp_path / "cache")
    cache.make()
    return cache


def request_of(source: Era5, column: str, year: int, months: list[int]) -> Request:
    return source._request(column, [year], months)


def put(cache: RequestCache, source: Era5, request: Request, content: bytes) -> None:
    """Store an answer as a fetch does."""
    file = cache.temporary(request)
    file.write_bytes(content)
    cache.commit(request, {"fetched": timestamp(), **source.check(request, file)})


def changed(content: bytes, change: Callable[[xr.Dataset], xr.Dataset]) -> bytes:
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as ds:
        return bytes(change(ds.load()).drop_encoding().to_netcdf(engine="h5netcdf"))


def static(lat: list[float], lon: list[float]) -> xr.Dataset:
    codes = np.arange(1, len(lat) + 1, dtype=np.int32)
    return xr.Dataset(
        {"latitude_deg": ("municipality", np.array(lat)), "longitude_deg": ("municipality", np.array(lon))},
        {"municipality": codes},
    )


def constant(request: Request, kelvin: float, source: Era5, change=lambda values: None) -> bytes:
    """A file of one value, changed by hand."""
    north, west, south, east = source.box
    step = source.product.step_deg
    lat = np.round(np.arange(north, south - step / 2, -step), 3)
    lon = np.round(np.arange(west, east + step / 2, step), 3)
    times = answers.asked_times(request).astype("datetime64[ns]")
    values = np.full((len(times), len(lat), len(lon)), kelvin, np.float32)
    change(values)
    name = answers.variable_of(request).names[0]
    ds = xr.Dataset(
        {name: (("valid_time", "latitude", "longitude"), values)},
        {"valid_time": times, "latitude": lat, "longitude": lon},
    )
    return bytes(ds.to_netcdf(engine="h5netcdf"))


def month_of(source: Era5, year: int, month: int) -> list[Request]:
    return [request_of(source, c, year, [month]) for c in ("tmax_degC", "tmin_degC", "precipitation_mm")]


def test_month_by_hand(era5, cache):
    # January: 15 days of 30/20 degC and 16 of 34/20. Mean tmax (15*30 + 16*34) / 31 = 32.0645.
    # Limits 8-30: tmax is cut at 30, so each day gives (30 + 20) / 2 - 8 = 17, in all 31 * 17 = 527.
    # Limits 12-35: 15 * (50/2 - 12) + 16 * (54/2 - 12) = 195 + 240 = 435.
    # Rain: 0.002 m per day * 31 days * 1000 = 62 mm.
    tmax, tmin, rain = requests = month_of(era5, 2020, 1)

    def warmer(values: np.ndarray) -> None:
        values[15:] += 4

    def below_zero(values: np.ndarray) -> None:
        values[0, 0, 0] = -1e-5

    put(cache, era5, tmax, constant(tmax, 303.15, era5, warmer))
    put(cache, era5, tmin, constant(tmin, 293.15, era5))
    put(cache, era5, rain, constant(rain, 0.002, era5, below_zero))
    ds, notes = read_weather(cache, era5, requests, static([-12.0, -11.0], [-57.0, -58.0]), "centroid")
    got = {name: ds[name].values[0, 0] for name in ds.data_vars}
    assert got["tmax_degC"] == pytest.approx(32.0645, abs=1e-3)
    assert got["tmin_degC"] == pytest.approx(20, abs=1e-3)
    assert got["gdd_8_30_degC_day"] == pytest.approx(527, abs=0.01)
    assert got["gdd_12_35_degC_day"] == pytest.approx(435, abs=0.01)
    assert got["precipitation_mm"] == pytest.approx(62, rel=1e-6)
    assert ds["precipitation_mm"].values[1, 0] == 0  # the corner cell, below zero in the file
    assert [(n.text, n.count, n.missing) for n in notes] == [
        ("precipitation_mm: values below 0 (packing) set to 0", 1, False)
    ]


def test_places_without_a_cell_and_land_beside_the_sea(land, cache):
    requests = month_of(land, 2020, 2)

    def sea(values: np.ndarray) -> None:
        values[:, :, 15:] = np.nan  # east of 56.6 W

    for request, value in zip(requests, (303.15, 293.15, 0.001), strict=True):
        put(cache, land, request, constant(request, value, land, sea))
    # on land; 0.2 degrees (22 km) out at sea; 0.6 degrees out; north of the area
    places = static([-12.0, -12.0, -12.0, -9.0], [-57.0, -56.4, -56.0, -57.0])
    ds, notes = read_weather(cache, land, requests, places, "centroid")
    assert np.isfinite(ds["tmax_degC"].values[:, 0]).tolist() == [True, True, False, False]
    assert ds["precipitation_mm"].values[:2, 0] == pytest.approx([29, 29])  # 1 mm a day in a leap February
    texts = [(n.text, n.count, n.missing) for n in notes]
    assert texts == [
        ("municipalities whose cell is sea: nearest land cell used, up to 22 km away", 1, False),
        ("municipalities outside the grid: 3, 4", 2, False),
    ]


def test_polygons_take_the_mean_and_the_others_the_nearest_cell(era5, cache):
    requests = month_of(era5, 2020, 1)

    def east(values: np.ndarray) -> None:
        values[:, :, 5:] += 2 if values.mean() > 1 else 0.002  # from 56.75 W on

    for request, value in zip(requests, (303.15, 293.15, 0.002), strict=True):
        put(cache, era5, request, constant(request, value, era5, east))
    # From 57.125 to 56.75 W at one latitude: a whole cell (57.0) and half of the next: 2/3 and 1/3.
    ring = [[-57.125, -12.05], [-56.75, -12.05], [-56.75, -11.95], [-57.125, -11.95], [-57.125, -12.05]]
    mesh = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"code": 1},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        ],
    }
    places = static([-12.0, -12.0], [-57.0, -55.5])
    ds, notes = read_weather(cache, era5, requests, places, "polygon", mesh)
    assert ds["tmax_degC"].values[:, 0] == pytest.approx([30 + 2 / 3, 32], abs=1e-3)
    assert ds["precipitation_mm"].values[:, 0] == pytest.approx([62 + 62 / 3, 124], rel=1e-5)
    assert [(n.count, "nearest" in n.text, n.missing) for n in notes] == [(1, True, False)]
    assert ds.attrs["extraction"] == "polygon"
    assert len(list(cache.folder.glob("weights-*.npz"))) == 1
    with pytest.raises(ConfigError, match="mesh"):
        read_weather(cache, era5, requests, places, "polygon")


def test_cropped_cells_by_hand(era5, cache):
    # 1 January is public weather of 2020; the map of 2019 may be used from 1 September 2019 on. Place 1 has
    # 30 ha at 57.0 W and 10 ha at 56.75 W: 3/4 of 30 degC and 1/4 of 32 degC. Place 2 has no crop and no
    # polygon: its nearest cell.
    requests = month_of(era5, 2020, 1)

    def east(values: np.ndarray) -> None:
        values[:, :, 5:] += 2 if values.mean() > 1 else 0.002  # from 56.75 W on

    for request, value in zip(requests, (303.15, 293.15, 0.002), strict=True):
        put(cache, era5, request, constant(request, value, era5, east))
    mesh = {"type": "FeatureCollection", "features": []}
    table = synthetic_crop_weights({2019: {1: {(312, 492): 30.0, (312, 493): 10.0}}}, [1, 2])
    places, choice = static([-12.0, -12.0], [-57.0, -55.5]), CropChoice(table, "refuse")
    ds, notes = read_weather(cache, era5, requests, places, "crop-area", mesh, choice)
    assert ds["tmax_degC"].values[:, 0] == pytest.approx([30.5, 32], abs=1e-3)
    assert ds["precipitation_mm"].values[:, 0] == pytest.approx([62 + 62 / 4, 124], rel=1e-5)
    assert ds.attrs["extraction"] == "crop-area"
    assert ds.attrs["crop_area"] == "cells with soybean (maps of 2019)"
    assert any("without soybean in the map of 2019" in note.text for note in notes)


def test_polygons_that_reach_beyond_the_grid_are_noted(era5, cache):
    # The grid ends half a cell west of 58 W, at 58.125 W. The first lies in it, the second to 3/4, the third
    # (0.04 of 1.04 degrees beyond) to 96 %.
    requests = month_of(era5, 2020, 1)
    for request, value in zip(requests, (303.15, 293.15, 0.002), strict=True):
        put(cache, era5, request, constant(request, value, era5))
    spans = ((-57.0, -56.0), (-58.425, -57.225), (-58.165, -57.125))
    mesh = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"code": code}, "geometry": {"type": "Polygon", "coordinates": [
            [[west, -12.4], [east, -12.4], [east, -12.0], [west, -12.0], [west, -12.4]]]}}
        for code, (west, east) in enumerate(spans, 1)
    ]}  # fmt: skip
    places = static([-12.2] * 3, [-56.5, -57.8, -57.6])
    ds, notes = read_weather(cache, era5, requests, places, "polygon", mesh)
    assert ds["tmax_degC"].values[:, 0] == pytest.approx([30, 30, 30], abs=1e-3)
    assert [(n.text, n.count, n.missing) for n in notes] == [
        ("municipalities of which less than 95 % lies within the grid", 1, False)
    ]


def test_years_between_those_asked_for_stay_empty_without_a_word(era5, cache):
    requests = [*month_of(era5, 1990, 12), *month_of(era5, 2014, 1)]
    for request in requests:
        value = {"tmax": 303.15, "tmin": 293.15, "prec": 0.001}[request.name[:4]]
        put(cache, era5, request, constant(request, value, era5))
    ds, notes = read_weather(cache, era5, requests, static([-12.0], [-57.0]), "centroid")
    assert notes == []
    assert ds.sizes["time"] == 1 + 23 * 12 + 1
    for name in ds.data_vars:
        assert np.flatnonzero(np.isfinite(ds[name].values[0])).tolist() == [0, 277]


def test_months_between_and_missing_days_are_nan_and_said(era5, cache, monkeypatch):
    requests = [*month_of(era5, 2019, 12), *month_of(era5, 2020, 3)]
    for request in requests:
        value = {"tmax": 303.15, "tmin": 293.15, "prec": 0.001}[request.name[:4]]
        if request.name == "tmax-2020-03":  # a file that lost a day after its check
            monkeypatch.setattr(answers, "check_times", lambda *_: None)
            content = constant(request, value, era5)
            put(cache, era5, request, changed(content, lambda ds: ds.isel(valid_time=slice(1, None))))
        elif request.name != "tmin-2019-12":
            put(cache, era5, request, constant(request, value, era5))
    ds, notes = read_weather(cache, era5, requests, static([-12.0], [-57.0]), "centroid")
    assert ds.sizes["time"] == 4
    finite = {name: np.isfinite(ds[name].values[0]).tolist() for name in ds.data_vars}
    assert finite["tmax_degC"] == [True, False, False, False]
    assert finite["tmin_degC"] == [False, False, False, True]
    assert finite["gdd_8_30_degC_day"] == [False] * 4
    assert finite["precipitation_mm"] == [True, False, False, True]
    assert [(n.text, n.count) for n in notes if n.missing] == [
        ("tmax_degC: incomplete in 2020-03", 1),
        ("tmin_degC: no data in 2019-12", 1),
    ]
    # January and February are named when they were asked for.
    asked = [*requests, *month_of(era5, 2020, 1), *month_of(era5, 2020, 2)]
    _, notes = read_weather(cache, era5, asked, static([-12.0], [-57.0]), "centroid")
    assert [(n.text, n.count) for n in notes if n.missing] == [
        ("tmax_degC: no data in 2020-01 to 2020-02", 2),
        ("tmax_degC: incomplete in 2020-03", 1),
        ("tmin_degC: no data in 2019-12 to 2020-02", 3),
        ("precipitation_mm: no data in 2020-01 to 2020-02", 2),
    ]


def test_an_empty_cache_is_missing_data(era5, cache):
    with pytest.raises(MissingDataError, match="found none of 3"):
        read_weather(cache, era5, month_of(era5, 2020, 1), static([-12.0], [-57.0]), "centroid")


# --- real files ---


def test_a_real_monthly_file_passes_and_becomes_millimetres(samples, cache, tmp_path):
    """Sierra Leone, July and August 2025 still preliminary; stamped 00 UTC, with temperature beside it."""
    source = Era5(Cds(), "era5-land", (10.1, -13.4, 6.9, -10.2))
    file = samples / "era5/era5-land-monthly-temp-precip-1990-2025-sierra-leone.nc"
    with reading(file) as [ds]:
        recent = ds.sel(valid_time="2025").load()
        expver = ds["expver"].values
    assert set(expver[:-2]) == {"0001"}
    assert expver[-2:].tolist() == ["0005", "0005"]
    request = request_of(source, "precipitation_mm", 2025, list(range(1, 9)))
    put(cache, source, request, bytes(recent.drop_encoding().to_netcdf(engine="h5netcdf")))
    _, _, record = next(cache.leaves(request))
    assert preliminary_months(record) == ["2025-07", "2025-08"]
    cell = recent["tp"].sel(latitude=8.5, longitude=-11.5, method="nearest")
    ds, notes = read_weather(cache, source, [request], static([8.5], [-11.5]), "centroid")
    # m per day x days x 1000, by hand for February and August 2025
    assert ds["precipitation_mm"].values[0, 1] == pytest.approx(float(cell[1]) * 28 * 1000, rel=1e-6)
    assert ds["precipitation_mm"].values[0, 7] == pytest.approx(float(cell[7]) * 31 * 1000, rel=1e-6)
    # Inland Sierra Leone: dry in February, several hundred mm in August (CRU climatology, about 400 mm).
    assert ds["precipitation_mm"].values[0, 1] < 60
    assert 200 < ds["precipitation_mm"].values[0, 7] < 1200
    assert any(n.text.endswith("2025-07 to 2025-08") for n in notes)
    with pytest.raises(NotYetPublishedError, match="2025-09"):
        source.check(request_of(source, "precipitation_mm", 2025, list(range(1, 10))), cache.path(request))


def test_a_real_daily_file_passes_for_its_month_and_area_only(samples):
    file = samples / "era5/era5-land-daily-mean-temperature-2m-july-2025-sierra-leone.nc"
    source = Era5(Cds(), "era5-land", (10.0, -14.0, 6.0, -10.0))
    july = request_of(source, "tmax_degC", 2025, [7])
    assert source.check(july, file)["months"] == ["2025-07"]
    with pytest.raises(RetryableError, match="also 2025-07-01"):
        source.check(request_of(source, "tmax_degC", 2025, [6]), file)
    with pytest.raises(RetryableError, match=r"latitude 6 to 10\.1"):
        Era5(Cds(), "era5-land", (10.1, -14.0, 6.0, -10.0)).check(july, file)


def test_the_brazil_crop_gives_brazil_its_february(samples):
    with reading(samples / "era5/era5-land-monthly-t2m-2025-02_brazil-crop.nc") as [ds]:
        field = ds["t2m"].load()
    land = np.isfinite(field.values[0])
    # Sorriso, Curitiba, Fortaleza (on the coast)
    points = zonal.nearest(
        field["latitude"], field["longitude"], [-12.5, -25.4, -3.7], [-55.7, -49.3, -38.5], land
    )
    assert (points.distance_km < 20).all()
    degC = zonal.take(field.values, points)[:, 0] - 273.15
    # Climatological February means (INMET 1991-2020, about 26, 21 and 27 degC) within 3 degC
    assert degC == pytest.approx([26, 21, 27], abs=3)
