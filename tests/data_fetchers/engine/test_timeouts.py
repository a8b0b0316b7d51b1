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
from data_fetchers.conab import Conab, survey_parts
from data_fetchers.engine import http
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import Retry, RetryableError
from data_fetchers.ibge.places import municipality_counts
from data_fetchers.ibge.source import Ibge
from data_fetchers.nasa_power import NasaPower, weather_requests
from data_fetchers.soilgrids import pixels
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
    monkeypatch.setitem(http.get.__kwdefaults__, "timeout_s", (TIMEOUT_s, TIMEOUT_s))
    monkeypatch.setattr(account, "TIMEOUT_s", (TIMEOUT_s, TIMEOUT_s))
    monkeypatch.setenv("CDSAPI_KEY", "secret-token-123")
    short = {"TIMEOUT": TIMEOUT_s, "CONNECTTIMEOUT": TIMEOUT_s, "MAX_RETRY": 1, "RETRY_DELAY": 0.01}
    for name, value in short.items():
        monkeypatch.setitem(pixels.SETTINGS, f"GDAL_HTTP_{name}", value)


@dataclass(frozen=True)
class Retrievals:
    """A source over `Cds`, as era5.py and seas5.py are."""

    cds: Cds
    name: str = "retrievals"
    licence: str = "none"
    attribution: str = "nobody"
    workers: int = 1
    seconds_between: float = 0.0

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        return self.cds.retrieve("test-dataset", dict(part.request), target, job)

    def check(self, part: Request, file: Path) -> Record:
        with xr.open_dataset(file, engine="h5netcdf") as ds:
            return {"points": ds.sizes["point"]}

    def split(self, part: Request) -> list[Request]:
        return []

    def stale(self, part: Request, record: Record, today: dt.date) -> bool:
        return False


# Each: a source, one of its parts, made with a server that answers, in a folder.


def cds(server, folder):
    request = {"year": ["2020"], "month": ["01"], "variable": "2m_temperature"}
    source = Retrievals(Cds(f"{server.url}/api", first_poll_s=0.01, longest_poll_s=0.05))
    return source, Request(source.name, "one", request, ".nc")


def ibge(server, folder):
    source, shelf = Ibge(server.url), RequestCache(folder / "ibge")
    lists = [*source.place_parts(), *source.table_requests(["soybean"])]
    assert fetch_requests([(source, lists)], folder)[0].missing == []
    counts = municipality_counts(shelf, source)
    return source, source.yield_parts(["soybean"], [2019], None, counts, shelf)[0][0]


def power(server, folder):
    places = xr.Dataset(
        {"latitude_deg": ("municipality", [-12.6]), "longitude_deg": ("municipality", [-56.1])}
    )
    places = places.assign_coords(municipality=np.array([5100100], np.int32))
    source = NasaPower(server.url, seconds_between=0.0)
    return source, weather_requests(places, [2020], dt.date(2021, 5, 12))[0][0]


def conab(server, folder):
    return Conab(server.url), survey_parts()[0]


def soil(server, folder, generation="2017", code="CLYPPT", layer="0cm"):
    columns = {"state": ["MT"], "latitude_deg": [-12.0], "longitude_deg": [-57.0]}
    places = xr.Dataset({name: ("municipality", value) for name, value in columns.items()})
    places = places.assign_coords(municipality=np.array([5100100], np.int32))
    # an address that GDAL has not seen in this process
    source = SoilGrids(f"{server.url}/hangs-{next(_BASES)}", generation=generation)
    wanted = {"code": code, "layer": layer}
    part = next(p for p in source.soil_parts(places) if wanted.items() <= p.request.items())
    # the stand-in takes its time to make a file for the first time
    with urllib.request.urlopen(f"{server.url}/{soilgrids.file_path(part.request)}", timeout=30) as answer:
        answer.read()
    return source, part


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
    """Fetch one part of a service of which one kind of request hangs some times: summary, seconds, shelf."""
    name, make, match = CASES[request.param]
    server = serve(name)
    source, part = make(server, tmp_path)
    if "{}" in match:
        path = soilgrids.file_path(part.request).removesuffix(".vrt")
        match = match.replace("hangs-{}", f"{source.base_url.rsplit('/', 1)[1]}/{path}/")

    def fetch(times: int):
        server.faults({"match": match, "kind": "sleep", "seconds": HANG_s, "times": times})
        began = time.monotonic()
        retry = Retry(tries=2, first_s=0.01)
        (summary,) = fetch_requests([(source, [part])], tmp_path, retry=retry)
        return summary, time.monotonic() - began, part, RequestCache(tmp_path / source.name)

    yield fetch
    server.faults()


def test_a_service_that_hangs_is_given_up_soon(case, capfd):
    summary, seconds, part, shelf = case(99)
    ((name, error),) = summary.missing
    assert name == part.name
    assert isinstance(error, RetryableError)
    assert seconds < SOON_s
    assert shelf.verified(part) is None
    assert not shelf.path(part).exists()
    assert not shelf.temporary(part).exists()
    assert capfd.readouterr() == ("", "")


def test_a_service_that_hangs_once_is_survived(case, capfd):
    summary, seconds, part, shelf = case(1)
    assert summary.missing == []
    assert summary.fetched == 1
    assert shelf.verified(part) is not None
    assert TIMEOUT_s <= seconds < SOON_s  # it did hang, and was not waited for
    assert capfd.readouterr() == ("", "")
