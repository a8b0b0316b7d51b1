"""From an order to a filled store, with the real clients against all test servers at once."""

import datetime as dt
import io
import json
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import xarray as xr
from factories import synthetic_crop_weights
from forked_commands import Commands

from data_fetchers.engine.source import Retry
from data_fetchers.fetching.areas import days_offset_h
from data_fetchers.fetching.fetch import fetch
from data_fetchers.fetching.order import ALL_TABLES, FetchOrder
from data_fetchers.ibge import lspa, sidra
from data_fetchers.nasa_power import source as nasa_power
from data_fetchers.soilgrids import table as soil_table
from yieldcast.cli.app import main
from yieldcast.cli.jobs import fetch_orders
from yieldcast.data import schema
from yieldcast.data.crop_weights import write_crop_weights
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Store
from yieldcast.data.store_tables import TABLES
from yieldcast.errors import ConfigError, CredentialsError, FetchError, YieldcastError
from yieldcast.operations.job import Job
from yieldcast.publication import Publication
from yieldcast.variables import SOIL

KEY = "secret-token-123"
YEARS = "2013:2014"
NOT_IN_PAM = (1100205, 1400050, 1600030, 2206720, 2605459)  # the first of 8, see servers/ibge.py
COARSE = ("--soil-resolution", "5km")
IMPORTED_ONLY = {
    "field_seasons",
    "vegetation",
    "season_vegetation",
    "crop_area",
}  # tables that no service fills
FETCHED = set(TABLES) - IMPORTED_ONLY
TODAY = dt.date(2018, 1, 20)
START = np.datetime64("2018-01")


@pytest.fixture
def services(
    ibge_server, cds_server, soil_server, power_server, conab_server, stac_server, monkeypatch, tmp_path
):
    """Every service at once, found through the environment as a user would set it."""
    addresses = {
        "YIELDCAST_IBGE_URL": ibge_server.url,
        "YIELDCAST_SOILGRIDS_URL": soil_server.url,
        "YIELDCAST_POWER_URL": power_server.url,
        "YIELDCAST_CONAB_URL": conab_server.url,
        "YIELDCAST_STAC_URL": stac_server.url,
        "CDSAPI_URL": f"{cds_server.url}/api",
        "CDSAPI_KEY": KEY,
    }
    for name, value in addresses.items():
        monkeypatch.setenv(name, value)
    return {
        "ibge": ibge_server, "cds": cds_server, "soil": soil_server,
        "power": power_server, "conab": conab_server,
    }  # fmt: skip


def _run(*arguments: object, check: int = 0) -> str:
    """What a command shows on a wide terminal; it runs in this process, at the time of the test."""
    shown, code = io.StringIO(), None
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown), redirect_stderr(shown):
        patch.setenv("COLUMNS", "200")
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
    output = shown.getvalue()
    assert (code or 0) == check, output
    assert KEY not in output
    return output


def _fetch(store: Path, what: str, *more: object, check: int = 0) -> str:
    """Fetch by the command line; days of the weather are left out where a test is not about them."""
    days = () if "--daily" in more else ("--no-daily",)
    return _run(
        "fetch", what, "--store", store, "--states", "MT,GO", "--retry-wait", "0.05", *days, *more,
        check=check,
    )  # fmt: skip


def _tables(store: Path) -> dict[str, str]:
    opened = Store.open(store)
    return {table: fingerprint(getattr(opened, table)) for table in TABLES if table in opened}


def _requests(services) -> int:
    return sum(len(server.log()) for server in services.values())


@pytest.mark.slow
def test_fetch_all_fills_a_store_and_a_second_one_asks_nothing_but_what_is_new(services, tmp_path):
    store = tmp_path / "store"
    arguments = ("--years", YEARS, "--starts", "2018-01", *COARSE)
    output = _fetch(store, "all", *arguments)
    assert "written to" in output
    opened = Store.open(store)
    assert set(opened.static["state"].values.tolist()) == {"MT", "GO"}
    assert "clay_pct" in opened.static
    assert opened.weather["time"].values.astype("datetime64[M]").astype(str)[[0, -1]].tolist() == [
        "2013-01", "2014-12",
    ]  # fmt: skip
    assert opened.yields["harvest_year"].values.tolist() == [2013, 2014]
    assert opened.seasonal.sizes["member"] == 51
    assert opened.mesh is not None
    assert (store / "surveys.csv").read_text(encoding="utf-8").count("\n") > 10
    # licence and attribution stand in the files
    for table in (opened.static, opened.weather, opened.yields, opened.seasonal):
        assert table.attrs["attribution"]
        assert table.attrs["licence"]
    before = _tables(store)
    for server in services.values():
        server.reset()
    _fetch(store, "all", *arguments)
    # the day's look at what SIDRA has published is younger than 20 hours too
    assert _requests(services) == 0
    assert _tables(store) == before
    assert "2013-01 to 2014-12" in _run("status", "--store", store)


def test_a_dry_run_shows_requests_counts_and_sizes_and_asks_nobody(services, tmp_path):
    store = tmp_path / "store"
    output = _fetch(store, "all", "--years", YEARS, "--dry-run")
    assert "exact numbers follow once the places are fetched: yields, weather, soil" in output
    assert "requests" in output
    assert _requests(services) == 0
    _fetch(store, "places")
    count = _requests(services)
    output = _fetch(store, "weather", "--years", YEARS, "--dry-run")
    assert _requests(services) == count
    assert "derived-era5-single-levels-daily-statistics" in output
    assert "to fetch" in output
    assert "about MB" in output
    more = ("--starts", "2018-01", "--seasonal-system", "52", "--dry-run")
    assert '"system": ["52"]' in _fetch(store, "seasonal", *more)


@pytest.mark.slow
def test_one_target_at_a_time_gives_the_same_tables(services, tmp_path):
    together, apart = tmp_path / "together", tmp_path / "apart"
    _fetch(together, "all", "--years", YEARS, "--starts", "2018-01", *COARSE)
    for what, more in (
        ("soil", COARSE), ("yields", ("--years", "2014")), ("weather", ("--years", "2014")),
        ("weather", ("--years", "2013")), ("yields", ("--years", "2013")), ("places", ()),
        ("seasonal", ("--starts", "2018-01")), ("surveys", ()), ("estimates", ("--years", YEARS)),
    ):  # fmt: skip
        _fetch(apart, what, *more)
    assert _tables(apart) == _tables(together)


def test_without_a_key_weather_comes_from_nasa_power(services, tmp_path, monkeypatch):
    monkeypatch.delenv("CDSAPI_KEY")
    store = tmp_path / "store"
    output = _fetch(store, "weather", "--years", "2014", check=4)
    assert "cdsapirc" in output
    assert "weather" not in Store.open(store)
    # one request per second is for the real service
    monkeypatch.setattr(nasa_power.NasaPower.__init__, "__defaults__", ("", 0.0))
    fetch(
        FetchOrder(("weather",), years=(2014,), states=("MT", "GO"), weather="nasa-power"), store, today=TODAY
    )
    weather = Store.open(store).weather
    assert weather.sizes["time"] == 12
    assert int(weather["tmax_degC"].isnull().sum()) == 0


def test_days_of_nasa_power_are_kept_and_grow(services, tmp_path, monkeypatch):
    monkeypatch.setattr(nasa_power.NasaPower.__init__, "__defaults__", ("", 0.0))
    order = FetchOrder(("weather",), years=(2014,), states=("MT",), weather="nasa-power", daily=True)
    fetch(order, tmp_path, today=TODAY)
    first = Store.open(tmp_path).daily
    assert first.sizes["time"] == 365
    assert (first["municipality_unit"].values >= 0).all()
    fetch(replace(order, years=(2013,)), tmp_path, today=TODAY)
    both = Store.open(tmp_path)
    assert both.daily.sizes["time"] == 730
    assert both.sources["daily"]["source"] == "nasa-power"
    assert {"wind_m_s", "radiation_MJ_m2", "dewpoint_degC"} < set(both.daily.data_vars)


def test_days_that_were_imported_are_not_mixed_with_fetched_ones(services, tmp_path, monkeypatch):
    monkeypatch.setattr(nasa_power.NasaPower.__init__, "__defaults__", ("", 0.0))
    order = FetchOrder(("weather",), years=(2014,), states=("MT",), weather="nasa-power", daily=True)
    fetch(order, tmp_path, today=TODAY)
    Store.update(tmp_path, {"daily": Store.open(tmp_path).daily}, {"daily": {"file": "days.nc"}})
    with pytest.raises(ConfigError, match=r"found daily from days\.nc"):
        fetch(order, tmp_path, today=TODAY)
    # neither are they when the order leaves the choice open, and months are still fetched
    before = Store.open(tmp_path).sources["daily"]
    report = fetch(replace(order, daily=None, years=(2013,)), tmp_path, today=TODAY)
    assert report.written == ["weather"]
    assert Store.open(tmp_path).sources["daily"] == before
    assert report.errors == []


@pytest.mark.slow
def test_days_of_era5_grow_and_leave_the_months_as_they_are(services, tmp_path):
    order = FetchOrder(("weather",), years=(2014,), states=("MT",))
    fetch(order, tmp_path, today=TODAY)
    months = fingerprint(Store.open(tmp_path).weather)
    services["cds"].faults({"match": "/execution", "kind": "status", "status": 404, "times": 99})
    report = fetch(replace(order, daily=True), tmp_path, today=TODAY)
    assert (report.written, report.unwritten) == (["weather"], ["weather-daily"])
    services["cds"].reset()
    report = fetch(replace(order, daily=True), tmp_path, today=TODAY)
    assert report.written == ["weather", "weather-daily"]
    assert report.missing == []
    # rain, dew point, radiation and the two components of the wind; the extremes are here already
    assert sum(line["path"].endswith("/execution") for line in services["cds"].log()) == 5
    opened = Store.open(tmp_path)
    assert fingerprint(opened.weather) == months
    assert opened.daily.sizes["time"] == 365
    assert {"wind_m_s", "radiation_MJ_m2", "dewpoint_degC"} < set(opened.daily.data_vars)
    assert (opened.sources["daily"]["source"], opened.sources["daily"]["where"]) == ("era5", "centroid")
    # days add up to the months of the other requests
    place = opened.daily["municipality_unit"].values
    rain = opened.daily["precipitation_mm"].resample(time="MS").sum().transpose("unit", "time").values[place]
    expected = opened.weather["precipitation_mm"].transpose("municipality", "time").values
    np.testing.assert_allclose(rain, expected, rtol=1e-4, atol=1e-3)


# The day of the fetch decides nothing about estimates but the time of retrieval.
@pytest.mark.slow
def test_estimates_of_lspa_and_conab_fill_the_table(services, tmp_path):
    store = tmp_path / "store"
    output = _fetch(store, "estimates", "--years", "2014,2026", "--crops", "soybean,corn")
    assert "estimates-lspa, estimates-conab" in output
    opened = Store.open(store)
    assert sorted(opened.sources) == ["estimates-conab", "estimates-lspa", "places"]
    assert "Levantamento" in opened.sources["estimates-lspa"]["attribution"]
    table = opened.estimates
    assert set(table["unit"].values) == {"MT", "GO"}
    assert set(table["source"].values) == {"conab", "lspa"}
    before = fingerprint(table)
    for server in services.values():
        server.reset()
    _fetch(store, "estimates", "--years", "2014,2026", "--crops", "soybean,corn")
    assert _requests(services) == 0
    assert fingerprint(Store.open(store).estimates) == before
    # another year is added, whatever is there
    _fetch(store, "estimates", "--years", "2013", "--crops", "soybean")
    years = Store.open(store).estimates["harvest_year"].values
    assert set(years) == {2013, 2014, 2026}
    assert "newest public from" in _run("status", "--store", store)


@pytest.mark.slow
def test_estimates_that_do_not_arrive_leave_the_table_unchanged(services, tmp_path):
    store = tmp_path / "store"
    _fetch(store, "estimates", "--years", "2013", "--crops", "soybean")
    before = fingerprint(Store.open(store).estimates)
    services["ibge"].faults({"match": "/p/2014", "kind": "status", "status": 503, "times": 99})
    output = _fetch(store, "estimates", "--years", YEARS, "--crops", "soybean", "--tries", "2", check=4)
    assert "estimates-lspa: not written" in output
    assert fingerprint(Store.open(store).estimates) == before
    services["ibge"].faults({"match": "agregados/6588", "kind": "status", "status": 503, "times": 99})
    fresh = tmp_path / "fresh"
    assert "estimates-lspa: not written" in _fetch(
        fresh, "estimates", "--years", "2013", "--tries", "2", check=4
    )
    services["ibge"].faults()
    _fetch(store, "estimates", "--years", YEARS, "--crops", "soybean")
    assert set(Store.open(store).estimates["harvest_year"].values) == {2013, 2014}


def test_weather_of_another_source_is_not_mixed_in(services, tmp_path):
    order = FetchOrder(("weather",), years=(2014,), states=("MT",))
    fetch(order, tmp_path, today=TODAY)
    other = FetchOrder(("weather",), years=(2013,), states=("MT",), weather="nasa-power")
    with pytest.raises(ConfigError, match="found weather from era5"):
        fetch(other, tmp_path, today=TODAY)


@pytest.mark.slow
def test_missing_answers_leave_the_table_unchanged_and_exit_with_4(services, tmp_path):
    store = tmp_path / "store"
    _fetch(store, "yields", "--years", "2013")
    before = _tables(store)
    services["ibge"].faults({"match": "/p/2014", "kind": "status", "status": 503, "times": 99})
    output = _fetch(store, "yields", "--years", YEARS, "--tries", "2", check=4)
    assert "yields: not written" in output
    assert "503" in output
    assert _tables(store) == before
    _fetch(store, "yields", "--years", YEARS, "--tries", "2", "--partial", check=4)
    assert Store.open(store).yields["harvest_year"].values.tolist() == [2013]
    services["ibge"].faults()
    _fetch(store, "yields", "--years", YEARS)
    assert Store.open(store).yields["harvest_year"].values.tolist() == [2013, 2014]


@pytest.mark.slow
def test_months_that_are_not_out_yet_are_named_and_the_rest_is_written(services, tmp_path):
    order = FetchOrder(("weather",), years=(2017, 2018), states=("MT",))
    services["cds"].set(latest="2017-12-10")
    try:
        report = fetch(order, tmp_path, today=TODAY)
    finally:
        services["cds"].set(latest=None)
    assert "weather" in report.written
    weather = Store.open(tmp_path).weather
    there = weather["tmax_degC"].notnull().all("municipality")
    assert there.sel(time="2017").values.tolist() == [True] * 11 + [False]
    with pytest.raises(FetchError, match="2017-12"):
        report.raise_for_missing()


def test_a_refused_key_is_said_once_and_the_other_sources_go_on(services, tmp_path, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", "another-token")
    order = FetchOrder(("weather", "yields"), years=(2014,), states=("MT",))
    report = fetch(order, tmp_path, today=TODAY)
    assert report.written == ["places", "yields"]
    with pytest.raises(CredentialsError) as caught:
        report.raise_for_missing()
    assert "another-token" not in str(caught.value) + caught.value.hint


def test_the_key_is_nowhere_on_disk_or_screen(services, tmp_path):
    store = tmp_path / "store"
    services["cds"].faults({"match": "/execution", "kind": "status", "status": 500})
    output = _fetch(store, "weather", "--years", "2014")
    output += _fetch(store, "weather", "--years", "2014", "--dry-run")
    assert KEY not in output
    texts = [p for p in store.rglob("*") if p.is_file()]
    assert texts
    assert not [p for p in texts if KEY.encode() in p.read_bytes()]


@pytest.mark.slow
def test_a_dask_cluster_fetches_the_same(services, tmp_path):
    distributed = pytest.importorskip("distributed")
    plain, dask = tmp_path / "plain", tmp_path / "dask"
    order = FetchOrder(("yields", "weather"), years=(2014,), states=("MT",))
    fetch(order, plain, today=TODAY)
    with (
        # Processes as on a real cluster: sources, requests and outcomes travel pickled.
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        report = fetch(order, dask, executor=client.get_executor(), today=TODAY)
    assert report.missing == []
    assert _tables(dask) == _tables(plain)


def test_a_dask_address_that_does_not_answer(tmp_path):
    output = _fetch(tmp_path / "s", "places", "--dask", "tcp://127.0.0.1:9", check=2)
    assert "no scheduler at" in output


def test_doctor_finds_everything_in_order_and_says_what_is_not(services, tmp_path, monkeypatch):
    output = _run("doctor", "--store", tmp_path / "new")
    assert "failed" not in output
    monkeypatch.setenv("CDSAPI_KEY", "1234:old-form")
    monkeypatch.setenv("YIELDCAST_CONAB_URL", "http://127.0.0.1:9")
    output = _run("doctor", check=4)
    assert "CDS settings" in output
    assert "nasa-power" in output
    assert "CONAB" in output
    assert "old-form" not in output


def test_doctor_names_licences_and_accepts_them_on_request(services, tmp_path):
    services["cds"].set(accepted=[])
    output = _run("doctor", check=4)
    assert "--accept-licences" in output
    output = _run("doctor", "--accept-licences")
    assert "accepted:" in output


def test_soil_of_another_kind_is_refused_before_it_replaces_other_states(services, tmp_path):
    fetch(FetchOrder(("soil",), states=("MT", "GO"), soil_resolution="5km"), tmp_path, today=TODAY)
    before = _tables(tmp_path)
    with pytest.raises(ConfigError, match="found soil from soilgrids-2017, 5km"):
        fetch(FetchOrder(("soil",), states=("GO",), soil="2.0", soil_resolution="5km"), tmp_path, today=TODAY)
    assert _tables(tmp_path) == before


def test_an_imported_store_is_refused_before_anything_is_asked_for(services, tmp_path):
    from yieldcast.data import synthetic

    Store.write(tmp_path, synthetic.country(seed=1, municipalities=6, harvest_years=3), {"yields": "y.csv"})
    before = _tables(tmp_path)
    with pytest.raises(ConfigError, match="found places from an unknown source"):
        fetch(FetchOrder(("places", "yields"), years=(2014,), states=("MT",)), tmp_path, today=TODAY)
    assert _tables(tmp_path) == before
    assert _requests(services) == 0


def _imported(folder: Path, states: str, west: float, south: float, **tables: object) -> xr.Dataset:
    """A store of two imported places with codes below 10, and other tables, all from files."""
    static = schema.set_units(xr.Dataset(
        {
            "code": ("municipality", ["1", "2"]), "name": ("municipality", ["Ames", "Boone"]),
            "state": ("municipality", [states] * 2), "region": ("municipality", ["Midwest"] * 2),
            "latitude_deg": ("municipality", [south, south + 0.4]),
            "longitude_deg": ("municipality", [west, west + 0.4]),
        },
        coords={"municipality": np.array([1, 2], np.int32)},
    ))  # fmt: skip
    sources = {name: {"file": f"{name}.csv"} for name in ("places", *tables)}
    Store.update(folder, {"static": static, **tables}, sources)  # type: ignore[dict-item]
    return static


def test_a_store_of_another_country_gets_its_own_area_and_no_tables_of_brazil(services, tmp_path):
    _imported(tmp_path, "Iowa", -93.6, 42.0)
    for wanted in ("yields", "estimates", "surveys", "places"):
        with pytest.raises(ConfigError, match=r"Brazil only, the store has Ames \(1, Iowa\)"):
            fetch(FetchOrder((wanted,), years=(2014,)), tmp_path, today=TODAY)
    assert _requests(services) == 0
    report = fetch(FetchOrder(("seasonal",), starts=(START,), states=("IOWA",)), tmp_path, today=TODAY)
    assert (report.written, report.missing) == (["seasonal"], [])
    requests = [json.loads(p.read_text())["request"] for p in tmp_path.glob("parts/seas5/*.meta.json")]
    assert {tuple(request["inputs"]["area"]) for request in requests} == {(44.0, -95.0, 41.0, -92.0)}
    assert (Store.open(tmp_path).seasonal["municipality_cell"].values >= 0).all()
    assert days_offset_h(Store.open(tmp_path).static) == -6
    with pytest.raises(ConfigError, match="no places of OHIO"):
        fetch(FetchOrder(("weather",), years=(2014,), states=("OHIO",)), tmp_path, today=TODAY)


def test_imported_weather_is_continued_by_a_fetch_again_and_again(services, tmp_path, monkeypatch):
    monkeypatch.setattr(nasa_power.NasaPower.__init__, "__defaults__", ("", 0.0))
    months = np.arange("2013-01", "2014-11", dtype="datetime64[M]").astype("datetime64[ns]")
    fields = {"tmax_degC": 30.0, "tmin_degC": 20.0, "precipitation_mm": 7.0}
    held = schema.set_units(xr.Dataset(
        {n: (("municipality", "time"), np.full((2, 22), v, np.float32)) for n, v in fields.items()},
        coords={"municipality": np.array([1, 2], np.int32), "time": months},
    ))  # fmt: skip
    _imported(tmp_path, "Iowa", -93.6, 42.0, weather=held)
    order = FetchOrder(("weather",), years=(2014,), weather="nasa-power")
    report = fetch(order, tmp_path, today=TODAY)
    assert report.errors == []
    assert "weather" in report.written
    opened = Store.open(tmp_path)
    assert opened.weather.sizes["time"] == 24
    assert (opened.weather["precipitation_mm"].values[:, :22] == 7).all()
    assert not np.isin(opened.weather["precipitation_mm"].values[:, 22:], (7, np.nan)).any()
    assert opened.sources["weather"]["continues"] == {"file": "weather.csv", "until": "2014-10"}
    assert any("in common with the imported weather" in note.text for note in report.notes)
    report = fetch(replace(order, years=(2015,)), tmp_path, today=TODAY)
    assert Store.open(tmp_path).weather.sizes["time"] == 36
    assert Store.open(tmp_path).sources["weather"]["continues"]["until"] == "2014-10"
    # a third source is one too many, and --replace drops the import too
    with pytest.raises(ConfigError, match="found weather from nasa-power"):
        fetch(replace(order, weather="era5-land"), tmp_path, today=TODAY)
    fetch(replace(order, replace=True), tmp_path, today=TODAY)
    opened = Store.open(tmp_path)
    assert (opened.weather.sizes["time"], "continues" in opened.sources["weather"]) == (12, False)


def test_imported_soil_stays_and_places_without_it_get_theirs(services, tmp_path):
    fetch(FetchOrder(("soil",), states=("MT",), soil_resolution="5km"), tmp_path, today=TODAY)
    opened = Store.open(tmp_path)
    whole = opened.static
    some = whole["municipality"].values[:3]
    part = xr.full_like(whole[["clay_pct", "ph_h2o"]].sel(soil_layer=["0cm", "30cm"]), 7)
    static = whole.drop_vars([*(name for name in SOIL if name in whole), "soil_layer"]).assign(
        part.where(~whole["municipality"].isin(some))
    )
    Store.update(tmp_path, {"static": schema.set_units(static)}, {"soil": {"file": "soil.csv"}})
    report = fetch(FetchOrder(("soil",), states=("MT",), soil_resolution="5km"), tmp_path, today=TODAY)
    assert (report.written, report.errors) == (["soil"], [])
    after = Store.open(tmp_path)
    new = after.static["municipality"].isin(some).values
    assert (after.static["clay_pct"].values[~new] == 7).all()
    expected = whole["clay_pct"].sel(soil_layer=["0cm", "30cm"]).values[new]
    np.testing.assert_array_equal(after.static["clay_pct"].values[new], expected)
    assert after.sources["soil"]["continues"] == {"file": "soil.csv"}
    assert any(note.text == "places keep their imported soil" for note in report.notes)


def test_an_asked_state_whose_places_are_not_there_is_fetched_too(services, tmp_path):
    fetch(FetchOrder(("places",), states=("MT",)), tmp_path, today=TODAY)
    report = fetch(FetchOrder(("yields",), years=(2014,), states=("MT", "GO")), tmp_path, today=TODAY)
    assert report.written == ["places", "yields"]
    opened = Store.open(tmp_path)
    assert set(opened.static["state"].values.tolist()) == {"MT", "GO"}
    codes = opened.yields["municipality"].values
    assert {int(code) // 100_000 for code in codes} == {51, 52}


@pytest.mark.parametrize("states", [("XX",), ("MT", "XX")])
def test_an_unknown_state_or_crop_is_refused_before_anything_is_asked_for(services, tmp_path, states):
    with pytest.raises(ConfigError, match="XX"):
        fetch(FetchOrder(("weather",), years=(2014,), states=states), tmp_path / "s", today=TODAY)
    with pytest.raises(ConfigError, match="soja"):
        fetch(
            FetchOrder(("yields",), years=(2014,), crops=("soja",), states=("MT",)),
            tmp_path / "s",
            today=TODAY,
        )
    assert _requests(services) == 0
    assert not (tmp_path / "s").exists()


def test_one_target_that_fails_does_not_stop_the_others(services, tmp_path):
    services["ibge"].faults({"match": "agregados/1612/metadados", "kind": "label", "times": 9})
    order = FetchOrder(("yields", "surveys"), years=(2014,), states=("MT",))
    report = fetch(order, tmp_path, today=TODAY)
    assert report.written == ["places", "surveys"]
    with pytest.raises(YieldcastError):
        report.raise_for_missing()


def test_what_is_not_published_is_said_and_exits_with_4(services, tmp_path):
    store = tmp_path / "store"
    output = _fetch(store, "yields", "--years", "2030", check=4)
    assert "2030" in output
    output = _fetch(store, "yields", "--years", "2014,2030", check=4)
    assert Store.open(store).yields["harvest_year"].values.tolist() == [2014]


def test_a_failed_refresh_of_places_or_a_month_does_not_hold_up_what_is_new(services, tmp_path):
    order = FetchOrder(("weather",), years=(2013,), states=("MT",))
    fetch(order, tmp_path, today=TODAY)
    services["ibge"].faults({"match": "/", "kind": "status", "status": 503, "times": 999})
    later = FetchOrder(("weather", "places"), years=(2013, 2014), states=("MT",))
    report = fetch(later, tmp_path, today=TODAY + dt.timedelta(days=9000), retry=Retry(2, 0.01, 0.01))
    assert "weather" in report.written
    assert Store.open(tmp_path).weather.sizes["time"] == 24
    with pytest.raises(FetchError):
        report.raise_for_missing()


def test_a_damaged_table_is_made_again_from_cached_answers(services, tmp_path):
    order = FetchOrder(("yields",), years=(2013, 2014), states=("MT",))
    fetch(order, tmp_path, today=TODAY)
    before = _tables(tmp_path)
    for pattern, harm in (("yields-*.nc", "gone"), ("yields-*.nc", "flipped"), ("static-*.nc", "gone")):
        (file,) = tmp_path.glob(pattern)
        if harm == "gone":
            file.unlink()
        else:
            content = bytearray(file.read_bytes())
            content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
            file.write_bytes(content)
        report = fetch(order, tmp_path, today=TODAY)
        assert "yields" in report.written
        assert _tables(tmp_path) == before


def test_places_that_do_not_come_are_missing_and_not_a_wrong_setting(services, tmp_path):
    fetch(FetchOrder(("places",), states=("MT",)), tmp_path, today=TODAY)
    services["ibge"].faults({"match": "malhas/estados/52", "kind": "status", "status": 503, "times": 99})
    order = FetchOrder(("weather",), years=(2014,), states=("GO",))
    report = fetch(order, tmp_path, today=TODAY, retry=Retry(2, 0.01, 0.01))
    assert report.unwritten == ["places", "weather"]
    with pytest.raises(FetchError, match="503"):
        report.raise_for_missing()


def test_a_seasonal_forecast_that_is_late_is_missing_not_an_error(services, tmp_path):
    services["cds"].faults({"match": "seasonal-monthly-single-levels/execution", "kind": "no_data"})
    services["cds"].set(latest="2017-12-31")
    try:
        report = fetch(FetchOrder(("seasonal",), states=("MT",), starts=(START,)), tmp_path, today=TODAY)
    finally:
        services["cds"].set(latest=None)
    assert "seasonal" in report.unwritten
    with pytest.raises(FetchError):
        report.raise_for_missing()


def test_replacing_imported_places_drops_what_belonged_to_them(services, tmp_path):
    from yieldcast.data import synthetic

    Store.write(tmp_path, synthetic.country(seed=1, municipalities=6, harvest_years=3), {"yields": "y.csv"})
    order = FetchOrder(("places", "yields"), years=(2014,), states=("MT",), replace=True)
    report = fetch(order, tmp_path, today=TODAY)
    assert report.written == ["places", "yields"]
    assert any("dropped with them" in note.text for note in report.notes)
    opened = Store.open(tmp_path)
    assert "weather" not in opened
    assert set(opened.sources) == {"places", "yields"}


def test_weather_and_soil_over_polygons_and_weather_over_cropped_cells(services, tmp_path):
    points, areas = tmp_path / "points", tmp_path / "areas"
    for store, where in ((points, "centroid"), (areas, "polygon")):
        targets = ("weather", "soil")
        order = FetchOrder(targets, years=(2014,), states=("MT",), where=where, soil_resolution="5km")
        report = fetch(order, store, today=TODAY)
        assert report.written == ["places", "weather", "soil"]
        report.raise_for_missing()
    opened = Store.open(areas)
    assert {opened.sources[target]["where"] for target in ("weather", "soil")} == {"polygon"}
    at_points, over_areas = Store.open(points).weather, opened.weather
    assert int(over_areas["tmax_degC"].isnull().sum()) == 0
    # squares of 0.4 degrees: near what their centroids have, and not the same
    apart = np.abs(at_points["tmax_degC"] - over_areas["tmax_degC"]).values
    assert 0 < apart.max() < 1
    with pytest.raises(ConfigError, match="found weather from era5, polygon"):
        fetch(FetchOrder(("weather",), years=(2013,), states=("MT",)), areas, today=TODAY)
    _over_cropped_cells(areas, at_points)


def _over_cropped_cells(store, points):
    """The same answers averaged over the cropped cells of one place: one cell, that of its centroid."""
    file, places = store.parent / "weights.nc", Store.open(store).static
    codes = places["municipality"].values.tolist()
    at = (float(places[name][0]) for name in ("latitude_deg", "longitude_deg"))
    cell = tuple(round((degrees + start) / 0.25) for degrees, start in zip(at, (90, 180), strict=True))
    write_crop_weights(file, synthetic_crop_weights({2013: {codes[0]: {cell: 5.0}}}, codes))
    order = FetchOrder(
        ("weather",), years=(2014,), states=("MT",), where="crop-area", weights=str(file), replace=True
    )
    fetch(order, store, today=TODAY).raise_for_missing()
    opened = Store.open(store)
    assert opened.weather["tmax_degC"].values[0] == pytest.approx(points["tmax_degC"].values[0])
    job = Job(store, store.parent, "soybean", 2018, dt.date(2018, 1, 15))
    (again,) = [one for one in fetch_orders(opened, job, Publication()) if one.tables == ("weather",)]
    assert (again.where, again.weights, again.weights_before) == ("crop-area", str(file), "refuse")
    other = store.parent / "other.nc"
    write_crop_weights(other, synthetic_crop_weights({2013: {codes[1]: {cell: 5.0}}}, codes))
    for change, text in (
        ({"where": "polygon", "weights": ""}, "found weather from era5, crop-area, soybean"),
        ({"weights": str(other)}, "found weather from era5, crop-area, soybean"),
        ({"years": (2013,)}, "expected months from 2013-09-01 on"),
        ({"weather": "era5-land"}, "made for cells of era5,"),
        ({"weather": "nasa-power"}, "larger than most municipalities"),
        ({"weights": ""}, "needs --weights"),
    ):
        with pytest.raises(ConfigError, match=text):
            fetch(replace(order, replace=False, **change), store, today=TODAY)


def test_polygons_that_cannot_be_had_are_refused_before_anything_is_asked_for(services, tmp_path):
    from yieldcast.data import synthetic

    store = tmp_path / "imported"
    Store.write(store, synthetic.country(seed=1, municipalities=6, harvest_years=3), {})
    with pytest.raises(ConfigError, match="no boundaries"):
        fetch(FetchOrder(("weather",), years=(2014,), where="polygon", replace=True), store, today=TODAY)
    power = FetchOrder(("weather",), years=(2014,), where="polygon", weather="nasa-power", states=("MT",))
    with pytest.raises(ConfigError, match="larger than most municipalities"):
        fetch(power, tmp_path / "new", today=TODAY)
    assert _requests(services) == 0


def test_a_dry_run_refuses_what_the_run_would(services, tmp_path):
    store = tmp_path / "store"
    _fetch(store, "places")
    output = _fetch(store, "soil", "--soil-folder", tmp_path / "nowhere", "--dry-run", check=3)
    assert "nowhere" in output
    output = _fetch(store, "yields", "--years", "2014", "--crops", "soja", "--dry-run", check=2)
    assert "soja is called soybean here" in output
    output = _fetch(store, "yields", "--years", "2014", "--dry-run")
    assert "about" in output


def test_a_relative_store_is_the_same_for_workers_elsewhere(services, tmp_path, monkeypatch):
    seen = []

    class Elsewhere(ThreadPoolExecutor):
        def submit(self, fn, /, source, request, folder, retry):
            seen.append(folder)
            return super().submit(fn, source, request, folder, retry)

    monkeypatch.chdir(tmp_path)
    with Elsewhere(2) as executor:
        fetch(FetchOrder(("places",), states=("MT",)), Path("STORE"), today=TODAY, executor=executor)
    assert all(folder.is_absolute() for folder in seen)
    assert "static" in Store.open(tmp_path / "STORE")


def test_ctrl_c_stops_at_once_although_a_service_hangs_and_the_next_run_goes_on(services, tmp_path):
    store = tmp_path / "store"
    _fetch(store, "places")
    services["conab"].faults({"match": "SerieHistorica", "kind": "sleep", "seconds": 60})
    # a test run in the background ignores SIGINT, and so would its children
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import runpy; "
    script += "runpy.run_module('yieldcast', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "fetch", "surveys", "--store", str(store), "--states", "MT,GO"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while not services["conab"].log():  # the other file has come, this one hangs
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    output, _ = process.communicate(timeout=30)
    assert time.monotonic() - began < 3
    assert process.returncode == 130
    assert "the same command goes on from there" in output
    services["conab"].faults()
    _fetch(store, "surveys")


@pytest.mark.slow
def test_every_table_of_a_country_of_5571_municipalities_of_which_pam_lists_5563(
    services, tmp_path, monkeypatch
):
    """Two months of one year, all from one state's surroundings, three properties of one soil layer."""
    texture = {code: soil_table.VARIABLE_MAP["2.0"][code] for code in ("clay", "sand", "silt")}
    monkeypatch.setitem(soil_table.VARIABLE_MAP, "2.0", texture)
    monkeypatch.setitem(soil_table.LAYERS, "2.0", {"0_5cm": "0-5cm"})
    today = dt.date(2020, 3, 10)
    services["ibge"].set(whole=True)
    order = FetchOrder(
        ALL_TABLES, years=(2020,), crops=("soybean",), daily=True, starts=(np.datetime64("2020-01"),),
        soil="2.0", soil_resolution="5km",
    )  # fmt: skip
    try:
        report = fetch(order, tmp_path, today=today)
    finally:
        services["ibge"].set(whole=False)
    assert (report.unwritten, report.errors, report.missing) == ([], [], [])
    opened = Store.open(tmp_path)
    assert opened.static.sizes["municipality"] == 5571
    for table in FETCHED:
        assert table in opened
    for table in ("weather", "yields", "seasonal"):
        assert getattr(opened, table).sizes["municipality"] == 5571
    assert int(opened.yields["production_t"].notnull().sum()) > 4000  # others are withheld, or not applicable
    assert int(opened.static["clay_pct"].notnull().any("soil_layer").sum()) > 5000  # others lie in a desert
    assert int(opened.weather["tmax_degC"].notnull().all("time").sum()) == 5571
    assert (opened.daily["municipality_unit"].values >= 0).all()
    missing = opened.sources["yields"]["places_not_listed"]
    assert missing == {"count": 8, "first": [f"{code} Lugar {code}" for code in NOT_IN_PAM[:5]]}


@pytest.mark.slow
def test_killed_at_twenty_moments_the_tables_are_the_same_and_nothing_verified_is_fetched_twice(
    services, tmp_path
):
    """Every table that a fetch fills; a fifth of the kills is by SIGTERM, as a scheduler stops a job."""
    calm = tmp_path / "calm"
    arguments = (
        "fetch", "all", "--years", "2014", "--crops", "soybean", "--starts", "2018-01", "--states", "MT,GO",
        "--retry-wait", "0.05", *COARSE,
    )  # fmt: skip
    with Commands() as commands:
        for store in (tmp_path / "first", calm):  # the servers keep the files that they made the first time
            began = time.monotonic()
            assert commands.run([*arguments, "--store", str(store)]) == 0
            whole = time.monotonic() - began
        assert set(_tables(calm)) == FETCHED
        for server in services.values():
            server.reset()
        dice, kills, rounds = random.Random(20261121), 0, 0
        while kills < 20:
            rounds += 1
            rough, fetched = tmp_path / f"rough-{rounds}", {}
            code = None
            while code != 0:
                verified, began = _addresses(rough), time.time()
                sign = signal.SIGTERM if kills % 5 == 4 else signal.SIGKILL
                code = commands.run([*arguments, "--store", str(rough)], dice.uniform(0.1, whole), sign)
                assert code in (0, -sign, 130)
                kills += code != 0
                log = [*services["ibge"].log(), *services["conab"].log()]
                asked = {entry["path"].split("?")[0] for entry in log if entry["time"] >= began}
                assert not asked & verified
                for sidecar in rough.rglob("*.meta.json"):
                    stamp = (sidecar.stat().st_ino, sidecar.stat().st_mtime_ns)
                    # a verified answer keeps its sidecar: it was not fetched again
                    assert fetched.setdefault(str(sidecar), stamp) == stamp
            assert _tables(rough) == _tables(calm)
            assert (rough / "surveys.csv").read_bytes() == (calm / "surveys.csv").read_bytes()
            for pattern in (".*.part", "*.job.json", "*.next.json", ".*.tmp*"):
                assert not list(rough.rglob(pattern))
            assert len(fetched) > 100


def _addresses(store: Path) -> set[str]:
    """Paths from which the verified answers of IBGE and CONAB came."""
    paths, found = {"yields": sidra.values_path, "estimates": lspa.values_path}, set()
    for sidecar in [*store.glob("parts/ibge/*.meta.json"), *store.glob("parts/conab/*.meta.json")]:
        request = json.loads(sidecar.read_text(encoding="utf-8"))["request"]
        if "file" in request:
            found.add(f"/{request['file']}")
        else:
            found.add(unquote(request.get("path") or paths[request["kind"]](request)))
    return found


@pytest.mark.slow
def test_from_fetch_all_to_train_and_evaluate(services, tmp_path):
    store, config = tmp_path / "store", tmp_path / "quick.toml"
    _fetch(store, "all", "--years", "2009:2016", "--starts", "2018-01", *COARSE)
    config.write_text("[training]\nmax_epochs = 3\n", encoding="utf-8")
    run, scores = tmp_path / "run", tmp_path / "scores.json"
    _run(
        "train", "--store", store, "--crop", "soybean", "--train-years", "2010:2015", "--seeds", "2",
        "--config", config, "--preset", "paper", "--out", run,
    )  # fmt: skip
    _run("evaluate", run, "--store", store, "--test-years", "2016", "--json", scores)
    rows = json.loads(scores.read_text(encoding="utf-8"))
    assert rows
