"""Daily weather of ERA5 and ERA5-Land: what is asked for, days of UTC-3, and fetches by the real client."""

from __future__ import annotations

import datetime as dt
import importlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from factories import synthetic_crop_weights

from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.era5 import answers
from data_fetchers.era5.days import _sums_of_days, read_daily
from data_fetchers.era5.source import Era5
from yieldcast.data.crop_cells import CropChoice
from yieldcast.errors import MissingDataError

AREA = (-11.0, -58.0, -13.0, -55.0)
PLACES = xr.Dataset(
    {
        "latitude_deg": ("municipality", np.array([-12.1, -11.4, -12.05, 40.0])),
        "longitude_deg": ("municipality", np.array([-57.1, -55.3, -57.05, -57.0])),
    },
    {"municipality": np.array([11, 12, 13, 14], dtype=np.int32)},
)


@pytest.fixture
def country(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "servers"))
    return importlib.import_module("country")


@pytest.fixture
def cache(tmp_path) -> RequestCache:
    cache = RequestCache(tmp_path / "cache")
    cache.make()
    return cache


def names(requests: list[Request]) -> list[str]:
    return [request.name for request in requests]


def test_whole_years_one_request_each_and_the_days_of_the_month_under_way(cache):
    source = Era5(Cds(), "era5", AREA)
    requests = source.daily_requests([2022, 2023, 2024], dt.date(2024, 2, 20), cache)
    months = [*(f"2023-{m:02d}" for m in range(1, 13)), "2024-01"]
    columns = ("rain", "dewpoint", "radiation", "eastward", "northward")
    assert names(requests) == [
        # 2023 and 2024 are not final in February 2024: month by month
        *(f"{c}-{label}" for c in columns for label in ["2022", *months]),
        # 14 February was complete five days and one later, on the 20th
        *(f"{c}-2024-02-14" for c in ("tmax", "tmin", *columns)),
    ]  # fmt: skip
    rain = requests[0].parameters
    assert rain["dataset"] == "derived-era5-single-levels-daily-statistics"
    assert rain["inputs"]["variable"] == ["total_precipitation"]
    assert (rain["inputs"]["daily_statistic"], rain["inputs"]["time_zone"]) == ("daily_sum", "utc-03:00")
    assert requests[-1].parameters["inputs"]["day"] == [f"{day:02d}" for day in range(1, 15)]
    assert answers.asked_times(requests[-1])[[0, -1]].astype(str).tolist() == ["2024-02-01", "2024-02-14"]


@pytest.mark.parametrize(
    ("today", "under_way"),
    [
        ("2024-03-06", ""),
        ("2024-03-07", "2024-03-01"),
        ("2024-02-29", "2024-02-23"),
        ("2025-01-05", "2024-12-30"),
    ],
)
def test_a_day_is_asked_for_six_days_later(cache, today, under_way):
    source = Era5(Cds(), "era5", AREA)
    requests = source.daily_requests([2024], dt.date.fromisoformat(today), cache)
    found = {request.name for request in requests if request.name.startswith("tmax")}
    assert found == ({f"tmax-{under_way}"} if under_way else set())


def test_sums_of_era5_land_come_from_hours_because_its_daily_statistics_have_none(cache):
    source = Era5(Cds(), "era5-land", AREA)
    requests = source.daily_requests([2020], dt.date(2024, 2, 20), cache)
    assert names(requests)[:4] == [f"rain-2020-{m}" for m in ("01to03", "04to06", "07to09", "10to12")]
    by_name = {request.name: request.parameters for request in requests}
    rain = by_name["rain-2020-01to03"]
    assert rain["dataset"] == "reanalysis-era5-land"
    assert rain["inputs"]["time"] == ["00:00", "03:00"]
    assert "daily_statistic" not in rain["inputs"]
    assert by_name["radiation-2020-01to03"]["dataset"] == "reanalysis-era5-land"
    assert by_name["dewpoint-2020-01to03"]["dataset"] == "derived-era5-land-daily-statistics"
    # February has 29 days: 31 + 29 + 31 days of two hours
    assert len(answers.asked_times(requests[0])) == 2 * 91


def put(cache: RequestCache, source: Era5, request: Request, values: np.ndarray) -> None:
    """Store an answer with the same values (time) in all cells, as a fetch does."""
    north, west, south, east = source.box
    step = source.product.step_deg
    lat = np.round(np.arange(north, south - step / 2, -step), 3)
    lon = np.round(np.arange(west, east + step / 2, step), 3)
    times = answers.asked_times(request).astype("datetime64[ns]")
    field = np.broadcast_to(values.astype(np.float32)[:, None, None], (len(times), len(lat), len(lon)))
    ds = xr.Dataset(
        {answers.variable_of(request).names[0]: (("valid_time", "latitude", "longitude"), field)},
        {"valid_time": times, "latitude": lat, "longitude": lon},
    )
    file = cache.temporary(request)
    file.write_bytes(bytes(ds.to_netcdf(engine="h5netcdf")))
    cache.commit(request, {"fetched": timestamp(), **source.check(request, file)})


def test_days_by_hand(cache):
    # Wind 3 m/s to the east and 4 to the north: 5 m/s at 10 m, 5 * 4.87 / ln(672.58) = 3.74 m/s at 2 m.
    source = Era5(Cds(), "era5", (-11.0, -58.0, -12.0, -57.0))
    values = {
        "tmax_degC": 303.15, "tmin_degC": 293.15, "rain_mm": 0.0125, "dewpoint_degC": 291.15,
        "radiation_MJ_m2": 2e7, "eastward_m_s": 3.0, "northward_m_s": 4.0,
    }  # fmt: skip
    requests = [source._request(column, [2020], [2]) for column in values]
    for request, value in zip(requests, values.values(), strict=True):
        days = np.full(29, value)
        if request.name.startswith("rain"):
            days[3] = -1e-6
        put(cache, source, request, days)
    table, notes = read_daily(cache, source, requests, PLACES.isel(municipality=[0, 2, 3]), "centroid")
    # the first and the second place lie in the cell of 12.0 S and 57.0 W: row (-12 + 90) / 0.25 = 312,
    # column (-57 + 180) / 0.25 = 492; the last one lies outside the grid
    assert table["unit"].values.tolist() == [312 * 10_000 + 492]
    assert table["municipality_unit"].values.tolist() == [0, 0, -1]
    day = {name: float(table[name].values[0, 0]) for name in table.data_vars if table[name].ndim == 2}
    assert day == pytest.approx(
        {
            "tmax_degC": 30, "tmin_degC": 20, "precipitation_mm": 12.5, "dewpoint_degC": 18,
            "radiation_MJ_m2": 20, "wind_m_s": 3.74,
        },
        abs=1e-3,
    )  # fmt: skip
    assert table["precipitation_mm"].values[0, 3] == 0
    assert [(n.table, n.count, n.missing) for n in notes] == [("daily", 1, False)]
    assert "Copernicus" in table.attrs["attribution"]


def test_a_day_of_accumulations_by_hand(cache):
    # Millimetres since midnight UTC, on 1 to 3 January at 00 and 03 UTC: (-, 2), (10, 1), (7, 4). The local
    # day of the 1st is what fell from 03 UTC to midnight, 10 - 2, and the 1 until 03 UTC: 9. The 2nd has
    # 7 - 1 + 4 = 10. The 3rd needs the 4th, which is not there.
    source = Era5(Cds(), "era5-land", (-11.0, -58.0, -12.0, -57.0))
    request = source._request("rain_mm", [2020], [1], 3)
    put(cache, source, request, np.array([5, 2, 10, 1, 7, 4]) / 1000)
    table, _ = read_daily(cache, source, [request], PLACES.isel(municipality=[0]), "centroid")
    np.testing.assert_allclose(table["precipitation_mm"].values[0], [9, 10, np.nan], rtol=1e-5)
    assert np.isnan(table["tmax_degC"].values).all()
    assert "wind_m_s" not in table
    assert "dewpoint_degC" not in table


def test_a_missing_day_of_one_answer_is_missing_in_its_column_only(cache):
    source = Era5(Cds(), "era5", (-11.0, -58.0, -12.0, -57.0))
    first, second = (source._request("rain_mm", [2020], [month]) for month in (1, 2))
    put(cache, source, second, np.full(29, 0.001))
    table, _ = read_daily(cache, source, [first, second], PLACES.isel(municipality=[0]), "centroid")
    assert str(table["time"].values[0])[:10] == "2020-02-01"
    with pytest.raises(MissingDataError, match="files of days of era5"):
        read_daily(cache, source, [first], PLACES, "centroid")


def test_polygons_are_units_of_their_own(cache):
    source = Era5(Cds(), "era5", (-11.0, -58.0, -12.0, -57.0))
    request = source._request("rain_mm", [2020], [2])
    put(cache, source, request, np.full(29, 0.004))
    ring = [[-57.6, -11.6], [-57.4, -11.6], [-57.4, -11.4], [-57.6, -11.4], [-57.6, -11.6]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {"code": 12}, "geometry": geometry}
    mesh = {"type": "FeatureCollection", "features": [feature]}
    places = PLACES.isel(municipality=[0, 1, 3])
    table, _ = read_daily(cache, source, [request], places, "polygon", mesh)
    # 11 takes its nearest cell, 12 its polygon, 14 has neither
    assert table["unit"].values.tolist() == [11, 12]
    assert table["municipality_unit"].values.tolist() == [0, 1, -1]
    np.testing.assert_allclose(table["precipitation_mm"].values, 4.0, rtol=1e-5)


def test_days_over_cropped_cells(cache):
    source = Era5(Cds(), "era5-land", (-11.0, -58.0, -12.0, -57.0))
    request = source._request("rain_mm", [2020], [1], 3)
    put(cache, source, request, np.array([5, 2, 10, 1, 7, 4]) / 1000)
    codes = PLACES["municipality"].values[:1].tolist()
    table = synthetic_crop_weights(
        {2019: {codes[0]: {(785, 1225): 2.0, (786, 1225): 6.0}}}, codes, grid="era5-land"
    )
    mesh = {"type": "FeatureCollection", "features": []}
    places, choice = PLACES.isel(municipality=[0]), CropChoice(table, "refuse")
    made, _ = read_daily(cache, source, [request], places, "crop-area", mesh, choice)
    assert made["unit"].values.tolist() == codes
    np.testing.assert_allclose(made["precipitation_mm"].values[0], [9, 10, np.nan], rtol=1e-5)


@pytest.mark.parametrize("dataset", ["era5", "era5-land"])
def test_from_the_service_to_the_table(dataset, cds_server, monkeypatch, tmp_path, quick, country):
    monkeypatch.setenv("CDSAPI_KEY", "secret-token-123")
    source = Era5(
        Cds(cds_server.url, first_poll_s=0.01, longest_poll_s=0.02), dataset, (-11.9, -57.2, -12.2, -56.9)
    )
    cds_server.set(latest="2024-02-05", cost_limit=200)
    today, cache = dt.date(2024, 2, 11), RequestCache(tmp_path / dataset)
    requests = [
        request
        for request in (
            *source.weather_requests([2024], today, cache)[0], *source.daily_requests([2024], today, cache)
        )
        if answers.form_of(request) != "month"
    ]  # fmt: skip
    [summary] = fetch_requests([(source, requests)], tmp_path, retry=quick, today=today)
    assert (summary.fetched, summary.missing) == (len(requests), [])
    table, _ = read_daily(cache, source, requests, PLACES.isel(municipality=[0]), "centroid")
    # January, and February to the 5th; sums of ERA5-Land need the day after
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-02-06"))
    assert np.array_equal(table["time"].values, days.astype("datetime64[ns]"))
    cell = {"era5": (-12.0, -57.0), "era5-land": (-12.1, -57.1)}[dataset]
    at = [[cell[0]], [cell[1]], days]
    for name, formula in (
        ("tmax_degC", country.tmax_degC), ("tmin_degC", country.tmin_degC), ("wind_m_s", country.wind_m_s),
        ("dewpoint_degC", country.dewpoint_degC), ("precipitation_mm", country.rain_mm),
        ("radiation_MJ_m2", country.radiation_MJ_m2),
    ):  # fmt: skip
        known = -1 if dataset == "era5-land" and name in ("precipitation_mm", "radiation_MJ_m2") else None
        expected = formula(*at).ravel()
        np.testing.assert_allclose(table[name].values[0, :known], expected[:known], atol=2e-3, err_msg=name)
        assert np.isnan(table[name].values[0, known:]).all() or known is None


@pytest.mark.parametrize("offset_h", [-6, -3, 0, 1, 9])
def test_local_days_add_up_from_accumulations_since_midnight_utc(offset_h):
    """Rain of the hours h = 0, 1, ... after the first midnight is h mm."""
    hours = np.arange(5 * 24)
    stamps = [int(text[:2]) for text in answers.hours_of(offset_h)]
    held = np.empty((1, 5, len(stamps)), np.float32)
    for day in range(5):
        for i, hour in enumerate(stamps):  # at 00 UTC the sum of the day before
            since = range(24 * (day - 1), 24 * day) if hour == 0 else range(24 * day, 24 * day + hour)
            held[0, day, i] = hours[list(since)].sum() if day or hour else np.nan
    total = _sums_of_days(held, offset_h)[0]
    for day in range(1, 4):
        begins = 24 * day - offset_h
        assert total[day] == hours[begins : begins + 24].sum()
