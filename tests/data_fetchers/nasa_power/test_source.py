"""NASA POWER: cells, requests, complete answers only, months from days."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from data_fetchers.engine.cache import PendingJob, RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import NotYetPublishedError, Retry, RetryableError
from data_fetchers.nasa_power.source import NasaPower, cell_of, read_weather, weather_requests
from yieldcast.errors import FetchError, MissingDataError

TODAY = dt.date(2021, 5, 12)
GDD = "gdd_8_30_degC_day"


def places(*positions):
    count = np.arange(len(positions), dtype=np.int32)
    lat, lon = np.array(positions, dtype=float).T
    return xr.Dataset(
        {"latitude_deg": ("municipality", lat), "longitude_deg": ("municipality", lon)},
        coords={"municipality": 5100000 + count},
    )


# the first two lie in one cell, -12.5 and -56.25 (multiples of 0.5 and 0.625)
STATIC = places((-12.6, -56.1), (-12.4, -56.3), (-24.0, -53.0))


@pytest.fixture
def power(power_server):
    return NasaPower(power_server.url, seconds_between=0.0)


def fetch(power, requests, folder, retry, today=TODAY):
    (summary,) = fetch_requests([(power, requests)], folder, retry=retry, today=today)
    return summary, RequestCache(folder / power.name)


def one_request(first=2020, last=2020, today=TODAY, static=STATIC):
    return weather_requests(static, range(first, last + 1), today)[0][0]


def checked(power, request, folder):
    """Fetch and check once, without the loop's retries."""
    folder.mkdir(exist_ok=True)
    target = folder / "answer.json"
    power.fetch(request, target, PendingJob(folder / "job.json"))
    return power.check(request, target)


# -- cells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "cell"),
    [
        ((-12.6, -56.1), (-12.5, -56.25)),  # -56.25 = -90 * 0.625
        ((-12.25, -56.25), (-12.0, -56.25)),  # between -12.5 and -12.0: north
        ((-12.5, -56.5625), (-12.5, -56.25)),  # between -56.875 and -56.25: east
        ((-0.2, 0.1), (0.0, 0.0)),
        ((5.27, -60.0), (5.5, -60.0)),
    ],
)
def test_a_place_belongs_to_the_nearest_centre_ties_to_the_north_and_east(place, cell):
    lat, lon = cell_of(*place)
    assert (lat, lon) == cell
    assert not np.signbit(lat) or lat != 0  # no -0.0 in a request


@given(st.floats(-34, 6), st.floats(-74, -34))
def test_centres_are_on_the_grid_and_no_other_is_nearer(lat, lon):
    row, column = cell_of(lat, lon)
    assert row % 0.5 == 0
    assert column % 0.625 == 0
    assert abs(row - lat) <= 0.25 + 1e-12
    assert abs(column - lon) <= 0.3125 + 1e-12
    assert cell_of(row, column) == (row, column)


# -- requests ------------------------------------------------------------------------------------------


def test_one_request_per_cell_for_the_closed_years_and_one_for_the_open_year():
    requests, notes = weather_requests(STATIC, [2019, 2020, 2021], TODAY)
    asked = [
        (p.parameters["latitude"], p.parameters["longitude"], p.parameters["start"], p.parameters["end"])
        for p in requests
    ]
    # 12 May: April ended 12 days ago. -53.0 / 0.625 = -84.8, so -85 * 0.625 = -53.125
    assert asked == [
        (-24.0, -53.125, "20190101", "20201231"),
        (-12.5, -56.25, "20190101", "20201231"),
        (-24.0, -53.125, "20210101", "20210430"),
        (-12.5, -56.25, "20210101", "20210430"),
    ]
    # May to December 2021: nobody has them yet, so they are not missing
    assert [(n.count, n.missing) for n in notes] == [(8, False)]
    assert "not yet observed: months after 2021-04" in notes[0].text


def test_only_the_years_of_a_list_are_asked_for():
    requests, notes = weather_requests(places((-12.5, -56.25)), [2021, 1990, 2014, 1991, 1979, 2014], TODAY)
    assert [(p.parameters["start"], p.parameters["end"]) for p in requests] == [
        ("19900101", "19911231"),
        ("20140101", "20141231"),
        ("20210101", "20210430"),
    ]
    assert [(n.count, n.missing) for n in notes] == [(12, False), (8, False)]  # 1979; May to December 2021


def test_a_year_to_come_is_not_missing():
    requests, notes = weather_requests(STATIC, [2022, 2024], TODAY)
    assert requests == []
    assert [(n.count, n.missing) for n in notes] == [(24, False)]


def test_years_between_those_asked_for_stay_empty_without_a_word(power, tmp_path, quick):
    requests, _ = weather_requests(STATIC, [1990, 1993], TODAY)
    _, cache = fetch(power, requests, tmp_path, quick)
    table, notes = read_weather(cache, power, requests, STATIC)
    assert notes == []
    assert table.sizes["time"] == 48
    for name in table.data_vars:
        finite = np.isfinite(table[name].values)
        assert finite[:, :12].all()
        assert not finite[:, 12:36].any()
        assert finite[:, 36:].all()


@pytest.mark.parametrize(
    ("today", "ends"),
    [
        (dt.date(2021, 5, 10), ["20201231", "20210430"]),  # April ended 10 days ago
        (dt.date(2021, 5, 9), ["20201231", "20210331"]),
        (dt.date(2021, 1, 9), ["20191231", "20201130"]),  # December 2020 is not there yet
        (dt.date(2021, 1, 10), ["20201231"]),
        (dt.date(2024, 3, 10), ["20211231"]),  # the years asked for are all closed
    ],
)
def test_months_are_asked_for_ten_days_after_they_end(today, ends):
    requests, notes = weather_requests(places((-12.5, -56.25)), range(2018, 2022), today)
    assert [p.parameters["end"] for p in requests] == ends
    asked = sum(
        int(p.parameters["end"][4:6]) + 12 * (int(p.parameters["end"][:4]) - int(p.parameters["start"][:4]))
        for p in requests
    )
    assert asked + sum(n.count for n in notes) == 4 * 12


def test_years_before_1981_are_said_and_no_run_waits_for_them():
    requests, notes = weather_requests(STATIC, range(1979, 1983), TODAY)
    assert {p.parameters["start"] for p in requests} == {"19810101"}
    assert [(n.count, n.missing) for n in notes] == [(24, False)]
    assert weather_requests(STATIC, range(1970, 1976), TODAY)[0] == []


def test_without_requests_there_is_no_table(tmp_path, power):
    with pytest.raises(MissingDataError, match="none of the requested months"):
        read_weather(RequestCache(tmp_path), power, [], STATIC)


def test_the_address_comes_from_the_argument_then_the_environment_and_travels(monkeypatch):
    monkeypatch.setenv("YIELDCAST_POWER_URL", "http://127.0.0.1:9/")
    assert NasaPower().base_url == "http://127.0.0.1:9"
    assert NasaPower("http://127.0.0.1:8").base_url == "http://127.0.0.1:8"
    travelled = pickle.dumps(NasaPower())
    monkeypatch.delenv("YIELDCAST_POWER_URL")
    assert pickle.loads(travelled).base_url == "http://127.0.0.1:9"
    assert NasaPower().base_url == "https://power.larc.nasa.gov"


# -- what is asked, and what becomes of it ---------------------------------------------------------------


def test_months_from_days_of_the_whole_way(power, power_server, tmp_path, quick):
    requests, _ = weather_requests(STATIC, [2019, 2020, 2021], TODAY)
    summary, cache = fetch(power, requests, tmp_path, quick)
    assert (summary.fetched, summary.missing) == (4, [])
    asked = power_server.log()[0]["path"]
    for text in (
        "community=AG",
        "time-standard=LST",
        "format=JSON",
        "parameters=T2M_MAX,T2M_MIN,PRECTOTCORR",
    ):
        assert text in asked
    table, notes = read_weather(cache, power, requests, STATIC)
    assert notes == []
    assert dict(table.sizes) == {"municipality": 3, "time": 28}  # 2019, 2020 and four months of 2021
    assert table.indexes["time"][[0, -1]].strftime("%Y-%m").tolist() == ["2019-01", "2021-04"]
    # by another road: pandas over the raw answers
    for index, cell in ((0, (-12.5, -56.25)), (2, (-24.0, -53.125))):
        own = [p for p in requests if (p.parameters["latitude"], p.parameters["longitude"]) == cell]
        days = pd.concat(
            pd.DataFrame(json.loads(cache.path(p).read_bytes())["properties"]["parameter"]) for p in own
        )
        months = days.groupby(days.index.str[:6])
        np.testing.assert_allclose(table["tmax_degC"][index], months["T2M_MAX"].mean(), rtol=1e-5)
        np.testing.assert_allclose(table["tmin_degC"][index], months["T2M_MIN"].mean(), rtol=1e-5)
        np.testing.assert_allclose(table["precipitation_mm"][index], months["PRECTOTCORR"].sum(), rtol=1e-5)
    xr.testing.assert_equal(table.isel(municipality=0, drop=True), table.isel(municipality=1, drop=True))
    assert not table.isel(municipality=0, drop=True).equals(table.isel(municipality=2, drop=True))
    assert table.attrs["cells"] == 2
    assert "NASA" in table.attrs["attribution"]
    assert table.attrs["api_versions"] == "v2.9.2"


def hand_made(request, tmax, tmin, rain):
    """An answer whose values are functions of the day's number."""
    days = pd.date_range(request.parameters["start"], request.parameters["end"]).strftime("%Y%m%d")
    columns = {"T2M_MAX": tmax, "T2M_MIN": tmin, "PRECTOTCORR": rain}
    return json.dumps(
        {
            "geometry": {
                "coordinates": [request.parameters["longitude"], request.parameters["latitude"], 300.0]
            },
            "properties": {
                "parameter": {n: {d: f(i) for i, d in enumerate(days)} for n, f in columns.items()}
            },
            "header": {"fill_value": -999.0, "api": {"version": "v2.8.10"}},
        }
    )


def test_hand_worked_month(power, power_server, tmp_path, quick):
    static = places((-12.5, -56.25))
    request = one_request(today=dt.date(2020, 2, 20), static=static)  # January 2020 alone
    # 31 days, numbers 0 to 30: 16 even ones of 40/20 degC with 2 mm, 15 odd ones of 20/4 degC without rain.
    body = hand_made(
        request, lambda i: 20 if i % 2 else 40, lambda i: 4 if i % 2 else 20, lambda i: 0 if i % 2 else 2
    )
    power_server.faults({"match": "point", "kind": "body", "body": body})
    _, cache = fetch(power, [request], tmp_path, quick)
    table, notes = read_weather(cache, power, [request], static)
    assert notes == []
    month = table.isel(municipality=0, time=0)
    assert float(month["tmax_degC"]) == pytest.approx((16 * 40 + 15 * 20) / 31)
    assert float(month["tmin_degC"]) == pytest.approx((16 * 20 + 15 * 4) / 31)
    assert float(month["precipitation_mm"]) == 32
    # Between 8 and 30 degC: (30 + 20) / 2 - 8 = 17 on even days, (20 + 8) / 2 - 8 = 6 on odd ones.
    assert float(month[GDD]) == 16 * 17 + 15 * 6
    # From the monthly means the same month would give another number: days were used.
    assert (min(month["tmax_degC"], 30) + month["tmin_degC"]) / 2 - 8 != pytest.approx(362 / 31, abs=0.05)


def test_a_month_with_a_missing_day_is_empty_and_counted(power, power_server, tmp_path, quick):
    requests, _ = weather_requests(STATIC, [2020], TODAY)
    power_server.faults(
        {"match": "latitude=-12.5", "kind": "nulls", "days": ["20200310", "20200720", "20200721"]},
        {"match": "latitude=-24", "kind": "fill_tail", "days": 3},
    )
    summary, cache = fetch(power, requests, tmp_path, quick)
    assert summary.missing == []
    table, notes = read_weather(cache, power, requests, STATIC)
    empty = {i: np.flatnonzero(np.isnan(table["tmin_degC"][i])).tolist() for i in (0, 2)}
    assert empty == {0: [2, 6], 2: [11]}  # March and July; December
    assert np.flatnonzero(np.isnan(table[GDD][0])).tolist() == [2, 6]
    assert not np.isnan(table["precipitation_mm"][0]).any()  # its days were all there
    assert [(n.count, n.missing) for n in notes] == [(3, True)]
    records = {p.parameters["latitude"]: cache.verified(p) for p in requests}
    assert {lat: r["missing_days"] for lat, r in records.items()} == {-12.5: 3, -24.0: 3}


def test_what_was_not_fetched_is_empty_and_said(power, power_server, tmp_path, quick):
    requests, _ = weather_requests(STATIC, [2020, 2021], TODAY)
    power_server.faults({"match": "latitude=-24", "kind": "status", "status": 404, "times": 2})
    summary, cache = fetch(power, requests, tmp_path, quick)
    assert len(summary.missing) == 2
    table, notes = read_weather(cache, power, requests, STATIC)
    assert np.isnan(table["tmax_degC"][2]).all()
    assert not np.isnan(table["tmax_degC"][:2]).any()
    assert [(n.count, n.missing) for n in notes] == [(2, True), (16, True)]  # two requests; 16 months


def test_rain_a_little_below_zero_is_zero_and_counted_more_is_refused(power, power_server, tmp_path, quick):
    static = places((-12.5, -56.25))
    request = one_request(static=static)
    dry = ["20200701", "20200702"]
    power_server.faults({"match": "point", "kind": "negative_rain", "days": dry, "amount": -0.01})
    _, cache = fetch(power, [request], tmp_path, quick)
    table, notes = read_weather(cache, power, [request], static)
    assert [(n.count, n.missing) for n in notes] == [(2, False)]
    days = pd.Series(json.loads(cache.path(request).read_bytes())["properties"]["parameter"]["PRECTOTCORR"])
    july = days[days.index.str.startswith("202007")]
    assert float(table["precipitation_mm"][0, 6]) == pytest.approx(july.clip(0).sum(), rel=1e-5)
    power_server.faults({"match": "point", "kind": "negative_rain", "days": dry, "amount": -9})
    with pytest.raises(FetchError, match="received -9 on 20200701"):
        checked(power, request, tmp_path)


# -- answers that are not the whole answer ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (
            {"kind": "days_missing", "days": ["20200229", "20201231"]},
            RetryableError,
            "2 missing or additional days, the first 20200229",
        ),
        ({"kind": "changed_parameter"}, FetchError, "expected PRECTOTCORR, received .*'PRECTOT'"),
        ({"kind": "all_fill"}, NotYetPublishedError, "no value for any day"),
        ({"kind": "changed_fill"}, FetchError, "received -9999 on 20200104"),
        ({"kind": "kelvin"}, FetchError, "expected T2M_MAX in C, received K"),
        ({"kind": "utc"}, FetchError, "LST.*UTC"),
        ({"kind": "elsewhere"}, RetryableError, "expected the point"),
        ({"kind": "html"}, RetryableError, "web page"),
        ({"kind": "empty"}, RetryableError, "empty"),
        ({"kind": "cut"}, RetryableError, "broke"),
        ({"kind": "huge"}, FetchError, "MB: refused"),
        ({"kind": "body", "body": '{"type": "Feature", "geome'}, RetryableError, "expected JSON"),
        ({"kind": "body", "body": "[]"}, FetchError, "another layout"),
        ({"kind": "body", "body": '{"messages": ["Out of order"]}'}, FetchError, "layout.*Out of order"),
        ({"kind": "redirect", "to": "http://localhost:9/x"}, FetchError, "redirects to"),
    ],
)
def test_each_bad_answer_is_a_clear_error(power, power_server, tmp_path, fault, kind, text):
    power_server.faults({"match": "point", **fault})
    with pytest.raises(FetchError, match=text) as caught:
        checked(power, one_request(), tmp_path)
    assert type(caught.value) is kind
    assert checked(power, one_request(), tmp_path)["missing_days"] == 0  # and the next answer is taken


@pytest.mark.parametrize("value", ['"x"', "[1]", "1e300", "Infinity"])
def test_values_that_are_no_temperatures_are_refused(power, power_server, tmp_path, value):
    request = one_request(today=dt.date(2020, 2, 20))
    body = hand_made(request, lambda i: 30, lambda i: 20, lambda i: 1).replace("30,", f"{value},", 1)
    power_server.faults({"match": "point", "kind": "body", "body": body})
    with pytest.raises(FetchError, match="T2M_MAX"):
        checked(power, request, tmp_path)


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_shows_what_power_says(power, power_server, tmp_path, status):
    messages = ["The start date is wrong.", "So is the end date."]
    body = {"header": "The POWER Daily API failed; " + "x" * 300, "messages": messages}
    power_server.faults({"match": "point", "kind": "status", "status": status, "body": body})
    with pytest.raises(FetchError, match=r"The start date is wrong\.; So is the end date\.") as caught:
        checked(power, one_request(), tmp_path)
    assert not isinstance(caught.value, RetryableError)
    power_server.faults({"match": "point", "kind": "status", "status": status, "body": "not JSON"})
    with pytest.raises(FetchError, match=f"answered {status}"):
        checked(power, one_request(), tmp_path)


def test_power_refuses_more_than_20_parameters(power, tmp_path):
    request = one_request()
    many = ",".join(["T2M_MAX"] * 21)
    with pytest.raises(FetchError, match="maximum of 20 parameters"):
        power.fetch(
            type(request)(request.source, request.name, {**request.parameters, "parameters": many}),
            tmp_path / "x",
            PendingJob(tmp_path / "j"),
        )


def test_hurried_busy_cut_and_half_answers_are_tried_again(power, power_server, tmp_path, quick):
    requests = weather_requests(places((-12.5, -56.25)), [2020], TODAY)[0]
    slow = {"status": 429, "headers": {"Retry-After": "0"}, "body": "Too Many Requests"}
    for fault in (
        {"kind": "status", **slow},
        {"kind": "status", "status": 503},
        {"kind": "cut"},
        {"kind": "lost"},
    ):
        power_server.faults({"match": "point", "times": 2, **fault})
        summary, cache = fetch(power, requests, tmp_path / str(fault.get("status", fault["kind"])), quick)
        assert summary.missing == []
        assert cache.verified(requests[0])["tries"] == 3


def test_it_waits_as_long_as_power_asks(power, power_server, tmp_path):
    power_server.faults({"match": "point", "kind": "status", "status": 429, "headers": {"Retry-After": "7"}})
    with pytest.raises(RetryableError) as caught:
        checked(power, one_request(), tmp_path)
    assert caught.value.after_s == 7


def test_a_half_answer_leaves_no_file(power, power_server, tmp_path):
    request = one_request()
    power_server.faults({"match": "point", "kind": "days_missing", "days": ["20200229"], "times": 9})
    summary, cache = fetch(power, [request], tmp_path, Retry(tries=2, first_s=0.01, longest_s=0.01))
    assert [name for name, _ in summary.missing] == [request.name]
    assert cache.verified(request) is None
    assert list(cache.folder.glob("*.json")) + list(cache.folder.glob(".*.part")) in (
        [],
        [cache.job(request).path],
    )


def test_requests_start_a_second_apart():
    assert NasaPower("http://127.0.0.1:9").seconds_between == 1.0


# -- asking again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fetched", "today", "missing_days", "stale"),
    [
        # the request ends with April 2021; MERRA-2 has replaced it by 1 August
        ("2021-05-12", "2021-07-31", 0, False),
        ("2021-05-12", "2021-08-01", 0, True),
        ("2021-08-01", "2022-08-01", 0, False),
        ("2021-05-12", "2021-05-12", 3, False),  # once a day
        ("2021-05-12", "2021-05-13", 3, True),
        ("2021-08-01", "2022-08-01", 3, False),  # a day that never came is not asked for for ever
    ],
)
def test_what_was_preliminary_is_asked_for_again_once(power, fetched, today, missing_days, stale):
    request = one_request(2021, 2021)
    record = {"fetched": f"{fetched}T01:00:00+00:00", "missing_days": missing_days}
    assert power.stale(request, record, dt.date.fromisoformat(today)) is stale


def test_a_tail_that_came_later_fills_the_hole(power, power_server, tmp_path, quick):
    static = places((-12.5, -56.25))
    requests, _ = weather_requests(static, [2021], TODAY)
    power_server.faults({"match": "point", "kind": "fill_tail", "days": 5})
    _, cache = fetch(power, requests, tmp_path, quick)
    assert [n.count for n in read_weather(cache, power, requests, static)[1]] == [1]
    sidecar = cache.folder / f"{requests[0].file}.meta.json"
    record = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**record, "fetched": "2021-05-12T01:00:00+00:00"}))
    summary, _ = fetch(power, requests, tmp_path, quick, TODAY)
    assert (summary.kept, summary.fetched) == (1, 0)
    summary, _ = fetch(power, requests, tmp_path, quick, TODAY + dt.timedelta(days=1))
    assert (summary.kept, summary.fetched, len(summary.revised)) == (0, 1, 1)
    table, notes = read_weather(cache, power, requests, static)
    assert notes == []
    assert not np.isnan(table["tmax_degC"]).any()


def test_values_that_are_all_fill_wait_for_the_next_run(power, power_server, tmp_path, quick):
    request = one_request()
    power_server.faults({"match": "point", "kind": "all_fill"})
    summary, cache = fetch(power, [request], tmp_path, quick)
    assert [type(error) for _, error in summary.missing] == [NotYetPublishedError]
    assert len(power_server.log()) == 1  # another try within the minute would not help
    assert cache.verified(request) is None
    summary, _ = fetch(power, [request], tmp_path, quick)
    assert summary.fetched == 1


# -- real answers ---------------------------------------------------------------------------------------


def test_an_answer_without_units_and_messages_is_understood(power, power_server, tmp_path):
    power_server.faults({"match": "point", "kind": "bare"})
    facts = checked(power, one_request(), tmp_path)
    assert facts == {"api_version": "v2.9.2", "fill_value": -999.0, "missing_days": 0, "messages": []}


def test_a_recorded_answer_is_understood(power, samples, tmp_path):
    """Sorriso, five days of January 2025."""
    answer = json.loads((samples / "agrobr" / "daily_sample" / "response.json").read_text())
    request = one_request(2025, 2025, dt.date(2025, 2, 20), places((-12.6, -56.1)))
    asked = {**request.parameters, "latitude": -12.6, "longitude": -56.1, "end": "20250105"}
    request = type(request)(request.source, "sorriso", asked)
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer))
    facts = power.check(request, file)
    assert facts["api_version"] == "v2.8.10"
    assert (facts["fill_value"], facts["missing_days"]) == (-999.0, 0)
    whole = type(request)(request.source, "sorriso", {**asked, "end": "20250131"})
    with pytest.raises(RetryableError, match="26 missing or additional days, the first 20250106"):
        power.check(whole, file)


def test_brazils_municipalities_lie_in_1391_cells():
    """The number of requests that README and dry run state."""
    file = Path(__file__).parents[4] / "shared" / "brazil" / "municipalities.csv"
    if not file.is_file():
        pytest.skip("the real municipalities are not beside this clone")
    places = pd.read_csv(file)
    cells = set(zip(*cell_of(places["lat"], places["lon"]), strict=True))
    assert len(cells) == 1391
