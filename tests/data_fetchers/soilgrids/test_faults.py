"""Every fault of the SoilGrids server, in first bytes, files, VRTs and tiles."""

from __future__ import annotations

import time

import pytest
from soilgrids_world import (
    MT,
    PLACE,
    expected,
    request_of,
    run,
)

from data_fetchers.engine.cache import PendingJob
from data_fetchers.engine.source import Retry, RetryableError
from data_fetchers.soilgrids import source as soilgrids
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.soilgrids.table import LAYERS
from yieldcast.errors import FetchError

TIFF = ("2017", "CLYPPT", "100cm", "")
VRT = ("2.0", "clay", "60_100cm", "")
TILE = ("2.0", "clay", "60_100cm", "/tileSG")
FAULTS = {
    "503": {"kind": "status", "status": 503}, "cut": {"kind": "cut", "share": 0.4}, "html": {"kind": "html"},
    "huge": {"kind": "huge"}, "lost": {"kind": "lost"}, "empty": {"kind": "empty"},
    "500": {"kind": "status", "status": 500},
    "429": {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
}  # fmt: skip


def faulty(base, which):
    """Source, request, path of the file (or of its tiles) as the server's faults match it, true value."""
    generation, code, layer, tile = which
    source = SoilGrids(base, generation=generation)
    request = request_of(source, layer, code, PLACE)
    path = soilgrids.file_path(request.parameters)
    k = 1 + list(LAYERS[generation]).index(layer)
    match = f"/{base.rsplit('/', 1)[1]}/{path.removesuffix('.vrt') + tile if tile else path}"
    return source, request, match, expected("clay_pct", k, *MT[5100100])


@pytest.mark.parametrize("which", [TIFF, VRT, TILE], ids=["tiff", "vrt", "tile"])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_go_away_are_survived(soil_server, base, tmp_path, capfd, quick, which, method, fault):
    source, request, match, value = faulty(base, which)
    # three times: more than GDAL itself tries (2), so that our own next try must not see what GDAL remembers
    soil_server.faults({**FAULTS[fault], "match": f"{method} {match}", "times": 3})
    outcome, rows = run(source, request, tmp_path, quick)
    assert any(entry["fault"] for entry in soil_server.log())
    if fault == "huge" and method == "GET" and which is not TILE:
        assert "more than 1 MB" in str(outcome.error)  # refused at the first look
        return
    assert outcome.error is None
    assert rows[5100100].value == value
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("which", [TIFF, VRT, TILE], ids=["tiff", "vrt", "tile"])
@pytest.mark.parametrize("fault", ["500", "503", "429", "cut", "html", "empty", "lost"])
def test_faults_that_stay_are_errors_not_holes(soil_server, base, tmp_path, capfd, which, fault):
    source, request, match, _ = faulty(base, which)
    soil_server.faults({**FAULTS[fault], "share": 0.01, "match": f"GET {match}", "times": 1000})
    outcome, rows = run(source, request, tmp_path, Retry(tries=2, first_s=0.01))
    assert isinstance(outcome.error, RetryableError)
    assert outcome.tries == 2
    assert "clay" in str(outcome.error).lower() or "clyppt" in str(outcome.error).lower()
    assert outcome.error.hint
    assert rows == {}
    assert list(tmp_path.glob("*.csv")) == list(tmp_path.glob(".*.part")) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("which", [TIFF, VRT, TILE], ids=["tiff", "vrt", "tile"])
def test_refused_and_absent_files_are_not_asked_for_again(
    soil_server, base, tmp_path, capfd, quick, which, status
):
    source, request, match, _ = faulty(base, which)
    soil_server.faults({"match": match, "kind": "status", "status": status, "times": 1000})
    outcome, rows = run(source, request, tmp_path, quick)
    assert type(outcome.error) is FetchError
    assert (outcome.tries, rows) == (1, {})
    assert str(status) in str(outcome.error)
    assert capfd.readouterr() == ("", "")
    assert "generation" in outcome.error.hint


def test_wrong_address_says_so(base, tmp_path, quick):
    outcome, _ = run(
        SoilGrids(f"{base}/former/nowhere"), request_of(SoilGrids(base), "0cm", "CLYPPT"), tmp_path, quick
    )
    assert "404" in str(outcome.error)
    assert "base address" in outcome.error.hint


def test_nobody_there(tmp_path, quick):
    source = SoilGrids("http://127.0.0.1:9")
    outcome, _ = run(source, request_of(source, "0cm", "CLYPPT"), tmp_path, quick)
    assert isinstance(outcome.error, RetryableError)
    assert outcome.tries == quick.tries


def test_redirect_to_another_host_is_refused(soil_server, base, tmp_path, quick):
    source, request, match, _ = faulty(base, TIFF)
    soil_server.faults({"match": match, "kind": "redirect", "to": "http://elsewhere.invalid/", "times": 9})
    outcome, _ = run(source, request, tmp_path, quick)
    assert "elsewhere.invalid" in str(outcome.error)
    assert outcome.tries == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_service_asks_for_is_kept(soil_server, base, tmp_path, status):
    source, request, match, _ = faulty(base, TIFF)
    soil_server.faults({"match": match, "kind": "status", "status": status, "headers": {"Retry-After": "7"}})
    with pytest.raises(RetryableError) as caught:
        source.fetch(request, tmp_path / "x", PendingJob(tmp_path / "job"))
    assert caught.value.after_s == 7


def test_a_long_wait_asked_of_gdal_does_not_block_a_worker(soil_server, base, tmp_path):
    source, request, match, _ = faulty(base, TILE)
    slow = {"kind": "status", "status": 429, "headers": {"Retry-After": "600"}}
    soil_server.faults({"match": match, "times": 1000, **slow})
    began = time.monotonic()
    outcome, _ = run(source, request, tmp_path)
    assert isinstance(outcome.error, RetryableError)
    assert time.monotonic() - began < 3
