"""Test servers, each in a separate process, a frozen clock, and no real key."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, SPECIAL_DAYS

from data_fetchers.engine.source import Retry
from yieldcast import clock

SERVERS = Path(__file__).parent / "servers"
sys.path.append(str(Path(__file__).parent / "helpers"))  # modules that several test files import
SHARED = Path(__file__).parents[3] / "shared"


class Served:
    """A running test server: `url`, `faults([...])`, `log()`, `set(...)`, `reset()`."""

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVERS / f"{name}.py")], stdout=subprocess.PIPE, text=True
        )
        self.moment: dt.datetime | None = None
        assert self.process.stdout is not None
        first = self.process.stdout.readline().split()
        assert first[:1] == ["ready"], f"server {name} did not start: {first}"
        self.url = first[1]

    def _control(self, what: str, value: object = None) -> object:
        body = None if what == "log" else json.dumps(value).encode()
        with urllib.request.urlopen(f"{self.url}/_control/{what}", data=body, timeout=30) as reply:
            return json.load(reply)

    def faults(self, *faults: dict) -> None:
        self._control("faults", list(faults))

    def log(self) -> list[dict]:
        return self._control("log")  # type: ignore[return-value]

    def set(self, **settings: object) -> None:
        self._control("set", settings)

    def set_time(self, moment: dt.datetime) -> None:
        """Set the time in the server's answers, also after a reset."""
        self.moment = moment
        self.set(now=moment.replace(tzinfo=None).isoformat())

    def reset(self) -> None:
        self._control("reset")
        if self.moment is not None:
            self.set_time(self.moment)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


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


_SERVERS = ("plain", "ibge", "cds", "soil", "power", "conab")
_plain, _ibge, _cds, _soil, _power, _conab = map(_running, _SERVERS)
plain_server, ibge_server, cds_server, soil_server, power_server, conab_server = map(_server, _SERVERS)


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
