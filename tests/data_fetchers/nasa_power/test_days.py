"""NASA POWER's daily weather: requests of complete months and of the month under way, days of the cells."""

from __future__ import annotations

import datetime as dt
import importlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.nasa_power.days import daily_requests, read_daily
from data_fetchers.nasa_power.source import NasaPower, read_weather, weather_requests
from yieldcast.errors import MissingDataError

TODAY = dt.date(2021, 5, 12)
# the first two lie in one cell, -12.5 and -56.25 (multiples of 0.5 and 0.625)
STATIC = xr.Dataset(
    {
        "latitude_deg": ("municipality", np.array([-12.6, -12.4, -24.0])),
        "longitude_deg": ("municipality", np.array([-56.1, -56.3, -53.0])),
    },
    coords={"municipality": np.array([1, 2, 3], dtype=np.int32)},
)


@pytest.fixture
def power(power_server):
    return NasaPower(power_server.url, seconds_between=0.0)


@pytest.fixture
def country(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "servers"))
    return importlib.import_module("country")


def all_requests(years, today=TODAY):
    return [*weather_requests(STATIC, years, today)[0], *daily_requests(STATIC, years, today)]


def fetch(power, requests, folder, retry, today=TODAY):
    (summary,) = fetch_requests([(power, requests)], folder, retry=retry, today=today)
    return summary, RequestCache(folder / power.name)


def test_more_variables_of_the_same_periods_and_all_of_the_month_under_way():
    asked = [
        (p.parameters["latitude"], p.parameters["start"], p.parameters["end"], p.parameters["parameters"])
        for p in daily_requests(STATIC, [2020, 2021], TODAY)
    ]
    more = "T2MDEW,ALLSKY_SFC_SW_DWN,WS2M"
    every = f"T2M_MAX,T2M_MIN,PRECTOTCORR,{more}"
    assert asked == [
        (-24.0, "20200101", "20201231", more),
        (-12.5, "20200101", "20201231", more),
        (-24.0, "20210101", "20210430", more),
        (-12.5, "20210101", "20210430", more),
        # 12 May: the 5th is a week ago
        (-24.0, "20210501", "20210505", every),
        (-12.5, "20210501", "20210505", every),
    ]
    assert all("202105" not in p.name for p in daily_requests(STATIC, [2020], TODAY))


@pytest.mark.parametrize(
    ("today", "start", "end"),
    [
        ("2021-05-11", None, None),  # the 4th is a week ago: less than five days
        ("2021-05-16", "20210501", "20210505"),
        ("2021-05-17", "20210501", "20210510"),
        ("2021-06-06", "20210501", "20210530"),
        ("2021-06-07", "20210501", "20210531"),
        ("2021-06-09", "20210501", "20210531"),  # the monthly table has May from the 10th on
        ("2021-06-10", None, None),
        ("2022-01-08", "20211201", "20211231"),
    ],
)
def test_the_month_under_way_grows_by_five_days(today, start, end):
    requests = daily_requests(STATIC, [2021], dt.date.fromisoformat(today))
    whole = [p for p in requests if p.parameters["parameters"].startswith("T2M_MAX")]
    found = {(p.parameters["start"], p.parameters["end"]) for p in whole}
    assert found == ({(start, end)} if start else set())


def test_a_place_keeps_its_cached_months_when_days_are_asked_for_too(power, power_server, tmp_path, quick):
    fetch(power, weather_requests(STATIC, [2020], TODAY)[0], tmp_path, quick)
    summary, _ = fetch(power, all_requests([2020]), tmp_path, quick)
    assert (summary.kept, summary.fetched) == (2, 2)


def test_days_follow_the_service_up_to_the_month_under_way(power, tmp_path, quick, country):
    requests = all_requests([2021])
    _, cache = fetch(power, requests, tmp_path, quick)
    table = read_daily(cache, power, requests, STATIC)
    days = np.arange(np.datetime64("2021-01-01"), np.datetime64("2021-05-06"))
    assert np.array_equal(table["time"].values, days.astype("datetime64[ns]"))
    for name, formula in (
        ("tmax_degC", country.tmax_degC), ("precipitation_mm", country.rain_mm),
        ("dewpoint_degC", country.dewpoint_degC), ("radiation_MJ_m2", country.radiation_MJ_m2),
        ("wind_m_s", country.wind_m_s),
    ):  # fmt: skip
        expected = formula([-12.5], [-56.25], days).ravel()
        np.testing.assert_allclose(table[name].values[1], expected, atol=0.006, err_msg=name)


def test_radiation_that_comes_weeks_later_is_empty_and_not_asked_for_every_day(
    power, power_server, tmp_path, quick
):
    [request] = [p for p in daily_requests(STATIC, [2021], TODAY) if "202104-days" in p.name][:1]
    power_server.faults({"match": "point", "kind": "fill_tail", "days": 20})
    _, cache = fetch(power, [request], tmp_path, quick)
    record = cache.verified(request)
    assert record["missing_days"] == 0
    then = {**record, "fetched": "2021-05-12T01:00:00+00:00"}
    assert not power.stale(request, then, dt.date(2021, 7, 31))
    assert power.stale(request, then, dt.date(2021, 8, 1))  # MERRA-2 has replaced April by then
    table = read_daily(cache, power, [request], STATIC)
    assert np.isnan(table["radiation_MJ_m2"].values[0]).sum() == 20


def test_the_days_of_the_same_answers_add_up_to_the_months(power, tmp_path, quick):
    requests, _ = weather_requests(STATIC, [2019, 2021], TODAY)
    _, cache = fetch(power, requests, tmp_path, quick)
    days, months = read_daily(cache, power, requests, STATIC), read_weather(cache, power, requests, STATIC)[0]
    # row (-12.5 + 90) / 0.5 = 155 and column (-56.25 + 180) / 0.625 = 198; -24.0: 132, -53.125: 203
    assert days["unit"].values.tolist() == [132203, 155198]
    assert days["municipality_unit"].values.tolist() == [1, 1, 0]
    assert days["time"].values[[0, -1]].astype("datetime64[D]").astype(str).tolist() == [
        "2019-01-01", "2021-04-30",
    ]  # fmt: skip
    assert np.isnan(days["tmax_degC"].sel(time="2020").values).all()  # not asked for
    assert (days["precipitation_mm"].fillna(0) >= 0).all()
    rain = days["precipitation_mm"].sel(time="2019-01").values.sum(axis=1)[days["municipality_unit"].values]
    np.testing.assert_allclose(months["precipitation_mm"].sel(time="2019-01-01").values, rain, rtol=1e-5)
    hot = days["tmax_degC"].sel(time="2021-04").values.mean(axis=1)[days["municipality_unit"].values]
    np.testing.assert_allclose(months["tmax_degC"].sel(time="2021-04-01").values, hot, rtol=1e-5)


def test_days_need_requests(power, tmp_path):
    with pytest.raises(MissingDataError, match="none of the requested days"):
        read_daily(RequestCache(tmp_path), power, [], STATIC)
