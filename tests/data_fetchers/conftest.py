"""Stand-in servers, each in a process of its own, and guards: no socket but 127.0.0.1, no real key."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_fetchers.engine.source import Retry

SERVERS = Path(__file__).parent / "servers"
SHARED = Path(__file__).parents[3] / "shared"


class Served:
    """A running stand-in: `url`, `faults([...])`, `log()`, `set(...)`, `reset()`."""

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVERS / f"{name}.py")], stdout=subprocess.PIPE, text=True
        )
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

    def reset(self) -> None:
        self._control("reset")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _serve(name: str) -> Iterator[Served]:
    served = Served(name)
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="session")
def _ibge() -> Iterator[Served]:
    yield from _serve("ibge")


@pytest.fixture(scope="session")
def _cds() -> Iterator[Served]:
    yield from _serve("cds")


@pytest.fixture(scope="session")
def _soil() -> Iterator[Served]:
    yield from _serve("soil")


@pytest.fixture(scope="session")
def _power() -> Iterator[Served]:
    yield from _serve("power")


@pytest.fixture(scope="session")
def _conab() -> Iterator[Served]:
    yield from _serve("conab")


@pytest.fixture(scope="session")
def _plain() -> Iterator[Served]:
    yield from _serve("plain")


def _fresh(served: Served) -> Served:
    served.reset()
    return served


@pytest.fixture
def plain_server(_plain: Served) -> Served:
    """Files of known contents."""
    return _fresh(_plain)


@pytest.fixture
def ibge_server(_ibge: Served) -> Served:
    """IBGE's stand-in, log and faults forgotten."""
    return _fresh(_ibge)


@pytest.fixture
def cds_server(_cds: Served) -> Served:
    """The CDS's stand-in."""
    return _fresh(_cds)


@pytest.fixture
def soil_server(_soil: Served) -> Served:
    """ISRIC's stand-in."""
    return _fresh(_soil)


@pytest.fixture
def power_server(_power: Served) -> Served:
    """NASA POWER's stand-in."""
    return _fresh(_power)


@pytest.fixture
def conab_server(_conab: Served) -> Served:
    """CONAB's stand-in."""
    return _fresh(_conab)


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
