"""ERA5 as a source: requests, what is refused, and fetches through the real client."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

from data_fetchers.cds.account import Account
from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import PendingJob, Request, RequestCache, timestamp
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import NotYetPublishedError, Retry, RetryableError
from data_fetchers.era5 import answers
from data_fetchers.era5.source import Era5, final_on, preliminary_months
from data_fetchers.era5.table import read_weather
from data_fetchers.ibge.places import BRAZIL
from yieldcast.data import degree_days, schema
from yieldcast.errors import ConfigError, CredentialsError

AREA = (-11.0, -58.0, -13.0, -55.0)
SERVERS = Path(__file__).parents[1] / "servers"
# Of 2008 to 2011, made when years were still given as first and last.
MARKS = [
    "tmax-2008-7bdb5d345d53.nc",
    "tmax-2009-6986165da90e.nc",
    "tmax-2010-40dce6c953b8.nc",
    "tmax-2011-2657174d8c82.nc",
    "tmin-2008-a0548cc8b0d1.nc",
    "tmin-2009-30a548e5a319.nc",
    "tmin-2010-a770e76f8818.nc",
    "tmin-2011-3bf350087ea9.nc",
    "precipitation-2008-2009-0191099473f7.nc",
    "precipitation-2010-2011-ee07c91012e4.nc",
]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Modules of the stand-in servers."""
    monkeypatch.syspath_prepend(str(SERVERS))
    return importlib.import_module


@pytest.fixture
def make(servers) -> Callable:
    return servers("cds_files").make


@pytest.fixture
def country(servers) -> ModuleType:
    return servers("country")


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


def plan(source: Era5, first: int, last: int, today: str, cache: RequestCache) -> list[Request]:
    return source.weather_requests(range(first, last + 1), dt.date.fromisoformat(today), cache)[0]


def names(requests: list[Request]) -> list[str]:
    return [request.name for request in requests]


def request_of(source: Era5, column: str, year: int, months: list[int]) -> Request:
    return source._request(column, [year], months)


def write(path: Path, members: list[tuple[str, bytes]]) -> Path:
    if len(members) == 1:
        path.write_bytes(members[0][1])
        return path
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def made(make, path: Path, request: Request, fault: str | None = None, latest: str | None = None) -> Path:
    return write(path, make(request.parameters["dataset"], request.parameters["inputs"], fault, latest))


def put(cache: RequestCache, source: Era5, request: Request, members: list[tuple[str, bytes]]) -> None:
    """Store an answer as a fetch does."""
    file = write(cache.temporary(request), members)
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


# --- what is asked for ---


def test_final_years_whole_open_year_by_month(era5, cache):
    requests, notes = era5.weather_requests([2022, 2023, 2024], dt.date(2024, 6, 20), cache)
    months = [f"2024-{m:02d}" for m in range(1, 6)]
    assert names(requests) == [
        *(f"tmax-{label}" for label in ["2022", "2023", *months]),
        *(f"tmin-{label}" for label in ["2022", "2023", *months]),
        *(f"precipitation-{label}" for label in ["2022-2023", *months]),
    ]
    # No fetch can bring them today: that is no failure.
    assert [(n.text, n.count, n.missing) for n in notes] == [
        ("not yet observed: 2024-06 to 2024-12", 7, False)
    ]
    assert era5.weather_requests([2020, 2021, 2022], dt.date(2024, 6, 20), cache)[1] == []


def test_a_year_to_come_is_not_missing(era5, cache):
    requests, notes = era5.weather_requests([2025], dt.date(2024, 6, 20), cache)
    assert requests == []
    assert [(n.text, n.count, n.missing) for n in notes] == [
        ("not yet observed: 2025-01 to 2025-12", 12, False)
    ]


def test_only_the_years_of_a_list_are_asked_for(era5, cache):
    today = dt.date(2024, 6, 20)
    requests, _ = era5.weather_requests([2014, 1990, 1992, 2014], today, cache)
    asked = [(request.parameters["column"], request.parameters["inputs"]["year"]) for request in requests]
    assert asked == [
        *((column, [year]) for column in ("tmax_degC", "tmin_degC") for year in ("1990", "1992", "2014")),
        ("precipitation_mm", ["1990", "1992"]),
        ("precipitation_mm", ["2014"]),
    ]
    months = {str(m) for request in requests for m in answers.asked_months(request)}
    assert months == {f"{year}-{m:02d}" for year in (1990, 1992, 2014) for m in range(1, 13)}
    # A list without gaps asks for the same, byte for byte, as before: marks of requests made then.
    requests, _ = era5.weather_requests(range(2008, 2012), today, cache)
    assert [request.file for request in requests] == MARKS


def test_requests_are_those_of_the_reference(era5, land):
    days = [f"{d:02d}" for d in range(1, 32)]
    assert request_of(era5, "tmax_degC", 2020, list(range(1, 13))).parameters == {
        "column": "tmax_degC",
        "dataset": "derived-era5-single-levels-daily-statistics",
        "inputs": {
            "product_type": "reanalysis", "variable": ["2m_temperature"], "year": ["2020"],
            "month": [f"{m:02d}" for m in range(1, 13)], "day": days, "daily_statistic": "daily_maximum",
            "time_zone": "utc-03:00", "frequency": "1_hourly", "area": [-11.0, -58.0, -13.0, -55.0],
        },
    }  # fmt: skip
    tmin = request_of(land, "tmin_degC", 2024, [2]).parameters
    assert tmin["dataset"] == "derived-era5-land-daily-statistics"
    assert "product_type" not in tmin["inputs"]
    assert (tmin["inputs"]["daily_statistic"], len(tmin["inputs"]["day"])) == ("daily_minimum", 29)
    assert request_of(land, "precipitation_mm", 2020, [1]).parameters == {
        "column": "precipitation_mm",
        "dataset": "reanalysis-era5-land-monthly-means",
        "inputs": {
            "product_type": ["monthly_averaged_reanalysis"], "variable": ["total_precipitation"],
            "year": ["2020"], "month": ["01"], "time": ["00:00"], "area": [-11.0, -58.0, -13.0, -55.0],
            "data_format": "netcdf", "download_format": "unarchived",
        },
    }  # fmt: skip


def test_chunks_for_brazil_are_those_of_the_reference(cache):
    # 26 requests per variable and three decades for 0.25 degrees, 104 for Land's quarters.
    requests = plan(Era5(Cds(), "era5", BRAZIL), 2000, 2025, "2026-11-20", cache)
    assert sum(p.name.startswith("tmax") for p in requests) == 26
    assert [n for n in names(requests) if n.startswith("prec")] == [
        "precipitation-2000-2009", "precipitation-2010-2019", "precipitation-2020-2025"
    ]  # fmt: skip
    requests = plan(Era5(Cds(), "era5-land", BRAZIL), 2000, 2025, "2026-11-20", cache)
    assert sum(p.name.startswith("tmin") for p in requests) == 104
    assert names(requests)[:2] == ["tmax-2000-01to03", "tmax-2000-04to06"]
    assert len(set(requests)) == len(requests)


@pytest.mark.parametrize(
    ("today", "months"), [("2024-06-05", 4), ("2024-06-06", 5), ("2024-07-05", 5), ("2024-07-06", 6)]
)
def test_a_month_is_asked_for_from_the_sixth_of_the_next_on(era5, cache, today, months):
    assert sum(p.name.startswith("tmax") for p in plan(era5, 2024, 2024, today, cache)) == months


def test_a_year_is_final_when_its_december_is(era5, cache):
    # December's end and three months is 1 April; five more days for a final version that comes late.
    assert final_on(dt.date(2023, 12, 1)) == dt.date(2024, 4, 6)
    assert len(plan(era5, 2023, 2023, "2024-04-05", cache)) == 36
    assert names(plan(era5, 2023, 2023, "2024-04-06", cache)) == [
        "tmax-2023", "tmin-2023", "precipitation-2023"
    ]  # fmt: skip


def test_cached_months_are_kept_when_their_year_becomes_final(era5, cache, make):
    first = plan(era5, 2023, 2023, "2023-02-10", cache)
    assert names(first) == ["tmax-2023-01", "tmin-2023-01", "precipitation-2023-01"]
    put(cache, era5, first[0], make(first[0].parameters["dataset"], first[0].parameters["inputs"]))
    later = plan(era5, 2023, 2023, "2024-06-01", cache)
    assert names(later) == [*(f"tmax-2023-{m:02d}" for m in range(1, 13)), "tmin-2023", "precipitation-2023"]
    assert later[0] == first[0]


def test_a_year_that_was_split_down_to_months_stays_a_year(era5, cache, make):
    [year] = [p for p in plan(era5, 2023, 2023, "2024-06-01", cache) if p.name == "tmax-2023"]

    def split(request: Request) -> None:
        requests = era5.split(request)
        if not requests:
            put(cache, era5, request, make(request.parameters["dataset"], request.parameters["inputs"]))
            return
        cache.commit_split(request, requests, {"fetched": timestamp(), "reason": "too big"})
        [split(p) for p in requests]

    split(year)
    assert [p.name for p, _, _ in cache.leaves(year)] == [f"tmax-2023-{m:02d}" for m in range(1, 13)]
    assert "tmax-2023" in names(plan(era5, 2023, 2023, "2024-06-01", cache))


def test_splits_lose_no_month(era5, land):
    decade = era5._request("precipitation_mm", range(2000, 2007), range(1, 13))
    for request in (decade, request_of(land, "tmax_degC", 2020, [4, 5, 6])):
        leaves, todo = [], [request]
        while todo:
            halves = era5.split(todo[-1])
            leaves += [] if halves else [todo[-1]]
            todo = todo[:-1] + halves
        months = np.concatenate([answers.asked_months(leaf) for leaf in leaves])
        assert sorted(months) == answers.asked_months(request).tolist()
        assert all(len(answers.asked_months(leaf)) == 1 for leaf in leaves)


def test_area_is_widened_to_the_grid():
    assert Era5(Cds(), "era5", (5.9, -73.99, -33.76, -34.78)).box == (6.0, -74.0, -34.0, -34.75)
    assert Era5(Cds(), "era5-land", (5.91, -73.99, -33.76, -34.78)).box == (6.0, -74.0, -33.8, -34.7)
    assert Era5(Cds(), "era5", BRAZIL).box == (6.0, -74.0, -34.0, -32.0)


@pytest.mark.parametrize(
    "area", [(-34, -74, 6, -34), (6, -34, -34, -74), (95, -74, -34, -34), (6, 286, -34, 326)]
)
def test_areas_that_are_none_are_refused(area):
    with pytest.raises(ConfigError, match="north, west, south, east"):
        Era5(Cds(), "era5", area)


def test_years_that_the_dataset_does_not_have_are_refused(era5, land, cache):
    for source, first in ((era5, 1940), (land, 1950)):
        assert plan(source, first, first, "2024-01-01", cache)
        with pytest.raises(ConfigError, match=str(first)):
            plan(source, first - 1, 2000, "2024-01-01", cache)
    with pytest.raises(ConfigError, match="received \\[\\]"):
        era5.weather_requests([], dt.date(2024, 1, 1), cache)
    with pytest.raises(ConfigError, match="era5-land"):
        Era5(Cds(), "era6", AREA)  # type: ignore[arg-type]


def test_source_travels_to_workers_and_carries_its_line(era5):
    assert pickle.loads(pickle.dumps(era5)) == era5
    assert era5.attribution.startswith("Contains modified Copernicus Climate Change Service information 20")
    assert (era5.name, era5.licence) == ("era5", "CC-BY-4.0")


# --- what is refused ---


@pytest.mark.parametrize("column", ["tmax_degC", "tmin_degC", "precipitation_mm"])
@pytest.mark.parametrize("dataset", ["era5", "era5-land"])
def test_complete_answers_pass(dataset, column, make, tmp_path):
    source = Era5(Cds(), dataset, (-11.0, -37.0, -12.0, -35.5))  # with sea in ERA5-Land
    request = request_of(source, column, 2020, [2, 3])
    facts = source.check(request, made(make, tmp_path / "a.nc", request))
    assert facts["months"] == ["2020-02", "2020-03"]
    assert ("expver" in facts) == (column == "precipitation_mm")


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("wrong_grid", r"latitude -13 to -11 in steps of 0.25, received -13 to -11 in steps of 1"),
        ("days_missing", "1 of .* missing"),
        ("all_nan", "values in all cells"),
        ("changed_name", "expected one of"),
        ("kelvin_celsius", "another unit"),
    ],
)
@pytest.mark.parametrize("column", ["tmax_degC", "precipitation_mm"])
def test_every_wrong_answer_is_asked_for_again(era5, make, tmp_path, fault, named, column):
    request = request_of(era5, column, 2020, [1, 2, 3])
    with pytest.raises(RetryableError, match=named):
        era5.check(request, made(make, tmp_path / "a.nc", request, fault))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda ds: ds.isel(valid_time=[0, *range(29)]), "twice"),
        (
            lambda ds: ds.assign_coords(valid_time=ds["valid_time"] + np.timedelta64(1, "D")),
            "also 2020-03-01",
        ),
        (lambda ds: ds.where(ds["valid_time"] != ds["valid_time"][4]), "empty"),
        (lambda ds: ds.where(ds["latitude"] > -12), "empty"),  # ERA5 has no holes
        (lambda ds: ds.isel(longitude=slice(1, None)), "longitude"),
        (lambda ds: ds.assign_coords(longitude=ds["longitude"] + 0.125), "longitude"),
        (lambda ds: ds.isel(latitude=slice(0, 0)), "values over"),
        (lambda ds: ds.expand_dims(number=[0, 1]), "values over"),
    ],
    ids=["twice", "other-day", "empty-day", "hole", "narrow", "shifted", "none", "members"],
)
def test_small_differences_are_seen(era5, make, tmp_path, change, named):
    request = request_of(era5, "tmax_degC", 2020, [2])
    [(name, content)] = make(request.parameters["dataset"], request.parameters["inputs"])
    with pytest.raises(RetryableError, match=named):
        era5.check(request, write(tmp_path / "a.nc", [(name, changed(content, change))]))


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.rename(t2m="mx2t"),
        lambda ds: ds.rename(valid_time="time"),
        lambda ds: ds.isel(latitude=slice(None, None, -1)),
        lambda ds: ds.assign_coords(longitude=ds["longitude"] + 360),
        lambda ds: ds.assign_coords(valid_time=ds["valid_time"] + np.timedelta64(3, "h")),
        lambda ds: ds.isel(valid_time=slice(None, None, -1)),
    ],
    ids=["mx2t", "time", "south-up", "0-360", "03-UTC", "backwards"],
)
def test_other_layouts_of_the_same_answer_give_the_same_table(era5, make, cache, change):
    requests = [
        request_of(era5, column, 2020, [2]) for column in ("tmax_degC", "tmin_degC", "precipitation_mm")
    ]
    for request in requests:
        put(cache, era5, request, make(request.parameters["dataset"], request.parameters["inputs"]))
    places = static([-12.1, -11.4], [-57.1, -55.3])
    before, _ = read_weather(cache, era5, requests, places, "centroid")
    [(name, content)] = make(requests[0].parameters["dataset"], requests[0].parameters["inputs"])
    put(cache, era5, requests[0], [(name, changed(content, change))])
    after, _ = read_weather(cache, era5, requests, places, "centroid")
    np.testing.assert_allclose(after["tmax_degC"], before["tmax_degC"], rtol=1e-6)


def test_answer_in_several_members_is_put_together(era5, make, tmp_path):
    request = request_of(era5, "tmax_degC", 2020, [1, 2])
    halves = [request_of(era5, "tmax_degC", 2020, [m]).parameters for m in (2, 1)]
    members = [make(r["dataset"], r["inputs"])[0][1] for r in halves]
    file = write(tmp_path / "a.zip", [("b.nc", members[0]), ("a.nc", members[1])])
    assert era5.check(request, file)["months"] == ["2020-01", "2020-02"]
    other = changed(members[1], lambda ds: ds.isel(latitude=slice(1, None)))
    with pytest.raises(RetryableError, match="several"):
        era5.check(request, write(tmp_path / "b.zip", [("b.nc", members[0]), ("a.nc", other)]))


def test_what_the_embargo_cut_off_is_not_yet_there(era5, make, tmp_path):
    request = request_of(era5, "tmin_degC", 2020, [1, 2, 3])
    with pytest.raises(
        NotYetPublishedError, match=r"21 of 91 are missing in 2020-03: the answer ends on 2020-03-10"
    ):
        era5.check(request, made(make, tmp_path / "a.nc", request, latest="2020-03-10"))
    with pytest.raises(NotYetPublishedError, match=r"52 of 91 are missing in 2020-02 to 2020-03"):
        era5.check(request, made(make, tmp_path / "b.nc", request, latest="2020-02-08"))
    # A hole besides is no embargo.
    with pytest.raises(RetryableError, match=r"22 of 91 .* the first 2020-02-05"):
        era5.check(request, made(make, tmp_path / "d.nc", request, "days_missing", "2020-03-10"))
    rain = request_of(era5, "precipitation_mm", 2020, [1, 2, 3])
    with pytest.raises(NotYetPublishedError, match="ends on 2020-02"):
        era5.check(rain, made(make, tmp_path / "c.nc", rain, latest="2020-03-10"))


def test_preliminary_by_version(era5, make, tmp_path):
    # Final from three months after a month's end: with data up to 1 July, March (final on 30 June) is.
    rain = request_of(era5, "precipitation_mm", 2020, [2, 3, 4, 5])
    facts = era5.check(rain, made(make, tmp_path / "a.nc", rain, latest="2020-07-01"))
    assert facts["expver"] == {"2020-02": "0001", "2020-03": "0001", "2020-04": "0005", "2020-05": "0005"}
    assert preliminary_months(facts) == ["2020-04", "2020-05"]
    assert not era5.stale(rain, facts, dt.date(2020, 8, 5))
    assert era5.stale(rain, facts, dt.date(2020, 8, 6))  # April's end, three months and five days


@pytest.mark.parametrize(
    ("created", "fetched", "preliminary"),
    [
        # March 2020 is final on 6 July: its end, three months and five days.
        ("2020-07-06", "2020-07-06", False),
        ("2020-07-05", "2020-07-05", True),
        ("2020-05-10", "2020-09-01", True),  # a job of May, taken up again in September
        (None, "2020-07-05", True),
        (None, "2020-07-06", False),
    ],
)
def test_preliminary_by_the_age_of_the_job(era5, make, tmp_path, created, fetched, preliminary):
    request = request_of(era5, "tmax_degC", 2020, [3])
    facts = era5.check(request, made(make, tmp_path / "a.nc", request))
    assert "expver" not in facts
    record = {**facts, "fetched": f"{fetched}T01:00:00+00:00"}
    record |= {"created": f"{created}T01:00:00+00:00"} if created else {}
    assert preliminary_months(record) == (["2020-03"] if preliminary else [])
    assert not era5.stale(request, record, dt.date(2020, 7, 5))
    assert era5.stale(request, record, dt.date(2020, 9, 2)) == preliminary


# --- through the real client ---


@pytest.fixture
def served(cds_server, monkeypatch) -> Era5:
    monkeypatch.setenv("CDSAPI_KEY", "secret-token-123")
    return Era5(Cds(cds_server.url, first_poll_s=0.01, longest_poll_s=0.02), "era5", AREA)


def fetch(source: Era5, requests: list[Request], folder: Path, today: str, retry: Retry):
    [summary] = fetch_requests([(source, requests)], folder, retry=retry, today=dt.date.fromisoformat(today))
    return summary


def test_from_the_service_to_the_table(served, cds_server, tmp_path, quick, country):
    cds_server.set(latest="2024-04-20")
    cache = RequestCache(tmp_path / "era5")
    requests, _ = served.weather_requests([2023, 2024], dt.date(2024, 4, 26), cache)
    summary = fetch(served, requests, tmp_path, "2024-04-26", quick)
    assert (summary.fetched, summary.missing) == (12, [])
    # Nearest cells of the 0.25 degree grid: (-12.0, -57.0) and (-11.5, -55.25).
    ds, notes = read_weather(cache, served, requests, static([-12.1, -11.4], [-57.1, -55.3]), "centroid")
    schema.check_weather(ds)
    assert str(ds["time"].values[[0, -1]].astype("datetime64[M]")) == "['2023-01' '2024-03']"
    for row, cell in enumerate(((-12.0, -57.0), (-11.5, -55.25))):
        for column, month in enumerate(ds["time"].values.astype("datetime64[M]")):
            days = np.arange(month, month + 1, dtype="datetime64[D]")
            at = [[cell[0]], [cell[1]], days]
            high, low = country.tmax_degC(*at).ravel(), country.tmin_degC(*at).ravel()
            values = ds.isel(municipality=row, time=column)
            assert float(values["tmax_degC"]) == pytest.approx(high.mean(), abs=1e-3)
            assert float(values["tmin_degC"]) == pytest.approx(low.mean(), abs=1e-3)
            assert float(values["precipitation_mm"]) == pytest.approx(country.rain_mm(*at).sum(), rel=1e-5)
            for name, limits in degree_days.quantities().items():
                total = degree_days.daily(high, low, *limits).sum()
                assert float(values[name]) == pytest.approx(total, abs=5e-3)
    assert ds.attrs["preliminary"] == "2024-01, 2024-02, 2024-03"
    assert "modified Copernicus Climate Change Service" in ds.attrs["attribution"]
    assert [(n.count, n.missing) for n in notes] == [(3, False)]


@pytest.mark.parametrize("fault", ["wrong_grid", "days_missing", "all_nan", "changed_name", "kelvin_celsius"])
def test_one_wrong_answer_is_repaired_and_a_lasting_one_is_no_silent_hole(
    served, cds_server, tmp_path, quick, fault
):
    requests = [request_of(served, "tmax_degC", 2020, [m]) for m in (1, 2)]
    cds_server.faults({"match": "/execution", "kind": fault, "times": 1})
    summary = fetch(served, requests[:1], tmp_path, "2026-01-01", quick)
    assert (summary.fetched, summary.missing) == (1, [])
    [line] = [x for x in cds_server.log() if x["fault"] == fault]
    assert line["method"] == "POST"
    cds_server.faults({"match": "/execution", "kind": fault, "times": 99})
    summary = fetch(served, requests, tmp_path, "2026-01-01", quick)
    assert [name for name, _ in summary.missing] == ["tmax-2020-02"]
    cache = RequestCache(tmp_path / "era5")
    assert [f.name for f in cache.folder.glob("tmax-2020-02*.nc")] == []
    ds, notes = read_weather(cache, served, requests, static([-12.0], [-57.0]), "centroid")
    assert np.isfinite(ds["tmax_degC"].values).tolist() == [[True, False]]
    assert ("tmax_degC: no data in 2020-02", 1, True) in [(n.text, n.count, n.missing) for n in notes]


def test_too_costly_a_year_is_split(served, cds_server, tmp_path, quick):
    cds_server.set(cost_limit=100)  # 3 months x 31 days = 93 pass
    [year] = [
        p for p in plan(served, 2020, 2020, "2021-06-01", RequestCache(tmp_path)) if p.name == "tmax-2020"
    ]
    summary = fetch(served, [year], tmp_path, "2021-06-01", quick)
    assert (summary.fetched, summary.missing) == (4, [])
    cache = RequestCache(tmp_path / "era5")
    ds, notes = read_weather(cache, served, [year], static([-12.0], [-57.0]), "centroid")
    assert np.isfinite(ds["tmax_degC"].values).all()
    assert {n.text for n in notes} == {
        f"{c}: no data in 2020-01 to 2020-12" for c in ("tmin_degC", "precipitation_mm")
    }
    assert fetch(served, [year], tmp_path, "2021-06-01", quick).kept == 4


def test_months_that_are_late_are_missing_now_and_come_later(served, cds_server, tmp_path, quick):
    cache = RequestCache(tmp_path / "era5")
    cds_server.set(latest="2024-03-20")  # later than planned: March should have been whole on 6 April
    requests = [p for p in plan(served, 2024, 2024, "2024-04-07", cache) if not p.name.startswith("tmin")]
    summary = fetch(served, requests, tmp_path, "2024-04-07", quick)
    assert sorted(name for name, _ in summary.missing) == ["precipitation-2024-03", "tmax-2024-03"]
    assert all(isinstance(error, NotYetPublishedError) for _, error in summary.missing)
    cds_server.set(latest="2024-04-20")
    summary = fetch(served, requests, tmp_path, "2024-04-07", quick)
    assert (summary.kept, summary.fetched, summary.missing) == (4, 2, [])


def test_an_old_job_that_is_taken_up_again_is_not_final(served, cds_server, tmp_path, quick, monkeypatch):
    request = request_of(served, "tmax_degC", 2024, [1])
    cache = RequestCache(tmp_path / "era5")
    cache.make()
    with Account(served.cds.url) as account, account.asking() as api:
        old = api.submit(request.parameters["dataset"], dict(request.parameters["inputs"]))
        status = {**old.json, "status": "successful", "created": "2024-03-01T08:00:00"}
    cache.job(request).save(job_id=old.request_id)
    cds_server.set(polls_queued=-1, polls_running=0)  # it is done
    cds_server.faults({"match": "?log=True", "kind": "body", "body": json.dumps(status), "times": 2})
    summary = fetch(served, [request], tmp_path, "2026-01-01", quick)
    assert (summary.fetched, summary.missing) == (1, [])
    [(_, _, record)] = cache.leaves(request)
    assert (record["job_id"], record["created"]) == (old.request_id, "2024-03-01T08:00:00+00:00")
    _, notes = read_weather(cache, served, [request], static([-12.0], [-57.0]), "centroid")
    assert [n.count for n in notes if n.text.endswith("when final: 2024-01")] == [1]
    summary = fetch(served, [request], tmp_path, "2026-01-01", quick)  # asked for again, by a job of today
    assert (summary.kept, summary.fetched) == (0, 1)
    assert fetch(served, [request], tmp_path, "2026-01-01", quick).kept == 1


def test_without_a_key_the_hint_names_a_source_that_needs_none(era5, tmp_path, cds_server, monkeypatch):
    request, target = request_of(era5, "tmax_degC", 2020, [1]), tmp_path / "a.nc"
    sentence = "Or take --weather-source nasa-power, which needs no key."
    with pytest.raises(CredentialsError, match="no key for the CDS") as caught:
        era5.fetch(request, target, PendingJob(tmp_path / "job.json"))
    assert caught.value.hint.endswith(sentence)
    assert "climate.copernicus.eu/profile" in caught.value.hint
    with pytest.raises(CredentialsError, match="no key for the CDS") as caught:
        era5.cds.retrieve("any", {}, target, PendingJob(tmp_path / "job.json"))
    assert sentence not in caught.value.hint
    monkeypatch.setenv("CDSAPI_KEY", "another-token")  # a key that is refused is another matter
    served = Era5(Cds(cds_server.url), "era5", AREA)
    with pytest.raises(CredentialsError, match="does not know the key") as caught:
        served.fetch(request, target, PendingJob(tmp_path / "job.json"))
    assert sentence not in caught.value.hint


def test_preliminary_months_are_fetched_again_when_final(served, cds_server, tmp_path, quick):
    cache = RequestCache(tmp_path / "era5")
    cds_server.set(latest="2024-04-20")
    requests = [p for p in plan(served, 2024, 2024, "2024-04-26", cache) if p.name.startswith("prec")]
    fetch(served, requests, tmp_path, "2024-04-26", quick)
    assert fetch(served, requests, tmp_path, "2024-04-26", quick).kept == 3
    cds_server.set(latest="2024-05-20")
    summary = fetch(served, requests, tmp_path, "2024-05-26", quick)  # January's end, three months, five days
    assert (summary.kept, summary.fetched, summary.revised) == (2, 1, ["precipitation-2024-01"])
    assert len(list((cache.folder / "vintages").glob("precipitation-2024-01*.nc"))) == 1
    _, _, record = next(cache.leaves(requests[0]))
    assert record["expver"] == {"2024-01": "0001"}
