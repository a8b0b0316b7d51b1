"""Test servers, each in a separate process, a frozen clock, and no real key."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, SPECIAL_DAYS

from data_fetchers.engine.source import Retry
from yieldcast import clock

sys.path.append(str(Path(__file__).parent / "helpers"))  # modules that several test files import

from served import Served

SHARED = Path(__file__).parents[3] / "shared"


def _running(name: str) -> Any:
    """Session fixture `_NAME`: the process of one server."""

    @pytest.fixture(scope="session", name=f"_{name}")
    def running() -> Iterator[Served]:
        served = Served(name)
        try:
            yield served
        finally:
            served.stop()

    return running


def _server(name: str) -> Any:
    """Fixture `NAME_server`: the server of the session, reset and at the frozen time."""

    @pytest.fixture(name=f"{name}_server")
    def server(request: pytest.FixtureRequest) -> Served:
        served: Served = request.getfixturevalue(f"_{name}")
        served.set_time(clock.now())
        served.reset()
        return served

    return server


_SERVERS = ("plain", "ibge", "cds", "soil", "power", "conab", "stac")
_plain, _ibge, _cds, _soil, _power, _conab, _stac = map(_running, _SERVERS)
(
    plain_server, ibge_server, cds_server, soil_server, power_server, conab_server, stac_server,
) = map(_server, _SERVERS)  # fmt: skip


@pytest.fixture(params=[NOW, *(pytest.param(day, marks=pytest.mark.slow) for day in SPECIAL_DAYS)], ids=str)
def now(request: pytest.FixtureRequest, set_clock: Callable[[dt.datetime], None]) -> dt.datetime:
    """The frozen time; slow runs repeat the test on special days."""
    set_clock(request.param)
    for name in request.fixturenames:
        if name.endswith("_server"):
            request.getfixturevalue(name).set_time(request.param)
    return request.param


@pytest.fixture
def quick() -> Retry:
    """Retries without waiting."""
    return Retry(tries=4, first_s=0.01, longest_s=0.05)


@pytest.fixture
def samples() -> Path:
    """Real answers of the services; skipped where they are not."""
    folder = SHARED / "samples"
    if not folder.is_dir():
        pytest.skip("the real answers are not beside this clone")
    return folder


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key of whoever runs the tests is ever used."""
    for name in ("CDSAPI_URL", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "no-cdsapirc"))
