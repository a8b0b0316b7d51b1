"""A service that hangs: every real client gives up after its time-out, and goes on when it hung only once."""

from __future__ import annotations

import datetime as dt
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from data_fetchers.cds import account
from data_fetchers.cds.client import Cds
from data_fetchers.conab import Conab, survey_requests
from data_fetchers.engine import gdal, http
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import Retry, RetryableError
from data_fetchers.ibge.places import municipality_counts
from data_fetchers.ibge.source import Ibge
from data_fetchers.nasa_power.source import NasaPower, weather_requests
from data_fetchers.soilgrids import source as soilgrids
from data_fetchers.soilgrids.source import SoilGrids

pytestmark = pytest.mark.slow

TIMEOUT_s = 0.5
HANG_s = 12.0
SOON_s = 8.0  # below the hang: that one is not waited for
_BASES = count()


@pytest.fixture(scope="module")
def serve(_plain) -> Iterator[Callable[[str], Any]]:
    """Servers of our own: a request that hangs ends after its test, and must not be in another one's log."""
    running: dict[str, Any] = {}

    def serve(name: str) -> Any:
        running[name] = running.get(name) or type(_plain)(name)
        running[name].reset()
        return running[name]

    yield serve
    for server in running.values():
        server.stop()


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT_s", (TIMEOUT_s, TIMEOUT_s))
    for function in (http.get, http.get_with_headers):
        monkeypatch.setitem(function.__kwdefaults__, "timeout_s", (TIMEOUT_s, TIMEOUT_s))
    monkeypatch.setattr(account, "TIMEOUT_s", (TIMEOUT_s, TIMEOUT_s))
    monkeypatch.setenv("CDSAPI_KEY", "secret-token-123")
    short = {"TIMEOUT": TIMEOUT_s, "CONNECTTIMEOUT": TIMEOUT_s, "MAX_RETRY": 1, "RETRY_DELAY": 0.01}
    for name, value in short.items():
        monkeypatch.setitem(gdal.SETTINGS, f"GDAL_HTTP_{name}", value)


@dataclass(frozen=True)
class Retrievals:
    """A source over `Cds`, as era5.py and seas5.py are."""

    cds: Cds
    name: str = "retrievals"
    licence: str = "none"
    attribution: str = "nobody"
    workers: int = 1
    seconds_between: float = 0.0

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        return self.cds.retrieve("test-dataset", dict(request.parameters), target, job)

    def check(self, request: Request, file: Path) -> Record:
        with xr.open_dataset(file, engine="h5netcdf") as ds:
            return {"points": ds.sizes["point"]}

    def split(self, request: Request) -> list[Request]:
        return []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        return False


# Each returns a source and one of its requests, made with a server that answers, in a folder.


def cds(server, folder):
    request = {"year": ["2020"], "month": ["01"], "variable": "2m_temperature"}
    source = Retrievals(Cds(f"{server.url}/api", first_poll_s=0.01, longest_poll_s=0.05))
    return source, Request(source.name, "one", request, ".nc")


def ibge(server, folder):
    source, cache = Ibge(server.url), RequestCache(folder / "ibge")
    lists = [*source.place_requests(), *source.metadata_requests(["soybean"])]
    assert fetch_requests([(source, lists)], folder)[0].missing == []
    counts = municipality_counts(cache, source)
    return source, source.yield_requests(["soybean"], [2019], None, counts, cache)[0][0]


def power(server, folder):
    places = xr.Dataset(
        {"latitude_deg": ("municipality", [-12.6]), "longitude_deg": ("municipality", [-56.1])}
    )
    places = places.assign_coords(municipality=np.array([5100100], np.int32))
    source = NasaPower(server.url, seconds_between=0.0)
    return source, weather_requests(places, [2020], dt.date(2021, 5, 12))[0][0]


def conab(server, folder):
    return Conab(server.url), survey_requests()[0]


def soil(server, folder, generation="2017", code="CLYPPT", layer="0cm"):
    columns = {"state": ["MT"], "latitude_deg": [-12.0], "longitude_deg": [-57.0]}
    places = xr.Dataset({name: ("municipality", value) for name, value in columns.items()})
    places = places.assign_coords(municipality=np.array([5100100], np.int32))
    # an address that GDAL has not seen in this process
    source = SoilGrids(f"{server.url}/hangs-{next(_BASES)}", generation=generation)
    wanted = {"code": code, "layer": layer}
    request = next(p for p in source.soil_requests(places) if wanted.items() <= p.parameters.items())
    # the stand-in takes its time to make a file for the first time
    with urllib.request.urlopen(
        f"{server.url}/{soilgrids.file_path(request.parameters)}", timeout=30
    ) as answer:
        answer.read()
    return source, request


def tiles(server, folder):
    return soil(server, folder, "2.0", "clay", "0_5cm")


CASES = {
    "cds-catalogue": ("cds", cds, "GET /api/retrieve/v1/processes/"),
    "cds-submission": ("cds", cds, "/execution"),
    "cds-poll": ("cds", cds, "?log=True"),
    "cds-results": ("cds", cds, "/results"),
    "cds-download": ("cds", cds, "GET /object-store/"),
    "sidra": ("ibge", ibge, "/values"),
    "power": ("power", power, "point"),
    "conab": ("conab", conab, ".txt"),
    "soil-first-look": ("soil", soil, "GET /"),
    "soil-header": ("soil", soil, "HEAD /"),
    "soil-tile-header": ("soil", tiles, "HEAD /hangs-{}tileSG"),
    "soil-tile": ("soil", tiles, "GET /hangs-{}tileSG"),
}


@pytest.fixture(params=CASES)
def case(request, serve, tmp_path):
    """Fetch from a service of which one kind of request hangs: summary, seconds, request, cache."""
    name, make, match = CASES[request.param]
    server = serve(name)
    source, wanted = make(server, tmp_path)
    if "{}" in match:
        path = soilgrids.file_path(wanted.parameters).removesuffix(".vrt")
        match = match.replace("hangs-{}", f"{source.base_url.rsplit('/', 1)[1]}/{path}/")

    def fetch(times: int):
        server.faults({"match": match, "kind": "sleep", "seconds": HANG_s, "times": times})
        began = time.monotonic()
        retry = Retry(tries=2, first_s=0.01)
        (summary,) = fetch_requests([(source, [wanted])], tmp_path, retry=retry)
        return summary, time.monotonic() - began, wanted, RequestCache(tmp_path / source.name)

    yield fetch
    server.faults()


def test_a_service_that_hangs_is_given_up_soon(case, capfd):
    summary, seconds, request, cache = case(99)
    ((name, error),) = summary.missing
    assert name == request.name
    assert isinstance(error, RetryableError)
    assert seconds < SOON_s
    assert cache.verified(request) is None
    assert not cache.path(request).exists()
    assert not cache.temporary(request).exists()
    assert capfd.readouterr() == ("", "")


def test_a_service_that_hangs_once_is_survived(case, capfd):
    summary, seconds, request, cache = case(1)
    assert summary.missing == []
    assert summary.fetched == 1
    assert cache.verified(request) is not None
    assert TIMEOUT_s <= seconds < SOON_s  # it did hang, and was not waited for
    assert capfd.readouterr() == ("", "")
